// SPDX-License-Identifier: GPL-2.0
/*
 * The races between the device and the process's memory, held open.
 *
 * A thread of the device is held at a race point of a debug build of the
 * module; the process changes its memory; then the device goes on. What the
 * device moves must be what the process sees. docs/races.md has a table of the
 * races and of what guards against each.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"

/* One packet, over a page's end, within the pages that change. */
#define OFF	(3 * RV_PAGE + 504)
#define BYTES	4000
#define CHANGE	(2 * RV_PAGE)
#define CHANGED	(5 * RV_PAGE)
#define SMALL	(64 * 1024)

/* How long to hold what can't be let go; see lib/rv_race.h. */
#define HOLD_MS	700

/* More than the budget of an access. */
#define SLOW_MS	40

enum op { WRITE, READ, SEND, FROM, ADD };

/*
 * DROP	MADV_DONTNEED			MAP	munmap() and a new mapping
 * MOVE	mremap(), and a new mapping	FREE	MADV_FREE and reclaim
 * FORK	copy on write			RO	mprotect(PROT_READ)
 * NONE	mprotect(PROT_NONE)
 */
enum kind { DROP, MAP, MOVE, FREE, FORK, RO, NONE };

struct scene {
	struct rv_ends e;	/* mem_a pinned, mem_b on demand */
	uint8_t *moved;		/* where MOVE has put the pages */
	uint8_t before[CHANGED];
	int child;		/* of FORK */
	int go;			/* tells it to look at its memory */
};

static int scene_init(struct scene *s, bool huge)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20 };
	size_t len = huge ? RV_HUGE : SMALL;
	struct rv_ends *e = &s->e;
	int err;

	err = rv_ends_open(e, &opts, SMALL);
	if (err)
		return err;
	rv_buf_free(&e->mem_b);
	err = rv_buf_alloc_aligned(&e->mem_b, len, RV_HUGE);
	if (err)
		return err;
	madvise(e->mem_b.base, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	rv_buf_fill(&e->mem_b);
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_a && e->mr_b ? 0 : -errno;
}

static void scene_fini(struct scene *s)
{
	rv_race_reset();
	rv_ends_fini(&s->e);
}

static int post(struct scene *s, enum op op)
{
	struct ibv_sge a = rv_ends_sge_a(&s->e, 0, BYTES);
	struct ibv_sge b = rv_ends_sge_b(&s->e, OFF, BYTES);
	struct rv_qp *qa = &s->e.pair.a, *qb = &s->e.pair.b;
	struct rv_remote at = rv_ends_remote(&s->e, OFF);
	int err;

	switch (op) {
	case WRITE:
		return rv_post_write(qa, &a, 1, at);
	case READ:
		return rv_post_read(qa, &a, 1, at);
	case SEND:
		err = rv_post_recv(qb, &b, 1);
		return err ? err : rv_post_send(qa, &a, 1);
	case FROM:
		return rv_post_write(qb, &b, 1,
				     RV_REMOTE(s->e.mr_a, s->e.mem_a.base));
	case ADD:
		a.length = 8;
		return rv_post_fetch_add(qa, &a, at, 12345);
	}
	return -EINVAL;
}

static int complete(struct scene *s, enum op op)
{
	int res = rv_wait(op == FROM ? &s->e.pair.b : &s->e.pair.a);

	if (!res && op == SEND)
		res = rv_wait_recv(&s->e.pair.b, NULL);
	return res;
}

/* What a finished operation leaves in the memory. */
static void effect(struct scene *s, enum op op)
{
	struct rv_buf *a = &s->e.mem_a, *b = &s->e.mem_b;
	uint64_t word;

	switch (op) {
	case WRITE:
	case SEND:
		rv_buf_expect(b, OFF, rv_buf_shadow(a, 0), BYTES);
		break;
	case READ:
	case FROM:
		rv_buf_expect(a, 0, rv_buf_shadow(b, OFF), BYTES);
		break;
	case ADD:
		memcpy(&word, rv_buf_shadow(b, OFF), 8);
		rv_buf_expect(a, 0, &word, 8);
		word += 12345;
		rv_buf_expect(b, OFF, &word, 8);
		break;
	}
}

static bool refused(enum op op, enum kind kind)
{
	return kind == NONE || (kind == RO && op != READ && op != FROM);
}

/* The child looks at its copy, when it is told to, and compares. */
static int fork_copy(struct scene *s)
{
	struct rv_buf *b = &s->e.mem_b;
	int pipes[2];
	char c;

	if (pipe(pipes))
		return -errno;
	s->child = fork();
	if (s->child < 0)
		return -errno;
	if (!s->child) {
		close(pipes[1]);
		if (read(pipes[0], &c, 1) != 1)
			_exit(2);
		_exit(rv_buf_check(b) ? 1 : 0);
	}
	close(pipes[0]);
	s->go = pipes[1];
	return 0;
}

/* The change itself: nothing but system calls. */
static int strike(struct scene *s, enum kind kind)
{
	uint8_t *at = s->e.mem_b.base + CHANGE;
	void *p = at;
	int err = 0;

	switch (kind) {
	case DROP:
		err = madvise(at, CHANGED, MADV_DONTNEED);
		break;
	case FREE:
		err = madvise(at, CHANGED, MADV_FREE);
		err |= madvise(at, CHANGED, MADV_PAGEOUT);
		break;
	case MAP:
		err = munmap(at, CHANGED);
		break;
	case MOVE:
		p = mremap(at, CHANGED, CHANGED, MREMAP_MAYMOVE | MREMAP_FIXED,
			   s->moved);
		break;
	case FORK:
		return fork_copy(s);
	case RO:
		err = mprotect(at, CHANGED, PROT_READ);
		break;
	case NONE:
		err = mprotect(at, CHANGED, PROT_NONE);
		break;
	}
	return err || p == MAP_FAILED ? -errno : 0;
}

/* New contents for what has lost its old ones. */
static int settle(struct scene *s, enum kind kind)
{
	struct rv_buf *b = &s->e.mem_b;
	uint8_t *at = b->base + CHANGE;

	if (kind >= FORK)
		return 0;
	if ((kind == MAP || kind == MOVE) &&
	    mmap(at, CHANGED, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE |
		 MAP_ANONYMOUS, -1, 0) != at)
		return -errno;
	rv_rand_fill(rv_buf_shadow(b, CHANGE), CHANGED);
	memcpy(at, rv_buf_shadow(b, CHANGE), CHANGED);
	return 0;
}

static int prepare(struct scene *s, enum kind kind)
{
	if (kind == MOVE) {
		s->moved = mmap(NULL, CHANGED, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (s->moved == MAP_FAILED)
			return -errno;
	}
	memcpy(s->before, rv_buf_shadow(&s->e.mem_b, CHANGE), CHANGED);
	return 0;
}

/* The pages that are no longer the region's are as they were. */
static int look_elsewhere(struct scene *s, enum kind kind)
{
	int err = 0;

	if (kind == MOVE) {
		err = rv_compare("the pages that were moved away", s->moved,
				 s->before, CHANGED);
		munmap(s->moved, CHANGED);
	} else if (kind == FORK) {
		if (write(s->go, "x", 1) != 1)
			err = -errno;
		close(s->go);
		err |= rv_reap(s->child);
		if (err)
			rv_log("the child sees other bytes (%#x)", err);
	} else if (kind >= RO) {
		err = mprotect(s->e.mem_b.base + CHANGE, CHANGED,
			       PROT_READ | PROT_WRITE);
	}
	return err;
}

/* Whatever was installed in the end, it is not stale. */
static int go_on(struct scene *s)
{
	int err = rv_ends_write(&s->e, 3000, OFF - 100, BYTES);

	rv_rand_fill(rv_buf_shadow(&s->e.mem_b, CHANGE), CHANGED);
	memcpy(s->e.mem_b.base + CHANGE, rv_buf_shadow(&s->e.mem_b, CHANGE),
	       CHANGED);
	return err ? err : rv_ends_read(&s->e, 5000, OFF + 50, BYTES);
}

/* --- a fault is held, the memory changes: the fault must lose ------------ */

FIXTURE(fault)
{
	struct scene s;
};

FIXTURE_VARIANT(fault)
{
	const char *point;
	enum op op;
	enum kind kind;
	bool huge;
	bool slow;	/* use up the access's budget: it ends in a pin */
};

#define FAULT(_name, _point, _op, _kind, _huge)				\
	FIXTURE_VARIANT_ADD(fault, _name)				\
	{								\
		.point = _point, .op = _op, .kind = _kind,		\
		.huge = _huge,						\
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
	.point = "fault_walked", .op = WRITE, .kind = DROP, .slow = true,
};

FIXTURE_VARIANT_ADD(fault, slow_write_fork)
{
	.point = "fault_walked", .op = WRITE, .kind = FORK, .slow = true,
};

FIXTURE_VARIANT_ADD(fault, slow_write_ro)
{
	.point = "fault_walked", .op = WRITE, .kind = RO, .slow = true,
};

FIXTURE_SETUP(fault)
{
	ASSERT_EQ(0, scene_init(&self->s, variant->huge));
}

FIXTURE_TEARDOWN(fault)
{
	scene_fini(&self->s);
}

TEST_F_TIMEOUT(fault, loses, 120)
{
	struct scene *s = &self->s;
	int res;

	ASSERT_EQ(0, prepare(s, variant->kind));
	rv_race_arm(variant->point, 1, 10000);
	ASSERT_EQ(0, post(s, variant->op));
	ASSERT_EQ(0, rv_race_wait(variant->point, 1));
	ASSERT_EQ(0, strike(s, variant->kind));
	ASSERT_EQ(0, settle(s, variant->kind));
	ASSERT_EQ(1, rv_race_held(variant->point));
	if (variant->slow) {
		uint64_t until = rv_now_ms() + SLOW_MS;

		while (rv_now_ms() < until)
			rv_pause();
	}
	ASSERT_EQ(0, rv_race_release(variant->point));

	res = complete(s, variant->op);
	if (refused(variant->op, variant->kind)) {
		EXPECT_RV(IBV_WC_REM_ACCESS_ERR, res);
		ASSERT_EQ(0, rv_pair_again(&s->e.pair));
	} else {
		EXPECT_RV(0, res);
		effect(s, variant->op);
	}
	EXPECT_EQ(0, look_elsewhere(s, variant->kind));
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(go_on(s));
}

/* --- a copy is under way: the change must wait for it -------------------- */

FIXTURE(copy)
{
	struct scene s;
};

FIXTURE_VARIANT(copy)
{
	enum op op;
	enum kind kind;
	bool huge;
};

#define COPY(_name, _op, _kind, _huge)					\
	FIXTURE_VARIANT_ADD(copy, _name)				\
	{								\
		.op = _op, .kind = _kind, .huge = _huge,		\
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
	ASSERT_EQ(0, scene_init(&self->s, variant->huge));
}

FIXTURE_TEARDOWN(copy)
{
	scene_fini(&self->s);
}

/*
 * Hold an operation at a point where it can't be let go, and return while it
 * is held. A slow machine may be too late: then it has done no harm, and is
 * tried again.
 */
static int catch(struct scene *s, enum op op, const char *point)
{
	int i, err;

	for (i = 0; i < 5; i++) {
		rv_race_arm(point, 1, HOLD_MS);
		err = post(s, op);
		if (!err)
			err = rv_race_wait(point, 1);
		if (err || rv_race_held(point) == 1)
			return err;
		err = complete(s, op);
		if (err)
			return err;
		effect(s, op);
	}
	rv_log("%s: always too late", point);
	return -ETIMEDOUT;
}

TEST_F_TIMEOUT(copy, holds_up_change, 120)
{
	struct scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base, b->len, 1));
	ASSERT_EQ(0, catch(s, variant->op, "io_entered"));
	/* it comes first, and what the change keeps must show it */
	effect(s, variant->op);
	ASSERT_EQ(0, prepare(s, variant->kind));
	ASSERT_EQ(0, strike(s, variant->kind));
	EXPECT_EQ(0, rv_race_held("io_entered"))
		TH_LOG("the change came back before the copy was done");
	ASSERT_EQ(0, settle(s, variant->kind));

	EXPECT_RV(0, complete(s, variant->op));
	EXPECT_EQ(0, look_elsewhere(s, variant->kind));
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(go_on(s));
}

/* --- a fault has won and installs: the change must wait, then clear ------ */

FIXTURE(install)
{
	struct scene s;
};

FIXTURE_VARIANT(install)
{
	enum op op;
	enum kind kind;
	bool huge;
};

#define INSTALL(_name, _op, _kind, _huge)				\
	FIXTURE_VARIANT_ADD(install, _name)				\
	{								\
		.op = _op, .kind = _kind, .huge = _huge,		\
	}

INSTALL(write_drop, WRITE, DROP, false);
INSTALL(read_drop, READ, DROP, false);
INSTALL(write_map, WRITE, MAP, false);
INSTALL(write_move, WRITE, MOVE, false);
INSTALL(write_drop_huge, WRITE, DROP, true);

FIXTURE_SETUP(install)
{
	ASSERT_EQ(0, scene_init(&self->s, variant->huge));
}

FIXTURE_TEARDOWN(install)
{
	scene_fini(&self->s);
}

TEST_F_TIMEOUT(install, holds_up_change, 120)
{
	struct scene *s = &self->s;
	int res;

	ASSERT_EQ(0, prepare(s, variant->kind));
	ASSERT_EQ(0, catch(s, variant->op, "fault_checked"));
	ASSERT_EQ(0, strike(s, variant->kind));
	EXPECT_EQ(0, rv_race_held("fault_checked"))
		TH_LOG("the change came back before the install was done");
	ASSERT_EQ(0, settle(s, variant->kind));
	/* it comes before the change, after it, or between: into nothing */
	res = complete(s, variant->op);
	if (variant->kind == DROP)
		EXPECT_RV(0, res);
	if (variant->kind == MOVE)
		munmap(s->moved, CHANGED);
	rv_buf_learn(&s->e.mem_a);
	rv_buf_learn(&s->e.mem_b);
	ASSERT_EQ(0, rv_pair_again(&s->e.pair));
	ASSERT_RV_OK(go_on(s));
}

/* --- an invalidation is under way ---------------------------------------- */

FIXTURE(scene)
{
	struct scene s;
	pthread_t thread;
};

FIXTURE_SETUP(scene)
{
	ASSERT_EQ(0, scene_init(&self->s, false));
}

FIXTURE_TEARDOWN(scene)
{
	scene_fini(&self->s);
}

static void *drop_all(void *arg)
{
	struct scene *s = arg;

	return (void *)(long)strike(s, DROP);
}

/*
 * The entries are still there: the device may use them, and is ordered before
 * the change. A fault nearby waits for the end of the invalidation.
 */
TEST_F_TIMEOUT(scene, invalidation_held, 120)
{
	struct scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;
	struct ibv_sge a = rv_ends_sge_a(&s->e, 0, 100);
	void *res;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base + CHANGE, CHANGED, 1));
	rv_race_arm("invalidate_seq", 1, 3000);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, drop_all, s));
	ASSERT_EQ(0, rv_race_wait("invalidate_seq", 1));

	ASSERT_RV_OK(rv_write(&s->e.pair.a, &a, 1, rv_ends_remote(&s->e, OFF)));
	EXPECT_EQ(1, rv_race_held("invalidate_seq"));
	ASSERT_EQ(0, rv_post_write(&s->e.pair.a, &a, 1,
				   rv_ends_remote(&s->e, 12 * RV_PAGE)));
	EXPECT_RV(-ETIMEDOUT, rv_poll_until(s->e.pair.a.scq, NULL, 50));
	EXPECT_EQ(1, rv_race_held("invalidate_seq"));

	ASSERT_EQ(0, rv_race_release("invalidate_seq"));
	pthread_join(self->thread, &res);
	ASSERT_EQ(NULL, res);
	ASSERT_RV_OK(rv_wait(&s->e.pair.a));
	rv_buf_expect_byte(b, CHANGE, 0, CHANGED);
	rv_buf_expect(b, 12 * RV_PAGE, rv_buf_shadow(&s->e.mem_a, 0), 100);
	ASSERT_EQ(0, rv_ends_check(&s->e));
	ASSERT_RV_OK(go_on(s));
}

/* The region's table is not changed under a copy either. */
TEST_F_TIMEOUT(scene, copy_holds_up_install, 120)
{
	struct scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base + CHANGE, CHANGED, 1));
	ASSERT_EQ(0, catch(s, READ, "io_entered"));
	effect(s, READ);
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base + 12 * RV_PAGE, RV_PAGE,
				 1));
	EXPECT_EQ(0, rv_race_held("io_entered"))
		TH_LOG("the table has changed before the copy was done");
	EXPECT_RV(0, complete(s, READ));
	ASSERT_EQ(0, rv_ends_check(&s->e));
}

/* --- copies share a region ------------------------------------------------ */

/* While one queue pair's copy is under way, another's come and go. */
TEST_F_TIMEOUT(scene, copies_together, 120)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20 };
	struct scene *s = &self->s;
	struct rv_buf *a = &s->e.mem_a, *b = &s->e.mem_b;
	struct ibv_sge out = rv_ends_sge_a(&s->e, 5000, 2000);
	struct ibv_sge in = rv_ends_sge_a(&s->e, 8000, 2000);
	struct rv_pair other;

	ASSERT_EQ(0, rv_pair_init(&other, &s->e.dev, &opts));
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, b->base, b->len, 1));
	rv_race_arm("io_entered", 1, 5000);
	ASSERT_EQ(0, post(s, WRITE));
	ASSERT_EQ(0, rv_race_wait("io_entered", 1));

	/* into a page of the copy that is held, and far from it */
	EXPECT_RV(0, rv_write(&other.a, &out, 1,
			      rv_ends_remote(&s->e, OFF + BYTES)));
	EXPECT_RV(0, rv_read(&other.a, &in, 1,
			     rv_ends_remote(&s->e, 12 * RV_PAGE)));
	EXPECT_EQ(1, rv_race_held("io_entered"))
		TH_LOG("copies in one region wait for each other");
	rv_buf_expect(b, OFF + BYTES, rv_buf_shadow(a, 5000), 2000);
	rv_buf_expect(a, 8000, rv_buf_shadow(b, 12 * RV_PAGE), 2000);

	ASSERT_EQ(0, rv_race_release("io_entered"));
	EXPECT_RV(0, complete(s, WRITE));
	effect(s, WRITE);
	ASSERT_EQ(0, rv_ends_check(&s->e));
	rv_pair_fini(&other);
	ASSERT_RV_OK(go_on(s));
}

/* --- what is written is dirty -------------------------------------------- */

/* An entry that is good for reading is not good for writing. */
TEST_F_TIMEOUT(scene, read_only_entry, 120)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, strike(s, FORK));
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, s->e.mem_b.base + CHANGE, CHANGED,
				 0));
	ASSERT_RV_OK(rv_ends_read(&s->e, 0, OFF, BYTES));
	ASSERT_RV_OK(rv_ends_write(&s->e, 100, OFF, BYTES));
	ASSERT_EQ(0, look_elsewhere(s, FORK));
	ASSERT_EQ(0, rv_ends_check(&s->e));
}

/* Of a huge mapping that loses one page, nothing is used on. */
TEST_F_TIMEOUT(scene, huge_loses_page, 120)
{
	struct scene *s = &self->s;
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
	struct scene *s = &self->s;

	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, s->e.mem_b.base + 3 * RV_PAGE,
				 RV_PAGE, 1));
	ASSERT_RV_OK(rv_ends_write(&s->e, 100, OFF, BYTES));
	ASSERT_RV_OK(go_on(s));
}

/* Reclaim works in its own time: ask until it has taken a page. */
static bool reclaimed(uint8_t *base, size_t len, uint8_t *page)
{
	madvise(base, len, MADV_PAGEOUT);
	return rv_pages(page, RV_PAGE, PAGE_IS_PRESENT) == 0;
}

TEST_F_TIMEOUT(scene, keeps_dirty, 120)
{
	struct scene *s = &self->s;
	struct rv_buf *b = &s->e.mem_b;
	uint8_t *at = b->base + CHANGE;

	/*
	 * Free for the taking: writable, clean, and mapped by the device. For
	 * that the pages must be on their list, not on the way there.
	 */
	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_EQ(0, madvise(at, CHANGED, MADV_FREE));
	ASSERT_EQ(0, rv_put("/proc/sys/vm/drop_caches", "1"));
	ASSERT_EQ(0, rv_prefetch(s->e.mr_b, at, CHANGED, 1));
	ASSERT_EQ(0, catch(s, WRITE, "io_entered"));
	effect(s, WRITE);
	/* The device has written the second and third of five pages. */
	ASSERT_TRUE(rv_wait_for(reclaimed(at, CHANGED, at)));
	ASSERT_TRUE(rv_wait_for(reclaimed(at, CHANGED, at + 4 * RV_PAGE)));
	ASSERT_RV_OK(complete(s, WRITE));
	ASSERT_EQ(0, rv_compare("what the device wrote", b->base + OFF,
				rv_buf_shadow(b, OFF), BYTES));
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
	struct scene *s = &self->s;
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
	struct scene *s = &self->s;
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
		rv_race_arm("io_both", 1, HOLD_MS);
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

RV_DEBUG_HARNESS_MAIN
