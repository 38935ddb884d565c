/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An input is any string of bytes, read from front to back. Past its end
 * everything reads as zero, so a program never has too few bytes.
 *
 * It is cut into records of INPUT_RECORD bytes. An operation starts on a record
 * and takes as many as it needs, so inputs can be cut and joined at records.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_RECORD	16
#define INPUT_MAX	2048

struct input {
	uint8_t bytes[INPUT_MAX];
	size_t len;
	size_t pos;
};

/* Go on with the next record; false at the end. */
bool input_next(struct input *in);

uint8_t input_u8(struct input *in);
uint16_t input_u16(struct input *in);
uint32_t input_u32(struct input *in);
uint64_t input_u64(struct input *in);

/* 0 or -errno. A file that is named *.hex holds digits and # comments. */
int input_load(struct input *in, const char *path);
int input_save(const struct input *in, const char *path);

#endif
