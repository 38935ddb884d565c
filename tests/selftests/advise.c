// SPDX-License-Identifier: GPL-2.0
/*
 * ibv_advise_mr(): what each advice does, and which error stands for what.
 */
#include <errno.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64 * RV_PAGE)

#define READ	IBV_ADVISE_MR_ADVICE_PREFETCH
#define WRITE	IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE
#define NOFAULT	IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT
#define SYNC	IBV_ADVISE_MR_FLAG_FLUSH

static const unsigned int advices[] = { READ, WRITE, NOFAULT };

FIXTURE(advise)
{
	struct rv_ends e;	/* mem_b untouched, on demand */
	struct ibv_pd *pd;
};

FIXTURE_VARIANT(advise)
{
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(advise, sync)
{
	.flags = SYNC,
};

FIXTURE_VARIANT_ADD(advise, async)
{
	.flags = 0,
};

FIXTURE_SETUP(advise)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	ASSERT_EQ(0, rv_ends_untouched(e, LEN));
	ASSERT_EQ(0, rv_ends_reg(e, 0, RV_ODP));
	self->pd = e->dev.pd;
}

FIXTURE_TEARDOWN(advise)
{
	rv_ends_fini(&self->e);
}

/* Pages of the answering side's memory that the process has in memory. */
static size_t present(struct rv_ends *e)
{
	unsigned char vec[LEN / RV_PAGE];
	size_t i, n = 0;

	if (mincore(e->mem_b.base, LEN, vec))
		return 0;
	for (i = 0; i < LEN / RV_PAGE; i++)
		n += vec[i] & 1;
	return n;
}

/* Right now after a call that waits, in time after one that does not. */
static bool all_present(struct rv_ends *e, bool now)
{
	size_t all = LEN / RV_PAGE;

	return now ? present(e) == all : rv_wait_for(present(e) == all);
}

TEST_F(advise, every_advice_works)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);
	int i;

	for (i = 0; i < ARRAY_SIZE(advices); i++)
		ASSERT_EQ(0, rv_advise(self->pd, advices[i], variant->flags,
				       &sge, 1));
	ASSERT_RV_OK(rv_ends_check(&self->e));
	ASSERT_RV_OK(rv_ends_write(&self->e, 7, 7, 60000));
	ASSERT_RV_OK(rv_ends_read(&self->e, 9, 5, 60000));
}

TEST_F(advise, write_brings_pages)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);

	ASSERT_EQ(0, present(&self->e));
	ASSERT_EQ(0, rv_advise(self->pd, WRITE, variant->flags, &sge, 1));
	ASSERT_TRUE(all_present(&self->e, variant->flags & SYNC));
	ASSERT_RV_OK(rv_ends_write(&self->e, 7, 7, 60000));
}

TEST_F(advise, read_brings_pages)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);

	ASSERT_EQ(0, rv_advise(self->pd, READ, variant->flags, &sge, 1));
	ASSERT_TRUE(all_present(&self->e, variant->flags & SYNC));
	/* They are good for reading; the first write must still work. */
	ASSERT_RV_OK(rv_ends_read(&self->e, 9, 5, 60000));
	ASSERT_RV_OK(rv_ends_write(&self->e, 7, 7, 60000));
}

TEST_F(advise, no_fault_brings_nothing)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);

	self->e.mem_b.base[5 * RV_PAGE] = 1;
	rv_buf_expect_byte(&self->e.mem_b, 5 * RV_PAGE, 1, 1);
	ASSERT_EQ(0, rv_advise(self->pd, NOFAULT, variant->flags, &sge, 1));
	ASSERT_EQ(1, present(&self->e));
	ASSERT_RV_OK(rv_ends_check(&self->e));
	ASSERT_RV_OK(rv_ends_write(&self->e, 7, 7, 60000));
}

/* Many ranges in one call, of two regions, not in order. */
TEST_F(advise, many_ranges)
{
	struct ibv_mr *second = rv_reg_all(&self->e.dev, &self->e.mem_b,
					   RV_ACCESS | RV_ODP);
	struct ibv_sge sgl[16];
	int i;

	ASSERT_NE(NULL, second);
	for (i = 0; i < 16; i++) {
		size_t len = rv_rand_len(1, 2 * RV_PAGE);

		sgl[i] = RV_SGE(i % 3 ? self->e.mr_b : second,
				self->e.mem_b.base + rv_rand_below(LEN - len),
				len);
	}
	for (i = 0; i < ARRAY_SIZE(advices); i++)
		ASSERT_EQ(0, rv_advise(self->pd, advices[i], variant->flags,
				       sgl, 16));
	ASSERT_RV_OK(rv_ends_write(&self->e, 7, 7, 60000));
	ASSERT_EQ(0, ibv_dereg_mr(second));
}

/* Deregistered right behind the call: the prefetch may still be waiting. */
TEST_F(advise, dereg_after)
{
	int i;

	for (i = 0; i < rv_shrink(50); i++) {
		struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);

		ASSERT_EQ(0, rv_advise(self->pd, WRITE, variant->flags, &sge,
				       1));
		ASSERT_EQ(0, ibv_dereg_mr(self->e.mr_b));
		ASSERT_EQ(0, madvise(self->e.mem_b.base, LEN, MADV_DONTNEED));
		self->e.mr_b = rv_reg_all(&self->e.dev, &self->e.mem_b,
					  RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, self->e.mr_b);
	}
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

/* The errors. Every advice answers alike. */

#define EXPECT_ADVICE(_err, _sge) do {					\
	struct ibv_sge _s = (_sge);					\
	int _i;								\
	for (_i = 0; _i < ARRAY_SIZE(advices); _i++)			\
		EXPECT_EQ(_err, rv_advise(self->pd, advices[_i],	\
					  variant->flags, &_s, 1))	\
			TH_LOG("advice %u", advices[_i]);		\
} while (0)

TEST_F(advise, unknown_key)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);
	struct ibv_mr *gone;

	sge.lkey ^= 0x7f000000;
	EXPECT_ADVICE(-ENOENT, sge);
	sge.lkey = self->e.mr_b->lkey ^ 1;
	EXPECT_ADVICE(-ENOENT, sge);

	gone = rv_reg_all(&self->e.dev, &self->e.mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, gone);
	sge.lkey = gone->lkey;
	ASSERT_EQ(0, ibv_dereg_mr(gone));
	EXPECT_ADVICE(-ENOENT, sge);
}

TEST_F(advise, pinned_region)
{
	EXPECT_ADVICE(-EINVAL, rv_ends_sge_a(&self->e, 0, LEN));
	EXPECT_ADVICE(-EINVAL, rv_ends_sge_a(&self->e, 100, 1));
}

TEST_F(advise, other_domain)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);
	struct ibv_pd *other = ibv_alloc_pd(self->e.dev.ctx);
	int i;

	ASSERT_NE(NULL, other);
	for (i = 0; i < ARRAY_SIZE(advices); i++)
		EXPECT_EQ(-EPERM, rv_advise(other, advices[i], variant->flags,
					    &sge, 1));
	ASSERT_EQ(0, ibv_dealloc_pd(other));
}

/* A region without local write: may be prefetched, not for writing. */
TEST_F(advise, read_only_region)
{
	struct ibv_sge sge;

	ASSERT_EQ(0, ibv_dereg_mr(self->e.mr_b));
	self->e.mr_b = rv_reg_all(&self->e.dev, &self->e.mem_b,
				  IBV_ACCESS_REMOTE_READ | RV_ODP);
	ASSERT_NE(NULL, self->e.mr_b);
	sge = rv_ends_sge_b(&self->e, 0, LEN);
	EXPECT_EQ(-EPERM, rv_advise(self->pd, WRITE, variant->flags, &sge, 1));
	EXPECT_EQ(0, rv_advise(self->pd, NOFAULT, variant->flags, &sge, 1));
	EXPECT_EQ(0, rv_advise(self->pd, READ, variant->flags, &sge, 1));
	EXPECT_TRUE(all_present(&self->e, variant->flags & SYNC));
	ASSERT_RV_OK(rv_ends_read(&self->e, 9, 5, 60000));
}

TEST_F(advise, bad_arguments)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);

	EXPECT_EQ(-EOPNOTSUPP, rv_advise(self->pd, 3, variant->flags, &sge, 1));
	EXPECT_EQ(-EOPNOTSUPP, rv_advise(self->pd, 99, variant->flags, &sge,
					 1));
	EXPECT_EQ(-EINVAL, rv_advise(self->pd, READ, variant->flags | 2, &sge,
				     1));
	EXPECT_EQ(-EINVAL, rv_advise(self->pd, READ, variant->flags, &sge, 0));
	EXPECT_EQ(-EINVAL, rv_advise(self->pd, READ, variant->flags, NULL, 0));
}

/* One bad range among good ones is an error, wherever it stands. */
TEST_F(advise, bad_range_in_list)
{
	struct ibv_sge good = rv_ends_sge_b(&self->e, 0, LEN);
	struct ibv_sge pinned = rv_ends_sge_a(&self->e, 0, LEN);
	struct ibv_sge unknown = good;
	int i;

	unknown.lkey ^= 0x7f000000;
	for (i = 0; i < 3; i++) {
		struct ibv_sge sgl[3] = { good, good, good };

		sgl[i] = pinned;
		EXPECT_EQ(-EINVAL, rv_advise(self->pd, READ, variant->flags,
					     sgl, 3));
		sgl[i] = unknown;
		EXPECT_EQ(-ENOENT, rv_advise(self->pd, READ, variant->flags,
					     sgl, 3));
	}
	ASSERT_RV_OK(rv_ends_write(&self->e, 7, 7, 60000));
}

/* What only a call that waits can tell. */

FIXTURE(advise_range)
{
	struct rv_ends e;
};

FIXTURE_SETUP(advise_range)
{
	ASSERT_EQ(0, rv_ends_init(&self->e, NULL, LEN, 0, RV_ODP));
}

FIXTURE_TEARDOWN(advise_range)
{
	rv_ends_fini(&self->e);
}

TEST_F(advise_range, out_of_range)
{
	static const struct {
		size_t off, len;
	} bad[] = {
		{ -1UL, 1 }, { -1UL, 100 }, { -RV_PAGE, RV_PAGE }, { LEN, 1 },
		{ LEN - 1, 2 }, { 0, LEN + 1 }, { 5, LEN }, { 1UL << 40, 10 },
	};
	int i, j;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ibv_sge sge = rv_ends_sge_b(&self->e, bad[i].off,
						   bad[i].len);

		for (j = 0; j < ARRAY_SIZE(advices); j++)
			EXPECT_EQ(-EFAULT, rv_advise(self->e.dev.pd, advices[j],
						     SYNC, &sge, 1))
				TH_LOG("advice %u, case %d", advices[j], i);
	}
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

TEST_F(advise_range, unmapped)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);
	uint8_t *hole = self->e.mem_b.base + 20 * RV_PAGE;

	ASSERT_EQ(0, mprotect(hole, RV_PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, rv_advise(self->e.dev.pd, READ, SYNC, &sge, 1));
	EXPECT_EQ(-EFAULT, rv_advise(self->e.dev.pd, WRITE, SYNC, &sge, 1));
	/* Fine up to there. */
	sge.length = 20 * RV_PAGE;
	EXPECT_EQ(0, rv_advise(self->e.dev.pd, WRITE, SYNC, &sge, 1));
	sge.length = LEN;
	ASSERT_EQ(0, mprotect(hole, RV_PAGE, PROT_READ));
	EXPECT_EQ(0, rv_advise(self->e.dev.pd, READ, SYNC, &sge, 1));
	EXPECT_EQ(-EFAULT, rv_advise(self->e.dev.pd, WRITE, SYNC, &sge, 1));
	ASSERT_EQ(0, mprotect(hole, RV_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, rv_advise(self->e.dev.pd, WRITE, SYNC, &sge, 1));
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

/* Ranges of 2 GiB and more: the length has 32 bits, all of them count. */
TEST(advise_long_range)
{
	static const uint32_t lens[] = {
		1U << 30, (1U << 31) - RV_PAGE, 1U << 31, (1U << 31) + RV_PAGE,
		3U << 30, ~0U,
	};
	size_t size = 5UL << 30, i;
	struct ibv_sge sge;
	struct ibv_mr *mr;
	struct rv_dev dev;
	struct rv_buf buf;

	ASSERT_EQ(0, rv_dev_open(&dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&buf, size));
	mr = rv_reg_all(&dev, &buf, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr) TH_LOG("5 GiB: %s", strerror(errno));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		buf.base[lens[i] - 1] = 1;
		sge = RV_SGE(mr, buf.base + 100, lens[i]);
		EXPECT_EQ(0, rv_advise(dev.pd, NOFAULT, SYNC, &sge, 1))
			TH_LOG("%u bytes", lens[i]);
		EXPECT_EQ(0, rv_advise(dev.pd, NOFAULT, 0, &sge, 1));
	}
	sge = RV_SGE(mr, buf.base + size - (1UL << 31), (1UL << 31) + 1);
	EXPECT_EQ(-EFAULT, rv_advise(dev.pd, NOFAULT, SYNC, &sge, 1));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	rv_buf_free(&buf);
	rv_dev_close(&dev);
}

/*
 * Where nothing is present, there is nothing to remember: not a table of 4 KiB for
 * each 2 MiB, which would be 32 MiB here.
 */
TEST(advise_no_fault_is_cheap)
{
	enum { GIBS = 16 };
	size_t size = (size_t)GIBS << 30, i;
	struct ibv_sge sgl[GIBS];
	int64_t before, took;
	struct ibv_mr *mr;
	struct rv_dev dev;
	struct rv_buf buf;

	ASSERT_EQ(0, rv_dev_open(&dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&buf, size));
	mr = rv_reg_all(&dev, &buf, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr) TH_LOG("%s", strerror(errno));
	for (i = 0; i < GIBS; i++)
		sgl[i] = RV_SGE(mr, buf.base + (i << 30), 1U << 30);
	before = rv_get("/proc/meminfo", "SUnreclaim:");
	ASSERT_LT(0, before);
	ASSERT_EQ(0, rv_advise(dev.pd, NOFAULT, SYNC, sgl, GIBS));
	took = rv_get("/proc/meminfo", "SUnreclaim:") - before;
	rv_log("%lld KiB for %d GiB", (long long)took, GIBS);
	EXPECT_GT(16 * 1024, took);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	rv_buf_free(&buf);
	rv_dev_close(&dev);
}

RV_HARNESS_MAIN
