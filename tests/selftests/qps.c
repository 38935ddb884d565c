// SPDX-License-Identifier: GPL-2.0
/*
 * Many queue pairs, from several threads, on one region; and several regions
 * over the same memory, which share what was faulted.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define STREAMS	12
#define PART	(24 * 1024 + 40UL)	/* no page belongs to one alone */
#define LEN	(STREAMS * PART)

FIXTURE(qps)
{
	struct rv_ends e;
	struct rv_traffic t[STREAMS];
};

FIXTURE_SETUP(qps)
{
	ASSERT_EQ(0, rv_ends_init(&self->e, NULL, LEN, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(qps)
{
	rv_ends_fini(&self->e);
}

static void set_up(struct rv_traffic *t, struct rv_ends *e, size_t off,
		   size_t len, int i)
{
	static const enum ibv_wr_opcode ops[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
	};

	memset(t, 0, sizeof(*t));
	t->op = ops[i % 3];
	t->from_mr = e->mr_a;
	t->to_mr = e->mr_b;
	t->from = e->mem_a.base + off;
	t->to = e->mem_b.base + off;
	t->len = len;
	t->depth = 1 + i % 4;
	t->check = true;
}

static int run_all(struct rv_traffic *t, int n, uint64_t ops)
{
	int i, res, first = 0;

	for (i = 0; i < n && !first; i++)
		first = rv_traffic_more(&t[i], ops);
	for (i = 0; i < n; i++) {
		res = rv_traffic_stop(&t[i]);
		first = first ? first : res;
	}
	return first;
}

/* Each its own bytes; pages and 2 MiB regions are shared. */
TEST_F_TIMEOUT(qps, own_parts, 120)
{
	struct rv_ends *e = &self->e;
	struct rv_opts opts = { 0 };
	int i;

	for (i = 0; i < STREAMS; i++) {
		set_up(&self->t[i], e, i * PART, PART, i);
		opts.mtu = 256 << (i % 5);
		ASSERT_EQ(0, rv_traffic_start(&self->t[i], &e->dev, &opts,
					      i + 1));
	}
	ASSERT_RV(0, run_all(self->t, STREAMS, rv_shrink(20)));
	rv_buf_expect(&e->mem_b, 0, e->mem_b.base, LEN);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
}

/* All the same bytes, which are the same from wherever they come. */
TEST_F_TIMEOUT(qps, same_parts, 120)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < STREAMS; i++) {
		set_up(&self->t[i], e, 1000, 2 * PART, i);
		ASSERT_EQ(0, rv_traffic_start(&self->t[i], &e->dev, NULL,
					      i + 1));
	}
	ASSERT_RV(0, run_all(self->t, STREAMS, rv_shrink(15)));
	/* Beside it, nothing has changed. */
	rv_buf_expect(&e->mem_b, 1000, e->mem_b.base + 1000, 2 * PART);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write(e, 1000, 1000, 2 * PART));
}

/* The counters of one word, by everybody at once. */
TEST_F_TIMEOUT(qps, one_word, 120)
{
	enum { PAIRS = 6, ADDS = 60 };
	struct rv_ends *e = &self->e;
	struct rv_pair pairs[PAIRS];
	struct ibv_sge old;
	uint64_t word = 0;
	int i, j, n = rv_shrink(ADDS);

	memcpy(e->mem_b.base + 4096, &word, 8);
	for (i = 0; i < PAIRS; i++)
		ASSERT_EQ(0, rv_pair_init(&pairs[i], &e->dev, NULL));
	for (j = 0; j < n; j++) {
		for (i = 0; i < PAIRS; i++) {
			old = rv_ends_sge_a(e, 8 * i, 8);
			ASSERT_EQ(0, rv_post_fetch_add(&pairs[i].a, &old,
						rv_ends_remote(e, 4096), 3));
		}
		for (i = 0; i < PAIRS; i++)
			ASSERT_RV(0, rv_wait(&pairs[i].a));
	}
	word = 3 * PAIRS * n;
	rv_buf_expect(&e->mem_b, 4096, &word, 8);
	rv_buf_expect(&e->mem_a, 0, e->mem_a.base, 8 * PAIRS);
	ASSERT_RV_OK(rv_ends_check(e));
	for (i = 0; i < PAIRS; i++)
		rv_pair_fini(&pairs[i]);
}

/* What one region has faulted, another finds. */
TEST_F_TIMEOUT(qps, overlapping_regions, 120)
{
	struct rv_ends *e = &self->e;
	struct ibv_mr *first = e->mr_b, *second;
	int64_t faults;

	if (rv_stat_mr(&e->dev, first, "page_faults") < 0)
		SKIP(return, "no counters for each region");
	ASSERT_EQ(0, madvise(e->mem_b.base, e->mem_b.len & ~(RV_PAGE - 1),
			     MADV_DONTNEED));
	memset(rv_buf_shadow(&e->mem_b, 0), 0, e->mem_b.len & ~(RV_PAGE - 1));
	second = rv_reg(&e->dev, &e->mem_b, 100, LEN - 100, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, second);
	faults = rv_stat_mr(&e->dev, first, "page_faults");
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	ASSERT_LE(faults + (int64_t)(LEN / RV_PAGE),
		  rv_stat_mr(&e->dev, first, "page_faults"));

	e->mr_b = second;
	ASSERT_RV_OK(rv_ends_write(e, 77, 100, LEN - 177));
	ASSERT_RV_OK(rv_ends_read(e, 33, 100, LEN - 133));
	ASSERT_EQ(0, rv_stat_mr(&e->dev, second, "page_faults"));
	/* The first goes, and what it faulted stays. */
	ASSERT_EQ(0, ibv_dereg_mr(first));
	ASSERT_RV_OK(rv_ends_write(e, 55, 200, LEN - 255));
	ASSERT_EQ(0, rv_stat_mr(&e->dev, second, "page_faults"));
	/* What changes, changes for all. */
	ASSERT_EQ(0, madvise(e->mem_b.base, RV_PAGE, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, RV_PAGE);
	ASSERT_RV_OK(rv_ends_write(e, 0, 1000, 1000));
	ASSERT_LT(0, rv_stat_mr(&e->dev, second, "page_faults"));
}

RV_HARNESS_MAIN
