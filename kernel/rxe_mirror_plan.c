// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault takes along, and what becomes of what it found.
 *
 * - If one CPU mapping covers the region, the region gets one entry.
 * - Pages of the aligned block around the access that are present already are
 *   mapped too; nothing is faulted for them. It isn't looked for them where pages
 *   are likely to be missing.
 * - If the access is where the last fault in the region ended, and so was the one
 *   before, it is a stream, and pages ahead are faulted in as well: twice as many
 *   each time, never beyond the MR.
 *
 * How many these may be depends on how many were used (rxe_readahead.h).
 */
#include "rxe.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_mirror_fault.h"
#include "rxe_mirror_find.h"
#include "rxe_tier.h"

/* How far to read ahead. A packet may begin in the page before its miss. */
static unsigned int ahead_pages(struct rxe_fault *f)
{
	const struct rxe_region *region = f->region;
	unsigned int next = READ_ONCE(region->ra_next);

	if (f->first == 0) {
		/* the stream may come from the region before this one */
		region = rxe_mirror_region(f->mmr->mirror, f->base - 1);
		if (!region || READ_ONCE(region->ra_next) != RXE_REGION_PAGES)
			return 0;
	} else if (next < f->first || next > f->last) {
		return 0;
	}
	f->run = min(READ_ONCE(region->ra_run) + 1, USHRT_MAX);

	return rxe_readahead_next(&f->mmr->credit, READ_ONCE(region->ra_pages),
				  f->run);
}

/* Keep the neighbours within the MR. */
static void clamp_to_mr(struct rxe_fault *f)
{
	unsigned long start = f->mmr->umem.address;
	unsigned long last = start + f->mmr->umem.length - 1;

	if (start > f->base)
		f->around_first = max(f->around_first, rxe_region_page(start));
	if (last < f->base + RXE_REGION_SIZE - 1) {
		f->around_last = min(f->around_last, rxe_region_page(last));
		f->end = min(f->end, rxe_region_page(last) + 1);
	}
}

/* Pages that are wanted on the device are left to their own first touch. */
static void stop_at_device(struct rxe_fault *f)
{
	struct rxe_mirror *mirror = f->mmr->mirror;
	unsigned long start, last;
	unsigned int i;

	for (i = f->last + 1; i < f->end; i++)
		if (rxe_migrate_preferred(mirror, rxe_fault_va(f, i), &start,
					  &last) == RXE_PLACE_DEVICE)
			f->end = i;
}

/**
 * rxe_mirror_plan - decide what a fault looks at and what it faults in
 * @f: the fault, with the required pages; the rest of the pages is set
 *
 * Context: gc_sem is held.
 */
void rxe_mirror_plan(struct rxe_fault *f)
{
	f->end = f->last + 1;
	f->run = 0;
	f->around_first = f->first;
	f->around_last = f->last;
	if (f->flags & RXE_FAULT_PREFETCH)
		return;

	if (!f->blind &&
	    rxe_readahead_allowed(&f->mmr->credit) >= RXE_AROUND_PAGES) {
		f->around_first = round_down(f->first, RXE_AROUND_PAGES);
		f->around_last = round_down(f->last, RXE_AROUND_PAGES) +
				 RXE_AROUND_PAGES - 1;
	}
	f->end = min_t(unsigned int, f->end + ahead_pages(f), RXE_REGION_PAGES);
	stop_at_device(f);
	if (READ_ONCE(f->region->refill)) {
		WRITE_ONCE(f->region->refill, false);
		f->refill = true;
		f->around_first = 0;
		f->around_last = RXE_REGION_PAGES - 1;
	}
	clamp_to_mr(f);
	f->around_last = max(f->around_last, f->end - 1);
}

static bool covers_region(unsigned long pfn)
{
	return (pfn & HMM_PFN_VALID) &&
	       hmm_pfn_to_map_order(pfn) >= RXE_REGION_ORDER;
}

/**
 * rxe_mirror_found_huge - does one run of memory cover the region?
 * @f: the fault, after its look
 *
 * Context: any.
 * Return: whether it does, so that one entry does for all of it.
 */
bool rxe_mirror_found_huge(struct rxe_fault *f)
{
	unsigned long pfn = *rxe_fault_pfn(f, f->first);
	struct page *page;

	if (!covers_region(pfn))
		return false;
	page = hmm_pfn_to_page(pfn);

	return !is_device_private_page(page) || rxe_dmem_is_block(page);
}

/*
 * The frame of the region's page @i. For a mapping of the whole region, don't
 * believe the offset: where a walk begins within one of device-private memory,
 * hmm_range_fault() of Linux 7.2 counts from the mapping's first frame.
 */
static unsigned long frame_of(unsigned long pfn, unsigned int i)
{
	unsigned long frame = pfn & ~HMM_PFN_FLAGS;

	if (covers_region(pfn))
		frame = round_down(frame, RXE_REGION_PAGES) + i;

	return frame;
}

static unsigned int install_huge(struct rxe_fault *f)
{
	unsigned long pfn = *rxe_fault_pfn(f, f->first);
	struct rxe_region *region = f->region;
	unsigned int n = RXE_REGION_PAGES - region->nr_valid;
	unsigned long entry;

	entry = rxe_entry_of(frame_of(pfn, 0), pfn & HMM_PFN_WRITE);
	if (region->huge && !((entry ^ region->huge) & ~RXE_ENTRY_MARKS))
		return 0;
	if (region->huge)
		n = RXE_REGION_PAGES;
	if (region->table)
		memset(region->table, 0, RXE_REGION_PAGES * sizeof(entry));
	region->huge = entry;
	region->nr_valid = RXE_REGION_PAGES;

	return n;
}

static unsigned int install_pages(struct rxe_fault *f)
{
	struct rxe_region *region = f->region;
	unsigned int i, n = 0, along = 0;
	unsigned long pfn, entry, old;

	if (region->huge) {
		region->huge = 0;
		region->nr_valid = 0;
	}
	if (!region->table) {
		region->table = f->table;
		f->table = NULL;
	}

	for (i = f->around_first; i <= f->around_last; i++) {
		pfn = *rxe_fault_pfn(f, i);
		if (!(pfn & HMM_PFN_VALID) || pfn & HMM_PFN_ERROR)
			continue;
		entry = rxe_entry_of(frame_of(pfn, i), pfn & HMM_PFN_WRITE);
		old = region->table[i];
		if (!((entry ^ old) & ~RXE_ENTRY_MARKS))
			continue;
		if (!f->refill && (i < f->first || i > f->last)) {
			along += !old;
			entry &= ~RXE_ENTRY_USED | old;
		}
		region->table[i] = entry;
		region->nr_valid += !old;
		n++;
	}
	rxe_stats_count_along(f->mmr, along);

	return n;
}

/* Where the stream would miss next: after what is mapped from @f->end on. */
static void note_stream(struct rxe_fault *f)
{
	unsigned int next = f->end;

	if (f->region->huge)
		next = RXE_REGION_PAGES;
	else
		while (next <= f->around_last && f->region->table[next])
			next++;

	WRITE_ONCE(f->region->ra_pages, f->end - f->last - 1);
	WRITE_ONCE(f->region->ra_next, next);
	WRITE_ONCE(f->region->ra_run, f->run);
}

/**
 * rxe_mirror_install - enter what a fault has found into its region
 * @f: the fault; nothing has changed since it looked
 *
 * Context: the window's lock is held.
 * Return: how many pages it mapped that weren't.
 */
unsigned int rxe_mirror_install(struct rxe_fault *f)
{
	unsigned int n;

	lockdep_assert_held(&f->window->lock);

	write_lock(&f->region->lock);
	rxe_tier_claim(f->region, f->base, f->mmr);
	if (rxe_mirror_found_huge(f))
		n = install_huge(f);
	else
		n = install_pages(f);
	if (!(f->flags & RXE_FAULT_PREFETCH))
		note_stream(f);
	write_unlock(&f->region->lock);

	return n;
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_mirror_plan_test.c"
#endif
