/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coverage of the kernel code that one thread runs, from /sys/kernel/debug/kcov.
 *
 * The parent opens it and looks at what was recorded; the child that runs the
 * input starts the recording, which ends with the child.
 */
#ifndef FUZZ_KCOV_H
#define FUZZ_KCOV_H

#include <stdbool.h>
#include <stddef.h>

/* 0 or -errno: without KCOV everything else here does nothing. */
int kcov_open(void);
bool kcov_works(void);

/* By the thread whose coverage is wanted. */
void kcov_start(void);

/* Branches that no input took before, from what was recorded. */
size_t kcov_collect(void);

/* Branches that were ever taken. */
size_t kcov_total(void);

#endif
