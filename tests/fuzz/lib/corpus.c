// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corpus.h"
#include "rv_log.h"
#include "rv_rand.h"

#define CORPUS_MAX	4096
#define RECORDS_MAX	(INPUT_MAX / INPUT_RECORD)

static struct input *kept[CORPUS_MAX];
static size_t n_kept;

static void keep(const struct input *in)
{
	struct input *copy;
	size_t at = n_kept;

	if (n_kept == CORPUS_MAX)
		at = rv_rand_below(CORPUS_MAX);
	copy = at < n_kept ? kept[at] : malloc(sizeof(*copy));
	if (!copy)
		return;
	*copy = *in;
	kept[at] = copy;
	if (at == n_kept)
		n_kept++;
}

static int is_file(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

size_t corpus_load(const char *dir)
{
	struct dirent **names;
	char path[4096];
	struct input in;
	size_t before = n_kept;
	int i, n;

	n = scandir(dir, &names, is_file, alphasort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		if (!input_load(&in, path) && in.len)
			keep(&in);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return n_kept - before;
}

size_t corpus_size(void)
{
	return n_kept;
}

const struct input *corpus_get(size_t i)
{
	return kept[i];
}

static uint64_t hash(const struct input *in)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < in->len; i++)
		h = (h ^ in->bytes[i]) * 0x100000001b3ULL;
	return h;
}

void corpus_add(const struct input *in, const char *dir)
{
	char path[4096];

	keep(in);
	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%016llx", dir,
		 (unsigned long long)hash(in));
	if (input_save(in, path))
		rv_log("cannot write %s", path);
}

static size_t records(const struct input *in)
{
	return (in->len + INPUT_RECORD - 1) / INPUT_RECORD;
}

static uint8_t *record(struct input *in, size_t i)
{
	return in->bytes + i * INPUT_RECORD;
}

static void set_records(struct input *in, size_t n)
{
	size_t len = n * INPUT_RECORD;

	if (len > in->len)
		memset(in->bytes + in->len, 0, len - in->len);
	in->len = len;
}

/* Make room for n records at i, as far as there is any: how many. */
static size_t open_gap(struct input *in, size_t i, size_t n)
{
	size_t have = records(in);

	if (n > RECORDS_MAX - have)
		n = RECORDS_MAX - have;
	set_records(in, have + n);
	memmove(record(in, i + n), record(in, i), (have - i) * INPUT_RECORD);
	return n;
}

static void insert_random(struct input *in)
{
	size_t i = rv_rand_below(records(in) + 1);
	size_t n = open_gap(in, i, rv_rand_between(1, 3));

	rv_rand_fill(record(in, i), n * INPUT_RECORD);
}

static void insert_other(struct input *in)
{
	const struct input *other = kept[rv_rand_below(n_kept)];
	size_t from = rv_rand_below(records(other) + 1);
	size_t n = rv_rand_between(0, records(other) - from);
	size_t i = rv_rand_below(records(in) + 1);
	size_t bytes;

	n = open_gap(in, i, n);
	bytes = n * INPUT_RECORD;
	if (from * INPUT_RECORD + bytes > other->len)
		bytes = other->len - from * INPUT_RECORD;
	memset(record(in, i), 0, n * INPUT_RECORD);
	memcpy(record(in, i), other->bytes + from * INPUT_RECORD, bytes);
}

static void repeat(struct input *in)
{
	size_t have = records(in);
	size_t i = rv_rand_below(have);
	uint8_t copy[INPUT_RECORD];
	size_t n;

	set_records(in, have);
	memcpy(copy, record(in, i), sizeof(copy));
	for (n = open_gap(in, i, rv_rand_between(1, 4)); n; n--)
		memcpy(record(in, i + n - 1), copy, sizeof(copy));
}

static void drop(struct input *in)
{
	size_t have = records(in);
	size_t i = rv_rand_below(have);
	size_t n = rv_rand_between(1, have - i);

	set_records(in, have);
	memmove(record(in, i), record(in, i + n),
		(have - i - n) * INPUT_RECORD);
	in->len = (have - n) * INPUT_RECORD;
}

static void change_bytes(struct input *in)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff };
	uint8_t *at = in->bytes + rv_rand_below(in->len);

	switch (rv_rand_below(4)) {
	case 0:
		*at ^= 1 << rv_rand_below(8);
		break;
	case 1:
		*at = rv_rand();
		break;
	case 2:
		*at = edges[rv_rand_below(sizeof(edges))];
		break;
	default:
		*at += rv_rand_between(0, 16) - 8;
		break;
	}
}

static void change(struct input *in)
{
	switch (in->len ? rv_rand_below(12) : 0) {
	case 0:
		insert_random(in);
		break;
	case 1:
	case 2:
		if (n_kept)
			insert_other(in);
		break;
	case 3:
		repeat(in);
		break;
	case 4:
		drop(in);
		break;
	default:
		change_bytes(in);
		break;
	}
}

void corpus_mutate(struct input *in)
{
	unsigned int i, changes = 1 << rv_rand_below(5);

	in->len = 0;
	if (n_kept && rv_rand_below(16))
		*in = *kept[rv_rand_below(n_kept)];
	else
		changes = 12;
	for (i = 0; i < changes; i++)
		change(in);
	in->pos = 0;
}
