// SPDX-License-Identifier: GPL-2.0
/*
 * Many processes, each with a region and a pair of queue pairs of its own.
 *
 *	procs-N			bandwidth of all of them together
 *	procs-N-register	one process's registration while the others have theirs
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define LEN		MIB
#define SIZE		(64 * KIB)
#define MAX_PROCESSES	16
#define MESSAGES	64

struct process {
	pid_t pid;
	int orders;		/* a byte: the side to transfer on */
};

static const struct rv_opts opts = { .mtu = 4096, .depth = 16 };

/* What a process does until its orders end. */
static void serve(int orders, int done, int messages)
{
	uint8_t *a = bench_map(LEN, MADV_NOHUGEPAGE);
	uint8_t *b = bench_map(LEN, MADV_NOHUGEPAGE);
	struct rv_stream s[2];
	struct rv_pair pair;
	struct rv_dev dev;
	char side = 0;
	int k;

	bench_must(rv_dev_open(&dev, NULL), "device");
	bench_must(rv_pair_init(&pair, &dev, &opts), "queue pair");
	memset(a, 1, LEN);
	memset(b, 1, LEN);
	for (k = 0; k < 2; k++) {
		s[k] = (struct rv_stream){
			.pair = &pair, .op = RV_STREAM_WRITE,
			.mr_a = bench_reg(&dev, a, LEN, k),
			.mr_b = bench_reg(&dev, b, LEN, k),
			.base_a = a, .base_b = b,
			.len = LEN, .size = SIZE, .depth = 8,
		};
		bench_must(rv_streams_run(&s[k], 1, LEN / SIZE), "transfer");
	}
	do {
		bench_must(write(done, &side, 1) == 1 ? 0 : -EPIPE, "pipe");
		if (read(orders, &side, 1) != 1)
			_exit(0);
		bench_must(rv_streams_run(&s[(int)side], 1, messages), "transfer");
	} while (1);
}

static void start(struct process *p, int done, int messages)
{
	int ends[2];

	bench_must(pipe(ends) ? -errno : 0, "pipe");
	p->pid = fork();
	bench_must(p->pid < 0 ? -errno : 0, "fork");
	if (!p->pid) {
		close(ends[1]);
		serve(ends[0], done, messages);
	}
	close(ends[0]);
	p->orders = ends[1];
}

static void wait_all(int done, int n)
{
	char side;

	while (n--)
		bench_must(read(done, &side, 1) == 1 ? 0 : -EPIPE,
			   "a process is gone");
}

static void registration(struct rv_dev *dev, uint8_t *mem, int n)
{
	const char *row = bench_row("procs-%d-register", n);
	enum { TIMES = 20 };
	double took[2][TIMES];
	struct ibv_mr *mr;
	int i, k;

	for (i = 0; i < TIMES; i++) {
		for (k = 0; k < 2; k++) {
			double since = bench_now();

			mr = bench_reg(dev, mem, LEN, k);
			took[k][i] = bench_now() - since;
			bench_dereg(mr);
		}
	}
	for (k = 0; k < 2; k++)
		bench_cost(row, k, 1, bench_quantile(took[k], TIMES, 0.5));
}

static void run(struct rv_dev *dev, uint8_t *mem, int n)
{
	const char *row = bench_row("procs-%d", n);
	struct process p[MAX_PROCESSES];
	int messages = MESSAGES / n;
	int done[2], i, k, t;

	if (!bench_wants(row) && !bench_wants(bench_row("%s-register", row)))
		return;
	bench_must(pipe(done) ? -errno : 0, "pipe");
	for (i = 0; i < n; i++)
		start(&p[i], done[1], messages);
	close(done[1]);
	wait_all(done[0], n);
	for (t = 0; t < bench_quick(4, 1); t++) {
		for (k = 0; k < 2; k++) {
			char side = k ^ (t & 1);
			double since = bench_now();

			for (i = 0; i < n; i++)
				bench_must(write(p[i].orders, &side, 1) == 1 ?
					   0 : -EPIPE, "pipe");
			wait_all(done[0], n);
			bench_rate(row, side, SIZE, n * messages,
				   bench_now() - since);
		}
	}
	registration(dev, mem, n);
	for (i = 0; i < n; i++)
		close(p[i].orders);
	for (i = 0; i < n; i++)
		waitpid(p[i].pid, NULL, 0);
	close(done[0]);
}

int main(int argc, char **argv)
{
	uint8_t *mem = bench_map(LEN, MADV_NOHUGEPAGE);
	struct rv_dev dev;
	int n;

	bench_init(argc, argv);
	memset(mem, 1, LEN);
	bench_must(rv_dev_open(&dev, NULL), "device");
	for (n = 1; n <= MAX_PROCESSES; n *= 2)
		run(&dev, mem, n);

	return 0;
}
