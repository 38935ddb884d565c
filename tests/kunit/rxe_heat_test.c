// SPDX-License-Identifier: GPL-2.0
/*
 * Sums that decay. Included at the end of rxe_heat.c.
 */
#include <kunit/test.h>

#define HEAT_ONE	BIT_ULL(RXE_HEAT_SHIFT)

/* Is @is within 1 in 1000 of @want, and of 2 units in the last place? */
static void expect_near(struct kunit *test, u64 want, u64 is)
{
	u64 most = want / 1000 + 2;

	KUNIT_EXPECT_LE_MSG(test, is, want + most, "want %llu", want);
	KUNIT_EXPECT_GE_MSG(test, is + most, want, "want %llu", want);
}

static void count(struct rxe_heat *heat, unsigned int reads, unsigned int writes,
		  bool device)
{
	while (reads--)
		rxe_heat_count(heat, false, device, 100);
	while (writes--)
		rxe_heat_count(heat, true, device, 1000);
}

static void heat_decays(struct kunit *test)
{
	static const struct {
		u64 ms;
		u32 half_life;
		u64 want;
	} cases[] = {
		{ 0, 1000, 1000000 },
		{ 1000, 1000, 500000 },
		{ 500, 1000, 707107 },
		{ 100, 1000, 933033 },
		{ 2000, 1000, 250000 },
		{ 3300, 1000, 101532 },
		{ 999, 1000, 500347 },
		{ 1, 600000, 999999 },
		{ 20000, 1000, 1 },
		{ 64000, 1000, 0 },
		{ U64_MAX, 1, 0 },
		{ 1, 1, 500000 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_near(test, cases[i].want,
			    rxe_heat_decay(1000000, cases[i].ms,
					   cases[i].half_life));
	/* nothing overflows */
	expect_near(test, 1ULL << 62,
		    rxe_heat_decay(1ULL << 63, 1000, 1000));
}

static void heat_decay_is_monotonic(struct kunit *test)
{
	u64 last = U64_MAX, sum;
	u64 ms;

	for (ms = 0; ms < 5000; ms++) {
		sum = rxe_heat_decay(1ULL << 40, ms, 777);
		KUNIT_ASSERT_LT(test, sum, last);
		last = sum;
	}
}

static void heat_folds(struct kunit *test)
{
	struct rxe_heat_found found;
	struct rxe_heat heat = {};

	KUNIT_EXPECT_FALSE(test, rxe_heat_is_fresh(&heat));
	count(&heat, 30, 12, false);
	count(&heat, 0, 5, true);
	KUNIT_EXPECT_TRUE(test, rxe_heat_is_fresh(&heat));
	found = rxe_heat_fold(&heat, 1000, 1000);
	KUNIT_EXPECT_FALSE(test, rxe_heat_is_fresh(&heat));
	KUNIT_EXPECT_EQ(test, 47, found.accesses);
	KUNIT_EXPECT_EQ(test, 5, found.on_device);
	KUNIT_EXPECT_EQ(test, 20000, found.bytes);
	KUNIT_EXPECT_EQ(test, 30 * HEAT_ONE, heat.read_sum);
	KUNIT_EXPECT_EQ(test, 17 * HEAT_ONE, heat.write_sum);

	count(&heat, 0, 1, false);
	found = rxe_heat_fold(&heat, 2000, 1000);
	KUNIT_EXPECT_EQ(test, 1, found.accesses);
	KUNIT_EXPECT_EQ(test, 0, found.on_device);
	KUNIT_EXPECT_EQ(test, 1000, found.bytes);
	expect_near(test, 15 * HEAT_ONE, heat.read_sum);
	expect_near(test, 19 * HEAT_ONE / 2, heat.write_sum);
	KUNIT_EXPECT_EQ(test, 30, heat.nr_reads);
	KUNIT_EXPECT_EQ(test, 18, heat.nr_writes);
	KUNIT_EXPECT_EQ(test, 5, heat.nr_on_device);

	/* without another fold */
	expect_near(test, 49 * HEAT_ONE / 4, rxe_heat_sum(&heat, 3000, 1000));
	/* a clock that goes back a little changes nothing */
	KUNIT_EXPECT_EQ(test, rxe_heat_sum(&heat, 2000, 1000),
			rxe_heat_sum(&heat, 1900, 1000));
}

static void heat_counts_wrap(struct kunit *test)
{
	struct rxe_heat heat = {
		.reads = U32_MAX - 1,
		.seen_reads = U32_MAX - 1,
	};
	struct rxe_heat_found found;

	count(&heat, 5, 0, false);
	KUNIT_EXPECT_EQ(test, 3, heat.reads);
	found = rxe_heat_fold(&heat, 0, 1000);
	KUNIT_EXPECT_EQ(test, 5, found.accesses);
}

/* A counter that was slow has undone what others have counted meanwhile. */
static void heat_counts_set_back(struct kunit *test)
{
	struct rxe_heat_found found;
	struct rxe_heat heat = {};

	count(&heat, 10, 10, true);
	rxe_heat_fold(&heat, 0, 1000);
	heat.reads = 3;
	heat.writes = 3;
	heat.on_device = 3;
	heat.bytes = 3;
	found = rxe_heat_fold(&heat, 0, 1000);
	KUNIT_EXPECT_EQ(test, 0, found.accesses);
	KUNIT_EXPECT_EQ(test, 0, found.on_device);
	KUNIT_EXPECT_EQ(test, 0, found.bytes);
	KUNIT_EXPECT_EQ(test, 10 * HEAT_ONE, heat.read_sum);
	KUNIT_EXPECT_EQ(test, 10, heat.nr_writes);
	count(&heat, 1, 0, false);
	found = rxe_heat_fold(&heat, 0, 1000);
	KUNIT_EXPECT_EQ(test, 1, found.accesses);
	KUNIT_EXPECT_EQ(test, 100, found.bytes);
}

/* However often it is folded, the same accesses are the same heat. */
static void heat_period_does_not_matter(struct kunit *test)
{
	struct rxe_heat often = {}, seldom = {};
	unsigned int ms;

	for (ms = 10; ms <= 10000; ms += 10) {
		count(&often, 10, 0, false);
		rxe_heat_fold(&often, ms, 4000);
	}
	for (ms = 100; ms <= 10000; ms += 100) {
		count(&seldom, 100, 0, false);
		rxe_heat_fold(&seldom, ms, 4000);
	}
	KUNIT_EXPECT_LT(test, often.read_sum, seldom.read_sum);
	KUNIT_EXPECT_LT(test, seldom.read_sum * 98, often.read_sum * 100);
}

static void heat_tells_the_rate(struct kunit *test)
{
	static const u32 half_lives[] = { 100, 2000, 600000 };
	unsigned int i;
	u64 sum;

	for (i = 0; i < ARRAY_SIZE(half_lives); i++) {
		sum = rxe_heat_sum_of_rate(1000000, half_lives[i]);
		expect_near(test, 1000000, rxe_heat_rate(sum, half_lives[i]));
	}
	/* 500 / s * 2 s / ln 2 */
	expect_near(test, 1443 * HEAT_ONE - HEAT_ONE / 3,
		    rxe_heat_sum_of_rate(500, 2000));
	KUNIT_EXPECT_EQ(test, 0, rxe_heat_rate(0, 1000));
}

/* Fold @per accesses every 100 ms, or 16 times that in one period of 16. */
static u64 noise_of(struct rxe_heat *heat, unsigned int per, bool burst)
{
	unsigned int i;

	for (i = 1; i <= 1600; i++) {
		if (!burst)
			count(heat, per, 0, false);
		else if (i % 16 == 0)
			count(heat, 16 * per, 0, false);
		rxe_heat_fold(heat, i * 100, 8000);
	}

	return rxe_heat_noise(heat) >> RXE_HEAT_SHIFT;
}

static void heat_noise(struct kunit *test)
{
	struct rxe_heat even = {}, burst = {}, zero = {};
	u64 noise, sum;

	KUNIT_EXPECT_EQ(test, 0, rxe_heat_noise(&zero));

	/* steady: that of a Poisson process, the root of half the sum */
	noise = noise_of(&even, 50, false);
	sum = even.read_sum >> RXE_HEAT_SHIFT;
	KUNIT_EXPECT_EQ(test, noise, int_sqrt(sum / 2));

	/* in bursts of 800, about the root of 800 times that */
	noise = noise_of(&burst, 50, true);
	sum = burst.read_sum >> RXE_HEAT_SHIFT;
	KUNIT_EXPECT_GE(test, noise * 10, 9 * int_sqrt(800 * sum / 2));
	KUNIT_EXPECT_LE(test, noise * 10, 11 * int_sqrt(800 * sum / 2));
}

/* A rate that changes, and folds that come late, are no noise. */
static void heat_noise_is_not_change(struct kunit *test)
{
	struct rxe_heat heat = {};
	unsigned int ms = 0, i;
	u64 noise, sum;

	for (i = 0; i < 10; i++) {
		ms += 100 + i * 20;
		count(&heat, 100 + i * 20, 0, false);
		rxe_heat_fold(&heat, ms, 2000);
	}
	sum = heat.read_sum >> RXE_HEAT_SHIFT;
	noise = rxe_heat_noise(&heat) >> RXE_HEAT_SHIFT;
	/* the first find, of 100, is one change */
	KUNIT_EXPECT_LE(test, noise, int_sqrt(100 * 100 / 4) + int_sqrt(sum / 2));

	/* after long idleness nothing is expected */
	rxe_heat_fold(&heat, ms + 40000, 2000);
	KUNIT_EXPECT_LE(test, rxe_heat_noise(&heat) >> RXE_HEAT_SHIFT, 1);
}

/* No input makes it divide by zero or overflow a division. */
static void heat_extremes(struct kunit *test)
{
	struct rxe_heat heat = {
		.reads = U32_MAX,
		.writes = U32_MAX,
		.read_sum = U64_MAX / 2,
		.write_sum = U64_MAX / 2,
		.change_sum = U64_MAX,
		.last_rate = U64_MAX,
	};

	rxe_heat_noise(&heat);
	rxe_heat_fold(&heat, 0, 1);
	rxe_heat_fold(&heat, 1, U32_MAX);
	rxe_heat_fold(&heat, U64_MAX, U32_MAX);
	rxe_heat_noise(&heat);
	rxe_heat_rate(U64_MAX, 1);
	rxe_heat_rate(U64_MAX, U32_MAX);
	KUNIT_EXPECT_GT(test, rxe_heat_sum_of_rate(1000000, 600000), 0);
}

static struct kunit_case rxe_heat_cases[] = {
	KUNIT_CASE(heat_decays),
	KUNIT_CASE(heat_decay_is_monotonic),
	KUNIT_CASE(heat_folds),
	KUNIT_CASE(heat_counts_wrap),
	KUNIT_CASE(heat_counts_set_back),
	KUNIT_CASE(heat_period_does_not_matter),
	KUNIT_CASE(heat_tells_the_rate),
	KUNIT_CASE(heat_noise),
	KUNIT_CASE(heat_noise_is_not_change),
	KUNIT_CASE(heat_extremes),
	{}
};

static struct kunit_suite rxe_heat_suite = {
	.name = "rxe_heat",
	.test_cases = rxe_heat_cases,
};

kunit_test_suite(rxe_heat_suite);
