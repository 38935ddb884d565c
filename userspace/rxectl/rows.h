/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What commands have in common: rows of JSON, and going through the devices and
 * regions that are meant.
 */
#ifndef ROWS_H
#define ROWS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "out.h"
#include "rxectl.h"

/* Members of a row: 0 or NULL if it has no such. */
uint64_t row_number(struct json_object *row, const char *key);
const char *row_text(struct json_object *row, const char *key);
bool row_has(struct json_object *row, const char *key);
void row_put(struct json_object *row, const char *key, uint64_t n);
void row_put_text(struct json_object *row, const char *key, const char *word);

/* A row for a region begins with what it is. */
struct json_object *row_of_region(struct device *d, struct json_object *region);

/* Say on standard error what failed and why, or what the errno means. */
enum rxectl_exit rows_failed(const char *what, const char *why, int err);

/*
 * A file to write to, or standard output without a name. NULL after an error, which
 * was said. What was written is complete if rows_close() returns 0; main() sees to
 * standard output.
 */
FILE *rows_open(const char *name, enum rxectl_exit *status);
enum rxectl_exit rows_close(FILE *to, const char *name);

/* As JSON or as a table. */
void rows_show(const struct args *args, struct json_object *rows,
	       const struct out_column *columns, size_t num_columns);

/* What is done for each: a status, to go on if it is 0. */
typedef enum rxectl_exit (*rows_device_fn)(const struct args *args,
					   struct device *d,
					   struct json_object *rows);
typedef enum rxectl_exit (*rows_region_fn)(const struct args *args,
					   struct device *d,
					   struct json_object *region,
					   struct json_object *rows);

/* Call fn for the device that the user has named, or for all that can do it. */
enum rxectl_exit rows_for_devices(const struct args *args, rows_device_fn fn,
				  struct json_object *rows);

/* Call fn for the regions of a device that the user means. */
enum rxectl_exit rows_for_regions(const struct args *args, struct device *d,
				  rows_region_fn fn, struct json_object *rows);

#endif
