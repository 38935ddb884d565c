/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs inputs, each in a child of its own, until the time is over. The input
 * that is being run is on disk, as "current", before it runs: whatever it does
 * to the kernel, it can be found afterwards.
 */
#ifndef FUZZ_RUNNER_H
#define FUZZ_RUNNER_H

#include "input.h"

/* What a fuzzer does with an input, in the child. */
typedef void (*runner_fn)(struct input *in);

/*
 * The main program: options, corpus, loop, TAP. Usage is printed for -h. It
 * returns what main() returns.
 */
int runner_main(int argc, char **argv, runner_fn run);

#endif
