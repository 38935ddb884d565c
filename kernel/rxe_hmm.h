/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a device has beside its MRs: device memory and an engine that copies.
 */
#ifndef RXE_HMM_H
#define RXE_HMM_H

#include <linux/mutex.h>

#include "rxe_link.h"

struct rxe_ce;
struct rxe_dev;
struct rxe_dmem;
struct rxe_tier;

/**
 * struct rxe_hmm_dev - what this series adds to a device
 * @rxe: the device
 * @dmem: its device-private memory; never NULL, may be of size 0
 * @ce: copies between that memory and RAM
 * @tier: what moves to that memory by itself
 * @link: how long data takes to memory
 * @resize_lock: one at a time changes the memory's size
 * @batch: the batch of a migration that is over, for the next one; exchanged
 *	without a lock
 * @reserve: a batch for who can't do without and gets no memory for one
 * @reserve_lock: held by its user
 *
 * Made before the device is registered, gone after its last object. The
 * pointers don't change in between.
 */
struct rxe_hmm_dev {
	struct rxe_dev	*rxe;
	struct rxe_dmem	*dmem;
	struct rxe_ce	*ce;
	struct rxe_tier	*tier;
	struct rxe_link	link;
	struct mutex	resize_lock;	/* changes of the size */
	struct rxe_batch *batch;
	struct rxe_batch *reserve;
	struct mutex	reserve_lock;	/* the reserve's user */
};

int rxe_hmm_init(void);
void rxe_hmm_exit(void);

int rxe_hmm_dev_init(struct rxe_dev *rxe);
void rxe_hmm_dev_fini(struct rxe_dev *rxe);

#endif /* RXE_HMM_H */
