// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "rv_disk.h"
#include "rv_log.h"
#include "rv_swap.h"
#include "rv_sys.h"

#define SWAP_MIB	96
#define SLOW_DISK	"rxe_swap"

/* What swapon() wants to see in the first page. */
struct swap_header {
	uint8_t boot[1024];
	uint32_t version;
	uint32_t last_page;
	uint32_t bad_pages;
	uint8_t rest[RV_PAGE - 1024 - 12 - 10];
	char magic[10];
};

static int write_header(const char *dev)
{
	static struct swap_header h;
	int fd, ok;

	h.version = 1;
	h.last_page = SWAP_MIB * 256 - 1;
	memcpy(h.magic, "SWAPSPACE2", sizeof(h.magic));
	fd = open(dev, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ok = write(fd, &h, sizeof(h)) == sizeof(h) && !fsync(fd);
	close(fd);
	return ok ? 0 : -EIO;
}

static int make_zram(struct rv_swap *s)
{
	char path[64];
	int err;

	if (rv_run("modprobe zram num_devices=0"))
		return -ENODEV;
	s->id = rv_get("/sys/class/zram-control/hot_add", NULL);
	if (s->id < 0)
		return -ENODEV;
	snprintf(s->path, sizeof(s->path), "/dev/zram%d", s->id);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", s->id);
	err = rv_put(path, "%dM", SWAP_MIB);
	if (!err && !rv_wait_for(!access(s->path, W_OK)))
		err = -ENODEV;
	return err;
}

/* A loop device over memory: a disk, as far as swap can tell. */
static int make_disk(struct rv_swap *s)
{
	int control, memory, err = 0;

	if (rv_run("modprobe -q loop; test -c /dev/loop-control"))
		return -ENODEV;
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return -errno;
	s->id = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (s->id < 0)
		return -errno;
	snprintf(s->path, sizeof(s->path), "/dev/loop%d", s->id);
	if (!rv_wait_for(!access(s->path, W_OK)))
		return -ENODEV;
	memory = memfd_create("swap", MFD_CLOEXEC);
	s->fd = open(s->path, O_RDWR | O_CLOEXEC);
	if (memory < 0 || s->fd < 0 ||
	    ftruncate(memory, SWAP_MIB * 1024L * 1024) ||
	    ioctl(s->fd, LOOP_SET_FD, memory))
		err = -errno;
	if (memory >= 0)
		close(memory);
	return err;
}

static int make_slow_disk(struct rv_swap *s)
{
	char settings[64];

	/* mode 2 is by a timer */
	snprintf(settings, sizeof(settings), "irqmode=2 completion_nsec=%d",
		 RV_SLOW_DISK_MS * 1000000);
	rv_disk_remove(SLOW_DISK);
	return rv_disk_make(SLOW_DISK, SWAP_MIB, settings, s->path);
}

static int make_device(struct rv_swap *s)
{
	switch (s->kind) {
	case RV_ZRAM:
		return make_zram(s);
	case RV_DISK:
		return make_disk(s);
	default:
		return make_slow_disk(s);
	}
}

int rv_swap_start(struct rv_swap *s, enum rv_swap_kind kind)
{
	int err;

	s->kind = kind;
	s->id = -1;
	s->fd = -1;
	err = make_device(s);
	if (!err)
		err = write_header(s->path);
	if (!err && swapon(s->path, 0))
		err = -errno;
	s->on = !err;
	return err;
}

void rv_swap_stop(struct rv_swap *s)
{
	char path[64];

	if (s->on && swapoff(s->path))
		rv_log("swapoff %s: %s", s->path, strerror(errno));
	if (s->kind == RV_SLOW_DISK) {
		rv_disk_remove(SLOW_DISK);
	} else if (s->fd >= 0) {
		ioctl(s->fd, LOOP_CLR_FD, 0);
		close(s->fd);
	} else if (s->id >= 0) {
		snprintf(path, sizeof(path), "/sys/block/zram%d/reset", s->id);
		rv_put(path, "1");
		rv_put("/sys/class/zram-control/hot_remove", "%d", s->id);
	}
}

/*
 * Pages that were faulted in a moment ago may wait in a list of the processor
 * that did it, where reclaim does not see them. The advice empties the list of
 * the processor that it is given on, so it is given on all of them.
 */
static bool all_out(struct rv_buf *b)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return false;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		madvise(b->base, b->len, MADV_PAGEOUT);
	}
	sched_setaffinity(0, sizeof(all), &all);
	return !rv_pages(b->base, b->len, PAGE_IS_PRESENT);
}

bool rv_reclaimed(void *base, size_t len, const void *page)
{
	madvise(base, len, MADV_PAGEOUT);
	return rv_pages(page, RV_PAGE, PAGE_IS_PRESENT) == 0;
}

/* What is in flight to swap takes a moment. */
int rv_page_out(struct rv_buf *b)
{
	if (rv_wait_for(all_out(b)))
		return 0;
	rv_log("%lld pages are still there",
	       (long long)rv_pages(b->base, b->len, PAGE_IS_PRESENT));
	return -ETIMEDOUT;
}

/* How many pages need not be read, be they in memory or just not forgotten? */
static size_t incore(struct rv_buf *b)
{
	unsigned char vec[b->len / RV_PAGE];
	size_t i, n = 0;

	if (mincore(b->base, b->len, vec))
		return b->len;
	for (i = 0; i < b->len / RV_PAGE; i++)
		n += vec[i] & 1;
	return n;
}

/* What has been written stays in the swap cache until somebody wants memory. */
static bool all_forgotten(struct rv_buf *b, const char *group)
{
	if (!incore(b))
		return true;
	rv_group_put(group, "memory.reclaim", "1M");
	return false;
}

int rv_page_out_all(struct rv_buf *b, const char *group)
{
	int err = rv_page_out(b);

	if (!err && !rv_wait_for(all_forgotten(b, group))) {
		rv_log("%zu pages are in the swap cache", incore(b));
		err = -ETIMEDOUT;
	}
	return err;
}
