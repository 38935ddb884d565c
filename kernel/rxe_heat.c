// SPDX-License-Identifier: GPL-2.0
/*
 * Heat: the arithmetic of sums that decay.
 *
 * A sum S of accesses with half-life H is, after t without any, S * 2^(-t/H).
 * At a steady rate of r accesses a second it settles at r * H / ln 2, so a sum
 * also tells a rate. docs/tiering.md derives what is used here.
 */
#include <linux/bits.h>
#include <linux/math.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "rxe_heat.h"

#define STEPS_SHIFT	5
#define STEPS		BIT(STEPS_SHIFT)
#define ONE_SHIFT	16
/* ln 2 and its inverse, with ONE_SHIFT bits behind the point */
#define LN2		45426ULL
#define INV_LN2		94548ULL
/* Halved that often, no sum is left. */
#define MAX_HALVINGS	63

/* 2^(-i/32), with ONE_SHIFT bits behind the point. */
static const u32 halving[STEPS + 1] = {
	65536, 64132, 62757, 61413, 60097, 58809, 57549, 56316,
	55109, 53928, 52773, 51642, 50535, 49452, 48393, 47356,
	46341, 45348, 44376, 43425, 42495, 41584, 40693, 39821,
	38968, 38133, 37316, 36516, 35734, 34968, 34219, 33486,
	32768,
};

/* sum * factor without overflow, for a factor of ONE_SHIFT bits at most. */
static u64 scale(u64 sum, u64 factor)
{
	return mul_u64_u64_shr(sum, factor, ONE_SHIFT);
}

/**
 * rxe_heat_decay - what is left of a sum
 * @sum: the sum
 * @ms: how long ago it was true, in ms
 * @half_life: in ms, at least 1
 *
 * Between the steps of the table the factor is interpolated; it is off by less
 * than 1 in 10000.
 *
 * Context: any.
 * Return: the sum now.
 */
u64 rxe_heat_decay(u64 sum, u64 ms, u32 half_life)
{
	u64 halvings, factor, part;
	u32 rest, step;

	halvings = div_u64_rem(ms, half_life, &rest);
	if (halvings > MAX_HALVINGS)
		return 0;
	/* the rest of the time in 1/65536 of a step */
	part = div_u64((u64)rest << (STEPS_SHIFT + ONE_SHIFT), half_life);
	step = part >> ONE_SHIFT;
	part &= BIT(ONE_SHIFT) - 1;
	factor = halving[step] -
		 (((halving[step] - halving[step + 1]) * part) >> ONE_SHIFT);

	return scale(sum, factor) >> halvings;
}

/* Milliseconds since the last fold; none if the clock was read before it. */
static u64 age(const struct rxe_heat *heat, u64 now)
{
	u64 stamp = READ_ONCE(heat->stamp);

	return now > stamp ? now - stamp : 0;
}

/*
 * How far @n is off from what the last fold lets expect of @ms. Not more is
 * expected than there was of late, if the last fold was long ago.
 */
static void note_change(struct rxe_heat *heat, u64 n, u64 ms, u32 half_life)
{
	u64 sum = rxe_heat_decay(heat->read_sum + heat->write_sum, ms, half_life);
	u64 expected, change;

	expected = mul_u64_u64_shr(heat->last_rate, min_t(u64, ms, half_life),
				   RXE_HEAT_SHIFT);
	expected = min(expected, sum >> RXE_HEAT_SHIFT);
	change = n > expected ? n - expected : expected - n;
	/* so that the squares of some thousands fit */
	change = min(change, 1ULL << 17);
	heat->change_sum = rxe_heat_decay(heat->change_sum, ms, half_life) +
			   ((change * change) << RXE_HEAT_SHIFT);
	if (ms)
		heat->last_rate = div64_u64(n << RXE_HEAT_SHIFT, ms);
}

/* How much a word has grown, which somebody may have set back. */
static u32 growth(u32 now, u32 seen)
{
	return max((s32)(now - seen), 0);
}

static u64 growth_of_bytes(u64 now, u64 seen)
{
	return max((s64)(now - seen), 0LL);
}

/**
 * rxe_heat_fold - add what was counted to the sums
 * @heat: the heat; one at a time folds it
 * @now: the time, in ms
 * @half_life: in ms, at least 1
 *
 * Context: any.
 * Return: what was counted since the last time.
 */
struct rxe_heat_found rxe_heat_fold(struct rxe_heat *heat, u64 now, u32 half_life)
{
	u32 device = READ_ONCE(heat->on_device);
	u32 writes = READ_ONCE(heat->writes);
	u32 reads = READ_ONCE(heat->reads);
	u64 bytes = READ_ONCE(heat->bytes);
	u32 new_writes = growth(writes, heat->seen_writes);
	u32 new_reads = growth(reads, heat->seen_reads);
	u64 ms = age(heat, now), n = (u64)new_reads + new_writes;
	struct rxe_heat_found found = {
		.accesses = min_t(u64, n, U32_MAX),
		.on_device = growth(device, heat->seen_on_device),
		.bytes = growth_of_bytes(bytes, heat->seen_bytes),
	};

	heat->seen_reads = reads;
	heat->seen_writes = writes;
	heat->seen_on_device = device;
	heat->seen_bytes = bytes;

	note_change(heat, n, ms, half_life);
	WRITE_ONCE(heat->read_sum, rxe_heat_decay(heat->read_sum, ms, half_life) +
		   ((u64)new_reads << RXE_HEAT_SHIFT));
	WRITE_ONCE(heat->write_sum, rxe_heat_decay(heat->write_sum, ms, half_life) +
		   ((u64)new_writes << RXE_HEAT_SHIFT));
	WRITE_ONCE(heat->nr_reads, heat->nr_reads + new_reads);
	WRITE_ONCE(heat->nr_writes, heat->nr_writes + new_writes);
	WRITE_ONCE(heat->nr_on_device, heat->nr_on_device + found.on_device);
	WRITE_ONCE(heat->stamp, max(now, heat->stamp));

	return found;
}

/**
 * rxe_heat_sum - reads and writes, decayed until now
 * @heat: the heat
 * @now: the time, in ms
 * @half_life: in ms, at least 1
 *
 * What was counted since the last fold is not in it.
 *
 * Context: any.
 * Return: the sum, with %RXE_HEAT_SHIFT bits behind the point.
 */
u64 rxe_heat_sum(const struct rxe_heat *heat, u64 now, u32 half_life)
{
	u64 sum = READ_ONCE(heat->read_sum) + READ_ONCE(heat->write_sum);

	return rxe_heat_decay(sum, age(heat, now), half_life);
}

/**
 * rxe_heat_noise - how far the sum may be off by chance
 * @heat: the heat
 *
 * The standard deviation of the sum, estimated from how much each fold differs
 * from the one before: messages of many packets come in bursts, and make more
 * noise than single accesses do, while a rate that becomes another is no noise.
 * It is no less than that of single accesses.
 *
 * Context: any, but one at a time with rxe_heat_fold().
 * Return: the deviation, with %RXE_HEAT_SHIFT bits behind the point.
 */
u64 rxe_heat_noise(const struct rxe_heat *heat)
{
	u64 sum = (heat->read_sum + heat->write_sum) >> RXE_HEAT_SHIFT;
	/* a difference has twice the variance of what it is between */
	u64 changes = heat->change_sum >> (RXE_HEAT_SHIFT + 1);

	return (u64)int_sqrt64(max(changes, sum) / 2) << RXE_HEAT_SHIFT;
}

/**
 * rxe_heat_rate - the steady rate that a sum tells of
 * @sum: the sum
 * @half_life: in ms, at least 1
 *
 * Context: any.
 * Return: accesses a second.
 */
u64 rxe_heat_rate(u64 sum, u32 half_life)
{
	return mul_u64_u64_div_u64(sum, LN2 * 1000,
				   (u64)half_life << (RXE_HEAT_SHIFT + ONE_SHIFT));
}

/**
 * rxe_heat_sum_of_rate - the sum at which a steady rate settles
 * @rate: accesses a second
 * @half_life: in ms, at least 1
 *
 * Context: any.
 * Return: the sum, with %RXE_HEAT_SHIFT bits behind the point.
 */
u64 rxe_heat_sum_of_rate(u64 rate, u32 half_life)
{
	return div_u64(rate * half_life * INV_LN2, 1000);
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_heat_test.c"
#endif
