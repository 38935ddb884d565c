// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rv_log.h"
#include "rv_stat.h"

/* One query: what to look for in the answer, and what was found. */
struct query {
	const char *dev_name;
	uint32_t lkey;
	const char *counter;
	int64_t found;
};

typedef void (*attr_fn)(const struct nlattr *a, struct query *q);

static void *payload(const struct nlattr *a)
{
	return (char *)a + NLA_HDRLEN;
}

static int type(const struct nlattr *a)
{
	return a->nla_type & NLA_TYPE_MASK;
}

static uint32_t u32(const struct nlattr *a)
{
	uint32_t n;

	memcpy(&n, payload(a), sizeof(n));
	return n;
}

static const struct nlattr *find(const struct nlattr *a, int len, int want)
{
	while (len >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN &&
	       a->nla_len <= len) {
		if (type(a) == want)
			return a;
		len -= NLA_ALIGN(a->nla_len);
		a = (const void *)((const char *)a + NLA_ALIGN(a->nla_len));
	}
	return NULL;
}

static const struct nlattr *find_in(const struct nlattr *nest, int want)
{
	return find(payload(nest), nest->nla_len - NLA_HDRLEN, want);
}

/* Call fn for every attribute of a kind inside a nest. */
static void visit_attrs(const struct nlattr *nest, int want, attr_fn fn,
			struct query *q)
{
	const char *end = (const char *)nest + nest->nla_len;
	const struct nlattr *a = find_in(nest, want);

	while (a) {
		const char *next = (const char *)a + NLA_ALIGN(a->nla_len);

		fn(a, q);
		a = next < end ? find((const void *)next, end - next, want) :
				 NULL;
	}
}

/* Handlers get the attributes of one message. */
typedef void (*msg_fn)(const struct nlattr *a, int len, struct query *q);

static void take_dev_index(const struct nlattr *a, int len, struct query *q)
{
	const struct nlattr *name = find(a, len, RDMA_NLDEV_ATTR_DEV_NAME);
	const struct nlattr *index = find(a, len, RDMA_NLDEV_ATTR_DEV_INDEX);

	if (name && index && !strcmp(payload(name), q->dev_name))
		q->found = u32(index);
}

static void take_mrn(const struct nlattr *entry, struct query *q)
{
	const struct nlattr *lkey = find_in(entry, RDMA_NLDEV_ATTR_RES_LKEY);
	const struct nlattr *mrn = find_in(entry, RDMA_NLDEV_ATTR_RES_MRN);

	if (lkey && mrn && u32(lkey) == q->lkey)
		q->found = u32(mrn);
}

static void take_mrns(const struct nlattr *a, int len, struct query *q)
{
	const struct nlattr *table = find(a, len, RDMA_NLDEV_ATTR_RES_MR);

	if (table)
		visit_attrs(table, RDMA_NLDEV_ATTR_RES_MR_ENTRY, take_mrn, q);
}

static void take_counter(const struct nlattr *entry, struct query *q)
{
	const struct nlattr *name =
		find_in(entry, RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_NAME);
	const struct nlattr *value =
		find_in(entry, RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_VALUE);

	if (name && value && !strcmp(payload(name), q->counter))
		memcpy(&q->found, payload(value), sizeof(q->found));
}

static void take_counters(const struct nlattr *a, int len, struct query *q)
{
	const struct nlattr *table =
		find(a, len, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);

	if (table)
		visit_attrs(table, RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY,
			    take_counter, q);
}

struct request {
	struct nlmsghdr nlh;
	char attrs[64];
};

static void put_u32(struct request *r, int attr, uint32_t n)
{
	struct nlattr *a = (void *)((char *)r + NLMSG_ALIGN(r->nlh.nlmsg_len));

	a->nla_type = attr;
	a->nla_len = NLA_HDRLEN + sizeof(n);
	memcpy(payload(a), &n, sizeof(n));
	r->nlh.nlmsg_len = NLMSG_ALIGN(r->nlh.nlmsg_len) + NLA_ALIGN(a->nla_len);
}

static void start(struct request *r, int cmd, int flags)
{
	memset(r, 0, sizeof(*r));
	r->nlh.nlmsg_len = NLMSG_HDRLEN;
	r->nlh.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, cmd);
	r->nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
}

/* Read the answer to its end: an error or acknowledgement, or a done. */
static bool handle(char *buf, ssize_t n, msg_fn fn, struct query *q)
{
	struct nlmsghdr *h;
	int left = n;

	for (h = (void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return true;
		fn(NLMSG_DATA(h), h->nlmsg_len - NLMSG_HDRLEN, q);
	}
	return false;
}

static int64_t ask(struct request *r, msg_fn fn, struct query *q)
{
	static __thread char buf[1 << 17] __attribute__((aligned(8)));
	struct timeval wait = { .tv_sec = 10 };
	ssize_t n;
	int fd;

	q->found = -1;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, r, r->nlh.nlmsg_len, 0) < 0)
		goto out;
	do {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0) {
			rv_log("netlink: %s", strerror(errno));
			break;
		}
	} while (!handle(buf, n, fn, q));
out:
	close(fd);
	return q->found;
}

static int64_t dev_index(struct rv_dev *d)
{
	struct query q = { .dev_name = d->name };
	struct request r;

	start(&r, RDMA_NLDEV_CMD_GET, NLM_F_DUMP);
	return ask(&r, take_dev_index, &q);
}

int64_t rv_stat_mrn(struct rv_dev *d, uint32_t lkey)
{
	struct query q = { .lkey = lkey };
	int64_t index = dev_index(d), mrn;
	struct request r;

	if (index < 0)
		return -1;
	start(&r, RDMA_NLDEV_CMD_RES_MR_GET, NLM_F_DUMP);
	put_u32(&r, RDMA_NLDEV_ATTR_DEV_INDEX, index);
	mrn = ask(&r, take_mrns, &q);
	if (mrn < 0)
		rv_log("region %#x not found by netlink (not root?)", lkey);
	return mrn;
}

int64_t rv_stat_mr(struct rv_dev *d, struct ibv_mr *mr, const char *counter)
{
	struct query q = { .counter = counter };
	int64_t mrn = rv_stat_mrn(d, mr->lkey);
	struct request r;

	if (mrn < 0)
		return -1;
	start(&r, RDMA_NLDEV_CMD_STAT_GET, 0);
	put_u32(&r, RDMA_NLDEV_ATTR_DEV_INDEX, dev_index(d));
	put_u32(&r, RDMA_NLDEV_ATTR_STAT_RES, RDMA_NLDEV_ATTR_RES_MR);
	put_u32(&r, RDMA_NLDEV_ATTR_RES_MRN, mrn);
	return ask(&r, take_counters, &q);
}

/* Not from sysfs: what that shows may be some milliseconds old. */
int64_t rv_stat_dev(struct rv_dev *d, const char *counter)
{
	struct query q = { .counter = counter };
	int64_t index = dev_index(d);
	struct request r;

	if (index < 0)
		return -1;
	start(&r, RDMA_NLDEV_CMD_STAT_GET, 0);
	put_u32(&r, RDMA_NLDEV_ATTR_DEV_INDEX, index);
	put_u32(&r, RDMA_NLDEV_ATTR_PORT_INDEX, 1);
	return ask(&r, take_counters, &q);
}
