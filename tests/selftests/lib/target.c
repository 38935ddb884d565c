// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "rv_log.h"
#include "tap.h"
#include "target.h"

int target_connect(struct rv_qp *q, uint32_t psn, bool rts)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = rv_mtu_enum(q->opts.mtu),
		.dest_qp_num = 0x1234,
		.rq_psn = psn,
		.max_dest_rd_atomic = 16,
		.min_rnr_timer = 12,
		.ah_attr = {
			.grh = {
				.sgid_index = q->dev->gid_index,
				.hop_limit = 64,
			},
			.is_global = 1,
			.port_num = 1,
		},
		.max_rd_atomic = 16,
	};
	uint8_t *gid = attr.ah_attr.grh.dgid.raw;
	int i, err;

	memset(gid + 10, 0xff, 2);
	for (i = 0; i < 4; i++)
		gid[12 + i] = TAP_PEER_ADDR >> (24 - 8 * i) & 0xff;

	err = ibv_modify_qp(q->qp, &attr, IBV_QP_STATE | IBV_QP_AV |
			    IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			    IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	attr.qp_state = IBV_QPS_RTS;
	attr.timeout = 18;
	if (!err && rts)
		err = ibv_modify_qp(q->qp, &attr, IBV_QP_STATE |
				    IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
				    IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				    IBV_QP_MAX_QP_RD_ATOMIC);
	if (err)
		rv_log("connecting the queue pair: %s", strerror(err));
	return -err;
}

bool target_in_error(struct rv_qp *q)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	return !ibv_query_qp(q->qp, &attr, IBV_QP_STATE, &init) &&
	       attr.qp_state == IBV_QPS_ERR;
}
