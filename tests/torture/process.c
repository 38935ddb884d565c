// SPDX-License-Identifier: GPL-2.0
/*
 * A process: devices, areas, regions, and threads. One more thread stirs: it
 * asks for things that change no byte, for any pages of the areas, across the
 * stripes of threads that are at work.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "torture.h"

static struct t_process self;
static struct t_thread threads[T_THREADS];

static void on_term(int sig)
{
	__atomic_store_n(&self.stop, true, __ATOMIC_RELAXED);
}

static void on_signal(int sig)
{
}

static void catch_signals(void)
{
	struct sigaction term = { .sa_handler = on_term };
	struct sigaction none = { .sa_handler = on_signal };

	term.sa_flags = SA_RESTART;
	none.sa_flags = SA_RESTART;
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGUSR1, &none, NULL);
}

static int given(struct ibv_mr *mr, const char *what)
{
	int err = errno;

	if (mr)
		return 0;
	rv_log("%s region: %s", what, strerror(err));
	return -err;
}

/* A region of a thread's stripe and no other byte; the old one is no more. */
int t_part_make(struct t_process *p, struct t_side *side, int thread,
		enum t_kind_id kind)
{
	struct ibv_mr **mr = &side->part[thread][kind];
	size_t stripe = t_kinds[kind].stripe;
	int err = *mr ? ibv_dereg_mr(*mr) : 0;

	*mr = NULL;
	if (err)
		return -err;
	*mr = ibv_reg_mr(side->dev.pd, p->areas[kind].buf.base +
			 thread * stripe, stripe, RV_ACCESS | RV_ODP |
			 (t_stock() ? 0 : IBV_ACCESS_FLUSH_GLOBAL));
	return given(*mr, "a stripe's");
}

/* The same for a window. */
int t_window_make(struct t_thread *t, enum t_kind_id kind)
{
	struct ibv_mw **mw = &t->p->b->window[t->id][kind];
	size_t stripe = t_kinds[kind].stripe;
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = {
			.mr = t->p->b->whole[kind],
			.addr = (uintptr_t)t->p->areas[kind].buf.base +
				t->id * stripe,
			.length = stripe,
			.mw_access_flags = IBV_ACCESS_REMOTE_WRITE |
					   IBV_ACCESS_REMOTE_READ |
					   IBV_ACCESS_REMOTE_ATOMIC,
		},
	};
	int err = *mw ? ibv_dealloc_mw(*mw) : 0;

	*mw = NULL;
	if (err)
		return -err;
	*mw = ibv_alloc_mw(t->p->b->dev.pd, IBV_MW_TYPE_1);
	if (!*mw)
		return -errno;
	err = ibv_bind_mw(t->rc.b.qp, *mw, &bind);
	return err ? -err : rv_wait(&t->rc.b);
}

static int side_init(struct t_process *p, struct t_side *side, const char *dev)
{
	unsigned int access = RV_ACCESS | RV_ODP | IBV_ACCESS_MW_BIND;
	int kind, i, err = rv_dev_open(&side->dev, dev);

	if (err)
		return err;
	for (kind = 0; kind < T_KINDS && !err; kind++) {
		struct rv_buf *b = &p->areas[kind].buf;

		side->whole[kind] = rv_reg_all(&side->dev, b, access);
		side->shifted[kind] = ibv_reg_mr_iova(side->dev.pd, b->base,
						      b->len, T_SHIFTED_IOVA,
						      RV_ACCESS | RV_ODP);
		err = given(side->whole[kind], "a whole area's");
		if (!err)
			err = given(side->shifted[kind], "a shifted");
		for (i = 0; i < T_THREADS && !err; i++)
			err = t_part_make(p, side, i, kind);
	}
	side->implicit = ibv_reg_mr(side->dev.pd, NULL, SIZE_MAX,
				    RV_ACCESS | RV_ODP);
	if (!err && !t_stock())
		err = given(side->implicit, "the implicit");
	return err;
}

static int dereg(struct ibv_mr *mr)
{
	return mr ? -ibv_dereg_mr(mr) : 0;
}

static int side_fini(struct t_side *side)
{
	int kind, i, err = 0;

	for (kind = 0; kind < T_KINDS && !err; kind++) {
		for (i = 0; i < T_THREADS && !err; i++) {
			if (side->window[i][kind])
				err = -ibv_dealloc_mw(side->window[i][kind]);
			if (!err)
				err = dereg(side->part[i][kind]);
		}
		if (!err)
			err = dereg(side->shifted[kind]);
		if (!err)
			err = dereg(side->whole[kind]);
	}
	if (!err)
		err = dereg(side->implicit);
	if (err)
		rv_log("a region doesn't go: %s", strerror(-err));
	rv_dev_close(&side->dev);
	return err;
}

static int set_up(struct t_process *p)
{
	bool lossy = t_lossy(p->place);
	int i, kind, err = 0;

	for (i = 0; i < T_KINDS && !err; i++)
		err = t_area_init(&p->areas[i], i, t_dir());
	p->a = &p->sides[0];
	p->b = &p->sides[lossy];
	if (!err)
		err = side_init(p, p->a, lossy ? "rxe_a" : NULL);
	if (!err && lossy)
		err = side_init(p, p->b, "rxe_b");
	for (i = 0; i < T_THREADS && !err; i++) {
		err = t_thread_init(&threads[i], p, i);
		for (kind = 0; kind < T_KINDS && !err; kind++)
			err = t_window_make(&threads[i], kind);
	}
	return err;
}

/* What the threads must not notice. */
static void *stir(void *arg)
{
	static const int advice[] = {
		MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE, MADV_MERGEABLE,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_UNMERGEABLE,
	};
	struct rxe_hmm_migrate_resp resp;
	struct t_process *p = arg;
	const struct t_kind *kind;
	size_t off, len;
	int id, how;

	rv_rand_stream(t_stream(p->place, p->generation, T_THREADS));
	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		id = rv_rand_below(T_KINDS);
		kind = &t_kinds[id];
		len = T_THREADS * kind->stripe / kind->granule;
		off = rv_rand_below(len);
		len = rv_rand_between(1, len - off) * kind->granule;
		off *= kind->granule;
		how = rv_rand_below(12);
		if (how < 7)
			madvise(p->areas[id].buf.base + off, len, advice[how]);
		else if (how < 9)
			rv_prefetch(p->b->whole[id], p->areas[id].buf.base + off,
				    len, how & 1);
		else
			rv_hmm_migrate(p->b->whole[id], off, len,
				       how == 9 ? RV_SYSTEM : RV_DEVICE, &resp);
		t_count("(stirred)");
		rv_pause();
	}
	return NULL;
}

/* Everything that was read, and the guards that nobody writes. */
static int check_all(struct t_process *p)
{
	int i, err = 0;

	for (i = 0; i < T_KINDS; i++) {
		if (!rv_buf_check(&p->areas[i].buf))
			continue;
		rv_log("  (area of %s, at the end)", t_kinds[i].name);
		err = -EBADMSG;
	}
	return err;
}

static int no_thread(int err)
{
	rv_log("no thread: %s", strerror(err));
	return -err;
}

static int run(struct t_process *p)
{
	pthread_t stirrer;
	int i, err;

	for (i = 0; i < T_THREADS; i++) {
		err = pthread_create(&threads[i].thread, NULL, t_thread_run,
				     &threads[i]);
		if (err)
			return no_thread(err);
	}
	err = pthread_create(&stirrer, NULL, stir, p);
	if (err)
		return no_thread(err);
	for (i = 0; i < T_THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		if (threads[i].result)
			err = threads[i].result;
	}
	pthread_join(stirrer, NULL);
	return err ? err : check_all(p);
}

void t_process_run(int place, int generation, const sigset_t *mask)
{
	int i, err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self.place = place;
	self.generation = generation;
	rv_rand_stream(t_stream(place, generation, T_THREADS + 1));
	catch_signals();
	sigprocmask(SIG_SETMASK, mask, NULL);
	err = set_up(&self);
	if (err)
		rv_log("process %d.%d doesn't start: %s", place, generation,
		       rv_status(err));
	else
		err = run(&self);
	if (err) {
		rv_log("process %d.%d fails: %s", place, generation,
		       rv_status(err));
		_exit(1);
	}
	for (i = 0; i < T_THREADS; i++)
		t_thread_fini(&threads[i]);
	err = side_fini(self.a);
	if (self.b != self.a)
		err = side_fini(self.b) ? -EBUSY : err;
	_exit(!!err);
}
