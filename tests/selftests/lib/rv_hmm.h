/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's own verbs by the ioctl itself, for tests of the interface: calls
 * can be put together as no library would.
 */
#ifndef RV_HMM_H
#define RV_HMM_H

#include <infiniband/verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rxe-hmm-abi.h>

#define RV_IOCTL_ATTRS	10

struct rv_ioctl {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[RV_IOCTL_ATTRS];
};

void rv_ioctl_init(struct rv_ioctl *c, unsigned int object,
		   unsigned int method);
/* An object, a number that is no longer than 8 bytes, or a buffer. */
void rv_ioctl_handle(struct rv_ioctl *c, unsigned int attr, uint64_t handle);
void rv_ioctl_number(struct rv_ioctl *c, unsigned int attr, uint64_t number,
		     size_t len);
void rv_ioctl_buf(struct rv_ioctl *c, unsigned int attr, const void *buf,
		  size_t len);
/* 0 or -errno. */
int rv_ioctl_run(struct rv_ioctl *c, struct ibv_context *ctx);

/* The plain calls: 0 or -errno. */
int rv_hmm_caps(struct ibv_context *ctx, struct rxe_hmm_caps *caps);
int rv_hmm_migrate(struct ibv_mr *mr, size_t off, size_t len, int place,
		   struct rxe_hmm_migrate_resp *resp);
/* The same by the region's number (rv_stat_mrn()): needs privileges. */
int rv_hmm_migrate_number(struct ibv_context *ctx, uint32_t number, size_t len,
			  int place, struct rxe_hmm_migrate_resp *resp);
int rv_hmm_prefer(struct ibv_mr *mr, size_t off, size_t len, int place);
/* states: a byte for each page, or NULL */
int rv_hmm_query(struct ibv_mr *mr, size_t off, size_t len, uint8_t *states,
		 size_t num_states, struct rxe_hmm_query_range_resp *resp);

/* heats: room for max of them */
int rv_hmm_heat(struct ibv_mr *mr, size_t off, size_t len,
		struct rxe_hmm_heat *heats, unsigned int max,
		struct rxe_hmm_query_heat_resp *resp);

/* All the pages that an answer tells of. */
uint64_t rv_hmm_total(const struct rxe_hmm_migrate_resp *resp);

#endif
