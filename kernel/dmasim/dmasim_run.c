// SPDX-License-Identifier: GPL-2.0
/*
 * The engine of a channel: a work item that copies with the CPU.
 *
 * It runs while there is something to do and sleeps for what the knobs ask for.
 * It takes a descriptor from the issued list, makes it the active one, and
 * works on it piece by piece. Between the pieces it looks whether it should go
 * on: the client may have terminated the descriptor or paused the channel, the
 * device may be stalled or gone. A paused or stalled channel keeps its active
 * descriptor and the work item ends; whoever lets it go on queues it again.
 *
 * The active descriptor is only freed by way of here: into desc_completed when
 * it is done, into desc_terminated when it was cancelled.
 */
#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "dmasim.h"

#define PIECE	SZ_64K

static void finish_active(struct dmasim_chan *ch,
			  enum dmaengine_tx_result result)
{
	struct dmasim_desc *desc = ch->active;

	lockdep_assert_held(&ch->vc.lock);

	ch->active = NULL;
	desc->vd.tx_result.result = result;
	desc->vd.tx_result.residue = desc->size - desc->done;
	dmasim_count(ch->sim, DMASIM_DESCRIPTORS, 1);
	if (result != DMA_TRANS_NOERROR) {
		ch->failed[ch->nr_failed++ % DMASIM_MAX_FAILED] =
			desc->vd.tx.cookie;
		dmasim_count(ch->sim, DMASIM_FAILED, 1);
	}
	vchan_cookie_complete(&desc->vd);
}

static void drop_active(struct dmasim_chan *ch)
{
	struct dmasim_desc *desc = ch->active;

	lockdep_assert_held(&ch->vc.lock);

	ch->active = NULL;
	vchan_terminate_vdesc(&desc->vd);
	wake_up_all(&ch->wait);
}

static void start_next(struct dmasim_chan *ch)
{
	struct virt_dma_desc *vd = vchan_next_desc(&ch->vc);
	struct dmasim_desc *desc;

	if (!vd)
		return;
	list_del(&vd->node);
	desc = to_dmasim_desc(vd);
	/* it may be a descriptor that is used again */
	desc->done = 0;
	desc->fail_at = SIZE_MAX;
	desc->started = false;
	desc->cancelled = false;
	ch->active = desc;
}

static bool is_halted(const struct dmasim_chan *ch)
{
	return ch->paused || dmasim_knob(ch->sim, DMASIM_STALL);
}

/* The descriptor to work on; NULL if there is none, or not now. */
static struct dmasim_desc *next_desc(struct dmasim_chan *ch)
{
	struct dmasim_desc *desc = NULL;

	/* completions run as soon as bottom halves are on again */
	local_bh_disable();
	spin_lock_irq(&ch->vc.lock);
	for (;;) {
		if (!ch->active)
			start_next(ch);
		if (!ch->active)
			break;
		if (ch->active->cancelled) {
			drop_active(ch);
		} else if (ch->sim->gone) {
			finish_active(ch, DMA_TRANS_ABORTED);
		} else {
			desc = is_halted(ch) ? NULL : ch->active;
			break;
		}
	}
	spin_unlock_irq(&ch->vc.lock);
	local_bh_enable();

	return desc;
}

static bool must_stop(const struct dmasim_chan *ch,
		      const struct dmasim_desc *desc)
{
	return READ_ONCE(desc->cancelled) || READ_ONCE(ch->sim->gone);
}

static void sleep_ns(struct dmasim_chan *ch, const struct dmasim_desc *desc,
		     u64 ns)
{
	if (ns)
		wait_event_hrtimeout(ch->wait, must_stop(ch, desc),
				     ns_to_ktime(ns));
}

static void start(struct dmasim_chan *ch, struct dmasim_desc *desc)
{
	sleep_ns(ch, desc, dmasim_knob(ch->sim, DMASIM_LATENCY) * NSEC_PER_USEC);
	if (get_random_u32_below(1000000) < dmasim_knob(ch->sim, DMASIM_ERRORS))
		desc->fail_at = get_random_u64() % desc->size;
	desc->started = true;
}

/* Sleep for what is left of the time that @bytes take at the set bandwidth. */
static void throttle(struct dmasim_chan *ch, const struct dmasim_desc *desc,
		     size_t bytes, u64 start)
{
	u64 bandwidth = dmasim_knob(ch->sim, DMASIM_BANDWIDTH) * SZ_1M;
	u64 due, now = ktime_get_ns();

	if (!bandwidth)
		return;
	due = start + mul_u64_u64_div_u64(bytes, NSEC_PER_SEC, bandwidth);
	if (due > now)
		sleep_ns(ch, desc, due - now);
}

/* copy_page() is the fastest way to copy that the kernel knows of. */
static void copy(void *dst, void *src, size_t size)
{
	if (PAGE_ALIGNED(dst) && PAGE_ALIGNED(src))
		for (; size >= PAGE_SIZE; size -= PAGE_SIZE) {
			copy_page(dst, src);
			dst += PAGE_SIZE;
			src += PAGE_SIZE;
		}
	memcpy(dst, src, size);
}

static void move_piece(struct dmasim_chan *ch, struct dmasim_desc *desc)
{
	size_t n = min(min(desc->size, desc->fail_at) - desc->done, PIECE);
	void *dst = phys_to_virt(desc->dst) + desc->done;
	u64 start = ktime_get_ns();

	if (desc->fill)
		memset(dst, desc->value, n);
	else
		copy(dst, phys_to_virt(desc->src) + desc->done, n);
	dmasim_count(ch->sim, DMASIM_BYTES, n);
	throttle(ch, desc, n, start);
	/* tx_status() reads it for the residue */
	WRITE_ONCE(desc->done, desc->done + n);
}

static void count_down_to_stall(struct dmasim *sim)
{
	u64 *value = &sim->knobs[DMASIM_STALL_AFTER].value;
	u64 left = READ_ONCE(*value);

	do {
		if (!left)
			return;
	} while (!try_cmpxchg(value, &left, left - 1));
	if (left == 1)
		WRITE_ONCE(sim->knobs[DMASIM_STALL].value, 1);
}

static void finish(struct dmasim_chan *ch, struct dmasim_desc *desc)
{
	bool failed = desc->done == desc->fail_at;

	local_bh_disable();
	spin_lock_irq(&ch->vc.lock);
	if (!desc->cancelled) {
		finish_active(ch, failed ? DMA_TRANS_WRITE_FAILED :
					   DMA_TRANS_NOERROR);
		count_down_to_stall(ch->sim);
	}
	spin_unlock_irq(&ch->vc.lock);
	local_bh_enable();
}

/**
 * dmasim_run - work on a channel until there is nothing to do
 * @work: the channel's
 *
 * Context: work item, sleeps; never two at once for one channel. Allocates
 * nothing: who waits for the engine may be what frees memory.
 */
void dmasim_run(struct work_struct *work)
{
	struct dmasim_chan *ch = container_of(work, struct dmasim_chan, work);
	struct dmasim_desc *desc;

	while ((desc = next_desc(ch))) {
		if (!desc->started)
			start(ch, desc);
		else if (desc->done < min(desc->size, desc->fail_at))
			move_piece(ch, desc);
		else
			finish(ch, desc);
		cond_resched();
	}
}

/**
 * dmasim_kick - let all channels look what there is to do
 * @sim: the device
 *
 * Context: any.
 */
void dmasim_kick(struct dmasim *sim)
{
	unsigned int i;

	for (i = 0; i < sim->nr_chans; i++) {
		queue_work(sim->wq, &sim->chans[i].work);
		wake_up_all(&sim->chans[i].wait);
	}
}
