// SPDX-License-Identifier: GPL-2.0
/*
 * Race points of debug builds: /sys/kernel/debug/rxe_hmm/race/<point>/
 *
 *	armed		how many arrivals to hold, counts down
 *	arrived		how many are or were held
 *	held		how many are held now
 *	released	set it to let them go
 *	limit_ms	how long to hold one at most
 *
 * A held thread goes on by itself when the limit is over, so that a test that
 * dies leaves no hang behind. A thread that is held under a spinlock may keep
 * others from running at all: there a test sets a limit instead of letting go.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/jiffies.h>

#include "rxe_race.h"

#define LIMIT_MS	10000

static struct point {
	const char *name;
	atomic_t armed;
	atomic_t arrived;
	atomic_t held;
	atomic_t released;
	u32 limit_ms;
} points[RXE_RACE_POINTS] = {
	[RXE_RACE_MAKING]	  = { "making", .limit_ms = LIMIT_MS },
	[RXE_RACE_UNMAKING]	  = { "unmaking", .limit_ms = LIMIT_MS },
	[RXE_RACE_FAULT_BEGUN]	  = { "fault_begun", .limit_ms = LIMIT_MS },
	[RXE_RACE_FAULT_LOOKED]	  = { "fault_looked", .limit_ms = LIMIT_MS },
	[RXE_RACE_FAULT_WALKED]	  = { "fault_walked", .limit_ms = LIMIT_MS },
	[RXE_RACE_FAULT_CHECKED]  = { "fault_checked", .limit_ms = LIMIT_MS },
	[RXE_RACE_INVALIDATE_SEQ] = { "invalidate_seq", .limit_ms = LIMIT_MS },
	[RXE_RACE_IO_FOUND]	  = { "io_found", .limit_ms = LIMIT_MS },
	[RXE_RACE_IO_ENTERED]	  = { "io_entered", .limit_ms = LIMIT_MS },
	[RXE_RACE_IO_BOTH]	  = { "io_both", .limit_ms = LIMIT_MS },
	[RXE_RACE_MIGRATE_LOOKED] = { "migrate_looked", .limit_ms = LIMIT_MS },
	[RXE_RACE_MIGRATE_SETUP]  = { "migrate_setup", .limit_ms = LIMIT_MS },
	[RXE_RACE_MIGRATE_COPIED] = { "migrate_copied", .limit_ms = LIMIT_MS },
	[RXE_RACE_COPY_ISSUED]	  = { "copy_issued", .limit_ms = LIMIT_MS },
	[RXE_RACE_COPY_HELPED]	  = { "copy_helped", .limit_ms = LIMIT_MS },
	[RXE_RACE_SEND_FULL]	  = { "send_full", .limit_ms = LIMIT_MS },
};

static bool arrive(struct point *point)
{
	if (atomic_dec_if_positive(&point->armed) < 0)
		return false;
	atomic_inc(&point->held);
	atomic_inc(&point->arrived);

	return true;
}

static bool is_held(struct point *point, unsigned long since)
{
	unsigned long limit = msecs_to_jiffies(READ_ONCE(point->limit_ms));

	return !atomic_read(&point->released) &&
	       time_before(jiffies, since + limit);
}

/**
 * rxe_race_reach - wait here if the test says so
 * @point: where this is
 *
 * Context: may sleep.
 */
void rxe_race_reach(enum rxe_race_point point)
{
	unsigned long since = jiffies;

	if (!arrive(&points[point]))
		return;
	while (is_held(&points[point], since))
		fsleep(1000);
	atomic_dec(&points[point].held);
}

/**
 * rxe_race_reach_atomic - rxe_race_reach() under a spinlock
 * @point: where this is
 *
 * Context: any but hard interrupts.
 */
void rxe_race_reach_atomic(enum rxe_race_point point)
{
	unsigned long since = jiffies;

	if (!arrive(&points[point]))
		return;
	while (is_held(&points[point], since))
		cpu_relax();
	atomic_dec(&points[point].held);
}

/**
 * rxe_race_show - show the points in debugfs
 * @parent: where to put the folder "race"
 *
 * Context: may sleep.
 */
void rxe_race_show(struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir("race", parent);
	struct point *point;

	for (point = points; point < points + RXE_RACE_POINTS; point++) {
		struct dentry *d = debugfs_create_dir(point->name, dir);

		debugfs_create_atomic_t("armed", 0600, d, &point->armed);
		debugfs_create_atomic_t("arrived", 0600, d, &point->arrived);
		debugfs_create_atomic_t("held", 0400, d, &point->held);
		debugfs_create_atomic_t("released", 0600, d, &point->released);
		debugfs_create_u32("limit_ms", 0600, d, &point->limit_ms);
	}
}
