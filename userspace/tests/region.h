/* SPDX-License-Identifier: GPL-2.0 */
/* An open device and a region, for programs that run where there is a device. */
#ifndef REGION_H
#define REGION_H

#include <errno.h>
#include <infiniband/rxedv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static inline struct ibv_context *region_device(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;
	int i;

	for (i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			ctx = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	if (!ctx) {
		printf("Bail out! no device %s\n", name);
		exit(1);
	}
	return ctx;
}

static inline struct ibv_mr *region_register(struct ibv_pd *pd, size_t len,
					     int flags)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct ibv_mr *mr = NULL;

	if (mem != MAP_FAILED)
		mr = ibv_reg_mr(pd, mem, len, flags | IBV_ACCESS_LOCAL_WRITE);
	if (!mr) {
		printf("Bail out! no region: %s\n", strerror(errno));
		exit(1);
	}
	return mr;
}

#endif
