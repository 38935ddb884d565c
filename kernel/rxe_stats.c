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
#include "rxe_mirror_find.h"
#include "rxe_readahead.h"

/* Pages that [start, last], in one window, lost to invalidations. */
static u64 count_in_window(struct rxe_mirror *mirror, unsigned long start,
			   unsigned long last)
{
	unsigned long index = start >> RXE_WINDOW_SHIFT, va;
	struct rxe_window *window = xa_load(&mirror->windows, index);
	struct rxe_region *region;
	u64 n = 0;

	if (last - start == RXE_WINDOW_SIZE - 1)
		return window ? READ_ONCE(window->nr_invalidated) :
				rxe_mirror_recall(&mirror->lost_windows, index);

	start = round_down(start, RXE_REGION_SIZE);
	for (va = start; va <= last && va >= start; va += RXE_REGION_SIZE) {
		n += rxe_mirror_recall(&mirror->lost, va >> RXE_REGION_SHIFT);
		region = rxe_mirror_region(mirror, va);
		if (region)
			n += READ_ONCE(region->nr_invalidated);
	}

	return n;
}

/* The index of the next window that there is or was, from @i on. */
static bool next_window(struct rxe_mirror *mirror, unsigned long *i,
			unsigned long last)
{
	unsigned long live = *i, lost = *i;
	bool has_live, has_lost;

	has_live = xa_find(&mirror->windows, &live, last, XA_PRESENT);
	has_lost = xa_find(&mirror->lost_windows, &lost, last, XA_PRESENT);
	if (!has_live && !has_lost)
		return false;
	*i = min(has_live ? live : ULONG_MAX, has_lost ? lost : ULONG_MAX);

	return true;
}

/**
 * rxe_mirror_count_invalidated - pages that a range has lost to invalidations
 * @mirror: the mirror
 * @start: first address
 * @last: last address
 *
 * Counts since the mirror was made, and by whole regions, so that neither the
 * invalidation nor the registration of an MR pays for each MR's statistics.
 *
 * Context: may sleep.
 * Return: the number of pages.
 */
u64 rxe_mirror_count_invalidated(struct rxe_mirror *mirror,
				 unsigned long start, unsigned long last)
{
	unsigned long i = start >> RXE_WINDOW_SHIFT;
	unsigned long end = last >> RXE_WINDOW_SHIFT;
	unsigned long first;
	u64 n = 0;

	down_read(&mirror->gc_sem);
	for (; i <= end && next_window(mirror, &i, end); i++) {
		first = i << RXE_WINDOW_SHIFT;
		n += count_in_window(mirror, max(start, first),
				     min(last, first + RXE_WINDOW_SIZE - 1));
	}
	up_read(&mirror->gc_sem);

	return n;
}

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
 * rxe_stats_count_fault - count a fault
 * @mmr: the MR that it was for
 * @flags: enum rxe_fault_flags
 * @pages: how many it mapped
 *
 * Context: any.
 */
void rxe_stats_count_fault(struct rxe_mirror_mr *mmr, unsigned int flags,
			   unsigned int pages)
{
	atomic64_t *device = mmr->mirror->rxe->stats_counters;

	if (flags & RXE_FAULT_PREFETCH) {
		atomic64_add(pages, &mmr->nr_prefetched);
		atomic64_add(pages, &device[RXE_CNT_PAGE_PREFETCH]);
		return;
	}

	atomic64_inc(&mmr->nr_faults_handled);
	atomic64_add(pages, &mmr->nr_faults);
	atomic64_inc(&device[RXE_CNT_PAGE_FAULTS_HANDLED]);
	atomic64_add(pages, &device[RXE_CNT_PAGE_FAULTS]);
}

/**
 * rxe_stats_count_along - count pages that a fault took along, and charge them
 * @mmr: the MR that the fault was for
 * @pages: how many; also 0
 *
 * Context: any.
 */
void rxe_stats_count_along(struct rxe_mirror_mr *mmr, unsigned int pages)
{
	atomic64_t *device = mmr->mirror->rxe->stats_counters;

	rxe_readahead_taken(&mmr->credit, pages);
	atomic64_add(pages, &device[RXE_CNT_READAHEAD_PAGES]);
}

/**
 * rxe_stats_count_used - count the first use of pages that were taken along
 * @mmr: the MR that they are used through
 * @pages: how many
 *
 * Context: any.
 */
void rxe_stats_count_used(struct rxe_mirror_mr *mmr, unsigned int pages)
{
	atomic64_t *device = mmr->mirror->rxe->stats_counters;

	rxe_readahead_used(&mmr->credit, pages);
	atomic64_add(pages, &device[RXE_CNT_READAHEAD_USED]);
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
