/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that fuzz_packets sends: good ones, which follow from the state
 * of the model and are mostly where something begins or ends, and what may be
 * wrong with one.
 */
#ifndef FUZZ_REQUESTS_H
#define FUZZ_REQUESTS_H

#include "model.h"
#include "packet.h"

#define REQUESTS_MAX	24	/* in a round */

/* Where in the buffer two regions of the mirror meet. */
#define REQUESTS_EDGE	(2UL << 20)

struct requests {
	const struct model *model;
	uint32_t other_qpns[3];		/* queue pairs that are not the model's */
	uint32_t local_key;		/* of a region without remote rights */

	uint32_t psns[REQUESTS_MAX];	/* what was sent in this round */
	unsigned int n;
};

/* The next of the message that is under way, or a new one. */
void requests_next(const struct requests *r, struct packet *p);

/* Make something about it wrong. */
void requests_spoil(const struct requests *r, struct packet *p);

#endif
