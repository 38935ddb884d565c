// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: threads that own a stripe of one big region each, and do
 * to it at random what a process and a device can do to memory. A shadow copy
 * says what each stripe must hold after each step.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define WORKERS	4
#define STRIPE	(150 * RV_PAGE)		/* stripes meet within 2 MiB */
#define LEN	(WORKERS * STRIPE)
#define BLOCK	(16 * 1024UL)
#define ROUNDS	200

enum action {
	DEV_WRITE = RV_STRIPE_WRITE,
	DEV_READ = RV_STRIPE_READ,
	DEV_SEND = RV_STRIPE_SEND,
	DEV_ATOMIC = RV_STRIPE_ATOMIC,
	CPU_WRITE, DROP, REPLACE, PROTECT, MOVE, FORK, COLLAPSE, PREFETCH,
	ACTIONS
};

static const char *const names[] = {
	"device write", "device read", "device send", "device atomic",
	"process write", "DONTNEED", "new mapping", "mprotect", "mremap",
	"fork", "collapse", "prefetch",
};

struct worker {
	struct rv_stripe s;
	int id, result;
	uint64_t done[ACTIONS];
	pthread_t thread;
};

FIXTURE(churn)
{
	struct rv_ends e;
	struct worker w[WORKERS];
};

FIXTURE_VARIANT(churn)
{
	int advice;
};

FIXTURE_VARIANT_ADD(churn, small_pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(churn, huge_pages)
{
	.advice = MADV_HUGEPAGE,
};

FIXTURE_SETUP(churn)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct rv_ends *e = &self->e;

	ASSERT_EQ(0, rv_ends_open(e, &opts, WORKERS * BLOCK));
	rv_buf_free(&e->mem_b);
	ASSERT_EQ(0, rv_buf_alloc_aligned(&e->mem_b, LEN, RV_HUGE));
	madvise(e->mem_b.base, LEN, variant->advice);
	rv_buf_fill(&e->mem_b);
	ASSERT_EQ(0, rv_ends_reg(e, RV_ODP, RV_ODP));
}

FIXTURE_TEARDOWN(churn)
{
	rv_ends_fini(&self->e);
}

/* The child looks at the worker's stripe only: others go on in theirs. */
static int fork_and_look(struct worker *w)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(memcmp(w->s.e.mem_b.base + w->s.off,
			     rv_buf_shadow(&w->s.e.mem_b, w->s.off), STRIPE) ?
		      1 : 0);
	if (pid < 0)
		return -errno;
	/* Here a copy is made of what the child still looks at. */
	status = rv_stripe_transfer(&w->s, RV_STRIPE_WRITE);
	if (status)
		return status;
	status = rv_reap(pid);
	if (status)
		rv_log("the child sees other bytes (%#x)", status);
	return status ? -EBADMSG : 0;
}

static int act(struct worker *w, enum action what)
{
	size_t page = rv_rand_below(STRIPE / RV_PAGE);
	size_t n = rv_rand_between(1, 30), off, len;
	uint8_t *at;

	if (page + n > STRIPE / RV_PAGE)
		n = STRIPE / RV_PAGE - page;
	off = w->s.off + page * RV_PAGE;
	len = n * RV_PAGE;
	at = w->s.e.mem_b.base + off;
	switch (what) {
	case CPU_WRITE:
		rv_rand_fill(rv_buf_shadow(&w->s.e.mem_b, off + 9), len - 9);
		memcpy(at + 9, rv_buf_shadow(&w->s.e.mem_b, off + 9), len - 9);
		return 0;
	case DROP:
		rv_buf_expect_byte(&w->s.e.mem_b, off, 0, len);
		return madvise(at, len, MADV_DONTNEED) ? -errno : 0;
	case REPLACE:
		rv_buf_expect_byte(&w->s.e.mem_b, off, 0, len);
		return mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at ?
		       0 : -errno;
	case PROTECT:
		if (mprotect(at, len, rv_rand_below(2) ? PROT_READ : PROT_NONE))
			return -errno;
		return mprotect(at, len, PROT_READ | PROT_WRITE) ? -errno : 0;
	case MOVE:
		return rv_stripe_move(at, len);
	case FORK:
		return fork_and_look(w);
	case COLLAPSE:
		/* Also of the neighbours' pages. It need not succeed. */
		madvise((void *)((uintptr_t)at & ~(RV_HUGE - 1)), RV_HUGE,
			MADV_COLLAPSE);
		return 0;
	case PREFETCH:
		return rv_prefetch(w->s.e.mr_b, at, len, rv_rand_below(2));
	default:
		return rv_stripe_transfer(&w->s, (enum rv_stripe_op)what);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	enum action what;
	int i;

	rv_rand_stream(w->id + 1);
	for (i = 0; i < rv_shrink(ROUNDS) && !w->result; i++) {
		/* Half of all is the device's, or there is nothing to see. */
		what = rv_rand_below(2) ? rv_rand_below(DEV_ATOMIC + 1) :
		       rv_rand_below(ACTIONS);
		w->done[what]++;
		w->result = act(w, what);
		if (!w->result && i % 4 == 3)
			w->result = rv_stripe_check(&w->s);
		if (w->result)
			rv_log("worker %d, step %d: %s: %s", w->id, i,
			       names[what], rv_status(w->result));
	}
	return NULL;
}

TEST_F_TIMEOUT(churn, stripes, 240)
{
	struct rv_opts opts = { .mtu = 4096 };
	struct worker *w = self->w;
	int i;

	for (i = 0; i < WORKERS; i++) {
		w[i].s.e = self->e;
		w[i].s.off = i * STRIPE;
		w[i].s.len = STRIPE;
		w[i].s.a = i * BLOCK;
		w[i].s.a_len = BLOCK;
		w[i].id = i;
		opts.mtu = i % 2 ? 4096 : 1024;
		ASSERT_EQ(0, rv_pair_init(&w[i].s.e.pair, &self->e.dev, &opts));
	}
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	for (i = 0; i < WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < WORKERS; i++) {
		EXPECT_RV(0, w[i].result);
		rv_pair_fini(&w[i].s.e.pair);
	}
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

RV_HARNESS_MAIN
