// SPDX-License-Identifier: GPL-2.0
/*
 * Lists of several pieces, on one or both sides, with the keys of pinned and
 * on demand-paged regions side by side in one list.
 */
#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(512UL * 1024)
#define PIECES	8
#define ROUNDS	20

/* Each side's memory is registered twice: mr[0] pinned, mr[1] on demand. */
struct side {
	struct rv_buf *mem;
	struct ibv_mr *mr[2];
};

enum keys { PINNED, ODP, MIXED };

FIXTURE(sgl)
{
	struct rv_ends e;
	struct side a, b;
};

FIXTURE_VARIANT(sgl)
{
	enum keys keys;
	int mtu;
};

#define VARIANT(_name, _keys, _mtu)				\
	FIXTURE_VARIANT_ADD(sgl, _name)				\
	{							\
		.keys = _keys,					\
		.mtu = _mtu,					\
	}

VARIANT(pinned, PINNED, 1024);
VARIANT(odp_256, ODP, 256);
VARIANT(odp_1024, ODP, 1024);
VARIANT(odp_4096, ODP, 4096);
VARIANT(mixed_256, MIXED, 256);
VARIANT(mixed_1024, MIXED, 1024);
VARIANT(mixed_4096, MIXED, 4096);

FIXTURE_SETUP(sgl)
{
	struct rv_opts opts = { .mtu = variant->mtu };
	struct side *sides[] = { &self->a, &self->b };
	int i;

	ASSERT_EQ(0, rv_ends_open(&self->e, &opts, LEN));
	self->a.mem = &self->e.mem_a;
	self->b.mem = &self->e.mem_b;
	for (i = 0; i < 2; i++) {
		sides[i]->mr[0] = rv_reg_all(&self->e.dev, sides[i]->mem,
					     RV_ACCESS);
		sides[i]->mr[1] = rv_reg_all(&self->e.dev, sides[i]->mem,
					     RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, sides[i]->mr[0]);
		ASSERT_NE(NULL, sides[i]->mr[1]);
	}
}

FIXTURE_TEARDOWN(sgl)
{
	int i;

	rv_pair_fini(&self->e.pair);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, ibv_dereg_mr(self->a.mr[i]));
		EXPECT_EQ(0, ibv_dereg_mr(self->b.mr[i]));
	}
	rv_ends_fini(&self->e);
}

static struct ibv_mr *pick_mr(struct side *s, enum keys keys)
{
	return s->mr[keys == MIXED ? rv_rand_below(2) : keys == ODP];
}

/* Pieces that do not overlap, each somewhere in its slot of the memory. */
static int make_sgl(struct side *s, enum keys keys, struct ibv_sge *sgl)
{
	int i, n = rv_rand_between(2, PIECES);
	size_t slot = LEN / n;

	for (i = 0; i < n; i++) {
		size_t len = rv_rand_len(1, 9000);
		size_t off = i * slot + rv_rand_below(slot - len + 1);

		sgl[i] = RV_SGE(pick_mr(s, keys), s->mem->base + off, len);
	}
	/* Not always in ascending order. */
	if (rv_rand_below(2)) {
		struct ibv_sge tmp = sgl[0];

		sgl[0] = sgl[n - 1];
		sgl[n - 1] = tmp;
	}
	return n;
}

static size_t total(struct ibv_sge *sgl, int n)
{
	size_t sum = 0;

	while (n--)
		sum += sgl[n].length;
	return sum;
}

static size_t offset(struct side *s, struct ibv_sge *sge)
{
	return sge->addr - (uintptr_t)s->mem->base;
}

/* The bytes of a list in a row, as the shadow has them. */
static void gather(struct side *s, struct ibv_sge *sgl, int n, uint8_t *to)
{
	int i;

	for (i = 0; i < n; i++) {
		memcpy(to, rv_buf_shadow(s->mem, offset(s, &sgl[i])),
		       sgl[i].length);
		to += sgl[i].length;
	}
}

static void expect_scattered(struct side *s, struct ibv_sge *sgl, int n,
			     const uint8_t *from, size_t len)
{
	int i;

	for (i = 0; i < n && len; i++) {
		size_t part = sgl[i].length < len ? sgl[i].length : len;

		rv_buf_expect(s->mem, offset(s, &sgl[i]), from, part);
		from += part;
		len -= part;
	}
}

static uint8_t bytes[PIECES * 9000];

TEST_F(sgl, write)
{
	struct ibv_sge sgl[PIECES];
	int i, n;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		size_t len, to;

		n = make_sgl(&self->a, variant->keys, sgl);
		len = total(sgl, n);
		to = rv_rand_below(LEN - len);
		gather(&self->a, sgl, n, bytes);
		ASSERT_RV_OK(rv_write(&self->e.pair.a, sgl, n,
				RV_REMOTE(pick_mr(&self->b, variant->keys),
					  self->e.mem_b.base + to)));
		rv_buf_expect(&self->e.mem_b, to, bytes, len);
		ASSERT_RV_OK(rv_ends_check(&self->e));
	}
}

TEST_F(sgl, read)
{
	struct ibv_sge sgl[PIECES];
	int i, n;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		size_t len, from;

		n = make_sgl(&self->a, variant->keys, sgl);
		len = total(sgl, n);
		from = rv_rand_below(LEN - len);
		ASSERT_RV_OK(rv_read(&self->e.pair.a, sgl, n,
				RV_REMOTE(pick_mr(&self->b, variant->keys),
					  self->e.mem_b.base + from)));
		expect_scattered(&self->a, sgl, n,
				 rv_buf_shadow(&self->e.mem_b, from), len);
		ASSERT_RV_OK(rv_ends_check(&self->e));
	}
}

static void send_rounds(struct __test_metadata *_metadata,
			struct rv_ends *e, struct side *a, struct side *b,
			enum keys keys)
{
	struct ibv_sge out[PIECES], in[PIECES];
	int i, n_out, n_in;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		struct ibv_wc wc;
		size_t len;

		do {
			n_out = make_sgl(a, keys, out);
			n_in = make_sgl(b, keys, in);
			len = total(out, n_out);
		} while (len > total(in, n_in));
		gather(a, out, n_out, bytes);
		ASSERT_RV_OK(rv_send(&e->pair.a, out, n_out, &e->pair.b, in,
				     n_in, &wc));
		ASSERT_EQ(len, wc.byte_len);
		expect_scattered(b, in, n_in, bytes, len);
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

TEST_F(sgl, send)
{
	send_rounds(_metadata, &self->e, &self->a, &self->b, variant->keys);
}

TEST_F(sgl, send_srq)
{
	struct rv_opts opts = { .mtu = variant->mtu, .srq = true };

	rv_pair_fini(&self->e.pair);
	ASSERT_EQ(0, rv_pair_init(&self->e.pair, &self->e.dev, &opts));
	send_rounds(_metadata, &self->e, &self->a, &self->b, variant->keys);
}

/* One page, piece by piece, through one key and the other. */
TEST_F(sgl, small_pieces)
{
	struct ibv_sge sgl[16];
	size_t at = 3 * RV_PAGE - 200;
	int i;

	for (i = 0; i < 16; i++) {
		size_t len = rv_rand_between(1, 50);

		sgl[i] = RV_SGE(pick_mr(&self->a, variant->keys),
				self->a.mem->base + at, len);
		at += len;
	}
	gather(&self->a, sgl, 16, bytes);
	ASSERT_RV_OK(rv_write(&self->e.pair.a, sgl, 16,
			      RV_REMOTE(pick_mr(&self->b, variant->keys),
					self->e.mem_b.base + 4090)));
	rv_buf_expect(&self->e.mem_b, 4090, bytes, total(sgl, 16));
	ASSERT_RV_OK(rv_ends_check(&self->e));

	ASSERT_RV_OK(rv_read(&self->e.pair.a, sgl, 16,
			     RV_REMOTE(pick_mr(&self->b, variant->keys),
				       self->e.mem_b.base + 9000)));
	expect_scattered(&self->a, sgl, 16, rv_buf_shadow(&self->e.mem_b, 9000),
			 total(sgl, 16));
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

RV_HARNESS_MAIN
