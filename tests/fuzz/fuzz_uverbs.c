// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the verbs that have to do with on-demand regions. An input is a
 * sequence of operations: register, re-register, deregister, query, advise,
 * windows, work requests, and changes of the memory in between. It looks for
 * what the kernel finds itself: splats, hangs, leaks.
 *
 * What rdma_rxe of the distribution gets wrong by itself is left out; see
 * may_invalidate() and work_send() in lib/work.c.
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
#include "objects.h"
#include "runner.h"
#include "rv.h"
#include "uvcmd.h"
#include "work.h"

#define PREFETCH_MAX	(16U << 20)	/* bytes that one advice may fault in */

static struct ibv_device *device;
static struct rv_dev known;	/* what the parent found out about it */

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

static void free_slot(struct obj_mr *mr)
{
	if (!mr->used)
		return;
	if (!uvcmd_write(obj.dev.ctx, IB_USER_VERBS_CMD_DEREG_MR,
			 &(struct ib_uverbs_dereg_mr){
				.mr_handle = mr->handle }, 4, 0))
		mr->used = false;
}

static int reg_by_write(struct obj_mr *mr, uint32_t pd, uint32_t access)
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

	err = uvcmd_write(obj.dev.ctx, IB_USER_VERBS_CMD_REG_MR, &cmd,
			  sizeof(cmd), sizeof(resp));
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

static int reg_by_ioctl(struct obj_mr *mr, uint32_t pd, uint32_t access)
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
	err = uvcmd_ioctl(obj.dev.ctx, &c);
	mr->handle = uvcmd_new_handle(&c);
	return err;
}

/*
 * Pinned regions are there to be mixed in, not to be tested: small ones only,
 * and where memory is.
 */
static void op_reg(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);
	uint8_t how = input_u8(in);
	uint32_t pd = obj_pd(in);
	uint32_t access = obj_access(in);
	struct obj_mr new = { .used = true };

	new.addr = arena_addr(in, ARENA_BASE, 8 << 20);
	new.length = arena_length(in);
	new.iova = pick_iova(in, new.addr);
	if (!(access & RV_ODP) && new.length > 64 << 10)
		new.length = 64 << 10;
	free_slot(mr);
	if (mr->used)
		return;
	if (!(how & 1 ? reg_by_write : reg_by_ioctl)(&new, pd, access))
		*mr = new;
}

static void op_rereg(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);
	struct ib_uverbs_rereg_mr_resp resp;
	struct ib_uverbs_rereg_mr cmd = {
		.response = (uintptr_t)&resp,
		.mr_handle = mr->handle,
		.flags = input_u8(in),
		.start = mr->addr,
		.length = mr->length,
		.hca_va = mr->iova,
	};

	cmd.pd_handle = obj_pd(in);
	cmd.access_flags = obj_access(in);
	if (cmd.flags & 0x80) {
		cmd.start = arena_addr(in, mr->addr, mr->length);
		cmd.length = arena_length(in);
		cmd.hca_va = pick_iova(in, cmd.start);
	}
	if (!(cmd.flags & 0x40))
		cmd.flags &= 7;
	if (uvcmd_write(obj.dev.ctx, IB_USER_VERBS_CMD_REREG_MR, &cmd,
			sizeof(cmd), sizeof(resp)))
		return;
	mr->lkey = resp.lkey;
	mr->rkey = resp.rkey;
}

static void op_dereg(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);
	struct uvcmd c;

	if (input_u8(in) & 1) {
		free_slot(mr);
		return;
	}
	uvcmd_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY);
	uvcmd_handle(&c, UVERBS_ATTR_DESTROY_MR_HANDLE, mr->handle);
	if (!uvcmd_ioctl(obj.dev.ctx, &c))
		mr->used = false;
}

static void op_query(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);
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
	uvcmd_ioctl(obj.dev.ctx, &c);
}

static void op_advise(struct input *in)
{
	uint8_t advice = input_u8(in);
	uint8_t flags = input_u8(in);
	uint8_t shape = input_u8(in);
	struct ibv_sge sgl[OBJ_SGES];
	unsigned int i, n = 1 + (shape & 3);
	uint64_t sum = 0;
	struct uvcmd c;

	if (advice < 0xf0)
		advice %= 3;
	if (flags < 0xf0)
		flags &= 1;
	for (i = 0; i < n; i++) {
		sgl[i] = obj_sge(in);
		sum += sgl[i].length;
		if (advice != IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT &&
		    sum > PREFETCH_MAX)
			sgl[i].length &= 0xffff;
	}

	uvcmd_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR);
	uvcmd_handle(&c, UVERBS_ATTR_ADVISE_MR_PD_HANDLE,
		     shape & 0x20 ? obj_pd(in) : obj.dev.pd->handle);
	uvcmd_value(&c, UVERBS_ATTR_ADVISE_MR_ADVICE, advice);
	uvcmd_value(&c, UVERBS_ATTR_ADVISE_MR_FLAGS, flags);
	uvcmd_buffer(&c, UVERBS_ATTR_ADVISE_MR_SGE_LIST, sgl,
		     n * sizeof(sgl[0]) - (shape >= 0xe0 ? shape & 0x1f : 0));
	uvcmd_ioctl(obj.dev.ctx, &c);
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
			data = obj.mrs[data % OBJ_SLOTS].handle;
			break;
		case 2:
			data = obj.dev.pd->handle;
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
	uvcmd_ioctl(obj.dev.ctx, &c);
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
	uvcmd_write(obj.dev.ctx, commands[command % 4], words, len,
		    4 * (command >> 4 & 7));
}

static void op_memory(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);

	if (mr->used)
		arena_op(in, mr->addr, mr->length);
	else
		arena_op(in, ARENA_BASE, 8 << 20);
}

/* Where a part of a region is, or should be: near its ends, sometimes beyond. */
static void op_place(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);
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
	uvcmd_ioctl(obj.dev.ctx, &c);
}

/* Numbers from here on stand for op_place(), the rest for one of these. */
#define OP_PLACE	242

static void (*const ops[])(struct input *) = {
	op_reg, op_reg, op_reg, op_rereg, op_dereg, op_query,
	op_advise, op_advise, op_any_ioctl, op_any_write, work_alloc_mw,
	work_send, work_send, work_send, work_recv, work_wait,
	work_qp, op_memory, op_memory, op_memory, work_write_and_wait,
	work_write_and_wait,
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
	obj.dev = known;
	obj.dev.ctx = ibv_open_device(device);
	if (!obj.dev.ctx || arena_init())
		_exit(1);
	obj.dev.pd = ibv_alloc_pd(obj.dev.ctx);
	obj.other_pd = ibv_alloc_pd(obj.dev.ctx);
	if (!obj.dev.pd || !obj.other_pd)
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
		work_fini();
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
