// SPDX-License-Identifier: GPL-2.0
/*
 * The region page table: what clearing takes away, and how it is counted.
 * Included at the end of rxe_mirror.c. The page frames are invented: nothing
 * here looks at a struct page.
 */
#include <kunit/test.h>

static struct rxe_region *test_region(struct kunit *test, bool table)
{
	struct rxe_region *region = kunit_kzalloc(test, sizeof(*region), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, region);
	region_init_lock(region);
	if (table) {
		region->table = kunit_kcalloc(test, RXE_REGION_PAGES,
					      sizeof(*region->table), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, region->table);
	}

	return region;
}

static void test_map(struct rxe_region *region, unsigned int first,
		     unsigned int last)
{
	unsigned int i;

	for (i = first; i <= last; i++) {
		region->nr_valid += !region->table[i];
		region->table[i] = rxe_entry(0x1000 + i, i & 1);
	}
}

static void clear_empty(struct kunit *test)
{
	struct rxe_region *region = test_region(test, false);

	KUNIT_EXPECT_EQ(test, region_clear(region, 0, RXE_REGION_PAGES - 1), 0);
	KUNIT_EXPECT_EQ(test, region->nr_invalidated, 0);
}

static void clear_part(struct kunit *test)
{
	struct rxe_region *region = test_region(test, true);

	test_map(region, 10, 19);
	KUNIT_EXPECT_EQ(test, region_clear(region, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, region_clear(region, 20, RXE_REGION_PAGES - 1), 0);
	KUNIT_EXPECT_EQ(test, region_clear(region, 5, 12), 3);
	KUNIT_EXPECT_EQ(test, region->nr_valid, 7);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(region, 12), 0);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(region, 13), rxe_entry(0x100d, true));
	KUNIT_EXPECT_EQ(test, region_clear(region, 19, 19), 1);
	KUNIT_EXPECT_EQ(test, region_clear(region, 0, RXE_REGION_PAGES - 1), 6);
	KUNIT_EXPECT_EQ(test, region->nr_valid, 0);
	KUNIT_EXPECT_EQ(test, region->nr_invalidated, 10);
}

static void clear_huge(struct kunit *test)
{
	struct rxe_region *region = test_region(test, false);

	region->huge = rxe_entry(0x200, true);
	region->nr_valid = RXE_REGION_PAGES;
	KUNIT_EXPECT_EQ(test, rxe_region_entry(region, 0), rxe_entry(0x200, true));
	KUNIT_EXPECT_EQ(test, rxe_region_entry(region, 511), rxe_entry(0x3ff, true));
	KUNIT_EXPECT_EQ(test, region_clear(region, 7, 7), RXE_REGION_PAGES);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(region, 8), 0);
	KUNIT_EXPECT_EQ(test, region->nr_valid, 0);
	KUNIT_EXPECT_EQ(test, region->nr_invalidated, RXE_REGION_PAGES);
}

static void index_math(struct kunit *test)
{
	unsigned long va = 3UL << RXE_WINDOW_SHIFT | 5UL << RXE_REGION_SHIFT |
			   7UL << PAGE_SHIFT | 9;

	KUNIT_EXPECT_EQ(test, rxe_region_index(va), 5);
	KUNIT_EXPECT_EQ(test, rxe_region_page(va), 7);
	KUNIT_EXPECT_EQ(test, rxe_region_end(va),
			3UL << RXE_WINDOW_SHIFT | 6UL << RXE_REGION_SHIFT);
	KUNIT_EXPECT_EQ(test, rxe_region_page(rxe_region_end(va) - 1),
			RXE_REGION_PAGES - 1);
	KUNIT_EXPECT_EQ(test, rxe_region_index(rxe_region_end(va)), 6);
}

struct test_window {
	struct rxe_mirror mirror;
	struct rxe_window window;
	struct rxe_region *regions[RXE_WINDOW_REGIONS];
};

/* A window without a notifier, with regions 0, 1 and 511. */
static struct test_window *test_window(struct kunit *test)
{
	struct test_window *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	static const unsigned int with[] = { 0, 1, RXE_WINDOW_REGIONS - 1 };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	xa_init(&t->mirror.windows);
	rxe_mirror_gc_init(&t->mirror);
	window_init_lock(&t->window);
	t->window.mirror = &t->mirror;
	t->window.start = RXE_WINDOW_SIZE;
	t->window.regions = t->regions;
	for (i = 0; i < ARRAY_SIZE(with); i++) {
		t->regions[with[i]] = test_region(test, true);
		test_map(t->regions[with[i]], 0, RXE_REGION_PAGES - 1);
	}
	KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&t->mirror.windows, 1,
						 &t->window, GFP_KERNEL)));

	return t;
}

static u64 test_clear(struct test_window *t, unsigned long start,
		      unsigned long last)
{
	bool emptied = false;
	u64 n;

	spin_lock(&t->window.lock);
	n = window_clear(&t->window, start, last, &emptied);
	t->window.nr_invalidated += n;
	spin_unlock(&t->window.lock);

	return n;
}

static void clear_window(struct kunit *test)
{
	struct test_window *t = test_window(test);
	unsigned long start = RXE_WINDOW_SIZE;

	/* the last page of region 0 and the first of region 1 */
	KUNIT_EXPECT_EQ(test, 2, test_clear(t, start + RXE_REGION_SIZE - PAGE_SIZE,
					    start + RXE_REGION_SIZE + PAGE_SIZE - 1));
	KUNIT_EXPECT_EQ(test, 0, test_clear(t, start + 2 * RXE_REGION_SIZE,
					    start + 9 * RXE_REGION_SIZE));
	KUNIT_EXPECT_EQ(test, 3 * RXE_REGION_PAGES - 2,
			test_clear(t, start, start + RXE_WINDOW_SIZE - 1));

	KUNIT_EXPECT_EQ(test, 3 * RXE_REGION_PAGES,
			rxe_mirror_count_invalidated(&t->mirror, 0, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, 3 * RXE_REGION_PAGES,
			rxe_mirror_count_invalidated(&t->mirror, start,
						     start + RXE_WINDOW_SIZE - 1));
	KUNIT_EXPECT_EQ(test, 2 * RXE_REGION_PAGES,
			rxe_mirror_count_invalidated(&t->mirror, start + RXE_REGION_SIZE,
						     start + RXE_WINDOW_SIZE - 1));
	KUNIT_EXPECT_EQ(test, RXE_REGION_PAGES,
			rxe_mirror_count_invalidated(&t->mirror, 0, start));
	KUNIT_EXPECT_EQ(test, 0,
			rxe_mirror_count_invalidated(&t->mirror, 0, start - 1));
	xa_destroy(&t->mirror.windows);
}

/* The topmost window: its end is no address. */
static void clear_top(struct kunit *test)
{
	struct test_window *t = test_window(test);

	t->window.start = -RXE_WINDOW_SIZE;
	KUNIT_EXPECT_EQ(test, 3 * RXE_REGION_PAGES,
			test_clear(t, t->window.start, ULONG_MAX));
	xa_destroy(&t->mirror.windows);
}

static void find_region(struct kunit *test)
{
	struct test_window *t = test_window(test);
	unsigned long start = RXE_WINDOW_SIZE;

	KUNIT_EXPECT_PTR_EQ(test, t->regions[1],
			    rxe_mirror_region(&t->mirror, start + RXE_REGION_SIZE));
	KUNIT_EXPECT_NULL(test, rxe_mirror_region(&t->mirror,
						  start + 2 * RXE_REGION_SIZE));
	KUNIT_EXPECT_NULL(test, rxe_mirror_region(&t->mirror, start - 1));
	KUNIT_EXPECT_PTR_EQ(test, t->regions[0],
			    rxe_mirror_make_region(&t->window, start));
	xa_destroy(&t->mirror.windows);
}

static struct kunit_case rxe_mirror_cases[] = {
	KUNIT_CASE(clear_empty),
	KUNIT_CASE(clear_part),
	KUNIT_CASE(clear_huge),
	KUNIT_CASE(index_math),
	KUNIT_CASE(clear_window),
	KUNIT_CASE(clear_top),
	KUNIT_CASE(find_region),
	{}
};

static struct kunit_suite rxe_mirror_suite = {
	.name = "rxe_mirror",
	.test_cases = rxe_mirror_cases,
};

kunit_test_suite(rxe_mirror_suite);
