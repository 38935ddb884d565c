// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a fault takes along: a stream faults once for a window of them, and
 * where the accesses are at random, few are taken in vain. The device counts
 * what it took along and what of that was used.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

/* What docs/mirror.md says of it. */
#define WINDOW	64UL
#define BLOCK	16UL

#define PAGES	rv_shrink(16 * 1024)
#define PIECE	(64 * 1024UL)

struct counts {
	int64_t faults, taken, used;
};

FIXTURE(readahead)
{
	struct rv_ends e;
	uint8_t *mem;
	struct ibv_mr *mr;
	size_t pages;
	struct counts before;
};

static struct counts count(struct rv_ends *e, struct ibv_mr *mr)
{
	struct counts c = {
		.faults = rv_stat_mr(&e->dev, mr, "page_faults_handled"),
		.taken = rv_stat_dev(&e->dev, "readahead_pages"),
		.used = rv_stat_dev(&e->dev, "readahead_used"),
	};

	return c;
}

FIXTURE_SETUP(readahead)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	self->pages = PAGES;
	ASSERT_EQ(0, rv_ends_open(e, &opts, PIECE));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, self->pages * RV_PAGE,
					  RV_HUGE));
	self->mem = e->mem_b.base;
	ASSERT_EQ(0, madvise(self->mem, e->mem_b.len, MADV_NOHUGEPAGE));
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	self->mr = e->mr_b;
	self->before = count(e, self->mr);
	if (self->before.taken < 0 || self->before.faults < 0)
		SKIP(return, "the driver or the user can't count that");
}

FIXTURE_TEARDOWN(readahead)
{
	rv_ends_fini(&self->e);
}

/* What has been counted since the set-up. */
static struct counts since(struct rv_ends *e, const struct counts *before)
{
	struct counts c = count(e, e->mr_b);

	c.faults -= before->faults;
	c.taken -= before->taken;
	c.used -= before->used;
	rv_log("%lld faults; %lld pages taken along, %lld used",
	       (long long)c.faults, (long long)c.taken, (long long)c.used);
	return c;
}

/* From one end to the other, by writes of any length. */
static int stream(struct rv_ends *e, size_t from, size_t to)
{
	size_t len;
	int res;

	for (; from < to; from += len) {
		len = rv_rand_between(1, PIECE);
		if (len > to - from)
			len = to - from;
		res = rv_ends_write_blind(e, rv_rand_below(PIECE - len + 1),
					  from, len);
		if (res)
			return res;
	}
	return 0;
}

/* One page of each of n places, step pages apart, in any order. */
static int scatter(struct rv_ends *e, size_t n, size_t step)
{
	int *order = calloc(n, sizeof(*order)), res = order ? 0 : -ENOMEM;
	size_t i, at;

	if (order)
		rv_rand_order(order, n);
	for (i = 0; i < n && !res; i++) {
		at = order[i] * step + rv_rand_below(step);
		res = rv_ends_write_blind(e, rv_rand_below(PIECE - 8),
					  at * RV_PAGE + rv_rand_below(4088),
					  8);
	}
	free(order);
	return res;
}

/* A stream reads ahead into memory that isn't there yet. */
TEST_F(readahead, stream)
{
	struct rv_ends *e = &self->e;
	struct counts c;

	ASSERT_RV_OK(stream(e, 0, e->mem_b.len));
	c = since(e, &self->before);
	/* The windows grow first, and none crosses a border of 2 MiB. */
	EXPECT_LE(c.faults, self->pages / WINDOW * 10 / 8 + 24);
	EXPECT_LE(c.faults, self->pages / 16);
	EXPECT_LE(c.taken - c.used, c.taken / 4);
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Of huge pages, a fault for each. */
TEST_F(readahead, stream_huge)
{
	struct rv_ends *e = &self->e;
	struct counts c;

	ASSERT_EQ(0, madvise(self->mem, e->mem_b.len, MADV_HUGEPAGE));
	ASSERT_RV_OK(stream(e, 0, e->mem_b.len));
	c = since(e, &self->before);
	EXPECT_LE(c.faults, (e->mem_b.len + RV_HUGE - 1) / RV_HUGE);
	ASSERT_RV_OK(rv_ends_check(e));
}

/*
 * One page of sixteen, all of them present: the others aren't wanted, and from the
 * first access on none is taken.
 */
TEST_F(readahead, sparse)
{
	struct rv_ends *e = &self->e;
	struct counts c;

	rv_buf_fill(&e->mem_b);
	ASSERT_RV_OK(scatter(e, self->pages / BLOCK, BLOCK));
	c = since(e, &self->before);
	EXPECT_EQ(0, c.taken);
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Messages anywhere, each of so many pages: streams, but short ones. */
static int messages(struct rv_ends *e, size_t pages, int n)
{
	size_t len = pages * RV_PAGE - rv_rand_below(RV_PAGE);
	int res = 0;

	while (n-- && !res)
		res = rv_ends_write_blind(e, rv_rand_below(PIECE - len + 1),
					  rv_rand_below(e->mem_b.len - len + 1),
					  len);
	return res;
}

static const size_t lengths[] = { 1, 2, 3, 4, 5, 8, 16 };

/*
 * Whatever their length, at most one page of four is taken in vain, but for what a
 * stream was lent. Each length has a region of its own, so each begins anew.
 */
TEST_F_TIMEOUT(readahead, at_random, 600)
{
	struct rv_ends *e = &self->e;
	struct counts c;
	int i;

	rv_buf_fill(&e->mem_b);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
		e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, e->mr_b);
		self->before = count(e, e->mr_b);
		ASSERT_RV_OK(messages(e, lengths[i], self->pages / 8 /
						     lengths[i]));
		c = since(e, &self->before);
		EXPECT_LE(c.taken - c.used, c.taken / 4 + BLOCK)
			TH_LOG("messages of %zu pages", lengths[i]);
		if (lengths[i] == 1)
			EXPECT_GE(4, c.taken);
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

/*
 * Every page, all of them present: the neighbours are wanted, too, and a stream
 * before has earned what they cost.
 */
TEST_F(readahead, dense)
{
	size_t half = self->pages / 2, pages = half < 512 ? half : 512;
	struct rv_ends *e = &self->e;
	struct counts c;

	rv_buf_fill(&e->mem_b);
	ASSERT_RV_OK(stream(e, pages * RV_PAGE, e->mem_b.len));
	self->before = count(e, self->mr);
	ASSERT_RV_OK(scatter(e, pages, 1));
	c = since(e, &self->before);
	EXPECT_LE(c.faults, pages * 3 / 4);
	EXPECT_LE(c.taken - c.used, c.taken / 4);
	ASSERT_RV_OK(rv_ends_check(e));
}

/* What random accesses have used up, a stream gets again. */
TEST_F(readahead, stream_after_sparse)
{
	size_t half = self->pages / 2;
	struct rv_ends *e = &self->e;
	struct counts c;

	rv_buf_fill(&e->mem_b);
	ASSERT_RV_OK(scatter(e, half / BLOCK, BLOCK));
	self->before = count(e, self->mr);
	ASSERT_RV_OK(stream(e, half * RV_PAGE, e->mem_b.len));
	c = since(e, &self->before);
	EXPECT_LE(c.faults, half / WINDOW * 10 / 8 + 24);
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
