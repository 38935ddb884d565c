// SPDX-License-Identifier: GPL-2.0
/*
 * Regions, queue pairs, processes and devices go away in any order, with
 * traffic and faults under way. Nothing hangs, nothing is left behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64 * 1024UL)

FIXTURE(teardown)
{
	struct rv_ends e;
	struct rv_traffic t;
};

FIXTURE_SETUP(teardown)
{
	struct rv_opts opts = { .mtu = 4096 };

	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(teardown)
{
	rv_ends_fini(&self->e);
}

static int start(struct rv_traffic *t, struct rv_ends *e,
		 enum ibv_wr_opcode op, unsigned int stream)
{
	struct rv_opts opts = { .mtu = 1024 };

	memset(t, 0, sizeof(*t));
	t->op = op;
	t->from_mr = e->mr_a;
	t->to_mr = e->mr_b;
	t->from = e->mem_a.base;
	t->to = e->mem_b.base;
	t->len = LEN;
	t->depth = 8;
	return rv_traffic_start(t, &e->dev, &opts, stream);
}

/*
 * The traffic meets a region that has gone, on either side. If that happens to
 * the last of several requests, the first of them is flushed.
 */
static bool stopped_by_key(int res)
{
	return res == IBV_WC_REM_ACCESS_ERR || res == IBV_WC_LOC_PROT_ERR ||
	       res == IBV_WC_LOC_QP_OP_ERR || res == IBV_WC_REM_OP_ERR ||
	       res == IBV_WC_WR_FLUSH_ERR;
}

static const enum ibv_wr_opcode ops[] = {
	IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
};

TEST_F_TIMEOUT(teardown, dereg_under_traffic, 120)
{
	struct rv_ends *e = &self->e;
	struct rv_traffic *t = &self->t;
	uint64_t start_ms;
	int i, res;

	for (i = 0; i < rv_shrink(18); i++) {
		struct ibv_mr **mr = i % 2 ? &e->mr_a : &e->mr_b;
		struct rv_buf *b = i % 2 ? &e->mem_a : &e->mem_b;

		ASSERT_EQ(0, start(t, e, ops[i % 3], i));
		ASSERT_EQ(0, rv_traffic_more(t, 1 + rv_rand_below(8)));
		start_ms = rv_now_ms();
		ASSERT_EQ(0, ibv_dereg_mr(*mr));
		*mr = NULL;
		ASSERT_GT(rv_deadline_ms(), rv_now_ms() - start_ms);
		ASSERT_TRUE(rv_wait_for(__atomic_load_n(&t->result,
							__ATOMIC_ACQUIRE)));
		res = rv_traffic_stop(t);
		ASSERT_TRUE(stopped_by_key(res))
			TH_LOG("%s", rv_status(res));
		*mr = rv_reg_all(&e->dev, b, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, *mr);
	}
	/* Nothing else was hit, and all goes on. */
	rv_buf_expect(&e->mem_b, 0, e->mem_b.base, LEN);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
}

/* Another region over the same memory goes; this one stays. */
TEST_F_TIMEOUT(teardown, dereg_beside_traffic, 120)
{
	struct rv_ends *e = &self->e;
	struct ibv_mr *mr;
	int i;

	ASSERT_EQ(0, start(&self->t, e, IBV_WR_RDMA_WRITE, 1));
	for (i = 0; i < rv_shrink(100); i++) {
		mr = rv_reg(&e->dev, &e->mem_b, i, LEN - i, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		if (i % 4 == 0)
			ASSERT_EQ(0, rv_prefetch(mr, e->mem_b.base + i,
						 LEN - i, 1));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
	}
	ASSERT_EQ(0, rv_traffic_more(&self->t, 1));
	ASSERT_RV(0, rv_traffic_stop(&self->t));
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
}

TEST_F_TIMEOUT(teardown, destroy_qp_under_traffic, 120)
{
	struct rv_ends *e = &self->e;
	struct rv_pair pair;
	struct ibv_sge a, b;
	int i, j;

	for (i = 0; i < rv_shrink(24); i++) {
		ASSERT_EQ(0, rv_pair_init(&pair, &e->dev, NULL));
		for (j = 0; j < 16; j++) {
			a = rv_ends_sge_a(e, 0, LEN);
			b = rv_ends_sge_b(e, 0, LEN);
			switch (ops[(i + j) % 3]) {
			case IBV_WR_RDMA_WRITE:
				ASSERT_EQ(0, rv_post_write(&pair.a, &a, 1,
						rv_ends_remote(e, 0)));
				break;
			case IBV_WR_RDMA_READ:
				ASSERT_EQ(0, rv_post_read(&pair.a, &a, 1,
						rv_ends_remote(e, 0)));
				break;
			default:
				ASSERT_EQ(0, rv_post_recv(&pair.b, &b, 1));
				ASSERT_EQ(0, rv_post_send(&pair.a, &a, 1));
				break;
			}
		}
		/* Have faults under way, too. */
		ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
		if (i % 2)
			ASSERT_RV(0, rv_wait(&pair.a));
		if (i % 4 < 2) {
			rv_qp_fini(&pair.b);
			rv_qp_fini(&pair.a);
		} else {
			rv_pair_fini(&pair);
		}
	}
	rv_buf_learn(&e->mem_a);
	rv_buf_expect(&e->mem_b, 0, e->mem_b.base, LEN);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
}

/* A lot of memory, prefetched in the background, while the region goes. */
TEST_F_TIMEOUT(teardown, dereg_during_prefetch, 120)
{
	struct rv_ends *e = &self->e;
	size_t len = 3UL << 30;
	struct ibv_sge sge;
	struct ibv_mr *mr;
	uint64_t start_ms;
	int64_t before;
	void *big;
	int i;

	big = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, big);
	/* Only zero pages, one by one. */
	madvise(big, len, MADV_NOHUGEPAGE);
	for (i = 0; i < rv_shrink(3); i++) {
		before = rv_stat_dev(&e->dev, "page_prefetch");
		if (before < 0)
			SKIP(break, "no count of prefetched pages");
		mr = ibv_reg_mr(e->dev.pd, big, len, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		sge = RV_SGE(mr, big, len);
		ASSERT_EQ(0, rv_advise(e->dev.pd, IBV_ADVISE_MR_ADVICE_PREFETCH,
				       0, &sge, 1));
		if (i)
			ASSERT_TRUE(rv_wait_for(rv_stat_dev(&e->dev,
					"page_prefetch") > before));
		start_ms = rv_now_ms();
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		rv_log("deregistered in %llu ms, %lld pages prefetched",
		       (unsigned long long)(rv_now_ms() - start_ms),
		       (long long)(rv_stat_dev(&e->dev, "page_prefetch") -
				   before));
		/* It did not wait for all of them. */
		ASSERT_GT(before + len / RV_PAGE / 2,
			  rv_stat_dev(&e->dev, "page_prefetch"));
		ASSERT_EQ(0, madvise(big, len, MADV_DONTNEED));
	}
	munmap(big, len);
}

/* What exists on the device, as `rdma resource show` tells; -1 if it doesn't. */
struct counts {
	int mr, qp, cq, pd, ctx;
};

static int number_of(const char *line, const char *what)
{
	const char *at = strstr(line, what);

	return at ? atoi(at + strlen(what)) : -1;
}

static struct counts count_all(void)
{
	char line[256] = "";
	FILE *out;

	snprintf(line, sizeof(line), "rdma resource show %s", rv_dev_name());
	out = popen(line, "re");
	if (!out || !fgets(line, sizeof(line), out))
		rv_log("no answer from rdma resource show");
	if (out)
		pclose(out);
	return (struct counts){
		.mr = number_of(line, " mr "),
		.qp = number_of(line, " qp "),
		.cq = number_of(line, " cq "),
		.pd = number_of(line, " pd "),
		.ctx = number_of(line, " ctx "),
	};
}

static bool same(const struct counts *a)
{
	struct counts b = count_all();

	return !memcmp(a, &b, sizeof(b));
}

/*
 * A process with a device, regions and traffic of its own, which reports that
 * it is at it by a byte and goes on until it is killed.
 */
static void victim(int report, int i)
{
	struct rv_opts opts = { .mtu = 4096 };
	size_t len = 64UL << 20;
	struct rv_traffic t[2];
	struct ibv_sge sge;
	struct rv_ends e;
	struct ibv_mr *mr;
	void *big;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rv_rand_stream(100 + i);
	if (rv_ends_init(&e, &opts, LEN, RV_ODP, RV_ODP) ||
	    start(&t[0], &e, ops[i % 3], 200 + i) ||
	    start(&t[1], &e, ops[(i + 1) % 3], 300 + i) ||
	    rv_traffic_more(&t[0], 2))
		_exit(1);
	big = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	madvise(big, len, MADV_NOHUGEPAGE);
	mr = ibv_reg_mr(e.dev.pd, big, len, RV_ACCESS | RV_ODP);
	if (!mr)
		_exit(1);
	sge = RV_SGE(mr, big, len);
	if (rv_advise(e.dev.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, &sge,
		      1))
		_exit(1);
	if (write(report, "r", 1) != 1)
		_exit(1);
	if (i % 4 == 3)
		_exit(0);
	for (;;) {
		if (i % 2)
			madvise(e.mem_b.base, LEN, MADV_DONTNEED);
		sched_yield();
	}
}

static pid_t victim_start(int i, int *report)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		victim(fds[1], i);
	close(fds[1]);
	*report = fds[0];
	return pid;
}

static int kill_some(int n, int at_once)
{
	int report[16], i, j, status;
	pid_t pid[16];
	char byte;

	for (i = 0; i < n; i += at_once) {
		for (j = 0; j < at_once; j++) {
			pid[j] = victim_start(i + j, &report[j]);
			if (pid[j] < 0)
				return -1;
		}
		for (j = 0; j < at_once; j++) {
			if (read(report[j], &byte, 1) != 1) {
				rv_log("victim %d did not get going", i + j);
				return -1;
			}
			close(report[j]);
		}
		for (j = 0; j < at_once; j++)
			kill(pid[j], SIGKILL);
		for (j = 0; j < at_once; j++) {
			status = rv_reap(pid[j]);
			if (status < 0)
				return status;
		}
	}
	return 0;
}

/* Each of these leaves the device as it was. */
FIXTURE(processes)
{
	struct counts before;
};

FIXTURE_SETUP(processes)
{
	self->before = count_all();
	ASSERT_LE(0, self->before.mr);
}

FIXTURE_TEARDOWN(processes)
{
	bool clean = rv_wait_for(same(&self->before));

	EXPECT_TRUE(clean)
		TH_LOG("something is left behind");
	if (!clean)
		rv_run("rdma resource show; rdma resource show mr; "
		       "rdma resource show qp");
}

TEST_F_TIMEOUT(processes, kill_under_traffic, 120)
{
	ASSERT_EQ(0, kill_some(rv_shrink(6), 1));
}

TEST_F_TIMEOUT(processes, kill_many, 120)
{
	ASSERT_EQ(0, kill_some(8, 8));
}

/* The threads of one process, each with a mirror's worth of work. */
TEST_F_TIMEOUT(processes, exit_without_goodbye, 120)
{
	struct rv_traffic t[3];
	struct rv_ends e;
	pid_t pid;
	int i;

	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid) {
			if (rv_ends_init(&e, NULL, LEN, RV_ODP, RV_ODP) ||
			    start(&t[0], &e, ops[0], 1) ||
			    start(&t[1], &e, ops[1], 2) ||
			    start(&t[2], &e, ops[2], 3) ||
			    rv_traffic_more(&t[i], 3))
				_exit(1);
			_exit(0);
		}
		ASSERT_EQ(0, rv_reap(pid));
	}
}

/* What two processes tell each other. */
struct hello {
	uint32_t qpn, rkey;
	uint64_t addr;
	union ibv_gid gid;
};

/*
 * The process that registered the region has gone. Its child has inherited the
 * device and keeps it open, so region and queue pair are still there; the
 * memory is not.
 */
static void orphaned(int to, int from, struct rv_opts *opts)
{
	struct hello mine = { 0 }, theirs;
	struct rv_buf b;
	struct rv_dev d;
	struct rv_qp q;
	struct ibv_mr *mr;
	char byte;

	if (rv_dev_open(&d, NULL) || rv_qp_init(&q, &d, opts) ||
	    rv_buf_alloc(&b, LEN))
		_exit(1);
	mr = rv_reg_all(&d, &b, RV_ACCESS | RV_ODP);
	if (!mr)
		_exit(1);
	mine.qpn = q.qp->qp_num;
	mine.rkey = mr->rkey;
	mine.addr = (uintptr_t)b.base;
	mine.gid = d.gid;
	if (write(to, &mine, sizeof(mine)) != sizeof(mine) ||
	    read(from, &theirs, sizeof(theirs)) != sizeof(theirs) ||
	    rv_qp_connect(&q, theirs.qpn, &theirs.gid) ||
	    write(to, "c", 1) != 1 || read(from, &byte, 1) != 1)
		_exit(1);
	if (!fork()) {
		/* Until the other end of the pipe is closed. */
		while (read(from, &byte, 1) == 1)
			;
		_exit(0);
	}
	_exit(0);
}

TEST_F_TIMEOUT(processes, memory_gone, 120)
{
	struct rv_opts opts = { .mtu = 4096 };
	int up[2], down[2], i;
	struct rv_remote at;
	struct hello hello;
	struct ibv_sge sge;
	struct ibv_mr *mr;
	struct rv_dev d;
	struct rv_buf b;
	struct rv_qp q;
	char byte;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pipe2(up, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(down, O_CLOEXEC));
		pid = fork();
		if (!pid) {
			close(up[0]);
			close(down[1]);
			orphaned(up[1], down[0], &opts);
		}
		close(up[1]);
		close(down[0]);
		ASSERT_EQ(0, rv_dev_open(&d, NULL));
		ASSERT_EQ(0, rv_qp_init(&q, &d, &opts));
		ASSERT_EQ(0, rv_buf_alloc(&b, LEN));
		rv_buf_fill(&b);
		mr = rv_reg_all(&d, &b, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		ASSERT_EQ(sizeof(hello), read(up[0], &hello, sizeof(hello)));
		ASSERT_EQ(0, rv_qp_connect(&q, hello.qpn, &hello.gid));
		at.addr = hello.addr;
		at.rkey = hello.rkey;
		hello.qpn = q.qp->qp_num;
		hello.gid = d.gid;
		ASSERT_EQ(sizeof(hello), write(down[1], &hello, sizeof(hello)));
		ASSERT_EQ(1, read(up[0], &byte, 1));
		sge = RV_SGE(mr, b.base, 10000);
		ASSERT_RV(0, rv_write(&q, &sge, 1, at));
		ASSERT_RV(0, rv_read(&q, &sge, 1, at));
		ASSERT_EQ(0, rv_buf_check(&b));

		ASSERT_EQ(1, write(down[1], "x", 1));
		ASSERT_EQ(0, rv_reap(pid));
		if (i)
			ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
				  rv_write(&q, &sge, 1, at));
		else
			ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
				  rv_read(&q, &sge, 1, at));
		ASSERT_EQ(0, rv_buf_check(&b));
		close(down[1]);
		close(up[0]);
		rv_qp_fini(&q);
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		rv_buf_free(&b);
		rv_dev_close(&d);
	}
}

/*
 * A device of our own goes, and in the second round the network device below
 * it, while a process uses it. They wait for the process, which is killed.
 */
static const char *const removals[] = {
	"rdma link delete rxetest0", "ip link delete rxetest",
};

TEST_F_TIMEOUT(processes, remove_device, 120)
{
	char *usual = strdup(rv_dev_name());
	pid_t pid, remover;
	int report, i;
	char byte;

	if (geteuid())
		SKIP(return, "making a device needs root");
	/* Left by a run that was cut short? */
	rv_run("ip link delete rxetest 2>/dev/null || :");
	ASSERT_EQ(0, rv_run("ip link add rxetest type dummy && "
			    "ip link set rxetest mtu 9000 up && "
			    "ip addr add 203.0.113.1/24 dev rxetest"));
	for (i = 0; i < ARRAY_SIZE(removals); i++) {
		ASSERT_EQ(0, rv_run("rdma link add rxetest0 type rxe "
				    "netdev rxetest"));
		setenv("RXE_DEV", "rxetest0", 1);
		pid = victim_start(i, &report);
		ASSERT_LT(0, pid);
		ASSERT_EQ(1, read(report, &byte, 1));
		close(report);
		setenv("RXE_DEV", usual, 1);
		remover = fork();
		if (!remover)
			_exit(rv_run("%s", removals[i]) ? 1 : 0);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_LE(0, rv_reap(pid));
		ASSERT_EQ(0, rv_reap(remover));
		ASSERT_TRUE(rv_wait_for(
			access("/sys/class/infiniband/rxetest0", F_OK)));
	}
	free(usual);
}

/* The module can't go while a process has a region. */
TEST_F(teardown, module_in_use)
{
	if (geteuid())
		SKIP(return, "unloading needs root");
	ASSERT_EQ(-1, syscall(SYS_delete_module, "rdma_rxe", O_NONBLOCK));
	ASSERT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);
	ASSERT_RV_OK(rv_ends_write(&self->e, 0, 0, LEN));
}

RV_HARNESS_MAIN
