// SPDX-License-Identifier: GPL-2.0
/*
 * A device's files in sysfs, and the module parameter with the same meaning.
 *
 *	memory_size	bytes of device memory, may be set; 0 is off
 *	memory_used	bytes in use
 *	memory_free	bytes not in use
 *	memory_peak	most bytes that were ever in use
 *	tier_*		the policy (rxe_tier_knobs.c)
 *	link_*		a model of the link (rxe_link.c)
 *
 * Sizes are read with a suffix (64M), and are a multiple of 2 MiB, at most as
 * much as the machine has RAM: that is what stands in for it. The core makes
 * and removes the files together with the device, so the device is there while
 * one of them is in use.
 */
#include <linux/device.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>

#include "rxe.h"
#include "rxe_dmem.h"
#include "rxe_hmm.h"
#include "rxe_migrate.h"
#include "rxe_sysfs.h"
#include "rxe_tier.h"
#include "rxe_tier_knobs.h"

/* struct ib_device has the core's files in [0] and rxe's own in [1]. */
#define SYSFS_GROUP	2

static int parse_size(const char *buf, unsigned long *pages)
{
	unsigned long long bytes;
	char *end;

	if (!isdigit(*buf))
		return -EINVAL;
	bytes = memparse(buf, &end);
	if (*end == '\n')
		end++;
	if (*end || bytes % RXE_DMEM_BLOCK_SIZE ||
	    bytes >> PAGE_SHIFT > totalram_pages())
		return -EINVAL;
	*pages = bytes >> PAGE_SHIFT;

	return 0;
}

static unsigned long default_pages;

static int set_device_memory(const char *val, const struct kernel_param *kp)
{
	return parse_size(val, kp->arg);
}

static int get_device_memory(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%lu\n", *(unsigned long *)kp->arg << PAGE_SHIFT);
}

static const struct kernel_param_ops device_memory_ops = {
	.set = set_device_memory,
	.get = get_device_memory,
};

module_param_cb(device_memory, &device_memory_ops, &default_pages, 0644);
MODULE_PARM_DESC(device_memory,
		 "bytes of device memory of devices made from now on, a multiple of 2M, with suffix (default 0: none)");

static struct rxe_hmm_dev *dev_to_hmm(struct device *dev)
{
	return rdma_device_to_drv_device(dev, struct rxe_dev, ib_dev)->hmm;
}

static struct rxe_dmem_info dev_to_info(struct device *dev)
{
	struct rxe_dmem_info info;

	rxe_dmem_get_info(dev_to_hmm(dev)->dmem, &info);

	return info;
}

static ssize_t memory_size_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", dev_to_info(dev).size << PAGE_SHIFT);
}

static ssize_t memory_size_store(struct device *dev,
				 struct device_attribute *attr,
				 const char *buf, size_t count)
{
	unsigned long pages;
	int err;

	err = parse_size(buf, &pages);
	if (!err)
		err = rxe_migrate_set_memory(dev_to_hmm(dev), pages);
	if (!err)
		rxe_tier_refresh(dev_to_hmm(dev)->tier);

	return err ? err : count;
}
static DEVICE_ATTR_RW(memory_size);

static ssize_t memory_used_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", dev_to_info(dev).used << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(memory_used);

static ssize_t memory_free_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	struct rxe_dmem_info info = dev_to_info(dev);

	return sysfs_emit(buf, "%lu\n",
			  (info.size - min(info.size, info.used)) << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(memory_free);

static ssize_t memory_peak_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", dev_to_info(dev).peak << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(memory_peak);

static struct attribute *sysfs_attrs[] = {
	&dev_attr_memory_size.attr,
	&dev_attr_memory_used.attr,
	&dev_attr_memory_free.attr,
	&dev_attr_memory_peak.attr,
	&rxe_tier_mode_attr.attr,
	&rxe_tier_knobs[0].attr.attr,
	&rxe_tier_knobs[1].attr.attr,
	&rxe_tier_knobs[2].attr.attr,
	&rxe_tier_knobs[3].attr.attr,
	&rxe_tier_knobs[4].attr.attr,
	&rxe_tier_knobs[5].attr.attr,
	&rxe_tier_knobs[6].attr.attr,
	&rxe_link_knobs[0].attr.attr,
	&rxe_link_knobs[1].attr.attr,
	&rxe_link_knobs[2].attr.attr,
	&rxe_link_knobs[3].attr.attr,
	NULL
};

static const struct attribute_group sysfs_group = {
	.name = "hmm",
	.attrs = sysfs_attrs,
};

/**
 * rxe_sysfs_init - have the device's files made, and set what they start with
 * @rxe: the device, not registered yet
 *
 * Context: may sleep.
 */
void rxe_sysfs_init(struct rxe_dev *rxe)
{
	rxe->ib_dev.groups[SYSFS_GROUP] = &sysfs_group;
	rxe_dmem_set_size(rxe->hmm->dmem, READ_ONCE(default_pages));
}
