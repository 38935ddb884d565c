/* SPDX-License-Identifier: GPL-2.0 */
/* The command top: devices and their hottest memory, as they change. */
#ifndef TOP_H
#define TOP_H

#include "rows.h"

enum rxectl_exit top_run(const struct args *args);

/*
 * One picture: what has changed between two looks that are seconds apart, and
 * the hottest parts of memory, as many as fit. Rows are those of the commands
 * stat, dev and heat.
 */
struct top_look {
	struct json_object *devices;	/* rows of dev */
	struct json_object *counters;	/* rows of stat */
	struct json_object *heat;	/* rows of heat */
	double time;			/* in seconds, of some clock */
};

void top_draw(FILE *to, const struct top_look *before,
	      const struct top_look *now, unsigned int lines);

#endif
