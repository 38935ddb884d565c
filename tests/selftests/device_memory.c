// SPDX-License-Identifier: GPL-2.0
/*
 * Memory on the device, and what the process does to it: memory that is empty,
 * unmapped in part, moved, protected, locked, and used by system calls. Each
 * with pages and with huge pages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(4UL << 20)
#define PAGES	((int64_t)(LEN / RV_PAGE))

FIXTURE(device_memory)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(device_memory)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device_memory, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device_memory, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device_memory)
{
	ASSERT_EQ(0, rv_dmem_init(&self->e, NULL, "64M", LEN, variant->advice));
}

FIXTURE_TEARDOWN(device_memory)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

/* Some of both anywhere in a part of mem_b. */
static int nic_some(struct rv_ends *e, size_t from, size_t len)
{
	size_t n, a, b;
	int i, res = 0;

	for (i = 0; i < rv_shrink(8) * 2 && !res; i++) {
		n = rv_rand_len(1, len < 20000 ? len : 20000);
		a = rv_rand_below(LEN - n + 1);
		b = from + rv_rand_below(len - n + 1);
		res = i % 2 ? rv_ends_read_blind(e, a, b, n) :
			      rv_ends_write_blind(e, a, b, n);
	}
	return res;
}

static void drop(struct rv_buf *b, size_t off, size_t len)
{
	if (madvise(b->base + off, len, MADV_DONTNEED))
		rv_log("MADV_DONTNEED: %s", strerror(errno));
	rv_buf_expect_byte(b, off, 0, len);
}

static uint8_t touch(struct rv_buf *b, size_t off, size_t len)
{
	volatile uint8_t *p = b->base + off;
	uint8_t sum = 0;
	size_t i;

	for (i = 0; i < len; i += RV_PAGE)
		sum += p[i];
	return sum;
}

/* Nothing was ever there. */
TEST_F(device_memory, empty)
{
	struct rv_ends *e = &self->e;

	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_dmem_used(NULL));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The process has only read: there are zero pages. */
TEST_F(device_memory, zero_page)
{
	struct rv_ends *e = &self->e;

	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, touch(&e->mem_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* A bit of everything, promoted in parts. */
TEST_F(device_memory, mixture)
{
	struct rv_ends *e = &self->e;
	size_t page, n, off, len;
	int i;

	for (i = 0; i < 60; i++) {
		page = rv_rand_below(PAGES);
		n = rv_rand_len(1, PAGES - page);
		off = page * RV_PAGE;
		len = n * RV_PAGE;
		switch (rv_rand_below(6)) {
		case 0:
			drop(&e->mem_b, off, len);
			break;
		case 1:
			touch(&e->mem_b, off, len);
			break;
		case 2:
			rv_rand_fill(rv_buf_shadow(&e->mem_b, off), len);
			memcpy(e->mem_b.base + off,
			       rv_buf_shadow(&e->mem_b, off), len);
			break;
		case 3:
			ASSERT_LE(0, rv_promote(e->mr_b, off, len));
			ASSERT_EQ(n, rv_on_device(e->mr_b, off, len));
			break;
		case 4:
			ASSERT_LE(0, rv_demote(e->mr_b, off, len));
			ASSERT_EQ(0, rv_on_device(e->mr_b, off, len));
			break;
		default:
			len = len < 9000 ? len : 9000;
			ASSERT_RV_OK(rv_ends_write_blind(e, 77, off, len));
			break;
		}
		if (i % 10 == 9)
			ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* A huge page that has lost a part, before it is promoted. */
TEST_F(device_memory, unmapped_before)
{
	struct rv_ends *e = &self->e;
	size_t off = 100 * RV_PAGE, len = 212 * RV_PAGE;

	drop(&e->mem_b, off, len);
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(nic_some(e, 0, RV_HUGE));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The same with a hole, which stays one. */
TEST_F(device_memory, hole_before)
{
	struct rv_ends *e = &self->e;
	size_t off = 300 * RV_PAGE, len = 500 * RV_PAGE;
	struct rxe_hmm_migrate_resp resp;

	ASSERT_EQ(0, munmap(e->mem_b.base + off, len));
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp));
	EXPECT_EQ(PAGES - 500, resp.moved);
	EXPECT_EQ(500, resp.skipped[RXE_HMM_SKIP_ABSENT]);
	EXPECT_EQ(PAGES - 500, rv_on_device(e->mr_b, 0, LEN));
	EXPECT_RV(0, nic_some(e, 0, off));
	EXPECT_RV(0, nic_some(e, off + len, LEN - off - len));
	ASSERT_NE(MAP_FAILED, mmap(e->mem_b.base + off, len,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	rv_buf_expect_byte(&e->mem_b, off, 0, len);
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Half of what is on the device goes, and all of it: so does the memory. */
TEST_F(device_memory, dontneed)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	drop(&e->mem_b, 0, RV_HUGE);
	ASSERT_EQ(PAGES / 2, rv_dmem_used(NULL));
	ASSERT_EQ(PAGES / 2, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(nic_some(e, RV_HUGE, RV_HUGE));
	drop(&e->mem_b, RV_HUGE, RV_HUGE);
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Single pages go, in no order. */
TEST_F(device_memory, dontneed_parts)
{
	struct rv_ends *e = &self->e;
	size_t page;
	int i;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	for (i = 0; i < 64; i++) {
		page = rv_rand_below(PAGES);
		drop(&e->mem_b, page * RV_PAGE, RV_PAGE);
		if (i % 4 == 0)
			ASSERT_RV_OK(rv_ends_write_blind(e, 0, page * RV_PAGE + 7, 100));
		if (i % 8 == 0)
			ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	}
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
	drop(&e->mem_b, 0, LEN);
	ASSERT_EQ(0, rv_dmem_used(NULL));
}

/* A part is unmapped: the peer gets an error there, and what it had elsewhere. */
TEST_F(device_memory, munmap)
{
	struct rv_ends *e = &self->e;
	size_t off = RV_HUGE - 100 * RV_PAGE, len = 200 * RV_PAGE;
	struct ibv_sge sge;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(0, munmap(e->mem_b.base + off, len));
	EXPECT_EQ(PAGES - 200, rv_on_device(e->mr_b, 0, LEN));
	sge = rv_ends_sge_a(e, 0, 100);
	EXPECT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off + 5)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	EXPECT_RV(0, nic_some(e, 0, off));
	EXPECT_RV(0, nic_some(e, off + len, LEN - off - len));
	ASSERT_NE(MAP_FAILED, mmap(e->mem_b.base + off, len,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	rv_buf_expect_byte(&e->mem_b, off, 0, len);
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(0, rv_dmem_used(NULL));
}

/* What is on the device moves to other addresses, and stays on the device. */
TEST_F(device_memory, mremap)
{
	static const size_t parts[][2] = {
		{ 0, RV_HUGE }, { RV_HUGE, RV_HUGE }, { 0, LEN },
		{ 3 * RV_PAGE, RV_PAGE }, { 100 * RV_PAGE, 700 * RV_PAGE },
	};
	struct rv_ends *e = &self->e;
	struct rv_buf away;
	struct ibv_mr *mr;
	size_t off, len;
	int64_t n;
	int i;

	ASSERT_EQ(0, rv_buf_alloc_aligned(&away, LEN, RV_HUGE));
	mr = rv_reg_all(&e->dev, &away, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		struct ibv_sge sge = rv_ends_sge_a(e, 50, 3000);

		off = parts[i][0];
		len = parts[i][1];
		ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		ASSERT_RV_OK(nic_some(e, off, len));
		ASSERT_EQ(away.base, mremap(e->mem_b.base + off, len, len,
					    MREMAP_MAYMOVE | MREMAP_FIXED |
					    MREMAP_DONTUNMAP, away.base));
		rv_buf_expect(&away, 0, rv_buf_shadow(&e->mem_b, off), len);
		rv_buf_expect_byte(&e->mem_b, off, 0, len);
		n = rv_on_device(mr, 0, len);
		ASSERT_EQ(len / RV_PAGE, n);
		rv_buf_expect(&away, 0, rv_buf_shadow(&e->mem_a, 50), 3000);
		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      RV_REMOTE(mr, away.base)));
		ASSERT_EQ(len / RV_PAGE, rv_on_device(mr, 0, len));
		ASSERT_EQ(0, rv_buf_check(&away));
		ASSERT_RV_OK(rv_ends_check(e));
		drop(&away, 0, LEN);
	}
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	rv_buf_free(&away);
}

/* No more rights on the device than the process has; pages stay there. */
TEST_F(device_memory, protect)
{
	struct rv_ends *e = &self->e;
	size_t off = 500 * RV_PAGE, len = 100 * RV_PAGE, at = off + 4000;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 500);

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_RV_OK(rv_ends_write_blind(e, 0, at, 500));

	ASSERT_EQ(0, mprotect(e->mem_b.base + off, len, PROT_READ));
	ASSERT_RV_OK(rv_ends_read_blind(e, 900, at, 500));
	ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, at)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));

	ASSERT_EQ(0, mprotect(e->mem_b.base + off, len, PROT_NONE));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_read(&e->pair.a, &sge, 1, rv_ends_remote(e, at)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));

	ASSERT_EQ(0, mprotect(e->mem_b.base + off, len,
			      PROT_READ | PROT_WRITE));
	ASSERT_RV_OK(rv_ends_write_blind(e, 60, at, 500));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/*
 * Protecting a page for a while leaves a folio on the device that is mapped by pages.
 * A touch splits it, and brings its neighbourhood, in which its first page is.
 */
TEST_F(device_memory, touch_of_part)
{
	struct rv_ends *e = &self->e;
	size_t block, at;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	for (block = 0; block < LEN; block += RV_HUGE) {
		at = block + 200 * RV_PAGE;
		ASSERT_EQ(0, mprotect(e->mem_b.base + at, RV_PAGE, PROT_READ));
		ASSERT_EQ(0, mprotect(e->mem_b.base + at, RV_PAGE,
				      PROT_READ | PROT_WRITE));
		touch(&e->mem_b, block + rv_rand_between(1, 63) * RV_PAGE, 1);
	}
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* Memory that may not be written, or not even read, may move all the same. */
TEST_F(device_memory, promote_protected)
{
	static const int prots[] = { PROT_READ, PROT_NONE };
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 500);
	struct rxe_hmm_migrate_resp resp;
	int i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		drop(&e->mem_b, 10 * RV_PAGE, 5 * RV_PAGE);
		ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, prots[i]));
		ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp));
		ASSERT_EQ(PAGES, resp.moved + resp.already);
		ASSERT_EQ(PAGES, rv_hmm_total(&resp));
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  rv_write(&e->pair.a, &sge, 1,
				   rv_ends_remote(e, 11 * RV_PAGE)));
		ASSERT_EQ(0, rv_pair_again(&e->pair));
		if (prots[i] == PROT_READ)
			ASSERT_RV_OK(rv_ends_read_blind(e, 0, 9 * RV_PAGE, 20000));
		ASSERT_EQ(0, mprotect(e->mem_b.base, LEN,
				      PROT_READ | PROT_WRITE));
		ASSERT_RV_OK(nic_some(e, 0, 20 * RV_PAGE));
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* What may not even be read is known, and moves, all the same. */
TEST_F(device_memory, unreadable)
{
	static const size_t parts[][2] = {
		{ 0, LEN }, { 500 * RV_PAGE, 100 * RV_PAGE }, { RV_HUGE, RV_HUGE },
	};
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 0, 500);
	struct rxe_hmm_migrate_resp resp;
	size_t off, len;
	int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		off = parts[i][0];
		len = parts[i][1];
		ASSERT_RV_OK(nic_some(e, 0, LEN));
		ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
		ASSERT_EQ(0, mprotect(e->mem_b.base + off, len, PROT_NONE));
		EXPECT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
		EXPECT_EQ(7, rv_on_device(e->mr_b, off + 9 * RV_PAGE,
					  7 * RV_PAGE));
		ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp));
		EXPECT_EQ(PAGES, resp.already);
		EXPECT_EQ(7, rv_demote(e->mr_b, off + 9 * RV_PAGE,
				       7 * RV_PAGE));
		EXPECT_EQ(PAGES - 7, rv_on_device(e->mr_b, 0, LEN));
		EXPECT_EQ(PAGES - 7, rv_demote(e->mr_b, 0, LEN));
		EXPECT_EQ(0, rv_on_device(e->mr_b, 0, LEN));
		ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_SYSTEM, &resp));
		EXPECT_EQ(PAGES, resp.already);
		EXPECT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  rv_read(&e->pair.a, &sge, 1,
				  rv_ends_remote(e, off + 5)));
		ASSERT_EQ(0, rv_pair_again(&e->pair));
		EXPECT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
		ASSERT_EQ(0, mprotect(e->mem_b.base + off, len,
				      PROT_READ | PROT_WRITE));
		ASSERT_RV_OK(nic_some(e, 0, LEN));
		ASSERT_RV_OK(rv_ends_check(e));
		ASSERT_LE(0, rv_demote(e->mr_b, 0, LEN));
	}
}

/* Locking means RAM: what is on the device comes back, and stays. */
TEST_F(device_memory, mlock)
{
	struct rv_ends *e = &self->e;
	struct rxe_hmm_migrate_resp resp;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(0, mlock(e->mem_b.base + RV_HUGE, RV_HUGE));
	ASSERT_EQ(0, rv_on_device(e->mr_b, RV_HUGE, RV_HUGE));
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp));
	ASSERT_EQ(PAGES / 2, resp.already);
	ASSERT_EQ(PAGES / 2, resp.skipped[RXE_HMM_SKIP_LOCKED]);
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_EQ(0, munlock(e->mem_b.base, LEN));
	ASSERT_EQ(PAGES / 2, rv_promote(e->mr_b, 0, LEN));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* The kernel reads and writes the memory for the process. */
TEST_F(device_memory, system_calls)
{
	struct rv_ends *e = &self->e;
	size_t off = 700 * RV_PAGE + 99, n = 40000;
	struct iovec here = { rv_buf_shadow(&e->mem_a, 0), n };
	struct iovec there = { e->mem_b.base + off, n };
	int fd;

	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	fd = memfd_create("calls", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(n, write(fd, e->mem_b.base + off, n));
	ASSERT_EQ(n, pread(fd, e->mem_b.base, n, 0));
	rv_buf_expect(&e->mem_b, 0, rv_buf_shadow(&e->mem_b, off), n);
	close(fd);
	ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	ASSERT_EQ(n, process_vm_writev(getpid(), &here, 1, &there, 1, 0));
	rv_buf_expect(&e->mem_b, off, here.iov_base, n);
	ASSERT_RV_OK(nic_some(e, 0, LEN));

	ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(n, pwrite(fd, here.iov_base, n,
			    (uintptr_t)e->mem_b.base + RV_HUGE - 1000));
	rv_buf_expect(&e->mem_b, RV_HUGE - 1000, here.iov_base, n);
	close(fd);
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

/* More than the driver works on at once: the answer tells of all of it. */
TEST_F(device_memory, large)
{
	struct rv_ends *e = &self->e;
	size_t len = 40UL << 20, hole = 17UL << 20;
	struct rxe_hmm_migrate_resp resp;
	struct rv_buf big;
	struct ibv_mr *mr;

	ASSERT_EQ(0, rv_buf_alloc_aligned(&big, len, RV_HUGE));
	mr = rv_reg_all(&e->dev, &big, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, mprotect(big.base + hole, RV_PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(big.base + hole + 5 * RV_PAGE, 7 * RV_PAGE));
	ASSERT_EQ(0, rv_hmm_migrate(mr, 0, len, RV_DEVICE, &resp));
	ASSERT_EQ(len / RV_PAGE - 7, resp.moved);
	ASSERT_EQ(7, resp.skipped[RXE_HMM_SKIP_ABSENT]);
	ASSERT_EQ(len / RV_PAGE, rv_hmm_total(&resp));
	ASSERT_EQ(0, rv_hmm_migrate(mr, 0, len, RV_DEVICE, &resp));
	ASSERT_EQ(len / RV_PAGE - 7, resp.already);
	ASSERT_EQ(0, rv_hmm_migrate(mr, 0, len, RV_SYSTEM, &resp));
	ASSERT_EQ(len / RV_PAGE - 7, resp.moved);
	ASSERT_EQ(len / RV_PAGE, rv_hmm_total(&resp));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, munmap(big.base, len));
}

/* Huge pages are made of, and around, what is on the device. */
TEST_F(device_memory, collapse)
{
	struct rv_ends *e = &self->e;
	size_t off = 512 * RV_PAGE / 2;

	ASSERT_EQ(0, madvise(e->mem_b.base, LEN, MADV_HUGEPAGE));
	ASSERT_EQ(PAGES / 2, rv_promote(e->mr_b, off, LEN / 2));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	if (madvise(e->mem_b.base, LEN, MADV_COLLAPSE))
		rv_log("MADV_COLLAPSE: %s", strerror(errno));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 0, LEN));
	if (madvise(e->mem_b.base, LEN, MADV_COLLAPSE))
		rv_log("MADV_COLLAPSE: %s", strerror(errno));
	ASSERT_RV_OK(nic_some(e, 0, LEN));
	ASSERT_RV_OK(rv_ends_check(e));
}

RV_HARNESS_MAIN
