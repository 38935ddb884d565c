// SPDX-License-Identifier: GPL-2.0
/*
 * The policy: hot regions move to the device by themselves, and only those; it
 * can be steered, and sleeps when there is nothing to do.
 *
 * What must not move is shown beside something that does: when that has moved,
 * the policy has had its chance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN		(16UL << 20)
#define REGION		RV_HUGE
#define PAGES		((int64_t)(REGION / RV_PAGE))
/* Accesses between two looks at the result. */
#define STRIDE		20

static const struct knob {
	const char *name;
	long long initial, least, most;
} knobs[] = {
	{ "period_ms", 100, 10, 10000 },
	{ "half_life_ms", 2000, 100, 600000 },
	{ "min_rate", 10, 0, 1000000 },
	{ "rate_mib", 128, 1, 65536 },
	{ "watermark_percent", 100, 1, 100 },
	{ "min_residency_ms", 100, 0, 60000 },
	{ "backoff_ms", 1000, 0, 60000 },
};

#define NUM_KNOBS	(sizeof(knobs) / sizeof(knobs[0]))

static char *file_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/tier_%s",
		 rv_dev_name(), name);
	return path;
}

static int set(const char *name, const char *value)
{
	return rv_put(file_of(name), "%s", value);
}

/* Is the mode that one? */
static bool mode_is(const char *want)
{
	char line[32] = "";
	FILE *f = fopen(file_of("mode"), "r");

	if (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = 0;
	if (f)
		fclose(f);
	return !strcmp(line, want);
}

static int reset_knobs(void)
{
	char value[32];
	size_t i;
	int err;

	for (i = 0; i < NUM_KNOBS; i++) {
		snprintf(value, sizeof(value), "%lld", knobs[i].initial);
		err = set(knobs[i].name, value);
		if (err)
			return err;
	}
	return 0;
}

FIXTURE(tier)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(tier)
{
	int advice;
};

FIXTURE_VARIANT_ADD(tier, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(tier, thp)
{
	.advice = MADV_HUGEPAGE,
};

/* The peer's memory is the one that may move; the asking side is pinned. */
FIXTURE_SETUP(tier)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_dmem_init(e, NULL, "64M", LEN, variant->advice));
	ASSERT_EQ(0, ibv_dereg_mr(e->mr_a));
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	ASSERT_NE(NULL, e->mr_a);
	ASSERT_EQ(0, reset_knobs());
	ASSERT_EQ(0, set("period_ms", "10"));
	ASSERT_EQ(0, set("half_life_ms", "200"));
	ASSERT_EQ(0, set("min_residency_ms", "0"));
	ASSERT_EQ(0, set("backoff_ms", "10"));
}

FIXTURE_TEARDOWN(tier)
{
	EXPECT_EQ(0, set("mode", "manual"));
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
	EXPECT_EQ(0, reset_knobs());
}

/* Access region @r of the peer's memory a few times, without looking at it. */
static int heat(struct rv_ends *e, unsigned int r, unsigned int times)
{
	size_t len, off;
	int res = 0;

	while (!res && times--) {
		len = rv_rand_len(1, 2000);
		off = r * REGION + rv_rand_below(REGION - len);
		if (times % 2)
			res = rv_ends_write_blind(e, rv_rand_below(LEN - len),
						  off, len);
		else
			res = rv_ends_read_blind(e, rv_rand_below(LEN - len),
						 off, len);
	}
	return res;
}

static int64_t on_device(struct rv_ends *e, unsigned int r)
{
	return rv_on_device(e->mr_b, r * REGION, REGION);
}

/* Heat these regions (a mask) until all pages of region @r are on the device. */
static int heat_until(struct rv_ends *e, unsigned int mask, unsigned int r)
{
	uint64_t end = rv_now_ms() + rv_deadline_ms();
	unsigned int i;
	int res;

	while (on_device(e, r) != PAGES) {
		if (rv_now_ms() > end)
			return -ETIMEDOUT;
		for (i = 0; i < LEN / REGION; i++) {
			res = mask & 1U << i ? heat(e, i, STRIDE) : 0;
			if (res)
				return res;
		}
	}
	return 0;
}

static int64_t count(struct rv_ends *e, const char *counter)
{
	return rv_stat_dev(&e->dev, counter);
}

TEST(knob_values)
{
	static const char *const bad[] = { "", "x", "-1", "1x", "0x", "1 2",
					   "4294967296", "99999999999999999999" };
	char value[32];
	size_t i, k;

	ASSERT_EQ(0, reset_knobs());
	for (i = 0; i < NUM_KNOBS; i++) {
		const struct knob *knob = &knobs[i];

		ASSERT_EQ(knob->initial, rv_get(file_of(knob->name), NULL));
		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
			if (*bad[k])
				EXPECT_EQ(-EINVAL, set(knob->name, bad[k]))
					TH_LOG("%s: %s", knob->name, bad[k]);
		snprintf(value, sizeof(value), "%lld", knob->most + 1);
		EXPECT_EQ(-EINVAL, set(knob->name, value));
		if (knob->least) {
			snprintf(value, sizeof(value), "%lld", knob->least - 1);
			EXPECT_EQ(-EINVAL, set(knob->name, value));
		}
		EXPECT_EQ(knob->initial, rv_get(file_of(knob->name), NULL));

		snprintf(value, sizeof(value), "%lld\n", knob->most);
		EXPECT_EQ(0, set(knob->name, value));
		EXPECT_EQ(knob->most, rv_get(file_of(knob->name), NULL));
		snprintf(value, sizeof(value), "%lld", knob->least);
		EXPECT_EQ(0, set(knob->name, value));
		EXPECT_EQ(knob->least, rv_get(file_of(knob->name), NULL));
	}
	EXPECT_EQ(0, reset_knobs());
}

TEST(mode_values)
{
	static const char *const good[] = { "off", "manual", "auto\n" };
	static const char *const bad[] = { "on", "Auto", "auto,", "1", "autom" };
	char want[16];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ASSERT_EQ(0, set("mode", good[i]));
		snprintf(want, sizeof(want), "%.*s",
			 (int)strcspn(good[i], "\n"), good[i]);
		EXPECT_TRUE(mode_is(want));
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_EQ(-EINVAL, set("mode", bad[i]));
		EXPECT_TRUE(mode_is("auto"));
	}
	/* by default it depends on whether there is memory */
	ASSERT_EQ(0, set("mode", "default"));
	ASSERT_EQ(0, rv_dmem_resize(NULL, "0"));
	ASSERT_EQ(0, set("mode", "default"));
	EXPECT_TRUE(mode_is("off"));
	ASSERT_EQ(0, rv_put("/sys/class/infiniband/rxe0/hmm/memory_size", "2M"));
	EXPECT_TRUE(mode_is("auto"));
	ASSERT_EQ(0, set("mode", "manual"));
	ASSERT_EQ(0, rv_dmem_resize(NULL, "0"));
}

/* The hot region comes, and what is accessed seldom or never doesn't. */
TEST_F(tier, hot_comes)
{
	int64_t before = count(&self->e, "tier_promoted");
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, set("min_rate", "100"));
	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat(e, 2, 1));
	ASSERT_RV_OK(heat_until(e, 1 << 5, 5));
	EXPECT_EQ(0, on_device(e, 2));
	EXPECT_EQ(0, on_device(e, 7));
	EXPECT_GE(count(e, "tier_promoted") - before, PAGES);
	/* served from there now */
	before = count(e, "device_accesses");
	ASSERT_RV_OK(heat(e, 5, 200));
	EXPECT_TRUE(rv_wait_for(count(e, "device_accesses") >= before + 200));
	EXPECT_EQ(PAGES, on_device(e, 5));
}

/* The bytes are those of the messages, both ways; the asking side is pinned. */
TEST_F(tier, bytes_are_counted)
{
	struct rv_ends *e = &self->e;
	int64_t bytes;

	ASSERT_EQ(0, set("mode", "manual"));
	bytes = count(e, "access_bytes");
	ASSERT_RV_OK(rv_ends_write_blind(e, 0, 5 * REGION + 100, 1500));
	ASSERT_RV_OK(rv_ends_read_blind(e, 0, 5 * REGION + 7, 700));
	EXPECT_TRUE(rv_wait_for(count(e, "access_bytes") >= bytes + 2200));
	EXPECT_EQ(bytes + 2200, count(e, "access_bytes"));
}

/* What can't move is hot, and tried less and less often; until it can. */
TEST_F(tier, stuck_backs_off)
{
	int64_t looks, skipped, tries;
	struct rv_ends *e = &self->e;
	const int num_looks = 60;

	ASSERT_EQ(0, mlock(e->mem_b.base + 5 * REGION, REGION));
	ASSERT_EQ(0, set("backoff_ms", "100"));
	skipped = count(e, "promote_skipped_locked");
	looks = count(e, "tier_looks");
	ASSERT_EQ(0, set("mode", "auto"));
	while (count(e, "tier_looks") < looks + num_looks)
		ASSERT_RV_OK(heat(e, 5, STRIDE));
	tries = (count(e, "promote_skipped_locked") - skipped) / PAGES;
	EXPECT_LE(1, tries);
	EXPECT_GE(num_looks / 3, tries);
	EXPECT_EQ(0, on_device(e, 5));
	ASSERT_EQ(0, munlock(e->mem_b.base + 5 * REGION, REGION));
	ASSERT_RV_OK(heat_until(e, 1 << 5, 5));
}

/* Not in mode manual: there the heat is known, and nothing moves. */
TEST_F(tier, manual_moves_nothing)
{
	int64_t looks, accesses, moved;
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, set("mode", "manual"));
	moved = count(e, "pages_promoted");
	accesses = count(e, "accesses");
	looks = count(e, "tier_looks");
	while (count(e, "tier_looks") < looks + 30)
		ASSERT_RV_OK(heat(e, 5, STRIDE));
	EXPECT_GE(count(e, "accesses"), accesses + STRIDE);
	EXPECT_EQ(moved, count(e, "pages_promoted"));
	EXPECT_EQ(0, on_device(e, 5));
}

/* Nor in mode off, where nobody even looks. */
TEST_F(tier, off_looks_at_nothing)
{
	struct rv_ends *e = &self->e;
	int64_t looks;

	ASSERT_EQ(0, set("mode", "off"));
	looks = count(e, "tier_looks");
	ASSERT_RV_OK(heat(e, 5, 500));
	EXPECT_EQ(looks, count(e, "tier_looks"));
	EXPECT_EQ(0, on_device(e, 5));
	/* an access wakes it again */
	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat_until(e, 1 << 5, 5));
}

/* Does it not look for @ms, at last? */
static bool falls_asleep(struct rv_ends *e, unsigned int ms)
{
	uint64_t end = rv_now_ms() + rv_deadline_ms(), since = rv_now_ms();
	int64_t looks = count(e, "tier_looks"), now;

	while (rv_now_ms() < end) {
		now = count(e, "tier_looks");
		if (now != looks) {
			looks = now;
			since = rv_now_ms();
		} else if (rv_now_ms() - since > ms) {
			return true;
		}
		rv_pause();
	}
	return false;
}

TEST_F(tier, sleeps_without_traffic)
{
	struct rv_ends *e = &self->e;
	int64_t looks;

	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat_until(e, 1 << 5, 5));
	/* registered, warm and on the device, but not accessed */
	ASSERT_TRUE(falls_asleep(e, 500));
	looks = count(e, "tier_looks");
	ASSERT_RV_OK(heat(e, 5, 1));
	EXPECT_TRUE(rv_wait_for(count(e, "tier_looks") > looks));
}

/* The hot set moves, and the device's memory goes with it. */
TEST_F(tier, follows)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "4M"));
	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat_until(e, 3, 0));
	ASSERT_RV_OK(heat_until(e, 3, 1));
	ASSERT_RV_OK(heat_until(e, 0x30, 4));
	ASSERT_RV_OK(heat_until(e, 0x30, 5));
	EXPECT_EQ(0, on_device(e, 0) + on_device(e, 1));
	EXPECT_GE(count(e, "tier_demoted"), 2 * PAGES);
	EXPECT_EQ(2 * PAGES, rv_dmem_used(NULL));
}

TEST_F(tier, watermark)
{
	struct rv_ends *e = &self->e;
	int64_t looks;

	ASSERT_EQ(0, rv_dmem_resize(NULL, "8M"));
	ASSERT_EQ(0, set("watermark_percent", "50"));
	ASSERT_EQ(0, set("mode", "auto"));
	looks = count(e, "tier_looks");
	while (count(e, "tier_looks") < looks + 50)
		ASSERT_RV_OK(heat(e, rv_rand_below(LEN / REGION), STRIDE));
	EXPECT_EQ(2 * PAGES, rv_dmem_used(NULL));
	/* lower, while it is full */
	ASSERT_EQ(0, set("watermark_percent", "25"));
	looks = count(e, "tier_looks");
	while (count(e, "tier_looks") < looks + 10)
		ASSERT_RV_OK(heat(e, 3, STRIDE));
	EXPECT_EQ(PAGES, rv_dmem_used(NULL));
}

/* Pages that the policy has marked, so that they don't look cold, can move. */
TEST_F(tier, marked_pages_move)
{
	struct rv_ends *e = &self->e;
	cpu_set_t all, one;
	int64_t looks;
	int cpu, r;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	ASSERT_EQ(0, rv_dmem_resize(NULL, "8M"));
	ASSERT_EQ(0, set("watermark_percent", "1"));
	ASSERT_EQ(0, set("mode", "auto"));
	for (cpu = r = 0; cpu < CPU_SETSIZE && r < 4; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		looks = count(e, "tier_looks");
		while (count(e, "tier_looks") < looks + 5)
			ASSERT_RV_OK(heat(e, r, STRIDE));
		ASSERT_EQ(0, on_device(e, r));
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
		EXPECT_EQ(PAGES, rv_promote(e->mr_b, r * REGION, REGION));
		ASSERT_EQ(0, sched_setaffinity(0, sizeof(all), &all));
		r++;
	}
}

/* What the process prefers counts. */
TEST_F(tier, preferences)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, REGION, REGION, RV_SYSTEM));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 2 * REGION, REGION, RV_STAY));
	/* of one that is wanted in RAM in part, nothing is moved */
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 3 * REGION, RV_PAGE, RV_STAY));
	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat_until(e, 0x2e, 5));
	EXPECT_EQ(0, on_device(e, 1));
	EXPECT_EQ(0, on_device(e, 2));
	EXPECT_EQ(0, on_device(e, 3));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_NONE));
	ASSERT_RV_OK(heat_until(e, 0x2, 1));
	ASSERT_RV_OK(heat_until(e, 0x4, 2));
	ASSERT_RV_OK(heat_until(e, 0x8, 3));
	/* on the device, and wanted in RAM from now on */
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, REGION, REGION, RV_SYSTEM));
	ASSERT_RV_OK(heat_until(e, 0x1, 0));
	EXPECT_EQ(0, on_device(e, 1));
}

/* What was moved by a call stays there, until there is a preference. */
TEST_F(tier, moved_by_hand)
{
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_demote(e->mr_b, REGION, REGION));
	ASSERT_EQ(0, rv_dmem_resize(NULL, "4M"));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 2 * REGION, REGION));
	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat_until(e, 0x22, 5));
	EXPECT_EQ(0, on_device(e, 1));
	/* it doesn't go for another, however cold */
	ASSERT_RV_OK(heat_until(e, 0x40, 6));
	EXPECT_EQ(PAGES, on_device(e, 2));
	ASSERT_EQ(0, rv_hmm_prefer(e->mr_b, 0, LEN, RV_NONE));
	/* what the NIC has never used is not known to the policy */
	ASSERT_RV_OK(heat(e, 2, 1));
	ASSERT_RV_OK(heat_until(e, 0x2, 1));
	ASSERT_RV_OK(heat_until(e, 0xa, 3));
	EXPECT_EQ(0, on_device(e, 2));
}

/* What the CPU takes back is left alone for the time of the back-off. */
TEST_F(tier, taken_back)
{
	struct rv_ends *e = &self->e;
	int64_t looks;

	ASSERT_EQ(0, set("mode", "auto"));
	ASSERT_RV_OK(heat_until(e, 1 << 1, 1));
	ASSERT_EQ(0, set("backoff_ms", "60000"));
	ASSERT_EQ(0, rv_buf_check(&e->mem_b));
	ASSERT_EQ(0, on_device(e, 1));
	/* two looks: one of them has begun after this */
	looks = count(e, "tier_looks");
	while (count(e, "tier_looks") < looks + 2)
		ASSERT_RV_OK(heat(e, 1, STRIDE));
	ASSERT_EQ(0, set("backoff_ms", "10"));
	ASSERT_RV_OK(heat_until(e, 0x22, 5));
	EXPECT_EQ(0, on_device(e, 1));
}

/* What a program is told of the heat. */
TEST_F(tier, told)
{
	struct rxe_hmm_query_heat_resp resp;
	struct rxe_hmm_heat heats[4];
	struct rv_ends *e = &self->e;
	int64_t before;

	ASSERT_EQ(0, rv_hmm_heat(e->mr_b, 0, LEN, heats, 4, &resp));
	EXPECT_EQ(0, resp.heats);
	EXPECT_EQ(LEN, resp.next);

	/* a slow machine must not make it cold meanwhile */
	ASSERT_EQ(0, set("half_life_ms", "600000"));
	ASSERT_EQ(0, set("mode", "manual"));
	before = count(e, "accesses");
	ASSERT_RV_OK(heat(e, 2, 100));
	ASSERT_RV_OK(heat(e, 5, 40));
	ASSERT_EQ(PAGES, rv_promote(e->mr_b, 5 * REGION, REGION));
	ASSERT_RV_OK(heat(e, 5, 20));
	ASSERT_TRUE(rv_wait_for(count(e, "accesses") - before >= 160));
	/* the asking side's own accesses are among these */
	ASSERT_TRUE(rv_wait_for(!rv_hmm_heat(e->mr_b, 0, LEN, heats, 4, &resp) &&
				resp.heats == 2 &&
				heats[1].device_accesses >= 20));

	EXPECT_EQ(LEN, resp.next);
	EXPECT_EQ((uintptr_t)e->mem_b.base + 2 * REGION, heats[0].address);
	EXPECT_GE(heats[0].reads, 50);
	EXPECT_GE(heats[0].writes, 50);
	EXPECT_EQ(0, heats[0].device_accesses);
	EXPECT_EQ(0, heats[0].device_pages);
	EXPECT_EQ((uintptr_t)e->mem_b.base + 5 * REGION, heats[1].address);
	EXPECT_GE(heats[1].reads, 30);
	EXPECT_GE(heats[1].writes, 30);
	EXPECT_GE(heats[1].device_accesses, 20);
	EXPECT_LT(heats[1].device_accesses, heats[1].reads + heats[1].writes);
	EXPECT_EQ(PAGES, heats[1].device_pages);
	EXPECT_EQ(0, heats[1].cpu_faults);

	/* one by one, and of a part */
	ASSERT_EQ(0, rv_hmm_heat(e->mr_b, 0, LEN, heats, 1, &resp));
	ASSERT_EQ(1, resp.heats);
	ASSERT_EQ(3 * REGION, resp.next);
	ASSERT_EQ(0, rv_hmm_heat(e->mr_b, resp.next, LEN - resp.next, heats, 1,
				 &resp));
	ASSERT_EQ(1, resp.heats);
	EXPECT_EQ((uintptr_t)e->mem_b.base + 5 * REGION, heats[0].address);
	ASSERT_EQ(0, rv_hmm_heat(e->mr_b, 3 * REGION, REGION, heats, 4, &resp));
	EXPECT_EQ(0, resp.heats);
	EXPECT_EQ(4 * REGION, resp.next);

	/* the CPU takes it back */
	ASSERT_EQ(0, rv_buf_check(&e->mem_b));
	ASSERT_EQ(0, rv_hmm_heat(e->mr_b, 5 * REGION, REGION, heats, 4, &resp));
	ASSERT_EQ(1, resp.heats);
	EXPECT_GE(heats[0].cpu_faults, 1);

	EXPECT_EQ(-EINVAL, rv_hmm_heat(e->mr_a, 0, LEN, heats, 4, &resp));
	EXPECT_EQ(-ERANGE, rv_hmm_heat(e->mr_b, REGION, LEN, heats, 4, &resp));
	EXPECT_EQ(-EINVAL, rv_hmm_heat(e->mr_b, 1, RV_PAGE, heats, 4, &resp));
	EXPECT_NE(0, rv_hmm_heat(e->mr_b, 0, LEN, heats, 0, &resp));
}

/* Nothing is lost if the mode changes all the time. */
TEST_F(tier, switches_under_traffic)
{
	static const char *const modes[] = { "off", "manual", "auto", "auto",
					     "default" };
	struct rv_ends *e = &self->e;
	struct rv_traffic t = rv_traffic_reads(e, LEN / 2);
	unsigned int i;

	t.depth = 4;
	ASSERT_EQ(0, rv_dmem_resize(NULL, "6M"));
	ASSERT_EQ(0, rv_traffic_start(&t, &e->dev, NULL, 1));
	for (i = 0; i < rv_shrink(160); i++) {
		ASSERT_EQ(0, set("mode", modes[rv_rand_below(5)]));
		ASSERT_EQ(0, rv_traffic_more(&t, 20));
		if (i % 16 == 0)
			ASSERT_EQ(0, rv_compare("after switches", e->mem_b.base,
						rv_buf_shadow(&e->mem_b, 0), LEN));
	}
	ASSERT_RV_OK(rv_traffic_stop(&t));
	rv_buf_learn(&e->mem_a);
}

RV_HARNESS_MAIN
