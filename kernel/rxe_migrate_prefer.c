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

/**
 * rxe_migrate_mark_moved - have the policy leave a range alone
 * @mmr: an MR over it
 * @start: first address, of a page
 * @length: bytes, whole pages, at least one
 *
 * Because somebody has moved it. That is no preference, so the parts that have
 * one keep it; a later one, %RXE_PLACE_NONE too, takes the mark away. If there
 * is no memory for the mark, the policy may move what was moved.
 *
 * Context: may sleep.
 */
void rxe_migrate_mark_moved(struct rxe_mirror_mr *mmr, unsigned long start,
			    unsigned long length)
{
	MA_STATE(mas, &mmr->mirror->prefer, 0, 0);
	unsigned long page = start >> PAGE_SHIFT, end = page + (length >> PAGE_SHIFT);
	unsigned long next;
	bool is_free;

	for (; page < end; page = next) {
		rcu_read_lock();
		mas_set(&mas, page);
		is_free = !mas_walk(&mas);
		next = mas.last + 1;
		rcu_read_unlock();
		if (!next || next > end)
			next = end;
		if (is_free)
			mtree_store_range(mas.tree, page, next - 1,
					  xa_mk_value(RXE_PLACE_MOVED),
					  GFP_KERNEL | __GFP_NOWARN);
	}
}

/**
 * rxe_migrate_preferred_all - where all of a range is wanted
 * @mirror: the mirror
 * @start: first address, of a page
 * @end: end of the last page
 *
 * Context: any but irq.
 * Return: where; if the parts differ, or were moved, %RXE_PLACE_STAY.
 */
enum rxe_place rxe_migrate_preferred_all(struct rxe_mirror *mirror,
					 unsigned long start,
					 unsigned long end)
{
	MA_STATE(mas, &mirror->prefer, start >> PAGE_SHIFT, start >> PAGE_SHIFT);
	enum rxe_place place = RXE_PLACE_NONE;
	unsigned long last = (end >> PAGE_SHIFT) - 1;
	void *value;

	if (mtree_empty(&mirror->prefer))
		return place;

	rcu_read_lock();
	value = mas_walk(&mas);
	if (value)
		place = xa_to_value(value);
	while (mas.last < last) {
		mas_set(&mas, mas.last + 1);
		if (mas_walk(&mas) != value) {
			place = RXE_PLACE_STAY;
			break;
		}
	}
	rcu_read_unlock();

	return place == RXE_PLACE_MOVED ? RXE_PLACE_STAY : place;
}
