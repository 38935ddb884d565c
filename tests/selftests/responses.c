// SPDX-License-Identifier: GPL-2.0
/*
 * What the requester makes of responses that a network delivers late or twice.
 * The test is the peer: it answers a read or an atomic as it likes.
 */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "lib/packet.h"
#include "lib/rv.h"
#include "lib/tap.h"
#include "lib/target.h"

#define MTU		1024
#define PARTS		4
#define LEN		(PARTS * MTU)
#define WAIT_MS		10000
#define ACK		0x1f	/* syndrome: an ACK without a limit */

FIXTURE(responses)
{
	struct rv_dev dev;
	struct rv_qp qp;
	struct rv_buf mem;
	struct ibv_mr *mr;
	struct packet request;
	uint8_t data[LEN];
};

FIXTURE_SETUP(responses)
{
	struct rv_opts opts = { .mtu = MTU };

	ASSERT_EQ(0, tap_open());
	ASSERT_EQ(0, rv_dev_open(&self->dev, TAP_RXE));
	ASSERT_EQ(0, rv_qp_init(&self->qp, &self->dev, &opts));
	ASSERT_EQ(0, target_connect(&self->qp, 0, true));
	ASSERT_EQ(0, rv_buf_alloc(&self->mem, LEN));
	rv_buf_fill(&self->mem);
	self->mr = rv_reg_all(&self->dev, &self->mem,
			      IBV_ACCESS_LOCAL_WRITE | RV_ODP);
	ASSERT_NE(NULL, self->mr);
	rv_rand_fill(self->data, LEN);
}

FIXTURE_TEARDOWN(responses)
{
	rv_qp_fini(&self->qp);
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	rv_buf_free(&self->mem);
	rv_dev_close(&self->dev);
	tap_close();
}

/* The request that was posted last, as the peer gets it. */
static int receive(struct packet *request, uint8_t opcode)
{
	uint64_t until = rv_now_ms() + WAIT_MS;
	static uint8_t frame[FRAME_MAX];
	size_t len;

	do {
		len = tap_receive(frame, WAIT_MS);
		if (!len)
			return -ETIMEDOUT;
		packet_parse(request, frame, len);
	} while (request->opcode != opcode && rv_now_ms() < until);

	return request->opcode == opcode ? 0 : -ETIMEDOUT;
}

/* Post a read of all of the memory, and receive its request. */
static int ask(struct rv_qp *q, struct ibv_mr *mr, struct rv_buf *mem,
	       struct packet *request)
{
	struct rv_remote remote = { .addr = 0x10000, .rkey = 0x1234 };
	struct ibv_sge sge = RV_SGE(mr, mem->base, LEN);
	int err = rv_post_read(q, &sge, 1, remote);

	return err ? err : receive(request, OP_READ_REQUEST);
}

static int answer(struct rv_qp *q, uint8_t opcode, uint32_t psn,
		  const uint8_t *payload)
{
	static uint8_t frame[FRAME_MAX];
	struct packet p = {
		.opcode = opcode,
		.pkey = 0xffff,
		.qpn = q->qp->qp_num,
		.psn = psn,
		.syndrome = ACK,
		.payload = payload,
		.payload_len = payload ? MTU : 0,
	};

	return tap_send(frame, packet_build(&p, frame));
}

static int answer_atomic(struct rv_qp *q, uint32_t psn, uint64_t old)
{
	static uint8_t frame[FRAME_MAX];
	struct packet p = {
		.opcode = OP_ATOMIC_ACK,
		.pkey = 0xffff,
		.qpn = q->qp->qp_num,
		.psn = psn,
		.syndrome = ACK,
		.swap_add = old,
	};

	return tap_send(frame, packet_build(&p, frame));
}

/* Part @i of the response to a read that began at packet @psn. */
static int answer_part(struct rv_qp *q, uint32_t psn, int i, const uint8_t *data)
{
	uint8_t opcode = !i ? OP_READ_RESP_FIRST :
			 i == PARTS - 1 ? OP_READ_RESP_LAST : OP_READ_RESP_MIDDLE;

	return answer(q, opcode, psn + i, data + i * MTU);
}

TEST_F(responses, in_order)
{
	uint32_t psn;
	int i;

	ASSERT_EQ(0, ask(&self->qp, self->mr, &self->mem, &self->request));
	EXPECT_EQ(LEN, self->request.length);
	psn = self->request.psn;
	for (i = 0; i < PARTS; i++)
		ASSERT_EQ(0, answer_part(&self->qp, psn, i, self->data));
	EXPECT_EQ(IBV_WC_SUCCESS, rv_wait(&self->qp));
	rv_buf_expect(&self->mem, 0, self->data, LEN);
	EXPECT_EQ(0, rv_buf_check(&self->mem));
}

/* The ack of what came before the read, once more, between any two of its parts. */
TEST_F(responses, old_ack)
{
	uint32_t psn;
	int i, at;

	for (at = 1; at < PARTS; at++) {
		rv_rand_fill(self->data, LEN);
		ASSERT_EQ(0, ask(&self->qp, self->mr, &self->mem, &self->request));
		psn = self->request.psn;
		for (i = 0; i < PARTS; i++) {
			if (i == at)
				ASSERT_EQ(0, answer(&self->qp, OP_ACK,
						    (psn - 1) & PSN_MASK, NULL));
			ASSERT_EQ(0, answer_part(&self->qp, psn, i, self->data));
		}
		EXPECT_EQ(IBV_WC_SUCCESS, rv_wait(&self->qp));
		rv_buf_expect(&self->mem, 0, self->data, LEN);
		EXPECT_EQ(0, rv_buf_check(&self->mem));
	}
}

/* An ack for a part of the read: that the peer has it, says nothing of its bytes. */
TEST_F(responses, ack_of_a_part)
{
	uint32_t psn;
	int i, at;

	for (at = 0; at < PARTS; at++) {
		rv_rand_fill(self->data, LEN);
		ASSERT_EQ(0, ask(&self->qp, self->mr, &self->mem, &self->request));
		psn = self->request.psn;
		for (i = 0; i < PARTS; i++) {
			if (i == at)
				ASSERT_EQ(0, answer(&self->qp, OP_ACK,
						    (psn + at) & PSN_MASK, NULL));
			ASSERT_EQ(0, answer_part(&self->qp, psn, i, self->data));
		}
		EXPECT_EQ(IBV_WC_SUCCESS, rv_wait(&self->qp));
		rv_buf_expect(&self->mem, 0, self->data, LEN);
		EXPECT_EQ(0, rv_buf_check(&self->mem));
	}
}

/* An ack for an atomic, before its result. */
TEST_F(responses, ack_of_an_atomic)
{
	struct rv_remote remote = { .addr = 0x10000, .rkey = 0x1234 };
	struct ibv_sge sge = RV_SGE(self->mr, self->mem.base + 64, 8);
	uint64_t old = rv_rand();

	ASSERT_EQ(0, rv_post_fetch_add(&self->qp, &sge, remote, 1));
	ASSERT_EQ(0, receive(&self->request, OP_FETCH_ADD));
	ASSERT_EQ(0, answer(&self->qp, OP_ACK, self->request.psn, NULL));
	ASSERT_EQ(0, answer_atomic(&self->qp, self->request.psn, old));
	EXPECT_EQ(IBV_WC_SUCCESS, rv_wait(&self->qp));
	rv_buf_expect(&self->mem, 64, &old, sizeof(old));
	EXPECT_EQ(0, rv_buf_check(&self->mem));
}

/* All parts twice, as after a retry that wasn't needed. */
TEST_F(responses, twice)
{
	uint32_t psn;
	int i;

	ASSERT_EQ(0, ask(&self->qp, self->mr, &self->mem, &self->request));
	psn = self->request.psn;
	for (i = 0; i < 2 * PARTS - 1; i++)
		ASSERT_EQ(0, answer_part(&self->qp, psn, i / 2, self->data));
	ASSERT_EQ(0, answer_part(&self->qp, psn, PARTS - 1, self->data));
	EXPECT_EQ(IBV_WC_SUCCESS, rv_wait(&self->qp));
	rv_buf_expect(&self->mem, 0, self->data, LEN);
	EXPECT_EQ(0, rv_buf_check(&self->mem));
}

TEST_HARNESS_MAIN
