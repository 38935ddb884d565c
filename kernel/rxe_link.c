// SPDX-License-Identifier: GPL-2.0
/*
 * The model of the link: arithmetic, waiting, and the knobs.
 *
 *	link_ram_mbps, link_device_mbps	MB/s, 0 (no limit) to 1000000
 *	link_ram_ns, link_device_ns	ns, 0 to 1000000
 *
 * A value that is no number or out of its bounds is refused with EINVAL and
 * changes nothing. A new one holds from the next packet on.
 */
#include <linux/delay.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sysfs.h>

#include "rxe.h"
#include "rxe_hmm.h"
#include "rxe_link.h"

#define MOST	1000000
/* Timers are late by about as much: this is spent awake. */
#define AWAKE_NS	(100 * NSEC_PER_USEC)

/**
 * rxe_link_reserve - let data through a pipe
 * @pipe: the pipe
 * @now: the time, in ns
 * @bytes: how much it is
 *
 * It waits for what was let through before, takes its time at the pipe's
 * bandwidth, and then has the latency before it.
 *
 * Context: any.
 * Return: when it has arrived, in ns.
 */
u64 rxe_link_reserve(struct rxe_link_pipe *pipe, u64 now, u32 bytes)
{
	u32 mbps = READ_ONCE(pipe->mbps);
	u64 ns = mbps ? div_u64(bytes * 1000ULL, mbps) : 0;
	s64 busy = atomic64_read(&pipe->busy_until);
	u64 through;

	do {
		through = max_t(u64, now, busy) + ns;
	} while (!atomic64_try_cmpxchg(&pipe->busy_until, &busy, through));

	return through + READ_ONCE(pipe->ns);
}

/**
 * rxe_link_wait - take as long as an access does by the model
 * @pipe: the way to the memory
 * @bytes: how much was copied
 *
 * Context: may sleep.
 */
void rxe_link_wait(struct rxe_link_pipe *pipe, u32 bytes)
{
	u64 until = rxe_link_reserve(pipe, ktime_get_ns(), bytes);
	u64 now = ktime_get_ns();
	unsigned long us;

	if (until > now + 2 * AWAKE_NS) {
		us = div_u64(until - now - AWAKE_NS, NSEC_PER_USEC);
		usleep_range(us, us + 1);
	}
	while (ktime_get_ns() < until)
		cpu_relax();
}

static struct rxe_link *dev_to_link(struct device *dev)
{
	return &rdma_device_to_drv_device(dev, struct rxe_dev, ib_dev)->hmm->link;
}

static u32 *knob_of(struct rxe_link *link, struct device_attribute *attr)
{
	return (void *)link + container_of(attr, struct rxe_link_knob, attr)->offset;
}

static ssize_t knob_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(*knob_of(dev_to_link(dev), attr)));
}

static ssize_t knob_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct rxe_link *link = dev_to_link(dev);
	bool on = false;
	unsigned int i;
	u32 value;

	if (kstrtou32(buf, 0, &value) || value > MOST)
		return -EINVAL;
	device_lock(dev);
	WRITE_ONCE(*knob_of(link, attr), value);
	for (i = 0; i < RXE_NR_LINKS; i++)
		on |= link->pipes[i].mbps || link->pipes[i].ns;
	WRITE_ONCE(link->on, on);
	device_unlock(dev);

	return count;
}

#define KNOB(_name, _to, _field)						\
	{								\
		.attr = __ATTR(link_##_name, 0644, knob_show, knob_store),	\
		.offset = offsetof(struct rxe_link, pipes[_to]._field),	\
	}

struct rxe_link_knob rxe_link_knobs[RXE_LINK_NR_KNOBS] = {
	KNOB(ram_mbps, RXE_LINK_RAM, mbps),
	KNOB(ram_ns, RXE_LINK_RAM, ns),
	KNOB(device_mbps, RXE_LINK_DEVICE, mbps),
	KNOB(device_ns, RXE_LINK_DEVICE, ns),
};

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_link_test.c"
#endif
