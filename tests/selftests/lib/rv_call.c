// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <string.h>

#include "rv_call.h"
#include "rv_dmem.h"
#include "rv_log.h"

const unsigned int rv_call_methods[] = {
	RXE_HMM_METHOD_MIGRATE, RXE_HMM_METHOD_PREFER, RXE_HMM_METHOD_QUERY_RANGE,
};

void rv_call_init(struct rv_call *c, unsigned int method, struct ibv_mr *mr)
{
	memset(c, 0, sizeof(*c));
	c->method = method;
	c->range.length = mr->length;
	c->by_handle = true;
	c->handle = mr->handle;
	c->range_at = &c->range;
	c->range_len = sizeof(c->range);
	c->resp_at = c->resp;
	c->resp_len = sizeof(c->resp);
	memset(c->resp, 0xaa, sizeof(c->resp));
}

int rv_call_run(struct rv_call *c, struct ibv_context *ctx)
{
	struct rv_ioctl i;

	rv_ioctl_init(&i, UVERBS_OBJECT_MR, c->method);
	if (c->by_handle)
		rv_ioctl_handle(&i, RXE_HMM_ATTR_MR_HANDLE, c->handle);
	if (c->by_number)
		rv_ioctl_number(&i, RXE_HMM_ATTR_MR_NUMBER, c->number,
				sizeof(uint32_t));
	if (c->range_at)
		rv_ioctl_buf(&i, RXE_HMM_ATTR_MR_RANGE, c->range_at,
			     c->range_len);
	if (c->resp_at && c->method != RXE_HMM_METHOD_PREFER)
		rv_ioctl_buf(&i, RXE_HMM_ATTR_MR_RESP, c->resp_at, c->resp_len);
	return rv_ioctl_run(&i, ctx);
}

void *rv_call_until_gone(void *arg)
{
	struct rv_caller *c = arg;
	int i, err;

	for (i = 0; ; i++) {
		c->call.method = rv_call_methods[i % RV_CALL_METHODS];
		c->call.range.place = 0;
		if (c->call.method == RXE_HMM_METHOD_MIGRATE)
			c->call.range.place = i & 1 ? RV_SYSTEM : RV_DEVICE;
		err = rv_call_run(&c->call, c->ctx);
		atomic_fetch_add(&c->calls, 1);
		if (err == -ENOENT)
			return NULL;
		/* the region is on its way out, or device memory is off */
		if (err && err != -EBUSY && err != -EOPNOTSUPP)
			c->odd = err;
		/* where there is one processor, who is stopped is within a call */
		if (i % 16 == 15)
			rv_pause();
	}
}
