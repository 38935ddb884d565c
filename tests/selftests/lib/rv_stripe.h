/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stripe of a region that belongs to one of several workers, with a block of
 * the asking side's memory of its own: what the worker does there, nobody else
 * sees, so the shadow says after each step what both must hold.
 */
#ifndef RV_STRIPE_H
#define RV_STRIPE_H

#include "rv_ends.h"

struct rv_stripe {
	struct rv_ends e;	/* the shared regions, its own pair */
	size_t off, len;	/* the stripe, in mem_b */
	size_t a, a_len;	/* the block, in mem_a */
};

enum rv_stripe_op {
	RV_STRIPE_WRITE, RV_STRIPE_READ, RV_STRIPE_SEND, RV_STRIPE_ATOMIC
};

/* 0 if the stripe and the block are as expected, -EBADMSG if not. */
int rv_stripe_check(struct rv_stripe *s);

/* A transfer of random length between the block and the stripe. */
int rv_stripe_transfer(struct rv_stripe *s, enum rv_stripe_op op);

/*
 * Move pages out and back; for a moment zeros are there instead. Only one
 * mapping can be moved at once, and a single page is always in one: where that
 * is refused for more, one page moves. 0 or -errno.
 */
int rv_stripe_move(uint8_t *at, size_t len);

#endif
