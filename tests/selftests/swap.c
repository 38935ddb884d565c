// SPDX-License-Identifier: GPL-2.0
/*
 * Memory goes out to swap and comes back, by the process or by the device. A
 * page that the device has written is not dropped for an old version of it,
 * whether or not the kernel thought that it was clean.
 *
 * Two kinds of swap, for the kernel treats them differently. With zram a page
 * that comes in gives up its place in swap at once. On a disk it keeps it, and
 * if it stays clean it is dropped later without being written.
 *
 * Needs root, and the modules zram and loop: each test makes a swap device of
 * its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define PAGES		64UL

FIXTURE(swap)
{
	struct rv_ends e;
	struct rv_swap dev;
	void *shared;
};

FIXTURE_VARIANT(swap)
{
	enum rv_swap_kind kind;
	bool shared;
};

#define VARIANT(_name, _kind, _shared)				\
	FIXTURE_VARIANT_ADD(swap, _name)			\
	{							\
		.kind = _kind,					\
		.shared = _shared,				\
	}

VARIANT(zram_anonymous, RV_ZRAM, false);
VARIANT(zram_shared, RV_ZRAM, true);
VARIANT(disk_anonymous, RV_DISK, false);
VARIANT(disk_shared, RV_DISK, true);

FIXTURE_SETUP(swap)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	size_t len = PAGES * RV_PAGE;

	self->dev.id = self->dev.fd = -1;
	if (geteuid())
		SKIP(return, "swap needs root");
	ASSERT_EQ(0, rv_swap_start(&self->dev, variant->kind));
	ASSERT_EQ(0, rv_ends_open(e, &opts, 128 * 1024));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
	rv_buf_free(&e->mem_b);
	if (variant->shared) {
		self->shared = mmap(NULL, len, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, self->shared);
		ASSERT_EQ(0, rv_buf_adopt(&e->mem_b, self->shared, len));
	} else {
		ASSERT_EQ(0, rv_buf_alloc(&e->mem_b, len));
	}
	madvise(e->mem_b.base, len, MADV_NOHUGEPAGE);
	rv_buf_fill(&e->mem_b);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
}

FIXTURE_TEARDOWN(swap)
{
	rv_ends_fini(&self->e);
	if (self->shared)
		munmap(self->shared, PAGES * RV_PAGE);
	rv_swap_stop(&self->dev);
}

/* The process reads a byte of each page. */
static uint8_t touch(struct rv_buf *b)
{
	volatile uint8_t *p = b->base;
	uint8_t sum = 0;
	size_t i;

	for (i = 0; i < b->len; i += RV_PAGE)
		sum += p[i];
	return sum;
}

struct part {
	size_t a, b, len;
};

static struct part any_part(struct rv_ends *e, size_t max)
{
	struct part p = { .len = rv_rand_len(1, max) };

	p.a = rv_rand_below(e->mem_a.len - p.len + 1);
	p.b = rv_rand_below(e->mem_b.len - p.len + 1);
	return p;
}

/* Without a look at the memory, which would bring it in. */
static int write_only(struct rv_ends *e, size_t a, size_t b, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, a, len);

	rv_buf_expect(&e->mem_b, b, rv_buf_shadow(&e->mem_a, a), len);
	return rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, b));
}

static int read_only(struct rv_ends *e, size_t a, size_t b, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, a, len);

	rv_buf_expect(&e->mem_a, a, rv_buf_shadow(&e->mem_b, b), len);
	return rv_read(&e->pair.a, &sge, 1, rv_ends_remote(e, b));
}

/* A write to each page: all of it, or a part. */
static int write_each(struct rv_ends *e, bool whole)
{
	size_t page, len;
	int res = 0;

	for (page = 0; page < PAGES && !res; page++) {
		len = whole ? RV_PAGE : rv_rand_len(1, RV_PAGE);
		res = write_only(e, rv_rand_below(e->mem_a.len - len),
				 page * RV_PAGE +
				 rv_rand_below(RV_PAGE - len + 1), len);
	}
	return res;
}

/*
 * Read in by the process, a page may be mapped writable and yet be clean, with
 * its copy in swap still good. Then the device writes.
 */
TEST_F_TIMEOUT(swap, write_after_read_fault, 120)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < rv_shrink(5); i++) {
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		touch(&e->mem_b);
		ASSERT_RV_OK(write_each(e, !i));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* Pages that the process has read, and nobody has ever written. */
TEST_F_TIMEOUT(swap, write_after_first_read, 120)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < rv_shrink(3); i++) {
		ASSERT_EQ(0, madvise(e->mem_b.base, e->mem_b.len,
				     variant->shared ? MADV_REMOVE :
				     MADV_DONTNEED));
		rv_buf_expect_byte(&e->mem_b, 0, 0, e->mem_b.len);
		touch(&e->mem_b);
		ASSERT_RV_OK(write_each(e, !i));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* The device reads pages in, then writes to them. */
TEST_F_TIMEOUT(swap, write_after_device_read, 120)
{
	struct rv_ends *e = &self->e;
	size_t off;
	int i;

	for (i = 0; i < rv_shrink(5); i++) {
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		for (off = 0; off < e->mem_b.len; off += 32 * RV_PAGE)
			ASSERT_RV_OK(read_only(e, 0, off, 32 * RV_PAGE));
		ASSERT_RV_OK(write_each(e, false));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* The device's write is what brings a page in. */
TEST_F_TIMEOUT(swap, write_first, 120)
{
	struct rv_ends *e = &self->e;
	struct part p;
	int i, j;

	for (i = 0; i < rv_shrink(5); i++) {
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		for (j = 0; j < 8; j++) {
			p = any_part(e, 20000);
			ASSERT_RV_OK(write_only(e, p.a, p.b, p.len));
		}
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		for (j = 0; j < 4; j++) {
			p = any_part(e, 20000);
			ASSERT_RV_OK(read_only(e, p.a, p.b, p.len));
		}
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* Written, out, in by either, written again, and so on, never compared. */
TEST_F_TIMEOUT(swap, rounds, 120)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge old;
	struct part p;
	uint64_t word;
	int i, j;

	for (i = 0; i < rv_shrink(16); i++) {
		for (j = rv_rand_below(6); j >= 0; j--) {
			p = any_part(e, 30000);
			switch (rv_rand_below(4)) {
			case 0:
				ASSERT_RV_OK(read_only(e, p.a, p.b, p.len));
				break;
			case 1:
				touch(&e->mem_b);
				break;
			case 2:
				p.b &= ~7UL;
				memcpy(&word, rv_buf_shadow(&e->mem_b, p.b), 8);
				old = rv_ends_sge_a(e, 0, 8);
				ASSERT_RV_OK(rv_fetch_add(&e->pair.a, &old,
						rv_ends_remote(e, p.b), 12345));
				rv_buf_expect(&e->mem_a, 0, &word, 8);
				word += 12345;
				rv_buf_expect(&e->mem_b, p.b, &word, 8);
				break;
			default:
				ASSERT_RV_OK(write_only(e, p.a, p.b, p.len));
				break;
			}
		}
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
	}
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Pages go out while the device writes. */
TEST_F_TIMEOUT(swap, under_traffic, 120)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_writes(e, e->mem_a.len);
	uint64_t until;

	t.check = true;
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, &opts, 1));
	until = rv_now_ms() + rv_shrink(2000);
	while (rv_now_ms() < until) {
		madvise(e->mem_b.base, e->mem_b.len, MADV_PAGEOUT);
		ASSERT_EQ(0, rv_traffic_more(&t, 1));
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	ASSERT_RV_OK(write_only(e, 0, 0, e->mem_a.len));
	ASSERT_EQ(0, rv_page_out(&e->mem_b));
	ASSERT_RV_OK(rv_ends_check(e));
}

/*
 * The process needs none of it any more, then the device writes to some pages.
 * Reclaim may drop the others, not these.
 */
TEST_F_TIMEOUT(swap, madv_free, 120)
{
	struct rv_ends *e = &self->e;
	uint8_t zeros[RV_PAGE] = { 0 };
	size_t i, at, off, len, dropped = 0;
	int round;

	if (variant->shared)
		return;		/* MADV_FREE is for anonymous memory */
	for (round = 0; round < rv_shrink(4); round++) {
		rv_buf_fill(&e->mem_b);
		/* The device knows the pages, or it does not. */
		if (round % 2)
			ASSERT_RV_OK(write_each(e, false));
		ASSERT_EQ(0, madvise(e->mem_b.base, e->mem_b.len, MADV_FREE));
		/* Whole pages, or a part that leaves old bytes around it. */
		off = round ? 100 : 0;
		len = round ? 50 : RV_PAGE;
		for (i = 0; i < PAGES; i += 2)
			ASSERT_RV_OK(write_only(e, 3 * i, i * RV_PAGE + off,
						len));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		for (i = 0; i < PAGES; i++) {
			uint8_t *page = e->mem_b.base + i * RV_PAGE;

			at = i * RV_PAGE;
			if (memcmp(page, zeros, 100))
				continue;
			/* Dropped, and before the device wrote if it did. */
			dropped++;
			rv_buf_expect_byte(&e->mem_b, at, 0, RV_PAGE);
			if (i % 2 == 0)
				rv_buf_expect(&e->mem_b, at + off,
					      e->mem_a.base + 3 * i, len);
		}
		ASSERT_RV_OK(rv_ends_check(e));
	}
	/* Reclaim did drop what it was allowed to. */
	ASSERT_NE(0, dropped);
}

/* A region larger than what the process may keep in memory. */
TEST_F_TIMEOUT(swap, limit, 300)
{
	static const char group[] = "rxe-hmm-selftest";
	/* Faults wait for reclaim here: give the acknowledgement time. */
	struct rv_opts opts = { .mtu = 4096, .timeout = 21 };
	size_t len = rv_shrink(8) << 20, step = 64 * 1024, off;
	struct rv_ends *e = &self->e;
	int64_t swapped;
	char limit[32];
	uint8_t *mem;
	void *big;
	int err;

	if (variant->kind != RV_ZRAM)
		return;
	big = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
		   (variant->shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	ASSERT_NE(MAP_FAILED, big);
	err = rv_group_enter(group);
	if (err == -ENODEV)
		SKIP(return, "no cgroup v2 at /sys/fs/cgroup");
	ASSERT_EQ(0, err);
	snprintf(limit, sizeof(limit), "%zu", len / 4 * 3);
	ASSERT_EQ(0, rv_group_put(group, "memory.max", limit));

	rv_pair_fini(&e->pair);
	ASSERT_EQ(0, rv_pair_init(&e->pair, &e->dev, &opts));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = ibv_reg_mr(e->dev.pd, big, len, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	mem = e->mem_a.base;
	/* Each step is the source, shifted: no two are alike. */
	for (off = 0; off < len; off += step) {
		struct ibv_sge sge = RV_SGE(e->mr_a, mem + off / step, step);

		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      RV_REMOTE(e->mr_b, big + off)));
	}
	swapped = rv_group_get(group, "memory.swap.current");
	rv_log("%lld KiB went to swap", (long long)swapped / 1024);
	ASSERT_LT(0, swapped);
	for (off = 0; off < len; off += step)
		ASSERT_EQ(0, rv_compare("big", big + off, mem + off / step,
					step))
			TH_LOG("at %zu", off);
	/* By the device now, into the end of the source's buffer. */
	ASSERT_LT(len / step + 2 * RV_PAGE + step, e->mem_a.len);
	for (off = 0; off < len; off += 8 * step) {
		uint8_t *to = mem + e->mem_a.len - 2 * RV_PAGE;
		struct ibv_sge sge = RV_SGE(e->mr_a, to, RV_PAGE);

		ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
				     RV_REMOTE(e->mr_b, big + off)));
		ASSERT_EQ(0, rv_compare("read", to, mem + off / step, RV_PAGE));
	}
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
	e->mr_b = NULL;
	munmap(big, len);
	rv_group_leave(group);
}

RV_HARNESS_MAIN
