/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Readahead: how many pages a fault may take along beyond those that it is for.
 *
 * Each MR has a credit, at first none. A page that is taken along costs 3 of it,
 * and the first access to such a page brings 4 back:
 *
 *	3 taken = 4 used + owed,  so  unused = (taken + owed) / 4
 *
 * An MR whose pages are used soon has enough, and one that is accessed at random
 * takes nothing along. Only a stream is lent something, the least. It must have
 * missed as often in a row, page after page, as the MR owes pages. So a message of
 * a few pages here and there is lent something once, and a stream that comes after
 * such messages has its window when it is longer than they were.
 *
 * A page that is taken along has no %RXE_ENTRY_USED (rxe_mirror_entry.h) until its
 * first access.
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
/* Enough for some streams to end within their windows. */
#define RXE_CREDIT_MAX		(8 * (int)RXE_AHEAD_PAGES_MAX * RXE_CREDIT_TAKEN)
/* One miss after another may be chance. */
#define RXE_RUN_MIN		2U

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
 * How far to read ahead of a stream that was read ahead by @pages before, and that
 * has missed @run times after its first.
 */
static inline unsigned int rxe_readahead_next(const atomic_t *credit,
					      unsigned int pages,
					      unsigned int run)
{
	unsigned int allowed = rxe_readahead_allowed(credit);
	int have = atomic_read(credit);

	pages = clamp(2 * pages, RXE_AHEAD_PAGES_MIN, RXE_AHEAD_PAGES_MAX);
	if (allowed >= RXE_AHEAD_PAGES_MIN)
		return min(allowed, pages);
	if (run < RXE_RUN_MIN || (int)run * RXE_CREDIT_TAKEN < -have)
		return 0;

	return RXE_AHEAD_PAGES_MIN;
}

#endif /* RXE_READAHEAD_H */
