/* SPDX-License-Identifier: GPL-2.0 */
/* Diagnostics, as TAP comments on standard error, and the knobs. */
#ifndef RV_LOG_H
#define RV_LOG_H

#include <stdint.h>

void rv_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* An unsigned number from the environment, in any base; def if unset. */
uint64_t rv_env(const char *name, uint64_t def);

/*
 * Work to do on this machine: n / RXE_SHRINK, at least 1. For rounds and for
 * sizes, on kernels that move data very slowly (KASAN, lockdep).
 */
uint64_t rv_shrink(uint64_t n);

/* Milliseconds of a clock that only goes forward. */
uint64_t rv_now_ms(void);

/* How long to wait for anything that must happen: RXE_DEADLINE seconds. */
uint64_t rv_deadline_ms(void);

/*
 * Wait until cond is true, looking every millisecond; false when the deadline
 * has passed. For states that have no event to wait for.
 */
#define rv_wait_for(cond) ({						\
	uint64_t _end = rv_now_ms() + rv_deadline_ms();			\
	int _ok;							\
	while (!(_ok = !!(cond)) && rv_now_ms() < _end)			\
		rv_pause();						\
	_ok;								\
})
void rv_pause(void);

#endif
