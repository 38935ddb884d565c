// SPDX-License-Identifier: GPL-2.0
/*
 * What can't move to the device is counted by reason, page by page, in the
 * answer and by the device, and stays as it was.
 *
 * Needs root, for KSM, and for one of them a debug build of the module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"

#define LEN	(256UL * RV_PAGE)
#define PAGES	((int64_t)(LEN / RV_PAGE))
#define KSM	"/sys/kernel/mm/ksm/"
#define LOOKED	"migrate_looked"

FIXTURE(device_skip)
{
	struct rv_ends e;
	void *shared;
};

FIXTURE_SETUP(device_skip)
{
	ASSERT_EQ(0, rv_dmem_init(&self->e, NULL, "32M", LEN,
				  MADV_NOHUGEPAGE));
}

FIXTURE_TEARDOWN(device_skip)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

static int promote(struct rv_ends *e, struct ibv_mr *mr, int reason,
		   uint64_t want)
{
	return rv_promote_but(&e->dev, mr, reason, want);
}

/* The region still works, wherever its pages are. */
static int works(struct rv_ends *e)
{
	size_t n = rv_rand_len(1, 20000);
	int res;

	res = rv_ends_write(e, rv_rand_below(LEN - n), rv_rand_below(LEN - n),
			    n);
	return res ? res : rv_ends_read(e, rv_rand_below(LEN - n),
					rv_rand_below(LEN - n), n);
}

/* Of another region, which is not an on-demand one. */
TEST_F(device_skip, pinned)
{
	struct rv_ends *e = &self->e;
	struct ibv_mr *mr;

	mr = rv_reg(&e->dev, &e->mem_b, 50 * RV_PAGE, 33 * RV_PAGE, RV_ACCESS);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_PINNED, 33));
	ASSERT_EQ(PAGES - 33, rv_on_device(e->mr_b, 0, LEN));
	ASSERT_RV_OK(works(e));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_PINNED, 0));
	/* pinning what is on the device brings it back */
	mr = rv_reg(&e->dev, &e->mem_b, 0, 20 * RV_PAGE, RV_ACCESS);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, rv_on_device(e->mr_b, 0, 20 * RV_PAGE));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_PINNED, 20));
	ASSERT_RV_OK(works(e));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_RV_OK(works(e));
}

/* Held by a pipe: not pinned, but not free to go either. */
TEST_F(device_skip, busy)
{
	struct rv_ends *e = &self->e;
	struct iovec iov = { e->mem_b.base + 7 * RV_PAGE, 9 * RV_PAGE };
	int fds[2];
	char *got;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(iov.iov_len, vmsplice(fds[1], &iov, 1, 0));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_BUSY, 9));
	got = malloc(iov.iov_len);
	ASSERT_NE(NULL, got);
	ASSERT_EQ(iov.iov_len, read(fds[0], got, iov.iov_len));
	ASSERT_EQ(0, rv_compare("pipe", got,
				rv_buf_shadow(&e->mem_b, 7 * RV_PAGE),
				iov.iov_len));
	free(got);
	close(fds[0]);
	close(fds[1]);
	ASSERT_RV_OK(works(e));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_BUSY, 0));
	ASSERT_RV_OK(works(e));
}

static struct ibv_mr *map_and_reg(struct rv_ends *e, int flags, int fd,
				  struct rv_buf *b)
{
	void *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (mem == MAP_FAILED || rv_buf_adopt(b, mem, LEN))
		return NULL;
	return rv_reg_all(&e->dev, b, RV_ACCESS | RV_ODP);
}

/* Write through one region, read it back, and look at all of it. */
static int other_works(struct rv_ends *e, struct ibv_mr *mr, struct rv_buf *b)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 99, 30000);
	int res;

	res = rv_write(&e->pair.a, &sge, 1, RV_REMOTE(mr, b->base + 4001));
	rv_buf_expect(b, 4001, rv_buf_shadow(&e->mem_a, 99), 30000);
	return res ? res : rv_buf_check(b);
}

TEST_F(device_skip, file_private)
{
	struct rv_ends *e = &self->e;
	struct rv_buf b;
	struct ibv_mr *mr;
	int fd;

	fd = memfd_create("private", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	mr = map_and_reg(e, MAP_PRIVATE, fd, &b);
	ASSERT_NE(NULL, mr);
	rv_rand_fill(b.shadow, LEN / 2);
	memcpy(b.map, b.shadow, LEN / 2);
	ASSERT_EQ(0, promote(e, mr, RXE_HMM_SKIP_FILE, PAGES));
	ASSERT_RV_OK(other_works(e, mr, &b));
	ASSERT_EQ(0, promote(e, mr, RXE_HMM_SKIP_FILE, PAGES));
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	close(fd);
}

TEST_F(device_skip, file_shared)
{
	struct rv_ends *e = &self->e;
	struct rv_buf b;
	struct ibv_mr *mr;
	int fd;

	fd = memfd_create("shared", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	mr = map_and_reg(e, MAP_SHARED, fd, &b);
	ASSERT_NE(NULL, mr);
	ASSERT_RV_OK(other_works(e, mr, &b));
	ASSERT_EQ(0, promote(e, mr, RXE_HMM_SKIP_SHARED, PAGES));
	ASSERT_RV_OK(other_works(e, mr, &b));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	close(fd);
}

TEST_F(device_skip, shared_anonymous)
{
	struct rv_ends *e = &self->e;
	struct rv_buf b;
	struct ibv_mr *mr;

	mr = map_and_reg(e, MAP_SHARED | MAP_ANONYMOUS, -1, &b);
	ASSERT_NE(NULL, mr);
	rv_buf_fill(&b);
	ASSERT_EQ(0, promote(e, mr, RXE_HMM_SKIP_SHARED, PAGES));
	/* even where it is wanted there, and nothing is there yet */
	ASSERT_EQ(0, rv_hmm_prefer(mr, 0, LEN, RV_DEVICE));
	ASSERT_EQ(0, madvise(b.base, LEN, MADV_REMOVE));
	rv_buf_expect_byte(&b, 0, 0, LEN);
	ASSERT_RV_OK(other_works(e, mr, &b));
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
}

/* Where the library has mapped a queue of the device: the last such mapping. */
static int find_queue(uint8_t **start, size_t *len)
{
	unsigned long from, to;
	char line[256];
	FILE *f;

	*len = 0;
	f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "/uverbs") ||
		    sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		*start = (uint8_t *)from;
		*len = to - from;
	}
	if (f)
		fclose(f);
	return *len ? 0 : -ENOENT;
}

/* A driver's pages are in the process's page table, but shared with the driver. */
TEST_F(device_skip, device_mapping)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge;
	struct ibv_mr *mr;
	struct ibv_cq *cq;
	uint8_t *queue;
	size_t len;

	cq = ibv_create_cq(e->dev.ctx, 16, NULL, NULL, 0);
	ASSERT_NE(NULL, cq);
	ASSERT_EQ(0, find_queue(&queue, &len));
	mr = ibv_reg_mr(e->dev.pd, queue, len, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, promote(e, mr, RXE_HMM_SKIP_SHARED, len / RV_PAGE));
	sge = rv_ends_sge_a(e, 9, 64);
	ASSERT_RV_OK(rv_read(&e->pair.a, &sge, 1, RV_REMOTE(mr, queue)));
	rv_buf_expect(&e->mem_a, 9, queue, 64);
	ASSERT_EQ(0, rv_dmem_used(NULL));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, ibv_destroy_cq(cq));
	ASSERT_RV_OK(works(e));
}

/* A child has the same pages; those that the parent has written are its own. */
TEST_F(device_skip, copy_on_write)
{
	struct rv_ends *e = &self->e;
	int fds[2], pid;
	char byte;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		close(fds[1]);
		_exit(read(fds[0], &byte, 1) || rv_buf_check(&e->mem_b));
	}
	close(fds[0]);
	rv_rand_fill(rv_buf_shadow(&e->mem_b, 0), 10 * RV_PAGE);
	memcpy(e->mem_b.base, rv_buf_shadow(&e->mem_b, 0), 10 * RV_PAGE);
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_SHARED, PAGES - 10));
	/* also where it may not be read */
	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_NONE));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_SHARED, PAGES - 10));
	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_READ | PROT_WRITE));
	ASSERT_RV_OK(works(e));
	close(fds[1]);
	ASSERT_EQ(0, rv_reap(pid));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_SHARED, 0));
	ASSERT_RV_OK(works(e));
}

TEST_F(device_skip, locked)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, mlock(e->mem_b.base + 3 * RV_PAGE, 44 * RV_PAGE));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_LOCKED, 44));
	ASSERT_RV_OK(works(e));
	ASSERT_EQ(0, munlock(e->mem_b.base, LEN));
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_LOCKED, 0));
	ASSERT_RV_OK(works(e));
}

TEST_F(device_skip, absent)
{
	struct rv_ends *e = &self->e;
	size_t off = 77 * RV_PAGE, len = 11 * RV_PAGE;
	struct rxe_hmm_migrate_resp resp;

	ASSERT_EQ(0, madvise(e->mem_b.base, 5 * RV_PAGE, MADV_DONTNEED));
	rv_buf_expect_byte(&e->mem_b, 0, 0, 5 * RV_PAGE);
	ASSERT_EQ(0, munmap(e->mem_b.base + off, len));
	/* on the way back nothing is made of nothing */
	ASSERT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RV_SYSTEM, &resp));
	ASSERT_EQ(16, resp.skipped[RXE_HMM_SKIP_ABSENT]);
	ASSERT_EQ(PAGES - 16, resp.already);
	ASSERT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_ABSENT, 11));
	ASSERT_NE(MAP_FAILED, mmap(e->mem_b.base + off, len,
				   PROT_READ | PROT_WRITE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	rv_buf_expect_byte(&e->mem_b, off, 0, len);
	ASSERT_RV_OK(works(e));
}

static int64_t merged(struct rv_ends *e, size_t len)
{
	int64_t n = 0;
	size_t i;

	for (i = 0; i < len; i += RV_PAGE)
		n += rv_pfn(e->mem_a.base + i) &&
		     rv_pfn(e->mem_a.base + i) == rv_pfn(e->mem_b.base + i);
	return n;
}

static bool can_merge(void)
{
	return !geteuid() && rv_get(KSM "run", NULL) >= 0;
}

static int start_merging(void)
{
	int err;

	rv_put(KSM "smart_scan", "0");
	err = rv_put(KSM "pages_to_scan", "5000");
	if (!err)
		err = rv_put(KSM "sleep_millisecs", "10");
	return err ? err : rv_put(KSM "run", "1");
}

/* What may be merged stays, too: see vma_outcome() in the driver. */
TEST_F_TIMEOUT(device_skip, ksm, 120)
{
	struct rv_ends *e = &self->e;
	size_t len = 16 * RV_PAGE;

	if (!can_merge())
		SKIP(return, "merging needs KSM in the kernel, and root");
	memcpy(e->mem_b.base, e->mem_a.base, len);
	rv_buf_expect(&e->mem_b, 0, e->mem_a.base, len);
	ASSERT_EQ(0, madvise(e->mem_a.base, len, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(e->mem_b.base, len, MADV_MERGEABLE));
	EXPECT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_KSM, 16));
	ASSERT_EQ(0, start_merging());
	EXPECT_TRUE(rv_wait_for(merged(e, len) == 16));
	EXPECT_EQ(0, rv_put(KSM "run", "0"));
	EXPECT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_NONE));
	EXPECT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_KSM, 16));
	EXPECT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_KSM, 16));
	EXPECT_RV(0, works(e));
	EXPECT_EQ(0, rv_put(KSM "run", "2"));
	EXPECT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_KSM, 16));
	EXPECT_EQ(0, madvise(e->mem_b.base, len, MADV_UNMERGEABLE));
	EXPECT_EQ(0, promote(e, e->mr_b, RXE_HMM_SKIP_KSM, 0));
	EXPECT_RV(0, works(e));
}

/* A child whose pages are merged, one of which is its parent's, too. */
static int merge_in_child(struct rv_ends *e, size_t len)
{
	int pid, err;

	pid = fork();
	if (!pid) {
		if (madvise(e->mem_b.base, len, MADV_MERGEABLE))
			_exit(1);
		for (;;)
			pause();
	}
	err = start_merging();
	if (!err && !rv_wait_for(rv_get(KSM "pages_sharing", NULL) >=
				 (int64_t)(len / RV_PAGE) - 1))
		err = -ETIMEDOUT;
	if (!err)
		err = rv_put(KSM "run", "0");

	return err ? err : pid;
}

static void end_child(struct __test_metadata *_metadata, int pid)
{
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, rv_reap(pid));
}

/* What was merged stayed, and is still there. */
static void stayed(struct __test_metadata *_metadata, struct rv_ends *e, size_t len,
		   const struct rxe_hmm_migrate_resp *resp)
{
	EXPECT_EQ(PAGES, rv_hmm_total(resp));
	EXPECT_LE(1, resp->skipped[RXE_HMM_SKIP_KSM]);
	memset(e->mem_b.base, 0x43, len);
	rv_buf_expect_byte(&e->mem_b, 0, 0x43, len);
	EXPECT_RV(0, works(e));
}

static void promote_merged(struct __test_metadata *_metadata, struct rv_ends *e,
			   int prot, bool goes)
{
	struct rxe_hmm_migrate_resp resp;
	size_t len = 16 * RV_PAGE;
	int pid;

	memset(e->mem_b.base, 0x42, len);
	rv_buf_expect_byte(&e->mem_b, 0, 0x42, len);
	pid = merge_in_child(e, len);
	ASSERT_LT(0, pid);
	if (goes)
		end_child(_metadata, pid);
	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, prot));
	EXPECT_EQ(0, rv_hmm_migrate(e->mr_b, 0, LEN, RXE_HMM_PLACE_DEVICE, &resp));
	ASSERT_EQ(0, mprotect(e->mem_b.base, LEN, PROT_READ | PROT_WRITE));
	stayed(_metadata, e, len, &resp);
	if (!goes)
		end_child(_metadata, pid);
	EXPECT_EQ(0, rv_put(KSM "run", "2"));
	EXPECT_RV(0, works(e));
}

TEST_F_TIMEOUT(device_skip, ksm_of_child, 120)
{
	if (!can_merge())
		SKIP(return, "merging needs KSM in the kernel, and root");
	promote_merged(_metadata, &self->e, PROT_READ | PROT_WRITE, false);
	promote_merged(_metadata, &self->e, PROT_READ | PROT_WRITE, true);
	promote_merged(_metadata, &self->e, PROT_NONE, false);
	promote_merged(_metadata, &self->e, PROT_NONE, true);
}

struct promotion {
	struct ibv_mr *mr;
	struct rxe_hmm_migrate_resp resp;
	int err;
};

static void *promoter(void *arg)
{
	struct promotion *p = arg;

	p->err = rv_hmm_migrate(p->mr, 0, LEN, RXE_HMM_PLACE_DEVICE, &p->resp);
	return NULL;
}

/* All of that between the promotion's look and its setup. */
TEST_F_TIMEOUT(device_skip, ksm_after_look, 120)
{
	struct promotion p = { .mr = self->e.mr_b };
	size_t len = 16 * RV_PAGE;
	pthread_t thread;
	int pid;

	if (!rv_race_here())
		SKIP(return, "not a debug build of the module");
	if (!can_merge())
		SKIP(return, "merging needs KSM in the kernel, and root");
	memset(self->e.mem_b.base, 0x42, len);
	rv_buf_expect_byte(&self->e.mem_b, 0, 0x42, len);
	rv_race_reset();
	rv_race_arm(LOOKED, 1, 60000);
	ASSERT_EQ(0, pthread_create(&thread, NULL, promoter, &p));
	ASSERT_EQ(0, rv_race_wait(LOOKED, 1));
	pid = merge_in_child(&self->e, len);
	ASSERT_LT(0, pid);
	ASSERT_EQ(1, rv_race_held(LOOKED));
	ASSERT_EQ(0, rv_race_release(LOOKED));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, p.err);
	stayed(_metadata, &self->e, len, &p.resp);
	end_child(_metadata, pid);
	EXPECT_EQ(0, rv_put(KSM "run", "2"));
	EXPECT_RV(0, works(&self->e));
}

static void *changer(void *arg)
{
	const volatile bool *stop = arg;
	void *at;

	while (!*stop) {
		at = mmap(NULL, RV_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
		if (at == MAP_FAILED || munmap(at, RV_PAGE))
			return arg;
	}
	return NULL;
}

/*
 * Mappings that come and go elsewhere keep no page from moving. In a debug build
 * they do so between each look and what follows it.
 */
TEST_F_TIMEOUT(device_skip, map_changes, 120)
{
	bool held = rv_race_here();
	volatile bool stop = false;
	pthread_t thread;
	void *failed;
	int i;

	if (held) {
		rv_race_reset();
		rv_race_arm(LOOKED, 1000, 20);
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, changer, (void *)&stop));
	for (i = 0; i < (held ? 4 : 64); i++) {
		EXPECT_EQ(PAGES, rv_promote(self->e.mr_b, 0, LEN));
		EXPECT_EQ(PAGES, rv_demote(self->e.mr_b, 0, LEN));
	}
	if (held) {
		EXPECT_LT(4 * 4, rv_race_arrived(LOOKED));
		rv_race_reset();
	}
	stop = true;
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_EQ(NULL, failed);
	EXPECT_RV(0, works(&self->e));
}

RV_HARNESS_MAIN
