// SPDX-License-Identifier: GPL-2.0
/*
 * Evict and evacuate: pages leave the device without being asked.
 *
 * - The device is full: what wasn't used for longest goes (evict).
 * - A process's last MR goes: all of its pages do (evacuate).
 * - The device, or its memory, goes: all pages do (evacuate).
 *
 * Pages are found in the device's memory, not in page tables: the reverse
 * mapping finds these, wherever fork and mremap have put the page. No mm is
 * needed. A folio of 2 MiB moves as one here; without 2 MiB of RAM in one piece
 * it stays, and is tried again.
 *
 * Nothing here holds a lock: pages are locked one by one, and those that are
 * locked already are left for later.
 */
#include <linux/delay.h>
#include <linux/sched/signal.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_race.h"
#include "rxe_trace.h"

/* Rounds without success before a resize gives up, and pause between them. */
#define STUCK_ROUNDS	50
#define PAUSE_MS	10
/* Rounds to make for a process: nothing depends on success. */
#define MIRROR_ROUNDS	3

/* Move the pages whose numbers are in batch->src to RAM; returns how many did. */
static unsigned int evict_batch(struct rxe_batch *batch, unsigned int n)
{
	ktime_t since = ktime_get();
	unsigned int i, moved;

	batch->nr_pages = n;
	memset(batch->dst, 0, n * sizeof(*batch->dst));
	migrate_device_pfns(batch->src, n);
	rxe_race_reach(RXE_RACE_MIGRATE_SETUP);

	for (i = 0; i < n; i++)
		if (batch->src[i] & MIGRATE_PFN_MIGRATE)
			rxe_batch_to_system(batch, i, NULL, 0);
	rxe_batch_copy_start(batch);

	migrate_device_pages(batch->src, batch->dst, n);
	moved = rxe_batch_left(batch, RXE_DMEM_EVICTED);
	rxe_batch_copy_finish(batch);
	migrate_device_finalize(batch->src, batch->dst, n);
	trace_rxe_migrate_evict(batch->hmm->rxe, n, moved,
				ktime_us_delta(ktime_get(), since));

	return moved;
}

/* Evict the next block that was used after @after; returns 0 if none is left. */
static unsigned int evict_next(struct rxe_batch *batch, u64 *after, u64 before,
			       unsigned int *moved)
{
	unsigned int n;

	n = rxe_dmem_pick_coldest(batch->hmm->dmem, after, before, batch->src);
	if (n)
		*moved += evict_batch(batch, n);

	return n;
}

/**
 * rxe_migrate_clock - now, before pages are moved to the device
 * @hmm: the device
 * @pages: how many are to move
 *
 * If there is not enough room, it is seen to that the device knows what the NIC
 * has used until now, so that the coldest goes first. Whatever the NIC uses may
 * go; what is moved there from now on isn't evicted for the caller.
 *
 * Context: may sleep.
 * Return: a time as rxe_dmem_clock() has it.
 */
u64 rxe_migrate_clock(struct rxe_hmm_dev *hmm, unsigned long pages)
{
	struct rxe_dmem_info info;

	rxe_dmem_get_info(hmm->dmem, &info);
	if (info.size < info.used + pages)
		rxe_mirror_touch_accessed(hmm->rxe);

	return rxe_dmem_clock(hmm->dmem);
}

/**
 * rxe_migrate_make_room - see to it that there is room on the device
 * @hmm: the device
 * @pages: for how many pages
 * @block: they are to be a folio
 * @before: don't evict what came after this (rxe_migrate_clock())
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: 0, -EOPNOTSUPP if the device has no memory, -ENOSPC if it is full and
 * nothing could be evicted, -ENOMEM.
 */
int rxe_migrate_make_room(struct rxe_hmm_dev *hmm, unsigned int pages, bool block,
			  u64 before)
{
	unsigned int moved = 0;
	struct rxe_batch *batch;
	u64 after = 0;
	int err;

	err = rxe_dmem_populate(hmm->dmem, pages, block);
	if (err != -ENOSPC)
		return err;

	batch = rxe_batch_create(hmm);
	if (!batch)
		return -ENOMEM;
	while (err == -ENOSPC && evict_next(batch, &after, before, &moved))
		err = rxe_dmem_populate(hmm->dmem, pages, block);
	rxe_batch_destroy(batch);

	return err;
}

static unsigned int evacuate_round(struct rxe_batch *batch, u32 mirror)
{
	unsigned int n, moved = 0;
	unsigned long cursor = 0;

	while ((n = rxe_dmem_pick_mirror(batch->hmm->dmem, mirror, &cursor,
					 batch->src))) {
		moved += evict_batch(batch, n);
		cond_resched();
	}

	return moved;
}

/**
 * rxe_migrate_evacuate_mirror - bring a process's pages back
 * @hmm: the device
 * @mirror: id of the process's mirror
 *
 * What can't be had now stays on the device until the CPU touches it.
 *
 * Context: may sleep; mmap_lock isn't held.
 */
void rxe_migrate_evacuate_mirror(struct rxe_hmm_dev *hmm, u32 mirror)
{
	struct rxe_dmem_info info;
	struct rxe_batch *batch;
	unsigned int i;

	rxe_dmem_get_info(hmm->dmem, &info);
	if (!info.used)
		return;
	batch = rxe_batch_create(hmm);
	if (!batch)
		return;
	for (i = 0; i < MIRROR_ROUNDS; i++)
		if (!evacuate_round(batch, mirror))
			break;
	rxe_batch_destroy(batch);
}

/* Evict until no more than the device's size is in use. */
static int shrink(struct rxe_batch *batch, bool interruptible)
{
	struct rxe_dmem *dmem = batch->hmm->dmem;
	unsigned int moved, stuck = 0;
	u64 after = 0;

	for (;;) {
		rxe_dmem_trim(dmem);
		if (!rxe_dmem_over(dmem))
			return 0;
		if (interruptible && signal_pending(current))
			return -EINTR;
		moved = 0;
		if (evict_next(batch, &after, U64_MAX, &moved))
			continue;
		/* all were tried: begin again with those that would not go */
		after = 0;
		if (interruptible && ++stuck > STUCK_ROUNDS)
			return -EBUSY;
		msleep(PAUSE_MS);
	}
}

/**
 * rxe_migrate_evacuate_all - bring all pages back and turn device memory off
 * @hmm: the device
 *
 * Context: may sleep; waits until the last page is gone.
 */
void rxe_migrate_evacuate_all(struct rxe_hmm_dev *hmm)
{
	struct rxe_batch *batch;

	rxe_dmem_set_size(hmm->dmem, 0);
	rxe_dmem_trim(hmm->dmem);
	while (rxe_dmem_over(hmm->dmem)) {
		batch = rxe_batch_get(hmm);
		shrink(batch, false);
		rxe_batch_destroy(batch);
	}
}

/**
 * rxe_migrate_set_memory - set how much memory the device has
 * @hmm: the device
 * @pages: how much, in whole blocks; 0 turns device memory off
 *
 * Context: may sleep.
 * Return: 0, or, and the size is as before,
 * * -EBUSY: pages would not leave
 * * -EINTR: a signal came
 * * -ENOMEM: no memory for the work
 */
int rxe_migrate_set_memory(struct rxe_hmm_dev *hmm, unsigned long pages)
{
	struct rxe_dmem_info info;
	struct rxe_batch *batch;
	int err;

	batch = rxe_batch_create(hmm);
	if (!batch)
		return -ENOMEM;
	mutex_lock(&hmm->resize_lock);
	rxe_dmem_get_info(hmm->dmem, &info);
	rxe_dmem_set_size(hmm->dmem, pages);
	rxe_mirror_touch_accessed(hmm->rxe);
	err = shrink(batch, true);
	if (err)
		rxe_dmem_set_size(hmm->dmem, info.size);
	mutex_unlock(&hmm->resize_lock);
	rxe_batch_destroy(batch);

	return err;
}
