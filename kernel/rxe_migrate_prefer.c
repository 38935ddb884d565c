// SPDX-License-Identifier: GPL-2.0
/*
 * Where memory is wanted, and where it is.
 *
 * Preferences belong to the mirror, so to a process's memory as one device sees
 * it: all MRs over the same memory share them. They are kept by page in a maple
 * tree, which guards itself; readers need RCU, which mt_find() and mtree_load()
 * take. They go with the mirror, that is with the process's last MR.
 *
 * Where memory is, only the page tables know. The answer may be old when it
 * reaches the one who asked.
 */
#include <linux/hmm.h>
#include <linux/maple_tree.h>
#include <linux/sched/mm.h>

#include "rxe.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"

#define SNAPSHOT_TRIES	16

/**
 * rxe_migrate_prefer - say where a range is wanted
 * @mmr: an MR over it
 * @start: first address, of a page
 * @length: bytes, whole pages, at least one
 * @place: where; %RXE_PLACE_NONE takes back what was said
 *
 * Moves nothing. What the NIC touches first is made where it is wanted.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM: then nothing has changed.
 */
int rxe_migrate_prefer(struct rxe_mirror_mr *mmr, unsigned long start,
		       unsigned long length, enum rxe_place place)
{
	void *value = place == RXE_PLACE_NONE ? NULL : xa_mk_value(place);
	unsigned long first = start >> PAGE_SHIFT;
	unsigned long last = (start + length - 1) >> PAGE_SHIFT;

	return mtree_store_range(&mmr->mirror->prefer, first, last, value,
				 GFP_KERNEL);
}

/**
 * rxe_migrate_preferred - where an address is wanted
 * @mirror: the mirror
 * @va: the address
 * @start: the first address that is wanted there like it
 * @last: the last one
 *
 * Context: any but irq.
 * Return: where; @start and @last aren't set for %RXE_PLACE_NONE.
 */
enum rxe_place rxe_migrate_preferred(struct rxe_mirror *mirror, unsigned long va,
				     unsigned long *start, unsigned long *last)
{
	MA_STATE(mas, &mirror->prefer, va >> PAGE_SHIFT, va >> PAGE_SHIFT);
	enum rxe_place place = RXE_PLACE_NONE;
	void *value;

	if (mtree_empty(&mirror->prefer))
		return place;

	rcu_read_lock();
	value = mas_walk(&mas);
	if (value) {
		place = xa_to_value(value);
		*start = mas.index << PAGE_SHIFT;
		*last = (mas.last << PAGE_SHIFT) | ~PAGE_MASK;
	}
	rcu_read_unlock();

	return place;
}

static int try_snapshot(struct rxe_window *window, unsigned long start,
			unsigned long end, unsigned long *pfns)
{
	struct mm_struct *mm = window->mirror->mm;
	struct hmm_range range = {
		.notifier = &window->notifier,
		.notifier_seq = mmu_interval_read_begin(&window->notifier),
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.dev_private_owner = window->mirror->rxe,
	};
	int err;

	memset(pfns, 0, (end - start) >> PAGE_SHIFT << 3);
	mmap_read_lock(mm);
	err = hmm_range_fault(&range);
	mmap_read_unlock(mm);

	return err;
}

/* Page by page, so that addresses where nothing is mapped fail alone. */
static int snapshot_pages(struct rxe_window *window, unsigned long start,
			  unsigned long end, unsigned long *pfns)
{
	unsigned long va;
	int err;

	for (va = start; va < end; va += PAGE_SIZE, pfns++) {
		err = try_snapshot(window, va, va + PAGE_SIZE, pfns);
		if (err == -EBUSY)
			return err;
		if (err)
			*pfns = 0;
	}

	return 0;
}

/**
 * rxe_migrate_snapshot - what the page tables say
 * @mirror: the mirror
 * @start: first address, of a page
 * @end: end of the last page, in the same region
 * @pfns: for each page HMM_PFN_*, 0 where nothing is
 *
 * Nothing is faulted in and nothing is held, so this is a hint.
 *
 * Context: may sleep; mmap_lock isn't held, mm_users is.
 * Return: 0, -EBUSY if it changes too fast to be seen, or -ENOMEM.
 */
int rxe_migrate_snapshot(struct rxe_mirror *mirror, unsigned long start,
			 unsigned long end, unsigned long *pfns)
{
	struct rxe_window *window;
	unsigned int tries;
	int err = -EBUSY;

	down_read(&mirror->gc_sem);
	window = rxe_mirror_make_window(mirror, start);
	if (IS_ERR(window)) {
		up_read(&mirror->gc_sem);
		return -ENOMEM;
	}

	for (tries = 0; err == -EBUSY && tries < SNAPSHOT_TRIES; tries++) {
		err = try_snapshot(window, start, end, pfns);
		if (err && err != -EBUSY)
			err = snapshot_pages(window, start, end, pfns);
	}
	up_read(&mirror->gc_sem);

	return err;
}

static u8 page_state(unsigned long pfn)
{
	u8 state;

	if (!(pfn & HMM_PFN_VALID))
		return 0;
	state = RXE_PAGE_PRESENT;
	if (pfn & HMM_PFN_WRITE)
		state |= RXE_PAGE_WRITE;
	if (is_device_private_page(hmm_pfn_to_page(pfn)))
		state |= RXE_PAGE_DEVICE;

	return state;
}

static int query_region(struct rxe_mirror *mirror, unsigned long va,
			unsigned long end, unsigned long *pfns, u8 *states)
{
	unsigned long i;
	int err;

	err = rxe_migrate_snapshot(mirror, va, end, pfns);
	if (err)
		return err;
	for (i = 0; i < (end - va) >> PAGE_SHIFT; i++)
		states[i] = page_state(pfns[i]);

	return 0;
}

/**
 * rxe_migrate_query - where the pages of a range are
 * @mmr: an MR over it
 * @start: first address, of a page
 * @nr_pages: how many
 * @states: enum rxe_page_state of each; 0 is absent, which swapped out is too
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: 0, or
 * * -EBUSY: it changes too fast to be seen
 * * -EINTR: the caller is being killed
 * * -ENOMEM: no memory for the work
 * * -ESRCH: the process is gone
 */
int rxe_migrate_query(struct rxe_mirror_mr *mmr, unsigned long start,
		      unsigned long nr_pages, u8 *states)
{
	unsigned long end = start + (nr_pages << PAGE_SHIFT);
	struct mm_struct *mm = mmr->mirror->mm;
	unsigned long *pfns, va, next;
	int err = 0;

	pfns = kvmalloc_array(RXE_REGION_PAGES, sizeof(*pfns), GFP_KERNEL);
	if (!pfns)
		return -ENOMEM;
	if (!mmget_not_zero(mm)) {
		kvfree(pfns);
		return -ESRCH;
	}

	for (va = start; !err && va < end; va = next) {
		next = min(rxe_region_end(va), end);
		err = query_region(mmr->mirror, va, next, pfns, states);
		states += (next - va) >> PAGE_SHIFT;
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	mmput(mm);
	kvfree(pfns);

	return err;
}
