/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rxe_dmem.c (chunks and backing) and rxe_dmem_page.c (pages) share; for
 * everybody else there is rxe_dmem.h.
 */
#ifndef RXE_DMEM_CHUNK_H
#define RXE_DMEM_CHUNK_H

#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "rxe_dmem.h"

/*
 * struct rxe_dmem_block - 2 MiB of device memory
 * @node: on dmem->free or dmem->partial, or on no list
 * @chunk: the chunk that it is in
 * @run: its backing, if that is one run of pages
 * @pages: its backing, page by page, if not
 * @addr: the backing, mapped as one for copies by the CPU
 * @nr_used: how many of its pages are in use
 * @stamp: dmem->clock when it was last used
 * @used: which of its pages are in use
 */
struct rxe_dmem_block {
	struct list_head	node;
	struct rxe_dmem_chunk	*chunk;
	struct page		*run;
	struct page		**pages;
	void			*addr;
	unsigned int		nr_used;
	u64			stamp;
	DECLARE_BITMAP(used, RXE_DMEM_BLOCK_PAGES);
};

/*
 * struct rxe_dmem_chunk - address space with struct pages
 * @res: the address space; more than the pagemap has, if the chunk is small
 * @node: on dmem->chunks
 * @nr_active: how many of its blocks have a backing, under dmem->grow_lock
 * @tags: whose each page is
 */
struct rxe_dmem_chunk {
	struct dev_pagemap	pagemap;
	struct resource		*res;
	struct rxe_dmem		*dmem;
	struct list_head	node;
	unsigned int		nr_blocks;
	unsigned int		nr_active;
	struct rxe_dmem_tag	*tags;
	struct rxe_dmem_block	blocks[] __counted_by(nr_blocks);
};

/*
 * struct rxe_dmem - the memory of a device
 * @size: pages it may have
 * @active: pages that have a backing
 * @used: pages in use
 * @peak: most of @used
 * @clock: counts uses of blocks, so that stamps have an order
 * @user_id, @user: the user that was looked up last
 */
struct rxe_dmem {
	struct rxe_dev		*rxe;
	struct mutex		grow_lock;	/* chunks, backing */
	spinlock_t		lock;		/* all below */
	struct list_head	chunks;
	struct list_head	free;
	struct list_head	partial;
	unsigned long		size;
	unsigned long		active;
	unsigned long		used;
	unsigned long		peak;
	u64			clock;
	u32			user_id;
	struct rxe_dmem_user	*user;
};

static inline struct rxe_dmem_chunk *rxe_dmem_chunk_of(struct page *page)
{
	return container_of(page_pgmap(page), struct rxe_dmem_chunk, pagemap);
}

/* Index of a page of the chunk. */
static inline unsigned long rxe_dmem_index(const struct rxe_dmem_chunk *chunk,
					   struct page *page)
{
	return page_to_pfn(page) - PHYS_PFN(chunk->pagemap.range.start);
}

static inline struct rxe_dmem_block *rxe_dmem_block_of(struct page *page)
{
	struct rxe_dmem_chunk *chunk = rxe_dmem_chunk_of(page);

	return &chunk->blocks[rxe_dmem_index(chunk, page) >>
			      RXE_DMEM_BLOCK_ORDER];
}

static inline unsigned long rxe_dmem_block_pfn(const struct rxe_dmem_block *block)
{
	const struct rxe_dmem_chunk *chunk = block->chunk;

	return PHYS_PFN(chunk->pagemap.range.start) +
	       (block - chunk->blocks) * RXE_DMEM_BLOCK_PAGES;
}

/* The backing of the block's page @i. */
static inline struct page *rxe_dmem_block_page(const struct rxe_dmem_block *block,
					       unsigned int i)
{
	return block->run ? block->run + i : block->pages[i];
}

/* rxe_dmem_page.c */
void rxe_dmem_file(struct rxe_dmem *dmem, struct rxe_dmem_block *block);
void rxe_dmem_folio_free(struct folio *folio);

#endif /* RXE_DMEM_CHUNK_H */
