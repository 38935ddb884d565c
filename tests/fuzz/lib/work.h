/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queue pairs and memory windows of fuzz_uverbs, and the work requests for
 * them. Each function is one operation of an input.
 */
#ifndef FUZZ_WORK_H
#define FUZZ_WORK_H

#include "input.h"

void work_alloc_mw(struct input *in);

/* A request of any kind, bind and invalidate among them. */
void work_send(struct input *in);
void work_recv(struct input *in);
void work_write_and_wait(struct input *in);

/* A completion, for a while. */
void work_wait(struct input *in);

/* Into another state, or gone. */
void work_qp(struct input *in);

/* Destroy the first two queue pairs, which are the most used ones. */
void work_fini(void);

#endif
