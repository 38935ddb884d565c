// SPDX-License-Identifier: GPL-2.0
/*
 * ibv_advise_mr(): fill the mirror before it is needed.
 *
 * A call names ranges of on-demand MRs. All of them are checked before the
 * first page is touched. With IB_UVERBS_ADVISE_MR_FLAG_FLUSH the caller does
 * the work, else a work item does, which holds a reference to each MR and gives
 * up what it finds dying (see rxe_mirror_mr_stop()).
 *
 * The errors are those of ibv_advise_mr(3) and mlx5: -ENOENT for an lkey that
 * is unknown, -EINVAL for an MR that isn't on-demand, -EPERM for another PD's
 * MR or write advice without local write access, -EFAULT for a range outside
 * the MR or, where it shows before the call returns, not mapped.
 */
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_loc.h"
#include "rxe_mirror.h"

/* How often to look whether slow memory has come. */
#define SLOW_PAUSE_MS	10

static struct workqueue_struct *advise_wq;

struct advise_range {
	struct rxe_mr		*mr;
	unsigned long		va;
	unsigned long		length;
};

struct advise {
	struct work_struct	work;
	unsigned int		flags;		/* enum rxe_fault_flags */
	unsigned int		num_ranges;
	struct advise_range	ranges[] __counted_by(num_ranges);
};

static int fill_range(const struct advise_range *range, unsigned int flags)
{
	struct rxe_mirror_mr *mmr = umem_to_mirror_mr(range->mr->umem);
	unsigned long va = range->va, length = range->length, n;
	struct rxe_fault_budget budget;
	int err;

	for (; length; length -= n, va += n) {
		if (READ_ONCE(mmr->dying))
			return -ECANCELED;
		if (fatal_signal_pending(current))
			return -EINTR;
		n = min(length, rxe_region_end(va) - va);
		rxe_fault_budget_init(&budget);
		err = rxe_mirror_fault(mmr, va, n, flags, &budget);
		if (err == -EAGAIN) {
			schedule_timeout_killable(msecs_to_jiffies(SLOW_PAUSE_MS));
			n = 0;
			continue;
		}
		/* it is advice: what keeps changing is left to the access */
		if (err && err != -EBUSY)
			return err;
		cond_resched();
	}

	return 0;
}

static int fill_all(struct advise *advise)
{
	unsigned int i;
	int err;

	for (i = 0; i < advise->num_ranges; i++) {
		err = fill_range(&advise->ranges[i], advise->flags);
		if (err)
			return err;
	}

	return 0;
}

static void advise_destroy(struct advise *advise)
{
	unsigned int i;

	for (i = 0; i < advise->num_ranges && advise->ranges[i].mr; i++)
		rxe_put(advise->ranges[i].mr);
	kvfree(advise);
	rxe_audit_freed(RXE_AUDIT_ADVISES);
}

static void advise_work(struct work_struct *work)
{
	struct advise *advise = container_of(work, struct advise, work);
	struct rxe_dev *rxe = to_rdev(advise->ranges[0].mr->ibmr.device);

	if (fill_all(advise) == -ECANCELED)
		rxe_counter_inc(rxe, RXE_CNT_PREFETCHES_CANCELLED);
	advise_destroy(advise);
}

static int check_range(struct rxe_pd *pd, struct rxe_mr *mr,
		       const struct ib_sge *sge,
		       enum ib_uverbs_advise_mr_advice advice)
{
	if (mr_pd(mr) != pd)
		return -EPERM;
	if (mr->state != RXE_MR_STATE_VALID || !is_odp_mr(mr))
		return -EINVAL;
	if (advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE &&
	    !(mr->access & IB_ACCESS_LOCAL_WRITE))
		return -EPERM;
	if (mr_check_range(mr, sge->addr, sge->length))
		return -EFAULT;

	return 0;
}

/* Take a reference to the MR that @sge names, if the advice fits it. */
static int get_range(struct rxe_pd *pd, const struct ib_sge *sge,
		     enum ib_uverbs_advise_mr_advice advice,
		     struct advise_range *range)
{
	struct rxe_dev *rxe = to_rdev(pd->ibpd.device);
	struct rxe_mr *mr;
	int err;

	mr = rxe_pool_get_index(&rxe->mr_pool, sge->lkey >> 8);
	if (!mr)
		return -ENOENT;
	if (mr->lkey != sge->lkey) {
		rxe_put(mr);
		return -ENOENT;
	}
	err = check_range(pd, mr, sge, advice);
	if (err) {
		rxe_put(mr);
		return err;
	}

	range->mr = mr;
	range->va = mr->umem->address + (sge->addr - mr->ibmr.iova);
	range->length = sge->length;

	return 0;
}

static struct advise *advise_create(struct rxe_pd *pd,
				    enum ib_uverbs_advise_mr_advice advice,
				    const struct ib_sge *sg_list, u32 num_sge)
{
	struct advise *advise;
	u32 i;
	int err;

	advise = kvzalloc_flex(*advise, ranges, num_sge);
	if (!advise)
		return ERR_PTR(-ENOMEM);
	advise->num_ranges = num_sge;
	rxe_audit_made(RXE_AUDIT_ADVISES);

	advise->flags = RXE_FAULT_PREFETCH;
	if (advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE)
		advise->flags |= RXE_FAULT_WRITE;
	else if (advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		advise->flags |= RXE_FAULT_SNAPSHOT;

	for (i = 0; i < num_sge; i++) {
		err = get_range(pd, &sg_list[i], advice, &advise->ranges[i]);
		if (err) {
			advise_destroy(advise);
			return ERR_PTR(err);
		}
	}

	return advise;
}

/**
 * rxe_ib_advise_mr - ibv_advise_mr()
 * @ibpd: the PD
 * @advice: one of the three prefetches
 * @flags: IB_UVERBS_ADVISE_MR_FLAG_FLUSH to return when it is done
 * @sg_list: the ranges
 * @num_sge: how many, at least 1
 * @attrs: unused
 *
 * Context: may sleep.
 * Return: 0, an error that the comment on top of this file lists, -EOPNOTSUPP
 * for advice that isn't known, -ENOMEM, or -EINTR if the caller is killed.
 */
int rxe_ib_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice,
		     u32 flags, struct ib_sge *sg_list, u32 num_sge,
		     struct uverbs_attr_bundle *attrs)
{
	struct advise *advise;
	int err;

	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH:
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		break;
	default:
		return -EOPNOTSUPP;
	}

	advise = advise_create(to_rpd(ibpd), advice, sg_list, num_sge);
	if (IS_ERR(advise))
		return PTR_ERR(advise);

	if (flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH) {
		err = fill_all(advise);
		advise_destroy(advise);
		return err;
	}

	INIT_WORK(&advise->work, advise_work);
	queue_work(advise_wq, &advise->work);

	return 0;
}

/**
 * rxe_mirror_advise_init - make the queue for prefetch in the background
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_mirror_advise_init(void)
{
	advise_wq = alloc_workqueue("rxe_advise", WQ_UNBOUND, 0);

	return advise_wq ? 0 : -ENOMEM;
}

/**
 * rxe_mirror_advise_exit - undo rxe_mirror_advise_init()
 *
 * Context: may sleep. No device is left, so no MR and no work.
 */
void rxe_mirror_advise_exit(void)
{
	destroy_workqueue(advise_wq);
}

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_mirror_advise_test.c"
#endif
