/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From an address to its region. The data path does this for each packet, so a few
 * windows are found without a search in the xarray. A fault puts its window there,
 * with gc_sem held for reading; rxe_mirror_gc.c takes it out, with gc_sem held for
 * writing, before RCU frees it.
 */
#ifndef RXE_MIRROR_FIND_H
#define RXE_MIRROR_FIND_H

#include <linux/preempt.h>
#include <linux/rcupdate.h>

#include "rxe_mirror.h"

/* Where mirror->near keeps the window of @va. */
static inline struct rxe_window **rxe_mirror_near(struct rxe_mirror *mirror,
						  unsigned long va)
{
	return &mirror->near[(va >> RXE_WINDOW_SHIFT) & (RXE_NEAR_WINDOWS - 1)];
}

/* The window of @va if it is kept there, or NULL. */
static inline struct rxe_window *rxe_mirror_near_window(struct rxe_mirror *mirror,
							unsigned long va)
{
	struct rxe_window *window;

	/* pairs with smp_store_release() in rxe_mirror_make_window() */
	window = smp_load_acquire(rxe_mirror_near(mirror, va));
	if (unlikely(!window || (va ^ window->start) >> RXE_WINDOW_SHIFT))
		return NULL;

	return window;
}

/* The region of @va, or NULL; the caller holds RCU or gc_sem. */
static inline struct rxe_region *rxe_mirror_region(struct rxe_mirror *mirror,
						   unsigned long va)
{
	struct rxe_window *window = rxe_mirror_near_window(mirror, va);

	if (unlikely(!window))
		window = xa_load(&mirror->windows, va >> RXE_WINDOW_SHIFT);
	if (!window)
		return NULL;
	/* pairs with smp_store_release() in rxe_mirror_make_region() */
	return smp_load_acquire(&window->regions[rxe_region_index(va)]);
}

/*
 * What RCU guards stays until the region is locked. Without PREEMPT_RT a region's
 * lock spins, so there is no preemption anyhow, which is as good for RCU.
 */
static inline void rxe_mirror_hold_regions(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		rcu_read_lock();
	else
		preempt_disable();
}

static inline void rxe_mirror_unhold_regions(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		rcu_read_unlock();
	else
		preempt_enable();
}

#endif /* RXE_MIRROR_FIND_H */
