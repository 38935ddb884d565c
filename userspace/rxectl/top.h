/* SPDX-License-Identifier: GPL-2.0 */
/* The command top: devices and their hottest memory, as they change. */
#ifndef TOP_H
#define TOP_H

#include "look.h"

enum rxectl_exit top_run(const struct args *args);

/*
 * One picture: what has changed between two looks, and the hottest parts of
 * memory, as many as fit.
 */
void top_draw(FILE *to, const struct look *before,
	      const struct look *now, unsigned int lines);

/* The text, on a screen of that size, in the place of the one before. */
void top_screen(FILE *to, const char *text, unsigned int lines, unsigned int width);

#endif
