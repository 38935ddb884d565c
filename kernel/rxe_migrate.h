/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration: pages move between RAM and device memory.
 *
 *	promote		RAM -> device, asked for (rxe_migrate.c)
 *	demote		device -> RAM, asked for (rxe_migrate.c)
 *	cpu fault	device -> RAM, the CPU wants it (rxe_migrate_fault.c)
 *	evict		device -> RAM, the device is full (rxe_migrate_evict.c)
 *	evacuate	device -> RAM, all of a process, or all (the same)
 *
 * All of them are a transaction of struct rxe_batch, on 2 MiB at most.
 */
#ifndef RXE_MIGRATE_H
#define RXE_MIGRATE_H

#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/types.h>

#include "rxe_ce.h"
#include "rxe_dmem.h"
#include "rxe_migrate_spare.h"

struct rxe_hmm_dev;
struct rxe_mirror;
struct rxe_mirror_mr;

#define RXE_BATCH_PAGES		RXE_DMEM_BLOCK_PAGES
#define RXE_BATCH_BULK		64U

/* Where pages are, and where they are wanted. */
enum rxe_place {
	RXE_PLACE_SYSTEM,
	RXE_PLACE_DEVICE,
	RXE_PLACE_STAY,		/* wanted: wherever it is */
	RXE_PLACE_NONE,		/* wanted: no matter */
	RXE_PLACE_MOVED,	/* no matter, but the policy leaves it alone */
};

/* Why a page didn't move. */
enum rxe_skip {
	RXE_SKIP_PINNED,	/* someone holds it for DMA */
	RXE_SKIP_FILE,		/* of a file, a device or hugetlbfs */
	RXE_SKIP_SHARED,	/* with other processes: shared memory, or COW */
	RXE_SKIP_KSM,		/* merged by KSM, or may be */
	RXE_SKIP_LOCKED,	/* mlock() */
	RXE_SKIP_FULL,		/* no room on the device */
	RXE_SKIP_NOMEM,		/* no memory at the other side, or for the work */
	RXE_SKIP_ABSENT,	/* not mapped, or nothing there to move back */
	RXE_SKIP_BUSY,		/* in use by something else just now */
	RXE_SKIP_REASONS
};

/**
 * struct rxe_migrate_counts - what became of the pages of a range
 * @moved: moved
 * @already: were there before
 * @skipped: did not move, by reason
 */
struct rxe_migrate_counts {
	u64 moved;
	u64 already;
	u64 skipped[RXE_SKIP_REASONS];
};

/* What rxe_migrate_query() says of a page. */
enum rxe_page_state {
	RXE_PAGE_PRESENT	= BIT(0),
	RXE_PAGE_DEVICE		= BIT(1),
	RXE_PAGE_WRITE		= BIT(2),
};

/**
 * struct rxe_batch - a migration of up to 2 MiB
 * @hmm: the device
 * @nr_pages: how many of @src and @dst are used
 * @folios: 2 MiB of RAM went into one destination
 * @pages: pages of device memory taken for later entries
 * @ahead: how many pages may come to RAM after these
 * @spare: RAM allocated for later entries, and for the next batch
 * @src: where the pages are, as <linux/migrate.h> has it
 * @dst: where they go
 * @copies: what is to be copied, or is being copied
 *
 * Made and dropped by one thread, which alone uses it.
 */
struct rxe_batch {
	struct rxe_hmm_dev	*hmm;
	unsigned int		nr_pages;
	bool			folios;
	struct rxe_dmem_run	pages;
	unsigned long		ahead;
	struct rxe_spare	spare;
	unsigned long		src[RXE_BATCH_PAGES];
	unsigned long		dst[RXE_BATCH_PAGES];
	struct rxe_ce_batch	copies;
};

/**
 * rxe_batch_moved - did an entry move?
 * @batch: the batch, between pages and finalize
 * @i: the entry
 *
 * Context: any.
 * Return: how many pages moved from this entry on, 0 if this one did not.
 */
static inline unsigned int rxe_batch_moved(const struct rxe_batch *batch,
					   unsigned int i)
{
	if (!(batch->src[i] & MIGRATE_PFN_MIGRATE) ||
	    !(batch->dst[i] & MIGRATE_PFN_VALID))
		return 0;

	return batch->dst[i] & MIGRATE_PFN_COMPOUND ? RXE_BATCH_PAGES : 1;
}

/* rxe_migrate_batch.c */
struct rxe_batch *rxe_batch_alloc(void);
struct rxe_batch *rxe_batch_create(struct rxe_hmm_dev *hmm);
struct rxe_batch *rxe_batch_get(struct rxe_hmm_dev *hmm);
void rxe_batch_destroy(struct rxe_batch *batch);
unsigned int rxe_batch_to_device(struct rxe_batch *batch, unsigned int i);
unsigned int rxe_batch_to_system(struct rxe_batch *batch, unsigned int i,
				 struct vm_area_struct *vma, unsigned long va);
void rxe_batch_copy_start(struct rxe_batch *batch);
void rxe_batch_copy_finish(struct rxe_batch *batch);
void rxe_batch_arrived(struct rxe_batch *batch, struct rxe_dmem_tag tag);
unsigned int rxe_batch_left(struct rxe_batch *batch, enum rxe_dmem_move how);

/* rxe_migrate.c */
int rxe_migrate_range(struct rxe_mirror *mirror, u32 user, unsigned long start,
		      unsigned long length, enum rxe_place to, u64 before,
		      struct rxe_migrate_counts *counts);
void rxe_migrate_first_touch(struct rxe_mirror_mr *mmr, unsigned long va,
			     unsigned long length);

/* rxe_migrate_prefer.c */
int rxe_migrate_prefer(struct rxe_mirror_mr *mmr, unsigned long start,
		       unsigned long length, enum rxe_place place);
enum rxe_place rxe_migrate_preferred(struct rxe_mirror *mirror, unsigned long va,
				     unsigned long *start, unsigned long *last);
void rxe_migrate_mark_moved(struct rxe_mirror_mr *mmr, unsigned long start,
			    unsigned long length);
enum rxe_place rxe_migrate_preferred_all(struct rxe_mirror *mirror,
					 unsigned long start,
					 unsigned long end);

/* rxe_migrate_look.c */
int rxe_migrate_look(struct rxe_mirror *mirror, unsigned long start,
		     unsigned long end, unsigned long *pfns);
int rxe_migrate_query(struct rxe_mirror_mr *mmr, unsigned long start,
		      unsigned long nr_pages, u8 *states);
void rxe_migrate_release_marked(void);

/* rxe_migrate_evict.c */
u64 rxe_migrate_clock(struct rxe_hmm_dev *hmm, unsigned long pages);
int rxe_migrate_make_room(struct rxe_hmm_dev *hmm, unsigned int pages, bool block,
			  u64 before);
void rxe_migrate_evacuate_mirror(struct rxe_hmm_dev *hmm, u32 mirror);
void rxe_migrate_evacuate_all(struct rxe_hmm_dev *hmm);
int rxe_migrate_set_memory(struct rxe_hmm_dev *hmm, unsigned long pages);

/* rxe_migrate_fault.c */
vm_fault_t rxe_migrate_to_ram(struct vm_fault *vmf);

#endif /* RXE_MIGRATE_H */
