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
 *	rxe_batch_copy_start()		zeroes are there when this returns
 *	pages				some may still not move
 *	rxe_batch_moved()		which did
 *	rxe_batch_copy_finish()		all bytes are there when this returns
 *	finalize			mapped and unlocked, old pages freed
 *
 * Setup is always followed by finalize. A page without a destination stays
 * where it is.
 *
 * While an engine copies, the CPU goes on. What pages does needs no contents:
 * until finalize nobody gets at the old page or the new one. Only what was a hole
 * is mapped at once, and so it is zeroed before.
 */
#include <linux/gfp.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate.h"

/* an entry of the batch is a copy at most */
static_assert(RXE_CE_MAX_RUNS >= RXE_BATCH_PAGES);

static struct rxe_batch *batch_start(struct rxe_batch *batch,
				     struct rxe_hmm_dev *hmm)
{
	batch->hmm = hmm;
	batch->nr_pages = 0;
	batch->folios = false;
	rxe_ce_batch_init(&batch->copies);
	rxe_spare_init(&batch->spare);
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

/**
 * rxe_batch_destroy - undo rxe_batch_create() or rxe_batch_get()
 * @batch: the batch
 *
 * Context: may sleep.
 */
void rxe_batch_destroy(struct rxe_batch *batch)
{
	struct rxe_hmm_dev *hmm = batch->hmm;

	rxe_spare_fini(&batch->spare);
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
	unsigned int nr = 1U << entry_order(batch, i), n;
	struct page *page;

	if (nr > 1) {
		page = rxe_dmem_alloc_folio(dmem);
		if (page) {
			batch->dst[i] = migrate_pfn(page_to_pfn(page)) |
					MIGRATE_PFN_COMPOUND;
			return nr;
		}
	}

	for (n = 0; n < nr; n++) {
		page = next_device_page(batch, i + n);
		if (!page) {
			drop_pages(batch, i, n);
			return 0;
		}
		batch->dst[i + n] = migrate_pfn(page_to_pfn(page));
	}

	return nr;
}

static struct page *alloc_folio(struct rxe_batch *batch,
				struct vm_area_struct *vma, unsigned long va)
{
	gfp_t gfp = GFP_TRANSHUGE | __GFP_NOWARN |
		    (vma ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
	struct folio *folio = NULL;

	if (vma && !vma_policy(vma))
		folio = rxe_spare_folio(&batch->spare);
	if (!folio)
		folio = vma ? vma_alloc_folio(gfp, RXE_DMEM_BLOCK_ORDER, vma, va) :
			      folio_alloc(gfp, RXE_DMEM_BLOCK_ORDER);
	if (!folio)
		return NULL;
	folio_lock(folio);

	return folio_page(folio, 0);
}

/*
 * For what comes next as much as for this: by us while an engine copies, else by
 * another CPU while we do.
 */
static void stock_up(struct rxe_batch *batch, bool engine)
{
	unsigned int want = min(batch->ahead, batch->copies.nr_pages);

	if (!batch->folios)
		rxe_spare_stock_pages(&batch->spare, want, engine);
	else if (batch->ahead >= RXE_BATCH_PAGES)
		rxe_spare_stock_folio(&batch->spare, engine);
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
		page = rxe_spare_page(&batch->spare, want);
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
	unsigned int nr = 1U << entry_order(batch, i), n;
	struct page *page;

	if (nr > 1) {
		page = alloc_folio(batch, vma, va);
		if (page) {
			batch->dst[i] = migrate_pfn(page_to_pfn(page)) |
					MIGRATE_PFN_COMPOUND;
			batch->folios = true;
			return nr;
		}
		if (!vma)
			return 0;
	}

	for (n = 0; n < nr; n++) {
		page = next_system_page(batch, i + n, vma,
					va + n * PAGE_SIZE);
		if (!page) {
			drop_pages(batch, i, n);
			return 0;
		}
		batch->dst[i + n] = migrate_pfn(page_to_pfn(page));
	}

	return nr;
}

/*
 * A copy that grows while pages follow each other.
 * @copy: what there is of it
 * @dst, @src: the pages that would follow
 * @room: how many pages it may have
 */
struct stretch {
	struct rxe_ce_copy	copy;
	struct page		*dst;
	struct page		*src;
	unsigned int		room;
};

static void stretch_end(struct stretch *s, struct rxe_batch *batch)
{
	if (s->copy.nr_pages)
		rxe_ce_batch_add(&batch->copies, &s->copy);
}

static void stretch_begin(struct stretch *s, struct page *dst, struct page *src)
{
	s->copy = (struct rxe_ce_copy){ .dst = dst, .src = src };
	if (is_device_private_page(dst))
		s->copy.dst = rxe_dmem_contents(dst, &s->copy.dst_addr, &s->room);
	else
		s->copy.src = rxe_dmem_contents(src, &s->copy.src_addr, &s->room);
}

/* @src: NULL for zeroes */
static void stretch_add(struct stretch *s, struct rxe_batch *batch,
			struct page *dst, struct page *src, unsigned int nr)
{
	unsigned int n;

	for (; nr; nr -= n) {
		if (s->copy.nr_pages == s->room || dst != s->dst || src != s->src) {
			stretch_end(s, batch);
			stretch_begin(s, dst, src);
		}
		n = min(nr, s->room - s->copy.nr_pages);
		s->copy.nr_pages += n;
		dst += n;
		if (src)
			src += n;
		s->dst = dst;
		s->src = src;
	}
}

/* What is to be copied for entry @i; returns how many pages it has. */
static unsigned int add_entry(struct rxe_batch *batch, unsigned int i,
			      struct stretch *s)
{
	struct page *src = migrate_pfn_to_page(batch->src[i]);
	unsigned int nr = 1U << entry_order(batch, i), n;

	if (batch->dst[i] & MIGRATE_PFN_COMPOUND) {
		stretch_add(s, batch, migrate_pfn_to_page(batch->dst[i]), src, nr);
		return nr;
	}
	for (n = 0; n < nr; n++)
		stretch_add(s, batch, migrate_pfn_to_page(batch->dst[i + n]),
			    src ? src + n : NULL, 1);

	return nr;
}

/**
 * rxe_batch_copy_start - start to copy all that has a destination
 * @batch: the batch; no entry gets a destination any more
 *
 * Context: may sleep.
 */
void rxe_batch_copy_start(struct rxe_batch *batch)
{
	struct stretch s = {};
	unsigned int i;
	bool engine;

	for (i = 0; i < batch->nr_pages;)
		if (batch->dst[i] & MIGRATE_PFN_VALID)
			i += add_entry(batch, i, &s);
		else
			i++;
	stretch_end(&s, batch);
	rxe_dmem_untake(batch->hmm->dmem, &batch->pages);
	/* another CPU does one thing or the other */
	engine = rxe_ce_start(batch->hmm->ce, &batch->copies, !batch->ahead);
	if (batch->ahead)
		stock_up(batch, engine);
}

/**
 * rxe_batch_copy_finish - wait until all is copied
 * @batch: the batch, after rxe_batch_copy_start(), before finalize
 *
 * Context: may sleep.
 */
void rxe_batch_copy_finish(struct rxe_batch *batch)
{
	rxe_ce_finish(batch->hmm->ce, &batch->copies);
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
