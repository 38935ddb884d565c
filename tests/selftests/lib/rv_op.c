// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "rv_log.h"
#include "rv_op.h"

const char *rv_status(int result)
{
	if (result >= 0)
		return ibv_wc_status_str(result);
	return strerror(-result);
}

int rv_post_recv(struct rv_qp *q, struct ibv_sge *sgl, int n)
{
	struct ibv_recv_wr wr = {
		.wr_id = q->next_id++,
		.sg_list = sgl,
		.num_sge = n,
	};
	struct ibv_recv_wr *bad;

	if (q->srq)
		return -ibv_post_srq_recv(q->srq, &wr, &bad);
	return -ibv_post_recv(q->qp, &wr, &bad);
}

static int post(struct rv_qp *q, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;

	wr->wr_id = q->next_id++;
	wr->send_flags = IBV_SEND_SIGNALED;
	return -ibv_post_send(q->qp, wr, &bad);
}

int rv_post_send(struct rv_qp *q, struct ibv_sge *sgl, int n)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND,
		.sg_list = sgl,
		.num_sge = n,
	};

	if (q->opts.type == IBV_QPT_UD) {
		wr.wr.ud.ah = q->ah;
		wr.wr.ud.remote_qpn = q->remote_qpn;
		wr.wr.ud.remote_qkey = RV_QKEY;
	}
	return post(q, &wr);
}

static int post_rdma(struct rv_qp *q, enum ibv_wr_opcode op,
		     struct ibv_sge *sgl, int n, struct rv_remote at,
		     uint32_t imm)
{
	struct ibv_send_wr wr = {
		.opcode = op,
		.sg_list = sgl,
		.num_sge = n,
		.imm_data = htonl(imm),
		.wr.rdma = { .remote_addr = at.addr, .rkey = at.rkey },
	};

	return post(q, &wr);
}

int rv_post_write(struct rv_qp *q, struct ibv_sge *sgl, int n,
		  struct rv_remote to)
{
	return post_rdma(q, IBV_WR_RDMA_WRITE, sgl, n, to, 0);
}

int rv_post_write_imm(struct rv_qp *q, struct ibv_sge *sgl, int n,
		      struct rv_remote to, uint32_t imm)
{
	return post_rdma(q, IBV_WR_RDMA_WRITE_WITH_IMM, sgl, n, to, imm);
}

int rv_post_read(struct rv_qp *q, struct ibv_sge *sgl, int n,
		 struct rv_remote from)
{
	return post_rdma(q, IBV_WR_RDMA_READ, sgl, n, from, 0);
}

static void start_ex(struct rv_qp *q)
{
	ibv_wr_start(q->ex);
	q->ex->wr_id = q->next_id++;
	q->ex->wr_flags = IBV_SEND_SIGNALED;
}

/*
 * Atomics too by the extended interface: ibv_post_send() refuses unaligned
 * addresses by itself, and it is the responder that the tests are after.
 */
int rv_post_cmp_swap(struct rv_qp *q, struct ibv_sge *old, struct rv_remote at,
		     uint64_t compare, uint64_t swap)
{
	start_ex(q);
	ibv_wr_atomic_cmp_swp(q->ex, at.rkey, at.addr, compare, swap);
	ibv_wr_set_sge(q->ex, old->lkey, old->addr, old->length);
	return -ibv_wr_complete(q->ex);
}

int rv_post_fetch_add(struct rv_qp *q, struct ibv_sge *old,
		      struct rv_remote at, uint64_t add)
{
	start_ex(q);
	ibv_wr_atomic_fetch_add(q->ex, at.rkey, at.addr, add);
	ibv_wr_set_sge(q->ex, old->lkey, old->addr, old->length);
	return -ibv_wr_complete(q->ex);
}

int rv_post_atomic_write(struct rv_qp *q, struct rv_remote at, uint64_t value)
{
	start_ex(q);
	ibv_wr_atomic_write(q->ex, at.rkey, at.addr, &value);
	return -ibv_wr_complete(q->ex);
}

int rv_post_flush(struct rv_qp *q, struct rv_remote at, size_t len,
		  uint8_t type, uint8_t level)
{
	start_ex(q);
	ibv_wr_flush(q->ex, at.rkey, at.addr, len, type, level);
	return -ibv_wr_complete(q->ex);
}

int rv_poll_until(struct ibv_cq *cq, struct ibv_wc *wc, uint64_t ms)
{
	uint64_t end = rv_now_ms() + ms;
	struct ibv_wc mine;
	unsigned int spins;
	int n;

	for (spins = 1;; spins++) {
		n = ibv_poll_cq(cq, 1, &mine);
		if (n < 0) {
			rv_log("ibv_poll_cq: %d", n);
			return -EIO;
		}
		if (n) {
			if (wc)
				*wc = mine;
			return mine.status;
		}
		if (spins % 64 == 0 && rv_now_ms() >= end)
			return -ETIMEDOUT;
		sched_yield();
	}
}

int rv_poll(struct ibv_cq *cq, struct ibv_wc *wc)
{
	return rv_poll_until(cq, wc, rv_deadline_ms());
}

int rv_wait(struct rv_qp *q)
{
	return rv_poll(q->scq, NULL);
}

int rv_wait_recv(struct rv_qp *q, struct ibv_wc *wc)
{
	return rv_poll(q->rcq, wc);
}

static int posted(struct rv_qp *q, int err)
{
	if (err) {
		rv_log("post: %s", strerror(-err));
		return err;
	}
	return rv_wait(q);
}

int rv_write(struct rv_qp *q, struct ibv_sge *sgl, int n, struct rv_remote to)
{
	return posted(q, rv_post_write(q, sgl, n, to));
}

int rv_read(struct rv_qp *q, struct ibv_sge *sgl, int n, struct rv_remote from)
{
	return posted(q, rv_post_read(q, sgl, n, from));
}

int rv_cmp_swap(struct rv_qp *q, struct ibv_sge *old, struct rv_remote at,
		uint64_t compare, uint64_t swap)
{
	return posted(q, rv_post_cmp_swap(q, old, at, compare, swap));
}

int rv_fetch_add(struct rv_qp *q, struct ibv_sge *old, struct rv_remote at,
		 uint64_t add)
{
	return posted(q, rv_post_fetch_add(q, old, at, add));
}

int rv_atomic_write(struct rv_qp *q, struct rv_remote at, uint64_t value)
{
	return posted(q, rv_post_atomic_write(q, at, value));
}

int rv_flush(struct rv_qp *q, struct rv_remote at, size_t len, uint8_t type,
	     uint8_t level)
{
	return posted(q, rv_post_flush(q, at, len, type, level));
}

int rv_send(struct rv_qp *from, struct ibv_sge *ssgl, int sn, struct rv_qp *to,
	    struct ibv_sge *rsgl, int rn, struct ibv_wc *wc)
{
	int err = rv_post_recv(to, rsgl, rn);

	if (err) {
		rv_log("post of a receive: %s", strerror(-err));
		return err;
	}
	err = posted(from, rv_post_send(from, ssgl, sn));
	return err ? err : rv_wait_recv(to, wc);
}

int rv_write_imm(struct rv_qp *from, struct ibv_sge *sgl, int n,
		 struct rv_remote remote, uint32_t imm, struct rv_qp *to,
		 struct ibv_wc *wc)
{
	int err = rv_post_recv(to, NULL, 0);

	if (err) {
		rv_log("post of a receive: %s", strerror(-err));
		return err;
	}
	err = posted(from, rv_post_write_imm(from, sgl, n, remote, imm));
	return err ? err : rv_wait_recv(to, wc);
}
