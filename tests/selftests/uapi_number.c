// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's own verbs by the number of a region: the administrator names any
 * region by it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_call.h"

#define LEN	(64 * RV_PAGE)

FIXTURE(uapi_number)
{
	struct rv_dev dev;
	struct rv_buf buf;
	struct ibv_mr *mr;
	int64_t number;
};

FIXTURE_SETUP(uapi_number)
{
	if (geteuid())
		SKIP(return, "not root");
	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc(&self->buf, LEN));
	rv_buf_fill(&self->buf);
	self->mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
	self->number = rv_stat_mrn(&self->dev, self->mr->lkey);
	ASSERT_LE(0, self->number);
}

FIXTURE_TEARDOWN(uapi_number)
{
	EXPECT_EQ(0, rv_buf_check(&self->buf));
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	rv_buf_free(&self->buf);
	rv_dev_close(&self->dev);
}

TEST_F(uapi_number, own)
{
	EXPECT_CALLS(0, self->mr, _c.by_handle = false; _c.by_number = true;
		     _c.number = self->number);
	EXPECT_CALLS(-EINVAL, self->mr, _c.by_number = true;
		     _c.number = self->number);
	EXPECT_CALLS(-EINVAL, self->mr, _c.by_handle = false; _c.by_number = true;
		     _c.number = self->number | 1ULL << 32);
	EXPECT_CALLS(-ENOENT, self->mr, _c.by_handle = false; _c.by_number = true;
		     _c.number = UINT32_MAX);
	EXPECT_CALLS(-ERANGE, self->mr, _c.by_handle = false; _c.by_number = true;
		     _c.number = self->number; _c.range.length = LEN + RV_PAGE);
}

TEST_F(uapi_number, pinned)
{
	struct ibv_mr *mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS);
	int64_t number;

	ASSERT_NE(NULL, mr);
	number = rv_stat_mrn(&self->dev, mr->lkey);
	ASSERT_LE(0, number);
	EXPECT_CALLS(-EINVAL, mr, _c.by_handle = false; _c.by_number = true;
		     _c.number = number);
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	EXPECT_CALLS(-ENOENT, self->mr, _c.by_handle = false; _c.by_number = true;
		     _c.number = number);
}

/* From another process, through a context of its own. */
TEST_F(uapi_number, other_process)
{
	struct ibv_context *ctx;
	int pid, i, status;
	struct rv_call c;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		ctx = ibv_open_device(self->dev.ctx->device);
		if (!ctx)
			_exit(100);
		for (i = 0; i < RV_CALL_METHODS; i++) {
			rv_call_init(&c, rv_call_methods[i], self->mr);
			c.by_handle = false;
			c.by_number = true;
			c.number = self->number;
			if (rv_call_run(&c, ctx))
				_exit(1 + i);
		}
		_exit(0);
	}
	status = rv_reap(pid);
	EXPECT_EQ(0, status);
}

/* Deregistration waits for the call that is running, and then it is gone. */
TEST_F(uapi_number, dereg_under_calls)
{
	struct rv_caller c = { .ctx = self->dev.ctx };
	struct ibv_mr *mr;
	int64_t number;
	int i;

	for (i = 0; i < rv_shrink(100); i++) {
		mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		number = rv_stat_mrn(&self->dev, mr->lkey);
		ASSERT_LE(0, number);
		rv_call_init(&c.call, 0, mr);
		c.call.by_handle = false;
		c.call.by_number = true;
		c.call.number = number;
		atomic_store(&c.calls, 0);
		ASSERT_EQ(0, pthread_create(&c.thread, NULL, rv_call_until_gone,
					    &c));
		ASSERT_TRUE(rv_wait_for(atomic_load(&c.calls) > i % 7));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		ASSERT_EQ(0, pthread_join(c.thread, NULL));
		ASSERT_EQ(0, c.odd);
	}
}

/*
 * Registers a region and leaves it to a child, which has the context too and
 * lives until it is told: then there is a region without its process.
 */
static void leave_region(int tell, int wait)
{
	struct rv_dev dev;
	struct rv_buf buf;
	struct ibv_mr *mr;
	uint32_t key;

	if (rv_dev_open(&dev, NULL) || rv_buf_alloc(&buf, LEN))
		_exit(1);
	mr = rv_reg_all(&dev, &buf, RV_ACCESS | RV_ODP);
	if (!mr)
		_exit(2);
	key = mr->lkey;
	if (!fork()) {
		char c;

		/* the end of the parent's pipe */
		_exit(read(wait, &c, 1) != 0);
	}
	_exit(write(tell, &key, sizeof(key)) != sizeof(key));
}

TEST_F(uapi_number, process_gone)
{
	int tell[2], wait[2], pid;
	struct rv_call c;
	uint32_t key;
	int64_t number;

	ASSERT_EQ(0, pipe(tell));
	ASSERT_EQ(0, pipe(wait));
	/* The grandchild is ours when its parent is gone. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(wait[1]);
		leave_region(tell[1], wait[0]);
	}
	close(wait[0]);
	ASSERT_EQ(0, rv_reap(pid));
	ASSERT_EQ(sizeof(key), read(tell[0], &key, sizeof(key)));
	number = rv_stat_mrn(&self->dev, key);
	ASSERT_LE(0, number);

	rv_call_init(&c, RXE_HMM_METHOD_MIGRATE, self->mr);
	c.by_handle = false;
	c.by_number = true;
	c.number = number;
	EXPECT_EQ(-ESRCH, rv_call_run(&c, self->dev.ctx));
	c.method = RXE_HMM_METHOD_QUERY_RANGE;
	EXPECT_EQ(-ESRCH, rv_call_run(&c, self->dev.ctx));
	close(wait[1]);
	EXPECT_TRUE(rv_wait_for(rv_call_run(&c, self->dev.ctx) == -ENOENT));
}

RV_HARNESS_MAIN
