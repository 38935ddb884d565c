// SPDX-License-Identifier: GPL-2.0
/*
 * What the device keeps for memory that a process unmaps is given back, and
 * whoever uses the address again, or memory beside it, notices nothing. The
 * numbers are those of a debug build; with another, the data alone is checked.
 */
#include "kselftest_harness.h"
#include <sys/mman.h>

#include "lib/rv.h"
#include "lib/rv_race.h"

#define LEN	(64UL * 1024)
#define REGIONS	16
#define SPACE	((REGIONS + 1) * RV_HUGE)
#define GIB	(1UL << 30)
#define ROUNDS_MS	3000

FIXTURE(gc)
{
	struct rv_ends e;	/* mem_a pinned, mem_b for whatever */
	uint8_t *space;		/* address space of an on-demand region */
	struct ibv_mr *mr;
};

static void *map_at(void *at, size_t len)
{
	return mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED |
		    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

FIXTURE_SETUP(gc)
{
	struct rv_ends *e = &self->e;
	uint8_t *p;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
	/* The borders of a window: nobody else's mappings are in it. */
	p = mmap(NULL, 3 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	self->space = (uint8_t *)(((uintptr_t)p + GIB - 1) & ~(GIB - 1));
	ASSERT_EQ(self->space, map_at(self->space, SPACE));
	self->mr = ibv_reg_mr(e->dev.pd, self->space, SPACE, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
}

FIXTURE_TEARDOWN(gc)
{
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	rv_ends_fini(&self->e);
}

/* Write random bytes of mem_a to a place in the space and look at them. */
static int poke(struct rv_ends *e, struct ibv_mr *mr, uint8_t *at)
{
	size_t len = 1 + rv_rand_below(10000);
	struct ibv_sge sge = rv_ends_sge_a(e, rv_rand_below(LEN - len), len);
	int res = rv_write(&e->pair.a, &sge, 1, RV_REMOTE(mr, at));

	if (!res && rv_compare("written", at, (void *)(uintptr_t)sge.addr, len))
		res = -EBADMSG;
	return res;
}

/* Every region of the space, at a random place. */
static int poke_all(struct rv_ends *e, struct ibv_mr *mr, uint8_t *space)
{
	int i, res = 0;

	for (i = 0; !res && i < REGIONS; i++)
		res = poke(e, mr, space + i * RV_HUGE + rv_rand_below(RV_HUGE));
	return res;
}

/* All of it goes, and comes again. */
TEST_F(gc, unmapped)
{
	int64_t windows = rv_live("windows"), regions = rv_live("regions");
	int64_t gone, tables = rv_live("tables");
	struct rv_ends *e = &self->e;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_RV_OK(poke_all(e, self->mr, self->space));
		if (regions >= 0) {
			ASSERT_LE(regions + REGIONS, rv_live("regions"));
			ASSERT_EQ(windows + 1, rv_live("windows"));
		}
		ASSERT_EQ(0, munmap(self->space, SPACE));
		gone = rv_stat_mr(&e->dev, self->mr, "page_invalidations");
		ASSERT_LE(REGIONS * (round + 1), gone);
		if (regions >= 0) {
			ASSERT_TRUE(rv_wait_for(rv_live("regions") == regions));
			ASSERT_TRUE(rv_wait_for(rv_live("windows") == windows));
			ASSERT_TRUE(rv_wait_for(rv_live("tables") == tables));
		}
		/* What is gone is still counted. */
		ASSERT_EQ(gone, rv_stat_mr(&e->dev, self->mr,
					   "page_invalidations"));
		ASSERT_EQ(self->space, map_at(self->space, SPACE));
	}
}

/* One region goes, those beside it stay and are used without a fault. */
TEST_F(gc, beside)
{
	uint8_t *hole = self->space + (REGIONS / 2) * RV_HUGE;
	int64_t regions, faults;
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, madvise(self->space, SPACE, MADV_NOHUGEPAGE));
	ASSERT_RV_OK(poke(e, self->mr, hole - RV_HUGE));
	ASSERT_RV_OK(poke(e, self->mr, hole));
	ASSERT_RV_OK(poke(e, self->mr, hole + RV_HUGE));
	regions = rv_live("regions");
	ASSERT_EQ(0, munmap(hole, RV_HUGE));
	if (regions >= 0)
		ASSERT_TRUE(rv_wait_for(rv_live("regions") == regions - 1));

	faults = rv_stat_mr(&e->dev, self->mr, "page_faults_handled");
	e->mem_a.base[0]++;
	{
		struct ibv_sge sge = RV_SGE(e->mr_a, e->mem_a.base, 1);

		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      RV_REMOTE(self->mr, hole - RV_HUGE)));
		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      RV_REMOTE(self->mr, hole + RV_HUGE)));
		ASSERT_EQ(faults, rv_stat_mr(&e->dev, self->mr,
					     "page_faults_handled"));
		ASSERT_EQ(e->mem_a.base[0], hole[-(ssize_t)RV_HUGE]);
		ASSERT_EQ(e->mem_a.base[0], hole[RV_HUGE]);

		/* Where it was is a hole to the peer, too. */
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  rv_write(&e->pair.a, &sge, 1,
				   RV_REMOTE(self->mr, hole)));
	}
}

/* Memory that is refused leaves nothing behind. */
TEST_F(gc, refused)
{
	int64_t regions = rv_live("regions"), windows = rv_live("windows");
	struct rv_ends *e = &self->e;
	struct ibv_sge sge;

	ASSERT_EQ(0, munmap(self->space, SPACE));
	sge = rv_ends_sge_a(e, 0, 100);
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1,
			   RV_REMOTE(self->mr, self->space + RV_HUGE)));
	ASSERT_EQ(regions, rv_live("regions"));
	ASSERT_EQ(windows, rv_live("windows"));
}

/* Memory that comes and goes while the memory around it is used. */
TEST_F(gc, while_used)
{
	uint64_t end = rv_now_ms() + ROUNDS_MS;
	struct rv_ends *e = &self->e;
	uint8_t *at;

	while (rv_now_ms() < end) {
		at = self->space + rv_rand_below(REGIONS) * RV_HUGE;
		ASSERT_EQ(0, munmap(at, RV_HUGE));
		ASSERT_EQ(at, map_at(at, RV_HUGE));
		ASSERT_RV_OK(poke(e, self->mr, at + rv_rand_below(RV_HUGE)));
		ASSERT_RV_OK(poke_all(e, self->mr, self->space));
	}
}

RV_HARNESS_MAIN
