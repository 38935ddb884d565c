/* SPDX-License-Identifier: GPL-2.0 */
/* What is printed: JSON for programs, tables for people. */
#ifndef OUT_H
#define OUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum out_kind {
	OUT_TEXT,		/* words, to the left */
	OUT_NUMBER,
	OUT_HEX,
	OUT_SIZE,		/* bytes */
};

struct out_column {
	const char *key;	/* in the rows' objects */
	const char *title;
	enum out_kind kind;
};

/* One line of JSON, or several if it is to be pretty. */
void out_json(FILE *to, struct json_object *what, bool pretty);

/* A row for each object of the array; what it lacks shows as "-". */
void out_table(FILE *to, struct json_object *rows,
	       const struct out_column *columns, size_t num_columns);

/* Bytes as people write them: "4 KiB", "1.5 GiB". */
const char *out_size(uint64_t bytes, char *buf, size_t size);

#endif
