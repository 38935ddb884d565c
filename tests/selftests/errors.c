// SPDX-License-Identifier: GPL-2.0
/*
 * What the calls that make, change and prefetch regions refuse, and with which
 * error: the table in docs/odp.md. Whatever is refused has changed nothing.
 */
#include <errno.h>
#include <rdma/ib_user_ioctl_cmds.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN		(64UL * 1024)
#define NOBODYS		0x7fffff00	/* a handle that nothing has */

#define RANGE		IBV_REREG_MR_CHANGE_TRANSLATION
#define ACCESS		IBV_REREG_MR_CHANGE_ACCESS
#define DOMAIN		IBV_REREG_MR_CHANGE_PD

FIXTURE(errors)
{
	struct rv_ends e;		/* a is pinned, b is on demand */
	struct ibv_pd *pd;
	uint8_t *mem;
	uint32_t lkey;
	struct ibv_context *other;	/* the same device, opened again */
	struct ibv_pd *foreign;		/* of that, under a handle unused here */
};

/* A domain of the other context whose handle is nothing in ours. */
static struct ibv_pd *alloc_foreign(struct ibv_context *ctx)
{
	struct ibv_pd *pd = NULL;
	int i;

	for (i = 0; i < 64; i++)
		pd = ibv_alloc_pd(ctx);
	return pd;
}

FIXTURE_SETUP(errors)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_init(e, NULL, LEN, 0, RV_ODP));
	self->pd = e->dev.pd;
	self->mem = e->mem_b.base;
	self->lkey = e->mr_b->lkey;
	self->other = ibv_open_device(e->dev.ctx->device);
	ASSERT_NE(NULL, self->other);
	self->foreign = alloc_foreign(self->other);
	ASSERT_NE(NULL, self->foreign);
}

FIXTURE_TEARDOWN(errors)
{
	/* closing it gives back what is in it */
	ibv_close_device(self->other);
	EXPECT_EQ(self->lkey, self->e.mr_b->lkey);
	EXPECT_RV(0, rv_ends_write(&self->e, 100, 200, 5000));
	EXPECT_RV(0, rv_ends_read(&self->e, 300, 400, 5000));
	rv_ends_fini(&self->e);
}

/* errno of a registration, 0 if it works. */
static int reg_at(struct ibv_pd *pd, void *addr, size_t len, uint64_t iova,
		  unsigned int access)
{
	struct ibv_mr *mr;

	errno = 0;
	mr = ibv_reg_mr_iova(pd, addr, len, iova, access);
	if (!mr)
		return errno;
	ibv_dereg_mr(mr);
	return 0;
}

static int reg(struct ibv_pd *pd, void *addr, size_t len, unsigned int access)
{
	return reg_at(pd, addr, len, (uintptr_t)addr, access);
}

/* --- registration --------------------------------------------------------- */

TEST_F(errors, reg_empty)
{
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, 0, RV_ACCESS));
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, 0, RV_ACCESS | RV_ODP));
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem + 100, 0,
			      RV_ACCESS | RV_ODP));
	EXPECT_EQ(EINVAL, reg(self->pd, NULL, 0, RV_ACCESS | RV_ODP));
}

/* Around the end of the address space, of the process or of the device. */
TEST_F(errors, reg_wraps)
{
	const uintptr_t at = (uintptr_t)self->mem;
	const struct {
		uintptr_t addr;
		size_t len;
		uint64_t iova;
	} bad[] = {
		{ at, -at, at },
		{ at, -at + 1, at },
		{ at, SIZE_MAX - LEN, at },
		{ -RV_PAGE, RV_PAGE, -RV_PAGE },
		{ -2 * RV_PAGE, RV_PAGE + 1, at },
		{ 0, SIZE_MAX - 1, 0 },
		{ at, LEN, -RV_PAGE },
		{ at, LEN, -LEN + RV_PAGE },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(EOVERFLOW, reg_at(self->pd, (void *)bad[i].addr,
					    bad[i].len, bad[i].iova,
					    RV_ACCESS | RV_ODP))
			TH_LOG("case %d", i);
	}
	/* the last byte that there is */
	EXPECT_EQ(0, reg_at(self->pd, self->mem, LEN, -LEN, RV_ACCESS | RV_ODP));
}

TEST_F(errors, reg_access)
{
	static const unsigned int fine[] = {
		0, IBV_ACCESS_REMOTE_READ, IBV_ACCESS_MW_BIND, RV_ACCESS,
		RV_ACCESS | IBV_ACCESS_FLUSH_GLOBAL,
		RV_ACCESS | IBV_ACCESS_RELAXED_ORDERING,
		IBV_ACCESS_OPTIONAL_RANGE,
	};
	int i;

	/* what a peer may write, the process must be able to write */
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN,
			      RV_ODP | IBV_ACCESS_REMOTE_WRITE));
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN,
			      RV_ODP | IBV_ACCESS_REMOTE_ATOMIC));
	/* no kernel knows these ... */
	for (i = 10; i < 20; i++) {
		EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN,
				      RV_ODP | 1U << i))
			TH_LOG("bit %d", i);
	}
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, RV_ODP | 1U << 30));
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, RV_ODP | 1U << 31));
	/* ... and this is nothing for memory of a process */
	EXPECT_EQ(EOPNOTSUPP, reg(self->pd, self->mem, LEN,
				  RV_ODP | IBV_ACCESS_ZERO_BASED));
	for (i = 0; i < ARRAY_SIZE(fine); i++) {
		EXPECT_EQ(0, reg(self->pd, self->mem, LEN, RV_ODP | fine[i]))
			TH_LOG("access %#x", fine[i]);
	}
}

/* Ordinary memory does not outlive a power cut, paged on demand or not. */
TEST_F(errors, reg_persistent)
{
	unsigned int access = RV_ACCESS | IBV_ACCESS_FLUSH_PERSISTENT;

	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, access));
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, access | RV_ODP));
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_DONTNEED));
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, access | RV_ODP));
	rv_buf_expect_byte(&self->e.mem_b, 0, 0, LEN);
}

/* The promise must be true, at the start at least. */
TEST_F(errors, reg_hugetlb)
{
	unsigned int access = RV_ODP | RV_ACCESS | IBV_ACCESS_HUGETLB;
	void *hole;

	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, access));
	EXPECT_EQ(EINVAL, reg(self->pd, NULL, SIZE_MAX, access));
	hole = mmap(NULL, RV_HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, munmap(hole, RV_HUGE));
	EXPECT_EQ(EINVAL, reg(self->pd, hole, RV_HUGE, access));
}

TEST_F(errors, reg_implicit)
{
	EXPECT_EQ(EINVAL, reg_at(self->pd, NULL, SIZE_MAX, RV_PAGE,
				 RV_ACCESS | RV_ODP));
	/* libibverbs says so, and asks nobody */
	EXPECT_EQ(EINVAL, reg(self->pd, (void *)RV_PAGE, SIZE_MAX,
			      RV_ACCESS | RV_ODP));
	EXPECT_EQ(EINVAL, reg(self->pd, NULL, SIZE_MAX,
			      RV_ODP | IBV_ACCESS_REMOTE_WRITE));
	/* pinned, it would be all of the memory there is */
	EXPECT_EQ(EINVAL, reg(self->pd, NULL, SIZE_MAX, RV_ACCESS));
	EXPECT_EQ(0, reg(self->pd, NULL, SIZE_MAX, RV_ACCESS | RV_ODP));
}

/* The domain is named by a handle, which may be anything. */
TEST_F(errors, reg_domain)
{
	uint32_t own = self->pd->handle;

	self->pd->handle = NOBODYS;
	EXPECT_EQ(ENOENT, reg(self->pd, self->mem, LEN, RV_ACCESS | RV_ODP));
	self->pd->handle = self->foreign->handle;
	EXPECT_EQ(ENOENT, reg(self->pd, self->mem, LEN, RV_ACCESS | RV_ODP));
	self->pd->handle = self->e.mr_b->handle;
	EXPECT_EQ(EINVAL, reg(self->pd, self->mem, LEN, RV_ACCESS | RV_ODP));
	self->pd->handle = own;
}

/* Memory that another device exports: not here, whatever is asked for. */
TEST_F(errors, reg_dmabuf)
{
	static const unsigned int access[] = { 0, RV_ACCESS, RV_ACCESS | RV_ODP };
	uint32_t keys[2];
	struct rv_ioctl c;
	int i;

	for (i = 0; i < ARRAY_SIZE(access); i++) {
		rv_ioctl_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_REG_DMABUF_MR);
		rv_ioctl_handle(&c, UVERBS_ATTR_REG_DMABUF_MR_HANDLE, 0);
		rv_ioctl_handle(&c, UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE,
				self->pd->handle);
		rv_ioctl_number(&c, UVERBS_ATTR_REG_DMABUF_MR_OFFSET, 0, 8);
		rv_ioctl_number(&c, UVERBS_ATTR_REG_DMABUF_MR_LENGTH, LEN, 8);
		rv_ioctl_number(&c, UVERBS_ATTR_REG_DMABUF_MR_IOVA, 0, 8);
		rv_ioctl_number(&c, UVERBS_ATTR_REG_DMABUF_MR_FD, 0, 4);
		rv_ioctl_number(&c, UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS,
				access[i], 4);
		rv_ioctl_buf(&c, UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, &keys[0],
			     4);
		rv_ioctl_buf(&c, UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, &keys[1],
			     4);
		EXPECT_EQ(-EOPNOTSUPP, rv_ioctl_run(&c, self->e.dev.ctx));
	}
}

/* --- registering again, and giving up ------------------------------------- */

TEST_F(errors, rereg_flags)
{
	struct ibv_mr *mr = self->e.mr_b;

	EXPECT_EQ(-EINVAL, rv_rereg(mr, 0, NULL, self->mem, LEN, RV_ACCESS));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(mr, RANGE | 8, NULL, self->mem, LEN,
					RV_ACCESS | RV_ODP));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(mr, 1 << 30, NULL, self->mem, LEN,
					RV_ACCESS | RV_ODP));
}

TEST_F(errors, rereg_range)
{
	struct ibv_mr *mr = self->e.mr_b;
	uintptr_t at = (uintptr_t)self->mem;

	EXPECT_EQ(-EINVAL, rv_rereg(mr, RANGE, NULL, self->mem, 0, 0));
	EXPECT_EQ(-EOVERFLOW, rv_rereg(mr, RANGE, NULL, self->mem, -at, 0));
	EXPECT_EQ(-EOVERFLOW, rv_rereg(mr, RANGE, NULL, self->mem, SIZE_MAX, 0));
	EXPECT_EQ(-EINVAL, rv_rereg(mr, RANGE | ACCESS, NULL, self->mem, LEN,
				    RV_ODP | IBV_ACCESS_REMOTE_WRITE));
	EXPECT_EQ(-EINVAL, rv_rereg(mr, RANGE | ACCESS, NULL, self->mem, LEN,
				    RV_ACCESS | RV_ODP | IBV_ACCESS_HUGETLB));
	EXPECT_EQ(-EINVAL, rv_rereg(mr, RANGE | ACCESS, NULL, self->mem, LEN,
				    RV_ACCESS | RV_ODP |
				    IBV_ACCESS_FLUSH_PERSISTENT));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(mr, RANGE | ACCESS, NULL, self->mem,
					LEN, RV_ODP | IBV_ACCESS_ZERO_BASED));
}

TEST_F(errors, rereg_access)
{
	struct ibv_mr *mr = self->e.mr_b;

	EXPECT_EQ(-EINVAL, rv_rereg(mr, ACCESS, NULL, NULL, 0,
				    RV_ODP | IBV_ACCESS_REMOTE_WRITE));
	EXPECT_EQ(-EINVAL, rv_rereg(mr, ACCESS, NULL, NULL, 0,
				    RV_ODP | RV_ACCESS | 1U << 19));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(mr, ACCESS, NULL, NULL, 0, RV_ODP |
					RV_ACCESS | IBV_ACCESS_ZERO_BASED));
}

/* What a region is, it stays, as long as it stays where it is. */
TEST_F(errors, rereg_kind)
{
	struct rv_ends *e = &self->e;

	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(e->mr_b, ACCESS, NULL, NULL, 0,
					RV_ACCESS));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(e->mr_b, ACCESS, NULL, NULL, 0, RV_ODP |
					RV_ACCESS | IBV_ACCESS_HUGETLB));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(e->mr_b, ACCESS, NULL, NULL, 0, RV_ODP |
					RV_ACCESS | IBV_ACCESS_FLUSH_PERSISTENT));
	EXPECT_EQ(-EOPNOTSUPP, rv_rereg(e->mr_a, ACCESS, NULL, NULL, 0,
					RV_ODP | RV_ACCESS));
}

/* Registered for reading, a region can't promise to be written. */
TEST_F(errors, rereg_more_rights)
{
	struct rv_ends *e = &self->e;
	struct ibv_mr *mr;

	mr = rv_reg_all(&e->dev, &e->mem_b, IBV_ACCESS_REMOTE_READ | RV_ODP);
	ASSERT_NE(NULL, mr);
	EXPECT_EQ(-EACCES, rv_rereg(mr, ACCESS, NULL, NULL, 0,
				    RV_ACCESS | RV_ODP));
	EXPECT_EQ(0, rv_rereg(mr, ACCESS, NULL, NULL, 0, RV_ODP));
	EXPECT_EQ(0, rv_rereg(mr, ACCESS | RANGE, NULL, self->mem, LEN,
			      RV_ACCESS | RV_ODP));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
}

TEST_F(errors, rereg_handles)
{
	struct ibv_mr *mr = self->e.mr_b;
	uint32_t own = mr->handle;
	struct ibv_pd bad = *self->pd;

	bad.handle = NOBODYS;
	EXPECT_EQ(-ENOENT, rv_rereg(mr, DOMAIN, &bad, NULL, 0, 0));
	EXPECT_EQ(-ENOENT, rv_rereg(mr, DOMAIN, self->foreign, NULL, 0, 0));
	bad.handle = mr->handle;
	EXPECT_EQ(-EINVAL, rv_rereg(mr, DOMAIN, &bad, NULL, 0, 0));
	mr->handle = NOBODYS;
	EXPECT_EQ(-ENOENT, rv_rereg(mr, RANGE, NULL, self->mem, LEN, 0));
	mr->handle = self->pd->handle;
	EXPECT_EQ(-EINVAL, rv_rereg(mr, RANGE, NULL, self->mem, LEN, 0));
	mr->handle = own;
}

TEST_F(errors, dereg)
{
	struct ibv_mr *mr = self->e.mr_b;
	uint32_t own = mr->handle;

	mr->handle = NOBODYS;
	EXPECT_EQ(ENOENT, ibv_dereg_mr(mr));
	mr->handle = self->pd->handle;
	EXPECT_EQ(EINVAL, ibv_dereg_mr(mr));
	mr->handle = own;
}

/* --- memory windows: mw.c has those that are bound ------------------------- */

static int alloc_mw(struct ibv_pd *pd, int type)
{
	struct ibv_mw *mw;

	errno = 0;
	mw = ibv_alloc_mw(pd, type);
	if (!mw)
		return errno;
	ibv_dealloc_mw(mw);
	return 0;
}

TEST_F(errors, alloc_mw)
{
	uint32_t own = self->pd->handle;

	EXPECT_EQ(EINVAL, alloc_mw(self->pd, 0));
	EXPECT_EQ(EINVAL, alloc_mw(self->pd, IBV_MW_TYPE_2 + 1));
	self->pd->handle = NOBODYS;
	EXPECT_EQ(ENOENT, alloc_mw(self->pd, IBV_MW_TYPE_1));
	self->pd->handle = self->foreign->handle;
	EXPECT_EQ(ENOENT, alloc_mw(self->pd, IBV_MW_TYPE_2));
	self->pd->handle = self->e.mr_b->handle;
	EXPECT_EQ(EINVAL, alloc_mw(self->pd, IBV_MW_TYPE_2));
	self->pd->handle = own;
}

/* --- prefetch: advise.c has the regions and ranges -------------------------- */

/* A call with a list of so many bytes, for a domain with that handle. */
static int advise(struct ibv_context *ctx, uint32_t pd, struct ibv_sge *sge,
		  size_t bytes)
{
	struct rv_ioctl c;

	rv_ioctl_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR);
	rv_ioctl_handle(&c, UVERBS_ATTR_ADVISE_MR_PD_HANDLE, pd);
	rv_ioctl_number(&c, UVERBS_ATTR_ADVISE_MR_ADVICE,
			IBV_ADVISE_MR_ADVICE_PREFETCH, 8);
	rv_ioctl_number(&c, UVERBS_ATTR_ADVISE_MR_FLAGS,
			IBV_ADVISE_MR_FLAG_FLUSH, 8);
	rv_ioctl_buf(&c, UVERBS_ATTR_ADVISE_MR_SGE_LIST, sge, bytes);
	return rv_ioctl_run(&c, ctx);
}

/* Ends within an entry, or isn't there. */
TEST_F(errors, advise_list)
{
	struct ibv_context *ctx = self->e.dev.ctx;
	uint32_t pd = self->pd->handle;
	struct ibv_sge sgl[2] = {
		rv_ends_sge_b(&self->e, 0, LEN), rv_ends_sge_b(&self->e, 0, LEN),
	};
	size_t n;

	for (n = 0; n <= sizeof(sgl); n++) {
		EXPECT_EQ(n && n % sizeof(sgl[0]) == 0 ? 0 : -EINVAL,
			  advise(ctx, pd, sgl, n))
			TH_LOG("%zu bytes", n);
	}
	EXPECT_EQ(-EFAULT, advise(ctx, pd, NULL, sizeof(sgl)));
	EXPECT_EQ(-EFAULT, advise(ctx, pd, (void *)-RV_PAGE, sizeof(sgl)));
}

TEST_F(errors, advise_domain)
{
	struct ibv_context *ctx = self->e.dev.ctx;
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);

	EXPECT_EQ(-ENOENT, advise(ctx, NOBODYS, &sge, sizeof(sge)));
	EXPECT_EQ(-ENOENT, advise(ctx, self->foreign->handle, &sge,
				  sizeof(sge)));
	EXPECT_EQ(-EINVAL, advise(ctx, self->e.mr_b->handle, &sge,
				  sizeof(sge)));
	/* another process's, as it were: the key is known, the domain isn't its */
	EXPECT_EQ(-EPERM, advise(self->other, self->foreign->handle, &sge,
				 sizeof(sge)));
}

/* A window's key isn't a region's. */
TEST_F(errors, advise_window)
{
	struct ibv_sge sge = rv_ends_sge_b(&self->e, 0, LEN);
	struct ibv_mw *mw = ibv_alloc_mw(self->pd, IBV_MW_TYPE_1);

	ASSERT_NE(NULL, mw);
	sge.lkey = mw->rkey;
	EXPECT_EQ(-ENOENT, advise(self->e.dev.ctx, self->pd->handle, &sge,
				  sizeof(sge)));
	ASSERT_EQ(0, ibv_dealloc_mw(mw));
}

RV_HARNESS_MAIN
