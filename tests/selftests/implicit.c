// SPDX-License-Identifier: GPL-2.0
/*
 * The whole address space as one region: ibv_reg_mr(pd, NULL, SIZE_MAX, ...).
 * Whatever is mapped, now or later, can be used; what isn't can't.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64UL * 1024)

FIXTURE(implicit)
{
	struct rv_ends e;	/* mr_b is the address space, mr_a too if odp */
};

FIXTURE_VARIANT(implicit)
{
	bool local;
};

FIXTURE_VARIANT_ADD(implicit, remote)
{
	.local = false,
};

FIXTURE_VARIANT_ADD(implicit, both)
{
	.local = true,
};

static struct ibv_mr *reg_all_space(struct rv_ends *e)
{
	return ibv_reg_mr(e->dev.pd, NULL, SIZE_MAX, RV_ODP | RV_ACCESS |
			  IBV_ACCESS_FLUSH_GLOBAL);
}

FIXTURE_SETUP(implicit)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	ASSERT_NE(0, e->dev.attr.odp_caps.general_caps &
		  IBV_ODP_SUPPORT_IMPLICIT);
	e->mr_b = reg_all_space(e);
	ASSERT_NE(NULL, e->mr_b) TH_LOG("%s", strerror(errno));
	e->mr_a = variant->local ? reg_all_space(e) :
				   rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a) TH_LOG("%s", strerror(errno));
}

FIXTURE_TEARDOWN(implicit)
{
	rv_ends_fini(&self->e);
}

TEST_F(implicit, operations)
{
	struct rv_ends *e = &self->e;
	uint64_t compare;
	int i;

	for (i = 0; i < rv_shrink(8); i++) {
		size_t len = rv_rand_len(1, LEN);
		size_t off_a = rv_rand_below(LEN - len + 1);
		size_t off_b = rv_rand_below(LEN - len + 1);
		size_t word = rv_rand_below(LEN - 8) & ~7UL;

		ASSERT_RV_OK(rv_ends_write(e, off_a, off_b, len));
		ASSERT_RV_OK(rv_ends_write_imm(e, off_a, off_b, len));
		ASSERT_RV_OK(rv_ends_read(e, off_a, off_b, len));
		ASSERT_RV_OK(rv_ends_send(e, off_a, off_b, len));
		memcpy(&compare, rv_buf_shadow(&e->mem_b, word), 8);
		ASSERT_RV_OK(rv_ends_cmp_swap(e, 100, word, compare, rv_rand()));
		ASSERT_RV_OK(rv_ends_fetch_add(e, 108, word, rv_rand()));
		ASSERT_RV_OK(rv_ends_atomic_write(e, word, rv_rand()));
		ASSERT_RV_OK(rv_flush(&e->pair.a, rv_ends_remote(e, off_b), len,
				      IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
		ASSERT_RV_OK(rv_flush(&e->pair.a, rv_ends_remote(e, 0), 0,
				      IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* Write some bytes of mem_a to an address and look at them there. */
static int poke(struct rv_ends *e, uint8_t *at, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, rv_rand_below(LEN - len), len);
	int res = rv_write(&e->pair.a, &sge, 1, RV_REMOTE(e->mr_b, at));

	if (!res && rv_compare("written", at, (void *)(uintptr_t)sge.addr, len))
		res = -EBADMSG;
	return res;
}

static uint8_t data_segment[3 * RV_PAGE];

/* Memory of all kinds, some of it younger than the region. */
TEST_F(implicit, any_memory)
{
	struct rv_ends *e = &self->e;
	uint8_t stack[3 * RV_PAGE];
	uint8_t *heap = malloc(LEN), *shared;
	int fd = memfd_create("implicit", 0);

	ASSERT_NE(NULL, heap);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_RV_OK(poke(e, stack + 100, 2 * RV_PAGE));
	ASSERT_RV_OK(poke(e, data_segment + 100, 2 * RV_PAGE));
	ASSERT_RV_OK(poke(e, heap + 100, LEN - 200));
	ASSERT_RV_OK(poke(e, shared + 100, LEN - 200));
	ASSERT_EQ(0, munmap(shared, LEN));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, poke(e, shared + 100, 100));
	free(heap);
	close(fd);
}

/* Where nothing is, and where no process can have anything. */
TEST_F(implicit, no_memory)
{
	const uint64_t bad[] = {
		0, 100, RV_PAGE, (1UL << 47) - RV_PAGE, 1UL << 47, 1UL << 56,
		0x8000000000000000UL, 0xffff888000000000UL,
		0xffffffff81000000UL, -RV_PAGE, -200UL,
	};
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 100);
	struct rv_remote at = { .rkey = e->mr_b->rkey };
	int i, res;

	for (i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		at.addr = bad[i / 2];
		res = i % 2 ? rv_read(&e->pair.a, &sge, 1, at) :
			      rv_write(&e->pair.a, &sge, 1, at);
		ASSERT_EQ(IBV_WC_REM_ACCESS_ERR, res)
			TH_LOG("%#lx: %s", (unsigned long)at.addr,
			       rv_status(res));
		ASSERT_EQ(0, rv_pair_again(&e->pair));
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The rights are the region's, and then those of the memory. */
TEST_F(implicit, rights)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 100);
	struct ibv_mr *mr;

	mr = ibv_reg_mr(e->dev.pd, NULL, SIZE_MAX,
			RV_ODP | IBV_ACCESS_REMOTE_READ);
	ASSERT_NE(NULL, mr);
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1,
			   RV_REMOTE(mr, e->mem_b.base)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_EQ(0, ibv_dereg_mr(mr));

	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_READ));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1,
			   RV_REMOTE(e->mr_b, e->mem_b.base)));
	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write(e, 100, 200, 5000));
}

TEST_F(implicit, prefetch)
{
	struct rv_ends *e = &self->e;
	int64_t faults;

	ASSERT_EQ(0, rv_prefetch(e->mr_b, e->mem_b.base, LEN, 1));
	faults = rv_stat_mr(&e->dev, e->mr_b, "page_faults_handled");
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	ASSERT_EQ(faults, rv_stat_mr(&e->dev, e->mr_b, "page_faults_handled"));
	ASSERT_LE(1, rv_stat_mr(&e->dev, e->mr_b, "page_prefetch"));
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
	ASSERT_LE(1, rv_stat_mr(&e->dev, e->mr_b, "page_invalidations"));
}

RV_HARNESS_MAIN
