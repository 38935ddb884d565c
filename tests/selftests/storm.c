// SPDX-License-Identifier: GPL-2.0
/*
 * The process changes the page tables of its memory as fast as it can, on all
 * processors, while the device reads and writes there. That may cost time, but
 * no operation fails and no byte is lost.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN		(64 * RV_PAGE)
#define NEAR		(16UL << 20)
#define STORMERS	4
#define STREAMS		2
#define STORM_MS	2500

enum kind { PROTECT, DONTNEED, OVERLAP, FORK, ALL };

struct stormer {
	enum kind kind;
	uint8_t *base;		/* what it may change */
	size_t len;
	uint64_t rounds;
	int err;
	bool *stop;
	pthread_t thread;
};

FIXTURE(storm)
{
	struct rv_ends e;
	struct rv_traffic t[STREAMS];
	struct stormer s[STORMERS];
	uint8_t *neighbours;
	bool stop;
};

FIXTURE_VARIANT(storm)
{
	enum kind kind;
	enum ibv_wr_opcode op;
};

#define VARIANT(_name, _kind, _op)				\
	FIXTURE_VARIANT_ADD(storm, _name)			\
	{							\
		.kind = _kind,					\
		.op = _op,					\
	}

VARIANT(protect_write, PROTECT, IBV_WR_RDMA_WRITE);
VARIANT(protect_read, PROTECT, IBV_WR_RDMA_READ);
VARIANT(dontneed_write, DONTNEED, IBV_WR_RDMA_WRITE);
VARIANT(overlap_write, OVERLAP, IBV_WR_RDMA_WRITE);
VARIANT(fork_send, FORK, IBV_WR_SEND);
VARIANT(all_write, ALL, IBV_WR_RDMA_WRITE);

FIXTURE_SETUP(storm)
{
	struct rv_opts opts = { .mtu = 4096 };

	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, RV_ODP, RV_ODP));
	self->neighbours = mmap(self->e.mem_b.base + RV_HUGE, NEAR,
				PROT_READ | PROT_WRITE, MAP_PRIVATE |
				MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->neighbours);
}

FIXTURE_TEARDOWN(storm)
{
	rv_ends_fini(&self->e);
}

/* One change that leaves the memory accessible. */
static int stir(struct stormer *s, enum kind kind)
{
	pid_t pid;

	switch (kind) {
	case PROTECT:		/* writable all along */
		if (mprotect(s->base, s->len,
			     PROT_READ | PROT_WRITE | PROT_EXEC))
			return -errno;
		return mprotect(s->base, s->len, PROT_READ | PROT_WRITE) ?
		       -errno : 0;
	case DONTNEED:
		return madvise(s->base, s->len, MADV_DONTNEED) ? -errno : 0;
	case OVERLAP:
		return madvise(s->base, s->len, MADV_FREE) ? -errno : 0;
	case FORK:
		pid = fork();
		if (!pid)
			_exit(0);
		return pid < 0 ? -errno : rv_reap(pid);
	default:
		return -EINVAL;
	}
}

static void *storm_on(void *arg)
{
	static const enum kind all[] = { PROTECT, FORK, PROTECT, PROTECT };
	struct stormer *s = arg;

	while (!s->err && !__atomic_load_n(s->stop, __ATOMIC_RELAXED)) {
		s->err = stir(s, s->kind == ALL ? all[s->rounds % 4] : s->kind);
		s->rounds++;
	}
	return NULL;
}

static int start(struct rv_ends *e, struct rv_traffic *t, struct stormer *s,
		 uint8_t *neighbours, bool *stop, enum kind kind,
		 enum ibv_wr_opcode op)
{
	struct rv_opts opts = { .mtu = 4096 };
	bool drop = kind == DONTNEED || kind == OVERLAP;
	size_t part = LEN / STREAMS;
	int i, err;

	for (i = 0; i < STREAMS; i++) {
		t[i].op = op;
		t[i].from_mr = e->mr_a;
		t[i].to_mr = e->mr_b;
		t[i].from = e->mem_a.base + i * part;
		t[i].to = e->mem_b.base + i * part;
		t[i].len = part;
		t[i].align = RV_PAGE;
		t[i].check = !drop;
		err = rv_traffic_start(&t[i], &e->dev, &opts, i + 1);
		if (err)
			return err;
	}
	for (i = 0; i < STORMERS; i++) {
		bool near = kind == OVERLAP && i;

		s[i].kind = kind == OVERLAP && !near ? DONTNEED : kind;
		s[i].base = near ? neighbours : e->mem_b.base;
		s[i].len = near ? NEAR : LEN;
		s[i].stop = stop;
		err = pthread_create(&s[i].thread, NULL, storm_on, &s[i]);
		if (err)
			return -err;
	}
	return 0;
}

/* Each byte is what the traffic wrote last, or dropped since. */
static int written_or_zero(struct rv_ends *e)
{
	uint8_t *want = e->mem_a.base, *seen = e->mem_b.base;
	size_t i;

	for (i = 0; i < LEN; i++) {
		if (seen[i] != want[i] && seen[i]) {
			rv_log("offset %zu: %#x, neither %#x nor 0", i, seen[i],
			       want[i]);
			return -1;
		}
	}
	return 0;
}

TEST_F_TIMEOUT(storm, survives, 120)
{
	int64_t retries = rv_stat_dev(&self->e.dev, "page_fault_retries");
	int64_t pins = rv_stat_dev(&self->e.dev, "page_fault_pins");
	uint64_t ops = 0, rounds = 0, until;
	struct rv_ends *e = &self->e;
	bool drop;
	int i;

	/*
	 * Of populated memory each change takes long. Several go on at once,
	 * so that there is hardly a moment without one.
	 */
	if (variant->kind == OVERLAP) {
		madvise(self->neighbours, NEAR, MADV_NOHUGEPAGE);
		ASSERT_EQ(0, madvise(self->neighbours, NEAR,
				     MADV_POPULATE_WRITE));
	}
	drop = variant->kind == DONTNEED || variant->kind == OVERLAP;
	/* Pages that were never written are neither old nor new. */
	if (drop)
		memset(e->mem_b.base, 0, LEN);
	ASSERT_EQ(0, start(e, self->t, self->s, self->neighbours, &self->stop,
			   variant->kind, variant->op));
	until = rv_now_ms() + STORM_MS;
	while (rv_now_ms() < until) {
		for (i = 0; i < STREAMS; i++)
			ASSERT_EQ(0, rv_traffic_more(&self->t[i], 1));
		rv_pause();
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < STORMERS; i++) {
		pthread_join(self->s[i].thread, NULL);
		EXPECT_EQ(0, self->s[i].err);
		rounds += self->s[i].rounds;
	}
	for (i = 0; i < STREAMS; i++) {
		EXPECT_RV(0, rv_traffic_stop(&self->t[i]));
		ops += self->t[i].ops;
	}
	rv_log("%llu operations, %llu changes, %lld retries, %lld pins",
	       (unsigned long long)ops, (unsigned long long)rounds,
	       (long long)(rv_stat_dev(&e->dev, "page_fault_retries") -
			   retries),
	       (long long)(rv_stat_dev(&e->dev, "page_fault_pins") - pins));
	/* The storm has been one: the device met it. */
	if (retries >= 0)
		EXPECT_LT(retries, rv_stat_dev(&e->dev, "page_fault_retries"));

	if (drop)
		EXPECT_EQ(0, written_or_zero(e));
	rv_buf_learn(&e->mem_b);
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	ASSERT_RV_OK(rv_ends_read(e, 0, 0, LEN));
}

RV_HARNESS_MAIN
