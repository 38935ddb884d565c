// SPDX-License-Identifier: GPL-2.0
/*
 * Every operation of a reliable connection, at random offsets and lengths, on
 * pinned and on demand-paged memory, on either side and on both.
 */
#include <pthread.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define MIB	(1UL << 20)
#define LEN	(MIB + 8 * RV_PAGE)

/* Buffers of LEN bytes; short transfers many times, long ones a few times. */
#define SHORT_ROUNDS	24
#define SHORT		(20 * 1024)
#define LONG_ROUNDS	3

FIXTURE(ops)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(ops)
{
	int mtu;
	unsigned int a, b;
};

#define VARIANT(_mtu, _side, _a, _b)				\
	FIXTURE_VARIANT_ADD(ops, mtu##_mtu##_##_side)		\
	{							\
		.mtu = _mtu,					\
		.a = _a,					\
		.b = _b,					\
	}

VARIANT(1024, pinned, 0, 0);
VARIANT(256, odp_requester, RV_ODP, 0);
VARIANT(256, odp_responder, 0, RV_ODP);
VARIANT(256, odp_both, RV_ODP, RV_ODP);
VARIANT(1024, odp_requester, RV_ODP, 0);
VARIANT(1024, odp_responder, 0, RV_ODP);
VARIANT(1024, odp_both, RV_ODP, RV_ODP);
VARIANT(4096, odp_requester, RV_ODP, 0);
VARIANT(4096, odp_responder, 0, RV_ODP);
VARIANT(4096, odp_both, RV_ODP, RV_ODP);

FIXTURE_SETUP(ops)
{
	struct rv_opts opts = { .mtu = variant->mtu };

	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN,
				  IBV_ACCESS_FLUSH_GLOBAL | variant->a,
				  IBV_ACCESS_FLUSH_GLOBAL | variant->b));
}

FIXTURE_TEARDOWN(ops)
{
	rv_ends_fini(&self->e);
}

static int one_round(struct rv_ends *e, rv_ends_fn fn, size_t max)
{
	size_t len = rv_rand_len(1, max);

	return fn(e, rv_rand_below(LEN - len + 1), rv_rand_below(LEN - len + 1),
		  len);
}

static int random_rounds(struct rv_ends *e, rv_ends_fn fn)
{
	int i, res;

	for (i = 0; i < rv_shrink(SHORT_ROUNDS); i++) {
		res = one_round(e, fn, SHORT);
		if (res)
			return res;
	}
	for (i = 0; i < rv_shrink(LONG_ROUNDS); i++) {
		res = one_round(e, fn, rv_shrink(MIB));
		if (res)
			return res;
	}
	return 0;
}

TEST_F(ops, write)
{
	ASSERT_RV_OK(random_rounds(&self->e, rv_ends_write));
}

TEST_F(ops, write_imm)
{
	ASSERT_RV_OK(random_rounds(&self->e, rv_ends_write_imm));
}

TEST_F(ops, read)
{
	ASSERT_RV_OK(random_rounds(&self->e, rv_ends_read));
}

TEST_F(ops, send)
{
	ASSERT_RV_OK(random_rounds(&self->e, rv_ends_send));
}

TEST_F(ops, send_srq)
{
	struct rv_opts opts = { .mtu = variant->mtu, .srq = true };

	rv_pair_fini(&self->e.pair);
	ASSERT_EQ(0, rv_pair_init(&self->e.pair, &self->e.dev, &opts));
	ASSERT_RV_OK(random_rounds(&self->e, rv_ends_send));
	ASSERT_RV_OK(random_rounds(&self->e, rv_ends_write_imm));
}

/* The old value may go to any address; the target must be aligned. */
TEST_F(ops, atomics)
{
	struct rv_ends *e = &self->e;
	uint64_t compare;
	int i;

	for (i = 0; i < rv_shrink(40); i++) {
		size_t off_a = rv_rand_below(LEN - 8);
		size_t off_b = rv_rand_below(LEN - 8) & ~7UL;

		switch (rv_rand_below(4)) {
		case 0:
			memcpy(&compare, rv_buf_shadow(&e->mem_b, off_b), 8);
			ASSERT_RV_OK(rv_ends_cmp_swap(e, off_a, off_b, compare,
						      rv_rand()));
			break;
		case 1:
			ASSERT_RV_OK(rv_ends_cmp_swap(e, off_a, off_b,
						      rv_rand(), rv_rand()));
			break;
		case 2:
			ASSERT_RV_OK(rv_ends_fetch_add(e, off_a, off_b,
						       rv_rand()));
			break;
		case 3:
			ASSERT_RV_OK(rv_ends_atomic_write(e, off_b,
							  rv_rand()));
			break;
		}
	}
}

TEST_F(ops, flush)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < rv_shrink(8); i++) {
		size_t len = rv_rand_len(1, SHORT);
		size_t off_a = rv_rand_below(LEN - len + 1);
		size_t off_b = rv_rand_below(LEN - len + 1);

		ASSERT_RV_OK(rv_ends_write(e, off_a, off_b, len));
		ASSERT_RV_OK(rv_flush(&e->pair.a, rv_ends_remote(e, off_b), len,
				      IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE));
		ASSERT_RV_OK(rv_flush(&e->pair.a, rv_ends_remote(e, 0), 0,
				      IBV_FLUSH_GLOBAL, IBV_FLUSH_MR));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* The ends of pages and packets, from all sorts of places in a page. */
TEST_F(ops, boundaries)
{
	static const rv_ends_fn fns[] = {
		rv_ends_write, rv_ends_write_imm, rv_ends_read, rv_ends_send,
	};
	const size_t lens[] = {
		0, 1, variant->mtu - 1, variant->mtu, variant->mtu + 1,
		RV_PAGE - 1, RV_PAGE, RV_PAGE + 1, 2 * RV_PAGE,
	};
	const size_t offs[] = { 0, 1, 100, RV_PAGE - 1 };
	int i, j, k;

	for (i = 0; i < ARRAY_SIZE(fns); i++)
		for (j = 0; j < ARRAY_SIZE(lens); j++)
			for (k = 0; k < ARRAY_SIZE(offs); k++)
				ASSERT_RV_OK(fns[i](&self->e,
					offs[rv_rand_below(ARRAY_SIZE(offs))],
					5 * RV_PAGE + offs[k], lens[j]));
	/* The whole region, and its last bytes. */
	ASSERT_RV_OK(rv_ends_write(&self->e, LEN - 9, LEN - 9, 9));
	ASSERT_RV_OK(rv_ends_read(&self->e, LEN - 1, LEN - 1, 1));
}

/* Memory nobody has touched: reads as zeros, takes writes. */
TEST_F(ops, first_touch)
{
	struct rv_ends *e = &self->e;
	size_t len;
	int i;

	for (i = 0; i < rv_shrink(6); i++) {
		/* Fresh memory under new regions: neither side has pages. */
		ASSERT_EQ(0, ibv_dereg_mr(e->mr_a));
		ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
		rv_buf_free(&e->mem_a);
		rv_buf_free(&e->mem_b);
		ASSERT_EQ(0, rv_buf_alloc(&e->mem_a, LEN));
		ASSERT_EQ(0, rv_buf_alloc(&e->mem_b, LEN));
		rv_buf_fill_guards(&e->mem_a);
		rv_buf_fill_guards(&e->mem_b);
		e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS | variant->a);
		e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | variant->b);
		ASSERT_NE(NULL, e->mr_a);
		ASSERT_NE(NULL, e->mr_b);

		len = rv_rand_len(1, rv_shrink(64 * 1024));
		if (i % 2) {
			/* Zeros over there; then ours over theirs. */
			ASSERT_RV_OK(rv_ends_read(e, 5, 77, len));
			rv_rand_fill(e->mem_a.base, len);
			rv_buf_learn(&e->mem_a);
			ASSERT_RV_OK(rv_ends_write(e, 0, 12345, len));
		} else {
			rv_rand_fill(e->mem_b.base + 99, len);
			rv_buf_learn(&e->mem_b);
			ASSERT_RV_OK(rv_ends_read(e, 3000, 99, len));
			ASSERT_RV_OK(rv_ends_send(e, 3000, 300000, len));
		}
		ASSERT_RV_OK(rv_ends_fetch_add(e, 800001, 800000, 5));
	}
}

/* Many operations in flight at once, of all kinds. */
TEST_F(ops, pipelined)
{
	enum { SLOTS = 32, SLOT = 6000 };
	struct rv_ends *e = &self->e;
	struct ibv_sge sge, in;
	int i, round;

	for (round = 0; round < rv_shrink(4); round++) {
		for (i = 0; i < SLOTS; i++) {
			size_t len = rv_rand_len(1, SLOT);
			size_t off_a = i * SLOT + rv_rand_below(SLOT - len + 1);
			size_t off_b = i * SLOT + rv_rand_below(SLOT - len + 1);

			sge = rv_ends_sge_a(e, off_a, len);
			switch (rv_rand_below(3)) {
			case 0:
				ASSERT_EQ(0, rv_post_write(&e->pair.a, &sge, 1,
						rv_ends_remote(e, off_b)));
				break;
			case 1:
				ASSERT_EQ(0, rv_post_read(&e->pair.a, &sge, 1,
						rv_ends_remote(e, off_b)));
				rv_buf_expect(&e->mem_a, off_a,
					      rv_buf_shadow(&e->mem_b, off_b),
					      len);
				continue;
			case 2:
				in = rv_ends_sge_b(e, off_b, len);
				ASSERT_EQ(0, rv_post_recv(&e->pair.b, &in, 1));
				ASSERT_EQ(0, rv_post_send(&e->pair.a, &sge, 1));
				break;
			}
			rv_buf_expect(&e->mem_b, off_b,
				      rv_buf_shadow(&e->mem_a, off_a), len);
		}
		for (i = 0; i < SLOTS; i++)
			ASSERT_RV_OK(rv_wait(&e->pair.a));
		/* The sends have arrived: their acknowledgements have. */
		while (!rv_poll_until(e->pair.b.rcq, NULL, 0))
			;
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* Transfers over the 2 MiB boundaries, in small pages and in huge ones. */
TEST_F(ops, huge_boundary)
{
	struct rv_ends *e = &self->e;
	size_t len = 2 * RV_HUGE + 3 * RV_PAGE;
	int i, huge;

	for (huge = 0; huge < 2; huge++) {
		ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
		rv_buf_free(&e->mem_b);
		ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, len, RV_HUGE));
		madvise(e->mem_b.base, e->mem_b.len,
			huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		rv_buf_fill(&e->mem_b);
		e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | variant->b);
		ASSERT_NE(NULL, e->mr_b);

		for (i = 0; i < rv_shrink(6); i++) {
			size_t n = rv_rand_between(2, rv_shrink(64 * 1024));
			size_t at = (1 + i % 2) * RV_HUGE -
				    rv_rand_between(1, n - 1);

			if (at + n > len)
				n = len - at;
			ASSERT_RV_OK(rv_ends_write(e, rv_rand_below(1000), at,
						   n));
			ASSERT_RV_OK(rv_ends_read(e, rv_rand_below(1000), at,
						  n));
		}
	}
}

struct worker {
	struct rv_ends e;	/* the shared regions, its own pair */
	size_t off, len;	/* the part of the buffers it may use */
	int id, result;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	int i;

	rv_rand_stream(w->id + 1);
	for (i = 0; i < rv_shrink(30) && !w->result; i++) {
		size_t len = rv_rand_len(1, w->len);
		size_t off_a = w->off + rv_rand_below(w->len - len + 1);
		size_t off_b = w->off + rv_rand_below(w->len - len + 1);
		struct ibv_sge sge = rv_ends_sge_a(&w->e, off_a, len);

		if (rv_rand_below(2)) {
			w->result = rv_write(&w->e.pair.a, &sge, 1,
					     rv_ends_remote(&w->e, off_b));
			rv_buf_expect(&w->e.mem_b, off_b,
				      rv_buf_shadow(&w->e.mem_a, off_a), len);
		} else {
			w->result = rv_read(&w->e.pair.a, &sge, 1,
					    rv_ends_remote(&w->e, off_b));
			rv_buf_expect(&w->e.mem_a, off_a,
				      rv_buf_shadow(&w->e.mem_b, off_b), len);
		}
		if (!w->result)
			w->result = rv_compare("own part",
				w->e.mem_b.base + w->off,
				rv_buf_shadow(&w->e.mem_b, w->off), w->len);
	}
	return NULL;
}

/* Several queue pairs on the same two regions. */
TEST_F(ops, parallel)
{
	enum { WORKERS = 4, PART = 40000 };
	struct rv_opts opts = { .mtu = variant->mtu };
	struct worker w[WORKERS];
	int i;

	for (i = 0; i < WORKERS; i++) {
		w[i].e = self->e;
		w[i].off = i * PART;
		w[i].len = PART;
		w[i].id = i;
		w[i].result = 0;
		ASSERT_EQ(0, rv_pair_init(&w[i].e.pair, &self->e.dev, &opts));
	}
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	for (i = 0; i < WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < WORKERS; i++) {
		EXPECT_RV(0, w[i].result);
		rv_pair_fini(&w[i].e.pair);
	}
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

/* One message over many regions of 2 MiB, there and back, into fresh memory. */
TEST(large_message)
{
	size_t len = rv_shrink(9 * MIB) + 12345;
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends e;

	ASSERT_EQ(0, rv_ends_open(&e, &opts, len + RV_PAGE));
	rv_buf_free(&e.mem_b);
	ASSERT_EQ(0, rv_buf_alloc(&e.mem_b, len + RV_PAGE));
	rv_buf_fill_guards(&e.mem_b);
	e.mr_a = rv_reg_all(&e.dev, &e.mem_a, RV_ACCESS | RV_ODP);
	e.mr_b = rv_reg_all(&e.dev, &e.mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e.mr_a);
	ASSERT_NE(NULL, e.mr_b);
	ASSERT_RV_OK(rv_ends_write(&e, 3, 1001, len));
	rv_buf_fill(&e.mem_a);
	ASSERT_RV_OK(rv_ends_send(&e, 777, 5, len));
	ASSERT_RV_OK(rv_ends_read(&e, 13, 2002, len));
	rv_ends_fini(&e);
}

struct adder {
	uint64_t *word;
	bool stop;
	uint64_t added;
};

static void *add_by_cpu(void *arg)
{
	struct adder *adder = arg;

	while (!__atomic_load_n(&adder->stop, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(adder->word, 1ULL << 32, __ATOMIC_RELAXED);
		adder->added++;
	}
	return NULL;
}

/*
 * The CPU adds to the upper half of a word, the device to the lower half. If
 * one of them reads, adds and writes back, additions of the other get lost.
 */
FIXTURE(with_cpu)
{
};

FIXTURE_VARIANT(with_cpu)
{
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(with_cpu, pinned)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(with_cpu, odp)
{
	.flags = RV_ODP,
};

FIXTURE_SETUP(with_cpu)
{
}

FIXTURE_TEARDOWN(with_cpu)
{
}

TEST_F(with_cpu, atomics)
{
	enum { IN_FLIGHT = 32 };
	struct adder adder = { 0 };
	int i, j, rounds = rv_shrink(600);
	struct rv_remote at;
	struct ibv_sge old;
	struct rv_ends e;
	pthread_t thread;

	ASSERT_EQ(0, rv_ends_init(&e, NULL, LEN, variant->flags,
				  variant->flags));
	ASSERT_EQ(IBV_ATOMIC_GLOB, e.dev.attr.orig_attr.atomic_cap);
	adder.word = (void *)(e.mem_b.base + 8 * 100);
	*adder.word = 0;
	old = rv_ends_sge_a(&e, 0, 8);
	at = rv_ends_remote(&e, 8 * 100);
	ASSERT_EQ(0, pthread_create(&thread, NULL, add_by_cpu, &adder));
	for (i = 0; i < rounds; i++) {
		for (j = 0; j < IN_FLIGHT; j++)
			ASSERT_EQ(0, rv_post_fetch_add(&e.pair.a, &old, at, 1));
		for (j = 0; j < IN_FLIGHT; j++)
			ASSERT_RV_OK(rv_wait(&e.pair.a));
	}
	__atomic_store_n(&adder.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(rounds * IN_FLIGHT, *adder.word & 0xffffffff);
	ASSERT_EQ((adder.added & 0xffffffff), *adder.word >> 32);
	rv_ends_fini(&e);
}

RV_HARNESS_MAIN
