// SPDX-License-Identifier: GPL-2.0
/*
 * Processes, regions and devices go away with pages on the device: no page
 * stays in use, and whoever is left has the right bytes. And two devices that
 * serve the same process: a page is on one of them at a time.
 *
 * Needs root, for a second device of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(2 * RV_HUGE)
#define PAGES	((int64_t)(LEN / RV_PAGE))
#define NAME	"rxe_lives"
#define NETDEV	"rxe_lives0"
#define ADDRESS	"198.51.100.77"
#define PARAM	"/sys/module/rdma_rxe/parameters/device_memory"

FIXTURE(device_lives)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(device_lives)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device_lives, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device_lives, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device_lives)
{
	if (geteuid())
		SKIP(return, "not root");
	rv_link_remove(NAME, NETDEV);
	ASSERT_EQ(0, rv_dmem_resize(NULL, "64M"));
	ASSERT_EQ(0, rv_dmem_used(NULL));
}

FIXTURE_TEARDOWN(device_lives)
{
	EXPECT_TRUE(rv_wait_for(!rv_dmem_used(NULL)))
		TH_LOG("%lld pages are still in use",
		       (long long)rv_dmem_used(NULL));
	rv_link_remove(NAME, NETDEV);
}

static void start_traffic(struct rv_traffic *t, struct rv_ends *e)
{
	*t = (struct rv_traffic){
		.op = IBV_WR_RDMA_WRITE,
		.from_mr = e->mr_a,
		.to_mr = e->mr_b,
		.from = e->mem_a.base,
		.to = e->mem_b.base,
		.len = LEN,
		.depth = 4,
	};
	if (rv_traffic_start(t, &e->dev, NULL, 5) || rv_traffic_more(t, 2))
		_exit(1);
}

/*
 * A process with pages on the device, traffic and migrations, which says by a
 * byte that it is at it, and then exits, is killed, or forks first.
 */
static void victim(int report, int advice, int i)
{
	pid_t me = getpid();
	struct rv_traffic t;
	struct rv_ends e;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rv_rand_stream(100 + i);
	if (rv_dmem_init(&e, NULL, "64M", LEN, advice) ||
	    rv_promote(e.mr_b, 0, LEN) < 0)
		_exit(1);
	start_traffic(&t, &e);
	if (i % 3 == 2 && !fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == me)
			pause();
		_exit(0);
	}
	if (write(report, "r", 1) != 1)
		_exit(1);
	if (i % 4 == 3)
		_exit(0);
	for (;; i++)
		if (rv_hmm_migrate(e.mr_b, 0, LEN,
				   i % 2 ? RV_DEVICE : RV_SYSTEM,
				   &(struct rxe_hmm_migrate_resp){}))
			_exit(1);
}

/* In the middle of it all. */
TEST_F_TIMEOUT(device_lives, killed, 200)
{
	int fds[2], pid, i, status;
	char byte;

	for (i = 0; i < rv_shrink(12); i++) {
		ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
		pid = fork();
		if (!pid)
			victim(fds[1], variant->advice, i);
		close(fds[1]);
		ASSERT_EQ(1, read(fds[0], &byte, 1));
		close(fds[0]);
		usleep(rv_rand_below(20000));
		kill(pid, SIGKILL);
		status = rv_reap(pid);
		ASSERT_TRUE(status == SIGKILL || !status)
			TH_LOG("status %#x", status);
		/* a grandchild lives until its parent is gone */
		ASSERT_TRUE(rv_wait_for(!rv_dmem_used(NULL)));
	}
}

/* A process with regions and pages, and its child, which has the pages only. */
struct family {
	int parent;
	int to_child, from;
};

static void live_as_child(struct rv_ends *e, int in, int out)
{
	char byte;

	dup2(in, 0);
	dup2(out, 1);
	close_range(3, ~0U, 0);
	if (read(0, &byte, 1) != 1)
		_exit(1);
	byte = rv_ends_check(e) ? '0' : '1';
	_exit(write(1, &byte, 1) == 1 && byte == '1' ? 0 : 1);
}

/* Returns when all of it is there: 0 or -errno. */
static int start_family(struct family *f, int advice)
{
	int to_parent[2], to_child[2];
	struct rv_ends e;
	char byte;

	if (pipe(to_parent) || pipe(to_child))
		return -errno;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	f->parent = fork();
	if (!f->parent) {
		if (rv_dmem_init(&e, NULL, "64M", LEN, advice) ||
		    rv_promote(e.mr_a, 0, LEN) != PAGES)
			_exit(1);
		rv_pair_fini(&e.pair);
		if (!fork())
			live_as_child(&e, to_child[0], to_parent[1]);
		if (write(to_parent[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	f->to_child = to_child[1];
	f->from = to_parent[0];
	close(to_child[0]);
	close(to_parent[1]);
	return read(f->from, &byte, 1) == 1 ? 0 : -EPIPE;
}

/* 0 if the child sees the right bytes; it is gone then. */
static int end_family(struct family *f)
{
	char byte = 0;

	if (write(f->to_child, "x", 1) != 1 || read(f->from, &byte, 1) != 1)
		return -EPIPE;
	close(f->to_child);
	close(f->from);
	return byte == '1' ? rv_reap(-1) > 0 : -EBADMSG;
}

/* A process dies with its regions: its child's pages come to RAM. */
TEST_F_TIMEOUT(device_lives, survived_by_child, 120)
{
	struct family f;

	ASSERT_EQ(0, start_family(&f, variant->advice));
	ASSERT_EQ(PAGES, rv_dmem_used(NULL));
	kill(f.parent, SIGKILL);
	ASSERT_EQ(SIGKILL, rv_reap(f.parent));
	ASSERT_TRUE(rv_wait_for(!rv_dmem_used(NULL)));
	ASSERT_EQ(0, end_family(&f));
}

static bool unload(void)
{
	return !syscall(SYS_delete_module, "rdma_rxe", O_NONBLOCK);
}

/* A kernel that checks its locks lets the sockets of a link hold the module. */
static bool link_holds_module(void)
{
	return rv_get("/sys/module/rdma_rxe/refcnt", NULL) > 0;
}

/*
 * The module is asked to go while pages are on the device, again and again: not
 * before the process is gone, and at once then, whatever its pages are at. Its
 * child has the right bytes without any module. Then it is all there again.
 */
TEST_F_TIMEOUT(device_lives, module_goes, 120)
{
	struct family f;
	bool held = link_holds_module();
	char netdev[64];
	struct rv_ends e;
	FILE *out;

	out = popen("rdma link show rxe0/1 | sed -n 's/.* netdev \\([^ ]*\\).*/\\1/p'",
		    "re");
	ASSERT_NE(NULL, out);
	ASSERT_EQ(1, fscanf(out, "%63s", netdev));
	pclose(out);
	ASSERT_EQ(0, start_family(&f, variant->advice));
	ASSERT_FALSE(unload());
	ASSERT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);
	ASSERT_EQ(PAGES, rv_dmem_used(NULL));
	kill(f.parent, SIGKILL);
	if (held)
		ASSERT_EQ(0, rv_run("rdma link delete rxe0"));
	ASSERT_TRUE(rv_wait_for(unload()));
	ASSERT_NE(0, access("/sys/module/rdma_rxe", F_OK));
	ASSERT_EQ(SIGKILL, rv_reap(f.parent));
	ASSERT_EQ(0, end_family(&f));

	ASSERT_EQ(0, rv_run("if command -v rxe-load >/dev/null; then "
			    "rxe-load && rxe-add 0; else modprobe rdma_rxe && "
			    "rdma link add rxe0 type rxe netdev %s; fi",
			    netdev));
	rv_keep_policy_out();
	ASSERT_EQ(0, rv_dmem_init(&e, NULL, "64M", LEN, variant->advice));
	ASSERT_EQ(PAGES, rv_promote(e.mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_write_blind(&e, 5, 99, 40000));
	ASSERT_EQ(0, rv_dmem_fini(&e));
}

/* Regions come and go; nobody but their process moves their pages. */
TEST_F_TIMEOUT(device_lives, dereg_after_migration, 120)
{
	struct rxe_hmm_migrate_resp resp;
	struct rv_ends e;
	struct ibv_mr *mr;
	int i, pid;

	ASSERT_EQ(0, rv_dmem_init(&e, NULL, "64M", LEN, variant->advice));
	for (i = 0; i < rv_shrink(20); i++) {
		mr = rv_reg(&e.dev, &e.mem_b, i * 7000, LEN - i * 9000,
			    RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		/* the child may not: the memory is its parent's */
		pid = fork();
		if (!pid)
			_exit(rv_hmm_migrate(mr, 0, mr->length, RV_DEVICE,
					     &resp) == -EPERM ? 0 : 1);
		ASSERT_EQ(0, rv_hmm_migrate(mr, 0, mr->length, RV_DEVICE,
					    &resp));
		ASSERT_EQ(0, rv_reap(pid));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
	}
	ASSERT_EQ(0, rv_dmem_fini(&e));
}

/* Moves a region's pages there and back, until it is told to stop. */
struct mover {
	struct ibv_context *ctx;
	struct ibv_mr mr;	/* a copy: the region may go */
	uint32_t number;	/* if it is named by that, else 0 */
	uint64_t moves, gone;
	int result;
	bool stop;
	pthread_t thread;
};

static void *move_on(void *arg)
{
	struct rxe_hmm_migrate_resp resp;
	struct mover *m = arg;
	int place, err;

	while (!m->result && !__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		place = m->moves % 2 ? RV_SYSTEM : RV_DEVICE;
		err = m->number ?
		      rv_hmm_migrate_number(m->ctx, m->number, LEN, place, &resp) :
		      rv_hmm_migrate(&m->mr, 0, LEN, place, &resp);
		if (err == -ENOENT || err == -EBUSY)
			m->gone++;
		else
			m->result = err;
		__atomic_store_n(&m->moves, m->moves + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* What is in use by a call of its own process isn't deregistered: again. */
static int dereg_in_use(struct ibv_mr *mr)
{
	uint64_t end = rv_now_ms() + rv_deadline_ms();
	int err = EBUSY;

	while (err == EBUSY && rv_now_ms() < end) {
		err = ibv_dereg_mr(mr);
		rv_pause();
	}
	return -err;
}

/* A region goes in the middle of a call that moves its pages. */
TEST_F_TIMEOUT(device_lives, dereg_under_migration, 200)
{
	struct mover m = {};
	struct rv_ends e;
	struct ibv_mr *mr;
	uint64_t before;
	int i;

	ASSERT_EQ(0, rv_dmem_init(&e, NULL, "64M", LEN, variant->advice));
	m.ctx = e.dev.ctx;
	for (i = 0; i < rv_shrink(12) + 2; i++) {
		/* in every other round it is the process's last one */
		if (i % 4 == 2) {
			ASSERT_EQ(0, ibv_dereg_mr(e.mr_a));
			ASSERT_EQ(0, ibv_dereg_mr(e.mr_b));
		}
		mr = rv_reg_all(&e.dev, &e.mem_b, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		m.mr = *mr;
		m.number = i % 2 ? rv_stat_mrn(&e.dev, mr->lkey) : 0;
		m.stop = false;
		before = m.moves;
		ASSERT_EQ(0, pthread_create(&m.thread, NULL, move_on, &m));
		ASSERT_TRUE(rv_wait_for(__atomic_load_n(&m.moves,
					__ATOMIC_ACQUIRE) > before + i % 3));
		ASSERT_EQ(0, dereg_in_use(mr));
		__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
		ASSERT_EQ(0, pthread_join(m.thread, NULL));
		ASSERT_EQ(0, m.result) TH_LOG("round %d", i);
		if (i % 4 == 2)
			ASSERT_EQ(0, rv_dmem_used(NULL));
		if (i % 4 == 3) {
			e.mr_a = rv_reg_all(&e.dev, &e.mem_a, RV_ACCESS | RV_ODP);
			e.mr_b = rv_reg_all(&e.dev, &e.mem_b, RV_ACCESS | RV_ODP);
			ASSERT_RV_OK(rv_ends_write(&e, 5, 99, 40000));
		}
	}
	rv_log("%llu calls, %llu of them too late", (unsigned long long)m.moves,
	       (unsigned long long)m.gone);
	if (i % 4 == 3)
		e.mr_a = e.mr_b = NULL;
	ASSERT_EQ(0, rv_dmem_fini(&e));
}

/* What the parameter says is what new devices have. */
TEST_F(device_lives, parameter)
{
	static const char *const bad[] = { "-1", "3M", "x", "1", "8P" };
	int64_t before = rv_get(PARAM, NULL);
	int i;

	ASSERT_LE(0, before);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, rv_put(PARAM, "%s", bad[i]))
			TH_LOG("%s", bad[i]);
		EXPECT_EQ(before, rv_get(PARAM, NULL));
	}
	ASSERT_EQ(0, rv_put(PARAM, "6M"));
	ASSERT_EQ(6 << 20, rv_get(PARAM, NULL));
	ASSERT_EQ(64 << 20, rv_dmem_get(NULL, "size"));
	EXPECT_TRUE(rv_link_add(NAME, NETDEV, ADDRESS));
	EXPECT_EQ(6 << 20, rv_dmem_get(NAME, "size"));
	EXPECT_EQ(6 << 20, rv_dmem_get(NAME, "free"));
	EXPECT_EQ(0, rv_dmem_get(NAME, "used"));
	ASSERT_EQ(0, rv_put(PARAM, "%lld", (long long)before));
}

/* A second device with pages on it is deleted; a child still has them. */
TEST_F_TIMEOUT(device_lives, link_delete, 120)
{
	char *usual = strdup(rv_dev_name());
	int fds[2], pid, remover, i;
	char byte;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(rv_link_add(NAME, NETDEV, ADDRESS));
		ASSERT_EQ(0, rv_dmem_resize(NAME, "16M"));
		ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
		setenv("RXE_DEV", NAME, 1);
		pid = fork();
		if (!pid)
			victim(fds[1], variant->advice, i);
		close(fds[1]);
		ASSERT_EQ(1, read(fds[0], &byte, 1));
		close(fds[0]);
		setenv("RXE_DEV", usual, 1);
		remover = fork();
		if (!remover) {
			rv_link_remove(NAME, NETDEV);
			_exit(0);
		}
		usleep(rv_rand_below(50000));
		kill(pid, SIGKILL);
		ASSERT_LE(0, rv_reap(pid));
		ASSERT_EQ(0, rv_reap(remover));
		ASSERT_EQ(-1, rv_dmem_get(NAME, "used"));
	}
	free(usual);
}

/* Pages go from one device to the other, and each serves what the other has. */
TEST_F_TIMEOUT(device_lives, two_devices, 120)
{
	struct rv_ends e, f;
	int i;

	ASSERT_TRUE(rv_link_add(NAME, NETDEV, ADDRESS));
	ASSERT_EQ(0, rv_dmem_init(&e, NULL, "64M", LEN, variant->advice));
	memset(&f, 0, sizeof(f));
	ASSERT_EQ(0, rv_dmem_resize(NAME, "32M"));
	ASSERT_EQ(0, rv_dev_open(&f.dev, NAME));
	ASSERT_EQ(0, rv_pair_init(&f.pair, &f.dev, NULL));
	f.mem_a = e.mem_a;
	f.mem_b = e.mem_b;
	f.mr_a = rv_reg_all(&f.dev, &f.mem_a, RV_ACCESS | RV_ODP);
	f.mr_b = rv_reg_all(&f.dev, &f.mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, f.mr_a);
	ASSERT_NE(NULL, f.mr_b);

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(PAGES, rv_promote(e.mr_b, 0, LEN));
		ASSERT_EQ(PAGES, rv_dmem_used(NULL));
		/* the other takes them away, by a touch and by a promotion */
		ASSERT_RV_OK(rv_ends_write(&f, 99, RV_HUGE - 3000, 20000));
		ASSERT_LE(0, rv_promote(e.mr_b, 0, LEN));
		ASSERT_TRUE(rv_wait_for(rv_promote(f.mr_b, 0, LEN) < 0 ||
					rv_on_device(f.mr_b, 0, LEN) == PAGES));
		ASSERT_EQ(PAGES, rv_dmem_used(NAME));
		ASSERT_EQ(0, rv_dmem_used(NULL));
		ASSERT_EQ(0, rv_on_device(e.mr_b, 0, LEN));
		ASSERT_RV_OK(rv_ends_read(&e, 3, 5 * RV_PAGE + 9, 30000));
		ASSERT_LE(0, rv_promote(f.mr_b, 0, LEN));
		ASSERT_RV_OK(rv_ends_write(&e, 5, RV_HUGE - 9000, 20000));
		ASSERT_EQ(0, rv_demote(f.mr_b, 0, LEN) < 0);
		ASSERT_EQ(0, rv_dmem_used(NAME));
	}
	ASSERT_LE(0, rv_promote(f.mr_b, 0, LEN));
	ASSERT_LE(0, rv_promote(e.mr_a, 0, LEN));
	ASSERT_EQ(0, ibv_dereg_mr(f.mr_b));
	ASSERT_EQ(0, ibv_dereg_mr(f.mr_a));
	ASSERT_EQ(0, rv_dmem_used(NAME));
	ASSERT_EQ(PAGES, rv_dmem_used(NULL));
	rv_pair_fini(&f.pair);
	rv_dev_close(&f.dev);
	ASSERT_EQ(0, rv_dmem_fini(&e));
}

RV_HARNESS_MAIN
