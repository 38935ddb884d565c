// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "rv_log.h"
#include "rv_rand.h"
#include "rv_traffic.h"

#define MAX_DEPTH	32

struct part {
	size_t off, len;
};

static void choose(struct rv_traffic *t, struct part *p)
{
	size_t units = t->len / t->align;
	size_t n = rv_rand_len(1, (t->max < t->len ? t->max : t->len) /
				  t->align);

	p->off = rv_rand_below(units - n + 1) * t->align;
	p->len = n * t->align;
}

static int post(struct rv_traffic *t, struct part *p)
{
	struct ibv_sge out = RV_SGE(t->from_mr, t->from + p->off, p->len);
	struct ibv_sge in = RV_SGE(t->to_mr, t->to + p->off, p->len);
	int err;

	switch (t->op) {
	case IBV_WR_RDMA_WRITE:
		return rv_post_write(&t->pair.a, &out, 1,
				     RV_REMOTE(t->to_mr, in.addr));
	case IBV_WR_RDMA_READ:
		return rv_post_read(&t->pair.a, &in, 1,
				    RV_REMOTE(t->from_mr, out.addr));
	case IBV_WR_SEND:
		err = rv_post_recv(&t->pair.b, &in, 1);
		return err ? err : rv_post_send(&t->pair.a, &out, 1);
	default:
		return -EINVAL;
	}
}

static int finish(struct rv_traffic *t, struct part *p)
{
	int res = rv_wait(&t->pair.a);

	if (!res && t->op == IBV_WR_SEND)
		res = rv_wait_recv(&t->pair.b, NULL);
	if (res)
		return res;
	if (t->check && rv_compare("what the traffic moved", t->to + p->off,
				   t->from + p->off, p->len)) {
		rv_log("  after %llu operations, offset %zu, %zu bytes",
		       (unsigned long long)t->ops, p->off, p->len);
		return -EBADMSG;
	}
	__atomic_store_n(&t->ops, t->ops + 1, __ATOMIC_RELEASE);
	return 0;
}

static bool stopped(struct rv_traffic *t)
{
	return __atomic_load_n(&t->stop, __ATOMIC_ACQUIRE);
}

static void *run(void *arg)
{
	struct part parts[MAX_DEPTH];
	struct rv_traffic *t = arg;
	uint64_t posted = 0, done = 0;
	int res = 0;

	rv_rand_stream(t->stream);
	while (!res && (!stopped(t) || posted > done)) {
		if (!stopped(t) && posted - done < t->depth) {
			choose(t, &parts[posted % t->depth]);
			res = post(t, &parts[posted % t->depth]);
			posted++;
		} else {
			res = finish(t, &parts[done % t->depth]);
			done++;
		}
	}
	__atomic_store_n(&t->result, res, __ATOMIC_RELEASE);
	return NULL;
}

struct rv_traffic rv_traffic_writes(struct rv_ends *e, size_t len)
{
	return (struct rv_traffic){
		.op = IBV_WR_RDMA_WRITE,
		.from_mr = e->mr_a,
		.to_mr = e->mr_b,
		.from = e->mem_a.base,
		.to = e->mem_b.base,
		.len = len,
	};
}

struct rv_traffic rv_traffic_reads(struct rv_ends *e, size_t len)
{
	return (struct rv_traffic){
		.op = IBV_WR_RDMA_READ,
		.from_mr = e->mr_b,
		.to_mr = e->mr_a,
		.from = e->mem_b.base,
		.to = e->mem_a.base,
		.len = len,
	};
}

int rv_traffic_start(struct rv_traffic *t, struct rv_dev *d,
		     const struct rv_opts *opts, unsigned int stream)
{
	int err;

	if (!t->max)
		t->max = 16 * 1024;
	if (!t->align)
		t->align = 1;
	if (!t->depth)
		t->depth = 1;
	if (t->depth > MAX_DEPTH)
		t->depth = MAX_DEPTH;
	t->stream = stream;
	t->ops = 0;
	t->result = 0;
	t->stop = false;
	err = rv_pair_init(&t->pair, d, opts);
	if (err)
		return err;
	err = pthread_create(&t->thread, NULL, run, t);
	if (err) {
		rv_pair_fini(&t->pair);
		return -err;
	}
	t->started = true;
	return 0;
}

int rv_traffic_stop(struct rv_traffic *t)
{
	if (!t->started)
		return -EINVAL;
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	pthread_join(t->thread, NULL);
	t->started = false;
	rv_pair_fini(&t->pair);
	return t->result;
}

uint64_t rv_traffic_ops(struct rv_traffic *t)
{
	return __atomic_load_n(&t->ops, __ATOMIC_ACQUIRE);
}

int rv_traffic_more(struct rv_traffic *t, uint64_t ops)
{
	uint64_t want = rv_traffic_ops(t) + ops;
	bool failed = false;

	if (rv_wait_for(rv_traffic_ops(t) >= want ||
			(failed = __atomic_load_n(&t->result,
						  __ATOMIC_ACQUIRE))) &&
	    !failed)
		return 0;
	rv_log("the traffic has stopped: %s", rv_status(t->result));
	return -ETIMEDOUT;
}
