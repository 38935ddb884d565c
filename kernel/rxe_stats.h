/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted for each MR, and how it is shown.
 */
#ifndef RXE_STATS_H
#define RXE_STATS_H

#include <linux/types.h>

struct ib_mr;
struct rxe_mirror;
struct rxe_mirror_mr;
struct sk_buff;

u64 rxe_mirror_count_invalidated(struct rxe_mirror *mirror, unsigned long start,
				 unsigned long last);
void rxe_stats_count_fault(struct rxe_mirror_mr *mmr, unsigned int flags,
			   unsigned int pages);
void rxe_stats_count_along(struct rxe_mirror_mr *mmr, unsigned int pages);
void rxe_stats_count_used(struct rxe_mirror_mr *mmr, unsigned int pages);
int rxe_stats_fill_mr(struct sk_buff *msg, struct ib_mr *ibmr);

#endif /* RXE_STATS_H */
