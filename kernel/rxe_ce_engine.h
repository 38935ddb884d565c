/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the copy engine.
 *
 *	rxe_ce.c		a batch: what to copy, by whom, and that it is done
 *	rxe_ce_lane.c		a lane: a channel and what a batch gave to it
 *	rxe_ce_engine.c		the lanes of a device: taken, lent, given back
 */
#ifndef RXE_CE_ENGINE_H
#define RXE_CE_ENGINE_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/dmaengine.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "rxe_ce.h"

#define RXE_CE_SLOTS		512

enum rxe_ce_slot_state {
	RXE_CE_PENDING,		/* the engine has it */
	RXE_CE_DONE,
	RXE_CE_FAILED,
};

struct rxe_ce_lane;

/**
 * struct rxe_ce_slot - a run that a lane was given
 * @lane: the lane
 * @run: the run
 * @dst: where the engine finds its destination
 * @src: where the engine finds its source
 * @state: set by the engine's callback, read when the lane is quiet
 */
struct rxe_ce_slot {
	struct rxe_ce_lane	*lane;
	struct rxe_ce_copy	run;
	dma_addr_t		dst;
	dma_addr_t		src;
	enum rxe_ce_slot_state	state;
};

/**
 * struct rxe_ce_lane - a channel of the engine
 * @chan: the channel, ours alone
 * @max_pages: the longest run it takes
 * @pending: runs that are not done, and one for who hands them in
 * @quiet: @pending is 0
 * @nr_pages: in @slots
 * @nr_slots: how many slots are used
 * @broken: the engine has failed us; take no more from it
 * @slots: what it was given
 *
 * All but @pending and @quiet belong to the batch that has borrowed the lane.
 */
struct rxe_ce_lane {
	struct dma_chan		*chan;
	unsigned int		max_pages;
	atomic_t		pending;
	struct completion	quiet;
	unsigned int		nr_pages;
	unsigned int		nr_slots;
	bool			broken;
	struct rxe_ce_slot	slots[RXE_CE_SLOTS];
};

/**
 * struct rxe_ce_engine - the lanes of a device
 * @lock: guards what follows, but for @tend and @node
 * @wait: lanes are free again, or a search is over
 * @lanes: what there is
 * @nr_lanes: how many
 * @lent: bit i: a batch has lane i
 * @closing: lend no more, all lanes are to be given back
 * @searching: somebody looks for channels
 * @next_search: when to look for channels again, in jiffies
 * @last_use: when a lane was lent last, in jiffies
 * @tend: takes and gives back channels
 * @node: in the list of all
 */
struct rxe_ce_engine {
	spinlock_t		lock;	/* innermost */
	wait_queue_head_t	wait;
	struct rxe_ce_lane	*lanes[RXE_CE_MAX_LANES];
	unsigned int		nr_lanes;
	unsigned long		lent;
	bool			closing;
	bool			searching;
	unsigned long		next_search;
	unsigned long		last_use;
	struct delayed_work	tend;
	struct list_head	node;
};

struct rxe_ce_lane *rxe_ce_lane_create(struct dma_chan *chan);
void rxe_ce_lane_destroy(struct rxe_ce_lane *lane);
void rxe_ce_lane_open(struct rxe_ce_lane *lane);
int rxe_ce_lane_add(struct rxe_ce_lane *lane, const struct rxe_ce_copy *run);
void rxe_ce_lane_issue(struct rxe_ce_lane *lane);
void rxe_ce_lane_wait(struct rxe_ce_lane *lane, unsigned long deadline);

void rxe_ce_engine_init(struct rxe_ce_engine *engine);
void rxe_ce_engine_fini(struct rxe_ce_engine *engine);
bool rxe_ce_engine_wanted(void);
unsigned long rxe_ce_engine_timeout(void);
unsigned int rxe_ce_engine_borrow(struct rxe_ce_engine *engine,
				  unsigned int nr_pages,
				  struct rxe_ce_lane *lanes[RXE_CE_MAX_LANES]);
void rxe_ce_engine_return(struct rxe_ce_engine *engine,
			  struct rxe_ce_lane **lanes, unsigned int nr);

#endif /* RXE_CE_ENGINE_H */
