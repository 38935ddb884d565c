// SPDX-License-Identifier: GPL-2.0
/* Memory from hugetlbfs, with IBV_ACCESS_HUGETLB and without. */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64UL * 1024)
#define PAGES	4
#define SPACE	(PAGES * RV_HUGE)
#define POOL	"/proc/sys/vm/nr_hugepages"

FIXTURE(hugetlb)
{
	struct rv_ends e;	/* mem_a pinned */
	uint8_t *mem;		/* untouched huge pages */
	struct ibv_mr *mr;
	int64_t pool;
};

FIXTURE_VARIANT(hugetlb)
{
	int map;
	unsigned int access;
};

FIXTURE_VARIANT_ADD(hugetlb, private)
{
	.map = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(hugetlb, shared)
{
	.map = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(hugetlb, promised)
{
	.map = MAP_PRIVATE,
	.access = IBV_ACCESS_HUGETLB,
};

FIXTURE_SETUP(hugetlb)
{
	struct rv_ends *e = &self->e;

	self->pool = rv_get(POOL, NULL);
	if (self->pool < 0)
		SKIP(return, "the kernel has no hugetlbfs");
	ASSERT_EQ(0, rv_put(POOL, "%d", (int)self->pool + 2 * PAGES));
	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
	self->mem = mmap(NULL, SPACE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
			 MAP_HUGETLB | variant->map, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem) TH_LOG("%s", strerror(errno));
	self->mr = ibv_reg_mr(e->dev.pd, self->mem, SPACE,
			      RV_ODP | RV_ACCESS | variant->access);
	ASSERT_NE(NULL, self->mr) TH_LOG("%s", strerror(errno));
}

FIXTURE_TEARDOWN(hugetlb)
{
	if (self->pool < 0)
		return;
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	munmap(self->mem, SPACE);
	rv_ends_fini(&self->e);
	EXPECT_EQ(0, rv_put(POOL, "%d", (int)self->pool));
}

static int poke(struct _test_data_hugetlb *self, size_t off, size_t len)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, rv_rand_below(LEN - len), len);
	int res;

	res = rv_write(&e->pair.a, &sge, 1,
		       RV_REMOTE(self->mr, self->mem + off));
	if (!res && rv_compare("written", self->mem + off,
			       (void *)(uintptr_t)sge.addr, len))
		res = -EBADMSG;
	return res;
}

/* A fault brings in a whole huge page: one for each. */
TEST_F(hugetlb, write)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < PAGES; i++) {
		ASSERT_RV_OK(poke(self, i * RV_HUGE + 12345, 10000));
		ASSERT_RV_OK(poke(self, i * RV_HUGE + 1234567, 10000));
	}
	ASSERT_EQ(PAGES, rv_stat_mr(&e->dev, self->mr, "page_faults_handled"));
	for (i = 1; i < PAGES; i++)
		ASSERT_RV_OK(poke(self, i * RV_HUGE - 5000, 10000));
	ASSERT_EQ(PAGES, rv_stat_mr(&e->dev, self->mr, "page_faults_handled"));
}

/* Untouched memory is zeros; what was read can be written afterwards. */
TEST_F(hugetlb, read_then_write)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 100, 10000);

	ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
			     RV_REMOTE(self->mr, self->mem + 5000)));
	rv_buf_expect_byte(&e->mem_a, 100, 0, 10000);
	ASSERT_EQ(0, rv_buf_check(&e->mem_a));
	ASSERT_RV_OK(poke(self, 5000, 10000));
}

TEST_F(hugetlb, given_back)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 100, 10000);

	ASSERT_RV_OK(poke(self, 5000, 10000));
	ASSERT_EQ(0, madvise(self->mem, RV_HUGE, variant->map == MAP_SHARED ?
						 MADV_REMOVE : MADV_DONTNEED));
	ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
			     RV_REMOTE(self->mr, self->mem + 5000)));
	rv_buf_expect_byte(&e->mem_a, 100, 0, 10000);
	ASSERT_EQ(0, rv_buf_check(&e->mem_a));
	ASSERT_RV_OK(poke(self, 6000, 10000));
}

TEST_F(hugetlb, prefetch)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_prefetch(self->mr, self->mem, SPACE, 1));
	ASSERT_RV_OK(poke(self, RV_HUGE - 5000, 10000));
	ASSERT_EQ(0, rv_stat_mr(&e->dev, self->mr, "page_faults_handled"));
}

RV_HARNESS_MAIN
