// SPDX-License-Identifier: GPL-2.0
/*
 * A batch: the part that all migrations have in common.
 *
 * The kernel's part of a migration is setup (the pages leave the page tables
 * and can't change any more), pages (the new page takes the place of the old
 * one) and finalize (the page tables get what is there now). In between, this
 * gives each page a destination and has all of them copied in one go:
 *
 *	setup				pages are unmapped and locked
 *	rxe_batch_to_device()/system()	a destination for each that is to move
 *	rxe_batch_copy()		all bytes are there when this returns
 *	pages				some may still not move
 *	rxe_batch_moved()		which did
 *	finalize			mapped and unlocked, old pages freed
 *
 * Setup is always followed by finalize. A page without a destination stays
 * where it is.
 *
 * To allocate RAM takes as long as to copy it, where the kernel zeroes what it
 * hands out. So while an engine copies, RAM for what comes after it is allocated.
 */
#include <linux/gfp.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate.h"

static struct rxe_batch *batch_start(struct rxe_batch *batch,
				     struct rxe_hmm_dev *hmm)
{
	batch->hmm = hmm;
	batch->nr_copies = 0;
	batch->nr_pages = 0;
	batch->nr_spare = 0;
	batch->next_spare = 0;
	batch->spare_folio = NULL;
	batch->ahead = 0;
	batch->pages.nr = 0;

	return batch;
}

/**
 * rxe_batch_alloc - memory for one batch
 *
 * Context: may sleep.
 * Return: what kvfree() frees, or NULL.
 */
struct rxe_batch *rxe_batch_alloc(void)
{
	return kvmalloc_obj(struct rxe_batch, GFP_KERNEL | __GFP_NOWARN);
}

/**
 * rxe_batch_create - memory for a migration
 * @hmm: the device
 *
 * One batch is kept for the next migration: to allocate that much, and to have
 * it zeroed, takes longer than to move some pages.
 *
 * Context: may sleep.
 * Return: the batch or NULL.
 */
struct rxe_batch *rxe_batch_create(struct rxe_hmm_dev *hmm)
{
	struct rxe_batch *batch = xchg(&hmm->batch, NULL);

	if (!batch)
		batch = rxe_batch_alloc();

	return batch ? batch_start(batch, hmm) : NULL;
}

/**
 * rxe_batch_get - memory for a migration that can't be left out
 * @hmm: the device
 *
 * Pages must leave the device when a CPU wants them, or when the device goes. Who
 * gets no memory then waits for the reserve.
 *
 * Context: may sleep; mmap_lock may be held for reading, and a page locked.
 * Return: the batch.
 */
struct rxe_batch *rxe_batch_get(struct rxe_hmm_dev *hmm)
{
	struct rxe_batch *batch = rxe_batch_create(hmm);

	if (batch)
		return batch;
	mutex_lock(&hmm->reserve_lock);

	return batch_start(hmm->reserve, hmm);
}

/* The lowest first, so that neighbours go to neighbours, as one run. */
static struct page *take_spare(struct rxe_batch *batch)
{
	if (batch->next_spare == batch->nr_spare)
		return NULL;

	return batch->spare[batch->next_spare++];
}

static void fill_spare(struct rxe_batch *batch, gfp_t gfp, unsigned int want)
{
	if (batch->next_spare < batch->nr_spare)
		return;
	memset(batch->spare, 0, want * sizeof(*batch->spare));
	batch->nr_spare = alloc_pages_bulk(gfp, want, batch->spare);
	batch->next_spare = 0;
}

/**
 * rxe_batch_destroy - undo rxe_batch_create() or rxe_batch_get()
 * @batch: the batch
 *
 * Context: may sleep.
 */
void rxe_batch_destroy(struct rxe_batch *batch)
{
	struct rxe_hmm_dev *hmm = batch->hmm;
	struct page *page;

	while ((page = take_spare(batch)))
		__free_page(page);
	if (batch->spare_folio)
		folio_put(batch->spare_folio);
	if (batch == hmm->reserve) {
		mutex_unlock(&hmm->reserve_lock);
		return;
	}
	/* who makes allocations fail wants to see what happens then */
	if (!IS_ENABLED(CONFIG_FAULT_INJECTION))
		batch = xchg(&hmm->batch, batch);
	kvfree(batch);
}

/* The entry covers 2 MiB? */
static unsigned int entry_order(const struct rxe_batch *batch, unsigned int i)
{
	return batch->src[i] & MIGRATE_PFN_COMPOUND ? RXE_DMEM_BLOCK_ORDER : 0;
}

/* A destination that setup has not seen, for all pages of entry @i or none. */
static void drop_pages(struct rxe_batch *batch, unsigned int i, unsigned int n)
{
	while (n--) {
		struct page *page = migrate_pfn_to_page(batch->dst[i + n]);

		batch->dst[i + n] = 0;
		unlock_page(page);
		put_page(page);
	}
}

static struct page *nth_source(const struct rxe_batch *batch, unsigned int i,
			       unsigned int n)
{
	struct page *page = migrate_pfn_to_page(batch->src[i]);

	return page ? page + n : NULL;
}

static void add_to_device(struct rxe_batch *batch, struct page *dst,
			  struct page *src, unsigned int pages)
{
	batch->copies[batch->nr_copies++] = (struct rxe_ce_copy) {
		.dst = rxe_dmem_backing(dst),
		.src = src,
		.nr_pages = pages,
		.dst_addr = rxe_dmem_address(dst),
	};
}

static void copy_to_device(struct rxe_batch *batch, struct page *dst,
			   struct page *src, unsigned int pages)
{
	unsigned int i;

	if (pages == 1 || rxe_dmem_is_block(dst)) {
		add_to_device(batch, dst, src, pages);
		return;
	}
	for (i = 0; i < pages; i++)
		add_to_device(batch, dst + i, src ? src + i : NULL, 1);
}

static void add_to_system(struct rxe_batch *batch, struct page *dst,
			  struct page *src, unsigned int pages)
{
	batch->copies[batch->nr_copies++] = (struct rxe_ce_copy) {
		.dst = dst,
		.src = rxe_dmem_backing(src),
		.nr_pages = pages,
		.src_addr = rxe_dmem_address(src),
	};
}

static void copy_to_system(struct rxe_batch *batch, struct page *dst,
			   struct page *src, unsigned int pages)
{
	unsigned int i;

	if (pages == 1 || rxe_dmem_is_block(src)) {
		add_to_system(batch, dst, src, pages);
		return;
	}
	for (i = 0; i < pages; i++)
		add_to_system(batch, dst + i, src + i, 1);
}

/* Another page of device memory for the entries from @i on. */
static struct page *next_device_page(struct rxe_batch *batch, unsigned int i)
{
	if (!batch->pages.nr &&
	    !rxe_dmem_take(batch->hmm->dmem, &batch->pages,
			   batch->nr_pages - i))
		return NULL;

	return rxe_dmem_next(&batch->pages);
}

/**
 * rxe_batch_to_device - give an entry a destination in device memory
 * @batch: the batch, after setup
 * @i: the entry: one page, or 2 MiB; a hole is to become zeroes
 *
 * Context: process; pages are locked, so this doesn't wait for memory.
 * Return: how many pages have one now: all of the entry, or 0 if the device is
 * full.
 */
unsigned int rxe_batch_to_device(struct rxe_batch *batch, unsigned int i)
{
	struct rxe_dmem *dmem = batch->hmm->dmem;
	unsigned int order = entry_order(batch, i);
	unsigned int nr_copies = batch->nr_copies;
	struct page *page;
	unsigned int n;

	if (order) {
		page = rxe_dmem_alloc_folio(dmem);
		if (page) {
			batch->dst[i] = migrate_pfn(page_to_pfn(page)) |
					MIGRATE_PFN_COMPOUND;
			copy_to_device(batch, page, nth_source(batch, i, 0),
				       1U << order);
			return 1U << order;
		}
	}

	for (n = 0; n < 1U << order; n++) {
		page = next_device_page(batch, i + n);
		if (!page) {
			drop_pages(batch, i, n);
			batch->nr_copies = nr_copies;
			return 0;
		}
		batch->dst[i + n] = migrate_pfn(page_to_pfn(page));
		copy_to_device(batch, page, nth_source(batch, i, n), 1);
	}

	return n;
}

static struct page *alloc_folio(struct rxe_batch *batch,
				struct vm_area_struct *vma, unsigned long va)
{
	gfp_t gfp = GFP_TRANSHUGE | __GFP_NOWARN |
		    (vma ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
	struct folio *folio = NULL;

	if (vma && !vma_policy(vma))
		swap(folio, batch->spare_folio);
	if (!folio)
		folio = vma ? vma_alloc_folio(gfp, RXE_DMEM_BLOCK_ORDER, vma, va) :
			      folio_alloc(gfp, RXE_DMEM_BLOCK_ORDER);
	if (!folio)
		return NULL;
	folio_lock(folio);

	return folio_page(folio, 0);
}

/* While the engine copies: for what comes next as much as for this. */
static void stock_up(void *arg)
{
	struct rxe_batch *batch = arg;
	unsigned int want = min(batch->ahead, batch->nr_copies);

	if (batch->copies[0].nr_pages < RXE_BATCH_PAGES) {
		fill_spare(batch, (GFP_HIGHUSER_MOVABLE | __GFP_NOWARN) &
				  ~__GFP_DIRECT_RECLAIM, want);
	} else if (batch->ahead >= RXE_BATCH_PAGES && !batch->spare_folio) {
		batch->spare_folio = folio_alloc(GFP_TRANSHUGE_LIGHT | __GFP_NOWARN,
						 RXE_DMEM_BLOCK_ORDER);
	}
}

/* Another page of RAM for the entries from @i on, from where @vma has it. */
static struct page *next_system_page(struct rxe_batch *batch, unsigned int i,
				     struct vm_area_struct *vma, unsigned long va)
{
	unsigned int want = min(batch->nr_pages - i, RXE_BATCH_BULK);
	struct page *page;

	if (vma && vma_policy(vma)) {
		page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, vma, va);
	} else {
		if (want > 1)
			fill_spare(batch, GFP_HIGHUSER_MOVABLE, want);
		page = take_spare(batch);
		if (!page)
			page = alloc_page(GFP_HIGHUSER_MOVABLE);
	}
	/* nobody else has seen it yet */
	if (page)
		__folio_set_locked(page_folio(page));

	return page;
}

/**
 * rxe_batch_to_system - give an entry a destination in RAM
 * @batch: the batch, after setup
 * @i: the entry: a page of device memory, or a folio of 2 MiB
 * @vma: where it is mapped, or NULL if that isn't known; then a folio can't be
 *	split, and moves as one or not at all
 * @va: the entry's address in @vma
 *
 * Context: may sleep.
 * Return: how many pages have one now: all of the entry, or 0 if there is no
 * memory.
 */
unsigned int rxe_batch_to_system(struct rxe_batch *batch, unsigned int i,
				 struct vm_area_struct *vma, unsigned long va)
{
	unsigned int order = entry_order(batch, i);
	unsigned int nr_copies = batch->nr_copies;
	struct page *page;
	unsigned int n;

	if (order) {
		page = alloc_folio(batch, vma, va);
		if (page) {
			batch->dst[i] = migrate_pfn(page_to_pfn(page)) |
					MIGRATE_PFN_COMPOUND;
			copy_to_system(batch, page, nth_source(batch, i, 0),
				       1U << order);
			return 1U << order;
		}
		if (!vma)
			return 0;
	}

	for (n = 0; n < 1U << order; n++) {
		page = next_system_page(batch, i + n, vma,
					va + n * PAGE_SIZE);
		if (!page) {
			drop_pages(batch, i, n);
			batch->nr_copies = nr_copies;
			return 0;
		}
		batch->dst[i + n] = migrate_pfn(page_to_pfn(page));
		copy_to_system(batch, page, nth_source(batch, i, n), 1);
	}

	return n;
}

/**
 * rxe_batch_copy - copy all that has a destination
 * @batch: the batch; no entry gets a destination any more
 *
 * Context: may sleep.
 */
void rxe_batch_copy(struct rxe_batch *batch)
{
	if (batch->nr_copies)
		rxe_ce_run(batch->hmm->ce, batch->copies, batch->nr_copies,
			   batch->ahead ? stock_up : NULL, batch);
	batch->nr_copies = 0;
	rxe_dmem_untake(batch->hmm->dmem, &batch->pages);
}

/**
 * rxe_batch_moved - did an entry move?
 * @batch: the batch, between pages and finalize
 * @i: the entry
 *
 * Context: any.
 * Return: how many pages moved from this entry on, 0 if this one did not.
 */
unsigned int rxe_batch_moved(struct rxe_batch *batch, unsigned int i)
{
	if (!(batch->src[i] & MIGRATE_PFN_MIGRATE) ||
	    !(batch->dst[i] & MIGRATE_PFN_VALID))
		return 0;

	return batch->dst[i] & MIGRATE_PFN_COMPOUND ? RXE_BATCH_PAGES : 1;
}

/* Pages of device memory that follow each other, to be told of together. */
struct told {
	struct page	*first;
	unsigned int	nr;
};

static bool told_add(struct told *told, struct page *page, unsigned int pages)
{
	if (told->nr && page != told->first + told->nr)
		return false;
	if (!told->nr)
		told->first = page;
	told->nr += pages;

	return true;
}

static void told_arrived(struct told *told, struct rxe_dmem_tag tag)
{
	if (!told->nr)
		return;
	rxe_dmem_arrived(told->first, told->nr, tag);
	told->nr = 0;
}

static void told_left(struct told *told, enum rxe_dmem_move how)
{
	if (!told->nr)
		return;
	rxe_dmem_left(told->first, told->nr, how);
	told->nr = 0;
}

/**
 * rxe_batch_arrived - tag and count what moves to the device
 * @batch: the batch, between pages and finalize
 * @tag: whose the pages are
 *
 * Context: any.
 */
void rxe_batch_arrived(struct rxe_batch *batch, struct rxe_dmem_tag tag)
{
	struct told told = {};
	struct page *page;
	unsigned int i, n;

	for (i = 0; i < batch->nr_pages; i += max(n, 1U)) {
		n = rxe_batch_moved(batch, i);
		if (!n)
			continue;
		page = migrate_pfn_to_page(batch->dst[i]);
		if (!told_add(&told, page, n)) {
			told_arrived(&told, tag);
			told_add(&told, page, n);
		}
	}
	told_arrived(&told, tag);
}

/**
 * rxe_batch_left - count what moves from the device to RAM
 * @batch: the batch, between pages and finalize
 * @how: the reason
 *
 * Context: any.
 * Return: how many pages.
 */
unsigned int rxe_batch_left(struct rxe_batch *batch, enum rxe_dmem_move how)
{
	unsigned int i, n, moved = 0;
	struct told told = {};
	struct page *page;

	for (i = 0; i < batch->nr_pages; i += max(n, 1U)) {
		n = rxe_batch_moved(batch, i);
		if (!n)
			continue;
		page = migrate_pfn_to_page(batch->src[i]);
		if (!told_add(&told, page, n)) {
			told_left(&told, how);
			told_add(&told, page, n);
		}
		moved += n;
	}
	told_left(&told, how);

	return moved;
}
