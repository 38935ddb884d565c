/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy's files in sysfs, for who makes the folder.
 */
#ifndef RXE_TIER_KNOBS_H
#define RXE_TIER_KNOBS_H

#include <linux/device.h>
#include <linux/types.h>

#define RXE_TIER_NR_KNOBS	7

/**
 * struct rxe_tier_knob - a number that may be set
 * @attr: its file
 * @offset: where it is in struct rxe_tier_knobs
 * @initial: what it starts with
 * @least: the least that it may be
 * @most: the most that it may be
 */
struct rxe_tier_knob {
	struct device_attribute	attr;
	size_t			offset;
	u32			initial;
	u32			least;
	u32			most;
};

extern struct device_attribute rxe_tier_mode_attr;
extern struct rxe_tier_knob rxe_tier_knobs[RXE_TIER_NR_KNOBS];

#endif /* RXE_TIER_KNOBS_H */
