// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's own verbs: QUERY_CAPS, MIGRATE, PREFER, QUERY_RANGE. What each
 * wrong call gets, and that it changes nothing. What the calls do to memory is
 * for other programs.
 */
#include <errno.h>
#include <pthread.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <signal.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_call.h"

#define PAGES		64
#define LEN		(PAGES * RV_PAGE)
#define NOBODY		65534
#define SYSTEM		RXE_HMM_PLACE_SYSTEM
#define DEVICE		RXE_HMM_PLACE_DEVICE

FIXTURE(uapi)
{
	struct rv_dev dev;
	struct rv_buf buf;
	struct ibv_mr *mr;
	int64_t old;			/* memory on the device */
};

FIXTURE_VARIANT(uapi)
{
	uint64_t memory;		/* bytes on the device */
};

FIXTURE_VARIANT_ADD(uapi, off)
{
	.memory = 0,
};

FIXTURE_VARIANT_ADD(uapi, on)
{
	.memory = 64 << 20,
};

static const char *size_file(struct rv_dev *dev)
{
	static char path[160];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/memory_size",
		 dev->name);
	return path;
}

FIXTURE_SETUP(uapi)
{
	struct rxe_hmm_caps caps;

	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	if (geteuid())
		SKIP(return, "not root");
	self->old = rv_get(size_file(&self->dev), NULL);
	ASSERT_LE(0, self->old);
	ASSERT_EQ(0, rv_put(size_file(&self->dev), "%lu\n", variant->memory));
	ASSERT_EQ(0, rv_buf_alloc(&self->buf, LEN));
	madvise(self->buf.map, self->buf.map_len, MADV_NOHUGEPAGE);
	rv_buf_fill(&self->buf);
	self->mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
	ASSERT_EQ(0, rv_hmm_caps(self->dev.ctx, &caps));
	ASSERT_EQ(variant->memory, caps.memory_size);
}

FIXTURE_TEARDOWN(uapi)
{
	EXPECT_EQ(0, rv_buf_check(&self->buf));
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	if (!geteuid())
		EXPECT_EQ(0, rv_put(size_file(&self->dev), "%ld\n", self->old));
	rv_buf_free(&self->buf);
	rv_dev_close(&self->dev);
}

TEST_F(uapi, caps)
{
	struct {
		struct rxe_hmm_caps caps;
		uint8_t more[40];
	} longer;
	struct rv_ioctl c;
	size_t i;

	memset(&longer, 0xaa, sizeof(longer));
	rv_ioctl_init(&c, UVERBS_OBJECT_DEVICE, RXE_HMM_METHOD_QUERY_CAPS);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_CAPS, &longer, sizeof(longer));
	ASSERT_EQ(0, rv_ioctl_run(&c, self->dev.ctx));

	EXPECT_EQ(0, longer.caps.comp_mask);
	EXPECT_EQ(RXE_HMM_ABI_VERSION, longer.caps.abi_version);
	EXPECT_EQ(RXE_HMM_CAP_MIGRATE | RXE_HMM_CAP_PREFER |
		  RXE_HMM_CAP_QUERY_RANGE | RXE_HMM_CAP_QUERY_HEAT,
		  longer.caps.caps);
	EXPECT_EQ(RV_PAGE, longer.caps.page_size);
	EXPECT_EQ(RV_PAGE | RV_HUGE, longer.caps.page_sizes);
	EXPECT_LE(longer.caps.memory_used, longer.caps.memory_size);
	EXPECT_EQ(65535, longer.caps.max_states);
	EXPECT_EQ(0, longer.caps.migrate_flags);
	EXPECT_EQ(0, longer.caps.prefer_flags);
	EXPECT_EQ(0, longer.caps.query_range_flags);
	EXPECT_EQ(0, longer.caps.reserved);
	for (i = 0; i < sizeof(longer.more); i++)
		EXPECT_EQ(0, longer.more[i]);
}

TEST_F(uapi, caps_wrong)
{
	struct rxe_hmm_caps caps;
	struct rv_ioctl c;

	rv_ioctl_init(&c, UVERBS_OBJECT_DEVICE, RXE_HMM_METHOD_QUERY_CAPS);
	EXPECT_EQ(-EINVAL, rv_ioctl_run(&c, self->dev.ctx));
	rv_ioctl_buf(&c, RXE_HMM_ATTR_CAPS, &caps, sizeof(caps) - 1);
	EXPECT_EQ(-EINVAL, rv_ioctl_run(&c, self->dev.ctx));

	rv_ioctl_init(&c, UVERBS_OBJECT_DEVICE, RXE_HMM_METHOD_QUERY_CAPS);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_CAPS, (void *)8, sizeof(caps));
	EXPECT_EQ(-EFAULT, rv_ioctl_run(&c, self->dev.ctx));

	rv_ioctl_init(&c, UVERBS_OBJECT_DEVICE, RXE_HMM_METHOD_QUERY_CAPS + 1);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_CAPS, &caps, sizeof(caps));
	EXPECT_EQ(-EPROTONOSUPPORT, rv_ioctl_run(&c, self->dev.ctx));
}

/* The whole region, and each part that may be named. */
TEST_F(uapi, good_ranges)
{
	int i;

	EXPECT_CALLS(0, self->mr, (void)_c);
	for (i = 0; i < 50; i++) {
		size_t off = rv_rand_below(PAGES) * RV_PAGE;
		size_t len = (1 + rv_rand_below(PAGES - off / RV_PAGE)) *
			     RV_PAGE;

		EXPECT_CALLS(0, self->mr, _c.range.offset = off;
			     _c.range.length = len);
	}
}

TEST_F(uapi, bad_ranges)
{
	const struct {
		uint64_t off, len;
		int err;
	} bad[] = {
		{ 0, 0, -EINVAL }, { RV_PAGE, 0, -EINVAL }, { LEN, 0, -EINVAL },
		{ 1, LEN - 1, -EINVAL }, { 100, RV_PAGE, -EINVAL },
		{ 0, 1, -EINVAL }, { 0, LEN - 1, -EINVAL },
		{ RV_PAGE, RV_PAGE - 1, -EINVAL },
		{ RV_PAGE - 1, RV_PAGE + 1, -EINVAL },
		{ 0, LEN + 1, -ERANGE }, { 0, LEN + RV_PAGE, -ERANGE },
		{ LEN, RV_PAGE, -ERANGE }, { LEN - RV_PAGE, 2 * RV_PAGE, -ERANGE },
		{ RV_PAGE, LEN, -ERANGE }, { 1UL << 46, RV_PAGE, -ERANGE },
		{ 0, UINT64_MAX, -ERANGE }, { 0, 1UL << 63, -ERANGE },
		{ RV_PAGE, UINT64_MAX - RV_PAGE, -ERANGE },
		{ RV_PAGE, UINT64_MAX, -EOVERFLOW },
		{ RV_PAGE, -RV_PAGE, -EOVERFLOW },
		{ -RV_PAGE, RV_PAGE, -EOVERFLOW },
		{ -RV_PAGE, 2 * RV_PAGE, -EOVERFLOW },
		{ UINT64_MAX, 1, -EOVERFLOW }, { UINT64_MAX, UINT64_MAX, -EOVERFLOW },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_CALLS(bad[i].err, self->mr,
			     _c.range.offset = bad[i].off;
			     _c.range.length = bad[i].len);
}

/* Offsets count from the region, pages are those of the process. */
TEST_F(uapi, region_within_pages)
{
	struct rxe_hmm_query_range_resp resp;
	size_t len = 3 * RV_PAGE, first = RV_PAGE - 100;
	struct ibv_mr *mr = rv_reg(&self->dev, &self->buf, 100, len,
				   RV_ACCESS | RV_ODP);

	ASSERT_NE(NULL, mr);
	EXPECT_CALLS(0, mr, (void)_c);
	ASSERT_EQ(0, rv_hmm_query(mr, 0, len, NULL, 0, &resp));
	EXPECT_EQ(4, resp.pages);
	EXPECT_EQ((uintptr_t)self->buf.base + 100, resp.address);
	ASSERT_EQ(0, rv_hmm_query(mr, first, RV_PAGE, NULL, 0, &resp));
	EXPECT_EQ(1, resp.pages);
	EXPECT_EQ((uintptr_t)self->buf.base + RV_PAGE, resp.address);
	ASSERT_EQ(0, rv_hmm_query(mr, 0, first, NULL, 0, &resp));
	EXPECT_EQ(1, resp.pages);
	ASSERT_EQ(0, rv_hmm_query(mr, first + 2 * RV_PAGE, 100, NULL, 0, &resp));
	EXPECT_EQ(1, resp.pages);

	EXPECT_CALLS(-EINVAL, mr, _c.range.length = RV_PAGE);
	EXPECT_CALLS(-EINVAL, mr, _c.range.offset = RV_PAGE;
		     _c.range.length = RV_PAGE);
	EXPECT_CALLS(-EINVAL, mr, _c.range.offset = first;
		     _c.range.length = RV_PAGE + 1);
	EXPECT_CALLS(-ERANGE, mr, _c.range.length = len + RV_PAGE - 100);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
}

TEST_F(uapi, unknown_bits)
{
	int i;

	for (i = 0; i < 32; i++) {
		EXPECT_CALLS(-EOPNOTSUPP, self->mr, _c.range.flags = 1U << i);
		EXPECT_CALLS(-EOPNOTSUPP, self->mr, _c.range.comp_mask = 1U << i);
		EXPECT_CALLS(-EINVAL, self->mr, _c.range.reserved = 1U << i);
	}
}

TEST_F(uapi, places)
{
	struct rxe_hmm_query_range_resp query;
	struct rxe_hmm_migrate_resp resp;
	uint32_t place;

	for (place = 0; place < 8; place++) {
		int prefer = place <= RXE_HMM_PLACE_NONE ? 0 : -EINVAL;
		int migrate = place <= DEVICE ? 0 : -EINVAL;

		if (place == DEVICE && !variant->memory)
			migrate = -EOPNOTSUPP;
		EXPECT_EQ(migrate, rv_hmm_migrate(self->mr, 0, LEN, place,
						  &resp));
		EXPECT_EQ(prefer, rv_hmm_prefer(self->mr, 0, LEN, place));
	}
	EXPECT_EQ(-EINVAL, rv_hmm_migrate(self->mr, 0, LEN, -1, &resp));
	EXPECT_EQ(-EINVAL, rv_hmm_prefer(self->mr, 0, LEN, -1));
	EXPECT_CALLS(-EINVAL, self->mr, _c.range.place = 99);
	EXPECT_EQ(0, rv_hmm_prefer(self->mr, 0, LEN, RXE_HMM_PLACE_NONE));
	EXPECT_EQ(0, rv_hmm_migrate(self->mr, 0, LEN, SYSTEM, &resp));
	EXPECT_EQ(PAGES, rv_hmm_total(&resp));
	ASSERT_EQ(0, rv_hmm_query(self->mr, 0, LEN, NULL, 0, &query));
	EXPECT_EQ(0, query.device);
}

/* Longer structures are fine if the kernel need not know of the rest. */
TEST_F(uapi, longer_and_shorter)
{
	struct {
		struct rxe_hmm_range range;
		uint64_t more[4];
	} longer = { .range.length = LEN };
	struct rv_call c;
	int i;

	EXPECT_CALLS(0, self->mr, _c.range_at = &longer;
		     _c.range_len = sizeof(longer));
	for (i = 0; i < ARRAY_SIZE(longer.more); i++) {
		longer.more[i] = 1;
		EXPECT_CALLS(-EOPNOTSUPP, self->mr, _c.range_at = &longer;
			     _c.range_len = sizeof(longer));
		longer.more[i] = 0;
	}
	EXPECT_CALLS(-EINVAL, self->mr, _c.range_len--);
	EXPECT_CALLS(-EINVAL, self->mr, _c.range_len = 0);

	rv_call_init(&c, RXE_HMM_METHOD_MIGRATE, self->mr);
	ASSERT_EQ(0, rv_call_run(&c, self->dev.ctx));
	for (i = sizeof(struct rxe_hmm_migrate_resp); i < sizeof(c.resp); i++)
		ASSERT_EQ(0, c.resp[i]);
	rv_call_init(&c, RXE_HMM_METHOD_MIGRATE, self->mr);
	c.resp_len = sizeof(struct rxe_hmm_migrate_resp) - 1;
	ASSERT_EQ(-EINVAL, rv_call_run(&c, self->dev.ctx));
	EXPECT_EQ(0xaa, c.resp[0]);
	rv_call_init(&c, RXE_HMM_METHOD_QUERY_RANGE, self->mr);
	c.resp_len = sizeof(struct rxe_hmm_query_range_resp) - 1;
	ASSERT_EQ(-EINVAL, rv_call_run(&c, self->dev.ctx));
	EXPECT_EQ(0xaa, c.resp[0]);
}

TEST_F(uapi, bad_pointers)
{
	struct rv_call c;
	int i;

	EXPECT_CALLS(-EFAULT, self->mr, _c.range_at = (void *)8);
	for (i = 0; i < RV_CALL_METHODS; i++) {
		if (rv_call_methods[i] == RXE_HMM_METHOD_PREFER)
			continue;
		rv_call_init(&c, rv_call_methods[i], self->mr);
		c.resp_at = (void *)8;
		EXPECT_EQ(-EFAULT, rv_call_run(&c, self->dev.ctx));
	}
}

TEST_F(uapi, missing_attributes)
{
	EXPECT_CALLS(-EINVAL, self->mr, _c.range_at = NULL);
	EXPECT_CALLS(-EINVAL, self->mr, _c.by_handle = false);
	EXPECT_CALLS(_c.method == RXE_HMM_METHOD_PREFER ? 0 : -EINVAL, self->mr,
		     _c.resp_at = NULL);
}

TEST_F(uapi, unknown_calls)
{
	struct rv_call c;
	struct rv_ioctl i;

	rv_call_init(&c, RXE_HMM_METHOD_QUERY_HEAT + 1, self->mr);
	EXPECT_EQ(-EPROTONOSUPPORT, rv_call_run(&c, self->dev.ctx));

	rv_ioctl_init(&i, UVERBS_OBJECT_MR, RXE_HMM_METHOD_PREFER);
	rv_ioctl_handle(&i, RXE_HMM_ATTR_MR_HANDLE, self->mr->handle);
	rv_ioctl_buf(&i, RXE_HMM_ATTR_MR_RANGE, &c.range, sizeof(c.range));
	rv_ioctl_number(&i, RXE_HMM_ATTR_MR_STATES + 1, 0, 8);
	EXPECT_EQ(-EPROTONOSUPPORT, rv_ioctl_run(&i, self->dev.ctx));
}

TEST_F(uapi, handles)
{
	struct ibv_mr *other, *gone;
	struct ibv_context *ctx;
	struct ibv_pd *pd[20];
	int i;

	EXPECT_CALLS(-ENOENT, self->mr, _c.handle = 4711);
	EXPECT_CALLS(-ENOENT, self->mr, _c.handle = UINT32_MAX);
	EXPECT_CALLS(-EINVAL, self->mr, _c.handle = -1ULL);
	EXPECT_CALLS(-EINVAL, self->mr, _c.handle = self->dev.pd->handle);

	gone = rv_reg_all(&self->dev, &self->buf, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, gone);
	i = gone->handle;
	ASSERT_EQ(0, ibv_dereg_mr(gone));
	EXPECT_CALLS(-ENOENT, self->mr, _c.handle = i);

	/* Another context's, whose number nothing has here. */
	ctx = ibv_open_device(self->dev.ctx->device);
	ASSERT_NE(NULL, ctx);
	for (i = 0; i < ARRAY_SIZE(pd); i++) {
		pd[i] = ibv_alloc_pd(ctx);
		ASSERT_NE(NULL, pd[i]);
	}
	other = ibv_reg_mr(pd[0], self->buf.base, LEN, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, other);
	EXPECT_CALLS(0, other, (void)_c);
	EXPECT_CALLS(-ENOENT, self->mr, _c.handle = other->handle);
	ASSERT_EQ(0, ibv_dereg_mr(other));
	for (i = 0; i < ARRAY_SIZE(pd); i++)
		ASSERT_EQ(0, ibv_dealloc_pd(pd[i]));
	ASSERT_EQ(0, ibv_close_device(ctx));
}

TEST_F(uapi, pinned_region)
{
	struct ibv_mr *mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS);

	ASSERT_NE(NULL, mr);
	EXPECT_CALLS(-EINVAL, mr, (void)_c);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
}

/* The memory is the parent's; the child has but the file. */
TEST_F(uapi, fork_child)
{
	struct rv_call c;
	int pid, i, status;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < RV_CALL_METHODS; i++) {
			rv_call_init(&c, rv_call_methods[i], self->mr);
			if (rv_call_run(&c, self->dev.ctx) != -EPERM)
				_exit(1 + i);
		}
		_exit(0);
	}
	status = rv_reap(pid);
	EXPECT_EQ(0, status);
	EXPECT_CALLS(0, self->mr, (void)_c);
}

TEST_F(uapi, query)
{
	struct rxe_hmm_query_range_resp resp;
	uint8_t states[PAGES + 100];
	size_t i, n;

	memset(states, 0xaa, sizeof(states));
	ASSERT_EQ(0, rv_hmm_query(self->mr, RV_PAGE, LEN - RV_PAGE, states,
				  sizeof(states), &resp));
	EXPECT_EQ(0, resp.comp_mask);
	EXPECT_EQ(0, resp.reserved);
	EXPECT_EQ(PAGES - 1, resp.pages);
	EXPECT_EQ((uintptr_t)self->buf.base + RV_PAGE, resp.address);
	for (i = n = 0; i < PAGES - 1; i++)
		n += states[i] & RXE_HMM_PAGE_PRESENT;
	EXPECT_EQ(n, resp.present);
	EXPECT_EQ(PAGES - 1, resp.present);
	for (i = PAGES - 1; i < sizeof(states); i++)
		EXPECT_EQ(0, states[i]);

	/* Room for one page less than there are. */
	memset(states, 0xaa, sizeof(states));
	EXPECT_EQ(-ENOSPC, rv_hmm_query(self->mr, 0, LEN, states, PAGES - 1,
					&resp));
	EXPECT_EQ(-EINVAL, rv_hmm_query(self->mr, 0, LEN, states, 0, &resp));
	for (i = 0; i < sizeof(states); i++)
		EXPECT_EQ(0xaa, states[i]);
	EXPECT_EQ(-EFAULT, rv_hmm_query(self->mr, 0, LEN, (void *)8, PAGES,
					&resp));
}

/* A region whose states don't fit into one answer can be counted in one. */
TEST_F(uapi, query_large)
{
	struct rxe_hmm_query_range_resp resp;
	size_t size = 1UL << 30;
	struct ibv_mr *mr;
	uint8_t *states;
	char *mem;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	mr = ibv_reg_mr(self->dev.pd, mem, size, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, rv_hmm_query(mr, 0, size, NULL, 0, &resp));
	EXPECT_EQ(size / RV_PAGE, resp.pages);
	EXPECT_EQ(0, resp.present);
	states = malloc(65535);
	ASSERT_NE(NULL, states);
	EXPECT_EQ(-ENOSPC, rv_hmm_query(mr, 0, 65536 * RV_PAGE, states, 65535,
					&resp));
	EXPECT_EQ(0, rv_hmm_query(mr, RV_PAGE, 65535 * RV_PAGE, states, 65535,
				  &resp));
	EXPECT_EQ(65535, resp.pages);
	free(states);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	munmap(mem, size);
}

/* Nobody's calls on nobody's region; returns how many went wrong. */
static int call_as_nobody(struct rv_buf *buf)
{
	struct rv_dev dev;
	struct ibv_mr *mr;
	struct rv_call c;
	int i, bad = 0;

	if (setuid(NOBODY) || rv_dev_open(&dev, NULL))
		return 100;
	mr = rv_reg_all(&dev, buf, RV_ACCESS | RV_ODP);
	if (!mr)
		return 101;
	for (i = 0; i < RV_CALL_METHODS; i++) {
		rv_call_init(&c, rv_call_methods[i], mr);
		bad += rv_call_run(&c, dev.ctx) != 0;
		c.by_handle = false;
		c.by_number = true;
		c.number = 1;
		bad += rv_call_run(&c, dev.ctx) != -EPERM;
	}
	bad += ibv_dereg_mr(mr) != 0;
	rv_dev_close(&dev);
	return bad;
}

/* A long range is worked on in pieces: the numbers are those of all of them. */
TEST_F(uapi, migrate_large)
{
	struct rxe_hmm_query_range_resp query;
	struct rxe_hmm_migrate_resp resp;
	size_t size = 40UL << 20, i;
	struct ibv_mr *mr;
	char *mem;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	/* Every eighth page stays away. */
	madvise(mem, size, MADV_NOHUGEPAGE);
	for (i = 0; i < size; i += RV_PAGE)
		if (i / RV_PAGE % 8)
			mem[i] = i / RV_PAGE;
	mr = ibv_reg_mr(self->dev.pd, mem, size, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	if (variant->memory) {
		ASSERT_EQ(0, rv_hmm_migrate(mr, 0, size, DEVICE, &resp));
		EXPECT_EQ(size / RV_PAGE, rv_hmm_total(&resp));
		EXPECT_LE(size / RV_PAGE / 8 * 7, resp.moved);
		i = resp.moved;
	} else {
		i = 0;
	}
	ASSERT_EQ(0, rv_hmm_query(mr, 0, size, NULL, 0, &query));
	EXPECT_EQ(i, query.device);
	ASSERT_EQ(0, rv_hmm_migrate(mr, 0, size, SYSTEM, &resp));
	EXPECT_EQ(size / RV_PAGE, rv_hmm_total(&resp));
	EXPECT_EQ(i, resp.moved);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	munmap(mem, size);
}

/* A region goes away while calls that name it by its handle run. */
TEST_F(uapi, dereg_under_calls)
{
	struct rv_caller c = { .ctx = self->dev.ctx };
	struct ibv_mr *mr;
	int i, err;

	for (i = 0; i < rv_shrink(100); i++) {
		mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mr);
		rv_call_init(&c.call, 0, mr);
		atomic_store(&c.calls, 0);
		ASSERT_EQ(0, pthread_create(&c.thread, NULL, rv_call_until_gone,
					    &c));
		ASSERT_TRUE(rv_wait_for(atomic_load(&c.calls) > i % 7));
		while ((err = ibv_dereg_mr(mr)) == EBUSY)
			;
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, pthread_join(c.thread, NULL));
		ASSERT_EQ(0, c.odd);
	}
}

/* A process is killed in the middle of moving its memory. */
TEST_F(uapi, killed_in_migrate)
{
	size_t size = 32UL << 20;
	struct rxe_hmm_migrate_resp resp;
	int i, pid, go[2];
	char used[160], c;

	snprintf(used, sizeof(used), "/sys/class/infiniband/%s/hmm/memory_used",
		 self->dev.name);
	for (i = 0; i < rv_shrink(10); i++) {
		ASSERT_EQ(0, pipe(go));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct rv_dev dev;
			struct rv_buf buf;
			struct ibv_mr *mr;

			if (rv_dev_open(&dev, NULL) || rv_buf_alloc(&buf, size))
				_exit(1);
			memset(buf.base, 1, size);
			mr = rv_reg_all(&dev, &buf, RV_ACCESS | RV_ODP);
			if (!mr || write(go[1], "", 1) != 1)
				_exit(2);
			for (;;) {
				rv_hmm_migrate(mr, 0, size, DEVICE, &resp);
				rv_hmm_migrate(mr, 0, size, SYSTEM, &resp);
			}
		}
		ASSERT_EQ(1, read(go[0], &c, 1));
		usleep(rv_rand_below(50000));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(SIGKILL, rv_reap(pid));
		ASSERT_TRUE(rv_wait_for(rv_get(used, NULL) == 0));
		close(go[0]);
		close(go[1]);
	}
}

TEST_F(uapi, unprivileged)
{
	int pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(call_as_nobody(&self->buf));
	EXPECT_EQ(0, rv_reap(pid));
}

RV_HARNESS_MAIN
