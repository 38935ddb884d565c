// SPDX-License-Identifier: GPL-2.0
/* A thread: its queue pairs, and one step after the other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "torture.h"

/* All bytes of the thread's are looked at after so many steps. */
#define CHECK_EVERY	16

int t_thread_init(struct t_thread *t, struct t_process *p, int id)
{
	struct rv_opts opts = {
		.mtu = id % 2 ? 1024 : p->a->dev.mtu,
		.timeout = p->a == p->b ? 18 : 17,
		.dev_b = &p->b->dev,
	};
	int err;

	t->p = p;
	t->id = id;
	err = rv_pair_init(&t->rc, &p->a->dev, &opts);
	opts.type = IBV_QPT_UC;
	if (!err)
		err = rv_pair_init(&t->uc, &p->a->dev, &opts);
	opts.type = IBV_QPT_UD;
	if (!err)
		err = rv_pair_init(&t->ud, &p->a->dev, &opts);
	if (!err)
		err = rv_buf_alloc(&t->grh, RV_GRH);
	if (err)
		return err;
	t->grh_mr = rv_reg_all(&p->b->dev, &t->grh, RV_ACCESS);
	return t->grh_mr ? 0 : -errno;
}

void t_thread_fini(struct t_thread *t)
{
	rv_pair_fini(&t->ud);
	rv_pair_fini(&t->uc);
	rv_pair_fini(&t->rc);
	if (t->grh_mr)
		ibv_dereg_mr(t->grh_mr);
	rv_buf_free(&t->grh);
}

static unsigned int weigh(const struct t_action *list)
{
	unsigned int sum = 0;

	for (; list->name; list++)
		sum += list->weight;
	return sum;
}

/* One of all actions, as likely as its weight says. */
static const struct t_action *choose(void)
{
	static const struct t_action *const lists[] = {
		t_verbs, t_space, t_flight,
	};
	const struct t_action *a;
	unsigned int i, at;

	at = rv_rand_below(weigh(t_verbs) + weigh(t_space) + weigh(t_flight));
	for (i = 0; i < 3; i++) {
		for (a = lists[i]; a->name; a++) {
			if (at < a->weight)
				return a;
			at -= a->weight;
		}
	}
	return NULL;
}

static void describe(const char *what, const struct t_spot *s)
{
	rv_log("  %s: %s, offset %zu, %zu bytes", what, t_kinds[s->kind].name,
	       s->off, s->len);
}

static void report(struct t_thread *t, const char *name)
{
	rv_log("process %d.%d, thread %d, step %llu: %s: %s", t->p->place,
	       t->p->generation, t->id, (unsigned long long)t->step, name,
	       rv_status(t->result));
	describe("to", &t->to);
	describe("from", &t->from);
	rv_log("  seed %#llx", (unsigned long long)rv_rand_seed());
}

void *t_thread_run(void *arg)
{
	struct t_thread *t = arg;
	const struct t_action *a;
	const char *name;

	rv_rand_stream(t_stream(t->p->place, t->p->generation, t->id));
	for (; !__atomic_load_n(&t->p->stop, __ATOMIC_RELAXED); t->step++) {
		a = choose();
		name = a->name;
		t->result = a->fn(t);
		if (!t->result && t->step % CHECK_EVERY == CHECK_EVERY - 1) {
			name = "a look at all, after the steps before";
			t->result = t_check_stripes(t);
		}
		if (t->result) {
			report(t, name);
			__atomic_store_n(&t->p->stop, true, __ATOMIC_RELAXED);
			break;
		}
		t_count(a->name);
	}
	return NULL;
}
