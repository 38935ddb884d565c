// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator may set of the policy: files in a device's hmm/ folder
 * in sysfs, and the module parameter tier_mode for devices to come.
 *
 *	tier_mode		off, manual, auto, or default
 *	tier_<knob>_<unit>	a number within bounds
 *
 * A value that is no number or out of its bounds is refused with EINVAL and
 * changes nothing. A new value counts from the next look on.
 */
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "rxe.h"
#include "rxe_hmm.h"
#include "rxe_tier.h"
#include "rxe_tier_knobs.h"

static const char * const mode_names[] = {
	[RXE_TIER_OFF] = "off",
	[RXE_TIER_MANUAL] = "manual",
	[RXE_TIER_AUTO] = "auto",
	[RXE_TIER_DEFAULT] = "default",
};

static enum rxe_tier_mode default_mode = RXE_TIER_DEFAULT;

static int set_tier_mode(const char *val, const struct kernel_param *kp)
{
	int mode = sysfs_match_string(mode_names, val);

	if (mode < 0)
		return mode;
	WRITE_ONCE(default_mode, mode);

	return 0;
}

static int get_tier_mode(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", mode_names[READ_ONCE(default_mode)]);
}

static const struct kernel_param_ops tier_mode_ops = {
	.set = set_tier_mode,
	.get = get_tier_mode,
};

module_param_cb(tier_mode, &tier_mode_ops, NULL, 0644);
MODULE_PARM_DESC(tier_mode,
		 "policy of devices made from now on: off, manual, auto, or default, which is auto for devices that have memory (default)");

static struct rxe_tier *dev_to_tier(struct device *dev)
{
	return rdma_device_to_drv_device(dev, struct rxe_dev, ib_dev)->hmm->tier;
}

static ssize_t tier_mode_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  mode_names[rxe_tier_get_mode(dev_to_tier(dev))]);
}

static ssize_t tier_mode_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t count)
{
	int mode = sysfs_match_string(mode_names, buf);

	if (mode < 0)
		return mode;
	rxe_tier_set_mode(dev_to_tier(dev), mode);

	return count;
}

struct device_attribute rxe_tier_mode_attr = __ATTR_RW(tier_mode);

/* The knob's place in what is there for each device. */
static u32 *knob_of(struct rxe_tier *tier, const struct rxe_tier_knob *knob)
{
	return (void *)&tier->knobs + knob->offset;
}

static ssize_t knob_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct rxe_tier_knob *knob = container_of(attr, struct rxe_tier_knob, attr);

	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(*knob_of(dev_to_tier(dev), knob)));
}

static ssize_t knob_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct rxe_tier_knob *knob = container_of(attr, struct rxe_tier_knob, attr);
	u32 value;

	if (kstrtou32(buf, 0, &value) || value < knob->least || value > knob->most)
		return -EINVAL;
	WRITE_ONCE(*knob_of(dev_to_tier(dev), knob), value);

	return count;
}

#define KNOB(_name, _field, _initial, _least, _most)			\
	{								\
		.attr = __ATTR(tier_##_name, 0644, knob_show, knob_store),	\
		.offset = offsetof(struct rxe_tier_knobs, _field),	\
		.initial = (_initial),					\
		.least = (_least),					\
		.most = (_most),					\
	}

struct rxe_tier_knob rxe_tier_knobs[RXE_TIER_NR_KNOBS] = {
	KNOB(period_ms, period, 100, 10, 10000),
	KNOB(half_life_ms, half_life, 2000, 100, 600000),
	KNOB(min_rate, min_rate, 10, 0, 1000000),
	KNOB(rate_mib, rate, 128, 1, 65536),
	KNOB(watermark_percent, watermark, 100, 1, 100),
	KNOB(min_residency_ms, min_residency, 100, 0, 60000),
	KNOB(backoff_ms, backoff, 1000, 0, 60000),
};

/**
 * rxe_tier_knobs_init - set what a device's policy starts with
 * @tier: the policy
 *
 * Context: any.
 */
void rxe_tier_knobs_init(struct rxe_tier *tier)
{
	unsigned int i;

	for (i = 0; i < RXE_TIER_NR_KNOBS; i++)
		*knob_of(tier, &rxe_tier_knobs[i]) = rxe_tier_knobs[i].initial;
	tier->mode = READ_ONCE(default_mode);
}
