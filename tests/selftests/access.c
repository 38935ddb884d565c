// SPDX-License-Identifier: GPL-2.0
/*
 * Rights and bounds: what must be refused is refused, with the right status,
 * and leaves no byte changed. Pinned and on demand-paged regions alike.
 */
#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64UL * 1024)

/* The answering side's region is a part of its memory, at odd addresses. */
#define START	(RV_PAGE + 104UL)
#define SIZE	(10UL * RV_PAGE - 200)
#define END	(START + SIZE)

FIXTURE(access)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(access)
{
	unsigned int odp;
};

FIXTURE_VARIANT_ADD(access, pinned)
{
	.odp = 0,
};

FIXTURE_VARIANT_ADD(access, odp)
{
	.odp = RV_ODP,
};

FIXTURE_SETUP(access)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS | variant->odp);
	e->mr_b = rv_reg(&e->dev, &e->mem_b, START, SIZE,
			 RV_ACCESS | variant->odp);
	ASSERT_NE(NULL, e->mr_a);
	ASSERT_NE(NULL, e->mr_b);
}

FIXTURE_TEARDOWN(access)
{
	rv_ends_fini(&self->e);
}

/* The answering side's region with other rights. */
static int limit_b(struct rv_ends *e, unsigned int access)
{
	int err = ibv_dereg_mr(e->mr_b);

	if (err)
		return -err;
	e->mr_b = rv_reg(&e->dev, &e->mem_b, START, SIZE, access);
	return e->mr_b ? 0 : -1;
}

/*
 * After an operation that must have failed with this status: nothing has
 * changed, and fresh queue pairs work.
 */
#define ASSERT_REFUSED(_status, _expr) do {				\
	ASSERT_RV(_status, _expr);					\
	ASSERT_RV_OK(rv_ends_check(&self->e));				\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
} while (0)

TEST_F(access, no_remote_write)
{
	ASSERT_EQ(0, limit_b(&self->e, IBV_ACCESS_LOCAL_WRITE |
			     IBV_ACCESS_REMOTE_READ | variant->odp));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_write_at(&self->e, START, 5000));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_atomic_write(&self->e.pair.a,
				       rv_ends_remote(&self->e, START), 1));
	ASSERT_RV_OK(rv_ends_read(&self->e, 50, START, 5000));
}

TEST_F(access, no_remote_read)
{
	ASSERT_EQ(0, limit_b(&self->e, IBV_ACCESS_LOCAL_WRITE |
			     IBV_ACCESS_REMOTE_WRITE | variant->odp));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(&self->e, START, 5000));
	ASSERT_RV_OK(rv_ends_write(&self->e, 50, START, 5000));
}

TEST_F(access, no_remote_atomic)
{
	ASSERT_EQ(0, limit_b(&self->e, IBV_ACCESS_LOCAL_WRITE |
			     IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE |
			     variant->odp));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_add_at(&self->e, START));
	ASSERT_RV_OK(rv_ends_write(&self->e, 50, START, 5000));
}

TEST_F(access, no_remote_rights)
{
	ASSERT_EQ(0, limit_b(&self->e, IBV_ACCESS_LOCAL_WRITE | variant->odp));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_write_at(&self->e, START, 50));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(&self->e, START, 50));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_add_at(&self->e, START));
	ASSERT_RV_OK(rv_ends_send(&self->e, 50, START, 5000));
}

TEST_F(access, no_flush_right)
{
	struct rv_remote at = rv_ends_remote(&self->e, START);

	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_flush(&self->e.pair.a, at, 8, IBV_FLUSH_GLOBAL,
				IBV_FLUSH_RANGE));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_flush(&self->e.pair.a, at, 8, IBV_FLUSH_PERSISTENT,
				IBV_FLUSH_RANGE));
}

/* Just over either end, far away, and around the end of the address space. */
TEST_F(access, out_of_bounds)
{
	static const struct {
		size_t off, len;
	} bad[] = {
		{ START - 1, 1 }, { START - 1, 100 }, { START - 8, 8 },
		{ END, 1 }, { END - 1, 2 }, { END - 99, 100 },
		{ START, SIZE + 1 }, { START - 1, SIZE + 1 },
		{ START + 5000, SIZE - 4999 },
		{ START + (1UL << 40), 8 }, { START - (1UL << 40), 8 },
		{ START + (4UL << 30), 8 },
	};
	struct rv_ends *e = &self->e;
	struct rv_remote wrap = rv_ends_remote(e, START);
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 4096);
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
			       rv_ends_write_at(e, bad[i].off, bad[i].len));
		ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
			       rv_ends_read_at(e, bad[i].off, bad[i].len));
	}
	wrap.addr = -4UL;
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_write(&e->pair.a, &sge, 1, wrap));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_read(&e->pair.a, &sge, 1, wrap));
	/* All of it and nothing else is fine. */
	ASSERT_RV_OK(rv_ends_write(e, 50, START, SIZE));
	ASSERT_RV_OK(rv_ends_read(e, 60, END - 1, 1));
}

TEST_F(access, atomic_bounds)
{
	struct rv_ends *e = &self->e;

	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_add_at(e, START - 8));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_ends_add_at(e, END));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_atomic_write(&e->pair.a, rv_ends_remote(e, END), 1));
	ASSERT_REFUSED(IBV_WC_REM_INV_REQ_ERR, rv_ends_add_at(e, START + 1));
	ASSERT_REFUSED(IBV_WC_REM_INV_REQ_ERR, rv_ends_add_at(e, START + 4));
	ASSERT_REFUSED(IBV_WC_REM_INV_REQ_ERR,
		       rv_atomic_write(&e->pair.a, rv_ends_remote(e, START + 12),
				       1));
	ASSERT_RV_OK(rv_ends_fetch_add(e, 50, START, 1));
	ASSERT_RV_OK(rv_ends_fetch_add(e, 50, END - 8, 1));
}

TEST_F(access, wrong_rkey)
{
	struct rv_ends *e = &self->e;
	struct rv_remote at = rv_ends_remote(e, START);
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 5000);
	const uint32_t flips[] = { 1, 0x80, 0x100, 0x10000, 0xffffff00 };
	struct rv_remote bad;
	int i;

	for (i = 0; i < ARRAY_SIZE(flips); i++) {
		bad = at;
		bad.rkey ^= flips[i];
		if (bad.rkey == e->mr_a->rkey)
			continue;
		ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
			       rv_write(&e->pair.a, &sge, 1, bad));
		ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
			       rv_read(&e->pair.a, &sge, 1, bad));
	}
	/* The key of another region of ours does not fit these addresses. */
	at.rkey = e->mr_a->rkey;
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_write(&e->pair.a, &sge, 1, at));
}

TEST_F(access, after_dereg)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 5000);
	struct rv_remote at = rv_ends_remote(e, START);

	ASSERT_RV_OK(rv_ends_write(e, 50, START, 5000));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = NULL;
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_write(&e->pair.a, &sge, 1, at));
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR, rv_read(&e->pair.a, &sge, 1, at));
	/* The same memory again: a new key. */
	e->mr_b = rv_reg(&e->dev, &e->mem_b, START, SIZE,
			 RV_ACCESS | variant->odp);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_NE(at.rkey, e->mr_b->rkey);
	ASSERT_RV_OK(rv_ends_write(e, 50, START, 5000));
}

TEST_F(access, other_domain)
{
	struct rv_ends *e = &self->e;
	struct ibv_pd *pd = ibv_alloc_pd(e->dev.ctx);
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 100);
	struct ibv_mr *mr;

	ASSERT_NE(NULL, pd);
	mr = ibv_reg_mr(pd, e->mem_b.base, e->mem_b.len,
			RV_ACCESS | variant->odp);
	ASSERT_NE(NULL, mr);
	ASSERT_REFUSED(IBV_WC_REM_ACCESS_ERR,
		       rv_write(&e->pair.a, &sge, 1,
				RV_REMOTE(mr, e->mem_b.base + START)));
	sge = RV_SGE(mr, e->mem_b.base, 100);
	ASSERT_NE(0, rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, START)));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, ibv_dealloc_pd(pd));
}

/* A status by which the asking side says that its own request is at fault. */
static bool local_error(int res)
{
	return res == IBV_WC_LOC_PROT_ERR || res == IBV_WC_LOC_QP_OP_ERR;
}

#define ASSERT_REFUSED_HERE(_expr) do {					\
	int _here = (_expr);						\
	ASSERT_TRUE(local_error(_here))					\
		TH_LOG("%s: %s", #_expr, rv_status(_here));		\
	ASSERT_RV_OK(rv_ends_check(&self->e));				\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
} while (0)

TEST_F(access, local_keys_and_bounds)
{
	struct rv_ends *e = &self->e;
	struct rv_remote at = rv_ends_remote(e, START);
	struct ibv_sge over = rv_ends_sge_a(e, LEN - 50, 100);
	struct ibv_sge under = rv_ends_sge_a(e, -10UL, 100);
	struct ibv_sge key = rv_ends_sge_a(e, 50, 100);

	key.lkey ^= 0x10;
	ASSERT_REFUSED_HERE(rv_write(&e->pair.a, &over, 1, at));
	ASSERT_REFUSED_HERE(rv_write(&e->pair.a, &under, 1, at));
	ASSERT_REFUSED_HERE(rv_write(&e->pair.a, &key, 1, at));
	ASSERT_REFUSED(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &over, 1, at));
	ASSERT_REFUSED(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &under, 1, at));
	ASSERT_REFUSED(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &key, 1, at));
}

TEST_F(access, no_local_write)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge word;

	ASSERT_EQ(0, ibv_dereg_mr(e->mr_a));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a,
			     IBV_ACCESS_REMOTE_READ | variant->odp);
	ASSERT_NE(NULL, e->mr_a);
	/* It may be read from here, and not written to. */
	ASSERT_RV_OK(rv_ends_write(e, 50, START, 5000));
	ASSERT_REFUSED(IBV_WC_LOC_PROT_ERR, rv_ends_read_at(e, START, 5000));
	/* The other side has done its part by the time the result comes. */
	word = rv_ends_sge_a(e, 48, 8);
	ASSERT_REFUSED(IBV_WC_LOC_PROT_ERR,
		       rv_fetch_add(&e->pair.a, &word,
				    rv_ends_remote(e, START), 0));
}

/* A receive into memory that may not be written, or beyond its end. */
TEST_F(access, bad_receives)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge out = rv_ends_sge_a(e, 50, 500);
	struct ibv_sge in = rv_ends_sge_b(e, END - 100, 500);

	ASSERT_REFUSED(IBV_WC_REM_OP_ERR, rv_send(&e->pair.a, &out, 1,
						  &e->pair.b, &in, 1, NULL));
	in = rv_ends_sge_b(e, START - 1, 500);
	ASSERT_REFUSED(IBV_WC_REM_OP_ERR, rv_send(&e->pair.a, &out, 1,
						  &e->pair.b, &in, 1, NULL));
	ASSERT_EQ(0, limit_b(e, IBV_ACCESS_REMOTE_READ | variant->odp));
	in = rv_ends_sge_b(e, START, 500);
	ASSERT_REFUSED(IBV_WC_REM_OP_ERR, rv_send(&e->pair.a, &out, 1,
						  &e->pair.b, &in, 1, NULL));
}

RV_HARNESS_MAIN
