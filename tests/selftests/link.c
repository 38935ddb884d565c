// SPDX-License-Identifier: GPL-2.0
/*
 * The model of the link: its knobs, that it takes as long as it says, and that it
 * tells RAM from the device's memory. Without knobs there is none.
 */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN		RV_HUGE
#define SIZE		(64UL << 10)
/* SIZE at 2 MB/s, which is less than what makes a requester send again */
#define SLOW		"2"
#define SLOW_MS		32

static const char *const knobs[] = { "ram_mbps", "ram_ns", "device_mbps", "device_ns" };

#define NUM_KNOBS	(sizeof(knobs) / sizeof(knobs[0]))

static char *file_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/link_%s",
		 rv_dev_name(), name);
	return path;
}

static int set(const char *name, const char *value)
{
	return rv_put(file_of(name), "%s", value);
}

static int reset(void)
{
	size_t i;
	int err = 0;

	for (i = 0; i < NUM_KNOBS && !err; i++)
		err = set(knobs[i], "0");
	return err;
}

FIXTURE(link)
{
	struct rv_ends e;
};

/* The peer's memory is the one that takes long; the asking side is pinned. */
FIXTURE_SETUP(link)
{
	const struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, reset());
	ASSERT_EQ(0, rv_dmem_init(e, &opts, "16M", LEN, MADV_HUGEPAGE));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_a));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
}

FIXTURE_TEARDOWN(link)
{
	EXPECT_EQ(0, reset());
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

TEST_F(link, knob_values)
{
	static const char *const bad[] = { "x", "-1", "1x", "1 2", "1000001", "4294967296" };
	size_t i, k;

	for (i = 0; i < NUM_KNOBS; i++) {
		EXPECT_EQ(0, rv_get(file_of(knobs[i]), NULL));
		EXPECT_EQ(0, set(knobs[i], "1000000"));
		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
			EXPECT_EQ(-EINVAL, set(knobs[i], bad[k]))
				TH_LOG("%s: %s", knobs[i], bad[k]);
		EXPECT_EQ(1000000, rv_get(file_of(knobs[i]), NULL));
		EXPECT_EQ(0, set(knobs[i], "0"));
	}
}

/* Write and read SIZE of the peer's memory; how long it took, or -1. */
static int64_t transfer_ms(struct rv_ends *e)
{
	uint64_t start = rv_now_ms();

	if (rv_ends_write_blind(e, 5, 4001, SIZE) ||
	    rv_ends_read_blind(e, 5, 4001, SIZE))
		return -1;
	return rv_now_ms() - start;
}

/* Nothing is faster than the model, and every byte arrives. */
TEST_F(link, takes_its_time)
{
	struct rv_ends *e = &self->e;
	int64_t ms;

	ASSERT_EQ(0, set("ram_mbps", SLOW));
	EXPECT_LE(2 * SLOW_MS, ms = transfer_ms(e));
	TH_LOG("%lld ms", (long long)ms);
	/* 16 packets each way */
	ASSERT_EQ(0, set("ram_mbps", "0"));
	ASSERT_EQ(0, set("ram_ns", "1000000"));
	EXPECT_LE(2 * 16, transfer_ms(e));
	EXPECT_EQ(0, rv_ends_check(e));
}

/* Only where the memory is counts. */
TEST_F(link, tells_places_apart)
{
	struct rv_ends *e = &self->e;
	int64_t ram, device;

	ASSERT_EQ(0, set("device_mbps", SLOW));
	ram = transfer_ms(e);
	ASSERT_EQ(LEN / RV_PAGE, rv_promote(e->mr_b, 0, LEN));
	device = transfer_ms(e);
	TH_LOG("RAM %lld ms, device %lld ms", (long long)ram, (long long)device);
	EXPECT_LE(2 * SLOW_MS, device);
	EXPECT_LE(0, ram);
	EXPECT_LT(ram, device);
	ASSERT_EQ(0, set("device_mbps", "0"));
	ASSERT_EQ(0, set("ram_mbps", SLOW));
	ram = transfer_ms(e);
	EXPECT_LE(0, ram);
	EXPECT_LT(ram, device);
}

/* A model that changes between transfers of the same memory. */
TEST_F(link, changes)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, set(knobs[i % NUM_KNOBS], i % 3 ? "50" : "0"));
		ASSERT_LE(0, transfer_ms(e));
	}
}

RV_HARNESS_MAIN
