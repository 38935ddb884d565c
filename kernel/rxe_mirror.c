// SPDX-License-Identifier: GPL-2.0
/*
 * Mirrors, windows and regions: their lives, and invalidation.
 *
 * A mirror is found by (device, mm) in a table of all mirrors and counted by
 * the MRs that use it. The policy keeps one for a moment without being an MR.
 * Its windows and regions are made by the first fault that needs them;
 * rxe_mirror_gc.c frees them, and says who may walk from the mirror to a region
 * and how.
 *
 * Invalidation is the other side of the fault in rxe_mirror_fault.c:
 *
 *	fault				invalidate
 *	-----				----------
 *	seq = read_begin()
 *	hmm_range_fault()
 *					window->lock
 *					  set_seq()
 *					  each region: write lock, clear
 *					unlock
 *					the CPU page table changes
 *	window->lock
 *	  read_retry(seq) -> true,
 *	  so install nothing
 *	unlock
 *
 * Had the fault installed first, the invalidation would have found its entries
 * and cleared them. Data moves under the region's read lock, so when invalidate
 * returns, none is moving to or from the pages that it cleared.
 */
#include <linux/hashtable.h>
#include <linux/sched/mm.h>
#include <linux/wait_bit.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_mirror_find.h"
#include "rxe_race.h"
#include "rxe_slow.h"
#include "rxe_trace.h"

#define MIRRORS_BITS	8

static DEFINE_MUTEX(mirrors_lock);
static DEFINE_HASHTABLE(mirrors, MIRRORS_BITS);
static u32 last_id;	/* under mirrors_lock */

/* One place each, so that lockdep sees one class each. */
static void window_init_lock(struct rxe_window *window)
{
	spin_lock_init(&window->lock);
}

static void region_init_lock(struct rxe_region *region)
{
	rwlock_init(&region->lock);
}

/* Drop what [first, last] maps; returns how many pages that were. */
static unsigned int region_clear(struct rxe_region *region, unsigned int first,
				 unsigned int last)
{
	unsigned int i, n = 0;

	write_lock(&region->lock);
	if (region->huge) {
		/*
		 * A mapping that loses a part is no longer one mapping, and
		 * a table can't be allocated here: all of it goes.
		 */
		region->huge = 0;
		n = RXE_REGION_PAGES;
	} else if (region->nr_valid) {
		for (i = first; i <= last; i++) {
			n += region->table[i] & RXE_ENTRY_VALID;
			region->table[i] = 0;
		}
	}
	region->nr_valid -= n;
	region->nr_invalidated += n;
	write_unlock(&region->lock);

	return n;
}

/* The same for addresses. @emptied: was one of the regions left empty? */
static u64 window_clear(struct rxe_window *window, unsigned long start,
			unsigned long last, bool *emptied)
{
	unsigned long va, end;
	struct rxe_region *region;
	u64 n = 0;

	lockdep_assert_held(&window->lock);

	for (va = start; va <= last && va >= start; va = end) {
		end = rxe_region_end(va);
		region = window->regions[rxe_region_index(va)];
		if (!region)
			continue;
		n += region_clear(region, rxe_region_page(va),
				  rxe_region_page(min(last, end - 1)));
		*emptied |= !region->nr_valid;
	}

	return n;
}

/*
 * Called before the CPU page table of a part of the window changes. Never
 * sleeps, never fails and allocates nothing, so non-blockable ranges (the OOM
 * reaper's) are no special case.
 */
static bool mirror_invalidate(struct mmu_interval_notifier *mni,
			      const struct mmu_notifier_range *range,
			      unsigned long cur_seq)
{
	struct rxe_window *window =
		container_of(mni, struct rxe_window, notifier);
	struct rxe_mirror *mirror = window->mirror;
	unsigned long start = max(range->start, window->start);
	unsigned long last = min(range->end - 1,
				 window->start + RXE_WINDOW_SIZE - 1);
	bool emptied = false;
	u64 n;

	spin_lock(&window->lock);
	mmu_interval_set_seq(mni, cur_seq);
	rxe_race_reach_atomic(RXE_RACE_INVALIDATE_SEQ);
	n = window_clear(window, start, last, &emptied);
	window->nr_invalidated += n;
	spin_unlock(&window->lock);

	if (emptied && range->event == MMU_NOTIFY_UNMAP)
		rxe_mirror_gc_later(mirror);

	if (n) {
		atomic64_add(n, &mirror->rxe->stats_counters[RXE_CNT_PAGE_INVALIDATIONS]);
		rxe_counter_inc(mirror->rxe, RXE_CNT_PAGE_INVALIDATIONS_HANDLED);
	}
	trace_rxe_mirror_invalidate(mirror, start, last, range->event, n);

	return true;
}

static const struct mmu_interval_notifier_ops mirror_notifier_ops = {
	.invalidate = mirror_invalidate,
};

static struct rxe_window *window_create(struct rxe_mirror *mirror,
					unsigned long index)
{
	struct rxe_window *window;
	int err = -ENOMEM;

	rxe_race_reach(RXE_RACE_MAKING);
	window = kzalloc_obj(*window);
	if (!window)
		return ERR_PTR(err);
	window->regions = kcalloc(RXE_WINDOW_REGIONS, sizeof(*window->regions),
				  GFP_KERNEL);
	if (!window->regions)
		goto err_window;

	window->mirror = mirror;
	window->start = index << RXE_WINDOW_SHIFT;
	window->nr_invalidated = rxe_mirror_recall(&mirror->lost_windows, index);
	window_init_lock(window);

	err = mmu_interval_notifier_insert(&window->notifier, mirror->mm,
					   window->start, RXE_WINDOW_SIZE,
					   &mirror_notifier_ops);
	if (err)
		goto err_regions;

	err = xa_err(xa_store(&mirror->windows, index, window, GFP_KERNEL));
	if (err)
		goto err_notifier;
	rxe_audit_made(RXE_AUDIT_WINDOWS);

	return window;

err_notifier:
	mmu_interval_notifier_remove(&window->notifier);
err_regions:
	kfree(window->regions);
err_window:
	kfree(window);
	return ERR_PTR(err);
}

/**
 * rxe_mirror_make_window - the window of an address, made if need be
 * @mirror: the mirror
 * @va: an address in it
 *
 * Context: may sleep, and may take mmap_lock for writing. The caller holds
 * gc_sem for reading and a reference to the process's mm_users.
 * Return: the window, or ERR_PTR(-ENOMEM), or what
 * mmu_interval_notifier_insert() returned.
 */
struct rxe_window *rxe_mirror_make_window(struct rxe_mirror *mirror,
					  unsigned long va)
{
	unsigned long index = va >> RXE_WINDOW_SHIFT;
	struct rxe_window *window;

	window = rxe_mirror_near_window(mirror, va);
	if (likely(window))
		return window;
	window = xa_load(&mirror->windows, index);
	if (!window) {
		mutex_lock(&mirror->windows_lock);
		window = xa_load(&mirror->windows, index);
		if (!window)
			window = window_create(mirror, index);
		mutex_unlock(&mirror->windows_lock);
	}
	if (IS_ERR(window))
		return window;
	/* pairs with the load in rxe_mirror_near_window() */
	smp_store_release(rxe_mirror_near(mirror, va), window);

	return window;
}

/**
 * rxe_mirror_make_region - the region of an address, made if need be
 * @window: the address's window
 * @va: the address
 *
 * Context: may sleep. The caller holds gc_sem for reading.
 * Return: the region, or NULL if memory can't be had.
 */
struct rxe_region *rxe_mirror_make_region(struct rxe_window *window,
					  unsigned long va)
{
	struct rxe_region **slot = &window->regions[rxe_region_index(va)];
	struct rxe_region *region;

	/* pairs with the store below */
	region = smp_load_acquire(slot);
	if (likely(region))
		return region;

	mutex_lock(&window->mirror->windows_lock);
	region = *slot;
	if (!region) {
		rxe_race_reach(RXE_RACE_MAKING);
		region = kzalloc_obj(*region);
		if (region) {
			region_init_lock(region);
			rxe_audit_made(RXE_AUDIT_REGIONS);
			/* pairs with each load of a slot outside the lock */
			smp_store_release(slot, region);
		}
	}
	mutex_unlock(&window->mirror->windows_lock);

	return region;
}

static unsigned long mirror_key(struct rxe_dev *rxe, struct mm_struct *mm)
{
	return (unsigned long)rxe ^ (unsigned long)mm;
}

static struct rxe_mirror *mirror_find(struct rxe_dev *rxe, struct mm_struct *mm)
{
	struct rxe_mirror *mirror;

	lockdep_assert_held(&mirrors_lock);

	hash_for_each_possible(mirrors, mirror, node, mirror_key(rxe, mm))
		if (mirror->rxe == rxe && mirror->mm == mm)
			return mirror;

	return NULL;
}

static struct rxe_mirror *mirror_create(struct rxe_dev *rxe,
					struct mm_struct *mm)
{
	struct rxe_mirror *mirror;

	rxe_race_reach(RXE_RACE_MAKING);
	mirror = kzalloc_obj(*mirror);
	if (!mirror)
		return NULL;
	/* a page may outlive its mirror: ids aren't used again soon */
	if (!++last_id)
		last_id = 1;
	mirror->id = last_id;

	mmgrab(mm);
	mirror->mm = mm;
	mirror->rxe = rxe;
	mirror->tier = rxe->hmm->tier;
	mirror->link = &rxe->hmm->link;
	refcount_set(&mirror->ref, 1);
	atomic_set(&mirror->kept, 0);
	xa_init(&mirror->windows);
	mt_init(&mirror->prefer);
	INIT_LIST_HEAD(&mirror->slow);
	mutex_init(&mirror->windows_lock);
	rxe_mirror_gc_init(mirror);
	rxe_audit_made(RXE_AUDIT_MIRRORS);

	return mirror;
}

static void mirror_destroy(struct rxe_mirror *mirror)
{
	rxe_slow_stop(mirror);
	wait_var_event(&mirror->kept, !atomic_read(&mirror->kept));
	rxe_migrate_evacuate_mirror(mirror->rxe->hmm, mirror->id);
	rxe_mirror_gc_fini(mirror);
	mtree_destroy(&mirror->prefer);
	mutex_destroy(&mirror->windows_lock);
	mmdrop(mirror->mm);
	kfree_rcu(mirror, rcu);
	rxe_audit_freed(RXE_AUDIT_MIRRORS);
}

/**
 * rxe_mirror_get - the mirror of an address space, made if need be
 * @rxe: the device that mirrors
 * @mm: the address space
 *
 * Context: may sleep.
 * Return: the mirror with a reference for the caller, NULL if memory can't be
 * had.
 */
struct rxe_mirror *rxe_mirror_get(struct rxe_dev *rxe, struct mm_struct *mm)
{
	struct rxe_mirror *mirror;

	mutex_lock(&mirrors_lock);
	mirror = mirror_find(rxe, mm);
	if (mirror) {
		refcount_inc(&mirror->ref);
	} else {
		mirror = mirror_create(rxe, mm);
		if (mirror)
			hash_add_rcu(mirrors, &mirror->node, mirror_key(rxe, mm));
	}
	mutex_unlock(&mirrors_lock);

	return mirror;
}

/**
 * rxe_mirror_put - drop a reference to a mirror
 * @mirror: the mirror
 *
 * The last one brings the process's pages back from the device's memory,
 * removes the notifiers, which waits for invalidations that are under way, and
 * frees windows and regions. Nobody can be in them: data path and fault run with
 * a reference to an MR, which held the reference dropped here.
 *
 * Context: may sleep; mmap_lock isn't held.
 */
void rxe_mirror_put(struct rxe_mirror *mirror)
{
	if (!refcount_dec_and_mutex_lock(&mirror->ref, &mirrors_lock))
		return;
	rxe_race_reach(RXE_RACE_UNMAKING);
	hash_del_rcu(&mirror->node);
	mutex_unlock(&mirrors_lock);

	mirror_destroy(mirror);
}

static struct rxe_mirror *keep(struct rxe_mirror *mirror)
{
	lockdep_assert_held(&mirrors_lock);

	if (mirror)
		atomic_inc(&mirror->kept);

	return mirror;
}

/**
 * rxe_mirror_keep_next - go through a device's mirrors
 * @rxe: the device
 * @after: id of the one before, at first 0
 *
 * The last MR waits for rxe_mirror_unkeep() when it goes, so be quick.
 *
 * Context: may sleep.
 * Return: the mirror with the next id, which is kept, or NULL.
 */
struct rxe_mirror *rxe_mirror_keep_next(struct rxe_dev *rxe, u32 after)
{
	struct rxe_mirror *mirror, *next = NULL;
	int bucket;

	mutex_lock(&mirrors_lock);
	hash_for_each(mirrors, bucket, mirror, node)
		if (mirror->rxe == rxe && mirror->id > after &&
		    (!next || mirror->id < next->id))
			next = mirror;
	keep(next);
	mutex_unlock(&mirrors_lock);

	return next;
}

/**
 * rxe_mirror_keep - keep a mirror from going away
 * @rxe: the device
 * @id: the mirror's id
 *
 * Context: may sleep.
 * Return: the mirror, or NULL if it is gone.
 */
struct rxe_mirror *rxe_mirror_keep(struct rxe_dev *rxe, u32 id)
{
	struct rxe_mirror *mirror = rxe_mirror_keep_next(rxe, id - 1);

	if (!mirror || mirror->id == id)
		return mirror;
	rxe_mirror_unkeep(mirror);

	return NULL;
}

/**
 * rxe_mirror_unkeep - undo rxe_mirror_keep() or rxe_mirror_keep_next()
 * @mirror: the mirror
 *
 * Context: any.
 */
void rxe_mirror_unkeep(struct rxe_mirror *mirror)
{
	if (atomic_dec_and_test(&mirror->kept))
		wake_up_var(&mirror->kept);
}

/**
 * rxe_mirror_count_cpu_fault - the CPU wants back what is on the device
 * @rxe: the device
 * @mm: whose address space
 * @va: the address
 *
 * Context: any; doesn't sleep.
 */
void rxe_mirror_count_cpu_fault(struct rxe_dev *rxe, struct mm_struct *mm,
				unsigned long va)
{
	struct rxe_mirror *mirror;
	struct rxe_region *region;

	rcu_read_lock();
	hash_for_each_possible_rcu(mirrors, mirror, node, mirror_key(rxe, mm)) {
		if (mirror->rxe != rxe || mirror->mm != mm)
			continue;
		region = rxe_mirror_region(mirror, va);
		if (region)
			atomic_inc(&region->heat.cpu_faults);
	}
	rcu_read_unlock();
}

/* Mark what the region has of the device's memory used. */
static void region_touch(struct rxe_region *region)
{
	unsigned long entry;
	unsigned int i;

	read_lock(&region->lock);
	for (i = 0; region->nr_valid && i < RXE_REGION_PAGES; i++) {
		entry = rxe_region_entry(region, i);
		if (!(entry & RXE_ENTRY_DEVICE))
			continue;
		rxe_dmem_touch(rxe_dmem_front(rxe_entry_page(entry)));
		if (region->huge)
			break;
	}
	read_unlock(&region->lock);
}

static void window_touch(struct rxe_window *window)
{
	struct rxe_region *region;
	unsigned int i;
	u32 counted;

	lockdep_assert_held(&mirrors_lock);
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "windows may go");

	for (i = 0; i < RXE_WINDOW_REGIONS; i++) {
		/* pairs with the store in rxe_mirror_make_region() */
		region = smp_load_acquire(&window->regions[i]);
		if (!region)
			continue;
		counted = rxe_heat_counted(&region->heat);
		if (counted == region->touched)
			continue;
		region->touched = counted;
		region_touch(region);
	}
}

static void mirror_touch(struct rxe_mirror *mirror)
{
	struct rxe_window *window;
	unsigned long i;

	rcu_read_lock();
	xa_for_each(&mirror->windows, i, window) {
		window_touch(window);
		rcu_read_unlock();
		cond_resched();
		rcu_read_lock();
	}
	rcu_read_unlock();
}

/**
 * rxe_mirror_touch_accessed - tell device memory what the NIC used
 * @rxe: the device
 *
 * Accesses leave a mark in the region. Before something is evicted, the marks
 * are collected, so that what the NIC uses is the last to go.
 *
 * Context: may sleep.
 */
void rxe_mirror_touch_accessed(struct rxe_dev *rxe)
{
	struct rxe_mirror *mirror;
	int bucket;

	mutex_lock(&mirrors_lock);
	hash_for_each(mirrors, bucket, mirror, node)
		if (mirror->rxe == rxe)
			mirror_touch(mirror);
	mutex_unlock(&mirrors_lock);
}

/**
 * rxe_mirror_prime_lockdep - tell lockdep how the mirror's locks nest
 *
 * Invalidation takes them from reclaim. Saying so once at load makes lockdep
 * complain about the first allocation under them, not about the one that
 * happens to meet reclaim.
 *
 * Context: may sleep.
 */
void rxe_mirror_prime_lockdep(void)
{
	struct {
		struct rxe_window window;
		struct rxe_region region;
	} *p;

	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;

	p = kzalloc_obj(*p);
	if (!p)
		return;
	window_init_lock(&p->window);
	region_init_lock(&p->region);

	fs_reclaim_acquire(GFP_KERNEL);
	spin_lock(&p->window.lock);
	write_lock(&p->region.lock);
	write_unlock(&p->region.lock);
	spin_unlock(&p->window.lock);
	fs_reclaim_release(GFP_KERNEL);

	kfree(p);
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_mirror_test.c"
#endif
