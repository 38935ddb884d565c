// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault takes along, and what it installs. Included at the end of
 * rxe_mirror_plan.c. The page frames are invented.
 */
#include <kunit/test.h>

#define TEST_PFN	0x40000UL
#define TEST_BASE	(5UL << RXE_REGION_SHIFT)

struct test_fault {
	struct rxe_dev rxe;
	struct rxe_mirror mirror;
	struct rxe_mirror_mr mmr;
	struct rxe_window window;
	struct rxe_region *regions[RXE_WINDOW_REGIONS];
	struct rxe_region before;
	struct rxe_region region;
	struct rxe_region after;
	unsigned long pfns[RXE_REGION_PAGES];
	unsigned long table[RXE_REGION_PAGES];
	struct rxe_fault f;
};

/* A fault in region 5 of window 0, in an MR over regions 4 to 6. */
static struct test_fault *test_fault(struct kunit *test)
{
	struct test_fault *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	xa_init(&t->mirror.windows);
	KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&t->mirror.windows, 0,
						 &t->window, GFP_KERNEL)));
	spin_lock_init(&t->window.lock);
	rwlock_init(&t->region.lock);
	t->window.regions = t->regions;
	t->regions[4] = &t->before;
	t->regions[5] = &t->region;
	t->regions[6] = &t->after;
	t->mmr.mirror = &t->mirror;
	t->mirror.rxe = &t->rxe;
	atomic_set(&t->mmr.credit, RXE_CREDIT_MAX);
	t->mmr.umem.address = TEST_BASE - RXE_REGION_SIZE;
	t->mmr.umem.length = 3 * RXE_REGION_SIZE;
	t->f.mmr = &t->mmr;
	t->f.window = &t->window;
	t->f.region = &t->region;
	t->f.base = TEST_BASE;
	t->f.pfns = t->pfns;

	return t;
}

static void test_fault_end(struct test_fault *t)
{
	xa_destroy(&t->mirror.windows);
}

static void test_plan(struct test_fault *t, unsigned int first, unsigned int last)
{
	t->f.first = first;
	t->f.last = last;
	rxe_mirror_plan(&t->f);
}

/* Pretend that the walk found [first, end), and install it. */
static unsigned int test_install(struct test_fault *t, unsigned int first,
				 unsigned int end, unsigned long flags)
{
	unsigned int i, n;

	memset(t->pfns, 0, sizeof(t->pfns));
	for (i = first; i < end; i++)
		*rxe_fault_pfn(&t->f, i) = (TEST_PFN + i) | HMM_PFN_VALID | flags;
	if (!t->region.table)
		t->f.table = t->table;

	spin_lock(&t->window.lock);
	n = rxe_mirror_install(&t->f);
	spin_unlock(&t->window.lock);

	return n;
}

static void plan_single(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	test_plan(t, 100, 100);
	KUNIT_EXPECT_EQ(test, t->f.around_first, 96);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 111);
	KUNIT_EXPECT_EQ(test, t->f.end, 101);

	test_plan(t, 111, 112);
	KUNIT_EXPECT_EQ(test, t->f.around_first, 96);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 127);

	test_plan(t, 511, 511);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 511);
	KUNIT_EXPECT_EQ(test, t->f.end, 512);
	test_fault_end(t);
}

static void plan_prefetch(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	t->f.flags = RXE_FAULT_PREFETCH;
	WRITE_ONCE(t->region.ra_next, 100);
	test_plan(t, 100, 120);
	KUNIT_EXPECT_EQ(test, t->f.around_first, 100);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 120);
	KUNIT_EXPECT_EQ(test, t->f.end, 121);
	test_fault_end(t);
}

/* The neighbours never leave the MR, at either end. */
static void plan_clamped(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	t->mmr.umem.address = TEST_BASE + 100 * PAGE_SIZE + 12;
	t->mmr.umem.length = 5 * PAGE_SIZE;
	test_plan(t, 103, 103);
	KUNIT_EXPECT_EQ(test, t->f.around_first, 100);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 105);

	t->region.ra_next = 103;
	t->region.ra_pages = 32;
	test_plan(t, 103, 103);
	KUNIT_EXPECT_EQ(test, t->f.end, 106);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 105);
	test_fault_end(t);
}

/* One page at a time from the start: each window is twice the one before. */
static void ahead_doubles(struct kunit *test)
{
	static const unsigned int want[] = { 0, 4, 8, 16, 32, 64, 64, 64 };
	struct test_fault *t = test_fault(test);
	unsigned int page = 1, i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		test_plan(t, page, page);
		KUNIT_EXPECT_EQ(test, t->f.end - page - 1, want[i]);
		test_install(t, page, t->f.end, HMM_PFN_WRITE);
		page = t->f.end;
		KUNIT_EXPECT_EQ(test, t->region.ra_next, page);
	}
	test_fault_end(t);
}

static void ahead_needs_order(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	t->region.ra_next = 50;
	t->region.ra_pages = 16;
	test_plan(t, 49, 49);
	KUNIT_EXPECT_EQ(test, t->f.end, 50);
	test_plan(t, 51, 51);
	KUNIT_EXPECT_EQ(test, t->f.end, 52);
	test_plan(t, 50, 50);
	KUNIT_EXPECT_EQ(test, t->f.end, 51 + 32);
	test_plan(t, 49, 50);
	KUNIT_EXPECT_EQ(test, t->f.end, 51 + 32);
	test_fault_end(t);
}

/* A stream goes on from the region before, if it came to that one's end. */
static void ahead_across_regions(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	test_plan(t, 0, 0);
	KUNIT_EXPECT_EQ(test, t->f.end, 1);
	t->before.ra_next = RXE_REGION_PAGES;
	t->before.ra_pages = 20;
	test_plan(t, 0, 0);
	KUNIT_EXPECT_EQ(test, t->f.end, 1 + 40);
	t->before.ra_next = 0;
	test_plan(t, 0, 0);
	KUNIT_EXPECT_EQ(test, t->f.end, 1);
	t->regions[4] = NULL;
	test_plan(t, 0, 0);
	KUNIT_EXPECT_EQ(test, t->f.end, 1);
	test_fault_end(t);
}

static void ahead_ends_with_region(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	t->region.ra_next = 500;
	t->region.ra_pages = 64;
	test_plan(t, 500, 500);
	KUNIT_EXPECT_EQ(test, t->f.end, RXE_REGION_PAGES);
	KUNIT_EXPECT_EQ(test, t->f.around_last, RXE_REGION_PAGES - 1);
	test_fault_end(t);
}

static void install_some(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	test_plan(t, 100, 100);
	KUNIT_EXPECT_EQ(test, 6, test_install(t, 98, 104, 0));
	KUNIT_EXPECT_EQ(test, t->region.nr_valid, 6);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(&t->region, 97), 0);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(&t->region, 98),
			rxe_entry(TEST_PFN + 98, false) & ~RXE_ENTRY_USED);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(&t->region, 100),
			rxe_entry(TEST_PFN + 100, false));
	/* the present neighbours count as served */
	KUNIT_EXPECT_EQ(test, t->region.ra_next, 104);
	test_fault_end(t);
}

/* A new MR takes nothing along for an access, nor for two in a row. */
static void along_is_earned(struct kunit *test)
{
	struct test_fault *t = test_fault(test);
	unsigned int page;

	atomic_set(&t->mmr.credit, 0);
	for (page = 100; page < 102; page++) {
		test_plan(t, page, page);
		KUNIT_EXPECT_EQ(test, t->f.around_first, page);
		KUNIT_EXPECT_EQ(test, t->f.around_last, page);
		test_install(t, page, page + 1, 0);
	}
	test_plan(t, 200, 200);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 200);
	test_install(t, 200, 201, 0);
	KUNIT_EXPECT_EQ(test, t->region.ra_run, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->mmr.credit), 0);
	test_fault_end(t);
}

/* The more is owed, the longer a stream must be to be lent something. */
static void along_is_lent(struct kunit *test)
{
	atomic_t credit = ATOMIC_INIT(-30);

	KUNIT_EXPECT_EQ(test, rxe_readahead_next(&credit, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, rxe_readahead_next(&credit, 0, 10),
			RXE_AHEAD_PAGES_MIN);
	atomic_set(&credit, 0);
	KUNIT_EXPECT_EQ(test, rxe_readahead_next(&credit, 64, 1), 0);
	KUNIT_EXPECT_EQ(test, rxe_readahead_next(&credit, 64, 2),
			RXE_AHEAD_PAGES_MIN);
	atomic_set(&credit, 10 * RXE_CREDIT_TAKEN);
	KUNIT_EXPECT_EQ(test, rxe_readahead_next(&credit, 64, 1), 10);
	KUNIT_EXPECT_EQ(test, rxe_readahead_next(&credit, 2, 1), 4);
}

/* Pages that aren't used cost the MR its neighbours, but not a stream's. */
static void along_needs_credit(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	atomic_set(&t->mmr.credit, 64 * RXE_CREDIT_TAKEN);
	test_plan(t, 100, 100);
	KUNIT_EXPECT_EQ(test, 16, test_install(t, 96, 112, 0));
	KUNIT_EXPECT_EQ(test, rxe_readahead_allowed(&t->mmr.credit), 64 - 15);
	test_plan(t, 132, 132);
	test_install(t, 128, 144, 0);
	test_plan(t, 164, 164);
	test_install(t, 160, 176, 0);
	test_plan(t, 196, 196);
	test_install(t, 192, 208, 0);
	KUNIT_EXPECT_EQ(test, rxe_readahead_allowed(&t->mmr.credit), 4);

	test_plan(t, 228, 228);
	KUNIT_EXPECT_EQ(test, t->f.around_first, 228);
	KUNIT_EXPECT_EQ(test, t->f.around_last, 228);
	test_install(t, 228, 229, 0);
	atomic_set(&t->mmr.credit, -5);
	test_plan(t, 229, 229);
	KUNIT_EXPECT_EQ(test, t->f.end, 230);
	test_install(t, 229, 230, 0);
	test_plan(t, 230, 230);
	KUNIT_EXPECT_EQ(test, t->f.end, 230 + 1 + RXE_AHEAD_PAGES_MIN);
	test_fault_end(t);
}

/* What is used pays for more, so that a stream always has its window. */
static void along_pays_off(struct kunit *test)
{
	atomic_t credit = ATOMIC_INIT(0);
	unsigned int i, n = 0;

	for (i = 0; i < 100; i++) {
		n = rxe_readahead_next(&credit, n, RXE_RUN_MIN + i);
		rxe_readahead_taken(&credit, n);
		rxe_readahead_used(&credit, n);
	}
	KUNIT_EXPECT_EQ(test, n, RXE_AHEAD_PAGES_MAX);
	KUNIT_EXPECT_GE(test, atomic_read(&credit), RXE_CREDIT_MAX);
	KUNIT_EXPECT_LT(test, atomic_read(&credit), RXE_CREDIT_MAX +
			(int)RXE_AHEAD_PAGES_MAX * RXE_CREDIT_USED);
	/* debts are paid back, too */
	atomic_set(&credit, -100);
	rxe_readahead_used(&credit, 30);
	KUNIT_EXPECT_EQ(test, atomic_read(&credit), 20);
	/* three of four used: it stays as it is */
	atomic_set(&credit, 300);
	rxe_readahead_taken(&credit, 64);
	rxe_readahead_used(&credit, 48);
	KUNIT_EXPECT_EQ(test, atomic_read(&credit), 300);
}

/* An entry stays used when its page gets other rights. */
static void along_is_marked(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	test_plan(t, 100, 100);
	test_install(t, 98, 104, 0);
	t->region.table[99] |= RXE_ENTRY_USED;
	test_install(t, 98, 104, HMM_PFN_WRITE);
	KUNIT_EXPECT_FALSE(test, t->region.table[98] & RXE_ENTRY_USED);
	KUNIT_EXPECT_TRUE(test, t->region.table[99] & RXE_ENTRY_USED);
	KUNIT_EXPECT_TRUE(test, t->region.table[100] & RXE_ENTRY_USED);
	test_fault_end(t);
}

static void install_upgrade(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	test_plan(t, 100, 100);
	KUNIT_EXPECT_EQ(test, 2, test_install(t, 100, 102, 0));
	KUNIT_EXPECT_EQ(test, 0, test_install(t, 100, 102, 0));
	KUNIT_EXPECT_EQ(test, 2, test_install(t, 100, 102, HMM_PFN_WRITE));
	KUNIT_EXPECT_EQ(test, t->region.nr_valid, 2);
	t->region.table[100] |= RXE_ENTRY_DIRTY;
	KUNIT_EXPECT_EQ(test, 0, test_install(t, 100, 102, HMM_PFN_WRITE));
	KUNIT_EXPECT_TRUE(test, t->region.table[100] & RXE_ENTRY_DIRTY);
	test_fault_end(t);
}

static void install_skips_errors(struct kunit *test)
{
	struct test_fault *t = test_fault(test);

	test_plan(t, 100, 100);
	KUNIT_EXPECT_EQ(test, 0, test_install(t, 100, 102, HMM_PFN_ERROR));
	KUNIT_EXPECT_EQ(test, t->region.nr_valid, 0);
	test_fault_end(t);
}

static void install_whole(struct kunit *test)
{
	unsigned long order = (unsigned long)RXE_REGION_ORDER << HMM_PFN_ORDER_SHIFT;
	struct test_fault *t = test_fault(test);

	test_plan(t, 100, 100);
	KUNIT_EXPECT_EQ(test, 4, test_install(t, 100, 104, 0));
	KUNIT_EXPECT_EQ(test, RXE_REGION_PAGES - 4,
			test_install(t, 100, 101, order | HMM_PFN_WRITE));
	KUNIT_EXPECT_EQ(test, t->region.nr_valid, RXE_REGION_PAGES);
	KUNIT_EXPECT_EQ(test, t->region.ra_next, RXE_REGION_PAGES);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(&t->region, 0),
			rxe_entry(TEST_PFN, true));
	KUNIT_EXPECT_EQ(test, rxe_region_entry(&t->region, 511),
			rxe_entry(TEST_PFN + 511, true));
	/* nothing of the table shows through when it goes */
	KUNIT_EXPECT_EQ(test, t->region.table[100], 0);
	KUNIT_EXPECT_EQ(test, 0, test_install(t, 100, 101, order | HMM_PFN_WRITE));
	/* less than that is no longer one mapping */
	KUNIT_EXPECT_EQ(test, 1, test_install(t, 100, 101, 0));
	KUNIT_EXPECT_EQ(test, t->region.nr_valid, 1);
	KUNIT_EXPECT_EQ(test, rxe_region_entry(&t->region, 0), 0);
	test_fault_end(t);
}

static void budget_ends(struct kunit *test)
{
	struct rxe_fault_budget budget;
	unsigned int n = 0;

	rxe_fault_budget_init(&budget);
	budget.deadline = jiffies + 60 * HZ;
	while (!rxe_fault_budget_spent(&budget))
		n++;
	KUNIT_EXPECT_EQ(test, n, RXE_FAULT_BUDGET_TRIES);

	rxe_fault_budget_init(&budget);
	budget.deadline = jiffies - 1;
	for (n = 0; !rxe_fault_budget_spent(&budget); n++)
		;
	KUNIT_EXPECT_EQ(test, n, RXE_FAULT_BUDGET_MIN);
}

static struct kunit_case rxe_mirror_plan_cases[] = {
	KUNIT_CASE(plan_single),
	KUNIT_CASE(plan_prefetch),
	KUNIT_CASE(plan_clamped),
	KUNIT_CASE(ahead_doubles),
	KUNIT_CASE(ahead_needs_order),
	KUNIT_CASE(ahead_across_regions),
	KUNIT_CASE(ahead_ends_with_region),
	KUNIT_CASE(install_some),
	KUNIT_CASE(along_is_earned),
	KUNIT_CASE(along_is_lent),
	KUNIT_CASE(along_needs_credit),
	KUNIT_CASE(along_pays_off),
	KUNIT_CASE(along_is_marked),
	KUNIT_CASE(install_upgrade),
	KUNIT_CASE(install_skips_errors),
	KUNIT_CASE(install_whole),
	KUNIT_CASE(budget_ends),
	{}
};

static struct kunit_suite rxe_mirror_plan_suite = {
	.name = "rxe_mirror_plan",
	.test_cases = rxe_mirror_plan_cases,
};

kunit_test_suite(rxe_mirror_plan_suite);
