// SPDX-License-Identifier: GPL-2.0
/*
 * The races about the entries of a region, held open: who may use them, and
 * for what, while they are made, cleared or used by another. docs/races.md has
 * a table of the races and of what guards against each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"
#include "lib/rv_scene.h"

/* --- an invalidation is under way ---------------------------------------- */

FIXTURE(scene)
{
	struct rv_scene s;
	pthread_t thread;
};

FIXTURE_SETUP(scene)
{
	ASSERT_EQ(0, rv_scene_init(&self->s, false));
}

FIXTURE_TEARDOWN(scene)
{
	rv_scene_fini(&self->s);
}

static void *drop_all(void *arg)
{
	struct rv_scene *s = arg;

	return (void *)(long)rv_scene_strike(s, RV_SCENE_DROP);
}

/*
 * The entries are still there: the device may use them, and is ordered before
 * the change. A fault nearby waits for the end of the invalidation.
 */
TEST_F_TIMEOUT(scene, invalidation_held, 120)
{
	struct rv_scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;
	struct ibv_sge a = rv_ends_sge_a(&s->e, 0, 100);
	void *res;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base + RV_SCENE_CHANGE,
				 RV_SCENE_CHANGED, 1));
	rv_race_arm("invalidate_seq", 1, 3000);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, drop_all, s));
	ASSERT_EQ(0, rv_race_wait("invalidate_seq", 1));

	ASSERT_RV_OK(rv_write(&s->e.pair.a, &a, 1,
			      rv_ends_remote(&s->e, RV_SCENE_OFF)));
	EXPECT_EQ(1, rv_race_held("invalidate_seq"));
	ASSERT_EQ(0, rv_post_write(&s->e.pair.a, &a, 1,
				   rv_ends_remote(&s->e, 12 * RV_PAGE)));
	EXPECT_RV(-ETIMEDOUT, rv_poll_until(s->e.pair.a.scq, NULL, 50));
	EXPECT_EQ(1, rv_race_held("invalidate_seq"));

	ASSERT_EQ(0, rv_race_release("invalidate_seq"));
	pthread_join(self->thread, &res);
	ASSERT_EQ(NULL, res);
	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_buf_expect_byte(b, RV_SCENE_CHANGE, 0, RV_SCENE_CHANGED);
	rv_buf_expect(b, 12 * RV_PAGE, rv_buf_shadow(&s->e.mem_a, 0), 100);
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

/* The region's table is not changed under a copy either. */
TEST_F_TIMEOUT(scene, copy_holds_up_install, 120)
{
	struct rv_scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base + RV_SCENE_CHANGE,
				 RV_SCENE_CHANGED, 1));
	ASSERT_EQ(0, rv_scene_catch(s, RV_SCENE_READ, "io_entered"));
	rv_scene_effect(&s->e, RV_SCENE_READ);
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base + 12 * RV_PAGE, RV_PAGE,
				 1));
	EXPECT_EQ(0, rv_race_held("io_entered"))
		TH_LOG("the table has changed before the copy was done");
	EXPECT_RV(0, rv_scene_complete(&s->e, RV_SCENE_READ));
	ASSERT_EQ(0, rv_ends_check(&s->e));
}

/* --- copies share a region ------------------------------------------------ */

/* While one queue pair's copy is under way, another's come and go. */
TEST_F_TIMEOUT(scene, copies_together, 120)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20 };
	struct rv_scene *s = &self->s;
	struct rv_buf *a = &s->e.mem_a, *b = &s->e.mem_b;
	struct ibv_sge out = rv_ends_sge_a(&s->e, 5000, 2000);
	struct ibv_sge in = rv_ends_sge_a(&s->e, 8000, 2000);
	size_t end = RV_SCENE_OFF + RV_SCENE_BYTES;
	struct rv_pair other;

	ASSERT_EQ(0, rv_pair_init(&other, &s->e.dev, &opts));
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base, b->len, 1));
	rv_race_arm("io_entered", 1, 5000);
	ASSERT_EQ(0, rv_scene_post(&s->e, RV_SCENE_WRITE));
	ASSERT_EQ(0, rv_race_wait("io_entered", 1));

	/* into a page of the copy that is held, and far from it */
	EXPECT_RV(0, rv_write(&other.a, &out, 1, rv_ends_remote(&s->e, end)));
	EXPECT_RV(0, rv_read(&other.a, &in, 1,
			     rv_ends_remote(&s->e, 12 * RV_PAGE)));
	EXPECT_EQ(1, rv_race_held("io_entered"))
		TH_LOG("copies in one region wait for each other");
	rv_buf_expect(b, end, rv_buf_shadow(a, 5000), 2000);
	rv_buf_expect(a, 8000, rv_buf_shadow(b, 12 * RV_PAGE), 2000);

	ASSERT_EQ(0, rv_race_release("io_entered"));
	EXPECT_RV(0, rv_scene_complete(&s->e, RV_SCENE_WRITE));
	rv_scene_effect(&s->e, RV_SCENE_WRITE);
	ASSERT_EQ(0, rv_ends_check(&s->e));
	rv_pair_fini(&other);
	ASSERT_RV_OK(rv_scene_go_on(s));
}

/* --- what is written is dirty -------------------------------------------- */

/* An entry that is good for reading is not good for writing. */
TEST_F_TIMEOUT(scene, read_only_entry, 120)
{
	struct rv_scene *s = &self->s;

	ASSERT_EQ(0, rv_scene_strike(s, RV_SCENE_FORK));
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, s->e.mem_b.base + RV_SCENE_CHANGE,
				 RV_SCENE_CHANGED, 0));
	ASSERT_RV_OK(rv_ends_read(&s->e, 0, RV_SCENE_OFF, RV_SCENE_BYTES));
	ASSERT_RV_OK(rv_ends_write(&s->e, 100, RV_SCENE_OFF, RV_SCENE_BYTES));
	ASSERT_EQ(0, rv_scene_look_elsewhere(s, RV_SCENE_FORK));
	ASSERT_EQ(0, rv_ends_check(&s->e));
}

/* Of a huge mapping that loses one page, nothing is used on. */
TEST_F_TIMEOUT(scene, huge_loses_page, 120)
{
	struct rv_scene *s = &self->s;
	struct ibv_sge a = rv_ends_sge_a(&s->e, 0, 8);
	struct rv_buf huge;
	struct ibv_mr *mr;
	uint8_t *page;

	ASSERT_EQ(0, rv_buf_alloc_aligned(&huge, RV_HUGE, RV_HUGE));
	madvise(huge.base, huge.len, MADV_HUGEPAGE);
	rv_buf_fill(&huge);
	mr = rv_reg_all(&s->e.dev, &huge, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, rv_prefetch(mr, huge.base, huge.len, 1));
	page = huge.base + 7 * RV_PAGE;
	ASSERT_EQ(0, madvise(page, RV_PAGE, MADV_DONTNEED));
	rv_buf_expect_byte(&huge, 7 * RV_PAGE, 0, RV_PAGE);
	ASSERT_RV_OK(rv_write(&s->e.pair.a, &a, 1, RV_REMOTE(mr, page + 64)));
	rv_buf_expect(&huge, 7 * RV_PAGE + 64, rv_buf_shadow(&s->e.mem_a, 0),
		      8);
	ASSERT_EQ(0, rv_buf_check(&huge));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	rv_buf_free(&huge);
}

/* All the pages of a packet are looked at, not only the first. */
TEST_F_TIMEOUT(scene, half_present, 120)
{
	struct rv_scene *s = &self->s;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, s->e.mem_b.base + 3 * RV_PAGE,
				 RV_PAGE, 1));
	ASSERT_RV_OK(rv_ends_write(&s->e, 100, RV_SCENE_OFF, RV_SCENE_BYTES));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

TEST_F_TIMEOUT(scene, keeps_dirty, 120)
{
	struct rv_scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;
	uint8_t *at = b->base + RV_SCENE_CHANGE;

	/*
	 * Free for the taking: writable, clean, and mapped by the device. For
	 * that the pages must be on their list, not on the way there.
	 */
	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_EQ(0, madvise(at, RV_SCENE_CHANGED, MADV_FREE));
	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, at, RV_SCENE_CHANGED, 1));
	ASSERT_EQ(0, rv_scene_catch(s, RV_SCENE_WRITE, "io_entered"));
	rv_scene_effect(&s->e, RV_SCENE_WRITE);
	/* The device has written the second and third of five pages. */
	ASSERT_TRUE(rv_wait_for(rv_reclaimed(at, RV_SCENE_CHANGED, at)));
	ASSERT_TRUE(rv_wait_for(rv_reclaimed(at, RV_SCENE_CHANGED,
					  at + 4 * RV_PAGE)));
	ASSERT_RV_OK(rv_scene_complete(&s->e, RV_SCENE_WRITE));
	ASSERT_EQ(0, rv_compare("what the device wrote", b->base + RV_SCENE_OFF,
				rv_buf_shadow(b, RV_SCENE_OFF),
				RV_SCENE_BYTES));
}

/* --- a packet over two regions ------------------------------------------- */

struct two {
	struct rv_buf buf;	/* two regions, and the pages where they meet */
	struct ibv_mr *mr;
	struct rv_remote at;	/* half a packet before they do */
};

static int two_init(struct two *t, struct rv_dev *dev)
{
	int err = rv_buf_alloc_aligned(&t->buf, 2 * RV_HUGE, RV_HUGE);

	if (err)
		return err;
	madvise(t->buf.base, t->buf.len, MADV_NOHUGEPAGE);
	memset(t->buf.base + RV_HUGE - RV_PAGE, 1, 2 * RV_PAGE);
	rv_buf_expect_byte(&t->buf, RV_HUGE - RV_PAGE, 1, 2 * RV_PAGE);
	t->mr = rv_reg_all(dev, &t->buf, RV_ACCESS | RV_ODP);
	if (!t->mr)
		return -errno;
	t->at = RV_REMOTE(t->mr, t->buf.base + RV_HUGE - 2048);
	return 0;
}

static int two_fini(struct two *t)
{
	int err = ibv_dereg_mr(t->mr);

	rv_buf_free(&t->buf);
	return err;
}

/* The second region refuses: the first stays as it is. */
TEST_F_TIMEOUT(scene, all_or_nothing, 120)
{
	struct rv_scene *s = &self->s;
	struct ibv_sge a = rv_ends_sge_a(&s->e, 0, 4096);
	struct rv_qp *qp = &s->e.pair.a;
	uint8_t *second;
	struct two t;
	int i;

	ASSERT_EQ(0, two_init(&t, &s->e.dev));
	second = t.buf.base + RV_HUGE;

	for (i = 0; i < 2; i++) {	/* absent, then resident */
		ASSERT_EQ(0, mprotect(second, RV_PAGE, PROT_READ));
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR, rv_write(qp, &a, 1, t.at));
		ASSERT_EQ(0, mprotect(second, RV_PAGE, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, rv_buf_check(&t.buf));
		ASSERT_EQ(0, rv_pair_again(&s->e.pair));
	}

	/* A change of the second while the first is being entered. */
	rv_race_arm("fault_walked", 1, 10000);
	ASSERT_EQ(0, rv_post_write(qp, &a, 1, t.at));
	ASSERT_EQ(0, rv_race_wait("fault_walked", 1));
	ASSERT_EQ(0, mprotect(second, RV_PAGE, PROT_NONE));
	ASSERT_EQ(0, rv_race_release("fault_walked"));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, rv_wait(qp));
	ASSERT_EQ(0, mprotect(second, RV_PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, rv_buf_check(&t.buf));

	ASSERT_EQ(0, rv_pair_again(&s->e.pair));
	ASSERT_RV_OK(rv_write(qp, &a, 1, t.at));
	rv_buf_expect(&t.buf, RV_HUGE - 2048, rv_buf_shadow(&s->e.mem_a, 0),
		      4096);
	ASSERT_EQ(0, rv_buf_check(&t.buf));
	ASSERT_EQ(0, two_fini(&t));
}

/* Either region's change waits for the copy. */
TEST_F_TIMEOUT(scene, both_hold_up_change, 120)
{
	struct rv_scene *s = &self->s;
	struct ibv_sge a = rv_ends_sge_a(&s->e, 0, 4096);
	struct rv_qp *qp = &s->e.pair.a;
	struct two t;
	int i, held = 0;

	ASSERT_EQ(0, two_init(&t, &s->e.dev));
	for (i = 0; held < 2 && i < 10; i++) {
		size_t off = RV_HUGE - (held ? RV_PAGE : 0);

		memset(t.buf.base + RV_HUGE - RV_PAGE, 1, 2 * RV_PAGE);
		ASSERT_EQ(0, rv_prefetch(t.mr, t.buf.base + RV_HUGE - RV_PAGE,
					 2 * RV_PAGE, 1));
		rv_race_arm("io_both", 1, RV_SCENE_HOLD_MS);
		ASSERT_EQ(0, rv_post_write(qp, &a, 1, t.at));
		ASSERT_EQ(0, rv_race_wait("io_both", 1));
		held += rv_race_held("io_both");
		ASSERT_EQ(0, madvise(t.buf.base + off, RV_PAGE, MADV_DONTNEED));
		EXPECT_EQ(0, rv_race_held("io_both"))
			TH_LOG("the change came back before the copy was done");
		ASSERT_RV_OK(rv_wait(qp));
		rv_buf_expect(&t.buf, RV_HUGE - 2048,
			      rv_buf_shadow(&s->e.mem_a, 0), 4096);
		rv_buf_expect_byte(&t.buf, RV_HUGE - RV_PAGE, 1, 2048);
		rv_buf_expect_byte(&t.buf, RV_HUGE + 2048, 1, 2048);
		rv_buf_expect_byte(&t.buf, off, 0, RV_PAGE);
		ASSERT_EQ(0, rv_buf_check(&t.buf));
	}
	EXPECT_EQ(2, held)
		TH_LOG("always too late");
	ASSERT_EQ(0, two_fini(&t));
}

/* --- what maps nothing is given back, but not under its users ------------- */

/* Longer than the device takes to look for regions that map nothing. */
#define GC_MS	2500

/* Held at @point, a write keeps the region of memory that goes. */
static int keep_region(struct rv_scene *s, const char *point)
{
	uint64_t end;
	int err;

	rv_race_arm(point, 1, 20000);
	err = rv_scene_prepare(s, RV_SCENE_MAP);
	if (!err)
		err = rv_scene_post(&s->e, RV_SCENE_WRITE);
	if (!err)
		err = rv_race_wait(point, 1);
	if (!err)
		err = rv_scene_strike(s, RV_SCENE_MAP);
	for (end = rv_now_ms() + GC_MS; !err && rv_now_ms() < end; rv_pause())
		if (rv_live("regions") < 1)
			err = -ENOENT;
	if (!err)
		err = rv_scene_settle(s, RV_SCENE_MAP);
	if (!err && rv_race_held(point) != 1)
		err = -ETIMEDOUT;
	if (!err)
		err = rv_race_release(point);
	if (!err)
		err = rv_scene_complete(&s->e, RV_SCENE_WRITE);
	if (!err)
		rv_scene_effect(&s->e, RV_SCENE_WRITE);
	return err;
}

TEST_F_TIMEOUT(scene, fault_keeps_region, 120)
{
	struct rv_scene *s = &self->s;

	ASSERT_RV_OK(keep_region(s, "fault_walked"));
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

/* It is found, but not locked yet. */
TEST_F_TIMEOUT(scene, access_keeps_region, 120)
{
	struct rv_scene *s = &self->s;
	uint8_t *at = s->e.mem_b.base + RV_SCENE_CHANGE;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, at, RV_SCENE_CHANGED, 1));
	ASSERT_RV_OK(keep_region(s, "io_found"));
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

RV_DEBUG_HARNESS_MAIN
