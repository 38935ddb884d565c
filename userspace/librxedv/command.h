/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A verbs command as the kernel takes it: a header and attributes. libibverbs
 * has the like, but keeps it to itself.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#define COMMAND_ATTRS	5

struct command {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[COMMAND_ATTRS];
};

void command_init(struct command *c, uint16_t object, uint16_t method);
void command_handle(struct command *c, uint16_t attr, uint32_t handle);
void command_u32(struct command *c, uint16_t attr, uint32_t value);
void command_u64(struct command *c, uint16_t attr, uint64_t value);
/* A buffer that the kernel reads or writes, longer than 8 bytes if it reads. */
void command_buf(struct command *c, uint16_t attr, const void *buf,
		 uint16_t len);

/* 0 or a positive errno: EOPNOTSUPP if the driver doesn't know the method. */
int command_run(struct command *c, struct ibv_context *context);

#endif
