// SPDX-License-Identifier: GPL-2.0
/*
 * Registration and deregistration by length.
 *
 *	reg-4K ... reg-64G		memory that nobody has touched
 *	dereg-4K ... dereg-64G
 *	reg-4K-touched ... reg-1G-touched
 *	dereg-4K-touched ... dereg-1G-touched
 *
 * Memory has pages of 4 KiB. Pinning touches, so the pinned side has no rows for
 * untouched memory; and the guest has no more memory to touch than this. Linux's
 * own module refuses some lengths of 2 GiB and more.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

#define TOUCHED		GIB
#define TIMES		40

static struct rv_dev dev;
static uint8_t *mem;

static void measure(const char *suffix, size_t len, int side, int times)
{
	double reg[TIMES], dereg[TIMES];
	int i;

	for (i = 0; i < times; i++) {
		double start = bench_now(), mid;
		struct ibv_mr *mr = bench_try_reg(&dev, mem, len, side);

		if (!mr)
			return;
		mid = bench_now();
		bench_dereg(mr);
		reg[i] = mid - start;
		dereg[i] = bench_now() - mid;
	}
	bench_cost(bench_row("reg-%s%s", bench_size(len), suffix), side, 1,
		   bench_quantile(reg, times, 0.5));
	bench_cost(bench_row("dereg-%s%s", bench_size(len), suffix), side, 1,
		   bench_quantile(dereg, times, 0.5));
}

static bool wanted(const char *suffix, size_t len)
{
	return bench_wants(bench_row("reg-%s%s", bench_size(len), suffix)) ||
	       bench_wants(bench_row("dereg-%s%s", bench_size(len), suffix));
}

static int times(size_t len)
{
	return len <= 16 * MIB ? TIMES : len <= 256 * MIB ? 5 : 3;
}

static void sweep(const char *suffix, size_t last, int first_side)
{
	size_t len;
	int k;

	for (len = 4 * KIB; len <= last; len *= 4)
		for (k = first_side; k <= BENCH_ODP; k++)
			if (wanted(suffix, len))
				measure(suffix, len, k,
					k == BENCH_ODP && bench_is_ours(&dev) ?
					TIMES : times(len));
}

int main(int argc, char **argv)
{
	size_t touched, len;

	bench_init(argc, argv);
	touched = bench_quick(1, 0) ? TOUCHED : 256 * MIB;
	bench_must(rv_dev_open(&dev, NULL), "device");
	mem = bench_map(64 * GIB, MADV_NOHUGEPAGE);
	do {
		sweep("", 64 * GIB, BENCH_ODP);
	} while (bench_again());
	for (len = 4 * KIB; len <= touched; len *= 4)
		if (wanted("-touched", len)) {
			bench_advise(mem, touched, MADV_POPULATE_WRITE);
			sweep("-touched", touched, BENCH_PINNED);
			break;
		}

	return 0;
}
