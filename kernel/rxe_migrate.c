// SPDX-License-Identifier: GPL-2.0
/*
 * Promote and demote: move a range, because somebody asks for it.
 *
 * A range goes region by region, 2 MiB at most at a time, so that the NIC and
 * the CPU never wait for more than that. For each part:
 *
 * - A transaction (rxe_migrate_batch.c) moves the runs of pages that are to
 *   move, with mmap_lock held for reading. If there is room on the device, it
 *   is tried at once, since mostly all moves.
 * - For what has not moved, a look at the page tables says what is there, and
 *   what can't move and why; then room is made, and it is tried again.
 * - The mirror learns of the new pages by the NIC's next fault, which takes all
 *   that is there: only its protocol tells whether what was moved still is.
 *
 * What a look said may have changed when the transaction comes. That is no
 * error: what setup doesn't offer doesn't move, and is tried again a few times.
 *
 * The mirror's entries are cleared by the notifier, which setup calls before it
 * unmaps. No copy by the NIC is under way after that, and none starts before
 * finalize, because a fault waits for pages that are being migrated.
 */
#include <linux/hmm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_race.h"
#include "rxe_trace.h"

#define MIGRATE_TRIES	4
/* What a first touch populates if it can't be a whole region. */
#define FIRST_TOUCH_PAGES	16UL

/* What became of a page: a reason of enum rxe_skip, or one of these. */
enum outcome {
	OUTCOME_MOVED = RXE_SKIP_REASONS,
	OUTCOME_ALREADY,
	OUTCOME_PENDING,	/* to be moved */
};

/*
 * struct job - a part of a range on its way
 * @base: first address of the region
 * @first, @end: the part, in pages of the region
 * @holes: only pages that don't exist yet
 * @blind: there was no look
 * @full: why there is no room at the other side
 * @starved: there was none for some page, another may have taken it
 * @clock: what was used on the device after this is not evicted for it
 * @outcomes: one for each page from @base on
 */
struct job {
	struct rxe_mirror_mr	*mmr;
	struct rxe_hmm_dev	*hmm;
	struct rxe_batch	*batch;
	enum rxe_place		to;
	bool			holes;
	bool			blind;
	u8			full;
	bool			starved;
	u64			clock;
	unsigned long		base;
	unsigned int		first;
	unsigned int		end;
	unsigned long		pfns[RXE_REGION_PAGES];
	u8			outcomes[RXE_REGION_PAGES];
};

static struct job *job_create(struct rxe_mirror_mr *mmr, enum rxe_place to,
			      u64 before)
{
	struct rxe_hmm_dev *hmm = mmr->mirror->rxe->hmm;
	struct job *job;

	job = kvmalloc_obj(*job, GFP_KERNEL | __GFP_NOWARN);
	if (!job)
		return NULL;
	job->batch = rxe_batch_create(hmm);
	if (!job->batch) {
		kvfree(job);
		return NULL;
	}
	job->mmr = mmr;
	job->hmm = hmm;
	job->to = to;
	job->holes = false;
	job->blind = false;
	job->starved = false;
	job->clock = before;

	return job;
}

static void job_destroy(struct job *job)
{
	rxe_batch_destroy(job->batch);
	kvfree(job);
}

static unsigned long job_va(const struct job *job, unsigned int page)
{
	return job->base + ((unsigned long)page << PAGE_SHIFT);
}

static unsigned int page_of(const struct job *job, unsigned long va)
{
	return (va - job->base) >> PAGE_SHIFT;
}

/* Why nothing of the vma can be on the device, or OUTCOME_PENDING. */
static u8 vma_outcome(struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_SHARED)
		return RXE_SKIP_SHARED;
	if (!vma_is_anonymous(vma) || vma->vm_flags & VM_SPECIAL)
		return RXE_SKIP_FILE;
	if (vma->vm_flags & VM_LOCKED)
		return RXE_SKIP_LOCKED;

	return OUTCOME_PENDING;
}

/*
 * What is to become of a page, from a look at it. Nothing holds the page, so
 * this may be wrong, and whether it can move is decided later.
 */
static u8 page_outcome(const struct job *job, unsigned long pfn)
{
	bool present = pfn & HMM_PFN_VALID;
	struct folio *folio;
	struct page *page;

	if (!present)
		return job->to == RXE_PLACE_DEVICE ? OUTCOME_PENDING :
						     RXE_SKIP_ABSENT;
	page = hmm_pfn_to_page(pfn);
	if (is_device_private_page(page))
		return job->to == RXE_PLACE_DEVICE ? OUTCOME_ALREADY :
						     OUTCOME_PENDING;
	if (job->to == RXE_PLACE_SYSTEM || job->holes)
		return OUTCOME_ALREADY;
	if (is_zero_pfn(page_to_pfn(page)))
		return OUTCOME_PENDING;

	folio = page_folio(page);
	if (folio_test_ksm(folio))
		return RXE_SKIP_KSM;
	if (folio_maybe_dma_pinned(folio))
		return RXE_SKIP_PINNED;
	if (!(pfn & HMM_PFN_WRITE) && folio_maybe_mapped_shared(folio))
		return RXE_SKIP_SHARED;

	return OUTCOME_PENDING;
}

/* Look at the part; returns how many pages are to move. */
static int look(struct job *job)
{
	unsigned int i, n = 0;
	u8 outcome;
	int err;

	err = rxe_migrate_snapshot(job->mmr->mirror, job_va(job, job->first),
				   job_va(job, job->end), job->pfns);
	if (err)
		return err;

	for (i = job->first; i < job->end; i++) {
		if (job->outcomes[i] == OUTCOME_MOVED)
			continue;
		outcome = page_outcome(job, job->pfns[i - job->first]);
		job->outcomes[i] = outcome;
		n += outcome == OUTCOME_PENDING;
	}

	return n;
}

static void set_outcomes(struct job *job, unsigned int first, unsigned int end,
			 u8 outcome)
{
	memset(&job->outcomes[first], outcome, end - first);
}

/*
 * May what setup offers go to the device? A page that can't be written may be
 * shared by COW or KSM. Once it is unmapped nothing tells, so without a look
 * it stays for now.
 */
static bool may_promote(const struct job *job, unsigned long src)
{
	if (!(src & MIGRATE_PFN_VALID))
		return true;
	if (job->holes)
		return false;

	return !job->blind || src & MIGRATE_PFN_WRITE;
}

/* Give what setup offers, and what is to move, a destination. */
static void batch_fill(struct job *job, struct vm_area_struct *vma,
		       unsigned int first)
{
	struct rxe_batch *batch = job->batch;
	unsigned int i, n;

	for (i = 0; i < batch->nr_pages; i += max(n, 1U)) {
		n = 0;
		if (!(batch->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (job->to == RXE_PLACE_DEVICE) {
			if (!may_promote(job, batch->src[i]))
				continue;
			n = rxe_batch_to_device(batch, i);
			job->starved |= !n;
		} else if (batch->src[i] & MIGRATE_PFN_VALID) {
			n = rxe_batch_to_system(batch, i, vma,
						job_va(job, first + i));
			job->starved |= !n;
		}
	}
}

static void batch_outcomes(struct job *job, unsigned int first)
{
	struct rxe_batch *batch = job->batch;
	unsigned int i, n;

	for (i = 0; i < batch->nr_pages; i += max(n, 1U)) {
		n = rxe_batch_moved(batch, i);
		if (n)
			set_outcomes(job, first + i, first + i + n,
				     OUTCOME_MOVED);
	}
}

/* Move the pages [first, end), which are in one vma. */
static void move_run(struct job *job, struct vm_area_struct *vma,
		     unsigned int first, unsigned int end)
{
	struct rxe_batch *batch = job->batch;
	struct migrate_vma args = {
		.vma = vma,
		.start = job_va(job, first),
		.end = job_va(job, end),
		.src = batch->src,
		.dst = batch->dst,
		.pgmap_owner = job->mmr->mirror->rxe,
		.flags = job->to == RXE_PLACE_DEVICE ?
			 MIGRATE_VMA_SELECT_SYSTEM :
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	const struct rxe_dmem_tag tag = {
		.mirror = job->mmr->mirror->id,
		.mr = job->mmr->user.id,
	};

	if (!(vma->vm_flags & VM_NOHUGEPAGE))
		args.flags |= MIGRATE_VMA_SELECT_COMPOUND;
	if (migrate_vma_setup(&args)) {
		set_outcomes(job, first, end, RXE_SKIP_FILE);
		return;
	}
	rxe_race_reach(RXE_RACE_MIGRATE_SETUP);

	batch->nr_pages = args.npages;
	if (args.cpages) {
		batch_fill(job, vma, first);
		rxe_batch_copy(batch);
		rxe_race_reach(RXE_RACE_MIGRATE_COPIED);
		migrate_vma_pages(&args);
		if (job->to == RXE_PLACE_DEVICE)
			rxe_batch_arrived(batch, tag);
		else
			rxe_batch_left(batch, RXE_DMEM_DEMOTED);
		batch_outcomes(job, first);
	}
	migrate_vma_finalize(&args);
}

/* Move what is pending of [first, end), which is in one vma. */
static void move_vma(struct job *job, struct vm_area_struct *vma,
		     unsigned int first, unsigned int end)
{
	u8 outcome = OUTCOME_PENDING;
	unsigned int i, from;

	if (job->to == RXE_PLACE_DEVICE)
		outcome = vma_outcome(vma);
	if (outcome != OUTCOME_PENDING) {
		set_outcomes(job, first, end, outcome);
		return;
	}

	for (i = first; i < end; i++) {
		if (job->outcomes[i] != OUTCOME_PENDING)
			continue;
		for (from = i; i < end; i++)
			if (job->outcomes[i] != OUTCOME_PENDING)
				break;
		move_run(job, vma, from, i);
	}
}

/* Swapped out, or on another device: have it brought to where it can move. */
static void fault_in(struct job *job, unsigned int page)
{
	struct mm_struct *mm = job->mmr->mirror->mm;

	fixup_user_fault(mm, job_va(job, page), 0, NULL);
}

/* Try to move the part once; returns how many pages may move another time. */
static unsigned int move_once(struct job *job)
{
	struct mm_struct *mm = job->mmr->mirror->mm;
	unsigned int i, end, left = 0;
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	for (i = job->first; i < job->end; i = end) {
		vma = find_vma(mm, job_va(job, i));
		if (!vma || vma->vm_start >= job_va(job, job->end)) {
			set_outcomes(job, i, job->end, RXE_SKIP_ABSENT);
			break;
		}
		end = page_of(job, max(job_va(job, i), vma->vm_start));
		set_outcomes(job, i, end, RXE_SKIP_ABSENT);
		i = end;
		end = page_of(job, min(job_va(job, job->end), vma->vm_end));
		move_vma(job, vma, i, end);
	}
	for (i = job->first; i < job->end && !job->holes; i++) {
		if (job->outcomes[i] != OUTCOME_PENDING)
			continue;
		left++;
		if (!job->blind &&
		    !(job->pfns[i - job->first] & HMM_PFN_VALID))
			fault_in(job, i);
	}
	mmap_read_unlock(mm);

	return left;
}

/* Make room on the device for @n pages; returns false if there is none at all. */
static bool make_room(struct job *job, unsigned int n)
{
	struct rxe_dmem_info info;
	int err;

	err = rxe_migrate_make_room(job->hmm, n, n == RXE_REGION_PAGES,
				    job->clock);
	job->full = err == -ENOMEM ? RXE_SKIP_NOMEM : RXE_SKIP_FULL;
	if (!err)
		return true;
	rxe_dmem_get_info(job->hmm->dmem, &info);

	return info.free;
}

static void replace_outcomes(struct job *job, u8 from, u8 to)
{
	unsigned int i;

	for (i = job->first; i < job->end; i++)
		if (job->outcomes[i] == from)
			job->outcomes[i] = to;
}

/* Can the part be tried without a look: no page has to make room for it? */
static bool try_blind(struct job *job)
{
	unsigned int n = job->end - job->first;

	job->full = job->to == RXE_PLACE_DEVICE ? RXE_SKIP_FULL :
						  RXE_SKIP_NOMEM;

	return job->to == RXE_PLACE_SYSTEM ||
	       !rxe_dmem_populate(job->hmm->dmem, n, n == RXE_REGION_PAGES);
}

/* Move the part of a range that is in one region. */
static int move_region(struct job *job)
{
	unsigned int tries;
	int n = 0;

	set_outcomes(job, job->first, job->end, OUTCOME_PENDING);
	for (tries = 0; tries < MIGRATE_TRIES; tries++) {
		job->blind = !tries && try_blind(job);
		if (!job->blind) {
			n = look(job);
			if (n <= 0)
				break;
			if (job->to == RXE_PLACE_DEVICE && !make_room(job, n)) {
				replace_outcomes(job, OUTCOME_PENDING, job->full);
				break;
			}
		}
		job->starved = false;
		if (!move_once(job))
			break;
	}
	replace_outcomes(job, OUTCOME_PENDING,
			 job->starved ? job->full : RXE_SKIP_BUSY);
	if (job->to == RXE_PLACE_DEVICE)
		rxe_mirror_refill(job->mmr->mirror, job->base);

	return min(n, 0);
}

static void count_outcomes(struct job *job, struct rxe_migrate_counts *counts)
{
	struct rxe_dev *rxe = job->hmm->rxe;
	unsigned int i;
	u8 outcome;

	for (i = job->first; i < job->end; i++) {
		outcome = job->outcomes[i];
		if (outcome == OUTCOME_MOVED) {
			counts->moved++;
		} else if (outcome == OUTCOME_ALREADY) {
			counts->already++;
		} else {
			counts->skipped[outcome]++;
			if (job->to == RXE_PLACE_DEVICE)
				rxe_counter_inc(rxe, RXE_CNT_SKIPPED_PINNED +
						     outcome);
		}
	}
}

static int move_range(struct job *job, unsigned long start, unsigned long end,
		      struct rxe_migrate_counts *counts)
{
	unsigned long va, next;
	int err;

	for (va = start; va < end; va = next) {
		if (fatal_signal_pending(current))
			return -EINTR;
		next = min(rxe_region_end(va), end);
		job->base = round_down(va, RXE_REGION_SIZE);
		job->first = rxe_region_page(va);
		job->end = (next - job->base) >> PAGE_SHIFT;
		err = move_region(job);
		if (err)
			return err;
		count_outcomes(job, counts);
		cond_resched();
	}

	return 0;
}

/**
 * rxe_migrate_range - move a range to the device, or back
 * @mmr: an MR of the device
 * @start: first address, of a page, within the MR
 * @length: bytes, whole pages, not beyond the end of the MR's last page
 * @to: %RXE_PLACE_DEVICE or %RXE_PLACE_SYSTEM
 * @before: to make room, don't evict what was used after this
 *	(rxe_migrate_clock())
 * @counts: what became of the pages; on error, of those before it
 *
 * What can't move is no error: it is counted and stays where it is.
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: 0, or
 * * -EOPNOTSUPP: the device has no memory
 * * -EINTR: the caller is being killed
 * * -ENOMEM: no memory for the work
 * * -ESRCH: the process is gone
 */
int rxe_migrate_range(struct rxe_mirror_mr *mmr, unsigned long start,
		      unsigned long length, enum rxe_place to, u64 before,
		      struct rxe_migrate_counts *counts)
{
	struct rxe_hmm_dev *hmm = mmr->mirror->rxe->hmm;
	struct mm_struct *mm = mmr->mirror->mm;
	struct rxe_dmem_info info;
	struct job *job;
	ktime_t since;
	int err;

	memset(counts, 0, sizeof(*counts));
	rxe_dmem_get_info(hmm->dmem, &info);
	if (to == RXE_PLACE_DEVICE && !info.size)
		return -EOPNOTSUPP;

	job = job_create(mmr, to, before);
	if (!job)
		return -ENOMEM;
	err = -ESRCH;
	if (mmget_not_zero(mm)) {
		since = ktime_get();
		err = move_range(job, start, start + length, counts);
		trace_rxe_migrate_range(mmr->mirror, start, length, to,
					counts->moved,
					ktime_us_delta(ktime_get(), since));
		mmput(mm);
	}
	job_destroy(job);

	return err;
}

/* The part of @va's region to populate: all of it if all of it may be. */
static void plan_first_touch(struct job *job, unsigned long va,
			     unsigned long start, unsigned long last)
{
	struct rxe_mirror_mr *mmr = job->mmr;
	unsigned long mr_last = mmr->umem.address + mmr->umem.length - 1;
	unsigned long from = round_down(va, RXE_REGION_SIZE);

	start = max(start, mmr->umem.address & PAGE_MASK);
	last = min(last, mr_last | ~PAGE_MASK);
	job->base = from;
	job->first = 0;
	job->end = RXE_REGION_PAGES;
	if (start <= from && last >= from + RXE_REGION_SIZE - 1)
		return;

	from = round_down(va, FIRST_TOUCH_PAGES << PAGE_SHIFT);
	job->first = rxe_region_page(max(start, from));
	last = min(last, from + (FIRST_TOUCH_PAGES << PAGE_SHIFT) - 1);
	job->end = rxe_region_page(last) + 1;
}

/* Keep the run of holes around @page; false if it isn't in one. */
static bool narrow_to_hole(struct job *job, unsigned int page)
{
	unsigned int first = page, end = page + 1;

	if (job->outcomes[page] != OUTCOME_PENDING)
		return false;
	while (first > job->first &&
	       job->outcomes[first - 1] == OUTCOME_PENDING)
		first--;
	while (end < job->end && job->outcomes[end] == OUTCOME_PENDING)
		end++;
	job->first = first;
	job->end = end;

	return true;
}

/* Populate around an address. */
static void touch_block(struct rxe_mirror_mr *mmr, unsigned long va)
{
	unsigned long start, last;
	struct job *job;

	if (rxe_migrate_preferred(mmr->mirror, va, &start, &last) !=
	    RXE_PLACE_DEVICE)
		return;
	job = job_create(mmr, RXE_PLACE_DEVICE,
			 rxe_dmem_clock(mmr->mirror->rxe->hmm->dmem));
	if (!job)
		return;

	job->holes = true;
	plan_first_touch(job, va, start, last);
	set_outcomes(job, job->first, job->end, OUTCOME_PENDING);
	if (look(job) > 0 && narrow_to_hole(job, rxe_region_page(va)) &&
	    make_room(job, job->end - job->first)) {
		rxe_counter_inc(job->hmm->rxe, RXE_CNT_FIRST_TOUCHES);
		move_once(job);
	}
	job_destroy(job);
}

/**
 * rxe_migrate_first_touch - populate with device memory what is empty
 * @mmr: the MR that is accessed
 * @va: first address
 * @length: bytes, at least 1, not beyond the end of @va's region
 *
 * Where the addresses prefer the device and nothing is there yet, device memory
 * is mapped, there and around it. Whatever prevents that prevents nothing else:
 * the fault that follows takes what there is, or brings RAM.
 *
 * Context: may sleep; mmap_lock isn't held, mm_users is.
 */
void rxe_migrate_first_touch(struct rxe_mirror_mr *mmr, unsigned long va,
			     unsigned long length)
{
	const unsigned long block = FIRST_TOUCH_PAGES << PAGE_SHIFT;
	unsigned long end = va + length;

	if (mtree_empty(&mmr->mirror->prefer))
		return;
	for (; va < end; va = round_down(va, block) + block)
		touch_block(mmr, va);
}
