// SPDX-License-Identifier: GPL-2.0
/*
 * A batch is held while it is copied and nobody waits for it yet. What takes the
 * engine away meanwhile must neither lose bytes nor pull the channels from under
 * the batch; and nobody goes on before another CPU that helps has copied its part.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"

#define SIZE_FILE	"/sys/class/infiniband/rxe0/hmm/memory_size"
#define DRIVER		"/sys/bus/platform/drivers/dmasim/"
#define POINT		"copy_issued"
#define HELPED		"copy_helped"
#define LEN		(64 * 1024UL)
#define PAGES		(LEN / RV_PAGE)

/* How long to look whether something happens that must not. */
#define GLIMPSE_MS	100

FIXTURE(copies)
{
	struct rv_dev dev;
	struct rv_buf mem;
	struct ibv_mr *mr;
	pthread_t promoter;
	pthread_t chooser;
	int go[2];		/* a pipe: a byte starts the chooser */
};

static void *promote(void *arg)
{
	struct rxe_hmm_migrate_resp resp;

	if (rv_hmm_migrate(arg, 0, LEN, RXE_HMM_PLACE_DEVICE, &resp))
		return NULL;

	return (void *)resp.moved;
}

/* Chooses another engine when told to: returns what came of it. */
static void *choose_cpu(void *arg)
{
	const int *go = arg;
	char byte;

	if (read(go[0], &byte, 1) != 1)
		return NULL;

	return (void *)(long)rv_engine_choose("cpu");
}

/*
 * A batch of all the memory is at the engine, and held there. It holds
 * mmap_lock, so no thread can be made after that.
 */
FIXTURE_SETUP(copies)
{
	rv_race_reset();
	ASSERT_EQ(0, rv_engine_load());
	ASSERT_EQ(0, rv_put(SIZE_FILE, "16M"));
	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&self->mem, LEN));
	rv_buf_fill(&self->mem);
	self->mr = rv_reg_all(&self->dev, &self->mem, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
	ASSERT_EQ(0, pipe(self->go));
	ASSERT_EQ(0, pthread_create(&self->chooser, NULL, choose_cpu, self->go));
	ASSERT_EQ(0, rv_engine_knob("stall", 1));
	rv_race_arm(POINT, 1, 20000);
	ASSERT_EQ(0, pthread_create(&self->promoter, NULL, promote, self->mr));
	ASSERT_EQ(0, rv_race_wait(POINT, 1));
}

FIXTURE_TEARDOWN(copies)
{
	rv_race_reset();
	EXPECT_EQ(0, rv_buf_check(&self->mem));
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	rv_buf_free(&self->mem);
	rv_dev_close(&self->dev);
	EXPECT_EQ(0, rv_engine_choose("cpu"));
	EXPECT_EQ(0, rv_live("channels"));
	EXPECT_EQ(0, rv_engine_unload());
}

/* The hardware is pulled. */
TEST_F(copies, unbind)
{
	int64_t fallbacks = rv_stat_dev(&self->dev, "copy_fallbacks");
	void *moved;

	ASSERT_EQ(0, rv_put(DRIVER "unbind", "dmasim"));
	ASSERT_EQ(0, rv_race_release(POINT));
	ASSERT_EQ(0, pthread_join(self->promoter, &moved));
	ASSERT_EQ(PAGES, (uint64_t)moved);
	close(self->go[1]);
	ASSERT_EQ(0, pthread_join(self->chooser, NULL));
	ASSERT_EQ(fallbacks + 1, rv_stat_dev(&self->dev, "copy_fallbacks"));
}

/* Another engine is chosen: that waits for the batch, which is late by then. */
TEST_F(copies, given_back)
{
	uint64_t end = rv_now_ms() + GLIMPSE_MS;
	void *moved, *err;

	ASSERT_EQ(0, rv_engine_timeout(10));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	while (rv_now_ms() < end) {
		ASSERT_LT(0, rv_live("channels"));
		rv_pause();
	}
	ASSERT_EQ(0, rv_race_release(POINT));
	ASSERT_EQ(0, pthread_join(self->chooser, &err));
	ASSERT_EQ(NULL, err);
	ASSERT_EQ(0, rv_live("channels"));
	ASSERT_EQ(0, pthread_join(self->promoter, &moved));
	ASSERT_EQ(PAGES, (uint64_t)moved);
	ASSERT_EQ(0, rv_engine_timeout(1000));
}

FIXTURE(helper)
{
	struct rv_dev dev;
	struct rv_buf mem;
	struct ibv_mr *mr;
};

FIXTURE_SETUP(helper)
{
	rv_race_reset();
	ASSERT_EQ(0, rv_engine_choose("cpu"));
	ASSERT_EQ(0, rv_put(SIZE_FILE, "16M"));
	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc_aligned(&self->mem, RV_HUGE, RV_HUGE));
	rv_buf_fill(&self->mem);
	self->mr = rv_reg_all(&self->dev, &self->mem, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
}

FIXTURE_TEARDOWN(helper)
{
	rv_race_reset();
	EXPECT_EQ(0, rv_buf_check(&self->mem));
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	rv_buf_free(&self->mem);
	rv_dev_close(&self->dev);
}

static void *promote_huge(void *arg)
{
	struct rxe_hmm_migrate_resp resp;

	if (rv_hmm_migrate(arg, 0, RV_HUGE, RXE_HMM_PLACE_DEVICE, &resp))
		return NULL;

	return (void *)resp.moved;
}

/* The helper has taken a piece, and sits on it. */
TEST_F(helper, waited_for)
{
	uint64_t end;
	pthread_t promoter;
	void *moved;

	rv_race_arm(POINT, 1, 20000);
	rv_race_arm(HELPED, 1, 20000);
	ASSERT_EQ(0, pthread_create(&promoter, NULL, promote_huge, self->mr));
	ASSERT_EQ(0, rv_race_wait(POINT, 1));
	ASSERT_EQ(0, rv_race_wait(HELPED, 1));
	ASSERT_EQ(0, rv_race_release(POINT));
	end = rv_now_ms() + GLIMPSE_MS;
	while (rv_now_ms() < end) {
		ASSERT_EQ(EBUSY, pthread_tryjoin_np(promoter, &moved));
		rv_pause();
	}
	ASSERT_EQ(1, rv_race_held(HELPED));
	ASSERT_EQ(0, rv_race_release(HELPED));
	ASSERT_EQ(0, pthread_join(promoter, &moved));
	ASSERT_EQ(RV_HUGE / RV_PAGE, (uint64_t)moved);
}

RV_DEBUG_HARNESS_MAIN
