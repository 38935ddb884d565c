// SPDX-License-Identifier: GPL-2.0
/*
 * The fault: bring pages of the process into the mirror.
 *
 * A fault serves the pages of one access within one region (the required
 * pages), and takes neighbours along (rxe_mirror_plan.c).
 *
 * A try is a look at the page tables by hmm_range_fault(), and a fault for each
 * page that is missing, which the next try finds there. If the pages of the MR's
 * last fault were missing, these most likely are too, and are faulted in before
 * the first look, which saves that look. A fault that would wait for its memory
 * is left to a thread of its own (rxe_slow.c), so that a queue pair never waits
 * long here.
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
#include <linux/hugetlb.h>
#include <linux/sched/mm.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_mirror_fault.h"
#include "rxe_mirror_find.h"
#include "rxe_race.h"
#include "rxe_slow.h"
#include "rxe_trace.h"

/* So many faults in a row may believe that pages are missing as they were. */
#define MISSING_RUN	7
/* So often may what can't be had at once turn out to have come to the device. */
#define LOOKS_AGAIN	3

/* The mapping of @va, which mostly is the one asked for last; or NULL. */
static struct vm_area_struct *mapping_of(struct rxe_fault *f, unsigned long va)
{
	struct vm_area_struct *vma = f->vma;

	if (!vma || va < vma->vm_start || va >= vma->vm_end)
		vma = vma_lookup(f->mmr->mirror->mm, va);
	f->vma = vma;

	return vma;
}

/* A single page that is there doesn't need a walk. Returns whether this was one. */
static bool is_one_there(struct rxe_fault *f)
{
	unsigned long va = rxe_fault_va(f, f->first);

	if (f->around_first != f->around_last)
		return false;
	*f->pfns = rxe_mirror_look_at_page(mapping_of(f, va), va);

	return *f->pfns;
}

/* What the CPU page tables say of all the pages to look at. */
static int snapshot(struct rxe_fault *f, unsigned long seq)
{
	unsigned int pages = f->around_last - f->around_first + 1;
	struct hmm_range range = {
		.notifier = &f->window->notifier,
		.notifier_seq = seq,
		.start = rxe_fault_va(f, f->around_first),
		.end = rxe_fault_va(f, f->around_last + 1),
		.hmm_pfns = f->pfns,
		.dev_private_owner = f->mmr->mirror->rxe,
	};
	unsigned long start = rxe_fault_va(f, f->first), end = start;

	if (f->flags & RXE_FAULT_WRITE)
		end = rxe_fault_va(f, f->end);
	memset(f->pfns, 0, pages * sizeof(*f->pfns));

	return rxe_mirror_look(&range, start, end);
}

static bool is_missing(struct rxe_fault *f, unsigned int page)
{
	unsigned long need = HMM_PFN_VALID;

	if (f->blind)
		return true;
	if (f->flags & RXE_FAULT_WRITE)
		need |= HMM_PFN_WRITE;

	return (*rxe_fault_pfn(f, page) & need) != need;
}

static bool is_on_device(struct rxe_fault *f, unsigned int page)
{
	unsigned long pfn = f->blind ? 0 : *rxe_fault_pfn(f, page);

	return (pfn & HMM_PFN_VALID) &&
	       is_device_private_page(hmm_pfn_to_page(pfn));
}

/*
 * Fault @page in, as the process would, but don't wait for what takes long: a
 * page that is being read, or that userfaultfd has to ask for. What wasn't there
 * and is on the device by now is not brought back either; a page there that may
 * not be written is, to be copied. @next is the first page that one fault of
 * the mapping doesn't bring.
 */
static int fault_page(struct rxe_fault *f, unsigned int page, unsigned int *next)
{
	unsigned long va = rxe_fault_va(f, page), size;
	struct vm_area_struct *vma = mapping_of(f, va);
	unsigned int flags = FAULT_FLAG_REMOTE;
	vm_fault_t ret;

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
 * was looked at, so there is another look before it counts as slow: who waits for
 * a slow fault gets the page in RAM. It may have left and come again meanwhile.
 */
static int fault_missing(struct rxe_fault *f)
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
		if (err == -EINPROGRESS && f->looks_again++ < LOOKS_AGAIN)
			return -ESTALE;
		if (err) {
			f->slow = i;
			return err;
		}
		faulted = true;
	}

	return faulted ? -EAGAIN : 0;
}

/*
 * Fault in without a look. Where nothing was missing, nothing is lost but a little
 * time. What can't be had is tried again after a look.
 */
static void fault_blindly(struct rxe_fault *f)
{
	if (fault_missing(f) != -EAGAIN) {
		f->ahead_done = false;
		f->looks_again = 0;
	}
	f->blind = false;
}

/*
 * Look, and fault in what is missing. hmm_range_fault() could do both, but not
 * without waiting, not on hugetlbfs, whose lock it holds meanwhile, and not for
 * a page of ours on the device that may be read but not written.
 */
static int walk(struct rxe_fault *f, unsigned long seq)
{
	struct mm_struct *mm = f->mmr->mirror->mm;
	int err;

	mmap_read_lock(mm);
	f->vma = NULL;
	if (f->blind)
		fault_blindly(f);
	err = is_one_there(f) ? 0 : snapshot(f, seq);
	rxe_race_reach(RXE_RACE_FAULT_LOOKED);
	if (!err && !(f->flags & RXE_FAULT_SNAPSHOT))
		err = fault_missing(f);
	mmap_read_unlock(mm);

	return err;
}

/* A look that has nothing faulted in may find nothing, and needs no table then. */
static bool found_nothing(struct rxe_fault *f)
{
	unsigned int i;

	if (!(f->flags & RXE_FAULT_SNAPSHOT))
		return false;
	for (i = f->around_first; i <= f->around_last; i++)
		if (*rxe_fault_pfn(f, i) & HMM_PFN_VALID)
			return false;

	return true;
}

/* One try. Returns how many pages it mapped, or an error. */
static int try_fault(struct rxe_fault *f)
{
	unsigned long seq;
	int ret;

	seq = mmu_interval_read_begin(&f->window->notifier);
	rxe_race_reach(RXE_RACE_FAULT_BEGUN);
	ret = walk(f, seq);
	if (ret)
		return ret;
	rxe_race_reach(RXE_RACE_FAULT_WALKED);
	if (found_nothing(f))
		return 0;

	if (!f->table && !READ_ONCE(f->region->table) &&
	    !rxe_mirror_found_huge(f)) {
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
		ret = rxe_mirror_install(f);
	}
	spin_unlock(&f->window->lock);

	return ret;
}

/* Is it likely that pages are missing? Every now and then only a look can tell. */
static bool expects_missing(struct rxe_fault *f)
{
	unsigned int missing = READ_ONCE(f->mmr->missing);

	if (!missing || f->flags & RXE_FAULT_PREFETCH)
		return false;
	WRITE_ONCE(f->mmr->missing, missing - 1);

	return true;
}

/*
 * What the first try teaches. One that began with a fault may have lost to what
 * that changed, which is no invalidation to give up on.
 */
static int learn(struct rxe_fault *f, bool was_blind, int ret)
{
	if (!was_blind)
		WRITE_ONCE(f->mmr->missing, ret == -EAGAIN ? MISSING_RUN : 0);
	else if (ret == -EBUSY)
		ret = -EAGAIN;

	return ret;
}

static int fault_loop(struct rxe_fault *f, struct rxe_fault_budget *budget)
{
	struct rxe_dev *rxe = f->mmr->mirror->rxe;
	bool was_blind = f->blind, first = true;
	int look, ret;

	for (;; first = false) {
		look = rxe_dmem_look_begin();
		ret = try_fault(f);
		rxe_dmem_look_end(look);
		if (first)
			ret = learn(f, was_blind, ret);
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
		} else if (ret != -ESTALE) {	/* that comes LOOKS_AGAIN times */
			return ret;
		}
	}
}

/*
 * Make what is missing of the window and the region of an access. Nothing is
 * made where nothing is mapped: a peer that tries addresses of a large MR must
 * not fill the machine's memory.
 */
static int make_region(struct rxe_fault *f, unsigned long va, unsigned long length)
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
	struct rxe_fault f;
	unsigned int pages;
	int ret;

	lockdep_assert_held_read(&mmr->mirror->gc_sem);

	memset(&f, 0, offsetof(struct rxe_fault, few));
	f.mmr = mmr;
	f.base = round_down(va, RXE_REGION_SIZE);
	f.flags = flags;
	f.first = rxe_region_page(va);
	f.last = rxe_region_page(va + length - 1);
	ret = make_region(&f, va, length);
	if (ret)
		return ret == -EFAULT && flags & RXE_FAULT_SNAPSHOT ? 0 : ret;

	f.blind = expects_missing(&f);
	rxe_mirror_plan(&f);
	pages = f.around_last - f.around_first + 1;
	f.pfns = f.few;
	if (pages > ARRAY_SIZE(f.few))
		f.pfns = kmalloc_array(pages, sizeof(*f.pfns),
				       GFP_KERNEL | __GFP_NOWARN);
	if (!f.pfns)
		return -ENOMEM;

	ret = fault_loop(&f, budget);
	*slow = rxe_fault_va(&f, f.slow);

	if (f.table)
		rxe_audit_freed(RXE_AUDIT_TABLES);
	kfree(f.table);
	if (f.pfns != f.few)
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
