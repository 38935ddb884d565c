// SPDX-License-Identifier: GPL-2.0
/*
 * A lane of the copy engine: one channel, and the runs that a batch gave to it.
 *
 *	open -> add ... add -> issue -> wait -> (the batch looks at the slots)
 *
 * A slot is mapped for the engine from add to the end of wait. When wait
 * returns the engine reads and writes no page of the lane any more, whatever
 * has happened: the runs are done, or the channel was stopped. An engine that
 * cannot be stopped is waited for, for ever if need be: pages that it may still
 * write can be given to nobody.
 *
 * The slots are part of the lane, so nothing is allocated to copy.
 */
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_ce_engine.h"

static struct device *dma_dev(const struct rxe_ce_lane *lane)
{
	return dmaengine_get_dma_device(lane->chan);
}

/**
 * rxe_ce_lane_create - make a lane of a channel
 * @chan: the channel, which the lane takes over
 *
 * Context: may sleep.
 * Return: the lane, or NULL without memory; then @chan is still the caller's.
 */
struct rxe_ce_lane *rxe_ce_lane_create(struct dma_chan *chan)
{
	struct rxe_ce_lane *lane = kvzalloc_obj(*lane);
	size_t max;

	if (!lane)
		return NULL;
	lane->chan = chan;
	init_completion(&lane->quiet);
	max = min(dma_max_mapping_size(dma_dev(lane)), SZ_2M);
	lane->max_pages = max(max >> PAGE_SHIFT, 1);
	rxe_audit_made(RXE_AUDIT_CHANNELS);

	return lane;
}

/**
 * rxe_ce_lane_destroy - give the channel back
 * @lane: the lane, which no batch has
 *
 * Context: may sleep.
 */
void rxe_ce_lane_destroy(struct rxe_ce_lane *lane)
{
	dma_release_channel(lane->chan);
	kvfree(lane);
	rxe_audit_freed(RXE_AUDIT_CHANNELS);
}

/**
 * rxe_ce_lane_open - begin to fill a lane
 * @lane: the lane, quiet; its slots are forgotten
 *
 * Context: any.
 */
void rxe_ce_lane_open(struct rxe_ce_lane *lane)
{
	lane->nr_slots = 0;
	lane->nr_pages = 0;
	reinit_completion(&lane->quiet);
	atomic_set(&lane->pending, 1);
}

static void put_pending(struct rxe_ce_lane *lane)
{
	if (atomic_dec_and_test(&lane->pending))
		complete(&lane->quiet);
}

static void copied(void *param, const struct dmaengine_result *result)
{
	struct rxe_ce_slot *slot = param;
	struct rxe_ce_lane *lane = slot->lane;

	if (result->result == DMA_TRANS_NOERROR) {
		slot->state = RXE_CE_DONE;
	} else {
		slot->state = RXE_CE_FAILED;
		/* nobody has asked for it: the engine is going away */
		if (result->result == DMA_TRANS_ABORTED)
			WRITE_ONCE(lane->broken, true);
	}
	put_pending(lane);
}

static int map_slot(struct rxe_ce_lane *lane, struct rxe_ce_slot *slot)
{
	size_t size = (size_t)slot->run.nr_pages << PAGE_SHIFT;
	struct device *dev = dma_dev(lane);

	slot->src = dma_map_page(dev, slot->run.src, 0, size, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, slot->src))
		return -ENOMEM;
	slot->dst = dma_map_page(dev, slot->run.dst, 0, size, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, slot->dst)) {
		dma_unmap_page(dev, slot->src, size, DMA_TO_DEVICE);
		return -ENOMEM;
	}

	return 0;
}

static void unmap_slot(struct rxe_ce_lane *lane, struct rxe_ce_slot *slot)
{
	size_t size = (size_t)slot->run.nr_pages << PAGE_SHIFT;
	struct device *dev = dma_dev(lane);

	dma_unmap_page(dev, slot->dst, size, DMA_FROM_DEVICE);
	dma_unmap_page(dev, slot->src, size, DMA_TO_DEVICE);
}

static int submit_slot(struct rxe_ce_lane *lane, struct rxe_ce_slot *slot)
{
	size_t size = (size_t)slot->run.nr_pages << PAGE_SHIFT;
	struct dma_async_tx_descriptor *tx;

	tx = dmaengine_prep_dma_memcpy(lane->chan, slot->dst, slot->src, size,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx)
		return -EAGAIN;
	tx->callback_result = copied;
	tx->callback_param = slot;
	atomic_inc(&lane->pending);
	if (dma_submit_error(dmaengine_submit(tx))) {
		atomic_dec(&lane->pending);
		return -EAGAIN;
	}

	return 0;
}

/**
 * rxe_ce_lane_add - hand a run to the engine
 * @lane: the lane, open
 * @run: the run, of no more than lane->max_pages pages
 *
 * The engine may start at once, or when rxe_ce_lane_issue() is called.
 *
 * Context: process context, does not wait for memory.
 * Return: 0, or -EAGAIN, -ENOMEM: not now; it may work when the lane is quiet.
 */
int rxe_ce_lane_add(struct rxe_ce_lane *lane, const struct rxe_ce_copy *run)
{
	struct rxe_ce_slot *slot;
	int err;

	if (lane->nr_slots == RXE_CE_SLOTS)
		return -EAGAIN;
	slot = &lane->slots[lane->nr_slots];
	*slot = (struct rxe_ce_slot){
		.lane = lane,
		.run = *run,
		.state = RXE_CE_PENDING,
	};
	err = map_slot(lane, slot);
	if (err)
		return err;
	err = submit_slot(lane, slot);
	if (err) {
		unmap_slot(lane, slot);
		return err;
	}
	lane->nr_slots++;
	lane->nr_pages += run->nr_pages;

	return 0;
}

/**
 * rxe_ce_lane_issue - let the engine go
 * @lane: the lane; nothing is added after this
 *
 * Context: process context.
 */
void rxe_ce_lane_issue(struct rxe_ce_lane *lane)
{
	if (lane->nr_slots)
		dma_async_issue_pending(lane->chan);
	put_pending(lane);
}

/* The engine is late: stop it. */
static void stop(struct rxe_ce_lane *lane)
{
	lane->broken = true;
	if (!dmaengine_terminate_sync(lane->chan))
		return;
	pr_err("rxe: the copy engine cannot be stopped, waiting for it\n");
	wait_for_completion(&lane->quiet);
}

/**
 * rxe_ce_lane_wait - wait until the engine is done, or is stopped
 * @lane: the lane, issued
 * @deadline: when to stop it, in jiffies
 *
 * Afterwards a slot whose state is not RXE_CE_DONE holds no useful data, and no
 * slot is the engine's any more.
 *
 * Context: may sleep.
 */
void rxe_ce_lane_wait(struct rxe_ce_lane *lane, unsigned long deadline)
{
	unsigned long now = jiffies;
	unsigned long left = time_after(deadline, now) ? deadline - now : 1;
	unsigned int i;

	if (!wait_for_completion_timeout(&lane->quiet, left))
		stop(lane);
	for (i = 0; i < lane->nr_slots; i++)
		unmap_slot(lane, &lane->slots[i]);
}
