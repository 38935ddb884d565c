// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#include "bench.h"

static const char * const side_names[] = { "pinned", "odp", "test_hmm" };

static struct {
	char **patterns;
	int nr_patterns;
	bool instructions, quick, wanted;
	uint64_t until;
} opts;

/*
 * Where instructions count, whoever waits by polling must not compete with the
 * kernel's workers, or how often it polls is up to the scheduler.
 */
void bench_init(int argc, char **argv)
{
	const struct sched_param none = { 0 };

	opts.patterns = argv + 1;
	opts.nr_patterns = argc - 1;
	opts.instructions = rv_env("RXE_BENCH_INSTRUCTIONS", 0);
	opts.quick = rv_env("RXE_BENCH_QUICK", 0);
	opts.until = rv_now_ms() + 1000 * rv_env("RXE_BENCH_SECONDS", 0);
	if (opts.instructions)
		bench_must(sched_setscheduler(0, SCHED_IDLE, &none) ? -errno : 0,
			   "SCHED_IDLE");
	setvbuf(stdout, NULL, _IOLBF, 0);
	rv_rand_init();
}

bool bench_wants(const char *row)
{
	int i;

	for (i = 0; i < opts.nr_patterns; i++)
		if (!fnmatch(opts.patterns[i], row, 0))
			return opts.wanted = true;
	return !opts.nr_patterns;
}

bool bench_again(void)
{
	return opts.wanted && rv_now_ms() < opts.until;
}

int bench_quick(int full, int quick)
{
	return opts.quick ? quick : full;
}

bool bench_counts_instructions(void)
{
	return opts.instructions;
}

bool bench_is_ours(struct rv_dev *d)
{
	struct rxe_hmm_caps caps;

	return !rv_hmm_caps(d->ctx, &caps);
}

double bench_now(void)
{
	struct timespec t;

	if (opts.instructions)
		return __rdtsc();
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

const char *bench_row(const char *fmt, ...)
{
	static char names[16][64];
	static int next;
	char *name = names[next++ % 16];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(names[0]), fmt, ap);
	va_end(ap);
	return name;
}

const char *bench_size(size_t bytes)
{
	if (bytes >= GIB)
		return bench_row("%zuG", bytes / GIB);
	if (bytes >= MIB)
		return bench_row("%zuM", bytes / MIB);
	return bytes >= KIB ? bench_row("%zuK", bytes / KIB) :
			      bench_row("%zu", bytes);
}

void bench_value(const char *row, const char *unit, enum bench_side side,
		 double value)
{
	if (bench_wants(row))
		printf("sample\t%s\t%s\t%s\t%.6g\n", row, unit,
		       side_names[side], value);
}

void bench_cost(const char *row, enum bench_side side, double ops, double took)
{
	bench_value(row, opts.instructions ? "instructions" : "us", side,
		    took / ops);
}

void bench_rate(const char *row, enum bench_side side, size_t bytes, double ops,
		double took)
{
	if (opts.instructions)
		bench_cost(row, side, ops, took);
	else if (!bytes)
		bench_value(row, "1/s", side, ops / (took / 1e6));
	else
		bench_value(row, "MiB/s", side, ops * bytes / MIB / (took / 1e6));
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_quantile(double *v, int n, double part)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[(int)(part * (n - 1) + 0.5)];
}

void bench_must(int result, const char *what)
{
	if (!result)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, rv_status(result));
	exit(1);
}

uint8_t *bench_map(size_t len, int advice)
{
	uint8_t *mem = mmap(NULL, len + RV_HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *base;

	bench_must(mem == MAP_FAILED ? -errno : 0, "mmap");
	base = (uint8_t *)(((uintptr_t)mem + RV_HUGE - 1) & ~(RV_HUGE - 1));
	if (base > mem)
		munmap(mem, base - mem);
	munmap(base + len, mem + RV_HUGE - base);
	bench_advise(base, len, advice);
	return base;
}

void bench_unmap(uint8_t *mem, size_t len)
{
	bench_must(munmap(mem, len) ? -errno : 0, "munmap");
}

void bench_advise(uint8_t *mem, size_t len, int advice)
{
	bench_must(madvise(mem, len, advice) ? -errno : 0, "madvise");
}

struct ibv_mr *bench_try_reg(struct rv_dev *d, void *mem, size_t len,
			     enum bench_side side)
{
	return ibv_reg_mr(d->pd, mem, len,
			  RV_ACCESS | (side == BENCH_ODP ? RV_ODP : 0));
}

struct ibv_mr *bench_reg(struct rv_dev *d, void *mem, size_t len,
			 enum bench_side side)
{
	struct ibv_mr *mr = bench_try_reg(d, mem, len, side);

	bench_must(mr ? 0 : -errno, "ibv_reg_mr");
	return mr;
}

void bench_dereg(struct ibv_mr *mr)
{
	bench_must(-ibv_dereg_mr(mr), "ibv_dereg_mr");
}

double bench_kernel_kib(void)
{
	return rv_get("/proc/meminfo", "SUnreclaim:") +
	       rv_get("/proc/meminfo", "VmallocUsed:");
}
