// SPDX-License-Identifier: GPL-2.0
/*
 * What a region adds to madvise(MADV_DONTNEED), by pages in a call.
 *
 *	dontneed-1 ... dontneed-65536	a page of 4 KiB
 *	dontneed-8192-thp		of transparent huge pages
 *
 * All pages are resident in the region. Pinned stands for no region at all: a
 * pinned one doesn't know.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

#define MIN_PAGES	512	/* a sample has so many at least */

static struct rv_dev dev;

/* The cost of a page. */
static double drop(uint8_t *mem, size_t len, size_t part, struct ibv_mr *mr)
{
	size_t off;
	double start;

	bench_advise(mem, len, MADV_POPULATE_WRITE);
	if (mr)
		bench_must(rv_prefetch(mr, mem, len, 1), "prefetch");
	start = bench_now();
	for (off = 0; off < len; off += part)
		bench_advise(mem + off, part, MADV_DONTNEED);
	return (bench_now() - start) / (len / RV_PAGE);
}

static void run(const char *row, size_t pages, int advice, int turns)
{
	size_t len = (pages < MIN_PAGES ? MIN_PAGES : pages) * RV_PAGE;
	struct ibv_mr *mr;
	uint8_t *mem;
	int t;

	if (!bench_wants(row))
		return;
	mem = bench_map(len, advice);
	for (t = -1; t < turns; t++) {
		double none = drop(mem, len, pages * RV_PAGE, NULL), with;

		mr = bench_reg(&dev, mem, len, BENCH_ODP);
		with = drop(mem, len, pages * RV_PAGE, mr);
		bench_dereg(mr);
		if (t < 0)
			continue;
		bench_cost(row, BENCH_PINNED, 1, none);
		bench_cost(row, BENCH_ODP, 1, with);
	}
	bench_unmap(mem, len);
}

int main(int argc, char **argv)
{
	size_t pages;

	bench_init(argc, argv);
	bench_must(rv_dev_open(&dev, NULL), "device");
	do {
		for (pages = 1; pages <= 4096; pages *= 8)
			run(bench_row("dontneed-%zu", pages), pages,
			    MADV_NOHUGEPAGE, 5);
		run("dontneed-8192", 8192, MADV_NOHUGEPAGE, bench_quick(5, 3));
		run("dontneed-8192-thp", 8192, MADV_HUGEPAGE, bench_quick(5, 3));
	} while (bench_again());
	if (bench_quick(1, 0))
		run("dontneed-65536", 65536, MADV_NOHUGEPAGE, 2);

	return 0;
}
