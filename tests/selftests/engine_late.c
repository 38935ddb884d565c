// SPDX-License-Identifier: GPL-2.0
/*
 * What others see of pages that move while an engine copies them. The engine
 * stands still until it is given up, so there is time to look.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(2UL << 20)
#define HALF	(LEN / 2)

FIXTURE(late)
{
	struct rv_ends e;
	pthread_t mover;
	int64_t fallbacks;
};

FIXTURE_VARIANT(late)
{
	int advice;
};

FIXTURE_VARIANT_ADD(late, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(late, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(late)
{
	ASSERT_EQ(0, rv_engine_load());
	ASSERT_EQ(0, rv_dmem_init(&self->e, NULL, "8M", LEN, variant->advice));
	self->fallbacks = rv_stat_dev(&self->e.dev, "copy_fallbacks");
}

FIXTURE_TEARDOWN(late)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
	EXPECT_EQ(0, rv_engine_unload());
}

static void *promote(void *mr)
{
	return (void *)rv_promote(mr, 0, LEN);
}

static void *demote(void *mr)
{
	return (void *)rv_demote(mr, 0, LEN);
}

/* The CPU looks, again and again, until the move is over. 0 or -EBADMSG. */
static int look(struct rv_buf *b, pthread_t mover, int64_t *moved)
{
	int bad = 0;
	void *pages;

	do {
		if (!bad)
			bad = rv_buf_check(b);
	} while (pthread_tryjoin_np(mover, &pages) == EBUSY);
	*moved = (int64_t)pages;

	return bad;
}

TEST_F_TIMEOUT(late, promote, 120)
{
	struct rv_ends *e = &self->e;
	int64_t moved;

	ASSERT_EQ(0, rv_engine_timeout(500));
	ASSERT_EQ(0, rv_engine_knob("stall", 1));
	ASSERT_EQ(0, pthread_create(&self->mover, NULL, promote, e->mr_b));
	ASSERT_EQ(0, look(&e->mem_b, self->mover, &moved));
	ASSERT_LT(0, moved);
	ASSERT_LT(self->fallbacks, rv_stat_dev(&e->dev, "copy_fallbacks"));
}

TEST_F_TIMEOUT(late, demote, 120)
{
	struct rv_ends *e = &self->e;
	int64_t moved;

	ASSERT_EQ(LEN / RV_PAGE, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(0, rv_engine_timeout(500));
	ASSERT_EQ(0, rv_engine_knob("stall", 1));
	ASSERT_EQ(0, pthread_create(&self->mover, NULL, demote, e->mr_b));
	ASSERT_TRUE(rv_wait_for(!rv_on_device(e->mr_b, 0, LEN)));
	ASSERT_EQ(0, look(&e->mem_b, self->mover, &moved));
	ASSERT_EQ(LEN / RV_PAGE, moved);
	ASSERT_LT(self->fallbacks, rv_stat_dev(&e->dev, "copy_fallbacks"));
}

/*
 * What was a hole is mapped before the rest is copied. A peer reads zeroes there,
 * not what somebody had on the device before.
 */
TEST_F_TIMEOUT(late, hole, 120)
{
	struct rv_ends *e = &self->e;
	struct rv_buf *b = &e->mem_b;
	void *pages;

	ASSERT_EQ(0, rv_engine_choose("cpu"));
	ASSERT_EQ(LEN / RV_PAGE, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(LEN / RV_PAGE, rv_demote(e->mr_b, 0, LEN));
	ASSERT_EQ(0, madvise(b->base + HALF, HALF, MADV_DONTNEED));
	rv_buf_expect_byte(b, HALF, 0, HALF);
	ASSERT_EQ(0, rv_engine_choose("dmasim"));
	ASSERT_EQ(0, rv_engine_timeout(10000));
	ASSERT_EQ(0, rv_engine_knob("stall", 1));

	ASSERT_EQ(0, pthread_create(&self->mover, NULL, promote, e->mr_b));
	ASSERT_TRUE(rv_wait_for(rv_on_device(e->mr_b, HALF, HALF) ==
				HALF / RV_PAGE));
	ASSERT_RV_OK(rv_ends_read_blind(e, 0, HALF, HALF));
	ASSERT_EQ(EBUSY, pthread_tryjoin_np(self->mover, &pages));
	ASSERT_EQ(0, rv_engine_knob("stall", 0));
	ASSERT_EQ(0, pthread_join(self->mover, &pages));
	ASSERT_EQ(LEN / RV_PAGE, (int64_t)pages);
	ASSERT_EQ(self->fallbacks, rv_stat_dev(&e->dev, "copy_fallbacks"));
	ASSERT_EQ(0, rv_ends_check(e));
}

RV_HARNESS_MAIN
