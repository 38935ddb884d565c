/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mirror: what the device knows of a process's page tables.
 *
 *	rxe_mirror_mr --> rxe_mirror --> rxe_window --> rxe_region --> entries
 *	(an MR: iova,      (device,       (1 GiB, one    (2 MiB, one
 *	 va, rights)        process)       notifier)      rwlock)
 *
 * An MR is a translation onto the mirror and owns no pages, so it costs the
 * same whatever its length, and MRs that overlap share what was faulted.
 * Windows and regions are made by the first fault in them and given back when
 * the memory is unmapped (rxe_mirror_gc.c); a mirror lives as long as the last
 * MR that refers to it.
 *
 * Lock order:
 *
 *	mirrors_lock (get/put of mirrors; never on the data path)
 *	mirror->gc_sem (readers hold on to windows and regions, the writer frees)
 *	mirror->windows_lock (mutex: making windows and regions)
 *	mm->mmap_lock
 *	  window->lock (spinlock: the lock of the mmu interval notifier protocol)
 *	    region->lock (rwlock: readers move data, writers change entries)
 *
 * window->lock and region->lock are taken below memory reclaim. Nothing is
 * allocated and nothing sleeps while either is held.
 */
#ifndef RXE_MIRROR_H
#define RXE_MIRROR_H

#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/ib_umem.h>

#include "rxe_dmem.h"
#include "rxe_fault_budget.h"
#include "rxe_heat.h"
#include "rxe_hmm.h"
#include "rxe_mirror_entry.h"
#include "rxe_stats.h"
#include "rxe_tier.h"

struct hmm_range;
struct rxe_mr;
struct rxe_mw;
struct rxe_pkt_info;

#define RXE_WINDOW_SHIFT	30
#define RXE_WINDOW_SIZE		BIT(RXE_WINDOW_SHIFT)
#define RXE_REGION_SHIFT	21
#define RXE_REGION_SIZE		BIT(RXE_REGION_SHIFT)
#define RXE_REGION_ORDER	(RXE_REGION_SHIFT - PAGE_SHIFT)
#define RXE_REGION_PAGES	BIT(RXE_REGION_ORDER)
#define RXE_WINDOW_REGIONS	BIT(RXE_WINDOW_SHIFT - RXE_REGION_SHIFT)
/* how many windows are found without a search, a power of 2 */
#define RXE_NEAR_WINDOWS	16UL

/**
 * struct rxe_region - the page table of 2 MiB of address space
 * @lock: readers use entries and the memory behind them; writers change entries
 * @huge: entry of the region's first page if one mapping covers all, else 0
 * @table: an entry for each page, or NULL while none was needed
 * @nr_valid: how many pages are mapped
 * @ra_next: page index at which a sequential stream would miss next
 * @ra_pages: how far the last fault of that stream reached
 * @ra_run: how often it has missed so
 * @refill: much was moved here: let the next fault take all that is present
 * @touched: how many accesses rxe_mirror_touch_accessed() has seen here
 * @heat: how much the NIC uses it
 * @first: the part that MRs have faulted in is, in pages, from this
 * @end: up to this
 * @user: id of the MR that faulted last
 * @on_device: pages of it on the device, as far as the policy knows
 * @tier: what else the policy remembers of it
 * @nr_invalidated: pages that invalidations have taken away
 * @rcu: frees it after the data path left
 *
 * All but @lock is written under @lock held for write, except that readers
 * set the %RXE_ENTRY_MARKS with atomic operations. @ra_next, @ra_pages, @ra_run
 * and @refill are hints, also read without the lock. @touched is under mirrors_lock.
 * @heat has rules of its own; @on_device and @tier are the policy's (rxe_tier.c).
 */
struct rxe_region {
	rwlock_t		lock;
	unsigned long		huge;
	unsigned long		*table;
	unsigned int		nr_valid;
	unsigned short		ra_next;
	unsigned short		ra_pages;
	unsigned short		ra_run;
	bool			refill;
	u32			touched;
	struct rxe_heat		heat;
	unsigned short		first;
	unsigned short		end;
	u32			user;
	unsigned int		on_device;
	struct rxe_tier_state	tier;
	u64			nr_invalidated;
	struct rcu_head		rcu;
};

/**
 * struct rxe_window - a slice of address space under one interval notifier
 * @notifier: tells of changes to the CPU page tables of the slice
 * @lock: orders mmu_interval_set_seq() against read_retry() and install
 * @mirror: the mirror that it belongs to
 * @start: first address
 * @nr_invalidated: pages that invalidations have ever taken away, under @lock
 * @regions: the slice's regions; set under windows_lock, cleared under @lock
 * @rcu: frees it after the data path left
 */
struct rxe_window {
	struct mmu_interval_notifier notifier;
	spinlock_t		lock;	/* orders set_seq against install */
	struct rxe_mirror	*mirror;
	unsigned long		start;
	u64			nr_invalidated;
	struct rxe_region	**regions;
	struct rcu_head		rcu;
};

/**
 * struct rxe_mirror - what a device mirrors of a process
 * @rxe: the device
 * @mm: the process's address space (mm_count held, not mm_users)
 * @node: in the table of all mirrors, under mirrors_lock
 * @ref: one for each MR
 * @windows: struct rxe_window by address >> RXE_WINDOW_SHIFT
 * @near: some of these, by the same modulo its size: the last that was faulted in
 * @windows_lock: serialises the making of windows and regions
 * @gc_sem: held for reading by who may make windows or regions or holds on to
 *	them while it sleeps, for writing by who frees them
 * @gc_work: gives back what maps nothing
 * @lost: invalidated pages of regions given back, by address >> RXE_REGION_SHIFT
 * @lost_windows: the same of windows, by address >> RXE_WINDOW_SHIFT
 * @prefer: where pages are wanted, by page number (rxe_migrate_prefer.c)
 * @slow: its slow faults (rxe_slow.c)
 * @nr_slow: how many these are
 * @id: marks its pages in the device's memory
 * @tier: the device's policy
 * @link: how long data takes to memory, by a model
 * @kept: how many keep it from going away for now (rxe_mirror_keep_next())
 * @rcu: frees it after who counts CPU faults left
 */
struct rxe_mirror {
	struct rxe_dev		*rxe;
	struct mm_struct	*mm;
	struct hlist_node	node;
	refcount_t		ref;
	struct xarray		windows;
	struct rxe_window	*near[RXE_NEAR_WINDOWS];
	struct mutex		windows_lock;	/* makes windows, regions */
	struct rw_semaphore	gc_sem;
	struct delayed_work	gc_work;
	struct xarray		lost;
	struct xarray		lost_windows;
	struct maple_tree	prefer;
	struct list_head	slow;
	unsigned int		nr_slow;
	u32			id;
	struct rxe_tier		*tier;
	struct rxe_link		*link;
	atomic_t		kept;
	struct rcu_head		rcu;
};

/**
 * struct rxe_mirror_mr - an on-demand MR: a translation onto a mirror
 * @umem: address, length and is_odp, where the rest of rxe looks for them;
 *	it holds no pages and ib_umem_release() never sees it
 * @mirror: what it translates to
 * @dying: the MR is being deregistered, long work on it should stop
 * @nr_faults: pages mapped by faults through this MR
 * @nr_faults_handled: faults through this MR
 * @nr_prefetched: pages mapped by ibv_advise_mr()
 * @credit: for pages that its faults take along (rxe_readahead.h)
 * @missing: so many faults may still take it that pages are missing
 * @base_invalidated: invalidated pages of the MR's range before it existed
 * @user: what came to the device's memory through this MR
 */
struct rxe_mirror_mr {
	struct ib_umem		umem;
	struct rxe_mirror	*mirror;
	bool			dying;
	atomic64_t		nr_faults;
	atomic64_t		nr_faults_handled;
	atomic64_t		nr_prefetched;
	atomic_t		credit;
	u8			missing;
	u64			base_invalidated;
	struct rxe_dmem_user	user;
};

/* The on-demand MR whose umem this is; is_odp_mr() said that it is one. */
static inline struct rxe_mirror_mr *umem_to_mirror_mr(struct ib_umem *umem)
{
	return container_of(umem, struct rxe_mirror_mr, umem);
}

/* What a caller wants from rxe_mirror_fault(). */
enum rxe_fault_flags {
	RXE_FAULT_WRITE		= BIT(0),	/* for writing */
	RXE_FAULT_SNAPSHOT	= BIT(1),	/* take what is present, fault nothing */
	RXE_FAULT_PREFETCH	= BIT(2),	/* asked for by ibv_advise_mr() */
};

static inline unsigned long rxe_region_index(unsigned long va)
{
	return (va >> RXE_REGION_SHIFT) & (RXE_WINDOW_REGIONS - 1);
}

/* Index of the page within its region. */
static inline unsigned int rxe_region_page(unsigned long va)
{
	return (va >> PAGE_SHIFT) & (RXE_REGION_PAGES - 1);
}

static inline unsigned long rxe_region_end(unsigned long va)
{
	return (va | (RXE_REGION_SIZE - 1)) + 1;
}

/* The entry of page @i; @region->lock is held. */
static inline unsigned long
rxe_region_entry(const struct rxe_region *region, unsigned int i)
{
	unsigned long huge = READ_ONCE(region->huge);

	if (huge)
		return huge + ((unsigned long)i << RXE_ENTRY_PFN_SHIFT);
	return region->table ? READ_ONCE(region->table[i]) : 0;
}

/* rxe_mirror.c */
struct rxe_mirror *rxe_mirror_get(struct rxe_dev *rxe, struct mm_struct *mm);
void rxe_mirror_put(struct rxe_mirror *mirror);
struct rxe_window *rxe_mirror_make_window(struct rxe_mirror *mirror,
					  unsigned long va);
struct rxe_region *rxe_mirror_make_region(struct rxe_window *window,
					  unsigned long va);
struct rxe_mirror *rxe_mirror_keep_next(struct rxe_dev *rxe, u32 after);
struct rxe_mirror *rxe_mirror_keep(struct rxe_dev *rxe, u32 id);
void rxe_mirror_unkeep(struct rxe_mirror *mirror);
void rxe_mirror_count_cpu_fault(struct rxe_dev *rxe, struct mm_struct *mm,
				unsigned long va);
void rxe_mirror_touch_accessed(struct rxe_dev *rxe);
void rxe_mirror_prime_lockdep(void);

/* rxe_mirror_gc.c */
void rxe_mirror_gc_init(struct rxe_mirror *mirror);
void rxe_mirror_gc_fini(struct rxe_mirror *mirror);
void rxe_mirror_gc_later(struct rxe_mirror *mirror);
u64 rxe_mirror_recall(struct xarray *lost, unsigned long i);

/* rxe_mirror_look.c */
bool rxe_mirror_is_mapped(struct rxe_mirror *mirror, unsigned long va,
			  unsigned long length);
bool rxe_mirror_may_fault(const struct vm_area_struct *vma, bool write);
unsigned long rxe_mirror_look_at_page(struct vm_area_struct *vma, unsigned long va);
int rxe_mirror_look(struct hmm_range *range, unsigned long start,
		    unsigned long end);

/* rxe_mirror_fault.c */
int rxe_mirror_fault(struct rxe_mirror_mr *mmr, unsigned long va,
		     unsigned long length, unsigned int flags,
		     struct rxe_fault_budget *budget);

/* rxe_mirror_mr.c */
int rxe_mirror_mr_check_rereg(struct rxe_mr *mr, int flags, int access);
void rxe_mirror_mr_stop(struct rxe_mr *mr);
void rxe_mirror_mr_fini(struct rxe_mr *mr);

/* rxe_mirror_pin.c */
int rxe_mirror_pin(struct rxe_mirror_mr *mmr, unsigned long va,
		   unsigned int num, bool write, struct page **pages);
void rxe_mirror_unpin(struct page **pages, unsigned int num, bool write);

/* rxe_mirror_io.c */
u64 rxe_mirror_atomic(u64 *word, int opcode, u64 compare, u64 value);

/* rxe_mw_check.c */
bool rxe_mw_allows(struct rxe_mw *mw, u64 va, u32 length,
		   struct rxe_pkt_info *pkt);

/* rxe_mirror_advise.c */
int rxe_mirror_advise_init(void);
void rxe_mirror_advise_exit(void);

#endif /* RXE_MIRROR_H */
