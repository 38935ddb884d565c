// SPDX-License-Identifier: GPL-2.0
/*
 * fork() with pages on the device: parent and child have the same pages until
 * one of them, or the NIC, writes. Whoever is left has the right bytes, and no
 * page of the device stays in use when both are gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(2 * RV_HUGE)
#define PAGES	((int64_t)(LEN / RV_PAGE))

FIXTURE(device_fork)
{
	struct rv_ends e;
	int to, from, pid;
};

FIXTURE_VARIANT(device_fork)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device_fork, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device_fork, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device_fork)
{
	struct rv_opts opts = { .mtu = 4096 };

	ASSERT_EQ(0, rv_dmem_init(&self->e, &opts, "32M", LEN,
				  variant->advice));
	ASSERT_EQ(PAGES, rv_promote(self->e.mr_b, 0, LEN));
}

FIXTURE_TEARDOWN(device_fork)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

/*
 * The child does what it is told by one letter each, and says when it is done
 * by one: 1 if it sees what it should.
 *
 *	l	look at everything
 *	w	write everywhere: some bytes of each page
 *	d	drop a half
 *	x	exit
 */
static void child(struct rv_ends *e, int from, int to)
{
	struct rv_buf *b = &e->mem_b;
	char word, done;
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rv_rand_stream(77);
	while (read(from, &word, 1) == 1) {
		done = '1';
		switch (word) {
		case 'l':
			if (rv_buf_check(b))
				done = '0';
			break;
		case 'w':
			for (i = 0; i < LEN; i += RV_PAGE) {
				rv_rand_fill(rv_buf_shadow(b, i + 5), 90);
				memcpy(b->base + i + 5,
				       rv_buf_shadow(b, i + 5), 90);
			}
			break;
		case 'd':
			madvise(b->base + RV_HUGE / 2, RV_HUGE, MADV_DONTNEED);
			rv_buf_expect_byte(b, RV_HUGE / 2, 0, RV_HUGE);
			break;
		default:
			_exit(0);
		}
		if (write(to, &done, 1) != 1)
			_exit(1);
	}
	_exit(1);
}

static int start_child(struct rv_ends *e, int *to, int *from)
{
	int down[2], up[2];
	int pid;

	if (pipe(down) || pipe(up))
		return -errno;
	pid = fork();
	if (!pid) {
		close(down[1]);
		close(up[0]);
		child(e, down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	*to = down[1];
	*from = up[0];
	return pid;
}

/* 0 if the child did it and saw the right bytes. */
static int tell(int to, int from, char word)
{
	char done = 0;

	if (write(to, &word, 1) != 1 || read(from, &done, 1) != 1)
		return -EPIPE;
	return done == '1' ? 0 : -EBADMSG;
}

#define FORK() do {							\
	self->pid = start_child(&self->e, &self->to, &self->from);	\
	ASSERT_LT(0, self->pid);					\
} while (0)
#define TELL(_word)	ASSERT_EQ(0, tell(self->to, self->from, _word))
#define END() do {							\
	ASSERT_EQ(1, write(self->to, "x", 1));				\
	ASSERT_EQ(0, rv_reap(self->pid));				\
	close(self->to);						\
	close(self->from);						\
	self->pid = 0;							\
} while (0)

static void cpu_write(struct rv_buf *b, size_t off, size_t len)
{
	rv_rand_fill(rv_buf_shadow(b, off), len);
	memcpy(b->base + off, rv_buf_shadow(b, off), len);
}

/* The child comes and goes; what is on the device stays there. */
TEST_F(device_fork, child_exits)
{
	struct rv_ends *e = &self->e;

	FORK();
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_read_blind(e, 55, RV_HUGE - 999, 30000));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	END();
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, RV_HUGE - 5000, 40000));
	ASSERT_RV_OK(rv_ends_check(e));
}

TEST_F(device_fork, child_reads)
{
	struct rv_ends *e = &self->e;

	FORK();
	TELL('l');
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, 5 * RV_PAGE + 9, 40000));
	TELL('l');
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	TELL('l');
	END();
	ASSERT_EQ(0, rv_promote(e->mr_b, 0, LEN) < 0);
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

TEST_F(device_fork, child_writes)
{
	struct rv_ends *e = &self->e;

	FORK();
	TELL('w');
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, 300 * RV_PAGE + 9, 40000));
	ASSERT_RV_OK(rv_ends_read_blind(e, 4, 500 * RV_PAGE + 9, 40000));
	TELL('l');
	ASSERT_RV_OK(rv_ends_check(e));
	END();
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The NIC writes to what both have: the parent gets it, the child does not. */
TEST_F(device_fork, nic_writes)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge old = rv_ends_sge_a(e, 0, 8);
	uint64_t word;
	int i;

	FORK();
	for (i = 0; i < rv_shrink(20); i++)
		ASSERT_RV_OK(rv_ends_write_blind(e, rv_rand_below(LEN / 2),
						 rv_rand_below(LEN - 20000),
				       rv_rand_len(1, 20000)));
	memcpy(&word, rv_buf_shadow(&e->mem_b, 720 * RV_PAGE), 8);
	ASSERT_RV_OK(rv_fetch_add(&e->pair.a, &old,
				  rv_ends_remote(e, 720 * RV_PAGE), 3));
	rv_buf_expect(&e->mem_a, 0, &word, 8);
	word += 3;
	rv_buf_expect(&e->mem_b, 720 * RV_PAGE, &word, 8);
	TELL('l');
	ASSERT_RV_OK(rv_ends_check(e));
	TELL('w');
	ASSERT_RV_OK(rv_ends_check(e));
	TELL('l');
	END();
}

TEST_F(device_fork, parent_writes)
{
	struct rv_ends *e = &self->e;

	FORK();
	cpu_write(&e->mem_b, 100 * RV_PAGE + 11, 700 * RV_PAGE);
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, 90 * RV_PAGE, 90000));
	TELL('l');
	TELL('w');
	ASSERT_RV_OK(rv_ends_check(e));
	TELL('l');
	END();
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The last region goes while the child has the pages. */
TEST_F(device_fork, dereg)
{
	struct rv_ends *e = &self->e;

	FORK();
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, 300 * RV_PAGE + 9, 40000));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_a));
	e->mr_a = e->mr_b = NULL;
	ASSERT_EQ(0, rv_dmem_used(NULL));
	TELL('l');
	TELL('w');
	ASSERT_RV_OK(rv_ends_check(e));
	TELL('l');
	END();
}

/* The parent has dropped it all, only the child's pages are on the device. */
TEST_F(device_fork, parent_drops)
{
	struct rv_ends *e = &self->e;

	FORK();
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, LEN);
	ASSERT_EQ(PAGES, rv_dmem_used(NULL));
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, 300 * RV_PAGE + 9, 40000));
	ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	TELL('d');
	TELL('l');
	ASSERT_RV_OK(rv_ends_check(e));
	END();
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The device's memory is turned off, and given back, under both. */
TEST_F(device_fork, evict)
{
	struct rv_ends *e = &self->e;
	struct rv_moves before = rv_moves(&e->dev);

	FORK();
	ASSERT_EQ(0, rv_dmem_resize(NULL, "0"));
	ASSERT_EQ(PAGES, rv_moves(&e->dev).evicted - before.evicted);
	TELL('l');
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write_blind(e, 4, 300 * RV_PAGE + 9, 40000));
	TELL('w');
	TELL('l');
	ASSERT_RV_OK(rv_ends_check(e));
	END();
}

/* Killed with pages that nobody else has. */
TEST_F(device_fork, child_killed)
{
	struct rv_ends *e = &self->e;

	FORK();
	TELL('l');
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, LEN);
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_EQ(SIGKILL, rv_reap(self->pid));
	self->pid = 0;
	ASSERT_TRUE(rv_wait_for(!rv_dmem_used(NULL)));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Three generations, each with a copy of its own. */
TEST_F_TIMEOUT(device_fork, many, 120)
{
	struct rv_ends *e = &self->e;
	int to[3], from[3], pid[3], i;

	for (i = 0; i < 3; i++) {
		pid[i] = start_child(e, &to[i], &from[i]);
		ASSERT_LT(0, pid[i]);
		ASSERT_RV_OK(rv_ends_write_blind(e, i, i * 200 * RV_PAGE + 9, 90000));
		rv_promote(e->mr_b, 0, LEN);
	}
	ASSERT_EQ(0, tell(to[1], from[1], 'w'));
	ASSERT_EQ(0, tell(to[0], from[0], 'd'));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, tell(to[i], from[i], 'l'));
	ASSERT_RV_OK(rv_ends_write_blind(e, 99, 200 * RV_PAGE + 9, 90000));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, tell(to[i], from[i], 'l'));
		ASSERT_EQ(1, write(to[i], "x", 1));
		ASSERT_EQ(0, rv_reap(pid[i]));
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
