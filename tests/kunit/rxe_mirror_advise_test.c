// SPDX-License-Identifier: GPL-2.0
/*
 * Which advice fits which MR. Included at the end of rxe_mirror_advise.c.
 */
#include <kunit/test.h>

#define READ_ADVICE	IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH
#define WRITE_ADVICE	IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE

struct test_advise {
	struct rxe_pd pd;
	struct rxe_pd other_pd;
	struct rxe_mirror_mr mmr;
	struct rxe_mr mr;
};

static struct test_advise *test_advise(struct kunit *test)
{
	struct test_advise *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->mmr.umem.is_odp = 1;
	t->mr.umem = &t->mmr.umem;
	t->mr.state = RXE_MR_STATE_VALID;
	t->mr.access = IB_ACCESS_LOCAL_WRITE;
	t->mr.ibmr.pd = &t->pd.ibpd;
	t->mr.ibmr.type = IB_MR_TYPE_USER;
	t->mr.ibmr.iova = 0x10000;
	t->mr.ibmr.length = 0x8000;

	return t;
}

static void advise_errors(struct kunit *test)
{
	struct test_advise *t = test_advise(test);
	struct ib_sge sge = { .addr = 0x10000, .length = 0x8000 };

	KUNIT_EXPECT_EQ(test, 0, check_range(&t->pd, &t->mr, &sge, READ_ADVICE));
	KUNIT_EXPECT_EQ(test, 0, check_range(&t->pd, &t->mr, &sge, WRITE_ADVICE));
	KUNIT_EXPECT_EQ(test, -EPERM,
			check_range(&t->other_pd, &t->mr, &sge, READ_ADVICE));

	t->mr.access = 0;
	KUNIT_EXPECT_EQ(test, 0, check_range(&t->pd, &t->mr, &sge, READ_ADVICE));
	KUNIT_EXPECT_EQ(test, -EPERM,
			check_range(&t->pd, &t->mr, &sge, WRITE_ADVICE));

	t->mmr.umem.is_odp = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			check_range(&t->pd, &t->mr, &sge, READ_ADVICE));
}

static void advise_bounds(struct kunit *test)
{
	static const struct {
		u64 addr;
		u32 length;
		int err;
	} cases[] = {
		{ 0x10000, 0, 0 },
		{ 0x17fff, 1, 0 },
		{ 0x18000, 0, 0 },
		{ 0xffff, 1, -EFAULT },
		{ 0x17fff, 2, -EFAULT },
		{ 0x10000, 0x8001, -EFAULT },
		{ 0x18000, 1, -EFAULT },
		{ U64_MAX, 2, -EFAULT },
	};
	struct test_advise *t = test_advise(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ib_sge sge = {
			.addr = cases[i].addr,
			.length = cases[i].length,
		};

		KUNIT_EXPECT_EQ_MSG(test, cases[i].err,
				    check_range(&t->pd, &t->mr, &sge, READ_ADVICE),
				    "case %u", i);
	}
}

static struct kunit_case rxe_mirror_advise_cases[] = {
	KUNIT_CASE(advise_errors),
	KUNIT_CASE(advise_bounds),
	{}
};

static struct kunit_suite rxe_mirror_advise_suite = {
	.name = "rxe_mirror_advise",
	.test_cases = rxe_mirror_advise_cases,
};

kunit_test_suite(rxe_mirror_advise_suite);
