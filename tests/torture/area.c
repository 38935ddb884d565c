// SPDX-License-Identifier: GPL-2.0
/* Areas: memory of each kind, what it must hold, and choosing parts of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

/* Stripes meet within 2 MiB, except where a page is as large as that. */
#define SMALL	(96 * RV_PAGE)
#define LARGE	(300 * RV_PAGE)

const struct t_kind t_kinds[T_KINDS] = {
	[T_PAGES] = { "pages", SMALL, RV_PAGE, MAP_PRIVATE | MAP_ANONYMOUS,
		      MADV_NOHUGEPAGE, T_ZEROS },
	[T_HUGE] = { "huge", LARGE, RV_PAGE, MAP_PRIVATE | MAP_ANONYMOUS,
		     MADV_HUGEPAGE, T_ZEROS },
	[T_SHARED] = { "shared", SMALL, RV_PAGE, MAP_SHARED, MADV_NORMAL,
		       T_STAYS },
	[T_FILE] = { "file", SMALL, RV_PAGE, MAP_SHARED, MADV_NORMAL,
		     T_STAYS },
	[T_COPY] = { "copy", SMALL, RV_PAGE, MAP_PRIVATE, MADV_NORMAL,
		     T_ORIGIN },
	[T_HUGETLB] = { "hugetlb", RV_HUGE, RV_HUGE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_HUGETLB, MADV_NORMAL, T_ZEROS },
};

static bool has_files(const struct t_area *a)
{
	return !(a->kind->flags & MAP_ANONYMOUS);
}

static int open_file(enum t_kind_id id, const char *dir)
{
	if (id == T_SHARED)
		return memfd_create("torture", MFD_CLOEXEC);
	return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int make_file(struct t_area *a, enum t_kind_id id, int i,
		     const char *dir)
{
	size_t len = a->kind->stripe;

	a->fd[i] = open_file(id, dir);
	if (a->fd[i] < 0 || ftruncate(a->fd[i], len))
		return -errno;
	if (a->kind->dropped != T_ORIGIN)
		return 0;
	a->origin[i] = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
			    a->fd[i], 0);
	if (a->origin[i] == MAP_FAILED)
		return -errno;
	rv_rand_fill(a->origin[i], len);
	return 0;
}

/* Map a part of one stripe, whatever is there. */
int t_area_map(struct t_area *a, size_t off, size_t len)
{
	int i = off / a->kind->stripe;
	uint8_t *at = a->buf.base + off;

	if (mmap(at, len, PROT_READ | PROT_WRITE, a->kind->flags | MAP_FIXED,
		 a->fd[i], off % a->kind->stripe) != at)
		return -errno;
	if (a->kind->advice != MADV_NORMAL)
		madvise(at, len, a->kind->advice);
	return 0;
}

int t_area_init(struct t_area *a, enum t_kind_id id, const char *dir)
{
	size_t stripe = t_kinds[id].stripe;
	int i, err;

	a->kind = &t_kinds[id];
	err = rv_buf_alloc_aligned(&a->buf, T_THREADS * stripe, RV_HUGE);
	for (i = 0; i < T_THREADS && !err; i++) {
		a->fd[i] = -1;
		if (has_files(a))
			err = make_file(a, id, i, dir);
		if (!err)
			err = t_area_map(a, i * stripe, stripe);
	}
	if (err) {
		rv_log("area of %s: %s", a->kind->name, strerror(-err));
		return err;
	}
	if (a->kind->dropped != T_ORIGIN) {
		rv_buf_fill(&a->buf);
		return 0;
	}
	rv_buf_fill_guards(&a->buf);
	for (i = 0; i < T_THREADS; i++)
		rv_buf_expect(&a->buf, i * stripe, a->origin[i], stripe);
	return 0;
}

uint8_t *t_at(struct t_process *p, const struct t_spot *s)
{
	return p->areas[s->kind].buf.base + s->off;
}

uint8_t *t_shadow(struct t_process *p, const struct t_spot *s)
{
	return rv_buf_shadow(&p->areas[s->kind].buf, s->off);
}

/* What is at an offset, up to the stripe's end, after a drop; NULL: the same. */
const uint8_t *t_dropped(struct t_area *a, size_t off)
{
	static const uint8_t zeros[RV_HUGE];
	size_t stripe = a->kind->stripe;

	switch (a->kind->dropped) {
	case T_ZEROS:
		return zeros + off % stripe;
	case T_ORIGIN:
		return a->origin[off / stripe] + off % stripe;
	default:
		return NULL;
	}
}

void t_drop(struct t_process *p, const struct t_spot *s)
{
	const uint8_t *now = t_dropped(&p->areas[s->kind], s->off);

	if (now)
		memcpy(t_shadow(p, s), now, s->len);
}

/* The file behind a spot, and the offset there; -1 if there is none. */
int t_file(struct t_thread *t, const struct t_spot *s, size_t *off)
{
	struct t_area *a = &t->p->areas[s->kind];

	*off = s->off % a->kind->stripe;
	return a->fd[t->id];
}

int t_check_spot(struct t_process *p, const struct t_spot *s)
{
	char what[64];

	snprintf(what, sizeof(what), "%s at offset %zu", t_kinds[s->kind].name,
		 s->off);
	return rv_compare(what, t_at(p, s), t_shadow(p, s), s->len) ?
	       -EBADMSG : 0;
}

int t_check_stripes(struct t_thread *t)
{
	struct t_spot s;
	int kind, res = 0;

	for (kind = 0; kind < T_KINDS && !res; kind++) {
		s.kind = kind;
		s.len = t_kinds[kind].stripe;
		s.off = t->id * s.len;
		res = t_check_spot(t->p, &s);
	}
	return res;
}

/* Any bytes of the thread's. */
struct t_spot t_pick(struct t_thread *t, size_t len)
{
	struct t_spot s = { .kind = rv_rand_below(T_KINDS), .len = len };
	size_t stripe = t_kinds[s.kind].stripe;

	s.off = t->id * stripe + rv_rand_below(stripe - len + 1);
	return s;
}

/* Whole pages of the thread's, of one of these kinds. */
struct t_spot t_pick_pages(struct t_thread *t, unsigned int kinds)
{
	const struct t_kind *kind;
	struct t_spot s;
	size_t pages, n, first;

	do {
		s.kind = rv_rand_below(T_KINDS);
	} while (!(kinds & 1U << s.kind));
	kind = &t_kinds[s.kind];
	pages = kind->stripe / kind->granule;
	first = rv_rand_below(pages);
	n = rv_rand_below(8) ? rv_rand_between(1, 30) : pages;
	if (n > pages - first)
		n = pages - first;
	s.off = t->id * kind->stripe + first * kind->granule;
	s.len = n * kind->granule;
	return s;
}

bool t_overlap(const struct t_spot *x, const struct t_spot *y)
{
	return x->kind == y->kind && x->off < y->off + y->len &&
	       y->off < x->off + x->len;
}

/* Any bytes of the thread's, but none of these. */
struct t_spot t_pick_beside(struct t_thread *t, const struct t_spot *not,
			    size_t len)
{
	struct t_spot s;

	do {
		s = t_pick(t, len);
	} while (t_overlap(&s, not));
	return s;
}

/* Where the step takes bytes from, and where to; len 0: any length. */
void t_pick_two(struct t_thread *t, size_t len)
{
	if (!len)
		len = rv_rand_len(1, T_MESSAGE);
	t->to = t_pick(t, len);
	t->from = t_pick_beside(t, &t->to, len);
}

/* Whole pages that have some of these bytes. */
struct t_spot t_cover(struct t_process *p, const struct t_spot *s)
{
	size_t granule = t_kinds[s->kind].granule;
	size_t a = rv_rand_below(s->len), b = rv_rand_below(s->len);
	struct t_spot c = *s;

	c.off = (s->off + (a < b ? a : b)) / granule * granule;
	c.len = (s->off + (a < b ? b : a)) / granule * granule + granule -
		c.off;
	return c;
}
