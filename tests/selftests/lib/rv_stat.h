/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counts: `rdma statistic show mr`, and device totals. */
#ifndef RV_STAT_H
#define RV_STAT_H

#include <stdint.h>

#include "rv_dev.h"

/*
 * A counter of one region ("page_faults", "page_invalidations",
 * "page_prefetch"), or -1 if the driver has no such counter. Needs
 * CAP_NET_ADMIN, which it takes to tell the regions apart.
 */
int64_t rv_stat_mr(struct rv_dev *d, struct ibv_mr *mr, const char *counter);

/* The number that netlink gives the region with that key, or -1. The same. */
int64_t rv_stat_mrn(struct rv_dev *d, uint32_t lkey);

/* A counter of the whole device, or -1. */
int64_t rv_stat_dev(struct rv_dev *d, const char *counter);

#endif
