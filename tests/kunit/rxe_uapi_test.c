// SPDX-License-Identifier: GPL-2.0
/*
 * What a caller may ask for, and which pages that is. Included at the end of
 * rxe_uapi.c.
 */
#include <kunit/test.h>

static void range_errors(struct kunit *test)
{
	static const struct {
		struct rxe_hmm_range range;
		int err;
	} cases[] = {
		{ { .length = 1 }, 0 },
		{ { .length = U64_MAX, .offset = U64_MAX }, 0 },
		{ { .length = 1, .place = RXE_HMM_PLACE_DEVICE }, 0 },
		{ { .length = 1, .place = RXE_HMM_PLACE_DEVICE + 1 }, -EINVAL },
		{ { .length = 1, .place = U32_MAX }, -EINVAL },
		{ { .length = 0 }, -EINVAL },
		{ { .length = 1, .reserved = 1 }, -EINVAL },
		{ { .length = 1, .flags = 1 }, -EOPNOTSUPP },
		{ { .length = 1, .comp_mask = 1U << 31 }, -EOPNOTSUPP },
		/* what is unknown may give the rest another meaning */
		{ { .length = 0, .flags = 1 }, -EOPNOTSUPP },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, cases[i].err,
				    check_range(&cases[i].range,
						RXE_HMM_PLACE_DEVICE + 1),
				    "case %u", i);
}

/* Ranges of an MR of @length bytes at @address. */
static void expect_located(struct kunit *test, u64 address, u64 length,
			   const struct rxe_hmm_range *range, int err,
			   u64 start, u64 end)
{
	struct rxe_mirror_mr *mmr = kunit_kzalloc(test, sizeof(*mmr), GFP_KERNEL);
	struct call call = { .mmr = mmr, .range = *range };

	KUNIT_ASSERT_NOT_NULL(test, mmr);
	mmr->umem.address = address;
	mmr->umem.length = length;
	KUNIT_EXPECT_EQ_MSG(test, err, locate(&call), "%#llx + %#llx",
			    range->offset, range->length);
	KUNIT_EXPECT_EQ(test, start, call.start);
	KUNIT_EXPECT_EQ(test, end, call.end);
}

static void ranges_of_whole_pages(struct kunit *test)
{
	static const struct {
		struct rxe_hmm_range range;
		int err;
		u64 start, end;
	} cases[] = {
		{ { .offset = 0, .length = 0x8000 }, 0, 0x10000, 0x18000 },
		{ { .offset = 0x1000, .length = 0x1000 }, 0, 0x11000, 0x12000 },
		{ { .offset = 0x7000, .length = 0x1000 }, 0, 0x17000, 0x18000 },
		{ { .offset = 1, .length = 0x7fff }, -EINVAL },
		{ { .offset = 0, .length = 0x1001 }, -EINVAL },
		{ { .offset = 0, .length = 0x8001 }, -ERANGE },
		{ { .offset = 0x8000, .length = 1 }, -ERANGE },
		{ { .offset = U64_MAX, .length = 1 }, -EOVERFLOW },
		{ { .offset = 0x1000, .length = U64_MAX }, -EOVERFLOW },
		{ { .offset = 0, .length = U64_MAX }, -ERANGE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_located(test, 0x10000, 0x8000, &cases[i].range,
			       cases[i].err, cases[i].start, cases[i].end);
}

/* An MR need not begin or end with a page: its ends may be asked for as they are. */
static void ranges_of_odd_regions(struct kunit *test)
{
	static const struct {
		struct rxe_hmm_range range;
		int err;
		u64 start, end;
	} cases[] = {
		{ { .offset = 0, .length = 0x2222 }, 0, 0x10000, 0x13000 },
		{ { .offset = 0, .length = 0xeef }, 0, 0x10000, 0x11000 },
		{ { .offset = 0xeef, .length = 0x1000 }, 0, 0x11000, 0x12000 },
		{ { .offset = 0x1eef, .length = 0x333 }, 0, 0x12000, 0x13000 },
		{ { .offset = 0x1000, .length = 0x1000 }, -EINVAL },
		{ { .offset = 0, .length = 0x1000 }, -EINVAL },
		{ { .offset = 0x1eef, .length = 0x334 }, -ERANGE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_located(test, 0x10111, 0x2222, &cases[i].range,
			       cases[i].err, cases[i].start, cases[i].end);
}

/* An implicit MR has all addresses, and not all of them are a process's. */
static void ranges_of_implicit_regions(struct kunit *test)
{
	const struct {
		struct rxe_hmm_range range;
		int err;
		u64 start, end;
	} cases[] = {
		{ { .offset = 0x1000, .length = 0x1000 }, 0, 0x1000, 0x2000 },
		{ { .offset = TASK_SIZE_MAX - PAGE_SIZE, .length = PAGE_SIZE },
		  0, TASK_SIZE_MAX - PAGE_SIZE, TASK_SIZE_MAX },
		{ { .offset = TASK_SIZE_MAX, .length = PAGE_SIZE }, -ERANGE },
		{ { .offset = 0, .length = U64_MAX }, -ERANGE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_located(test, 0, U64_MAX, &cases[i].range, cases[i].err,
			       cases[i].start, cases[i].end);
}

static struct kunit_case rxe_uapi_cases[] = {
	KUNIT_CASE(range_errors),
	KUNIT_CASE(ranges_of_whole_pages),
	KUNIT_CASE(ranges_of_odd_regions),
	KUNIT_CASE(ranges_of_implicit_regions),
	{}
};

static struct kunit_suite rxe_uapi_suite = {
	.name = "rxe_uapi",
	.test_cases = rxe_uapi_cases,
};

kunit_test_suite(rxe_uapi_suite);
