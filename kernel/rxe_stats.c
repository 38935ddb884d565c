// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics of on-demand MRs, for `rdma statistic show mr`.
 *
 * The names are mlx5's: page_faults, page_invalidations and page_prefetch count
 * pages, page_faults_handled counts faults. The MR holds the counters that its
 * own accesses move. Invalidated pages are counted where they are lost, in the
 * mirror, by regions of 2 MiB; an MR shows those of the regions that it
 * touches, since it was registered. The device's totals are exact; they are
 * with rxe's other counters (rxe_hw_counters.c).
 */
#include <rdma/restrack.h>
#include <rdma/rdma_netlink.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_mirror.h"

static u64 nr_invalidated(const struct rxe_mirror_mr *mmr)
{
	unsigned long start = mmr->umem.address;
	unsigned long last = start + mmr->umem.length - 1;

	return rxe_mirror_count_invalidated(mmr->mirror, start, last) -
	       mmr->base_invalidated;
}

static u64 nr_moved(const struct rxe_mirror_mr *mmr, enum rxe_dmem_move move)
{
	return READ_ONCE(mmr->user.nr_moved[move]);
}

static int fill_counters(struct sk_buff *msg, struct rxe_mirror_mr *mmr)
{
	const struct {
		const char *name;
		u64 value;
	} counters[] = {
		{ "page_faults", atomic64_read(&mmr->nr_faults) },
		{ "page_faults_handled", atomic64_read(&mmr->nr_faults_handled) },
		{ "page_invalidations", nr_invalidated(mmr) },
		{ "page_prefetch", atomic64_read(&mmr->nr_prefetched) },
		{ "device_pages", READ_ONCE(mmr->user.nr_pages) },
		{ "pages_promoted", nr_moved(mmr, RXE_DMEM_PROMOTED) },
		{ "pages_demoted", nr_moved(mmr, RXE_DMEM_DEMOTED) },
		{ "pages_evicted", nr_moved(mmr, RXE_DMEM_EVICTED) },
		{ "pages_cpu_faulted", nr_moved(mmr, RXE_DMEM_CPU_FAULTED) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (rdma_nl_stat_hwcounter_entry(msg, counters[i].name,
						 counters[i].value))
			return -EMSGSIZE;

	return 0;
}

/**
 * rxe_stats_fill_mr - fill_stat_mr_entry() of struct ib_device_ops
 * @msg: the netlink message
 * @ibmr: an MR of any kind; a pinned one has no counters
 *
 * Context: may sleep; the MR can't go away.
 * Return: 0, or -EMSGSIZE if the message is full.
 */
int rxe_stats_fill_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct nlattr *table;

	if (!is_odp_mr(mr))
		return 0;

	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!table)
		return -EMSGSIZE;
	if (fill_counters(msg, umem_to_mirror_mr(mr->umem))) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);

	return 0;
}
