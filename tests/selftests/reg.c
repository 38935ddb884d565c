// SPDX-License-Identifier: GPL-2.0
/*
 * Registration: what may be registered, what it costs, what the device says
 * of itself, and that it all goes away again.
 */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define GIB	(1UL << 30)
#define LEN	(64UL * 1024)

/* A kibibyte figure of a file in /proc, or -1. */
static long proc_kib(const char *path, const char *field)
{
	size_t len = strlen(field);
	char line[256];
	long kib = -1;
	FILE *f;

	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && line[len] == ':')
			kib = strtol(line + len + 1, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static long mem_free(void)
{
	return proc_kib("/proc/meminfo", "MemFree");
}

/* Address space without memory behind it, to be had a small page at a time. */
static uint8_t *reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

FIXTURE(reg)
{
	struct rv_ends e;	/* mem_a pinned, mem_b for whatever */
};

FIXTURE_SETUP(reg)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, NULL, LEN));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
}

FIXTURE_TEARDOWN(reg)
{
	rv_ends_fini(&self->e);
}

/* Write some bytes of mem_a to an address and look at them there. */
static int poke(struct rv_ends *e, struct ibv_mr *mr, uint8_t *at, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, rv_rand_below(LEN - len), len);
	int res = rv_write(&e->pair.a, &sge, 1, RV_REMOTE(mr, at));

	if (!res && rv_compare("written", at, (void *)(uintptr_t)sge.addr, len))
		res = -EBADMSG;
	return res;
}

static const size_t sizes[] = {
	RV_PAGE, GIB, 2 * GIB, 3 * GIB, 4 * GIB, 5 * GIB, 64 * GIB,
	(2 * GIB) - RV_PAGE, (4 * GIB) - RV_PAGE, (4 * GIB) + RV_PAGE,
};

TEST_F(reg, sizes)
{
	struct ibv_mr *mr;
	size_t at, size;
	uint8_t *mem;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i];
		mem = reserve(size);
		ASSERT_NE(NULL, mem);
		mr = ibv_reg_mr(self->e.dev.pd, mem, size, RV_ACCESS | RV_ODP);
		EXPECT_NE(NULL, mr) {
			TH_LOG("%zu pages: %s", size / RV_PAGE, strerror(errno));
			munmap(mem, size);
			continue;
		}
		ASSERT_EQ(size, mr->length);
		ASSERT_RV_OK(poke(&self->e, mr, mem, 100));
		ASSERT_RV_OK(poke(&self->e, mr, mem + size - 100, 100));
		for (at = 8 * RV_PAGE; at < size; at *= 2)
			ASSERT_RV_OK(poke(&self->e, mr, mem + at - 50, 100));
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  poke(&self->e, mr, mem + size - 99, 100));
		ASSERT_EQ(0, rv_pair_again(&self->e.pair));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		munmap(mem, size);
	}
}

/* Over the borders between gibibytes, by one packet and by many. */
TEST_F(reg, gibibyte_borders)
{
	uint8_t *mem = reserve(4 * GIB);
	struct ibv_mr *mr;
	uint8_t *border;
	size_t len;

	ASSERT_NE(NULL, mem);
	mr = ibv_reg_mr(self->e.dev.pd, mem, 4 * GIB, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr) TH_LOG("%s", strerror(errno));
	border = (uint8_t *)(((uintptr_t)mem + GIB - 1) & ~(GIB - 1));
	for (; border < mem + 4 * GIB - LEN; border += GIB) {
		if (border < mem + LEN)
			continue;
		for (len = 2; len <= 32 * 1024; len *= 4) {
			ASSERT_RV_OK(poke(&self->e, mr, border - len / 2, len));
			ASSERT_RV_OK(poke(&self->e, mr, border - len, len));
			ASSERT_RV_OK(poke(&self->e, mr, border, len));
			ASSERT_RV_OK(poke(&self->e, mr, border - 1, len));
		}
	}
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	munmap(mem, 4 * GIB);
}

/* Kibibytes that the registration of a range takes, the best of five. */
static long cost(struct ibv_pd *pd, uint8_t *mem, size_t len)
{
	long before, took, best = 1L << 40;
	struct ibv_mr *mr;
	int i;

	for (i = 0; i < 5; i++) {
		before = mem_free();
		mr = ibv_reg_mr(pd, mem, len, RV_ACCESS | RV_ODP);
		if (!mr)
			return -1;
		took = before - mem_free();
		if (took < best)
			best = took;
		ibv_dereg_mr(mr);
	}
	return best;
}

TEST_F(reg, costs_no_memory)
{
	uint8_t *mem = reserve(64 * GIB);
	long small, large;

	ASSERT_NE(NULL, mem);
	small = cost(self->e.dev.pd, mem, RV_PAGE);
	large = cost(self->e.dev.pd, mem, 64 * GIB);
	ASSERT_LE(0, large + 1024) TH_LOG("64 GiB: %s", strerror(errno));
	ASSERT_NE(-1, large);
	ASSERT_LT(large, small + 1024)
		TH_LOG("4 KiB takes %ld KiB, 64 GiB take %ld KiB", small,
		       large);
	munmap(mem, 64 * GIB);
}

/* A process that may lock one page of memory. */
static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	struct rlimit page = { RV_PAGE, RV_PAGE };

	if (syscall(SYS_capget, &hdr, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].permitted &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &hdr, data) || setrlimit(RLIMIT_MEMLOCK, &page))
		return -errno;
	return 0;
}

TEST(needs_no_memlock)
{
	struct rv_ends e;

	ASSERT_EQ(0, drop_ipc_lock());
	ASSERT_EQ(0, rv_ends_open(&e, NULL, LEN));
	/* The limit works: */
	errno = 0;
	ASSERT_EQ(NULL, ibv_reg_mr(e.dev.pd, e.mem_a.base, LEN, RV_ACCESS));
	ASSERT_EQ(ENOMEM, errno);
	/* and does not matter: */
	e.mr_a = rv_reg_all(&e.dev, &e.mem_a, RV_ACCESS | RV_ODP);
	e.mr_b = rv_reg_all(&e.dev, &e.mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e.mr_a);
	ASSERT_NE(NULL, e.mr_b);
	ASSERT_RV_OK(rv_ends_write(&e, 100, 200, 50000));
	ASSERT_RV_OK(rv_ends_read(&e, 100, 200, 50000));
	rv_ends_fini(&e);
}

TEST_F(reg, pins_nothing)
{
	long pinned = proc_kib("/proc/self/status", "VmPin");

	ASSERT_LE(LEN / 1024, pinned);
	self->e.mr_b = rv_reg_all(&self->e.dev, &self->e.mem_b,
				  RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->e.mr_b);
	ASSERT_RV_OK(rv_ends_write(&self->e, 100, 200, 50000));
	ASSERT_EQ(pinned, proc_kib("/proc/self/status", "VmPin"));
	ASSERT_EQ(0, proc_kib("/proc/self/status", "VmLck"));
}

/* What the device says it can do, which ops.c and datagram.c show it can. */
TEST_F(reg, capabilities)
{
	struct ibv_odp_caps *odp = &self->e.dev.attr.odp_caps;
	const uint32_t rc = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV |
			    IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ |
			    IBV_ODP_SUPPORT_ATOMIC | IBV_ODP_SUPPORT_SRQ_RECV;
	const uint32_t ud = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV |
			    IBV_ODP_SUPPORT_SRQ_RECV;
	const uint32_t uc = ud | IBV_ODP_SUPPORT_WRITE;

	EXPECT_EQ(IBV_ODP_SUPPORT | IBV_ODP_SUPPORT_IMPLICIT,
		  odp->general_caps);
	EXPECT_EQ(rc, odp->per_transport_caps.rc_odp_caps & rc);
	EXPECT_EQ(uc, odp->per_transport_caps.uc_odp_caps);
	EXPECT_EQ(ud, odp->per_transport_caps.ud_odp_caps);
}

/* Any start, any length; the bytes around it are out of reach. */
TEST_F(reg, unaligned)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge;
	int i;

	for (i = 0; i < rv_shrink(30); i++) {
		size_t len = rv_rand_len(1, LEN - RV_PAGE);
		size_t off = rv_rand_between(1, LEN - len - 1);

		e->mr_b = rv_reg(&e->dev, &e->mem_b, off, len,
				 RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, e->mr_b);
		ASSERT_RV_OK(rv_ends_write(e, 3, off, len));
		ASSERT_RV_OK(rv_ends_read(e, 5, off + len - 1, 1));
		sge = rv_ends_sge_a(e, 5, 1);
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  rv_read(&e->pair.a, &sge, 1,
				  rv_ends_remote(e, i % 2 ? off - 1 :
							    off + len)));
		ASSERT_EQ(0, rv_pair_again(&e->pair));
		ASSERT_EQ(0, ibv_dereg_mr(e->mr_b));
		e->mr_b = NULL;
	}
}

/* Addresses without memory now, with memory later, and without it again. */
TEST_F(reg, memory_comes_later)
{
	uint8_t *mem = reserve(LEN);
	struct ibv_mr *mr;
	int round;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, munmap(mem, LEN));
	mr = ibv_reg_mr(self->e.dev.pd, mem, LEN, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr) TH_LOG("%s", strerror(errno));
	for (round = 0; round < 3; round++) {
		ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
			  poke(&self->e, mr, mem + 5000, 5000));
		ASSERT_EQ(0, rv_pair_again(&self->e.pair));
		ASSERT_EQ(mem, mmap(mem, LEN, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS |
				    MAP_FIXED_NOREPLACE, -1, 0));
		ASSERT_RV_OK(poke(&self->e, mr, mem + 5000, 5000));
		ASSERT_EQ(0, munmap(mem, LEN));
	}
	ASSERT_EQ(0, ibv_dereg_mr(mr));
}

/* Other rights for a region that stays where it is; it must stay there. */
TEST_F(reg, rereg_access)
{
	struct rv_ends *e = &self->e;
	unsigned int less = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 5000);

	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_RV_OK(rv_ends_write(e, 50, 100, 5000));

	ASSERT_EQ(0, rv_rereg(e->mr_b, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL,
			      0, less | RV_ODP));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 100)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_RV_OK(rv_ends_read(e, 60, 100, 5000));

	ASSERT_EQ(0, rv_rereg(e->mr_b, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL,
			      0, RV_ACCESS | RV_ODP));
	ASSERT_RV_OK(rv_ends_write(e, 70, 100, 5000));

}

/* Another range, alone and with other rights. */
TEST_F(reg, rereg_range)
{
	const int range = IBV_REREG_MR_CHANGE_TRANSLATION;
	struct rv_ends *e = &self->e;
	uint8_t *half = e->mem_b.base + LEN / 2;
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 5000);
	uint32_t old;

	e->mr_b = rv_reg(&e->dev, &e->mem_b, 0, LEN / 2, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	old = e->mr_b->rkey;
	ASSERT_RV_OK(rv_ends_write(e, 50, 100, 5000));

	ASSERT_EQ(0, rv_rereg(e->mr_b, range, NULL, half, LEN / 2, 0));
	ASSERT_RV_OK(rv_ends_write(e, 60, LEN / 2, 5000));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 100)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, (struct rv_remote){
			   .addr = (uintptr_t)e->mem_b.base + 100,
			   .rkey = old }));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV_OK(rv_ends_check(e));

	ASSERT_EQ(0, rv_rereg(e->mr_b, range | IBV_REREG_MR_CHANGE_ACCESS, NULL,
			      e->mem_b.base, LEN,
			      RV_ODP | IBV_ACCESS_REMOTE_READ));
	ASSERT_RV_OK(rv_ends_read(e, 70, 100, LEN - 100));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 100)));
	ASSERT_RV_OK(rv_ends_check(e));
}

TEST_F(reg, rereg_domain)
{
	struct rv_ends *e = &self->e;
	struct ibv_sge sge = rv_ends_sge_a(e, 50, 5000);
	struct ibv_pd *pd = ibv_alloc_pd(e->dev.ctx);

	ASSERT_NE(NULL, pd);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, e->mr_b);
	ASSERT_RV_OK(rv_ends_write(e, 50, 100, 5000));
	ASSERT_EQ(0, rv_rereg(e->mr_b, IBV_REREG_MR_CHANGE_PD, pd, NULL, 0, 0));
	ASSERT_RV(IBV_WC_REM_ACCESS_ERR,
		  rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, 100)));
	ASSERT_EQ(0, rv_pair_again(&e->pair));
	ASSERT_RV_OK(rv_ends_check(e));
	ASSERT_EQ(0, rv_rereg(e->mr_b, IBV_REREG_MR_CHANGE_PD, e->dev.pd, NULL,
			      0, 0));
	ASSERT_RV_OK(rv_ends_write(e, 70, 100, 5000));
	ASSERT_EQ(0, ibv_dealloc_pd(pd));
}

/* Many regions over the same bytes, coming and going in no order. */
TEST_F(reg, many_regions)
{
	enum { MANY = 2000 };
	static struct ibv_mr *mrs[MANY];
	static size_t offs[MANY];
	struct rv_ends *e = &self->e;
	int n = rv_shrink(MANY), i, j;

	for (i = 0; i < n; i++) {
		size_t len = rv_rand_len(1, LEN / 2);

		offs[i] = rv_rand_below(LEN - len + 1);
		mrs[i] = rv_reg(&e->dev, &e->mem_b, offs[i], len,
				RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, mrs[i]);
	}
	for (i = n - 1; i >= 0; i--) {
		/* A random one leaves, the last takes its place. */
		j = rv_rand_below(i + 1);
		if (i % 40 == 0) {
			e->mr_b = mrs[j];
			ASSERT_RV_OK(rv_ends_write(e, rv_rand_below(LEN / 2),
						   offs[j], mrs[j]->length));
			e->mr_b = NULL;
		}
		ASSERT_EQ(0, ibv_dereg_mr(mrs[j]));
		mrs[j] = mrs[i];
		offs[j] = offs[i];
	}
}

/*
 * Register a gibibyte, touch some of its pages by the device, give it up. Each
 * time at other addresses, so that nothing that was left behind is of use.
 */
static int use_once(struct rv_ends *e, int pages)
{
	static uint8_t *at = (uint8_t *)(1UL << 43);
	struct ibv_mr *mr;
	uint8_t *mem;
	int res = 0;

	mem = mmap(at, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	madvise(mem, GIB, MADV_NOHUGEPAGE);
	at += 2 * GIB;
	mr = ibv_reg_mr(e->dev.pd, mem, GIB, RV_ACCESS | RV_ODP);
	if (!mr)
		return -errno;
	while (pages-- && !res)
		res = poke(e, mr, mem + rv_rand_below(GIB - 16), 16);
	ibv_dereg_mr(mr);
	munmap(mem, GIB);
	return res;
}

/*
 * Everything a region has taken by being used comes back. The kernel's caches
 * fill up at first, but a leak goes on: each block of rounds would lose at
 * least a table of 4 KiB for every touch, 9 MiB.
 */
TEST_F(reg, dereg_gives_back)
{
	int rounds = rv_shrink(36), block, i;
	long before, lost = 0;

	for (block = 0; block < 4; block++) {
		before = mem_free();
		for (i = 0; i < rounds; i++)
			ASSERT_RV_OK(use_once(&self->e, 64));
		lost = before - mem_free();
		if (lost < 2048)
			return;
	}
	ASSERT_GT(2048, lost) TH_LOG("%ld KiB lost, again and again", lost);
}

struct registrar {
	struct rv_ends *e;
	uint8_t *mem;
	int id, failed;
	pthread_t thread;
};

static void *register_often(void *arg)
{
	struct registrar *r = arg;
	int i;

	rv_rand_stream(r->id + 1);
	for (i = 0; i < rv_shrink(300) && !r->failed; i++) {
		size_t len = rv_rand_between(1, 4 * GIB);
		size_t off = rv_rand_below(8 * GIB - len);
		struct ibv_mr *mr;

		mr = ibv_reg_mr(r->e->dev.pd, r->mem + off, len,
				RV_ACCESS | RV_ODP);
		if (!mr || rv_prefetch(mr, r->mem + off, 1, 1) ||
		    ibv_dereg_mr(mr))
			r->failed = errno ? errno : -1;
	}
	return NULL;
}

/* Threads register parts of one range at a time, the first and the last too. */
TEST_F(reg, from_threads)
{
	enum { THREADS = 4 };
	struct registrar r[THREADS];
	uint8_t *mem = reserve(8 * GIB);
	int i;

	ASSERT_NE(NULL, mem);
	for (i = 0; i < THREADS; i++) {
		r[i] = (struct registrar){ &self->e, mem, i, 0, 0 };
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, register_often,
					    &r[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(r[i].thread, NULL);
		EXPECT_EQ(0, r[i].failed);
	}
	munmap(mem, 8 * GIB);
}

RV_HARNESS_MAIN
