/* SPDX-License-Identifier: GPL-2.0 */
/* An open device: context, protection domain, address. */
#ifndef RV_DEV_H
#define RV_DEV_H

#include <infiniband/verbs.h>

#include "rv_buf.h"

/* All that a Soft-RoCE region can be asked for, except flush. */
#define RV_ACCESS	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
			 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)
#define RV_ODP		IBV_ACCESS_ON_DEMAND

struct rv_dev {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_device_attr_ex attr;
	struct ibv_port_attr port;
	union ibv_gid gid;
	int gid_index;
	int mtu;		/* of the port, in bytes */
	char name[64];
};

/* The name in RXE_DEV, or rxe0. */
const char *rv_dev_name(void);

/* 0 or -errno. name NULL: rv_dev_name(). */
int rv_dev_open(struct rv_dev *d, const char *name);
void rv_dev_close(struct rv_dev *d);

enum ibv_mtu rv_mtu_enum(int bytes);
int rv_mtu_bytes(enum ibv_mtu mtu);

/* Register len bytes at base + off; NULL after logging why not. */
struct ibv_mr *rv_reg(struct rv_dev *d, struct rv_buf *b, size_t off,
		      size_t len, unsigned int access);

/* Register all of the buffer but its guards. */
struct ibv_mr *rv_reg_all(struct rv_dev *d, struct rv_buf *b,
			  unsigned int access);

#endif
