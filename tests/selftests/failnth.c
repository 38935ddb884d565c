// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once: registration, prefetch, faults of the device,
 * statistics, a device that is made, the module that is loaded. A try either
 * succeeds or says that there is no memory, it leaves nothing behind, and the
 * same thing works when memory is there. failnth_memory.c does the same for
 * device memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_fail.h"
#include "lib/rv_pager.h"
#include "lib/rv_race.h"

#define LEN		(64 * 1024)

FIXTURE(failnth)
{
	struct rv_dev dev;
	struct rv_buf buf;
	int64_t mirrors, mrs;
};

FIXTURE_SETUP(failnth)
{
	rv_fail_reset();
	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&self->buf, LEN));
	madvise(self->buf.base, LEN, MADV_NOHUGEPAGE);
	rv_buf_fill(&self->buf);
	self->mirrors = rv_live("mirrors");
	self->mrs = rv_live("mrs");
}

FIXTURE_TEARDOWN(failnth)
{
	rv_fail_reset();
	rv_dev_close(&self->dev);
	rv_buf_free(&self->buf);
	EXPECT_EQ(self->mirrors, rv_live("mirrors"));
	EXPECT_EQ(self->mrs, rv_live("mrs"));
	EXPECT_TRUE(rv_wait_for(rv_live("advises") <= 0));
}

static int try_reg(struct rv_sweep *s)
{
	s->mr = ibv_reg_mr(s->dev->pd, s->buf->base, LEN, RV_ACCESS | RV_ODP);
	return s->mr ? 0 : -errno;
}

static int undo_reg(struct rv_sweep *s, int res)
{
	if (res)
		return rv_live("mrs") > 0 || rv_live("mirrors") > 0;
	return ibv_dereg_mr(s->mr);
}

TEST_F_TIMEOUT(failnth, registration, 600)
{
	struct rv_sweep s = {
		.name = "registration", .try = try_reg, .undo = undo_reg,
		.dev = &self->dev, .buf = &self->buf,
	};

	ASSERT_EQ(0, rv_sweep(&s));
}

/* Each try starts with an empty mirror: a window, a region, a table to make. */
static int try_prefetch(struct rv_sweep *s, unsigned int flags)
{
	struct ibv_sge sge = RV_SGE(s->mr, s->buf->base, LEN);

	return rv_advise(s->dev->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, flags,
			 &sge, 1);
}

static int try_prefetch_sync(struct rv_sweep *s)
{
	return try_prefetch(s, IBV_ADVISE_MR_FLAG_FLUSH);
}

static int try_prefetch_async(struct rv_sweep *s)
{
	return try_prefetch(s, 0);
}

/* The same again must work, whatever half was made before. */
static int redo_prefetch(struct rv_sweep *s, int res)
{
	int err = try_prefetch(s, IBV_ADVISE_MR_FLAG_FLUSH);

	if (!err)
		err = rv_buf_check(s->buf);
	if (!err)
		err = ibv_dereg_mr(s->mr);
	if (!err && !rv_wait_for(!rv_live("windows") && !rv_live("regions") &&
				 !rv_live("tables") && !rv_live("advises")))
		err = -1;
	return err ? err : try_reg(s);
}

TEST_F_TIMEOUT(failnth, prefetch, 600)
{
	struct rv_sweep s = {
		.name = "prefetch", .try = try_prefetch_sync,
		.undo = redo_prefetch, .dev = &self->dev, .buf = &self->buf,
		.efault_ok = true,
	};

	ASSERT_EQ(0, try_reg(&s));
	ASSERT_EQ(0, rv_sweep(&s));
	ASSERT_EQ(0, ibv_dereg_mr(s.mr));
}

static int redo_prefetch_untouched(struct rv_sweep *s, int res)
{
	int err = redo_prefetch(s, res);

	madvise(s->buf->base, LEN, MADV_DONTNEED);
	return err;
}

/* The process's pages must be made, too. */
TEST_F_TIMEOUT(failnth, prefetch_untouched, 600)
{
	struct rv_sweep s = {
		.name = "prefetch of untouched memory",
		.try = try_prefetch_sync, .undo = redo_prefetch_untouched,
		.dev = &self->dev, .buf = &self->buf, .efault_ok = true,
	};

	ASSERT_EQ(0, madvise(s.buf->base, LEN, MADV_DONTNEED));
	rv_buf_expect_byte(s.buf, 0, 0, LEN);
	ASSERT_EQ(0, try_reg(&s));
	ASSERT_EQ(0, rv_sweep(&s));
	ASSERT_EQ(0, ibv_dereg_mr(s.mr));
}

TEST_F_TIMEOUT(failnth, prefetch_async, 600)
{
	struct rv_sweep s = {
		.name = "prefetch in the background",
		.try = try_prefetch_async, .undo = redo_prefetch,
		.dev = &self->dev, .buf = &self->buf,
	};

	ASSERT_EQ(0, try_reg(&s));
	ASSERT_EQ(0, rv_sweep(&s));
	ASSERT_EQ(0, ibv_dereg_mr(s.mr));
}

/* A window is made, and there is never a place to put it. */
TEST_F_TIMEOUT(failnth, window_not_stored, 120)
{
	struct rv_sweep s = { .dev = &self->dev, .buf = &self->buf };

	ASSERT_EQ(0, try_reg(&s));
	ASSERT_EQ(0, rv_fail_only("xa_store"));
	rv_fail_often(100);
	EXPECT_EQ(-ENOMEM, try_prefetch_sync(&s));
	rv_fail_reset();
	EXPECT_EQ(0, rv_live("windows"));
	EXPECT_EQ(0, redo_prefetch(&s, 0));
	ASSERT_EQ(0, ibv_dereg_mr(s.mr));
}

static int undo_nothing(struct rv_sweep *s, int res)
{
	return 0;
}

static int try_stat(struct rv_sweep *s)
{
	return rv_stat_mr(s->dev, s->mr, "page_faults") < 0 ? -ENOMEM : 0;
}

TEST_F_TIMEOUT(failnth, statistics, 600)
{
	struct rv_sweep s = {
		.name = "statistics", .try = try_stat, .undo = undo_nothing,
		.dev = &self->dev, .buf = &self->buf,
	};

	ASSERT_EQ(0, try_reg(&s));
	ASSERT_EQ(0, rv_sweep(&s));
	ASSERT_EQ(0, ibv_dereg_mr(s.mr));
}

/* --- faults of the device -------------------------------------------------- */

FIXTURE(io)
{
	struct rv_ends e;
};

FIXTURE_SETUP(io)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20, .rnr_retry = 7 };

	rv_fail_reset();
	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, 0, RV_ODP));
	madvise(self->e.mem_b.map, self->e.mem_b.map_len, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, rv_fail_only("rxe_mirror_fault"));
}

FIXTURE_TEARDOWN(io)
{
	rv_fail_reset();
	rv_fail_workers_nth(0);
	rv_ends_fini(&self->e);
}

static int fresh_b(struct rv_ends *e)
{
	int err = ibv_dereg_mr(e->mr_b);

	if (err)
		return -err;
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_b ? 0 : -errno;
}

#define IO_NTH	16

/* The process has the page: the access goes another way, and succeeds. */
TEST_F_TIMEOUT(io, resident, 600)
{
	int64_t pins = rv_stat_dev(&self->e.dev, "page_fault_pins");
	struct rv_ends *e = &self->e;
	int n, hits = 0;

	for (n = 1; n <= IO_NTH; n++) {
		ASSERT_EQ(0, fresh_b(e));
		rv_fail_workers_nth(n);
		if (n % 2)
			ASSERT_RV_OK(rv_ends_write(e, 0, 100 + n, 9000));
		else
			ASSERT_RV_OK(rv_ends_read(e, 0, 100 + n, 9000));
		hits += rv_fail_workers_hit();
		ASSERT_RV_OK(rv_ends_write(e, 50, 200, 20000));
	}
	rv_log("%d allocations failed", hits);
	EXPECT_LE(4, hits);
	EXPECT_LT(pins, rv_stat_dev(&e->dev, "page_fault_pins"));
}

/* The page must be made: that may fail, and then nothing has been written. */
TEST_F_TIMEOUT(io, untouched, 600)
{
	struct rv_ends *e = &self->e;
	int n, res, hits = 0;

	for (n = 1; n <= 2 * IO_NTH; n++) {
		ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_DONTNEED));
		rv_buf_expect_byte(&e->mem_b, 0, 0, LEN);
		ASSERT_EQ(0, fresh_b(e));
		rv_fail_workers_nth(n);
		struct ibv_sge sge = rv_ends_sge_a(e, 0, 3000);

		res = rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 2000));
		hits += rv_fail_workers_hit();
		if (!res) {
			rv_buf_expect(&e->mem_b, 2000,
				      rv_buf_shadow(&e->mem_a, 0), 3000);
		} else {
			ASSERT_RV(IBV_WC_REM_ACCESS_ERR, res);
			ASSERT_EQ(0, rv_pair_again(&e->pair));
		}
		ASSERT_EQ(0, rv_ends_check(e));
		ASSERT_RV_OK(rv_ends_write(e, 0, 5000, 10000));
	}
	rv_log("%d allocations failed", hits);
	EXPECT_LE(4, hits);
}

/* The mirror never gets any memory: it is slow, and right. */
TEST_F_TIMEOUT(io, never, 600)
{
	struct rv_ends *e = &self->e;
	int i, rounds = rv_shrink(320);

	ASSERT_EQ(0, fresh_b(e));
	rv_fail_often(100);
	for (i = 0; i < rounds; i++) {
		size_t len = rv_rand_between(1, 9000);
		size_t a = rv_rand_below(LEN - len);
		size_t b = rv_rand_below(LEN - len);

		if (i % 2)
			ASSERT_RV_OK(rv_ends_write(e, a, b, len));
		else
			ASSERT_RV_OK(rv_ends_read(e, a, b, len));
		ASSERT_RV_OK(rv_ends_fetch_add(e, 0, b & ~7, i));
	}
	rv_fail_often(0);
	ASSERT_EQ(0, rv_live("tables"));
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	ASSERT_LT(0, rv_live("tables"));
}

/* Slow memory, and no thread to wait for it: the peer asks until there is one. */
TEST_F_TIMEOUT(io, no_slow_thread, 120)
{
	struct rv_ends *e = &self->e;
	struct rv_pager p = {};
	int64_t deferred;

	ASSERT_EQ(0, rv_pager_start(&p, &e->mem_b, LEN, RV_MISSING));
	ASSERT_EQ(0, rv_fail_only("kthread_create_on_node"));
	rv_fail_often(100);
	deferred = rv_stat_dev(&e->dev, "page_faults_deferred");
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 3000);

	ASSERT_EQ(0, rv_post_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 2000)));
	EXPECT_TRUE(rv_wait_for(rv_stat_dev(&e->dev, "page_faults_deferred") >
				deferred + 3));
	EXPECT_EQ(0, rv_pager_asked(&p));
	rv_fail_reset();
	EXPECT_EQ(0, rv_pager_wait(&p, 1));
	rv_pager_release(&p);
	ASSERT_RV_OK(rv_wait(&e->pair.a));
	rv_buf_expect(&e->mem_b, 2000, rv_buf_shadow(&e->mem_a, 0), 3000);
	ASSERT_EQ(0, rv_ends_check(e));
	rv_pager_stop(&p);
}

/* --- devices and the module ------------------------------------------------ */

struct newlink {
	struct nlmsghdr nlh;
	char attrs[128];
};

static void put_text(struct newlink *m, int type, const char *text)
{
	struct nlattr *a = (void *)((char *)m + NLMSG_ALIGN(m->nlh.nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + strlen(text) + 1;
	memcpy((char *)a + NLA_HDRLEN, text, strlen(text) + 1);
	m->nlh.nlmsg_len = NLMSG_ALIGN(m->nlh.nlmsg_len) +
			   NLA_ALIGN(a->nla_len);
}

static int try_add(struct rv_sweep *s)
{
	struct {
		struct nlmsghdr nlh;
		struct nlmsgerr err;
		char rest[1024];
	} answer;
	struct newlink m = { 0 };
	int err = 0;

	m.nlh.nlmsg_len = NLMSG_HDRLEN;
	m.nlh.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV,
					    RDMA_NLDEV_CMD_NEWLINK);
	m.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	put_text(&m, RDMA_NLDEV_ATTR_DEV_NAME, "rxefail");
	put_text(&m, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
	put_text(&m, RDMA_NLDEV_ATTR_NDEV_NAME, "dummyfail");
	if (send(s->fd, &m, m.nlh.nlmsg_len, 0) < 0)
		err = -errno;
	else if (recv(s->fd, &answer, sizeof(answer),
		      MSG_DONTWAIT) < 0)
		err = -errno;
	else if (answer.nlh.nlmsg_type == NLMSG_ERROR)
		err = answer.err.error;
	return err;
}

/* The answer may have got lost after a success. */
static int undo_add(struct rv_sweep *s, int res)
{
	if (!access("/sys/class/infiniband/rxefail", F_OK))
		return rv_run("rdma link delete rxefail");
	return res ? 0 : -ENODEV;
}

TEST_F_TIMEOUT(failnth, device, 850)
{
	struct rv_sweep s = {
		.name = "rdma link add", .try = try_add, .undo = undo_add,
	};

	s.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	ASSERT_LE(0, s.fd);
	ASSERT_EQ(0, rv_run("ip link add dummyfail type dummy && "
			    "ip link set dummyfail up"));
	/* the rest is the kernel's, and takes very long */
	ASSERT_EQ(0, rv_fail_only("rxe_hmm_dev_init"));
	EXPECT_EQ(0, rv_sweep(&s));
	ASSERT_EQ(0, rv_run("ip link delete dummyfail"));
}

static const char *module(void)
{
	const char *path = getenv("RXE_MODULE");

	return path ? path : "/share/.vm/rdma_rxe.ko";
}

static int try_load(struct rv_sweep *s)
{
	int fd = open(module(), O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -EINVAL;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

static int undo_load(struct rv_sweep *s, int res)
{
	return res ? 0 : rv_run("rmmod rdma_rxe");
}

FIXTURE(module)
{
};

FIXTURE_SETUP(module)
{
}

FIXTURE_TEARDOWN(module)
{
}

TEST_F_TIMEOUT(module, init, 600)
{
	struct rv_sweep s = {
		.name = "module init", .try = try_load, .undo = undo_load,
	};
	int err;

	if (access(module(), R_OK))
		SKIP(return, "no module to load: set RXE_MODULE");
	ASSERT_EQ(0, rv_run("rdma link delete rxe0 && rmmod rdma_rxe"));
	rv_fail_reset();
	ASSERT_EQ(0, rv_fail_only("do_one_initcall"));
	/* the race points: nobody minds if one is missing */
	ASSERT_EQ(0, rv_fail_not_in("debugfs_create_dir",
				    "__debugfs_create_file"));
	err = rv_sweep(&s);
	rv_fail_reset();
	ASSERT_EQ(0, rv_run("rxe-load && rxe-add 0"));
	ASSERT_EQ(0, err);
}

RV_FAIL_HARNESS_MAIN
