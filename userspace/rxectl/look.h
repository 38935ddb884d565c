/* SPDX-License-Identifier: GPL-2.0 */
/* A look at the devices, as top shows and record writes it. */
#ifndef LOOK_H
#define LOOK_H

#include "rows.h"

/* Rows are those of the commands dev, mr, stat and heat; without mr's of pages. */
struct look {
	struct json_object *devices;
	struct json_object *regions;	/* none in a recording */
	struct json_object *counters;
	struct json_object *heat;
	double time;			/* in seconds, of some clock */
};

/* Look at the devices that are meant. What was found is the caller's to forget. */
enum rxectl_exit look_take(const struct args *args, struct look *look);
void look_forget(struct look *look);

/* The row of a device, or NULL. */
struct json_object *look_device(const struct look *look, const char *device);

/* How much a counter of a device has grown, and how much in a second. */
uint64_t look_growth(const struct look *before, const struct look *now,
		     const char *device, const char *counter);
double look_rate(const struct look *before, const struct look *now,
		 const char *device, const char *counter);

#endif
