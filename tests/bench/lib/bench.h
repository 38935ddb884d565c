/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks share: a clock, samples, and how they are told.
 *
 * A program is one noun and has rows; its arguments are patterns of names of
 * rows. It runs once for each module in each round, and prints a line for each
 * sample:
 *
 *	sample	ROW	UNIT	SIDE	VALUE
 *
 * Within a program the sides take turns. Whoever started it knows whose on-demand
 * memory it was; tests/bench/report makes medians of all of it.
 *
 * With RXE_BENCH_INSTRUCTIONS the clock counts instructions, not time: the guest
 * runs under an emulator that counts them (tests/bench/run --icount), and all
 * costs and rates become instructions for one operation.
 *
 * Nothing here returns an error: a benchmark that can't go on ends the program.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rv.h"

#define KIB	1024UL
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)

/* Whose memory. test_hmm is who else migrates. */
enum bench_side { BENCH_PINNED, BENCH_ODP, BENCH_HMM };

/* The program's arguments are patterns of rows. */
void bench_init(int argc, char **argv);

/* Is this row asked for? */
bool bench_wants(const char *row);

/*
 * Are the rows to be measured again? For RXE_BENCH_SECONDS, if there are any, for
 * who looks at it meanwhile.
 */
bool bench_again(void);

/* RXE_BENCH_QUICK takes the second of both. */
int bench_quick(int full, int quick);

/* Is it our module, with the driver's own calls? */
bool bench_is_ours(struct rv_dev *d);

/* Microseconds, or instructions. */
double bench_now(void);
bool bench_counts_instructions(void);

/* A row's name: printf() into one of some buffers that take turns. */
const char *bench_row(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "4K", "64M": a number of bytes for the name of a row. */
const char *bench_size(size_t bytes);

/*
 * Samples, if the row is asked for: ops operations took so long; the same of so many
 * bytes each, or if that is 0, what counts is how many they are.
 */
void bench_cost(const char *row, enum bench_side side, double ops, double took);
void bench_rate(const char *row, enum bench_side side, size_t bytes, double ops,
		double took);
void bench_value(const char *row, const char *unit, enum bench_side side,
		 double value);

/* The value that this part of them doesn't exceed; sorts. */
double bench_quantile(double *v, int n, double part);

/* End the program if a call has failed: 0, -errno, or a result of rv_op.h. */
void bench_must(int result, const char *what);

/* Anonymous memory at a multiple of 2 MiB, with an advice to madvise(). */
uint8_t *bench_map(size_t len, int advice);
void bench_unmap(uint8_t *mem, size_t len);
void bench_advise(uint8_t *mem, size_t len, int advice);

/* A region; the second, if it can't be had, is NULL and nothing is said. */
struct ibv_mr *bench_reg(struct rv_dev *d, void *mem, size_t len,
			 enum bench_side side);
struct ibv_mr *bench_try_reg(struct rv_dev *d, void *mem, size_t len,
			     enum bench_side side);
void bench_dereg(struct ibv_mr *mr);

/* Kernel memory that regions may take, in KiB. */
double bench_kernel_kib(void);

#endif
