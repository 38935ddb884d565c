// SPDX-License-Identifier: GPL-2.0
/*
 * The process changes its memory under a demand-paged region: the next access
 * of the device sees what the process would see, and fails where the process
 * would get a signal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define PAGES	64UL

FIXTURE(mm)
{
	struct rv_ends e;
	size_t len;		/* of mem_b; mem_a is as long */
};

FIXTURE_VARIANT(mm)
{
	size_t len;
	int advice;
};

FIXTURE_VARIANT_ADD(mm, small_pages)
{
	.len = PAGES * RV_PAGE,
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(mm, huge_pages)
{
	.len = 2 * RV_HUGE,
	.advice = MADV_HUGEPAGE,
};

/* Replace the answering side's memory by fresh memory, its region too. */
static int renew(struct rv_ends *e, size_t len, int advice)
{
	int err;

	if (e->mr_b && ibv_dereg_mr(e->mr_b))
		return -EINVAL;
	e->mr_b = NULL;
	rv_buf_free(&e->mem_b);
	err = rv_buf_alloc_aligned(&e->mem_b, len, RV_HUGE);
	if (err)
		return err;
	madvise(e->mem_b.base, len, advice);
	rv_buf_fill_guards(&e->mem_b);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_b ? 0 : -EINVAL;
}

/* The same with memory that the caller has made. */
static int renew_with(struct rv_ends *e, void *mem, size_t len)
{
	int err;

	if (e->mr_b && ibv_dereg_mr(e->mr_b))
		return -EINVAL;
	e->mr_b = NULL;
	rv_buf_free(&e->mem_b);
	err = rv_buf_adopt(&e->mem_b, mem, len);
	if (err)
		return err;
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_b ? 0 : -EINVAL;
}

FIXTURE_SETUP(mm)
{
	struct rv_opts opts = { .mtu = 4096 };

	self->len = variant->len;
	ASSERT_EQ(0, rv_ends_open(&self->e, &opts, 64 * 1024));
	self->e.mr_a = rv_reg_all(&self->e.dev, &self->e.mem_a,
				  RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->e.mr_a);
	ASSERT_EQ(0, renew(&self->e, self->len, variant->advice));
}

FIXTURE_TEARDOWN(mm)
{
	rv_ends_fini(&self->e);
}

struct range {
	size_t off, len;
};

static struct range random_range(size_t within, size_t max)
{
	size_t len = rv_rand_len(1, max);

	return (struct range){ rv_rand_below(within - len + 1), len };
}

static struct range random_pages(size_t within, size_t max)
{
	struct range r = random_range(within / RV_PAGE, max / RV_PAGE);

	return (struct range){ r.off * RV_PAGE, r.len * RV_PAGE };
}

static size_t random_a(struct rv_ends *e, size_t len)
{
	return rv_rand_below(e->mem_a.len - len + 1);
}

/* A write or a read somewhere in the first len bytes of mem_b. */
static int access_any(struct rv_ends *e, size_t len)
{
	struct range r = random_range(len, 20000);

	if (rv_rand_below(2))
		return rv_ends_write(e, random_a(e, r.len), r.off, r.len);
	return rv_ends_read(e, random_a(e, r.len), r.off, r.len);
}

static int access_many(struct rv_ends *e, int n)
{
	int res = 0;

	while (n-- && !res)
		res = access_any(e, e->mem_b.len);
	return res;
}

/* Random bytes by the process, in a range of mem_b. */
static void cpu_fill(struct rv_ends *e, size_t off, size_t len)
{
	rv_rand_fill(rv_buf_shadow(&e->mem_b, off), len);
	memcpy(e->mem_b.base + off, rv_buf_shadow(&e->mem_b, off), len);
}

static int one_read(struct rv_ends *e, size_t off, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 0, len);

	return rv_read(&e->pair.a, &sge, 1, rv_ends_remote(e, off));
}

static int one_write(struct rv_ends *e, size_t off, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 0, len);

	return rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off));
}

/* Neither reading nor writing is possible at an offset; mind the queue pair. */
#define ASSERT_NO_ACCESS(_off) do {					\
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,				\
		  one_read(&self->e, (_off), 100));			\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,				\
		  one_write(&self->e, (_off), 100));			\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
} while (0)

TEST_F_TIMEOUT(mm, first_touch_write, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	int i;

	for (i = 0; i < rv_shrink(12); i++) {
		r = random_range(self->len, 20000);
		ASSERT_RV_OK(rv_ends_write(e, random_a(e, r.len), r.off,
					   r.len));
	}
}

/* The process looks only at the end: what nobody touched stays absent. */
TEST_F_TIMEOUT(mm, first_touch_read, 300)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge;
	struct range r;
	int i;

	for (i = 0; i < rv_shrink(12); i++) {
		size_t to;

		r = random_range(self->len, 20000);
		to = random_a(e, r.len);
		sge = rv_ends_sge_a(e, to, r.len);
		ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
				     rv_ends_remote(e, r.off)));
		rv_buf_expect_byte(&e->mem_a, to, 0, r.len);
		ASSERT_EQ(0, rv_buf_check(&e->mem_a));
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

TEST_F_TIMEOUT(mm, first_touch_send, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	int i;

	for (i = 0; i < rv_shrink(8); i++) {
		r = random_range(self->len, 20000);
		ASSERT_RV_OK(rv_ends_send(e, random_a(e, r.len), r.off,
					  r.len));
	}
	/* And from memory that is still untouched. */
	ASSERT_EQ(0, renew(e, self->len, variant->advice));
	for (i = 0; i < rv_shrink(8); i++) {
		struct ibv_sge out, in;
		size_t to;

		r = random_range(self->len, 20000);
		to = random_a(e, r.len);
		out = rv_ends_sge_b(e, r.off, r.len);
		in = rv_ends_sge_a(e, to, r.len);
		ASSERT_RV_OK(rv_send(&e->pair.b, &out, 1, &e->pair.a, &in, 1,
				     NULL));
		rv_buf_expect_byte(&e->mem_a, to, 0, r.len);
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* The device has mapped the zero page; then somebody writes. */
TEST_F_TIMEOUT(mm, zero_page, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	int i;

	for (i = 0; i < rv_shrink(10); i++) {
		r = random_range(self->len, 20000);
		ASSERT_RV_OK(one_read(e, r.off, r.len));
		rv_buf_learn(&e->mem_a);
		if (i % 2)
			cpu_fill(e, r.off + r.len / 3, r.len / 3);
		else
			ASSERT_RV_OK(rv_ends_write(e, random_a(e, r.len / 2),
						   r.off + r.len / 4,
						   r.len / 2));
		ASSERT_RV_OK(rv_ends_read(e, random_a(e, r.len), r.off,
					  r.len));
	}
}

TEST_F_TIMEOUT(mm, dontneed, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	int i;

	cpu_fill(e, 0, self->len);
	for (i = 0; i < rv_shrink(12); i++) {
		ASSERT_RV_OK(access_many(e, 2));
		r = random_pages(self->len, self->len / 2);
		ASSERT_EQ(0, madvise(e->mem_b.base + r.off, r.len,
				     MADV_DONTNEED));
		rv_buf_expect_byte(&e->mem_b, r.off, 0, r.len);
		/* The dropped part first, before the process has seen it. */
		if (r.len > 20000)
			r.len = 20000;
		if (i % 2)
			ASSERT_RV_OK(rv_ends_write(e, random_a(e, r.len),
						   r.off, r.len));
		else
			ASSERT_RV_OK(rv_ends_read(e, random_a(e, r.len), r.off,
						  r.len));
	}
}

/* Unmapped, and other memory mapped at the same address. */
TEST_F_TIMEOUT(mm, remap, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	uint8_t *at;
	int i;

	cpu_fill(e, 0, self->len);
	for (i = 0; i < rv_shrink(10); i++) {
		ASSERT_RV_OK(access_many(e, 2));
		r = random_pages(self->len, self->len / 4);
		at = e->mem_b.base + r.off;
		if (i % 2)
			ASSERT_EQ(0, munmap(at, r.len));
		ASSERT_EQ(at, mmap(at, r.len, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0));
		madvise(at, r.len, variant->advice);
		rv_buf_expect_byte(&e->mem_b, r.off, 0, r.len);
		if (i % 3)
			cpu_fill(e, r.off, r.len / 2);
		if (r.len > 20000)
			r.len = 20000;
		ASSERT_RV_OK(rv_ends_read(e, random_a(e, r.len), r.off, r.len));
		ASSERT_RV_OK(rv_ends_write(e, random_a(e, r.len), r.off,
					   r.len));
	}
}

/* Moved elsewhere: the bytes go along, the old address is a hole. */
TEST_F_TIMEOUT(mm, move_away, 300)
{
	struct rv_ends *e = &self->e;
	size_t half = self->len / 2, n = 20000;
	struct rv_ends moved;
	uint8_t *old, *new;
	int i;

	cpu_fill(e, 0, self->len);
	ASSERT_RV_OK(access_many(e, 4));
	old = e->mem_b.base + half;
	new = mmap(NULL, half + RV_HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, new);
	new = (void *)(((uintptr_t)new + RV_HUGE - 1) & ~(RV_HUGE - 1));
	ASSERT_RV_OK(rv_ends_write(e, 0, half - 10, n));
	ASSERT_EQ(new, mremap(old, half, half, MREMAP_MAYMOVE | MREMAP_FIXED,
			      new));

	ASSERT_NO_ACCESS(half);
	ASSERT_NO_ACCESS(half - 50);
	ASSERT_NO_ACCESS(self->len - 100);
	ASSERT_EQ(0, rv_compare("moved", new, rv_buf_shadow(&e->mem_b, half),
				half));

	/* A region over the new place; same buffers otherwise. */
	moved = *e;
	ASSERT_EQ(0, rv_buf_adopt(&moved.mem_b, new, half));
	memcpy(moved.mem_b.shadow, rv_buf_shadow(&e->mem_b, half), half);
	moved.mr_b = rv_reg_all(&e->dev, &moved.mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, moved.mr_b);
	ASSERT_RV_OK(access_many(&moved, 6));

	/* And back again. */
	ASSERT_EQ(old, mremap(new, half, half, MREMAP_MAYMOVE | MREMAP_FIXED,
			      old));
	rv_buf_expect(&e->mem_b, half, moved.mem_b.shadow, half);
	for (i = 0; i < 4; i++)
		ASSERT_RV_OK(access_any(e, self->len));
	ASSERT_EQ(0, ibv_dereg_mr(moved.mr_b));
	rv_buf_free(&moved.mem_b);
}

/* Moved elsewhere, but the old mapping stays, empty. */
TEST_F_TIMEOUT(mm, move_contents, 300)
{
	struct rv_ends *e = &self->e;
	size_t half = self->len / 2;
	uint8_t *new;

	cpu_fill(e, 0, self->len);
	ASSERT_RV_OK(access_many(e, 4));
	new = mremap(e->mem_b.base + half, half, half,
		     MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_EQ(0, rv_compare("moved", new, rv_buf_shadow(&e->mem_b, half),
				half));
	rv_buf_expect_byte(&e->mem_b, half, 0, half);
	ASSERT_RV_OK(rv_ends_read(e, 0, half - 100, 10000));
	ASSERT_RV_OK(rv_ends_write(e, 0, half - 200, 10000));
	ASSERT_RV_OK(access_many(e, 4));
	munmap(new, half);
}

/* Other memory moved into the region, over what was there. */
TEST_F_TIMEOUT(mm, move_in, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	uint8_t *other;
	int i;

	cpu_fill(e, 0, self->len);
	for (i = 0; i < rv_shrink(8); i++) {
		ASSERT_RV_OK(access_many(e, 2));
		r = random_pages(self->len, self->len / 4);
		other = mmap(NULL, r.len, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, other);
		rv_rand_fill(other, r.len);
		rv_buf_expect(&e->mem_b, r.off, other, r.len);
		ASSERT_EQ(e->mem_b.base + r.off,
			  mremap(other, r.len, r.len,
				 MREMAP_MAYMOVE | MREMAP_FIXED,
				 e->mem_b.base + r.off));
		if (r.len > 20000)
			r.len = 20000;
		ASSERT_RV_OK(rv_ends_read(e, random_a(e, r.len), r.off, r.len));
		ASSERT_RV_OK(rv_ends_write(e, random_a(e, r.len), r.off,
					   r.len));
	}
}

enum state { RW, RWX, RO, NONE, GONE, GUARD, STATES };

/* Put a run of pages into a state. */
static int change(struct rv_ends *e, enum state *states, size_t page, size_t n,
		  enum state to)
{
	static const int prots[] = {
		[RW] = PROT_READ | PROT_WRITE,
		[RWX] = PROT_READ | PROT_WRITE | PROT_EXEC,
		[RO] = PROT_READ,
		[NONE] = PROT_NONE,
	};
	uint8_t *at = e->mem_b.base + page * RV_PAGE;
	size_t i;

	for (i = page; i < page + n; i++) {
		uint8_t *p = e->mem_b.base + i * RV_PAGE;

		if (states[i] == GONE &&
		    mmap(p, RV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
			return -errno;
		if (states[i] == GUARD &&
		    madvise(p, RV_PAGE, MADV_GUARD_REMOVE))
			return -errno;
		if (to == GONE || to == GUARD || states[i] == GONE)
			rv_buf_expect_byte(&e->mem_b, i * RV_PAGE, 0, RV_PAGE);
		states[i] = to;
	}
	if (to == GONE)
		return munmap(at, n * RV_PAGE) ? -errno : 0;
	if (to == GUARD) {
		if (mprotect(at, n * RV_PAGE, PROT_READ | PROT_WRITE))
			return -errno;
		return madvise(at, n * RV_PAGE, MADV_GUARD_INSTALL) ?
		       -errno : 0;
	}
	return mprotect(at, n * RV_PAGE, prots[to]) ? -errno : 0;
}

static bool may(enum state *states, size_t off, size_t len, bool write)
{
	size_t i;

	for (i = off / RV_PAGE; i <= (off + len - 1) / RV_PAGE; i++)
		if (states[i] >= NONE || (write && states[i] == RO))
			return false;
	return true;
}

/*
 * Pages change at random between writable, read-only, forbidden and gone, and
 * packets of at most a page hit them: each is done whole or refused whole.
 */
TEST_F_TIMEOUT(mm, random_rights, 300)
{
	enum { N = 24 };	/* pages in play, anywhere in the region */
	size_t first = (self->len / RV_PAGE - N) / 2;
	struct rv_ends *e = &self->e;
	enum state states[2 * RV_HUGE / RV_PAGE] = { RW };
	int round, i, refused = 0;

	cpu_fill(e, 0, self->len);
	/* a few rounds may happen to ask for nothing that is forbidden */
	for (round = 0; round < rv_shrink(10) || (!refused && round < 100); round++) {
		for (i = 0; i < 8; i++) {
			size_t page = rv_rand_below(N), n, off, len, a;
			bool write = rv_rand_below(2);
			struct ibv_sge sge;
			int res;

			n = rv_rand_between(1, N - page < 4 ? N - page : 4);
			ASSERT_EQ(0, change(e, states, first + page, n,
					    rv_rand_below(STATES)));
			len = rv_rand_between(1, RV_PAGE);
			off = first * RV_PAGE +
			      rv_rand_below(N * RV_PAGE - len);
			a = random_a(e, len);
			sge = rv_ends_sge_a(e, a, len);
			if (write)
				res = rv_write(&e->pair.a, &sge, 1,
					       rv_ends_remote(e, off));
			else
				res = rv_read(&e->pair.a, &sge, 1,
					      rv_ends_remote(e, off));
			if (!may(states, off, len, write)) {
				ASSERT_RV(IBV_WC_REM_ACCESS_ERR, res);
				ASSERT_EQ(0, rv_pair_again(&e->pair));
				refused++;
				continue;
			}
			ASSERT_RV(0, res);
			if (write)
				rv_buf_expect(&e->mem_b, off,
					      rv_buf_shadow(&e->mem_a, a), len);
			else
				rv_buf_expect(&e->mem_a, a,
					      rv_buf_shadow(&e->mem_b, off),
					      len);
		}
		ASSERT_EQ(0, change(e, states, first, N, RW));
		ASSERT_RV_OK(rv_ends_check(e));
	}
	ASSERT_NE(0, refused);
}

/*
 * Memory that may be freed is kept once the device has written to it. What the
 * device did not write is old or zero, page by page.
 */
TEST_F_TIMEOUT(mm, madv_free, 300)
{
	struct rv_ends *e = &self->e;
	uint8_t zeros[RV_PAGE] = { 0 };
	size_t i, pages = 48;

	cpu_fill(e, 0, self->len);
	ASSERT_RV_OK(access_many(e, 4));
	ASSERT_EQ(0, madvise(e->mem_b.base, pages * RV_PAGE, MADV_FREE));
	for (i = 0; i < pages; i++) {
		size_t at = i * RV_PAGE, off = rv_rand_below(RV_PAGE - 100);
		uint8_t *page = e->mem_b.base + at;
		struct ibv_sge sge = rv_ends_sge_a(e, 7 * i, 100);

		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      rv_ends_remote(e, at + off)));
		if (!memcmp(page, zeros, off) &&
		    !memcmp(page + off + 100, zeros, RV_PAGE - off - 100))
			rv_buf_expect_byte(&e->mem_b, at, 0, RV_PAGE);
		rv_buf_expect(&e->mem_b, at + off, e->mem_a.base + 7 * i, 100);
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Shared memory, and its pages taken out of it. */
TEST_F_TIMEOUT(mm, shared_remove, 300)
{
	struct rv_ends *e = &self->e;
	struct range r;
	uint8_t *mem;
	int i;

	mem = mmap(NULL, self->len, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, renew_with(e, mem, self->len));
	ASSERT_RV_OK(access_many(e, 4));
	cpu_fill(e, 0, self->len);
	for (i = 0; i < rv_shrink(8); i++) {
		ASSERT_RV_OK(access_many(e, 2));
		r = random_pages(self->len, self->len / 2);
		ASSERT_EQ(0, madvise(mem + r.off, r.len, MADV_REMOVE));
		rv_buf_expect_byte(&e->mem_b, r.off, 0, r.len);
		if (r.len > 20000)
			r.len = 20000;
		ASSERT_RV_OK(rv_ends_read(e, random_a(e, r.len), r.off, r.len));
		/* Dropped from the page table only: the bytes come back. */
		ASSERT_EQ(0, madvise(mem + r.off, r.len, MADV_DONTNEED));
		ASSERT_RV_OK(rv_ends_write(e, random_a(e, r.len), r.off,
					   r.len));
	}
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = NULL;
	munmap(mem, self->len);
}

TEST_F_TIMEOUT(mm, locked, 300)
{
	struct rv_ends *e = &self->e;

	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, mlock(e->mem_b.base, self->len));
	ASSERT_RV_OK(access_many(e, 4));
	ASSERT_EQ(0, madvise(e->mem_b.base, 10 * RV_PAGE,
			     MADV_DONTNEED_LOCKED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, 10 * RV_PAGE);
	ASSERT_RV_OK(rv_ends_read(e, 0, 100, 10000));
	ASSERT_RV_OK(rv_ends_write(e, 0, 200, 10000));
	ASSERT_EQ(0, munlock(e->mem_b.base, self->len));
	ASSERT_RV_OK(access_many(e, 4));
}

/* Memory of other kinds, in which the region has neighbours that are in use. */
FIXTURE(places)
{
	struct rv_ends e;
};

FIXTURE_SETUP(places)
{
	struct rv_opts opts = { .mtu = 4096 };

	ASSERT_EQ(0, rv_ends_open(&self->e, &opts, 64 * 1024));
	self->e.mr_a = rv_reg_all(&self->e.dev, &self->e.mem_a,
				  RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->e.mr_a);
}

FIXTURE_TEARDOWN(places)
{
	rv_ends_fini(&self->e);
}

TEST_F_TIMEOUT(places, stack, 300)
{
	struct {
		uint8_t before[1000];
		uint8_t mem[50000];
		uint8_t after[1000];
	} on_stack;
	struct rv_ends *e = &self->e;

	rv_rand_fill(&on_stack, sizeof(on_stack));
	ASSERT_EQ(0, renew_with(e, &on_stack, sizeof(on_stack)));
	rv_buf_learn(&e->mem_b);
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = rv_reg(&e->dev, &e->mem_b, sizeof(on_stack.before),
			 sizeof(on_stack.mem), RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_RV_OK(rv_ends_write(e, 50, 1000, 10000));
	ASSERT_RV_OK(rv_ends_read(e, 99, 30011, 20000));
	ASSERT_RV_OK(rv_ends_write(e, 51, 50999, 1));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = NULL;
}

static uint8_t in_data[20000] = { 1, 2, 3 };
static uint8_t in_bss[20000];
static const uint8_t in_rodata[10000] = { 4, 5, 6, [9999] = 7 };

TEST_F_TIMEOUT(places, program, 300)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, renew_with(e, in_data, sizeof(in_data)));
	rv_buf_learn(&e->mem_b);
	ASSERT_RV_OK(rv_ends_read(e, 1, 0, sizeof(in_data)));
	ASSERT_RV_OK(rv_ends_write(e, 9, 1003, 15000));
	ASSERT_RV_OK(access_many(e, 4));

	ASSERT_EQ(0, renew_with(e, in_bss, sizeof(in_bss)));
	ASSERT_RV_OK(rv_ends_read(e, 2, 0, sizeof(in_bss)));
	ASSERT_RV_OK(rv_ends_write(e, 8, 1004, 15000));
	ASSERT_RV_OK(access_many(e, 4));

	ASSERT_EQ(0, renew_with(e, (void *)in_rodata, sizeof(in_rodata)));
	rv_buf_learn(&e->mem_b);
	ASSERT_RV_OK(rv_ends_read(e, 3, 0, sizeof(in_rodata)));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, one_write(e, 5000, 10));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The heap grows, shrinks and grows. */
TEST_F_TIMEOUT(places, heap, 300)
{
	size_t len = PAGES * RV_PAGE, half = len / 2;
	struct rv_ends *e = &self->e;
	uint8_t *mem;

	/* Whatever else allocates must not move the end of the heap. */
	ASSERT_EQ(1, mallopt(M_MMAP_THRESHOLD, 0));
	ASSERT_EQ(1, mallopt(M_TRIM_THRESHOLD, -1));
	mem = sbrk(-(uintptr_t)sbrk(0) & (RV_PAGE - 1));
	ASSERT_NE((void *)-1, mem);
	mem = sbrk(len);
	ASSERT_NE((void *)-1, mem);
	ASSERT_EQ(0, renew_with(e, mem, len));
	ASSERT_RV_OK(access_many(e, 4));
	ASSERT_EQ(mem + len, sbrk(0));
	ASSERT_NE((void *)-1, sbrk(-half));
	ASSERT_NO_ACCESS(half);
	ASSERT_NO_ACCESS(half - 50);
	ASSERT_EQ(mem + half, sbrk(half));
	rv_buf_expect_byte(&e->mem_b, half, 0, half);
	rv_buf_learn(&e->mem_a);
	ASSERT_RV_OK(rv_ends_read(e, 0, half - 100, 20000));
	ASSERT_RV_OK(access_many(e, 4));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = NULL;
}

/* Over a multiple of 1 GiB, and over that of 2 MiB beside it. */
TEST_F_TIMEOUT(places, gigabyte_boundary, 300)
{
	size_t giga = 1UL << 30, len = 32 * RV_PAGE, half = len / 2;
	struct rv_ends *e = &self->e;
	uint8_t *raw, *mem;
	int i;

	raw = mmap(NULL, 2 * giga, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, raw);
	mem = (void *)((((uintptr_t)raw + giga) & -giga) - half);
	ASSERT_EQ(0, mprotect(mem, len, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, renew_with(e, mem, len));
	for (i = 0; i < rv_shrink(8); i++) {
		size_t n = rv_rand_between(2, 20000);
		size_t at = half - rv_rand_between(1, n - 1);

		ASSERT_RV_OK(rv_ends_write(e, random_a(e, n), at, n));
		if (i % 2) {
			ASSERT_EQ(0, madvise(mem + half - 2 * RV_PAGE,
					     4 * RV_PAGE, MADV_DONTNEED));
			rv_buf_expect_byte(&e->mem_b, half - 2 * RV_PAGE, 0,
					   4 * RV_PAGE);
		}
		ASSERT_RV_OK(rv_ends_read(e, random_a(e, n), at, n));
	}
	/* A packet over it, with a hole right behind: nothing is written. */
	ASSERT_EQ(0, mprotect(mem + half, RV_PAGE, PROT_NONE));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, one_write(e, half - 50, 100));
	ASSERT_EQ(0, mprotect(mem + half, RV_PAGE, PROT_READ | PROT_WRITE));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = NULL;
	munmap(raw, 2 * giga);
}

RV_HARNESS_MAIN
