// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A buffer that peers read all the time lives in the device's memory, and
 * serves them from there.
 *
 *	hot_region [device]
 *
 * It registers the buffer on demand, moves it to the device, serves RDMA reads
 * and writes of a peer (a second queue pair of this program) from it, looks
 * where the pages are, touches one with the CPU, and looks again.
 *
 *	cc hot_region.c $(pkg-config --cflags --libs librxedv)
 */
#include <errno.h>
#include <infiniband/rxedv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUFFER_SIZE	(4UL << 20)
#define MESSAGE_SIZE	(64UL << 10)

struct side {
	struct ibv_qp *qp;
	char *mem;
	size_t len;
	struct ibv_mr *mr;
};

struct app {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	union ibv_gid gid;
	int gid_index;
	struct ibv_port_attr port;
	struct side server, client;
};

static void fail(const char *what, int err)
{
	fprintf(stderr, "hot_region: %s: %s\n", what, strerror(err));
	exit(EXIT_FAILURE);
}

static struct ibv_context *open_device(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;
	int i;

	for (i = 0; list && list[i] && !ctx; i++)
		if (!name || !strcmp(name, ibv_get_device_name(list[i])))
			ctx = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	if (!ctx)
		fail(name ? name : "no device", ENODEV);
	return ctx;
}

/* The first address that is set, IPv4 or IPv6. */
static void find_gid(struct app *app)
{
	static const union ibv_gid none;

	for (; app->gid_index < app->port.gid_tbl_len; app->gid_index++)
		if (!ibv_query_gid(app->ctx, 1, app->gid_index, &app->gid) &&
		    memcmp(&app->gid, &none, sizeof(none)))
			return;
	fail("the device has no address", EADDRNOTAVAIL);
}

static void init_side(struct app *app, struct side *side, size_t len, int access)
{
	struct ibv_qp_init_attr init = {
		.send_cq = app->cq,
		.recv_cq = app->cq,
		.cap = { .max_send_wr = 4, .max_recv_wr = 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};

	side->len = len;
	side->mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (side->mem == MAP_FAILED)
		fail("mmap", errno);
	side->mr = ibv_reg_mr(app->pd, side->mem, len, access);
	if (!side->mr)
		fail("ibv_reg_mr", errno);
	side->qp = ibv_create_qp(app->pd, &init);
	if (!side->qp)
		fail("ibv_create_qp", errno);
}

static void modify(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	int err = ibv_modify_qp(qp, attr, mask);

	if (err)
		fail("ibv_modify_qp", err);
}

static void connect_to(struct app *app, struct ibv_qp *qp, uint32_t peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_READ |
				   IBV_ACCESS_REMOTE_WRITE,
	};

	modify(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
	       IBV_QP_ACCESS_FLAGS);

	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTR,
		.path_mtu = app->port.active_mtu,
		.dest_qp_num = peer,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {
			.port_num = 1,
			.is_global = 1,
			.grh = { .dgid = app->gid, .hop_limit = 1,
				 .sgid_index = app->gid_index },
		},
	};
	modify(qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
	       IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
	       IBV_QP_MIN_RNR_TIMER);

	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS,
		.timeout = 18,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};
	modify(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
	       IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC);
}

/* The client reads or writes one message at an offset of the server's buffer. */
static void transfer(struct app *app, enum ibv_wr_opcode opcode, size_t offset)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)app->client.mem,
		.length = MESSAGE_SIZE,
		.lkey = app->client.mr->lkey,
	};
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = (uintptr_t)app->server.mem + offset,
		.wr.rdma.rkey = app->server.mr->rkey,
	};
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	int n;

	n = ibv_post_send(app->client.qp, &wr, &bad);
	if (n)
		fail("ibv_post_send", n);
	while (!(n = ibv_poll_cq(app->cq, 1, &wc)))
		;
	if (n < 0)
		fail("ibv_poll_cq", EIO);
	if (wc.status != IBV_WC_SUCCESS) {
		fprintf(stderr, "hot_region: %s\n", ibv_wc_status_str(wc.status));
		exit(EXIT_FAILURE);
	}
}

/* Every part of the buffer is written and read back by the client. */
static void serve(struct app *app)
{
	size_t offset;

	for (offset = 0; offset < app->server.len; offset += MESSAGE_SIZE) {
		int byte = 1 + offset / MESSAGE_SIZE;
		size_t i;

		memset(app->client.mem, byte, MESSAGE_SIZE);
		transfer(app, IBV_WR_RDMA_WRITE, offset);
		memset(app->client.mem, 0, MESSAGE_SIZE);
		transfer(app, IBV_WR_RDMA_READ, offset);
		for (i = 0; i < MESSAGE_SIZE; i++)
			if (app->client.mem[i] != (char)byte)
				fail("the client read other bytes than it wrote",
				     EIO);
	}
	printf("served    %zu writes and %zu reads of %zu KiB\n",
	       app->server.len / MESSAGE_SIZE, app->server.len / MESSAGE_SIZE,
	       MESSAGE_SIZE >> 10);
}

static void migrate(struct app *app, enum rxedv_place place)
{
	struct rxedv_migrate_attr attr = {
		.length = app->server.len,
		.place = place,
	};
	int err, i;

	err = rxedv_migrate(app->server.mr, &attr, sizeof(attr));
	if (err)
		fail("rxedv_migrate", err);
	printf("to %-6s moved %llu pages, %llu were there",
	       rxedv_place_str(place), (unsigned long long)attr.moved,
	       (unsigned long long)attr.already);
	for (i = 0; rxedv_skip_str(i); i++)
		if (attr.skipped[i])
			printf(", %llu %s", (unsigned long long)attr.skipped[i],
			       rxedv_skip_str(i));
	printf("\n");
}

static void query(struct app *app)
{
	struct rxedv_query_range_attr attr = { .length = app->server.len };
	int err;

	err = rxedv_query_range(app->server.mr, &attr, sizeof(attr));
	if (err)
		fail("rxedv_query_range", err);
	printf("pages     %llu, on the device %llu\n",
	       (unsigned long long)attr.pages, (unsigned long long)attr.device);
}

static void close_side(struct side *side)
{
	ibv_destroy_qp(side->qp);
	ibv_dereg_mr(side->mr);
	munmap(side->mem, side->len);
}

int main(int argc, char **argv)
{
	struct rxedv_caps caps;
	struct app app = {};
	int err;

	app.ctx = open_device(argc > 1 ? argv[1] : NULL);
	err = rxedv_query_caps(app.ctx, &caps, sizeof(caps));
	if (err)
		fail("rxedv_query_caps", err);
	printf("device    %s, %llu MiB of memory\n",
	       ibv_get_device_name(app.ctx->device),
	       (unsigned long long)caps.memory_size >> 20);

	err = ibv_query_port(app.ctx, 1, &app.port);
	if (err)
		fail("ibv_query_port", err);
	find_gid(&app);
	app.pd = ibv_alloc_pd(app.ctx);
	app.cq = ibv_create_cq(app.ctx, 16, NULL, NULL, 0);
	if (!app.pd || !app.cq)
		fail("ibv_create_cq", errno);
	init_side(&app, &app.server, BUFFER_SIZE,
		  IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE |
		  IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
	init_side(&app, &app.client, MESSAGE_SIZE, IBV_ACCESS_LOCAL_WRITE);
	connect_to(&app, app.server.qp, app.client.qp->qp_num);
	connect_to(&app, app.client.qp, app.server.qp->qp_num);

	memset(app.server.mem, 0, app.server.len);
	if (caps.memory_size)
		migrate(&app, RXEDV_PLACE_DEVICE);
	else
		printf("device memory is off: everything stays in RAM\n");
	serve(&app);
	query(&app);
	app.server.mem[12345]++;
	printf("touched   one byte with the CPU\n");
	query(&app);
	migrate(&app, RXEDV_PLACE_SYSTEM);
	query(&app);

	close_side(&app.client);
	close_side(&app.server);
	ibv_destroy_cq(app.cq);
	ibv_dealloc_pd(app.pd);
	ibv_close_device(app.ctx);
	return 0;
}
