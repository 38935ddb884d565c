/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queue pairs, and pairs of them that talk to each other in one process.
 *
 * In a pair, a is the one that asks and b the one that answers; both are
 * equal, so the tests may use them the other way round. Two processes make one
 * rv_qp each, exchange qp_num and gid, and call rv_qp_connect().
 */
#ifndef RV_PAIR_H
#define RV_PAIR_H

#include <infiniband/verbs.h>
#include <stdbool.h>

#include "rv_dev.h"

#define RV_QKEY		0x11111111
#define RV_GRH		40	/* bytes in front of a UD message */

struct rv_opts {
	enum ibv_qp_type type;		/* default IBV_QPT_RC */
	int mtu;			/* path MTU in bytes; default 1024 */
	bool srq;			/* b receives through an SRQ */
	int depth;			/* of each queue; default 64 */
	int sges;			/* per work request; default 16 */
	unsigned int access;		/* qp_access_flags; default all */
	/* RC: as in struct ibv_qp_attr; 0 stands for the default, -1 for 0 */
	int timeout;			/* default 18: about a second */
	int retry;			/* default 7 */
	int rnr_retry;			/* default 7: for ever */
	int min_rnr_timer;		/* default 12: 0.64 ms */
	struct rv_dev *dev_b;		/* default: the same device */
};

/*
 * Options with which a lost packet ends the connection: a second, no retries. Only
 * RNR NAKs are without end. A kernel that moves data very slowly gets four seconds.
 */
struct rv_opts rv_opts_strict(int mtu);

struct rv_qp {
	struct rv_dev *dev;
	struct ibv_qp *qp;
	struct ibv_qp_ex *ex;
	struct ibv_cq *scq;
	struct ibv_cq *rcq;
	struct ibv_srq *srq;
	struct ibv_ah *ah;		/* UD */
	uint32_t remote_qpn;
	uint64_t next_id;
	struct rv_opts opts;
};

struct rv_pair {
	struct rv_qp a;
	struct rv_qp b;
};

/* All of these: 0 or -errno, after logging. opts may be NULL. */
int rv_qp_init(struct rv_qp *q, struct rv_dev *d, const struct rv_opts *opts);
int rv_qp_connect(struct rv_qp *q, uint32_t qpn, const union ibv_gid *gid);
void rv_qp_fini(struct rv_qp *q);

int rv_pair_init(struct rv_pair *p, struct rv_dev *d,
		 const struct rv_opts *opts);
void rv_pair_fini(struct rv_pair *p);

/* Fresh queue pairs with the same options: after an error completion. */
int rv_pair_again(struct rv_pair *p);

#endif
