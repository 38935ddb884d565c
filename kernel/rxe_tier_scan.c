// SPDX-License-Identifier: GPL-2.0
/*
 * A look at all regions of a device: their heat is brought up to date, and what
 * the policy decides by is gathered.
 *
 * Regions are found under RCU and may go while they are looked at; a region that
 * goes takes its heat along. What is on the device is counted from the entries.
 * Where there is no entry, because nothing was accessed since it was dropped,
 * what was true before is taken to be true.
 *
 * Reclaim judges by the accessed bits of the CPU's page tables, which the NIC
 * doesn't set. So pages of RAM in regions that it uses are marked accessed here.
 */
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/swap.h>

#include "rxe.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_mirror_find.h"
#include "rxe_tier.h"

/**
 * rxe_tier_claim - an MR maps a part of a region
 * @region: the region
 * @base: its first address
 * @mmr: the MR
 *
 * What moves is the part that MRs have mapped, and what is between them.
 *
 * Context: region->lock is held for write.
 */
void rxe_tier_claim(struct rxe_region *region, unsigned long base,
		    const struct rxe_mirror_mr *mmr)
{
	unsigned long start = mmr->umem.address;
	unsigned long last = start + mmr->umem.length - 1;
	unsigned int first = start > base ? rxe_region_page(start) : 0;
	unsigned int end = RXE_REGION_PAGES;

	lockdep_assert_held_write(&region->lock);

	if (last < base + RXE_REGION_SIZE - 1)
		end = rxe_region_page(last) + 1;
	if (region->end) {
		first = min_t(unsigned int, first, region->first);
		end = max_t(unsigned int, end, region->end);
	}
	WRITE_ONCE(region->first, first);
	WRITE_ONCE(region->end, end);
	WRITE_ONCE(region->user, mmr->user.id);
}

/* The pages of the region that are on the device, or may be. */
static unsigned int count_on_device(struct rxe_region *region)
{
	unsigned int i, known = 0, n = 0;
	unsigned long entry;

	for (i = region->first; i < region->end; i++) {
		entry = rxe_region_entry(region, i);
		known += !!(entry & RXE_ENTRY_VALID);
		n += !!(entry & RXE_ENTRY_DEVICE);
	}

	return n + min_t(unsigned int, region->on_device,
			 region->end - region->first - known);
}

/*
 * An entry keeps its page from being freed: that has to invalidate it first,
 * which takes the lock that is held here.
 */
static void mark_accessed(struct rxe_region *region)
{
	struct folio *folio, *last = NULL;
	unsigned long entry;
	unsigned int i;

	for (i = region->first; i < region->end; i++) {
		entry = rxe_region_entry(region, i);
		if (!(entry & RXE_ENTRY_VALID) || entry & RXE_ENTRY_DEVICE)
			continue;
		folio = page_folio(rxe_entry_page(entry));
		if (folio != last)
			folio_mark_accessed(folio);
		last = folio;
	}
}

static void look_at_entries(struct rxe_region *region, bool mark)
{
	read_lock(&region->lock);
	region->on_device = count_on_device(region);
	if (mark)
		mark_accessed(region);
	read_unlock(&region->lock);
}

static void add_view(struct rxe_tier_look *look, struct rxe_mirror *mirror,
		     struct rxe_region *region, unsigned long base, u64 heat)
{
	unsigned long start, end;
	struct rxe_tier_view *view;

	/* there is room the next time */
	if (look->nr_views++ >= look->max_views)
		return;
	view = &look->views[look->nr_views - 1];
	view->heat = heat;
	view->noise = rxe_heat_noise(&region->heat);
	view->base = base;
	view->mirror = mirror->id;
	view->first = READ_ONCE(region->first);
	view->end = READ_ONCE(region->end);
	view->on_device = min_t(unsigned int, region->on_device,
				view->end - view->first);
	view->state = region->tier;
	start = base + ((unsigned long)view->first << PAGE_SHIFT);
	end = base + ((unsigned long)view->end << PAGE_SHIFT);
	view->prefer = rxe_migrate_preferred_all(mirror, start, end);
}

static void look_at_region(struct rxe_tier_look *look, struct rxe_mirror *mirror,
			   struct rxe_region *region, unsigned long base)
{
	const struct rxe_tier_knobs *knobs = &look->knobs;
	struct rxe_heat_found found;
	u64 heat;

	found = rxe_heat_fold(&region->heat, look->now, knobs->half_life);
	look->accesses += found.accesses;
	look->on_device += found.on_device;
	look->bytes += found.bytes;
	if (found.accesses)
		look_at_entries(region, look->mark);
	if (rxe_tier_observe(&region->tier, atomic_read(&region->heat.cpu_faults),
			     region->on_device, look->now, knobs))
		look->taken_back++;

	heat = rxe_heat_sum(&region->heat, look->now, knobs->half_life);
	if ((heat || region->on_device) && READ_ONCE(region->end))
		add_view(look, mirror, region, base, heat);
}

static void look_at_window(struct rxe_tier_look *look, struct rxe_mirror *mirror,
			   struct rxe_window *window)
{
	struct rxe_region *region;
	unsigned long i;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "windows may go");

	for (i = 0; i < RXE_WINDOW_REGIONS; i++) {
		/* pairs with the store in rxe_mirror_make_region() */
		region = smp_load_acquire(&window->regions[i]);
		if (region)
			look_at_region(look, mirror, region,
				       window->start + (i << RXE_REGION_SHIFT));
	}
}

static void look_at_mirror(struct rxe_tier_look *look, struct rxe_mirror *mirror)
{
	struct rxe_window *window;
	unsigned long i;

	rcu_read_lock();
	xa_for_each(&mirror->windows, i, window) {
		look_at_window(look, mirror, window);
		rcu_read_unlock();
		cond_resched();
		rcu_read_lock();
	}
	rcu_read_unlock();
}

/**
 * rxe_tier_scan - look at all regions of a device
 * @tier: the device's policy
 * @look: what to look for, and where to put it
 *
 * Context: may sleep; tier->lock is held.
 */
void rxe_tier_scan(struct rxe_tier *tier, struct rxe_tier_look *look)
{
	struct rxe_dev *rxe = tier->hmm->rxe;
	struct rxe_mirror *mirror;
	u32 id = 0;

	lockdep_assert_held(&tier->lock);

	migrate_disable();
	while ((mirror = rxe_mirror_keep_next(rxe, id))) {
		id = mirror->id;
		look_at_mirror(look, mirror);
		rxe_mirror_unkeep(mirror);
	}
	if (look->mark)
		rxe_migrate_release_marked();
	migrate_enable();
}

static u32 rate_of(struct rxe_mirror *mirror, const struct rxe_heat *heat, u64 sum)
{
	u32 half_life = READ_ONCE(mirror->tier->knobs.half_life);
	u64 now = rxe_tier_clock(), stamp = READ_ONCE(heat->stamp);

	sum = rxe_heat_decay(sum, now > stamp ? now - stamp : 0, half_life);

	return min_t(u64, rxe_heat_rate(sum, half_life), U32_MAX);
}

/* Fill in a region's heat; returns false if it was never accessed. */
static bool report_region(struct rxe_mirror *mirror, struct rxe_region *region,
			  unsigned long base, struct rxe_tier_heat *to)
{
	struct rxe_heat *heat = &region->heat;

	to->base = base;
	to->reads = READ_ONCE(heat->nr_reads);
	to->writes = READ_ONCE(heat->nr_writes);
	to->on_device = READ_ONCE(heat->nr_on_device);
	to->cpu_faults = atomic_read(&heat->cpu_faults);
	to->read_rate = rate_of(mirror, heat, READ_ONCE(heat->read_sum));
	to->write_rate = rate_of(mirror, heat, READ_ONCE(heat->write_sum));
	read_lock(&region->lock);
	to->device_pages = count_on_device(region);
	read_unlock(&region->lock);

	return to->reads || to->writes || to->device_pages;
}

/**
 * rxe_tier_report - the heat of a range
 * @mirror: the mirror; the caller keeps it, or has an MR of it
 * @start: first address; moved to where to go on
 * @end: end of the range
 * @heats: where to put it
 * @max: room for so many regions, at least 1
 *
 * Context: may sleep.
 * Return: how many regions there are; when @max is reached, @start is less than
 * @end if there may be more.
 */
unsigned int rxe_tier_report(struct rxe_mirror *mirror, unsigned long *start,
			     unsigned long end, struct rxe_tier_heat *heats,
			     unsigned int max)
{
	unsigned long va = round_down(*start, RXE_REGION_SIZE), i;
	struct rxe_region *region;
	unsigned int n = 0;

	while (va < end && n < max) {
		i = va >> RXE_WINDOW_SHIFT;
		/* windows are few, and what is between them may be much */
		if (!xa_find(&mirror->windows, &i, (end - 1) >> RXE_WINDOW_SHIFT,
			     XA_PRESENT)) {
			va = end;
			break;
		}
		va = max(va, i << RXE_WINDOW_SHIFT);
		rcu_read_lock();
		do {
			region = rxe_mirror_region(mirror, va);
			if (region && report_region(mirror, region, va, &heats[n]))
				n++;
			va += RXE_REGION_SIZE;
		} while (va < end && n < max && va & (RXE_WINDOW_SIZE - 1));
		rcu_read_unlock();
		cond_resched();
	}
	*start = min(va, end);

	return n;
}
