// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel memory that resident memory takes, in KiB for each GiB.
 *
 *	memory-resident-1G		pages of 4 KiB
 *	memory-resident-1G-thp		transparent huge pages
 *
 * Measured on 256 MiB: registered and, if on demand, prefetched.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

#define LEN	(256 * MIB)

static void run(struct rv_dev *dev, const char *row, int advice)
{
	struct ibv_mr *mr;
	uint8_t *mem;
	double kib;
	int k;

	if (!bench_wants(row))
		return;
	mem = bench_map(LEN, advice);
	bench_advise(mem, LEN, MADV_POPULATE_WRITE);
	for (k = 0; k < 2; k++) {
		kib = bench_kernel_kib();
		mr = bench_reg(dev, mem, LEN, k);
		if (k == BENCH_ODP)
			bench_must(rv_prefetch(mr, mem, LEN, 1), "prefetch");
		bench_value(row, "KiB", k, (bench_kernel_kib() - kib) * GIB / LEN);
		bench_dereg(mr);
	}
	bench_unmap(mem, LEN);
}

int main(int argc, char **argv)
{
	struct rv_dev dev;

	bench_init(argc, argv);
	bench_must(rv_dev_open(&dev, NULL), "device");
	run(&dev, "memory-resident-1G", MADV_NOHUGEPAGE);
	run(&dev, "memory-resident-1G-thp", MADV_HUGEPAGE);

	return 0;
}
