// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rv_log.h"

void rv_log(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "# %s\n", line);
}

uint64_t rv_env(const char *name, uint64_t def)
{
	const char *text = getenv(name);
	char *end;
	uint64_t n;

	if (!text || !*text)
		return def;
	n = strtoull(text, &end, 0);
	if (*end) {
		rv_log("%s=%s is not a number", name, text);
		exit(2);
	}
	return n;
}

uint64_t rv_shrink(uint64_t n)
{
	uint64_t by = rv_env("RXE_SHRINK", 1);

	n /= by ? by : 1;
	return n ? n : 1;
}

uint64_t rv_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

uint64_t rv_deadline_ms(void)
{
	return 1000 * rv_env("RXE_DEADLINE", 30);
}

void rv_pause(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}
