// SPDX-License-Identifier: GPL-2.0
/*
 * The arithmetic of the link's model. Included at the end of rxe_link.c.
 */
#include <kunit/test.h>

static void link_bandwidth(struct kunit *test)
{
	struct rxe_link_pipe pipe = { .mbps = 250 };

	/* 4 KiB at 250 bytes in a us, one after the other */
	KUNIT_EXPECT_EQ(test, 1000 + 16384, rxe_link_reserve(&pipe, 1000, 4096));
	KUNIT_EXPECT_EQ(test, 1000 + 2 * 16384, rxe_link_reserve(&pipe, 1000, 4096));
	KUNIT_EXPECT_EQ(test, 1000 + 2 * 16384 + 4, rxe_link_reserve(&pipe, 1001, 1));
	/* what was not used is lost */
	KUNIT_EXPECT_EQ(test, 1000000 + 4, rxe_link_reserve(&pipe, 1000000, 1));
}

static void link_latency_overlaps(struct kunit *test)
{
	struct rxe_link_pipe pipe = { .mbps = 1, .ns = 500 };

	KUNIT_EXPECT_EQ(test, 1500, rxe_link_reserve(&pipe, 0, 1));
	KUNIT_EXPECT_EQ(test, 2500, rxe_link_reserve(&pipe, 0, 1));
	KUNIT_EXPECT_EQ(test, 2000, atomic64_read(&pipe.busy_until));
}

static void link_no_limit(struct kunit *test)
{
	struct rxe_link_pipe pipe = { .ns = 700 };

	KUNIT_EXPECT_EQ(test, 1700, rxe_link_reserve(&pipe, 1000, U32_MAX));
	KUNIT_EXPECT_EQ(test, 1700, rxe_link_reserve(&pipe, 1000, U32_MAX));
}

static void link_extremes(struct kunit *test)
{
	struct rxe_link_pipe pipe = { .mbps = 1, .ns = MOST };

	KUNIT_EXPECT_EQ(test, U32_MAX * 1000ULL + MOST,
			rxe_link_reserve(&pipe, 0, U32_MAX));
	pipe.mbps = MOST;
	atomic64_set(&pipe.busy_until, 0);
	KUNIT_EXPECT_EQ(test, MOST + 4, rxe_link_reserve(&pipe, 0, 4096));
}

static void link_off(struct kunit *test)
{
	struct rxe_link link = {};

	KUNIT_EXPECT_NULL(test, rxe_link_pipe(&link, RXE_LINK_RAM));
	link.on = true;
	KUNIT_EXPECT_PTR_EQ(test, &link.pipes[RXE_LINK_DEVICE],
			    rxe_link_pipe(&link, RXE_LINK_DEVICE));
}

static struct kunit_case rxe_link_cases[] = {
	KUNIT_CASE(link_bandwidth),
	KUNIT_CASE(link_latency_overlaps),
	KUNIT_CASE(link_no_limit),
	KUNIT_CASE(link_extremes),
	KUNIT_CASE(link_off),
	{}
};

static struct kunit_suite rxe_link_suite = {
	.name = "rxe_link",
	.test_cases = rxe_link_cases,
};

kunit_test_suite(rxe_link_suite);
