// SPDX-License-Identifier: GPL-2.0
/*
 * How fast memory moves to the device and back, beside the kernel's test_hmm.
 *
 *	migrate_rate [ROUNDS]
 *	migrate_rate --repeat [hmm-]ROW SECONDS
 *
 * Needs rdma_rxe with an rxe0, test_hmm and bare_copy loaded, as
 * tests/bench/migrate does it. The two drivers take turns within a round, on
 * memory of their own; printed are the medians of all rounds with quartiles, in
 * GB/s, and the ratio of the medians.
 *
 * --repeat moves a row's memory there and back for a while, by one of the two, for
 * who looks at it meanwhile; ROW is thp-8, pages-8, thp-256 or pages-256.
 *
 * test_hmm's call to the device copies what moved back to its caller, which
 * ours has no use for; its own benchmark counts that too. "no read" leaves out
 * the time of a call that only reads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <lib/test_hmm_uapi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/lib/rv_hmm.h"

#define MIB		(1UL << 20)
#define PAGE		4096UL
#define HUGE		(2 * MIB)
#define MAX_ROUNDS	101
#define PARAMETERS	"/sys/module/rdma_rxe/parameters/"

enum { TO_DEVICE, TO_SYSTEM, WAYS };

struct row {
	const char *name;
	const char *id;
	size_t len;
	int advice;
	int rounds_divisor;
};

static const struct row rows[] = {
	{ "8 MiB, THP", "thp-8", 8 * MIB, MADV_HUGEPAGE, 1 },
	{ "8 MiB, 4 KiB pages", "pages-8", 8 * MIB, MADV_NOHUGEPAGE, 1 },
	{ "256 MiB, THP", "thp-256", 256 * MIB, MADV_HUGEPAGE, 2 },
	{ "256 MiB, 4 KiB pages", "pages-256", 256 * MIB, MADV_NOHUGEPAGE, 2 },
};

static void die(const char *what)
{
	fprintf(stderr, "migrate_rate: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct series {
	double v[MAX_ROUNDS];
	int n;
};

static double quantile(struct series *s, double q)
{
	qsort(s->v, s->n, sizeof(s->v[0]), by_value);
	return s->v[(int)(q * (s->n - 1) + 0.5)];
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

static double get(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(path);
	close(fd);
	return strtod(text, NULL);
}

static uint8_t *memory(const struct row *row)
{
	uint8_t *mem = mmap(NULL, row->len + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		die("mmap");
	mem = (uint8_t *)(((uintptr_t)mem + HUGE - 1) & ~(HUGE - 1));
	if (madvise(mem, row->len, row->advice))
		die("madvise");
	memset(mem, 0x5a, row->len);
	return mem;
}

/* test_hmm: one call, all pages. */
static double peer(int fd, unsigned long way, uint8_t *mem, uint8_t *bounce,
		   size_t len)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)mem,
		.ptr = (uintptr_t)bounce,
		.npages = len / PAGE,
	};
	double since = now_s();

	/* a page may be gone when it reads, and it doesn't try again then */
	if (ioctl(fd, way, &cmd) &&
	    (way == HMM_DMIRROR_MIGRATE_TO_SYS || errno != ENOENT))
		die("test_hmm");
	return now_s() - since;
}

static void complain(const struct rxe_hmm_migrate_resp *resp, size_t pages)
{
	unsigned int i;

	fprintf(stderr, "migrate_rate: moved %llu of %zu pages, already %llu",
		(unsigned long long)resp->moved, pages,
		(unsigned long long)resp->already);
	for (i = 0; i < RXE_HMM_MAX_SKIPS; i++)
		if (resp->skipped[i])
			fprintf(stderr, ", skipped for %u: %llu", i,
				(unsigned long long)resp->skipped[i]);
	fprintf(stderr, "\n");
}

static double ours(struct ibv_mr *mr, int place, size_t len)
{
	struct rxe_hmm_migrate_resp resp;
	double since = now_s(), took;
	int err = rv_hmm_migrate(mr, 0, len, place, &resp);

	took = now_s() - since;
	errno = -err;
	if (err)
		die("MIGRATE");
	if (resp.moved != len / PAGE)
		complain(&resp, len / PAGE);
	return took;
}

static double bare(size_t len)
{
	char mib[16];

	snprintf(mib, sizeof(mib), "%zu", len / MIB);
	put("/sys/module/bare_copy/parameters/mib", mib);
	return get("/sys/module/bare_copy/parameters/ns") / 1e9;
}

static void print(const char *row, const char *what, size_t len,
		  struct series *s, struct series *base)
{
	printf("%-22s %-22s %6.3f %6.3f %6.3f", row, what,
	       len / quantile(s, 0.5) / 1e9, len / quantile(s, 0.75) / 1e9,
	       len / quantile(s, 0.25) / 1e9);
	if (base)
		printf("  %5.2f", quantile(base, 0.5) / quantile(s, 0.5));
	printf("\n");
}

static void run_row(struct ibv_pd *pd, int fd, const struct row *row, int rounds)
{
	struct series p[WAYS] = {}, o[WAYS] = {}, b = {}, less = {};
	uint8_t *mem_p = memory(row), *mem_o = memory(row);
	uint8_t *bounce = malloc(row->len);
	struct ibv_mr *mr = ibv_reg_mr(pd, mem_o, row->len,
				       IBV_ACCESS_ON_DEMAND |
				       IBV_ACCESS_LOCAL_WRITE);
	int i, n = rounds / row->rounds_divisor;
	double first, again;

	if (!mr || !bounce)
		die("ibv_reg_mr");
	memset(bounce, 0, row->len);
	for (i = -1; i < n; i++) {
		first = peer(fd, HMM_DMIRROR_MIGRATE_TO_DEV, mem_p, bounce, row->len);
		again = peer(fd, HMM_DMIRROR_READ, mem_p, bounce, row->len);
		p[TO_SYSTEM].v[p[TO_SYSTEM].n] =
			peer(fd, HMM_DMIRROR_MIGRATE_TO_SYS, mem_p, bounce, row->len);
		p[TO_DEVICE].v[p[TO_DEVICE].n] = first;
		less.v[less.n] = first - again;
		o[TO_DEVICE].v[o[TO_DEVICE].n] = ours(mr, RXE_HMM_PLACE_DEVICE, row->len);
		o[TO_SYSTEM].v[o[TO_SYSTEM].n] = ours(mr, RXE_HMM_PLACE_SYSTEM, row->len);
		b.v[b.n] = bare(row->len);
		if (i < 0)
			continue;	/* both had to make their memory */
		p[0].n++, p[1].n++, o[0].n++, o[1].n++, b.n++, less.n++;
	}

	print(row->name, "to: test_hmm", row->len, &p[TO_DEVICE], NULL);
	print(row->name, "to: test_hmm, no read", row->len, &less, &p[TO_DEVICE]);
	print(row->name, "to: ours", row->len, &o[TO_DEVICE], &p[TO_DEVICE]);
	print(row->name, "back: test_hmm", row->len, &p[TO_SYSTEM], NULL);
	print(row->name, "back: ours", row->len, &o[TO_SYSTEM], &p[TO_SYSTEM]);
	print(row->name, "bare copy", row->len, &b, NULL);
	printf("%-22s %-22s %27.2f\n", row->name, "to: ours over bare",
	       quantile(&b, 0.5) / quantile(&o[TO_DEVICE], 0.5));

	ibv_dereg_mr(mr);
	munmap(mem_p, row->len);
	munmap(mem_o, row->len);
	free(bounce);
}

/* The CPU reads 1 MiB on the device, a byte of each page. */
static double fault_back(struct ibv_mr *mr, uint8_t *mem)
{
	volatile uint8_t sum = 0;
	double since;
	size_t i;

	ours(mr, RXE_HMM_PLACE_DEVICE, MIB);
	since = now_s();
	for (i = 0; i < MIB; i += PAGE)
		sum += mem[i];
	return now_s() - since;
}

static void run_fault_back(struct ibv_pd *pd, int rounds)
{
	static const struct row row = { "1 MiB", NULL, HUGE, MADV_NOHUGEPAGE, 1 };
	struct series one = {}, many = {};
	uint8_t *mem = memory(&row);
	struct ibv_mr *mr = ibv_reg_mr(pd, mem, MIB, IBV_ACCESS_ON_DEMAND);

	if (!mr)
		die("ibv_reg_mr");
	for (; one.n < rounds; one.n++, many.n++) {
		put(PARAMETERS "cpu_fault_pages", "1");
		one.v[one.n] = fault_back(mr, mem);
		put(PARAMETERS "cpu_fault_pages", "64");
		many.v[many.n] = fault_back(mr, mem);
	}
	print("1 MiB, CPU faults", "a page at a time", MIB, &one, NULL);
	print("1 MiB, CPU faults", "64 pages", MIB, &many, &one);
	ibv_dereg_mr(mr);
}

static int repeat(struct ibv_pd *pd, int fd, const char *id, int seconds)
{
	const struct row *row = rows, *end = rows + sizeof(rows) / sizeof(rows[0]);
	bool theirs = !strncmp(id, "hmm-", 4);
	double took[WAYS] = {}, until;
	uint8_t *mem, *bounce;
	struct ibv_mr *mr;
	int n;

	while (row < end && strcmp(id + (theirs ? 4 : 0), row->id))
		row++;
	if (row == end || seconds < 1) {
		fprintf(stderr, "migrate_rate: --repeat [hmm-]ROW SECONDS\n");
		return 2;
	}
	mem = memory(row);
	bounce = calloc(1, row->len);
	mr = ibv_reg_mr(pd, mem, row->len,
			IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE);
	if (!mr || !bounce)
		die("ibv_reg_mr");
	until = now_s() + seconds;
	for (n = 0; now_s() < until; n++) {
		took[TO_DEVICE] += theirs ?
			peer(fd, HMM_DMIRROR_MIGRATE_TO_DEV, mem, bounce, row->len) :
			ours(mr, RXE_HMM_PLACE_DEVICE, row->len);
		took[TO_SYSTEM] += theirs ?
			peer(fd, HMM_DMIRROR_MIGRATE_TO_SYS, mem, bounce, row->len) :
			ours(mr, RXE_HMM_PLACE_SYSTEM, row->len);
	}
	printf("%s: %d rounds, to %.3f, back %.3f GB/s\n", id, n,
	       n * row->len / took[TO_DEVICE] / 1e9,
	       n * row->len / took[TO_SYSTEM] / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	bool repeats = argc == 4 && !strcmp(argv[1], "--repeat");
	int rounds = argc > 1 && !repeats ? atoi(argv[1]) : 11;
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	unsigned int i;
	int fd;

	if (rounds < 4 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "migrate_rate: ROUNDS is 4 to %d\n", MAX_ROUNDS);
		return 2;
	}
	if (!list || !list[0])
		die("there is no RDMA device");
	ctx = ibv_open_device(list[0]);
	pd = ctx ? ibv_alloc_pd(ctx) : NULL;
	if (!pd)
		die(ibv_get_device_name(list[0]));
	fd = open("/dev/hmm_dmirror0", O_RDWR);
	if (fd < 0)
		die("/dev/hmm_dmirror0");

	if (repeats)
		return repeat(pd, fd, argv[2], atoi(argv[3]));

	printf("%-22s %-22s %6s %6s %6s  %5s\n", "memory", "", "GB/s", "low",
	       "high", "ratio");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(pd, fd, &rows[i], rounds);
	run_fault_back(pd, rounds);

	return 0;
}
