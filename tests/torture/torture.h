/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Torture: processes whose threads let the device work on memory that changes
 * in every way a process can change it, while the system changes around them.
 *
 *	main	starts processes, kills some, starts others in their places
 *	chaos	what happens to the whole system meanwhile
 *	process	devices, areas, regions; its threads, and one that stirs
 *	thread	one step after the other, each chosen by its random numbers
 *	verbs	steps of the device
 *	space	steps of the address space
 *	flight	both at once
 *	area	memory of one kind, and its shadow, which is the model
 *
 * An area is cut into stripes, and each belongs to one thread. A step changes
 * bytes of its thread's stripes only, in the memory and in the shadow, which is
 * in no region. So at the end of a step each byte of a stripe is known, whatever
 * the other threads do; they do it within the same pages of page tables.
 *
 * What a thread does is a function of the seed, the process's place and
 * generation, and the thread: nothing that happens takes a random number or
 * spares one. How steps of several threads meet is not.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "rv.h"

#define T_THREADS	3
#define T_PLACES	3
#define T_MESSAGE	(40 * 1024UL)
#define T_SHIFTED_IOVA	0x123456003000UL

enum t_kind_id {
	T_PAGES, T_HUGE, T_SHARED, T_FILE, T_COPY, T_HUGETLB, T_KINDS
};

/*
 * struct t_kind - a kind of memory
 * @granule: the address space changes in units of this
 * @dropped: what is there after pages were dropped
 */
struct t_kind {
	const char *name;
	size_t stripe;
	size_t granule;
	int flags;
	int advice;
	enum { T_ZEROS, T_ORIGIN, T_STAYS } dropped;
};

/* Memory of a kind; of T_SHARED, T_FILE and T_COPY each stripe is a file. */
struct t_area {
	const struct t_kind *kind;
	struct rv_buf buf;
	int fd[T_THREADS];
	uint8_t *origin[T_THREADS];	/* T_COPY: the file, mapped elsewhere */
};

/* The ways to name a byte to the device. */
enum t_key { T_WHOLE, T_SHIFTED, T_PART, T_IMPLICIT, T_WINDOW, T_KEYS };

/* A device, and the regions there. */
struct t_side {
	struct rv_dev dev;
	struct ibv_mr *implicit;
	struct ibv_mr *whole[T_KINDS];
	struct ibv_mr *shifted[T_KINDS];	/* with other I/O addresses */
	struct ibv_mr *part[T_THREADS][T_KINDS];	/* registered anew */
	struct ibv_mw *window[T_THREADS][T_KINDS];
};

struct t_process {
	int place, generation;
	struct t_area areas[T_KINDS];
	struct t_side sides[2];
	struct t_side *a, *b;		/* who asks, who answers; or the same */
	bool stop;
};

/* Some bytes of a thread's stripe. */
struct t_spot {
	enum t_kind_id kind;
	size_t off;			/* in the area */
	size_t len;
};

struct t_thread {
	struct t_process *p;
	int id;
	struct rv_pair rc, uc, ud;
	struct rv_buf grh;		/* a pinned place for UD's header */
	struct ibv_mr *grh_mr;
	uint64_t step;
	struct t_spot to, from;		/* of the step, for messages */
	pthread_t thread;
	int result;
};

typedef int (*t_step_fn)(struct t_thread *t);

struct t_action {
	const char *name;
	t_step_fn fn;
	unsigned int weight;
};

extern const struct t_action t_verbs[], t_space[], t_flight[];

/* area.c */
extern const struct t_kind t_kinds[T_KINDS];
int t_area_init(struct t_area *a, enum t_kind_id id, const char *dir);
int t_area_map(struct t_area *a, size_t off, size_t len);
uint8_t *t_at(struct t_process *p, const struct t_spot *s);
uint8_t *t_shadow(struct t_process *p, const struct t_spot *s);
const uint8_t *t_dropped(struct t_area *a, size_t off);
void t_drop(struct t_process *p, const struct t_spot *s);
int t_file(struct t_thread *t, const struct t_spot *s, size_t *off);
int t_check_spot(struct t_process *p, const struct t_spot *s);
int t_check_stripes(struct t_thread *t);
struct t_spot t_pick(struct t_thread *t, size_t len);
struct t_spot t_pick_pages(struct t_thread *t, unsigned int kinds);
struct t_spot t_pick_beside(struct t_thread *t, const struct t_spot *not,
			    size_t len);
void t_pick_two(struct t_thread *t, size_t len);
bool t_overlap(const struct t_spot *x, const struct t_spot *y);
struct t_spot t_cover(struct t_process *p, const struct t_spot *s);

/* verbs.c */
struct ibv_sge t_sge(struct t_thread *t, struct t_side *side,
		     const struct t_spot *s, enum t_key key);
struct rv_remote t_remote(struct t_thread *t, const struct t_spot *s,
			  enum t_key key);
enum t_key t_pick_local(void);
enum t_key t_pick_key(void);
void t_copy(struct t_thread *t);
int t_wait(struct t_thread *t);
int t_refused(struct t_thread *t, const struct t_spot *not, struct rv_remote at,
	      size_t len, bool write);

/* space.c: so much address space, for pages that come back */
#define T_AWAY	(64UL << 20)
uint8_t *t_away(void);
void t_away_end(uint8_t *away, size_t len);

/* thread.c */
int t_thread_init(struct t_thread *t, struct t_process *p, int id);
void t_thread_fini(struct t_thread *t);
void *t_thread_run(void *arg);

/* process.c */
int t_part_make(struct t_process *p, struct t_side *side, int thread,
		enum t_kind_id kind);
int t_window_make(struct t_thread *t, enum t_kind_id kind);
/* does not return; the exit status tells */
void t_process_run(int place, int generation, const sigset_t *mask)
	__attribute__((noreturn));

/* main.c */
unsigned int t_stream(int place, int generation, int thread);
bool t_lossy(int place);
bool t_stock(void);
const char *t_dir(void);
void t_count(const char *name);

/* chaos.c */
extern const char *const t_chaos_names[];
int t_chaos_init(void);
void t_chaos_step(const pid_t *pids);
void t_chaos_calm(void);
void t_chaos_fini(void);

#endif
