// SPDX-License-Identifier: GPL-2.0
/*
 * Who touches memory decides where it is: the NIC's first touch where the device
 * is preferred, and the CPU's touch of what is on the device. And regions of any
 * shape: none of this goes beyond their pages.
 *
 * Needs root, for the module's parameter.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(2 * RV_HUGE)
#define PAGES	((int64_t)(LEN / RV_PAGE))
#define BLOCK	((int64_t)(RV_HUGE / RV_PAGE))
#define PARAM	"/sys/module/rdma_rxe/parameters/cpu_fault_pages"

FIXTURE(device_touch)
{
	struct rv_ends e;
	int64_t fault_pages;
};

FIXTURE_VARIANT(device_touch)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device_touch, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device_touch, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device_touch)
{
	struct rv_opts opts = { .mtu = 4096 };

	if (geteuid())
		SKIP(return, "not root");
	self->fault_pages = rv_get(PARAM, NULL);
	ASSERT_LT(0, self->fault_pages);
	ASSERT_EQ(0, rv_dmem_init(&self->e, &opts, "32M", LEN,
				  variant->advice));
}

FIXTURE_TEARDOWN(device_touch)
{
	rv_put(PARAM, "%lld", (long long)self->fault_pages);
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

static void drop(struct rv_buf *b, size_t off, size_t len)
{
	if (madvise(b->base + off, len, MADV_DONTNEED))
		rv_log("MADV_DONTNEED: %s", strerror(errno));
	rv_buf_expect_byte(b, off, 0, len);
}

/* Written or read, a page of the device is there at once, and no RAM was. */
TEST_F(device_touch, first_touch)
{
	struct rv_ends *e = &self->e;
	struct rv_moves before = rv_moves(&e->dev);
	int64_t touches = rv_stat_dev(&e->dev, "device_first_touches");
	int64_t n;

	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_DEVICE));
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_write_blind(e, 0, 700 * RV_PAGE + 1, 1));
	n = rv_on_device(e->mr_b, 0, LEN);
	ASSERT_EQ(BLOCK, n);
	ASSERT_EQ(BLOCK, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_read_blind(e, 0, 5, 9000));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(touches + 2, rv_stat_dev(&e->dev, "device_first_touches"));
	ASSERT_TRUE(rv_moves_none_left(&e->dev, &before));
	ASSERT_RV_OK(rv_ends_write_blind(e, 9, RV_HUGE - 20000, 40000));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Only the holes are filled; what is there stays where it is. */
TEST_F(device_touch, holes_only)
{
	struct rv_ends *e = &self->e;
	uint8_t states[LEN / RV_PAGE];
	struct rxe_hmm_query_range_resp resp;
	int64_t i;

	drop(&e->mem_b, 10 * RV_PAGE, 5 * RV_PAGE);
	drop(&e->mem_b, 100 * RV_PAGE, 300 * RV_PAGE);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_DEVICE));
	for (i = 0; i < PAGES; i += 8)
		ASSERT_RV_OK(rv_ends_write_blind(e, i, i * RV_PAGE, RV_PAGE));
	for (i = 10; i < 15; i++)
		ASSERT_RV_OK(rv_ends_write_blind(e, i, i * RV_PAGE, RV_PAGE));
	ASSERT_EQ(0, rv_hmm_query(e->mr_b, 0, LEN, states, sizeof(states),
				  &resp));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ((i >= 10 && i < 15) || (i >= 100 && i < 400),
			  !!(states[i] & RXE_HMM_PAGE_DEVICE))
			TH_LOG("page %lld", (long long)i);
	ASSERT_RV_OK(rv_ends_check(e));
}

/* A part prefers the device, its neighbours don't, and then it does not. */
TEST_F(device_touch, prefer_part)
{
	struct rv_ends *e = &self->e;
	uint8_t states[LEN / RV_PAGE];
	struct rxe_hmm_query_range_resp resp;
	int64_t i;

	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_STAY));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 5 * RV_PAGE, 15 * RV_PAGE,
				   RV_DEVICE));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 8 * RV_PAGE, RV_PAGE, RV_SYSTEM));
	for (i = 0; i < 40; i++)
		ASSERT_RV_OK(rv_ends_write_blind(e, 77 * i, i * RV_PAGE, RV_PAGE));
	ASSERT_EQ(0, rv_hmm_query(e->mr_b, 0, LEN, states, sizeof(states),
				  &resp));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i >= 5 && i < 20 && i != 8,
			  !!(states[i] & RXE_HMM_PAGE_DEVICE))
			TH_LOG("page %lld", (long long)i);
	ASSERT_RV_OK(rv_ends_check(e));

	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_NONE));
	ASSERT_RV_OK(rv_ends_write_blind(e, 3, 7, 100000));
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* No room: the NIC's touch brings RAM, and fails nothing. */
TEST_F(device_touch, full)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "2M"));
	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_DEVICE));
	ASSERT_RV_OK(rv_ends_write_blind(e, 3, 7, 30000));
	ASSERT_RV_OK(rv_ends_write_blind(e, 3, RV_HUGE + 7, 30000));
	ASSERT_RV_OK(rv_ends_write_blind(e, 3, RV_HUGE - 5000, 30000));
	ASSERT_GE(BLOCK, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(0, rv_dmem_resize(NULL, "0"));
	drop(&e->mem_b, 0, LEN);
	ASSERT_RV_OK(rv_ends_write_blind(e, 3, 7, 30000));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* No room, and the NIC has used all of it: the coldest makes room. */
TEST_F(device_touch, full_and_used)
{
	struct rv_ends *e = &self->e;
	int64_t touches;
	int i;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "4M"));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_DEVICE));
	for (i = 0; i < 2; i++) {
		ASSERT_LE(0, rv_demote(e->mr_b, 0, LEN));
		drop(&e->mem_b, 0, LEN);
		ASSERT_LE(0, rv_promote(e->mr_a, 0, LEN));
		ASSERT_EQ(PAGES, rv_on_device(e->mr_a, 0, LEN));
		touches = rv_stat_dev(&e->dev, "device_first_touches");
		ASSERT_RV_OK(rv_ends_write_blind(e, RV_HUGE - 9000,
						 (1 - i) * RV_HUGE + 7, 18000));
		EXPECT_EQ(touches + 1,
			  rv_stat_dev(&e->dev, "device_first_touches"));
		EXPECT_EQ(BLOCK, rv_on_device(e->mr_b, (1 - i) * RV_HUGE,
					      RV_HUGE));
		EXPECT_EQ(PAGES, rv_dmem_used(NULL));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* After a promotion the NIC's first fault takes all of the 2 MiB along. */
TEST_F(device_touch, one_fault)
{
	struct rv_ends *e = &self->e;
	int64_t faults, page;
	int block;

	ASSERT_EQ(0, rv_demote(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	/* the bytes come from RAM that is there and known */
	ASSERT_EQ(0, rv_prefetch(e->mr_a, e->mem_a.base, e->mem_a.len, 0));
	faults = rv_stat_dev(&e->dev, "page_faults_handled");
	for (block = 0; block < LEN / RV_HUGE; block++) {
		for (page = 0; page < BLOCK; page += 31)
			ASSERT_RV_OK(rv_ends_write_blind(e, page, block *
					RV_HUGE + page * RV_PAGE + 9, 4000));
	}
	EXPECT_EQ(faults + LEN / RV_HUGE,
		  rv_stat_dev(&e->dev, "page_faults_handled"));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Promoting what is there takes nothing from the NIC. */
TEST_F(device_touch, promote_again)
{
	struct rv_ends *e = &self->e;
	struct rxe_hmm_migrate_resp resp;
	int64_t lost;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_write_blind(e, 3, RV_HUGE - 5000, 9000));
	lost = rv_stat_dev(&e->dev, "page_invalidations");
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp));
	EXPECT_EQ(PAGES, resp.already);
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 9 * RV_PAGE, RV_HUGE, RV_DEVICE,
				    &resp));
	EXPECT_EQ(BLOCK, resp.already);
	EXPECT_EQ(lost, rv_stat_dev(&e->dev, "page_invalidations"));
	/* a page of it is gone, and comes again */
	drop(&e->mem_b, 700 * RV_PAGE, RV_PAGE);
	EXPECT_EQ(1, rv_promote(e->mr_b, 0, LEN));
	EXPECT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Where the process may not go, the NIC does not either. */
TEST_F(device_touch, forbidden)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 100);
	size_t off = 30 * RV_PAGE;

	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_DEVICE));
	ASSERT_EQ(0, mprotect(e->mem_b.base + off, RV_PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(e->mem_b.base + off + RV_PAGE, RV_PAGE));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off + 9)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_read(&e->pair.a, &sge, 1,
			  rv_ends_remote(e, off + RV_PAGE + 9)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV_OK(rv_ends_read_blind(e, 0, off + 99, 1000));
	ASSERT_RV_OK(rv_ends_write_blind(e, 0, off - 999, 999));
	ASSERT_EQ(0, mprotect(e->mem_b.base + off, RV_PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_NE(MAP_FAILED, mmap(e->mem_b.base + off + RV_PAGE, RV_PAGE,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_RV_OK(rv_ends_write_blind(e, 0, off - 99, 9999));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* One byte brings an aligned neighbourhood; a huge page comes as a whole. */
TEST_F(device_touch, cpu_fault_pages)
{
	static const int counts[] = { 1, 2, 64, 512 };
	struct rv_ends *e = &self->e;
	volatile uint8_t *p = e->mem_b.base;
	bool thp = variant->advice == MADV_HUGEPAGE;
	int64_t page, want;
	int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		struct rv_moves before;

		ASSERT_EQ(0, rv_put(PARAM, "%d", counts[i]));
		ASSERT_EQ(counts[i], rv_get(PARAM, NULL));
		/* put together as at first */
		ASSERT_LE(0, rv_demote(e->mr_b, 0, LEN));
		if (thp)
			ASSERT_EQ(0, madvise(e->mem_b.base, LEN,
					     MADV_COLLAPSE));
		ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
		before = rv_moves(&e->dev);
		page = rv_rand_below(PAGES);
		p[page * RV_PAGE + rv_rand_below(RV_PAGE)];
		want = thp ? BLOCK : counts[i];
		EXPECT_EQ(PAGES - want, rv_on_device(e->mr_b, 0, LEN));
		EXPECT_EQ(want, rv_moves(&e->dev).cpu_faulted -
			  before.cpu_faulted);
		EXPECT_EQ(0,
			  rv_on_device(e->mr_b, (page & -want) * RV_PAGE,
				       want * RV_PAGE));
		ASSERT_RV_OK(rv_ends_write_blind(e, 0, rv_rand_below(LEN - 20000),
						 20000));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

TEST_F(device_touch, bad_cpu_fault_pages)
{
	static const char *const bad[] = { "0", "3", "1024", "-1", "x", "65" };
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, rv_put(PARAM, "%s", bad[i]))
			TH_LOG("%s", bad[i]);
		EXPECT_EQ(self->fault_pages, rv_get(PARAM, NULL));
	}
}

/* The neighbourhood ends with the mapping. */
TEST_F(device_touch, fault_at_borders)
{
	struct rv_ends *e = &self->e;
	volatile uint8_t *p = e->mem_b.base;

	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_NOHUGEPAGE));
	ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(0, munmap(e->mem_b.base + 70 * RV_PAGE, RV_PAGE));
	ASSERT_EQ(0, mprotect(e->mem_b.base + 100 * RV_PAGE, 5 * RV_PAGE,
			      PROT_READ));
	p[71 * RV_PAGE];
	p[69 * RV_PAGE + 4095];
	p[102 * RV_PAGE];
	p[105 * RV_PAGE];
	ASSERT_NE(MAP_FAILED, mmap(e->mem_b.base + 70 * RV_PAGE, RV_PAGE,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	rv_buf_expect_byte(&e->mem_b, 70 * RV_PAGE, 0, RV_PAGE);
	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_READ | PROT_WRITE));
	ASSERT_RV_OK(rv_ends_write_blind(e, 0, 60 * RV_PAGE, 50 * RV_PAGE));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* A region that begins and ends within pages: these pages, no others. */
TEST_F(device_touch, odd_region)
{
	struct rv_ends *e = &self->e;
	size_t off = 300 * RV_PAGE + 123, len = 400 * RV_PAGE + 1000;
	struct rxe_hmm_query_range_resp resp;
	struct rxe_hmm_migrate_resp moved;
	uint64_t iova = 0x7000000 + 123;
	struct ibv_sge sge;
	struct ibv_mr *mr;

	ASSERT_EQ(0, rv_demote(e->mr_b, 0, LEN));
	mr = ibv_reg_mr_iova(e->dev.pd, e->mem_b.base + off, len, iova,
			     RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, rv_hmm_query(mr, 0, len, NULL, 0, &resp));
	ASSERT_EQ(401, resp.pages);
	ASSERT_EQ(0, rv_hmm_migrate(mr, 0, len, RV_DEVICE, &moved));
	ASSERT_EQ(401, moved.moved);
	ASSERT_EQ(401, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(401, rv_on_device(e->mr_b, 300 * RV_PAGE, 401 * RV_PAGE));
	/* a part of it, to its end */
	ASSERT_EQ(0, rv_hmm_migrate(mr, 100 * RV_PAGE - 123,
				    len - (100 * RV_PAGE - 123), RV_SYSTEM,
				    &moved));
	ASSERT_EQ(301, moved.moved);
	ASSERT_EQ(100, rv_on_device(mr, 0, len));
	ASSERT_EQ(301, rv_promote(e->mr_b, 400 * RV_PAGE, 301 * RV_PAGE));
	ASSERT_EQ(401, rv_on_device(mr, 0, len));

	sge = rv_ends_sge_a(e, 99, 50000);
	ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
			      (struct rv_remote){ iova + 211 * RV_PAGE - 77,
						  mr->rkey }));
	rv_buf_expect(&e->mem_b, off + 211 * RV_PAGE - 77,
		      rv_buf_shadow(&e->mem_a, 99), 50000);
	ASSERT_EQ(401, rv_on_device(mr, 0, len));

	/* first touch stays within the region, too */
	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_EQ(0, rv_hmm_prefer(mr, 0, len, RV_DEVICE));
	sge = rv_ends_sge_a(e, 0, len);
	ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
			      (struct rv_remote){ iova, mr->rkey }));
	rv_buf_expect(&e->mem_b, off, rv_buf_shadow(&e->mem_a, 0), len);
	ASSERT_EQ(401, rv_dmem_used(NULL));
	ASSERT_EQ(0, rv_pages(e->mem_b.base, 300 * RV_PAGE, PAGE_IS_PRESENT));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Two regions over the same pages, and pages stay while one of them is left. */
TEST_F(device_touch, overlap)
{
	struct rv_ends *e = &self->e;
	size_t off = 100 * RV_PAGE, len = 700 * RV_PAGE;
	struct ibv_sge sge = rv_ends_sge_a(e, 5, 60000);
	struct ibv_mr *mr;

	mr = rv_reg(&e->dev, &e->mem_b, off, len, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(700, rv_promote(mr, 0, len));
	ASSERT_EQ(700, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES - 700, rv_promote(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
			      RV_REMOTE(mr, e->mem_b.base + off + 900)));
	rv_buf_expect(&e->mem_b, off + 900, rv_buf_shadow(&e->mem_a, 5), 60000);
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_write_blind(e, 5, off - 9000, 18000));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
