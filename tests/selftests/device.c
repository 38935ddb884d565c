// SPDX-License-Identifier: GPL-2.0
/*
 * Memory on the device: there and back with all bytes, and every operation on
 * it while it stays there.
 */
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define SIZE_FILE	"/sys/class/infiniband/rxe0/hmm/memory_size"
#define USED_FILE	"/sys/class/infiniband/rxe0/hmm/memory_used"
#define DEVICE		RXE_HMM_PLACE_DEVICE
#define SYSTEM		RXE_HMM_PLACE_SYSTEM
#define LEN		(4UL << 20)

FIXTURE(device)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(device)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_put(SIZE_FILE, "64M"));
	ASSERT_EQ(0, rv_dev_open(&e->dev, NULL));
	ASSERT_EQ(0, rv_pair_init(&e->pair, &e->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_a, LEN, RV_HUGE));
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, LEN, RV_HUGE));
	ASSERT_EQ(0, madvise(e->mem_a.base, LEN, variant->advice));
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, variant->advice));
	rv_buf_fill(&e->mem_a);
	rv_buf_fill(&e->mem_b);
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(device)
{
	struct rv_ends *e = &self->e;

	rv_pair_fini(&e->pair);
	EXPECT_EQ(0, ibv_dereg_mr(e->mr_a));
	EXPECT_EQ(0, ibv_dereg_mr(e->mr_b));
	EXPECT_EQ(0, rv_get(USED_FILE, NULL));
	EXPECT_EQ(0, rv_buf_check(&e->mem_a));
	EXPECT_EQ(0, rv_buf_check(&e->mem_b));
	rv_buf_free(&e->mem_a);
	rv_buf_free(&e->mem_b);
	rv_dev_close(&e->dev);
}

static uint64_t moved(struct ibv_mr *mr, size_t off, size_t len, int place)
{
	struct rxe_hmm_migrate_resp resp;

	if (rv_hmm_migrate(mr, off, len, place, &resp))
		return -1;
	rv_log("moved %llu already %llu", resp.moved, resp.already);

	return resp.moved;
}

static uint64_t on_device(struct ibv_mr *mr)
{
	struct rxe_hmm_query_range_resp resp;

	return rv_hmm_query(mr, 0, LEN, NULL, 0, &resp) ? -1 : resp.device;
}

TEST_F(device, there_and_back)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_b, 0, LEN, DEVICE));
	ASSERT_EQ(LEN / RV_PAGE, on_device(e->mr_b));
	ASSERT_EQ((int64_t)LEN, rv_get(USED_FILE, NULL));
	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_b, 0, LEN, SYSTEM));
	ASSERT_EQ(0, on_device(e->mr_b));
	ASSERT_EQ(0, rv_get(USED_FILE, NULL));
	ASSERT_EQ(0, rv_buf_check(&e->mem_b));
}

TEST_F(device, cpu_fault)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_b, 0, LEN, DEVICE));
	ASSERT_EQ(0, rv_buf_check(&e->mem_b));
	ASSERT_EQ(0, rv_get(USED_FILE, NULL));
}

TEST_F(device, operations)
{
	struct rv_ends *e = &self->e;
	size_t i, off_a, off_b, n;

	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_a, 0, LEN, DEVICE));
	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_b, 0, LEN, DEVICE));
	for (i = 0; i < 20; i++) {
		struct ibv_sge sge;

		n = 1 + rv_rand() % 20000;
		off_a = rv_rand() % (LEN - n);
		off_b = rv_rand() % (LEN - n);
		sge = rv_ends_sge_a(e, off_a, n);
		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      rv_ends_remote(e, off_b)));
		rv_buf_expect(&e->mem_b, off_b, rv_buf_shadow(&e->mem_a, off_a), n);
		off_a = rv_rand() % (LEN - n);
		off_b = rv_rand() % (LEN - n);
		sge = rv_ends_sge_a(e, off_a, n);
		ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
				     rv_ends_remote(e, off_b)));
		rv_buf_expect(&e->mem_a, off_a, rv_buf_shadow(&e->mem_b, off_b), n);
	}
	ASSERT_EQ(LEN / RV_PAGE, on_device(e->mr_a));
	ASSERT_EQ(LEN / RV_PAGE, on_device(e->mr_b));
}

TEST_F(device, evict)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_a, 0, LEN, DEVICE));
	ASSERT_EQ(LEN / RV_PAGE, moved(e->mr_b, 0, LEN, DEVICE));
	ASSERT_EQ(0, rv_put(SIZE_FILE, "4M"));
	ASSERT_EQ((int64_t)LEN, rv_get(USED_FILE, NULL));
	ASSERT_EQ(0, rv_put(SIZE_FILE, "0"));
	ASSERT_EQ(0, rv_get(USED_FILE, NULL));
}

TEST_F(device, first_touch)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 65536);

	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, LEN);
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, DEVICE));
	ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 100)));
	rv_buf_expect(&e->mem_b, 100, rv_buf_shadow(&e->mem_a, 0), 65536);
	ASSERT_GE(on_device(e->mr_b), 65536 / RV_PAGE);
}

RV_HARNESS_MAIN
