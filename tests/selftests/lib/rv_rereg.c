// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <rdma/ib_user_verbs.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "rv_rereg.h"

int rv_rereg(struct ibv_mr *mr, int flags, struct ibv_pd *pd, void *addr,
	     size_t len, unsigned int access)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_rereg_mr args;
	} cmd;

	memset(&cmd, 0, sizeof(cmd));
	memset(&resp, 0, sizeof(resp));
	cmd.hdr.command = IB_USER_VERBS_CMD_REREG_MR;
	cmd.hdr.in_words = sizeof(cmd) / 4;
	cmd.hdr.out_words = sizeof(resp) / 4;
	cmd.args.response = (uintptr_t)&resp;
	cmd.args.mr_handle = mr->handle;
	cmd.args.flags = flags;
	cmd.args.start = (uintptr_t)addr;
	cmd.args.length = len;
	cmd.args.hca_va = (uintptr_t)addr;
	cmd.args.pd_handle = pd ? pd->handle : 0;
	cmd.args.access_flags = access;

	if (write(mr->context->cmd_fd, &cmd, sizeof(cmd)) != sizeof(cmd))
		return -errno;
	mr->lkey = resp.lkey;
	mr->rkey = resp.rkey;
	if (flags & IBV_REREG_MR_CHANGE_PD)
		mr->pd = pd;
	return 0;
}
