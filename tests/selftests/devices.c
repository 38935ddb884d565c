// SPDX-License-Identifier: GPL-2.0
/*
 * One process, two devices, the same memory: each device has its own view of
 * the process, and both are right.
 *
 * Needs root, for a second device of its own.
 */
#include <errno.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(256UL * 1024)
#define NAME	"rxe_second"
#define NETDEV	"rxe_second0"
#define ADDRESS	"198.51.100.77"

FIXTURE(devices)
{
	struct rv_ends e;	/* the first device and the memory */
	struct rv_ends f;	/* the second device, the same memory */
};

FIXTURE_SETUP(devices)
{
	if (geteuid())
		SKIP(return, "not root");
	rv_link_remove(NAME, NETDEV);
	ASSERT_TRUE(rv_link_add(NAME, NETDEV, ADDRESS));

	ASSERT_EQ(0, rv_ends_init(&self->e, NULL, LEN, RV_ODP, RV_ODP));
	self->f.mem_a = self->e.mem_a;
	self->f.mem_b = self->e.mem_b;
	ASSERT_EQ(0, rv_dev_open(&self->f.dev, NAME));
	ASSERT_EQ(0, rv_pair_init(&self->f.pair, &self->f.dev, NULL));
	self->f.mr_a = rv_reg_all(&self->f.dev, &self->f.mem_a,
				  RV_ACCESS | RV_ODP);
	self->f.mr_b = rv_reg_all(&self->f.dev, &self->f.mem_b,
				  RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->f.mr_a);
	ASSERT_NE(NULL, self->f.mr_b);
}

FIXTURE_TEARDOWN(devices)
{
	/* The memory is one: the second must not give it back again. */
	memset(&self->f.mem_a, 0, sizeof(self->f.mem_a));
	memset(&self->f.mem_b, 0, sizeof(self->f.mem_b));
	rv_ends_fini(&self->f);
	rv_ends_fini(&self->e);
	rv_link_remove(NAME, NETDEV);
}

static int both_rounds(struct rv_ends *e, struct rv_ends *f, int rounds)
{
	static const rv_ends_fn fns[] = {
		rv_ends_write, rv_ends_read, rv_ends_send,
	};
	int i, res = 0;

	for (i = 0; i < rounds && !res; i++) {
		size_t len = rv_rand_len(1, 20000);

		res = fns[rv_rand_below(ARRAY_SIZE(fns))](
			rv_rand_below(2) ? e : f, rv_rand_below(LEN - len),
			rv_rand_below(LEN - len), len);
	}
	return res;
}

TEST_F(devices, same_memory)
{
	ASSERT_RV_OK(both_rounds(&self->e, &self->f, rv_shrink(40)));
}

/* What the process drops is gone for both. */
TEST_F(devices, invalidation)
{
	int i;

	for (i = 0; i < rv_shrink(20); i++) {
		size_t page = rv_rand_below(LEN / RV_PAGE);

		ASSERT_RV_OK(rv_ends_read(&self->e, 3, page * RV_PAGE, 1000));
		ASSERT_RV_OK(rv_ends_read(&self->f, 3, page * RV_PAGE, 1000));
		ASSERT_EQ(0, madvise(self->e.mem_b.base + page * RV_PAGE,
				     RV_PAGE, MADV_DONTNEED));
		rv_buf_expect_byte(&self->e.mem_b, page * RV_PAGE, 0, RV_PAGE);
		ASSERT_RV_OK(rv_ends_write(&self->f, 99, page * RV_PAGE + 500,
					   100));
		ASSERT_RV_OK(rv_ends_read(&self->e, 3, page * RV_PAGE, 1000));
		ASSERT_RV_OK(both_rounds(&self->e, &self->f, 2));
	}
}

/* References to the socket of port 4791, which all devices share, or -1. */
static int socket_refs(void)
{
	FILE *udp = fopen("/proc/net/udp", "r");
	unsigned int port;
	int refs, found = -1;
	char line[256];

	if (!udp)
		return -1;
	while (fgets(line, sizeof(line), udp))
		if (sscanf(line, "%*s %*x:%x %*s %*s %*s %*s %*s %*s %*s %*s %d",
			   &port, &refs) == 2 && port == 4791)
			found = refs;
	fclose(udp);
	return found;
}

/* A device that can't be had leaves nothing behind. */
TEST_F(devices, name_taken)
{
	int refs = socket_refs();

	ASSERT_LT(0, refs);
	ASSERT_EQ(0, rv_run("ip link add rxe_third0 type dummy && "
			    "ip link set rxe_third0 up"));
	EXPECT_EQ(0, rv_run("! rdma link add " NAME " type rxe netdev "
			    "rxe_third0 2>/dev/null"));
	EXPECT_EQ(refs, socket_refs());
	ASSERT_EQ(0, rv_run("ip link delete rxe_third0"));
}

/* One device's regions go, the other's stay. */
TEST_F(devices, one_leaves)
{
	ASSERT_RV_OK(both_rounds(&self->e, &self->f, 4));
	ASSERT_EQ(0, ibv_dereg_mr(self->f.mr_b));
	ASSERT_EQ(0, ibv_dereg_mr(self->f.mr_a));
	self->f.mr_a = NULL;
	self->f.mr_b = NULL;
	ASSERT_RV_OK(both_rounds(&self->e, &self->e, rv_shrink(10)));
	ASSERT_EQ(0, madvise(self->e.mem_b.base, LEN, MADV_DONTNEED));
	rv_buf_expect_byte(&self->e.mem_b, 0, 0, LEN);
	ASSERT_RV_OK(both_rounds(&self->e, &self->e, rv_shrink(10)));
}

RV_HARNESS_MAIN
