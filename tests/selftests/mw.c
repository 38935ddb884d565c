// SPDX-License-Identifier: GPL-2.0
/*
 * Memory windows: a peer reaches the window, not what is beside it, and does
 * there what the window allows, not what the region does.
 */
#include <errno.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64UL * 1024)
#define ALL	(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
		 IBV_ACCESS_REMOTE_ATOMIC)

FIXTURE(mw)
{
	struct rv_ends e;	/* the window is bound to mr_b by pair.b */
	struct ibv_mw *mw;
	size_t off, len;	/* where in mem_b it is */
	uint64_t base;		/* what the peer calls its first byte */
};

FIXTURE_VARIANT(mw)
{
	unsigned int odp;
	enum ibv_mw_type type;
	unsigned int zero_based;
};

FIXTURE_VARIANT_ADD(mw, pinned_1)
{
	.type = IBV_MW_TYPE_1,
};

FIXTURE_VARIANT_ADD(mw, pinned_2)
{
	.type = IBV_MW_TYPE_2,
};

FIXTURE_VARIANT_ADD(mw, pinned_2_zero)
{
	.type = IBV_MW_TYPE_2,
	.zero_based = IBV_ACCESS_ZERO_BASED,
};

FIXTURE_VARIANT_ADD(mw, odp_1)
{
	.odp = RV_ODP,
	.type = IBV_MW_TYPE_1,
};

FIXTURE_VARIANT_ADD(mw, odp_2)
{
	.odp = RV_ODP,
	.type = IBV_MW_TYPE_2,
};

FIXTURE_VARIANT_ADD(mw, odp_2_zero)
{
	.odp = RV_ODP,
	.type = IBV_MW_TYPE_2,
	.zero_based = IBV_ACCESS_ZERO_BASED,
};

static int bind_type_1(struct rv_qp *q, struct ibv_mw *mw,
		       const struct ibv_mw_bind_info *info)
{
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = *info,
	};
	int err = ibv_bind_mw(q->qp, mw, &bind);

	return err ? -err : rv_wait(q);
}

static int post_and_wait(struct rv_qp *q, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	int err;

	wr->wr_id = q->next_id++;
	wr->send_flags = IBV_SEND_SIGNALED;
	err = ibv_post_send(q->qp, wr, &bad);

	return err ? -err : rv_wait(q);
}

static int bind_type_2(struct rv_qp *q, struct ibv_mw *mw,
		       const struct ibv_mw_bind_info *info)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_BIND_MW,
		.bind_mw = {
			.mw = mw,
			.rkey = ibv_inc_rkey(mw->rkey),
			.bind_info = *info,
		},
	};
	int res = post_and_wait(q, &wr);

	if (!res)
		mw->rkey = wr.bind_mw.rkey;
	return res;
}

static int invalidate(struct rv_qp *q, uint32_t rkey)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_LOCAL_INV,
		.invalidate_rkey = rkey,
	};

	return post_and_wait(q, &wr);
}

/* Bind the window to a part of mem_b. */
static int bind_part(struct rv_ends *e, struct ibv_mw *mw,
		     unsigned int zero_based, unsigned int access, size_t off,
		     size_t len)
{
	const struct ibv_mw_bind_info info = {
		.mr = e->mr_b,
		.addr = (uintptr_t)e->mem_b.base + off,
		.length = len,
		.mw_access_flags = access | zero_based,
	};

	return mw->type == IBV_MW_TYPE_1 ? bind_type_1(&e->pair.b, mw, &info) :
					   bind_type_2(&e->pair.b, mw, &info);
}

FIXTURE_SETUP(mw)
{
	unsigned int flags = IBV_ACCESS_MW_BIND | variant->odp;
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_init(e, NULL, LEN, variant->odp, flags));
	self->mw = ibv_alloc_mw(e->dev.pd, variant->type);
	ASSERT_NE(NULL, self->mw);
	/* Atomics need a multiple of 8; the end is anywhere. */
	self->off = rv_rand_between(1, LEN / 4) & ~7UL;
	self->len = rv_rand_between(LEN / 4, LEN / 2) | 1;
	self->base = variant->zero_based ? 0 :
		     (uintptr_t)e->mem_b.base + self->off;
	ASSERT_RV_OK(bind_part(e, self->mw, variant->zero_based, ALL, self->off,
			       self->len));
}

FIXTURE_TEARDOWN(mw)
{
	EXPECT_EQ(0, ibv_dealloc_mw(self->mw));
	rv_ends_fini(&self->e);
}

/*
 * After an error: new queue pairs, and a new window, which isn't bound. One of
 * type 2 goes with its queue pair.
 */
static int recover(struct rv_ends *e, struct ibv_mw **mw)
{
	enum ibv_mw_type type = (*mw)->type;
	int err = ibv_dealloc_mw(*mw);

	if (!err)
		err = rv_pair_again(&e->pair);
	*mw = ibv_alloc_mw(e->dev.pd, type);
	return err ? err : *mw ? 0 : -errno;
}

/* A place in the window as the peer names it. */
static struct rv_remote at(struct _test_data_mw *self, int64_t off)
{
	return (struct rv_remote){ .addr = self->base + off,
				   .rkey = self->mw->rkey };
}

static int write_at(struct _test_data_mw *self, size_t off_a, int64_t off,
		    size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(&self->e, off_a, len);
	int res = rv_write(&self->e.pair.a, &sge, 1, at(self, off));

	if (!res)
		rv_buf_expect(&self->e.mem_b, self->off + off,
			      self->e.mem_a.base + off_a, len);
	return res;
}

static int read_at(struct _test_data_mw *self, size_t off_a, int64_t off,
		   size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(&self->e, off_a, len);
	int res = rv_read(&self->e.pair.a, &sge, 1, at(self, off));

	if (!res)
		rv_buf_expect(&self->e.mem_a, off_a,
			      rv_buf_shadow(&self->e.mem_b, self->off + off),
			      len);
	return res;
}

TEST_F(mw, within)
{
	struct rv_ends *e = &self->e;
	size_t off, len;
	int i;

	ASSERT_RV_OK(write_at(self, 50, 0, self->len));
	ASSERT_RV_OK(read_at(self, 60, 0, self->len));
	ASSERT_RV_OK(write_at(self, 70, self->len - 1, 1));
	ASSERT_RV_OK(read_at(self, 80, 0, 1));
	for (i = 0; i < rv_shrink(20); i++) {
		len = rv_rand_len(1, self->len);
		off = rv_rand_below(self->len - len + 1);
		ASSERT_RV_OK(write_at(self, rv_rand_below(LEN - len), off, len));
		len = rv_rand_len(1, self->len);
		off = rv_rand_below(self->len - len + 1);
		ASSERT_RV_OK(read_at(self, rv_rand_below(LEN - len), off, len));
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Each of these is within the region, and a byte or more outside the window. */
TEST_F(mw, outside)
{
	const struct {
		int64_t off;
		size_t len;
	} parts[] = {
		{ -1, 1 }, { -1, 2 }, { -8, 8 }, { -8, self->len + 16 },
		{ self->len, 1 }, { self->len - 1, 2 },
		{ 0, self->len + 1 }, { 1, self->len },
		{ self->len + 100, 10 }, { self->len - 5000, 10000 },
	};
	struct rv_ends *e = &self->e;
	struct rv_remote where;
	struct ibv_sge sge;
	int i, res;

	for (i = 0; i < 2 * ARRAY_SIZE(parts); i++) {
		sge = rv_ends_sge_a(e, 7, parts[i / 2].len);
		where = at(self, parts[i / 2].off);
		res = i % 2 ? rv_read(&e->pair.a, &sge, 1, where) :
			      rv_write(&e->pair.a, &sge, 1, where);
		ASSERT_EQ(IBV_WC_REM_ACCESS_ERR, res)
			TH_LOG("%s %zu bytes at %ld of %zu: %s",
			       i % 2 ? "read" : "write", parts[i / 2].len,
			       (long)parts[i / 2].off, self->len,
			       rv_status(res));
		/* The first packet says how far it goes: nothing was moved. */
		ASSERT_RV_OK(rv_ends_check(e));

		ASSERT_EQ(0, recover(e, &self->mw));
		ASSERT_RV_OK(bind_part(e, self->mw, variant->zero_based, ALL,
				       self->off, self->len));
	}
}

TEST_F(mw, atomics)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge old = rv_ends_sge_a(e, 16, 8);
	size_t last = (self->len & ~7UL) - 8;
	uint64_t was, is;

	memcpy(&was, rv_buf_shadow(&e->mem_b, self->off + last), 8);
	ASSERT_RV_OK(rv_fetch_add(&e->pair.a, &old, at(self, last), 5));
	is = was + 5;
	rv_buf_expect(&e->mem_a, 16, &was, 8);
	rv_buf_expect(&e->mem_b, self->off + last, &is, 8);
	ASSERT_RV_OK(rv_ends_check(e));

	/* The next word begins inside and ends outside. */
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_fetch_add(&e->pair.a, &old, at(self, last + 8), 5));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The region allows everything, the window only reading. */
TEST_F(mw, rights)
{
	struct rv_ends *e = &self->e;

	if (variant->type == IBV_MW_TYPE_2)
		ASSERT_RV_OK(invalidate(&e->pair.b, self->mw->rkey));
	ASSERT_RV_OK(bind_part(e, self->mw, variant->zero_based,
			       IBV_ACCESS_REMOTE_READ, self->off, self->len));
	ASSERT_RV_OK(read_at(self, 50, 100, 5000));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, write_at(self, 60, 100, 5000));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Bound anew, a window is where it is now. */
TEST_F(mw, moved)
{
	struct rv_ends *e = &self->e;
	size_t was = self->off;

	if (variant->type == IBV_MW_TYPE_2)
		ASSERT_RV_OK(invalidate(&e->pair.b, self->mw->rkey));
	self->off = LEN / 2;
	self->len = LEN / 2;
	self->base += variant->zero_based ? 0 : self->off - was;
	ASSERT_RV_OK(bind_part(e, self->mw, variant->zero_based, ALL, self->off,
			       self->len));
	ASSERT_RV_OK(write_at(self, 50, 0, self->len));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, write_at(self, 60, -8, 8));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* A window that isn't bound can't be used, nor invalidated again. */
TEST_F(mw, unbound)
{
	struct rv_ends *e = &self->e;

	if (variant->type == IBV_MW_TYPE_1)
		return;
	ASSERT_RV_OK(invalidate(&e->pair.b, self->mw->rkey));
	ASSERT_NE(0, invalidate(&e->pair.b, self->mw->rkey));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Neither more than the region nor anything that it doesn't allow. */
TEST_F(mw, bad_bind)
{
	const unsigned int reading = IBV_ACCESS_MW_BIND | IBV_ACCESS_REMOTE_READ;
	const unsigned int all = IBV_ACCESS_MW_BIND | RV_ACCESS;
	const struct {
		int64_t off;
		size_t len;
		unsigned int region, window;
	} bad[] = {
		{ 0, LEN, RV_ACCESS, ALL },
		{ 0, LEN, reading, IBV_ACCESS_REMOTE_WRITE },
		{ 0, LEN, reading, IBV_ACCESS_REMOTE_ATOMIC },
		{ 0, LEN, all, 1U << 19 },
		{ 0, LEN + 1, all, ALL },
		/* a zero-based window's place is looked at with each access */
		{ -8, 100, all, ALL },
		{ LEN - 8, 100, all, ALL },
		{ LEN, 1, all, ALL },
	};
	int i, n = variant->zero_based ? 5 : ARRAY_SIZE(bad);
	struct rv_ends *e = &self->e;
	struct ibv_mr *good = e->mr_b;
	uint32_t key = good->lkey;

	ASSERT_EQ(0, recover(e, &self->mw));
	for (i = 0; i < n; i++) {
		e->mr_b = rv_reg_all(&e->dev, &e->mem_b,
				     bad[i].region | variant->odp);
		ASSERT_NE(NULL, e->mr_b);
		EXPECT_RV(IBV_WC_MW_BIND_ERR,
			  bind_part(e, self->mw, variant->zero_based,
				    bad[i].window, bad[i].off, bad[i].len));
		ASSERT_EQ(0, recover(e, &self->mw)) TH_LOG("case %d", i);
		ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	}
	e->mr_b = good;
	good->lkey ^= 0x7f000000;
	EXPECT_RV(IBV_WC_MW_BIND_ERR,
		  bind_part(e, self->mw, variant->zero_based, ALL, 0, LEN));
	good->lkey = key;
	ASSERT_EQ(0, recover(e, &self->mw));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(bind_part(e, self->mw, variant->zero_based, ALL, self->off,
			       self->len));
	ASSERT_RV_OK(write_at(self, 50, 0, self->len));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The region can't go while a window is bound to it. */
TEST_F(mw, holds_region)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(EINVAL, ibv_dereg_mr(e->mr_b));
	ASSERT_EQ(-EBUSY, rv_rereg(e->mr_b, IBV_REREG_MR_CHANGE_TRANSLATION,
				   NULL, e->mem_b.base, LEN / 2, 0));
	ASSERT_RV_OK(write_at(self, 50, 0, self->len));
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
