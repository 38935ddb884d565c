// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to register and deregister memory on demand, by length.
 *
 *	reg_cost [ROUNDS]
 *
 * Lengths take turns within a round; what is printed is the median of all
 * rounds, its quartiles, and the ratio to the shortest length. Memory is what
 * unreclaimable slab and vmalloc grow by for 512 registrations.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define KIB 1024UL
#define GIB (1024 * 1024 * KIB)
#define MEMORY_MRS 512

static const size_t lengths[] = { 4 * KIB, 1024 * KIB, GIB, 64 * GIB };
#define NUM (sizeof(lengths) / sizeof(lengths[0]))

static void die(const char *what)
{
	fprintf(stderr, "reg_cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct ibv_mr *reg(struct ibv_pd *pd, void *mem, size_t length)
{
	struct ibv_mr *mr = ibv_reg_mr(pd, mem, length, IBV_ACCESS_ON_DEMAND |
				       IBV_ACCESS_LOCAL_WRITE |
				       IBV_ACCESS_REMOTE_WRITE);

	if (!mr)
		die("ibv_reg_mr");
	return mr;
}

/* Kernel memory that registrations may take, in KiB. */
static long kernel_kib(void)
{
	char line[128];
	long kib, sum = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "SUnreclaim: %ld", &kib) == 1 ||
		    sscanf(line, "VmallocUsed: %ld", &kib) == 1)
			sum += kib;
	fclose(f);
	return sum;
}

static double bytes_each(struct ibv_pd *pd, void *mem, size_t length)
{
	static struct ibv_mr *mrs[MEMORY_MRS];
	long before = kernel_kib(), after;
	int i;

	for (i = 0; i < MEMORY_MRS; i++)
		mrs[i] = reg(pd, mem, length);
	after = kernel_kib();
	for (i = 0; i < MEMORY_MRS; i++)
		ibv_dereg_mr(mrs[i]);
	return (after - before) * 1024.0 / MEMORY_MRS;
}

static void report(const char *what, double *samples[NUM], int rounds)
{
	double base = 0;
	size_t i;

	for (i = 0; i < NUM; i++) {
		double *s = samples[i];

		qsort(s, rounds, sizeof(*s), by_value);
		if (!i)
			base = s[rounds / 2];
		printf("%-10s %10zu KiB  median %8.1f us  quartiles %8.1f %8.1f  ratio %5.2f\n",
		       what, lengths[i] / KIB, s[rounds / 2], s[rounds / 4],
		       s[rounds * 3 / 4], s[rounds / 2] / base);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 500, num, r;
	struct ibv_device **list = ibv_get_device_list(&num);
	double *reg_us[NUM], *dereg_us[NUM], memory[NUM];
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	void *mem;
	size_t i;

	if (rounds < 4) {
		fprintf(stderr, "reg_cost: ROUNDS is 4 at least\n");
		return 2;
	}
	if (!list || !num)
		die("no RDMA device");
	ctx = ibv_open_device(list[0]);
	pd = ctx ? ibv_alloc_pd(ctx) : NULL;
	if (!pd)
		die("opening the device");
	mem = mmap(NULL, lengths[NUM - 1], PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");

	for (i = 0; i < NUM; i++) {
		reg_us[i] = calloc(rounds, sizeof(double));
		dereg_us[i] = calloc(rounds, sizeof(double));
		if (!reg_us[i] || !dereg_us[i])
			die("calloc");
		memory[i] = bytes_each(pd, mem, lengths[i]);
	}

	for (r = 0; r < rounds; r++) {
		for (i = 0; i < NUM; i++) {
			double start = now_us(), mid;
			struct ibv_mr *mr = reg(pd, mem, lengths[i]);

			mid = now_us();
			ibv_dereg_mr(mr);
			reg_us[i][r] = mid - start;
			dereg_us[i][r] = now_us() - mid;
		}
	}

	report("register", reg_us, rounds);
	report("deregister", dereg_us, rounds);
	for (i = 0; i < NUM; i++)
		printf("%-10s %10zu KiB  %8.0f bytes of kernel memory each\n",
		       "memory", lengths[i] / KIB, memory[i]);
	return 0;
}
