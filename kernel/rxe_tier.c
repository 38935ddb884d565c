// SPDX-License-Identifier: GPL-2.0
/*
 * The policy at work: a work item of the device looks at the regions
 * (rxe_tier_scan.c), decides (rxe_tier_plan.c), and moves.
 *
 * It runs again after a period, for as long as the NIC accesses memory. If there
 * was no access it sleeps, and the next access wakes it (rxe_tier_note()). So a
 * device without on-demand regions, or without traffic, costs nothing. An access
 * that comes just when it goes to sleep may not wake it; the one after that does.
 *
 * Regions are named by mirror and address between the look and the move, and
 * looked up again. What is gone by then isn't moved.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "rxe.h"
#include "rxe_hmm.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_mirror_find.h"
#include "rxe_tier.h"

/* Room for so many regions more than were there at the last look. */
#define MORE_VIEWS	64U

/**
 * rxe_tier_clock - the time that heat and policy go by
 *
 * Context: any.
 * Return: ms since some time in the past.
 */
u64 rxe_tier_clock(void)
{
	return ktime_to_ms(ktime_get());
}

static enum rxe_tier_mode mode_now(struct rxe_tier *tier)
{
	enum rxe_tier_mode mode = READ_ONCE(tier->mode);
	struct rxe_dmem_info info;

	if (mode != RXE_TIER_DEFAULT)
		return mode;
	rxe_dmem_get_info(tier->hmm->dmem, &info);

	return info.size ? RXE_TIER_AUTO : RXE_TIER_OFF;
}

/* The knobs may change meanwhile, but a look goes by one set of them. */
static void read_knobs(struct rxe_tier *tier, struct rxe_tier_knobs *knobs)
{
	knobs->period = READ_ONCE(tier->knobs.period);
	knobs->half_life = READ_ONCE(tier->knobs.half_life);
	knobs->min_rate = READ_ONCE(tier->knobs.min_rate);
	knobs->rate = READ_ONCE(tier->knobs.rate);
	knobs->watermark = READ_ONCE(tier->knobs.watermark);
	knobs->min_residency = READ_ONCE(tier->knobs.min_residency);
	knobs->backoff = READ_ONCE(tier->knobs.backoff);
}

/* What became of a region that was to move, for the next look. */
static void note_move(struct rxe_tier *tier, struct rxe_mirror *mirror,
		      const struct rxe_tier_look *look,
		      const struct rxe_tier_view *view, enum rxe_place to,
		      const struct rxe_migrate_counts *counts)
{
	unsigned int pages = view->end - view->first;
	unsigned int there = counts->moved + counts->already;
	unsigned int full = counts->skipped[RXE_SKIP_FULL] +
			    counts->skipped[RXE_SKIP_NOMEM];
	struct rxe_region *region;

	lockdep_assert_held(&tier->lock);

	rcu_read_lock();
	region = rxe_mirror_region(mirror, view->base);
	if (region && to == RXE_PLACE_SYSTEM) {
		region->on_device = 0;
	} else if (region) {
		region->on_device = there;
		region->tier.arrived = look->now;
		/* what gets no further isn't tried each time */
		if (!counts->moved && there + full < pages)
			rxe_tier_back_off(&region->tier, look->now, &look->knobs);
	}
	rcu_read_unlock();
}

static void count_move(struct rxe_tier *tier, enum rxe_place to, u64 pages)
{
	atomic64_add(pages, &tier->hmm->rxe->stats_counters[to == RXE_PLACE_DEVICE ?
		     RXE_CNT_TIER_PROMOTED : RXE_CNT_TIER_DEMOTED]);
}

static void carry_out(struct rxe_tier *tier, const struct rxe_tier_look *look,
		      const struct rxe_tier_view *view, enum rxe_place to)
{
	unsigned long start = view->base + ((unsigned long)view->first << PAGE_SHIFT);
	unsigned long length = (unsigned long)(view->end - view->first) << PAGE_SHIFT;
	struct rxe_migrate_counts counts;
	struct rxe_mirror *mirror;
	struct rxe_region *region;
	u32 user = 0;

	mirror = rxe_mirror_keep(tier->hmm->rxe, view->mirror);
	if (!mirror)
		return;
	rcu_read_lock();
	region = rxe_mirror_region(mirror, view->base);
	if (region)
		user = READ_ONCE(region->user);
	rcu_read_unlock();
	/* nothing is evicted for it: there is room, or it doesn't come */
	if (!rxe_migrate_range(mirror, user, start, length, to, 0, &counts)) {
		count_move(tier, to, counts.moved);
		note_move(tier, mirror, look, view, to, &counts);
	}
	rxe_mirror_unkeep(mirror);
}

static void decide_and_move(struct rxe_tier *tier, struct rxe_tier_look *look)
{
	struct rxe_tier_plan plan = {
		.knobs = &look->knobs,
		.now = look->now,
		.budget = tier->budget,
		.views = look->views,
		.nr_views = min(look->nr_views, look->max_views),
	};
	struct rxe_dmem_info info;
	u32 i;

	rxe_dmem_get_info(tier->hmm->dmem, &info);
	plan.room = info.size * look->knobs.watermark / 100 - info.used;
	plan.moves = kvmalloc_array(plan.nr_views, sizeof(*plan.moves),
				    GFP_KERNEL | __GFP_NOWARN);
	if (!plan.moves)
		return;
	rxe_tier_decide(&plan);
	tier->budget = plan.budget;
	for (i = 0; i < plan.nr_moves; i++) {
		if (!info.size || READ_ONCE(tier->mode) < RXE_TIER_AUTO)
			break;
		carry_out(tier, look, &look->views[plan.moves[i].view],
			  plan.moves[i].to);
	}
	kvfree(plan.moves);
}

/* Returns whether the NIC has accessed anything since the last look. */
static bool look_and_move(struct rxe_tier *tier, enum rxe_tier_mode mode)
{
	struct rxe_tier_look look = {
		.now = rxe_tier_clock(),
		.mark = mode == RXE_TIER_AUTO,
	};
	struct rxe_dev *rxe = tier->hmm->rxe;

	lockdep_assert_held(&tier->lock);

	read_knobs(tier, &look.knobs);
	tier->budget = rxe_tier_refill(tier->budget, look.now - tier->last_look,
				       &look.knobs);
	tier->last_look = look.now;

	look.max_views = tier->nr_views + MORE_VIEWS;
	look.views = kvmalloc_array(look.max_views, sizeof(*look.views),
				    GFP_KERNEL | __GFP_NOWARN);
	if (!look.views)
		look.max_views = 0;
	rxe_tier_scan(tier, &look);
	tier->nr_views = look.nr_views;
	tier->budget = rxe_tier_penalise(tier->budget, look.taken_back,
					 &look.knobs);

	rxe_counter_inc(rxe, RXE_CNT_TIER_LOOKS);
	atomic64_add(look.accesses, &rxe->stats_counters[RXE_CNT_ACCESSES]);
	atomic64_add(look.on_device, &rxe->stats_counters[RXE_CNT_DEVICE_ACCESSES]);
	atomic64_add(look.bytes, &rxe->stats_counters[RXE_CNT_ACCESS_BYTES]);
	if (mode == RXE_TIER_AUTO && look.views && look.nr_views)
		decide_and_move(tier, &look);
	kvfree(look.views);

	return look.accesses;
}

static void tier_work(struct work_struct *work)
{
	struct rxe_tier *tier =
		container_of(to_delayed_work(work), struct rxe_tier, work);
	enum rxe_tier_mode mode;

	mutex_lock(&tier->lock);
	mode = mode_now(tier);
	if (mode != RXE_TIER_OFF) {
		if (look_and_move(tier, mode))
			queue_delayed_work(system_dfl_wq, &tier->work,
					   msecs_to_jiffies(READ_ONCE(tier->knobs.period)));
		else
			WRITE_ONCE(tier->asleep, true);
	}
	mutex_unlock(&tier->lock);
}

/**
 * rxe_tier_wake - look after the next period
 * @tier: the policy, which is asleep
 *
 * Context: any; doesn't sleep.
 */
void rxe_tier_wake(struct rxe_tier *tier)
{
	WRITE_ONCE(tier->asleep, false);
	queue_delayed_work(system_dfl_wq, &tier->work,
			   msecs_to_jiffies(READ_ONCE(tier->knobs.period)));
}

/* The next access has it look, if it is to look at all. */
static void refresh(struct rxe_tier *tier)
{
	lockdep_assert_held(&tier->lock);

	if (!delayed_work_pending(&tier->work))
		WRITE_ONCE(tier->asleep, mode_now(tier) != RXE_TIER_OFF);
}

/**
 * rxe_tier_refresh - the device's memory has another size
 * @tier: the policy
 *
 * Context: may sleep.
 */
void rxe_tier_refresh(struct rxe_tier *tier)
{
	mutex_lock(&tier->lock);
	refresh(tier);
	mutex_unlock(&tier->lock);
}

/**
 * rxe_tier_set_mode - say what the policy should do
 * @tier: the policy
 * @mode: what
 *
 * When it returns, nothing moves any more on behalf of another mode.
 *
 * Context: may sleep.
 */
void rxe_tier_set_mode(struct rxe_tier *tier, enum rxe_tier_mode mode)
{
	/* have a look that is under way end early */
	WRITE_ONCE(tier->mode, mode);
	mutex_lock(&tier->lock);
	refresh(tier);
	mutex_unlock(&tier->lock);
}

/**
 * rxe_tier_get_mode - what the policy does
 * @tier: the policy
 *
 * Context: any.
 * Return: the mode, %RXE_TIER_DEFAULT resolved.
 */
enum rxe_tier_mode rxe_tier_get_mode(struct rxe_tier *tier)
{
	return mode_now(tier);
}

/**
 * rxe_tier_create - make a device's policy
 * @hmm: the device, with its memory
 *
 * Context: may sleep.
 * Return: the policy or NULL.
 */
struct rxe_tier *rxe_tier_create(struct rxe_hmm_dev *hmm)
{
	struct rxe_tier *tier;

	tier = kzalloc_obj(*tier);
	if (!tier)
		return NULL;
	tier->hmm = hmm;
	mutex_init(&tier->lock);
	INIT_DELAYED_WORK(&tier->work, tier_work);
	rxe_tier_knobs_init(tier);
	tier->asleep = tier->mode != RXE_TIER_OFF;

	return tier;
}

/**
 * rxe_tier_destroy - undo rxe_tier_create()
 * @tier: the policy of a device without MRs
 *
 * Context: may sleep.
 */
void rxe_tier_destroy(struct rxe_tier *tier)
{
	disable_delayed_work_sync(&tier->work);
	mutex_destroy(&tier->lock);
	kfree(tier);
}
