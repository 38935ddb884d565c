/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dmasim: an emulated DMA engine.
 *
 * dmasim_main.c	the device, from probe to the last client's release
 * dmasim_chan.c	what clients call: prepare, issue, terminate, ...
 * dmasim_run.c		the engine itself: one work item a channel
 * dmasim_knobs.c	how fast and how well it works, in debugfs
 *
 * A descriptor is on one of the lists of its channel (virt-dma.h), or it is the
 * channel's active one. The active one is the engine's: who wants to stop it
 * says so in desc->cancelled, and the engine gives it up.
 */
#ifndef DMASIM_H
#define DMASIM_H

#include <linux/dmaengine.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "virt-dma.h"

#define DMASIM_MAX_CHANNELS	32
#define DMASIM_MAX_FAILED	16

enum dmasim_knob_id {
	DMASIM_BANDWIDTH,	/* MiB/s of each channel, 0: no limit */
	DMASIM_LATENCY,		/* us before each descriptor */
	DMASIM_ERRORS,		/* descriptors that fail, of a million */
	DMASIM_STALL,		/* 1: nothing moves */
	DMASIM_STALL_AFTER,	/* descriptors until it stalls, 0: never */
	DMASIM_KNOBS
};

enum dmasim_count_id {
	DMASIM_DESCRIPTORS,	/* completed, with or without an error */
	DMASIM_BYTES,		/* written */
	DMASIM_FAILED,		/* completed with an error */
	DMASIM_TERMINATED,	/* stopped by their client */
	DMASIM_COUNTS
};

struct dmasim;

struct dmasim_knob {
	struct dmasim	*sim;
	u64		value;
	u64		max;
};

/**
 * struct dmasim_desc - a transfer
 * @vd: what virt-dma.h knows of it
 * @dst: physical address to write
 * @src: physical address to read, if @fill is not set
 * @size: bytes
 * @done: bytes written so far
 * @fail_at: fails when so many bytes are written; SIZE_MAX: does not fail
 * @started: the latency has passed
 * @cancelled: terminated while it was the active one
 * @fill: fill with @value instead of copying
 * @value: what to fill with
 */
struct dmasim_desc {
	struct virt_dma_desc	vd;
	phys_addr_t		dst;
	phys_addr_t		src;
	size_t			size;
	size_t			done;
	size_t			fail_at;
	bool			started;
	bool			cancelled;
	bool			fill;
	u8			value;
};

/**
 * struct dmasim_chan - a channel
 * @vc: the lists and their lock, which is the lock of all that follows
 * @sim: the device
 * @dev: its device in sysfs; kept until @sim is freed
 * @work: runs the engine
 * @wait: wakes the engine, and those who wait for it to give up a descriptor
 * @active: the descriptor in progress
 * @paused: by the client
 * @failed: cookies of the last descriptors that failed
 * @nr_failed: how many have, in all
 */
struct dmasim_chan {
	struct virt_dma_chan	vc;
	struct dmasim		*sim;
	struct device		*dev;
	struct work_struct	work;
	wait_queue_head_t	wait;
	struct dmasim_desc	*active;
	bool			paused;
	dma_cookie_t		failed[DMASIM_MAX_FAILED];
	unsigned int		nr_failed;
};

/**
 * struct dmasim - the device
 * @ddev: what dmaengine knows of it
 * @wq: where the engine runs
 * @free_work: frees all this
 * @gone: the driver is unbound; what is left to do fails
 * @knobs: settings, one word each, without a lock
 * @counts: what was done
 * @nr_chans: how many channels
 * @chans: the channels
 *
 * Lives until the driver is unbound and the last client has given back its
 * channel, whichever is later.
 */
struct dmasim {
	struct dma_device	ddev;
	struct workqueue_struct	*wq;
	struct work_struct	free_work;
	bool			gone;
	struct dmasim_knob	knobs[DMASIM_KNOBS];
	atomic64_t		counts[DMASIM_COUNTS];
	unsigned int		nr_chans;
	struct dmasim_chan	chans[] __counted_by(nr_chans);
};

static inline struct dmasim_chan *to_dmasim_chan(struct dma_chan *chan)
{
	return container_of(to_virt_chan(chan), struct dmasim_chan, vc);
}

static inline struct dmasim_desc *to_dmasim_desc(struct virt_dma_desc *vd)
{
	return container_of(vd, struct dmasim_desc, vd);
}

static inline u64 dmasim_knob(const struct dmasim *sim, enum dmasim_knob_id id)
{
	return READ_ONCE(sim->knobs[id].value);
}

static inline void dmasim_count(struct dmasim *sim, enum dmasim_count_id id,
				u64 n)
{
	atomic64_add(n, &sim->counts[id]);
}

void dmasim_chan_init(struct dmasim *sim, struct dmasim_chan *ch);
void dmasim_chan_ops(struct dma_device *ddev);
void dmasim_run(struct work_struct *work);
void dmasim_kick(struct dmasim *sim);
void dmasim_knobs_init(struct dmasim *sim);
void dmasim_knobs_show(struct dmasim *sim);

#endif /* DMASIM_H */
