// SPDX-License-Identifier: GPL-2.0
/*
 * The policy's rules, one by one. Included at the end of rxe_tier_plan.c.
 */
#include <kunit/test.h>

#define VIEWS	8
#define REGION	((long)RXE_REGION_PAGES)
#define NOW	1000000ULL

/* The rate in the knobs below needs a heat of 29. */
#define HOT	1000U
#define WARM	100U
#define COLD	10U

static const struct rxe_tier_knobs test_knobs = {
	.period = 100,
	.half_life = 2000,
	.min_rate = 10,
	.rate = 128,
	.watermark = 100,
	.min_residency = 100,
	.backoff = 1000,
};

struct test_plan {
	struct rxe_tier_plan	plan;
	struct rxe_tier_view	views[VIEWS];
	struct rxe_tier_move	moves[VIEWS];
};

static struct test_plan *test_plan(struct kunit *test, long room)
{
	struct test_plan *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->plan.knobs = &test_knobs;
	t->plan.now = NOW;
	t->plan.room = room;
	t->plan.budget = 100 * REGION;
	t->plan.views = t->views;
	t->plan.moves = t->moves;

	return t;
}

/* A region that is known by its heat, so each has another one. */
static struct rxe_tier_view *add(struct test_plan *t, u64 heat, bool on_device)
{
	struct rxe_tier_view *view = &t->views[t->plan.nr_views++];

	view->heat = heat << RXE_HEAT_SHIFT;
	view->end = RXE_REGION_PAGES;
	view->on_device = on_device ? RXE_REGION_PAGES : 0;
	view->prefer = RXE_PLACE_NONE;

	return view;
}

/* Decide; the i-th move must be that of the region with the heat. */
static void expect_move(struct kunit *test, struct test_plan *t, u32 i, u64 heat,
			enum rxe_place to)
{
	KUNIT_ASSERT_LT(test, i, t->plan.nr_moves);
	KUNIT_EXPECT_EQ(test, heat,
			t->views[t->moves[i].view].heat >> RXE_HEAT_SHIFT);
	KUNIT_EXPECT_EQ(test, (int)to, (int)t->moves[i].to);
}

static void expect_moves(struct kunit *test, struct test_plan *t, u32 n)
{
	rxe_tier_decide(&t->plan);
	KUNIT_EXPECT_EQ(test, n, t->plan.nr_moves);
}

static void tier_hottest_come_first(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 2 * REGION);

	add(t, WARM, false);
	add(t, HOT + 1, false);
	add(t, COLD, false);
	add(t, HOT, false);
	expect_moves(test, t, 2);
	expect_move(test, t, 0, HOT + 1, RXE_PLACE_DEVICE);
	expect_move(test, t, 1, HOT, RXE_PLACE_DEVICE);
	KUNIT_EXPECT_EQ(test, 0, t->plan.room);
	KUNIT_EXPECT_EQ(test, 98 * REGION, t->plan.budget);
}

static void tier_cold_stays(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 4 * REGION);

	add(t, 28, false);
	add(t, 30, false);
	add(t, 0, true);
	expect_moves(test, t, 1);
	expect_move(test, t, 0, 30, RXE_PLACE_DEVICE);
}

static void tier_parts_count_as_such(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 10);
	struct rxe_tier_view *view = add(t, HOT, false);

	view->first = 100;
	view->end = 120;
	view->on_device = 10;
	expect_moves(test, t, 1);
	KUNIT_EXPECT_EQ(test, 0, t->plan.room);

	t = test_plan(test, 9);
	view = add(t, HOT, false);
	view->first = 100;
	view->end = 120;
	view->on_device = 10;
	expect_moves(test, t, 0);
}

static void tier_coldest_makes_room(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 0);

	add(t, WARM, true);
	add(t, COLD, true);
	add(t, HOT, false);
	expect_moves(test, t, 2);
	expect_move(test, t, 0, COLD, RXE_PLACE_SYSTEM);
	expect_move(test, t, 1, HOT, RXE_PLACE_DEVICE);
	KUNIT_EXPECT_EQ(test, 0, t->plan.room);
	KUNIT_EXPECT_EQ(test, 98 * REGION, t->plan.budget);
}

static void tier_exchange_must_pay(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 0);

	/* less than an eighth */
	add(t, 1000, true);
	add(t, 1124, false);
	expect_moves(test, t, 0);

	t = test_plan(test, 0);
	add(t, 1000, true);
	add(t, 1127, false);
	expect_moves(test, t, 2);

	/* chance may explain it: 3 * (10 + 10) and an eighth */
	t = test_plan(test, 0);
	add(t, 1000, true)->noise = 10 << RXE_HEAT_SHIFT;
	add(t, 1184, false)->noise = 10 << RXE_HEAT_SHIFT;
	expect_moves(test, t, 0);

	t = test_plan(test, 0);
	add(t, 1000, true)->noise = 10 << RXE_HEAT_SHIFT;
	add(t, 1187, false)->noise = 10 << RXE_HEAT_SHIFT;
	expect_moves(test, t, 2);
}

/* What would make room in part only, and not for something hotter, stays. */
static void tier_no_half_exchange(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 0);

	add(t, COLD, true)->on_device = REGION / 2;
	add(t, 2 * HOT, true);
	add(t, HOT, false);
	expect_moves(test, t, 0);
	KUNIT_EXPECT_EQ(test, 0, t->plan.room);
	KUNIT_EXPECT_EQ(test, 100 * REGION, t->plan.budget);
}

static void tier_watermark(struct kunit *test)
{
	struct test_plan *t = test_plan(test, -REGION - 1);

	add(t, WARM, true);
	add(t, COLD, true);
	add(t, HOT, true);
	expect_moves(test, t, 2);
	expect_move(test, t, 0, COLD, RXE_PLACE_SYSTEM);
	expect_move(test, t, 1, WARM, RXE_PLACE_SYSTEM);
	KUNIT_EXPECT_EQ(test, REGION - 1, t->plan.room);

	/* within the budget */
	t = test_plan(test, -2 * REGION);
	t->plan.budget = 2 * REGION - 1;
	add(t, COLD, true);
	add(t, WARM, true);
	expect_moves(test, t, 1);
}

/* What cannot come ends the round: nobody colder comes in its place. */
static void tier_colder_do_not_overtake(struct kunit *test)
{
	struct test_plan *t = test_plan(test, REGION - 1);

	add(t, HOT, false);
	add(t, WARM, false)->end = 10;
	expect_moves(test, t, 0);
	t->plan.room++;
	expect_moves(test, t, 1);
	expect_move(test, t, 0, HOT, RXE_PLACE_DEVICE);

	/* nor if it is the budget that is short */
	t = test_plan(test, 2 * REGION);
	t->plan.budget = REGION - 1;
	add(t, HOT, false);
	add(t, WARM, false)->end = 10;
	expect_moves(test, t, 0);
}

static void tier_budget(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 8 * REGION);

	t->plan.budget = 2 * REGION - 1;
	add(t, HOT, false);
	add(t, HOT + 1, false);
	expect_moves(test, t, 1);
	KUNIT_EXPECT_EQ(test, REGION - 1, t->plan.budget);

	/* an exchange costs both ways */
	t = test_plan(test, 0);
	t->plan.budget = 2 * REGION - 1;
	add(t, COLD, true);
	add(t, HOT, false);
	expect_moves(test, t, 0);
	KUNIT_EXPECT_EQ(test, 2 * REGION - 1, t->plan.budget);
	t->plan.budget++;
	expect_moves(test, t, 2);
	KUNIT_EXPECT_EQ(test, 0, t->plan.budget);
}

static void tier_budget_refills(struct kunit *test)
{
	struct rxe_tier_knobs knobs = test_knobs;
	long per_second = 128L << (20 - PAGE_SHIFT);

	KUNIT_EXPECT_EQ(test, 5, rxe_tier_refill(5, 0, &knobs));
	KUNIT_EXPECT_EQ(test, per_second / 100, rxe_tier_refill(0, 10, &knobs));
	/* no more than for a period */
	KUNIT_EXPECT_EQ(test, per_second / 10, rxe_tier_refill(0, 100000, &knobs));
	KUNIT_EXPECT_EQ(test, per_second / 10,
			rxe_tier_refill(0, U64_MAX, &knobs));
	/* but for an exchange in any case */
	knobs.rate = 1;
	KUNIT_EXPECT_EQ(test, 4 * REGION, rxe_tier_refill(0, 60000, &knobs));
	/* a minute's worth at most */
	knobs.rate = 128;
	KUNIT_EXPECT_EQ(test, -40 * per_second,
			rxe_tier_refill(-100 * per_second, 61000, &knobs));
}

static void tier_penalty(struct kunit *test)
{
	long second = 128L << (20 - PAGE_SHIFT);
	const struct rxe_tier_knobs *knobs = &test_knobs;
	struct rxe_tier_state state = {};

	KUNIT_EXPECT_EQ(test, 7, rxe_tier_penalise(7, 0, knobs));
	KUNIT_EXPECT_EQ(test, 7 - second, rxe_tier_penalise(7, 2, knobs));
	KUNIT_EXPECT_EQ(test, -10 * second, rxe_tier_penalise(0, 21, knobs));
	KUNIT_EXPECT_EQ(test, -10 * second, rxe_tier_penalise(0, U32_MAX, knobs));
	KUNIT_EXPECT_EQ(test, -10 * second,
			rxe_tier_penalise(-9 * second, 100, knobs));
	KUNIT_EXPECT_EQ(test, -10 * second,
			rxe_tier_penalise(0, 1U << 31, knobs));
	/* at least, unless it was less before, as after a change of the rate */
	KUNIT_EXPECT_EQ(test, -11 * second,
			rxe_tier_penalise(-11 * second, 1, knobs));
	/* paid off by time */
	KUNIT_EXPECT_EQ(test, -second,
			rxe_tier_refill(-2 * second, 1000, knobs));

	KUNIT_EXPECT_FALSE(test, rxe_tier_observe(&state, 0, true, NOW, knobs));
	KUNIT_EXPECT_TRUE(test, rxe_tier_observe(&state, 5, true, NOW, knobs));
	KUNIT_EXPECT_FALSE(test, rxe_tier_observe(&state, 5, true, NOW, knobs));
}

static void tier_min_residency(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 0);
	struct rxe_tier_view *view;

	view = add(t, COLD, true);
	view->state.arrived = NOW - 99;
	add(t, HOT, false);
	expect_moves(test, t, 0);

	/* then the next coldest */
	add(t, WARM, true);
	expect_moves(test, t, 2);
	expect_move(test, t, 0, WARM, RXE_PLACE_SYSTEM);

	t = test_plan(test, 0);
	add(t, COLD, true)->state.arrived = NOW - 100;
	add(t, HOT, false);
	expect_moves(test, t, 2);
}

static void tier_back_off(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 8 * REGION);

	add(t, HOT, false)->state.not_before = NOW + 1;
	add(t, WARM, false)->state.not_before = NOW;
	expect_moves(test, t, 1);
	expect_move(test, t, 0, WARM, RXE_PLACE_DEVICE);
}

static void tier_back_off_doubles(struct kunit *test)
{
	struct rxe_tier_state state = {};
	u64 want = 1000;
	unsigned int i;

	for (i = 1; i <= 10; i++) {
		rxe_tier_observe(&state, i, true, NOW, &test_knobs);
		KUNIT_EXPECT_EQ(test, NOW + want, state.not_before);
		if (want < 64000)
			want *= 2;
	}
	/* no new fault, no longer wait */
	rxe_tier_observe(&state, 10, true, NOW + 500, &test_knobs);
	KUNIT_EXPECT_EQ(test, NOW + want, state.not_before);
}

static void tier_back_off_is_forgotten(struct kunit *test)
{
	struct rxe_tier_state state = {};

	rxe_tier_observe(&state, 1, false, NOW, &test_knobs);
	rxe_tier_observe(&state, 2, false, NOW + 5000, &test_knobs);
	KUNIT_EXPECT_EQ(test, 2, state.backoffs);
	/* it waits for 2 s and comes back then */
	state.arrived = NOW + 8000;
	rxe_tier_observe(&state, 2, true, NOW + 9999, &test_knobs);
	KUNIT_EXPECT_EQ(test, 2, state.backoffs);
	/* in RAM, peace proves nothing */
	rxe_tier_observe(&state, 2, false, NOW + 10000, &test_knobs);
	KUNIT_EXPECT_EQ(test, 2, state.backoffs);
	rxe_tier_observe(&state, 2, true, NOW + 10000, &test_knobs);
	KUNIT_EXPECT_EQ(test, 0, state.backoffs);
	rxe_tier_observe(&state, 3, true, NOW + 20000, &test_knobs);
	KUNIT_EXPECT_EQ(test, NOW + 21000, state.not_before);
}

static void tier_prefer_device(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 0);

	/* comes although it is colder, and isn't asked for a rate */
	add(t, HOT, true);
	add(t, 1, false)->prefer = RXE_PLACE_DEVICE;
	expect_moves(test, t, 2);
	expect_move(test, t, 0, HOT, RXE_PLACE_SYSTEM);
	expect_move(test, t, 1, 1, RXE_PLACE_DEVICE);

	/* but stays where it is while the NIC doesn't use it */
	t = test_plan(test, REGION);
	add(t, 0, false)->prefer = RXE_PLACE_DEVICE;
	expect_moves(test, t, 0);

	/* doesn't go for anybody */
	t = test_plan(test, 0);
	add(t, 0, true)->prefer = RXE_PLACE_DEVICE;
	add(t, HOT, false);
	expect_moves(test, t, 0);
}

static void tier_prefer_system(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 8 * REGION);

	add(t, HOT, false)->prefer = RXE_PLACE_SYSTEM;
	add(t, HOT + 1, true)->prefer = RXE_PLACE_SYSTEM;
	expect_moves(test, t, 1);
	expect_move(test, t, 0, HOT + 1, RXE_PLACE_SYSTEM);

	/* once, though others make room after it */
	t = test_plan(test, 0);
	add(t, 0, true)->prefer = RXE_PLACE_SYSTEM;
	add(t, WARM, true);
	add(t, HOT, false);
	add(t, HOT + 1, false);
	expect_moves(test, t, 4);
	expect_move(test, t, 0, 0, RXE_PLACE_SYSTEM);
	expect_move(test, t, 1, HOT + 1, RXE_PLACE_DEVICE);
	expect_move(test, t, 2, WARM, RXE_PLACE_SYSTEM);
	expect_move(test, t, 3, HOT, RXE_PLACE_DEVICE);

	/* within the budget */
	t = test_plan(test, 0);
	t->plan.budget = REGION - 1;
	add(t, HOT, true)->prefer = RXE_PLACE_SYSTEM;
	expect_moves(test, t, 0);
}

static void tier_prefer_stay(struct kunit *test)
{
	struct test_plan *t = test_plan(test, -1);

	add(t, HOT, false)->prefer = RXE_PLACE_STAY;
	add(t, 0, true)->prefer = RXE_PLACE_STAY;
	expect_moves(test, t, 0);
}

static void tier_nothing_to_do(struct kunit *test)
{
	struct test_plan *t = test_plan(test, 8 * REGION);

	expect_moves(test, t, 0);
	add(t, HOT, true);
	add(t, COLD, true);
	expect_moves(test, t, 0);
}

static struct kunit_case rxe_tier_plan_cases[] = {
	KUNIT_CASE(tier_hottest_come_first),
	KUNIT_CASE(tier_cold_stays),
	KUNIT_CASE(tier_parts_count_as_such),
	KUNIT_CASE(tier_coldest_makes_room),
	KUNIT_CASE(tier_exchange_must_pay),
	KUNIT_CASE(tier_no_half_exchange),
	KUNIT_CASE(tier_watermark),
	KUNIT_CASE(tier_colder_do_not_overtake),
	KUNIT_CASE(tier_budget),
	KUNIT_CASE(tier_budget_refills),
	KUNIT_CASE(tier_penalty),
	KUNIT_CASE(tier_min_residency),
	KUNIT_CASE(tier_back_off),
	KUNIT_CASE(tier_back_off_doubles),
	KUNIT_CASE(tier_back_off_is_forgotten),
	KUNIT_CASE(tier_prefer_device),
	KUNIT_CASE(tier_prefer_system),
	KUNIT_CASE(tier_prefer_stay),
	KUNIT_CASE(tier_nothing_to_do),
	{}
};

static struct kunit_suite rxe_tier_plan_suite = {
	.name = "rxe_tier_plan",
	.test_cases = rxe_tier_plan_cases,
};

kunit_test_suite(rxe_tier_plan_suite);
