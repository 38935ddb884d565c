// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of the address space: everything that a process does to its memory, with
 * nothing of the thread's under way. What that does to the bytes goes to the
 * shadow. flight.c does some of it while the device is at work.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

#define ANY	((1U << T_KINDS) - 1)
#define BUT(x)	(ANY & ~(1U << (x)))
#define FILES	(1U << T_SHARED | 1U << T_FILE)
#define ANON	(1U << T_PAGES | 1U << T_HUGE)

static int or_errno(int ret)
{
	return ret ? -errno : 0;
}

static int cpu_write(struct t_thread *t)
{
	t->to = t_pick(t, rv_rand_len(1, T_MESSAGE));
	rv_rand_fill(t_shadow(t->p, &t->to), t->to.len);
	memcpy(t_at(t->p, &t->to), t_shadow(t->p, &t->to), t->to.len);
	return 0;
}

static int cpu_look(struct t_thread *t)
{
	t->to = t_pick(t, rv_rand_len(1, T_MESSAGE));
	return t_check_spot(t->p, &t->to);
}

static int dontneed(struct t_thread *t)
{
	t->to = t_pick_pages(t, ANY);
	t_drop(t->p, &t->to);
	return or_errno(madvise(t_at(t->p, &t->to), t->to.len, MADV_DONTNEED));
}

static int map_anew(struct t_thread *t)
{
	return t_area_map(&t->p->areas[t->to.kind], t->to.off, t->to.len);
}

static int replace(struct t_thread *t)
{
	t->to = t_pick_pages(t, ANY);
	t_drop(t->p, &t->to);
	return map_anew(t);
}

/* Some bytes of the whole pages t->to. */
static struct t_spot part_of(struct t_thread *t)
{
	struct t_spot s = t->to;

	s.len = rv_rand_len(1, s.len < 4096 ? s.len : 4096);
	s.off += rv_rand_below(t->to.len - s.len + 1);
	return s;
}

static int unmapped(struct t_thread *t)
{
	bool write = rv_rand_below(2);
	struct t_spot s;
	int res;

	t->to = t_pick_pages(t, ANY);
	s = part_of(t);
	t_drop(t->p, &t->to);
	if (munmap(t_at(t->p, &t->to), t->to.len))
		return -errno;
	res = t_refused(t, &t->to, t_remote(t, &s, t_pick_key()), s.len, write);
	return res ? res : map_anew(t);
}

static int forbidden(struct t_thread *t)
{
	bool none = rv_rand_below(2), write = rv_rand_below(2) || !none;
	uint8_t *at;
	struct t_spot s;
	int res;

	t->to = t_pick_pages(t, ANY);
	s = part_of(t);
	at = t_at(t->p, &t->to);
	if (mprotect(at, t->to.len, none ? PROT_NONE : PROT_READ))
		return -errno;
	res = t_refused(t, &t->to, t_remote(t, &s, t_pick_key()), s.len, write);
	if (!res)
		res = or_errno(mprotect(at, t->to.len, PROT_READ | PROT_WRITE));
	return res ? res : t_check_spot(t->p, &s);
}

/*
 * Address space for pages to go to for a while. More than fits into a hole that
 * another thread has made for a while, too, and will map over again.
 */
uint8_t *t_away(void)
{
	uint8_t *away = mmap(NULL, T_AWAY, PROT_NONE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return away == MAP_FAILED ? NULL : away;
}

/*
 * The end of that: @len of it are gone, since pages that were there have gone
 * back. Another thread may have them by now.
 */
void t_away_end(uint8_t *away, size_t len)
{
	munmap(away + len, T_AWAY - len);
}

/*
 * Out and back. Only one mapping can be moved at once, and a single page is
 * always in one. What is zeroes without its pages leaves no hole.
 */
static int move(struct t_thread *t)
{
	uint8_t *at, *away;
	int flags, err;
	bool zeros;
	size_t len;

	t->to = t_pick_pages(t, BUT(T_HUGETLB));
	at = t_at(t->p, &t->to);
	len = t->to.len;
	zeros = t_kinds[t->to.kind].dropped == T_ZEROS;
	flags = MREMAP_MAYMOVE | MREMAP_FIXED | (zeros ? MREMAP_DONTUNMAP : 0);
	away = t_away();
	if (!away)
		return -errno;
	if (mremap(at, len, len, flags, away) == MAP_FAILED) {
		err = errno;
		t_away_end(away, 0);
		return err == EFAULT ? 0 : -err;
	}
	if (mremap(away, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		return -errno;
	t_away_end(away, len);
	return 0;
}

/* The child looks at a stripe, which the parent meanwhile writes to. */
static int fork_and_look(struct t_thread *t)
{
	enum t_kind_id kind = rv_rand_below(T_SHARED);
	struct t_spot s = { .kind = kind, .len = t_kinds[kind].stripe };
	pid_t pid;
	int res;

	s.off = t->id * s.len;
	pid = fork();
	if (!pid)
		_exit(!!rv_compare("the child's", t_at(t->p, &s),
				   t_shadow(t->p, &s), s.len));
	if (pid < 0)
		return -errno;
	res = t_verbs[0].fn(t);
	if (res)
		return res;
	res = rv_reap(pid);
	if (res > 0)
		rv_log("the child's %s are other bytes (%#x)",
		       t_kinds[kind].name, res);
	return res > 0 ? -EBADMSG : res;
}

/*
 * Pages of one byte each, one of few: the kernel may merge them with the pages
 * of others.
 */
static int merge(struct t_thread *t)
{
	size_t i;
	int byte;

	t->to = t_pick_pages(t, ANON);
	for (i = 0; i < t->to.len; i += RV_PAGE) {
		byte = rv_rand_below(4);
		memset(t_shadow(t->p, &t->to) + i, byte, RV_PAGE);
		memset(t_at(t->p, &t->to) + i, byte, RV_PAGE);
	}
	madvise(t_at(t->p, &t->to), t->to.len, MADV_MERGEABLE);
	return 0;
}

/*
 * The memory may be dropped until it is written, each page by itself; so the
 * process adds to a byte of each. What is there is the old page or zeros.
 */
static int lazy_free(struct t_thread *t)
{
	uint8_t *at, *want;
	size_t i;

	t->to = t_pick_pages(t, ANON);
	at = t_at(t->p, &t->to);
	want = t_shadow(t->p, &t->to);
	if (madvise(at, t->to.len, MADV_FREE))
		return -errno;
	for (i = 0; i < t->to.len; i += RV_PAGE) {
		__atomic_fetch_add(&at[i], 1, __ATOMIC_RELAXED);
		want[i]++;
		if (!memcmp(&at[i], &want[i], RV_PAGE))
			continue;
		memset(&want[i], 0, RV_PAGE);
		want[i] = 1;
	}
	return 0;
}

/* Advice that changes no byte, and that the kernel need not follow. */
static int advise(struct t_thread *t)
{
	static const int advice[] = {
		MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_UNMERGEABLE,
		MADV_WILLNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	int which = rv_rand_below(sizeof(advice) / sizeof(advice[0]));

	t->to = t_pick_pages(t, ANY);
	madvise(t_at(t->p, &t->to), t->to.len, advice[which]);
	return 0;
}

/* A huge page around there, of the neighbours' pages, too. */
static int collapse(struct t_thread *t)
{
	t->to = t_pick_pages(t, 1U << T_HUGE);
	madvise((void *)((uintptr_t)t_at(t->p, &t->to) & ~(RV_HUGE - 1)),
		RV_HUGE, MADV_COLLAPSE);
	return 0;
}

static int lock(struct t_thread *t)
{
	int res;

	t->to = t_pick_pages(t, ANY);
	mlock(t_at(t->p, &t->to), t->to.len);
	res = t_verbs[0].fn(t);
	return res ? res : or_errno(munlockall());
}

static int punch(struct t_thread *t)
{
	size_t off;
	int fd;

	t->to = t_pick_pages(t, FILES);
	fd = t_file(t, &t->to, &off);
	memset(t_shadow(t->p, &t->to), 0, t->to.len);
	return or_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, off, t->to.len));
}

/* The file ends before the mapping does, and then no longer. */
static int truncated(struct t_thread *t)
{
	bool write = rv_rand_below(2);
	struct t_spot s;
	size_t off, len;
	int fd, res;

	t->to = t_pick_pages(t, FILES);
	s = part_of(t);
	fd = t_file(t, &t->to, &off);
	len = t_kinds[t->to.kind].stripe;
	t->to.len = len - off;
	memset(t_shadow(t->p, &t->to), 0, t->to.len);
	if (ftruncate(fd, off))
		return -errno;
	res = t_refused(t, &t->to, t_remote(t, &s, t_pick_key()), s.len, write);
	return res ? res : or_errno(ftruncate(fd, len));
}

static int sync_file(struct t_thread *t)
{
	uint8_t seen[RV_PAGE];
	size_t off;
	int fd;

	t->to = t_pick_pages(t, FILES);
	fd = t_file(t, &t->to, &off);
	if (rv_rand_below(2) &&
	    msync(t_at(t->p, &t->to), t->to.len, MS_SYNC))
		return -errno;
	if (pread(fd, seen, sizeof(seen), off) != sizeof(seen))
		return -errno;
	return rv_compare("file", seen, t_shadow(t->p, &t->to), sizeof(seen)) ?
	       -EBADMSG : 0;
}

/* Where the pages are to be; a device without memory leaves them. */
static int place(struct t_thread *t)
{
	static const int places[] = {
		RV_DEVICE, RV_DEVICE, RV_DEVICE, RV_SYSTEM,
	};
	int to = places[rv_rand_below(4)];
	struct rxe_hmm_migrate_resp resp;

	t->to = t_pick_pages(t, ANY);
	return rv_hmm_migrate(t->p->b->whole[t->to.kind], t->to.off, t->to.len,
			      to, &resp);
}

static int prefer(struct t_thread *t)
{
	static const int places[] = { RV_DEVICE, RV_SYSTEM, RV_STAY, RV_NONE };
	int to = places[rv_rand_below(4)];

	t->to = t_pick_pages(t, ANY);
	return rv_hmm_prefer(t->p->b->whole[t->to.kind], t->to.off, t->to.len,
			     to);
}

static int prefetch(struct t_thread *t)
{
	unsigned int advice = rv_rand_below(3), flags = rv_rand_below(2);
	struct ibv_sge sge;

	t->to = t_pick_pages(t, ANY);
	sge = t_sge(t, t->p->b, &t->to, t_pick_local());
	return rv_advise(t->p->b->dev.pd, advice, flags, &sge, 1);
}

static int region_again(struct t_thread *t)
{
	struct t_side *side = rv_rand_below(2) ? t->p->a : t->p->b;

	return t_part_make(t->p, side, t->id, rv_rand_below(T_KINDS));
}

static int window_again(struct t_thread *t)
{
	return t_window_make(t, rv_rand_below(T_KINDS));
}

static int pairs_again(struct t_thread *t)
{
	int err = rv_pair_again(&t->rc);

	if (!err)
		err = rv_pair_again(&t->uc);
	return err ? err : rv_pair_again(&t->ud);
}

const struct t_action t_space[] = {
	{ "process writes", cpu_write, 8 },
	{ "process looks", cpu_look, 6 },
	{ "DONTNEED", dontneed, 4 },
	{ "new mapping", replace, 4 },
	{ "refused, unmapped", unmapped, 2 },
	{ "refused, protected", forbidden, 2 },
	{ "refused, truncated", truncated, 1 },
	{ "mremap", move, 4 },
	{ "fork", fork_and_look, 3 },
	{ "equal pages", merge, 3 },
	{ "FREE", lazy_free, 3 },
	{ "other advice", advise, 8 },
	{ "collapse", collapse, 2 },
	{ "mlock", lock, 2 },
	{ "hole in a file", punch, 2 },
	{ "sync and read of a file", sync_file, 2 },
	{ "migrate", place, 8 },
	{ "prefer", prefer, 2 },
	{ "prefetch", prefetch, 4 },
	{ "new region", region_again, 3 },
	{ "new window", window_again, 2 },
	{ "new queue pairs", pairs_again, 1 },
	{}
};
