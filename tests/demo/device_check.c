// SPDX-License-Identifier: GPL-2.0
/*
 * A region moves to the device's memory and back, and every byte of it is
 * compared.
 *
 *	device_check move [MIB]
 *	device_check speed write|read [ROUNDS]
 *
 * move: a buffer is moved to the device; a peer writes all of it and reads it back;
 * the CPU touches one byte, then reads all of it; it is moved again, and back by
 * request. Prints a line for each step: what moved, and how long it took.
 *
 * speed: messages of 64 KiB to or from pinned memory and memory on the device, in
 * interleaved rounds. Prints "pinned MIB_PER_S odp MIB_PER_S" for each.
 *
 * Device memory must be on. The memory is that of the selftests' library.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/rv.h"

#define MESSAGE		(64UL << 10)
#define DEPTH		16
#define SPEED_LEN	(1UL << 20)
#define PASSES		12
/* The least number of rounds, and the seconds after which to stop. */
#define MIN_ROUNDS	5
#define ENOUGH		5

static struct rv_ends e;
static size_t len;
static int wrong;

static void must(int failed, const char *what)
{
	if (!failed)
		return;
	rv_log("%s: %s", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* A line of the report: the step, how much of how much, how long. */
static void say(const char *step, uint64_t pages, double seconds)
{
	double mib = pages * (double)RV_PAGE / (1 << 20);

	printf("%-22s %7llu pages  %9.3f ms  %7.1f MiB/s\n", step,
	       (unsigned long long)pages, seconds * 1e3, mib / seconds);
}

static uint64_t on_device(void)
{
	struct rxe_hmm_query_range_resp resp;

	must(rv_hmm_query(e.mr_b, 0, len, NULL, 0, &resp), "query");
	return resp.device;
}

static void migrate(const char *step, int place)
{
	struct rxe_hmm_migrate_resp resp;
	double start = now();
	int err;

	err = rv_hmm_migrate(e.mr_b, 0, len, place, &resp);
	errno = -err;
	must(err, "migrate");
	say(step, resp.moved, now() - start);
	if (resp.moved + resp.already != len / RV_PAGE) {
		rv_log("%llu of %zu pages have moved",
		       (unsigned long long)resp.moved, len / RV_PAGE);
		wrong++;
	}
}

/* Messages of all of the first buffer, to or from a region of the same length. */
static void stream(bool writes, struct ibv_mr *to)
{
	struct rv_stream s = {
		.pair = &e.pair, .op = writes ? RV_STREAM_WRITE : RV_STREAM_READ,
		.mr_a = e.mr_a, .mr_b = to,
		.base_a = e.mem_a.base, .base_b = to->addr,
		.len = len, .size = MESSAGE, .depth = DEPTH,
	};

	must(rv_streams_run(&s, 1, len / MESSAGE), "transfer");
}

/* The peer writes the other buffer's bytes to all of it, and reads them back. */
static void serve(void)
{
	uint64_t before = on_device();
	double start = now();

	stream(true, e.mr_b);
	say("written by a peer", len / RV_PAGE, now() - start);
	rv_buf_expect(&e.mem_b, 0, e.mem_a.base, len);
	memset(e.mem_a.base, 0, len);
	start = now();
	stream(false, e.mr_b);
	say("read by a peer", len / RV_PAGE, now() - start);
	if (rv_buf_check(&e.mem_a))
		wrong++;
	if (on_device() != before) {
		rv_log("%llu of %llu pages are still on the device",
		       (unsigned long long)on_device(),
		       (unsigned long long)before);
		wrong++;
	}
}

static void touch(void)
{
	uint64_t before = on_device();
	double start = now();
	volatile uint8_t *byte = e.mem_b.base + len / 2 + 12345;
	uint8_t seen = *byte;
	double took = now() - start;

	say("CPU reads one byte", before - on_device(), took);
	if (seen != *rv_buf_shadow(&e.mem_b, len / 2 + 12345))
		wrong++;
}

static void read_all(void)
{
	uint64_t before = on_device(), sum = 0;
	double start = now(), took;
	size_t i;

	for (i = 0; i < len; i += 64)
		sum += ((volatile uint8_t *)e.mem_b.base)[i];
	took = now() - start;
	say("CPU reads all", before - on_device(), took);
	if (rv_buf_check(&e.mem_b))
		wrong++;
}

/* Both buffers, the second one on demand. */
static void set_up(int advice)
{
	struct rv_opts opts = { .mtu = 4096 };

	must(rv_ends_open(&e, &opts, len), "setting up");
	rv_buf_free(&e.mem_b);
	must(rv_buf_alloc_aligned(&e.mem_b, len, RV_HUGE), "memory");
	must(madvise(e.mem_b.base, len, advice), "madvise");
	rv_buf_fill(&e.mem_b);
	e.mr_a = rv_reg_all(&e.dev, &e.mem_a, RV_ACCESS);
	e.mr_b = rv_reg_all(&e.dev, &e.mem_b, RV_ACCESS | RV_ODP);
	must(!e.mr_a || !e.mr_b, "registering");
}

static void move(const char *title, int advice)
{
	printf("%s\n", title);
	set_up(advice);
	migrate("moved to the device", RXE_HMM_PLACE_DEVICE);
	serve();
	touch();
	read_all();
	migrate("moved to the device", RXE_HMM_PLACE_DEVICE);
	migrate("moved back", RXE_HMM_PLACE_SYSTEM);
	if (rv_ends_check(&e))
		wrong++;
	rv_ends_fini(&e);
}

/* MiB/s */
static double timed(bool writes, struct ibv_mr *to)
{
	double start = now();
	int i;

	for (i = 0; i < PASSES; i++)
		stream(writes, to);
	return PASSES * (double)len / (1 << 20) / (now() - start);
}

static int speed(bool writes, int rounds)
{
	struct rxe_hmm_migrate_resp resp;
	double mib[2], enough = now() + ENOUGH;
	struct rv_buf third;
	struct ibv_mr *mr[2];
	int i, k;

	len = SPEED_LEN;
	set_up(MADV_NOHUGEPAGE);
	must(rv_buf_alloc(&third, len), "memory");
	mr[0] = rv_reg_all(&e.dev, &third, RV_ACCESS);
	mr[1] = e.mr_b;
	must(!mr[0], "registering");
	must(rv_hmm_migrate(mr[1], 0, len, RXE_HMM_PLACE_DEVICE, &resp),
	     "migrate");
	for (k = 0; k < 2; k++)
		stream(true, mr[k]);
	for (i = 0; i < rounds && (i < MIN_ROUNDS || now() < enough); i++) {
		/* take turns at being first */
		for (k = 0; k < 2; k++)
			mib[k ^ (i & 1)] = timed(writes, mr[k ^ (i & 1)]);
		printf("pinned %.1f odp %.1f\n", mib[0], mib[1]);
	}
	if (on_device() != len / RV_PAGE) {
		rv_log("%llu pages are still on the device",
		       (unsigned long long)on_device());
		wrong++;
	}
	if (rv_compare("pinned memory", third.base, e.mem_a.base, len) ||
	    rv_compare("device memory", e.mem_b.base, e.mem_a.base, len))
		wrong++;
	ibv_dereg_mr(mr[0]);
	rv_buf_free(&third);
	rv_ends_fini(&e);

	return wrong != 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *how = argc > 2 ? argv[2] : "";

	rv_init(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "move")) {
		len = (argc > 2 ? atoi(how) : 16) << 20;
		move("pages of 4 KiB", MADV_NOHUGEPAGE);
		move("pages of 2 MiB", MADV_HUGEPAGE);
		printf("wrong %d\n", wrong);
		return wrong != 0;
	}
	if (!strcmp(what, "speed"))
		return speed(!strcmp(how, "write"), argc > 3 ? atoi(argv[3]) : 25);

	fprintf(stderr, "usage: device_check move [MIB]\n"
			"       device_check speed write|read [ROUNDS]\n");
	return 2;
}
