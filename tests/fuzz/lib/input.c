// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "input.h"

bool input_next(struct input *in)
{
	in->pos = (in->pos + INPUT_RECORD - 1) / INPUT_RECORD * INPUT_RECORD;
	return in->pos < in->len;
}

uint8_t input_u8(struct input *in)
{
	return in->pos < in->len ? in->bytes[in->pos++] : 0;
}

uint16_t input_u16(struct input *in)
{
	uint16_t low = input_u8(in);

	return low | input_u8(in) << 8;
}

uint32_t input_u32(struct input *in)
{
	uint32_t low = input_u16(in);

	return low | (uint32_t)input_u16(in) << 16;
}

uint64_t input_u64(struct input *in)
{
	uint64_t low = input_u32(in);

	return low | (uint64_t)input_u32(in) << 32;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static void read_hex(struct input *in, FILE *f)
{
	bool comment = false;
	int c, digit, high = -1;

	while ((c = fgetc(f)) != EOF && in->len < INPUT_MAX) {
		if (c == '#' || c == '\n')
			comment = c == '#';
		digit = comment ? -1 : hex_digit(c);
		if (digit < 0)
			continue;
		if (high >= 0)
			in->bytes[in->len++] = high << 4 | digit;
		high = high < 0 ? digit : -1;
	}
}

int input_load(struct input *in, const char *path)
{
	const char *dot = strrchr(path, '.');
	FILE *f = fopen(path, "r");
	int err;

	if (!f)
		return -errno;
	in->len = 0;
	in->pos = 0;
	if (dot && !strcmp(dot, ".hex"))
		read_hex(in, f);
	else
		in->len = fread(in->bytes, 1, INPUT_MAX, f);
	err = ferror(f) ? -EIO : 0;
	fclose(f);
	return err;
}

int input_save(const struct input *in, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, in->bytes, in->len);
	close(fd);
	return n == in->len ? 0 : -EIO;
}
