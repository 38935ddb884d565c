// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of both at once: an operation is under way while the pages that it works
 * on change. It may win or lose, and each page by itself:
 *
 *	change		the operation	a byte that it moved
 *	dropped		succeeds	new, or what is there after a drop
 *	taken away	succeeds	new
 *	  for a while	is refused	new or old
 *	anything else	succeeds	new
 *
 * All other bytes of the pages are what the change made of them. What a byte of
 * the source can be, new can be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

enum change { DROP, REPLACE, PROTECT, AWAY, FORK, STIR };

/*
 * struct flight - a transfer, and a change of pages under it
 * @pages: those that change; they have bytes of t->to or of t->from
 */
struct flight {
	enum change change;
	bool read;
	struct t_spot pages;
	uint8_t *away;
};

static int post(struct t_thread *t, bool read)
{
	struct ibv_sge sge;

	if (read) {
		sge = t_sge(t, t->p->a, &t->to, t_pick_local());
		return rv_post_read(&t->rc.a, &sge, 1,
				    t_remote(t, &t->from, t_pick_key()));
	}
	sge = t_sge(t, t->p->a, &t->from, t_pick_local());
	return rv_post_write(&t->rc.a, &sge, 1,
			     t_remote(t, &t->to, t_pick_key()));
}

/* The place where the pages go for a while was mapped before. */
static int go_away(struct flight *f, uint8_t *at)
{
	int err;

	if (mremap(at, f->pages.len, f->pages.len, MREMAP_MAYMOVE |
		   MREMAP_FIXED, f->away) == f->away)
		return 0;
	/* more than one mapping: they stay */
	err = errno;
	t_away_end(f->away, 0);
	f->away = NULL;
	return err == EFAULT ? 0 : -err;
}

static int change(struct t_thread *t, struct flight *f, int advice)
{
	uint8_t *at = t_at(t->p, &f->pages);
	size_t len = f->pages.len;
	pid_t pid;

	switch (f->change) {
	case DROP:
		return madvise(at, len, MADV_DONTNEED) ? -errno : 0;
	case REPLACE:
		return t_area_map(&t->p->areas[f->pages.kind], f->pages.off,
				  len);
	case PROTECT:
		return mprotect(at, len, PROT_NONE) ? -errno : 0;
	case AWAY:
		return go_away(f, at);
	case FORK:
		pid = fork();
		if (!pid)
			_exit(0);
		return pid < 0 ? -errno : rv_reap(pid);
	default:
		madvise(at, len, advice);
		return 0;
	}
}

/* The operation has ended: the pages come back, if they were taken away. */
static int change_back(struct t_thread *t, struct flight *f)
{
	uint8_t *at = t_at(t->p, &f->pages);
	size_t len = f->pages.len;

	if (f->change == PROTECT)
		return mprotect(at, len, PROT_READ | PROT_WRITE) ? -errno : 0;
	if (f->change != AWAY || !f->away)
		return 0;
	if (mremap(f->away, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		return -errno;
	t_away_end(f->away, len);
	return 0;
}

/* Can the operation end like that because the pages weren't there? */
static bool refused_by(struct t_thread *t, const struct flight *f, int res)
{
	const struct t_spot *here = f->read ? &t->to : &t->from;
	const struct t_spot *there = f->read ? &t->from : &t->to;

	if (f->change != PROTECT && f->change != AWAY)
		return false;
	return (res == IBV_WC_LOC_PROT_ERR && t_overlap(&f->pages, here)) ||
	       (res == IBV_WC_REM_ACCESS_ERR && t_overlap(&f->pages, there));
}

static bool in_pages(const struct flight *f, const struct t_spot *s, size_t i)
{
	return s->kind == f->pages.kind && s->off + i >= f->pages.off &&
	       s->off + i < f->pages.off + f->pages.len;
}

/* What a byte of a spot is after a drop of the pages; -1 if it is no other. */
static int dropped(struct t_thread *t, const struct flight *f,
		   const struct t_spot *s, size_t i)
{
	const uint8_t *now;

	if ((f->change != DROP && f->change != REPLACE) || !in_pages(f, s, i))
		return -1;
	now = t_dropped(&t->p->areas[s->kind], s->off);
	return now ? now[i] : -1;
}

/* Is each byte what it can be? Then the shadow gets it. */
static int settle(struct t_thread *t, struct flight *f, bool refused)
{
	uint8_t *want = t_shadow(t->p, &t->to), *seen = t_at(t->p, &t->to);
	const uint8_t *new = t_shadow(t->p, &t->from);
	size_t i;

	for (i = 0; i < t->to.len; i++) {
		if (seen[i] != new[i] && !(refused && seen[i] == want[i]) &&
		    seen[i] != dropped(t, f, &t->to, i) &&
		    seen[i] != dropped(t, f, &t->from, i)) {
			rv_log("byte %zu: %#x, for %#x, before %#x, dropped %d %d",
			       i, seen[i], new[i], want[i],
			       dropped(t, f, &t->to, i),
			       dropped(t, f, &t->from, i));
			return -EBADMSG;
		}
	}
	if (f->change == DROP || f->change == REPLACE)
		t_drop(t->p, &f->pages);
	memcpy(want, seen, t->to.len);
	return t_check_spot(t->p, &f->pages);
}

static int fly(struct t_thread *t, enum change what)
{
	static const int advice[] = {
		MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE, MADV_NOHUGEPAGE,
		MADV_HUGEPAGE, MADV_MERGEABLE, MADV_UNMERGEABLE,
	};
	struct flight f = { .change = what, .read = rv_rand_below(2) };
	int how = advice[rv_rand_below(sizeof(advice) / sizeof(advice[0]))];
	bool refused;
	int res;

	t_pick_two(t, rv_rand_between(1, T_MESSAGE));
	f.pages = t_cover(t->p, rv_rand_below(2) ? &t->to : &t->from);
	if (what == AWAY && f.pages.kind == T_HUGETLB)
		f.change = PROTECT;
	if (f.change == AWAY) {
		f.away = t_away();
		if (!f.away)
			return -errno;
	}
	res = post(t, f.read);
	if (!res)
		res = change(t, &f, how);
	if (res)
		return res;
	res = t_wait(t);
	refused = refused_by(t, &f, res);
	if (res && !refused)
		return res;
	res = change_back(t, &f);
	if (!res && refused)
		res = rv_pair_again(&t->rc);
	return res ? res : settle(t, &f, refused);
}

#define FLY(_name, _change)			\
	static int _name(struct t_thread *t)	\
	{					\
		return fly(t, _change);		\
	}

FLY(under_drop, DROP)
FLY(under_replace, REPLACE)
FLY(under_protect, PROTECT)
FLY(under_move, AWAY)
FLY(under_fork, FORK)
FLY(under_advice, STIR)

const struct t_action t_flight[] = {
	{ "transfer under DONTNEED", under_drop, 4 },
	{ "transfer under a new mapping", under_replace, 4 },
	{ "transfer under mprotect", under_protect, 3 },
	{ "transfer under mremap", under_move, 3 },
	{ "transfer under fork", under_fork, 3 },
	{ "transfer under other advice", under_advice, 4 },
	{}
};
