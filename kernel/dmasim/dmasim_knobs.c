// SPDX-License-Identifier: GPL-2.0
/*
 * The knobs and counters, in the device's folder of dmaengine's debugfs:
 * /sys/kernel/debug/dmaengine/dmasim/
 *
 * A knob is a number with a highest value. It counts from the next piece of the
 * next descriptor on. The folder goes away with the device.
 */
#include <linux/debugfs.h>

#include "dmasim.h"

static const struct {
	const char *name;
	u64 max;
} knobs[DMASIM_KNOBS] = {
	[DMASIM_BANDWIDTH]	= { "bandwidth_mib", 1024 * 1024 },
	[DMASIM_LATENCY]	= { "latency_us", 60 * USEC_PER_SEC },
	[DMASIM_ERRORS]		= { "error_ppm", 1000000 },
	[DMASIM_STALL]		= { "stall", 1 },
	[DMASIM_STALL_AFTER]	= { "stall_after", U32_MAX },
};

static const char * const counts[DMASIM_COUNTS] = {
	[DMASIM_DESCRIPTORS]	= "descriptors",
	[DMASIM_BYTES]		= "bytes",
	[DMASIM_FAILED]		= "failed",
	[DMASIM_TERMINATED]	= "terminated",
};

static int knob_get(void *data, u64 *value)
{
	struct dmasim_knob *knob = data;

	*value = READ_ONCE(knob->value);

	return 0;
}

static int knob_set(void *data, u64 value)
{
	struct dmasim_knob *knob = data;

	if (value > knob->max)
		return -ERANGE;
	WRITE_ONCE(knob->value, value);
	dmasim_kick(knob->sim);

	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(knob_fops, knob_get, knob_set, "%llu\n");

static int count_get(void *data, u64 *value)
{
	*value = atomic64_read((atomic64_t *)data);

	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(count_fops, count_get, NULL, "%llu\n");

/**
 * dmasim_knobs_init - set all knobs to 0: no limit, no latency, no trouble
 * @sim: the device
 *
 * Context: any; the device is not registered yet.
 */
void dmasim_knobs_init(struct dmasim *sim)
{
	unsigned int i;

	for (i = 0; i < DMASIM_KNOBS; i++) {
		sim->knobs[i].sim = sim;
		sim->knobs[i].max = knobs[i].max;
	}
}

/**
 * dmasim_knobs_show - show knobs and counters in debugfs
 * @sim: the device, just registered
 *
 * Context: may sleep. Without debugfs there are none.
 */
void dmasim_knobs_show(struct dmasim *sim)
{
	struct dentry *dir = dmaengine_get_debugfs_root(&sim->ddev);
	unsigned int i;

	if (!dir)
		return;
	for (i = 0; i < DMASIM_KNOBS; i++)
		debugfs_create_file_unsafe(knobs[i].name, 0600, dir,
					   &sim->knobs[i], &knob_fops);
	for (i = 0; i < DMASIM_COUNTS; i++)
		debugfs_create_file_unsafe(counts[i], 0400, dir,
					   &sim->counts[i], &count_fops);
}
