// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that takes long: a pager (userfaultfd) lets the device wait. Every
 * operation ends when the memory arrives, whenever that is. Until then others
 * go on, and nothing is sent over and over again.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(64 * 1024UL)
/* Longer than the device waits for memory, by far. */
#define HOLD_MS	400

enum op { WRITE, WRITE_IMM, SEND, SEND_SRQ, READ, ADD, SWAP, STORE };

/* What the device counts on the way, and whether it is there. */
static const char * const counters[] = {
	"page_faults_slow", "page_faults_deferred", "sent_pkts",
	"send_rnr_err", "rcvd_rnr_err", "duplicate_request",
	"out_of_seq_request", "rcvd_seq_err", "completer_retry_err",
	"retry_exceeded_err", "retry_rnr_exceeded_err",
};

enum {
	SLOW, DEFERRED, SENT, RNR_SENT, RNR_SEEN, DUPLICATES, OUT_OF_SEQ,
	SEQ_ERRS, RETRIES, EXCEEDED, RNR_EXCEEDED, COUNTERS
};

struct counts {
	int64_t n[COUNTERS];
};

static void count(struct rv_dev *d, struct counts *c)
{
	int i;

	for (i = 0; i < COUNTERS; i++)
		c->n[i] = rv_stat_dev(d, counters[i]);
}

static void count_since(struct rv_dev *d, struct counts *c)
{
	struct counts before = *c;
	int i;

	count(d, c);
	for (i = 0; i < COUNTERS; i++)
		c->n[i] -= before.n[i];
	for (i = 0; i < COUNTERS; i++)
		if (c->n[i])
			rv_log("%s: %lld", counters[i], (long long)c->n[i]);
}

static void wait_ms(uint64_t ms)
{
	uint64_t end = rv_now_ms() + ms;

	while (rv_now_ms() < end)
		rv_pause();
}

static bool is_send(enum op op)
{
	return op == SEND || op == SEND_SRQ;
}

static int post_recv(struct rv_ends *e, enum op op, size_t off, size_t len)
{
	struct ibv_sge b = rv_ends_sge_b(e, off, len);

	if (op == WRITE_IMM)
		return rv_post_recv(&e->pair.b, NULL, 0);
	return is_send(op) ? rv_post_recv(&e->pair.b, &b, 1) : 0;
}

static void expect(struct rv_ends *e, enum op op, size_t off_a, size_t off_b,
		   size_t len)
{
	uint8_t *a = rv_buf_shadow(&e->mem_a, off_a);
	uint8_t *b = rv_buf_shadow(&e->mem_b, off_b);
	uint64_t word;

	if (op == READ) {
		rv_buf_expect(&e->mem_a, off_a, b, len);
	} else if (op == ADD || op == SWAP) {
		memcpy(&word, b, 8);
		rv_buf_expect(&e->mem_a, off_a, &word, 8);
		word = op == ADD ? word + 5 : 77;
		rv_buf_expect(&e->mem_b, off_b, &word, 8);
	} else if (op == STORE) {
		word = 99;
		rv_buf_expect(&e->mem_b, off_b, &word, 8);
	} else {
		rv_buf_expect(&e->mem_b, off_b, a, len);
	}
}

/* Post an operation, and expect what it does. */
static int start(struct rv_ends *e, enum op op, size_t off_a, size_t off_b,
		 size_t len)
{
	struct ibv_sge a = rv_ends_sge_a(e, off_a, op < ADD ? len : 8);
	struct rv_remote b = rv_ends_remote(e, off_b);
	uint64_t word;
	int err;

	err = post_recv(e, op, off_b, len);
	if (err)
		return err;
	memcpy(&word, rv_buf_shadow(&e->mem_b, off_b), 8);
	expect(e, op, off_a, off_b, len);
	switch (op) {
	case WRITE:
		return rv_post_write(&e->pair.a, &a, 1, b);
	case WRITE_IMM:
		return rv_post_write_imm(&e->pair.a, &a, 1, b, 7);
	case READ:
		return rv_post_read(&e->pair.a, &a, 1, b);
	case ADD:
		return rv_post_fetch_add(&e->pair.a, &a, b, 5);
	case SWAP:
		return rv_post_cmp_swap(&e->pair.a, &a, b, word, 77);
	case STORE:
		return rv_post_atomic_write(&e->pair.a, b, 99);
	default:
		return rv_post_send(&e->pair.a, &a, 1);
	}
}

static int finish(struct rv_ends *e, enum op op)
{
	int res = rv_wait(&e->pair.a);

	if (!res && (is_send(op) || op == WRITE_IMM))
		res = rv_wait_recv(&e->pair.b, NULL);
	return res;
}

static bool is_done(struct rv_ends *e)
{
	return rv_poll_until(e->pair.a.scq, NULL, 0) != -ETIMEDOUT;
}

/* --- every operation ----------------------------------------------------- */

FIXTURE(op)
{
	struct rv_ends e;
	struct rv_pair other;
	struct rv_pager p;
};

FIXTURE_VARIANT(op)
{
	enum op op;
	bool local;		/* the requester's memory is slow */
	enum rv_pager_mode mode;
	size_t len;
	int mtu;
};

#define VARIANT(_name, _op, _local, _mode, _len, _mtu)			\
	FIXTURE_VARIANT_ADD(op, _name)					\
	{								\
		.op = _op,						\
		.local = _local,					\
		.mode = _mode,						\
		.len = _len,						\
		.mtu = _mtu,						\
	}

VARIANT(write, WRITE, false, RV_MISSING, 100, 1024);
VARIANT(write_long, WRITE, false, RV_MISSING, 50000, 1024);
VARIANT(write_imm, WRITE_IMM, false, RV_MISSING, 50000, 4096);
VARIANT(send, SEND, false, RV_MISSING, 50000, 1024);
VARIANT(send_srq, SEND_SRQ, false, RV_MISSING, 50000, 4096);
VARIANT(read, READ, false, RV_MISSING, 50000, 1024);
VARIANT(read_short, READ, false, RV_MISSING, 8, 4096);
VARIANT(add, ADD, false, RV_MISSING, 8, 1024);
VARIANT(swap, SWAP, false, RV_MISSING, 8, 1024);
VARIANT(store, STORE, false, RV_MISSING, 8, 1024);
VARIANT(write_minor, WRITE, false, RV_MINOR, 50000, 4096);
VARIANT(read_minor, READ, false, RV_MINOR, 50000, 4096);
VARIANT(add_minor, ADD, false, RV_MINOR, 8, 4096);
VARIANT(write_protected, WRITE, false, RV_PROTECTED, 50000, 4096);
VARIANT(send_protected, SEND, false, RV_PROTECTED, 50000, 4096);
VARIANT(add_protected, ADD, false, RV_PROTECTED, 8, 4096);
VARIANT(local_write, WRITE, true, RV_MISSING, 50000, 1024);
VARIANT(local_send, SEND, true, RV_MISSING, 50000, 4096);
VARIANT(local_read, READ, true, RV_MISSING, 50000, 1024);
VARIANT(local_add, ADD, true, RV_MISSING, 8, 1024);
VARIANT(local_write_minor, WRITE, true, RV_MINOR, 50000, 4096);
VARIANT(local_read_minor, READ, true, RV_MINOR, 50000, 4096);
VARIANT(local_read_protected, READ, true, RV_PROTECTED, 50000, 4096);

static int open_ends(struct rv_ends *e, struct rv_pager *p,
		     const struct rv_opts *opts, bool local,
		     enum rv_pager_mode mode)
{
	struct rv_buf *b = local ? &e->mem_a : &e->mem_b;
	int err;

	err = rv_ends_open(e, opts, LEN);
	if (!err && mode == RV_MINOR) {
		rv_buf_free(b);
		err = rv_pager_map(b, LEN);
	}
	if (err)
		return err;
	err = rv_ends_reg(e, RV_ODP, RV_ODP);
	return err ? err : rv_pager_start(p, b, LEN, mode);
}

FIXTURE_SETUP(op)
{
	struct rv_opts opts = rv_opts_strict(variant->mtu);

	opts.srq = variant->op == SEND_SRQ;
	ASSERT_EQ(0, open_ends(&self->e, &self->p, &opts, variant->local,
			       variant->mode));
	ASSERT_EQ(0, rv_pair_init(&self->other, &self->e.dev, NULL));
}

FIXTURE_TEARDOWN(op)
{
	rv_pager_stop(&self->p);
	rv_pair_fini(&self->other);
	rv_ends_fini(&self->e);
	EXPECT_TRUE(rv_wait_for(!rv_pager_threads()));
}

/* The fast side's memory, by another queue pair: it doesn't wait. */
static int use_other(struct rv_ends *e, struct rv_pair *other, bool local)
{
	struct ibv_mr *mr = local ? e->mr_b : e->mr_a;
	struct rv_buf *b = local ? &e->mem_b : &e->mem_a;
	struct ibv_sge from = RV_SGE(mr, b->base + LEN - 1000, 300);
	struct rv_remote to = RV_REMOTE(mr, b->base + LEN - 500);

	rv_buf_expect(b, LEN - 500, rv_buf_shadow(b, LEN - 1000), 300);
	return rv_write(&other->a, &from, 1, to);
}

TEST_F(op, waits)
{
	enum op op = variant->op;
	struct rv_ends *e = &self->e;
	struct rv_pager *p = &self->p;
	struct counts c;
	int i;

	count(&e->dev, &c);
	/* the words of atomics begin at a multiple of 8 */
	ASSERT_EQ(0, start(e, op, 1000, 2040, variant->len));
	ASSERT_EQ(0, rv_pager_wait(p, 1));
	for (i = 0; i < 4; i++) {
		wait_ms(HOLD_MS / 4);
		ASSERT_RV_OK(use_other(e, &self->other, variant->local));
	}
	ASSERT_FALSE(is_done(e));
	ASSERT_EQ(1, rv_pager_asked(p));
	rv_pager_release(p);
	ASSERT_RV_OK(finish(e, op));
	count_since(&e->dev, &c);
	ASSERT_RV_OK(rv_ends_check(e));

	/* and the queue pair is as good as new */
	ASSERT_EQ(0, start(e, op, 3000, 4080, variant->len));
	ASSERT_RV_OK(finish(e, op));
	ASSERT_RV_OK(rv_ends_check(e));

	ASSERT_LE(1, c.n[SLOW]);
	ASSERT_GE((int64_t)(variant->len / RV_PAGE + 2), c.n[SLOW]);
	ASSERT_LE(1, c.n[DEFERRED]);
	if (!variant->local)
		ASSERT_LE(2, c.n[RNR_SENT]);
	ASSERT_EQ(c.n[RNR_SENT], c.n[RNR_SEEN]);
	ASSERT_EQ(0, c.n[OUT_OF_SEQ]);
	ASSERT_EQ(0, c.n[SEQ_ERRS]);
	ASSERT_EQ(0, c.n[RETRIES]);
	ASSERT_EQ(0, c.n[EXCEEDED]);
	ASSERT_EQ(0, c.n[RNR_EXCEEDED]);
}

/* --- other ways of waiting ----------------------------------------------- */

FIXTURE(slow)
{
	struct rv_ends e;
	struct rv_pager p;
};

FIXTURE_SETUP(slow)
{
	struct rv_opts opts = rv_opts_strict(4096);

	ASSERT_EQ(0, open_ends(&self->e, &self->p, &opts, false, RV_MISSING));
}

FIXTURE_TEARDOWN(slow)
{
	rv_pager_stop(&self->p);
	rv_ends_fini(&self->e);
	EXPECT_TRUE(rv_wait_for(!rv_pager_threads()));
}

/* Ten seconds are nothing special. One packet at a time asks. */
TEST_F(slow, ten_seconds)
{
	struct rv_ends *e = &self->e;
	struct counts c;

	count(&e->dev, &c);
	ASSERT_EQ(0, start(e, WRITE, 100, 200, 40000));
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	wait_ms(10000);
	ASSERT_FALSE(is_done(e));
	ASSERT_EQ(1, rv_pager_asked(&self->p));
	rv_pager_release(&self->p);
	ASSERT_RV_OK(finish(e, WRITE));
	count_since(&e->dev, &c);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_LE(10, c.n[RNR_SENT]);
	/* each time a packet and its RNR NAK; and the message, for each page */
	ASSERT_GE(2 * c.n[RNR_SENT] + (c.n[SLOW] + 2) * 11, c.n[SENT]);
	ASSERT_EQ(0, c.n[RETRIES]);
}

/* Many requests behind the one that waits don't come again each time. */
TEST_F(slow, no_flood)
{
	enum { N = 30, SIZE = 16000 };
	struct rv_ends *e = &self->e;
	struct ibv_sge a;
	struct counts c;
	int i;

	count(&e->dev, &c);
	for (i = 0; i < N; i++) {
		a = rv_ends_sge_a(e, i, SIZE);
		ASSERT_EQ(0, rv_post_write(&e->pair.a, &a, 1,
					   rv_ends_remote(e, 1000 * i)));
		rv_buf_expect(&e->mem_b, 1000 * i,
			      rv_buf_shadow(&e->mem_a, i), SIZE);
	}
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	wait_ms(2 * HOLD_MS);
	rv_pager_release(&self->p);
	for (i = 0; i < N; i++)
		ASSERT_RV_OK(rv_wait(&e->pair.a));
	count_since(&e->dev, &c);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_LE(10, c.n[RNR_SENT]);
	/* what was sent before the peer could say that it isn't ready: once */
	ASSERT_GE(2 * c.n[RNR_SENT] + 64 * c.n[SLOW] + 4 * N * SIZE / 4096,
		  c.n[SENT]);
	ASSERT_EQ(0, c.n[RETRIES]);
	ASSERT_EQ(0, c.n[SEQ_ERRS]);
}

/* A read that goes to slow memory: what arrives meanwhile isn't kept for ever. */
TEST_F(slow, long_read)
{
	enum { SIZE = 8 << 20 };
	struct rv_ends *e = &self->e;
	struct rv_buf from, to;
	struct ibv_mr *from_mr, *to_mr;
	struct ibv_sge sge;
	struct rv_pager p;
	struct counts c;

	ASSERT_EQ(0, rv_buf_alloc(&from, SIZE));
	ASSERT_EQ(0, rv_buf_alloc(&to, SIZE));
	rv_buf_fill(&from);
	from_mr = rv_reg_all(&e->dev, &from, RV_ACCESS);
	to_mr = rv_reg_all(&e->dev, &to, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, from_mr);
	ASSERT_NE(NULL, to_mr);
	/* only a page in the middle */
	to.base += SIZE / 2;
	ASSERT_EQ(0, rv_pager_start(&p, &to, RV_PAGE, RV_MISSING));
	to.base -= SIZE / 2;

	count(&e->dev, &c);
	sge = RV_SGE(to_mr, to.base, SIZE);
	ASSERT_EQ(0, rv_post_read(&e->pair.a, &sge, 1,
				  RV_REMOTE(from_mr, from.base)));
	ASSERT_EQ(0, rv_pager_wait(&p, 1));
	wait_ms(4 * HOLD_MS);
	ASSERT_FALSE(is_done(e));
	rv_pager_release(&p);
	ASSERT_RV_OK(rv_wait(&e->pair.a));
	count_since(&e->dev, &c);
	rv_buf_expect(&to, 0, from.base, SIZE);
	EXPECT_EQ(0, rv_buf_check(&to));
	EXPECT_EQ(0, rv_buf_check(&from));
	/* once, and once more what was dropped */
	EXPECT_GE(2 * SIZE / 4096 + 100, c.n[SENT]);
	EXPECT_EQ(0, c.n[RETRIES]);

	rv_pager_stop(&p);
	ASSERT_EQ(0, ibv_dereg_mr(from_mr));
	ASSERT_EQ(0, ibv_dereg_mr(to_mr));
	rv_buf_free(&from);
	rv_buf_free(&to);
}

/* Memory that waits to be written may be read. */
TEST_F(slow, read_while_protected)
{
	struct rv_ends *e = &self->e;
	struct rv_pager p;

	rv_pager_release(&self->p);
	ASSERT_RV_OK(rv_ends_write(e, 0, 0, LEN));
	rv_pager_stop(&self->p);
	ASSERT_EQ(0, rv_pager_start(&p, &e->mem_b, LEN, RV_PROTECTED));

	ASSERT_RV_OK(rv_ends_read(e, 100, 200, 9000));
	ASSERT_EQ(0, rv_pager_asked(&p));
	ASSERT_EQ(0, start(e, WRITE, 100, 200, 300));
	ASSERT_EQ(0, rv_pager_wait(&p, 1));
	wait_ms(HOLD_MS / 4);
	{
		struct rv_pair other;
		struct ibv_sge a = rv_ends_sge_a(e, 20000, 5000);

		ASSERT_EQ(0, rv_pair_init(&other, &e->dev, NULL));
		ASSERT_RV_OK(rv_read(&other.a, &a, 1, rv_ends_remote(e, 600)));
		rv_buf_expect(&e->mem_a, 20000, rv_buf_shadow(&e->mem_b, 600),
			      5000);
		rv_pair_fini(&other);
	}
	ASSERT_FALSE(is_done(e));
	rv_pager_release(&p);
	ASSERT_RV_OK(finish(e, WRITE));
	ASSERT_RV_OK(rv_ends_check(e));
	rv_pager_stop(&p);
}

/* The pager goes: the memory is as any other, and reads as zeros. */
TEST_F(slow, pager_goes)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, start(e, WRITE, 100, 200, 10000));
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	wait_ms(HOLD_MS / 4);
	ASSERT_FALSE(is_done(e));
	rv_pager_stop(&self->p);
	ASSERT_RV_OK(finish(e, WRITE));
	memset(rv_buf_shadow(&e->mem_b, 0), 0, LEN);
	rv_buf_expect(&e->mem_b, 200, rv_buf_shadow(&e->mem_a, 100), 10000);
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The memory goes while it is waited for. As the process, who waits goes on. */
TEST_F(slow, memory_goes)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, start(e, WRITE, 100, 200, 300));
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	wait_ms(HOLD_MS / 4);
	ASSERT_EQ(0, munmap(e->mem_b.base, LEN));
	ASSERT_FALSE(is_done(e));
	rv_pager_stop(&self->p);
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, rv_wait(&e->pair.a));
	ASSERT_NE(MAP_FAILED, mmap(e->mem_b.base, LEN, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0));
}

/* An RNR retry count that is bounded is respected. */
TEST_F(slow, gives_up)
{
	struct rv_opts opts = { .rnr_retry = 3 };
	struct rv_ends *e = &self->e;

	rv_pair_fini(&e->pair);
	ASSERT_EQ(0, rv_pair_init(&e->pair, &e->dev, &opts));
	ASSERT_RV(IBV_WC_RNR_RETRY_EXC_ERR, rv_ends_write_at(e, 200, 300));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	rv_pager_release(&self->p);
	ASSERT_RV_OK(rv_ends_write(e, 100, 200, 300));
}

/* --- UC and UD have no RNR NAK ------------------------------------------- */

FIXTURE(unreliable)
{
	struct rv_ends e;
	struct rv_pager p;
};

FIXTURE_VARIANT(unreliable)
{
	enum ibv_qp_type type;
	bool srq;
	bool local;
};

FIXTURE_VARIANT_ADD(unreliable, uc) { .type = IBV_QPT_UC };
FIXTURE_VARIANT_ADD(unreliable, uc_srq) { .type = IBV_QPT_UC, .srq = true };
FIXTURE_VARIANT_ADD(unreliable, uc_local) { .type = IBV_QPT_UC, .local = true };
FIXTURE_VARIANT_ADD(unreliable, ud) { .type = IBV_QPT_UD };
FIXTURE_VARIANT_ADD(unreliable, ud_srq) { .type = IBV_QPT_UD, .srq = true };
FIXTURE_VARIANT_ADD(unreliable, ud_local) { .type = IBV_QPT_UD, .local = true };

FIXTURE_SETUP(unreliable)
{
	struct rv_opts opts = {
		.type = variant->type, .mtu = 1024, .srq = variant->srq,
	};

	ASSERT_EQ(0, open_ends(&self->e, &self->p, &opts, variant->local,
			       RV_MISSING));
}

FIXTURE_TEARDOWN(unreliable)
{
	rv_pager_stop(&self->p);
	rv_ends_fini(&self->e);
	EXPECT_TRUE(rv_wait_for(!rv_pager_threads()));
}

/* Nothing is lost: the messages wait for the memory, and come in order. */
TEST_F(unreliable, waits)
{
	enum { N = 4 };
	bool ud = variant->type == IBV_QPT_UD;
	size_t len = ud ? 900 : 9000, head = ud ? RV_GRH : 0;
	struct rv_ends *e = &self->e;
	struct ibv_sge a, b;
	struct ibv_wc wc;
	size_t off;
	int i;

	for (i = 0; i < N; i++) {
		off = i * 12000 + 77;
		b = rv_ends_sge_b(e, off, head + len);
		ASSERT_EQ(0, rv_post_recv(&e->pair.b, &b, 1));
	}
	for (i = 0; i < N; i++) {
		a = rv_ends_sge_a(e, i * 9500, len);
		ASSERT_EQ(0, rv_post_send(&e->pair.a, &a, 1));
	}
	ASSERT_EQ(0, rv_pager_wait(&self->p, 1));
	wait_ms(HOLD_MS);
	ASSERT_EQ(-ETIMEDOUT, rv_poll_until(e->pair.b.rcq, NULL, 0));
	ASSERT_EQ(1, rv_pager_asked(&self->p));
	rv_pager_release(&self->p);
	for (i = 0; i < N; i++) {
		off = i * 12000 + 77;
		ASSERT_RV_OK(rv_wait(&e->pair.a));
		ASSERT_RV_OK(rv_wait_recv(&e->pair.b, &wc));
		ASSERT_EQ(head + len, wc.byte_len);
		rv_buf_expect(&e->mem_b, off, e->mem_b.base + off, head);
		rv_buf_expect(&e->mem_b, off + head,
			      rv_buf_shadow(&e->mem_a, i * 9500), len);
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
