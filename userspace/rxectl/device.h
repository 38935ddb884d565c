/* SPDX-License-Identifier: GPL-2.0 */
/* A device: by netlink, by sysfs, and open for its own verbs. */
#ifndef DEVICE_H
#define DEVICE_H

#include <infiniband/rxedv.h>
#include <json-c/json.h>
#include <stdint.h>

struct device {
	const char *name;
	uint32_t index;			/* in netlink */
	struct ibv_context *context;
	struct rxedv_caps caps;
};

/*
 * Open a device for its own verbs, if it has them. 0, or a positive errno:
 * ENODEV without such a device, EOPNOTSUPP without such verbs.
 */
int device_open(struct device *d, const char *name, uint32_t index);
void device_close(struct device *d);

/* The first line of a file of the device in sysfs; -1 if there is none. */
int device_read(const char *name, const char *file, char *buf, size_t size);

/* Write a word to such a file. 0 or a positive errno. */
int device_write(const char *name, const char *file, const char *word);

/* The numbers of /sys/class/infiniband/<name>/hmm, or of the capabilities. */
struct json_object *device_memory(const struct device *d);

/* The network device below, or NULL; the caller frees it. */
char *device_netdev(const char *name);

#endif
