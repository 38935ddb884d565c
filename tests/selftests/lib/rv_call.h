/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One call of any method of the driver that names a region, put together by
 * hand.
 */
#ifndef RV_CALL_H
#define RV_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "rv_hmm.h"

/* MIGRATE, PREFER and QUERY_RANGE */
#define RV_CALL_METHODS	3
extern const unsigned int rv_call_methods[RV_CALL_METHODS];

struct rv_call {
	unsigned int method;
	struct rxe_hmm_range range;
	bool by_handle, by_number;
	uint64_t handle, number;
	const void *range_at;
	size_t range_len;
	void *resp_at;
	size_t resp_len;
	uint8_t resp[256];
};

/* Of all of the region, by its handle, to RAM: that is right. */
void rv_call_init(struct rv_call *c, unsigned int method, struct ibv_mr *mr);
/* 0 or -errno. */
int rv_call_run(struct rv_call *c, struct ibv_context *ctx);

/*
 * Every method, with _change made to the call _c of this region: the same
 * error. The range is good and goes to RAM if _change doesn't say otherwise.
 */
#define EXPECT_CALLS(_err, _mr, _change) do {				\
	struct rv_call _c;						\
	int _i;								\
	for (_i = 0; _i < RV_CALL_METHODS; _i++) {			\
		rv_call_init(&_c, rv_call_methods[_i], _mr);		\
		_change;						\
		EXPECT_EQ(_err, rv_call_run(&_c, (_mr)->context))	\
			TH_LOG("method %d, offset %#llx, length %#llx", _i, \
			       (long long)_c.range.offset,		\
			       (long long)_c.range.length);		\
	}								\
} while (0)

/* Calls until the region is gone; what else they get is remembered. */
struct rv_caller {
	struct ibv_context *ctx;
	struct rv_call call;
	pthread_t thread;
	atomic_int calls;
	int odd;
};

/* The thread, which gets the struct rv_caller. */
void *rv_call_until_gone(void *arg);

#endif
