// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory: the allocator of pages and folios, and whose they are.
 *
 * An active block is on the list of free ones, on that of partly used ones, or
 * on none if all of it is used. A folio of 2 MiB takes a whole block; pages are
 * taken from blocks that are partly used first, so that free blocks last.
 *
 * Pages come back through folio_free(), from any context: when a process
 * unmaps them, and when they were migrated to RAM.
 *
 * A page has a tag that says through which mirror and which MR it came, so that
 * all pages of a process can be found, and those of an MR be counted. A block
 * has a stamp that says when it was last used, for eviction.
 *
 * All of it is guarded by dmem->lock.
 */
#include <linux/xarray.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_dmem_chunk.h"

/* Users by id; read under RCU. */
static DEFINE_XARRAY_FLAGS(users, XA_FLAGS_ALLOC1);

/**
 * rxe_dmem_file - put a block on the list where it belongs
 * @dmem: the device's memory
 * @block: an active block
 *
 * Context: dmem->lock is held.
 */
void rxe_dmem_file(struct rxe_dmem *dmem, struct rxe_dmem_block *block)
{
	lockdep_assert_held(&dmem->lock);

	if (!block->nr_used)
		list_move(&block->node, &dmem->free);
	else if (block->nr_used < RXE_DMEM_BLOCK_PAGES)
		list_move(&block->node, &dmem->partial);
	else
		list_del_init(&block->node);
}

static void count_user(u32 id, long pages)
{
	struct rxe_dmem_user *user;

	if (!id)
		return;
	rcu_read_lock();
	user = xa_load(&users, id);
	if (user)
		atomic64_add(pages, &user->nr_pages);
	rcu_read_unlock();
}

/**
 * rxe_dmem_folio_free - folio_free() of struct dev_pagemap_ops
 * @folio: a folio without references
 *
 * Context: any.
 */
void rxe_dmem_folio_free(struct folio *folio)
{
	struct page *page = folio_page(folio, 0);
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);
	struct rxe_dmem_block *block = rxe_dmem_block_of(page);
	unsigned long i = rxe_dmem_index(chunk, page);
	unsigned int nr = folio_nr_pages(folio);
	struct rxe_dmem *dmem = chunk->dmem;
	struct rxe_dmem_tag tag;
	unsigned long flags;

	spin_lock_irqsave(&dmem->lock, flags);
	tag = chunk->tags[i];
	memset(&chunk->tags[i], 0, nr * sizeof(tag));
	bitmap_clear(block->used, i % RXE_DMEM_BLOCK_PAGES, nr);
	block->nr_used -= nr;
	dmem->used -= nr;
	rxe_dmem_file(dmem, block);
	spin_unlock_irqrestore(&dmem->lock, flags);

	count_user(tag.mirror, -(long)nr);
	count_user(tag.mr, -(long)nr);
}

/* Mark a page, or the whole block, used; returns the first page. */
static struct page *block_take(struct rxe_dmem *dmem, struct rxe_dmem_block *block,
			       unsigned int order)
{
	unsigned int first = 0, nr = 1U << order;

	lockdep_assert_held(&dmem->lock);

	if (!order)
		first = find_first_zero_bit(block->used, RXE_DMEM_BLOCK_PAGES);
	bitmap_set(block->used, first, nr);
	block->nr_used += nr;
	block->stamp = ++dmem->clock;
	rxe_dmem_file(dmem, block);
	dmem->used += nr;
	dmem->peak = max(dmem->peak, dmem->used);

	return pfn_to_page(rxe_dmem_block_pfn(block) + first);
}

/**
 * rxe_dmem_alloc - take a page or a folio
 * @dmem: the device's memory
 * @order: 0 or %RXE_DMEM_BLOCK_ORDER
 *
 * Context: process; doesn't sleep but for the lock of the page, which nobody
 * else holds.
 * Return: the first page, locked, with one reference, contents undefined; NULL
 * if there is none: rxe_dmem_populate() makes some.
 */
struct page *rxe_dmem_alloc(struct rxe_dmem *dmem, unsigned int order)
{
	struct rxe_dmem_block *block = NULL;
	struct page *page = NULL;
	struct rxe_dmem_chunk *chunk;
	unsigned long flags;

	spin_lock_irqsave(&dmem->lock, flags);
	if (dmem->used + (1UL << order) > dmem->size)
		goto out;
	if (!order)
		block = list_first_entry_or_null(&dmem->partial, struct rxe_dmem_block,
						 node);
	if (!block)
		block = list_first_entry_or_null(&dmem->free, struct rxe_dmem_block, node);
	if (block) {
		page = block_take(dmem, block, order);
		chunk = block->chunk;
	}
out:
	spin_unlock_irqrestore(&dmem->lock, flags);

	/* the page's own pagemap isn't valid before */
	if (page)
		zone_device_folio_init((struct folio *)page, &chunk->pagemap,
				       order);

	return page;
}

/**
 * rxe_dmem_backing - where the contents of a page are
 * @page: a page of device memory, in use
 *
 * Context: any; the caller holds the page, or an entry of a mirror for it.
 * Return: the page of RAM that stands in for it.
 */
struct page *rxe_dmem_backing(struct page *page)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);

	return rxe_dmem_block_page(rxe_dmem_block_of(page),
			     rxe_dmem_index(chunk, page) % RXE_DMEM_BLOCK_PAGES);
}

/**
 * rxe_dmem_is_block - are the contents of the block one run of memory?
 * @page: a page of device memory, in use
 *
 * Context: any, as rxe_dmem_backing().
 * Return: whether the backings of the block follow each other.
 */
bool rxe_dmem_is_block(struct page *page)
{
	return rxe_dmem_block_of(page)->run;
}

/**
 * rxe_dmem_of - the memory that a page belongs to
 * @page: a page of device memory, in use
 *
 * Context: any.
 * Return: the device's memory.
 */
struct rxe_dmem *rxe_dmem_of(struct page *page)
{
	return rxe_dmem_chunk_of(page)->dmem;
}

/**
 * rxe_dmem_dev - whose memory it is
 * @dmem: the memory
 *
 * Context: any.
 * Return: the device.
 */
struct rxe_dev *rxe_dmem_dev(struct rxe_dmem *dmem)
{
	return dmem->rxe;
}

/**
 * rxe_dmem_set_tag - say whose pages they are
 * @page: the first of them; the caller holds a reference to each
 * @pages: how many
 * @tag: whose
 *
 * Context: any.
 */
void rxe_dmem_set_tag(struct page *page, unsigned int pages,
		      struct rxe_dmem_tag tag)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);
	unsigned long i = rxe_dmem_index(chunk, page);
	unsigned long flags;
	unsigned int k;

	spin_lock_irqsave(&chunk->dmem->lock, flags);
	for (k = 0; k < pages; k++)
		chunk->tags[i + k] = tag;
	spin_unlock_irqrestore(&chunk->dmem->lock, flags);

	count_user(tag.mirror, pages);
	count_user(tag.mr, pages);
}

static void count_moved(u32 id, unsigned int pages, enum rxe_dmem_move move)
{
	struct rxe_dmem_user *user;

	if (!id)
		return;
	rcu_read_lock();
	user = xa_load(&users, id);
	if (user)
		atomic64_add(pages, &user->nr_moved[move]);
	rcu_read_unlock();
}

/**
 * rxe_dmem_count - tell a page's users how it came or goes
 * @page: the page, or the first of a folio; the caller holds a reference
 * @pages: how many
 * @move: how
 *
 * Context: any.
 */
void rxe_dmem_count(struct page *page, unsigned int pages,
		    enum rxe_dmem_move move)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);
	struct rxe_dmem_tag tag = chunk->tags[rxe_dmem_index(chunk, page)];

	atomic64_add(pages, &chunk->dmem->rxe->stats_counters[RXE_CNT_PAGES_PROMOTED + move]);
	count_moved(tag.mirror, pages, move);
	count_moved(tag.mr, pages, move);
}

/**
 * rxe_dmem_touch - a page was used
 * @page: a page of device memory, in use
 *
 * Context: any.
 */
void rxe_dmem_touch(struct page *page)
{
	struct rxe_dmem_block *block = rxe_dmem_block_of(page);
	struct rxe_dmem *dmem = block->chunk->dmem;
	unsigned long flags;

	spin_lock_irqsave(&dmem->lock, flags);
	block->stamp = ++dmem->clock;
	spin_unlock_irqrestore(&dmem->lock, flags);
}

/**
 * rxe_dmem_front - the page that a backing stands in for
 * @backing: what rxe_dmem_backing() returned
 *
 * Context: any.
 * Return: the page of device memory.
 */
struct page *rxe_dmem_front(struct page *backing)
{
	return pfn_to_page(page_private(backing));
}

/**
 * rxe_dmem_clock - now, as stamps of blocks have it
 * @dmem: the device's memory
 *
 * Context: any.
 * Return: a number that no block's stamp exceeds yet.
 */
u64 rxe_dmem_clock(struct rxe_dmem *dmem)
{
	unsigned long flags;
	u64 clock;

	spin_lock_irqsave(&dmem->lock, flags);
	clock = dmem->clock;
	spin_unlock_irqrestore(&dmem->lock, flags);

	return clock;
}

static unsigned int list_used(const struct rxe_dmem_block *block,
			      unsigned long *pfns)
{
	unsigned long first = rxe_dmem_block_pfn(block);
	unsigned int i, n = 0;

	for_each_set_bit(i, block->used, RXE_DMEM_BLOCK_PAGES)
		pfns[n++] = first + i;

	return n;
}

/**
 * rxe_dmem_pick_coldest - pages of the block that wasn't used for longest
 * @dmem: the device's memory
 * @after: only blocks used after this; moved to the block's stamp
 * @before: and not after this
 * @pfns: where to put the pages in use, room for a block
 *
 * With the same @after, each call picks the next block.
 *
 * Context: process.
 * Return: how many pages; 0 if there is no such block.
 */
unsigned int rxe_dmem_pick_coldest(struct rxe_dmem *dmem, u64 *after, u64 before,
				   unsigned long *pfns)
{
	struct rxe_dmem_block *block, *coldest = NULL;
	struct rxe_dmem_chunk *chunk;
	unsigned int n = 0;

	spin_lock_irq(&dmem->lock);
	list_for_each_entry(chunk, &dmem->chunks, node)
		for (block = chunk->blocks;
		     block < chunk->blocks + chunk->nr_blocks; block++)
			if (block->nr_used && block->stamp > *after &&
			    block->stamp <= before &&
			    (!coldest || block->stamp < coldest->stamp))
				coldest = block;
	if (coldest) {
		*after = coldest->stamp;
		n = list_used(coldest, pfns);
	}
	spin_unlock_irq(&dmem->lock);

	return n;
}

static unsigned int list_mirror(const struct rxe_dmem_block *block, u32 mirror,
				unsigned long *pfns)
{
	const struct rxe_dmem_chunk *chunk = block->chunk;
	unsigned long first = rxe_dmem_block_pfn(block);
	unsigned long base = (block - chunk->blocks) * RXE_DMEM_BLOCK_PAGES;
	unsigned int i, n = 0;

	for_each_set_bit(i, block->used, RXE_DMEM_BLOCK_PAGES)
		if (chunk->tags[base + i].mirror == mirror)
			pfns[n++] = first + i;

	return n;
}

/**
 * rxe_dmem_pick_mirror - pages that came through a mirror, block by block
 * @dmem: the device's memory
 * @mirror: id of the mirror's user
 * @cursor: 0 at first; where the next call goes on
 * @pfns: where to put the pages in use, room for a block
 *
 * Context: process.
 * Return: how many pages; 0 if there are no more.
 */
unsigned int rxe_dmem_pick_mirror(struct rxe_dmem *dmem, u32 mirror,
				  unsigned long *cursor, unsigned long *pfns)
{
	struct rxe_dmem_chunk *chunk;
	unsigned long at = 0;
	unsigned int i, n = 0;

	spin_lock_irq(&dmem->lock);
	list_for_each_entry(chunk, &dmem->chunks, node) {
		for (i = 0; !n && i < chunk->nr_blocks; i++) {
			if (at++ < *cursor)
				continue;
			*cursor = at;
			n = list_mirror(&chunk->blocks[i], mirror, pfns);
		}
		if (n)
			break;
	}
	spin_unlock_irq(&dmem->lock);

	return n;
}

/**
 * rxe_dmem_user_add - someone whose pages are to be counted
 * @user: who; gets an id
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_dmem_user_add(struct rxe_dmem_user *user)
{
	unsigned int i;
	int err;

	atomic64_set(&user->nr_pages, 0);
	for (i = 0; i < RXE_DMEM_MOVES; i++)
		atomic64_set(&user->nr_moved[i], 0);
	err = xa_alloc(&users, &user->id, user, xa_limit_32b, GFP_KERNEL);

	return err ? -ENOMEM : 0;
}

/**
 * rxe_dmem_user_del - stop counting someone's pages
 * @user: who; must outlive an RCU grace period from now
 *
 * Context: any but irq.
 */
void rxe_dmem_user_del(struct rxe_dmem_user *user)
{
	xa_erase(&users, user->id);
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_dmem_page_test.c"
#endif
