/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations on a queue pair.
 *
 * rv_post_*() only post: 0 or -errno. The plain functions post, wait for the
 * completion and return its status: 0, a positive enum ibv_wc_status, or
 * -ETIMEDOUT and the like, so that the same call serves a test that expects
 * success and one that expects an error.
 */
#ifndef RV_OP_H
#define RV_OP_H

#include <infiniband/verbs.h>

#include "rv_buf.h"
#include "rv_pair.h"

#define RV_SGE(_mr, _addr, _len)					\
	((struct ibv_sge){ .addr = (uintptr_t)(_addr), .length = (_len),	\
			   .lkey = (_mr)->lkey })

/* Where an operation reads or writes at the other side. */
struct rv_remote {
	uint64_t addr;
	uint32_t rkey;
};
#define RV_REMOTE(_mr, _addr)						\
	((struct rv_remote){ .addr = (uintptr_t)(_addr), .rkey = (_mr)->rkey })

/* The meaning of a result, for messages. */
const char *rv_status(int result);

/* Post. A receive goes to the SRQ if the queue pair has one. */
int rv_post_recv(struct rv_qp *q, struct ibv_sge *sgl, int n);
int rv_post_send(struct rv_qp *q, struct ibv_sge *sgl, int n);
int rv_post_write(struct rv_qp *q, struct ibv_sge *sgl, int n,
		  struct rv_remote to);
int rv_post_write_imm(struct rv_qp *q, struct ibv_sge *sgl, int n,
		      struct rv_remote to, uint32_t imm);
int rv_post_read(struct rv_qp *q, struct ibv_sge *sgl, int n,
		 struct rv_remote from);
int rv_post_cmp_swap(struct rv_qp *q, struct ibv_sge *old, struct rv_remote at,
		     uint64_t compare, uint64_t swap);
int rv_post_fetch_add(struct rv_qp *q, struct ibv_sge *old,
		      struct rv_remote at, uint64_t add);
int rv_post_atomic_write(struct rv_qp *q, struct rv_remote at, uint64_t value);
int rv_post_flush(struct rv_qp *q, struct rv_remote at, size_t len,
		  uint8_t type, uint8_t level);

/*
 * Wait for the next completion. wc may be NULL. rv_wait() is for a post of
 * this queue pair's send queue, rv_wait_recv() for its receive queue.
 */
int rv_poll(struct ibv_cq *cq, struct ibv_wc *wc);
int rv_poll_until(struct ibv_cq *cq, struct ibv_wc *wc, uint64_t ms);
int rv_wait(struct rv_qp *q);
int rv_wait_recv(struct rv_qp *q, struct ibv_wc *wc);

/* Post and wait. */
int rv_write(struct rv_qp *q, struct ibv_sge *sgl, int n, struct rv_remote to);
int rv_read(struct rv_qp *q, struct ibv_sge *sgl, int n,
	    struct rv_remote from);
int rv_cmp_swap(struct rv_qp *q, struct ibv_sge *old, struct rv_remote at,
		uint64_t compare, uint64_t swap);
int rv_fetch_add(struct rv_qp *q, struct ibv_sge *old, struct rv_remote at,
		 uint64_t add);
int rv_atomic_write(struct rv_qp *q, struct rv_remote at, uint64_t value);
int rv_flush(struct rv_qp *q, struct rv_remote at, size_t len, uint8_t type,
	     uint8_t level);

/*
 * Two-sided: post the receive, send, wait for both. Returns the sender's
 * status if it is not 0, or else the receiver's; wc (may be NULL) is the
 * receiver's completion, valid only on success.
 */
int rv_send(struct rv_qp *from, struct ibv_sge *ssgl, int sn,
	    struct rv_qp *to, struct ibv_sge *rsgl, int rn, struct ibv_wc *wc);
int rv_write_imm(struct rv_qp *from, struct ibv_sge *sgl, int n,
		 struct rv_remote remote, uint32_t imm, struct rv_qp *to,
		 struct ibv_wc *wc);

/* For tests: the result must be this one. */
#define ASSERT_RV(_want, _expr) do {					\
	int _res = (_expr);						\
	ASSERT_EQ(_want, _res)						\
		TH_LOG("%s: %s", #_expr, rv_status(_res));		\
} while (0)
#define EXPECT_RV(_want, _expr) do {					\
	int _res = (_expr);						\
	EXPECT_EQ(_want, _res)						\
		TH_LOG("%s: %s", #_expr, rv_status(_res));		\
} while (0)
#define ASSERT_RV_OK(_expr)	ASSERT_RV(0, _expr)

#endif
