// SPDX-License-Identifier: GPL-2.0
/*
 * Race points of debug builds: /sys/kernel/debug/rxe_hmm/race/<point>/
 *
 *	armed		how many arrivals to hold, counts down
 *	arrived		how many are or were held
 *	released	set it to let them go
 *
 * A held thread goes on by itself after ten seconds, so that a test that dies
 * leaves no hang behind. The counters are all the state there is.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/jiffies.h>

#include "rxe_race.h"

#define RACE_HOLD_MAX	(10 * HZ)

static struct {
	const char *name;
	atomic_t armed;
	atomic_t arrived;
	atomic_t released;
} points[RXE_RACE_POINTS] = {
	[RXE_RACE_FAULT_BEGUN].name	= "fault_begun",
	[RXE_RACE_FAULT_WALKED].name	= "fault_walked",
	[RXE_RACE_INVALIDATE_SEQ].name	= "invalidate_seq",
	[RXE_RACE_IO_ENTERED].name	= "io_entered",
};

static struct dentry *race_dir;

static bool race_arrive(enum rxe_race_point point)
{
	if (atomic_dec_if_positive(&points[point].armed) < 0)
		return false;
	atomic_inc(&points[point].arrived);

	return true;
}

static bool race_held(enum rxe_race_point point, unsigned long since)
{
	return !atomic_read(&points[point].released) &&
	       time_before(jiffies, since + RACE_HOLD_MAX);
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

	if (!race_arrive(point))
		return;
	while (race_held(point, since))
		fsleep(1000);
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

	if (!race_arrive(point))
		return;
	while (race_held(point, since))
		cpu_relax();
}

/**
 * rxe_race_init - show the points in debugfs
 *
 * Context: may sleep.
 */
void rxe_race_init(void)
{
	struct dentry *dir;
	unsigned int i;

	race_dir = debugfs_create_dir("rxe_hmm", NULL);
	dir = debugfs_create_dir("race", race_dir);
	for (i = 0; i < RXE_RACE_POINTS; i++) {
		struct dentry *d = debugfs_create_dir(points[i].name, dir);

		debugfs_create_atomic_t("armed", 0600, d, &points[i].armed);
		debugfs_create_atomic_t("arrived", 0600, d, &points[i].arrived);
		debugfs_create_atomic_t("released", 0600, d, &points[i].released);
	}
}

/**
 * rxe_race_exit - undo rxe_race_init()
 *
 * Context: may sleep.
 */
void rxe_race_exit(void)
{
	debugfs_remove(race_dir);
}
