/* SPDX-License-Identifier: GPL-2.0 */
/* Swap devices, and memory that goes there. Needs root, and zram or loop. */
#ifndef RV_SWAP_H
#define RV_SWAP_H

#include <stdbool.h>

#include "rv_buf.h"

/*
 * A page that comes in gives up its place on zram at once. On a disk it keeps
 * it, and if it stays clean it is dropped later without being written.
 */
enum rv_swap_kind { RV_ZRAM, RV_DISK };

struct rv_swap {
	enum rv_swap_kind kind;
	int id;			/* -1: none */
	int fd;			/* of the disk */
	char path[32];
	bool on;
};

/* Make a device and swap to it: 0 or -errno. Either way end with a stop. */
int rv_swap_start(struct rv_swap *s, enum rv_swap_kind kind);
void rv_swap_stop(struct rv_swap *s);

/* Have every page out of memory: 0, or -ETIMEDOUT after logging. */
int rv_page_out(struct rv_buf *b);

#endif
