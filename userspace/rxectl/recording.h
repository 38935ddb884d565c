/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A recording: looks at devices, one after the other, in a file.
 *
 * Each line is a JSON object. The first says what it is: { "recording": 1,
 * "rxectl", "kernel", "started", "page_size" }. Each other is a look:
 * { "time", "devices", "counters", "heat" }, with the time in seconds since the
 * first one. So a recording that is cut off is good up to its last whole line.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include "look.h"

struct recording {
	struct json_object *head;
	struct look *looks;		/* later ones have a greater time */
	size_t num;
};

/* 0, or -1 with the reason in error, and then there is nothing to forget. */
int recording_read(struct recording *r, FILE *from, char *error, size_t size);

/* The same from a file, "-" for standard input; says what is wrong with it. */
enum rxectl_exit recording_load(struct recording *r, const char *name);

void recording_forget(struct recording *r);

/* The names of its devices: an array of strings, for the caller. */
struct json_object *recording_devices(const struct recording *r);

/* Write lines of a recording; whether it failed, the file tells. */
void recording_begin(FILE *to);
void recording_add(FILE *to, const struct look *look, double started);

/* The command record. */
enum rxectl_exit record_run(const struct args *args);

#endif
