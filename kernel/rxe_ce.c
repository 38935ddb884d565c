// SPDX-License-Identifier: GPL-2.0
/*
 * The copy engine: whole batches of pages, copied for a migration.
 *
 *	add ... add -> start -> (the caller goes on) -> finish
 *
 * A batch is a list of runs. Copies that are added one after the other and are
 * neighbours in memory on both sides make one. All runs are handed to the lanes
 * (the channels of the engine) that the batch has borrowed before the first is
 * waited for; when all slots are used, or the engine takes no more, they are
 * waited for in between.
 *
 * What the engine does not copy, the CPU does: pages to be zeroed, and all that
 * is left when there is no engine, it takes nothing, fails or is late. That
 * happens when the engine is off these pages, so it never writes over newer
 * data. After finish all bytes are in place, whatever has happened.
 *
 * Without an engine another CPU may help, from start on. It and the one that
 * finishes take pieces in turns, under the batch's lock, until none is left; so
 * nobody waits for a helper that hasn't come, or for more than its last piece.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "rxe.h"
#include "rxe_ce.h"
#include "rxe_ce_engine.h"
#include "rxe_race.h"
#include "rxe_trace.h"

/* A shorter piece is not worth a descriptor of its own. */
#define MIN_PIECE	16
/* What a CPU copies at a time, and of how much it isn't worth to wake another. */
#define CPU_PIECE	32
#define HELP_MIN	128

struct rxe_ce {
	struct rxe_dev		*rxe;
	struct rxe_ce_engine	engine;
};

/* NULL is followed by NULL. */
static bool page_follows(struct page *page, unsigned int nr, struct page *next)
{
	return page ? page + nr == next : !next;
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

/* Have the last run of the batch take in what follows it. */
static bool extend_last(struct rxe_ce_batch *batch, const struct rxe_ce_copy *copy)
{
	struct rxe_ce_copy *last;

	if (!batch->nr_runs)
		return false;
	last = &batch->runs[batch->nr_runs - 1];
	if (!follows(last, copy))
		return false;
	last->nr_pages += copy->nr_pages;

	return true;
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
static void copy_run(const struct rxe_ce_copy *run)
{
	void *dst = address(run->dst, run->dst_addr);
	void *src = address(run->src, run->src_addr);
	unsigned int i;

	for (i = 0; i < run->nr_pages; i++)
		copy_page(dst + i * PAGE_SIZE, src + i * PAGE_SIZE);
	cond_resched();
}

static void fall_back(struct rxe_ce_batch *batch, const struct rxe_ce_copy *run)
{
	batch->fell_back = true;
	copy_run(run);
	batch->cpu_bytes += (u64)run->nr_pages << PAGE_SHIFT;
}

/* What the lane was given is copied when this returns. */
static void settle(struct rxe_ce_batch *batch, struct rxe_ce_lane *lane)
{
	struct rxe_ce_slot *slot;

	for (slot = lane->slots; slot < lane->slots + lane->nr_slots; slot++) {
		if (slot->state == RXE_CE_DONE)
			batch->engine_bytes += (u64)slot->run.nr_pages << PAGE_SHIFT;
		else
			fall_back(batch, &slot->run);
	}
}

static void open_lanes(struct rxe_ce_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++)
		rxe_ce_lane_open(batch->lanes[i]);
}

static void issue_lanes(struct rxe_ce_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++)
		rxe_ce_lane_issue(batch->lanes[i]);
}

static void wait_for_lanes(struct rxe_ce_batch *batch)
{
	unsigned long deadline = jiffies + rxe_ce_engine_timeout();
	unsigned int i;

	for (i = 0; i < batch->nr_lanes; i++)
		rxe_ce_lane_wait(batch->lanes[i], deadline);
	for (i = 0; i < batch->nr_lanes; i++)
		settle(batch, batch->lanes[i]);
}

/* The lane with least to do. */
static struct rxe_ce_lane *pick_lane(const struct rxe_ce_batch *batch)
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

static void submit(struct rxe_ce_batch *batch, const struct rxe_ce_copy *piece)
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

static void submit_all(struct rxe_ce_batch *batch)
{
	struct rxe_ce_copy run, piece;
	unsigned int i;

	for (i = 0; i < batch->nr_runs; i++) {
		run = batch->runs[i];
		while (run.src && cut_piece(&run, batch->max_piece, &piece))
			submit(batch, &piece);
	}
}

static void zero_all(struct rxe_ce_batch *batch)
{
	unsigned int i;

	for (i = 0; batch->zeroes && i < batch->nr_runs; i++)
		if (!batch->runs[i].src)
			zero_run(&batch->runs[i]);
}

/* Have the next piece that nobody has; false if there is none. */
static bool take_piece(struct rxe_ce_batch *batch, struct rxe_ce_copy *piece)
{
	bool taken;

	spin_lock(&batch->lock);
	while (!(taken = cut_piece(&batch->rest, CPU_PIECE, piece)) &&
	       batch->next_run < batch->nr_runs) {
		batch->rest = batch->runs[batch->next_run++];
		if (!batch->rest.src)
			batch->rest.nr_pages = 0;
	}
	spin_unlock(&batch->lock);

	return taken;
}

static void help_work(struct work_struct *work)
{
	struct rxe_ce_batch *batch = container_of(work, struct rxe_ce_batch, help);
	struct rxe_ce_copy piece;

	while (take_piece(batch, &piece)) {
		rxe_race_reach(RXE_RACE_COPY_HELPED);
		copy_run(&piece);
	}
}

static void start_cpu(struct rxe_ce_batch *batch, bool help)
{
	spin_lock_init(&batch->lock);
	batch->next_run = 0;
	batch->rest.nr_pages = 0;
	batch->helped = help && batch->nr_pages >= HELP_MIN &&
			num_online_cpus() > 1;
	if (!batch->helped)
		return;
	INIT_WORK(&batch->help, help_work);
	queue_work(system_dfl_wq, &batch->help);
}

static void finish_cpu(struct rxe_ce_batch *batch)
{
	struct rxe_ce_copy piece;

	while (take_piece(batch, &piece))
		copy_run(&piece);
	if (batch->helped && !cancel_work(&batch->help))
		flush_work(&batch->help);
	batch->cpu_bytes = (u64)batch->nr_pages << PAGE_SHIFT;
}

/* Pages in a slot, so that one large run keeps all lanes busy. */
static unsigned int piece_size(unsigned int nr_pages, unsigned int nr_lanes,
			       unsigned int limit)
{
	return min(max(DIV_ROUND_UP(nr_pages, nr_lanes), MIN_PIECE), limit);
}

static unsigned int lane_limit(const struct rxe_ce_batch *batch)
{
	unsigned int limit = UINT_MAX, i;

	for (i = 0; i < batch->nr_lanes; i++)
		limit = min(limit, batch->lanes[i]->max_pages);

	return limit;
}

static void start_engine(struct rxe_ce_batch *batch)
{
	batch->max_piece = piece_size(batch->nr_pages, batch->nr_lanes,
				      lane_limit(batch));
	open_lanes(batch);
	submit_all(batch);
	issue_lanes(batch);
}

static void count(struct rxe_ce *ce, const struct rxe_ce_batch *batch)
{
	atomic64_t *counters = ce->rxe->stats_counters;
	s64 us = ktime_us_delta(ktime_get(), batch->start);

	atomic64_inc(&counters[RXE_CNT_COPY_BATCHES]);
	atomic64_add(batch->engine_bytes, &counters[RXE_CNT_COPY_ENGINE_BYTES]);
	atomic64_add(batch->cpu_bytes, &counters[RXE_CNT_COPY_CPU_BYTES]);
	if (batch->fell_back)
		atomic64_inc(&counters[RXE_CNT_COPY_FALLBACKS]);
	atomic64_add(us, &counters[RXE_CNT_COPY_US]);
	trace_rxe_ce_copy(ce->rxe, batch->nr_runs, batch->engine_bytes,
			  batch->cpu_bytes, batch->fell_back, us);
}

/**
 * rxe_ce_batch_init - begin a batch
 * @batch: the batch, empty afterwards
 *
 * Context: any.
 */
void rxe_ce_batch_init(struct rxe_ce_batch *batch)
{
	batch->nr_runs = 0;
	batch->nr_pages = 0;
	batch->nr_lanes = 0;
	batch->engine_bytes = 0;
	batch->cpu_bytes = 0;
	batch->zeroes = false;
	batch->fell_back = false;
	batch->helped = false;
}

/**
 * rxe_ce_batch_add - add pages to a batch
 * @batch: the batch, not started; it has room for RXE_CE_MAX_RUNS of these
 * @copy: what to copy where; no page of it is in the batch already
 *
 * Context: any.
 */
void rxe_ce_batch_add(struct rxe_ce_batch *batch, const struct rxe_ce_copy *copy)
{
	if (copy->src)
		batch->nr_pages += copy->nr_pages;
	else
		batch->zeroes = true;
	if (!extend_last(batch, copy))
		batch->runs[batch->nr_runs++] = *copy;
}

/**
 * rxe_ce_start - start to copy a batch
 * @ce: the copy engine
 * @batch: the batch; nothing is added any more
 * @help: if there is no engine, another CPU may copy, too
 *
 * When it returns the pages to be zeroed are. The others may not be before
 * rxe_ce_finish() has returned, and until then nobody may read what they go to
 * or write what they come from.
 *
 * Context: may sleep; the pages may be locked and their migration under way, so
 * nothing here waits for reclaim.
 * Return: whether an engine copies; if not, the CPU will when it finishes.
 */
bool rxe_ce_start(struct rxe_ce *ce, struct rxe_ce_batch *batch, bool help)
{
	bool wanted = rxe_ce_engine_wanted() && batch->nr_pages;

	might_sleep();
	batch->start = ktime_get();
	if (wanted)
		batch->nr_lanes = rxe_ce_engine_borrow(&ce->engine,
						       batch->nr_pages,
						       batch->lanes);
	batch->fell_back = wanted && !batch->nr_lanes;
	if (batch->nr_lanes)
		start_engine(batch);
	else
		start_cpu(batch, help);
	rxe_race_reach(RXE_RACE_COPY_ISSUED);
	zero_all(batch);

	return batch->nr_lanes;
}

/**
 * rxe_ce_finish - wait until a batch is copied
 * @ce: the copy engine
 * @batch: the batch, started; it is empty afterwards
 *
 * Never fails: when it returns all bytes are in place.
 *
 * Context: may sleep, as rxe_ce_start().
 */
void rxe_ce_finish(struct rxe_ce *ce, struct rxe_ce_batch *batch)
{
	might_sleep();
	if (!batch->nr_runs)
		return;
	if (batch->nr_lanes) {
		wait_for_lanes(batch);
		rxe_ce_engine_return(&ce->engine, batch->lanes, batch->nr_lanes);
	} else {
		finish_cpu(batch);
	}
	count(ce, batch);
	rxe_ce_batch_init(batch);
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
