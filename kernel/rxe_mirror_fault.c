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
 * The loop is hmm_range_fault() under the collision-retry protocol of mmu
 * interval notifiers. It is our own, not ib_umem_odp's, because that one leaves
 * hmm_range.dev_private_owner unset, which pulls device-private pages to RAM.
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
#include "rxe_race.h"
#include "rxe_trace.h"

#define FAULT_BUDGET_MS		20
#define FAULT_BUDGET_TRIES	16

/* A present neighbour is taken along within an aligned block of this size. */
#define AROUND_PAGES		16U
/* A sequential stream is read ahead by this much, at first and at most. */
#define AHEAD_PAGES_MIN		4U
#define AHEAD_PAGES_MAX		64U

/*
 * struct fault - one fault, page indexes relative to the region
 * @first, @last: the required pages
 * @end: first page after those to fault in (read-ahead included)
 * @around_first, @around_last: the pages to look at, required ones included
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
	unsigned long		*table;
	unsigned long		*pfns;
};

static void restart_clock(struct rxe_fault_budget *budget)
{
	budget->deadline = jiffies + msecs_to_jiffies(FAULT_BUDGET_MS);
}

/**
 * rxe_fault_budget_init - start the clock of an access
 * @budget: the budget, shared by all the faults of the access
 *
 * Context: any.
 */
void rxe_fault_budget_init(struct rxe_fault_budget *budget)
{
	restart_clock(budget);
	budget->tries = 0;
}

/**
 * rxe_fault_budget_spent - take one try from the budget
 * @budget: the budget
 *
 * Context: any.
 * Return: whether there was none left.
 */
bool rxe_fault_budget_spent(struct rxe_fault_budget *budget)
{
	return budget->tries++ >= FAULT_BUDGET_TRIES ||
	       time_after(jiffies, budget->deadline);
}

/* Pages to read ahead of a miss at @f->first; 0 if it isn't sequential. */
static unsigned int ahead_pages(struct fault *f)
{
	const struct rxe_region *region = f->region;
	unsigned int pages;

	if (f->first == 0) {
		/* the stream may come from the region before this one */
		region = rxe_mirror_region(f->mmr->mirror, f->base - 1);
		if (!region || READ_ONCE(region->ra_next) != RXE_REGION_PAGES)
			return 0;
	} else if (READ_ONCE(region->ra_next) != f->first) {
		return 0;
	}

	pages = 2 * READ_ONCE(region->ra_pages);

	return clamp(pages, AHEAD_PAGES_MIN, AHEAD_PAGES_MAX);
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
	if (f->flags & RXE_FAULT_PREFETCH) {
		f->around_first = f->first;
		f->around_last = f->last;
		return;
	}

	f->around_first = round_down(f->first, AROUND_PAGES);
	f->around_last = round_down(f->last, AROUND_PAGES) + AROUND_PAGES - 1;
	f->end = min_t(unsigned int, f->end + ahead_pages(f), RXE_REGION_PAGES);
	stop_at_device(f);
	if (READ_ONCE(f->region->refill)) {
		WRITE_ONCE(f->region->refill, false);
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

/* Walk the CPU page tables for [first, end), faulting if @req says so. */
static int walk(struct fault *f, unsigned int first, unsigned int end,
		unsigned long req, unsigned long seq)
{
	struct hmm_range range = {
		.notifier = &f->window->notifier,
		.notifier_seq = seq,
		.start = f->base + ((unsigned long)first << PAGE_SHIFT),
		.end = f->base + ((unsigned long)end << PAGE_SHIFT),
		.hmm_pfns = pfn_of(f, first),
		.default_flags = req,
		.dev_private_owner = f->mmr->mirror->rxe,
	};

	return rxe_mirror_look(&range, req & HMM_PFN_REQ_WRITE);
}

/*
 * hmm_range_fault() reports a page of ours as it is, also if it may not be
 * written and that was asked for: it is shared after fork(), or was protected
 * for a while. As for the CPU, such a page comes to RAM first.
 */
static int break_device_cow(struct fault *f)
{
	struct mm_struct *mm = f->mmr->mirror->mm;
	unsigned int i;
	int err;

	for (i = f->first; i <= f->last; i++) {
		if (*pfn_of(f, i) & HMM_PFN_WRITE)
			continue;
		err = fixup_user_fault(mm, f->base + ((unsigned long)i << PAGE_SHIFT),
				       FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE,
				       NULL);
		return err ? err : -EBUSY;
	}

	return 0;
}

static bool is_hugetlb(struct fault *f)
{
	unsigned long va = f->base + ((unsigned long)f->first << PAGE_SHIFT);
	struct vm_area_struct *vma = vma_lookup(f->mmr->mirror->mm, va);

	return vma && is_vm_hugetlb_page(vma);
}

/*
 * hugetlbfs: hmm_range_fault() would fault while it holds the lock that the
 * fault takes. So look first, and fault what is missing without it; the next
 * try sees it.
 */
static int walk_hugetlb(struct fault *f, unsigned long seq)
{
	unsigned long need = HMM_PFN_VALID, va;
	unsigned int flags = FAULT_FLAG_REMOTE;
	unsigned int i;
	int err;

	if (f->flags & RXE_FAULT_WRITE) {
		need |= HMM_PFN_WRITE;
		flags |= FAULT_FLAG_WRITE;
	}
	f->end = f->last + 1;
	err = walk(f, f->around_first, f->around_last + 1, 0, seq);
	if (err)
		return err;

	for (i = f->first; i <= f->last; i++) {
		if ((*pfn_of(f, i) & need) == need)
			continue;
		va = f->base + ((unsigned long)i << PAGE_SHIFT);
		err = fixup_user_fault(f->mmr->mirror->mm, va, flags, NULL);
		return err ? err : -EAGAIN;
	}

	return 0;
}

/*
 * Fault the required pages and those ahead, then look at the neighbours: two
 * walks, because hmm_range_fault() faults whatever follows a page that it has
 * to fault, up to the end of the range.
 */
static int walk_all(struct fault *f, unsigned long seq)
{
	unsigned int pages = f->around_last - f->around_first + 1;
	struct mm_struct *mm = f->mmr->mirror->mm;
	unsigned long req = HMM_PFN_REQ_FAULT;
	int err = 0;

	if (f->flags & RXE_FAULT_WRITE)
		req |= HMM_PFN_REQ_WRITE;

	memset(f->pfns, 0, pages * sizeof(*f->pfns));

	mmap_read_lock(mm);
	if (!(f->flags & RXE_FAULT_SNAPSHOT)) {
		if (is_hugetlb(f)) {
			err = walk_hugetlb(f, seq);
			goto out;
		}
		err = walk(f, f->first, f->end, req, seq);
		if (!err && f->flags & RXE_FAULT_WRITE)
			err = break_device_cow(f);
		if (err || covers_region(*pfn_of(f, f->first)))
			goto out;
	}
	if (f->around_first < f->first)
		err = walk(f, f->around_first, f->first, 0, seq);
	if (!err && f->flags & RXE_FAULT_SNAPSHOT)
		err = walk(f, f->first, f->around_last + 1, 0, seq);
	else if (!err && f->end <= f->around_last)
		err = walk(f, f->end, f->around_last + 1, 0, seq);
out:
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
	if (region->huge && !((entry ^ region->huge) & ~RXE_ENTRY_DIRTY))
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
	unsigned long pfn, entry, old;
	unsigned int i, n = 0;

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
		if (!((entry ^ old) & ~RXE_ENTRY_DIRTY))
			continue;
		region->table[i] = entry;
		region->nr_valid += !old;
		n++;
	}

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
	ret = walk_all(f, seq);
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
	int ret;

	for (;;) {
		ret = try_fault(f);
		if (ret == -EAGAIN) {
			/* it is there now, and that it took time is no loss */
			restart_clock(budget);
			if (budget->tries++ >= FAULT_BUDGET_TRIES)
				return -EBUSY;
		} else if (ret == -EBUSY) {
			rxe_counter_inc(rxe, RXE_CNT_PAGE_FAULT_RETRIES);
			if (rxe_fault_budget_spent(budget))
				return ret;
			cond_resched();
		} else if (ret < 0 && f->end > f->last + 1) {
			/* a hole ahead is no error of this access */
			f->end = f->last + 1;
		} else {
			return ret;
		}
	}
}

static void count_fault(struct rxe_mirror_mr *mmr, unsigned int flags, int pages)
{
	atomic64_t *device = mmr->mirror->rxe->stats_counters;

	if (flags & RXE_FAULT_PREFETCH) {
		atomic64_add(pages, &mmr->nr_prefetched);
		atomic64_add(pages, &device[RXE_CNT_PAGE_PREFETCH]);
		return;
	}

	atomic64_inc(&mmr->nr_faults_handled);
	atomic64_add(pages, &mmr->nr_faults);
	atomic64_inc(&device[RXE_CNT_PAGE_FAULTS_HANDLED]);
	atomic64_add(pages, &device[RXE_CNT_PAGE_FAULTS]);
}

/* Is anything mapped in [va, va + length)? */
static bool is_mapped(struct mm_struct *mm, unsigned long va,
		      unsigned long length)
{
	bool mapped;

	mmap_read_lock(mm);
	mapped = find_vma_intersection(mm, va, va + length);
	mmap_read_unlock(mm);

	return mapped;
}

/*
 * Make what is missing of the window and the region of an access. Nothing is
 * made where nothing is mapped: a peer that tries addresses of a large MR must
 * not fill the machine's memory.
 */
static int make_region(struct fault *f, unsigned long va, unsigned long length)
{
	struct rxe_mirror *mirror = f->mmr->mirror;

	if (!rxe_mirror_region(mirror, va) && !is_mapped(mirror->mm, va, length))
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
			struct rxe_fault_budget *budget)
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
	if (f.table)
		rxe_audit_freed(RXE_AUDIT_TABLES);
	kfree(f.table);
	kfree(f.pfns);

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
 * Context: may sleep for as long as the memory takes (swap, file system). No
 * lock of the mirror and no mmap_lock is held.
 * Return: 0, or
 * * -EBUSY: the budget is used up, the access may be served in another way
 * * -ENOMEM: no memory for the mirror, likewise
 * * -EFAULT: the process itself could not make this access
 */
int rxe_mirror_fault(struct rxe_mirror_mr *mmr, unsigned long va,
		     unsigned long length, unsigned int flags,
		     struct rxe_fault_budget *budget)
{
	struct mm_struct *mm = mmr->mirror->mm;
	int ret;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (!(flags & RXE_FAULT_SNAPSHOT))
		rxe_migrate_first_touch(mmr, va, length);
	down_read(&mmr->mirror->gc_sem);
	ret = fault_mapped(mmr, va, length, flags, budget);
	up_read(&mmr->mirror->gc_sem);
	/* the last user's exit must not run in a QP's work */
	mmput_async(mm);

	if (ret >= 0)
		count_fault(mmr, flags, ret);
	trace_rxe_mirror_fault(mmr->mirror, va, length, flags, ret);

	if (ret >= 0)
		return 0;
	return ret == -EBUSY || ret == -ENOMEM ? ret : -EFAULT;
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_mirror_fault_test.c"
#endif
