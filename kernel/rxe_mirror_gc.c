// SPDX-License-Identifier: GPL-2.0
/*
 * Giving back what a mirror no longer needs.
 *
 * When a process unmaps memory, the regions over it have nothing left to map.
 * A work item of the mirror frees them some time later, and windows without
 * regions with them. It is queued by an invalidation that empties a region.
 *
 * Who may be in a region that goes:
 *
 * - The data path holds rcu_read_lock() from the lookup until it has the
 *   region's lock. An empty region allows it nothing, so it leaves again, and
 *   the region is freed after a grace period.
 * - Faults hold mirror->gc_sem for reading. The work wants it for writing and
 *   doesn't wait: if a fault is under way, it comes again later.
 * - Invalidations hold window->lock, under which a region is taken out.
 *
 * A freed region leaves its count of invalidated pages in mirror->lost.
 */
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_mirror.h"
#include "rxe_mirror_find.h"

#define GC_DELAY	HZ

static void region_free_rcu(struct rcu_head *head)
{
	struct rxe_region *region = container_of(head, struct rxe_region, rcu);

	if (region->table)
		rxe_audit_freed(RXE_AUDIT_TABLES);
	kfree(region->table);
	kfree(region);
	rxe_audit_freed(RXE_AUDIT_REGIONS);
}

static void window_free_rcu(struct rcu_head *head)
{
	struct rxe_window *window = container_of(head, struct rxe_window, rcu);

	kfree(window->regions);
	kfree(window);
	rxe_audit_freed(RXE_AUDIT_WINDOWS);
}

/**
 * rxe_mirror_recall - the invalidated pages of what was given back
 * @lost: mirror->lost or mirror->lost_windows
 * @i: index of the region or window
 *
 * Context: any.
 * Return: the number of pages.
 */
u64 rxe_mirror_recall(struct xarray *lost, unsigned long i)
{
	void *count = xa_load(lost, i);

	return count ? xa_to_value(count) : 0;
}

static int remember(struct xarray *lost, unsigned long i, u64 n)
{
	return xa_err(xa_store(lost, i, xa_mk_value(n), GFP_KERNEL));
}

/* Take region @i out of the window if it is empty. Returns whether it went. */
static bool region_collect(struct rxe_window *window, unsigned int i)
{
	struct rxe_region *region = window->regions[i];
	struct xarray *lost = &window->mirror->lost;
	unsigned long index = (window->start >> RXE_REGION_SHIFT) + i;
	unsigned int nr_valid;
	u64 n;

	/* What is empty stays so, and its count too: faults are kept out. */
	spin_lock(&window->lock);
	nr_valid = region->nr_valid;
	n = region->nr_invalidated;
	spin_unlock(&window->lock);
	if (nr_valid)
		return false;
	if (n && remember(lost, index, n + rxe_mirror_recall(lost, index)))
		return false;

	spin_lock(&window->lock);
	WRITE_ONCE(window->regions[i], NULL);
	spin_unlock(&window->lock);
	call_rcu(&region->rcu, region_free_rcu);

	return true;
}

/* Returns how many regions are left. */
static unsigned int window_collect(struct rxe_window *window)
{
	unsigned int i, left = 0;

	for (i = 0; i < RXE_WINDOW_REGIONS; i++)
		if (window->regions[i] && !region_collect(window, i))
			left++;

	return left;
}

static void window_give_back(struct rxe_window *window)
{
	struct rxe_mirror *mirror = window->mirror;
	struct rxe_window **near = rxe_mirror_near(mirror, window->start);
	unsigned long index = window->start >> RXE_WINDOW_SHIFT;

	if (window->nr_invalidated &&
	    remember(&mirror->lost_windows, index, window->nr_invalidated))
		return;
	/* faults, which set it, are kept out */
	if (*near == window)
		WRITE_ONCE(*near, NULL);
	xa_erase(&mirror->windows, index);
	mmu_interval_notifier_remove(&window->notifier);
	call_rcu(&window->rcu, window_free_rcu);
}

static void collect(struct rxe_mirror *mirror)
{
	struct rxe_window *window;
	unsigned long i;

	lockdep_assert_held_write(&mirror->gc_sem);

	xa_for_each(&mirror->windows, i, window) {
		if (!window_collect(window))
			window_give_back(window);
		cond_resched();
	}
}

static void gc_work(struct work_struct *work)
{
	struct rxe_mirror *mirror =
		container_of(to_delayed_work(work), struct rxe_mirror, gc_work);

	if (!down_write_trylock(&mirror->gc_sem)) {
		rxe_mirror_gc_later(mirror);
		return;
	}
	collect(mirror);
	up_write(&mirror->gc_sem);
}

/**
 * rxe_mirror_gc_later - look for regions to give back, some time from now
 * @mirror: the mirror
 *
 * Context: any; does not sleep.
 */
void rxe_mirror_gc_later(struct rxe_mirror *mirror)
{
	if (!delayed_work_pending(&mirror->gc_work))
		queue_delayed_work(system_dfl_wq, &mirror->gc_work, GC_DELAY);
}

/**
 * rxe_mirror_gc_init - set up a new mirror
 * @mirror: the mirror
 *
 * Context: any.
 */
void rxe_mirror_gc_init(struct rxe_mirror *mirror)
{
	init_rwsem(&mirror->gc_sem);
	INIT_DELAYED_WORK(&mirror->gc_work, gc_work);
	xa_init(&mirror->lost);
	xa_init(&mirror->lost_windows);
}

/**
 * rxe_mirror_gc_fini - give back all of a mirror
 * @mirror: the mirror, without users
 *
 * Context: may sleep; mmap_lock isn't held.
 */
void rxe_mirror_gc_fini(struct rxe_mirror *mirror)
{
	struct rxe_window *window;
	unsigned long i;
	unsigned int r;

	disable_delayed_work_sync(&mirror->gc_work);
	xa_for_each(&mirror->windows, i, window) {
		mmu_interval_notifier_remove(&window->notifier);
		for (r = 0; r < RXE_WINDOW_REGIONS; r++)
			if (window->regions[r])
				region_free_rcu(&window->regions[r]->rcu);
		window_free_rcu(&window->rcu);
	}
	xa_destroy(&mirror->windows);
	xa_destroy(&mirror->lost);
	xa_destroy(&mirror->lost_windows);
}
