/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Traffic in the background: a thread with a pair of queue pairs of its own
 * that moves random parts of one range to the same offsets of another, until
 * it is told to stop or an operation fails.
 *
 * The bytes of the source stay what they are, so what a finished operation
 * moved is known, and with check set the thread looks at it each time. For that
 * the target must be the traffic's alone, and the test must not drop its pages.
 */
#ifndef RV_TRAFFIC_H
#define RV_TRAFFIC_H

#include <pthread.h>
#include <stdbool.h>

#include "rv_ends.h"
#include "rv_op.h"

struct rv_traffic {
	/* set by the test */
	enum ibv_wr_opcode op;		/* a write, a read or a send */
	struct ibv_mr *from_mr, *to_mr;
	uint8_t *from, *to;
	size_t len;			/* of both ranges */
	size_t max;			/* bytes at once; default 16 KiB */
	size_t align;			/* of offsets and lengths; default 1 */
	int depth;			/* operations in flight; default 1 */
	bool check;			/* compare what has arrived */

	/* the test may look at these */
	uint64_t ops;			/* finished */
	int result;			/* of the first that failed */

	struct rv_pair pair;
	pthread_t thread;
	unsigned int stream;
	bool stop, started;
};

/* Writes of mem_a to mem_b, or reads of mem_b into mem_a, from their starts. */
struct rv_traffic rv_traffic_writes(struct rv_ends *e, size_t len);
struct rv_traffic rv_traffic_reads(struct rv_ends *e, size_t len);

/* 0 or -errno. The numbers come from a stream of their own. */
int rv_traffic_start(struct rv_traffic *t, struct rv_dev *d,
		     const struct rv_opts *opts, unsigned int stream);

/* Stop, wait for what is in flight, and give the result. */
int rv_traffic_stop(struct rv_traffic *t);

/* Operations finished so far, and waiting for some more: 0 or -ETIMEDOUT. */
uint64_t rv_traffic_ops(struct rv_traffic *t);
int rv_traffic_more(struct rv_traffic *t, uint64_t ops);

#endif
