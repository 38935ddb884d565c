/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that can be had again.
 *
 * One seed for the program, from RXE_SEED or the kernel, printed at the start.
 * Every test starts from it anew (the harness forks), so a failing test fails
 * the same way when it is run alone with the printed seed. The state is per
 * thread; a thread that must not repeat another's numbers picks a stream.
 */
#ifndef RV_RAND_H
#define RV_RAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void rv_rand_init(void);
uint64_t rv_rand_seed(void);
void rv_rand_stream(unsigned int stream);

uint64_t rv_rand(void);
uint64_t rv_rand_below(uint64_t n);		/* 0 .. n - 1 */
uint64_t rv_rand_between(uint64_t lo, uint64_t hi);	/* lo .. hi */
bool rv_one_in(uint64_t n);			/* true once in n times */
void rv_rand_fill(void *p, size_t len);
void rv_rand_order(int *order, int n);		/* 0 .. n - 1, each once */

/*
 * A length between lo and hi: often short, often next to a power of two or a
 * multiple of the page size, sometimes anything.
 */
size_t rv_rand_len(size_t lo, size_t hi);

#endif
