// SPDX-License-Identifier: GPL-2.0
/*
 * On-demand MRs: registration and deregistration.
 *
 * An on-demand MR owns a struct rxe_mirror_mr, which holds a reference to the
 * mirror of the process that registered it. Registration looks at no page and
 * allocates nothing that depends on the length.
 *
 * rxe finds the MR's address and length in mr->umem, as for a pinned one, and
 * tells the two kinds apart by umem->is_odp. The ib_umem is part of our struct
 * and never reaches the core's ib_umem functions that take pages.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_loc.h"
#include "rxe_mirror.h"

/* All of the address space: ibv_reg_mr(pd, NULL, SIZE_MAX, ...). */
static bool is_implicit(u64 start, u64 length)
{
	return !start && length == U64_MAX;
}

static int check_user_range(u64 start, u64 length, u64 iova)
{
	u64 end;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length, &end) || PAGE_ALIGN(end) < end)
		return -EOVERFLOW;
	if (check_add_overflow(iova, length - 1, &end))
		return -EOVERFLOW;

	return 0;
}

/* IB_ACCESS_HUGETLB is a promise that the memory is from hugetlbfs. */
static int check_hugetlb(u64 start)
{
	struct vm_area_struct *vma;
	int err = -EINVAL;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, start);
	if (vma && is_vm_hugetlb_page(vma))
		err = 0;
	mmap_read_unlock(current->mm);

	return err;
}

/* What can be known of an MR's memory without looking at a page. */
static int check_user_mr(u64 start, u64 length, u64 iova, int access)
{
	int err;

	if (access & IB_ACCESS_FLUSH_PERSISTENT)
		return -EINVAL;
	if (is_implicit(start, length))
		return iova || access & IB_ACCESS_HUGETLB ? -EINVAL : 0;
	err = check_user_range(start, length, iova);
	if (err)
		return err;

	return access & IB_ACCESS_HUGETLB ? check_hugetlb(start) : 0;
}

/**
 * rxe_odp_mr_init_user - make an MR an on-demand one
 * @rxe: the device
 * @start: first address in the current process
 * @length: bytes; U64_MAX with @start 0 is all of the address space, whatever
 *	will be mapped there
 * @iova: what the peer and the SGEs call @start
 * @access: IB_ACCESS_*
 * @mr: the MR, zeroed but for what rxe_add_to_pool() set
 *
 * Context: may sleep; current->mm is the address space that is registered.
 * Return: 0, or
 * * -EINVAL: empty range, all of the address space under another address,
 *   IB_ACCESS_HUGETLB for other memory, or persistent flush asked for, which
 *   only pinned persistent memory can promise
 * * -EOVERFLOW: the range wraps
 * * -ENOMEM: no memory
 */
int rxe_odp_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length, u64 iova,
			 int access, struct rxe_mr *mr)
{
	struct rxe_mirror_mr *mmr;
	int err;

	rxe_mr_init(access, mr);

	err = check_user_mr(start, length, iova, access);
	if (err)
		return err;

	mmr = kzalloc_obj(*mmr);
	if (!mmr)
		return -ENOMEM;
	err = rxe_dmem_user_add(&mmr->user);
	if (err)
		goto err_mmr;
	mmr->mirror = rxe_mirror_get(rxe, current->mm);
	if (!mmr->mirror) {
		err = -ENOMEM;
		goto err_user;
	}

	mmr->umem.ibdev = &rxe->ib_dev;
	mmr->umem.owning_mm = current->mm;
	mmr->umem.address = start;
	mmr->umem.length = length;
	mmr->umem.iova = iova;
	mmr->umem.writable = ib_access_writable(access);
	mmr->umem.is_odp = 1;
	mmr->base_invalidated =
		rxe_mirror_count_invalidated(mmr->mirror, start,
					     start + length - 1);

	mr->umem = &mmr->umem;
	mr->ibmr.iova = iova;
	mr->ibmr.length = length;
	mr->ibmr.type = IB_MR_TYPE_USER;
	mr->state = RXE_MR_STATE_VALID;
	rxe_audit_made(RXE_AUDIT_MRS);

	return 0;

err_user:
	rxe_dmem_user_del(rxe->hmm->dmem, &mmr->user);
err_mmr:
	kfree(mmr);
	return err;
}

/**
 * rxe_mirror_mr_check_rereg - may an MR get other rights where it is?
 * @mr: an MR of any kind
 * @flags: enum ib_mr_rereg_flags
 * @access: its new IB_ACCESS_*, if the flags say so
 *
 * Some flags aren't rights: they say what the MR is or promise something of its
 * memory, which is for registration to decide.
 *
 * Context: any.
 * Return: 0, or -EOPNOTSUPP if it takes a new MR.
 */
int rxe_mirror_mr_check_rereg(struct rxe_mr *mr, int flags, int access)
{
	const int fixed = IB_ACCESS_ON_DEMAND | IB_ACCESS_HUGETLB |
			  IB_ACCESS_FLUSH_PERSISTENT;

	if (!(flags & IB_MR_REREG_ACCESS) || flags & IB_MR_REREG_TRANS)
		return 0;

	return (access ^ mr->access) & fixed ? -EOPNOTSUPP : 0;
}

/**
 * rxe_mirror_mr_stop - tell long work on an MR to let go of it
 * @mr: an MR of any kind that is about to be deregistered
 *
 * Deregistration waits for all references to the MR. A prefetch that runs in
 * the background drops its own after the region that it is at.
 *
 * Context: any.
 */
void rxe_mirror_mr_stop(struct rxe_mr *mr)
{
	if (is_odp_mr(mr))
		WRITE_ONCE(umem_to_mirror_mr(mr->umem)->dying, true);
}

/**
 * rxe_mirror_mr_fini - let go of what an MR translates to
 * @mr: an on-demand MR without users
 *
 * Context: may sleep.
 */
void rxe_mirror_mr_fini(struct rxe_mr *mr)
{
	struct rxe_mirror_mr *mmr = umem_to_mirror_mr(mr->umem);

	mr->umem = NULL;
	rxe_dmem_user_del(mmr->mirror->rxe->hmm->dmem, &mmr->user);
	rxe_mirror_put(mmr->mirror);
	kfree(mmr);
	rxe_audit_freed(RXE_AUDIT_MRS);
}

/**
 * rxe_odp_flush_pmem_iova - make a range of an on-demand MR persistent
 * @mr: the MR
 * @iova: first byte
 * @length: bytes
 *
 * rxe asks only on behalf of IB_ACCESS_FLUSH_PERSISTENT, and no on-demand MR
 * can be registered with that: which page backs an address may change between
 * the write and the flush.
 *
 * Context: any.
 * Return: -EOPNOTSUPP.
 */
int rxe_odp_flush_pmem_iova(struct rxe_mr *mr, u64 iova, unsigned int length)
{
	return -EOPNOTSUPP;
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_mirror_mr_test.c"
#endif
