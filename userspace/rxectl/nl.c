// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <rdma/rdma_netlink.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "nl.h"

/* An attribute of a message or nest whose type and length are right, or NULL. */
struct wanted {
	uint16_t type;
	enum mnl_attr_data_type data;
	const struct nlattr *found;
};

static int take_wanted(const struct nlattr *attr, void *arg)
{
	struct wanted *w = arg;

	if (mnl_attr_get_type(attr) == w->type &&
	    mnl_attr_validate(attr, w->data) >= 0)
		w->found = attr;
	return MNL_CB_OK;
}

static const struct nlattr *find(const struct nlmsghdr *nlh, uint16_t type,
				 enum mnl_attr_data_type data)
{
	struct wanted w = { type, data, NULL };

	mnl_attr_parse(nlh, 0, take_wanted, &w);
	return w.found;
}

static const struct nlattr *find_in(const struct nlattr *nest, uint16_t type,
				    enum mnl_attr_data_type data)
{
	struct wanted w = { type, data, NULL };

	mnl_attr_parse_nested(nest, take_wanted, &w);
	return w.found;
}

static void put_u32(struct json_object *row, const char *key,
		    const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = find_in(nest, type, MNL_TYPE_U32);

	if (attr)
		json_object_object_add(row, key,
			json_object_new_uint64(mnl_attr_get_u32(attr)));
}

static void put_u64(struct json_object *row, const char *key,
		    const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = find_in(nest, type, MNL_TYPE_U64);

	if (attr)
		json_object_object_add(row, key,
			json_object_new_uint64(mnl_attr_get_u64(attr)));
}

static void put_str(struct json_object *row, const char *key,
		    const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = find_in(nest, type, MNL_TYPE_NUL_STRING);

	if (attr)
		json_object_object_add(row, key,
			json_object_new_string(mnl_attr_get_str(attr)));
}

int nl_parse_device(const struct nlmsghdr *nlh, void *list)
{
	const struct nlattr *index = find(nlh, RDMA_NLDEV_ATTR_DEV_INDEX,
					  MNL_TYPE_U32);
	const struct nlattr *name = find(nlh, RDMA_NLDEV_ATTR_DEV_NAME,
					 MNL_TYPE_NUL_STRING);
	struct json_object *row;

	if (!index || !name)
		return MNL_CB_OK;
	row = json_object_new_object();
	json_object_object_add(row, "index",
		json_object_new_uint64(mnl_attr_get_u32(index)));
	json_object_object_add(row, "device",
		json_object_new_string(mnl_attr_get_str(name)));
	json_object_array_add(list, row);
	return MNL_CB_OK;
}

static int take_region(const struct nlattr *entry, void *list)
{
	struct json_object *row;

	if (mnl_attr_get_type(entry) != RDMA_NLDEV_ATTR_RES_MR_ENTRY ||
	    !find_in(entry, RDMA_NLDEV_ATTR_RES_MRN, MNL_TYPE_U32))
		return MNL_CB_OK;
	row = json_object_new_object();
	put_u32(row, "mrn", entry, RDMA_NLDEV_ATTR_RES_MRN);
	put_u64(row, "length", entry, RDMA_NLDEV_ATTR_RES_MRLEN);
	put_u32(row, "pid", entry, RDMA_NLDEV_ATTR_RES_PID);
	put_str(row, "comm", entry, RDMA_NLDEV_ATTR_RES_KERN_NAME);
	put_u32(row, "lkey", entry, RDMA_NLDEV_ATTR_RES_LKEY);
	put_u32(row, "rkey", entry, RDMA_NLDEV_ATTR_RES_RKEY);
	json_object_array_add(list, row);
	return MNL_CB_OK;
}

int nl_parse_regions(const struct nlmsghdr *nlh, void *list)
{
	const struct nlattr *table = find(nlh, RDMA_NLDEV_ATTR_RES_MR,
					  MNL_TYPE_NESTED);

	if (table)
		mnl_attr_parse_nested(table, take_region, list);
	return MNL_CB_OK;
}

static int take_counter(const struct nlattr *entry, void *counters)
{
	const struct nlattr *name, *value;

	if (mnl_attr_get_type(entry) != RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY)
		return MNL_CB_OK;
	name = find_in(entry, RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_NAME,
		       MNL_TYPE_NUL_STRING);
	value = find_in(entry, RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_VALUE,
			MNL_TYPE_U64);
	if (name && value)
		json_object_object_add(counters, mnl_attr_get_str(name),
			json_object_new_uint64(mnl_attr_get_u64(value)));
	return MNL_CB_OK;
}

int nl_parse_counters(const struct nlmsghdr *nlh, void *counters)
{
	const struct nlattr *table = find(nlh, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS,
					  MNL_TYPE_NESTED);

	if (table)
		mnl_attr_parse_nested(table, take_counter, counters);
	return MNL_CB_OK;
}

static struct nlmsghdr *request(char *buf, int command, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nlh->nlmsg_seq = time(NULL);
	return nlh;
}

static int ask(struct nlmsghdr *nlh, mnl_cb_t parse, void *arg)
{
	static char buf[1 << 16];
	struct mnl_socket *sock;
	int err = 0, ret;
	ssize_t len;

	sock = mnl_socket_open(NETLINK_RDMA);
	if (!sock)
		return errno;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0) {
		err = errno;
		goto out;
	}
	do {
		len = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		ret = len < 0 ? MNL_CB_ERROR :
		      mnl_cb_run(buf, len, nlh->nlmsg_seq,
				 mnl_socket_get_portid(sock), parse, arg);
	} while (ret > MNL_CB_STOP);
	if (ret == MNL_CB_ERROR)
		err = errno;
out:
	mnl_socket_close(sock);
	return err;
}

/* Ask for something that is gathered in to; it is dropped after an error. */
static int gather(struct nlmsghdr *nlh, mnl_cb_t parse, struct json_object *to,
		  struct json_object **result)
{
	int err = ask(nlh, parse, to);

	if (err) {
		json_object_put(to);
		to = NULL;
	}
	*result = to;
	return err;
}

int nl_devices(struct json_object **list)
{
	char buf[256];

	return gather(request(buf, RDMA_NLDEV_CMD_GET, NLM_F_DUMP),
		      nl_parse_device, json_object_new_array(), list);
}

int nl_regions(uint32_t index, struct json_object **list)
{
	char buf[256];
	struct nlmsghdr *nlh = request(buf, RDMA_NLDEV_CMD_RES_MR_GET,
				       NLM_F_DUMP);

	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, index);
	return gather(nlh, nl_parse_regions, json_object_new_array(), list);
}

int nl_device_counters(uint32_t index, struct json_object **counters)
{
	char buf[256];
	struct nlmsghdr *nlh = request(buf, RDMA_NLDEV_CMD_STAT_GET, 0);

	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, index);
	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_PORT_INDEX, 1);
	return gather(nlh, nl_parse_counters, json_object_new_object(),
		      counters);
}

int nl_region_counters(uint32_t index, uint32_t mrn,
		       struct json_object **counters)
{
	char buf[256];
	struct nlmsghdr *nlh = request(buf, RDMA_NLDEV_CMD_STAT_GET, 0);

	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, index);
	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_STAT_RES, RDMA_NLDEV_ATTR_RES_MR);
	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_RES_MRN, mrn);
	return gather(nlh, nl_parse_counters, json_object_new_object(),
		      counters);
}
