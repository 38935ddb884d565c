// SPDX-License-Identifier: GPL-2.0
/*
 * The races between the device and the process's memory, held open.
 *
 * A thread of the device is held at a race point of a debug build of the
 * module; the process changes its memory; then the device goes on. What the
 * device moves must be what the process sees. docs/races.md has a table of the
 * races and of what guards against each.
 */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"
#include "lib/rv_scene.h"

/* More than the budget of an access. */
#define SLOW_MS	40

/* --- a fault is held, the memory changes: the fault must lose ------------ */

FIXTURE(fault)
{
	struct rv_scene s;
};

FIXTURE_VARIANT(fault)
{
	const char *point;
	enum rv_scene_op op;
	enum rv_scene_kind kind;
	bool huge;
	bool slow;	/* use up the access's budget: it ends in a pin */
	bool touch;	/* of a missing page, which is faulted in without a look */
};

#define FAULT(_name, _point, _op, _kind, _huge)				\
	FIXTURE_VARIANT_ADD(fault, _name)				\
	{								\
		.point = _point, .op = RV_SCENE_##_op,			\
		.kind = RV_SCENE_##_kind, .huge = _huge,		\
	}

FAULT(begun_write_drop, "fault_begun", WRITE, DROP, false);
FAULT(begun_write_map, "fault_begun", WRITE, MAP, false);
FAULT(begun_write_fork, "fault_begun", WRITE, FORK, false);
FAULT(begun_write_ro, "fault_begun", WRITE, RO, false);
FAULT(begun_read_drop, "fault_begun", READ, DROP, false);
FAULT(begun_read_none, "fault_begun", READ, NONE, false);
FAULT(begun_write_drop_huge, "fault_begun", WRITE, DROP, true);
FAULT(walked_write_drop, "fault_walked", WRITE, DROP, false);
FAULT(walked_write_map, "fault_walked", WRITE, MAP, false);
FAULT(walked_write_move, "fault_walked", WRITE, MOVE, false);
FAULT(walked_write_free, "fault_walked", WRITE, FREE, false);
FAULT(walked_write_fork, "fault_walked", WRITE, FORK, false);
FAULT(walked_write_ro, "fault_walked", WRITE, RO, false);
FAULT(walked_write_none, "fault_walked", WRITE, NONE, false);
FAULT(walked_read_drop, "fault_walked", READ, DROP, false);
FAULT(walked_read_map, "fault_walked", READ, MAP, false);
FAULT(walked_read_move, "fault_walked", READ, MOVE, false);
FAULT(walked_read_free, "fault_walked", READ, FREE, false);
FAULT(walked_read_fork, "fault_walked", READ, FORK, false);
FAULT(walked_read_ro, "fault_walked", READ, RO, false);
FAULT(walked_read_none, "fault_walked", READ, NONE, false);
FAULT(walked_send_drop, "fault_walked", SEND, DROP, false);
FAULT(walked_send_fork, "fault_walked", SEND, FORK, false);
FAULT(walked_from_drop, "fault_walked", FROM, DROP, false);
FAULT(walked_add_drop, "fault_walked", ADD, DROP, false);
FAULT(walked_add_fork, "fault_walked", ADD, FORK, false);
FAULT(walked_write_drop_huge, "fault_walked", WRITE, DROP, true);
FAULT(walked_write_map_huge, "fault_walked", WRITE, MAP, true);
FAULT(walked_write_move_huge, "fault_walked", WRITE, MOVE, true);
FAULT(walked_write_fork_huge, "fault_walked", WRITE, FORK, true);
FAULT(walked_write_ro_huge, "fault_walked", WRITE, RO, true);
FAULT(walked_read_drop_huge, "fault_walked", READ, DROP, true);

FIXTURE_VARIANT_ADD(fault, slow_write_drop)
{
	.point = "fault_walked", .op = RV_SCENE_WRITE, .kind = RV_SCENE_DROP,
	.slow = true,
};

FIXTURE_VARIANT_ADD(fault, slow_write_fork)
{
	.point = "fault_walked", .op = RV_SCENE_WRITE, .kind = RV_SCENE_FORK,
	.slow = true,
};

FIXTURE_VARIANT_ADD(fault, slow_write_ro)
{
	.point = "fault_walked", .op = RV_SCENE_WRITE, .kind = RV_SCENE_RO,
	.slow = true,
};

#define TOUCH(_name, _kind)						\
	FIXTURE_VARIANT_ADD(fault, _name)				\
	{								\
		.point = "fault_walked", .op = RV_SCENE_ADD,		\
		.kind = RV_SCENE_##_kind, .touch = true,		\
	}

TOUCH(touch_add_drop, DROP);
TOUCH(touch_add_map, MAP);
TOUCH(touch_add_move, MOVE);
TOUCH(touch_add_fork, FORK);
TOUCH(touch_add_ro, RO);

FIXTURE_SETUP(fault)
{
	ASSERT_EQ(0, rv_scene_init(&self->s, variant->huge));
}

FIXTURE_TEARDOWN(fault)
{
	rv_scene_fini(&self->s);
}

/* A fault of the same region finds its page missing, so the next one expects that. */
static int expect_missing(struct rv_scene *s)
{
	struct rv_buf *b = &s->e.mem_b;
	size_t off = RV_SCENE_CHANGE;

	if (madvise(b->base + off, b->len - off, MADV_DONTNEED))
		return -errno;
	rv_buf_expect_byte(b, off, 0, b->len - off);
	return rv_ends_write(&s->e, 3000, 12 * RV_PAGE, 100);
}

TEST_F_TIMEOUT(fault, loses, 120)
{
	struct rv_scene *s = &self->s;
	int res;

	if (variant->touch)
		ASSERT_RV_OK(expect_missing(s));
	ASSERT_EQ(0, rv_scene_prepare(s, variant->kind));
	rv_race_arm(variant->point, 1, 10000);
	ASSERT_EQ(0, rv_scene_post(&s->e, variant->op));
	ASSERT_EQ(0, rv_race_wait(variant->point, 1));
	ASSERT_EQ(0, rv_scene_strike(s, variant->kind));
	ASSERT_EQ(0, rv_scene_settle(s, variant->kind));
	ASSERT_EQ(1, rv_race_held(variant->point));
	if (variant->slow) {
		uint64_t until = rv_now_ms() + SLOW_MS;

		while (rv_now_ms() < until)
			rv_pause();
	}
	ASSERT_EQ(0, rv_race_release(variant->point));

	res = rv_scene_complete(&s->e, variant->op);
	if (rv_scene_refused(variant->op, variant->kind)) {
		EXPECT_RV(IBV_WC_REM_ACCESS_ERR, res);
		ASSERT_EQ(0, rv_pair_again(&s->e.pair));
	} else {
		EXPECT_RV(0, res);
		rv_scene_effect(&s->e, variant->op);
	}
	EXPECT_EQ(0, rv_scene_look_elsewhere(s, variant->kind));
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

/* --- a copy is under way: the change must wait for it -------------------- */

FIXTURE(copy)
{
	struct rv_scene s;
};

FIXTURE_VARIANT(copy)
{
	enum rv_scene_op op;
	enum rv_scene_kind kind;
	bool huge;
};

#define COPY(_name, _op, _kind, _huge)					\
	FIXTURE_VARIANT_ADD(copy, _name)				\
	{								\
		.op = RV_SCENE_##_op, .kind = RV_SCENE_##_kind,		\
		.huge = _huge,						\
	}

COPY(write_drop, WRITE, DROP, false);
COPY(write_map, WRITE, MAP, false);
COPY(write_move, WRITE, MOVE, false);
COPY(write_fork, WRITE, FORK, false);
COPY(write_ro, WRITE, RO, false);
COPY(write_none, WRITE, NONE, false);
COPY(read_drop, READ, DROP, false);
COPY(read_free, READ, FREE, false);
COPY(read_none, READ, NONE, false);
COPY(send_drop, SEND, DROP, false);
COPY(from_map, FROM, MAP, false);
COPY(add_fork, ADD, FORK, false);
COPY(write_drop_huge, WRITE, DROP, true);
COPY(write_fork_huge, WRITE, FORK, true);
COPY(read_map_huge, READ, MAP, true);

FIXTURE_SETUP(copy)
{
	ASSERT_EQ(0, rv_scene_init(&self->s, variant->huge));
}

FIXTURE_TEARDOWN(copy)
{
	rv_scene_fini(&self->s);
}

TEST_F_TIMEOUT(copy, holds_up_change, 120)
{
	struct rv_scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base, b->len, 1));
	ASSERT_EQ(0, rv_scene_catch(s, variant->op, "io_entered"));
	/* it comes first, and what the change keeps must show it */
	rv_scene_effect(&s->e, variant->op);
	ASSERT_EQ(0, rv_scene_prepare(s, variant->kind));
	ASSERT_EQ(0, rv_scene_strike(s, variant->kind));
	EXPECT_EQ(0, rv_race_held("io_entered"))
		TH_LOG("the change came back before the copy was done");
	ASSERT_EQ(0, rv_scene_settle(s, variant->kind));

	EXPECT_RV(0, rv_scene_complete(&s->e, variant->op));
	EXPECT_EQ(0, rv_scene_look_elsewhere(s, variant->kind));
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

/* --- a fault has won and installs: the change must wait, then clear ------ */

FIXTURE(install)
{
	struct rv_scene s;
};

FIXTURE_VARIANT(install)
{
	enum rv_scene_op op;
	enum rv_scene_kind kind;
	bool huge;
};

#define INSTALL(_name, _op, _kind, _huge)				\
	FIXTURE_VARIANT_ADD(install, _name)				\
	{								\
		.op = RV_SCENE_##_op, .kind = RV_SCENE_##_kind,		\
		.huge = _huge,						\
	}

INSTALL(write_drop, WRITE, DROP, false);
INSTALL(read_drop, READ, DROP, false);
INSTALL(write_map, WRITE, MAP, false);
INSTALL(write_move, WRITE, MOVE, false);
INSTALL(write_drop_huge, WRITE, DROP, true);

FIXTURE_SETUP(install)
{
	ASSERT_EQ(0, rv_scene_init(&self->s, variant->huge));
}

FIXTURE_TEARDOWN(install)
{
	rv_scene_fini(&self->s);
}

TEST_F_TIMEOUT(install, holds_up_change, 120)
{
	struct rv_scene *s = &self->s;
	int res;

	ASSERT_EQ(0, rv_scene_prepare(s, variant->kind));
	ASSERT_EQ(0, rv_scene_catch(s, variant->op, "fault_checked"));
	ASSERT_EQ(0, rv_scene_strike(s, variant->kind));
	EXPECT_EQ(0, rv_race_held("fault_checked"))
		TH_LOG("the change came back before the install was done");
	ASSERT_EQ(0, rv_scene_settle(s, variant->kind));
	/* it comes before the change, after it, or between: into nothing */
	res = rv_scene_complete(&s->e, variant->op);
	if (variant->kind == RV_SCENE_DROP)
		EXPECT_RV(0, res);
	if (variant->kind == RV_SCENE_MOVE)
		munmap(s->moved, RV_SCENE_CHANGED);
	rv_buf_learn(&s->e.mem_a);
	rv_buf_learn(&s->e.mem_b);
	ASSERT_EQ(0, rv_pair_again(&s->e.pair));
	ASSERT_RV_OK(rv_scene_go_on(s));
}

RV_DEBUG_HARNESS_MAIN
