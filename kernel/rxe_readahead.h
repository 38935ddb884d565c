/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Readahead: how many pages a fault may take along beyond those that it is for.
 *
 * Each MR has a credit. A page that is taken along costs 3 of it, and the first
 * access to such a page brings 4 back, so an MR whose pages are used always has
 * enough, and one that is accessed at random soon has none: whatever happens,
 *
 *	taken <= start + 4/3 used,  so  unused <= start + taken / 4
 *
 * with the start, and what a stream was lent later, in pages. A page that is
 * taken along has no %RXE_ENTRY_USED (rxe_mirror_entry.h) until its first
 * access.
 *
 * A credit is a hint. QPs that fault at once may overdraw it by a fault each.
 */
#ifndef RXE_READAHEAD_H
#define RXE_READAHEAD_H

#include <linux/atomic.h>
#include <linux/minmax.h>

/* A present neighbour is taken along within an aligned block of this size. */
#define RXE_AROUND_PAGES	16U
/* A sequential stream is read ahead by this much, at first and at most. */
#define RXE_AHEAD_PAGES_MIN	4U
#define RXE_AHEAD_PAGES_MAX	64U

#define RXE_CREDIT_TAKEN	3
#define RXE_CREDIT_USED		4
/* In windows: what may be taken in vain at first, and after some streams. */
#define RXE_CREDIT_WINDOW	((int)RXE_AHEAD_PAGES_MAX * RXE_CREDIT_TAKEN)
#define RXE_CREDIT_START	(4 * RXE_CREDIT_WINDOW)
#define RXE_CREDIT_MAX		(8 * RXE_CREDIT_WINDOW)

/* How many pages may be taken along? */
static inline unsigned int rxe_readahead_allowed(const atomic_t *credit)
{
	int have = atomic_read(credit);

	return have > 0 ? have / RXE_CREDIT_TAKEN : 0;
}

static inline void rxe_readahead_taken(atomic_t *credit, unsigned int pages)
{
	atomic_sub(pages * RXE_CREDIT_TAKEN, credit);
}

static inline void rxe_readahead_used(atomic_t *credit, unsigned int pages)
{
	if (atomic_read(credit) < RXE_CREDIT_MAX)
		atomic_add(pages * RXE_CREDIT_USED, credit);
}

/*
 * How far to read ahead of a stream that was read ahead by @pages before. That
 * it is a stream is a sign that these pages will be used: without credit, it is
 * lent the least.
 */
static inline unsigned int rxe_readahead_next(atomic_t *credit,
					      unsigned int pages)
{
	pages = clamp(2 * pages, RXE_AHEAD_PAGES_MIN, RXE_AHEAD_PAGES_MAX);

	return clamp(rxe_readahead_allowed(credit), RXE_AHEAD_PAGES_MIN, pages);
}

#endif /* RXE_READAHEAD_H */
