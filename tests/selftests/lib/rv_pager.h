/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Slow memory: a thread that serves the faults of a range by userfaultfd, when
 * the test lets it.
 *
 * While it is held, it notes who asks and answers nobody. Contents never change
 * by this: a page that is served holds what it held before.
 */
#ifndef RV_PAGER_H
#define RV_PAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rv_buf.h"

enum rv_pager_mode {
	RV_MISSING,		/* anonymous memory without pages */
	RV_MINOR,		/* shared memory whose pages aren't mapped */
	RV_PROTECTED,		/* anonymous memory that may not be written */
};

#define RV_PAGER_NOTES	4096

struct rv_pager {
	enum rv_pager_mode mode;
	uint8_t *base;		/* the range, whole pages */
	size_t len;
	uint8_t *content;	/* of the missing pages */
	int uffd;		/* -1: none */
	int wake[2];
	bool held;
	uint64_t asked;		/* how often somebody waited for a page */
	uint64_t notes[RV_PAGER_NOTES];
	unsigned int nr_notes;
	int err;
	pthread_t thread;
	bool started;
};

/*
 * From now on the range of a buffer, which begins with a page, is slow, and the
 * pager is held. For RV_MINOR the memory must come from rv_pager_map(). 0 or
 * -errno; -EPERM, -ENOSYS if the kernel doesn't let us.
 */
int rv_pager_start(struct rv_pager *p, struct rv_buf *b, size_t len,
		   enum rv_pager_mode mode);

/* Serve who waits and who will. */
void rv_pager_release(struct rv_pager *p);

/* Answer nobody again. */
void rv_pager_hold(struct rv_pager *p);

/* How often was a page asked for? */
uint64_t rv_pager_asked(struct rv_pager *p);

/* Wait until that is at least n: 0 or -ETIMEDOUT. */
int rv_pager_wait(struct rv_pager *p, uint64_t n);

/* The memory is no longer slow. Who waits finds a page of zeros, or its data. */
void rv_pager_stop(struct rv_pager *p);

/* Shared memory for RV_MINOR, random bytes in it, none of it mapped. */
int rv_pager_map(struct rv_buf *b, size_t len);

/* How many slow faults the driver has now: its threads. */
int rv_pager_threads(void);

#endif
