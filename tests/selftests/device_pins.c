// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that somebody else holds for DMA: a fixed buffer of io_uring, and
 * direct I/O under way. It comes to RAM first, stays there for as long as it is
 * held, and all three see the same bytes: the disk or file, the NIC, the CPU.
 *
 * Needs root, and null_blk for a slow disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(2 * RV_HUGE)
#define PAGES	((int64_t)(LEN / RV_PAGE))
#define BLOCK	((int64_t)(RV_HUGE / RV_PAGE))
/* The part that is held: within one huge page. */
#define OFF	(50 * RV_PAGE)
#define PART	(48 * RV_PAGE)
#define DISK	"rxe_pins"

FIXTURE(device_pins)
{
	struct rv_ends e;
	int64_t held;		/* pages that a hold on the part keeps in RAM */
	int ring, disk;
};

FIXTURE_VARIANT(device_pins)
{
	int advice;
};

FIXTURE_VARIANT_ADD(device_pins, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(device_pins, thp)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(device_pins)
{
	self->ring = self->disk = -1;
	if (geteuid())
		SKIP(return, "not root");
	rv_disk_remove(DISK);
	self->held = PART / RV_PAGE;
	ASSERT_EQ(0, rv_dmem_init(&self->e, NULL, "32M", LEN,
				  variant->advice));
	ASSERT_EQ(PAGES, rv_promote(self->e.mr_b, 0, LEN));
}

FIXTURE_TEARDOWN(device_pins)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
	close(self->ring);
	close(self->disk);
	rv_disk_remove(DISK);
}

/* Both ways across the borders of the part, blind. */
static int nic_some(struct rv_ends *e)
{
	size_t n, at;
	int i, res = 0;

	for (i = 0; i < rv_shrink(8) * 2 && !res; i++) {
		n = rv_rand_len(1, 20000);
		at = OFF - 20000 + rv_rand_below(PART + 20000);
		res = i % 2 ? rv_ends_read_blind(e, 7, at, n) :
			      rv_ends_write_blind(e, i * 999, at, n);
	}
	return res;
}

/* --- io_uring -------------------------------------------------------------- */

static int ring_register(int ring, unsigned int what, const void *arg,
			 unsigned int n)
{
	return syscall(SYS_io_uring_register, ring, what, arg, n) ? -errno : 0;
}

static void *ring_map(int ring, size_t len, off_t at)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED |
		       MAP_POPULATE, ring, at);

	return p == MAP_FAILED ? NULL : p;
}

/* A request for all of fixed buffer 0: its result. */
static int ring_run(int ring, const struct io_uring_params *p, int op, int fd,
		    const struct iovec *iov)
{
	size_t sq_len = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
	size_t cq_len = p->cq_off.cqes +
			p->cq_entries * sizeof(struct io_uring_cqe);
	struct io_uring_sqe *sqes = ring_map(ring, RV_PAGE, IORING_OFF_SQES);
	uint8_t *sq = ring_map(ring, sq_len, IORING_OFF_SQ_RING);
	uint8_t *cq = ring_map(ring, cq_len, IORING_OFF_CQ_RING);
	uint32_t *tail, *head, mask;
	int res;

	if (!sqes || !sq || !cq)
		return -ENOMEM;
	tail = (uint32_t *)(sq + p->sq_off.tail);
	mask = *(uint32_t *)(sq + p->sq_off.ring_mask);
	sqes[*tail & mask] = (struct io_uring_sqe){
		.opcode = op,
		.fd = fd,
		.addr = (uintptr_t)iov->iov_base,
		.len = iov->iov_len,
	};
	((uint32_t *)(sq + p->sq_off.array))[*tail & mask] = *tail & mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return -errno;
	head = (uint32_t *)(cq + p->cq_off.head);
	mask = *(uint32_t *)(cq + p->cq_off.ring_mask);
	res = ((struct io_uring_cqe *)(cq + p->cq_off.cqes))[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	munmap(sqes, RV_PAGE);
	munmap(sq, sq_len);
	munmap(cq, cq_len);
	return res;
}

TEST_F(device_pins, io_uring)
{
	struct rv_ends *e = &self->e;
	struct rv_buf *b = &e->mem_b;
	struct iovec iov = { b->base + OFF, PART };
	struct io_uring_params p = {};
	uint8_t *file;
	int fd;

	self->ring = syscall(SYS_io_uring_setup, 2, &p);
	if (self->ring < 0)
		SKIP(return, "no io_uring in this kernel's configuration");
	fd = memfd_create("fixed", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(fd, PART));
	file = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, file);

	ASSERT_EQ(0, ring_register(self->ring, IORING_REGISTER_BUFFERS, &iov, 1));
	ASSERT_EQ(0, rv_on_device(e->mr_b, OFF, PART));
	if (variant->advice == MADV_HUGEPAGE)
		self->held = BLOCK;
	ASSERT_EQ(0, rv_promote_but(&e->dev, e->mr_b, RXE_HMM_SKIP_PINNED,
				    self->held));
	ASSERT_EQ(PAGES - self->held, rv_on_device(e->mr_b, 0, LEN));

	ASSERT_RV_OK(nic_some(e));
	ASSERT_EQ(PART, ring_run(self->ring, &p, IORING_OP_WRITE_FIXED, fd, &iov));
	ASSERT_EQ(0, rv_compare("file", file, rv_buf_shadow(b, OFF), PART));
	rv_rand_fill(file, PART);
	ASSERT_EQ(PART, ring_run(self->ring, &p, IORING_OP_READ_FIXED, fd, &iov));
	rv_buf_expect(b, OFF, file, PART);
	ASSERT_RV_OK(rv_ends_read_blind(e, 5, OFF - 99, PART + 200));
	ASSERT_RV_OK(nic_some(e));
	ASSERT_EQ(PAGES - self->held, rv_on_device(e->mr_b, 0, LEN));

	ASSERT_EQ(0, ring_register(self->ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	ASSERT_TRUE(rv_wait_for(rv_promote(e->mr_b, 0, LEN) < 0 ||
				rv_on_device(e->mr_b, 0, LEN) == PAGES));
	ASSERT_RV_OK(nic_some(e));
	ASSERT_RV_OK(rv_ends_check(e));
	munmap(file, PART);
	close(fd);
}

/* --- direct I/O ------------------------------------------------------------ */

/*
 * A disk that takes 16 KiB in each 20 ms, and only then looks at the memory:
 * the part is held for a quarter of a second.
 */
static int open_disk(void)
{
	char path[64];
	int err = rv_disk_make(DISK, 16, "max_sectors=32 mbps=1", path);

	return err ? err : open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

struct transfer {
	int fd;
	bool write;
	void *at;
	ssize_t result;
	bool done;
	pthread_t thread;
};

static void *transfer(void *arg)
{
	struct transfer *t = arg;

	t->result = t->write ? pwrite(t->fd, t->at, PART, 0) :
			       pread(t->fd, t->at, PART, 0);
	__atomic_store_n(&t->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * Promote all of it again and again, and have the NIC use what is around the
 * part, until the transfer is over: how often pages were held, or an error.
 */
static int64_t meanwhile(struct rv_ends *e, struct transfer *t)
{
	struct rxe_hmm_migrate_resp resp;
	int64_t held = 0;
	int err = 0;

	while (!err && !__atomic_load_n(&t->done, __ATOMIC_ACQUIRE)) {
		err = rv_hmm_migrate(e->mr_b, 0, LEN, RV_DEVICE, &resp);
		held += !err && resp.skipped[RXE_HMM_SKIP_PINNED];
		if (!err)
			err = rv_ends_write_blind(e, 3, OFF - 9000, 9000);
		if (!err)
			err = rv_ends_write_blind(e, 9, OFF + PART, 9000);
	}
	pthread_join(t->thread, NULL);
	return err ? err : held;
}

TEST_F_TIMEOUT(device_pins, direct_io, 120)
{
	struct rv_ends *e = &self->e;
	struct rv_buf *b = &e->mem_b;
	struct transfer t = { .at = b->base + OFF };
	void *disk;
	int i;

	t.fd = self->disk = open_disk();
	if (t.fd == -ENODEV)
		SKIP(return, "no null_blk in this kernel's configuration");
	ASSERT_LE(0, t.fd);
	ASSERT_EQ(0, posix_memalign(&disk, RV_PAGE, PART));
	for (i = 0; i < 4; i++) {
		t.write = i % 2;
		t.done = false;
		if (!t.write) {
			rv_rand_fill(disk, PART);
			ASSERT_EQ(PART, pwrite(t.fd, disk, PART, 0));
		}
		ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		ASSERT_EQ(PAGES, rv_on_device(e->mr_b, 0, LEN));
		ASSERT_EQ(0, pthread_create(&t.thread, NULL, transfer, &t));
		ASSERT_LT(0, meanwhile(e, &t)) TH_LOG("never held");
		ASSERT_EQ(PART, t.result);
		if (t.write) {
			ASSERT_EQ(PART, pread(t.fd, disk, PART, 0));
			ASSERT_EQ(0, rv_compare("disk", disk,
						rv_buf_shadow(b, OFF), PART));
		} else {
			rv_buf_expect(b, OFF, disk, PART);
		}
		ASSERT_RV_OK(rv_ends_read_blind(e, 5, OFF - 99, PART + 200));
		ASSERT_LE(0, rv_promote(e->mr_b, 0, LEN));
		ASSERT_RV_OK(nic_some(e));
		ASSERT_RV_OK(rv_ends_check(e));
	}
	free(disk);
}

RV_HARNESS_MAIN
