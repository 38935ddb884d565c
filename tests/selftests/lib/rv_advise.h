/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ibv_advise_mr() by the ioctl itself: libibverbs' Soft-RoCE provider has it
 * only from rdma-core 59 on.
 */
#ifndef RV_ADVISE_H
#define RV_ADVISE_H

#include <infiniband/verbs.h>

/* 0 or -errno. */
int rv_advise(struct ibv_pd *pd, unsigned int advice, unsigned int flags,
	      struct ibv_sge *sgl, unsigned int n);

/* Prefetch one range of a region and wait for it. */
int rv_prefetch(struct ibv_mr *mr, void *addr, size_t len, int write);

#endif
