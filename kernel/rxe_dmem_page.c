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
 * all pages of a process can be found, and those of an MR be counted (the MR is
 * a "user"; what is counted is guarded by the lock of its device). A block
 * has a stamp that says when it was last used, for eviction.
 *
 * All of it is guarded by dmem->lock.
 */
#include <linux/xarray.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_dmem_chunk.h"

/* All users by id. */
static DEFINE_XARRAY_FLAGS(users, XA_FLAGS_ALLOC1);
static u32 next_user;

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

/*
 * The user with that id, or NULL. Pages of one user mostly go together, so the
 * last one found is remembered; rxe_dmem_user_del() has it forgotten.
 */
static struct rxe_dmem_user *last_user(struct rxe_dmem *dmem, u32 id)
{
	lockdep_assert_held(&dmem->lock);

	if (dmem->user_id != id) {
		dmem->user_id = id;
		dmem->user = xa_load(&users, id);
	}

	return dmem->user;
}

static void count_pages(struct rxe_dmem *dmem, u32 id, long pages)
{
	struct rxe_dmem_user *user = last_user(dmem, id);

	if (user)
		user->nr_pages += pages;
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
	count_pages(dmem, tag.mr, -(long)nr);
	spin_unlock_irqrestore(&dmem->lock, flags);
}

static struct page *block_take(struct rxe_dmem *dmem,
			       struct rxe_dmem_block *block,
			       unsigned int first, unsigned int nr)
{
	lockdep_assert_held(&dmem->lock);

	bitmap_set(block->used, first, nr);
	block->nr_used += nr;
	block->stamp = ++dmem->clock;
	rxe_dmem_file(dmem, block);
	dmem->used += nr;
	dmem->peak = max(dmem->peak, dmem->used);

	return pfn_to_page(rxe_dmem_block_pfn(block) + first);
}

/* A block with a page to spare, rather one that is in use already. */
static struct rxe_dmem_block *first_block(struct rxe_dmem *dmem, bool whole)
{
	struct rxe_dmem_block *block = NULL;

	lockdep_assert_held(&dmem->lock);

	if (!whole)
		block = list_first_entry_or_null(&dmem->partial,
						 struct rxe_dmem_block, node);
	if (!block)
		block = list_first_entry_or_null(&dmem->free,
						 struct rxe_dmem_block, node);

	return block;
}

/**
 * rxe_dmem_alloc_folio - take a folio of a whole block
 * @dmem: the device's memory
 *
 * Context: process; doesn't sleep.
 * Return: its first page, locked, with one reference, contents undefined; NULL
 * if there is none: rxe_dmem_populate() makes some.
 */
struct page *rxe_dmem_alloc_folio(struct rxe_dmem *dmem)
{
	struct rxe_dmem_block *block = NULL;
	struct page *page;

	spin_lock_irq(&dmem->lock);
	if (dmem->used + RXE_DMEM_BLOCK_PAGES <= dmem->size)
		block = first_block(dmem, true);
	if (block)
		page = block_take(dmem, block, 0, RXE_DMEM_BLOCK_PAGES);
	spin_unlock_irq(&dmem->lock);
	if (!block)
		return NULL;

	/* the page's own pagemap isn't valid before */
	zone_device_folio_init((struct folio *)page, &block->chunk->pagemap,
			       RXE_DMEM_BLOCK_ORDER);

	return page;
}

/**
 * rxe_dmem_take - take pages that follow each other
 * @dmem: the device's memory
 * @run: where to put them; empty
 * @want: how many there may be
 *
 * Context: process; doesn't sleep.
 * Return: how many there are, 0 if there are none.
 */
unsigned int rxe_dmem_take(struct rxe_dmem *dmem, struct rxe_dmem_run *run,
			   unsigned int want)
{
	struct rxe_dmem_block *block;
	unsigned int first, end;

	run->nr = 0;
	spin_lock_irq(&dmem->lock);
	want = min_t(unsigned long, want,
		     dmem->size - min(dmem->size, dmem->used));
	block = want ? first_block(dmem, false) : NULL;
	if (block) {
		first = find_first_zero_bit(block->used, RXE_DMEM_BLOCK_PAGES);
		end = find_next_bit(block->used, RXE_DMEM_BLOCK_PAGES, first);
		run->nr = min(want, end - first);
		run->page = block_take(dmem, block, first, run->nr);
		run->block = block;
	}
	spin_unlock_irq(&dmem->lock);

	return run->nr;
}

/**
 * rxe_dmem_next - make a page of those taken one in use
 * @run: what rxe_dmem_take() filled, not empty
 *
 * Context: process; doesn't sleep.
 * Return: the page, locked, with one reference, contents undefined.
 */
struct page *rxe_dmem_next(struct rxe_dmem_run *run)
{
	struct page *page = run->page++;

	run->nr--;
	zone_device_folio_init((struct folio *)page,
			       &run->block->chunk->pagemap, 0);

	return page;
}

/**
 * rxe_dmem_untake - give back the rest of what was taken
 * @dmem: the device's memory
 * @run: what rxe_dmem_take() filled; empty afterwards
 *
 * Context: process.
 */
void rxe_dmem_untake(struct rxe_dmem *dmem, struct rxe_dmem_run *run)
{
	struct rxe_dmem_block *block = run->block;

	if (!run->nr)
		return;
	spin_lock_irq(&dmem->lock);
	bitmap_clear(block->used,
		     page_to_pfn(run->page) - rxe_dmem_block_pfn(block), run->nr);
	block->nr_used -= run->nr;
	dmem->used -= run->nr;
	rxe_dmem_file(dmem, block);
	spin_unlock_irq(&dmem->lock);
	run->nr = 0;
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
 * rxe_dmem_contents - where the contents of a page are, for a copy
 * @page: a page of device memory, in use
 * @addr: where the CPU finds them
 * @nr: how many pages from this one on have theirs one behind the other
 *
 * A mapping of its own, since a folio of RAM and its block have the same offset
 * in 2 MiB of the direct map: an emulated TLB that is mapped directly has one
 * place for the two, and misses at each turn. All of the block is mapped there.
 *
 * Context: any, as rxe_dmem_backing().
 * Return: what rxe_dmem_backing() does.
 */
struct page *rxe_dmem_contents(struct page *page, void **addr, unsigned int *nr)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);
	unsigned long index = rxe_dmem_index(chunk, page);
	struct rxe_dmem_block *block = &chunk->blocks[index >> RXE_DMEM_BLOCK_ORDER];
	unsigned int i = index % RXE_DMEM_BLOCK_PAGES;

	*addr = block->addr + ((unsigned long)i << PAGE_SHIFT);
	*nr = block->run ? RXE_DMEM_BLOCK_PAGES - i : 1;

	return rxe_dmem_block_page(block, i);
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

static void count_moved(struct rxe_dmem *dmem, unsigned int pages,
			enum rxe_dmem_move move)
{
	atomic64_add(pages, &dmem->rxe->stats_counters[RXE_CNT_PAGES_PROMOTED + move]);
}

/**
 * rxe_dmem_arrived - say whose pages they are that came to the device
 * @page: the first of them; the caller holds a reference to each
 * @pages: how many, one behind the other
 * @tag: whose
 *
 * Context: any.
 */
void rxe_dmem_arrived(struct page *page, unsigned int pages,
		      struct rxe_dmem_tag tag)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);
	unsigned long i = rxe_dmem_index(chunk, page);
	struct rxe_dmem *dmem = chunk->dmem;
	struct rxe_dmem_user *user;
	unsigned long flags;
	unsigned int k;

	count_moved(dmem, pages, RXE_DMEM_PROMOTED);
	spin_lock_irqsave(&dmem->lock, flags);
	for (k = 0; k < pages; k++)
		chunk->tags[i + k] = tag;
	user = last_user(dmem, tag.mr);
	if (user) {
		user->nr_pages += pages;
		user->nr_moved[RXE_DMEM_PROMOTED] += pages;
	}
	spin_unlock_irqrestore(&dmem->lock, flags);
}

/**
 * rxe_dmem_left - count pages that leave the device
 * @page: the first of them; the caller holds a reference to each
 * @pages: how many, one behind the other
 * @move: why
 *
 * Context: any.
 */
void rxe_dmem_left(struct page *page, unsigned int pages,
		   enum rxe_dmem_move move)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);
	unsigned long i = rxe_dmem_index(chunk, page), end = i + pages;
	struct rxe_dmem *dmem = chunk->dmem;
	struct rxe_dmem_user *user;
	unsigned long first, flags;

	count_moved(dmem, pages, move);
	spin_lock_irqsave(&dmem->lock, flags);
	while (i < end) {
		for (first = i; i < end; i++)
			if (chunk->tags[i].mr != chunk->tags[first].mr)
				break;
		user = last_user(dmem, chunk->tags[first].mr);
		if (user)
			user->nr_moved[move] += i - first;
	}
	spin_unlock_irqrestore(&dmem->lock, flags);
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
 * @mirror: the mirror's id
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
	int err;

	memset(user, 0, sizeof(*user));
	/* a page may outlive its user: ids aren't used again soon */
	err = xa_alloc_cyclic(&users, &user->id, user, xa_limit_32b, &next_user,
			      GFP_KERNEL);

	return err < 0 ? -ENOMEM : 0;
}

/**
 * rxe_dmem_user_del - stop counting someone's pages
 * @dmem: the memory of the one device where it may have pages
 * @user: who; isn't looked at any more afterwards
 *
 * Context: process.
 */
void rxe_dmem_user_del(struct rxe_dmem *dmem, struct rxe_dmem_user *user)
{
	xa_erase(&users, user->id);
	spin_lock_irq(&dmem->lock);
	if (dmem->user_id == user->id) {
		dmem->user_id = 0;
		dmem->user = NULL;
	}
	spin_unlock_irq(&dmem->lock);
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_dmem_page_test.c"
#endif
