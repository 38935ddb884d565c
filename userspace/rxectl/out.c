// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <string.h>

#include "out.h"

#define CELL	64

void out_json(FILE *to, struct json_object *what, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	fprintf(to, "%s\n", json_object_to_json_string_ext(what, flags));
}

const char *out_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "KMGTPE";
	int unit = 0;

	if (bytes < 1024) {
		snprintf(buf, size, "%" PRIu64 " B", bytes);
		return buf;
	}
	while (unit < 5 && bytes >> (10 * (unit + 2)))
		unit++;
	if (bytes & ((1ULL << (10 * (unit + 1))) - 1))
		snprintf(buf, size, "%.1f %ciB",
			 bytes / (double)(1ULL << (10 * (unit + 1))), units[unit]);
	else
		snprintf(buf, size, "%" PRIu64 " %ciB",
			 bytes >> (10 * (unit + 1)), units[unit]);
	return buf;
}

static void cell(struct json_object *row, const struct out_column *column,
		 char *buf)
{
	struct json_object *value;

	if (!json_object_object_get_ex(row, column->key, &value)) {
		strcpy(buf, "-");
		return;
	}
	switch (column->kind) {
	case OUT_TEXT:
		snprintf(buf, CELL, "%s", json_object_get_string(value));
		break;
	case OUT_NUMBER:
		snprintf(buf, CELL, "%" PRIu64, json_object_get_uint64(value));
		break;
	case OUT_HEX:
		snprintf(buf, CELL, "%#" PRIx64, json_object_get_uint64(value));
		break;
	case OUT_SIZE:
		out_size(json_object_get_uint64(value), buf, CELL);
		break;
	}
}

static void print(FILE *to, const struct out_column *column, const char *text,
		  int width, bool last)
{
	if (column->kind != OUT_TEXT)
		fprintf(to, "%*s", width, text);
	else
		fprintf(to, "%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", to);
}

void out_table(FILE *to, struct json_object *rows,
	       const struct out_column *columns, size_t num_columns)
{
	size_t num_rows = json_object_array_length(rows), r, c;
	size_t width[num_columns];
	char buf[CELL];

	for (c = 0; c < num_columns; c++) {
		width[c] = strlen(columns[c].title);
		for (r = 0; r < num_rows; r++) {
			cell(json_object_array_get_idx(rows, r), &columns[c], buf);
			if (strlen(buf) > width[c])
				width[c] = strlen(buf);
		}
	}
	for (c = 0; c < num_columns; c++)
		print(to, &columns[c], columns[c].title, width[c],
		      c + 1 == num_columns);
	for (r = 0; r < num_rows; r++) {
		for (c = 0; c < num_columns; c++) {
			cell(json_object_array_get_idx(rows, r), &columns[c], buf);
			print(to, &columns[c], buf, width[c],
			      c + 1 == num_columns);
		}
	}
}
