// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of the device. The bytes of t->from go to t->to, or atomics work on one
 * word; the shadow follows. RC must not fail and not lose a byte. UC and UD may
 * lose a message, but only as a whole as far as UD goes, and never invent one.
 */
#include <errno.h>
#include <string.h>

#include "target.h"
#include "torture.h"

/* How long an unreliable message may be under way, in milliseconds. */
#define LOST_MS		1500

static struct ibv_mr *region(struct t_thread *t, struct t_side *side,
			     enum t_kind_id kind, enum t_key key)
{
	switch (key) {
	case T_SHIFTED:
		return side->shifted[kind];
	case T_PART:
		return side->part[t->id][kind];
	case T_IMPLICIT:
		return side->implicit ? side->implicit : side->whole[kind];
	default:
		return side->whole[kind];
	}
}

/* rxe keeps the I/O address of a region in no field that we see. */
static uint64_t io_address(struct t_thread *t, const struct t_spot *s,
			   enum t_key key)
{
	if (key == T_SHIFTED)
		return T_SHIFTED_IOVA + s->off;
	return (uintptr_t)t_at(t->p, s);
}

struct ibv_sge t_sge(struct t_thread *t, struct t_side *side,
		     const struct t_spot *s, enum t_key key)
{
	return RV_SGE(region(t, side, s->kind, key), io_address(t, s, key),
		      s->len);
}

struct rv_remote t_remote(struct t_thread *t, const struct t_spot *s,
			  enum t_key key)
{
	struct rv_remote at = { .addr = io_address(t, s, key) };

	if (key == T_WINDOW && t->p->b->window[t->id][s->kind])
		at.rkey = t->p->b->window[t->id][s->kind]->rkey;
	else
		at.rkey = region(t, t->p->b, s->kind, key)->rkey;
	return at;
}

enum t_key t_pick_local(void)
{
	return rv_rand_below(T_WINDOW);
}

enum t_key t_pick_key(void)
{
	return rv_rand_below(T_KEYS);
}

void t_copy(struct t_thread *t)
{
	memcpy(t_shadow(t->p, &t->to), t_shadow(t->p, &t->from), t->to.len);
}

/* Half of the time look at once: that brings pages back from the device. */
static int look(struct t_thread *t, int res)
{
	bool now = rv_rand_below(2);

	return res || !now ? res : t_check_spot(t->p, &t->to);
}

static int write_to(struct t_thread *t)
{
	struct ibv_sge sge;
	int res;

	t_pick_two(t, 0);
	sge = t_sge(t, t->p->a, &t->from, t_pick_local());
	res = rv_write(&t->rc.a, &sge, 1, t_remote(t, &t->to, t_pick_key()));
	t_copy(t);
	return look(t, res);
}

static int write_imm(struct t_thread *t)
{
	uint32_t imm = rv_rand();
	struct ibv_sge sge;
	struct ibv_wc wc;
	int res;

	t_pick_two(t, 0);
	sge = t_sge(t, t->p->a, &t->from, t_pick_local());
	res = rv_write_imm(&t->rc.a, &sge, 1,
			   t_remote(t, &t->to, t_pick_key()), imm, &t->rc.b,
			   &wc);
	t_copy(t);
	return look(t, res);
}

static int read_from(struct t_thread *t)
{
	struct ibv_sge sge;
	int res;

	t_pick_two(t, 0);
	sge = t_sge(t, t->p->a, &t->to, t_pick_local());
	res = rv_read(&t->rc.a, &sge, 1, t_remote(t, &t->from, t_pick_key()));
	t_copy(t);
	return look(t, res);
}

static int send_to(struct t_thread *t)
{
	struct ibv_sge out, in;
	int res;

	t_pick_two(t, 0);
	out = t_sge(t, t->p->a, &t->from, t_pick_local());
	in = t_sge(t, t->p->b, &t->to, t_pick_local());
	res = rv_send(&t->rc.a, &out, 1, &t->rc.b, &in, 1, NULL);
	t_copy(t);
	return look(t, res);
}

/* The message is put together from pieces of any kinds. */
static int gather(struct t_thread *t)
{
	uint8_t message[4 * 4096];
	size_t len[4], done = 0;
	struct ibv_sge sge[4];
	int i, res;

	for (i = 0; i < 4; i++)
		done += len[i] = rv_rand_between(1, 4096);
	t->to = t_pick(t, done);
	for (i = 0, done = 0; i < 4; i++) {
		t->from = t_pick_beside(t, &t->to, len[i]);
		sge[i] = t_sge(t, t->p->a, &t->from, t_pick_local());
		memcpy(message + done, t_shadow(t->p, &t->from), len[i]);
		done += len[i];
	}
	res = rv_write(&t->rc.a, sge, 4, t_remote(t, &t->to, t_pick_key()));
	memcpy(t_shadow(t->p, &t->to), message, done);
	return look(t, res);
}

/*
 * Several at once. They are done in the order of the queue, but what one of them
 * reads may be read before another has written: so nothing is both.
 */
static int many(struct t_thread *t)
{
	enum t_kind_id kind = rv_rand_below(T_KINDS);
	int i, res = 0, last, n = rv_rand_between(2, 12);
	struct ibv_sge sge;

	for (i = 0; i < n; i++) {
		do {
			t_pick_two(t, rv_rand_between(1, 6000));
		} while (t->to.kind != kind || t->from.kind == kind);
		sge = t_sge(t, t->p->a, &t->from, t_pick_local());
		last = rv_post_write(&t->rc.a, &sge, 1,
				     t_remote(t, &t->to, t_pick_key()));
		res = res ? res : last;
		t_copy(t);
	}
	for (i = 0; i < n; i++) {
		last = rv_wait(&t->rc.a);
		res = res ? res : last;
	}
	return look(t, res);
}

static void pick_word(struct t_thread *t)
{
	t_pick_two(t, 8);
	t->to.off &= ~7UL;
	t->from.off &= ~7UL;
	if (t->to.kind == t->from.kind && t->to.off == t->from.off)
		t->from.off ^= 8;
}

static int cmp_swap(struct t_thread *t)
{
	uint64_t before, compare, swap = rv_rand();
	bool equal = rv_rand_below(2);
	struct ibv_sge old;
	int res;

	pick_word(t);
	memcpy(&before, t_shadow(t->p, &t->to), 8);
	compare = equal ? before : ~before;
	old = t_sge(t, t->p->a, &t->from, t_pick_local());
	res = rv_cmp_swap(&t->rc.a, &old, t_remote(t, &t->to, t_pick_key()),
			  compare, swap);
	memcpy(t_shadow(t->p, &t->from), &before, 8);
	if (equal)
		memcpy(t_shadow(t->p, &t->to), &swap, 8);
	return look(t, res);
}

static int fetch_add(struct t_thread *t)
{
	uint64_t before, after, add = rv_rand();
	struct ibv_sge old;
	int res;

	pick_word(t);
	memcpy(&before, t_shadow(t->p, &t->to), 8);
	after = before + add;
	old = t_sge(t, t->p->a, &t->from, t_pick_local());
	res = rv_fetch_add(&t->rc.a, &old, t_remote(t, &t->to, t_pick_key()),
			   add);
	memcpy(t_shadow(t->p, &t->from), &before, 8);
	memcpy(t_shadow(t->p, &t->to), &after, 8);
	return look(t, res);
}

static int atomic_write(struct t_thread *t)
{
	uint64_t word = rv_rand();
	int res;

	pick_word(t);
	res = rv_atomic_write(&t->rc.a, t_remote(t, &t->to, t_pick_key()),
			      word);
	memcpy(t_shadow(t->p, &t->to), &word, 8);
	return look(t, res);
}

static int flush(struct t_thread *t)
{
	t->to = t_pick(t, rv_rand_len(1, T_MESSAGE));
	t->from = t->to;
	return rv_flush(&t->rc.a, t_remote(t, &t->to, T_PART), t->to.len,
			IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE);
}

/* Each byte is what it was or what the message brought: learn which. */
static int learn(struct t_thread *t)
{
	uint8_t *want = t_shadow(t->p, &t->to), *seen = t_at(t->p, &t->to);
	const uint8_t *new = t_shadow(t->p, &t->from);
	size_t i;

	for (i = 0; i < t->to.len; i++) {
		if (seen[i] != want[i] && seen[i] != new[i]) {
			rv_log("byte %zu: %#x, neither %#x nor %#x", i, seen[i],
			       want[i], new[i]);
			return -EBADMSG;
		}
		want[i] = seen[i];
	}
	return 0;
}

/* What never arrived is given up with its queue pairs. */
static int lost(struct t_thread *t, struct rv_pair *pair)
{
	int err = rv_pair_again(pair);

	t_count("(a message got lost)");
	return err ? err : learn(t);
}

/*
 * Wait for a message that is on its way, for a receive that waits for it. What
 * the network delivers twice may come late: it finds its queue pairs gone.
 */
static int receive(struct t_thread *t, struct rv_pair *pair, int err)
{
	int res = err ? err : rv_wait(&pair->a);

	if (res)
		return res;
	res = rv_poll_until(pair->b.rcq, NULL, LOST_MS);
	if (res == -ETIMEDOUT)
		return lost(t, pair);
	t_copy(t);
	res = look(t, res);
	return res || t->p->a == t->p->b ? res : rv_pair_again(pair);
}

static int uc_write(struct t_thread *t)
{
	struct ibv_sge sge;
	int err;

	t_pick_two(t, 0);
	sge = t_sge(t, t->p->a, &t->from, t_pick_local());
	err = rv_post_recv(&t->uc.b, NULL, 0);
	if (!err)
		err = rv_post_write_imm(&t->uc.a, &sge, 1,
					t_remote(t, &t->to, t_pick_key()), 1);
	return receive(t, &t->uc, err);
}

static int uc_send(struct t_thread *t)
{
	struct ibv_sge in, out;
	int err;

	t_pick_two(t, 0);
	in = t_sge(t, t->p->b, &t->to, t_pick_local());
	out = t_sge(t, t->p->a, &t->from, t_pick_local());
	err = rv_post_recv(&t->uc.b, &in, 1);
	if (!err)
		err = rv_post_send(&t->uc.a, &out, 1);
	return receive(t, &t->uc, err);
}

static int ud_send(struct t_thread *t)
{
	struct ibv_sge in[2], out;
	int err;

	t_pick_two(t, rv_rand_between(1, t->p->a->dev.mtu));
	in[0] = RV_SGE(t->grh_mr, t->grh.base, RV_GRH);
	in[1] = t_sge(t, t->p->b, &t->to, t_pick_local());
	out = t_sge(t, t->p->a, &t->from, t_pick_local());
	err = rv_post_recv(&t->ud.b, in, 2);
	if (!err)
		err = rv_post_send(&t->ud.a, &out, 1);
	return receive(t, &t->ud, err);
}

/*
 * Wait for what may be refused. The peer says no once, and is in error and silent
 * then: if the cable loses it, the requester asks for ever.
 */
int t_wait(struct t_thread *t)
{
	uint64_t until = rv_now_ms() + rv_deadline_ms();
	bool in_error;
	int res;

	if (t->p->a == t->p->b)
		return rv_wait(&t->rc.a);
	do {
		in_error = target_in_error(&t->rc.b);
		res = rv_poll_until(t->rc.a.scq, NULL, 3000);
	} while (res == -ETIMEDOUT && !in_error && rv_now_ms() < until);

	return res == -ETIMEDOUT && in_error ? IBV_WC_REM_ACCESS_ERR : res;
}

/*
 * An access of len bytes that is to be refused: it is, and no byte changes at
 * its other side, which is none of @not.
 */
int t_refused(struct t_thread *t, const struct t_spot *not, struct rv_remote at,
	      size_t len, bool write)
{
	struct ibv_sge sge;
	int res;

	t->from = t_pick_beside(t, not, len);
	sge = t_sge(t, t->p->a, &t->from, T_WHOLE);
	res = write ? rv_post_write(&t->rc.a, &sge, 1, at) :
		      rv_post_read(&t->rc.a, &sge, 1, at);
	if (!res)
		res = t_wait(t);
	if (res != IBV_WC_REM_ACCESS_ERR) {
		rv_log("%s was not refused but: %s", write ? "write" : "read",
		       rv_status(res));
		return -EBADMSG;
	}
	res = t_check_spot(t->p, &t->from);
	return res ? res : rv_pair_again(&t->rc);
}

/* The window and the part end with the stripe, at either side. */
static int beyond(struct t_thread *t)
{
	enum t_key key = rv_rand_below(2) ? T_PART : T_WINDOW;
	bool before = rv_rand_below(2), write = rv_rand_below(2);
	size_t stripe;

	t->to = t_pick(t, rv_rand_between(1, 5000));
	stripe = t_kinds[t->to.kind].stripe;
	t->to.off = t->id * stripe;
	t->to.off += before ? -rv_rand_between(1, t->to.len) :
			      stripe - t->to.len + rv_rand_between(1, t->to.len);
	return t_refused(t, &t->to, t_remote(t, &t->to, key), t->to.len, write);
}

const struct t_action t_verbs[] = {
	{ "write", write_to, 10 },
	{ "write with immediate", write_imm, 3 },
	{ "read", read_from, 10 },
	{ "send", send_to, 6 },
	{ "write from many places", gather, 4 },
	{ "many writes", many, 4 },
	{ "compare and swap", cmp_swap, 3 },
	{ "fetch and add", fetch_add, 3 },
	{ "atomic write", atomic_write, 2 },
	{ "flush", flush, 1 },
	{ "UC write", uc_write, 3 },
	{ "UC send", uc_send, 2 },
	{ "UD send", ud_send, 3 },
	{ "refused, beyond a region or window", beyond, 2 },
	{}
};
