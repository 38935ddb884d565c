// SPDX-License-Identifier: GPL-2.0
/*
 * The fault: bring pages of the process into the mirror.
 *
 * A fault serves the pages of one access within one region (the required
 * pages), and takes neighbours along:
 *
 * - If one CPU mapping covers the region, the region gets one entry.
 * - Pages of the aligned block around the access that are present already are
 *   mapped too; nothing is faulted for them.
 * - If the access is where the last fault in the region ended, the stream is
 *   sequential, and pages ahead are faulted in as well: twice as many each
 *   time, never beyond the MR.
 *
 * How many these may be depends on how many were used (rxe_readahead.h).
 *
 * A try is a look at the page tables by hmm_range_fault(), and a fault for each
 * page that is missing, which the next try finds there. A fault that would wait
 * for its memory is left to a thread of its own (rxe_slow.c), so that a queue
 * pair never waits long here.
 *
 * The loop runs under the collision-retry protocol of mmu interval notifiers. It
 * is our own, not ib_umem_odp's, because that one leaves dev_private_owner of
 * hmm_range unset, which pulls device-private pages to RAM.
 *
 * A fault that loses to an invalidation tries again. One budget covers all the
 * tries of one access, and -EBUSY says that it is used up; the caller then
 * moves the data through a short pin (rxe_mirror_io.c). So a storm of
 * invalidations costs time, but never fails an operation.
 */
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/sched/mm.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_mirror_find.h"
#include "rxe_race.h"
#include "rxe_readahead.h"
#include "rxe_slow.h"
#include "rxe_trace.h"

/*
 * struct fault - one fault, page indexes relative to the region
 * @first, @last: the required pages
 * @end: first page after those to fault in (read-ahead included)
 * @around_first, @around_last: the pages to look at, required ones included
 * @ahead_done: those ahead were faulted in, as far as they could be
 * @refill: the pages around were mapped before they moved
 * @looks_again: a required page could not be had at once, and was looked at again
 * @slow: the required page that takes long
 * @pfns: one for each of these
 */
struct fault {
	struct rxe_mirror_mr	*mmr;
	struct rxe_window	*window;
	struct rxe_region	*region;
	unsigned long		base;
	unsigned int		flags;
	unsigned int		first;
	unsigned int		last;
	unsigned int		end;
	unsigned int		around_first;
	unsigned int		around_last;
	bool			ahead_done;
	bool			refill;
	bool			looks_again;
	unsigned int		slow;
	unsigned long		*table;
	unsigned long		*pfns;
};

/* How far to read ahead. A packet may begin in the page before its miss. */
static unsigned int ahead_pages(struct fault *f)
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

	return rxe_readahead_next(&f->mmr->credit, READ_ONCE(region->ra_pages));
}

/* Keep the neighbours within the MR. */
static void clamp_to_mr(struct fault *f)
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
static void stop_at_device(struct fault *f)
{
	struct rxe_mirror *mirror = f->mmr->mirror;
	unsigned long start, last;
	unsigned int i;

	for (i = f->last + 1; i < f->end; i++)
		if (rxe_migrate_preferred(mirror,
					  f->base + ((unsigned long)i << PAGE_SHIFT),
					  &start, &last) == RXE_PLACE_DEVICE)
			f->end = i;
}

static void plan(struct fault *f)
{
	f->end = f->last + 1;
	f->around_first = f->first;
	f->around_last = f->last;
	if (f->flags & RXE_FAULT_PREFETCH)
		return;

	if (rxe_readahead_allowed(&f->mmr->credit) >= RXE_AROUND_PAGES) {
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

static unsigned long *pfn_of(struct fault *f, unsigned int page)
{
	return &f->pfns[page - f->around_first];
}

static bool covers_region(unsigned long pfn)
{
	return (pfn & HMM_PFN_VALID) &&
	       hmm_pfn_to_map_order(pfn) >= RXE_REGION_ORDER;
}

/* Does one run of memory cover the region, so that one entry does? */
static bool is_huge(unsigned long pfn)
{
	struct page *page;

	if (!covers_region(pfn))
		return false;
	page = hmm_pfn_to_page(pfn);

	return !is_device_private_page(page) || rxe_dmem_is_block(page);
}

static unsigned long addr_of(struct fault *f, unsigned int page)
{
	return f->base + ((unsigned long)page << PAGE_SHIFT);
}

/* What the CPU page tables say of all the pages to look at. */
static int snapshot(struct fault *f, unsigned long seq)
{
	unsigned int pages = f->around_last - f->around_first + 1;
	struct hmm_range range = {
		.notifier = &f->window->notifier,
		.notifier_seq = seq,
		.start = addr_of(f, f->around_first),
		.end = addr_of(f, f->around_last + 1),
		.hmm_pfns = f->pfns,
		.dev_private_owner = f->mmr->mirror->rxe,
	};
	unsigned long start = addr_of(f, f->first), end = start;

	if (f->flags & RXE_FAULT_WRITE)
		end = addr_of(f, f->end);
	memset(f->pfns, 0, pages * sizeof(*f->pfns));

	return rxe_mirror_look(&range, start, end);
}

static bool is_missing(struct fault *f, unsigned int page)
{
	unsigned long need = HMM_PFN_VALID;

	if (f->flags & RXE_FAULT_WRITE)
		need |= HMM_PFN_WRITE;

	return (*pfn_of(f, page) & need) != need;
}

static bool is_on_device(struct fault *f, unsigned int page)
{
	unsigned long pfn = *pfn_of(f, page);

	return (pfn & HMM_PFN_VALID) &&
	       is_device_private_page(hmm_pfn_to_page(pfn));
}

/*
 * Fault @page in, as the process would, but don't wait for what takes long: a
 * page that is being read, or that userfaultfd has to ask for. What wasn't there
 * and is on the device by now is not brought back either; a page there that may
 * not be written is, to be copied. @next is the first page that one fault of this
 * mapping doesn't bring.
 */
static int fault_page(struct fault *f, unsigned int page, unsigned int *next)
{
	unsigned int flags = FAULT_FLAG_REMOTE;
	unsigned long va = addr_of(f, page), size;
	struct vm_area_struct *vma;
	vm_fault_t ret;

	vma = vma_lookup(f->mmr->mirror->mm, va);
	if (!rxe_mirror_may_fault(vma, f->flags & RXE_FAULT_WRITE))
		return -EFAULT;
	/* what is ahead may be as much as a huge page each */
	if (page > f->last && is_vm_hugetlb_page(vma))
		return -ERANGE;
	if (f->flags & RXE_FAULT_WRITE)
		flags |= FAULT_FLAG_WRITE;
	if (!is_on_device(f, page))
		flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT;

	ret = handle_mm_fault(vma, va, flags, NULL);
	if (ret & VM_FAULT_ERROR)
		return ret & VM_FAULT_OOM ? -ENOMEM : -EFAULT;
	if (ret & VM_FAULT_RETRY)
		return -EINPROGRESS;

	size = vma_kernel_pagesize(vma);
	*next = (round_down(va, size) + size - f->base) >> PAGE_SHIFT;

	return 0;
}

/*
 * What is ahead is tried once, and if it can't be had, that is no error. A
 * required page that can't be had at once may have come to the device since it
 * was looked at, so there is another look before it counts as slow.
 */
static int fault_missing(struct fault *f)
{
	unsigned int end = f->ahead_done ? f->last + 1 : f->end;
	unsigned int i, next;
	bool faulted = false;
	int err;

	f->ahead_done = true;
	for (i = f->first; i < end; i = next) {
		next = i + 1;
		if (!is_missing(f, i))
			continue;
		err = fault_page(f, i, &next);
		if (err && i > f->last) {
			f->end = i;
			break;
		}
		if (err == -EINPROGRESS && !f->looks_again) {
			f->looks_again = true;
			return -ESTALE;
		}
		if (err) {
			f->slow = i;
			return err;
		}
		faulted = true;
	}

	return faulted ? -EAGAIN : 0;
}

/*
 * Look, and fault in what is missing. hmm_range_fault() could do both, but not
 * without waiting, not on hugetlbfs, whose lock it holds meanwhile, and not for
 * a page of ours on the device that may be read but not written.
 */
static int walk(struct fault *f, unsigned long seq)
{
	struct mm_struct *mm = f->mmr->mirror->mm;
	int err;

	mmap_read_lock(mm);
	err = snapshot(f, seq);
	rxe_race_reach(RXE_RACE_FAULT_LOOKED);
	if (!err && !(f->flags & RXE_FAULT_SNAPSHOT))
		err = fault_missing(f);
	mmap_read_unlock(mm);

	return err;
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

static unsigned int install_huge(struct fault *f)
{
	unsigned long pfn = *pfn_of(f, f->first);
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

static unsigned int install_pages(struct fault *f)
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
		pfn = *pfn_of(f, i);
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
static void note_stream(struct fault *f)
{
	unsigned int next = f->end;

	if (f->region->huge)
		next = RXE_REGION_PAGES;
	else
		while (next <= f->around_last && f->region->table[next])
			next++;

	WRITE_ONCE(f->region->ra_pages, f->end - f->last - 1);
	WRITE_ONCE(f->region->ra_next, next);
}

static unsigned int install(struct fault *f)
{
	unsigned int n;

	lockdep_assert_held(&f->window->lock);

	write_lock(&f->region->lock);
	rxe_tier_claim(f->region, f->base, f->mmr);
	if (is_huge(*pfn_of(f, f->first)))
		n = install_huge(f);
	else
		n = install_pages(f);
	if (!(f->flags & RXE_FAULT_PREFETCH))
		note_stream(f);
	write_unlock(&f->region->lock);

	return n;
}

/* One try. Returns how many pages it mapped, or an error. */
static int try_fault(struct fault *f)
{
	unsigned long seq;
	int ret;

	seq = mmu_interval_read_begin(&f->window->notifier);
	rxe_race_reach(RXE_RACE_FAULT_BEGUN);
	ret = walk(f, seq);
	if (ret)
		return ret;
	rxe_race_reach(RXE_RACE_FAULT_WALKED);

	if (!f->table && !READ_ONCE(f->region->table) &&
	    !is_huge(*pfn_of(f, f->first))) {
		f->table = kcalloc(RXE_REGION_PAGES, sizeof(*f->table),
				   GFP_KERNEL | __GFP_NOWARN);
		if (!f->table)
			return -ENOMEM;
		rxe_audit_made(RXE_AUDIT_TABLES);
	}

	spin_lock(&f->window->lock);
	if (mmu_interval_read_retry(&f->window->notifier, seq)) {
		ret = -EBUSY;
	} else {
		rxe_race_reach_atomic(RXE_RACE_FAULT_CHECKED);
		ret = install(f);
	}
	spin_unlock(&f->window->lock);

	return ret;
}

static int fault_loop(struct fault *f, struct rxe_fault_budget *budget)
{
	struct rxe_dev *rxe = f->mmr->mirror->rxe;
	int look, ret;

	for (;;) {
		look = rxe_dmem_look_begin();
		ret = try_fault(f);
		rxe_dmem_look_end(look);
		if (ret == -EAGAIN) {
			/* it was faulted in, and that it took time is no loss */
			rxe_fault_budget_restart(budget);
			if (budget->tries++ >= RXE_FAULT_BUDGET_TRIES)
				return -EBUSY;
		} else if (ret == -EBUSY) {
			rxe_counter_inc(rxe, RXE_CNT_PAGE_FAULT_RETRIES);
			if (rxe_fault_budget_spent(budget))
				return ret;
			cond_resched();
		} else if (ret != -ESTALE) {	/* that comes once */
			return ret;
		}
	}
}

/*
 * Make what is missing of the window and the region of an access. Nothing is
 * made where nothing is mapped: a peer that tries addresses of a large MR must
 * not fill the machine's memory.
 */
static int make_region(struct fault *f, unsigned long va, unsigned long length)
{
	struct rxe_mirror *mirror = f->mmr->mirror;

	if (!rxe_mirror_region(mirror, va) &&
	    !rxe_mirror_is_mapped(mirror, va, length))
		return -EFAULT;
	f->window = rxe_mirror_make_window(mirror, va);
	if (IS_ERR(f->window))
		return PTR_ERR(f->window);
	f->region = rxe_mirror_make_region(f->window, va);

	return f->region ? 0 : -ENOMEM;
}

/* gc_sem is held, so that window and region stay. */
static int fault_mapped(struct rxe_mirror_mr *mmr, unsigned long va,
			unsigned long length, unsigned int flags,
			struct rxe_fault_budget *budget, unsigned long *slow)
{
	struct fault f = {
		.mmr = mmr,
		.base = round_down(va, RXE_REGION_SIZE),
		.flags = flags,
		.first = rxe_region_page(va),
		.last = rxe_region_page(va + length - 1),
	};
	int ret;

	lockdep_assert_held_read(&mmr->mirror->gc_sem);

	ret = make_region(&f, va, length);
	if (ret)
		return ret == -EFAULT && flags & RXE_FAULT_SNAPSHOT ? 0 : ret;

	plan(&f);
	f.pfns = kmalloc_array(f.around_last - f.around_first + 1,
			       sizeof(*f.pfns), GFP_KERNEL | __GFP_NOWARN);
	if (!f.pfns)
		return -ENOMEM;

	ret = fault_loop(&f, budget);
	*slow = addr_of(&f, f.slow);

	if (f.table)
		rxe_audit_freed(RXE_AUDIT_TABLES);
	kfree(f.table);
	kfree(f.pfns);

	return ret;
}

/* Returns how many pages were mapped, -EINPROGRESS if @slow takes long, ... */
static int fault_once(struct rxe_mirror_mr *mmr, unsigned long va,
		      unsigned long length, unsigned int flags,
		      struct rxe_fault_budget *budget, unsigned long *slow)
{
	struct mm_struct *mm = mmr->mirror->mm;
	int ret;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (!(flags & RXE_FAULT_SNAPSHOT))
		rxe_migrate_first_touch(mmr, va, length);
	down_read(&mmr->mirror->gc_sem);
	ret = fault_mapped(mmr, va, length, flags, budget, slow);
	up_read(&mmr->mirror->gc_sem);
	/* the last user's exit must not run in a QP's work */
	mmput_async(mm);

	return ret;
}

/**
 * rxe_mirror_fault - map the pages of an access
 * @mmr: the MR that is accessed
 * @va: first address, within the MR
 * @length: bytes, at least 1, not beyond the end of @va's region
 * @flags: enum rxe_fault_flags
 * @budget: tries and time left to this access
 *
 * What was mapped may be gone again when this returns: the caller looks under
 * the region's lock, and calls again with the same budget. See
 * Documentation/mm/hmm.rst for the protocol.
 *
 * Context: may sleep, but not for as long as the memory may take: what isn't
 * there soon is left to rxe_slow. No lock of the mirror and no mmap_lock is held.
 * Return: 0, or
 * * -EAGAIN: the memory takes longer and is on its way: try again later
 * * -EBUSY: the budget is used up, the access may be served in another way
 * * -ENOMEM: no memory for the mirror, likewise
 * * -EFAULT: the process itself could not make this access
 */
int rxe_mirror_fault(struct rxe_mirror_mr *mmr, unsigned long va,
		     unsigned long length, unsigned int flags,
		     struct rxe_fault_budget *budget)
{
	struct rxe_mirror *mirror = mmr->mirror;
	bool write = flags & RXE_FAULT_WRITE;
	unsigned long slow;
	int ret;

	if (!(flags & RXE_FAULT_SNAPSHOT) &&
	    rxe_slow_check(mirror, va, length, write))
		return -EAGAIN;

	do {
		ret = fault_once(mmr, va, length, flags, budget, &slow);
	} while (ret == -EINPROGRESS && !rxe_slow_fault(mirror, slow, write) &&
		 budget->tries++ < RXE_FAULT_BUDGET_TRIES);

	if (ret == -EINPROGRESS)
		ret = -EAGAIN;
	if (ret >= 0)
		rxe_stats_count_fault(mmr, flags, ret);
	trace_rxe_mirror_fault(mirror, va, length, flags, ret);

	if (ret >= 0)
		return 0;
	return ret == -EAGAIN || ret == -EBUSY || ret == -ENOMEM ? ret : -EFAULT;
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_mirror_fault_test.c"
#endif
