// SPDX-License-Identifier: GPL-2.0
/* One transfer of each kind: the first thing to run on a new machine. */
#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64 * 1024)

FIXTURE(smoke)
{
	struct rv_dev dev;
	struct rv_pair pair;
	struct rv_buf from, to;
	struct ibv_mr *from_mr, *to_mr;
};

FIXTURE_VARIANT(smoke)
{
	unsigned int odp;
};

FIXTURE_VARIANT_ADD(smoke, pinned)
{
	.odp = 0,
};

FIXTURE_VARIANT_ADD(smoke, odp)
{
	.odp = RV_ODP,
};

FIXTURE_SETUP(smoke)
{
	unsigned int access = RV_ACCESS | IBV_ACCESS_FLUSH_GLOBAL;

	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_pair_init(&self->pair, &self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&self->from, LEN));
	ASSERT_EQ(0, rv_buf_alloc(&self->to, LEN));
	rv_buf_fill(&self->from);
	rv_buf_fill(&self->to);
	self->from_mr = rv_reg_all(&self->dev, &self->from,
				   access | variant->odp);
	self->to_mr = rv_reg_all(&self->dev, &self->to, access | variant->odp);
	ASSERT_NE(NULL, self->from_mr);
	ASSERT_NE(NULL, self->to_mr);
}

FIXTURE_TEARDOWN(smoke)
{
	rv_pair_fini(&self->pair);
	EXPECT_EQ(0, ibv_dereg_mr(self->from_mr));
	EXPECT_EQ(0, ibv_dereg_mr(self->to_mr));
	rv_buf_free(&self->from);
	rv_buf_free(&self->to);
	rv_dev_close(&self->dev);
}

/* 100 bytes into the buffer, and across pages and packets. */
#define OFF	100
#define BYTES	10000

TEST_F(smoke, write)
{
	struct ibv_sge sge = RV_SGE(self->from_mr, self->from.base, BYTES);

	ASSERT_RV_OK(rv_write(&self->pair.a, &sge, 1,
			      RV_REMOTE(self->to_mr, self->to.base + OFF)));
	rv_buf_expect(&self->to, OFF, self->from.base, BYTES);
	ASSERT_EQ(0, rv_buf_check(&self->to));
	ASSERT_EQ(0, rv_buf_check(&self->from));
}

TEST_F(smoke, read)
{
	struct ibv_sge sge = RV_SGE(self->to_mr, self->to.base + OFF, BYTES);

	ASSERT_RV_OK(rv_read(&self->pair.a, &sge, 1,
			     RV_REMOTE(self->from_mr, self->from.base + 7)));
	rv_buf_expect(&self->to, OFF, self->from.base + 7, BYTES);
	ASSERT_EQ(0, rv_buf_check(&self->to));
	ASSERT_EQ(0, rv_buf_check(&self->from));
}

TEST_F(smoke, send)
{
	struct ibv_sge out = RV_SGE(self->from_mr, self->from.base + 7, BYTES);
	struct ibv_sge in = RV_SGE(self->to_mr, self->to.base + OFF, BYTES);
	struct ibv_wc wc;

	ASSERT_RV_OK(rv_send(&self->pair.a, &out, 1, &self->pair.b, &in, 1,
			     &wc));
	ASSERT_EQ(BYTES, wc.byte_len);
	rv_buf_expect(&self->to, OFF, self->from.base + 7, BYTES);
	ASSERT_EQ(0, rv_buf_check(&self->to));
}

TEST_F(smoke, atomics)
{
	struct ibv_sge old = RV_SGE(self->from_mr, self->from.base + 8, 8);
	struct rv_remote at = RV_REMOTE(self->to_mr, self->to.base + 1000);
	uint64_t before, after = rv_rand();

	memcpy(&before, self->to.base + 1000, 8);
	ASSERT_RV_OK(rv_cmp_swap(&self->pair.a, &old, at, before, after));
	rv_buf_expect(&self->from, 8, &before, 8);
	rv_buf_expect(&self->to, 1000, &after, 8);
	ASSERT_EQ(0, rv_buf_check(&self->to));
	ASSERT_EQ(0, rv_buf_check(&self->from));

	ASSERT_RV_OK(rv_fetch_add(&self->pair.a, &old, at, 99));
	rv_buf_expect(&self->from, 8, &after, 8);
	after += 99;
	rv_buf_expect(&self->to, 1000, &after, 8);

	at.addr += 8;
	after = rv_rand();
	ASSERT_RV_OK(rv_atomic_write(&self->pair.a, at, after));
	rv_buf_expect(&self->to, 1008, &after, 8);
	ASSERT_RV_OK(rv_flush(&self->pair.a, at, 8, IBV_FLUSH_GLOBAL,
			      IBV_FLUSH_RANGE));
	ASSERT_EQ(0, rv_buf_check(&self->to));
	ASSERT_EQ(0, rv_buf_check(&self->from));
}

TEST_F(smoke, datagram)
{
	struct ibv_sge out = RV_SGE(self->from_mr, self->from.base + 7, 500);
	struct ibv_sge in = RV_SGE(self->to_mr, self->to.base + OFF, 540);
	struct rv_opts opts = { .type = IBV_QPT_UD };
	struct rv_pair ud;
	struct ibv_wc wc;

	ASSERT_EQ(0, rv_pair_init(&ud, &self->dev, &opts));
	ASSERT_RV_OK(rv_send(&ud.a, &out, 1, &ud.b, &in, 1, &wc));
	ASSERT_EQ(540, wc.byte_len);
	/* What is in the routing header is not our business. */
	rv_buf_expect(&self->to, OFF, self->to.base + OFF, RV_GRH);
	rv_buf_expect(&self->to, OFF + RV_GRH, self->from.base + 7, 500);
	ASSERT_EQ(0, rv_buf_check(&self->to));
	rv_pair_fini(&ud);
}

TEST_F(smoke, prefetch)
{
	if (!variant->odp)
		return;
	ASSERT_EQ(0, rv_prefetch(self->to_mr, self->to.base, LEN, 1));
	ASSERT_EQ(0, rv_buf_check(&self->to));
}

RV_HARNESS_MAIN
