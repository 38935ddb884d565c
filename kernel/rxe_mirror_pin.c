// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that are pinned for the length of one access.
 *
 * The data path does without: this is for accesses that keep losing to
 * invalidations, and for when there is no memory for the mirror's tables. A page
 * that is pinned stays where it is, so such an access always ends.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "rxe.h"
#include "rxe_mirror.h"
#include "rxe_slow.h"

/*
 * Pin a page, without waiting for its memory. Returns -EAGAIN if that is what
 * it would take.
 */
static int pin_page(struct mm_struct *mm, unsigned long va, bool write,
		    struct page **page)
{
	unsigned int flags = FOLL_NOWAIT | (write ? FOLL_WRITE : 0);
	long n;

	n = pin_user_pages_remote(mm, va, 1, flags, page, NULL);
	if (n == 1)
		return 0;

	return n ? -EFAULT : -EAGAIN;
}

/**
 * rxe_mirror_pin - the other way to a few pages: hold them for one access
 * @mmr: the MR that is accessed
 * @va: an address in the first page
 * @num: how many pages
 * @write: for writing
 * @pages: where to put them
 *
 * Context: may sleep; no lock of the mirror and no mmap_lock is held.
 * Return: 0: all of them are pinned; else none is, and it is
 * * -EAGAIN: the memory takes long and is on its way: try again later
 * * -EFAULT: the process itself would fault
 */
int rxe_mirror_pin(struct rxe_mirror_mr *mmr, unsigned long va,
		   unsigned int num, bool write, struct page **pages)
{
	struct rxe_mirror *mirror = mmr->mirror;
	struct mm_struct *mm = mirror->mm;
	unsigned int n;
	int err = 0;

	va &= PAGE_MASK;
	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_read_lock(mm);
	for (n = 0; n < num && !err; n++)
		err = pin_page(mm, va + n * PAGE_SIZE, write, &pages[n]);
	mmap_read_unlock(mm);
	mmput_async(mm);
	if (err) {
		n--;
		unpin_user_pages(pages, n);
		if (err == -EAGAIN)
			rxe_slow_fault(mirror, va + n * PAGE_SIZE, write);
		return err;
	}

	atomic64_add(n, &mirror->rxe->stats_counters[RXE_CNT_PAGE_FAULT_PINS]);

	return 0;
}

/**
 * rxe_mirror_unpin - let go of pages that rxe_mirror_pin() has pinned
 * @pages: the pages
 * @num: how many
 * @write: they were written, so they are dirty
 *
 * Context: may sleep.
 */
void rxe_mirror_unpin(struct page **pages, unsigned int num, bool write)
{
	unpin_user_pages_dirty_lock(pages, num, write);
}
