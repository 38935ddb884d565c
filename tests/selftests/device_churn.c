// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once with device memory: threads that own a stripe of one
 * region each do to it at random what a process and a device can do to memory,
 * while others move pages of all of it to the device and back. A shadow copy
 * says what each stripe must hold after each step.
 *
 * The stripes lie across each other's blocks of 2 MiB, and one variant's device
 * is smaller than the region, so that pages are evicted all the time.
 *
 * RXE_CHURN_SECONDS says for how long each variant runs; the default is 12.
 * Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define WORKERS	3
#define MOVERS	1
#define STRIPE	(600 * RV_PAGE)
#define LEN	(4 * RV_HUGE)		/* more than the stripes need */
#define BLOCK	(16 * 1024UL)

enum action {
	DEV_WRITE = RV_STRIPE_WRITE,
	DEV_READ = RV_STRIPE_READ,
	DEV_SEND = RV_STRIPE_SEND,
	DEV_ATOMIC = RV_STRIPE_ATOMIC,
	CPU_WRITE, CPU_LOOK, PROMOTE, DEMOTE, DROP, REPLACE, PROTECT, MOVE,
	FORK, COLLAPSE, FREE,
	PAGEOUT, PREFETCH, ACTIONS
};

static const char *const names[] = {
	"device write", "device read", "device send", "device atomic",
	"process write", "process look", "promote", "demote", "DONTNEED",
	"new mapping", "mprotect", "mremap", "fork", "collapse", "FREE",
	"PAGEOUT", "prefetch",
};

struct worker {
	struct rv_stripe s;
	int id, result;
	uint64_t steps, until_ms;
	pthread_t thread;
};

/* Moves any pages of the region, over the borders of stripes. */
struct mover {
	struct ibv_mr *mr;
	int id;
	int64_t result;
	uint64_t moves;
	bool stop;
	pthread_t thread;
};

FIXTURE(device_churn)
{
	struct rv_ends e;
	struct worker w[WORKERS];
	struct mover m[MOVERS];
};

FIXTURE_VARIANT(device_churn)
{
	int advice;
	const char *size;
};

FIXTURE_VARIANT_ADD(device_churn, pages)
{
	.advice = MADV_NOHUGEPAGE,
	.size = "32M",
};

FIXTURE_VARIANT_ADD(device_churn, thp)
{
	.advice = MADV_HUGEPAGE,
	.size = "32M",
};

FIXTURE_VARIANT_ADD(device_churn, pages_full)
{
	.advice = MADV_NOHUGEPAGE,
	.size = "4M",
};

FIXTURE_VARIANT_ADD(device_churn, thp_full)
{
	.advice = MADV_HUGEPAGE,
	.size = "4M",
};

FIXTURE_SETUP(device_churn)
{
	struct rv_opts opts = { .mtu = 4096 };

	ASSERT_EQ(0, rv_dmem_init(&self->e, &opts, variant->size, LEN,
				  variant->advice));
}

FIXTURE_TEARDOWN(device_churn)
{
	EXPECT_EQ(0, rv_dmem_fini(&self->e));
}

/*
 * The child looks at the worker's stripe only, and writes to its copy, while
 * the device writes to the parent's.
 */
static int fork_and_look(struct worker *w)
{
	uint8_t *at = w->s.e.mem_b.base + w->s.off;
	size_t page = rv_rand_below(STRIPE / RV_PAGE) * RV_PAGE;
	pid_t pid = fork();
	int status;

	if (!pid) {
		memset(at + page, 0x5a, RV_PAGE);
		memset(rv_buf_shadow(&w->s.e.mem_b, w->s.off + page), 0x5a,
		       RV_PAGE);
		_exit(memcmp(at, rv_buf_shadow(&w->s.e.mem_b, w->s.off), STRIPE) ?
		      1 : 0);
	}
	if (pid < 0)
		return -errno;
	status = rv_stripe_transfer(&w->s, RV_STRIPE_WRITE);
	if (!status && rv_rand_below(2))
		status = rv_promote(w->s.e.mr_b, w->s.off, STRIPE) < 0 ? -EIO : 0;
	if (!status)
		status = rv_stripe_transfer(&w->s, RV_STRIPE_WRITE);
	if (status)
		return status;
	status = rv_reap(pid);
	if (status)
		rv_log("the child sees other bytes (%#x)", status);
	return status ? -EBADMSG : 0;
}

/*
 * The memory may be dropped until it is written, each page by itself: the
 * process adds to a byte of each page, so that none is from then on. What is
 * there is the old page or one of zeros.
 */
static int lazy_free(struct worker *w, size_t off, size_t len)
{
	uint8_t *at = w->s.e.mem_b.base + off;
	uint8_t *want = rv_buf_shadow(&w->s.e.mem_b, off);
	size_t i;

	if (madvise(at, len, MADV_FREE))
		return -errno;
	if (rv_rand_below(2))
		rv_hmm_migrate(w->s.e.mr_b, off, len, RV_DEVICE,
			       &(struct rxe_hmm_migrate_resp){});
	for (i = 0; i < len; i += RV_PAGE) {
		__atomic_fetch_add(&at[i], 1, __ATOMIC_RELAXED);
		want[i]++;
		if (!memcmp(&at[i], &want[i], RV_PAGE))
			continue;
		memset(&want[i], 0, RV_PAGE);
		want[i] = 1;
	}
	return 0;
}

static int act(struct worker *w, enum action what)
{
	size_t page = rv_rand_below(STRIPE / RV_PAGE);
	size_t n = rv_rand_len(1, STRIPE / RV_PAGE - page), off, len;
	uint8_t *at;

	off = w->s.off + page * RV_PAGE;
	len = n * RV_PAGE;
	at = w->s.e.mem_b.base + off;
	switch (what) {
	case CPU_WRITE:
		rv_rand_fill(rv_buf_shadow(&w->s.e.mem_b, off + 9), len - 9);
		memcpy(at + 9, rv_buf_shadow(&w->s.e.mem_b, off + 9), len - 9);
		return 0;
	case CPU_LOOK:
		return rv_compare("part", at, rv_buf_shadow(&w->s.e.mem_b, off),
				  len) ? -EBADMSG : 0;
	case PROMOTE:
	case DEMOTE:
		return rv_hmm_migrate(w->s.e.mr_b, off, len,
				      what == PROMOTE ? RV_DEVICE : RV_SYSTEM,
				      &(struct rxe_hmm_migrate_resp){});
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
	case FREE:
		return lazy_free(w, off, len);
	case PAGEOUT:
		madvise(at, len, MADV_PAGEOUT);
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

	rv_rand_stream(w->id + 1);
	for (; rv_now_ms() < w->until_ms && !w->result; w->steps++) {
		/* Half of all is the device's, or there is nothing to see. */
		what = rv_rand_below(2) ? rv_rand_below(DEV_ATOMIC + 1) :
		       rv_rand_below(ACTIONS);
		w->result = act(w, what);
		if (!w->result && w->steps % 16 == 15)
			w->result = rv_stripe_check(&w->s);
		if (w->result)
			rv_log("worker %d, step %llu: %s: %s", w->id,
			       (unsigned long long)w->steps, names[what],
			       rv_status(w->result));
	}
	return NULL;
}

static void *move_pages(void *arg)
{
	struct rxe_hmm_migrate_resp resp;
	struct mover *m = arg;
	size_t page, n;

	rv_rand_stream(100 + m->id);
	while (!m->result && !__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		page = rv_rand_below(LEN / RV_PAGE);
		n = LEN / RV_PAGE - page;
		n = rv_rand_len(1, n < 600 ? n : 600);
		m->result = rv_hmm_migrate(m->mr, page * RV_PAGE, n * RV_PAGE,
					   rv_rand_below(3) ? RV_DEVICE :
					   RV_SYSTEM, &resp);
		if (!m->result && rv_hmm_total(&resp) != n) {
			rv_log("%zu pages, told of %llu", n,
			       (unsigned long long)rv_hmm_total(&resp));
			m->result = -EBADMSG;
		}
		m->moves += m->result ? 0 : resp.moved;
	}
	return NULL;
}

static int start(struct rv_ends *e, struct worker *w, struct mover *m)
{
	uint64_t ms = rv_env("RXE_CHURN_SECONDS", rv_shrink(10) + 2) * 1000;
	struct rv_opts opts = {};
	int i, err;

	for (i = 0; i < WORKERS; i++) {
		w[i].s.e = *e;
		w[i].s.off = i * STRIPE + 13 * RV_PAGE;
		w[i].s.len = STRIPE;
		w[i].s.a = i * BLOCK;
		w[i].s.a_len = BLOCK;
		w[i].id = i;
		opts.mtu = i % 2 ? 4096 : 1024;
		err = rv_pair_init(&w[i].s.e.pair, &e->dev, &opts);
		if (err)
			return err;
	}
	for (i = 0; i < MOVERS; i++) {
		m[i].mr = e->mr_b;
		m[i].id = i;
		err = pthread_create(&m[i].thread, NULL, move_pages, &m[i]);
		if (err)
			return -err;
	}
	for (i = 0; i < WORKERS; i++) {
		w[i].until_ms = rv_now_ms() + ms;
		err = pthread_create(&w[i].thread, NULL, work, &w[i]);
		if (err)
			return -err;
	}
	return 0;
}

TEST_F_TIMEOUT(device_churn, stripes, 600)
{
	struct worker *w = self->w;
	struct mover *m = self->m;
	struct rv_moves moves;
	int i;

	ASSERT_EQ(0, start(&self->e, w, m));
	for (i = 0; i < WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < MOVERS; i++) {
		__atomic_store_n(&m[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(m[i].thread, NULL);
		EXPECT_EQ(0, m[i].result);
		rv_log("mover %d: %llu pages", i,
		       (unsigned long long)m[i].moves);
	}
	for (i = 0; i < WORKERS; i++) {
		EXPECT_RV(0, w[i].result);
		rv_log("worker %d: %llu steps", i,
		       (unsigned long long)w[i].steps);
		rv_pair_fini(&w[i].s.e.pair);
	}
	moves = rv_moves(&self->e.dev);
	rv_log("since ever: promoted %lld, demoted %lld, evicted %lld, faulted %lld",
	       (long long)moves.promoted, (long long)moves.demoted,
	       (long long)moves.evicted, (long long)moves.cpu_faulted);
	ASSERT_RV_OK(rv_ends_check(&self->e));
}

RV_HARNESS_MAIN
