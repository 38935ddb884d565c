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

/* A packet from the peer, of which opcode, number and contents are given. */
static int answer(struct rv_qp *q, struct packet p)
{
	static uint8_t frame[FRAME_MAX];

	p.pkey = 0xffff;
	p.qpn = q->qp->qp_num;
	p.psn &= PSN_MASK;
	p.syndrome = ACK;

	return tap_send(frame, packet_build(&p, frame));
}

static int answer_ack(struct rv_qp *q, uint32_t psn)
{
	return answer(q, (struct packet){ .opcode = OP_ACK, .psn = psn });
}

/* Part @i of the response to a read that began at packet @psn. */
static int answer_part(struct rv_qp *q, uint32_t psn, int i, const uint8_t *data)
{
	uint8_t opcode = !i ? OP_READ_RESP_FIRST :
			 i == PARTS - 1 ? OP_READ_RESP_LAST : OP_READ_RESP_MIDDLE;

	return answer(q, (struct packet){
		.opcode = opcode, .psn = psn + i,
		.payload = data + i * MTU, .payload_len = MTU,
	});
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

/*
 * Read, and get an ack in front of part @at of the response. Its number is @acked
 * after that of the request.
 */
static int read_with_ack(struct rv_qp *q, struct ibv_mr *mr, struct rv_buf *mem,
			 int at, int acked)
{
	struct packet request;
	uint8_t data[LEN];
	int err, i;

	rv_rand_fill(data, LEN);
	rv_buf_expect(mem, 0, data, LEN);
	err = ask(q, mr, mem, &request);
	for (i = 0; !err && i < PARTS; i++) {
		if (i == at)
			err = answer_ack(q, request.psn + acked);
		if (!err)
			err = answer_part(q, request.psn, i, data);
	}
	return err ? err : rv_wait(q);
}

/* The ack of what came before the read, once more, between any two of its parts. */
TEST_F(responses, old_ack)
{
	int at;

	for (at = 1; at < PARTS; at++) {
		ASSERT_RV_OK(read_with_ack(&self->qp, self->mr, &self->mem, at,
					   -1));
		ASSERT_EQ(0, rv_buf_check(&self->mem));
	}
}

/* An ack for a part of the read: that the peer has it, says nothing of its bytes. */
TEST_F(responses, ack_of_a_part)
{
	int at;

	for (at = 0; at < PARTS; at++) {
		ASSERT_RV_OK(read_with_ack(&self->qp, self->mr, &self->mem, at,
					   at));
		ASSERT_EQ(0, rv_buf_check(&self->mem));
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
	ASSERT_EQ(0, answer_ack(&self->qp, self->request.psn));
	ASSERT_EQ(0, answer(&self->qp, (struct packet){
		.opcode = OP_ATOMIC_ACK, .psn = self->request.psn,
		.swap_add = old,
	}));
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
