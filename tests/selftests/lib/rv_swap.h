/* SPDX-License-Identifier: GPL-2.0 */
/* Swap devices, and memory that goes there. Needs root, and zram, loop or null_blk. */
#ifndef RV_SWAP_H
#define RV_SWAP_H

#include <stdbool.h>

#include "rv_buf.h"

/*
 * A page that comes in gives up its place on zram at once. On a disk it keeps
 * it, and if it stays clean it is dropped later without being written. A slow
 * disk takes RV_SLOW_DISK_MS for whatever it does.
 */
enum rv_swap_kind { RV_ZRAM, RV_DISK, RV_SLOW_DISK };

#define RV_SLOW_DISK_MS	150

struct rv_swap {
	enum rv_swap_kind kind;
	int id;			/* -1: none, or a slow disk */
	int fd;			/* of the disk */
	char path[64];
	bool on;
};

/*
 * Make a device and swap to it: 0 or -errno, -ENODEV if the kernel has no such
 * device. Either way end with a stop.
 */
int rv_swap_start(struct rv_swap *s, enum rv_swap_kind kind);
void rv_swap_stop(struct rv_swap *s);

/* Reclaim works in its own time: ask, until it has taken a page of a range. */
bool rv_reclaimed(void *base, size_t len, const void *page);

/* Have every page out of memory: 0, or -ETIMEDOUT after logging. */
int rv_page_out(struct rv_buf *b);

/*
 * Have every page on the disk and nowhere else, so that it must be read. The
 * memory belongs to the group that rv_group_enter() has made.
 */
int rv_page_out_all(struct rv_buf *b, const char *group);

#endif
