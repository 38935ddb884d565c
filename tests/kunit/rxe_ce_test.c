// SPDX-License-Identifier: GPL-2.0
/*
 * How a batch is put together and cut. Included at the end of rxe_ce.c.
 */
#include <kunit/test.h>

/* Pages of the memory map; none is touched. */
#define D(n)	pfn_to_page(0x100 + (n))
#define S(n)	pfn_to_page(0x400 + (n))

static struct rxe_ce_batch *new_batch(struct kunit *test,
				      const struct rxe_ce_copy *copies,
				      unsigned int nr_copies)
{
	struct rxe_ce_batch *batch = kunit_kzalloc(test, sizeof(*batch),
						   GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, batch);
	rxe_ce_batch_init(batch);
	for (i = 0; i < nr_copies; i++)
		rxe_ce_batch_add(batch, &copies[i]);

	return batch;
}

static void expect_runs(struct kunit *test, const struct rxe_ce_copy *copies,
			unsigned int nr_copies, const struct rxe_ce_copy *runs,
			unsigned int nr_runs)
{
	struct rxe_ce_batch *batch = new_batch(test, copies, nr_copies);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, nr_runs, batch->nr_runs);
	for (i = 0; i < nr_runs; i++) {
		KUNIT_EXPECT_PTR_EQ(test, runs[i].dst, batch->runs[i].dst);
		KUNIT_EXPECT_PTR_EQ(test, runs[i].src, batch->runs[i].src);
		KUNIT_EXPECT_EQ(test, runs[i].nr_pages, batch->runs[i].nr_pages);
	}
}

static void runs_merge(struct kunit *test)
{
	const struct rxe_ce_copy all[] = {
		{ D(0), S(0), 1 }, { D(1), S(1), 1 }, { D(2), S(2), 5 },
		{ D(7), S(7), 512 },
	};
	const struct rxe_ce_copy runs[] = { { D(0), S(0), 519 } };

	expect_runs(test, all, ARRAY_SIZE(all), runs, ARRAY_SIZE(runs));
	expect_runs(test, all, 0, NULL, 0);
	expect_runs(test, all, 1, &(struct rxe_ce_copy){ D(0), S(0), 1 }, 1);
}

/* Only what follows on both sides, forwards, is one run. */
static void runs_stay_apart(struct kunit *test)
{
	const struct rxe_ce_copy gaps[] = {
		{ D(0), S(0), 2 }, { D(2), S(3), 1 },	/* source skips */
		{ D(4), S(4), 1 },			/* destination skips */
		{ D(3), S(3), 1 },			/* backwards */
		{ D(3), S(4), 1 },			/* the same again */
	};
	struct rxe_ce_copy runs[ARRAY_SIZE(gaps)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gaps); i++)
		runs[i] = (struct rxe_ce_copy){ gaps[i].dst, gaps[i].src,
					       gaps[i].nr_pages };
	expect_runs(test, gaps, ARRAY_SIZE(gaps), runs, ARRAY_SIZE(runs));
}

/* What is mapped elsewhere follows there, too. */
static void runs_follow_addresses(struct kunit *test)
{
	void *a = (void *)0x100000, *b = a + 2 * PAGE_SIZE;
	const struct rxe_ce_copy mapped[] = {
		{ D(0), S(0), 2, NULL, a }, { D(2), S(2), 1, NULL, b },
		{ D(3), S(3), 1, NULL, b },		/* the address doesn't */
		{ D(4), S(4), 1, NULL, NULL },		/* in the direct map */
		{ D(5), S(5), 2, a, NULL }, { D(7), S(7), 1, b, NULL },
		{ D(8), S(8), 1, a, NULL },		/* the address doesn't */
	};
	const struct rxe_ce_copy runs[] = {
		{ D(0), S(0), 3 }, { D(3), S(3), 1 }, { D(4), S(4), 1 },
		{ D(5), S(5), 3 }, { D(8), S(8), 1 },
	};
	struct rxe_ce_copy run = { D(0), S(0), 3, a, b }, piece;

	expect_runs(test, mapped, ARRAY_SIZE(mapped), runs, ARRAY_SIZE(runs));

	KUNIT_ASSERT_TRUE(test, cut_piece(&run, 2, &piece));
	KUNIT_EXPECT_PTR_EQ(test, a, piece.dst_addr);
	KUNIT_EXPECT_PTR_EQ(test, b, piece.src_addr);
	KUNIT_EXPECT_PTR_EQ(test, b, run.dst_addr);
	KUNIT_EXPECT_PTR_EQ(test, b + 2 * PAGE_SIZE, run.src_addr);
}

static void runs_of_zeros(struct kunit *test)
{
	const struct rxe_ce_copy mixed[] = {
		{ D(0), NULL, 1 }, { D(1), NULL, 3 },
		{ D(4), S(4), 1 },			/* a copy after zeros */
		{ D(5), NULL, 1 },			/* and zeros after it */
		{ D(7), NULL, 1 },			/* destination skips */
	};
	const struct rxe_ce_copy runs[] = {
		{ D(0), NULL, 4 }, { D(4), S(4), 1 }, { D(5), NULL, 1 },
		{ D(7), NULL, 1 },
	};
	struct rxe_ce_batch *batch = new_batch(test, mixed, ARRAY_SIZE(mixed));

	expect_runs(test, mixed, ARRAY_SIZE(mixed), runs, ARRAY_SIZE(runs));
	KUNIT_EXPECT_EQ(test, 1, batch->nr_pages);
	KUNIT_EXPECT_TRUE(test, batch->zeroes);
	rxe_ce_batch_init(batch);
	KUNIT_EXPECT_EQ(test, 0, batch->nr_pages);
	KUNIT_EXPECT_FALSE(test, batch->zeroes);
}

static void pieces(struct kunit *test)
{
	struct rxe_ce_copy run = { D(0), S(0), 10 }, piece;
	static const unsigned int sizes[] = { 4, 4, 2 };
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_ASSERT_TRUE(test, cut_piece(&run, 4, &piece));
		KUNIT_EXPECT_PTR_EQ(test, D(n), piece.dst);
		KUNIT_EXPECT_PTR_EQ(test, S(n), piece.src);
		KUNIT_EXPECT_EQ(test, sizes[i], piece.nr_pages);
		n += sizes[i];
	}
	KUNIT_EXPECT_FALSE(test, cut_piece(&run, 4, &piece));
}

static void piece_sizes(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 512, piece_size(512, 1, 512));
	KUNIT_EXPECT_EQ(test, 256, piece_size(512, 2, 512));
	KUNIT_EXPECT_EQ(test, 171, piece_size(512, 3, 512));
	KUNIT_EXPECT_EQ(test, 64, piece_size(512, 2, 64));
	KUNIT_EXPECT_EQ(test, MIN_PIECE, piece_size(1, 8, 512));
	KUNIT_EXPECT_EQ(test, 1, piece_size(512, 2, 1));
}

/* Each page that is to be copied is in one piece, whoever takes it. */
static void pieces_taken(struct kunit *test)
{
	const struct rxe_ce_copy copies[] = {
		{ D(0), NULL, 3 }, { D(3), S(3), CPU_PIECE + 1 },
		{ D(100), NULL, CPU_PIECE }, { D(200), S(200), 1 },
		{ D(300), NULL, 1 },
	};
	const struct rxe_ce_copy pieces[] = {
		{ D(3), S(3), CPU_PIECE },
		{ D(3 + CPU_PIECE), S(3 + CPU_PIECE), 1 }, { D(200), S(200), 1 },
	};
	struct rxe_ce_batch *batch = new_batch(test, copies, ARRAY_SIZE(copies));
	struct rxe_ce_copy piece;
	unsigned int i;

	start_cpu(batch, false);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		KUNIT_ASSERT_TRUE(test, take_piece(batch, &piece));
		KUNIT_EXPECT_PTR_EQ(test, pieces[i].dst, piece.dst);
		KUNIT_EXPECT_PTR_EQ(test, pieces[i].src, piece.src);
		KUNIT_EXPECT_EQ(test, pieces[i].nr_pages, piece.nr_pages);
	}
	KUNIT_EXPECT_FALSE(test, take_piece(batch, &piece));
}

/* Runs go to the lane with least to do, and to none that is broken. */
static void lanes_fill_evenly(struct kunit *test)
{
	struct rxe_ce_batch *batch = new_batch(test, NULL, 0);
	static const unsigned int loads[] = { 5, 2, 7 };
	unsigned int i;

	KUNIT_EXPECT_NULL(test, pick_lane(batch));
	for (i = 0; i < ARRAY_SIZE(loads); i++) {
		batch->lanes[i] = kunit_kzalloc(test, sizeof(*batch->lanes[i]),
						GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, batch->lanes[i]);
		batch->lanes[i]->nr_pages = loads[i];
		batch->lanes[i]->max_pages = 512 >> i;
	}
	batch->nr_lanes = ARRAY_SIZE(loads);

	KUNIT_EXPECT_PTR_EQ(test, batch->lanes[1], pick_lane(batch));
	KUNIT_EXPECT_EQ(test, 128, lane_limit(batch));
	batch->lanes[1]->broken = true;
	KUNIT_EXPECT_PTR_EQ(test, batch->lanes[0], pick_lane(batch));
	batch->lanes[0]->broken = true;
	batch->lanes[2]->broken = true;
	KUNIT_EXPECT_NULL(test, pick_lane(batch));
}

/* Whole pages of random data, in and around what is copied and zeroed. */
static void cpu_copies(struct kunit *test)
{
	const unsigned int order = 4, size = PAGE_SIZE << order;
	struct page *dst = alloc_pages(GFP_KERNEL, order);
	struct page *src = alloc_pages(GFP_KERNEL, order);
	struct rxe_ce_copy copies[] = {
		{ dst + 1, src + 2, 3 }, { dst + 4, src + 5, 1 },
		{ dst + 5, NULL, 2 }, { dst + 9, src + 1, 1 },
	};
	struct rxe_ce_batch *batch = new_batch(test, copies, ARRAY_SIZE(copies));
	u8 *want = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dst);
	KUNIT_ASSERT_NOT_NULL(test, src);
	KUNIT_ASSERT_NOT_NULL(test, want);
	get_random_bytes(page_address(dst), size);
	get_random_bytes(page_address(src), size);
	memcpy(want, page_address(dst), size);
	memcpy(want + PAGE_SIZE, page_address(src + 2), 4 * PAGE_SIZE);
	memset(want + 5 * PAGE_SIZE, 0, 2 * PAGE_SIZE);
	memcpy(want + 9 * PAGE_SIZE, page_address(src + 1), PAGE_SIZE);

	start_cpu(batch, false);
	KUNIT_EXPECT_FALSE(test, batch->helped);
	finish_cpu(batch);
	zero_all(batch);
	KUNIT_EXPECT_MEMEQ(test, want, page_address(dst), size);
	KUNIT_EXPECT_EQ(test, 5 * PAGE_SIZE, batch->cpu_bytes);
	KUNIT_EXPECT_FALSE(test, batch->fell_back);
	__free_pages(dst, order);
	__free_pages(src, order);
}

/* All that is worth to be helped with, as one run and page by page. */
static void cpu_is_helped(struct kunit *test)
{
	const unsigned int order = 8, nr = 1 << order, size = PAGE_SIZE << order;
	struct page *dst = alloc_pages(GFP_KERNEL, order);
	struct page *src = alloc_pages(GFP_KERNEL, order);
	struct rxe_ce_batch *batch = new_batch(test, NULL, 0);
	unsigned int step, i;

	KUNIT_ASSERT_NOT_NULL(test, dst);
	KUNIT_ASSERT_NOT_NULL(test, src);
	for (step = 1; step <= nr; step *= nr) {
		get_random_bytes(page_address(src), size);
		for (i = 0; i < nr; i += step)
			rxe_ce_batch_add(batch, &(struct rxe_ce_copy){
				dst + (i ^ (step == 1)), src + (i ^ (step == 1)),
				step });
		start_cpu(batch, true);
		KUNIT_EXPECT_EQ(test, num_online_cpus() > 1, batch->helped);
		finish_cpu(batch);
		KUNIT_EXPECT_MEMEQ(test, page_address(src), page_address(dst), size);
		KUNIT_EXPECT_EQ(test, size, batch->cpu_bytes);
		rxe_ce_batch_init(batch);
	}
	__free_pages(dst, order);
	__free_pages(src, order);
}

static struct kunit_case rxe_ce_cases[] = {
	KUNIT_CASE(runs_merge),
	KUNIT_CASE(runs_stay_apart),
	KUNIT_CASE(runs_follow_addresses),
	KUNIT_CASE(runs_of_zeros),
	KUNIT_CASE(pieces),
	KUNIT_CASE(piece_sizes),
	KUNIT_CASE(pieces_taken),
	KUNIT_CASE(lanes_fill_evenly),
	KUNIT_CASE(cpu_copies),
	KUNIT_CASE(cpu_is_helped),
	{}
};

static struct kunit_suite rxe_ce_suite = {
	.name = "rxe_ce",
	.test_cases = rxe_ce_cases,
};

kunit_test_suite(rxe_ce_suite);
