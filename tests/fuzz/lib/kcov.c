// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kcov.h"

#define WORDS		(256UL << 10)
#define MAP_BITS	18

static int fd = -1;
static uint64_t *area;
static uint8_t seen[1 << MAP_BITS];
static size_t total;

int kcov_open(void)
{
	int err;

	fd = open("/sys/kernel/debug/kcov", O_RDWR);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, KCOV_INIT_TRACE, WORDS))
		goto fail;
	area = mmap(NULL, WORDS * sizeof(*area), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (area != MAP_FAILED)
		return 0;
fail:
	err = -errno;
	close(fd);
	fd = -1;
	return err;
}

bool kcov_works(void)
{
	return fd >= 0;
}

void kcov_start(void)
{
	if (fd < 0)
		return;
	__atomic_store_n(&area[0], 0, __ATOMIC_RELAXED);
	ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

/* A branch is a place and the place before it. */
static size_t branch(uint64_t from, uint64_t to)
{
	uint64_t hash = (from * 0x9e3779b97f4a7c15ULL ^ to) *
			0xbf58476d1ce4e5b9ULL;

	return hash >> (64 - MAP_BITS);
}

size_t kcov_collect(void)
{
	uint64_t n, i, last = 0;
	size_t found = 0;

	if (fd < 0)
		return 0;
	n = __atomic_load_n(&area[0], __ATOMIC_RELAXED);
	if (n > WORDS - 1)
		n = WORDS - 1;
	for (i = 1; i <= n; i++) {
		size_t b = branch(last, area[i]);

		last = area[i];
		if (!seen[b]) {
			seen[b] = 1;
			found++;
		}
	}
	area[0] = 0;
	total += found;
	return found;
}

size_t kcov_total(void)
{
	return total;
}
