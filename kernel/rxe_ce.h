/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copies between device memory and RAM: by a DMA engine, or by the CPU.
 */
#ifndef RXE_CE_H
#define RXE_CE_H

#include <linux/ktime.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#define RXE_CE_MAX_LANES	8
#define RXE_CE_MAX_RUNS		512	/* 2 MiB, a page at a time */

struct page;
struct rxe_ce;
struct rxe_ce_lane;
struct rxe_dev;

/**
 * struct rxe_ce_copy - pages to copy
 * @dst: the first page to write
 * @src: the first page to read; NULL fills @dst with zeros
 * @nr_pages: how many pages, one behind the other in memory on either side
 * @dst_addr: where the CPU is to write them, if not in the direct map
 * @src_addr: where the CPU is to read them, likewise
 *
 * No other user writes the pages meanwhile.
 */
struct rxe_ce_copy {
	struct page	*dst;
	struct page	*src;
	unsigned int	nr_pages;
	void		*dst_addr;
	void		*src_addr;
};

/**
 * struct rxe_ce_batch - what is copied together
 * @nr_runs: how many of @runs are used
 * @nr_pages: pages to be copied, not zeroed
 * @zeroes: there are pages to be zeroed
 * @fell_back: the engine was to copy what the CPU has copied
 * @helped: @help was queued
 * @lock: guards @next_run and @rest
 * @next_run: the first of @runs of which no CPU has taken a piece
 * @rest: what is left of the one before
 * @help: has another CPU take pieces
 * @nr_lanes: how many of @lanes are used
 * @max_piece: pages that a slot of a lane takes
 * @engine_bytes: what the engine has copied
 * @cpu_bytes: what the CPU has copied
 * @start: when it was started
 * @lanes: borrowed from the engine
 * @runs: the copies; neighbours in memory, one after the other, are one
 *
 * Belongs to one thread, and while it is copied its helper reads it. All but
 * @nr_pages is for the copy engine alone.
 */
struct rxe_ce_batch {
	unsigned int		nr_runs;
	unsigned int		nr_pages;
	bool			zeroes;
	bool			fell_back;
	bool			helped;
	spinlock_t		lock;		/* the two below */
	unsigned int		next_run;
	struct rxe_ce_copy	rest;
	struct work_struct	help;
	unsigned int		nr_lanes;
	unsigned int		max_piece;
	u64			engine_bytes;
	u64			cpu_bytes;
	ktime_t			start;
	struct rxe_ce_lane	*lanes[RXE_CE_MAX_LANES];
	struct rxe_ce_copy	runs[RXE_CE_MAX_RUNS];
};

struct rxe_ce *rxe_ce_create(struct rxe_dev *rxe);
void rxe_ce_destroy(struct rxe_ce *ce);

void rxe_ce_batch_init(struct rxe_ce_batch *batch);
void rxe_ce_batch_add(struct rxe_ce_batch *batch, const struct rxe_ce_copy *copy);
bool rxe_ce_start(struct rxe_ce *ce, struct rxe_ce_batch *batch, bool help);
void rxe_ce_finish(struct rxe_ce *ce, struct rxe_ce_batch *batch);

#endif /* RXE_CE_H */
