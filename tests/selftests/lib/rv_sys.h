/* SPDX-License-Identifier: GPL-2.0 */
/* The system around a test: commands, /sys and /proc, and its own pages. */
#ifndef RV_SYS_H
#define RV_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Run a shell command. 0, or -1 after logging it and what it said: for set-up,
 * where it matters only that it worked.
 */
int rv_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Write a text to a file of /sys or /proc: 0 or -errno, without a log. */
int rv_put(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The number after a word in a file; after nothing if word is NULL. Or -1. */
int64_t rv_get(const char *path, const char *word);

/*
 * How many pages of a range have all of these properties (PAGE_IS_PRESENT,
 * _SWAPPED, _PFNZERO, _HUGE, ... of linux/fs.h), or -errno.
 */
int64_t rv_pages(const void *addr, size_t len, uint64_t categories);

/* The frame that holds a page, 0 if none or if this isn't root. */
uint64_t rv_pfn(const void *addr);

/* Mounts from here on are this process's own, and go away with it. */
int rv_own_mounts(void);

/*
 * A control group of this name, and this process in it: 0, -ENODEV if there are
 * none here, or another -errno. Set and read its files. Leaving removes it.
 */
int rv_group_enter(const char *name);
int rv_group_put(const char *name, const char *file, const char *value);
int64_t rv_group_get(const char *name, const char *file);
void rv_group_leave(const char *name);

/* Wait for a child: its wait status, or -ETIMEDOUT when the deadline passed. */
int rv_reap(int pid);

#endif
