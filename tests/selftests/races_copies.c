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

#define DRIVER		"/sys/bus/platform/drivers/dmasim/"
#define POINT		"copy_issued"
#define HELPED		"copy_helped"
#define LEN		(64 * 1024UL)

/* How long to look whether something happens that must not. */
#define GLIMPSE_MS	100

/* Memory on demand, and a thread that promotes all of it. */
struct batch {
	struct rv_dev dev;
	struct rv_buf mem;
	struct ibv_mr *mr;
	pthread_t promoter;
};

static int batch_init(struct batch *b, size_t len, size_t align)
{
	int err;

	rv_race_reset();
	err = rv_dmem_resize("rxe0", "16M");
	if (!err)
		err = rv_dev_open(&b->dev, NULL);
	if (!err)
		err = rv_buf_alloc_aligned(&b->mem, len, align);
	if (err)
		return err;
	rv_buf_fill(&b->mem);
	b->mr = rv_reg_all(&b->dev, &b->mem, RV_ACCESS | RV_ODP);

	return b->mr ? 0 : -errno;
}

/* 0, or -EBADMSG if bytes are not what they were, or -errno. */
static int batch_fini(struct batch *b)
{
	int bad, err;

	rv_race_reset();
	bad = rv_buf_check(&b->mem);
	err = ibv_dereg_mr(b->mr);
	rv_buf_free(&b->mem);
	rv_dev_close(&b->dev);

	return bad ? bad : -err;
}

static void *promote(void *arg)
{
	struct ibv_mr *mr = arg;

	return (void *)rv_promote(mr, 0, mr->length);
}

/* Start to promote; returns when the batch is held at POINT. */
static int batch_start(struct batch *b)
{
	int err;

	rv_race_arm(POINT, 1, 20000);
	err = pthread_create(&b->promoter, NULL, promote, b->mr);

	return err ? -err : rv_race_wait(POINT, 1);
}

/* Wait until it has ended; returns whether all has moved. */
static bool batch_has_moved(struct batch *b)
{
	void *moved;

	return !pthread_join(b->promoter, &moved) &&
	       (uint64_t)moved == b->mem.len / RV_PAGE;
}

FIXTURE(copies)
{
	struct batch b;
	pthread_t chooser;
	int go[2];		/* a pipe: a byte starts the chooser */
};

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
	ASSERT_EQ(0, rv_engine_load());
	ASSERT_EQ(0, batch_init(&self->b, LEN, RV_PAGE));
	ASSERT_EQ(0, pipe(self->go));
	ASSERT_EQ(0, pthread_create(&self->chooser, NULL, choose_cpu, self->go));
	ASSERT_EQ(0, rv_engine_knob("stall", 1));
	ASSERT_EQ(0, batch_start(&self->b));
}

FIXTURE_TEARDOWN(copies)
{
	EXPECT_EQ(0, batch_fini(&self->b));
	EXPECT_EQ(0, rv_engine_choose("cpu"));
	EXPECT_EQ(0, rv_live("channels"));
	EXPECT_EQ(0, rv_engine_unload());
}

/* The hardware is pulled. */
TEST_F(copies, unbind)
{
	int64_t fallbacks = rv_stat_dev(&self->b.dev, "copy_fallbacks");

	ASSERT_EQ(0, rv_put(DRIVER "unbind", "dmasim"));
	ASSERT_EQ(0, rv_race_release(POINT));
	ASSERT_TRUE(batch_has_moved(&self->b));
	close(self->go[1]);
	ASSERT_EQ(0, pthread_join(self->chooser, NULL));
	ASSERT_EQ(fallbacks + 1, rv_stat_dev(&self->b.dev, "copy_fallbacks"));
}

/* Another engine is chosen: that waits for the batch, which is late by then. */
TEST_F(copies, given_back)
{
	uint64_t end = rv_now_ms() + GLIMPSE_MS;
	void *err;

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
	ASSERT_TRUE(batch_has_moved(&self->b));
	ASSERT_EQ(0, rv_engine_timeout(1000));
}

FIXTURE(helper)
{
	struct batch b;
};

FIXTURE_SETUP(helper)
{
	ASSERT_EQ(0, rv_engine_choose("cpu"));
	ASSERT_EQ(0, batch_init(&self->b, RV_HUGE, RV_HUGE));
}

FIXTURE_TEARDOWN(helper)
{
	EXPECT_EQ(0, batch_fini(&self->b));
}

/* The helper has taken a piece, and sits on it. */
TEST_F(helper, waited_for)
{
	uint64_t end;

	rv_race_arm(HELPED, 1, 20000);
	ASSERT_EQ(0, batch_start(&self->b));
	ASSERT_EQ(0, rv_race_wait(HELPED, 1));
	ASSERT_EQ(0, rv_race_release(POINT));
	end = rv_now_ms() + GLIMPSE_MS;
	while (rv_now_ms() < end) {
		ASSERT_EQ(EBUSY, pthread_tryjoin_np(self->b.promoter, NULL));
		rv_pause();
	}
	ASSERT_EQ(1, rv_race_held(HELPED));
	ASSERT_EQ(0, rv_race_release(HELPED));
	ASSERT_TRUE(batch_has_moved(&self->b));
}

RV_DEBUG_HARNESS_MAIN
