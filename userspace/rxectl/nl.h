/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel tells by netlink of devices, regions and their counters, as
 * JSON arrays and objects that belong to the caller.
 */
#ifndef NL_H
#define NL_H

#include <json-c/json.h>
#include <libmnl/libmnl.h>
#include <stdint.h>

/* All of them return 0 or a positive errno. */

/* [ { "index", "device" } ] */
int nl_devices(struct json_object **list);

/*
 * [ { "mrn", "length", "pid", "comm", "lkey", "rkey" } ]; the keys only with
 * CAP_NET_ADMIN, no pid but a name for a region of the kernel
 */
int nl_regions(uint32_t index, struct json_object **list);

/* { name: number }; of the device, or of one region. */
int nl_device_counters(uint32_t index, struct json_object **counters);
int nl_region_counters(uint32_t index, uint32_t mrn,
		       struct json_object **counters);

/* The parsers, for messages that come from elsewhere. */
int nl_parse_device(const struct nlmsghdr *nlh, void *list);
int nl_parse_regions(const struct nlmsghdr *nlh, void *list);
int nl_parse_counters(const struct nlmsghdr *nlh, void *counters);

#endif
