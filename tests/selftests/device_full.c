// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory the device has: when it is full, what leaves it first, and
 * sizes that change under use. Needs root.
 */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(4 * RV_HUGE)
#define PAGES	((int64_t)(LEN / RV_PAGE))
#define BLOCK	((int64_t)(RV_HUGE / RV_PAGE))

FIXTURE(device_full)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(device_full)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device_full, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device_full, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device_full)
{
	struct rv_opts opts = { .mtu = 4096 };

	ASSERT_EQ(0, rv_dmem_init(&self->e, &opts, "0", LEN, variant->advice));
}

FIXTURE_TEARDOWN(device_full)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

static int nic_some(struct rv_ends *e, size_t from, size_t len, int rounds)
{
	size_t n;
	int res = 0;

	while (rounds-- && !res) {
		n = rv_rand_len(1, 20000);
		res = rv_ends_write_blind(e, rv_rand_below(LEN - n),
					  from + rv_rand_below(len - n), n);
	}
	return res;
}

/* Off: nothing moves there, and the way back is no error. */
TEST_F(device_full, off)
{
	struct rxe_hmm_migrate_resp resp;
	struct rv_ends *e = &self->e;

	ASSERT_EQ(-EOPNOTSUPP, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE,
					      &resp));
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_SYSTEM, &resp));
	ASSERT_EQ(PAGES, resp.already);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_DEVICE));
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, LEN);
	ASSERT_RV_OK(nic_some(e, 0, LEN, 5));
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* A range larger than the device: as much as there is room for. */
TEST_F(device_full, larger_than_device)
{
	struct rv_ends *e = &self->e;
	struct rxe_hmm_migrate_resp resp;
	int64_t full = rv_stat_dev(&e->dev, "promote_skipped_full");
	int i;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "4M"));
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp));
	ASSERT_EQ(2 * BLOCK, resp.moved);
	ASSERT_EQ(PAGES - 2 * BLOCK, resp.skipped[RXE_HMM_SKIP_FULL]);
	ASSERT_EQ(full + PAGES - 2 * BLOCK,
		  rv_stat_dev(&e->dev, "promote_skipped_full"));
	ASSERT_EQ(2 * BLOCK, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(2 * BLOCK, rv_dmem_used(NULL));
	ASSERT_EQ(0, rv_dmem_get(NULL, "free"));
	ASSERT_RV_OK(nic_some(e, 0, LEN, rv_shrink(20)));
	ASSERT_EQ(2 * BLOCK, rv_on_device(e->mr_b, 0, LEN));
	for (i = 0; i < 4; i++) {
		ASSERT_LE(0, rv_promote(i % 2 ? e->mr_b : e->mr_a, 0, LEN));
		ASSERT_GE(2 * BLOCK, rv_dmem_used(NULL));
		ASSERT_RV_OK(nic_some(e, 0, LEN, 4));
	}
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_LE(rv_dmem_get(NULL, "size"), rv_dmem_get(NULL, "peak"));
}

/* The other region's pages have not been used for longer: they go. */
TEST_F(device_full, evicts)
{
	struct rv_ends *e = &self->e;
	struct rv_moves before;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "8M"));
	ASSERT_EQ(PAGES, rv_promote(e->mr_a, 0, LEN));
	before = rv_moves(&e->dev);
	ASSERT_EQ(PAGES / 2, rv_promote(e->mr_b, LEN / 2, LEN / 2));
	ASSERT_EQ(PAGES / 2, rv_on_device(e->mr_a, 0, LEN));
	ASSERT_EQ(PAGES / 2, rv_moves(&e->dev).evicted - before.evicted);
	ASSERT_RV_OK(nic_some(e, 0, LEN, rv_shrink(10)));
	ASSERT_EQ(PAGES / 2, rv_promote(e->mr_b, 0, LEN / 2));
	ASSERT_EQ(0, rv_on_device(e->mr_a, 0, LEN) -
		  (PAGES - rv_on_device(e->mr_b, 0, LEN)));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* What the NIC uses stays, what it does not use goes. */
TEST_F(device_full, coldest_first)
{
	struct rv_ends *e = &self->e;
	int i;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "6M"));
	/* in the order of time: 0, 1, 2 */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(BLOCK, rv_promote(e->mr_b, i * RV_HUGE, RV_HUGE));
	ASSERT_RV_OK(nic_some(e, 0, RV_HUGE, 8));
	ASSERT_RV_OK(nic_some(e, 2 * RV_HUGE, RV_HUGE, 8));
	ASSERT_EQ(BLOCK, rv_promote(e->mr_b, 3 * RV_HUGE, RV_HUGE));
	EXPECT_EQ(BLOCK, rv_on_device(e->mr_b, 0, RV_HUGE));
	EXPECT_EQ(0, rv_on_device(e->mr_b, RV_HUGE, RV_HUGE));
	EXPECT_EQ(BLOCK, rv_on_device(e->mr_b, 2 * RV_HUGE, RV_HUGE));
	EXPECT_EQ(BLOCK, rv_on_device(e->mr_b, 3 * RV_HUGE, RV_HUGE));

	/* and again, with another one idle */
	ASSERT_RV_OK(nic_some(e, 0, RV_HUGE, 4));
	ASSERT_RV_OK(nic_some(e, 3 * RV_HUGE, RV_HUGE, 4));
	ASSERT_EQ(BLOCK, rv_promote(e->mr_b, RV_HUGE, RV_HUGE));
	EXPECT_EQ(0, rv_on_device(e->mr_b, 2 * RV_HUGE, RV_HUGE));
	EXPECT_EQ(3 * BLOCK, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Pages of a full device are exchanged under traffic, both ways. */
TEST_F_TIMEOUT(device_full, under_traffic, 200)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_writes(e, LEN);
	int i;

	t.depth = 4;
	ASSERT_EQ(0, rv_dmem_resize(NULL, "2M"));
	/* the target becomes the source, so it is known what it must hold */
	memcpy(e->mem_b.base, e->mem_a.base, LEN);
	rv_buf_expect(&e->mem_b, 0, e->mem_a.base, LEN);
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, &opts, 1));
	for (i = 0; i < rv_shrink(40); i++) {
		ASSERT_LE(0, rv_promote(i % 3 ? e->mr_b : e->mr_a,
					i % 4 * RV_HUGE, RV_HUGE));
		ASSERT_EQ(0, rv_traffic_more(&t, 1));
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	ASSERT_RV_OK(rv_ends_check(e));
}

/*
 * The NIC uses all that is there, all the time: the coldest goes nevertheless.
 * Only an access that lost its races, and pinned its page, keeps that in RAM.
 */
TEST_F_TIMEOUT(device_full, evicts_what_is_used, 120)
{
	struct rxe_hmm_migrate_resp resp;
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_reads(e, LEN);
	unsigned long left = 0, full = 0;
	int64_t pins;
	int i;

	t.depth = 8;
	ASSERT_EQ(0, rv_dmem_resize(NULL, "4M"));
	memcpy(e->mem_b.base, e->mem_a.base, LEN);
	rv_buf_expect(&e->mem_b, 0, e->mem_a.base, LEN);
	pins = rv_stat_dev(&e->dev, "page_fault_pins");
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, NULL, 1));
	for (i = 0; i < rv_shrink(16) + 2; i++) {
		ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, i % 4 * RV_HUGE, RV_HUGE,
					    RV_DEVICE, &resp));
		left += BLOCK - resp.moved - resp.already;
		full += resp.skipped[RXE_HMM_SKIP_FULL];
		ASSERT_EQ(0, rv_traffic_more(&t, 8));
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	EXPECT_EQ(0, full);
	if (rv_stat_dev(&e->dev, "page_fault_pins") == pins) {
		EXPECT_EQ(0, left);
		EXPECT_EQ(2 * BLOCK, rv_dmem_used(NULL))
			TH_LOG("%lld faults were slow, %lld of a CPU",
			       (long long)rv_stat_dev(&e->dev, "page_faults_slow"),
			       (long long)rv_stat_dev(&e->dev, "device_cpu_faults"));
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

/* What is no size is refused, and changes nothing. */
TEST_F(device_full, bad_sizes)
{
	static const char *const bad[] = {
		"", "-1", "x", "1", "3M", "2097153", "4M!", "4M 4M", "0x", "8P",
		"99999999999999999999", "16777215T", "M",
	};
	int i;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "4M"));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* nothing is written for an empty text */
		EXPECT_EQ(*bad[i] ? -EINVAL : 0, rv_dmem_resize(NULL, bad[i]))
			TH_LOG("\"%s\"", bad[i]);
		EXPECT_EQ(4 << 20, rv_dmem_get(NULL, "size"))
			TH_LOG("\"%s\"", bad[i]);
	}
	ASSERT_EQ(0, rv_dmem_resize(NULL, "0x400000\n"));
	ASSERT_EQ(0, rv_dmem_resize(NULL, "2048K"));
	ASSERT_EQ(2 << 20, rv_dmem_get(NULL, "size"));
	ASSERT_EQ(0, rv_dmem_get(NULL, "used"));
	ASSERT_EQ(2 << 20, rv_dmem_get(NULL, "free"));
}

/* Smaller, larger, off and on again, while pages are used. */
TEST_F_TIMEOUT(device_full, resize, 200)
{
	static const char *const sizes[] = {
		"8M", "2M", "0", "64M", "4M", "6M", "0", "2M", "256M", "8M",
	};
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_reads(e, LEN);
	int64_t size;
	int i;

	memcpy(e->mem_b.base, e->mem_a.base, LEN);
	rv_buf_expect(&e->mem_b, 0, e->mem_a.base, LEN);
	ASSERT_EQ(0, rv_dmem_resize(NULL, "64M"));
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, &opts, 1));
	for (i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
		struct rxe_hmm_migrate_resp resp;

		ASSERT_EQ(0, rv_dmem_resize(NULL,
					    sizes[i % ARRAY_SIZE(sizes)]));
		size = rv_dmem_get(NULL, "size");
		ASSERT_GE(size, rv_dmem_get(NULL, "used"));
		ASSERT_EQ(size ? 0 : -EOPNOTSUPP,
			  rv_hmm_migrate(i % 2 ? e->mr_a : e->mr_b, 0, LEN,
					 RV_DEVICE, &resp));
		ASSERT_GE(size, rv_dmem_get(NULL, "used"));
		ASSERT_EQ(0, rv_traffic_more(&t, 1));
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
