/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A heat map of a recording: the memory that a device uses, address by time, with
 * how much each part was used and where it was.
 */
#ifndef HEATMAP_H
#define HEATMAP_H

#include "recording.h"

/* Parts of 2 MiB of regions, the ones after each other if there are too many. */
struct heatmap_row {
	uint64_t mrn;			/* of the first part */
	uint64_t address;
	size_t parts;
};

struct heatmap_cell {
	double rate;			/* accesses a second, of each part */
	double device;			/* how much of it was on the device, 0 to 1 */
};

struct heatmap {
	struct heatmap_row *rows;
	struct heatmap_cell *cells;	/* row by row */
	double *start;			/* of the columns, in s; and the last one's end */
	size_t num_rows, num_columns;
	double hottest;			/* the highest rate */
	size_t parts;
};

/* NULL if the device has used nothing. */
struct heatmap *heatmap_make(const struct recording *r, const char *device,
			     size_t max_rows, size_t max_columns);
void heatmap_free(struct heatmap *map);

/* 0 if next to nothing, up to HEATMAP_LEVELS; a step is the third part. */
#define HEATMAP_LEVELS	8
int heatmap_level(const struct heatmap *map, const struct heatmap_cell *cell);

void heatmap_svg(FILE *to, const struct heatmap *map, const char *title, int alone);
void heatmap_text(FILE *to, const struct heatmap *map, const char *title,
		  bool colours);

/* The command heatmap. */
enum rxectl_exit heatmap_run(const struct args *args);

#endif
