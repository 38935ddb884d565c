// SPDX-License-Identifier: GPL-2.0
/*
 * Transparent huge pages: made by the device's first touch, split in every way
 * there is, and put together again, with the device reading and writing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define HUGES	2
#define LEN	(HUGES * RV_HUGE)

FIXTURE(thp)
{
	struct rv_ends e;
};

FIXTURE_SETUP(thp)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK))
		SKIP(return, "no transparent huge pages");
	ASSERT_EQ(0, rv_ends_open(e, &opts, 64 * 1024));
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, LEN, RV_HUGE));
	rv_buf_fill_guards(&e->mem_b);
	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_HUGEPAGE));
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(thp)
{
	rv_ends_fini(&self->e);
}

static int64_t huge_pages(struct rv_ends *e)
{
	return rv_pages(e->mem_b.base, LEN, PAGE_IS_HUGE | PAGE_IS_PRESENT);
}

static bool is_huge(struct rv_ends *e, int i)
{
	return rv_pages(e->mem_b.base + i * RV_HUGE, RV_HUGE,
			PAGE_IS_HUGE | PAGE_IS_PRESENT) == RV_HUGE / RV_PAGE;
}

static void cpu_fill(struct rv_ends *e)
{
	rv_rand_fill(rv_buf_shadow(&e->mem_b, 0), LEN);
	memcpy(e->mem_b.base, rv_buf_shadow(&e->mem_b, 0), LEN);
}

static int access_at(struct rv_ends *e, size_t off, size_t len)
{
	size_t a = rv_rand_below(e->mem_a.len - len + 1);

	if (rv_rand_below(2))
		return rv_ends_write(e, a, off, len);
	return rv_ends_read(e, a, off, len);
}

static int access_many(struct rv_ends *e, int n)
{
	int res = 0;

	while (n-- && !res) {
		size_t len = rv_rand_len(1, 30000);

		res = access_at(e, rv_rand_below(LEN - len + 1), len);
	}
	return res;
}

TEST_F_TIMEOUT(thp, first_touch, 120)
{
	int64_t faults = rv_stat_dev(&self->e.dev, "page_faults_handled");
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < HUGES; i++) {
		size_t off = i * RV_HUGE + rv_rand_below(RV_HUGE - 100);
		struct ibv_sge sge = rv_ends_sge_a(e, 7, 100);

		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      rv_ends_remote(e, off)));
		rv_buf_expect(&e->mem_b, off, e->mem_a.base + 7, 100);
		ASSERT_TRUE(is_huge(e, i));
	}
	ASSERT_RV_OK(rv_ends_check(e));
	/* From here on the device knows all of them: no more faults. */
	if (faults >= 0) {
		faults = rv_stat_dev(&e->dev, "page_faults_handled");
		ASSERT_RV_OK(rv_ends_read(e, 0, 0, 50000));
		ASSERT_RV_OK(rv_ends_write(e, 0, RV_HUGE - 10000, 50000));
		ASSERT_RV_OK(rv_ends_write(e, 0, LEN - 50000, 50000));
		/* Of the requester's own memory there may be a few. */
		ASSERT_GT(faults + 20,
			  rv_stat_dev(&e->dev, "page_faults_handled"));
	}
	ASSERT_RV_OK(access_many(e, 4));
}

/* The huge zero page, if the kernel uses it, gives way to the first write. */
TEST_F_TIMEOUT(thp, zero_page, 120)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 50000);
	int i;

	for (i = 0; i < HUGES; i++) {
		ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1,
				     rv_ends_remote(e, i * RV_HUGE + 99)));
		rv_buf_expect_byte(&e->mem_a, 0, 0, 50000);
		ASSERT_EQ(0, rv_buf_check(&e->mem_a));
		rv_rand_fill(e->mem_a.base, 50000);
		rv_buf_learn(&e->mem_a);
		if (i) {
			e->mem_b.base[i * RV_HUGE + 12345] = 77;
			rv_buf_expect_byte(&e->mem_b, i * RV_HUGE + 12345, 77,
					   1);
		} else {
			ASSERT_RV_OK(rv_ends_write(e, 0, 12345, 1));
		}
		ASSERT_RV_OK(rv_ends_read(e, 0, i * RV_HUGE + 99, 50000));
	}
	ASSERT_RV_OK(access_many(e, 6));
}

enum split { DROP, UNMAP, PROTECT, FREE, FORK, MOVE, SPLITS };

/* Split the huge page around a range; the shadow follows. */
static int split(struct rv_ends *e, enum split how, size_t off, size_t len)
{
	uint8_t *at = e->mem_b.base + off, *away;
	pid_t pid;

	switch (how) {
	case DROP:
		rv_buf_expect_byte(&e->mem_b, off, 0, len);
		return madvise(at, len, MADV_DONTNEED);
	case UNMAP:
		rv_buf_expect_byte(&e->mem_b, off, 0, len);
		if (munmap(at, len))
			return -1;
		return mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at;
	case PROTECT:
		if (mprotect(at, len, PROT_READ))
			return -1;
		return mprotect(at, len, PROT_READ | PROT_WRITE);
	case FREE:
		/* What may be freed reads as old or zero: decide it. */
		if (madvise(at, len, MADV_FREE))
			return -1;
		memcpy(at, rv_buf_shadow(&e->mem_b, off), len);
		return 0;
	case FORK:
		/* A write by either copies a part of the shared huge page. */
		pid = fork();
		if (!pid) {
			memset(at, 0x5a, len);
			_exit(0);
		}
		at[len / 2] ^= 0xff;
		*rv_buf_shadow(&e->mem_b, off + len / 2) ^= 0xff;
		return rv_reap(pid);
	case MOVE:
		away = mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			      NULL);
		if (away == MAP_FAILED)
			return -1;
		return mremap(away, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			      at) != at;
	default:
		return -1;
	}
}

/* The device knows the page as a huge one when it is split. */
TEST_F_TIMEOUT(thp, splits, 120)
{
	struct rv_ends *e = &self->e;
	size_t off, len;
	int how, i;

	for (how = 0; how < SPLITS; how++) {
		cpu_fill(e);
		madvise(e->mem_b.base, LEN, MADV_COLLAPSE);
		for (i = 0; i < rv_shrink(2); i++) {
			ASSERT_RV_OK(access_many(e, 2));
			off = RV_PAGE * rv_rand_below(LEN / RV_PAGE - 20);
			len = RV_PAGE * rv_rand_between(1, 20);
			ASSERT_EQ(0, split(e, how, off, len))
				TH_LOG("kind %d: %s", how, strerror(errno));
			/* Across both borders. */
			if (off)
				ASSERT_RV_OK(access_at(e, off - 100, 200));
			if (off + len < LEN)
				ASSERT_RV_OK(access_at(e, off + len - 100,
						       200));
			ASSERT_RV_OK(access_at(e, off, len < 30000 ? len :
					       30000));
			ASSERT_RV_OK(access_many(e, 2));
		}
		/* One mapping again, or huge pages can't come back. */
		ASSERT_EQ(e->mem_b.base,
			  mmap(e->mem_b.base, LEN, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		madvise(e->mem_b.base, LEN, MADV_HUGEPAGE);
	}
}

/* Small pages that the device knows become a huge one. */
TEST_F_TIMEOUT(thp, collapse, 120)
{
	struct rv_ends *e = &self->e;
	int i;

	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_NOHUGEPAGE));
	cpu_fill(e);
	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, huge_pages(e));
	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_HUGEPAGE));
		ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_COLLAPSE));
		ASSERT_EQ(LEN / RV_PAGE, huge_pages(e));
		ASSERT_RV_OK(access_many(e, 3));
		/* Split both again. */
		ASSERT_EQ(0, split(e, DROP, 5 * RV_PAGE, RV_PAGE));
		ASSERT_EQ(0, split(e, DROP, RV_HUGE + 7 * RV_PAGE, RV_PAGE));
		ASSERT_EQ(0, huge_pages(e));
		ASSERT_RV_OK(access_many(e, 3));
	}
}

/* The same while writes are under way. */
TEST_F_TIMEOUT(thp, collapse_under_traffic, 120)
{
	/* The traffic's part lies over the boundary of the two. */
	size_t at = RV_HUGE - 30 * 1024 + 100, len = 60 * 1024;
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_writes(e, len);
	uint64_t until;
	int huge = 0;

	t.to += at;
	t.check = true;
	cpu_fill(e);
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, &opts, 1));
	until = rv_now_ms() + rv_shrink(2000);
	while (rv_now_ms() < until) {
		ASSERT_EQ(0, split(e, DROP, 5 * RV_PAGE, RV_PAGE));
		ASSERT_EQ(0, split(e, DROP, RV_HUGE + 99 * RV_PAGE, RV_PAGE));
		ASSERT_EQ(0, rv_traffic_more(&t, 2));
		/* It may fail: the device's writes race with it. */
		madvise(e->mem_b.base, LEN, MADV_COLLAPSE);
		huge += huge_pages(e) > 0;
		ASSERT_EQ(0, rv_traffic_more(&t, 2));
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	ASSERT_NE(0, huge);
	rv_buf_expect(&e->mem_b, at, e->mem_b.base + at, len);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_write(e, 0, at, len));
}

/* Shared memory in a huge page, then less of it. */
TEST_F_TIMEOUT(thp, shared, 120)
{
	struct rv_ends *e = &self->e;
	uint8_t *at = e->mem_b.base;
	int fd = memfd_create("huge", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	ASSERT_EQ(at, mmap(at, LEN, PROT_READ | PROT_WRITE, MAP_SHARED |
			   MAP_FIXED, fd, 0));
	cpu_fill(e);
	ASSERT_RV_OK(access_many(e, 3));
	madvise(at, LEN, MADV_HUGEPAGE);
	if (madvise(at, LEN, MADV_COLLAPSE))
		SKIP(return, "no huge pages in shared memory");
	ASSERT_RV_OK(access_many(e, 3));
	ASSERT_EQ(0, madvise(at + 3 * RV_PAGE, 9 * RV_PAGE, MADV_REMOVE));
	rv_buf_expect_byte(&e->mem_b, 3 * RV_PAGE, 0, 9 * RV_PAGE);
	ASSERT_RV_OK(access_at(e, 3 * RV_PAGE - 100, 10 * RV_PAGE));
	ASSERT_RV_OK(access_many(e, 3));
	madvise(at, LEN, MADV_COLLAPSE);
	ASSERT_RV_OK(access_many(e, 3));
	close(fd);
}

RV_HARNESS_MAIN
