// SPDX-License-Identifier: GPL-2.0
/*
 * Many regions over the same memory of 1 GiB, which is not touched but for 32 MiB
 * of pages of 4 KiB that are resident in the first region.
 *
 *	regions-N-register	one registration, among N
 *	regions-N-memory	kernel memory of each
 *	regions-N-dontneed	giving up the 32 MiB by madvise(), with all of them live;
 *				pinned is the same with no region at all
 *	memory-registered-1G	kernel memory of a region that is not touched
 *
 * A region of Linux's own module takes 2 MiB here, so of these there are as many as
 * half of the free memory holds.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

#define LEN		GIB
#define RESIDENT	(32 * MIB)
#define MAX_REGIONS	10000
#define PEER_BYTES	(LEN / RV_PAGE * sizeof(uint64_t))

static struct rv_dev dev;
static uint8_t *mem;
static struct ibv_mr *mrs[MAX_REGIONS];

static double drop(struct ibv_mr *mr)
{
	double start;

	bench_advise(mem, RESIDENT, MADV_POPULATE_WRITE);
	if (mr)
		bench_must(rv_prefetch(mr, mem, RESIDENT, 1), "prefetch");
	start = bench_now();
	bench_advise(mem, RESIDENT, MADV_DONTNEED);
	return bench_now() - start;
}

static bool fits(int n)
{
	if (n <= 10 || bench_is_ours(&dev))
		return true;
	return n <= bench_quick(1000, 100) &&
	       n * PEER_BYTES / KIB < rv_get("/proc/meminfo", "MemAvailable:") / 2;
}

static void run(int n)
{
	double kib, took, turns = bench_quick(3, 1);
	int i, t;

	if (!bench_wants(bench_row("regions-%d-register", n)) &&
	    !bench_wants(bench_row("regions-%d-memory", n)) &&
	    !bench_wants(bench_row("regions-%d-dontneed", n)))
		return;
	if (!fits(n))
		return;
	for (t = 0; t < turns; t++)
		bench_cost(bench_row("regions-%d-dontneed", n), BENCH_PINNED, 1,
			   drop(NULL));
	kib = bench_kernel_kib();
	took = bench_now();
	for (i = 0; i < n; i++)
		mrs[i] = bench_reg(&dev, mem, LEN, BENCH_ODP);
	took = bench_now() - took;
	kib = bench_kernel_kib() - kib;
	bench_cost(bench_row("regions-%d-register", n), BENCH_ODP, n, took);
	if (n >= 100 || !bench_is_ours(&dev))
		bench_value(bench_row("regions-%d-memory", n), "KiB", BENCH_ODP,
			    kib / n);
	for (t = 0; t < turns; t++)
		bench_cost(bench_row("regions-%d-dontneed", n), BENCH_ODP, 1,
			   drop(mrs[0]));
	for (i = 0; i < n; i++)
		bench_dereg(mrs[i]);
}

static void untouched(void)
{
	int n = bench_is_ours(&dev) ? 1000 : 64, i;
	double kib = bench_kernel_kib();

	if (!bench_wants("memory-registered-1G"))
		return;
	for (i = 0; i < n; i++)
		mrs[i] = bench_reg(&dev, mem, LEN, BENCH_ODP);
	bench_value("memory-registered-1G", "KiB", BENCH_ODP,
		    (bench_kernel_kib() - kib) / n);
	for (i = 0; i < n; i++)
		bench_dereg(mrs[i]);
}

int main(int argc, char **argv)
{
	int n;

	bench_init(argc, argv);
	bench_must(rv_dev_open(&dev, NULL), "device");
	mem = bench_map(LEN, MADV_NOHUGEPAGE);
	untouched();
	for (n = 1; n <= MAX_REGIONS; n *= 10)
		run(n);

	return 0;
}
