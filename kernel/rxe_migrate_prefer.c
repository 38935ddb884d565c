// SPDX-License-Identifier: GPL-2.0
/*
 * Where memory is wanted.
 *
 * Preferences belong to the mirror, so to a process's memory as one device sees
 * it: all MRs over the same memory share them. They are kept by page in a maple
 * tree, which guards itself; readers need RCU, which mt_find() and mtree_load()
 * take. They go with the mirror, that is with the process's last MR.
 */
#include <linux/maple_tree.h>

#include "rxe.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"

/**
 * rxe_migrate_prefer - say where a range is wanted
 * @mmr: an MR over it
 * @start: first address, of a page
 * @length: bytes, whole pages, at least one
 * @place: where; %RXE_PLACE_NONE takes back what was said
 *
 * Moves nothing. What the NIC touches first is made where it is wanted.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM: then nothing has changed.
 */
int rxe_migrate_prefer(struct rxe_mirror_mr *mmr, unsigned long start,
		       unsigned long length, enum rxe_place place)
{
	void *value = place == RXE_PLACE_NONE ? NULL : xa_mk_value(place);
	unsigned long first = start >> PAGE_SHIFT;
	unsigned long last = (start + length - 1) >> PAGE_SHIFT;

	return mtree_store_range(&mmr->mirror->prefer, first, last, value,
				 GFP_KERNEL);
}

/**
 * rxe_migrate_preferred - where an address is wanted
 * @mirror: the mirror
 * @va: the address
 * @start: the first address that is wanted there like it
 * @last: the last one
 *
 * Context: any but irq.
 * Return: where; @start and @last aren't set for %RXE_PLACE_NONE.
 */
enum rxe_place rxe_migrate_preferred(struct rxe_mirror *mirror, unsigned long va,
				     unsigned long *start, unsigned long *last)
{
	MA_STATE(mas, &mirror->prefer, va >> PAGE_SHIFT, va >> PAGE_SHIFT);
	enum rxe_place place = RXE_PLACE_NONE;
	void *value;

	if (mtree_empty(&mirror->prefer))
		return place;

	rcu_read_lock();
	value = mas_walk(&mas);
	if (value) {
		place = xa_to_value(value);
		*start = mas.index << PAGE_SHIFT;
		*last = (mas.last << PAGE_SHIFT) | ~PAGE_MASK;
	}
	rcu_read_unlock();

	return place;
}
