/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands to /dev/infiniband/uverbsN as the kernel sees them, without the
 * checks of libibverbs in between: an ioctl made of attributes, or a write.
 */
#ifndef FUZZ_UVCMD_H
#define FUZZ_UVCMD_H

#include <infiniband/verbs.h>
#include <rdma/rdma_user_ioctl.h>
#include <stddef.h>
#include <stdint.h>

#define UVCMD_ATTRS	16

struct uvcmd {
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[UVCMD_ATTRS];
	} buf;
};

void uvcmd_init(struct uvcmd *c, unsigned int object, unsigned int method);

/* An attribute with everything given; the others say what it usually is. */
void uvcmd_attr(struct uvcmd *c, unsigned int id, unsigned int len,
		unsigned int flags, uint64_t data);
void uvcmd_value(struct uvcmd *c, unsigned int id, uint64_t value);
void uvcmd_handle(struct uvcmd *c, unsigned int id, uint32_t handle);
void uvcmd_buffer(struct uvcmd *c, unsigned int id, const void *p, size_t len);

/* What became of the handle that was added first. */
uint32_t uvcmd_new_handle(const struct uvcmd *c);

/* 0 or -errno. */
int uvcmd_ioctl(struct ibv_context *ctx, struct uvcmd *c);
int uvcmd_write(struct ibv_context *ctx, unsigned int command, const void *cmd,
		size_t len, size_t resp_len);

#endif
