// SPDX-License-Identifier: GPL-2.0
/*
 * CPU fault: the CPU touches a page of device memory, which then must come to
 * RAM.
 *
 * It brings an aligned neighbourhood along (cpu_fault_pages), since who touches
 * a page touches the next one too, and most of the cost is per migration. A
 * folio of 2 MiB that is mapped as one comes as one.
 *
 * The faulting page is locked and held by the kernel, and mmap_lock is held for
 * reading. There is no way to say no: if memory can't be had for the work, there
 * is a reserve of it, and if none can be had for the page, the OOM killer decides.
 */
#include <linux/moduleparam.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_race.h"
#include "rxe_trace.h"

static int set_fault_pages(const char *val, const struct kernel_param *kp)
{
	unsigned int pages;
	int err;

	err = kstrtouint(val, 0, &pages);
	if (err)
		return err;
	if (!is_power_of_2(pages) || pages > RXE_BATCH_PAGES)
		return -EINVAL;
	*(unsigned int *)kp->arg = pages;

	return 0;
}

static const struct kernel_param_ops fault_pages_ops = {
	.set = set_fault_pages,
	.get = param_get_uint,
};

static unsigned int cpu_fault_pages = 64;
module_param_cb(cpu_fault_pages, &fault_pages_ops, &cpu_fault_pages, 0644);
MODULE_PARM_DESC(cpu_fault_pages,
		 "pages that a CPU fault brings back from the device, aligned: a power of 2 up to 512 (default 64)");

/*
 * What to bring: the folio if it is mapped as one, else the neighbourhood.
 *
 * A folio that is mapped by pages, since part of it was protected or moved, is split
 * by setup first. That of Linux 7.2 goes on to take the folio's first page for the
 * one that the fault has locked, and would migrate it without its lock. So only the
 * faulting page is asked for, which has the folio split; the fault comes again.
 */
static void plan(struct vm_fault *vmf, struct migrate_vma *args)
{
	unsigned long size = (unsigned long)READ_ONCE(cpu_fault_pages) << PAGE_SHIFT;

	if (!vmf->pte) {
		size = RXE_DMEM_BLOCK_SIZE;
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;
	} else if (folio_test_large(page_folio(vmf->page))) {
		size = PAGE_SIZE;
	}
	args->start = max(round_down(vmf->address, size), vmf->vma->vm_start);
	args->end = min(round_down(vmf->address, size) + size, vmf->vma->vm_end);
}

/* Returns false if the faulting page has no destination. */
static bool fill(struct rxe_batch *batch, struct migrate_vma *args,
		 unsigned long va)
{
	unsigned int wanted = (va - args->start) >> PAGE_SHIFT;
	unsigned int i, n;
	bool ok = true;

	for (i = 0; i < batch->nr_pages; i += max(n, 1U)) {
		n = 0;
		if (!(batch->src[i] & MIGRATE_PFN_MIGRATE) ||
		    !(batch->src[i] & MIGRATE_PFN_VALID))
			continue;
		n = rxe_batch_to_system(batch, i, args->vma,
					args->start + i * PAGE_SIZE);
		if (!n && (i == wanted || batch->src[i] & MIGRATE_PFN_COMPOUND))
			ok = false;
	}

	return ok;
}

static vm_fault_t bring(struct vm_fault *vmf, struct rxe_batch *batch,
			unsigned int *moved)
{
	struct migrate_vma args = {
		.vma = vmf->vma,
		.src = batch->src,
		.dst = batch->dst,
		.pgmap_owner = batch->hmm->rxe,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
		.fault_page = vmf->page,
	};
	bool ok;

	plan(vmf, &args);
	if (migrate_vma_setup(&args))
		return VM_FAULT_SIGBUS;
	rxe_race_reach(RXE_RACE_MIGRATE_SETUP);

	batch->nr_pages = args.npages;
	ok = fill(batch, &args, vmf->address);
	rxe_batch_copy_start(batch);
	migrate_vma_pages(&args);
	*moved = rxe_batch_left(batch, RXE_DMEM_CPU_FAULTED);
	rxe_batch_copy_finish(batch);
	migrate_vma_finalize(&args);

	return ok ? 0 : VM_FAULT_OOM;
}

/**
 * rxe_migrate_to_ram - migrate_to_ram() of struct dev_pagemap_ops
 * @vmf: the fault; the page is locked and held
 *
 * Who doesn't want to wait is told to come again: that is the NIC's own fault,
 * which finds the page on the device then (rxe_mirror_fault.c).
 *
 * Context: page fault, may sleep, mmap_lock is held for reading.
 * Return: 0, which has the fault tried again; VM_FAULT_OOM; VM_FAULT_RETRY for
 * FAULT_FLAG_RETRY_NOWAIT.
 */
vm_fault_t rxe_migrate_to_ram(struct vm_fault *vmf)
{
	struct rxe_dev *rxe = rxe_dmem_dev(rxe_dmem_of(vmf->page));
	struct rxe_hmm_dev *hmm = rxe->hmm;
	ktime_t since = ktime_get();
	struct rxe_batch *batch;
	unsigned int moved = 0;
	vm_fault_t ret;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	rxe_counter_inc(rxe, RXE_CNT_CPU_FAULTS);
	rxe_mirror_count_cpu_fault(rxe, vmf->vma->vm_mm, vmf->address);
	batch = rxe_batch_get(hmm);
	ret = bring(vmf, batch, &moved);
	rxe_batch_destroy(batch);
	trace_rxe_migrate_cpu_fault(rxe, vmf->address, moved,
				    ktime_us_delta(ktime_get(), since));

	return ret;
}
