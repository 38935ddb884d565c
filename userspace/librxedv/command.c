// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/rdma_user_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "command.h"

void command_init(struct command *c, uint16_t object, uint16_t method)
{
	memset(c, 0, sizeof(*c));
	c->hdr.object_id = object;
	c->hdr.method_id = method;
	c->hdr.driver_id = RDMA_DRIVER_RXE;
}

static void add(struct command *c, uint16_t attr, uint16_t len, uint64_t data)
{
	struct ib_uverbs_attr *a = &c->attrs[c->hdr.num_attrs++];

	a->attr_id = attr;
	a->len = len;
	a->flags = UVERBS_ATTR_F_MANDATORY;
	a->data = data;
}

void command_handle(struct command *c, uint16_t attr, uint32_t handle)
{
	add(c, attr, 0, handle);
}

void command_u32(struct command *c, uint16_t attr, uint32_t value)
{
	add(c, attr, sizeof(value), value);
}

void command_u64(struct command *c, uint16_t attr, uint64_t value)
{
	add(c, attr, sizeof(value), value);
}

void command_buf(struct command *c, uint16_t attr, const void *buf, uint16_t len)
{
	add(c, attr, len, (uintptr_t)buf);
}

int command_run(struct command *c, struct ibv_context *context)
{
	int saved = errno, err = 0;

	c->hdr.length = offsetof(struct command, attrs[c->hdr.num_attrs]);
	if (ioctl(context->cmd_fd, RDMA_VERBS_IOCTL, c))
		err = errno == EPROTONOSUPPORT ? EOPNOTSUPP : errno;
	errno = saved;
	return err;
}
