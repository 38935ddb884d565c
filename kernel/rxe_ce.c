// SPDX-License-Identifier: GPL-2.0
/*
 * The copy engine: whole batches of pages, copied for a migration.
 *
 * A batch is a list of copies. Neighbours in the list that are neighbours in
 * memory on both sides make one run. All runs are handed to the lanes (the
 * channels of the engine) that the batch has borrowed before the first is
 * waited for; when all slots are used, or the engine takes no more, they are
 * waited for in between.
 *
 * What the engine does not copy, the CPU does: pages to be zeroed, and all that
 * is left when there is no engine, it takes nothing, fails or is late. That
 * happens when the engine is off these pages, so it never writes over newer
 * data. In the end all bytes are in place, whatever has happened.
 *
 * A batch belongs to one thread, and lives on its stack.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "rxe.h"
#include "rxe_ce.h"
#include "rxe_ce_engine.h"
#include "rxe_race.h"
#include "rxe_trace.h"

/* A shorter piece is not worth a descriptor of its own. */
#define MIN_PIECE	16

struct rxe_ce {
	struct rxe_dev		*rxe;
	struct rxe_ce_engine	engine;
};

/* How far a batch has come. */
struct cursor {
	const struct rxe_ce_copy *next;
	const struct rxe_ce_copy *end;
};

struct batch {
	const struct rxe_ce_copy *copies;
	unsigned int		nr_copies;
	unsigned int		nr_pages;	/* to be copied, not zeroed */
	bool			zeroes;		/* there are pages to be zeroed */
	struct rxe_ce_lane	*lanes[RXE_CE_MAX_LANES];
	unsigned int		nr_lanes;
	unsigned int		max_piece;	/* pages in a slot */
	u64			engine_bytes;
	u64			cpu_bytes;
	bool			fell_back;
};

/* NULL is followed by NULL. */
static bool page_follows(struct page *page, unsigned int nr, struct page *next)
{
	if (!page || !next)
		return page == next;

	return page_to_pfn(page) + nr == page_to_pfn(next);
}

static bool addr_follows(void *addr, unsigned int nr, void *next)
{
	if (!addr || !next)
		return addr == next;

	return addr + ((unsigned long)nr << PAGE_SHIFT) == next;
}

static bool follows(const struct rxe_ce_copy *run, const struct rxe_ce_copy *copy)
{
	return page_follows(run->dst, run->nr_pages, copy->dst) &&
	       page_follows(run->src, run->nr_pages, copy->src) &&
	       addr_follows(run->dst_addr, run->nr_pages, copy->dst_addr) &&
	       addr_follows(run->src_addr, run->nr_pages, copy->src_addr);
}

/* Take as much of the batch as makes one run; false at its end. */
static bool next_run(struct cursor *cursor, struct rxe_ce_copy *run)
{
	const struct rxe_ce_copy *copy = cursor->next;

	if (copy == cursor->end)
		return false;
	*run = *copy;
	for (copy++; copy != cursor->end && follows(run, copy); copy++)
		run->nr_pages += copy->nr_pages;
	cursor->next = copy;

	return true;
}

static struct cursor start_of(const struct batch *batch)
{
	return (struct cursor){
		.next = batch->copies,
		.end = batch->copies + batch->nr_copies,
	};
}

/* Cut up to @max pages off the front; false if nothing is left. */
static bool cut_piece(struct rxe_ce_copy *run, unsigned int max,
		      struct rxe_ce_copy *piece)
{
	if (!run->nr_pages)
		return false;
	*piece = *run;
	piece->nr_pages = min(run->nr_pages, max);
	run->dst += piece->nr_pages;
	run->src += piece->nr_pages;
	if (run->dst_addr)
		run->dst_addr += (unsigned long)piece->nr_pages << PAGE_SHIFT;
	if (run->src_addr)
		run->src_addr += (unsigned long)piece->nr_pages << PAGE_SHIFT;
	run->nr_pages -= piece->nr_pages;

	return true;
}

static void *address(struct page *page, void *addr)
{
	return addr ? addr : page_address(page);
}

static void zero_run(const struct rxe_ce_copy *run)
{
	clear_pages(address(run->dst, run->dst_addr), run->nr_pages);
	cond_resched();
}

/* A page at a time: copy_page() beats memcpy() of the whole. */
static void copy_by_cpu(struct batch *batch, const struct rxe_ce_copy *run)
{
	void *dst = address(run->dst, run->dst_addr);
	void *src = address(run->src, run->src_addr);
	unsigned int i;

	for (i = 0; i < run->nr_pages; i++)
		copy_page(dst + i * PAGE_SIZE, src + i * PAGE_SIZE);
	batch->cpu_bytes += (u64)run->nr_pages << PAGE_SHIFT;
	cond_resched();
}

static void fall_back(struct batch *batch, const struct rxe_ce_copy *run)
{
	batch->fell_back = true;
	copy_by_cpu(batch, run);
}

/* What the lane was given is copied when this returns. */
static void settle(struct batch *batch, struct rxe_ce_lane *lane)
{
	struct rxe_ce_slot *slot;

	for (slot = lane->slots; slot < lane->slots + lane->nr_slots; slot++) {
		if (slot->state == RXE_CE_DONE)
			batch->engine_bytes += (u64)slot->run.nr_pages << PAGE_SHIFT;
		else
			fall_back(batch, &slot->run);
	}
}

static void open_lanes(struct batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++)
		rxe_ce_lane_open(batch->lanes[i]);
}

static void issue_lanes(struct batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++)
		rxe_ce_lane_issue(batch->lanes[i]);
}

static void wait_for_lanes(struct batch *batch)
{
	unsigned long deadline = jiffies + rxe_ce_engine_timeout();
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++)
		rxe_ce_lane_wait(batch->lanes[i], deadline);
	for (i = 0; i < batch->nr_lanes; i++)
		settle(batch, batch->lanes[i]);
}

/* The lane with least to do. */
static struct rxe_ce_lane *pick_lane(const struct batch *batch)
{
	struct rxe_ce_lane *lane, *best = NULL;
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++) {
		lane = batch->lanes[i];
		if (READ_ONCE(lane->broken))
			continue;
		if (!best || lane->nr_pages < best->nr_pages)
			best = lane;
	}

	return best;
}

static void submit(struct batch *batch, const struct rxe_ce_copy *piece)
{
	struct rxe_ce_lane *lane = pick_lane(batch);

	if (lane && !rxe_ce_lane_add(lane, piece))
		return;

	/* no room: once more when all that is there is done */
	issue_lanes(batch);
	wait_for_lanes(batch);
	open_lanes(batch);
	lane = pick_lane(batch);
	if (lane) {
		if (!rxe_ce_lane_add(lane, piece))
			return;
		lane->broken = true;
	}
	fall_back(batch, piece);
}

static void submit_all(struct batch *batch)
{
	struct cursor cursor = start_of(batch);
	struct rxe_ce_copy run, piece;

	while (next_run(&cursor, &run))
		while (run.src && cut_piece(&run, batch->max_piece, &piece))
			submit(batch, &piece);
}

static void zero_all(struct batch *batch)
{
	struct cursor cursor = start_of(batch);
	struct rxe_ce_copy run;

	while (batch->zeroes && next_run(&cursor, &run))
		if (!run.src)
			zero_run(&run);
}

static void copy_all_by_cpu(struct batch *batch)
{
	struct cursor cursor = start_of(batch);
	struct rxe_ce_copy run;

	while (next_run(&cursor, &run))
		if (run.src)
			copy_by_cpu(batch, &run);
}

static void count_pages(struct batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_copies; i++)
		if (batch->copies[i].src)
			batch->nr_pages += batch->copies[i].nr_pages;
		else
			batch->zeroes = true;
}

/* Pages in a slot, so that one large run keeps all lanes busy. */
static unsigned int piece_size(unsigned int nr_pages, unsigned int nr_lanes,
			       unsigned int limit)
{
	return min(max(DIV_ROUND_UP(nr_pages, nr_lanes), MIN_PIECE), limit);
}

static unsigned int lane_limit(const struct batch *batch)
{
	unsigned int limit = UINT_MAX, i;

	for (i = 0; i < batch->nr_lanes; i++)
		limit = min(limit, batch->lanes[i]->max_pages);

	return limit;
}

/* The CPU zeroes pages while the engine copies others, and does what it is told. */
static void copy_by_engine(struct batch *batch, void (*meanwhile)(void *arg),
			   void *arg)
{
	batch->max_piece = piece_size(batch->nr_pages, batch->nr_lanes,
				      lane_limit(batch));
	open_lanes(batch);
	submit_all(batch);
	issue_lanes(batch);
	rxe_race_reach(RXE_RACE_COPY_ISSUED);
	zero_all(batch);
	if (meanwhile)
		meanwhile(arg);
	wait_for_lanes(batch);
}

static void count(struct rxe_ce *ce, const struct batch *batch, ktime_t start)
{
	atomic64_t *counters = ce->rxe->stats_counters;
	s64 us = ktime_us_delta(ktime_get(), start);

	atomic64_inc(&counters[RXE_CNT_COPY_BATCHES]);
	atomic64_add(batch->engine_bytes, &counters[RXE_CNT_COPY_ENGINE_BYTES]);
	atomic64_add(batch->cpu_bytes, &counters[RXE_CNT_COPY_CPU_BYTES]);
	if (batch->fell_back)
		atomic64_inc(&counters[RXE_CNT_COPY_FALLBACKS]);
	atomic64_add(us, &counters[RXE_CNT_COPY_US]);
	trace_rxe_ce_copy(ce->rxe, batch->nr_copies, batch->engine_bytes,
			  batch->cpu_bytes, batch->fell_back, us);
}

/**
 * rxe_ce_run - copy a batch
 * @ce: the copy engine
 * @copies: what to copy where; no page is in it twice
 * @nr: how many
 * @meanwhile: what the CPU can do while an engine copies, or NULL; the CPU that
 *	copies by itself has no time for it
 * @arg: for @meanwhile
 *
 * Never fails: when it returns all bytes are in place.
 *
 * Context: may sleep; the pages may be locked and their migration under way, so
 * nothing here waits for reclaim, nor may @meanwhile.
 */
void rxe_ce_run(struct rxe_ce *ce, const struct rxe_ce_copy *copies,
		unsigned int nr, void (*meanwhile)(void *arg), void *arg)
{
	struct batch batch = { .copies = copies, .nr_copies = nr };
	bool wanted = rxe_ce_engine_wanted();
	ktime_t start = ktime_get();

	might_sleep();
	count_pages(&batch);
	if (wanted && batch.nr_pages)
		batch.nr_lanes = rxe_ce_engine_borrow(&ce->engine,
						      batch.nr_pages,
						      batch.lanes);
	if (batch.nr_lanes) {
		copy_by_engine(&batch, meanwhile, arg);
		rxe_ce_engine_return(&ce->engine, batch.lanes, batch.nr_lanes);
	} else {
		batch.fell_back = wanted && batch.nr_pages;
		copy_all_by_cpu(&batch);
		zero_all(&batch);
	}
	count(ce, &batch, start);
}

/**
 * rxe_ce_create - make a device's copy engine
 * @rxe: the device
 *
 * No channel is taken before the first batch.
 *
 * Context: may sleep.
 * Return: the engine, or ERR_PTR(-ENOMEM).
 */
struct rxe_ce *rxe_ce_create(struct rxe_dev *rxe)
{
	struct rxe_ce *ce;

	ce = kzalloc_obj(*ce);
	if (!ce)
		return ERR_PTR(-ENOMEM);
	ce->rxe = rxe;
	rxe_ce_engine_init(&ce->engine);

	return ce;
}

/**
 * rxe_ce_destroy - undo rxe_ce_create(), give all channels back
 * @ce: the engine; nobody uses it any more
 *
 * Context: may sleep.
 */
void rxe_ce_destroy(struct rxe_ce *ce)
{
	rxe_ce_engine_fini(&ce->engine);
	kfree(ce);
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_ce_test.c"
#endif
