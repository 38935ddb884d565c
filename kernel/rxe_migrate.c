// SPDX-License-Identifier: GPL-2.0
/*
 * Promote and demote: move a range, because somebody asks for it.
 *
 * A range goes region by region, 2 MiB at most at a time, so that the NIC and
 * the CPU never wait for more than that. For each part, a job:
 *
 * - A transaction moves the runs of pages that are to move, with mmap_lock held
 *   for reading. If there is room on the device, it is tried at once, since
 *   mostly all moves.
 * - For what has not moved, a look at the page tables says what is there; then
 *   room is made, and it is tried again, a few times.
 * - The mirror learns of the new pages by the NIC's next fault, which takes all
 *   that is there: only its protocol tells whether what was moved still is.
 */
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate_job.h"
#include "rxe_mirror_find.h"
#include "rxe_trace.h"

#define MIGRATE_TRIES	4
/* So often may the process change its mappings between a look and a try. */
#define STALE_LOOKS	3
/* What a first touch populates if it can't be a whole region. */
#define FIRST_TOUCH_PAGES	16UL

static void replace_outcomes(struct rxe_job *job, u8 from, u8 to)
{
	unsigned int i;

	if (rxe_job_all(job, RXE_OUTCOME_MOVED))
		return;
	for (i = job->first; i < job->end; i++)
		if (job->outcomes[i] == from)
			job->outcomes[i] = to;
}

/*
 * Can the part be tried without a look at each page? No page has to make room for
 * it, and none may be another process's too.
 */
static bool try_blind(struct rxe_job *job)
{
	unsigned int n = job->end - job->first;

	job->full = job->to == RXE_PLACE_DEVICE ? RXE_SKIP_FULL :
						  RXE_SKIP_NOMEM;

	if (job->to == RXE_PLACE_SYSTEM)
		return true;

	return !rxe_dmem_populate(job->hmm->dmem, n, n == RXE_REGION_PAGES) &&
	       rxe_job_may_unmap(job);
}

/*
 * Pages were moved: the next fault takes all of the region that is there. If
 * memory for the region can't be had, there will be more faults.
 */
static void refill_later(struct rxe_mirror *mirror, unsigned long va)
{
	struct rxe_region *region = NULL;
	struct rxe_window *window;

	down_read(&mirror->gc_sem);
	window = rxe_mirror_make_window(mirror, va);
	if (!IS_ERR(window))
		region = rxe_mirror_make_region(window, va);
	if (region)
		WRITE_ONCE(region->refill, true);
	up_read(&mirror->gc_sem);
}

/* Does the NIC have all of the part on the device? */
static bool is_mapped(struct rxe_job *job)
{
	struct rxe_region *region;
	unsigned int i = job->first;

	rcu_read_lock();
	region = rxe_mirror_region(job->mirror, job->base);
	if (region) {
		read_lock(&region->lock);
		while (i < job->end &&
		       rxe_region_entry(region, i) & RXE_ENTRY_DEVICE)
			i++;
		read_unlock(&region->lock);
	}
	rcu_read_unlock();

	return i == job->end;
}

/* Move the part of a range that is in one region. */
static int move_region(struct rxe_job *job)
{
	unsigned int tries;
	int n = 0;

	/* a transaction would take it all from the NIC for a while */
	if (job->to == RXE_PLACE_DEVICE && is_mapped(job)) {
		rxe_job_set(job, job->first, job->end, RXE_OUTCOME_ALREADY);
		return 0;
	}
	rxe_job_set(job, job->first, job->end, RXE_OUTCOME_PENDING);
	job->patience = STALE_LOOKS;
	for (tries = 0; tries < MIGRATE_TRIES; tries += !job->stale) {
		job->blind = !tries && try_blind(job);
		if (!job->blind) {
			n = rxe_job_look(job);
			if (n == -EBUSY)	/* perhaps the next time */
				continue;
			if (n <= 0)
				break;
			if (job->to == RXE_PLACE_DEVICE && !rxe_job_make_room(job, n)) {
				replace_outcomes(job, RXE_OUTCOME_PENDING, job->full);
				break;
			}
		}
		job->starved = false;
		if (!rxe_job_move(job))
			break;
	}
	replace_outcomes(job, RXE_OUTCOME_PENDING,
			 job->starved ? job->full : RXE_SKIP_BUSY);
	if (job->to == RXE_PLACE_DEVICE && rxe_job_any(job, RXE_OUTCOME_MOVED))
		refill_later(job->mirror, job->base);

	return n == -EBUSY ? 0 : min(n, 0);
}

static void count_outcomes(struct rxe_job *job, struct rxe_migrate_counts *counts)
{
	struct rxe_dev *rxe = job->hmm->rxe;
	unsigned int i;
	u8 outcome;

	if (rxe_job_all(job, RXE_OUTCOME_MOVED)) {
		counts->moved += job->end - job->first;
		return;
	}
	for (i = job->first; i < job->end; i++) {
		outcome = job->outcomes[i];
		if (outcome == RXE_OUTCOME_MOVED) {
			counts->moved++;
		} else if (outcome == RXE_OUTCOME_ALREADY) {
			counts->already++;
		} else {
			counts->skipped[outcome]++;
			if (job->to == RXE_PLACE_DEVICE)
				rxe_counter_inc(rxe, RXE_CNT_SKIPPED_PINNED +
						     outcome);
		}
	}
}

static int move_range(struct rxe_job *job, unsigned long start, unsigned long end,
		      struct rxe_migrate_counts *counts)
{
	unsigned long va, next;
	int err;

	job->range_end = end;
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
 * @mirror: of the process whose memory it is; the caller keeps it
 * @user: id of the MR that pages on the device are accounted to
 * @start: first address, of a page
 * @length: bytes, whole pages
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
int rxe_migrate_range(struct rxe_mirror *mirror, u32 user, unsigned long start,
		      unsigned long length, enum rxe_place to, u64 before,
		      struct rxe_migrate_counts *counts)
{
	struct rxe_hmm_dev *hmm = mirror->rxe->hmm;
	struct mm_struct *mm = mirror->mm;
	struct rxe_dmem_info info;
	struct rxe_job *job;
	ktime_t since;
	int err;

	memset(counts, 0, sizeof(*counts));
	rxe_dmem_get_info(hmm->dmem, &info);
	if (to == RXE_PLACE_DEVICE && !info.size)
		return -EOPNOTSUPP;

	job = rxe_job_create(mirror, user, to, before);
	if (!job)
		return -ENOMEM;
	err = -ESRCH;
	if (mmget_not_zero(mm)) {
		since = ktime_get();
		err = move_range(job, start, start + length, counts);
		trace_rxe_migrate_range(mirror, start, length, to,
					counts->moved,
					ktime_us_delta(ktime_get(), since));
		mmput(mm);
	}
	rxe_job_destroy(job);

	return err;
}

/* The part of @va's region to populate: all of it if all of it may be. */
static void plan_first_touch(struct rxe_job *job, struct rxe_mirror_mr *mmr,
			     unsigned long va, unsigned long start,
			     unsigned long last)
{
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
static bool narrow_to_hole(struct rxe_job *job, unsigned int page)
{
	unsigned int first = page, end = page + 1;

	if (job->outcomes[page] != RXE_OUTCOME_PENDING)
		return false;
	while (first > job->first &&
	       job->outcomes[first - 1] == RXE_OUTCOME_PENDING)
		first--;
	while (end < job->end && job->outcomes[end] == RXE_OUTCOME_PENDING)
		end++;
	job->first = first;
	job->end = end;

	return true;
}

/* Populate around an address. */
static void touch_block(struct rxe_mirror_mr *mmr, unsigned long va)
{
	unsigned long start, last;
	unsigned int pages;
	struct rxe_job *job;

	if (rxe_migrate_preferred(mmr->mirror, va, &start, &last) !=
	    RXE_PLACE_DEVICE)
		return;
	job = rxe_job_create(mmr->mirror, mmr->user.id, RXE_PLACE_DEVICE, 0);
	if (!job)
		return;

	job->holes = true;
	plan_first_touch(job, mmr, va, start, last);
	rxe_job_set(job, job->first, job->end, RXE_OUTCOME_PENDING);
	if (rxe_job_look(job) > 0 && narrow_to_hole(job, rxe_region_page(va))) {
		pages = job->end - job->first;
		job->clock = rxe_migrate_clock(job->hmm, pages);
		if (rxe_job_make_room(job, pages)) {
			rxe_counter_inc(job->hmm->rxe, RXE_CNT_FIRST_TOUCHES);
			rxe_job_move(job);
		}
	}
	rxe_job_destroy(job);
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
