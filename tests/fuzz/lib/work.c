// SPDX-License-Identifier: GPL-2.0
#include "objects.h"
#include "rv_op.h"
#include "rv_pair.h"
#include "work.h"

#define WAIT_MS		20

static struct rv_pair pairs[3];

void work_alloc_mw(struct input *in)
{
	struct obj_mw *mw = &obj.mws[input_u8(in) % OBJ_SLOTS];
	uint8_t type = input_u8(in);

	if (mw->mw && !ibv_dealloc_mw(mw->mw))
		mw->mw = NULL;
	if (mw->mw || type & 0x80)
		return;
	mw->bound = false;
	mw->mw = ibv_alloc_mw(obj.dev.pd,
			      type & 1 ? IBV_MW_TYPE_2 : IBV_MW_TYPE_1);
}

static struct rv_pair *pick_pair(unsigned int i)
{
	static const enum ibv_qp_type types[] = {
		IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD,
	};
	struct rv_opts opts = { .type = types[i], .timeout = 8, .retry = 1 };

	if (!pairs[i].a.qp && rv_pair_init(&pairs[i], &obj.dev, &opts))
		return NULL;
	return &pairs[i];
}

static struct rv_qp *pick_qp(struct input *in, unsigned int *id)
{
	uint8_t what = input_u8(in);
	struct rv_pair *p;

	*id = what & 0xf ? 0 : (what >> 4) % 3;
	p = pick_pair(*id);
	*id = *id << 1 | what >> 7;
	if (!p)
		return NULL;
	return what >> 7 ? &p->b : &p->a;
}

/*
 * rdma_rxe follows null pointers when a type 2 window is invalidated that is
 * not bound. So only after it was bound, once, and through the queue pair that
 * did it: then it is bound, or the request is flushed like the bind before it.
 */
static bool may_invalidate(uint32_t key, unsigned int qp)
{
	unsigned int i;
	struct obj_mw *mw;

	for (i = 0; i < OBJ_SLOTS; i++) {
		mw = &obj.mws[i];
		if (!mw->mw || mw->mw->rkey >> 8 != key >> 8)
			continue;
		if (!mw->bound || mw->by != qp || mw->mw->type != IBV_MW_TYPE_2)
			return false;
		mw->bound = false;
		return true;
	}
	return true;
}

static void unbind_all(void)
{
	unsigned int i;

	for (i = 0; i < OBJ_SLOTS; i++)
		obj.mws[i].bound = false;
}

static void bind(struct input *in, struct rv_qp *q, unsigned int id)
{
	struct obj_mw *mw = &obj.mws[input_u8(in) % OBJ_SLOTS];
	struct ibv_sge sge = obj_sge(in);
	struct ibv_mr fake = {
		.context = obj.dev.ctx, .pd = obj.dev.pd, .lkey = sge.lkey,
		.addr = NULL, .length = -1,
	};
	struct ibv_mw_bind_info info = {
		.mr = &fake,
		.addr = sge.addr,
		.length = sge.length,
		.mw_access_flags = obj_access(in) & 0x3f,
	};
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_BIND_MW, .send_flags = IBV_SEND_SIGNALED,
		.bind_mw.mw = mw->mw, .bind_mw.bind_info = info,
	}, *bad;
	struct ibv_mw_bind bind = {
		.bind_info = info, .send_flags = IBV_SEND_SIGNALED,
	};

	if (!mw->mw || q->opts.type == IBV_QPT_UD)
		return;
	if (mw->mw->type == IBV_MW_TYPE_1) {
		ibv_bind_mw(q->qp, mw->mw, &bind);
		return;
	}
	wr.bind_mw.rkey = ibv_inc_rkey(mw->mw->rkey);
	if (ibv_post_send(q->qp, &wr, &bad))
		return;
	mw->mw->rkey = wr.bind_mw.rkey;
	mw->bound = true;
	mw->by = id;
}

static void set_remote(struct input *in, struct ibv_send_wr *wr, uint8_t flags)
{
	struct ibv_sge remote = obj_sge(in);

	switch (wr->opcode) {
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		wr->wr.atomic.remote_addr = remote.addr & (flags & 0x80 ? -1 : -8);
		wr->wr.atomic.rkey = remote.lkey;
		wr->wr.atomic.compare_add = remote.length;
		break;
	default:
		wr->wr.rdma.remote_addr = remote.addr;
		wr->wr.rdma.rkey = remote.lkey;
		break;
	}
}

static void post_ex(struct input *in, struct rv_qp *q, uint8_t flags)
{
	struct ibv_sge remote = obj_sge(in);
	struct rv_remote at = { .addr = remote.addr, .rkey = remote.lkey };

	if (q->opts.type != IBV_QPT_RC)
		return;
	if (flags & 1) {
		rv_post_flush(q, at, remote.length, flags >> 1 & 3,
			      flags >> 3 & 1);
		return;
	}
	if (!(flags & 0x80))
		at.addr &= -8;
	rv_post_atomic_write(q, at, flags);
}

void work_send(struct input *in)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
		IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_SEND_WITH_IMM,
		IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD,
		IBV_WR_LOCAL_INV, IBV_WR_SEND_WITH_INV,
	};
	struct ibv_sge sgl[OBJ_SGES];
	struct ibv_send_wr wr = { .sg_list = sgl }, *bad;
	unsigned int id, i;
	struct rv_qp *q = pick_qp(in, &id);
	uint8_t op = input_u8(in) % 12;
	uint8_t flags = input_u8(in);

	if (!q)
		return;
	if (op == 9) {
		bind(in, q, id);
		return;
	}
	if (op == 10) {
		post_ex(in, q, flags);
		return;
	}
	wr.opcode = op < 9 ? opcodes[op] : IBV_WR_RDMA_WRITE;
	wr.num_sge = flags & 0x40 ? 1 + (flags & 3) : 1;
	wr.send_flags = IBV_SEND_SIGNALED;
	if ((flags & 0x30) == 0x30)
		wr.send_flags |= IBV_SEND_FENCE | IBV_SEND_SOLICITED;
	for (i = 0; i < wr.num_sge; i++)
		sgl[i] = obj_sge(in);
	if (flags & 4) {
		/* libibverbs copies inline data from the address */
		wr.send_flags |= IBV_SEND_INLINE;
		for (i = 0; i < wr.num_sge; i++) {
			sgl[i].addr = (uintptr_t)sgl;
			sgl[i].length %= sizeof(sgl);
		}
	}
	if (op >= 5 && op <= 6) {
		wr.num_sge = 1;
		if (flags & 8)
			sgl[0].length = 8;
	}
	set_remote(in, &wr, flags);
	if (wr.opcode == IBV_WR_LOCAL_INV || wr.opcode == IBV_WR_SEND_WITH_INV) {
		wr.invalidate_rkey = obj_key(in, obj_mr(in));
		if (!may_invalidate(wr.invalidate_rkey, id))
			return;
	}
	if (q->opts.type == IBV_QPT_UD) {
		wr.wr.ud.ah = q->ah;
		wr.wr.ud.remote_qpn = q->remote_qpn;
		wr.wr.ud.remote_qkey = RV_QKEY ^ (flags & 0x80);
	}
	ibv_post_send(q->qp, &wr, &bad);
}

void work_recv(struct input *in)
{
	struct ibv_sge sgl[OBJ_SGES];
	struct ibv_recv_wr wr = { .sg_list = sgl }, *bad;
	unsigned int id, i;
	struct rv_qp *q = pick_qp(in, &id);
	uint8_t n = input_u8(in);

	wr.num_sge = n & 0x80 ? n % (OBJ_SGES + 1) : 1;
	for (i = 0; i < wr.num_sge; i++)
		sgl[i] = obj_sge(in);
	if (q)
		ibv_post_recv(q->qp, &wr, &bad);
}

void work_wait(struct input *in)
{
	unsigned int id;
	struct rv_qp *q = pick_qp(in, &id);
	struct ibv_wc wc;

	if (!q)
		return;
	rv_poll_until(input_u8(in) & 1 ? q->rcq : q->scq, &wc, WAIT_MS);
}

void work_qp(struct input *in)
{
	struct ibv_qp_attr attr = { 0 };
	unsigned int id;
	struct rv_qp *q = pick_qp(in, &id);
	uint8_t what = input_u8(in);

	if (!q)
		return;
	unbind_all();
	switch (what % 4) {
	case 0:
		attr.qp_state = IBV_QPS_ERR;
		ibv_modify_qp(q->qp, &attr, IBV_QP_STATE);
		break;
	case 1:
		attr.qp_state = IBV_QPS_SQD;
		ibv_modify_qp(q->qp, &attr, IBV_QP_STATE);
		break;
	default:
		rv_pair_fini(&pairs[id >> 1]);
		break;
	}
}

void work_write_and_wait(struct input *in)
{
	unsigned int id;
	struct rv_qp *q = pick_qp(in, &id);
	struct ibv_sge sge = obj_sge(in), remote = obj_sge(in);
	struct rv_remote at = { .addr = remote.addr, .rkey = remote.lkey };
	struct ibv_wc wc;

	if (!q || q->opts.type == IBV_QPT_UD)
		return;
	if (!rv_post_write(q, &sge, 1, at))
		rv_poll_until(q->scq, &wc, WAIT_MS);
}

void work_fini(void)
{
	rv_pair_fini(&pairs[0]);
}
