// SPDX-License-Identifier: GPL-2.0
/*
 * What this series adds to rdma_rxe.ko as a whole, and to each device.
 *
 * The module: init, exit and a name. rxe calls init before it can make devices
 * and exit after the last one is gone. Debug builds have a folder in debugfs.
 *
 * A device: struct rxe_hmm_dev. rxe makes it before the device is registered
 * and drops it when all objects of the device are gone, so whoever holds an
 * object of the device may use it without a lock.
 */
#include <linux/debugfs.h>
#include <linux/module.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_hmm.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_race.h"
#include "rxe_slow.h"
#include "rxe_sysfs.h"
#include "rxe_tier.h"
#include "rxe_uapi.h"
#include "rxe_hmm_version.h"

MODULE_VERSION(RXE_HMM_VERSION);
MODULE_INFO(rxe_hmm, "series " RXE_HMM_SERIES " on " RXE_HMM_BASE);

static struct dentry *debug_dir;

static void show_debug(void)
{
	if (!IS_ENABLED(CONFIG_RXE_HMM_DEBUG))
		return;
	debug_dir = debugfs_create_dir("rxe_hmm", NULL);
	rxe_audit_show(debug_dir);
	rxe_race_show(debug_dir);
}

/**
 * rxe_hmm_init - set up what all devices share
 *
 * Context: module init, may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_hmm_init(void)
{
	int err;

	rxe_mirror_prime_lockdep();

	err = rxe_mirror_advise_init();
	if (err)
		return err;
	show_debug();

	return 0;
}

/**
 * rxe_hmm_exit - undo rxe_hmm_init()
 *
 * Context: module exit, may sleep; no device is left.
 */
void rxe_hmm_exit(void)
{
	debugfs_remove(debug_dir);
	rxe_mirror_advise_exit();
	rxe_slow_exit();
	/* for what rxe_mirror_gc.c frees after a grace period */
	rcu_barrier();
	rxe_audit_end();
}

/**
 * rxe_hmm_dev_init - make what a device has beside its MRs
 * @rxe: the device, not registered yet
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_hmm_dev_init(struct rxe_dev *rxe)
{
	struct rxe_hmm_dev *hmm;
	int err = -ENOMEM;

	hmm = kzalloc_obj(*hmm);
	if (!hmm)
		return err;
	hmm->rxe = rxe;
	mutex_init(&hmm->resize_lock);
	mutex_init(&hmm->reserve_lock);
	hmm->ce = rxe_ce_create(rxe);
	if (IS_ERR(hmm->ce)) {
		err = PTR_ERR(hmm->ce);
		goto err_hmm;
	}
	err = -ENOMEM;
	hmm->reserve = rxe_batch_alloc();
	if (!hmm->reserve)
		goto err_ce;
	hmm->dmem = rxe_dmem_create(rxe);
	if (!hmm->dmem)
		goto err_reserve;
	hmm->tier = rxe_tier_create(hmm);
	if (!hmm->tier)
		goto err_dmem;
	rxe->hmm = hmm;
	if (IS_ENABLED(CONFIG_INFINIBAND_USER_ACCESS))
		rxe->ib_dev.driver_def = rxe_uapi_defs;
	rxe_sysfs_init(rxe);

	return 0;

err_dmem:
	rxe_dmem_destroy(hmm->dmem);
err_reserve:
	kvfree(hmm->reserve);
err_ce:
	rxe_ce_destroy(hmm->ce);
err_hmm:
	mutex_destroy(&hmm->reserve_lock);
	mutex_destroy(&hmm->resize_lock);
	kfree(hmm);
	return err;
}

/**
 * rxe_hmm_dev_fini - undo rxe_hmm_dev_init(), if it succeeded
 * @rxe: the device, without objects
 *
 * Pages of it that processes still have (children that share memory with one
 * that had MRs) go back to RAM first.
 *
 * Context: may sleep.
 */
void rxe_hmm_dev_fini(struct rxe_dev *rxe)
{
	struct rxe_hmm_dev *hmm = rxe->hmm;

	if (!hmm)
		return;
	rxe_tier_destroy(hmm->tier);
	rxe_migrate_evacuate_all(hmm);
	rxe_dmem_destroy(hmm->dmem);
	rxe_ce_destroy(hmm->ce);
	rxe->hmm = NULL;
	mutex_destroy(&hmm->reserve_lock);
	mutex_destroy(&hmm->resize_lock);
	kvfree(hmm->reserve);
	kvfree(hmm->batch);
	kfree(hmm);
}
