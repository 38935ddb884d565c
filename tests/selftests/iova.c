// SPDX-License-Identifier: GPL-2.0
/* Regions whose I/O virtual addresses are not their memory addresses. */
#include <errno.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(96UL * 1024)
#define SKEW	100UL		/* where in its first page the region starts */

enum where { ZERO, TOP, BELOW_TOP, DECOY, ANYWHERE };

FIXTURE(iova)
{
	struct rv_ends e;
	struct rv_buf decoy;
};

FIXTURE_VARIANT(iova)
{
	enum where where;
	unsigned int odp;
	size_t skew;
};

#define VARIANT(_name, _where, _odp, _skew)			\
	FIXTURE_VARIANT_ADD(iova, _name)			\
	{							\
		.where = _where,				\
		.odp = _odp,					\
		.skew = _skew,					\
	}

VARIANT(zero_pinned, ZERO, 0, 0);
VARIANT(zero_odp, ZERO, RV_ODP, 0);
VARIANT(zero_skewed_pinned, ZERO, 0, SKEW);
VARIANT(zero_skewed_odp, ZERO, RV_ODP, SKEW);
VARIANT(top_pinned, TOP, 0, 0);
VARIANT(top_odp, TOP, RV_ODP, 0);
VARIANT(below_top_odp, BELOW_TOP, RV_ODP, SKEW);
VARIANT(decoy_pinned, DECOY, 0, SKEW);
VARIANT(decoy_odp, DECOY, RV_ODP, SKEW);
VARIANT(anywhere_pinned, ANYWHERE, 0, SKEW);
VARIANT(anywhere_odp, ANYWHERE, RV_ODP, SKEW);

/* The I/O address of a region of len bytes: same offset in the page as skew. */
static uint64_t choose(enum where where, struct rv_buf *decoy, size_t len,
		       size_t skew)
{
	switch (where) {
	case ZERO:
		return skew;
	case TOP:		/* the last byte is the last there is */
		return -len;
	case BELOW_TOP:
		return -16 * RV_PAGE - ((len + RV_PAGE) & ~(RV_PAGE - 1)) + skew;
	case DECOY:		/* an address that holds something else */
		return (uintptr_t)decoy->base + skew;
	default:
		return (rv_rand() & ~(RV_PAGE - 1) & ~(1ULL << 63)) + skew;
	}
}

FIXTURE_SETUP(iova)
{
	size_t len = LEN - variant->skew;
	struct rv_ends *e = &self->e;
	uint64_t iova;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	ASSERT_EQ(0, rv_buf_alloc(&self->decoy, LEN));
	rv_buf_fill(&self->decoy);

	iova = choose(variant->where, &self->decoy, len, variant->skew);
	e->mr_a = ibv_reg_mr_iova(e->dev.pd, e->mem_a.base + variant->skew, len,
				  iova, RV_ACCESS | variant->odp);
	ASSERT_NE(NULL, e->mr_a)
		TH_LOG("iova %#llx: %s", (unsigned long long)iova,
		       strerror(errno));
	e->iova_a = iova - (uintptr_t)(e->mem_a.base + variant->skew);

	iova = choose(variant->where, &self->decoy, len, variant->skew);
	e->mr_b = ibv_reg_mr_iova(e->dev.pd, e->mem_b.base + variant->skew, len,
				  iova, RV_ACCESS | variant->odp);
	ASSERT_NE(NULL, e->mr_b);
	e->iova_b = iova - (uintptr_t)(e->mem_b.base + variant->skew);
}

FIXTURE_TEARDOWN(iova)
{
	EXPECT_EQ(0, rv_buf_check(&self->decoy));
	rv_buf_free(&self->decoy);
	rv_ends_fini(&self->e);
}

static int rounds(struct rv_ends *e, rv_ends_fn fn, size_t skew)
{
	int i, res;

	for (i = 0; i < rv_shrink(12); i++) {
		size_t len = rv_rand_len(1, 20000);
		size_t room = LEN - skew - len;

		res = fn(e, skew + rv_rand_between(0, room),
			 skew + rv_rand_between(0, room), len);
		if (res)
			return res;
	}
	/* First and last bytes. */
	res = fn(e, skew, skew, 10);
	return res ? res : fn(e, LEN - 10, LEN - 10, 10);
}

TEST_F(iova, write)
{
	ASSERT_RV_OK(rounds(&self->e, rv_ends_write, variant->skew));
}

TEST_F(iova, read)
{
	ASSERT_RV_OK(rounds(&self->e, rv_ends_read, variant->skew));
}

TEST_F(iova, send)
{
	ASSERT_RV_OK(rounds(&self->e, rv_ends_send, variant->skew));
}

TEST_F(iova, atomics)
{
	size_t first = (variant->skew + 7) & ~7UL;
	int i;

	for (i = 0; i < rv_shrink(12); i++) {
		size_t at = first + 8 * rv_rand_below((LEN - first) / 8);

		ASSERT_RV_OK(rv_ends_fetch_add(&self->e, variant->skew, at,
					       rv_rand()));
		ASSERT_RV_OK(rv_ends_atomic_write(&self->e, at, rv_rand()));
	}
}

TEST_F(iova, prefetch)
{
	struct rv_remote start = rv_ends_remote(&self->e, variant->skew);

	if (variant->odp) {
		ASSERT_EQ(0, rv_prefetch(self->e.mr_b, (void *)start.addr,
					 LEN - variant->skew, 1));
		ASSERT_EQ(-EFAULT, rv_prefetch(self->e.mr_b,
					       self->e.mem_b.base, LEN, 1));
	}
	ASSERT_RV_OK(rv_ends_write(&self->e, 5000, 5000, 5000));
}

/* The memory's own address is outside the region now, and so is the rest. */
TEST_F(iova, bounds)
{
	struct ibv_sge sge = rv_ends_sge_a(&self->e, variant->skew, 8);
	struct rv_remote at = rv_ends_remote(&self->e, variant->skew);
	struct rv_remote wrong[4] = { at, at, at, at };
	int i;

	wrong[0].addr = (uintptr_t)self->e.mem_b.base + RV_PAGE;
	wrong[1].addr = at.addr - 1;
	wrong[2].addr = at.addr + LEN - variant->skew - 7;
	wrong[3].addr = at.addr + LEN - variant->skew;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  rv_write(&self->e.pair.a, &sge, 1, wrong[i]));
		ASSERT_RV_OK(rv_ends_check(&self->e));
		ASSERT_EQ(0, rv_pair_again(&self->e.pair));
	}
}

/* The in-page offsets of address and I/O address must be the same. */
TEST(differing_page_offsets)
{
	unsigned int flags[] = { 0, RV_ODP };
	struct rv_buf buf;
	struct rv_dev dev;
	int i;

	ASSERT_EQ(0, rv_dev_open(&dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&buf, LEN));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		errno = 0;
		ASSERT_EQ(NULL, ibv_reg_mr_iova(dev.pd, buf.base, RV_PAGE, 100,
						RV_ACCESS | flags[i]));
		ASSERT_EQ(EINVAL, errno);
	}
	rv_buf_free(&buf);
	rv_dev_close(&dev);
}

RV_HARNESS_MAIN
