// SPDX-License-Identifier: GPL-2.0
/*
 * The races between the lives of things, held open: regions, queue pairs and
 * processes go while a fault is under way, things are made twice at once.
 * Nothing goes before its last user, nothing is made twice, nothing is left.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"

#define LEN		(64 * 1024)
#define REGIONS		4
#define REGION_PAGES	512

/* How long to look whether something happens that must not. */
#define GLIMPSE_MS	100

static const char * const kinds[] = {
	"mirrors", "windows", "regions", "tables", "mrs", "advises",
};

struct census {
	int64_t n[ARRAY_SIZE(kinds)];
};

static void count_live(struct census *c)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		c->n[i] = rv_live(kinds[i]);
}

/* Everything made since has gone. */
static int all_gone(const struct census *c)
{
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (rv_wait_for(rv_live(kinds[i]) <= c->n[i]))
			continue;
		rv_log("%s: %lld, and %lld before", kinds[i],
		       (long long)rv_live(kinds[i]), (long long)c->n[i]);
		err = -1;
	}
	return err;
}

static bool within(uint64_t ms, bool (*happens)(void *), void *arg)
{
	uint64_t end = rv_now_ms() + ms;

	while (rv_now_ms() < end) {
		if (happens(arg))
			return true;
		rv_pause();
	}
	return false;
}

static const struct rv_opts opts = { .mtu = 4096, .timeout = 20 };

FIXTURE(lives)
{
	struct census before;
	struct rv_ends e;
};

FIXTURE_SETUP(lives)
{
	count_live(&self->before);
	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, 0, RV_ODP));
}

FIXTURE_TEARDOWN(lives)
{
	rv_race_reset();
	rv_ends_fini(&self->e);
	EXPECT_EQ(0, all_gone(&self->before));
}

static int post_write(struct rv_ends *e, size_t off, size_t len)
{
	struct ibv_sge a = rv_ends_sge_a(e, 0, len);

	return rv_post_write(&e->pair.a, &a, 1, rv_ends_remote(e, off));
}

/* --- what a held fault uses stays ---------------------------------------- */

/* A call in a thread of its own that must not return while a fault is held. */
struct call {
	int (*fn)(struct rv_ends *e);
	struct rv_ends *e;
	const char *point;
	int64_t held;		/* when it returned */
	int res;
	bool done;
	int tid;
	pthread_t thread;
};

static void *run_call(void *arg)
{
	struct call *c = arg;

	__atomic_store_n(&c->tid, gettid(), __ATOMIC_RELEASE);
	c->res = c->fn(c->e);
	c->held = rv_race_held(c->point);
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool call_done(void *arg)
{
	return __atomic_load_n(&((struct call *)arg)->done, __ATOMIC_ACQUIRE);
}

/* Has the call come to the place where it waits for something? */
static bool call_waits(struct call *c)
{
	char path[64], line[256], *p;
	bool waits = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
		 __atomic_load_n(&c->tid, __ATOMIC_ACQUIRE));
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f)) {
		p = strrchr(line, ')');
		waits = p && p[2] == 'D';
	}
	fclose(f);
	return waits;
}

static int dereg_b(struct rv_ends *e)
{
	int err = ibv_dereg_mr(e->mr_b);

	e->mr_b = NULL;
	return err;
}

static int destroy_b(struct rv_ends *e)
{
	rv_qp_fini(&e->pair.b);
	return 0;
}

static int unmap_b(struct rv_ends *e)
{
	return munmap(e->mem_b.base, LEN);
}

FIXTURE(held)
{
	struct census before;
	struct rv_ends e;
	struct call call;
};

FIXTURE_VARIANT(held)
{
	int (*fn)(struct rv_ends *e);
	const char *point;
	bool waits;
	int hold_ms;		/* GLIMPSE_MS if 0 */
};

FIXTURE_VARIANT_ADD(held, dereg_begun)
{
	.fn = dereg_b, .point = "fault_begun", .waits = true,
};

FIXTURE_VARIANT_ADD(held, dereg_walked)
{
	.fn = dereg_b, .point = "fault_walked", .waits = true,
};

FIXTURE_VARIANT_ADD(held, destroy_walked)
{
	.fn = destroy_b, .point = "fault_walked", .waits = true,
};

/* rxe by itself waits for 50 s, and then frees what is in use. */
FIXTURE_VARIANT_ADD(held, dereg_long)
{
	.fn = dereg_b, .point = "fault_walked", .waits = true, .hold_ms = 52000,
};

FIXTURE_VARIANT_ADD(held, unmap_begun)
{
	.fn = unmap_b, .point = "fault_begun",
};

FIXTURE_VARIANT_ADD(held, unmap_walked)
{
	.fn = unmap_b, .point = "fault_walked",
};

FIXTURE_SETUP(held)
{
	count_live(&self->before);
	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, 0, RV_ODP));
}

FIXTURE_TEARDOWN(held)
{
	rv_race_reset();
	rv_ends_fini(&self->e);
	EXPECT_EQ(0, all_gone(&self->before));
}

TEST_F_TIMEOUT(held, fault, 120)
{
	int res, hold_ms = variant->hold_ms ? variant->hold_ms : GLIMPSE_MS;
	struct call *c = &self->call;

	*c = (struct call){
		.fn = variant->fn, .point = variant->point, .e = &self->e,
	};
	rv_race_arm(variant->point, 1, hold_ms + 20000);
	ASSERT_EQ(0, post_write(&self->e, 100, 4000));
	ASSERT_EQ(0, rv_race_wait(variant->point, 1));
	ASSERT_EQ(0, pthread_create(&c->thread, NULL, run_call, c));
	if (variant->waits) {
		EXPECT_FALSE(within(hold_ms, call_done, c));
	} else {
		EXPECT_TRUE(rv_wait_for(call_done(c)));
	}
	ASSERT_EQ(1, rv_race_held(variant->point));
	ASSERT_EQ(0, rv_race_release(variant->point));
	pthread_join(c->thread, NULL);
	EXPECT_EQ(0, c->res);
	if (variant->waits)
		EXPECT_EQ(0, c->held);

	if (variant->fn == unmap_b) {
		EXPECT_RV(IBV_WC_REM_ACCESS_ERR, rv_wait(&self->e.pair.a));
	} else if (variant->fn == dereg_b) {
		res = rv_wait(&self->e.pair.a);
		EXPECT_TRUE(res == 0 || res == IBV_WC_REM_ACCESS_ERR ||
			    (variant->hold_ms && res == IBV_WC_RETRY_EXC_ERR))
			TH_LOG("%s", rv_status(res));
	}
}

/* --- long work gives up -------------------------------------------------- */

static int64_t prefetched(struct rv_ends *e)
{
	return rv_stat_dev(&e->dev, "page_prefetch");
}

static int big_buf(struct rv_buf *b)
{
	int err = rv_buf_alloc_aligned(b, REGIONS * RV_HUGE, RV_HUGE);

	if (err)
		return err;
	madvise(b->base, b->len, MADV_NOHUGEPAGE);
	return madvise(b->base, b->len, MADV_POPULATE_WRITE) ? -errno : 0;
}

/* A prefetch in the background ends with its region, and soon. */
TEST_F_TIMEOUT(lives, dereg_stops_prefetch, 120)
{
	struct call c = { .fn = dereg_b, .point = "fault_begun" };
	struct rv_ends *e = &self->e;
	int64_t before = prefetched(e);
	struct ibv_sge sge;
	struct rv_buf big;

	ASSERT_EQ(0, big_buf(&big));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = rv_reg_all(&e->dev, &big, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	c.e = e;

	rv_race_arm("fault_begun", 1, 20000);
	sge = RV_SGE(e->mr_b, big.base, big.len);
	ASSERT_EQ(0, rv_advise(e->dev.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			       0, &sge, 1));
	ASSERT_EQ(0, rv_race_wait("fault_begun", 1));
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, run_call, &c));
	ASSERT_TRUE(rv_wait_for(call_waits(&c)));
	ASSERT_FALSE(within(GLIMPSE_MS, call_done, &c));
	ASSERT_EQ(0, rv_race_release("fault_begun"));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(0, c.res);
	EXPECT_EQ(0, c.held);
	EXPECT_GE(REGION_PAGES, prefetched(e) - before);
	rv_buf_free(&big);
}

static int prefetch_in_child(void)
{
	struct rv_dev dev;
	struct rv_buf big;
	struct ibv_mr *mr;

	if (rv_dev_open(&dev, NULL) || big_buf(&big))
		return 1;
	mr = rv_reg_all(&dev, &big, RV_ACCESS | RV_ODP);
	return !mr || rv_prefetch(mr, big.base, big.len, 1);
}

/* A prefetch in the foreground ends when the process is killed. */
TEST_F_TIMEOUT(lives, kill_stops_prefetch, 120)
{
	int64_t before = prefetched(&self->e);
	pid_t pid;

	rv_race_arm("fault_begun", 1, 20000);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(prefetch_in_child());
	ASSERT_EQ(0, rv_race_wait("fault_begun", 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(0, rv_race_release("fault_begun"));
	ASSERT_EQ(SIGKILL, rv_reap(pid));
	EXPECT_GE(REGION_PAGES, prefetched(&self->e) - before);
}

/* --- the process goes ---------------------------------------------------- */

/* Of the child: posts a write that will be held, tells the address. */
static void write_and_hang(int out, bool drop)
{
	struct rv_ends e;

	if (rv_ends_init(&e, &opts, LEN, 0, RV_ODP) || post_write(&e, 0, 4000))
		_exit(1);
	if (rv_race_wait("fault_walked", 1))
		_exit(2);
	/* what the fault has found is gone when it goes on */
	if (drop && madvise(e.mem_b.base, LEN, MADV_DONTNEED))
		_exit(3);
	if (write(out, "x", 1) != 1)
		_exit(4);
	for (;;)
		pause();
}

static bool has_memory(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	return rv_get(path, NULL) > 0;
}

static int kill_with_fault(bool drop)
{
	int pipes[2], status;
	pid_t pid;
	char c;

	if (pipe(pipes))
		return -errno;
	rv_race_arm("fault_walked", 1, 20000);
	pid = fork();
	if (!pid)
		write_and_hang(pipes[1], drop);
	close(pipes[1]);
	status = read(pipes[0], &c, 1);
	close(pipes[0]);
	kill(pid, SIGKILL);
	/* only the fault holds its memory now, and is the last to do so */
	if (status != 1 || !rv_wait_for(!has_memory(pid))) {
		rv_log("the child was not ready, or keeps its memory");
		return -1;
	}
	if (rv_race_held("fault_walked") != 1)
		return -1;
	status = rv_race_release("fault_walked");
	return status ? status : rv_reap(pid);
}

TEST_F_TIMEOUT(lives, kill_with_fault, 120)
{
	ASSERT_EQ(SIGKILL, kill_with_fault(false));
}

TEST_F_TIMEOUT(lives, kill_with_lost_fault, 120)
{
	ASSERT_EQ(SIGKILL, kill_with_fault(true));
}

struct offer {
	uint64_t addr;
	uint32_t rkey;
};

/* Of the child: registers its own memory by the device file of its parent. */
static void offer_and_check(struct rv_ends *e, int out, int in)
{
	struct offer o = { 0 };
	struct rv_buf mine;
	struct ibv_mr *mr;
	char c;

	if (rv_buf_alloc(&mine, LEN))
		_exit(1);
	rv_buf_fill(&mine);
	mr = rv_reg_all(&e->dev, &mine, RV_ACCESS | RV_ODP);
	if (!mr)
		_exit(2);
	o.addr = (uintptr_t)mine.base;
	o.rkey = mr->rkey;
	if (write(out, &o, sizeof(o)) != sizeof(o) || read(in, &c, 1) != 1)
		_exit(3);
	rv_buf_expect(&mine, 100, rv_buf_shadow(&e->mem_a, 0), 4000);
	_exit(rv_buf_check(&mine) ? 4 : 0);
}

/* The memory has gone, the region has not: the device file is still open. */
TEST_F_TIMEOUT(lives, region_outlives_memory, 120)
{
	struct ibv_sge a = rv_ends_sge_a(&self->e, 0, 4000);
	struct rv_pair *pair = &self->e.pair;
	int out[2], in[2], i;
	struct rv_remote at;
	struct offer o;
	pid_t pid;

	ASSERT_EQ(0, pipe(out));
	ASSERT_EQ(0, pipe(in));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		offer_and_check(&self->e, out[1], in[0]);
	ASSERT_EQ(sizeof(o), read(out[0], &o, sizeof(o)));
	at = (struct rv_remote){ .addr = o.addr + 100, .rkey = o.rkey };
	ASSERT_RV_OK(rv_write(&pair->a, &a, 1, at));
	ASSERT_EQ(1, write(in[1], "x", 1));
	ASSERT_EQ(0, rv_reap(pid));

	/* resident or not */
	for (i = 0; i < 2; i++) {
		at.addr = o.addr + 100 + i * 8 * RV_PAGE;
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR, rv_write(&pair->a, &a, 1, at));
		ASSERT_EQ(0, rv_pair_again(pair));
	}
	ASSERT_EQ(0, rv_ends_check(&self->e));
}

/* --- made once ----------------------------------------------------------- */

static bool two_came(void *arg)
{
	return rv_race_arrived("making") >= 2;
}

/* Two first faults at once, in an empty window or an empty region of one. */
static int fault_twice(struct rv_ends *e, size_t off)
{
	struct ibv_sge a = rv_ends_sge_a(e, 0, 100);
	struct rv_pair two;
	int err;

	err = rv_pair_init(&two, &e->dev, &opts);
	if (err)
		return err;
	rv_race_arm("making", 2, 20000);
	err = rv_post_write(&e->pair.a, &a, 1, rv_ends_remote(e, off));
	err |= rv_post_write(&two.a, &a, 1,
			     rv_ends_remote(e, off + 8 * RV_PAGE));
	err |= rv_race_wait("making", 1);
	within(GLIMPSE_MS, two_came, NULL);
	err |= rv_race_release("making");
	err |= rv_wait(&e->pair.a);
	err |= rv_wait(&two.a);
	rv_pair_fini(&two);
	return err;
}

TEST_F_TIMEOUT(lives, one_window, 120)
{
	struct census *c = &self->before;

	ASSERT_EQ(0, fault_twice(&self->e, 0));
	EXPECT_EQ(c->n[1] + 1, rv_live("windows"));
	EXPECT_EQ(c->n[2] + 1, rv_live("regions"));
	EXPECT_EQ(c->n[3] + 1, rv_live("tables"));
}

TEST_F_TIMEOUT(lives, one_region, 120)
{
	struct census *c = &self->before;
	struct rv_ends *e = &self->e;
	struct rv_buf big;

	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	ASSERT_EQ(0, big_buf(&big));
	e->mr_b = rv_reg_all(&e->dev, &big, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_EQ(0, rv_prefetch(e->mr_b, big.base, RV_PAGE, 1));
	e->iova_b = big.base - e->mem_b.base;
	ASSERT_EQ(0, fault_twice(e, RV_HUGE));
	EXPECT_EQ(c->n[1] + 1, rv_live("windows"));
	EXPECT_EQ(c->n[2] + 2, rv_live("regions"));
	EXPECT_EQ(c->n[3] + 2, rv_live("tables"));
	rv_buf_free(&big);
}

struct registrar {
	struct rv_dev *dev;
	struct rv_buf *b;
	int rounds;
	int err;
	struct ibv_mr *mr;
	pthread_t thread;
};

static void *register_some(void *arg)
{
	struct registrar *r = arg;

	while (!r->err && r->rounds--) {
		r->mr = rv_reg_all(r->dev, r->b, RV_ACCESS | RV_ODP);
		if (!r->mr)
			r->err = -errno;
		else if (r->rounds)
			r->err = ibv_dereg_mr(r->mr);
	}
	return NULL;
}

static int register_twice(struct rv_ends *e, struct registrar *r, int rounds)
{
	int i, err = 0;

	for (i = 0; i < 2; i++) {
		r[i] = (struct registrar){
			.dev = &e->dev, .b = &e->mem_b, .rounds = rounds,
		};
		err |= pthread_create(&r[i].thread, NULL, register_some, &r[i]);
	}
	return err;
}

static int registered(struct registrar *r)
{
	int i, err = 0;

	for (i = 0; i < 2; i++) {
		pthread_join(r[i].thread, NULL);
		err |= r[i].err;
		if (r[i].mr)
			err |= ibv_dereg_mr(r[i].mr);
	}
	return err;
}

TEST_F_TIMEOUT(lives, one_mirror, 120)
{
	struct rv_ends *e = &self->e;
	struct registrar r[2];
	int64_t mirrors;

	ASSERT_EQ(0, dereg_b(e));
	rv_race_arm("making", 2, 20000);
	ASSERT_EQ(0, register_twice(e, r, 1));
	EXPECT_EQ(0, rv_race_wait("making", 1));
	within(GLIMPSE_MS, two_came, NULL);
	EXPECT_EQ(0, rv_race_release("making"));
	pthread_join(r[0].thread, NULL);
	ASSERT_TRUE(rv_wait_for(__atomic_load_n(&r[1].mr, __ATOMIC_ACQUIRE)));
	mirrors = rv_live("mirrors");
	EXPECT_EQ(self->before.n[0] + 1, mirrors);
	pthread_join(r[1].thread, NULL);
	EXPECT_EQ(0, ibv_dereg_mr(r[0].mr));
	EXPECT_EQ(0, ibv_dereg_mr(r[1].mr));
}

/* The last reference goes while another comes: held, then as it happens. */
TEST_F_TIMEOUT(lives, mirror_goes, 120)
{
	struct call c = { .fn = dereg_b, .point = "unmaking", .e = &self->e };
	struct registrar r[2];

	rv_race_arm("unmaking", 1, 20000);
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, run_call, &c));
	ASSERT_EQ(0, rv_race_wait("unmaking", 1));
	ASSERT_EQ(0, register_twice(&self->e, r, 1));
	/* nobody takes what has no reference left */
	rv_pause();
	EXPECT_EQ(1, rv_race_held("unmaking"));
	EXPECT_EQ(self->before.n[0] + 1, rv_live("mirrors"));
	ASSERT_EQ(0, rv_race_release("unmaking"));
	pthread_join(c.thread, NULL);
	EXPECT_EQ(0, c.res);
	ASSERT_EQ(0, registered(r));
}

TEST_F_TIMEOUT(lives, mirror_comes_and_goes, 120)
{
	struct registrar r[2];

	ASSERT_EQ(0, dereg_b(&self->e));
	ASSERT_EQ(0, register_twice(&self->e, r, rv_shrink(1600)));
	ASSERT_EQ(0, registered(r));
}

/* Nothing of the device's listens to the process any more. */
TEST_F_TIMEOUT(lives, no_notifier_left, 120)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, rv_prefetch(e->mr_b, e->mem_b.base, LEN, 1));
		ASSERT_EQ(0, dereg_b(e));
		ASSERT_EQ(0, all_gone(&self->before));
		ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
		e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, e->mr_b);
	}
}

RV_DEBUG_HARNESS_MAIN
