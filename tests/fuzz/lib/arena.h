/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory that inputs of fuzz_uverbs play with: always at the same place,
 * far from the program's own, so that the same bytes mean the same addresses.
 *
 *	ARENA_BASE	anonymous, 8 MiB
 *	+  8 MiB	a memfd, shared, 4 MiB
 *	+ 12 MiB	the same memfd, private, 4 MiB
 *	+ 16 MiB	anonymous, shared, 4 MiB
 *	+ 20 MiB	anonymous and never touched by us, up to ARENA_LEN
 */
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <stdint.h>

#include "input.h"

#define ARENA_BASE	(1UL << 44)
#define ARENA_LEN	(68UL << 30)

/* 0 or -errno. */
int arena_init(void);

/*
 * An address: the edges of the parts, of regions of 2 MiB and windows of 1 GiB,
 * of what lies at near (an MR, say), and things that are no addresses at all,
 * each a bit off.
 */
uint64_t arena_addr(struct input *in, uint64_t near, uint64_t near_len);
uint64_t arena_length(struct input *in);

/* One change of the arena's mappings or contents. */
void arena_op(struct input *in, uint64_t near, uint64_t near_len);

#endif
