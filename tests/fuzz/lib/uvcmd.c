// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_verbs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uvcmd.h"

void uvcmd_init(struct uvcmd *c, unsigned int object, unsigned int method)
{
	memset(c, 0, sizeof(*c));
	c->buf.hdr.object_id = object;
	c->buf.hdr.method_id = method;
	c->buf.hdr.driver_id = RDMA_DRIVER_RXE;
}

void uvcmd_attr(struct uvcmd *c, unsigned int id, unsigned int len,
		unsigned int flags, uint64_t data)
{
	struct ib_uverbs_attr *a = &c->buf.attrs[c->buf.hdr.num_attrs];

	if (c->buf.hdr.num_attrs == UVCMD_ATTRS)
		return;
	c->buf.hdr.num_attrs++;
	a->attr_id = id;
	a->len = len;
	a->flags = flags;
	a->data = data;
}

void uvcmd_value(struct uvcmd *c, unsigned int id, uint64_t value)
{
	uvcmd_attr(c, id, sizeof(value), UVERBS_ATTR_F_MANDATORY, value);
}

void uvcmd_handle(struct uvcmd *c, unsigned int id, uint32_t handle)
{
	uvcmd_attr(c, id, 0, UVERBS_ATTR_F_MANDATORY, handle);
}

void uvcmd_buffer(struct uvcmd *c, unsigned int id, const void *p, size_t len)
{
	uvcmd_attr(c, id, len, UVERBS_ATTR_F_MANDATORY, (uintptr_t)p);
}

uint32_t uvcmd_new_handle(const struct uvcmd *c)
{
	return c->buf.attrs[0].data;
}

int uvcmd_ioctl(struct ibv_context *ctx, struct uvcmd *c)
{
	c->buf.hdr.length = sizeof(c->buf.hdr) +
			    c->buf.hdr.num_attrs * sizeof(c->buf.attrs[0]);
	return ioctl(ctx->cmd_fd, RDMA_VERBS_IOCTL, &c->buf) ? -errno : 0;
}

int uvcmd_write(struct ibv_context *ctx, unsigned int command, const void *cmd,
		size_t len, size_t resp_len)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		uint8_t bytes[256];
	} buf = {
		.hdr = {
			.command = command,
			.in_words = (sizeof(buf.hdr) + len) / 4,
			.out_words = resp_len / 4,
		},
	};

	memcpy(buf.bytes, cmd, len);
	if (write(ctx->cmd_fd, &buf, sizeof(buf.hdr) + len) < 0)
		return -errno;
	return 0;
}
