// SPDX-License-Identifier: GPL-2.0
/*
 * What clients of a channel call.
 *
 * All of it may be called after the driver is unbound: then nothing new can be
 * prepared, and what was prepared before ends with DMA_TRANS_ABORTED.
 */
#include <linux/dma-direct.h>
#include <linux/memory_hotplug.h>
#include <linux/slab.h>

#include "dmasim.h"

/* Only memory that the kernel has mapped can be copied by the CPU. */
static bool is_memory(phys_addr_t start, size_t size)
{
	unsigned long pfn = PHYS_PFN(start);
	phys_addr_t last;

	if (check_add_overflow(start, size - 1, &last))
		return false;
	for (; pfn <= PHYS_PFN(last); pfn++)
		if (!pfn_to_online_page(pfn))
			return false;

	return true;
}

static struct dmasim_desc *create_desc(struct dmasim_chan *ch, dma_addr_t dst,
				       size_t size)
{
	struct device *dev = ch->vc.chan.device->dev;
	phys_addr_t start = dma_to_phys(dev, dst);
	struct dmasim_desc *desc;

	if (READ_ONCE(ch->sim->gone) || !size || !is_memory(start, size))
		return NULL;
	desc = kzalloc_obj(*desc, GFP_NOWAIT);
	if (!desc)
		return NULL;
	desc->dst = start;
	desc->size = size;

	return desc;
}

static struct dma_async_tx_descriptor *
prep_memcpy(struct dma_chan *chan, dma_addr_t dst, dma_addr_t src, size_t size,
	    unsigned long flags)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	phys_addr_t start = dma_to_phys(chan->device->dev, src);
	struct dmasim_desc *desc;

	if (!size || !is_memory(start, size))
		return NULL;
	desc = create_desc(ch, dst, size);
	if (!desc)
		return NULL;
	desc->src = start;

	return vchan_tx_prep(&ch->vc, &desc->vd, flags);
}

static struct dma_async_tx_descriptor *
prep_memset(struct dma_chan *chan, dma_addr_t dst, int value, size_t size,
	    unsigned long flags)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	struct dmasim_desc *desc = create_desc(ch, dst, size);

	if (!desc)
		return NULL;
	desc->fill = true;
	desc->value = value;

	return vchan_tx_prep(&ch->vc, &desc->vd, flags);
}

static void free_desc(struct virt_dma_desc *vd)
{
	kfree(to_dmasim_desc(vd));
}

static void issue_pending(struct dma_chan *chan)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	unsigned long flags;
	bool any;

	spin_lock_irqsave(&ch->vc.lock, flags);
	any = vchan_issue_pending(&ch->vc);
	spin_unlock_irqrestore(&ch->vc.lock, flags);
	if (any)
		queue_work(ch->sim->wq, &ch->work);
}

static struct dmasim_desc *find_desc(struct dmasim_chan *ch,
				     dma_cookie_t cookie)
{
	struct virt_dma_desc *vd;

	lockdep_assert_held(&ch->vc.lock);

	if (ch->active && ch->active->vd.tx.cookie == cookie)
		return ch->active;
	vd = vchan_find_desc(&ch->vc, cookie);
	if (vd)
		return to_dmasim_desc(vd);
	list_for_each_entry(vd, &ch->vc.desc_submitted, node)
		if (vd->tx.cookie == cookie)
			return to_dmasim_desc(vd);

	return NULL;
}

static bool has_failed(const struct dmasim_chan *ch, dma_cookie_t cookie)
{
	unsigned int i, n = min(ch->nr_failed, DMASIM_MAX_FAILED);

	lockdep_assert_held(&ch->vc.lock);

	for (i = 0; i < n; i++)
		if (ch->failed[i] == cookie)
			return true;

	return false;
}

static size_t residue(const struct dmasim_chan *ch,
		      const struct dmasim_desc *desc)
{
	/* what the last use of a descriptor has done does not count */
	return desc == ch->active ? desc->size - READ_ONCE(desc->done) :
				    desc->size;
}

static enum dma_status tx_status(struct dma_chan *chan, dma_cookie_t cookie,
				 struct dma_tx_state *state)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	const struct dmasim_desc *desc;
	enum dma_status status;
	unsigned long flags;

	spin_lock_irqsave(&ch->vc.lock, flags);
	status = dma_cookie_status(chan, cookie, state);
	if (status == DMA_COMPLETE) {
		if (has_failed(ch, cookie))
			status = DMA_ERROR;
	} else {
		desc = find_desc(ch, cookie);
		if (desc)
			dma_set_residue(state, min(residue(ch, desc), U32_MAX));
		if (desc && desc == ch->active && ch->paused)
			status = DMA_PAUSED;
	}
	spin_unlock_irqrestore(&ch->vc.lock, flags);

	return status;
}

static int pause(struct dma_chan *chan)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	unsigned long flags;

	spin_lock_irqsave(&ch->vc.lock, flags);
	ch->paused = true;
	spin_unlock_irqrestore(&ch->vc.lock, flags);

	return 0;
}

static int resume(struct dma_chan *chan)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	unsigned long flags;

	spin_lock_irqsave(&ch->vc.lock, flags);
	ch->paused = false;
	spin_unlock_irqrestore(&ch->vc.lock, flags);
	queue_work(ch->sim->wq, &ch->work);

	return 0;
}

static unsigned int terminate_list(struct dmasim_chan *ch,
				   struct list_head *list)
{
	unsigned int n = list_count_nodes(list);

	lockdep_assert_held(&ch->vc.lock);
	list_splice_tail_init(list, &ch->vc.desc_terminated);

	return n;
}

/*
 * Stops all that was submitted. What is only prepared stays with the client,
 * which may be about to submit it.
 */
static int terminate_all(struct dma_chan *chan)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);
	unsigned long flags;
	unsigned int n = 0;

	spin_lock_irqsave(&ch->vc.lock, flags);
	n += terminate_list(ch, &ch->vc.desc_submitted);
	n += terminate_list(ch, &ch->vc.desc_issued);
	terminate_list(ch, &ch->vc.desc_completed);
	if (ch->active && !ch->active->cancelled) {
		WRITE_ONCE(ch->active->cancelled, true);
		n++;
	}
	ch->paused = false;
	spin_unlock_irqrestore(&ch->vc.lock, flags);

	dmasim_count(ch->sim, DMASIM_TERMINATED, n);
	queue_work(ch->sim->wq, &ch->work);
	wake_up_all(&ch->wait);

	return 0;
}

static bool is_clear(struct dmasim_chan *ch)
{
	bool clear;

	spin_lock_irq(&ch->vc.lock);
	clear = !ch->active || !ch->active->cancelled;
	spin_unlock_irq(&ch->vc.lock);

	return clear;
}

/* Waits until the engine is off what was terminated, and frees that. */
static void synchronize(struct dma_chan *chan)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);

	wait_event(ch->wait, is_clear(ch));
	vchan_synchronize(&ch->vc);
}

/* dmaengine takes any error but -ENODEV as "not this one, not now". */
static int alloc_chan_resources(struct dma_chan *chan)
{
	struct dmasim_chan *ch = to_dmasim_chan(chan);

	return READ_ONCE(ch->sim->gone) ? -ESHUTDOWN : 0;
}

static void free_chan_resources(struct dma_chan *chan)
{
	terminate_all(chan);
	synchronize(chan);
	vchan_free_chan_resources(to_virt_chan(chan));
}

/**
 * dmasim_chan_ops - fill in what clients may call
 * @ddev: the device, zeroed
 *
 * Context: any.
 */
void dmasim_chan_ops(struct dma_device *ddev)
{
	dma_cap_set(DMA_MEMCPY, ddev->cap_mask);
	dma_cap_set(DMA_MEMSET, ddev->cap_mask);
	/* no use for those who would just like any engine to be faster */
	dma_cap_set(DMA_PRIVATE, ddev->cap_mask);
	ddev->directions = BIT(DMA_MEM_TO_MEM);
	ddev->residue_granularity = DMA_RESIDUE_GRANULARITY_BURST;
	ddev->descriptor_reuse = true;
	ddev->device_alloc_chan_resources = alloc_chan_resources;
	ddev->device_free_chan_resources = free_chan_resources;
	ddev->device_prep_dma_memcpy = prep_memcpy;
	ddev->device_prep_dma_memset = prep_memset;
	ddev->device_issue_pending = issue_pending;
	ddev->device_tx_status = tx_status;
	ddev->device_pause = pause;
	ddev->device_resume = resume;
	ddev->device_terminate_all = terminate_all;
	ddev->device_synchronize = synchronize;
}

/**
 * dmasim_chan_init - set up a channel
 * @sim: the device
 * @ch: the channel, zeroed
 *
 * Context: any; the device is not registered yet.
 */
void dmasim_chan_init(struct dmasim *sim, struct dmasim_chan *ch)
{
	ch->sim = sim;
	ch->vc.desc_free = free_desc;
	INIT_WORK(&ch->work, dmasim_run);
	init_waitqueue_head(&ch->wait);
	vchan_init(&ch->vc, &sim->ddev);
}
