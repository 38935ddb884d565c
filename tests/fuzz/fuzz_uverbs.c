// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the verbs that have to do with on-demand regions. An input is a
 * sequence of operations: register, re-register, deregister, query, advise,
 * windows, work requests, and changes of the memory in between. It looks for
 * what the kernel finds itself: splats, hangs, leaks.
 *
 * What rdma_rxe of the distribution gets wrong by itself is left out; see
 * may_invalidate() and post_send().
 */
#include <errno.h>
#include <fcntl.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "kcov.h"
#include "runner.h"
#include "rv.h"
#include "uvcmd.h"

#define SLOTS		8
#define SGES		4
#define WAIT_MS		20
#define PREFETCH_MAX	(16U << 20)	/* bytes that one advice may fault in */
#define ODP		IBV_ACCESS_ON_DEMAND

struct mr {
	bool used;
	uint32_t handle, lkey, rkey;
	uint64_t addr, length, iova;
};

struct mw {
	struct ibv_mw *mw;
	bool bound;		/* by a work request that came before this */
	unsigned int by;	/* the queue pair that it was posted to */
};

static struct ibv_device *device;
static struct rv_dev known;	/* what the parent found out about it */

static struct rv_dev dev;	/* from here on: the child's */
static struct ibv_pd *other_pd;
static struct rv_pair pairs[3];
static struct mr mrs[SLOTS];
static struct mw mws[SLOTS];

static struct mr *pick_mr(struct input *in)
{
	return &mrs[input_u8(in) % SLOTS];
}

static uint32_t pick_pd(struct input *in)
{
	uint8_t what = input_u8(in);

	switch (what & 0x1f) {
	case 0:
		return other_pd ? other_pd->handle : 0;
	case 1:
		return what;
	default:
		return dev.pd->handle;
	}
}

/* Mostly on demand and writable; sometimes anything. */
static uint32_t pick_access(struct input *in)
{
	uint8_t what = input_u8(in);
	uint16_t bits = input_u16(in);

	switch (what & 0xf) {
	case 0:
		return bits | (uint32_t)what << 16;
	case 1:
		return bits & 0x1ff;
	case 2:
		return (bits & 0x1ff) | ODP;
	case 3:
		return ODP | IBV_ACCESS_REMOTE_READ;
	default:
		return RV_ACCESS | ODP | IBV_ACCESS_MW_BIND |
		       IBV_ACCESS_FLUSH_GLOBAL;
	}
}

/* The iova: the address, or with the same or with any offset in the page. */
static uint64_t pick_iova(struct input *in, uint64_t addr)
{
	uint8_t what = input_u8(in);

	switch (what & 7) {
	case 0:
		return addr & 0xfff;
	case 1:
		return ((uint64_t)input_u32(in) << 12) | (addr & 0xfff);
	case 2:
		return -(uint64_t)(what << 12) | (addr & 0xfff);
	case 3:
		return input_u64(in);
	default:
		return addr;
	}
}

static void free_slot(struct mr *mr)
{
	if (!mr->used)
		return;
	if (!uvcmd_write(dev.ctx, IB_USER_VERBS_CMD_DEREG_MR,
			 &(struct ib_uverbs_dereg_mr){
				.mr_handle = mr->handle }, 4, 0))
		mr->used = false;
}

static int reg_by_write(struct mr *mr, uint32_t pd, uint32_t access)
{
	struct ib_uverbs_reg_mr_resp resp;
	struct ib_uverbs_reg_mr cmd = {
		.response = (uintptr_t)&resp,
		.start = mr->addr,
		.length = mr->length,
		.hca_va = mr->iova,
		.pd_handle = pd,
		.access_flags = access,
	};
	int err;

	err = uvcmd_write(dev.ctx, IB_USER_VERBS_CMD_REG_MR, &cmd, sizeof(cmd),
			  sizeof(resp));
	mr->handle = resp.mr_handle;
	mr->lkey = resp.lkey;
	mr->rkey = resp.rkey;
	return err;
}

/*
 * Registration by an ioctl: <rdma/ib_user_ioctl_cmds.h> of Linux 7.2, which
 * distributions don't ship yet.
 */
enum reg_mr_ids {
	METHOD_REG_MR = 5,
	REG_MR_HANDLE = 0,
	REG_MR_PD_HANDLE,
	REG_MR_DMA_HANDLE,
	REG_MR_IOVA,
	REG_MR_ADDR,
	REG_MR_LENGTH,
	REG_MR_ACCESS_FLAGS,
	REG_MR_FD,
	REG_MR_FD_OFFSET,
	REG_MR_RESP_LKEY,
	REG_MR_RESP_RKEY,
};

static int reg_by_ioctl(struct mr *mr, uint32_t pd, uint32_t access)
{
	struct uvcmd c;
	int err;

	uvcmd_init(&c, UVERBS_OBJECT_MR, METHOD_REG_MR);
	uvcmd_handle(&c, REG_MR_HANDLE, 0);
	uvcmd_handle(&c, REG_MR_PD_HANDLE, pd);
	uvcmd_value(&c, REG_MR_IOVA, mr->iova);
	uvcmd_value(&c, REG_MR_ADDR, mr->addr);
	uvcmd_value(&c, REG_MR_LENGTH, mr->length);
	uvcmd_value(&c, REG_MR_ACCESS_FLAGS, access);
	uvcmd_buffer(&c, REG_MR_RESP_LKEY, &mr->lkey, 4);
	uvcmd_buffer(&c, REG_MR_RESP_RKEY, &mr->rkey, 4);
	err = uvcmd_ioctl(dev.ctx, &c);
	mr->handle = uvcmd_new_handle(&c);
	return err;
}

/*
 * Pinned regions are there to be mixed in, not to be tested: small ones only,
 * and where memory is.
 */
static void op_reg(struct input *in)
{
	struct mr *mr = pick_mr(in);
	uint8_t how = input_u8(in);
	uint32_t pd = pick_pd(in);
	uint32_t access = pick_access(in);
	struct mr new = { .used = true };

	new.addr = arena_addr(in, ARENA_BASE, 8 << 20);
	new.length = arena_length(in);
	new.iova = pick_iova(in, new.addr);
	if (!(access & ODP) && new.length > 64 << 10)
		new.length = 64 << 10;
	free_slot(mr);
	if (mr->used)
		return;
	if (!(how & 1 ? reg_by_write : reg_by_ioctl)(&new, pd, access))
		*mr = new;
}

static void op_rereg(struct input *in)
{
	struct mr *mr = pick_mr(in);
	struct ib_uverbs_rereg_mr_resp resp;
	struct ib_uverbs_rereg_mr cmd = {
		.response = (uintptr_t)&resp,
		.mr_handle = mr->handle,
		.flags = input_u8(in),
		.start = mr->addr,
		.length = mr->length,
		.hca_va = mr->iova,
	};

	cmd.pd_handle = pick_pd(in);
	cmd.access_flags = pick_access(in);
	if (cmd.flags & 0x80) {
		cmd.start = arena_addr(in, mr->addr, mr->length);
		cmd.length = arena_length(in);
		cmd.hca_va = pick_iova(in, cmd.start);
	}
	if (!(cmd.flags & 0x40))
		cmd.flags &= 7;
	if (uvcmd_write(dev.ctx, IB_USER_VERBS_CMD_REREG_MR, &cmd, sizeof(cmd),
			sizeof(resp)))
		return;
	mr->lkey = resp.lkey;
	mr->rkey = resp.rkey;
}

static void op_dereg(struct input *in)
{
	struct mr *mr = pick_mr(in);
	struct uvcmd c;

	if (input_u8(in) & 1) {
		free_slot(mr);
		return;
	}
	uvcmd_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY);
	uvcmd_handle(&c, UVERBS_ATTR_DESTROY_MR_HANDLE, mr->handle);
	if (!uvcmd_ioctl(dev.ctx, &c))
		mr->used = false;
}

static void op_query(struct input *in)
{
	struct mr *mr = pick_mr(in);
	uint8_t bad = input_u8(in);
	uint64_t length, iova;
	uint32_t lkey, rkey;
	struct uvcmd c;

	uvcmd_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_QUERY_MR);
	uvcmd_handle(&c, UVERBS_ATTR_QUERY_MR_HANDLE, mr->handle ^ (bad & 3));
	uvcmd_buffer(&c, UVERBS_ATTR_QUERY_MR_RESP_LKEY, &lkey, 4);
	uvcmd_buffer(&c, UVERBS_ATTR_QUERY_MR_RESP_RKEY, &rkey, 4);
	uvcmd_buffer(&c, UVERBS_ATTR_QUERY_MR_RESP_LENGTH,
		     bad & 4 ? NULL : &length, 8);
	if (bad & 8)
		uvcmd_buffer(&c, UVERBS_ATTR_QUERY_MR_RESP_IOVA, &iova, 8);
	uvcmd_ioctl(dev.ctx, &c);
}

static uint32_t pick_key(struct input *in, const struct mr *mr)
{
	uint8_t what = input_u8(in);

	switch (what & 0x1f) {
	case 0:
		return mr->lkey ^ 1;
	case 1:
		return mr->lkey + 0x100;
	case 2:
		return input_u32(in);
	case 3:
	case 4:
		if (mws[what >> 5].mw)
			return mws[what >> 5].mw->rkey;
		return 0;
	default:
		return mr->lkey;
	}
}

/* A range as work requests and advice name it, near the ends of a region. */
static struct ibv_sge pick_sge(struct input *in)
{
	struct mr *mr = pick_mr(in);
	uint8_t where = input_u8(in);
	int8_t off = input_u8(in);
	struct ibv_sge sge = { .length = input_u16(in) };

	sge.addr = mr->iova;
	if (where & 1)
		sge.addr = mr->iova + mr->length - sge.length;
	if (where & 2)
		sge.addr += mr->length / 2;
	if (where & 4)
		sge.addr = ((sge.addr + (2 << 20)) & -(2UL << 20)) - 100;
	if (where & 8)
		sge.addr += (uint64_t)(where >> 4) << 12;
	sge.addr += off;
	if (where == 0xff)
		sge.length = -sge.length;
	if (where == 0xfe)
		sge.length = mr->length;
	sge.lkey = pick_key(in, mr);
	return sge;
}

static void op_advise(struct input *in)
{
	uint8_t advice = input_u8(in);
	uint8_t flags = input_u8(in);
	uint8_t shape = input_u8(in);
	struct ibv_sge sgl[SGES];
	unsigned int i, n = 1 + (shape & 3);
	uint64_t sum = 0;
	struct uvcmd c;

	if (advice < 0xf0)
		advice %= 3;
	if (flags < 0xf0)
		flags &= 1;
	for (i = 0; i < n; i++) {
		sgl[i] = pick_sge(in);
		sum += sgl[i].length;
		if (advice != IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT &&
		    sum > PREFETCH_MAX)
			sgl[i].length &= 0xffff;
	}

	uvcmd_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR);
	uvcmd_handle(&c, UVERBS_ATTR_ADVISE_MR_PD_HANDLE,
		     shape & 0x20 ? pick_pd(in) : dev.pd->handle);
	uvcmd_value(&c, UVERBS_ATTR_ADVISE_MR_ADVICE, advice);
	uvcmd_value(&c, UVERBS_ATTR_ADVISE_MR_FLAGS, flags);
	uvcmd_buffer(&c, UVERBS_ATTR_ADVISE_MR_SGE_LIST, sgl,
		     n * sizeof(sgl[0]) - (shape >= 0xe0 ? shape & 0x1f : 0));
	uvcmd_ioctl(dev.ctx, &c);
}

/* Any attributes at all, of any method of the object. */
static void op_any_ioctl(struct input *in)
{
	uint8_t method = input_u8(in);
	uint8_t i, n = input_u8(in) % 10;
	uint64_t out[4];
	struct uvcmd c;

	uvcmd_init(&c, UVERBS_OBJECT_MR,
		   method & 0x80 ? method & 0xf : method % 6);
	if (method & 0x40)
		c.buf.hdr.method_id |= 1 << UVERBS_ID_NS_SHIFT;
	for (i = 0; i < n; i++) {
		uint8_t what = input_u8(in);
		uint8_t len = input_u8(in);
		uint64_t data = input_u16(in);

		switch (what >> 5) {
		case 0:
			data = (uintptr_t)out;
			break;
		case 1:
			data = mrs[data % SLOTS].handle;
			break;
		case 2:
			data = dev.pd->handle;
			break;
		case 3:
			data = ARENA_BASE + data;
			break;
		case 4:
			data = ARENA_BASE + (data << 12);
			break;
		default:
			break;
		}
		uvcmd_attr(&c, i ^ ((what >> 3) & 3 ? 0 : what & 7),
			   len & 0x80 ? len : 4 * (len & 3), len >> 6 & 1,
			   data);
	}
	uvcmd_ioctl(dev.ctx, &c);
}

/* Any command of the old kind that names a region or a window. */
static void op_any_write(struct input *in)
{
	static const uint8_t commands[] = {
		IB_USER_VERBS_CMD_REG_MR, IB_USER_VERBS_CMD_REREG_MR,
		IB_USER_VERBS_CMD_DEREG_MR, IB_USER_VERBS_CMD_ALLOC_MW,
	};
	uint8_t command = input_u8(in);
	uint8_t len = input_u8(in) % 64;
	uint64_t words[8], resp[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		words[i] = input_u16(in) * (command & 0x80 ? 1 : 0x1000UL);
	words[0] = (uintptr_t)resp;
	uvcmd_write(dev.ctx, commands[command % 4], words, len,
		    4 * (command >> 4 & 7));
}

static void op_alloc_mw(struct input *in)
{
	struct mw *mw = &mws[input_u8(in) % SLOTS];
	uint8_t type = input_u8(in);

	if (mw->mw && !ibv_dealloc_mw(mw->mw))
		mw->mw = NULL;
	if (mw->mw || type & 0x80)
		return;
	mw->bound = false;
	mw->mw = ibv_alloc_mw(dev.pd, type & 1 ? IBV_MW_TYPE_2 : IBV_MW_TYPE_1);
}

static struct rv_pair *pick_pair(unsigned int i)
{
	static const enum ibv_qp_type types[] = {
		IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD,
	};
	struct rv_opts opts = { .type = types[i], .timeout = 8, .retry = 1 };

	if (!pairs[i].a.qp && rv_pair_init(&pairs[i], &dev, &opts))
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
	struct mw *mw;

	for (i = 0; i < SLOTS; i++) {
		mw = &mws[i];
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

	for (i = 0; i < SLOTS; i++)
		mws[i].bound = false;
}

static void bind(struct input *in, struct rv_qp *q, unsigned int id)
{
	struct mw *mw = &mws[input_u8(in) % SLOTS];
	struct ibv_sge sge = pick_sge(in);
	struct ibv_mr fake = {
		.context = dev.ctx, .pd = dev.pd, .lkey = sge.lkey,
		.addr = NULL, .length = -1,
	};
	struct ibv_mw_bind_info info = {
		.mr = &fake,
		.addr = sge.addr,
		.length = sge.length,
		.mw_access_flags = pick_access(in) & 0x3f,
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
	struct ibv_sge remote = pick_sge(in);

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
	struct ibv_sge remote = pick_sge(in);
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

static void op_post_send(struct input *in)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
		IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_SEND_WITH_IMM,
		IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD,
		IBV_WR_LOCAL_INV, IBV_WR_SEND_WITH_INV,
	};
	struct ibv_sge sgl[SGES];
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
		sgl[i] = pick_sge(in);
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
		wr.invalidate_rkey = pick_key(in, pick_mr(in));
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

static void op_post_recv(struct input *in)
{
	struct ibv_sge sgl[SGES];
	struct ibv_recv_wr wr = { .sg_list = sgl }, *bad;
	unsigned int id, i;
	struct rv_qp *q = pick_qp(in, &id);
	uint8_t n = input_u8(in);

	wr.num_sge = n & 0x80 ? n % (SGES + 1) : 1;
	for (i = 0; i < wr.num_sge; i++)
		sgl[i] = pick_sge(in);
	if (q)
		ibv_post_recv(q->qp, &wr, &bad);
}

static void op_wait(struct input *in)
{
	unsigned int id;
	struct rv_qp *q = pick_qp(in, &id);
	struct ibv_wc wc;

	if (!q)
		return;
	rv_poll_until(input_u8(in) & 1 ? q->rcq : q->scq, &wc, WAIT_MS);
}

static void op_qp(struct input *in)
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

static void op_memory(struct input *in)
{
	struct mr *mr = pick_mr(in);

	if (mr->used)
		arena_op(in, mr->addr, mr->length);
	else
		arena_op(in, ARENA_BASE, 8 << 20);
}

static void op_write_and_wait(struct input *in)
{
	unsigned int id;
	struct rv_qp *q = pick_qp(in, &id);
	struct ibv_sge sge = pick_sge(in), remote = pick_sge(in);
	struct rv_remote at = { .addr = remote.addr, .rkey = remote.lkey };
	struct ibv_wc wc;

	if (!q || q->opts.type == IBV_QPT_UD)
		return;
	if (!rv_post_write(q, &sge, 1, at))
		rv_poll_until(q->scq, &wc, WAIT_MS);
}

/* Where a part of a region is, or should be: near its ends, sometimes beyond. */
static void op_place(struct input *in)
{
	struct mr *mr = pick_mr(in);
	uint8_t method = input_u8(in);
	uint8_t where = input_u8(in);
	uint8_t place = input_u8(in);
	struct rxe_hmm_range range = {
		.length = (uint64_t)input_u16(in) << 12 & (where & 8 ? -1 : 0xfffff),
		.place = place >= 0xf0 ? place : place % 4,
	};
	struct rxe_hmm_query_range_resp places;
	struct rxe_hmm_query_heat_resp heat;
	struct rxe_hmm_migrate_resp moves;
	static struct rxe_hmm_heat heats[8];
	static uint8_t states[4096];
	struct uvcmd c;

	if (where & 1)
		range.offset = mr->length - range.length;
	if (where & 2)
		range.offset += mr->length / 2;
	/* at a page's start, mostly */
	if (range.offset && !(where & 4))
		range.offset -= (mr->addr + range.offset) & (RV_PAGE - 1);
	if (where == 0xff)
		range.length = mr->length - range.offset;
	if (method >= 0xf0)
		range.flags = method;

	method = method % 4;
	uvcmd_init(&c, UVERBS_OBJECT_MR, RXE_HMM_METHOD_MIGRATE + method);
	uvcmd_handle(&c, RXE_HMM_ATTR_MR_HANDLE, mr->handle);
	uvcmd_buffer(&c, RXE_HMM_ATTR_MR_RANGE, &range,
		     sizeof(range) - (where >= 0xf0 && where != 0xff ? where & 7 : 0));
	if (method == RXE_HMM_METHOD_MIGRATE - RXE_HMM_METHOD_MIGRATE)
		uvcmd_buffer(&c, RXE_HMM_ATTR_MR_RESP, &moves, sizeof(moves));
	if (method == RXE_HMM_METHOD_QUERY_RANGE - RXE_HMM_METHOD_MIGRATE) {
		uvcmd_buffer(&c, RXE_HMM_ATTR_MR_RESP, &places, sizeof(places));
		if (where & 16)
			uvcmd_buffer(&c, RXE_HMM_ATTR_MR_STATES, states,
				     range.length >> 12 < sizeof(states) ?
				     range.length >> 12 : sizeof(states));
	}
	if (method == RXE_HMM_METHOD_QUERY_HEAT - RXE_HMM_METHOD_MIGRATE) {
		uvcmd_buffer(&c, RXE_HMM_ATTR_MR_RESP, &heat, sizeof(heat));
		/* a part of one, too */
		uvcmd_buffer(&c, RXE_HMM_ATTR_MR_HEATS, heats,
			     (where >> 5) * sizeof(heats[0]) + (where & 16));
	}
	uvcmd_ioctl(dev.ctx, &c);
}

/* Numbers from here on stand for op_place(), the rest for one of these. */
#define OP_PLACE	242

static void (*const ops[])(struct input *) = {
	op_reg, op_reg, op_reg, op_rereg, op_dereg, op_query,
	op_advise, op_advise, op_any_ioctl, op_any_write, op_alloc_mw,
	op_post_send, op_post_send, op_post_send, op_post_recv, op_wait,
	op_qp, op_memory, op_memory, op_memory, op_write_and_wait,
	op_write_and_wait,
};

/* The kernel should kill this one if memory gets short. */
static void be_the_first_to_go(void)
{
	rv_put("/proc/self/oom_score_adj", "1000");
}

static void run(struct input *in)
{
	int null = open("/dev/null", O_WRONLY);

	be_the_first_to_go();
	dup2(null, STDERR_FILENO);
	dev = known;
	dev.ctx = ibv_open_device(device);
	if (!dev.ctx || arena_init())
		_exit(1);
	dev.pd = ibv_alloc_pd(dev.ctx);
	other_pd = ibv_alloc_pd(dev.ctx);
	if (!dev.pd || !other_pd)
		_exit(1);

	kcov_start();
	do {
		uint8_t op = input_u8(in);

		if (op >= OP_PLACE)
			op_place(in);
		else
			ops[op % (sizeof(ops) / sizeof(ops[0]))](in);
	} while (input_next(in));

	/* What is left goes with the process, one way or the other. */
	if (input_u8(in) || in->len & 16)
		rv_pair_fini(&pairs[0]);
}

static int find_device(void)
{
	struct ibv_device **list;
	int i;

	if (rv_dev_open(&known, NULL))
		return -1;
	rv_dev_close(&known);
	list = ibv_get_device_list(NULL);
	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), known.name))
			device = list[i];
	return device ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (find_device()) {
		printf("TAP version 13\n1..0 # SKIP no usable RDMA device %s\n",
		       rv_dev_name());
		return 4;
	}
	/* little, so that it gets full */
	rv_put("/sys/class/infiniband/rxe0/hmm/memory_size", "4M");
	return runner_main(argc, argv, run);
}
