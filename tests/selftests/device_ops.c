// SPDX-License-Identifier: GPL-2.0
/*
 * Every operation on memory that is on the device, in place: the counters tell
 * that no page came back, and the bytes are right.
 */
#include <arpa/inet.h>
#include <infiniband/verbs.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(4UL << 20)
#define PAGES	((int64_t)(LEN / RV_PAGE))
#define ROUNDS	16
#define MOST	24000

FIXTURE(device_ops)
{
	struct rv_ends e;
	struct rv_moves before;
};

FIXTURE_VARIANT(device_ops)
{
	int advice;
	int mtu;
	bool srq;
	enum ibv_qp_type type;
};

FIXTURE_VARIANT_ADD(device_ops, pages)
{
	.advice = MADV_NOHUGEPAGE,
	.mtu = 1024,
	.type = IBV_QPT_RC,
};

FIXTURE_VARIANT_ADD(device_ops, thp)
{
	.advice = MADV_HUGEPAGE,
	.mtu = 4096,
	.type = IBV_QPT_RC,
};

FIXTURE_VARIANT_ADD(device_ops, srq)
{
	.advice = MADV_NOHUGEPAGE,
	.mtu = 512,
	.srq = true,
	.type = IBV_QPT_RC,
};

FIXTURE_VARIANT_ADD(device_ops, ud)
{
	.advice = MADV_NOHUGEPAGE,
	.type = IBV_QPT_UD,
};

FIXTURE_VARIANT_ADD(device_ops, ud_srq_thp)
{
	.advice = MADV_HUGEPAGE,
	.srq = true,
	.type = IBV_QPT_UD,
};

FIXTURE_VARIANT_ADD(device_ops, uc_thp)
{
	.advice = MADV_HUGEPAGE,
	.type = IBV_QPT_UC,
};

static void rereg_b(struct rv_ends *e, unsigned int access)
{
	ibv_dereg_mr(e->mr_b);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, access);
}

FIXTURE_SETUP(device_ops)
{
	struct rv_opts opts = {
		.mtu = variant->mtu,
		.srq = variant->srq,
		.type = variant->type,
	};
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_dmem_init(e, &opts, "32M", LEN, variant->advice));
	rereg_b(e, RV_ACCESS | RV_ODP | IBV_ACCESS_FLUSH_GLOBAL);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_EQ(PAGES, rv_promote(e->mr_a, 0, LEN));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	self->before = rv_moves(&e->dev);
}

/* Before anybody looks at the bytes, all of them were on the device. */
FIXTURE_TEARDOWN(device_ops)
{
	struct rv_ends *e = &self->e;

	EXPECT_TRUE(rv_moves_none_left(&e->dev, &self->before));
	EXPECT_EQ(PAGES, rv_on_device(e->mr_a, 0, LEN));
	EXPECT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	EXPECT_EQ(2 * PAGES, rv_dmem_used(NULL));
	EXPECT_EQ(0, rv_dmem_fini(e));
}

struct part {
	size_t a, b, len;
};

static struct part any_part(size_t max)
{
	struct part p = { .len = rv_rand_len(1, max) };

	p.a = rv_rand_below(LEN - p.len + 1);
	p.b = rv_rand_below(LEN - p.len + 1);
	return p;
}

static void expect_b(struct rv_ends *e, struct part p)
{
	rv_buf_expect(&e->mem_b, p.b, rv_buf_shadow(&e->mem_a, p.a), p.len);
}

#define ONLY(_type) do {						\
	if (variant->type != (_type))					\
		return;							\
} while (0)

TEST_F(device_ops, write)
{
	struct rv_ends *e = &self->e;
	int i;

	if (variant->type == IBV_QPT_UD)
		return;
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(MOST);
		struct ibv_sge sge = rv_ends_sge_a(e, p.a, p.len);

		expect_b(e, p);
		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      rv_ends_remote(e, p.b)));
	}
	/* UC tells nothing of the other side: a last message says it is done */
	if (variant->type == IBV_QPT_UC) {
		struct part p = { .a = 5, .b = 9, .len = 1 };
		struct ibv_sge out = rv_ends_sge_a(e, p.a, p.len);
		struct ibv_sge in = rv_ends_sge_b(e, p.b, p.len);

		expect_b(e, p);
		ASSERT_RV_OK(rv_send(&e->pair.a, &out, 1, &e->pair.b, &in, 1,
				     NULL));
	}
}

TEST_F(device_ops, write_imm)
{
	struct rv_ends *e = &self->e;
	struct ibv_wc wc;
	int i;

	if (variant->type == IBV_QPT_UD)
		return;
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(MOST);
		struct ibv_sge sge = rv_ends_sge_a(e, p.a, p.len);
		uint32_t imm = rv_rand();

		expect_b(e, p);
		ASSERT_RV_OK(rv_write_imm(&e->pair.a, &sge, 1,
					  rv_ends_remote(e, p.b), imm,
					  &e->pair.b, &wc));
		ASSERT_EQ(imm, ntohl(wc.imm_data));
	}
}

TEST_F(device_ops, read)
{
	struct rv_ends *e = &self->e;
	int i;

	ONLY(IBV_QPT_RC);
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(MOST);
		struct ibv_sge sge = rv_ends_sge_a(e, p.a, p.len);

		rv_buf_expect(&e->mem_a, p.a, rv_buf_shadow(&e->mem_b, p.b),
			      p.len);
		ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
				     rv_ends_remote(e, p.b)));
	}
}

/* Also through an SRQ, and in pieces. */
TEST_F(device_ops, send)
{
	struct rv_ends *e = &self->e;
	struct ibv_wc wc;
	int i;

	if (variant->type == IBV_QPT_UD)
		return;
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(MOST);
		size_t cut = p.len / 3;
		struct ibv_sge out[] = {
			rv_ends_sge_a(e, p.a, p.len - cut),
			rv_ends_sge_a(e, p.a + p.len - cut, cut),
		};
		struct ibv_sge in[] = {
			rv_ends_sge_b(e, p.b, cut),
			rv_ends_sge_b(e, p.b + cut, p.len - cut),
		};

		expect_b(e, p);
		ASSERT_RV_OK(rv_send(&e->pair.a, out, 2, &e->pair.b, in, 2,
				     &wc));
		ASSERT_EQ(p.len, wc.byte_len);
	}
}

TEST_F(device_ops, datagram)
{
	struct rv_ends *e = &self->e;
	int i;

	ONLY(IBV_QPT_UD);
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(e->dev.mtu);
		struct ibv_sge out = rv_ends_sge_a(e, p.a, p.len);
		struct ibv_sge in[2];
		struct ibv_wc wc;
		size_t grh = 2 * i * RV_GRH;

		/* the header goes where nobody looks: to pinned memory */
		in[0] = rv_ends_sge_b(e, grh, RV_GRH);
		if (p.b < ROUNDS * 2 * RV_GRH)
			p.b += ROUNDS * 2 * RV_GRH;
		if (p.b + p.len > LEN)
			p.len = LEN - p.b, out.length = p.len;
		in[1] = rv_ends_sge_b(e, p.b, p.len);
		expect_b(e, p);
		ASSERT_RV_OK(rv_send(&e->pair.a, &out, 1, &e->pair.b, in, 2,
				     &wc));
		ASSERT_EQ(p.len + RV_GRH, wc.byte_len);
	}
	ASSERT_TRUE(rv_moves_none_left(&e->dev, &self->before));
	/* What arrives in the routing header is not looked at. */
	rv_buf_expect(&e->mem_b, 0, e->mem_b.base, ROUNDS * 2 * RV_GRH);
	ASSERT_EQ(0, rv_buf_check(&e->mem_b));
	ASSERT_LT(0, rv_promote(e->mr_b, 0, LEN));
	self->before = rv_moves(&e->dev);
}

TEST_F(device_ops, atomics)
{
	struct rv_ends *e = &self->e;
	uint64_t word, swap, add;
	int i;

	ONLY(IBV_QPT_RC);
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(8);
		struct ibv_sge old;

		p.b &= ~7UL;
		p.a &= ~7UL;
		old = rv_ends_sge_a(e, p.a, 8);
		memcpy(&word, rv_buf_shadow(&e->mem_b, p.b), 8);
		swap = rv_rand();
		rv_buf_expect(&e->mem_a, p.a, &word, 8);
		rv_buf_expect(&e->mem_b, p.b, &swap, 8);
		ASSERT_RV_OK(rv_cmp_swap(&e->pair.a, &old,
					 rv_ends_remote(e, p.b), word, swap));
		/* and one that must not take place */
		rv_buf_expect(&e->mem_a, p.a, &swap, 8);
		ASSERT_RV_OK(rv_cmp_swap(&e->pair.a, &old,
					 rv_ends_remote(e, p.b), ~swap, 1));
		add = rv_rand();
		ASSERT_RV_OK(rv_fetch_add(&e->pair.a, &old,
					  rv_ends_remote(e, p.b), add));
		swap += add;
		rv_buf_expect(&e->mem_b, p.b, &swap, 8);
	}
}

TEST_F(device_ops, atomic_write_and_flush)
{
	struct rv_ends *e = &self->e;
	uint64_t word;
	int i;

	ONLY(IBV_QPT_RC);
	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct part p = any_part(MOST);

		p.b &= ~7UL;
		word = rv_rand();
		rv_buf_expect(&e->mem_b, p.b, &word, 8);
		ASSERT_RV_OK(rv_atomic_write(&e->pair.a,
					     rv_ends_remote(e, p.b), word));
		ASSERT_RV_OK(rv_flush(&e->pair.a, rv_ends_remote(e, p.b),
				      p.len, IBV_FLUSH_GLOBAL,
				      IBV_FLUSH_RANGE));
	}
	ASSERT_RV_OK(rv_flush(&e->pair.a, rv_ends_remote(e, 0), 0,
			      IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
}

/* A prefetch finds it where it is. */
TEST_F(device_ops, prefetch)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_b(e, 3 * RV_PAGE + 1, 100 * RV_PAGE);

	ASSERT_EQ(0, rv_prefetch(e->mr_b, e->mem_b.base, LEN, 1));
	ASSERT_EQ(0, rv_prefetch(e->mr_a, e->mem_a.base + 99, LEN - 99, 0));
	ASSERT_EQ(0, rv_advise(e->dev.pd,
			       IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
			       IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
}

/* Traffic of all kinds at once, while all of it is promoted again and again. */
TEST_F_TIMEOUT(device_ops, traffic, 120)
{
	static const enum ibv_wr_opcode ops[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
	};
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t[3];
	size_t part = LEN / 4;
	int i;

	ONLY(IBV_QPT_RC);
	for (i = 0; i < 3; i++) {
		t[i] = (struct rv_traffic){
			.op = ops[i],
			.from_mr = e->mr_a,
			.to_mr = e->mr_b,
			.from = e->mem_a.base + i * part,
			.to = e->mem_b.base + i * part,
			.len = part,
			.depth = 4,
		};
		/* so that it is known what the target holds */
		struct ibv_sge sge = rv_ends_sge_a(e, i * part, part);

		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      rv_ends_remote(e, i * part)));
		expect_b(e, (struct part){ i * part, i * part, part });
		ASSERT_EQ(0, rv_traffic_start(&t[i], &e->dev, &opts, i));
	}
	for (i = 0; i < rv_shrink(20); i++) {
		ASSERT_EQ(0, rv_promote(e->mr_b, 0, LEN));
		ASSERT_EQ(0, rv_traffic_more(&t[i % 3], 4));
	}
	for (i = 0; i < 3; i++)
		ASSERT_RV(0, rv_traffic_stop(&t[i]));
}

RV_HARNESS_MAIN
