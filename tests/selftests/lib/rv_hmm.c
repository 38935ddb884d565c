// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/rdma_user_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "rv_hmm.h"
#include "rv_log.h"

void rv_ioctl_init(struct rv_ioctl *c, unsigned int object, unsigned int method)
{
	memset(c, 0, sizeof(*c));
	c->hdr.object_id = object;
	c->hdr.method_id = method;
	c->hdr.driver_id = RDMA_DRIVER_RXE;
}

static struct ib_uverbs_attr *add(struct rv_ioctl *c, unsigned int attr)
{
	struct ib_uverbs_attr *a = &c->attrs[c->hdr.num_attrs++];

	a->attr_id = attr;
	a->flags = UVERBS_ATTR_F_MANDATORY;
	return a;
}

void rv_ioctl_handle(struct rv_ioctl *c, unsigned int attr, uint64_t handle)
{
	add(c, attr)->data = handle;
}

void rv_ioctl_number(struct rv_ioctl *c, unsigned int attr, uint64_t number,
		     size_t len)
{
	struct ib_uverbs_attr *a = add(c, attr);

	a->len = len;
	a->data = number;
}

void rv_ioctl_buf(struct rv_ioctl *c, unsigned int attr, const void *buf,
		  size_t len)
{
	struct ib_uverbs_attr *a = add(c, attr);

	a->len = len;
	a->data = (uintptr_t)buf;
}

int rv_ioctl_run(struct rv_ioctl *c, struct ibv_context *ctx)
{
	c->hdr.length = sizeof(c->hdr) + c->hdr.num_attrs * sizeof(c->attrs[0]);
	return ioctl(ctx->cmd_fd, RDMA_VERBS_IOCTL, c) ? -errno : 0;
}

int rv_hmm_caps(struct ibv_context *ctx, struct rxe_hmm_caps *caps)
{
	struct rv_ioctl c;

	rv_ioctl_init(&c, UVERBS_OBJECT_DEVICE, RXE_HMM_METHOD_QUERY_CAPS);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_CAPS, caps, sizeof(*caps));
	return rv_ioctl_run(&c, ctx);
}

static void start(struct rv_ioctl *c, unsigned int method, struct ibv_mr *mr,
		  const struct rxe_hmm_range *range)
{
	rv_ioctl_init(c, UVERBS_OBJECT_MR, method);
	rv_ioctl_handle(c, RXE_HMM_ATTR_MR_HANDLE, mr->handle);
	rv_ioctl_buf(c, RXE_HMM_ATTR_MR_RANGE, range, sizeof(*range));
}

int rv_hmm_migrate(struct ibv_mr *mr, size_t off, size_t len, int place,
		   struct rxe_hmm_migrate_resp *resp)
{
	struct rxe_hmm_range range = {
		.offset = off, .length = len, .place = place,
	};
	struct rv_ioctl c;

	start(&c, RXE_HMM_METHOD_MIGRATE, mr, &range);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_RESP, resp, sizeof(*resp));
	return rv_ioctl_run(&c, mr->context);
}

int rv_hmm_migrate_number(struct ibv_context *ctx, uint32_t number, size_t len,
			  int place, struct rxe_hmm_migrate_resp *resp)
{
	struct rxe_hmm_range range = { .length = len, .place = place };
	struct rv_ioctl c;

	rv_ioctl_init(&c, UVERBS_OBJECT_MR, RXE_HMM_METHOD_MIGRATE);
	rv_ioctl_number(&c, RXE_HMM_ATTR_MR_NUMBER, number, sizeof(number));
	rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_RANGE, &range, sizeof(range));
	rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_RESP, resp, sizeof(*resp));
	return rv_ioctl_run(&c, ctx);
}

int rv_hmm_prefer(struct ibv_mr *mr, size_t off, size_t len, int place)
{
	struct rxe_hmm_range range = {
		.offset = off, .length = len, .place = place,
	};
	struct rv_ioctl c;

	start(&c, RXE_HMM_METHOD_PREFER, mr, &range);
	return rv_ioctl_run(&c, mr->context);
}

int rv_hmm_query(struct ibv_mr *mr, size_t off, size_t len, uint8_t *states,
		 size_t num_states, struct rxe_hmm_query_range_resp *resp)
{
	struct rxe_hmm_range range = { .offset = off, .length = len };
	struct rv_ioctl c;

	start(&c, RXE_HMM_METHOD_QUERY_RANGE, mr, &range);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_RESP, resp, sizeof(*resp));
	if (states)
		rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_STATES, states, num_states);
	return rv_ioctl_run(&c, mr->context);
}

int rv_hmm_heat(struct ibv_mr *mr, size_t off, size_t len,
		struct rxe_hmm_heat *heats, unsigned int max,
		struct rxe_hmm_query_heat_resp *resp)
{
	struct rxe_hmm_range range = { .offset = off, .length = len };
	struct rv_ioctl c;

	start(&c, RXE_HMM_METHOD_QUERY_HEAT, mr, &range);
	rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_RESP, resp, sizeof(*resp));
	rv_ioctl_buf(&c, RXE_HMM_ATTR_MR_HEATS, heats, max * sizeof(*heats));
	return rv_ioctl_run(&c, mr->context);
}

uint64_t rv_hmm_total(const struct rxe_hmm_migrate_resp *resp)
{
	uint64_t n = resp->moved + resp->already;
	int i;

	for (i = 0; i < RXE_HMM_MAX_SKIPS; i++)
		n += resp->skipped[i];
	return n;
}
