// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/rdma_user_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "rv_advise.h"

#define ADVISE_ATTRS	4

int rv_advise(struct ibv_pd *pd, unsigned int advice, unsigned int flags,
	      struct ibv_sge *sgl, unsigned int n)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[ADVISE_ATTRS];
	} cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.hdr.length = sizeof(cmd);
	cmd.hdr.object_id = UVERBS_OBJECT_MR;
	cmd.hdr.method_id = UVERBS_METHOD_ADVISE_MR;
	cmd.hdr.num_attrs = ADVISE_ATTRS;
	cmd.hdr.driver_id = RDMA_DRIVER_RXE;

	cmd.attrs[0].attr_id = UVERBS_ATTR_ADVISE_MR_PD_HANDLE;
	cmd.attrs[0].data = pd->handle;

	cmd.attrs[1].attr_id = UVERBS_ATTR_ADVISE_MR_ADVICE;
	cmd.attrs[1].len = sizeof(uint64_t);
	cmd.attrs[1].data = advice;

	cmd.attrs[2].attr_id = UVERBS_ATTR_ADVISE_MR_FLAGS;
	cmd.attrs[2].len = sizeof(uint64_t);
	cmd.attrs[2].data = flags;

	cmd.attrs[3].attr_id = UVERBS_ATTR_ADVISE_MR_SGE_LIST;
	cmd.attrs[3].len = n * sizeof(*sgl);
	cmd.attrs[3].data = (uintptr_t)sgl;

	for (n = 0; n < ADVISE_ATTRS; n++)
		cmd.attrs[n].flags = UVERBS_ATTR_F_MANDATORY;

	if (ioctl(pd->context->cmd_fd, RDMA_VERBS_IOCTL, &cmd))
		return -errno;
	return 0;
}

int rv_prefetch(struct ibv_mr *mr, void *addr, size_t len, int write)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)addr,
		.length = len,
		.lkey = mr->lkey,
	};

	return rv_advise(mr->pd,
			 write ? IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE :
				 IBV_ADVISE_MR_ADVICE_PREFETCH,
			 IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
}
