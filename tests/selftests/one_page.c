// SPDX-License-Identifier: GPL-2.0
/*
 * Regions of one page. A fault of one looks for its page alone, not at a range of
 * the page tables, and has to come to the same answer: what may be read, what may
 * be written, and what has to be copied first.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

enum kind {
	TOUCHED,	/* anonymous, written by the process */
	UNTOUCHED,	/* anonymous, not there */
	ZERO,		/* anonymous, read by the process: the zero page */
	HUGE,		/* a part of a huge page */
	FORKED,		/* anonymous, shared with a child until one of them writes */
	SHARED,		/* of a file, clean */
	PRIVATE,	/* of a file, to be copied */
	READ_ONLY,	/* of a file, may not be written */
};

FIXTURE(one_page)
{
	struct rv_ends e;
	size_t map_len;
	uint8_t *map;
	uint8_t *view;		/* of the file, by another mapping */
	int fd;
	pid_t child;
	int ends[2];		/* of a pipe, with which the child ends */
};

FIXTURE_VARIANT(one_page)
{
	enum kind kind;
};

#define KIND(_name, _kind)						\
	FIXTURE_VARIANT_ADD(one_page, _name) { .kind = _kind }

KIND(touched, TOUCHED);
KIND(untouched, UNTOUCHED);
KIND(zero, ZERO);
KIND(huge, HUGE);
KIND(forked, FORKED);
KIND(shared, SHARED);
KIND(private, PRIVATE);
KIND(read_only, READ_ONLY);

static bool is_file(enum kind kind)
{
	return kind >= SHARED;
}

static uint8_t *map_page(enum kind kind, int fd, size_t *len)
{
	int flags = kind == SHARED ? MAP_SHARED : MAP_PRIVATE;
	int prot = kind == READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	uint8_t *map;

	*len = kind == HUGE ? 2 * RV_HUGE : RV_PAGE;
	map = mmap(NULL, *len, prot,
		   is_file(kind) ? flags : MAP_PRIVATE | MAP_ANONYMOUS,
		   is_file(kind) ? fd : -1, 0);
	if (map != MAP_FAILED)
		madvise(map, *len, kind == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);

	return map;
}

/* Have the page as its kind says. */
static void make(enum kind kind, struct rv_buf *b, uint8_t *view)
{
	uint8_t bytes[RV_PAGE];

	if (kind == ZERO)
		rv_buf_check(b);
	if (kind == ZERO || kind == UNTOUCHED)
		return;
	rv_rand_fill(bytes, RV_PAGE);
	memcpy(is_file(kind) ? view : b->base, bytes, RV_PAGE);
	rv_buf_expect(b, 0, bytes, RV_PAGE);
}

/* Lives until the pipe ends; then its status says whether it kept what it got. */
static pid_t fork_child(struct rv_buf *b, int ends[2])
{
	pid_t pid;
	char c;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid)
		return pid;
	close(ends[1]);
	if (read(ends[0], &c, 1))
		_exit(2);
	_exit(rv_buf_check(b) ? 1 : 0);
}

FIXTURE_SETUP(one_page)
{
	struct rv_opts opts = { .mtu = 4096 };
	enum kind kind = variant->kind;
	struct rv_ends *e = &self->e;
	uint8_t *page;

	self->fd = memfd_create("page", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, RV_PAGE));
	self->view = mmap(NULL, RV_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
			  0);
	ASSERT_NE(MAP_FAILED, self->view);
	self->map = map_page(kind, self->fd, &self->map_len);
	ASSERT_NE(MAP_FAILED, self->map);
	page = self->map;
	if (kind == HUGE)
		page += RV_HUGE - (uintptr_t)page % RV_HUGE +
			rv_rand_below(RV_HUGE / RV_PAGE) * RV_PAGE;

	ASSERT_EQ(0, rv_ends_open(e, &opts, 2 * RV_PAGE));
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_adopt(&e->mem_b, page, RV_PAGE));
	make(kind, &e->mem_b, self->view);
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
	if (kind == FORKED) {
		self->child = fork_child(&e->mem_b, self->ends);
		ASSERT_LT(0, self->child);
	}
}

FIXTURE_TEARDOWN(one_page)
{
	rv_ends_fini(&self->e);
	munmap(self->map, self->map_len);
	munmap(self->view, RV_PAGE);
	close(self->fd);
	if (self->child > 0) {
		close(self->ends[0]);
		close(self->ends[1]);
		EXPECT_EQ(0, rv_reap(self->child))
			TH_LOG("the child's page has changed");
	}
}

static int access_any(struct rv_ends *e, rv_ends_fn op)
{
	size_t len = rv_rand_len(1, RV_PAGE);

	return op(e, rv_rand_below(e->mem_a.len - len + 1),
		  rv_rand_below(RV_PAGE - len + 1), len);
}

/* May it be written without another fault? */
static bool is_writable(enum kind kind)
{
	return kind == TOUCHED || kind == HUGE || kind == SHARED;
}

static int64_t faults(struct rv_ends *e)
{
	return rv_stat_mr(&e->dev, e->mr_b, "page_faults_handled");
}

/* Read, then write: as the mapping allows, and nobody else sees it. */
TEST_F(one_page, is_as_it_may_be)
{
	enum kind kind = variant->kind;
	struct rv_ends *e = &self->e;
	uint8_t old[RV_PAGE];
	struct ibv_sge sge = rv_ends_sge_a(e, 0, RV_PAGE);

	memcpy(old, self->view, RV_PAGE);
	EXPECT_RV(0, access_any(e, rv_ends_read));
	EXPECT_EQ(1, faults(e));
	if (kind == READ_ONLY) {
		EXPECT_RV(IBV_WC_REM_ACCESS_ERR, rv_write(&e->pair.a, &sge, 1,
							  rv_ends_remote(e, 0)));
		ASSERT_EQ(0, rv_pair_again(&e->pair));
		EXPECT_RV(0, access_any(e, rv_ends_read));
		EXPECT_EQ(0, rv_ends_check(e));
	} else {
		EXPECT_RV(0, access_any(e, rv_ends_write));
		/* if it may be written, the first read has found that, too */
		EXPECT_EQ(is_writable(kind) ? 1 : 2, faults(e));
		EXPECT_RV(0, access_any(e, rv_ends_read));
	}
	EXPECT_EQ(0, rv_compare("the file", self->view,
				kind == SHARED ? e->mem_b.base : old, RV_PAGE));
}

/* With the page gone in between. */
TEST_F(one_page, comes_again)
{
	enum kind kind = variant->kind;
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < 4; i++) {
		if (kind != READ_ONLY)
			EXPECT_RV(0, access_any(e, rv_ends_write));
		ASSERT_EQ(0, madvise(e->mem_b.base, RV_PAGE, MADV_DONTNEED));
		if (kind == PRIVATE || kind == READ_ONLY)
			rv_buf_expect(&e->mem_b, 0, self->view, RV_PAGE);
		else if (kind != SHARED)
			rv_buf_expect_byte(&e->mem_b, 0, 0, RV_PAGE);
		EXPECT_RV(0, access_any(e, rv_ends_read));
	}
}

RV_HARNESS_MAIN
