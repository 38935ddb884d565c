/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy: regions that the NIC uses much move to the device's memory by
 * themselves, and make room again.
 *
 *	rxe_heat	how hot a region is		pure
 *	rxe_tier_scan	what there is, and how hot
 *	rxe_tier_plan	what should move		pure
 *	rxe_tier	when, and doing it
 *	rxe_tier_knobs	what an administrator may set
 */
#ifndef RXE_TIER_H
#define RXE_TIER_H

#include <linux/compiler.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "rxe_tier_plan.h"

struct rxe_hmm_dev;
struct rxe_mirror_mr;
struct rxe_region;
struct rxe_mirror;

/* What the policy does. */
enum rxe_tier_mode {
	RXE_TIER_OFF,		/* nothing; no heat either */
	RXE_TIER_MANUAL,	/* keeps account of the heat, moves nothing */
	RXE_TIER_AUTO,		/* moves regions */
	RXE_TIER_DEFAULT,	/* auto if the device has memory, else off */
};

/**
 * struct rxe_tier - a device's policy
 * @hmm: the device
 * @mode: what it should do
 * @asleep: it waits for an access
 * @lock: held for a look and what follows from it
 * @work: the next look
 * @knobs: each may change at any time, and is read once a look
 * @last_look: when that was, in ms
 * @budget: pages that may be moved now
 * @nr_views: how many regions the last look has found
 *
 * The last three are under @lock.
 */
struct rxe_tier {
	struct rxe_hmm_dev	*hmm;
	enum rxe_tier_mode	mode;
	bool			asleep;
	struct mutex		lock;	/* a look */
	struct delayed_work	work;
	struct rxe_tier_knobs	knobs;
	u64			last_look;
	long			budget;
	u32			nr_views;
};

/**
 * struct rxe_tier_look - what a look has found
 * @knobs: by which rules
 * @now: the time, in ms
 * @mark: tell reclaim of the pages that the NIC uses
 * @accesses: since the last look
 * @on_device: of these, served from the device's memory
 * @bytes: of all of them
 * @taken_back: regions that the CPU has taken pages of
 * @views: the regions
 * @nr_views: how many there are
 * @max_views: how many find room in @views
 */
struct rxe_tier_look {
	struct rxe_tier_knobs	knobs;
	u64			now;
	bool			mark;
	u64			accesses;
	u64			on_device;
	u64			bytes;
	u32			taken_back;
	struct rxe_tier_view	*views;
	u32			nr_views;
	u32			max_views;
};

/**
 * struct rxe_tier_heat - a region's heat, for people
 * @base: the region's first address
 * @reads: reads so far
 * @writes: writes so far
 * @on_device: of both, those served from the device's memory
 * @cpu_faults: times that the CPU has taken pages of it back
 * @read_rate: reads a second, of late
 * @write_rate: writes a second, of late
 * @device_pages: how many of its pages are on the device
 */
struct rxe_tier_heat {
	unsigned long	base;
	u64		reads;
	u64		writes;
	u64		on_device;
	u32		cpu_faults;
	u32		read_rate;
	u32		write_rate;
	u32		device_pages;
};

/* rxe_tier.c */
struct rxe_tier *rxe_tier_create(struct rxe_hmm_dev *hmm);
void rxe_tier_destroy(struct rxe_tier *tier);
void rxe_tier_wake(struct rxe_tier *tier);
void rxe_tier_refresh(struct rxe_tier *tier);
void rxe_tier_set_mode(struct rxe_tier *tier, enum rxe_tier_mode mode);
enum rxe_tier_mode rxe_tier_get_mode(struct rxe_tier *tier);
u64 rxe_tier_clock(void);

/* rxe_tier_scan.c */
void rxe_tier_claim(struct rxe_region *region, unsigned long base,
		    const struct rxe_mirror_mr *mmr);
unsigned int rxe_tier_report(struct rxe_mirror *mirror, unsigned long *start,
			     unsigned long end, struct rxe_tier_heat *heats,
			     unsigned int max);
void rxe_tier_scan(struct rxe_tier *tier, struct rxe_tier_look *look);

/* rxe_tier_knobs.c */
void rxe_tier_knobs_init(struct rxe_tier *tier);

/* The NIC has accessed memory: if nobody looks any more, have somebody look. */
static inline void rxe_tier_note(struct rxe_tier *tier)
{
	if (unlikely(READ_ONCE(tier->asleep)))
		rxe_tier_wake(tier);
}

#endif /* RXE_TIER_H */
