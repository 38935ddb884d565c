/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Race points and live objects of a debug build of the module.
 *
 * A point is a place in the module where a thread can be held, so that a test
 * can do what must not slip in between. kernel/rxe_race.h lists the points,
 * docs/races.md what each is for.
 *
 * A thread at a point under a spinlock keeps its processor busy, and whoever
 * waits for that lock keeps another. To let such a thread go, rely on the
 * limit, not on rv_race_release().
 */
#ifndef RV_RACE_H
#define RV_RACE_H

#include <stdint.h>

/* Is this a debug build, and may we use it? */
int rv_race_here(void);

/* Hold the next n arrivals at a point, each for so long at most. */
void rv_race_arm(const char *point, int n, int limit_ms);

/* Wait until n are or were held: 0 or -ETIMEDOUT. */
int rv_race_wait(const char *point, int n);

/* How many are or were held, and how many are held now. */
int64_t rv_race_arrived(const char *point);
int64_t rv_race_held(const char *point);

/* Let go, hold no more, wait until they have gone: 0 or -ETIMEDOUT. */
int rv_race_release(const char *point);

/* Nothing is held at any point, and nothing will be. */
void rv_race_reset(void);

/* How many "mirrors", "windows", "regions", ... there are, or -1. */
int64_t rv_live(const char *kind);

/* Like RV_HARNESS_MAIN, for programs that are nothing without the above. */
#define RV_DEBUG_HARNESS_MAIN						\
	int main(int argc, char **argv)					\
	{								\
		rv_init(argc, argv);					\
		if (!rv_race_here()) {					\
			printf("TAP version 13\n1..0 # SKIP "		\
			       "not a debug build of the module\n");	\
			return KSFT_SKIP;				\
		}							\
		rv_race_reset();					\
		return test_harness_run(argc, argv);			\
	}

#endif
