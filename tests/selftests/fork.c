// SPDX-License-Identifier: GPL-2.0
/*
 * The process forks. Parent and child share pages until one of them writes,
 * and the device writes for the parent: the child keeps what it inherited, and
 * the parent sees what the device wrote.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

extern char **environ;

FIXTURE(fork)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(fork)
{
	size_t len;
	int advice;
};

FIXTURE_VARIANT_ADD(fork, small_pages)
{
	.len = 64 * RV_PAGE,
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(fork, huge_pages)
{
	.len = RV_HUGE,
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(fork)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, &opts, 64 * 1024));
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, variant->len, RV_HUGE));
	madvise(e->mem_b.base, variant->len, variant->advice);
	rv_buf_fill(&e->mem_b);
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(fork)
{
	rv_ends_fini(&self->e);
}

/* A child that does as it is told, a letter at a time. */
struct child {
	pid_t pid;
	int to, from;
};

/*
 * In the child: c compares the memory with what it was when forked, s scribbles
 * over all of it (and expects that from then on), q quits. The answer is the
 * letter, or an exclamation mark.
 */
static void obey(struct rv_buf *b, int in, int out)
{
	char cmd;

	while (read(in, &cmd, 1) == 1 && cmd != 'q') {
		if (cmd == 's') {
			rv_rand_stream(77);
			rv_buf_fill(b);
		} else if (rv_buf_check(b)) {
			rv_log("  (in the child)");
			cmd = '!';
		}
		if (write(out, &cmd, 1) != 1)
			_exit(2);
	}
	_exit(0);
}

static int child_start(struct child *c, struct rv_buf *b)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return -1;
	c->pid = fork();
	if (!c->pid) {
		close(to[1]);
		close(from[0]);
		obey(b, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
	return c->pid < 0 ? -1 : 0;
}

static int child_do(struct child *c, char cmd)
{
	char answer = 0;

	if (write(c->to, &cmd, 1) != 1 || read(c->from, &answer, 1) != 1) {
		rv_log("the child has gone");
		return -1;
	}
	return answer == cmd ? 0 : -1;
}

static int child_end(struct child *c)
{
	int res = write(c->to, "q", 1) == 1 ? rv_reap(c->pid) : -1;

	close(c->to);
	close(c->from);
	return res;
}

static int access_any(struct rv_ends *e)
{
	size_t len = rv_rand_len(1, 20000);
	size_t a = rv_rand_below(e->mem_a.len - len + 1);
	size_t b = rv_rand_below(e->mem_b.len - len + 1);

	if (rv_rand_below(3))
		return rv_ends_write(e, a, b, len);
	return rv_ends_read(e, a, b, len);
}

static int access_many(struct rv_ends *e, int n)
{
	int res = 0;

	while (n-- && !res)
		res = access_any(e);
	return res;
}

/* The device knows the pages for writing, and must not any more. */
TEST_F_TIMEOUT(fork, device_writes, 300)
{
	struct rv_ends *e = &self->e;
	struct child c;
	int i;

	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_RV_OK(access_many(e, 3));
		ASSERT_EQ(0, child_start(&c, &e->mem_b));
		ASSERT_RV_OK(access_many(e, 4));
		ASSERT_EQ(0, child_do(&c, 'c'));
		ASSERT_EQ(0, child_end(&c));
		ASSERT_RV_OK(access_many(e, 2));
	}
}

/* Everything is read by the device first, and then written by the process. */
TEST_F_TIMEOUT(fork, parent_writes, 300)
{
	struct rv_ends *e = &self->e;
	struct child c;
	int i;

	for (i = 0; i < rv_shrink(4); i++) {
		size_t at = rv_rand_below(40) * RV_PAGE;

		ASSERT_EQ(0, child_start(&c, &e->mem_b));
		ASSERT_RV_OK(rv_ends_read(e, 0, at, 5 * RV_PAGE));
		rv_rand_fill(e->mem_b.base + at + 100, 5000);
		rv_buf_expect(&e->mem_b, at + 100, e->mem_b.base + at + 100,
			      5000);
		ASSERT_RV_OK(rv_ends_read(e, 50, at, 5 * RV_PAGE));
		ASSERT_RV_OK(rv_ends_write(e, 60, at + 200, 9000));
		ASSERT_EQ(0, child_do(&c, 'c'));
		ASSERT_EQ(0, child_end(&c));
	}
}

/* What the child writes is the child's own. */
TEST_F_TIMEOUT(fork, child_writes, 300)
{
	struct rv_ends *e = &self->e;
	struct child c;
	int i;

	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_RV_OK(access_many(e, 3));
		ASSERT_EQ(0, child_start(&c, &e->mem_b));
		ASSERT_RV_OK(access_many(e, 1));
		ASSERT_EQ(0, child_do(&c, 's'));
		ASSERT_RV_OK(access_many(e, 4));
		ASSERT_EQ(0, child_do(&c, 'c'));
		ASSERT_EQ(0, child_end(&c));
		ASSERT_RV_OK(access_many(e, 2));
	}
}

/* The child is gone: the pages are the parent's alone again. */
TEST_F_TIMEOUT(fork, child_gone, 300)
{
	struct rv_ends *e = &self->e;
	struct child c;
	int i;

	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_EQ(0, child_start(&c, &e->mem_b));
		ASSERT_RV_OK(rv_ends_read(e, 0, 5000, 20000));
		ASSERT_EQ(0, child_end(&c));
		ASSERT_RV_OK(rv_ends_write(e, 7, 6000, 20000));
		ASSERT_RV_OK(access_many(e, 2));
	}
}

/* A child of a child, each with its own view. */
TEST_F_TIMEOUT(fork, generations, 300)
{
	struct rv_ends *e = &self->e;
	struct child c[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		ASSERT_EQ(0, child_start(&c[i], &e->mem_b));
		ASSERT_RV_OK(access_many(e, 3));
	}
	ASSERT_EQ(0, child_do(&c[1], 's'));
	ASSERT_RV_OK(access_many(e, 3));
	for (i = 0; i < ARRAY_SIZE(c); i++)
		ASSERT_EQ(0, child_do(&c[i], 'c'));
	for (i = 0; i < ARRAY_SIZE(c); i++)
		ASSERT_EQ(0, child_end(&c[i]));
	ASSERT_RV_OK(access_many(e, 3));
}

/* Memory that is emptied in the child, or not there at all. */
TEST_F_TIMEOUT(fork, advice, 300)
{
	struct rv_ends *e = &self->e;
	struct rv_buf *b = &e->mem_b;
	struct child c;
	pid_t pid;

	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, madvise(b->base, b->len, MADV_WIPEONFORK));
	pid = fork();
	if (!pid) {
		rv_buf_expect_byte(b, 0, 0, b->len);
		_exit(rv_buf_check(b) ? 1 : 0);
	}
	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, rv_reap(pid));
	ASSERT_EQ(0, madvise(b->base, b->len, MADV_KEEPONFORK));

	ASSERT_EQ(0, madvise(b->base, b->len, MADV_DONTFORK));
	pid = fork();
	if (!pid)
		_exit(msync(b->base, RV_PAGE, MS_ASYNC) ? 0 : 1);
	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, rv_reap(pid));
	ASSERT_EQ(0, madvise(b->base, b->len, MADV_DOFORK));
	ASSERT_EQ(0, child_start(&c, b));
	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, child_do(&c, 'c'));
	ASSERT_EQ(0, child_end(&c));
}

/* The child closes all it has inherited, or runs another program. */
TEST_F_TIMEOUT(fork, exec, 300)
{
	char *const argv[] = { "true", NULL };
	struct rv_ends *e = &self->e;
	pid_t pid;
	int i;

	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_RV_OK(access_many(e, 2));
		pid = fork();
		if (!pid) {
			execvp(argv[0], argv);
			_exit(1);
		}
		ASSERT_RV_OK(access_many(e, 2));
		ASSERT_EQ(0, rv_reap(pid));
		ASSERT_RV_OK(access_many(e, 1));

		/* This one uses vfork(). */
		ASSERT_EQ(0, posix_spawnp(&pid, argv[0], NULL, NULL, argv,
					  environ));
		ASSERT_RV_OK(access_many(e, 2));
		ASSERT_EQ(0, rv_reap(pid));

		pid = fork();
		if (!pid)
			_exit(close(e->dev.ctx->cmd_fd));
		ASSERT_EQ(0, rv_reap(pid));
		ASSERT_RV_OK(access_many(e, 1));
	}
}

/*
 * Writes go on all the time. The child notes what it has inherited and
 * compares, after more writes, that it has not changed.
 */
TEST_F_TIMEOUT(fork, under_traffic, 300)
{
	struct rv_ends *e = &self->e;
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_traffic t[2] = { 0 };
	size_t half = 30 * 1024;
	int i, n = rv_shrink(20);
	struct child c;

	for (i = 0; i < 2; i++) {
		t[i].op = i ? IBV_WR_SEND : IBV_WR_RDMA_WRITE;
		t[i].from_mr = e->mr_a;
		t[i].to_mr = e->mr_b;
		t[i].from = e->mem_a.base + i * half;
		t[i].to = e->mem_b.base + 1000 + i * half;
		t[i].len = half;
		t[i].check = true;
		ASSERT_EQ(0, rv_traffic_start(&t[i], &e->dev, &opts, i + 1));
	}
	for (i = 0; i < n; i++) {
		int to[2], from[2];
		char ready;

		ASSERT_EQ(0, pipe2(to, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(from, O_CLOEXEC));
		c.pid = fork();
		if (!c.pid) {
			rv_buf_learn(&e->mem_b);
			if (write(from[1], "r", 1) != 1)
				_exit(2);
			obey(&e->mem_b, to[0], from[1]);
		}
		ASSERT_LT(0, c.pid);
		c.to = to[1];
		c.from = from[0];
		close(to[0]);
		close(from[1]);
		ASSERT_EQ(1, read(c.from, &ready, 1));
		ASSERT_EQ(0, rv_traffic_more(&t[0], 3));
		ASSERT_EQ(0, rv_traffic_more(&t[1], 3));
		EXPECT_EQ(0, child_do(&c, 'c'));
		ASSERT_EQ(0, child_end(&c));
	}
	ASSERT_RV(0, rv_traffic_stop(&t[0]));
	ASSERT_RV(0, rv_traffic_stop(&t[1]));
	/* Beside the traffic nothing has changed. */
	rv_buf_expect(&e->mem_b, 1000, e->mem_b.base + 1000, 2 * half);
	ASSERT_RV_OK(rv_ends_check(e));
	for (i = 0; i < 2; i++)
		ASSERT_RV_OK(rv_ends_write(e, i * half, 1000 + i * half, half));
}

RV_HARNESS_MAIN
