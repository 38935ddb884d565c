/* SPDX-License-Identifier: GPL-2.0 */
/* The inputs that found something new, and how to make others of them. */
#ifndef FUZZ_CORPUS_H
#define FUZZ_CORPUS_H

#include "input.h"

/* Read all files of a folder, in the order of their names: how many. */
size_t corpus_load(const char *dir);

size_t corpus_size(void);
const struct input *corpus_get(size_t i);

/* Keep a copy, in memory and, if dir is not NULL, in a file named by content. */
void corpus_add(const struct input *in, const char *dir);

/* Something like what is kept, or something new altogether. */
void corpus_mutate(struct input *in);

#endif
