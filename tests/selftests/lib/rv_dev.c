// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rv_dev.h"
#include "rv_log.h"

const char *rv_dev_name(void)
{
	const char *name = getenv("RXE_DEV");

	return name && *name ? name : "rxe0";
}

static struct ibv_context *open_by_name(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;
	int i;

	errno = ENODEV;
	for (i = 0; list && list[i]; i++) {
		if (!strcmp(ibv_get_device_name(list[i]), name)) {
			ctx = ibv_open_device(list[i]);
			break;
		}
	}
	if (list)
		ibv_free_device_list(list);
	return ctx;
}

/* An IPv4 address if the device has one: its route needs no scope. */
static int choose_gid(struct rv_dev *d)
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry e;
	int i, found = -1;

	for (i = 0; i < d->port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(d->ctx, 1, i, &e, 0) ||
		    e.gid_type != IBV_GID_TYPE_ROCE_V2)
			continue;
		if (found < 0 || !memcmp(e.gid.raw, v4, sizeof(v4))) {
			found = i;
			d->gid = e.gid;
			d->gid_index = i;
			if (!memcmp(e.gid.raw, v4, sizeof(v4)))
				break;
		}
	}
	return found < 0 ? -EADDRNOTAVAIL : 0;
}

static int set_up(struct rv_dev *d)
{
	int err;

	err = ibv_query_device_ex(d->ctx, NULL, &d->attr);
	if (err)
		return -err;
	err = ibv_query_port(d->ctx, 1, &d->port);
	if (err)
		return -err;
	if (d->port.state != IBV_PORT_ACTIVE)
		return -ENETDOWN;
	d->mtu = rv_mtu_bytes(d->port.active_mtu);
	err = choose_gid(d);
	if (err)
		return err;
	d->pd = ibv_alloc_pd(d->ctx);
	return d->pd ? 0 : -errno;
}

int rv_dev_open(struct rv_dev *d, const char *name)
{
	int err;

	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name ? name : rv_dev_name());
	d->ctx = open_by_name(d->name);
	err = d->ctx ? set_up(d) : -errno;
	if (err) {
		rv_log("device %s: %s", d->name, strerror(-err));
		rv_dev_close(d);
	}
	return err;
}

void rv_dev_close(struct rv_dev *d)
{
	int err;

	if (d->pd) {
		err = ibv_dealloc_pd(d->pd);
		if (err)
			rv_log("ibv_dealloc_pd: %s", strerror(err));
	}
	if (d->ctx)
		ibv_close_device(d->ctx);
	d->pd = NULL;
	d->ctx = NULL;
}

int rv_mtu_bytes(enum ibv_mtu mtu)
{
	return 128 << mtu;
}

enum ibv_mtu rv_mtu_enum(int bytes)
{
	enum ibv_mtu mtu = IBV_MTU_256;

	while (mtu < IBV_MTU_4096 && rv_mtu_bytes(mtu) < bytes)
		mtu++;
	return mtu;
}

struct ibv_mr *rv_reg(struct rv_dev *d, struct rv_buf *b, size_t off,
		      size_t len, unsigned int access)
{
	struct ibv_mr *mr = ibv_reg_mr(d->pd, b->base + off, len, access);

	if (!mr)
		rv_log("ibv_reg_mr(%zu bytes, access %#x): %s", len, access,
		       strerror(errno));
	return mr;
}

struct ibv_mr *rv_reg_all(struct rv_dev *d, struct rv_buf *b,
			  unsigned int access)
{
	return rv_reg(d, b, 0, b->len, access);
}
