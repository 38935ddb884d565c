// SPDX-License-Identifier: GPL-2.0
/*
 * How fast memory moves to the device and back, beside the kernel's test_hmm.
 *
 *	migration [PATTERN]...
 *	migration --repeat [hmm-]ROW SECONDS
 *
 *	promote-4K ... promote-256M	to the device, pages of 4 KiB
 *	promote-2M-thp ...		transparent huge pages
 *	demote-4K ...			back
 *	promote-4K-noread ...		without what test_hmm takes to read it
 *	fault-back-4K ... 256M		the CPU reads a byte of each page
 *	fault-back-2M-thp ...		a huge page comes as one
 *	fault-back-1M-1			with cpu_fault_pages=1
 *	evict-4K ... evict-2M-thp ...	the device loses its memory
 *
 * Needs rdma_rxe with an rxe0, test_hmm and bare_copy loaded. The drivers take turns,
 * on memory of their own. Pinned stands for copy_highpage() over as many pages.
 *
 * --repeat moves a row's memory there and back for a while, by one of the two, for
 * who looks at it meanwhile; ROW is thp-8, pages-8, thp-256 or pages-256.
 *
 * test_hmm's call to the device copies what moved back to its caller, which
 * ours has no use for; its own benchmark counts that too. -noread leaves out
 * the time of a call that only reads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lib/test_hmm_uapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bench.h"

#define FAULT_PAGES	"/sys/module/rdma_rxe/parameters/cpu_fault_pages"
#define BARE_COPY	"/sys/module/bare_copy/parameters/"
#define MAX_TURNS	21

/* Drivers, and the copy alone. */
enum { HMM, OURS, BARE, WAYS };

static const enum bench_side sides[] = { BENCH_HMM, BENCH_ODP, BENCH_PINNED };

static struct rv_dev dev;
static int hmm;
static uint8_t *bounce;

static double since(double start)
{
	return bench_now() - start;
}

/* test_hmm: one call, all pages. */
static double theirs(unsigned long what, uint8_t *mem, size_t len)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)mem,
		.ptr = (uintptr_t)bounce,
		.npages = len / RV_PAGE,
	};
	double start = bench_now();

	/* a page may be gone when it reads, and it doesn't try again then */
	if (ioctl(hmm, what, &cmd) &&
	    (what == HMM_DMIRROR_MIGRATE_TO_SYS || errno != ENOENT))
		bench_must(-errno, "test_hmm");
	return since(start);
}

static double ours(struct ibv_mr *mr, int place, size_t len)
{
	struct rxe_hmm_migrate_resp resp;
	double start = bench_now(), took;

	bench_must(rv_hmm_migrate(mr, 0, len, place, &resp), "MIGRATE");
	took = since(start);
	if (resp.moved != len / RV_PAGE)
		rv_log("moved %llu of %zu pages",
		       (unsigned long long)resp.moved, len / RV_PAGE);
	return took;
}

static double bare(size_t len)
{
	int64_t ns;

	if (len % MIB)
		return 0;
	bench_must(rv_put(BARE_COPY "mib", "%zu", len / MIB), BARE_COPY);
	ns = rv_get(BARE_COPY "ns", NULL);
	bench_must(ns < 0 ? -EIO : 0, BARE_COPY);
	/* where instructions are counted, each takes a nanosecond */
	return bench_counts_instructions() ? ns : ns / 1e3;
}

static void tell(const char *row, size_t len, const double took[WAYS])
{
	int w;

	for (w = 0; w < WAYS; w++)
		if (took[w])
			bench_rate(row, sides[w], len, 1, took[w]);
}

/* Memory of the same kind for each driver. */
struct area {
	uint8_t *mem[2];
	struct ibv_mr *mr;
	size_t len;
};

static void area_init(struct area *a, size_t len, int advice)
{
	int i;

	a->len = len;
	for (i = 0; i < 2; i++) {
		a->mem[i] = bench_map(len, advice);
		memset(a->mem[i], 0x5a, len);
	}
	a->mr = bench_reg(&dev, a->mem[OURS], len, BENCH_ODP);
}

static void area_fini(struct area *a)
{
	int i;

	bench_dereg(a->mr);
	for (i = 0; i < 2; i++)
		bench_unmap(a->mem[i], a->len);
}

static const char *kind_of(size_t len, int advice)
{
	return bench_row("%s%s", bench_size(len),
			 advice == MADV_HUGEPAGE ? "-thp" : "");
}

/* At first both have to make their memory: turn -1 doesn't count. */
static void move(size_t len, int advice, int turns)
{
	const char *name = kind_of(len, advice);
	const char *promote = bench_row("promote-%s", name);
	const char *demote = bench_row("demote-%s", name);
	const char *noread = bench_row("promote-%s-noread", name);
	struct area a;
	int t;

	if (!bench_wants(promote) && !bench_wants(demote) &&
	    !bench_wants(noread))
		return;
	area_init(&a, len, advice);
	for (t = -1; t < turns; t++) {
		double to[WAYS], back[WAYS], less[WAYS], copy = bare(len);

		to[HMM] = theirs(HMM_DMIRROR_MIGRATE_TO_DEV, a.mem[HMM], len);
		less[HMM] = to[HMM] - theirs(HMM_DMIRROR_READ, a.mem[HMM], len);
		back[HMM] = theirs(HMM_DMIRROR_MIGRATE_TO_SYS, a.mem[HMM], len);
		to[OURS] = less[OURS] = ours(a.mr, RXE_HMM_PLACE_DEVICE, len);
		back[OURS] = ours(a.mr, RXE_HMM_PLACE_SYSTEM, len);
		to[BARE] = less[BARE] = back[BARE] = copy;
		if (t < 0)
			continue;
		tell(promote, len, to);
		tell(demote, len, back);
		tell(noread, len, less);
	}
	area_fini(&a);
}

static double read_all(const uint8_t *mem, size_t len)
{
	double start = bench_now();
	volatile uint8_t sum = 0;
	size_t i;

	for (i = 0; i < len; i += RV_PAGE)
		sum += mem[i];
	return since(start);
}

/* @pages: as cpu_fault_pages, or 0 for what it is. */
static void fault_back(size_t len, int advice, int turns, int pages)
{
	const char *row = bench_row("fault-back-%s", kind_of(len, advice));
	int64_t before = rv_get(FAULT_PAGES, NULL);
	struct area a;
	int t;

	if (pages)
		row = bench_row("%s-%d", row, pages);
	if (!bench_wants(row))
		return;
	area_init(&a, len, advice);
	if (pages)
		bench_must(rv_put(FAULT_PAGES, "%d", pages), FAULT_PAGES);
	for (t = -1; t < turns; t++) {
		double took[WAYS] = { 0 };

		theirs(HMM_DMIRROR_MIGRATE_TO_DEV, a.mem[HMM], len);
		took[HMM] = read_all(a.mem[HMM], len);
		ours(a.mr, RXE_HMM_PLACE_DEVICE, len);
		took[OURS] = read_all(a.mem[OURS], len);
		if (t >= 0)
			tell(row, len, took);
	}
	bench_must(rv_put(FAULT_PAGES, "%d", (int)before), FAULT_PAGES);
	area_fini(&a);
}

static void evict(size_t len, int advice, int turns)
{
	const char *row = bench_row("evict-%s", kind_of(len, advice));
	struct area a;
	int t;

	if (!bench_wants(row))
		return;
	area_init(&a, len, advice);
	for (t = 0; t < turns; t++) {
		double took[WAYS] = { 0 }, start;

		theirs(HMM_DMIRROR_MIGRATE_TO_DEV, a.mem[HMM], len);
		took[HMM] = theirs(HMM_DMIRROR_RELEASE, a.mem[HMM], len);
		ours(a.mr, RXE_HMM_PLACE_DEVICE, len);
		start = bench_now();
		bench_must(rv_dmem_resize(NULL, "0"), "memory_size");
		took[OURS] = since(start);
		bench_must(rv_dmem_resize(NULL, "512M"), "memory_size");
		tell(row, len, took);
	}
	area_fini(&a);
}

static void all(size_t len, int advice)
{
	int turns = len < MIB ? MAX_TURNS : len < 64 * MIB ? 5 : 1;

	move(len, advice, turns);
	fault_back(len, advice, turns, 0);
	if (len == MIB)
		fault_back(len, advice, turns, 1);
	evict(len, advice, turns < 5 ? turns : 5);
}

static int repeat(const char *id, int seconds)
{
	bool by_hmm = !strncmp(id, "hmm-", 4);
	size_t len = (strstr(id, "-256") ? 256 : 8) * MIB;
	uint64_t until = rv_now_ms() + seconds * 1000;
	double took[2] = { 0, 0 };
	struct ibv_mr *mr;
	uint8_t *mem;
	int n;

	mem = bench_map(len, strstr(id, "thp") ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(mem, 0x5a, len);
	mr = bench_reg(&dev, mem, len, BENCH_ODP);
	for (n = 0; rv_now_ms() < until; n++) {
		took[0] += by_hmm ? theirs(HMM_DMIRROR_MIGRATE_TO_DEV, mem, len) :
				    ours(mr, RXE_HMM_PLACE_DEVICE, len);
		took[1] += by_hmm ? theirs(HMM_DMIRROR_MIGRATE_TO_SYS, mem, len) :
				    ours(mr, RXE_HMM_PLACE_SYSTEM, len);
	}
	printf("%s: %d rounds, to %.3f, back %.3f GB/s\n", id, n,
	       n * len / took[0] / 1e3, n * len / took[1] / 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB, 2 * MIB, 8 * MIB,
					64 * MIB, 256 * MIB };
	bool repeats = argc == 4 && !strcmp(argv[1], "--repeat");
	unsigned int i;

	bench_init(repeats ? 1 : argc, argv);
	bench_must(rv_dev_open(&dev, NULL), "device");
	rv_keep_policy_out();
	bench_must(rv_dmem_resize(NULL, "512M"), "memory_size");
	hmm = open("/dev/hmm_dmirror0", O_RDWR);
	bench_must(hmm < 0 ? -errno : 0, "/dev/hmm_dmirror0");
	bounce = bench_map(256 * MIB, MADV_HUGEPAGE);
	if (repeats)
		return repeat(argv[2], atoi(argv[3]));

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i] > 8 * MIB && bench_quick(0, 1))
			break;
		memset(bounce, 0, sizes[i]);
		if (sizes[i] != 2 * MIB)
			all(sizes[i], MADV_NOHUGEPAGE);
		if (sizes[i] >= 2 * MIB)
			all(sizes[i], MADV_HUGEPAGE);
	}

	return 0;
}
