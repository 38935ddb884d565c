// SPDX-License-Identifier: GPL-2.0
/*
 * The races between the device's accesses and memory that moves to the device
 * or away from it, held open. docs/races.md has a table of the races and of
 * what guards against each.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <pthread.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"
#include "lib/rv_scene.h"

#define SIZE_FILE	"/sys/class/infiniband/rxe0/hmm/memory_size"
#define USED_FILE	"/sys/class/infiniband/rxe0/hmm/memory_used"
#define DEVICE		RXE_HMM_PLACE_DEVICE
#define SYSTEM		RXE_HMM_PLACE_SYSTEM

#define LEN	(64 * 1024)

/* PROMOTE and DEMOTE by request, TOUCH by the CPU, EVICT for lack of room. */
enum way { PROMOTE, DEMOTE, TOUCH, EVICT };

struct scene {
	struct rv_ends e;	/* mem_a pinned, mem_b on demand */
	pthread_t thread;
	enum way way;
	int result;		/* of the move */
};

static int scene_init(struct scene *s)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20 };
	struct rv_ends *e = &s->e;
	int err;

	err = rv_put(SIZE_FILE, "8M");
	if (err)
		return err;
	err = rv_ends_open(e, &opts, LEN);
	if (err)
		return err;
	madvise(e->mem_b.map, e->mem_b.map_len, MADV_NOHUGEPAGE);
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_a && e->mr_b ? 0 : -errno;
}

static int scene_fini(struct scene *s)
{
	int64_t used;

	rv_race_reset();
	rv_ends_fini(&s->e);
	used = rv_get(USED_FILE, NULL);
	if (used)
		rv_log("%lld bytes are still on the device", (long long)used);
	return used ? -EBUSY : rv_put(SIZE_FILE, "0");
}

static int request(struct scene *s, int place)
{
	struct rxe_hmm_migrate_resp resp;
	int err = rv_hmm_migrate(s->e.mr_b, 0, LEN, place, &resp);

	if (err)
		return err;
	if (rv_hmm_total(&resp) != LEN / RV_PAGE)
		return -EBADMSG;
	return resp.moved + resp.already == LEN / RV_PAGE ? 0 : -EAGAIN;
}

static int move(struct scene *s, enum way way)
{
	volatile uint8_t *byte = s->e.mem_b.base + RV_SCENE_OFF;

	switch (way) {
	case PROMOTE:
		return request(s, DEVICE);
	case DEMOTE:
		return request(s, SYSTEM);
	case TOUCH:
		(void)*byte;
		return 0;
	case EVICT:
		return rv_put(SIZE_FILE, "0");
	}
	return -EINVAL;
}

static void *mover(void *arg)
{
	struct scene *s = arg;

	s->result = move(s, s->way);
	return NULL;
}

/* The memory is where it is to be moved from, and the mirror knows it. */
static int prepare(struct scene *s, enum way way)
{
	int err = way == PROMOTE ? 0 : request(s, DEVICE);

	if (!err)
		err = rv_prefetch(s->e.mr_b, s->e.mem_b.base, LEN, 1);
	return err;
}

/* Move it in the background, and return while the move is held. */
static int hold_move(struct scene *s, enum way way, const char *point)
{
	int err;

	s->way = way;
	rv_race_arm(point, 1, 10000);
	err = pthread_create(&s->thread, NULL, mover, s);
	return err ? -err : rv_race_wait(point, 1);
}

static int end_move(struct scene *s, const char *point)
{
	int err = rv_race_release(point);

	pthread_join(s->thread, NULL);
	return err ? err : s->result;
}

/* Wherever it is now, everybody sees the same. */
static int go_on(struct scene *s)
{
	int err = rv_ends_read(&s->e, 5000, RV_SCENE_OFF + 50, RV_SCENE_BYTES);

	return err ? err : rv_ends_write(&s->e, 3000, RV_SCENE_OFF - 100,
					 RV_SCENE_BYTES);
}

FIXTURE(moving)
{
	struct scene s;
};

FIXTURE_VARIANT(moving)
{
	const char *point;
	enum way way;
	enum rv_scene_op op;
};

#define MOVING(_name, _point, _way, _op)				\
	FIXTURE_VARIANT_ADD(moving, _name)				\
	{								\
		.point = _point, .way = _way, .op = RV_SCENE_##_op,	\
	}

MOVING(promote_setup_write, "migrate_setup", PROMOTE, WRITE);
MOVING(promote_setup_read, "migrate_setup", PROMOTE, READ);
MOVING(promote_setup_add, "migrate_setup", PROMOTE, ADD);
MOVING(promote_copied_write, "migrate_copied", PROMOTE, WRITE);
MOVING(promote_copied_read, "migrate_copied", PROMOTE, READ);
MOVING(promote_copied_add, "migrate_copied", PROMOTE, ADD);
MOVING(demote_setup_write, "migrate_setup", DEMOTE, WRITE);
MOVING(demote_setup_read, "migrate_setup", DEMOTE, READ);
MOVING(demote_copied_write, "migrate_copied", DEMOTE, WRITE);
MOVING(demote_copied_read, "migrate_copied", DEMOTE, READ);
MOVING(demote_copied_add, "migrate_copied", DEMOTE, ADD);
MOVING(touch_setup_write, "migrate_setup", TOUCH, WRITE);
MOVING(touch_setup_read, "migrate_setup", TOUCH, READ);
MOVING(evict_setup_write, "migrate_setup", EVICT, WRITE);
MOVING(evict_setup_read, "migrate_setup", EVICT, READ);

FIXTURE_SETUP(moving)
{
	ASSERT_EQ(0, scene_init(&self->s));
}

FIXTURE_TEARDOWN(moving)
{
	EXPECT_EQ(0, scene_fini(&self->s));
}

/* While a page is on its way nothing reaches it; what comes, comes after. */
TEST_F_TIMEOUT(moving, holds_up_access, 120)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, prepare(s, variant->way));
	ASSERT_EQ(0, hold_move(s, variant->way, variant->point));
	ASSERT_EQ(0, rv_scene_post(&s->e, variant->op));
	EXPECT_RV(-ETIMEDOUT, rv_poll_until(s->e.pair.a.scq, NULL, 100));
	ASSERT_EQ(1, rv_race_held(variant->point));
	ASSERT_EQ(0, end_move(s, variant->point));

	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_scene_effect(&s->e, variant->op);
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(go_on(s));
}

/* --- an access is under way when memory moves ----------------------------- */

FIXTURE(access)
{
	struct scene s;
};

FIXTURE_VARIANT(access)
{
	enum way way;
	enum rv_scene_op op;
};

#define ACCESS(_name, _way, _op)					\
	FIXTURE_VARIANT_ADD(access, _name)				\
	{								\
		.way = _way, .op = RV_SCENE_##_op,			\
	}

ACCESS(promote_write, PROMOTE, WRITE);
ACCESS(promote_read, PROMOTE, READ);
ACCESS(promote_add, PROMOTE, ADD);
ACCESS(demote_write, DEMOTE, WRITE);
ACCESS(demote_read, DEMOTE, READ);
ACCESS(touch_write, TOUCH, WRITE);
ACCESS(touch_add, TOUCH, ADD);
ACCESS(evict_write, EVICT, WRITE);

FIXTURE_SETUP(access)
{
	ASSERT_EQ(0, scene_init(&self->s));
}

FIXTURE_TEARDOWN(access)
{
	EXPECT_EQ(0, scene_fini(&self->s));
}

/* The move waits for a copy, and takes along what that has written. */
TEST_F_TIMEOUT(access, holds_up_move, 120)
{
	struct scene *s = &self->s;
	int64_t held = 0;
	int i;

	/* a slow machine may be too late: then there was no harm */
	for (i = 0; i < 5 && !held; i++) {
		ASSERT_EQ(0, prepare(s, variant->way));
		rv_race_arm("io_entered", 1, RV_SCENE_HOLD_MS);
		ASSERT_EQ(0, rv_scene_post(&s->e, variant->op));
		ASSERT_EQ(0, rv_race_wait("io_entered", 1));
		held = rv_race_held("io_entered");
		ASSERT_EQ(0, move(s, variant->way));
		EXPECT_EQ(0, rv_race_held("io_entered"))
			TH_LOG("it has moved before the copy was done");
		ASSERT_RV_OK(rv_wait(&s->e.pair.a));
		rv_scene_effect(&s->e, variant->op);
		ASSERT_EQ(0, rv_ends_check(&s->e));
		ASSERT_EQ(0, rv_put(SIZE_FILE, "8M"));
	}
	EXPECT_EQ(1, held)
		TH_LOG("always too late");
	ASSERT_RV_OK(go_on(s));
}

/* Have the mirror forget the memory, which stays where it is. */
static int forget(struct scene *s)
{
	uint8_t *base = s->e.mem_b.base, *other;

	other = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (other == MAP_FAILED ||
	    mremap(base, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, other) != other ||
	    mremap(other, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, base) != base)
		return -errno;
	return 0;
}

/*
 * Move it while a fault is held, which keeps the device's memory: that goes in
 * the background, when the pages have left it.
 */
static int move_under_fault(struct scene *s, enum way way)
{
	int err;

	if (way != EVICT)
		return move(s, way);
	s->way = way;
	err = pthread_create(&s->thread, NULL, mover, s);
	if (err)
		return -err;
	return rv_wait_for(!rv_get(USED_FILE, NULL)) ? 0 : -ETIMEDOUT;
}

static int moved_under_fault(struct scene *s, enum way way)
{
	if (way != EVICT)
		return 0;
	pthread_join(s->thread, NULL);
	return s->result;
}

/* A fault has seen the old place: it loses. */
TEST_F_TIMEOUT(access, loses_to_move, 120)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, prepare(s, variant->way));
	ASSERT_EQ(0, forget(s));
	rv_race_arm("fault_walked", 1, 10000);
	ASSERT_EQ(0, rv_scene_post(&s->e, variant->op));
	ASSERT_EQ(0, rv_race_wait("fault_walked", 1));
	ASSERT_EQ(0, move_under_fault(s, variant->way));
	ASSERT_EQ(1, rv_race_held("fault_walked"));
	ASSERT_EQ(0, rv_race_release("fault_walked"));
	ASSERT_EQ(0, moved_under_fault(s, variant->way));
	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_scene_effect(&s->e, variant->op);
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(go_on(s));
}

/* --- memory that changes while it moves ----------------------------------- */

FIXTURE(changing)
{
	struct scene s;
};

FIXTURE_VARIANT(changing)
{
	const char *point;
	enum way way;
};

#define CHANGING(_name, _point, _way)					\
	FIXTURE_VARIANT_ADD(changing, _name)				\
	{								\
		.point = _point, .way = _way,				\
	}

CHANGING(promote_setup, "migrate_setup", PROMOTE);
CHANGING(promote_copied, "migrate_copied", PROMOTE);
CHANGING(demote_setup, "migrate_setup", DEMOTE);
CHANGING(demote_copied, "migrate_copied", DEMOTE);
CHANGING(evict_setup, "migrate_setup", EVICT);

FIXTURE_SETUP(changing)
{
	ASSERT_EQ(0, scene_init(&self->s));
}

FIXTURE_TEARDOWN(changing)
{
	EXPECT_EQ(0, scene_fini(&self->s));
}

/* Pages are given back meanwhile: what was moved is not seen again. */
TEST_F_TIMEOUT(changing, pages_dropped, 120)
{
	struct scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;
	uint8_t *at = b->base + 2 * RV_PAGE;
	int res;

	ASSERT_EQ(0, prepare(s, variant->way));
	ASSERT_EQ(0, hold_move(s, variant->way, variant->point));
	ASSERT_EQ(0, madvise(at, 5 * RV_PAGE, MADV_DONTNEED));
	ASSERT_EQ(1, rv_race_held(variant->point));
	res = end_move(s, variant->point);
	/* not all pages were there to be moved */
	EXPECT_TRUE(!res || res == -EAGAIN);
	rv_buf_expect_byte(b, 2 * RV_PAGE, 0, 5 * RV_PAGE);
	ASSERT_RV_OK(rv_ends_read(&s->e, 0, RV_SCENE_OFF, RV_SCENE_BYTES));

	memset(at, 0x5a, 5 * RV_PAGE);
	rv_buf_expect_byte(b, 2 * RV_PAGE, 0x5a, 5 * RV_PAGE);
	ASSERT_RV_OK(rv_ends_read(&s->e, 0, RV_SCENE_OFF, RV_SCENE_BYTES));
	ASSERT_RV_OK(go_on(s));
}

/* --- the device's memory goes while a fault has seen it -------------------- */

FIXTURE(seen)
{
	struct scene s;
};

FIXTURE_SETUP(seen)
{
	ASSERT_EQ(0, scene_init(&self->s));
}

FIXTURE_TEARDOWN(seen)
{
	EXPECT_EQ(0, scene_fini(&self->s));
}

/* The pages go, what describes them waits for the fault. */
TEST_F_TIMEOUT(seen, memory_goes, 120)
{
	struct scene *s = &self->s;
	uint64_t end;

	ASSERT_EQ(0, request(s, DEVICE));
	rv_race_arm("fault_walked", 1, 20000);
	ASSERT_EQ(0, rv_scene_post(&s->e, RV_SCENE_WRITE));
	ASSERT_EQ(0, rv_race_wait("fault_walked", 1));
	ASSERT_EQ(0, move_under_fault(s, EVICT));
	for (end = rv_now_ms() + RV_SCENE_HOLD_MS; rv_now_ms() < end; rv_pause())
		ASSERT_LT(0, rv_live("chunks"));
	ASSERT_EQ(1, rv_race_held("fault_walked"));
	ASSERT_EQ(0, rv_race_release("fault_walked"));
	ASSERT_EQ(0, moved_under_fault(s, EVICT));
	ASSERT_EQ(0, rv_live("chunks"));
	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_scene_effect(&s->e, RV_SCENE_WRITE);
	ASSERT_EQ(0, rv_ends_check(&s->e));
}

/* Hold the fault of a read that has looked at memory and found nothing there. */
static int see_nothing(struct scene *s)
{
	int err = madvise(s->e.mem_b.base, LEN, MADV_DONTNEED) ? -errno : 0;

	rv_buf_expect_byte(&s->e.mem_b, 0, 0, LEN);
	rv_race_arm("fault_looked", 1, 10000);
	if (!err)
		err = rv_scene_post(&s->e, RV_SCENE_READ);
	return err ? err : rv_race_wait("fault_looked", 1);
}

/* It comes to the device before the fault goes on, and stays there. */
static void come_to_device(struct __test_metadata *_metadata, struct scene *s)
{
	ASSERT_EQ(0, move(s, PROMOTE));
	ASSERT_EQ(1, rv_race_held("fault_looked"));
	ASSERT_EQ(0, rv_race_release("fault_looked"));
	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_scene_effect(&s->e, RV_SCENE_READ);
	EXPECT_EQ(LEN, rv_get(USED_FILE, NULL));
	ASSERT_EQ(0, rv_ends_check(&s->e));
}

TEST_F_TIMEOUT(seen, comes_to_device, 120)
{
	struct scene *s = &self->s;

	ASSERT_RV_OK(see_nothing(s));
	come_to_device(_metadata, s);
}

/* Have the fault go on to another point, in its next try. */
static int go_on_to(const char *from, const char *to)
{
	int err;

	rv_race_arm(to, 1, 10000);
	err = rv_race_release(from);
	return err ? err : rv_race_wait(to, 1);
}

/* The same once more: it was dropped, and comes again after the second look. */
TEST_F_TIMEOUT(seen, comes_to_device_again, 120)
{
	struct scene *s = &self->s;

	ASSERT_RV_OK(see_nothing(s));
	ASSERT_EQ(0, move(s, PROMOTE));
	ASSERT_EQ(0, go_on_to("fault_looked", "fault_begun"));
	ASSERT_EQ(0, madvise(s->e.mem_b.base, LEN, MADV_DONTNEED));
	/* this look has lost, and the next one finds nothing */
	ASSERT_EQ(0, go_on_to("fault_begun", "fault_looked"));
	ASSERT_EQ(0, go_on_to("fault_looked", "fault_begun"));
	ASSERT_EQ(0, go_on_to("fault_begun", "fault_looked"));
	come_to_device(_metadata, s);
}

/* --- what is written on the device is dirty ------------------------------- */

FIXTURE(dirty)
{
	struct scene s;
};

FIXTURE_VARIANT(dirty)
{
	enum way way;
};

FIXTURE_VARIANT_ADD(dirty, demote)
{
	.way = DEMOTE,
};

FIXTURE_VARIANT_ADD(dirty, touch)
{
	.way = TOUCH,
};

FIXTURE_VARIANT_ADD(dirty, evict)
{
	.way = EVICT,
};

FIXTURE_SETUP(dirty)
{
	ASSERT_EQ(0, scene_init(&self->s));
}

FIXTURE_TEARDOWN(dirty)
{
	EXPECT_EQ(0, scene_fini(&self->s));
}

/*
 * Pages that are free for the taking come to the device; it writes two of
 * five; they come back. Reclaim may take the others, and has to keep these.
 */
TEST_F_TIMEOUT(dirty, survives_reclaim, 120)
{
	struct scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;
	uint8_t *at = b->base + 2 * RV_PAGE;
	size_t len = 5 * RV_PAGE;

	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_EQ(0, madvise(at, len, MADV_FREE));
	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_EQ(0, request(s, DEVICE));
	ASSERT_EQ(0, rv_scene_post(&s->e, RV_SCENE_WRITE));
	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_scene_effect(&s->e, RV_SCENE_WRITE);
	ASSERT_EQ(0, move(s, variant->way));
	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_TRUE(rv_wait_for(rv_reclaimed(at, len, at)));
	ASSERT_TRUE(rv_wait_for(rv_reclaimed(at, len, at + 4 * RV_PAGE)));
	ASSERT_EQ(0, rv_compare("what the device wrote", b->base + RV_SCENE_OFF,
				rv_buf_shadow(b, RV_SCENE_OFF), RV_SCENE_BYTES));
}

RV_DEBUG_HARNESS_MAIN
