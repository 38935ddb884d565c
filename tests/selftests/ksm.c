// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel merges equal pages. When the device writes to one of them, the
 * other stays as it was.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define KSM	"/sys/kernel/mm/ksm/"
#define PAGES	16UL
#define LEN	(PAGES * RV_PAGE)

FIXTURE(ksm)
{
	struct rv_ends e;
	int64_t run, scan, sleep, smart;
};

FIXTURE_SETUP(ksm)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	self->run = rv_get(KSM "run", NULL);
	if (self->run < 0 || geteuid())
		SKIP(return, "merging needs KSM in the kernel, and root");
	self->scan = rv_get(KSM "pages_to_scan", NULL);
	self->sleep = rv_get(KSM "sleep_millisecs", NULL);
	self->smart = rv_get(KSM "smart_scan", NULL);
	ASSERT_EQ(0, rv_put(KSM "pages_to_scan", "5000"));
	ASSERT_EQ(0, rv_put(KSM "sleep_millisecs", "10"));
	rv_put(KSM "smart_scan", "0");
	ASSERT_EQ(0, rv_put(KSM "run", "1"));

	ASSERT_EQ(0, rv_ends_init(e, &opts, LEN, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(ksm)
{
	rv_ends_fini(&self->e);
	rv_put(KSM "run", "2");		/* unmerge all */
	rv_put(KSM "run", "%lld", (long long)self->run);
	rv_put(KSM "pages_to_scan", "%lld", (long long)self->scan);
	rv_put(KSM "sleep_millisecs", "%lld", (long long)self->sleep);
	rv_put(KSM "smart_scan", "%lld", (long long)self->smart);
}

/* Make the contents of both sides equal, page by page. */
static int make_twins(struct rv_ends *e)
{
	memcpy(e->mem_b.base, e->mem_a.base, LEN);
	rv_buf_expect(&e->mem_b, 0, e->mem_a.base, LEN);
	return madvise(e->mem_a.base, LEN, MADV_MERGEABLE) ||
	       madvise(e->mem_b.base, LEN, MADV_MERGEABLE);
}

static bool merged(const uint8_t *a, const uint8_t *b)
{
	uint64_t pfn = rv_pfn(a);

	return pfn && pfn == rv_pfn(b);
}

static int merged_pages(struct rv_ends *e)
{
	size_t i;
	int n = 0;

	for (i = 0; i < LEN; i += RV_PAGE)
		n += merged(e->mem_a.base + i, e->mem_b.base + i);
	return n;
}

static int wait_merged(struct rv_ends *e)
{
	if (rv_wait_for(merged_pages(e) == PAGES))
		return 0;
	rv_log("only %d of %lu pages are merged", merged_pages(e), PAGES);
	return -1;
}

static int write_to(struct rv_ends *e, size_t page)
{
	size_t len = rv_rand_len(1, RV_PAGE);

	return rv_ends_write(e, rv_rand_below(LEN - len + 1),
			     page * RV_PAGE + rv_rand_below(RV_PAGE - len + 1),
			     len);
}

/* The device has written to the pages before they are merged. */
TEST_F_TIMEOUT(ksm, write_breaks, 120)
{
	struct rv_ends *e = &self->e;
	size_t page;

	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	ASSERT_EQ(0, make_twins(e));
	ASSERT_EQ(0, wait_merged(e));
	ASSERT_RV_OK(rv_ends_check(e));
	for (page = 0; page < PAGES; page++) {
		ASSERT_RV_OK(write_to(e, page));
		ASSERT_FALSE(merged(e->mem_a.base + page * RV_PAGE,
				    e->mem_b.base + page * RV_PAGE));
	}
}

/* The device reads merged pages, which does not part them, then writes. */
TEST_F_TIMEOUT(ksm, read_keeps, 120)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_b(e, 0, LEN);
	struct rv_buf other;
	struct ibv_sge to;
	struct ibv_mr *mr;

	ASSERT_EQ(0, rv_buf_alloc(&other, LEN));
	rv_buf_fill(&other);
	mr = rv_reg_all(&e->dev, &other, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, make_twins(e));
	ASSERT_EQ(0, wait_merged(e));
	to = RV_SGE(mr, other.base, LEN);
	ASSERT_RV_OK(rv_read(&e->pair.a, &to, 1, rv_ends_remote(e, 0)));
	ASSERT_RV_OK(rv_send(&e->pair.b, &sge, 1, &e->pair.a, &to, 1, NULL));
	rv_buf_expect(&other, 0, e->mem_b.base, LEN);
	ASSERT_EQ(0, rv_buf_check(&other));
	ASSERT_EQ(PAGES, merged_pages(e));

	/* The process parts a page that the device knows for reading. */
	rv_rand_fill(e->mem_b.base + 100, 3 * RV_PAGE);
	rv_buf_expect(&e->mem_b, 100, e->mem_b.base + 100, 3 * RV_PAGE);
	ASSERT_RV_OK(rv_read(&e->pair.a, &to, 1, rv_ends_remote(e, 0)));
	rv_buf_expect(&other, 0, e->mem_b.base, LEN);
	ASSERT_EQ(0, rv_buf_check(&other));
	ASSERT_RV_OK(write_to(e, 5));
	ASSERT_RV_OK(write_to(e, 0));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	rv_buf_free(&other);
}

/* The device never stops writing while pages are being merged. */
TEST_F_TIMEOUT(ksm, under_traffic, 120)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_writes(e, LEN);
	uint64_t until;
	int seen = 0;

	t.max = 500;
	t.check = true;
	/* It writes what is there already: the pages stay equal. */
	ASSERT_EQ(0, make_twins(e));
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, &opts, 1));
	until = rv_now_ms() + rv_shrink(2000);
	while (rv_now_ms() < until) {
		ASSERT_EQ(0, rv_traffic_more(&t, 1));
		seen += merged_pages(e);
		rv_pause();
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	rv_log("%llu writes, %d times a page was merged",
	       (unsigned long long)t.ops, seen);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(0, wait_merged(e));
	ASSERT_RV_OK(write_to(e, 1));
}

RV_HARNESS_MAIN
