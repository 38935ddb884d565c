// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "rv_log.h"
#include "rv_pair.h"

#define FIRST_PSN	42
#define RD_ATOMIC	16

static int failed(const char *what, int err)
{
	rv_log("%s: %s", what, strerror(err));
	return -err;
}

static int or_default(int given, int def)
{
	return given < 0 ? 0 : given ? given : def;
}

static void fill_opts(struct rv_opts *to, const struct rv_opts *from)
{
	memset(to, 0, sizeof(*to));
	if (from)
		*to = *from;
	if (!to->type)
		to->type = IBV_QPT_RC;
	to->mtu = or_default(to->mtu, 1024);
	to->depth = or_default(to->depth, 64);
	to->sges = or_default(to->sges, 16);
	if (!to->access)
		to->access = RV_ACCESS | IBV_ACCESS_FLUSH_GLOBAL |
			     IBV_ACCESS_FLUSH_PERSISTENT;
	to->timeout = or_default(to->timeout, 18);
	to->retry = or_default(to->retry, 7);
	to->rnr_retry = or_default(to->rnr_retry, 7);
	to->min_rnr_timer = or_default(to->min_rnr_timer, 12);
}

static uint64_t send_ops(enum ibv_qp_type type)
{
	uint64_t ops = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM;

	if (type == IBV_QPT_UD)
		return ops;
	ops |= IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM;
	if (type == IBV_QPT_UC)
		return ops;
	return ops | IBV_QP_EX_WITH_RDMA_READ |
	       IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
	       IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD |
	       IBV_QP_EX_WITH_ATOMIC_WRITE | IBV_QP_EX_WITH_FLUSH;
}

static int create(struct rv_qp *q)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = q->opts.type,
		.cap = {
			.max_send_wr = q->opts.depth,
			.max_recv_wr = q->opts.depth,
			.max_send_sge = q->opts.sges,
			.max_recv_sge = q->opts.sges,
		},
		.comp_mask = IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = q->dev->pd,
		.send_ops_flags = send_ops(q->opts.type),
	};

	q->scq = ibv_create_cq(q->dev->ctx, q->opts.depth, NULL, NULL, 0);
	q->rcq = ibv_create_cq(q->dev->ctx, q->opts.depth, NULL, NULL, 0);
	if (!q->scq || !q->rcq)
		return failed("ibv_create_cq", errno);
	if (q->opts.srq) {
		struct ibv_srq_init_attr srq = {
			.attr = {
				.max_wr = q->opts.depth,
				.max_sge = q->opts.sges,
			},
		};

		q->srq = ibv_create_srq(q->dev->pd, &srq);
		if (!q->srq)
			return failed("ibv_create_srq", errno);
	}
	attr.send_cq = q->scq;
	attr.recv_cq = q->rcq;
	attr.srq = q->srq;
	q->qp = ibv_create_qp_ex(q->dev->ctx, &attr);
	if (!q->qp)
		return failed("ibv_create_qp_ex", errno);
	q->ex = ibv_qp_to_qp_ex(q->qp);
	return 0;
}

static int to_init(struct rv_qp *q)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qkey = RV_QKEY,
		.qp_access_flags = q->opts.access,
	};
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;
	int err;

	mask |= q->opts.type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS;
	err = ibv_modify_qp(q->qp, &attr, mask);
	return err ? failed("queue pair to INIT", err) : 0;
}

int rv_qp_init(struct rv_qp *q, struct rv_dev *d, const struct rv_opts *opts)
{
	int err;

	memset(q, 0, sizeof(*q));
	q->dev = d;
	fill_opts(&q->opts, opts);
	if (q->opts.mtu > d->mtu) {
		rv_log("path MTU %d wanted, the port of %s has %d", q->opts.mtu,
		       d->name, d->mtu);
		return -EMSGSIZE;
	}
	err = create(q);
	if (!err)
		err = to_init(q);
	if (err)
		rv_qp_fini(q);
	return err;
}

static int to_rtr(struct rv_qp *q, uint32_t qpn, const struct ibv_ah_attr *ah)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = rv_mtu_enum(q->opts.mtu),
		.dest_qp_num = qpn,
		.rq_psn = FIRST_PSN,
		.max_dest_rd_atomic = RD_ATOMIC,
		.min_rnr_timer = q->opts.min_rnr_timer,
		.ah_attr = *ah,
	};
	int mask = IBV_QP_STATE;
	int err;

	if (q->opts.type != IBV_QPT_UD)
		mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			IBV_QP_RQ_PSN;
	if (q->opts.type == IBV_QPT_RC)
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	err = ibv_modify_qp(q->qp, &attr, mask);
	return err ? failed("queue pair to RTR", err) : 0;
}

static int to_rts(struct rv_qp *q)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.sq_psn = FIRST_PSN,
		.timeout = q->opts.timeout,
		.retry_cnt = q->opts.retry,
		.rnr_retry = q->opts.rnr_retry,
		.max_rd_atomic = RD_ATOMIC,
	};
	int mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
	int err;

	if (q->opts.type == IBV_QPT_RC)
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	err = ibv_modify_qp(q->qp, &attr, mask);
	return err ? failed("queue pair to RTS", err) : 0;
}

int rv_qp_connect(struct rv_qp *q, uint32_t qpn, const union ibv_gid *gid)
{
	struct ibv_ah_attr ah = {
		.grh = {
			.dgid = *gid,
			.sgid_index = q->dev->gid_index,
			.hop_limit = 64,
		},
		.is_global = 1,
		.port_num = 1,
	};
	int err;

	q->remote_qpn = qpn;
	if (q->opts.type == IBV_QPT_UD) {
		q->ah = ibv_create_ah(q->dev->pd, &ah);
		if (!q->ah)
			return failed("ibv_create_ah", errno);
	}
	err = to_rtr(q, qpn, &ah);
	return err ? err : to_rts(q);
}

static void must(const char *what, int err)
{
	if (err)
		rv_log("%s: %s", what, strerror(err));
}

void rv_qp_fini(struct rv_qp *q)
{
	if (q->qp)
		must("ibv_destroy_qp", ibv_destroy_qp(q->qp));
	if (q->ah)
		must("ibv_destroy_ah", ibv_destroy_ah(q->ah));
	if (q->srq)
		must("ibv_destroy_srq", ibv_destroy_srq(q->srq));
	if (q->rcq)
		must("ibv_destroy_cq", ibv_destroy_cq(q->rcq));
	if (q->scq)
		must("ibv_destroy_cq", ibv_destroy_cq(q->scq));
	q->qp = NULL;
	q->ex = NULL;
	q->ah = NULL;
	q->srq = NULL;
	q->rcq = NULL;
	q->scq = NULL;
}

struct rv_opts rv_opts_strict(int mtu)
{
	return (struct rv_opts){
		.mtu = mtu,
		.timeout = rv_shrink(16) < 16 ? 20 : 18,
		.retry = -1,
		.rnr_retry = 7,
		.min_rnr_timer = 12,
	};
}

int rv_pair_init(struct rv_pair *p, struct rv_dev *d,
		 const struct rv_opts *opts)
{
	struct rv_dev *dev_b = opts && opts->dev_b ? opts->dev_b : d;
	struct rv_opts opts_a = { 0 };
	int err;

	memset(p, 0, sizeof(*p));
	if (opts)
		opts_a = *opts;
	opts_a.srq = false;
	err = rv_qp_init(&p->a, d, &opts_a);
	if (!err)
		err = rv_qp_init(&p->b, dev_b, opts);
	if (!err)
		err = rv_qp_connect(&p->a, p->b.qp->qp_num, &dev_b->gid);
	if (!err)
		err = rv_qp_connect(&p->b, p->a.qp->qp_num, &d->gid);
	if (err)
		rv_pair_fini(p);
	return err;
}

void rv_pair_fini(struct rv_pair *p)
{
	rv_qp_fini(&p->a);
	rv_qp_fini(&p->b);
}

int rv_pair_again(struct rv_pair *p)
{
	struct rv_opts opts = p->b.opts;
	struct rv_dev *d = p->a.dev;
	/* Filled-in zeros would be taken for defaults. */
	int *times[] = { &opts.timeout, &opts.retry, &opts.rnr_retry,
			 &opts.min_rnr_timer };
	unsigned int i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (!*times[i])
			*times[i] = -1;
	rv_pair_fini(p);
	return rv_pair_init(p, d, &opts);
}
