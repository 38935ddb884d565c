// SPDX-License-Identifier: GPL-2.0
/*
 * Where memory is: only the page tables know. The answer may be old when it
 * reaches the one who asked.
 *
 * hmm_range_fault() doesn't look at memory that may not be read (PROT_NONE).
 * What is on the device there is found by the setup of a migration of which
 * nothing comes: the pages are taken out of the page tables, and put back. What is
 * in RAM is got as a debugger gets it, and let go of: a page of KSM's would not
 * come back, see vma_outcome().
 */
#include <linux/hmm.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>

#include "rxe.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"

#define LOOK_TRIES	16

/*
 * struct look - at a part of a region
 * @mirror: whose
 * @window: that of the part
 * @start: first address
 * @end: behind the last one
 * @pfns: as hmm_range_fault() has them
 */
struct look {
	struct rxe_mirror	*mirror;
	struct rxe_window	*window;
	unsigned long		start;
	unsigned long		end;
	unsigned long		*pfns;
};

static unsigned long *pfn_of(struct look *look, unsigned long va)
{
	return &look->pfns[(va - look->start) >> PAGE_SHIFT];
}

/* Put down what setup has found. */
static void note_found(struct look *look, const struct migrate_vma *args)
{
	unsigned long i, n, k, va;
	struct page *page;

	for (i = 0; i < args->npages; i += n) {
		n = args->src[i] & MIGRATE_PFN_COMPOUND ? RXE_REGION_PAGES : 1;
		page = migrate_pfn_to_page(args->src[i]);
		for (k = 0; page && k < n; k++) {
			va = args->start + ((i + k) << PAGE_SHIFT);
			if (va >= look->start && va < look->end)
				*pfn_of(look, va) =
					HMM_PFN_VALID | (page_to_pfn(page) + k);
		}
	}
}

/* All of the region that the mapping has, so that no huge page is split. */
static int look_on_device(struct look *look, struct vm_area_struct *vma)
{
	unsigned long from = round_down(look->start, RXE_REGION_SIZE);
	unsigned long *both;
	struct migrate_vma args = {
		.vma = vma,
		.start = max(vma->vm_start, from),
		.end = min(vma->vm_end, from + RXE_REGION_SIZE),
		.pgmap_owner = look->mirror->rxe,
		.flags = MIGRATE_VMA_SELECT_COMPOUND |
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};

	both = kvcalloc(2 * RXE_REGION_PAGES, sizeof(*both), GFP_KERNEL);
	if (!both)
		return -ENOMEM;
	args.src = both;
	args.dst = both + RXE_REGION_PAGES;
	if (!migrate_vma_setup(&args)) {
		note_found(look, &args);
		migrate_vma_finalize(&args);
	}
	kvfree(both);

	return 0;
}

/* Nothing reads what is got by force here. */
static void look_in_ram(struct look *look, struct vm_area_struct *vma)
{
	unsigned long va = max(vma->vm_start, look->start);
	unsigned long end = min(vma->vm_end, look->end);
	struct page *page;

	migrate_disable();
	for (; va < end; va += PAGE_SIZE) {
		if (*pfn_of(look, va) & HMM_PFN_VALID)
			continue;
		if (get_user_pages_remote(look->mirror->mm, va, 1,
					  FOLL_FORCE | FOLL_NOFAULT, &page,
					  NULL) != 1)
			continue;
		*pfn_of(look, va) = HMM_PFN_VALID | page_to_pfn(page);
		put_page(page);
	}
	rxe_migrate_release_marked();
	migrate_enable();
}

static int look_at_all_unreadable(struct look *look)
{
	struct mm_struct *mm = look->mirror->mm;
	struct vm_area_struct *vma;
	struct vma_iterator vmi;
	int err = 0;

	vma_iter_init(&vmi, mm, look->start);
	mmap_read_lock(mm);
	for_each_vma_range(vmi, vma, look->end) {
		if (vma->vm_flags & VM_READ || !vma_is_anonymous(vma))
			continue;
		err = look_on_device(look, vma);
		if (err)
			break;
		look_in_ram(look, vma);
	}
	mmap_read_unlock(mm);

	return err;
}

/**
 * rxe_migrate_release_marked - let go of pages that this CPU has marked accessed
 *
 * Without the multi-generational LRU, pages that become active wait in a list of
 * the CPU for some more, which holds a reference to each: nobody could move them.
 * Nothing that is exported drains it, but a migration begins with that, here one
 * of no pages.
 *
 * Context: may sleep; migration has been disabled since the pages were marked.
 */
void rxe_migrate_release_marked(void)
{
	migrate_device_pfns(NULL, 0);
}

static int look_at_once(struct look *look)
{
	struct mm_struct *mm = look->mirror->mm;
	struct hmm_range range = {
		.notifier = &look->window->notifier,
		.notifier_seq = mmu_interval_read_begin(&look->window->notifier),
		.start = look->start,
		.end = look->end,
		.hmm_pfns = look->pfns,
		.dev_private_owner = look->mirror->rxe,
	};
	int err;

	memset(look->pfns, 0,
	       ((look->end - look->start) >> PAGE_SHIFT) * sizeof(*look->pfns));
	mmap_read_lock(mm);
	err = hmm_range_fault(&range);
	mmap_read_unlock(mm);

	return err;
}

static int look_at_all(struct look *look)
{
	unsigned int tries;
	int err = -EBUSY;

	/* nothing is faulted in, so nothing else can fail */
	for (tries = 0; err == -EBUSY && tries < LOOK_TRIES; tries++)
		err = look_at_once(look);

	return err;
}

/**
 * rxe_migrate_look - what the page tables say
 * @mirror: the mirror
 * @start: first address, of a page
 * @end: end of the last page, in the same region
 * @pfns: for each page HMM_PFN_*, 0 where nothing is
 *
 * Nothing is faulted in and nothing is held, so this is a hint. Memory that may
 * not be read is looked at, too. Who looks at the pages themselves does so before
 * rxe_dmem_look_end().
 *
 * Context: may sleep; mmap_lock isn't held, mm_users is.
 * Return: 0, -EBUSY if it changes too fast to be seen, or -ENOMEM.
 */
int rxe_migrate_look(struct rxe_mirror *mirror, unsigned long start,
		     unsigned long end, unsigned long *pfns)
{
	struct look look = {
		.mirror = mirror,
		.start = start,
		.end = end,
		.pfns = pfns,
	};
	int err;

	down_read(&mirror->gc_sem);
	look.window = rxe_mirror_make_window(mirror, start);
	err = IS_ERR(look.window) ? -ENOMEM : look_at_all(&look);
	up_read(&mirror->gc_sem);

	return err ? err : look_at_all_unreadable(&look);
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
	int look, err;

	look = rxe_dmem_look_begin();
	err = rxe_migrate_look(mirror, va, end, pfns);
	for (i = 0; !err && i < (end - va) >> PAGE_SHIFT; i++)
		states[i] = page_state(pfns[i]);
	rxe_dmem_look_end(look);

	return err;
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
