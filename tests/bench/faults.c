// SPDX-License-Identifier: GPL-2.0
/*
 * What isn't there yet.
 *
 *	cold-write-4K cold-write-64K	register, write all of untouched memory,
 *	cold-write-64K-thp		deregister
 *	faults-per-MiB			of writes of 64 KiB to untouched memory
 *	prefetch-8M			of untouched memory; pinned is its registration
 *	fault-resident-p50 ...		a write of 64 bytes, at the peer's side, to memory
 *					that is there,
 *	fault-minor-p50 ...		is mapped by the process but unknown to the device,
 *	fault-minor-thp-p50 ...		the same in huge pages,
 *	fault-zero-p50 ...		isn't there at all,
 *	fault-pager-p50 ...		is served by userfaultfd, which answers at once
 *	fault-minor-added-p50 ...	more than to the same pages afterwards
 *
 * Each of these writes goes to a page of its own, in no order, so that nothing is
 * read ahead. The process does nothing in between.
 * Each -p50 has a -p99. Linux's own module can't fault on userfaultfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

#define COLD		(8 * MIB)
#define KPROBES		"/sys/kernel/tracing/kprobe_events"
#define PEER_FAULT	"ib_umem_odp_map_dma_and_lock"

enum kind { RESIDENT, MINOR, MINOR_THP, ZERO, PAGER };

static const char * const kinds[] = {
	"resident", "minor", "minor-thp", "zero", "pager"
};

static struct rv_dev dev;
static struct rv_pair pair;
static uint8_t *mem_a;
static struct ibv_mr *mr_a;

static void stream_to(uint8_t *mem, struct ibv_mr *mr, size_t len, size_t size)
{
	struct rv_stream s = {
		.pair = &pair, .op = RV_STREAM_WRITE,
		.mr_a = mr_a, .mr_b = mr, .base_a = mem_a, .base_b = mem,
		.len = len, .size = size, .depth = 16,
	};

	bench_must(rv_streams_run(&s, 1, len / size), "transfer");
}

static void cold(const char *row, size_t size, int advice)
{
	uint8_t *mem;
	int k, t;

	if (!bench_wants(row))
		return;
	mem = bench_map(COLD, advice);
	for (t = 0; t < bench_quick(3, 2); t++) {
		for (k = 0; k < 2; k++) {
			int side = k ^ (t & 1);
			struct ibv_mr *mr;
			double start;

			bench_advise(mem, COLD, MADV_DONTNEED);
			start = bench_now();
			mr = bench_reg(&dev, mem, COLD, side);
			stream_to(mem, mr, COLD, size);
			bench_dereg(mr);
			bench_rate(row, side, size, COLD / size, bench_now() - start);
		}
	}
	bench_unmap(mem, COLD);
}

/* Linux's own module doesn't count, so its calls are counted by a probe. */
static int64_t count_faults(void)
{
	int64_t n = rv_stat_dev(&dev, "page_faults_handled");

	return n < 0 ? rv_get("/sys/kernel/tracing/kprobe_profile",
			      "  bench_fault") : n;
}

static void count(void)
{
	uint8_t *mem;
	struct ibv_mr *mr;
	int64_t before;

	if (!bench_wants("faults-per-MiB"))
		return;
	if (!bench_is_ours(&dev)) {
		bench_must(rv_put(KPROBES, "p:bench_fault " PEER_FAULT), KPROBES);
		bench_must(rv_put("/sys/kernel/tracing/events/kprobes/bench_fault/enable",
				  "1"), "the probe");
	}
	mem = bench_map(COLD, MADV_NOHUGEPAGE);
	mr = bench_reg(&dev, mem, COLD, BENCH_ODP);
	before = count_faults();
	bench_must(before < 0 ? -ENOENT : 0, "faults are not counted");
	stream_to(mem, mr, COLD, 64 * KIB);
	bench_value("faults-per-MiB", "faults", BENCH_ODP,
		    (double)(count_faults() - before) / (COLD / MIB));
	bench_dereg(mr);
	bench_unmap(mem, COLD);
	if (!bench_is_ours(&dev)) {
		rv_put("/sys/kernel/tracing/events/kprobes/bench_fault/enable", "0");
		rv_put(KPROBES, "-:bench_fault");
	}
}

static void prefetch(void)
{
	uint8_t *mem;
	int k, t;

	if (!bench_wants("prefetch-8M"))
		return;
	mem = bench_map(COLD, MADV_NOHUGEPAGE);
	for (t = 0; t < bench_quick(3, 2); t++) {
		for (k = 0; k < 2; k++) {
			struct ibv_mr *mr = NULL;
			double start;

			bench_advise(mem, COLD, MADV_DONTNEED);
			if (k == BENCH_ODP)
				mr = bench_reg(&dev, mem, COLD, k);
			start = bench_now();
			if (k == BENCH_ODP)
				bench_must(rv_prefetch(mr, mem, COLD, 1), "prefetch");
			else
				mr = bench_reg(&dev, mem, COLD, k);
			bench_rate("prefetch-8M", k, COLD, 1, bench_now() - start);
			bench_dereg(mr);
		}
	}
	bench_unmap(mem, COLD);
}

static void touch(uint8_t *mem, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += RV_PAGE)
		mem[i] = 1;
}

/* Have the pages of a region as their kind says. */
static void make(uint8_t *mem, size_t len, enum kind kind)
{
	switch (kind) {
	case MINOR:
		touch(mem, len);
		bench_must(mprotect(mem, len, PROT_READ), "mprotect");
		bench_must(mprotect(mem, len, PROT_READ | PROT_WRITE), "mprotect");
		touch(mem, len);
		break;
	case MINOR_THP:
		bench_advise(mem, len, MADV_DONTNEED);
		touch(mem, len);
		break;
	case ZERO:
	case PAGER:
		bench_advise(mem, len, MADV_DONTNEED);
		break;
	default:
		break;
	}
}

static double write_to(struct ibv_mr *mr, uint8_t *mem)
{
	struct ibv_sge sge = RV_SGE(mr_a, mem_a, 64);
	double start = bench_now();

	bench_must(rv_write(&pair.a, &sge, 1, RV_REMOTE(mr, mem)), "write");
	return bench_now() - start;
}

static void tell(const char *kind, enum bench_side side, double *took, double *base,
		 int n)
{
	static const int percents[] = { 50, 99 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		double part = percents[i] / 100.0;
		double value = bench_quantile(took, n, part);

		bench_cost(bench_row("fault-%s-p%d", kind, percents[i]), side, 1,
			   value);
		if (base)
			bench_cost(bench_row("fault-%s-added-p%d", kind, percents[i]),
				   side, 1, value - bench_quantile(base, n, part));
	}
}

static bool wants_latency(const char *kind)
{
	int i;

	for (i = 0; i < 4; i++)
		if (bench_wants(bench_row("fault-%s-%sp%d", kind, i & 1 ? "added-" : "",
					  i & 2 ? 99 : 50)))
			return true;
	return false;
}

static void latency(enum kind kind, enum bench_side side)
{
	enum { MAX = 600, FIRST = 10, PAGES = COLD / RV_PAGE };
	static double took[MAX + FIRST], base[MAX + FIRST];
	int n = FIRST + bench_quick(MAX, 200), i;
	struct rv_pager pager = { 0 };
	static int order[PAGES];
	struct rv_buf paged;
	struct ibv_mr *mr;
	uint8_t *mem;

	if (!wants_latency(kinds[kind]))
		return;
	mem = bench_map(COLD, kind == MINOR_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	mr = bench_reg(&dev, mem, COLD, side);
	if (kind == PAGER) {
		bench_must(rv_buf_adopt(&paged, mem, COLD), "memory");
		bench_must(rv_pager_start(&pager, &paged, COLD, RV_MISSING), "pager");
		rv_pager_release(&pager);
	}
	rv_rand_order(order, PAGES);
	if (kind == RESIDENT)
		for (i = 0; i < n; i++)
			write_to(mr, mem + order[i] * RV_PAGE);
	make(mem, COLD, kind);
	for (i = 0; i < n; i++)
		took[i] = write_to(mr, mem + order[i] * RV_PAGE);
	for (i = 0; i < n; i++)
		base[i] = write_to(mr, mem + order[i] * RV_PAGE);
	/* the first of each make the mirror's tables */
	tell(kinds[kind], side, took + FIRST, kind == RESIDENT ? NULL : base + FIRST,
	     n - FIRST);
	if (kind == PAGER) {
		rv_pager_stop(&pager);
		rv_buf_free(&paged);
	}
	bench_dereg(mr);
	bench_unmap(mem, COLD);
}

int main(int argc, char **argv)
{
	static const struct rv_opts opts = { .mtu = 4096, .depth = 64 };
	unsigned int kind;

	bench_init(argc, argv);
	bench_must(rv_dev_open(&dev, NULL), "device");
	bench_must(rv_pair_init(&pair, &dev, &opts), "queue pair");
	mem_a = bench_map(COLD, MADV_NOHUGEPAGE);
	memset(mem_a, 1, COLD);
	mr_a = bench_reg(&dev, mem_a, COLD, BENCH_PINNED);
	do {
		cold("cold-write-4K", 4 * KIB, MADV_NOHUGEPAGE);
		cold("cold-write-64K", 64 * KIB, MADV_NOHUGEPAGE);
		cold("cold-write-64K-thp", 64 * KIB, MADV_HUGEPAGE);
		count();
		prefetch();
		latency(RESIDENT, BENCH_PINNED);
		for (kind = RESIDENT; kind <= (bench_is_ours(&dev) ? PAGER : ZERO);
		     kind++)
			latency(kind, BENCH_ODP);
	} while (bench_again());

	return 0;
}
