// SPDX-License-Identifier: GPL-2.0
/*
 * Memory in swap on a slow disk: an access waits for the disk and is then done,
 * without a retry. Meanwhile another queue pair goes on.
 *
 * Needs root, null_blk and control groups.
 */
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

/* Three pages, one after the other, take half of this. */
#define STALLED_MS	(6 * RV_SLOW_DISK_MS)
#define LEN	(16 * RV_PAGE)
#define GROUP	"rxe-hmm-slow-swap"
/* Where the other queue pair is at home: the fast side's last page. */
#define FAST	(LEN - RV_PAGE)

enum op { WRITE, READ, SEND, ADD };

static const char * const never[] = {
	"completer_retry_err", "retry_exceeded_err", "retry_rnr_exceeded_err",
	"out_of_seq_request", "rcvd_seq_err",
};

FIXTURE(slow_swap)
{
	struct rv_ends e;
	struct rv_pair other;
	struct rv_swap swap;
	bool ready;
};

FIXTURE_VARIANT(slow_swap)
{
	enum op op;
	bool local;		/* the requester's memory is in swap */
};

FIXTURE_VARIANT_ADD(slow_swap, write) { .op = WRITE };
FIXTURE_VARIANT_ADD(slow_swap, read) { .op = READ };
FIXTURE_VARIANT_ADD(slow_swap, send) { .op = SEND };
FIXTURE_VARIANT_ADD(slow_swap, add) { .op = ADD };
FIXTURE_VARIANT_ADD(slow_swap, local_write) { .op = WRITE, .local = true };
FIXTURE_VARIANT_ADD(slow_swap, local_read) { .op = READ, .local = true };

FIXTURE_SETUP(slow_swap)
{
	struct rv_opts opts = rv_opts_strict(4096);
	struct rv_ends *e = &self->e;
	struct rv_buf *slow = variant->local ? &e->mem_a : &e->mem_b;
	int err;

	if (geteuid())
		SKIP(return, "swap needs root");
	if (rv_group_enter(GROUP))
		SKIP(return, "no cgroup v2 at /sys/fs/cgroup");
	self->ready = true;
	err = rv_swap_start(&self->swap, RV_SLOW_DISK);
	if (err == -ENODEV)
		SKIP(return, "no null_blk in this kernel's configuration");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, rv_ends_open(e, &opts, LEN));
	ASSERT_EQ(0, madvise(slow->base, LEN, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
	ASSERT_EQ(0, rv_pair_init(&self->other, &e->dev, NULL));
	ASSERT_EQ(0, rv_page_out_all(slow, GROUP));
}

FIXTURE_TEARDOWN(slow_swap)
{
	if (!self->ready)
		return;
	rv_pair_fini(&self->other);
	rv_ends_fini(&self->e);
	rv_swap_stop(&self->swap);
	rv_group_leave(GROUP);
	EXPECT_TRUE(rv_wait_for(!rv_pager_threads()));
}

/* Post an operation over three pages, or on a word, and expect what it does. */
static int start(struct rv_ends *e, enum op op)
{
	struct ibv_sge a = rv_ends_sge_a(e, 600, op == ADD ? 8 : 9000);
	struct ibv_sge b = rv_ends_sge_b(e, 800, 9000);
	uint8_t *to = rv_buf_shadow(&e->mem_b, 800);
	uint64_t word;
	int err;

	switch (op) {
	case READ:
		rv_buf_expect(&e->mem_a, 600, to, 9000);
		return rv_post_read(&e->pair.a, &a, 1, rv_ends_remote(e, 800));
	case ADD:
		memcpy(&word, to, 8);
		rv_buf_expect(&e->mem_a, 600, &word, 8);
		word += 5;
		rv_buf_expect(&e->mem_b, 800, &word, 8);
		return rv_post_fetch_add(&e->pair.a, &a,
					 rv_ends_remote(e, 800), 5);
	case SEND:
		err = rv_post_recv(&e->pair.b, &b, 1);
		if (err)
			return err;
		break;
	default:
		break;
	}
	rv_buf_expect(&e->mem_b, 800, rv_buf_shadow(&e->mem_a, 600), 9000);
	return op == SEND ? rv_post_send(&e->pair.a, &a, 1) :
			    rv_post_write(&e->pair.a, &a, 1,
					  rv_ends_remote(e, 800));
}

/* From the fast side to itself. */
static int use_other(struct rv_ends *e, struct rv_pair *other, bool local)
{
	struct ibv_mr *mr = local ? e->mr_b : e->mr_a;
	struct rv_buf *b = local ? &e->mem_b : &e->mem_a;
	struct ibv_sge from = RV_SGE(mr, b->base + FAST + rv_rand_below(999),
				     300);

	rv_buf_expect(b, FAST + 3000, (void *)(uintptr_t)from.addr, 300);
	return rv_write(&other->a, &from, 1,
			RV_REMOTE(mr, b->base + FAST + 3000));
}

static int64_t retries(struct rv_dev *d)
{
	int64_t n = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(never); i++)
		n += rv_stat_dev(d, never[i]);
	return n;
}

TEST_F(slow_swap, waits)
{
	struct rv_ends *e = &self->e;
	struct rv_dev *d = &e->dev;
	int64_t slow = rv_stat_dev(d, "page_faults_slow");
	int64_t deferred = rv_stat_dev(d, "page_faults_deferred");
	int64_t rnr = rv_stat_dev(d, "rcvd_rnr_err");
	int64_t before = retries(d);
	uint64_t begun = rv_now_ms(), took;
	int res, others = 0;

	ASSERT_EQ(0, start(e, variant->op));
	do {
		ASSERT_RV_OK(use_other(e, &self->other, variant->local));
		others++;
		res = rv_poll_until(e->pair.a.scq, NULL, 0);
		took = rv_now_ms() - begun;
	} while (res == -ETIMEDOUT && took < rv_deadline_ms());
	ASSERT_RV_OK(res);
	rv_log("%d transfers in the %llu ms that it took", others,
	       (unsigned long long)took);
	if (variant->op == SEND)
		ASSERT_RV_OK(rv_wait_recv(&e->pair.b, NULL));
	ASSERT_RV_OK(rv_ends_check(e));

	/* it did wait for the disk, and the other didn't */
	ASSERT_LE(RV_SLOW_DISK_MS, took);
	/* unless this program had no processor for most of that time */
	if (took < STALLED_MS)
		ASSERT_LE(5, others);
	ASSERT_LE(1, rv_stat_dev(d, "page_faults_slow") - slow);
	ASSERT_LE(1, rv_stat_dev(d, "page_faults_deferred") - deferred);
	if (!variant->local)
		ASSERT_LE(1, rv_stat_dev(d, "rcvd_rnr_err") - rnr);
	ASSERT_EQ(before, retries(d));
}

RV_HARNESS_MAIN
