// SPDX-License-Identifier: GPL-2.0
/*
 * Memory windows: is an access within the window?
 *
 * rxe_lookup_mw() has matched the key, the PD, the QP of a type 2 window and
 * the rights. What is left are the window's bounds. A window names a part of a
 * region, pinned or on-demand, by the region's addresses, or from 0 on if it is
 * zero-based. rxe checks the region's own bounds afterwards.
 *
 * The window may be bound anew at any time, under its lock.
 */
#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_mirror.h"

/* Is [va, va + length) within [start, start + size)? None of it may wrap. */
static bool range_within(u64 va, u64 length, u64 start, u64 size)
{
	return va >= start && length <= size && va - start <= size - length;
}

/**
 * rxe_mw_allows - is a packet's access within a memory window?
 * @mw: the window, whose key and rights were found to fit; a reference is held
 * @va: first address of the access
 * @length: bytes of it that are still to come
 * @pkt: the packet
 *
 * A flush of the whole region has no address and no length.
 *
 * Context: any but hard irq.
 * Return: whether it is.
 */
bool rxe_mw_allows(struct rxe_mw *mw, u64 va, u32 length,
		   struct rxe_pkt_info *pkt)
{
	bool allowed;
	u64 start;

	if (pkt->mask & RXE_FLUSH_MASK && feth_sel(pkt) == IB_FLUSH_MR)
		return true;

	spin_lock_bh(&mw->lock);
	start = mw->access & IB_ZERO_BASED ? 0 : mw->addr;
	allowed = mw->state == RXE_MW_STATE_VALID &&
		  range_within(va, length, start, mw->length);
	spin_unlock_bh(&mw->lock);
	if (!allowed)
		rxe_dbg_mw(mw, "access outside of the window\n");

	return allowed;
}
