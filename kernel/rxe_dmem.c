// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory: chunks, and the backing of their blocks.
 *
 * A chunk reserves physical address space and gives it struct pages; a block
 * of a chunk becomes active when it gets its backing, up to the device's size.
 * Pages are allocated from active blocks (rxe_dmem_page.c). Blocks stay active
 * and chunks stay until the device's size is reduced.
 *
 * Locks:
 *	dmem->grow_lock (mutex): who adds and removes chunks and backing
 *	  dmem->lock (irq-safe spinlock, innermost): lists, bitmaps, tags, counts
 *
 * A chunk and the backing of a block stay while a page of theirs is in use, so
 * whoever holds a page, or an entry of a mirror for it, needs no lock to ask
 * where it is. Who has only seen a page in a page table holds nothing: he says
 * that he looks (SRCU), and a chunk that goes waits for that.
 */
#include <linux/ioport.h>
#include <linux/srcu.h>
#include <linux/vmalloc.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_dmem.h"
#include "rxe_dmem_chunk.h"
#include "rxe_migrate.h"

#define CHUNK_BLOCKS	64U	/* 128 MiB, what the kernel aligns them to */

static const struct dev_pagemap_ops dmem_pagemap_ops = {
	.folio_free	= rxe_dmem_folio_free,
	.migrate_to_ram	= rxe_migrate_to_ram,
};

DEFINE_STATIC_SRCU(lookers);

/**
 * rxe_dmem_look_begin - about to look at pages that page tables tell of
 *
 * Until rxe_dmem_look_end() there is a struct page for each page of device
 * memory that is found in a page table, whether it is still in use or not.
 *
 * Context: may sleep; must not wait for device memory until the end.
 * Return: what to give to rxe_dmem_look_end().
 */
int rxe_dmem_look_begin(void)
{
	return srcu_read_lock(&lookers);
}

/**
 * rxe_dmem_look_end - the pages aren't looked at any more
 * @look: what rxe_dmem_look_begin() returned
 *
 * Context: as rxe_dmem_look_begin(), the same thread.
 */
void rxe_dmem_look_end(int look)
{
	srcu_read_unlock(&lookers, look);
}

static void chunk_destroy(struct rxe_dmem_chunk *chunk)
{
	struct resource *res = chunk->res;

	synchronize_srcu(&lookers);
	memunmap_pages(&chunk->pagemap);
	release_mem_region(res->start, resource_size(res));
	kvfree(chunk->tags);
	kvfree(chunk);
	rxe_audit_freed(RXE_AUDIT_CHUNKS);
}

static struct rxe_dmem_chunk *chunk_create(struct rxe_dmem *dmem,
					   unsigned int nr_blocks)
{
	unsigned long pages = nr_blocks * RXE_DMEM_BLOCK_PAGES;
	struct resource *res;
	struct rxe_dmem_chunk *chunk;
	unsigned int i;
	void *addr;
	int err = -ENOMEM;

	chunk = kvzalloc(struct_size(chunk, blocks, nr_blocks), GFP_KERNEL);
	if (!chunk)
		return ERR_PTR(err);
	chunk->dmem = dmem;
	chunk->nr_blocks = nr_blocks;
	for (i = 0; i < nr_blocks; i++) {
		INIT_LIST_HEAD(&chunk->blocks[i].node);
		chunk->blocks[i].chunk = chunk;
	}
	chunk->tags = kvcalloc(pages, sizeof(*chunk->tags), GFP_KERNEL);
	if (!chunk->tags)
		goto err_chunk;

	res = request_free_mem_region(&iomem_resource, pages << PAGE_SHIFT,
				      "rxe device memory");
	if (IS_ERR(res)) {
		err = PTR_ERR(res);
		goto err_tags;
	}
	chunk->res = res;

	chunk->pagemap.type = MEMORY_DEVICE_PRIVATE;
	chunk->pagemap.ops = &dmem_pagemap_ops;
	chunk->pagemap.owner = dmem->rxe;
	chunk->pagemap.nr_range = 1;
	chunk->pagemap.range.start = res->start;
	chunk->pagemap.range.end = res->start + (pages << PAGE_SHIFT) - 1;
	addr = memremap_pages(&chunk->pagemap, NUMA_NO_NODE);
	if (IS_ERR(addr)) {
		err = PTR_ERR(addr);
		goto err_region;
	}
	rxe_audit_made(RXE_AUDIT_CHUNKS);

	return chunk;

err_region:
	release_mem_region(res->start, resource_size(res));
err_tags:
	kvfree(chunk->tags);
err_chunk:
	kvfree(chunk);
	return ERR_PTR(err);
}

static void pages_free(struct page **pages)
{
	unsigned int i;

	for (i = 0; i < RXE_DMEM_BLOCK_PAGES && pages[i]; i++)
		__free_page(pages[i]);
	kvfree(pages);
}

static void backing_free(struct rxe_dmem_block *block)
{
	vunmap(block->addr);
	block->addr = NULL;
	if (block->run) {
		__free_pages(block->run, RXE_DMEM_BLOCK_ORDER);
		block->run = NULL;
	} else {
		pages_free(block->pages);
		block->pages = NULL;
	}
}

static int pages_alloc(struct page **pages, gfp_t gfp)
{
	unsigned int i;

	for (i = 0; i < RXE_DMEM_BLOCK_PAGES; i++) {
		pages[i] = alloc_page(gfp);
		if (!pages[i])
			return -ENOMEM;
	}

	return 0;
}

/* One run of pages if it can be had, since then whole folios are one copy. */
static int backing_alloc(struct rxe_dmem_block *block)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	unsigned long pfn = rxe_dmem_block_pfn(block);
	struct page *run, **pages;
	unsigned int i;

	pages = kvcalloc(RXE_DMEM_BLOCK_PAGES, sizeof(*pages), gfp);
	if (!pages)
		return -ENOMEM;
	run = alloc_pages(gfp, RXE_DMEM_BLOCK_ORDER);
	if (run) {
		for (i = 0; i < RXE_DMEM_BLOCK_PAGES; i++)
			pages[i] = run + i;
	} else if (pages_alloc(pages, gfp)) {
		goto err_pages;
	}
	block->addr = vmap(pages, RXE_DMEM_BLOCK_PAGES, VM_MAP, PAGE_KERNEL);
	if (!block->addr)
		goto err_pages;
	for (i = 0; i < RXE_DMEM_BLOCK_PAGES; i++)
		set_page_private(pages[i], pfn + i);

	block->run = run;
	if (run)
		kvfree(pages);
	else
		block->pages = pages;

	return 0;

err_pages:
	if (run) {
		__free_pages(run, RXE_DMEM_BLOCK_ORDER);
		kvfree(pages);
	} else {
		pages_free(pages);
	}
	return -ENOMEM;
}

/* Give a block of the chunk, which has one without, its backing. */
static int chunk_activate(struct rxe_dmem *dmem, struct rxe_dmem_chunk *chunk)
{
	struct rxe_dmem_block *block = chunk->blocks;
	int err;

	lockdep_assert_held(&dmem->grow_lock);

	while (block->run || block->pages)
		block++;
	err = backing_alloc(block);
	if (err)
		return err;
	rxe_audit_made(RXE_AUDIT_BACKINGS);

	spin_lock_irq(&dmem->lock);
	chunk->nr_active++;
	dmem->active += RXE_DMEM_BLOCK_PAGES;
	rxe_dmem_file(dmem, block);
	spin_unlock_irq(&dmem->lock);

	return 0;
}

static int dmem_grow(struct rxe_dmem *dmem)
{
	unsigned long left = (dmem->size - dmem->active) >> RXE_DMEM_BLOCK_ORDER;
	struct rxe_dmem_chunk *chunk;

	lockdep_assert_held(&dmem->grow_lock);

	list_for_each_entry(chunk, &dmem->chunks, node)
		if (chunk->nr_active < chunk->nr_blocks)
			return chunk_activate(dmem, chunk);

	chunk = chunk_create(dmem, min_t(unsigned long, left, CHUNK_BLOCKS));
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	spin_lock_irq(&dmem->lock);
	list_add_tail(&chunk->node, &dmem->chunks);
	spin_unlock_irq(&dmem->lock);

	return chunk_activate(dmem, chunk);
}

static bool dmem_has(struct rxe_dmem *dmem, unsigned int pages, bool block)
{
	bool has;

	spin_lock_irq(&dmem->lock);
	has = dmem->active - dmem->used >= pages &&
	      (!block || !list_empty(&dmem->free));
	spin_unlock_irq(&dmem->lock);

	return has;
}

/**
 * rxe_dmem_populate - see to it that pages can be allocated
 * @dmem: the device's memory
 * @pages: how many
 * @block: they are to be a folio
 *
 * The pages aren't reserved: another may take them first.
 *
 * Context: may sleep; not with mmap_lock held, since it may add memory.
 * Return: 0, -EOPNOTSUPP if the device has no memory, -ENOSPC if it is full,
 * -ENOMEM if there is no memory to stand in for the device's.
 */
int rxe_dmem_populate(struct rxe_dmem *dmem, unsigned int pages, bool block)
{
	int err = 0;

	if (!READ_ONCE(dmem->size))
		return -EOPNOTSUPP;

	mutex_lock(&dmem->grow_lock);
	while (!err && !dmem_has(dmem, pages, block)) {
		if (dmem->active + RXE_DMEM_BLOCK_PAGES > dmem->size)
			err = -ENOSPC;
		else
			err = dmem_grow(dmem);
	}
	mutex_unlock(&dmem->grow_lock);

	return err && err != -ENOSPC ? -ENOMEM : err;
}

/* Take a block that is not in use out of the lists; NULL if there is none. */
static struct rxe_dmem_block *take_free_block(struct rxe_dmem *dmem)
{
	struct rxe_dmem_block *block;

	spin_lock_irq(&dmem->lock);
	block = list_first_entry_or_null(&dmem->free, struct rxe_dmem_block, node);
	if (block) {
		list_del_init(&block->node);
		dmem->active -= RXE_DMEM_BLOCK_PAGES;
	}
	spin_unlock_irq(&dmem->lock);

	return block;
}

/**
 * rxe_dmem_trim - give back what is beyond the device's size
 * @dmem: the device's memory
 *
 * Context: may sleep.
 */
void rxe_dmem_trim(struct rxe_dmem *dmem)
{
	struct rxe_dmem_chunk *chunk, *next;
	struct rxe_dmem_block *block;

	mutex_lock(&dmem->grow_lock);
	while (dmem->active > dmem->size) {
		block = take_free_block(dmem);
		if (!block)
			break;
		block->chunk->nr_active--;
		backing_free(block);
		rxe_audit_freed(RXE_AUDIT_BACKINGS);
	}
	list_for_each_entry_safe(chunk, next, &dmem->chunks, node) {
		if (chunk->nr_active)
			continue;
		spin_lock_irq(&dmem->lock);
		list_del(&chunk->node);
		spin_unlock_irq(&dmem->lock);
		chunk_destroy(chunk);
	}
	mutex_unlock(&dmem->grow_lock);
}

/**
 * rxe_dmem_set_size - say how much memory the device may have
 * @dmem: the device's memory
 * @pages: how many, in whole blocks; 0 turns device memory off
 *
 * Pages in use stay: the caller moves them away and calls rxe_dmem_trim().
 *
 * Context: may sleep.
 */
void rxe_dmem_set_size(struct rxe_dmem *dmem, unsigned long pages)
{
	mutex_lock(&dmem->grow_lock);
	WRITE_ONCE(dmem->size, pages);
	mutex_unlock(&dmem->grow_lock);
}

/**
 * rxe_dmem_over - is there more in use than the device may have?
 * @dmem: the device's memory
 *
 * Counts whole blocks: a block in use for one page can't be given back.
 *
 * Context: any.
 * Return: whether something has to go.
 */
bool rxe_dmem_over(struct rxe_dmem *dmem)
{
	return READ_ONCE(dmem->active) > READ_ONCE(dmem->size);
}

/**
 * rxe_dmem_get_info - how much there is
 * @dmem: the device's memory
 * @info: where to put it
 *
 * Context: any.
 */
void rxe_dmem_get_info(struct rxe_dmem *dmem, struct rxe_dmem_info *info)
{
	unsigned long flags;

	spin_lock_irqsave(&dmem->lock, flags);
	info->size = dmem->size;
	info->used = dmem->used;
	info->free = min(dmem->active, dmem->size) - min(dmem->used, dmem->size);
	info->peak = dmem->peak;
	spin_unlock_irqrestore(&dmem->lock, flags);
}

/**
 * rxe_dmem_create - a device without memory yet
 * @rxe: the device; it owns the pages, as hmm_range_fault() understands it
 *
 * Context: may sleep.
 * Return: its memory, of size 0, or NULL.
 */
struct rxe_dmem *rxe_dmem_create(struct rxe_dev *rxe)
{
	struct rxe_dmem *dmem;

	dmem = kzalloc_obj(*dmem);
	if (!dmem)
		return NULL;
	dmem->rxe = rxe;
	mutex_init(&dmem->grow_lock);
	spin_lock_init(&dmem->lock);
	INIT_LIST_HEAD(&dmem->chunks);
	INIT_LIST_HEAD(&dmem->free);
	INIT_LIST_HEAD(&dmem->partial);

	return dmem;
}

/**
 * rxe_dmem_destroy - give all memory back
 * @dmem: the device's memory, none of which is in use
 *
 * Context: may sleep.
 */
void rxe_dmem_destroy(struct rxe_dmem *dmem)
{
	rxe_dmem_set_size(dmem, 0);
	rxe_dmem_trim(dmem);
	mutex_destroy(&dmem->grow_lock);
	kfree(dmem);
}
