// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers on memory that is resident: bandwidth, latency, rate of messages, many
 * queue pairs; in RAM, on the device, and where the policy puts it.
 *
 *	write-4K read-64K send-1M ...	bandwidth of one queue pair
 *	write-64K-device ...		the on-demand side's target on the device
 *	write-64K-auto			the same, moved there by the policy
 *	latency-8 latency-8-p99		one write of 8 bytes after the other
 *	latency-8-device
 *	rate-8				many of them under way
 *	qps-N-one qps-N-many		N queue pairs, to one region or one each
 *	qps-2-one-over-many		on-demand one region, pinned one each
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

#define LEN		(4 * MIB)
#define MAX_QPS		64
#define SLICE		(LEN / MAX_QPS)
#define DEPTH		16
#define AUTO_SECONDS	20

static const char * const op_names[] = {
	[RV_STREAM_WRITE] = "write",
	[RV_STREAM_READ] = "read",
	[RV_STREAM_SEND] = "send",
};

/* What a side transfers between. */
struct ends {
	struct ibv_mr *mr_a, *mr_b;
	uint8_t *a, *b;
};

static struct rv_dev dev;
static struct rv_pair pairs[MAX_QPS];
static struct rv_stream streams[MAX_QPS];
static uint8_t *mem_a, *mem_b, *mem_device;
static struct ends ram[2], device[2];
static const struct rv_opts opts = { .mtu = 4096, .depth = 64 };

static void set(const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/%s", dev.name,
		 file);
	bench_must(rv_put(path, "%s", value), path);
}

static struct rv_stream stream_of(const struct ends *e, enum rv_stream_op op,
				  size_t size)
{
	return (struct rv_stream){
		.pair = &pairs[0], .op = op,
		.mr_a = e->mr_a, .mr_b = e->mr_b,
		.base_a = e->a, .base_b = e->b,
		.len = LEN, .size = size, .depth = DEPTH,
	};
}

static double run(struct rv_stream *s, int n, int messages)
{
	double start = bench_now();

	bench_must(rv_streams_run(s, n, messages), "transfer");
	return bench_now() - start;
}

/* One message after the other: how long each side's take, sorted. */
static void one_by_one(const struct ends *sides, enum rv_stream_op op, size_t size,
		       double *took[2], int n)
{
	struct rv_stream s[2];
	int i, k, side;

	for (k = 0; k < 2; k++) {
		s[k] = stream_of(&sides[k], op, size);
		run(&s[k], 1, size == 8 ? 10 : LEN / size);
	}
	for (i = 0; i < n; i++) {
		for (k = 0; k < 2; k++) {
			side = k ^ (i & 1);
			took[side][i] = run(&s[side], 1, 1);
		}
	}
}

static void latency(const char *row, const struct ends *sides, enum rv_stream_op op,
		    size_t size)
{
	enum { MAX = 400 };
	static double pinned[MAX], odp[MAX];
	double *took[2] = { pinned, odp };
	int n = bench_quick(MAX, 100), k;

	if (!bench_wants(row))
		return;
	one_by_one(sides, op, size, took, n);
	for (k = 0; k < 2; k++) {
		bench_cost(row, k, 1, bench_quantile(took[k], n, 0.5));
		if (size == 8)
			bench_cost(bench_row("%s-p99", row), k, 1,
				   bench_quantile(took[k], n, 0.99));
	}
}

/* Instructions are counted a message at a time: ticks of the clock are left out. */
static void bandwidth(const char *row, const struct ends *sides,
		      enum rv_stream_op op, size_t size)
{
	int messages = size == 4 * KIB ? 256 : 4 * MIB / size;
	int turns = bench_quick(4, 2), t, k, side;
	struct rv_stream s[2];

	if (!bench_wants(row))
		return;
	if (bench_counts_instructions()) {
		latency(row, sides, op, size);
		return;
	}
	for (k = 0; k < 2; k++) {
		s[k] = stream_of(&sides[k], op, size);
		run(&s[k], 1, LEN / size);
	}
	for (t = 0; t < turns; t++) {
		for (k = 0; k < 2; k++) {
			side = k ^ (t & 1);
			bench_rate(row, side, size, messages,
				   run(&s[side], 1, messages));
		}
	}
}

static void message_rate(void)
{
	int messages = bench_quick(2000, 500), t, k, turns = bench_quick(3, 2);

	if (!bench_wants("rate-8"))
		return;
	for (t = 0; t < turns; t++) {
		for (k = 0; k < 2; k++) {
			struct rv_stream s = stream_of(&ram[k], RV_STREAM_WRITE, 8);

			s.depth = 64;
			bench_rate("rate-8", k, 0, messages, run(&s, 1, messages));
		}
	}
}

/* Each queue pair writes to a slice of its own. */
static double run_qps(int n, struct ibv_mr *one, struct ibv_mr **many,
		      const struct ends *e)
{
	int i, messages = n < 32 ? 128 / n : 4;

	for (i = 0; i < n; i++) {
		streams[i] = stream_of(e, RV_STREAM_WRITE, SLICE);
		streams[i].pair = &pairs[i];
		streams[i].mr_b = one ? one : many[i];
		streams[i].base_a += i * SLICE;
		streams[i].base_b += i * SLICE;
		streams[i].len = SLICE;
		streams[i].depth = n < 8 ? DEPTH : 4;
	}
	return run(streams, n, messages) / (n * messages);
}

static void queue_pairs(int n)
{
	const char *one = bench_row("qps-%d-one", n);
	const char *each = bench_row("qps-%d-many", n);
	const char *over = bench_row("qps-%d-one-over-many", n);
	struct ibv_mr *many[2][MAX_QPS];
	double took[2][2];
	int i, k, t;

	if (!bench_wants(one) && !bench_wants(each) && !bench_wants(over))
		return;
	for (k = 0; k < 2; k++)
		for (i = 0; i < n; i++)
			many[k][i] = bench_reg(&dev, mem_b, LEN, k);
	for (t = -1; t < bench_quick(4, 1); t++) {
		for (i = 0; i < 4; i++) {
			k = (i ^ t) & 1;
			took[k][i / 2] = run_qps(n, i / 2 ? NULL : ram[k].mr_b,
						 many[k], &ram[k]);
		}
		for (k = 0; t >= 0 && k < 2; k++) {
			bench_rate(one, k, SLICE, 1, took[k][0]);
			bench_rate(each, k, SLICE, 1, took[k][1]);
			if (n == 2)
				bench_rate(over, k, SLICE, 1,
					   took[k][k == BENCH_PINNED]);
		}
	}
	for (k = 0; k < 2; k++)
		for (i = 0; i < n; i++)
			bench_dereg(many[k][i]);
}

static void open_device_memory(const char *mode)
{
	set("tier_mode", mode);
	set("memory_size", "64M");
	mem_device = bench_map(LEN, MADV_NOHUGEPAGE);
	memset(mem_device, 2, LEN);
	device[BENCH_PINNED] = ram[BENCH_PINNED];
	device[BENCH_ODP] = (struct ends){
		.a = mem_a, .b = mem_device,
		.mr_a = ram[BENCH_ODP].mr_a,
		.mr_b = bench_reg(&dev, mem_device, LEN, BENCH_ODP),
	};
}

static bool all_on_device(void)
{
	return rv_on_device(device[BENCH_ODP].mr_b, 0, LEN) == LEN / RV_PAGE;
}

static void close_device_memory(void)
{
	bench_dereg(device[BENCH_ODP].mr_b);
	bench_unmap(mem_device, LEN);
	set("memory_size", "0");
	set("tier_mode", "default");
}

static void on_device(void)
{
	int op;

	open_device_memory("manual");
	rv_promote(device[BENCH_ODP].mr_b, 0, LEN);
	for (op = 0; op <= RV_STREAM_SEND; op++)
		bandwidth(bench_row("%s-64K-device", op_names[op]), device, op,
			  64 * KIB);
	latency("latency-8-device", device, RV_STREAM_WRITE, 8);
	bench_must(all_on_device() ? 0 : -EBADMSG, "pages have left the device");
	close_device_memory();
}

static void by_policy(void)
{
	uint64_t end = rv_now_ms() + AUTO_SECONDS * 1000;
	struct rv_stream s;

	if (!bench_wants("write-64K-auto"))
		return;
	open_device_memory("auto");
	s = stream_of(&device[BENCH_ODP], RV_STREAM_WRITE, 64 * KIB);
	while (!all_on_device() && rv_now_ms() < end)
		run(&s, 1, LEN / s.size);
	bench_must(all_on_device() ? 0 : -ETIMEDOUT, "the policy moves nothing");
	bandwidth("write-64K-auto", device, RV_STREAM_WRITE, 64 * KIB);
	close_device_memory();
}

static void prepare(void)
{
	int k;

	bench_must(rv_dev_open(&dev, NULL), "device");
	for (k = 0; k < MAX_QPS; k++)
		bench_must(rv_pair_init(&pairs[k], &dev, &opts), "queue pairs");
	mem_a = bench_map(LEN, MADV_NOHUGEPAGE);
	mem_b = bench_map(LEN, MADV_NOHUGEPAGE);
	memset(mem_a, 1, LEN);
	memset(mem_b, 1, LEN);
	for (k = 0; k < 2; k++) {
		ram[k] = (struct ends){
			.a = mem_a, .b = mem_b,
			.mr_a = bench_reg(&dev, mem_a, LEN, k),
			.mr_b = bench_reg(&dev, mem_b, LEN, k),
		};
	}
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	unsigned int i;
	int op, n;

	bench_init(argc, argv);
	prepare();
	do {
		for (op = 0; op <= RV_STREAM_SEND; op++)
			for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
				bandwidth(bench_row("%s-%s", op_names[op],
						    bench_size(sizes[i])),
					  ram, op, sizes[i]);
		latency("latency-8", ram, RV_STREAM_WRITE, 8);
		message_rate();
		for (n = 1; n <= MAX_QPS; n *= 2)
			queue_pairs(n);
	} while (bench_again());
	if (bench_is_ours(&dev)) {
		/* first: what was moved by request isn't the policy's any more */
		by_policy();
		on_device();
	}

	return 0;
}
