/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Many messages of one size, some of them under way at a time: for the speed of
 * transfers. What arrives isn't looked at.
 */
#ifndef RV_STREAM_H
#define RV_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "rv_pair.h"

enum rv_stream_op { RV_STREAM_WRITE, RV_STREAM_READ, RV_STREAM_SEND };

/* What a pair does: the first eight are the caller's. */
struct rv_stream {
	struct rv_pair *pair;
	enum rv_stream_op op;
	struct ibv_mr *mr_a, *mr_b;	/* what the asking side names, and the other */
	uint8_t *base_a, *base_b;	/* messages go round in both */
	size_t len;			/* of both */
	size_t size;			/* of a message, divides len */
	int depth;			/* under way at most, fits the queues */

	int posted, finished;
};

/* That many messages on each of n pairs, in turns: 0, or a result as in rv_op.h. */
int rv_streams_run(struct rv_stream *s, int n, int messages);

#endif
