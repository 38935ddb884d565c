/* SPDX-License-Identifier: GPL-2.0 */
/* Checks that print TAP. A test is a function; what fails in it is said. */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_tests, tap_bad_tests, tap_bad;

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		tap_bad++;						\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);	\
	}								\
} while (0)

#define CHECK_INT(want, seen) do {					\
	long long _w = (long long)(want), _s = (long long)(seen);	\
	if (_w != _s) {							\
		tap_bad++;						\
		printf("# %s:%d: %s is %lld, not %lld\n", __FILE__,	\
		       __LINE__, #seen, _s, _w);			\
	}								\
} while (0)

#define CHECK_STR(want, seen) do {					\
	const char *_w = (want), *_s = (seen);				\
	if (!_s || strcmp(_w, _s)) {					\
		tap_bad++;						\
		printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__,	\
		       __LINE__, #seen, _s ? _s : "(null)", _w);	\
	}								\
} while (0)

#define RUN(test) do {							\
	tap_bad = 0;							\
	test();								\
	tap_tests++;							\
	tap_bad_tests += !!tap_bad;					\
	printf("%sok %d %s\n", tap_bad ? "not " : "", tap_tests, #test);\
} while (0)

static inline int tap_end(void)
{
	printf("1..%d\n", tap_tests);
	return !!tap_bad_tests;
}

#endif
