/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fault, for those who share the work:
 *
 *	rxe_mirror_fault.c	the fault: look, fault in, try again
 *	rxe_mirror_plan.c	what it takes along, and what becomes of what it found
 */
#ifndef RXE_MIRROR_FAULT_H
#define RXE_MIRROR_FAULT_H

#include <linux/hmm.h>
#include <linux/memremap.h>

#include "rxe_dmem.h"
#include "rxe_mirror.h"
#include "rxe_readahead.h"

/**
 * struct rxe_fault - one fault, page indexes relative to the region
 * @mmr: the MR that is accessed
 * @window: its part of the mirror
 * @region: in it
 * @base: the region's first address
 * @flags: enum rxe_fault_flags
 * @first: the first required page
 * @last: the last one
 * @end: first page after those to fault in (read-ahead included)
 * @run: how often the stream that this belongs to, if any, has missed before
 * @around_first: the first page to look at
 * @around_last: the last one; the required pages are among them
 * @ahead_done: those ahead were faulted in, as far as they could be
 * @refill: the pages around were mapped before they moved
 * @looks_again: how often a required page could not be had at once, and was looked
 *	at again
 * @blind: there was no look yet, and all that is required counts as missing
 * @slow: the required page that takes long
 * @vma: the mapping that was asked for last, while mmap_lock is held
 * @table: for the region, if it is to get one
 * @pfns: what hmm_range_fault() says of the pages to look at
 * @few: @pfns, if they are few
 *
 * Belongs to one thread, and lives on its stack.
 */
struct rxe_fault {
	struct rxe_mirror_mr	*mmr;
	struct rxe_window	*window;
	struct rxe_region	*region;
	unsigned long		base;
	unsigned int		flags;
	unsigned int		first;
	unsigned int		last;
	unsigned int		end;
	unsigned int		run;
	unsigned int		around_first;
	unsigned int		around_last;
	bool			ahead_done;
	bool			refill;
	bool			blind;
	unsigned int		looks_again;
	unsigned int		slow;
	struct vm_area_struct	*vma;
	unsigned long		*table;
	unsigned long		*pfns;
	unsigned long		few[RXE_AROUND_PAGES];
};

static inline unsigned long *rxe_fault_pfn(struct rxe_fault *f, unsigned int page)
{
	return &f->pfns[page - f->around_first];
}

static inline unsigned long rxe_fault_va(const struct rxe_fault *f,
					 unsigned int page)
{
	return f->base + ((unsigned long)page << PAGE_SHIFT);
}

void rxe_mirror_plan(struct rxe_fault *f);
bool rxe_mirror_found_huge(struct rxe_fault *f);
unsigned int rxe_mirror_install(struct rxe_fault *f);

#endif /* RXE_MIRROR_FAULT_H */
