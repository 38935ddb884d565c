// SPDX-License-Identifier: GPL-2.0
/*
 * The counters: page_faults, page_invalidations and page_prefetch of every
 * region, and their totals of the device.
 */
#include "kselftest_harness.h"
#include "lib/rv.h"

#define PAGES	32
#define LEN	(PAGES * RV_PAGE)

static const char * const counters[] = {
	"page_faults", "page_invalidations", "page_prefetch",
};

FIXTURE(stats)
{
	struct rv_ends e;	/* mem_b untouched, on demand */
};

FIXTURE_SETUP(stats)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	ASSERT_EQ(0, rv_ends_untouched(e, LEN));
	ASSERT_EQ(0, rv_ends_reg(e, 0, RV_ODP));
}

FIXTURE_TEARDOWN(stats)
{
	rv_ends_fini(&self->e);
}

static int64_t of_b(struct rv_ends *e, const char *counter)
{
	return rv_stat_mr(&e->dev, e->mr_b, counter);
}

TEST_F(stats, start_at_zero)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		EXPECT_EQ(0, of_b(&self->e, counters[i]))
			TH_LOG("%s", counters[i]);
		EXPECT_LE(0, rv_stat_dev(&self->e.dev, counters[i]))
			TH_LOG("%s", counters[i]);
	}
}

/* A pinned region has no such counters, or they stay at zero. */
TEST_F(stats, pinned_region)
{
	int i;

	ASSERT_RV_OK(rv_ends_write(&self->e, 0, 0, LEN));
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		EXPECT_GE(0, rv_stat_mr(&self->e.dev, self->e.mr_a,
					counters[i]));
}

TEST_F(stats, faults)
{
	struct rv_ends *e = &self->e;
	int64_t total = rv_stat_dev(&e->dev, "page_faults");
	int64_t first, second;

	ASSERT_RV_OK(rv_ends_write(e, 0, 100, 5 * RV_PAGE));
	first = of_b(e, "page_faults");
	ASSERT_LE(1, first);
	ASSERT_GE(PAGES, first);
	ASSERT_EQ(0, of_b(e, "page_prefetch"));
	ASSERT_EQ(0, of_b(e, "page_invalidations"));

	/* Resident: no more faults, for writing or for reading. */
	ASSERT_RV_OK(rv_ends_write(e, 50, 200, 5 * RV_PAGE - 200));
	ASSERT_RV_OK(rv_ends_read(e, 50, 200, 5 * RV_PAGE - 200));
	ASSERT_EQ(first, of_b(e, "page_faults"));

	/*
	 * The rest. The comparison above has mapped zero pages: the device may
	 * find them on its way first, and each then faults once more.
	 */
	ASSERT_RV_OK(rv_ends_write(e, 50, 0, LEN - 50));
	second = of_b(e, "page_faults");
	ASSERT_LT(first, second);
	ASSERT_GE(2 * PAGES, second);
	ASSERT_LE(total + second, rv_stat_dev(&e->dev, "page_faults"));
}

/* Read, then written: the second fault is one too. */
TEST_F(stats, write_after_read)
{
	struct rv_ends *e = &self->e;
	int64_t reading;

	ASSERT_RV_OK(rv_ends_read(e, 0, 0, RV_PAGE));
	reading = of_b(e, "page_faults");
	ASSERT_LE(1, reading);
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, RV_PAGE));
	ASSERT_LT(reading, of_b(e, "page_faults"));
}

TEST_F(stats, invalidations)
{
	struct rv_ends *e = &self->e;
	int64_t total = rv_stat_dev(&e->dev, "page_invalidations");
	int64_t faults, gone;

	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	faults = of_b(e, "page_faults");
	ASSERT_EQ(0, madvise(e->mem_b.base, 8 * RV_PAGE, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, 8 * RV_PAGE);
	gone = of_b(e, "page_invalidations");
	ASSERT_LE(1, gone);
	ASSERT_LE(total + gone, rv_stat_dev(&e->dev, "page_invalidations"));

	/* They come back by faults. */
	ASSERT_RV_OK(rv_ends_read(e, 0, 0, LEN));
	ASSERT_LT(faults, of_b(e, "page_faults"));

	/* Nothing of the device's is there: nothing to invalidate. */
	gone = of_b(e, "page_invalidations");
	ASSERT_EQ(0, madvise(e->mem_b.base + 9 * RV_PAGE, RV_PAGE,
			     MADV_DONTNEED));
	ASSERT_LT(gone, of_b(e, "page_invalidations"));
	gone = of_b(e, "page_invalidations");
	ASSERT_EQ(0, madvise(e->mem_b.base + 9 * RV_PAGE, RV_PAGE,
			     MADV_DONTNEED));
	ASSERT_EQ(gone, of_b(e, "page_invalidations"));
}

TEST_F(stats, prefetch)
{
	struct rv_ends *e = &self->e;
	int64_t total = rv_stat_dev(&e->dev, "page_prefetch");
	int64_t pages;

	ASSERT_EQ(0, rv_prefetch(e->mr_b, e->mem_b.base, 16 * RV_PAGE, 1));
	pages = of_b(e, "page_prefetch");
	ASSERT_LE(1, pages);
	ASSERT_GE(PAGES, pages);
	ASSERT_LE(total + pages, rv_stat_dev(&e->dev, "page_prefetch"));

	/* What was prefetched does not fault. */
	ASSERT_RV_OK(rv_ends_write(e, 0, 100, 16 * RV_PAGE - 100));
	ASSERT_EQ(0, of_b(e, "page_faults"));
}

/* Each region has its own; the device's outlive them. */
TEST_F(stats, own_counters)
{
	struct rv_ends *e = &self->e;
	struct rv_buf other;
	int64_t total, mine;
	struct ibv_mr *mr;
	struct ibv_sge sge;

	ASSERT_EQ(0, rv_buf_alloc(&other, LEN));
	mr = rv_reg_all(&e->dev, &other, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	total = rv_stat_dev(&e->dev, "page_faults");
	sge = rv_ends_sge_a(e, 0, LEN);
	ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1, RV_REMOTE(mr, other.base)));
	mine = rv_stat_mr(&e->dev, mr, "page_faults");
	ASSERT_LE(1, mine);
	ASSERT_EQ(0, of_b(e, "page_faults"));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_LE(total + mine, rv_stat_dev(&e->dev, "page_faults"));
	rv_buf_free(&other);
}

RV_HARNESS_MAIN
