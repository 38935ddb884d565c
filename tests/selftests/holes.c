// SPDX-License-Identifier: GPL-2.0
/*
 * On demand-paged regions over memory that the process itself could not use:
 * read-only, forbidden, or not there. Where the process would get a signal,
 * the peer gets an access error and no byte of that packet is written.
 */
#include "kselftest_harness.h"
#include "lib/rv.h"

/* Memory on the answering side, with a hole of its own for every test. */
#define PAGES	1040UL			/* over a 2 MiB boundary, twice */
#define LEN	(PAGES * RV_PAGE)
#define MTU	4096

FIXTURE(holes)
{
	struct rv_ends e;
};

FIXTURE_SETUP(holes)
{
	struct rv_opts opts = { .mtu = MTU };
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, &opts, 64 * 1024));
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, LEN, RV_HUGE));
	madvise(e->mem_b.base, LEN, MADV_NOHUGEPAGE);
	rv_buf_fill(&e->mem_b);
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(holes)
{
	rv_ends_fini(&self->e);
}

static int protect(struct rv_ends *e, size_t page, size_t pages, int prot)
{
	return mprotect(e->mem_b.base + page * RV_PAGE, pages * RV_PAGE, prot);
}

/* Make everything readable, for the comparison. */
static int open_up(struct rv_ends *e)
{
	return protect(e, 0, PAGES, PROT_READ | PROT_WRITE);
}

static int swap_at(struct rv_ends *e, size_t off)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 48, 8);
	uint64_t now;

	memcpy(&now, rv_buf_shadow(&e->mem_b, off), sizeof(now));
	return rv_cmp_swap(&e->pair.a, &sge, rv_ends_remote(e, off), now, ~now);
}

static int send_to(struct rv_ends *e, size_t off, size_t len)
{
	struct ibv_sge out = rv_ends_sge_a(e, 50, len);
	struct ibv_sge in = rv_ends_sge_b(e, off, len);

	return rv_send(&e->pair.a, &out, 1, &e->pair.b, &in, 1, NULL);
}

#define ASSERT_FAILS(_status, _expr) do {				\
	ASSERT_RV(_status, _expr);					\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
} while (0)

/* Everything that writes, at one page that must not be written. */
#define ASSERT_NO_WRITING(_page) do {					\
	size_t _at = (_page) * RV_PAGE;					\
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_write_at(&self->e, _at, 100)); \
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,				\
		     rv_ends_write_at(&self->e, _at + 4000, 96));		\
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_add_at(&self->e, _at + 800)); \
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,				\
		     swap_at(&self->e, _at));				\
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,				\
		     rv_atomic_write(&self->e.pair.a,			\
				     rv_ends_remote(&self->e, _at), 1));	\
	ASSERT_FAILS(IBV_WC_REM_OP_ERR, send_to(&self->e, _at + 9, 100)); \
} while (0)

TEST_F(holes, read_only_present)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, protect(e, 4, 3, PROT_READ));
	ASSERT_NO_WRITING(4);
	ASSERT_RV_OK(rv_ends_read(e, 50, 4 * RV_PAGE - 10, 3 * RV_PAGE));
	/* Known to the device for reading is not good for writing. */
	ASSERT_NO_WRITING(5);
	ASSERT_RV_OK(rv_ends_check(e));
	/* Writable again for the process, so for the device. */
	ASSERT_EQ(0, open_up(e));
	ASSERT_RV_OK(rv_ends_write(e, 50, 4 * RV_PAGE + 1, 8000));
}

/* The device had written there before. */
TEST_F(holes, read_only_after_write)
{
	struct rv_ends *e = &self->e;

	ASSERT_RV_OK(rv_ends_write(e, 50, 4 * RV_PAGE + 100, 8000));
	ASSERT_EQ(0, protect(e, 4, 3, PROT_READ));
	ASSERT_NO_WRITING(5);
	ASSERT_RV_OK(rv_ends_read(e, 50, 4 * RV_PAGE + 100, 8000));
	ASSERT_EQ(0, open_up(e));
	ASSERT_RV_OK(rv_ends_write(e, 70, 4 * RV_PAGE + 300, 8000));
}

TEST_F(holes, read_only_untouched)
{
	struct rv_ends *e = &self->e;
	size_t off = 4 * RV_PAGE, len = 3 * RV_PAGE;

	ASSERT_EQ(0, madvise(e->mem_b.base + off, len, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, off, 0, len);
	ASSERT_EQ(0, protect(e, 4, 3, PROT_READ));
	ASSERT_NO_WRITING(4);
	ASSERT_RV_OK(rv_ends_read(e, 50, off - 10, len));
	ASSERT_NO_WRITING(5);
	ASSERT_EQ(0, open_up(e));
	ASSERT_RV_OK(rv_ends_write(e, 50, off + 1, 8000));
}

/* Read-only from the start: a constant of the program, say. */
TEST_F(holes, read_only_mapping)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	ASSERT_EQ(0, protect(e, 0, PAGES, PROT_READ));
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_RV_OK(rv_ends_read(e, 50, 12345, 20000));
	ASSERT_NO_WRITING(7);
	ASSERT_RV_OK(rv_ends_check(e));
}

TEST_F(holes, forbidden)
{
	struct rv_ends *e = &self->e;

	ASSERT_RV_OK(rv_ends_write(e, 50, 4 * RV_PAGE + 100, 100));
	ASSERT_EQ(0, protect(e, 4, 3, PROT_NONE));
	ASSERT_NO_WRITING(4);
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(e, 5 * RV_PAGE, 100));
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(e, 4 * RV_PAGE - 50, 100));
	ASSERT_EQ(0, open_up(e));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_read(e, 50, 4 * RV_PAGE - 50, 100));
}

/*
 * Not mapped at all, with transfers ending right before the hole and starting
 * right after it.
 */
TEST_F(holes, unmapped)
{
	struct rv_ends *e = &self->e;
	uint8_t *hole = e->mem_b.base + 4 * RV_PAGE;
	size_t off = 4 * RV_PAGE, len = 3 * RV_PAGE;

	ASSERT_RV_OK(rv_ends_write(e, 50, off + 100, 100));
	ASSERT_EQ(0, munmap(hole, len));
	ASSERT_NO_WRITING(4);
	ASSERT_NO_WRITING(6);
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(e, off + RV_PAGE, 100));
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(e, off - 50, 51));
	ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR, rv_ends_read_at(e, off + len - 1, 51));
	ASSERT_RV_OK(rv_ends_write_at(e, off - 100, 100));
	ASSERT_RV_OK(rv_ends_write_at(e, off + len, 100));
	rv_buf_expect(&e->mem_b, off - 100, e->mem_a.base + 50, 100);
	rv_buf_expect(&e->mem_b, off + len, e->mem_a.base + 50, 100);

	/* Something new is there: that is what the device sees. */
	ASSERT_EQ(hole, mmap(hole, len, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	rv_buf_expect_byte(&e->mem_b, off, 0, len);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_read(e, 50, off - 100, len + 200));
	ASSERT_RV_OK(rv_ends_write(e, 60, off - 100, len + 200));
}

/*
 * A packet of which one part may be written and the other may not: no byte of
 * it is, wherever the border is. The packets before it are.
 */
static const size_t borders[] = { 5, 512, 1024 };	/* 512: at 2 MiB */

TEST_F(holes, straddling_packet)
{
	struct rv_ends *e = &self->e;
	const int prots[] = { PROT_READ, PROT_NONE };
	size_t border;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		for (j = 0; j < ARRAY_SIZE(prots); j++) {
			border = borders[i] * RV_PAGE;
			ASSERT_EQ(0, protect(e, borders[i], 3, prots[j]));
			ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,
				     rv_ends_write_at(e, border - 1500, 3000));
			ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,
				     rv_ends_write_at(e, border - 1, 2));
			ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,
				     rv_ends_write_at(e, border + 3 * RV_PAGE - 10,
						      3000));
			ASSERT_FAILS(IBV_WC_REM_OP_ERR,
				     send_to(e, border - 700, 1400));
			ASSERT_EQ(0, open_up(e));
			ASSERT_RV_OK(rv_ends_check(e));
		}
	}
}

TEST_F(holes, straddling_message)
{
	struct rv_opts opts = { .mtu = 1024 };
	struct rv_ends *e = &self->e;
	size_t border;
	int i;

	rv_pair_fini(&e->pair);
	ASSERT_EQ(0, rv_pair_init(&e->pair, &e->dev, &opts));
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		border = borders[i] * RV_PAGE;
		ASSERT_EQ(0, protect(e, borders[i], 3, PROT_READ));
		/* Four packets fit before the border, the fifth straddles. */
		ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,
			     rv_ends_write_at(e, border - 4096 - 300, 8192));
		rv_buf_expect(&e->mem_b, border - 4096 - 300,
			      e->mem_a.base + 50, 4096);
		ASSERT_EQ(0, open_up(e));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* The asking side's own memory. */
TEST_F(holes, local)
{
	struct rv_ends *e = &self->e;
	struct rv_remote at = rv_ends_remote(e, 1000);
	uint8_t *bad = e->mem_a.base + 4 * RV_PAGE;
	struct ibv_sge in, over, word;

	word = rv_ends_sge_a(e, 4 * RV_PAGE, 8);
	in = rv_ends_sge_a(e, 4 * RV_PAGE + 100, 100);
	over = rv_ends_sge_a(e, 4 * RV_PAGE - 100, 200);

	ASSERT_EQ(0, mprotect(bad, RV_PAGE, PROT_READ));
	ASSERT_RV_OK(rv_ends_write(e, 4 * RV_PAGE - 100, 1000, 200));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &in, 1, at));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &over, 1, at));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR,
		     rv_fetch_add(&e->pair.a, &word, at, 0));

	ASSERT_EQ(0, mprotect(bad, RV_PAGE, PROT_NONE));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &in, 1, at));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR, rv_write(&e->pair.a, &in, 1, at));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR, rv_write(&e->pair.a, &over, 1, at));
	ASSERT_FAILS(IBV_WC_LOC_PROT_ERR, rv_read(&e->pair.a, &over, 1, at));

	ASSERT_EQ(0, mprotect(bad, RV_PAGE, PROT_READ | PROT_WRITE));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_read(e, 4 * RV_PAGE - 100, 1000, 200));
}

/* A region over kernel addresses, if it can be had, gives nothing away. */
TEST_F(holes, kernel_addresses)
{
	static const uint64_t addrs[] = {
		0xffff888000000000ULL, 0xffffffff81000000ULL,
		0x0000800000000000ULL, 0x00007ffffffff000ULL,
	};
	struct ibv_sge sge = rv_ends_sge_a(&self->e, 50, 64);
	struct ibv_mr *mr;
	int i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		mr = ibv_reg_mr(self->e.dev.pd, (void *)addrs[i], RV_PAGE,
				RV_ACCESS | RV_ODP);
		if (!mr)
			continue;
		ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,
			     rv_read(&self->e.pair.a, &sge, 1,
				     RV_REMOTE(mr, addrs[i] + 64)));
		ASSERT_FAILS(IBV_WC_REM_ACCESS_ERR,
			     rv_atomic_write(&self->e.pair.a,
					     RV_REMOTE(mr, addrs[i]), 1));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
	}
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

RV_HARNESS_MAIN
