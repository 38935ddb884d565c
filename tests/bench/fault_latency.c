// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault adds to the latency of a small write, at the peer's side.
 *
 *	fault_latency [ROUNDS]
 *
 * In each round every kind of memory is written once: resident; mapped by the
 * process but unknown to the device (a minor fault); not there at all (a page of
 * zeros); and served by a pager through userfaultfd, which answers at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "rv.h"

enum kind { RESIDENT, MINOR, ZERO, PAGER, KINDS };

static const char * const names[] = {
	"resident", "minor fault", "page of zeros", "userfaultfd",
};

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

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "fault_latency: %s: %s\n", what,
		err < 0 ? strerror(-err) : strerror(errno));
	exit(1);
}

/* Have the first page of a region as its kind says. */
static void prepare(uint8_t *mem, enum kind kind)
{
	switch (kind) {
	case MINOR:
		must(mprotect(mem, RV_PAGE, PROT_READ), "mprotect");
		must(mprotect(mem, RV_PAGE, PROT_READ | PROT_WRITE), "mprotect");
		*mem = 1;
		break;
	case ZERO:
	case PAGER:
		must(madvise(mem, RV_PAGE, MADV_DONTNEED), "madvise");
		break;
	default:
		break;
	}
}

static double write_us(struct rv_ends *e, size_t off)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 64);
	double start = now_us();

	must(rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off)), "write");
	return now_us() - start;
}

static void show(enum kind kind, double *us, int n, const double *base)
{
	qsort(us, n, sizeof(*us), by_value);
	printf("%-15s %8.1f %8.1f %10.1f %8.1f\n", names[kind], us[n / 2],
	       us[n * 99 / 100], us[n / 2] - base[n / 2],
	       us[n * 99 / 100] - base[n * 99 / 100]);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 2000, i, k;
	static struct rv_ends e;
	static struct rv_pager pager;
	struct rv_buf paged;
	double *us[KINDS];

	if (rounds < 1)
		must(-EINVAL, "ROUNDS");
	must(rv_ends_open(&e, NULL, RV_PAGE), "device");
	rv_buf_free(&e.mem_b);
	must(rv_buf_alloc_aligned(&e.mem_b, KINDS * RV_HUGE, RV_HUGE), "memory");
	madvise(e.mem_b.base, e.mem_b.len, MADV_NOHUGEPAGE);
	e.mr_a = rv_reg_all(&e.dev, &e.mem_a, RV_ACCESS);
	e.mr_b = rv_reg_all(&e.dev, &e.mem_b, RV_ACCESS | RV_ODP);
	must(e.mr_a && e.mr_b ? 0 : -errno, "ibv_reg_mr");
	paged = e.mem_b;
	paged.base += PAGER * RV_HUGE;
	must(rv_pager_start(&pager, &paged, RV_PAGE, RV_MISSING), "pager");
	rv_pager_release(&pager);

	for (k = 0; k < KINDS; k++) {
		us[k] = calloc(rounds, sizeof(**us));
		must(us[k] ? 0 : -ENOMEM, "memory");
	}
	for (i = -10; i < rounds; i++) {
		for (k = 0; k < KINDS; k++) {
			double took;

			prepare(e.mem_b.base + k * RV_HUGE, k);
			took = write_us(&e, k * RV_HUGE);
			if (i >= 0)
				us[k][i] = took;
		}
	}

	printf("%-15s %8s %8s %10s %8s   us, %d writes each\n", "memory", "p50",
	       "p99", "added p50", "p99", rounds);
	for (k = 0; k < KINDS; k++)
		show(k, us[k], rounds, us[RESIDENT]);
	rv_pager_stop(&pager);
	rv_ends_fini(&e);
	return 0;
}
