/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects that an input of fuzz_uverbs works on, a few of each, and how it
 * names them: mostly right, sometimes not. They are those of the child that
 * runs the input.
 */
#ifndef FUZZ_OBJECTS_H
#define FUZZ_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "input.h"
#include "rv_dev.h"

#define OBJ_SLOTS	8
#define OBJ_SGES	4	/* in a list */

struct obj_mr {
	bool used;
	uint32_t handle, lkey, rkey;
	uint64_t addr, length, iova;
};

struct obj_mw {
	struct ibv_mw *mw;
	bool bound;		/* by a work request that came before this */
	unsigned int by;	/* the queue pair that it was posted to */
};

struct objects {
	struct rv_dev dev;
	struct ibv_pd *other_pd;
	struct obj_mr mrs[OBJ_SLOTS];
	struct obj_mw mws[OBJ_SLOTS];
};

extern struct objects obj;

struct obj_mr *obj_mr(struct input *in);
uint32_t obj_pd(struct input *in);

/* Mostly on demand and writable; sometimes anything. */
uint32_t obj_access(struct input *in);

/* Of the region, or of a window. */
uint32_t obj_key(struct input *in, const struct obj_mr *mr);

/* A range as work requests and advice name it, near the ends of a region. */
struct ibv_sge obj_sge(struct input *in);

#endif
