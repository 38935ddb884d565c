// SPDX-License-Identifier: GPL-2.0
/*
 * A job: part of a region that is to move, and what becomes of its pages.
 *
 * A look at the page tables says what is there, and what can't move and why. It
 * may be out of date when the transaction (rxe_migrate_batch.c) comes. That is
 * no error: what setup doesn't offer doesn't move, and stays pending.
 *
 * The mirror's entries are cleared by the notifier, which setup calls before it
 * unmaps. No copy by the NIC is under way after that, and none starts before
 * finalize, because a fault waits for pages that are being migrated.
 */
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate_job.h"
#include "rxe_race.h"

/**
 * rxe_job_create - memory for moving parts of a range
 * @mirror: of the process whose memory it is
 * @user: id of the MR that pages on the device are accounted to
 * @to: %RXE_PLACE_DEVICE or %RXE_PLACE_SYSTEM
 * @before: to make room, don't evict what was used after this
 *
 * Context: may sleep.
 * Return: the job, without a part, or NULL.
 */
struct rxe_job *rxe_job_create(struct rxe_mirror *mirror, u32 user,
			       enum rxe_place to, u64 before)
{
	struct rxe_hmm_dev *hmm = mirror->rxe->hmm;
	struct rxe_job *job;

	job = kvmalloc_obj(*job, GFP_KERNEL | __GFP_NOWARN);
	if (!job)
		return NULL;
	job->batch = rxe_batch_create(hmm);
	if (!job->batch) {
		kvfree(job);
		return NULL;
	}
	job->mirror = mirror;
	job->user = user;
	job->hmm = hmm;
	job->to = to;
	job->range_end = 0;
	job->holes = false;
	job->blind = false;
	job->patience = 0;
	job->stale = false;
	job->starved = false;
	job->clock = before;

	return job;
}

/**
 * rxe_job_destroy - undo rxe_job_create()
 * @job: the job
 *
 * Context: may sleep.
 */
void rxe_job_destroy(struct rxe_job *job)
{
	rxe_batch_destroy(job->batch);
	kvfree(job);
}

static unsigned long job_va(const struct rxe_job *job, unsigned int page)
{
	return job->base + ((unsigned long)page << PAGE_SHIFT);
}

static unsigned int page_of(const struct rxe_job *job, unsigned long va)
{
	return (va - job->base) >> PAGE_SHIFT;
}

/*
 * Why nothing of the vma can be on the device, or RXE_OUTCOME_PENDING.
 *
 * The setup of a migration unmaps what it finds, and finalize maps it again where
 * the folio's reverse map says. KSM maps a page before the reverse map knows, so
 * such a page would be left unmapped with nobody to wake who waits for it: nothing
 * is unmapped where KSM may be at work. MADV_UNMERGEABLE, which holds mmap_lock,
 * leaves no merged page behind. The KSM of a child may merge what its parent has
 * too; that shows in the page, see rxe_job_may_unmap() and may_be_merged().
 */
static u8 vma_outcome(struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_SHARED)
		return RXE_SKIP_SHARED;
	if (!vma_is_anonymous(vma) || vma->vm_flags & VM_SPECIAL)
		return RXE_SKIP_FILE;
	if (vma->vm_flags & VM_LOCKED)
		return RXE_SKIP_LOCKED;
	if (vma->vm_flags & VM_MERGEABLE)
		return RXE_SKIP_KSM;

	return RXE_OUTCOME_PENDING;
}

/*
 * What is to become of a page, from a look at it. Nothing holds the page, so
 * this may be wrong, and whether it can move is decided later.
 */
static u8 page_outcome(const struct rxe_job *job, unsigned long pfn)
{
	bool present = pfn & HMM_PFN_VALID;
	struct folio *folio;
	struct page *page;

	if (!present)
		return job->to == RXE_PLACE_DEVICE ? RXE_OUTCOME_PENDING :
						     RXE_SKIP_ABSENT;
	page = hmm_pfn_to_page(pfn);
	if (is_device_private_page(page))
		return job->to == RXE_PLACE_DEVICE ? RXE_OUTCOME_ALREADY :
						     RXE_OUTCOME_PENDING;
	if (job->to == RXE_PLACE_SYSTEM || job->holes)
		return RXE_OUTCOME_ALREADY;
	if (is_zero_pfn(page_to_pfn(page)))
		return RXE_OUTCOME_PENDING;

	folio = page_folio(page);
	if (folio_test_ksm(folio))
		return RXE_SKIP_KSM;
	if (folio_maybe_dma_pinned(folio))
		return RXE_SKIP_PINNED;
	if (!(pfn & HMM_PFN_WRITE) && folio_maybe_mapped_shared(folio))
		return RXE_SKIP_SHARED;

	return RXE_OUTCOME_PENDING;
}

/* Before a look: see may_be_merged(). */
static void note_map(struct rxe_job *job)
{
	job->stale = false;
	job->map_noted = mmap_lock_speculate_try_begin(job->mirror->mm,
						       &job->map_seq);
}

/* May a fork have left pages of the mapping to other processes, which have them? */
static bool may_share(struct vm_area_struct *vma)
{
	struct anon_vma *anon_vma = vma->anon_vma;

	return anon_vma && (!list_is_singular(&vma->anon_vma_chain) ||
			    READ_ONCE(anon_vma->num_children) > 1);
}

/*
 * May the KSM of a child have merged what was found good to move since the look?
 * It must have been forked since, with mmap_lock held for writing. Where somebody
 * holds it so all the time, go by whether there is a child, after some looks.
 */
static bool may_be_merged(struct rxe_job *job, struct vm_area_struct *vma)
{
	mmap_assert_locked(vma->vm_mm);

	if (job->map_noted && !mmap_lock_speculate_retry(vma->vm_mm, job->map_seq))
		return false;
	job->stale = job->patience > 0;

	return job->stale || may_share(vma);
}

/**
 * rxe_job_look - see what the part consists of, and what of it can move
 * @job: the job; the outcome of all but what has moved is set
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: how many pages are to move, or an error of rxe_migrate_look().
 */
int rxe_job_look(struct rxe_job *job)
{
	unsigned int i, n = 0;
	int look, err;
	u8 outcome;

	note_map(job);
	look = rxe_dmem_look_begin();
	err = rxe_migrate_look(job->mirror, job_va(job, job->first),
			       job_va(job, job->end), job->pfns);
	for (i = job->first; !err && i < job->end; i++) {
		if (job->outcomes[i] == RXE_OUTCOME_MOVED)
			continue;
		outcome = page_outcome(job, job->pfns[i - job->first]);
		job->outcomes[i] = outcome;
		n += outcome == RXE_OUTCOME_PENDING;
	}
	rxe_dmem_look_end(look);

	return err ? err : n;
}

/**
 * rxe_job_may_unmap - may all of the part be unmapped without a closer look?
 * @job: the job
 *
 * Not if there is a page that may not be written. It may be one of KSM's, of this
 * process by the KSM of a child that has had it too, and must stay mapped.
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: whether it may.
 */
bool rxe_job_may_unmap(struct rxe_job *job)
{
	unsigned int i, n = job->end - job->first;

	note_map(job);
	if (rxe_migrate_look(job->mirror, job_va(job, job->first),
			     job_va(job, job->end), job->pfns))
		return false;
	for (i = 0; i < n; i++)
		if ((job->pfns[i] & (HMM_PFN_VALID | HMM_PFN_WRITE)) ==
		    HMM_PFN_VALID)
			return false;

	return true;
}

/*
 * May what setup offers go to the device? A page that can't be written may be
 * shared by COW or KSM. Once it is unmapped nothing tells, so without a look
 * it stays for now.
 */
static bool may_promote(const struct rxe_job *job, unsigned long src)
{
	if (!(src & MIGRATE_PFN_VALID))
		return true;
	if (job->holes)
		return false;
	/* merged in another process, that it is shared with; locked by now */
	if (folio_test_ksm(page_folio(migrate_pfn_to_page(src))))
		return false;

	return !job->blind || src & MIGRATE_PFN_WRITE;
}

/* Give what setup offers, and what is to move, a destination. */
static void batch_fill(struct rxe_job *job, struct vm_area_struct *vma,
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

/* How many pages may come to RAM after those up to @va, from where these came. */
static unsigned long pages_ahead(const struct rxe_job *job,
				 struct vm_area_struct *vma, unsigned long va)
{
	unsigned long end = min(job->range_end, vma->vm_end);

	if (job->to == RXE_PLACE_DEVICE || vma_policy(vma) || va >= end)
		return 0;

	return (end - va) >> PAGE_SHIFT;
}

static void batch_outcomes(struct rxe_job *job, unsigned int first)
{
	struct rxe_batch *batch = job->batch;
	unsigned int i, n;

	for (i = 0; i < batch->nr_pages; i += max(n, 1U)) {
		n = rxe_batch_moved(batch, i);
		if (n)
			rxe_job_set(job, first + i, first + i + n,
				    RXE_OUTCOME_MOVED);
	}
}

/* Move the pages [first, end), which are in one vma. */
static void move_run(struct rxe_job *job, struct vm_area_struct *vma,
		     unsigned int first, unsigned int end)
{
	struct rxe_batch *batch = job->batch;
	struct migrate_vma args = {
		.vma = vma,
		.start = job_va(job, first),
		.end = job_va(job, end),
		.src = batch->src,
		.dst = batch->dst,
		.pgmap_owner = job->mirror->rxe,
		.flags = job->to == RXE_PLACE_DEVICE ?
			 MIGRATE_VMA_SELECT_SYSTEM :
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	const struct rxe_dmem_tag tag = {
		.mirror = job->mirror->id,
		.mr = job->user,
	};

	if (!(vma->vm_flags & VM_NOHUGEPAGE))
		args.flags |= MIGRATE_VMA_SELECT_COMPOUND;
	if (migrate_vma_setup(&args)) {
		rxe_job_set(job, first, end, RXE_SKIP_FILE);
		return;
	}
	rxe_race_reach(RXE_RACE_MIGRATE_SETUP);

	batch->nr_pages = args.npages;
	batch->ahead = pages_ahead(job, vma, args.end);
	if (args.cpages) {
		batch_fill(job, vma, first);
		rxe_batch_copy_start(batch);
		migrate_vma_pages(&args);
		if (job->to == RXE_PLACE_DEVICE)
			rxe_batch_arrived(batch, tag);
		else
			rxe_batch_left(batch, RXE_DMEM_DEMOTED);
		batch_outcomes(job, first);
		rxe_batch_copy_finish(batch);
		rxe_race_reach(RXE_RACE_MIGRATE_COPIED);
	}
	migrate_vma_finalize(&args);
}

/* Move what is pending of [first, end), which is in one vma. */
static void move_vma(struct rxe_job *job, struct vm_area_struct *vma,
		     unsigned int first, unsigned int end)
{
	u8 outcome = RXE_OUTCOME_PENDING, *other;
	unsigned int i, next;

	if (job->to == RXE_PLACE_DEVICE)
		outcome = vma_outcome(vma);
	if (outcome != RXE_OUTCOME_PENDING) {
		for (i = first; i < end; i++)
			if (job->outcomes[i] == RXE_OUTCOME_PENDING)
				job->outcomes[i] = outcome;
		return;
	}
	if (job->to == RXE_PLACE_DEVICE && may_be_merged(job, vma))
		return;

	for (i = first; i < end; i = next) {
		next = i + 1;
		if (job->outcomes[i] != RXE_OUTCOME_PENDING)
			continue;
		other = memchr_inv(&job->outcomes[i], RXE_OUTCOME_PENDING,
				   end - i);
		next = other ? other - job->outcomes : end;
		move_run(job, vma, i, next);
	}
}

/* Swapped out, or on another device: have it brought to where it can move. */
static void fault_in(struct rxe_job *job, unsigned int page)
{
	struct mm_struct *mm = job->mirror->mm;

	fixup_user_fault(mm, job_va(job, page), 0, NULL);
}

/* How many pages may move another time. */
static unsigned int what_is_left(struct rxe_job *job)
{
	unsigned int i, left = 0;

	for (i = job->first; i < job->end; i++) {
		if (job->outcomes[i] != RXE_OUTCOME_PENDING)
			continue;
		left++;
		if (!job->blind && !job->stale &&
		    !(job->pfns[i - job->first] & HMM_PFN_VALID))
			fault_in(job, i);
	}

	return left;
}

/**
 * rxe_job_move - try to move what is pending of the part, once
 * @job: the job; sets the outcomes, @starved and @stale
 *
 * Context: may sleep; mmap_lock isn't held, mm_users is.
 * Return: how many pages may move another time.
 */
unsigned int rxe_job_move(struct rxe_job *job)
{
	struct mm_struct *mm = job->mirror->mm;
	unsigned int i, end, left = 0;
	struct vm_area_struct *vma;

	rxe_race_reach(RXE_RACE_MIGRATE_LOOKED);
	mmap_read_lock(mm);
	for (i = job->first; i < job->end; i = end) {
		vma = find_vma(mm, job_va(job, i));
		if (!vma || vma->vm_start >= job_va(job, job->end)) {
			rxe_job_set(job, i, job->end, RXE_SKIP_ABSENT);
			break;
		}
		end = page_of(job, max(job_va(job, i), vma->vm_start));
		rxe_job_set(job, i, end, RXE_SKIP_ABSENT);
		i = end;
		end = page_of(job, min(job_va(job, job->end), vma->vm_end));
		move_vma(job, vma, i, end);
	}
	if (!job->holes && !rxe_job_all(job, RXE_OUTCOME_MOVED))
		left = what_is_left(job);
	mmap_read_unlock(mm);
	job->patience -= job->stale;

	return left;
}

/**
 * rxe_job_make_room - make room on the device
 * @job: the job; sets @full
 * @n: how many pages
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: false if there is no room at all.
 */
bool rxe_job_make_room(struct rxe_job *job, unsigned int n)
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
