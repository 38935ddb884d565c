/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of what lies between the NIC and memory: how long data takes to RAM, as
 * over PCIe, and to the device's own memory. Emulated memory is as fast as RAM, so
 * without a model it makes no difference where data is.
 *
 * Each of the two is a pipe: data of all queue pairs goes through it one after the
 * other at its bandwidth, and each access takes its latency on top, during which
 * others go on. It is off unless somebody sets a knob.
 */
#ifndef RXE_LINK_H
#define RXE_LINK_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/device.h>
#include <linux/types.h>

/* The two pipes. */
enum rxe_link_to {
	RXE_LINK_RAM,
	RXE_LINK_DEVICE,
	RXE_NR_LINKS,
};

/**
 * struct rxe_link_pipe - the way to one kind of memory
 * @mbps: bytes in a microsecond; 0: as fast as it goes
 * @ns: latency
 * @busy_until: when the data that is on its way is through, in ns of ktime_get()
 */
struct rxe_link_pipe {
	u32		mbps;
	u32		ns;
	atomic64_t	busy_until;
};

/**
 * struct rxe_link - a device's model
 * @on: whether any knob is set; all that the data path looks at if not
 * @pipes: the ways to memory
 */
struct rxe_link {
	bool			on;
	struct rxe_link_pipe	pipes[RXE_NR_LINKS];
};

#define RXE_LINK_NR_KNOBS	4

/**
 * struct rxe_link_knob - a number that may be set
 * @attr: its file
 * @offset: where it is in struct rxe_link
 */
struct rxe_link_knob {
	struct device_attribute	attr;
	size_t			offset;
};

extern struct rxe_link_knob rxe_link_knobs[RXE_LINK_NR_KNOBS];

/* The way to memory on the device or in RAM, NULL if it takes no time. */
static inline struct rxe_link_pipe *rxe_link_pipe(struct rxe_link *link,
						  enum rxe_link_to to)
{
	return READ_ONCE(link->on) ? &link->pipes[to] : NULL;
}

u64 rxe_link_reserve(struct rxe_link_pipe *pipe, u64 now, u32 bytes);
void rxe_link_wait(struct rxe_link_pipe *pipe, u32 bytes);

#endif /* RXE_LINK_H */
