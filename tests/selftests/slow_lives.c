// SPDX-License-Identifier: GPL-2.0
/*
 * Queue pairs, regions, contexts, devices and processes go away while a fault
 * waits for memory that doesn't come. None of them waits for it, and the fault
 * goes with the last region that could use it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64 * 1024UL)
#define NAME	"rxeslow0"
#define NETDEV	"rvslow0"

/* How long may a call take that must not wait for the memory? */
static uint64_t at_once_ms(void)
{
	return rv_deadline_ms() / 6;
}

#define ASSERT_AT_ONCE(_call) do {					\
	uint64_t _start = rv_now_ms();					\
									\
	_call;								\
	ASSERT_GT(at_once_ms(), rv_now_ms() - _start)			\
		TH_LOG("%s took too long", #_call);			\
} while (0)

static const struct rv_opts opts = { .mtu = 4096 };

static int open_ends(struct rv_ends *e, const char *name)
{
	int err;

	memset(e, 0, sizeof(*e));
	err = rv_dev_open(&e->dev, name);
	if (!err)
		err = rv_pair_init(&e->pair, &e->dev, &opts);
	if (!err)
		err = rv_buf_alloc(&e->mem_a, LEN);
	if (!err)
		err = rv_buf_alloc(&e->mem_b, LEN);
	if (err)
		return err;
	rv_buf_fill(&e->mem_a);
	rv_buf_fill(&e->mem_b);
	return rv_ends_reg(e, RV_ODP, RV_ODP);
}

/* Both ends, one side's memory slow, and an operation that waits for it. */
static int hang(struct rv_ends *e, struct rv_pager *p, const char *name,
		bool local, enum ibv_wr_opcode op)
{
	struct ibv_sge a, b;
	int64_t deferred;
	int err;

	err = open_ends(e, name);
	if (!err)
		err = rv_pager_start(p, local ? &e->mem_a : &e->mem_b, LEN,
				     RV_MISSING);
	if (err)
		return err;
	deferred = rv_stat_dev(&e->dev, "page_faults_deferred");

	a = rv_ends_sge_a(e, 1000, 9000);
	b = rv_ends_sge_b(e, 2000, 9000);
	if (op == IBV_WR_SEND) {
		err = rv_post_recv(&e->pair.b, &b, 1);
		if (!err)
			err = rv_post_send(&e->pair.a, &a, 1);
	} else if (op == IBV_WR_RDMA_READ) {
		err = rv_post_read(&e->pair.a, &a, 1, rv_ends_remote(e, 2000));
	} else {
		err = rv_post_write(&e->pair.a, &a, 1, rv_ends_remote(e, 2000));
	}
	if (!err)
		err = rv_pager_wait(p, 1);
	/* it has been put off: nobody waits for the first moment any more */
	if (!err && !rv_wait_for(rv_stat_dev(&e->dev, "page_faults_deferred") >
				 deferred))
		err = -ETIMEDOUT;
	return err;
}

FIXTURE(slow_lives)
{
	struct rv_ends e;
	struct rv_pager p;
};

FIXTURE_VARIANT(slow_lives)
{
	bool local;
	enum ibv_wr_opcode op;
};

FIXTURE_VARIANT_ADD(slow_lives, write) { .op = IBV_WR_RDMA_WRITE };
FIXTURE_VARIANT_ADD(slow_lives, read) { .op = IBV_WR_RDMA_READ };
FIXTURE_VARIANT_ADD(slow_lives, send) { .op = IBV_WR_SEND };
FIXTURE_VARIANT_ADD(slow_lives, local_write)
{
	.local = true, .op = IBV_WR_RDMA_WRITE,
};
FIXTURE_VARIANT_ADD(slow_lives, local_read)
{
	.local = true, .op = IBV_WR_RDMA_READ,
};

FIXTURE_SETUP(slow_lives)
{
	ASSERT_EQ(0, hang(&self->e, &self->p, NULL, variant->local,
			  variant->op));
}

FIXTURE_TEARDOWN(slow_lives)
{
	rv_pager_stop(&self->p);
	rv_ends_fini(&self->e);
	EXPECT_TRUE(rv_wait_for(!rv_pager_threads()));
}

TEST_F(slow_lives, destroy)
{
	struct rv_ends *e = &self->e;

	ASSERT_AT_ONCE(rv_qp_fini(&e->pair.b));
	ASSERT_AT_ONCE(rv_qp_fini(&e->pair.a));
	ASSERT_EQ(0, rv_pair_init(&e->pair, &e->dev, &opts));
	rv_pager_release(&self->p);
	ASSERT_RV_OK(rv_ends_write(e, 100, 200, 20000));
}

/* An error flushes what waits. */
TEST_F(slow_lives, to_error)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct rv_ends *e = &self->e;

	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_modify_qp(e->pair.a.qp, &attr,
						  IBV_QP_STATE)));
	ASSERT_AT_ONCE(ASSERT_RV(IBV_WC_WR_FLUSH_ERR, rv_wait(&e->pair.a)));
}

TEST_F(slow_lives, to_reset)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct rv_ends *e = &self->e;

	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_modify_qp(e->pair.a.qp, &attr,
						  IBV_QP_STATE)));
	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_modify_qp(e->pair.b.qp, &attr,
						  IBV_QP_STATE)));
}

/* The pager never answers. With the last region the fault goes. */
TEST_F(slow_lives, dereg)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(1, rv_pager_threads());
	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_dereg_mr(e->mr_b)));
	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_dereg_mr(e->mr_a)));
	e->mr_a = NULL;
	e->mr_b = NULL;
	ASSERT_AT_ONCE(ASSERT_TRUE(rv_wait_for(!rv_pager_threads())));
}

/* --- prefetch, processes, devices ---------------------------------------- */

FIXTURE(alone)
{
	struct rv_ends e;
	struct rv_pager p;
};

FIXTURE_SETUP(alone)
{
	if (geteuid())
		SKIP(return, "not root");
}

FIXTURE_TEARDOWN(alone)
{
	rv_link_remove(NAME, NETDEV);
	EXPECT_TRUE(rv_wait_for(!rv_pager_threads()));
}

static int prefetch(struct rv_ends *e, unsigned int flags)
{
	struct ibv_sge sge = rv_ends_sge_b(e, 0, LEN);

	return rv_advise(e->dev.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, flags,
			 &sge, 1);
}

/* A prefetch in the background waits for slow memory, and for nothing else. */
TEST_F(alone, prefetch)
{
	struct rv_ends *e = &self->e;
	int64_t before;

	ASSERT_EQ(0, rv_ends_init(e, &opts, LEN, RV_ODP, RV_ODP));
	ASSERT_EQ(0, rv_pager_start(&self->p, &e->mem_b, LEN, RV_MISSING));
	before = rv_stat_dev(&e->dev, "page_prefetch");
	ASSERT_AT_ONCE(ASSERT_EQ(0, prefetch(e, 0)));
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	rv_pager_release(&self->p);
	ASSERT_TRUE(rv_wait_for(rv_stat_dev(&e->dev, "page_prefetch") >=
				before + (int64_t)(LEN / RV_PAGE)));
	ASSERT_RV_OK(rv_ends_read(e, 0, 0, LEN));

	/* and the caller waits for all of it, if that is wanted */
	rv_pager_stop(&self->p);
	ASSERT_EQ(0, rv_pager_start(&self->p, &e->mem_b, LEN, RV_MISSING));
	rv_pager_release(&self->p);
	ASSERT_EQ(0, prefetch(e, IBV_ADVISE_MR_FLAG_FLUSH));
	ASSERT_EQ(LEN / RV_PAGE, rv_pager_asked(&self->p));
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	rv_pager_stop(&self->p);
	rv_ends_fini(e);
}

TEST_F(alone, prefetch_dereg)
{
	struct rv_ends *e = &self->e;
	int64_t before;

	ASSERT_EQ(0, rv_ends_init(e, &opts, LEN, RV_ODP, RV_ODP));
	ASSERT_EQ(0, rv_pager_start(&self->p, &e->mem_b, LEN, RV_MISSING));
	before = rv_stat_dev(&e->dev, "prefetches_cancelled");
	ASSERT_LE(0, before);
	ASSERT_EQ(0, prefetch(e, 0));
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_dereg_mr(e->mr_b)));
	ASSERT_EQ(before + 1, rv_stat_dev(&e->dev, "prefetches_cancelled"));
	ASSERT_AT_ONCE(ASSERT_EQ(0, ibv_dereg_mr(e->mr_a)));
	e->mr_a = NULL;
	e->mr_b = NULL;
	ASSERT_AT_ONCE(ASSERT_TRUE(rv_wait_for(!rv_pager_threads())));
	rv_pager_stop(&self->p);
	rv_ends_fini(e);
}

enum victim { BY_PEER, BY_ITSELF, BY_PREFETCH, VICTIMS };

/* Reports the descriptor of its pager, and hangs. */
static void victim(const char *name, int report, enum victim kind)
{
	struct rv_pager p;
	struct rv_ends e;
	int res;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kind == BY_PREFETCH) {
		res = open_ends(&e, name);
		if (!res)
			res = rv_pager_start(&p, &e.mem_b, LEN, RV_MISSING);
	} else {
		res = hang(&e, &p, name, kind == BY_ITSELF, IBV_WR_RDMA_WRITE);
	}
	if (res || write(report, &p.uffd, sizeof(p.uffd)) != sizeof(p.uffd))
		_exit(1);
	if (kind == BY_PREFETCH)
		prefetch(&e, IBV_ADVISE_MR_FLAG_FLUSH);
	for (;;)
		pause();
}

/*
 * The pager's descriptor stays open here, as that of a manager in another
 * process would: the exit of the process doesn't wake the fault.
 */
static int take_fd(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), mine;

	if (pidfd < 0)
		return -1;
	mine = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	return mine;
}

/* A process that hangs, and its pager. */
static int start_victim(const char *name, enum victim kind, pid_t *pid,
			int *fd)
{
	int fds[2], theirs = -1;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	*pid = fork();
	if (!*pid)
		victim(name, fds[1], kind);
	close(fds[1]);
	if (read(fds[0], &theirs, sizeof(theirs)) != sizeof(theirs))
		rv_log("the process did not get going");
	close(fds[0]);
	*fd = take_fd(*pid, theirs);
	return *fd >= 0 && rv_wait_for(rv_pager_threads() == 1) ? 0 : -ESRCH;
}

TEST_F(alone, kill)
{
	enum victim kind;
	pid_t pid;
	int fd;

	for (kind = BY_PEER; kind < VICTIMS; kind++) {
		ASSERT_EQ(0, start_victim(NULL, kind, &pid, &fd));
		kill(pid, SIGKILL);
		ASSERT_AT_ONCE(ASSERT_EQ(SIGKILL, rv_reap(pid)));
		ASSERT_AT_ONCE(ASSERT_TRUE(rv_wait_for(!rv_pager_threads())));
		close(fd);
	}
}

/*
 * `rdma link delete` waits for the processes that have the device open, and not
 * for faults that they leave behind.
 */
TEST_F(alone, link_delete)
{
	enum victim kind;
	pid_t pid;
	int fd;

	for (kind = BY_PEER; kind < VICTIMS; kind++) {
		ASSERT_TRUE(rv_link_add(NAME, NETDEV, "198.51.100.78"));
		ASSERT_EQ(0, start_victim(NAME, kind, &pid, &fd));
		kill(pid, SIGKILL);
		ASSERT_AT_ONCE(ASSERT_EQ(0, rv_run("rdma link delete " NAME)));
		ASSERT_EQ(SIGKILL, rv_reap(pid));
		close(fd);
		rv_link_remove(NAME, NETDEV);
	}
}

RV_HARNESS_MAIN
