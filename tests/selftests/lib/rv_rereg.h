/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ibv_rereg_mr() by the command itself: libibverbs' Soft-RoCE provider has
 * none.
 */
#ifndef RV_REREG_H
#define RV_REREG_H

#include <infiniband/verbs.h>

/* flags of ibv_rereg_mr(). 0 or -errno; the region's keys are updated. */
int rv_rereg(struct ibv_mr *mr, int flags, struct ibv_pd *pd, void *addr,
	     size_t len, unsigned int access);

#endif
