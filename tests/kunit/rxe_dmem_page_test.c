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

/* Takes a page, or a block, and returns its number in the chunk. */
static unsigned long test_take(struct rxe_dmem *dmem, unsigned int i,
			       unsigned int order)
{
	struct page *page;

	spin_lock_irq(&dmem->lock);
	page = block_take(dmem, test_block(dmem, i), order);
	spin_unlock_irq(&dmem->lock);

	return page_to_pfn(page) - PHYS_PFN(TEST_START);
}

/* Gives one page back, as rxe_dmem_folio_free() does. */
static void test_give(struct rxe_dmem *dmem, unsigned int i, unsigned int page)
{
	struct rxe_dmem_block *block = test_block(dmem, i);

	spin_lock_irq(&dmem->lock);
	__clear_bit(page, block->used);
	block->nr_used--;
	dmem->used--;
	rxe_dmem_file(dmem, block);
	spin_unlock_irq(&dmem->lock);
}

static void take_pages(struct kunit *test)
{
	struct rxe_dmem *dmem = test_dmem(test);
	struct rxe_dmem_block *block = test_block(dmem, 1);
	unsigned long i;

	for (i = 0; i < RXE_DMEM_BLOCK_PAGES; i++) {
		KUNIT_ASSERT_EQ(test, test_take(dmem, 1, 0), RXE_DMEM_BLOCK_PAGES + i);
		KUNIT_ASSERT_EQ(test, dmem->used, i + 1);
	}
	/* full: on no list */
	KUNIT_EXPECT_TRUE(test, list_empty(&block->node));
	KUNIT_EXPECT_TRUE(test, list_empty(&dmem->partial));

	test_give(dmem, 1, 7);
	KUNIT_EXPECT_PTR_EQ(test, dmem->partial.next, &block->node);
	KUNIT_EXPECT_EQ(test, test_take(dmem, 1, 0), RXE_DMEM_BLOCK_PAGES + 7);
	for (i = 0; i < RXE_DMEM_BLOCK_PAGES; i++)
		test_give(dmem, 1, i);
	KUNIT_EXPECT_TRUE(test, list_empty(&dmem->partial));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&dmem->free), TEST_BLOCKS);
	KUNIT_EXPECT_EQ(test, dmem->used, 0);
	KUNIT_EXPECT_EQ(test, dmem->peak, RXE_DMEM_BLOCK_PAGES);
}

static void take_block(struct kunit *test)
{
	struct rxe_dmem *dmem = test_dmem(test);

	KUNIT_EXPECT_EQ(test, test_take(dmem, 2, RXE_DMEM_BLOCK_ORDER),
			2 * RXE_DMEM_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, dmem->used, RXE_DMEM_BLOCK_PAGES);
	KUNIT_EXPECT_TRUE(test, bitmap_full(test_block(dmem, 2)->used,
					    RXE_DMEM_BLOCK_PAGES));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&dmem->free), TEST_BLOCKS - 1);
}

/* Neither more than the size allows, nor what is on no list. */
static void alloc_none(struct kunit *test)
{
	struct rxe_dmem *dmem = test_dmem(test);
	unsigned int i;

	dmem->size = RXE_DMEM_BLOCK_PAGES;
	test_take(dmem, 0, 0);
	KUNIT_EXPECT_NULL(test, rxe_dmem_alloc(dmem, RXE_DMEM_BLOCK_ORDER));
	for (i = 1; i < RXE_DMEM_BLOCK_PAGES; i++)
		test_take(dmem, 0, 0);
	KUNIT_EXPECT_NULL(test, rxe_dmem_alloc(dmem, 0));

	dmem->size = TEST_BLOCKS * RXE_DMEM_BLOCK_PAGES;
	for (i = 1; i < TEST_BLOCKS; i++)
		test_take(dmem, i, 0);
	KUNIT_EXPECT_NULL(test, rxe_dmem_alloc(dmem, RXE_DMEM_BLOCK_ORDER));
}

static void pick_coldest(struct kunit *test)
{
	unsigned long *pfns = kunit_kcalloc(test, RXE_DMEM_BLOCK_PAGES, sizeof(*pfns),
					    GFP_KERNEL);
	struct rxe_dmem *dmem = test_dmem(test);
	u64 after = 0, clock;

	KUNIT_ASSERT_NOT_NULL(test, pfns);
	KUNIT_EXPECT_EQ(test, rxe_dmem_pick_coldest(dmem, &after, U64_MAX, pfns), 0);
	test_take(dmem, 0, 0);
	test_take(dmem, 2, 0);
	test_take(dmem, 2, 0);
	clock = rxe_dmem_clock(dmem);
	test_take(dmem, 1, 0);
	test_take(dmem, 0, 0);

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
	for (i = 0; i < 4; i++) {
		test_take(dmem, 0, 0);
		test_take(dmem, 2, 0);
		tags[i].mirror = 1 + i % 2;
	}
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

static void count_users(struct kunit *test)
{
	struct rxe_dmem_user a, b;

	KUNIT_ASSERT_EQ(test, rxe_dmem_user_add(&a), 0);
	KUNIT_ASSERT_EQ(test, rxe_dmem_user_add(&b), 0);
	KUNIT_EXPECT_NE(test, a.id, 0);
	KUNIT_EXPECT_NE(test, a.id, b.id);
	count_user(a.id, 5);
	count_user(b.id, 7);
	count_user(a.id, -2);
	count_user(0, 100);
	count_moved(b.id, 3, RXE_DMEM_EVICTED);
	KUNIT_EXPECT_EQ(test, atomic64_read(&a.nr_pages), 3);
	KUNIT_EXPECT_EQ(test, atomic64_read(&b.nr_pages), 7);
	KUNIT_EXPECT_EQ(test, atomic64_read(&b.nr_moved[RXE_DMEM_EVICTED]), 3);
	KUNIT_EXPECT_EQ(test, atomic64_read(&a.nr_moved[RXE_DMEM_EVICTED]), 0);
	rxe_dmem_user_del(&a);
	/* gone: what comes late is not counted */
	count_user(a.id, 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&a.nr_pages), 3);
	rxe_dmem_user_del(&b);
}

static struct kunit_case rxe_dmem_page_cases[] = {
	KUNIT_CASE(take_pages),
	KUNIT_CASE(take_block),
	KUNIT_CASE(alloc_none),
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
