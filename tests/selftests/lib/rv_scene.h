/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An operation of the device, and a change of the memory that it works on. One
 * of the two is held at a race point while the other happens.
 */
#ifndef RV_SCENE_H
#define RV_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "rv_ends.h"

/* One packet, over a page's end, within the pages that change. */
#define RV_SCENE_OFF		(3 * RV_PAGE + 504)
#define RV_SCENE_BYTES		4000
#define RV_SCENE_CHANGE		(2 * RV_PAGE)
#define RV_SCENE_CHANGED	(5 * RV_PAGE)

/* How long to hold what can't be let go; see rv_race.h. */
#define RV_SCENE_HOLD_MS	700

enum rv_scene_op {
	RV_SCENE_WRITE, RV_SCENE_READ, RV_SCENE_SEND, RV_SCENE_FROM,
	RV_SCENE_ADD
};

/*
 * DROP	MADV_DONTNEED			MAP	munmap() and a new mapping
 * MOVE	mremap(), and a new mapping	FREE	MADV_FREE and reclaim
 * FORK	copy on write			RO	mprotect(PROT_READ)
 * NONE	mprotect(PROT_NONE)
 */
enum rv_scene_kind {
	RV_SCENE_DROP, RV_SCENE_MAP, RV_SCENE_MOVE, RV_SCENE_FREE,
	RV_SCENE_FORK, RV_SCENE_RO, RV_SCENE_NONE
};

struct rv_scene {
	struct rv_ends e;	/* mem_a pinned, mem_b on demand */
	uint8_t *moved;		/* where MOVE has put the pages */
	uint8_t before[RV_SCENE_CHANGED];
	int child;		/* of FORK */
	int go;			/* tells it to look at its memory */
};

/* All that return int: 0 or -errno, or what an operation came to. */
int rv_scene_init(struct rv_scene *s, bool huge);
void rv_scene_fini(struct rv_scene *s);

int rv_scene_post(struct rv_ends *e, enum rv_scene_op op);
int rv_scene_complete(struct rv_ends *e, enum rv_scene_op op);
/* What a finished operation leaves in the memory. */
void rv_scene_effect(struct rv_ends *e, enum rv_scene_op op);

/*
 * Hold an operation at a point where it can't be let go, and return while it
 * is held. A slow machine may be too late: then it has done no harm, and is
 * tried again.
 */
int rv_scene_catch(struct rv_scene *s, enum rv_scene_op op, const char *point);

/* Before the change. */
int rv_scene_prepare(struct rv_scene *s, enum rv_scene_kind kind);
/* The change itself: nothing but system calls. */
int rv_scene_strike(struct rv_scene *s, enum rv_scene_kind kind);
/* New contents for what has lost its old ones. */
int rv_scene_settle(struct rv_scene *s, enum rv_scene_kind kind);
/* Does the change make the operation fail? */
bool rv_scene_refused(enum rv_scene_op op, enum rv_scene_kind kind);
/* The pages that are no longer the region's are as they were. */
int rv_scene_look_elsewhere(struct rv_scene *s, enum rv_scene_kind kind);

/* Whatever was installed in the end, it is not stale. */
int rv_scene_go_on(struct rv_scene *s);

#endif
