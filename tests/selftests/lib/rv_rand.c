// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#include "rv_log.h"
#include "rv_rand.h"

static uint64_t seed;
static __thread uint64_t state;
static __thread bool started;

/* A counter with an odd step, scrambled: full period, any seed will do. */
static uint64_t next(void)
{
	uint64_t z;

	state += 0x9e3779b97f4a7c15ULL;
	z = state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void rv_rand_init(void)
{
	uint64_t fresh;

	if (getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh))
		fresh = rv_now_ms();
	seed = rv_env("RXE_SEED", fresh);
}

uint64_t rv_rand_seed(void)
{
	return seed;
}

void rv_rand_stream(unsigned int stream)
{
	state = seed;
	started = true;
	state = next() ^ ((uint64_t)stream << 32 | stream);
}

uint64_t rv_rand(void)
{
	if (!started)
		rv_rand_stream(0);
	return next();
}

uint64_t rv_rand_below(uint64_t n)
{
	return rv_rand() % n;
}

uint64_t rv_rand_between(uint64_t lo, uint64_t hi)
{
	return lo + rv_rand_below(hi - lo + 1);
}

bool rv_one_in(uint64_t n)
{
	return !rv_rand_below(n);
}

void rv_rand_order(int *order, int n)
{
	int i, k, swap;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i > 0; i--) {
		k = rv_rand_below(i + 1);
		swap = order[i];
		order[i] = order[k];
		order[k] = swap;
	}
}

void rv_rand_fill(void *p, size_t len)
{
	uint8_t *to = p;

	while (len) {
		uint64_t word = rv_rand();
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(to, &word, n);
		to += n;
		len -= n;
	}
}

size_t rv_rand_len(size_t lo, size_t hi)
{
	size_t len;

	switch (rv_rand_below(4)) {
	case 0:		/* short */
		len = rv_rand_between(1, 64);
		break;
	case 1:		/* a power of two, one off either way */
		len = ((size_t)1 << rv_rand_below(24)) + rv_rand_below(3) - 1;
		break;
	case 2:		/* pages, one off either way */
		len = 4096 * rv_rand_between(1, 9) + rv_rand_below(3) - 1;
		break;
	default:
		len = rv_rand_between(lo, hi);
		break;
	}
	if (len < lo || len > hi)
		len = rv_rand_between(lo, hi);
	return len;
}
