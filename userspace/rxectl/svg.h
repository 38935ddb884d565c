/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drawing: SVG, of which a browser needs nothing else to show it. Colours are
 * CSS classes, so that they suit a light and a dark page.
 */
#ifndef SVG_H
#define SVG_H

#include <stddef.h>
#include <stdio.h>

#define SVG_WIDTH	760.0
#define SVG_LEFT	150.0		/* room for labels */
#define SVG_RIGHT	20.0

/* The colours, for a style element. */
extern const char svg_style[];

/*
 * Begin a picture of that height that is called so; one that is a file of its own
 * has its style with it.
 */
void svg_open(FILE *to, const char *title, double height, int alone);
void svg_close(FILE *to);

/* Text in which nothing is taken for markup. */
void svg_escape(FILE *to, const char *text);

/* A number for people: 1.5k, 20M. */
const char *svg_number(double n, char *buf, size_t size);

/* A round number that divides a range in at most so many parts. */
double svg_step(double range, int parts);

/* Where in the picture a time is, and an axis for times from 0 at that height. */
double svg_x(double time, double end);
void svg_time_axis(FILE *to, double y, double end);

/* A small square of some class and a word beside it; returns where it ends. */
double svg_key(FILE *to, double x, double y, const char *class,
	       const char *word);

struct svg_line {
	const char *name;
	const double *y;		/* num of them */
};

struct svg_plot {
	const char *title;
	const char *unit;
	const double *start;		/* in seconds, num + 1 of them */
	size_t num;			/* each is true until the next one's start */
	const struct svg_line *lines;
	size_t num_lines;		/* 4 at most */
	double top;			/* 0: as high as needed */
};

void svg_draw_plot(FILE *to, const struct svg_plot *plot);

#endif
