// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once, while memory comes to the device and goes: by
 * request, by force, because the CPU touches it, and when the device gets or
 * loses its memory. Whatever fails, no byte is lost, and what was asked for is
 * done when memory is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_fail.h"
#include "lib/rv_race.h"

#define SIZE_FILE	"/sys/class/infiniband/rxe0/hmm/memory_size"
#define USED_FILE	"/sys/class/infiniband/rxe0/hmm/memory_used"
#define DEVICE		RXE_HMM_PLACE_DEVICE
#define SYSTEM		RXE_HMM_PLACE_SYSTEM
#define MEMORY		"8M"

FIXTURE(memory)
{
	struct rv_dev dev;
	struct rv_buf buf;
	struct ibv_mr *mr;
	struct rv_sweep s;
};

FIXTURE_VARIANT(memory)
{
	size_t len;
	int advice;
};

FIXTURE_VARIANT_ADD(memory, pages)
{
	.len = 24 * RV_PAGE, .advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(memory, huge)
{
	.len = RV_HUGE, .advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(memory)
{
	rv_fail_reset();
	ASSERT_EQ(0, rv_put(SIZE_FILE, MEMORY));
	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc_aligned(&self->buf, variant->len, RV_HUGE));
	madvise(self->buf.base, variant->len, variant->advice);
	rv_buf_fill(&self->buf);
	self->mr = rv_reg_all(&self->dev, &self->buf, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
	/* a move is tried again, in smaller pieces: one failure rarely shows */
	self->s = (struct rv_sweep){
		.dev = &self->dev, .buf = &self->buf, .mr = self->mr,
		.hides = true,
	};
}

FIXTURE_TEARDOWN(memory)
{
	rv_fail_reset();
	EXPECT_EQ(0, ibv_dereg_mr(self->s.mr));
	EXPECT_EQ(0, rv_buf_check(&self->buf));
	EXPECT_EQ(0, rv_get(USED_FILE, NULL));
	EXPECT_EQ(0, rv_put(SIZE_FILE, "0"));
	EXPECT_EQ(0, rv_live("chunks"));
	EXPECT_EQ(0, rv_live("backings"));
	rv_buf_free(&self->buf);
	rv_dev_close(&self->dev);
}

/* 0 if all of the region is there afterwards. */
static int move(struct rv_sweep *s, int place)
{
	struct rxe_hmm_migrate_resp resp;
	size_t pages = s->buf->len / RV_PAGE;
	int err = rv_hmm_migrate(s->mr, 0, s->buf->len, place, &resp);

	if (err)
		return err;
	if (rv_hmm_total(&resp) != pages) {
		rv_log("%llu pages of %zu accounted for",
		       (unsigned long long)rv_hmm_total(&resp), pages);
		return -EBADMSG;
	}
	return resp.moved + resp.already == pages ? 0 : -ENOMEM;
}

/* With memory it works; the bytes are right when the CPU looks. */
static int there_and_back(struct rv_sweep *s)
{
	int err = move(s, DEVICE);

	if (!err)
		err = move(s, SYSTEM);
	if (!err)
		err = rv_buf_check(s->buf);
	if (!err && rv_get(USED_FILE, NULL))
		err = -EBUSY;
	return err;
}

static int try_promote(struct rv_sweep *s)
{
	return move(s, DEVICE);
}

static int undo_promote(struct rv_sweep *s, int res)
{
	return there_and_back(s);
}

TEST_F_TIMEOUT(memory, promote, 600)
{
	self->s.name = "promote";
	self->s.try = try_promote;
	self->s.undo = undo_promote;
	ASSERT_EQ(0, rv_sweep(&self->s));
}

/* The process has only read: zero pages, which become the device's own. */
static int zero_pages(struct rv_sweep *s)
{
	volatile uint8_t *byte = s->buf->base;
	size_t i;

	if (madvise(s->buf->base, s->buf->len, MADV_DONTNEED))
		return -errno;
	rv_buf_expect_byte(s->buf, 0, 0, s->buf->len);
	for (i = 0; i < s->buf->len; i += RV_PAGE)
		(void)byte[i];
	return 0;
}

static int undo_promote_zero(struct rv_sweep *s, int res)
{
	int err = there_and_back(s);

	return err ? err : zero_pages(s);
}

TEST_F_TIMEOUT(memory, promote_zero_pages, 600)
{
	self->s.name = "promote zero pages";
	self->s.try = try_promote;
	self->s.undo = undo_promote_zero;
	ASSERT_EQ(0, zero_pages(&self->s));
	ASSERT_EQ(0, rv_sweep(&self->s));
}

/* The device has none of its memory yet. */
static int undo_populate(struct rv_sweep *s, int res)
{
	int err = there_and_back(s);

	if (!err)
		err = rv_put(SIZE_FILE, "0");
	return err ? err : rv_put(SIZE_FILE, MEMORY);
}

TEST_F_TIMEOUT(memory, populate, 600)
{
	/* that warns when it has no memory, though it says so properly */
	ASSERT_EQ(0, rv_fail_not_in("add_pages", "add_pages"));
	self->s.name = "populate";
	self->s.try = try_promote;
	self->s.undo = undo_populate;
	ASSERT_EQ(0, rv_put(SIZE_FILE, "0"));
	ASSERT_EQ(0, rv_put(SIZE_FILE, MEMORY));
	ASSERT_EQ(0, rv_sweep(&self->s));
}

static int try_demote(struct rv_sweep *s)
{
	return move(s, SYSTEM);
}

static int undo_demote(struct rv_sweep *s, int res)
{
	int err = there_and_back(s);

	return err ? err : move(s, DEVICE);
}

TEST_F_TIMEOUT(memory, demote, 600)
{
	self->s.name = "demote";
	self->s.try = try_demote;
	self->s.undo = undo_demote;
	ASSERT_EQ(0, move(&self->s, DEVICE));
	ASSERT_EQ(0, rv_sweep(&self->s));
}

/* The CPU's own faults: the kernel tries them again when memory was short. */
static int try_touch(struct rv_sweep *s)
{
	volatile uint8_t *byte = s->buf->base;
	size_t i;

	for (i = 0; i < s->buf->len; i += RV_PAGE)
		(void)byte[i];
	return 0;
}

TEST_F_TIMEOUT(memory, cpu_fault, 600)
{
	self->s.name = "CPU fault";
	self->s.try = try_touch;
	self->s.undo = undo_demote;
	ASSERT_EQ(0, move(&self->s, DEVICE));
	ASSERT_EQ(0, rv_sweep(&self->s));
}

static int try_resize(struct rv_sweep *s)
{
	return pwrite(s->fd, "0", 1, 0) == 1 ? 0 : -errno;
}

/* What could not leave is still there, and so is the device's memory. */
static int undo_resize(struct rv_sweep *s, int res)
{
	int err = rv_buf_check(s->buf);

	if (!err)
		err = rv_put(SIZE_FILE, "0");
	if (!err && rv_live("chunks"))
		err = -EBUSY;
	if (!err)
		err = rv_put(SIZE_FILE, MEMORY);
	return err ? err : move(s, DEVICE);
}

TEST_F_TIMEOUT(memory, evacuate, 600)
{
	self->s.name = "evacuate";
	self->s.try = try_resize;
	self->s.undo = undo_resize;
	self->s.fd = open(SIZE_FILE, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->s.fd);
	ASSERT_EQ(0, move(&self->s, DEVICE));
	ASSERT_EQ(0, rv_sweep(&self->s));
	close(self->s.fd);
}

/* The process's last region goes: what can't be brought to RAM stays. */
static int try_dereg(struct rv_sweep *s)
{
	return -ibv_dereg_mr(s->mr);
}

static int undo_dereg(struct rv_sweep *s, int res)
{
	int err;

	if (res)
		return res;
	err = rv_buf_check(s->buf);
	if (!err && rv_get(USED_FILE, NULL))
		err = -EBUSY;
	if (err)
		return err;
	s->mr = rv_reg_all(s->dev, s->buf, RV_ACCESS | RV_ODP);
	return s->mr ? move(s, DEVICE) : -errno;
}

TEST_F_TIMEOUT(memory, last_region, 600)
{
	self->s.name = "the last region goes";
	self->s.try = try_dereg;
	self->s.undo = undo_dereg;
	ASSERT_EQ(0, move(&self->s, DEVICE));
	ASSERT_EQ(0, rv_sweep(&self->s));
}

/* There is no memory at all on the way: that is counted, and nothing moves. */
TEST_F_TIMEOUT(memory, none_to_promote, 120)
{
	int64_t pages = variant->len / RV_PAGE;

	/* the device has none of its memory yet */
	ASSERT_EQ(0, rv_put(SIZE_FILE, "0"));
	ASSERT_EQ(0, rv_put(SIZE_FILE, MEMORY));
	ASSERT_EQ(0, rv_fail_only("rxe_dmem_populate"));
	rv_fail_often(100);
	EXPECT_EQ(0, rv_promote_but(&self->dev, self->mr, RXE_HMM_SKIP_NOMEM,
				    pages));
	rv_fail_reset();
	EXPECT_EQ(0, rv_dmem_used(NULL));
	ASSERT_EQ(0, there_and_back(&self->s));
}

TEST_F_TIMEOUT(memory, none_to_demote, 120)
{
	uint64_t pages = variant->len / RV_PAGE;
	struct rxe_hmm_migrate_resp resp;

	ASSERT_EQ(0, move(&self->s, DEVICE));
	ASSERT_EQ(0, rv_fail_only("rxe_batch_to_system"));
	rv_fail_pages_often(100);
	EXPECT_EQ(0, rv_hmm_migrate(self->mr, 0, variant->len, SYSTEM, &resp));
	rv_fail_reset();
	EXPECT_EQ(pages, resp.skipped[RXE_HMM_SKIP_NOMEM]);
	EXPECT_EQ(pages, rv_hmm_total(&resp));
	EXPECT_EQ(pages, rv_dmem_used(NULL));
	ASSERT_EQ(0, there_and_back(&self->s));
}

/* There is no memory for a migration: only the CPU gets its pages, by the reserve. */
TEST_F_TIMEOUT(memory, none_for_batch, 120)
{
	struct rxe_hmm_migrate_resp resp;

	ASSERT_EQ(0, move(&self->s, DEVICE));
	ASSERT_EQ(0, rv_fail_only("rxe_batch_create"));
	rv_fail_often(100);
	rv_fail_pages_often(100);
	EXPECT_EQ(-ENOMEM, rv_hmm_migrate(self->mr, 0, variant->len, SYSTEM,
					  &resp));
	EXPECT_EQ(-ENOMEM, rv_put(SIZE_FILE, "0"));
	EXPECT_EQ(variant->len, rv_get(USED_FILE, NULL));
	EXPECT_EQ(0, try_touch(&self->s));
	rv_fail_reset();
	EXPECT_EQ(0, rv_get(USED_FILE, NULL));
	EXPECT_EQ(0, rv_buf_check(&self->buf));
	ASSERT_EQ(0, there_and_back(&self->s));
}

static int try_prefer(struct rv_sweep *s)
{
	return rv_hmm_prefer(s->mr, RV_PAGE, 3 * RV_PAGE, DEVICE);
}

static int undo_prefer(struct rv_sweep *s, int res)
{
	return rv_hmm_prefer(s->mr, 0, s->buf->len, RXE_HMM_PLACE_NONE);
}

TEST_F_TIMEOUT(memory, prefer, 600)
{
	self->s.name = "prefer";
	self->s.try = try_prefer;
	self->s.undo = undo_prefer;
	ASSERT_EQ(0, rv_sweep(&self->s));
}

static int try_query(struct rv_sweep *s)
{
	struct rxe_hmm_query_range_resp resp;

	return rv_hmm_query(s->mr, 0, s->buf->len, NULL, 0, &resp);
}

static int undo_query(struct rv_sweep *s, int res)
{
	return 0;
}

TEST_F_TIMEOUT(memory, query, 600)
{
	/* whether a window is made, whose failure shows, depends on the last call */
	self->s.name = "query";
	self->s.try = try_query;
	self->s.undo = undo_query;
	ASSERT_EQ(0, rv_sweep(&self->s));
}

/* --- what the device touches first is made where it is wanted ------------- */

FIXTURE(touch)
{
	struct rv_ends e;
};

FIXTURE_SETUP(touch)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20 };

	rv_fail_reset();
	ASSERT_EQ(0, rv_put(SIZE_FILE, MEMORY));
	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, 16 * RV_PAGE, 0, RV_ODP));
	madvise(self->e.mem_b.base, self->e.mem_b.len, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, rv_hmm_prefer(self->e.mr_b, 0, self->e.mem_b.len, DEVICE));
	ASSERT_EQ(0, rv_fail_only("rxe_migrate_first_touch"));
}

FIXTURE_TEARDOWN(touch)
{
	rv_fail_workers_nth(0);
	rv_fail_reset();
	rv_ends_fini(&self->e);
	EXPECT_EQ(0, rv_get(USED_FILE, NULL));
	EXPECT_EQ(0, rv_put(SIZE_FILE, "0"));
}

TEST_F_TIMEOUT(touch, first, 600)
{
	struct rv_ends *e = &self->e;
	int n, hits = 0;

	for (n = 1; n <= 24; n++) {
		ASSERT_EQ(0, madvise(e->mem_b.base, e->mem_b.len, MADV_DONTNEED));
		rv_buf_expect_byte(&e->mem_b, 0, 0, e->mem_b.len);
		rv_fail_workers_nth(n);
		/* in RAM, if not on the device */
		ASSERT_RV_OK(rv_ends_write(e, 0, 100 + n, 9000));
		hits += rv_fail_workers_hit();
		ASSERT_RV_OK(rv_ends_read(e, 50, 200, 20000));
	}
	rv_log("%d allocations failed", hits);
	EXPECT_LE(2, hits);
}

RV_FAIL_HARNESS_MAIN
