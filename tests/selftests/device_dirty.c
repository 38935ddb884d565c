// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing that the NIC wrote to a page on the device is lost, and what the
 * kernel notes about pages goes with them: lazily freed memory, memory in swap
 * and in its cache, soft-dirty bits, write protection by userfaultfd.
 *
 * Needs root and zram or loop.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN		(2 * RV_HUGE)
#define PAGES		((int64_t)(LEN / RV_PAGE))
#define SOFT_DIRTY	(1ULL << 55)

FIXTURE(device_dirty)
{
	struct rv_ends e;
	struct rv_swap swap;
	int uffd;
};

FIXTURE_VARIANT(device_dirty)
{
	int advice;
	enum rv_swap_kind kind;
};

FIXTURE_VARIANT_ADD(device_dirty, pages_zram)
{
	.advice = MADV_NOHUGEPAGE,
	.kind = RV_ZRAM,
};

FIXTURE_VARIANT_ADD(device_dirty, pages_disk)
{
	.advice = MADV_NOHUGEPAGE,
	.kind = RV_DISK,
};

FIXTURE_VARIANT_ADD(device_dirty, thp_zram)
{
	.advice = MADV_HUGEPAGE,
	.kind = RV_ZRAM,
};

FIXTURE_SETUP(device_dirty)
{
	struct rv_opts opts = { .mtu = 4096 };

	self->uffd = -1;
	self->swap.id = self->swap.fd = -1;
	if (geteuid())
		SKIP(return, "swap needs root");
	ASSERT_EQ(0, rv_swap_start(&self->swap, variant->kind));
	ASSERT_EQ(0, rv_dmem_init(&self->e, &opts, "32M", LEN,
				  variant->advice));
}

FIXTURE_TEARDOWN(device_dirty)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
	if (self->uffd >= 0)
		close(self->uffd);
	rv_swap_stop(&self->swap);
}

/* Whole pages, every so many; others in between stay what they are. */
static int nic_write_every(struct rv_ends *e, unsigned int step)
{
	int64_t page;
	int res = 0;

	for (page = 0; page < PAGES && !res; page += step)
		res = rv_ends_write_blind(e, rv_rand_below(LEN - RV_PAGE),
					  page * RV_PAGE, RV_PAGE);
	return res;
}

enum way { DEMOTE, CPU_READ, EVICT, DEREG, WAYS };

/* Have all of mem_b back in RAM, without writing to it. */
static int bring_back(struct rv_ends *e, enum way way)
{
	volatile uint8_t *p = e->mem_b.base;
	size_t i;
	int err = 0;

	switch (way) {
	case DEMOTE:
		err = rv_demote(e->mr_b, 0, LEN) < 0 ? -EIO : 0;
		break;
	case CPU_READ:
		for (i = 0; i < LEN; i += RV_PAGE)
			p[i];
		break;
	case EVICT:
		err = rv_dmem_resize(NULL, "0");
		if (!err)
			err = rv_dmem_resize(NULL, "32M");
		break;
	default:
		ibv_dereg_mr(e->mr_b);
		ibv_dereg_mr(e->mr_a);
		if (rv_dmem_used(NULL))
			err = -EBUSY;
		e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS | RV_ODP);
		e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
		break;
	}
	return err ? err : (int)rv_on_device(e->mr_b, 0, LEN);
}

/*
 * What the process has given up may be dropped; what the NIC wrote after that
 * may not, wherever it was when it did.
 */
TEST_F_TIMEOUT(device_dirty, lazyfree, 120)
{
	struct rv_ends *e = &self->e;
	static const uint8_t zeros[RV_PAGE];
	int64_t page, dropped = 0;
	enum way way;

	for (way = 0; way < WAYS; way++) {
		rv_buf_fill(&e->mem_b);
		ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_FREE));
		ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		ASSERT_RV_OK(nic_write_every(e, 7));
		rv_log("%lld pages on the device",
		       (long long)rv_on_device(e->mr_b, 0, LEN));
		ASSERT_EQ(0, bring_back(e, way));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		for (page = 0; page < PAGES; page++) {
			if (page % 7 == 0 ||
			    memcmp(e->mem_b.base + page * RV_PAGE, zeros,
				   RV_PAGE))
				continue;
			rv_buf_expect_byte(&e->mem_b, page * RV_PAGE, 0,
					   RV_PAGE);
			dropped++;
		}
		ASSERT_EQ(0, rv_ends_check(e))
			TH_LOG("after way %d", way);
	}
	rv_log("%lld pages were dropped", (long long)dropped);
}

/* What is in swap comes to the device, is written there, and goes out again. */
TEST_F_TIMEOUT(device_dirty, swapped, 200)
{
	struct rv_ends *e = &self->e;
	enum way way;

	for (way = 0; way < WAYS; way++) {
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		/* what came in a moment ago may be in a list of the kernel */
		ASSERT_TRUE(rv_wait_for(rv_promote(e->mr_b, 0, LEN) < 0 ||
					rv_on_device(e->mr_b, 0, LEN) ==
					PAGES));
		ASSERT_RV_OK(nic_write_every(e, 5));
		ASSERT_EQ(0, bring_back(e, way));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		ASSERT_EQ(0, rv_ends_check(e))
			TH_LOG("after way %d", way);
	}
}

/* The same with pages that are in RAM and, still, in swap. */
TEST_F_TIMEOUT(device_dirty, swap_cache, 200)
{
	struct rv_ends *e = &self->e;
	volatile uint8_t *p = e->mem_b.base;
	enum way way;
	size_t i;

	for (way = 0; way < WAYS; way++) {
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		for (i = 0; i < LEN; i += RV_PAGE)
			p[i];
		ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		ASSERT_RV_OK(nic_write_every(e, 5));
		ASSERT_EQ(0, bring_back(e, way));
		ASSERT_EQ(0, rv_page_out(&e->mem_b));
		ASSERT_EQ(0, rv_ends_check(e))
			TH_LOG("after way %d", way);
	}
}

/* Reclaim meets pages on the device, which it can't take. */
TEST_F(device_dirty, pageout_of_device)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_COLD));
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_PAGEOUT));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_FREE));
	ASSERT_RV_OK(nic_write_every(e, 1));
	ASSERT_EQ(0, bring_back(e, DEMOTE));
	ASSERT_EQ(0, rv_page_out(&e->mem_b));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The kernel's notes on pages; false if they can't be had. */
static bool read_pagemap(uint8_t *at, uint64_t *entries, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	n = pread(fd, entries, pages * 8, (uintptr_t)at / RV_PAGE * 8);
	close(fd);
	return n == pages * 8;
}

static int64_t count_soft_dirty(struct rv_buf *b)
{
	static uint64_t entries[LEN / RV_PAGE];
	int64_t i, n = 0;

	if (!read_pagemap(b->base, entries, PAGES))
		return -1;
	for (i = 0; i < PAGES; i++)
		n += !!(entries[i] & SOFT_DIRTY);
	return n;
}

static bool is_soft_dirty(struct rv_buf *b, size_t page)
{
	uint64_t entry;

	return read_pagemap(b->base + page * RV_PAGE, &entry, 1) &&
	       entry & SOFT_DIRTY;
}

static int clear_soft_dirty(void)
{
	return rv_put("/proc/self/clear_refs", "4");
}

/* A page that was dirty is, after it has moved. */
TEST_F(device_dirty, soft_dirty_moves)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, clear_soft_dirty());
	if (count_soft_dirty(&e->mem_b))
		SKIP(return, "the kernel has no soft-dirty bits");
	rv_buf_fill(&e->mem_b);
	if (!count_soft_dirty(&e->mem_b))
		SKIP(return, "the kernel has no soft-dirty bits");
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	EXPECT_EQ(PAGES, count_soft_dirty(&e->mem_b));
	ASSERT_EQ(0, bring_back(e, DEMOTE));
	EXPECT_EQ(PAGES, count_soft_dirty(&e->mem_b));
}

/* Memory whose soft-dirty bits nobody has cleared yet. */
static int map_again(struct rv_buf *b, int advice)
{
	if (mmap(b->base, b->len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED, -1, 0) != b->base ||
	    madvise(b->base, b->len, advice))
		return -errno;
	rv_buf_fill(b);
	return 0;
}

/* A write of the NIC is one, wherever the page was when its bit was cleared. */
TEST_F_TIMEOUT(device_dirty, soft_dirty_cleared, 120)
{
	bool thp = variant->advice == MADV_HUGEPAGE;
	struct rv_ends *e = &self->e;
	struct rv_buf *b = &e->mem_b;
	enum { IN_RAM, ON_DEVICE, CAME_BACK, TIMES } when;
	int64_t bits;

	for (when = 0; when < TIMES; when++) {
		ASSERT_EQ(0, map_again(b, variant->advice));
		if (when != IN_RAM)
			ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		/* the mirror has all of it, to be written */
		ASSERT_RV_OK(nic_write_every(e, 1));
		ASSERT_EQ(when == IN_RAM ? 0 : PAGES,
			  rv_on_device(e->mr_b, 0, LEN));
		ASSERT_EQ(0, clear_soft_dirty());
		bits = count_soft_dirty(b);
		if (when == IN_RAM && bits)
			SKIP(return, "the kernel has no soft-dirty bits");
		/* 7.2 doesn't clear the bit of a huge page on a device */
		ASSERT_EQ(thp && when != IN_RAM ? PAGES : 0, bits);
		if (when == CAME_BACK)
			ASSERT_EQ(0, bring_back(e, DEMOTE));

		/* reading is not writing, and leaves it where it is */
		ASSERT_RV_OK(rv_ends_read_blind(e, 7, 99, 20000));
		ASSERT_EQ(when == ON_DEVICE ? PAGES : 0,
			  rv_on_device(e->mr_b, 0, LEN));
		ASSERT_EQ(bits, count_soft_dirty(b));

		ASSERT_RV_OK(rv_ends_write_blind(e, 7, 5 * RV_PAGE - 1, 2));
		ASSERT_RV_OK(rv_ends_write_blind(e, 7, 700 * RV_PAGE, RV_PAGE));
		if (when == IN_RAM && !count_soft_dirty(b))
			SKIP(return, "the kernel has no soft-dirty bits");
		EXPECT_TRUE(is_soft_dirty(b, 4)) TH_LOG("time %d", when);
		EXPECT_TRUE(is_soft_dirty(b, 5)) TH_LOG("time %d", when);
		EXPECT_TRUE(is_soft_dirty(b, 700)) TH_LOG("time %d", when);
		if (!thp)
			EXPECT_EQ(3, count_soft_dirty(b));
		/* and it stays one */
		ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		EXPECT_TRUE(is_soft_dirty(b, 700)) TH_LOG("time %d", when);
		ASSERT_EQ(0, bring_back(e, DEMOTE));
		EXPECT_TRUE(is_soft_dirty(b, 5)) TH_LOG("time %d", when);
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* Write protection of a page goes with it, and the NIC's write undoes it. */
TEST_F(device_dirty, write_protected)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct rv_ends *e = &self->e;
	struct uffdio_register reg = {
		.range = { (uintptr_t)e->mem_b.base, LEN },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int64_t n;

	self->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (self->uffd < 0 || ioctl(self->uffd, UFFDIO_API, &api))
		SKIP(return, "no asynchronous write protection");
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_REGISTER, &reg));

	/* protected in RAM, then promoted */
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_WRITEPROTECT, &wp));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	n = rv_pages(e->mem_b.base, LEN, PAGE_IS_WRITTEN);
	EXPECT_EQ(0, n);
	ASSERT_RV_OK(rv_ends_write_blind(e, 99, 700 * RV_PAGE, RV_PAGE));
	EXPECT_EQ(1, rv_pages(e->mem_b.base + 700 * RV_PAGE, RV_PAGE,
			      PAGE_IS_WRITTEN));
	ASSERT_RV_OK(rv_ends_check(e));

	/* protected on the device */
	ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_write_blind(e, 5, 33 * RV_PAGE, 100));
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_WRITEPROTECT, &wp));
	EXPECT_EQ(0, rv_pages(e->mem_b.base, LEN, PAGE_IS_WRITTEN));
	ASSERT_RV_OK(rv_ends_write_blind(e, 77, 34 * RV_PAGE, 100));
	EXPECT_EQ(1, rv_pages(e->mem_b.base + 34 * RV_PAGE, RV_PAGE,
			      PAGE_IS_WRITTEN));
	ASSERT_EQ(0, bring_back(e, DEMOTE));
	EXPECT_EQ(1, rv_pages(e->mem_b.base + 34 * RV_PAGE, RV_PAGE,
			      PAGE_IS_WRITTEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
