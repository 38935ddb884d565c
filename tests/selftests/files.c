// SPDX-License-Identifier: GPL-2.0
/*
 * Regions over mapped files. Through a shared mapping, what the device writes
 * is in the file and reaches the disk; through a private one it does not. Where
 * the file ends, so does the memory.
 *
 * Needs root for mounts of its own, and the module brd for a disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define PAGES	64UL
#define LEN	(PAGES * RV_PAGE)
#define DIR	"/tmp/rxe-hmm-files"
#define DISK	"/dev/ram0"

enum fs { TMPFS, MEMFD, EXT4 };

FIXTURE(files)
{
	struct rv_ends e;
	int fd;
	uint8_t *map;		/* what is registered */
	uint8_t *view;		/* another mapping of the file, shared */
};

FIXTURE_VARIANT(files)
{
	enum fs fs;
	bool shared;
};

#define VARIANT(_name, _fs, _shared)				\
	FIXTURE_VARIANT_ADD(files, _name)			\
	{							\
		.fs = _fs,					\
		.shared = _shared,				\
	}

VARIANT(tmpfs_shared, TMPFS, true);
VARIANT(tmpfs_private, TMPFS, false);
VARIANT(memfd_shared, MEMFD, true);
VARIANT(memfd_private, MEMFD, false);
VARIANT(ext4_shared, EXT4, true);
VARIANT(ext4_private, EXT4, false);

/* A file system of our own at DIR, which goes away with this process. */
static int mount_fs(enum fs fs)
{
	int err = rv_own_mounts();

	if (err)
		return err;
	if (rv_run("mkdir -p " DIR))
		return -EIO;
	if (fs == TMPFS)
		return mount("none", DIR, "tmpfs", 0, "size=16m") ? -errno : 0;
	/* What busybox makes is an ext2; the ext4 driver takes it. */
	if (rv_run("modprobe brd rd_nr=1 rd_size=32768; "
		   "mkfs.ext4 -q -F " DISK " 2>/dev/null || "
		   "busybox mke2fs -b 4096 " DISK " >/dev/null") ||
	    mount(DISK, DIR, "ext4", 0, NULL))
		return -EIO;
	return 0;
}

static int open_file(enum fs fs)
{
	int fd;

	if (fs == MEMFD)
		fd = memfd_create("file", MFD_CLOEXEC);
	else
		fd = open(DIR "/file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0600);
	if (fd >= 0 && ftruncate(fd, LEN))
		return -errno;
	return fd < 0 ? -errno : fd;
}

FIXTURE_SETUP(files)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	self->fd = -1;
	if (variant->fs != MEMFD) {
		if (geteuid())
			SKIP(return, "mounting needs root");
		ASSERT_EQ(0, mount_fs(variant->fs));
	}
	self->fd = open_file(variant->fs);
	ASSERT_LE(0, self->fd);
	self->map = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 variant->shared ? MAP_SHARED : MAP_PRIVATE, self->fd,
			 0);
	ASSERT_NE(MAP_FAILED, self->map);
	self->view = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
			  self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->view);

	ASSERT_EQ(0, rv_ends_open(e, &opts, 128 * 1024));
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_adopt(&e->mem_b, self->map, LEN));
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(files)
{
	rv_ends_fini(&self->e);
	munmap(self->map, LEN);
	munmap(self->view, LEN);
	close(self->fd);
	if (variant->fs != MEMFD)
		umount2(DIR, MNT_DETACH);
}

/* Random bytes into the file by write(), and into the shadow. */
static int fill_file(struct rv_ends *e, int fd, size_t off, size_t len)
{
	uint8_t *bytes = rv_buf_shadow(&e->mem_b, off);

	rv_rand_fill(bytes, len);
	return pwrite(fd, bytes, len, off) == len ? 0 : -EIO;
}

static int write_any(struct rv_ends *e)
{
	size_t len = rv_rand_len(1, 20000);

	return rv_ends_write(e, rv_rand_below(e->mem_a.len - len + 1),
			     rv_rand_below(LEN - len + 1), len);
}

static int read_any(struct rv_ends *e)
{
	size_t len = rv_rand_len(1, 20000);

	return rv_ends_read(e, rv_rand_below(e->mem_a.len - len + 1),
			    rv_rand_below(LEN - len + 1), len);
}

static int access_many(struct rv_ends *e, int n)
{
	int res = 0;

	while (n-- && !res)
		res = rv_rand_below(3) ? write_any(e) : read_any(e);
	return res;
}

/* What read() gives, against bytes. */
static int check_file(int fd, const uint8_t *want)
{
	static uint8_t seen[LEN];

	if (pread(fd, seen, LEN, 0) != LEN) {
		rv_log("pread: %s", strerror(errno));
		return -1;
	}
	return rv_compare("file", seen, want, LEN);
}

/* What is on the disk, past the page cache. */
static int check_disk(const uint8_t *want)
{
	static uint8_t seen[LEN] __attribute__((aligned(4096)));
	int fd = open(DIR "/file", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		rv_log("open for direct reads: %s", strerror(errno));
		return -1;
	}
	n = read(fd, seen, LEN);
	close(fd);
	if (n != LEN) {
		rv_log("direct read: %zd", n);
		return -1;
	}
	return rv_compare("disk", seen, want, LEN);
}

/* Into holes, and over what write() has put there. */
TEST_F_TIMEOUT(files, device_writes, 120)
{
	struct rv_ends *e = &self->e;
	uint8_t *before = malloc(LEN);
	int i;

	ASSERT_NE(NULL, before);
	ASSERT_RV_OK(access_many(e, 3));
	if (!variant->shared) {
		/* What is private by now hides what the file gets. */
		memset(before, 0, LEN);
		ASSERT_EQ(0, check_file(self->fd, before));
		ASSERT_EQ(0, madvise(self->map, LEN, MADV_DONTNEED));
	}
	ASSERT_EQ(0, fill_file(e, self->fd, 0, LEN));
	memcpy(before, rv_buf_shadow(&e->mem_b, 0), LEN);
	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_RV_OK(access_many(e, 4));
		ASSERT_EQ(0, check_file(self->fd, variant->shared ?
					rv_buf_shadow(&e->mem_b, 0) : before));
		ASSERT_EQ(0, rv_compare("other mapping", self->view,
					variant->shared ?
					rv_buf_shadow(&e->mem_b, 0) : before,
					LEN));
	}
	free(before);
}

/* write() and another mapping change the file: the device reads that. */
TEST_F_TIMEOUT(files, file_changes, 120)
{
	struct rv_ends *e = &self->e;
	size_t off, len;
	int i;

	ASSERT_EQ(0, fill_file(e, self->fd, 0, LEN));
	for (i = 0; i < rv_shrink(6); i++) {
		ASSERT_RV_OK(read_any(e));
		off = rv_rand_below(LEN - 5000);
		len = rv_rand_between(1, 5000);
		ASSERT_EQ(0, fill_file(e, self->fd, off, len));
		ASSERT_RV_OK(rv_ends_read(e, 0, off, len));
		off = rv_rand_below(LEN - 5000);
		rv_rand_fill(self->view + off, len);
		rv_buf_expect(&e->mem_b, off, self->view + off, len);
		ASSERT_RV_OK(rv_ends_read(e, 0, off, len));
	}
}

/*
 * Cleaned by write-back, then written by the device again without a fault of
 * the process: the second time has to reach the disk as well.
 */
TEST_F_TIMEOUT(files, write_back, 120)
{
	struct rv_ends *e = &self->e;
	uint8_t *want = rv_buf_shadow(&e->mem_b, 0);
	struct ibv_sge sge;
	size_t page;
	int i;

	if (variant->fs != EXT4 || !variant->shared)
		return;
	for (i = 0; i < rv_shrink(6); i++) {
		for (page = 0; page < PAGES - 2; page += 3) {
			size_t len = rv_rand_len(1, 2 * RV_PAGE);
			size_t a = rv_rand_below(e->mem_a.len - len);

			sge = rv_ends_sge_a(e, a, len);
			ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				rv_ends_remote(e, page * RV_PAGE + 5)));
			rv_buf_expect(&e->mem_b, page * RV_PAGE + 5,
				      e->mem_a.base + a, len);
		}
		switch (i % 3) {
		case 0:
			ASSERT_EQ(0, fsync(self->fd));
			break;
		case 1:
			ASSERT_EQ(0, msync(self->map, LEN, MS_SYNC));
			break;
		case 2:
			ASSERT_EQ(0, sync_file_range(self->fd, 0, LEN,
					SYNC_FILE_RANGE_WAIT_BEFORE |
					SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER));
			ASSERT_EQ(0, fsync(self->fd));
			break;
		}
		ASSERT_EQ(0, check_disk(want));
		ASSERT_RV_OK(rv_ends_check(e));
		/* Out of the page table, and out of the cache. */
		if (i % 2) {
			ASSERT_EQ(0, madvise(self->view, LEN, MADV_PAGEOUT));
			ASSERT_EQ(0, madvise(self->map, LEN, MADV_PAGEOUT));
			ASSERT_RV_OK(read_any(e));
		}
	}
}

/* Write-back all the time, under writes. */
TEST_F_TIMEOUT(files, write_back_under_traffic, 120)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_writes(e, e->mem_a.len);
	uint64_t until;

	t.check = true;
	if (variant->fs != EXT4 || !variant->shared)
		return;
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, &opts, 1));
	until = rv_now_ms() + rv_shrink(1500);
	while (rv_now_ms() < until) {
		ASSERT_EQ(0, sync_file_range(self->fd, 0, LEN,
					     SYNC_FILE_RANGE_WRITE));
		ASSERT_EQ(0, fsync(self->fd));
		ASSERT_EQ(0, rv_traffic_more(&t, 1));
	}
	ASSERT_RV(0, rv_traffic_stop(&t));
	/* No more writes: what is in memory is what the disk must have. */
	rv_buf_learn(&e->mem_b);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, check_disk(rv_buf_shadow(&e->mem_b, 0)));
}

static int one(struct rv_ends *e, bool write, size_t off, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 0, len);

	if (write)
		return rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off));
	return rv_read(&e->pair.a, &sge, 1, rv_ends_remote(e, off));
}

#define ASSERT_NO_ACCESS(_off, _len) do {				\
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,				\
		  one(&self->e, false, (_off), (_len)));		\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,				\
		  one(&self->e, true, (_off), (_len)));			\
	ASSERT_EQ(0, rv_pair_again(&self->e.pair));			\
} while (0)

/* The file gets shorter under the region, and longer again. */
TEST_F_TIMEOUT(files, truncate, 120)
{
	struct rv_ends *e = &self->e;
	size_t keep, edge;
	int i;

	ASSERT_EQ(0, fill_file(e, self->fd, 0, LEN));
	for (i = 0; i < rv_shrink(4); i++) {
		ASSERT_RV_OK(access_many(e, 3));
		keep = rv_rand_between(RV_PAGE, LEN / 2);
		if (i % 2)
			keep &= ~(RV_PAGE - 1);
		ASSERT_EQ(0, ftruncate(self->fd, keep));
		edge = (keep + RV_PAGE - 1) & ~(RV_PAGE - 1);
		ASSERT_NO_ACCESS(edge, 100);
		ASSERT_NO_ACCESS(edge - 50, 100);
		ASSERT_NO_ACCESS(LEN - 100, 100);
		/* To the end, and over it within the page, it works. */
		ASSERT_RV_OK(one(e, false, edge - 60, 60));
		rv_buf_expect(&e->mem_a, 0, self->map + edge - 60, 60);
		ASSERT_EQ(0, ftruncate(self->fd, LEN));
		/*
		 * What follows is zero; in a private page, only if the page
		 * was dropped, and the last one is not.
		 */
		rv_buf_expect_byte(&e->mem_b, edge, 0, LEN - edge);
		if (variant->shared)
			rv_buf_expect_byte(&e->mem_b, keep, 0, edge - keep);
		else
			rv_buf_expect(&e->mem_b, keep, self->map + keep,
				      edge - keep);
		ASSERT_RV_OK(rv_ends_read(e, 0, keep - 100, 20000));
		ASSERT_RV_OK(write_any(e));
	}
}

/* A hole in the file: zeros, and a place to write to. */
TEST_F_TIMEOUT(files, punch, 120)
{
	struct rv_ends *e = &self->e;
	size_t off, len;
	int i;

	ASSERT_EQ(0, fill_file(e, self->fd, 0, LEN));
	for (i = 0; i < rv_shrink(4); i++) {
		if (!variant->shared) {
			/* Private pages stay: have none. */
			ASSERT_EQ(0, madvise(self->map, LEN, MADV_DONTNEED));
			ASSERT_EQ(LEN, pread(self->fd,
					     rv_buf_shadow(&e->mem_b, 0), LEN,
					     0));
		}
		ASSERT_RV_OK(read_any(e));
		off = RV_PAGE * rv_rand_below(PAGES / 2);
		len = RV_PAGE * rv_rand_between(1, PAGES / 2);
		ASSERT_RV_OK(one(e, false, off, 2 * RV_PAGE));
		rv_buf_learn(&e->mem_a);
		ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, off, len));
		rv_buf_expect_byte(&e->mem_b, off, 0, len);
		ASSERT_RV_OK(rv_ends_read(e, 0, off, len < 50000 ? len :
					  50000));
		rv_rand_fill(e->mem_a.base, 50000);
		rv_buf_learn(&e->mem_a);
		ASSERT_RV_OK(rv_ends_write(e, 0, off + 100, len / 2));
		ASSERT_RV_OK(access_many(e, 3));
		if (variant->shared)
			ASSERT_EQ(0, check_file(self->fd,
						rv_buf_shadow(&e->mem_b, 0)));
	}
}

/* Another process maps the file; each sees what the other's side writes. */
TEST_F_TIMEOUT(files, other_process, 120)
{
	struct rv_ends *e = &self->e;
	int i, status;
	pid_t pid;

	if (!variant->shared)
		return;
	for (i = 0; i < rv_shrink(3); i++) {
		ASSERT_RV_OK(access_many(e, 3));
		rv_rand_fill(rv_buf_shadow(&e->mem_b, 777), 30000);
		pid = fork();
		if (!pid) {
			/* All but the bytes that it writes itself. */
			memcpy(self->view + 777,
			       rv_buf_shadow(&e->mem_b, 777), 30000);
			_exit(rv_compare("in another process", self->map,
					 rv_buf_shadow(&e->mem_b, 0), LEN) ?
			      1 : 0);
		}
		status = rv_reap(pid);
		ASSERT_EQ(0, status);
		ASSERT_RV_OK(rv_ends_read(e, 0, 700, 31000));
	}
}

/* Things that are about files as such, each with its own. */
FIXTURE(odd_files)
{
	struct rv_ends e;
};

FIXTURE_SETUP(odd_files)
{
	struct rv_opts opts = { .mtu = 4096 };

	if (geteuid())
		SKIP(return, "mounting needs root");
	ASSERT_EQ(0, mount_fs(TMPFS));
	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, RV_ODP, RV_ODP));
	ASSERT_EQ(0, ibv_dereg_mr(self->e.mr_b));
	self->e.mr_b = NULL;
	rv_buf_free(&self->e.mem_b);
}

FIXTURE_TEARDOWN(odd_files)
{
	rv_ends_fini(&self->e);
	umount2(DIR, MNT_DETACH);
}

/* The file system is full: the process would get SIGBUS. */
TEST_F_TIMEOUT(odd_files, no_space, 120)
{
	struct rv_ends *e = &self->e;
	int fd, res = 0;
	size_t page;
	uint8_t *map;

	ASSERT_EQ(0, mount("none", DIR, "tmpfs", 0, "size=64k"));
	fd = open(DIR "/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, rv_buf_adopt(&e->mem_b, map, LEN));
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	for (page = 0; page < PAGES && !res; page++)
		res = one(e, true, page * RV_PAGE + 9, 1000);
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, res);
	ASSERT_LE(8, page);
	ASSERT_GE(17, page);
	/* What was written before is there. */
	for (page -= 2; page; page--)
		ASSERT_EQ(0, rv_compare("page", map + page * RV_PAGE + 9,
					e->mem_a.base, 1000));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, RV_PAGE));
	ASSERT_RV_OK(one(e, true, 40 * RV_PAGE + 9, 1000));
	munmap(map, LEN);
	close(fd);
}

/* A file that may only be read. */
TEST_F_TIMEOUT(odd_files, read_only, 120)
{
	struct rv_ends *e = &self->e;
	uint8_t *map;
	int fd;

	fd = open(DIR "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, write(fd, e->mem_a.base, LEN));
	close(fd);
	fd = open(DIR "/file", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	map = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, rv_buf_adopt(&e->mem_b, map, LEN));
	rv_buf_learn(&e->mem_b);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, one(e, true, 5000, 100));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV_OK(rv_ends_read(e, 3, 4000, 30000));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR, one(e, true, 5000, 100));
	ASSERT_RV_OK(rv_ends_check(e));
	munmap(map, LEN);
	close(fd);
}

RV_HARNESS_MAIN
