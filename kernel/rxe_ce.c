// SPDX-License-Identifier: GPL-2.0
/*
 * The copy engine: whole batches of pages, copied for a migration.
 *
 * A batch is a list of copies. Neighbours in the list that are neighbours in
 * memory on both sides make one run, and a run is copied in one go.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "rxe.h"
#include "rxe_ce.h"
#include "rxe_trace.h"

struct rxe_ce {
	struct rxe_dev	*rxe;
};

/* A piece of a batch: contiguous on both sides, or to be zeroed. */
struct run {
	struct page	*dst;
	struct page	*src;
	unsigned int	nr_pages;
};

/* How far a batch has come. */
struct cursor {
	const struct rxe_ce_copy *next;
	const struct rxe_ce_copy *end;
};

/* What a batch did, for the counters. */
struct outcome {
	u64		cpu_bytes;
	u64		zero_bytes;
};

static bool follows(const struct run *run, const struct rxe_ce_copy *copy)
{
	if (!run->src != !copy->src)
		return false;
	if (page_to_pfn(run->dst) + run->nr_pages != page_to_pfn(copy->dst))
		return false;

	return !run->src ||
	       page_to_pfn(run->src) + run->nr_pages == page_to_pfn(copy->src);
}

/* Take as much of the batch as makes one run; false at its end. */
static bool next_run(struct cursor *cursor, struct run *run)
{
	const struct rxe_ce_copy *copy = cursor->next;

	if (copy == cursor->end)
		return false;
	*run = (struct run){ copy->dst, copy->src, copy->nr_pages };
	for (copy++; copy != cursor->end && follows(run, copy); copy++)
		run->nr_pages += copy->nr_pages;
	cursor->next = copy;

	return true;
}

static void copy_by_cpu(const struct run *run, struct outcome *outcome)
{
	void *dst = page_address(run->dst), *src;
	size_t size = (size_t)run->nr_pages << PAGE_SHIFT;
	size_t done;

	if (!run->src) {
		clear_pages(dst, run->nr_pages);
		outcome->zero_bytes += size;
	} else {
		src = page_address(run->src);
		for (done = 0; done < size; done += PAGE_SIZE)
			copy_page(dst + done, src + done);
		outcome->cpu_bytes += size;
	}
	cond_resched();
}

static void count(struct rxe_ce *ce, const struct outcome *outcome, s64 us)
{
	atomic64_t *counters = ce->rxe->stats_counters;

	atomic64_inc(&counters[RXE_CNT_COPY_BATCHES]);
	atomic64_add(outcome->cpu_bytes, &counters[RXE_CNT_COPY_CPU_BYTES]);
	atomic64_add(us, &counters[RXE_CNT_COPY_US]);
}

/**
 * rxe_ce_run - copy a batch
 * @ce: the copy engine
 * @copies: what to copy where; no page is in it twice
 * @nr: how many
 *
 * Never fails: when it returns all bytes are in place.
 *
 * Context: may sleep; the pages may be locked and their migration under way, so
 * nothing here waits for reclaim.
 */
void rxe_ce_run(struct rxe_ce *ce, const struct rxe_ce_copy *copies,
		unsigned int nr)
{
	struct cursor cursor = { copies, copies + nr };
	struct outcome outcome = {};
	ktime_t start = ktime_get();
	struct run run;

	while (next_run(&cursor, &run))
		copy_by_cpu(&run, &outcome);
	count(ce, &outcome, ktime_us_delta(ktime_get(), start));
}

/**
 * rxe_ce_create - make a device's copy engine
 * @rxe: the device
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

	return ce;
}

/**
 * rxe_ce_destroy - undo rxe_ce_create()
 * @ce: the engine; nobody uses it any more
 *
 * Context: may sleep.
 */
void rxe_ce_destroy(struct rxe_ce *ce)
{
	kfree(ce);
}
