// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rv_log.h"
#include "rv_race.h"
#include "rv_sys.h"

#define HMM	"/sys/kernel/debug/rxe_hmm/"

static const char * const points[] = {
	"making", "unmaking", "fault_begun", "fault_walked", "fault_checked",
	"invalidate_seq", "io_entered", "io_both", "migrate_setup",
	"migrate_copied",
};

int rv_race_here(void)
{
	return !access(HMM "race", R_OK | W_OK);
}

static void set(const char *point, const char *what, int value)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), HMM "race/%s/%s", point, what);
	err = rv_put(path, "%d", value);
	if (err)
		rv_log("%s: %s", path, strerror(-err));
}

static int64_t get(const char *point, const char *what)
{
	char path[128];

	snprintf(path, sizeof(path), HMM "race/%s/%s", point, what);
	return rv_get(path, NULL);
}

void rv_race_arm(const char *point, int n, int limit_ms)
{
	set(point, "armed", 0);
	set(point, "arrived", 0);
	set(point, "released", 0);
	set(point, "limit_ms", limit_ms);
	set(point, "armed", n);
}

int64_t rv_race_arrived(const char *point)
{
	return get(point, "arrived");
}

int64_t rv_race_held(const char *point)
{
	return get(point, "held");
}

int rv_race_wait(const char *point, int n)
{
	if (rv_wait_for(rv_race_arrived(point) >= n))
		return 0;
	rv_log("%s: nobody came", point);
	return -ETIMEDOUT;
}

int rv_race_release(const char *point)
{
	set(point, "armed", 0);
	set(point, "released", 1);
	if (rv_wait_for(rv_race_held(point) == 0))
		return 0;
	rv_log("%s: somebody is still held", point);
	return -ETIMEDOUT;
}

void rv_race_reset(void)
{
	int i;

	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		rv_race_release(points[i]);
}

int64_t rv_live(const char *kind)
{
	char path[128];

	snprintf(path, sizeof(path), HMM "live/%s", kind);
	return rv_get(path, NULL);
}
