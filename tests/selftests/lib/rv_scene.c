// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rv_advise.h"
#include "rv_log.h"
#include "rv_op.h"
#include "rv_race.h"
#include "rv_rand.h"
#include "rv_scene.h"
#include "rv_sys.h"

#define SMALL	(64 * 1024)

int rv_scene_init(struct rv_scene *s, bool huge)
{
	struct rv_opts opts = { .mtu = 4096, .timeout = 20 };
	size_t len = huge ? RV_HUGE : SMALL;
	struct rv_ends *e = &s->e;
	int err;

	err = rv_ends_open(e, &opts, SMALL);
	if (err)
		return err;
	rv_buf_free(&e->mem_b);
	err = rv_buf_alloc_aligned(&e->mem_b, len, RV_HUGE);
	if (err)
		return err;
	madvise(e->mem_b.base, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	rv_buf_fill(&e->mem_b);
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_a && e->mr_b ? 0 : -errno;
}

void rv_scene_fini(struct rv_scene *s)
{
	rv_race_reset();
	rv_ends_fini(&s->e);
}

int rv_scene_post(struct rv_ends *e, enum rv_scene_op op)
{
	struct ibv_sge a = rv_ends_sge_a(e, 0, RV_SCENE_BYTES);
	struct ibv_sge b = rv_ends_sge_b(e, RV_SCENE_OFF, RV_SCENE_BYTES);
	struct rv_qp *qa = &e->pair.a, *qb = &e->pair.b;
	struct rv_remote at = rv_ends_remote(e, RV_SCENE_OFF);
	int err;

	switch (op) {
	case RV_SCENE_WRITE:
		return rv_post_write(qa, &a, 1, at);
	case RV_SCENE_READ:
		return rv_post_read(qa, &a, 1, at);
	case RV_SCENE_SEND:
		err = rv_post_recv(qb, &b, 1);
		return err ? err : rv_post_send(qa, &a, 1);
	case RV_SCENE_FROM:
		return rv_post_write(qb, &b, 1,
				     RV_REMOTE(e->mr_a, e->mem_a.base));
	case RV_SCENE_ADD:
		a.length = 8;
		return rv_post_fetch_add(qa, &a, at, 12345);
	}
	return -EINVAL;
}

int rv_scene_complete(struct rv_ends *e, enum rv_scene_op op)
{
	int res = rv_wait(op == RV_SCENE_FROM ? &e->pair.b : &e->pair.a);

	if (!res && op == RV_SCENE_SEND)
		res = rv_wait_recv(&e->pair.b, NULL);
	return res;
}

void rv_scene_effect(struct rv_ends *e, enum rv_scene_op op)
{
	struct rv_buf *a = &e->mem_a, *b = &e->mem_b;
	uint64_t word;

	switch (op) {
	case RV_SCENE_WRITE:
	case RV_SCENE_SEND:
		rv_buf_expect(b, RV_SCENE_OFF, rv_buf_shadow(a, 0),
			      RV_SCENE_BYTES);
		break;
	case RV_SCENE_READ:
	case RV_SCENE_FROM:
		rv_buf_expect(a, 0, rv_buf_shadow(b, RV_SCENE_OFF),
			      RV_SCENE_BYTES);
		break;
	case RV_SCENE_ADD:
		memcpy(&word, rv_buf_shadow(b, RV_SCENE_OFF), 8);
		rv_buf_expect(a, 0, &word, 8);
		word += 12345;
		rv_buf_expect(b, RV_SCENE_OFF, &word, 8);
		break;
	}
}

bool rv_scene_refused(enum rv_scene_op op, enum rv_scene_kind kind)
{
	return kind == RV_SCENE_NONE || (kind == RV_SCENE_RO &&
		op != RV_SCENE_READ && op != RV_SCENE_FROM);
}

/* The child looks at its copy, when it is told to, and compares. */
static int fork_copy(struct rv_scene *s)
{
	struct rv_buf *b = &s->e.mem_b;
	int pipes[2];
	char c;

	if (pipe(pipes))
		return -errno;
	s->child = fork();
	if (s->child < 0)
		return -errno;
	if (!s->child) {
		close(pipes[1]);
		if (read(pipes[0], &c, 1) != 1)
			_exit(2);
		_exit(rv_buf_check(b) ? 1 : 0);
	}
	close(pipes[0]);
	s->go = pipes[1];
	return 0;
}

int rv_scene_strike(struct rv_scene *s, enum rv_scene_kind kind)
{
	uint8_t *at = s->e.mem_b.base + RV_SCENE_CHANGE;
	void *p = at;
	int err = 0;

	switch (kind) {
	case RV_SCENE_DROP:
		err = madvise(at, RV_SCENE_CHANGED, MADV_DONTNEED);
		break;
	case RV_SCENE_FREE:
		err = madvise(at, RV_SCENE_CHANGED, MADV_FREE);
		err |= madvise(at, RV_SCENE_CHANGED, MADV_PAGEOUT);
		break;
	case RV_SCENE_MAP:
		err = munmap(at, RV_SCENE_CHANGED);
		break;
	case RV_SCENE_MOVE:
		p = mremap(at, RV_SCENE_CHANGED, RV_SCENE_CHANGED,
			   MREMAP_MAYMOVE | MREMAP_FIXED, s->moved);
		break;
	case RV_SCENE_FORK:
		return fork_copy(s);
	case RV_SCENE_RO:
		err = mprotect(at, RV_SCENE_CHANGED, PROT_READ);
		break;
	case RV_SCENE_NONE:
		err = mprotect(at, RV_SCENE_CHANGED, PROT_NONE);
		break;
	}
	return err || p == MAP_FAILED ? -errno : 0;
}

int rv_scene_settle(struct rv_scene *s, enum rv_scene_kind kind)
{
	struct rv_buf *b = &s->e.mem_b;
	uint8_t *at = b->base + RV_SCENE_CHANGE;

	if (kind >= RV_SCENE_FORK)
		return 0;
	if ((kind == RV_SCENE_MAP || kind == RV_SCENE_MOVE) &&
	    mmap(at, RV_SCENE_CHANGED, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != at)
		return -errno;
	rv_rand_fill(rv_buf_shadow(b, RV_SCENE_CHANGE), RV_SCENE_CHANGED);
	memcpy(at, rv_buf_shadow(b, RV_SCENE_CHANGE), RV_SCENE_CHANGED);
	return 0;
}

int rv_scene_prepare(struct rv_scene *s, enum rv_scene_kind kind)
{
	if (kind == RV_SCENE_MOVE) {
		s->moved = mmap(NULL, RV_SCENE_CHANGED, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (s->moved == MAP_FAILED)
			return -errno;
	}
	memcpy(s->before, rv_buf_shadow(&s->e.mem_b, RV_SCENE_CHANGE),
	       RV_SCENE_CHANGED);
	return 0;
}

int rv_scene_look_elsewhere(struct rv_scene *s, enum rv_scene_kind kind)
{
	int err = 0;

	if (kind == RV_SCENE_MOVE) {
		err = rv_compare("the pages that were moved away", s->moved,
				 s->before, RV_SCENE_CHANGED);
		munmap(s->moved, RV_SCENE_CHANGED);
	} else if (kind == RV_SCENE_FORK) {
		if (write(s->go, "x", 1) != 1)
			err = -errno;
		close(s->go);
		err |= rv_reap(s->child);
		if (err)
			rv_log("the child sees other bytes (%#x)", err);
	} else if (kind >= RV_SCENE_RO) {
		err = mprotect(s->e.mem_b.base + RV_SCENE_CHANGE,
			       RV_SCENE_CHANGED, PROT_READ | PROT_WRITE);
	}
	return err;
}

int rv_scene_go_on(struct rv_scene *s)
{
	uint8_t *new = rv_buf_shadow(&s->e.mem_b, RV_SCENE_CHANGE);
	int err = rv_ends_write(&s->e, 3000, RV_SCENE_OFF - 100,
				RV_SCENE_BYTES);

	rv_rand_fill(new, RV_SCENE_CHANGED);
	memcpy(s->e.mem_b.base + RV_SCENE_CHANGE, new, RV_SCENE_CHANGED);
	return err ? err : rv_ends_read(&s->e, 5000, RV_SCENE_OFF + 50,
					RV_SCENE_BYTES);
}

int rv_scene_catch(struct rv_scene *s, enum rv_scene_op op, const char *point)
{
	int i, err;

	for (i = 0; i < 5; i++) {
		rv_race_arm(point, 1, RV_SCENE_HOLD_MS);
		err = rv_scene_post(&s->e, op);
		if (!err)
			err = rv_race_wait(point, 1);
		if (err || rv_race_held(point) == 1)
			return err;
		err = rv_scene_complete(&s->e, op);
		if (err)
			return err;
		rv_scene_effect(&s->e, op);
	}
	rv_log("%s: always too late", point);
	return -ETIMEDOUT;
}
