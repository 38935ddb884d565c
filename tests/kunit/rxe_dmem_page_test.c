// SPDX-License-Identifier: GPL-2.0
/*
 * The allocator of device memory: which page of which block is taken, on which
 * list a block is then, what is picked for eviction. Included at the end of
 * rxe_dmem_page.c. The address space is invented: nothing here looks at a
 * struct page.
 */
#include <kunit/test.h>

#define TEST_BLOCKS	3U
#define TEST_START	(1UL << 40)

/* Memory of three blocks, all of them active and free. */
static struct rxe_dmem *test_dmem(struct kunit *test)
{
	unsigned long pages = TEST_BLOCKS * RXE_DMEM_BLOCK_PAGES;
	struct rxe_dmem_chunk *chunk;
	struct rxe_dmem *dmem;
	unsigned int i;

	dmem = kunit_kzalloc(test, sizeof(*dmem), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dmem);
	spin_lock_init(&dmem->lock);
	INIT_LIST_HEAD(&dmem->chunks);
	INIT_LIST_HEAD(&dmem->free);
	INIT_LIST_HEAD(&dmem->partial);
	dmem->size = pages;
	dmem->active = pages;

	chunk = kunit_kzalloc(test, struct_size(chunk, blocks, TEST_BLOCKS), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	chunk->dmem = dmem;
	chunk->nr_blocks = TEST_BLOCKS;
	chunk->nr_active = TEST_BLOCKS;
	chunk->pagemap.range.start = TEST_START;
	chunk->pagemap.range.end = TEST_START + (pages << PAGE_SHIFT) - 1;
	chunk->tags = kunit_kcalloc(test, pages, sizeof(*chunk->tags), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chunk->tags);
	list_add_tail(&chunk->node, &dmem->chunks);
	for (i = 0; i < TEST_BLOCKS; i++) {
		chunk->blocks[i].chunk = chunk;
		list_add_tail(&chunk->blocks[i].node, &dmem->free);
	}

	return dmem;
}

static struct rxe_dmem_block *test_block(struct rxe_dmem *dmem, unsigned int i)
{
	struct rxe_dmem_chunk *chunk;

	chunk = list_first_entry(&dmem->chunks, struct rxe_dmem_chunk, node);

	return &chunk->blocks[i];
}

/* Take pages of a block; returns the number of the first in the chunk. */
static unsigned long test_take(struct rxe_dmem *dmem, unsigned int i,
			       unsigned int first, unsigned int nr)
{
	struct page *page;

	spin_lock_irq(&dmem->lock);
	page = block_take(dmem, test_block(dmem, i), first, nr);
	spin_unlock_irq(&dmem->lock);

	return page_to_pfn(page) - PHYS_PFN(TEST_START);
}

/* Give pages back, as rxe_dmem_untake() does with what was not used. */
static void test_give(struct rxe_dmem *dmem, unsigned int i, unsigned int first,
		      unsigned int nr)
{
	struct rxe_dmem_block *block = test_block(dmem, i);
	struct rxe_dmem_run run = {
		.block = block,
		.page = pfn_to_page(rxe_dmem_block_pfn(block) + first),
		.nr = nr,
	};

	rxe_dmem_untake(dmem, &run);
}

static void take_runs(struct kunit *test)
{
	struct rxe_dmem *dmem = test_dmem(test);
	struct rxe_dmem_block *block = test_block(dmem, 0);
	struct rxe_dmem_run run = {}, more = {};

	KUNIT_EXPECT_EQ(test, rxe_dmem_take(dmem, &run, 10), 10);
	KUNIT_EXPECT_PTR_EQ(test, run.block, block);
	KUNIT_EXPECT_EQ(test, page_to_pfn(run.page), PHYS_PFN(TEST_START));
	KUNIT_EXPECT_PTR_EQ(test, dmem->partial.next, &block->node);
	KUNIT_EXPECT_EQ(test, dmem->used, 10);

	/* a hole is as long as it is, and partly used blocks come first */
	test_give(dmem, 0, 3, 4);
	KUNIT_EXPECT_EQ(test, rxe_dmem_take(dmem, &more, 100), 4);
	KUNIT_EXPECT_EQ(test, page_to_pfn(more.page), PHYS_PFN(TEST_START) + 3);
	more.nr = 0;
	KUNIT_EXPECT_EQ(test, rxe_dmem_take(dmem, &more, 10 * RXE_DMEM_BLOCK_PAGES),
			RXE_DMEM_BLOCK_PAGES - 10);
	/* full: on no list */
	KUNIT_EXPECT_TRUE(test, list_empty(&block->node));
	KUNIT_EXPECT_TRUE(test, list_empty(&dmem->partial));

	rxe_dmem_untake(dmem, &more);
	KUNIT_EXPECT_EQ(test, more.nr, 0);
	rxe_dmem_untake(dmem, &more);
	rxe_dmem_untake(dmem, &run);
	KUNIT_EXPECT_TRUE(test, list_empty(&dmem->partial));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&dmem->free), TEST_BLOCKS);
	KUNIT_EXPECT_EQ(test, dmem->used, 0);
	KUNIT_EXPECT_EQ(test, dmem->peak, RXE_DMEM_BLOCK_PAGES);
}

/* Neither more than the size allows, nor what is on no list. */
static void take_none(struct kunit *test)
{
	struct rxe_dmem *dmem = test_dmem(test);
	struct rxe_dmem_run run = {};
	unsigned int i;

	dmem->size = RXE_DMEM_BLOCK_PAGES;
	test_take(dmem, 1, 0, 1);
	KUNIT_EXPECT_NULL(test, rxe_dmem_alloc_folio(dmem));
	KUNIT_EXPECT_EQ(test, rxe_dmem_take(dmem, &run, 2 * RXE_DMEM_BLOCK_PAGES),
			RXE_DMEM_BLOCK_PAGES - 1);
	run.nr = 0;
	KUNIT_EXPECT_EQ(test, rxe_dmem_take(dmem, &run, 1), 0);

	dmem->size = 0;
	KUNIT_EXPECT_EQ(test, rxe_dmem_take(dmem, &run, 1), 0);

	/* room, but no whole block */
	dmem->size = TEST_BLOCKS * RXE_DMEM_BLOCK_PAGES;
	for (i = 0; i < TEST_BLOCKS; i += 2)
		test_take(dmem, i, 0, 1);
	KUNIT_EXPECT_NULL(test, rxe_dmem_alloc_folio(dmem));
}

static void pick_coldest(struct kunit *test)
{
	unsigned long *pfns = kunit_kcalloc(test, RXE_DMEM_BLOCK_PAGES, sizeof(*pfns),
					    GFP_KERNEL);
	struct rxe_dmem *dmem = test_dmem(test);
	u64 after = 0, clock;

	KUNIT_ASSERT_NOT_NULL(test, pfns);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, U64_MAX, pfns), 0);
	test_take(dmem, 0, 0, 1);
	test_take(dmem, 2, 0, 2);
	clock = rxe_dmem_clock(dmem);
	test_take(dmem, 1, 0, 1);
	test_take(dmem, 0, 1, 1);

	/* 2 was used before 1, and that before 0 */
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, clock, pfns), 2);
	KUNIT_EXPECT_EQ(test, pfns[0], PHYS_PFN(TEST_START) + 2 * RXE_DMEM_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, pfns[1], pfns[0] + 1);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, clock, pfns), 0);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, U64_MAX, pfns), 1);
	KUNIT_EXPECT_EQ(test, pfns[0], PHYS_PFN(TEST_START) + RXE_DMEM_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, U64_MAX, pfns), 2);
	KUNIT_EXPECT_EQ(test, pfns[0], PHYS_PFN(TEST_START));
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, U64_MAX, pfns), 0);
}

static void pick_mirror(struct kunit *test)
{
	unsigned long *pfns = kunit_kcalloc(test, RXE_DMEM_BLOCK_PAGES, sizeof(*pfns),
					    GFP_KERNEL);
	struct rxe_dmem *dmem = test_dmem(test);
	struct rxe_dmem_tag *tags = test_block(dmem, 0)->chunk->tags;
	unsigned long cursor = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pfns);
	test_take(dmem, 0, 0, 4);
	test_take(dmem, 2, 0, 4);
	for (i = 0; i < 4; i++)
		tags[i].mirror = 1 + i % 2;
	tags[2 * RXE_DMEM_BLOCK_PAGES + 3].mirror = 2;
	/* the tag of a page that nobody uses says nothing */
	tags[2 * RXE_DMEM_BLOCK_PAGES + 4].mirror = 2;

	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_mirror(dmem, 2, &cursor, pfns), 2);
	KUNIT_EXPECT_EQ(test, pfns[0], PHYS_PFN(TEST_START) + 1);
	KUNIT_EXPECT_EQ(test, pfns[1], PHYS_PFN(TEST_START) + 3);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_mirror(dmem, 2, &cursor, pfns), 1);
	KUNIT_EXPECT_EQ(test, pfns[0], PHYS_PFN(TEST_START) + 2 * RXE_DMEM_BLOCK_PAGES + 3);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_mirror(dmem, 2, &cursor, pfns), 0);
	cursor = 0;
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_mirror(dmem, 3, &cursor, pfns), 0);
}

static void test_count(struct rxe_dmem *dmem, u32 id, long pages)
{
	spin_lock_irq(&dmem->lock);
	count_pages(dmem, id, pages);
	spin_unlock_irq(&dmem->lock);
}

static void count_users(struct kunit *test)
{
	struct rxe_dmem *dmem = test_dmem(test);
	struct rxe_dmem_user a, b;
	u32 id;

	KUNIT_ASSERT_EQ(test, rxe_dmem_user_add(&a), 0);
	KUNIT_ASSERT_EQ(test, rxe_dmem_user_add(&b), 0);
	KUNIT_EXPECT_NE(test, a.id, 0);
	KUNIT_EXPECT_NE(test, a.id, b.id);
	test_count(dmem, a.id, 5);
	test_count(dmem, b.id, 7);
	test_count(dmem, a.id, -2);
	test_count(dmem, 0, 100);
	KUNIT_EXPECT_EQ(test, a.nr_pages, 3);
	KUNIT_EXPECT_EQ(test, b.nr_pages, 7);

	/* gone, also if it was the last that was counted */
	test_count(dmem, a.id, 1);
	id = a.id;
	rxe_dmem_user_del(dmem, &a);
	test_count(dmem, id, 1);
	KUNIT_EXPECT_EQ(test, a.nr_pages, 4);
	rxe_dmem_user_del(dmem, &b);
}

static struct kunit_case rxe_dmem_page_cases[] = {
	KUNIT_CASE(take_runs),
	KUNIT_CASE(take_none),
	KUNIT_CASE(pick_coldest),
	KUNIT_CASE(pick_mirror),
	KUNIT_CASE(count_users),
	{}
};

static struct kunit_suite rxe_dmem_page_suite = {
	.name = "rxe_dmem_page",
	.test_cases = rxe_dmem_page_cases,
};
kunit_test_suite(rxe_dmem_page_suite);
