// SPDX-License-Identifier: GPL-2.0
/*
 * The policy's decisions, in the order in which they are made:
 *
 * 1. What is wanted in RAM, and is on the device, goes.
 * 2. If more is used than the watermark allows, the coldest goes.
 * 3. From the hottest on, each region that is hot enough comes. If there is no
 *    room, the coldest makes it, provided that it is colder by more than chance
 *    explains. The first for which none is, ends the round: those after it are
 *    colder still.
 *
 * Each move is paid for from the budget, and moves that the CPU undoes are paid
 * for dearly. Nobody comes before its back-off is over, nobody goes before its
 * least residency is. Regions that prefer the
 * device count as the hottest. A region that is to stay where it is, because
 * the process has said so or has moved it, is not looked at.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sort.h>

#include "rxe_heat.h"
#include "rxe_mirror.h"
#include "rxe_tier_plan.h"

/* An exchange must gain an eighth, and more than chance may pretend. */
#define MARGIN_SHIFT	3
#define MARGIN_NOISE	3
/* The longest back-off is 2^6 times the first. */
#define MAX_BACKOFFS	7
/* What the budget can save up at least, so that no exchange waits forever. */
#define MIN_BURST	((long)(4 * RXE_REGION_PAGES))
#define MIB_PAGES	(SZ_1M >> PAGE_SHIFT)
/* What a region costs that the CPU takes back, and what all may cost, in ms. */
#define PENALTY_MS	500
#define MAX_PENALTY_MS	10000

static bool is_wanted(const struct rxe_tier_view *view)
{
	return view->prefer == RXE_PLACE_DEVICE;
}

static int hottest_first(const void *a, const void *b)
{
	const struct rxe_tier_view *x = a, *y = b;

	if (is_wanted(x) != is_wanted(y))
		return is_wanted(x) ? -1 : 1;
	if (x->heat != y->heat)
		return x->heat > y->heat ? -1 : 1;

	return 0;
}

static bool may_come(const struct rxe_tier_plan *plan,
		     const struct rxe_tier_view *view)
{
	const struct rxe_tier_knobs *knobs = plan->knobs;

	if (view->on_device >= view->end - view->first)
		return false;
	if (plan->now < view->state.not_before)
		return false;
	if (is_wanted(view))
		return view->heat;

	return view->prefer == RXE_PLACE_NONE &&
	       view->heat >= rxe_heat_sum_of_rate(knobs->min_rate,
						  knobs->half_life);
}

static bool may_go(const struct rxe_tier_plan *plan,
		   const struct rxe_tier_view *view)
{
	if (!view->on_device)
		return false;
	if (view->prefer != RXE_PLACE_NONE && view->prefer != RXE_PLACE_SYSTEM)
		return false;

	return plan->now >= view->state.arrived + plan->knobs->min_residency;
}

/* Is it worth an exchange? */
static bool is_hotter(const struct rxe_tier_view *view,
		      const struct rxe_tier_view *than)
{
	u64 margin = (than->heat >> MARGIN_SHIFT) +
		     MARGIN_NOISE * (view->noise + than->noise);

	return is_wanted(view) || view->heat > than->heat + margin;
}

static void add_move(struct rxe_tier_plan *plan, u32 i, enum rxe_place to,
		     long pages)
{
	plan->moves[plan->nr_moves++] = (struct rxe_tier_move) {
		.view = i,
		.to = to,
	};
	plan->budget -= pages;
	plan->room += to == RXE_PLACE_SYSTEM ? pages : -pages;
}

/*
 * Demote the coldest one among those before @cold, which is moved to it, if
 * there is one that may go and, with a @guest, is colder than that.
 */
static bool demote_coldest(struct rxe_tier_plan *plan, u32 *cold,
			   const struct rxe_tier_view *guest)
{
	const struct rxe_tier_view *view;

	while (*cold) {
		view = &plan->views[--*cold];
		if (view == guest)
			return false;
		/* those wanted in RAM have been dealt with */
		if (!may_go(plan, view) || view->prefer == RXE_PLACE_SYSTEM)
			continue;
		if (view->on_device > plan->budget ||
		    (guest && !is_hotter(guest, view)))
			return false;
		add_move(plan, *cold, RXE_PLACE_SYSTEM, view->on_device);
		return true;
	}

	return false;
}

static void demote_unwanted(struct rxe_tier_plan *plan)
{
	const struct rxe_tier_view *view;
	u32 i;

	for (i = 0; i < plan->nr_views; i++) {
		view = &plan->views[i];
		if (view->prefer == RXE_PLACE_SYSTEM && may_go(plan, view) &&
		    view->on_device <= plan->budget)
			add_move(plan, i, RXE_PLACE_SYSTEM, view->on_device);
	}
}

/* Returns false if it can't come, which then nobody colder can. */
static bool promote(struct rxe_tier_plan *plan, u32 i, u32 *cold)
{
	const struct rxe_tier_view *view = &plan->views[i];
	long need = view->end - view->first - view->on_device;
	struct rxe_tier_plan before = *plan;

	while (plan->room < need) {
		if (demote_coldest(plan, cold, view))
			continue;
		*plan = before;
		return false;
	}
	if (need > plan->budget) {
		*plan = before;
		return false;
	}
	add_move(plan, i, RXE_PLACE_DEVICE, need);

	return true;
}

/**
 * rxe_tier_decide - decide what is to move
 * @plan: the regions, and by which rules; sets the moves
 *
 * Context: any.
 */
void rxe_tier_decide(struct rxe_tier_plan *plan)
{
	u32 cold = plan->nr_views, i;

	sort(plan->views, plan->nr_views, sizeof(*plan->views), hottest_first,
	     NULL);
	plan->nr_moves = 0;

	demote_unwanted(plan);
	while (plan->room < 0)
		if (!demote_coldest(plan, &cold, NULL))
			break;
	for (i = 0; i < cold; i++)
		if (may_come(plan, &plan->views[i]) && !promote(plan, i, &cold))
			break;
}

/**
 * rxe_tier_refill - let the budget grow with time
 * @budget: pages
 * @ms: how much time has passed
 * @knobs: how fast
 *
 * What isn't used is saved up for one period, but for an exchange at least.
 *
 * Context: any.
 * Return: the new budget.
 */
long rxe_tier_refill(long budget, u64 ms, const struct rxe_tier_knobs *knobs)
{
	u64 rate = (u64)knobs->rate * MIB_PAGES;
	long most = max_t(long, div_u64(rate * knobs->period, 1000), MIN_BURST);

	/* more than a minute's worth is too much in any case */
	ms = min(ms, 60000ULL);

	return min_t(long, budget + (long)div_u64(rate * ms, 1000), most);
}

/**
 * rxe_tier_penalise - moves have been for nothing: move less for a while
 * @budget: pages
 * @taken_back: how many regions the CPU has taken back
 * @knobs: how fast the budget grows
 *
 * One region costs as much as the budget grows in half a second. All of them
 * don't bring it below what it grows in ten.
 *
 * Context: any.
 * Return: the new budget, which may be negative.
 */
long rxe_tier_penalise(long budget, u32 taken_back,
		       const struct rxe_tier_knobs *knobs)
{
	long rate = (long)knobs->rate * MIB_PAGES;
	long least = min(budget, -(rate * MAX_PENALTY_MS / 1000));
	u32 ms = min(taken_back, MAX_PENALTY_MS / PENALTY_MS + 1) * PENALTY_MS;

	return max(budget - rate * ms / 1000, least);
}

/**
 * rxe_tier_back_off - leave a region alone for some time
 * @state: the region's; twice as long as the last time
 * @now: the time
 * @knobs: how long the first time
 *
 * Context: any.
 */
void rxe_tier_back_off(struct rxe_tier_state *state, u64 now,
		       const struct rxe_tier_knobs *knobs)
{
	if (state->backoffs < MAX_BACKOFFS)
		state->backoffs++;
	state->not_before = now + ((u64)knobs->backoff << (state->backoffs - 1));
}

/**
 * rxe_tier_observe - see what became of a region
 * @state: the region's
 * @cpu_faults: CPU faults that took pages of it back, ever
 * @on_device: is any of it on the device?
 * @now: the time
 * @knobs: for the length of a back-off
 *
 * If the CPU has taken pages back, the region backs off. If it has been left in
 * peace on the device for longer than it last had to wait, that is forgotten.
 *
 * Context: any.
 * Return: whether the CPU has taken pages back.
 */
bool rxe_tier_observe(struct rxe_tier_state *state, u32 cpu_faults,
		      bool on_device, u64 now, const struct rxe_tier_knobs *knobs)
{
	u64 wait;

	if (cpu_faults != state->seen_faults) {
		state->seen_faults = cpu_faults;
		rxe_tier_back_off(state, now, knobs);
		return true;
	}
	if (!state->backoffs || !on_device)
		return false;
	wait = (u64)knobs->backoff << (state->backoffs - 1);
	if (now >= max(state->arrived, state->not_before) + wait)
		state->backoffs = 0;

	return false;
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_tier_plan_test.c"
#endif
