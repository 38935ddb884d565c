// SPDX-License-Identifier: GPL-2.0
/*
 * The data path on mirrored memory: copy, atomic, atomic write.
 *
 * Memory is touched only under the read lock of its region, and only where the
 * entries allow it. Readers share the lock, so QPs on one MR don't wait for
 * each other, and an invalidation waits for one packet of each at most.
 *
 * A packet that crosses from one region into another enters both before its
 * first byte moves, so that an access error leaves no part of it behind.
 *
 * Before the first write through an entry the folio is marked dirty. Writable
 * doesn't mean dirty: a pte can be writable and clean after swap-in, after
 * MADV_FREE or in a file mapping, and what isn't dirty may be dropped.
 *
 * If the mirror keeps losing to invalidations, or has no memory for itself,
 * the access pins its page for the length of one copy instead. Such an access
 * is ordered before the invalidation that it raced with.
 */
#include <linux/highmem.h>

#include "rxe.h"
#include "rxe_loc.h"
#include "rxe_mirror.h"
#include "rxe_mirror_find.h"
#include "rxe_race.h"
#include "rxe_tier.h"

/* How often to try for two regions at once before pinning their pages. */
#define ENTER_BOTH_TRIES	16

static unsigned long mirror_va(struct rxe_mr *mr, u64 iova)
{
	return mr->umem->address + (iova - mr->ibmr.iova);
}

/*
 * The page that the process has. What is written on the device stays dirty when
 * it comes to RAM: the kernel takes the mark along from page to page.
 */
static struct page *entry_page(unsigned long entry)
{
	struct page *page = rxe_entry_page(entry);

	return entry & RXE_ENTRY_DEVICE ? rxe_dmem_front(page) : page;
}

/* Mark the folios behind [first, last] dirty, once for each entry. */
static void mark_dirty(struct rxe_region *region, unsigned int first,
		       unsigned int last)
{
	unsigned int i;

	for (i = first; i <= last; i++) {
		unsigned long entry = rxe_region_entry(region, i);
		unsigned long *where;

		if (entry & RXE_ENTRY_DIRTY)
			continue;
		/*
		 * As under a page table lock: the folio can't be truncated,
		 * since that has to invalidate the entry first.
		 */
		set_page_dirty(entry_page(entry));
		where = region->huge ? &region->huge : &region->table[i];
		set_bit(RXE_ENTRY_DIRTY_BIT, where);
	}
}

/* Those of [first, last] that were taken along are of use now. */
static void mark_used(struct rxe_mirror_mr *mmr, struct rxe_region *region,
		      unsigned int first, unsigned int last)
{
	unsigned int i, n = 0;

	for (i = first; i <= last; i++)
		if (!(rxe_region_entry(region, i) & RXE_ENTRY_USED))
			n += !test_and_set_bit(RXE_ENTRY_USED_BIT,
					       &region->table[i]);
	rxe_stats_count_used(mmr, n);
}

/*
 * May [first, last] be accessed? If for writing, it is dirty afterwards. What is
 * USED is VALID, so that one look tells of both.
 */
static bool region_allows(struct rxe_mirror_mr *mmr, struct rxe_region *region,
			  unsigned int first, unsigned int last, bool write)
{
	unsigned long all = ~0UL;
	unsigned int i;

	for (i = first; i <= last; i++)
		all &= rxe_region_entry(region, i);

	if (unlikely(!(all & RXE_ENTRY_USED))) {
		if (!(all & RXE_ENTRY_VALID))
			return false;
		mark_used(mmr, region, first, last);
	}
	if (!write)
		return true;
	if (!(all & RXE_ENTRY_WRITE))
		return false;
	if (unlikely(!(all & RXE_ENTRY_DIRTY)))
		mark_dirty(region, first, last);

	return true;
}

static bool region_allows_range(struct rxe_mirror_mr *mmr,
				struct rxe_region *region, unsigned long va,
				unsigned long length, bool write)
{
	return region_allows(mmr, region, rxe_region_page(va),
			     rxe_region_page(va + length - 1), write);
}

/* Who wants to know of an access; @entry is that of its first page. */
static __always_inline void note_access(struct rxe_mirror *mirror,
					struct rxe_region *region, bool write,
					unsigned long length,
					unsigned long entry)
{
	rxe_heat_count(&region->heat, write, entry & RXE_ENTRY_DEVICE, length);
	rxe_tier_note(mirror->tier);
}

/*
 * The region of [va, va + length), which lies in one, read locked, if all its
 * pages are valid for the access; else NULL. An empty region may be on its way
 * out: RCU keeps it until its lock is dropped.
 *
 * Whoever has entered another region must not wait: writers come in between, so
 * two readers that wait for each other's regions never end.
 */
static __always_inline struct rxe_region *
region_try_enter(struct rxe_mirror_mr *mmr, unsigned long va,
		 unsigned long length, bool write, bool wait)
{
	struct rxe_mirror *mirror = mmr->mirror;
	struct rxe_region *region;

	rcu_read_lock();
	region = rxe_mirror_region(mirror, va);
	if (unlikely(!region))
		goto out;
	rxe_race_reach_atomic(RXE_RACE_IO_FOUND);
	if (wait) {
		read_lock(&region->lock);
	} else if (!read_trylock(&region->lock)) {
		region = NULL;
		goto out;
	}
	if (likely(region_allows_range(mmr, region, va, length, write))) {
		note_access(mirror, region, write, length,
			    rxe_region_entry(region, rxe_region_page(va)));
	} else {
		read_unlock(&region->lock);
		region = NULL;
	}
out:
	rcu_read_unlock();

	return region;
}

/* The same, but fault as often as it takes. Returns an error if that fails. */
static struct rxe_region *region_enter(struct rxe_mirror_mr *mmr,
				       unsigned long va, unsigned long length,
				       bool write)
{
	unsigned int flags = write ? RXE_FAULT_WRITE : 0;
	struct rxe_fault_budget budget;
	struct rxe_region *region;
	int err;

	region = region_try_enter(mmr, va, length, write, true);
	if (likely(region))
		goto out;

	rxe_fault_budget_init(&budget);
	do {
		/* what was faulted may be lost again before it is used */
		if (rxe_fault_budget_spent(&budget))
			return ERR_PTR(-EBUSY);
		err = rxe_mirror_fault(mmr, va, length, flags, &budget);
		if (err)
			return ERR_PTR(err);
		region = region_try_enter(mmr, va, length, write, true);
	} while (!region);
out:
	rxe_race_reach_atomic(RXE_RACE_IO_ENTERED);

	return region;
}

static void region_leave(struct rxe_region *region)
{
	read_unlock(&region->lock);
}

static bool try_pin(int err)
{
	return err == -EBUSY || err == -ENOMEM;
}

static __always_inline void copy_page_part(struct page *page,
					   unsigned int offset, void *addr,
					   unsigned int length,
					   enum rxe_mr_copy_dir dir)
{
	void *va = kmap_local_page(page);

	if (dir == RXE_TO_MR_OBJ)
		memcpy(va + offset, addr, length);
	else
		memcpy(addr, va + offset, length);
	kunmap_local(va);
}

/* Copy up to a page, all of it pinned before the first byte moves. */
static int copy_pinned(struct rxe_mirror_mr *mmr, unsigned long va, void *addr,
		       unsigned int length, enum rxe_mr_copy_dir dir)
{
	unsigned int num = DIV_ROUND_UP(offset_in_page(va) + length, PAGE_SIZE);
	bool write = dir == RXE_TO_MR_OBJ;
	struct page *pages[2];
	unsigned int i, n;
	int err;

	err = rxe_mirror_pin(mmr, va, num, write, pages);
	if (err)
		return err;
	for (i = 0; i < num; i++, length -= n, va += n, addr += n) {
		n = min_t(unsigned long, length, PAGE_SIZE - offset_in_page(va));
		copy_page_part(pages[i], offset_in_page(va), addr, n, dir);
	}
	rxe_mirror_unpin(pages, num, write);

	return 0;
}

/* Copy [va, va + length), which lies in the region, which is entered. */
static void copy_entered(struct rxe_region *region, unsigned long va,
			 void *addr, unsigned int length,
			 enum rxe_mr_copy_dir dir)
{
	unsigned int i, n;

	for (i = rxe_region_page(va); length; i++) {
		n = min_t(unsigned long, length, PAGE_SIZE - offset_in_page(va));
		copy_page_part(rxe_entry_page(rxe_region_entry(region, i)),
			       offset_in_page(va), addr, n, dir);
		length -= n;
		addr += n;
		va += n;
	}
}

/* The modelled way to where the memory at @va is, if there is a model. */
static struct rxe_link_pipe *way_to(struct rxe_mirror *mirror,
				    struct rxe_region *region, unsigned long va)
{
	struct rxe_link_pipe *pipe = rxe_link_pipe(mirror->link, RXE_LINK_RAM);

	if (unlikely(pipe) &&
	    rxe_region_entry(region, rxe_region_page(va)) & RXE_ENTRY_DEVICE)
		pipe = rxe_link_pipe(mirror->link, RXE_LINK_DEVICE);

	return pipe;
}

/*
 * The common case, for which instructions count: within one page, which was used,
 * may be accessed and, for a write, is dirty; without a model of the way there.
 * Returns false if it isn't this case, and nothing was done.
 */
static __always_inline bool copy_in_page(struct rxe_mirror_mr *mmr,
					 unsigned long va, void *addr,
					 unsigned int length,
					 enum rxe_mr_copy_dir dir)
{
	bool write = dir == RXE_TO_MR_OBJ, done = false;
	unsigned long need = RXE_ENTRY_USED |
			     (write ? RXE_ENTRY_WRITE | RXE_ENTRY_DIRTY : 0);
	struct rxe_region *region;
	unsigned long entry;

	/* a negative length ends elsewhere, too */
	if (unlikely(((va + length - 1) ^ va) >> PAGE_SHIFT) ||
	    rxe_link_pipe(mmr->mirror->link, RXE_LINK_RAM))
		return false;

	rxe_mirror_hold_regions();
	region = rxe_mirror_region(mmr->mirror, va);
	if (unlikely(!region))
		goto out;
	read_lock(&region->lock);
	entry = rxe_region_entry(region, rxe_region_page(va));
	if (likely((entry & need) == need)) {
		note_access(mmr->mirror, region, write, length, entry);
		rxe_race_reach_atomic(RXE_RACE_IO_ENTERED);
		copy_page_part(rxe_entry_page(entry), offset_in_page(va), addr,
			       length, dir);
		done = true;
	}
	region_leave(region);
out:
	rxe_mirror_unhold_regions();
	return done;
}

static int copy_in_region(struct rxe_mirror_mr *mmr, unsigned long va,
			  void *addr, unsigned int length,
			  enum rxe_mr_copy_dir dir)
{
	struct rxe_region *region;
	struct rxe_link_pipe *way;

	region = region_enter(mmr, va, length, dir == RXE_TO_MR_OBJ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	copy_entered(region, va, addr, length, dir);
	way = way_to(mmr->mirror, region, va);
	region_leave(region);
	if (unlikely(way))
		rxe_link_wait(way, length);

	return 0;
}

/* Enter both of the regions that meet at @va + @n, or say why not. */
static int enter_both(struct rxe_mirror_mr *mmr, unsigned long va,
		      unsigned int n, unsigned int length, bool write,
		      struct rxe_region *regions[2])
{
	unsigned int tries = 0;

	for (;;) {
		regions[0] = region_enter(mmr, va, n, write);
		if (IS_ERR(regions[0]))
			return PTR_ERR(regions[0]);
		regions[1] = region_try_enter(mmr, va + n, length - n,
					      write, false);
		if (regions[1])
			return 0;
		region_leave(regions[0]);
		if (tries++ == ENTER_BOTH_TRIES)
			return -EBUSY;

		regions[1] = region_enter(mmr, va + n, length - n, write);
		if (IS_ERR(regions[1]))
			return PTR_ERR(regions[1]);
		region_leave(regions[1]);
	}
}

static int copy_across(struct rxe_mirror_mr *mmr, unsigned long va, void *addr,
		       unsigned int length, enum rxe_mr_copy_dir dir)
{
	unsigned int n = rxe_region_end(va) - va;
	struct rxe_region *regions[2];
	struct rxe_link_pipe *way;
	int err;

	err = enter_both(mmr, va, n, length, dir == RXE_TO_MR_OBJ, regions);
	if (err)
		return err;
	rxe_race_reach_atomic(RXE_RACE_IO_BOTH);
	copy_entered(regions[0], va, addr, n, dir);
	copy_entered(regions[1], va + n, addr + n, length - n, dir);
	way = way_to(mmr->mirror, regions[0], va);
	region_leave(regions[1]);
	region_leave(regions[0]);
	if (unlikely(way))
		rxe_link_wait(way, length);

	return 0;
}

/* In parts: a packet carries a page at most, which may lie on two. */
static noinline int copy_parts(struct rxe_mirror_mr *mmr, unsigned long va,
			       void *addr, int length, enum rxe_mr_copy_dir dir)
{
	unsigned int n;
	int err;

	if (unlikely(length < 0))
		return -EINVAL;

	for (; length; length -= n, va += n, addr += n) {
		n = min_t(unsigned int, length, PAGE_SIZE);
		if (likely(n <= rxe_region_end(va) - va))
			err = copy_in_region(mmr, va, addr, n, dir);
		else
			err = copy_across(mmr, va, addr, n, dir);
		if (unlikely(err) && try_pin(err))
			err = copy_pinned(mmr, va, addr, n, dir);
		if (unlikely(err))
			return err;
	}

	return 0;
}

/**
 * rxe_odp_mr_copy - copy between a packet and an on-demand MR
 * @mr: the MR; the caller holds a reference
 * @iova: where in the MR, already checked against its bounds
 * @addr: the packet's payload
 * @length: bytes
 * @dir: RXE_TO_MR_OBJ or RXE_FROM_MR_OBJ
 *
 * Context: may sleep.
 * Return: 0, or
 * * -EAGAIN: the memory takes long and is on its way: try again later
 * * -EFAULT: the process itself would fault
 *
 * In both cases nothing was copied, if the length is no more than a page.
 */
int rxe_odp_mr_copy(struct rxe_mr *mr, u64 iova, void *addr, int length,
		    enum rxe_mr_copy_dir dir)
{
	struct rxe_mirror_mr *mmr = umem_to_mirror_mr(mr->umem);
	unsigned long va = mirror_va(mr, iova);

	/* two copies of it, neither of which has to ask which way */
	if (dir == RXE_TO_MR_OBJ) {
		if (likely(copy_in_page(mmr, va, addr, length, RXE_TO_MR_OBJ)))
			return 0;
		return copy_parts(mmr, va, addr, length, RXE_TO_MR_OBJ);
	}
	if (likely(copy_in_page(mmr, va, addr, length, RXE_FROM_MR_OBJ)))
		return 0;
	return copy_parts(mmr, va, addr, length, RXE_FROM_MR_OBJ);
}

/* An 8-byte operation on mapped memory. */
struct word_op {
	void (*run)(u64 *word, struct word_op *op);
	int opcode;
	u64 compare;
	u64 value;
	u64 old;
};

/**
 * rxe_mirror_atomic - do a remote atomic operation
 * @word: where, aligned, mapped and safe to write
 * @opcode: IB_OPCODE_RC_COMPARE_SWAP, or else fetch and add
 * @compare: what the word must be to be swapped
 * @value: what to put there or to add
 *
 * For MRs of all kinds. One instruction: nothing that the CPU or another device
 * of ours does to the word at the same time is lost.
 *
 * Context: any.
 * Return: what the word was.
 */
u64 rxe_mirror_atomic(u64 *word, int opcode, u64 compare, u64 value)
{
	if (opcode == IB_OPCODE_RC_COMPARE_SWAP)
		return cmpxchg64(word, compare, value);

	return atomic64_fetch_add(value, (atomic64_t *)word);
}

static void run_atomic(u64 *word, struct word_op *op)
{
	op->old = rxe_mirror_atomic(word, op->opcode, op->compare, op->value);
}

static void run_atomic_write(u64 *word, struct word_op *op)
{
	/* after all that was done before: IBA A19.4.2 */
	smp_store_release(word, op->value);
}

static void run_on_page(struct page *page, unsigned long va, struct word_op *op)
{
	void *kva = kmap_local_page(page);

	op->run(kva + offset_in_page(va), op);
	kunmap_local(kva);
}

static int run_word_op(struct rxe_mirror_mr *mmr, unsigned long va,
		       struct word_op *op)
{
	struct rxe_region *region;
	struct page *page;
	int err;

	region = region_enter(mmr, va, sizeof(u64), true);
	if (!IS_ERR(region)) {
		page = rxe_entry_page(rxe_region_entry(region, rxe_region_page(va)));
		run_on_page(page, va, op);
		region_leave(region);
		return 0;
	}

	if (!try_pin(PTR_ERR(region)))
		return PTR_ERR(region);
	err = rxe_mirror_pin(mmr, va, 1, true, &page);
	if (err)
		return err;
	run_on_page(page, va, op);
	rxe_mirror_unpin(&page, 1, true);

	return 0;
}

static enum resp_states word_op(struct rxe_mr *mr, u64 iova, struct word_op *op)
{
	unsigned long va;
	int err;

	if (unlikely(mr->state != RXE_MR_STATE_VALID)) {
		rxe_dbg_mr(mr, "mr not in valid state\n");
		return RESPST_ERR_RKEY_VIOLATION;
	}
	/* IBA oA19-28 */
	if (mr_check_range(mr, iova, sizeof(u64))) {
		rxe_dbg_mr(mr, "iova out of range\n");
		return RESPST_ERR_RKEY_VIOLATION;
	}
	va = mirror_va(mr, iova);
	/* IBA A19.4.2 */
	if (unlikely(!IS_ALIGNED(va, sizeof(u64)))) {
		rxe_dbg_mr(mr, "iova not aligned\n");
		return RESPST_ERR_MISALIGNED_ATOMIC;
	}

	err = run_word_op(umem_to_mirror_mr(mr->umem), va, op);
	if (err)
		return err == -EAGAIN ? RESPST_ERR_SLOW : RESPST_ERR_RKEY_VIOLATION;

	return RESPST_NONE;
}

/**
 * rxe_odp_atomic_op - compare and swap, or fetch and add, on an on-demand MR
 * @mr: the MR; the caller holds a reference
 * @iova: address of the word
 * @opcode: IB_OPCODE_RC_COMPARE_SWAP or IB_OPCODE_RC_FETCH_ADD
 * @compare: what compare and swap compares with
 * @swap_add: the new value, or the addend
 * @orig_val: where to put the word's old value
 *
 * Context: may sleep.
 * Return: RESPST_NONE, or the responder state that answers the error.
 */
enum resp_states rxe_odp_atomic_op(struct rxe_mr *mr, u64 iova, int opcode,
				   u64 compare, u64 swap_add, u64 *orig_val)
{
	struct word_op op = {
		.run = run_atomic,
		.opcode = opcode,
		.compare = compare,
		.value = swap_add,
	};
	enum resp_states state;

	state = word_op(mr, iova, &op);
	if (state == RESPST_NONE)
		*orig_val = op.old;

	return state;
}

/**
 * rxe_odp_do_atomic_write - write a word of an on-demand MR in one access
 * @mr: the MR; the caller holds a reference
 * @iova: address of the word
 * @value: its new value
 *
 * Context: may sleep.
 * Return: RESPST_NONE, or the responder state that answers the error.
 */
enum resp_states rxe_odp_do_atomic_write(struct rxe_mr *mr, u64 iova, u64 value)
{
	struct word_op op = {
		.run = run_atomic_write,
		.value = value,
	};

	return word_op(mr, iova, &op);
}
