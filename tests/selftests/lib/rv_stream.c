// SPDX-License-Identifier: GPL-2.0
#include "rv_op.h"
#include "rv_stream.h"

static int post(struct rv_stream *s)
{
	size_t off = (size_t)s->posted++ * s->size % s->len;
	struct ibv_sge a = RV_SGE(s->mr_a, s->base_a + off, s->size);
	struct ibv_sge b = RV_SGE(s->mr_b, s->base_b + off, s->size);
	struct rv_remote at = RV_REMOTE(s->mr_b, s->base_b + off);
	int err;

	switch (s->op) {
	case RV_STREAM_WRITE:
		return rv_post_write(&s->pair->a, &a, 1, at);
	case RV_STREAM_READ:
		return rv_post_read(&s->pair->a, &a, 1, at);
	default:
		err = rv_post_recv(&s->pair->b, &b, 1);
		return err ? err : rv_post_send(&s->pair->a, &a, 1);
	}
}

static int turn(struct rv_stream *s, int messages)
{
	int res;

	while (s->posted < messages && s->posted - s->finished < s->depth) {
		res = post(s);
		if (res)
			return res;
	}
	res = rv_wait(&s->pair->a);
	if (!res && s->op == RV_STREAM_SEND)
		res = rv_wait_recv(&s->pair->b, NULL);
	s->finished++;

	return res;
}

int rv_streams_run(struct rv_stream *s, int n, int messages)
{
	int i, k, res;

	for (i = 0; i < n; i++)
		s[i].posted = s[i].finished = 0;
	for (k = 0; k < messages; k++) {
		for (i = 0; i < n; i++) {
			res = turn(&s[i], messages);
			if (res)
				return res;
		}
	}

	return 0;
}
