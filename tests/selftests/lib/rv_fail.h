/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail: the kernel's fault injection (failslab,
 * fail_page_alloc). It fails the n-th allocation of a thread from now on.
 *
 * A sweep tries an operation with its first allocation failing, then with its
 * second, and so on until none is left to fail. A try either succeeds or says
 * that there is no memory, and what it leaves behind is looked at each time.
 */
#ifndef RV_FAIL_H
#define RV_FAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "rv_dev.h"

/* Does this kernel have fault injection, and may we use it? */
bool rv_fail_here(void);

/* Nothing fails, all allocations count, no filter. */
void rv_fail_reset(void);

/*
 * Only what is called from a function counts, and fails: 0, or -ENOENT if it
 * isn't known. And nothing that is called from a range of functions of one
 * file, of which two are named.
 */
int rv_fail_only(const char *function);
int rv_fail_not_in(const char *function, const char *other);

/* Every allocation that counts fails with this probability, in percent. */
void rv_fail_often(int percent);
/* The same for whole pages. */
void rv_fail_pages_often(int percent);

/* The n-th allocation of this thread fails. Has it? Stops the counting. */
void rv_fail_nth(int n);
bool rv_fail_hit(void);

/* The same for each of the kernel's workers, of which one does the work. */
void rv_fail_workers_nth(int n);
bool rv_fail_workers_hit(void);

struct rv_sweep {
	const char *name;
	/* The operation: 0 or -errno. */
	int (*try)(struct rv_sweep *s);
	/* Takes a success back, or tidies up: 0, or it left what it should not. */
	int (*undo)(struct rv_sweep *s, int res);
	bool efault_ok;		/* faults of the process's own may fail too */
	bool hides;		/* it succeeds whatever fails */
	int max;		/* so many at most; default 4000 */

	/* what it works on */
	struct rv_dev *dev;
	struct rv_buf *buf;
	struct ibv_mr *mr;
	int fd;

	int failures;		/* so many tries have failed */
};

/* 0, or -1 after saying what was wrong. */
int rv_sweep(struct rv_sweep *s);

/* Like RV_HARNESS_MAIN, for programs that are nothing without the above. */
#define RV_FAIL_HARNESS_MAIN						\
	int main(int argc, char **argv)					\
	{								\
		rv_init(argc, argv);					\
		if (!rv_race_here() || !rv_fail_here()) {		\
			printf("TAP version 13\n1..0 # SKIP "		\
			       "no debug build of the module, or no fault injection\n"); \
			return KSFT_SKIP;				\
		}							\
		return test_harness_run(argc, argv);			\
	}

#endif
