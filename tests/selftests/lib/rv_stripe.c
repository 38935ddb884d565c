// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "rv_rand.h"
#include "rv_stripe.h"

int rv_stripe_check(struct rv_stripe *s)
{
	return rv_compare("stripe", s->e.mem_b.base + s->off,
			  rv_buf_shadow(&s->e.mem_b, s->off), s->len) ||
	       rv_compare("block", s->e.mem_a.base + s->a,
			  rv_buf_shadow(&s->e.mem_a, s->a), s->a_len) ?
	       -EBADMSG : 0;
}

static int atomic(struct rv_stripe *s, size_t b)
{
	struct ibv_sge here = rv_ends_sge_a(&s->e, s->a, 8);
	uint64_t word;
	int res;

	memcpy(&word, rv_buf_shadow(&s->e.mem_b, b), 8);
	res = rv_fetch_add(&s->e.pair.a, &here, rv_ends_remote(&s->e, b), 99);
	rv_buf_expect(&s->e.mem_a, s->a, &word, 8);
	word += 99;
	rv_buf_expect(&s->e.mem_b, b, &word, 8);
	return res;
}

static int send_to(struct rv_stripe *s, size_t a, size_t b, size_t len)
{
	struct ibv_sge here = rv_ends_sge_a(&s->e, a, len);
	struct ibv_sge there = rv_ends_sge_b(&s->e, b, len);
	struct rv_pair *p = &s->e.pair;
	int res;

	res = rv_send(&p->a, &here, 1, &p->b, &there, 1, NULL);
	rv_buf_expect(&s->e.mem_b, b, rv_buf_shadow(&s->e.mem_a, a), len);
	return res;
}

int rv_stripe_transfer(struct rv_stripe *s, enum rv_stripe_op op)
{
	size_t len = rv_rand_len(1, s->a_len);
	size_t a = s->a + rv_rand_below(s->a_len - len + 1);
	size_t b = s->off + rv_rand_below(s->len - len + 1);

	switch (op) {
	case RV_STRIPE_READ:
		return rv_ends_read_blind(&s->e, a, b, len);
	case RV_STRIPE_ATOMIC:
		return atomic(s, b & ~7UL);
	case RV_STRIPE_SEND:
		return send_to(s, a, b, len);
	default:
		return rv_ends_write_blind(&s->e, a, b, len);
	}
}

int rv_stripe_move(uint8_t *at, size_t len)
{
	uint8_t *away = mremap(at, len, len,
			       MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (away == MAP_FAILED)
		return errno == EFAULT && len > RV_PAGE ?
		       rv_stripe_move(at, RV_PAGE) : -errno;
	return mremap(away, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at ?
	       0 : -errno;
}
