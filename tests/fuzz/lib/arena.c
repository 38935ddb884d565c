// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"

#define MIB		(1UL << 20)
#define GIB		(1UL << 30)
#define PAGE		4096UL
#define PART		(4 * MIB)
#define OP_MAX		(16 * MIB)	/* bytes that one change touches */

static int memfd;
static sigjmp_buf touched;

static void on_fault(int sig)
{
	siglongjmp(touched, sig);
}

static void *map(uint64_t addr, size_t len, int prot, int flags, int fd,
		 off_t off)
{
	return mmap((void *)addr, len, prot, flags | MAP_FIXED | MAP_NORESERVE,
		    fd, off);
}

int arena_init(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct sigaction sa = { .sa_handler = on_fault };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	memfd = memfd_create("arena", 0);
	if (memfd < 0 || ftruncate(memfd, PART))
		return -errno;
	if (map(ARENA_BASE, ARENA_LEN, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0) == MAP_FAILED ||
	    map(ARENA_BASE + 2 * PART, PART, rw, MAP_SHARED, memfd, 0) ==
		MAP_FAILED ||
	    map(ARENA_BASE + 3 * PART, PART, rw, MAP_PRIVATE, memfd, 0) ==
		MAP_FAILED ||
	    map(ARENA_BASE + 4 * PART, PART, rw, MAP_SHARED | MAP_ANONYMOUS,
		-1, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

uint64_t arena_addr(struct input *in, uint64_t near, uint64_t near_len)
{
	uint8_t what = input_u8(in);
	int8_t off = input_u8(in);
	uint64_t addr, step = what & 0x80 ? PAGE : 1;

	switch (what & 0xf) {
	case 0:
	case 1:
	case 2:
		addr = near;
		break;
	case 3:
	case 4:
		addr = near + near_len;
		break;
	case 5:
		addr = near + near_len / 2;
		break;
	case 6:
		addr = ARENA_BASE + GIB;
		break;
	case 7:
		addr = ARENA_BASE + 2 * GIB;
		break;
	case 8:
		addr = ARENA_BASE + ARENA_LEN;
		break;
	case 9:
		addr = (what >> 4 & 1) ? 0 : -PAGE;
		break;
	default:
		addr = ARENA_BASE + (what >> 4 & 7) * PART +
		       (what & 3) * 2 * MIB;
		break;
	}
	return addr + off * step;
}

uint64_t arena_length(struct input *in)
{
	uint8_t what = input_u8(in);
	int8_t off = input_u8(in);
	uint64_t len;

	switch (what & 0xf) {
	case 0:
		len = 0;
		break;
	case 1:
		len = 8;
		break;
	case 2:
	case 3:
		len = PAGE << (what >> 4);
		break;
	case 4:
		len = 2 * MIB;
		break;
	case 5:
		len = PART;
		break;
	case 6:
		len = GIB;
		break;
	case 7:
		len = 2 * GIB;
		break;
	case 8:
		len = 4 * GIB;
		break;
	case 9:
		len = 64 * GIB;
		break;
	case 10:
		len = -PAGE;
		break;
	case 11:
		return input_u32(in);
	default:
		len = input_u16(in);
		break;
	}
	return len + off;
}

static void touch_page(uint64_t at, bool write)
{
	volatile uint8_t *p = (volatile uint8_t *)at;

	if (sigsetjmp(touched, 1))
		return;
	if (write)
		*p = at >> 12;
	else
		(void)*p;
}

static void touch(uint64_t addr, uint64_t len, bool write)
{
	uint64_t at;

	for (at = addr; at < addr + len; at += PAGE)
		touch_page(at, write);
}

/* A child that shares the pages, looks at them and goes. */
static void fork_once(uint64_t addr, uint64_t len, bool write)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		touch(addr, len, write);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
}

static void advise(struct input *in, uint64_t addr, uint64_t len)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT,
		MADV_COLD, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_REMOVE,
		MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTFORK, MADV_DOFORK,
		MADV_WIPEONFORK,
	};

	madvise((void *)addr, len, advices[input_u8(in) % 16]);
}

static void change_file(struct input *in)
{
	uint8_t what = input_u8(in);
	off_t at = (input_u16(in) % 1024) * PAGE;

	if (what & 1)
		fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  at, (what >> 1) * PAGE);
	else if (what & 2)
		at = ftruncate(memfd, at);
	else
		at = ftruncate(memfd, PART);
}

static void remap(struct input *in, uint64_t addr, uint64_t len)
{
	uint64_t to = arena_addr(in, addr, len) & -PAGE;

	if (to < ARENA_BASE || to > ARENA_BASE + ARENA_LEN - OP_MAX)
		return;
	mremap((void *)addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

void arena_op(struct input *in, uint64_t near, uint64_t near_len)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_WRITE,
	};
	uint8_t what = input_u8(in);
	uint64_t addr = arena_addr(in, near, near_len) & -PAGE;
	uint64_t len = arena_length(in) & -PAGE;

	if (addr < ARENA_BASE || addr >= ARENA_BASE + ARENA_LEN - OP_MAX)
		addr = ARENA_BASE;
	if (!len || len > OP_MAX)
		len = (1 + (len >> 12) % (OP_MAX / PAGE)) * PAGE;
	switch (what % 12) {
	case 0:
	case 1:
		touch(addr, len, what & 0x80);
		break;
	case 2:
	case 3:
	case 4:
		advise(in, addr, len);
		break;
	case 5:
		munmap((void *)addr, len);
		break;
	case 6:
	case 7:
		map(addr, len, prots[input_u8(in) % 4],
		    MAP_ANONYMOUS | (what & 0x80 ? MAP_SHARED : MAP_PRIVATE),
		    -1, 0);
		break;
	case 8:
		map(addr, len, prots[input_u8(in) % 4],
		    what & 0x80 ? MAP_SHARED : MAP_PRIVATE, memfd, 0);
		break;
	case 9:
		mprotect((void *)addr, len, prots[input_u8(in) % 4]);
		break;
	case 10:
		if (what & 0x80)
			fork_once(addr, len, what & 0x40);
		else
			remap(in, addr, len);
		break;
	default:
		change_file(in);
		break;
	}
}
