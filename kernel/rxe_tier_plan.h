/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy's decisions: which regions should move, given how hot they are.
 *
 * All of it is arithmetic on what the caller has gathered: it moves nothing,
 * takes no lock and reads no clock. Times are in milliseconds of any clock,
 * sizes in pages. docs/tiering.md explains the rules.
 */
#ifndef RXE_TIER_PLAN_H
#define RXE_TIER_PLAN_H

#include <linux/types.h>

#include "rxe_migrate.h"

/**
 * struct rxe_tier_knobs - what an administrator may set
 * @period: time between two looks, ms
 * @half_life: of the heat, ms
 * @min_rate: accesses a second that a region needs to be promoted
 * @rate: pages that may be moved a second, in MiB
 * @watermark: part of the device's memory that the policy fills, percent
 * @min_residency: how long a promoted region stays at least, ms
 * @backoff: how long a region is left alone that the CPU has taken back, ms;
 *	twice as long each time
 */
struct rxe_tier_knobs {
	u32 period;
	u32 half_life;
	u32 min_rate;
	u32 rate;
	u32 watermark;
	u32 min_residency;
	u32 backoff;
};

/**
 * struct rxe_tier_state - what the policy remembers of a region
 * @arrived: when it was promoted last
 * @not_before: it isn't promoted before this
 * @backoffs: how often in a row it was taken back
 * @seen_faults: CPU faults on it that are accounted for
 */
struct rxe_tier_state {
	u64 arrived;
	u64 not_before;
	u32 backoffs;
	u32 seen_faults;
};

/**
 * struct rxe_tier_view - a region as the policy sees it
 * @heat: decayed number of accesses, %RXE_HEAT_SHIFT bits behind the point
 * @noise: how far @heat may be off by chance, the same
 * @base: the region's first address
 * @mirror: id of its mirror
 * @first: the part that is registered, in pages of the region, from this
 * @end: up to this
 * @on_device: how many of these are on the device
 * @prefer: where the process wants it
 * @state: what the policy remembers of it
 */
struct rxe_tier_view {
	u64			heat;
	u64			noise;
	unsigned long		base;
	u32			mirror;
	u16			first;
	u16			end;
	u16			on_device;
	u8			prefer;
	struct rxe_tier_state	state;
};

/**
 * struct rxe_tier_move - a decision
 * @view: index of the region
 * @to: %RXE_PLACE_DEVICE or %RXE_PLACE_SYSTEM
 */
struct rxe_tier_move {
	u32		view;
	enum rxe_place	to;
};

/**
 * struct rxe_tier_plan - all decisions of one look
 * @knobs: by which rules
 * @now: the time
 * @room: pages free on the device below the watermark; negative: above it
 * @budget: pages that may be moved
 * @views: the regions; sorted by rxe_tier_decide(), the hottest first
 * @nr_views: how many
 * @moves: the decisions, to be carried out in this order; room for @nr_views
 * @nr_moves: how many
 */
struct rxe_tier_plan {
	const struct rxe_tier_knobs	*knobs;
	u64				now;
	long				room;
	long				budget;
	struct rxe_tier_view		*views;
	u32				nr_views;
	struct rxe_tier_move		*moves;
	u32				nr_moves;
};

void rxe_tier_decide(struct rxe_tier_plan *plan);
long rxe_tier_refill(long budget, u64 ms, const struct rxe_tier_knobs *knobs);
void rxe_tier_back_off(struct rxe_tier_state *state, u64 now,
		       const struct rxe_tier_knobs *knobs);
long rxe_tier_penalise(long budget, u32 taken_back,
		       const struct rxe_tier_knobs *knobs);
bool rxe_tier_observe(struct rxe_tier_state *state, u32 cpu_faults,
		      bool on_device, u64 now, const struct rxe_tier_knobs *knobs);

#endif /* RXE_TIER_PLAN_H */
