// SPDX-License-Identifier: GPL-2.0
/* Netlink messages as the kernel makes them, and broken ones. */
#include <rdma/rdma_netlink.h>

#include "nl.h"
#include "tap.h"

static char buf[4096];

static struct nlmsghdr *start(void)
{
	memset(buf, 0, sizeof(buf));
	return mnl_nlmsg_put_header(buf);
}

static const char *as_text(struct json_object *what)
{
	return json_object_to_json_string_ext(what, JSON_C_TO_STRING_PLAIN);
}

static void devices(void)
{
	struct json_object *list = json_object_new_array();
	struct nlmsghdr *nlh = start();

	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, 7);
	mnl_attr_put_strz(nlh, RDMA_NLDEV_ATTR_DEV_NAME, "rxe0");
	CHECK_INT(MNL_CB_OK, nl_parse_device(nlh, list));
	/* Without a name there is nothing to show. */
	nlh = start();
	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, 8);
	CHECK_INT(MNL_CB_OK, nl_parse_device(nlh, list));
	/* A name that does not end, an index of two bytes. */
	nlh = start();
	mnl_attr_put_u16(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, 9);
	mnl_attr_put_str(nlh, RDMA_NLDEV_ATTR_DEV_NAME, "rxe1");
	CHECK_INT(MNL_CB_OK, nl_parse_device(nlh, list));
	CHECK_STR("[{\"index\":7,\"device\":\"rxe0\"}]", as_text(list));
	json_object_put(list);
}

static void put_region(struct nlmsghdr *nlh, uint32_t mrn, bool keys)
{
	struct nlattr *entry =
		mnl_attr_nest_start(nlh, RDMA_NLDEV_ATTR_RES_MR_ENTRY);

	if (keys) {
		mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_RES_RKEY, 0x1234);
		mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_RES_LKEY, 0x1235);
	}
	mnl_attr_put_u64(nlh, RDMA_NLDEV_ATTR_RES_MRLEN, 1ULL << 40);
	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_RES_MRN, mrn);
	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_RES_PDN, 3);
	if (keys)
		mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_RES_PID, 4711);
	else
		mnl_attr_put_strz(nlh, RDMA_NLDEV_ATTR_RES_KERN_NAME, "ib_core");
	mnl_attr_nest_end(nlh, entry);
}

static void regions(void)
{
	struct json_object *list = json_object_new_array();
	struct nlmsghdr *nlh = start();
	struct nlattr *table, *entry;

	CHECK_INT(MNL_CB_OK, nl_parse_regions(nlh, list));
	CHECK_STR("[]", as_text(list));

	mnl_attr_put_u32(nlh, RDMA_NLDEV_ATTR_DEV_INDEX, 7);
	table = mnl_attr_nest_start(nlh, RDMA_NLDEV_ATTR_RES_MR);
	put_region(nlh, 1, true);
	put_region(nlh, 2, false);
	/* One without a number. */
	entry = mnl_attr_nest_start(nlh, RDMA_NLDEV_ATTR_RES_MR_ENTRY);
	mnl_attr_put_u64(nlh, RDMA_NLDEV_ATTR_RES_MRLEN, 4096);
	mnl_attr_nest_end(nlh, entry);
	mnl_attr_nest_end(nlh, table);
	CHECK_INT(MNL_CB_OK, nl_parse_regions(nlh, list));
	CHECK_STR("[{\"mrn\":1,\"length\":1099511627776,\"pid\":4711,"
		  "\"lkey\":4661,\"rkey\":4660},"
		  "{\"mrn\":2,\"length\":1099511627776,\"comm\":\"ib_core\"}]",
		  as_text(list));
	json_object_put(list);
}

static void counters(void)
{
	struct json_object *all = json_object_new_object();
	struct nlmsghdr *nlh = start();
	struct nlattr *table, *entry;
	int i;

	table = mnl_attr_nest_start(nlh, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	for (i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "counter%d", i);
		entry = mnl_attr_nest_start(nlh,
				RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY);
		mnl_attr_put_strz(nlh,
			RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_NAME, name);
		/* the last one is too short */
		if (i < 2)
			mnl_attr_put_u64(nlh,
				RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_VALUE,
				UINT64_MAX - i);
		else
			mnl_attr_put_u32(nlh,
				RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_VALUE, i);
		mnl_attr_nest_end(nlh, entry);
	}
	mnl_attr_nest_end(nlh, table);
	CHECK_INT(MNL_CB_OK, nl_parse_counters(nlh, all));
	CHECK_STR("{\"counter0\":18446744073709551615,"
		  "\"counter1\":18446744073709551614}", as_text(all));
	json_object_put(all);
}

/* Any byte of a message may be wrong: nothing is read beyond its end. */
static void garbage(void)
{
	struct json_object *list, *all;
	struct nlmsghdr *nlh;
	struct nlattr *table;
	unsigned int i, j;

	for (i = NLMSG_HDRLEN; i < 200; i++) {
		for (j = 0; j < 256; j += 5) {
			list = json_object_new_array();
			all = json_object_new_object();
			nlh = start();
			table = mnl_attr_nest_start(nlh, RDMA_NLDEV_ATTR_RES_MR);
			put_region(nlh, 1, true);
			put_region(nlh, 2, false);
			mnl_attr_nest_end(nlh, table);
			buf[i] = j;
			nl_parse_regions(nlh, list);
			nl_parse_device(nlh, list);
			nl_parse_counters(nlh, all);
			json_object_put(list);
			json_object_put(all);
		}
	}
}

int main(void)
{
	RUN(devices);
	RUN(regions);
	RUN(counters);
	RUN(garbage);
	return tap_end();
}
