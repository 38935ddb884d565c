// SPDX-License-Identifier: GPL-2.0
/*
 * The bounds of a registration. Included at the end of rxe_mirror_mr.c.
 */
#include <kunit/test.h>

static void user_range(struct kunit *test)
{
	const u64 page = PAGE_SIZE, top = U64_MAX;

	KUNIT_EXPECT_EQ(test, 0, check_user_range(page, 1, 0));
	KUNIT_EXPECT_EQ(test, 0, check_user_range(page, 64ULL << 30, 0));
	KUNIT_EXPECT_EQ(test, 0, check_user_range(0, page, top - page + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, check_user_range(page, 0, 0));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, check_user_range(top, 2, 0));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, check_user_range(2, top, 0));
	/* the last page of all, rounded up, is page 0 */
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, check_user_range(top - 10, 5, 0));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, check_user_range(page, 2, top));
}

static struct kunit_case rxe_mirror_mr_cases[] = {
	KUNIT_CASE(user_range),
	{}
};

static struct kunit_suite rxe_mirror_mr_suite = {
	.name = "rxe_mirror_mr",
	.test_cases = rxe_mirror_mr_cases,
};

kunit_test_suite(rxe_mirror_mr_suite);
