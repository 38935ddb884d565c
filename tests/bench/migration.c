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
 *	fault-back-1M			the CPU reads a byte of each page
 *	fault-back-1M-1			the same with cpu_fault_pages=1
 *	fault-back-1M-thp		the same of a huge page, which comes as one
 *	evict-64M			the device loses its memory
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

static void move(size_t len, int advice, int turns)
{
	const char *name = bench_row("%s%s", bench_size(len),
				     advice == MADV_HUGEPAGE ? "-thp" : "");
	const char *promote = bench_row("promote-%s", name);
	const char *demote = bench_row("demote-%s", name);
	const char *noread = bench_row("promote-%s-noread", name);
	uint8_t *mem[2] = { NULL, NULL };
	struct ibv_mr *mr;
	int i, t;

	if (!bench_wants(promote) && !bench_wants(demote) &&
	    !bench_wants(noread))
		return;
	for (i = 0; i < 2; i++) {
		mem[i] = bench_map(len, advice);
		memset(mem[i], 0x5a, len);
	}
	mr = bench_reg(&dev, mem[OURS], len, BENCH_ODP);
	/* at first both have to make their memory */
	for (t = -1; t < turns; t++) {
		double to[WAYS], back[WAYS], less[WAYS], copy = bare(len);

		to[HMM] = theirs(HMM_DMIRROR_MIGRATE_TO_DEV, mem[HMM], len);
		less[HMM] = to[HMM] - theirs(HMM_DMIRROR_READ, mem[HMM], len);
		back[HMM] = theirs(HMM_DMIRROR_MIGRATE_TO_SYS, mem[HMM], len);
		to[OURS] = less[OURS] = ours(mr, RXE_HMM_PLACE_DEVICE, len);
		back[OURS] = ours(mr, RXE_HMM_PLACE_SYSTEM, len);
		to[BARE] = less[BARE] = back[BARE] = copy;
		if (t < 0)
			continue;
		tell(promote, len, to);
		tell(demote, len, back);
		tell(noread, len, less);
	}
	bench_dereg(mr);
	for (i = 0; i < 2; i++)
		bench_unmap(mem[i], len);
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

static void fault_back(const char *row, int pages, int advice)
{
	size_t len = advice == MADV_HUGEPAGE ? RV_HUGE : MIB;
	uint8_t *mem[2];
	struct ibv_mr *mr;
	int i, t;

	if (!bench_wants(row))
		return;
	for (i = 0; i < 2; i++) {
		mem[i] = bench_map(RV_HUGE, advice);
		memset(mem[i], 0x5a, RV_HUGE);
	}
	mr = bench_reg(&dev, mem[OURS], len, BENCH_ODP);
	bench_must(rv_put(FAULT_PAGES, "%d", pages), FAULT_PAGES);
	for (t = 0; t < 5; t++) {
		double took[WAYS] = { 0 };

		theirs(HMM_DMIRROR_MIGRATE_TO_DEV, mem[HMM], len);
		took[HMM] = read_all(mem[HMM], MIB);
		ours(mr, RXE_HMM_PLACE_DEVICE, len);
		took[OURS] = read_all(mem[OURS], MIB);
		tell(row, MIB, took);
	}
	bench_must(rv_put(FAULT_PAGES, "64"), FAULT_PAGES);
	bench_dereg(mr);
	for (i = 0; i < 2; i++)
		bench_unmap(mem[i], RV_HUGE);
}

static void evict(void)
{
	size_t len = 64 * MIB;
	struct ibv_mr *mr;
	uint8_t *mem;
	int t;

	if (!bench_wants("evict-64M"))
		return;
	mem = bench_map(len, MADV_NOHUGEPAGE);
	memset(mem, 0x5a, len);
	mr = bench_reg(&dev, mem, len, BENCH_ODP);
	for (t = 0; t < bench_quick(3, 1); t++) {
		double took[WAYS] = { 0 }, start;

		ours(mr, RXE_HMM_PLACE_DEVICE, len);
		start = bench_now();
		bench_must(rv_dmem_resize(NULL, "0"), "memory_size");
		took[OURS] = since(start);
		bench_must(rv_dmem_resize(NULL, "512M"), "memory_size");
		tell("evict-64M", len, took);
	}
	bench_dereg(mr);
	bench_unmap(mem, len);
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
		int turns = sizes[i] < MIB ? MAX_TURNS : sizes[i] < 64 * MIB ? 5 : 1;

		if (sizes[i] > 8 * MIB && bench_quick(0, 1))
			break;
		memset(bounce, 0, sizes[i]);
		if (sizes[i] != 2 * MIB)
			move(sizes[i], MADV_NOHUGEPAGE, turns);
		if (sizes[i] >= 2 * MIB)
			move(sizes[i], MADV_HUGEPAGE, turns);
	}
	fault_back("fault-back-1M", 64, MADV_NOHUGEPAGE);
	fault_back("fault-back-1M-1", 1, MADV_NOHUGEPAGE);
	fault_back("fault-back-1M-thp", 64, MADV_HUGEPAGE);
	evict();

	return 0;
}
