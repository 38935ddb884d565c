// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nl.h"
#include "out.h"
#include "rows.h"

enum rxectl_exit rxectl_status(int err)
{
	switch (err) {
	case 0:
		return STATUS_OK;
	case ENODEV:
	case ENOENT:
	case ESRCH:
		return STATUS_NOT_FOUND;
	case EPERM:
	case EACCES:
		return STATUS_NOT_PERMITTED;
	case EOPNOTSUPP:
		return STATUS_NOT_SUPPORTED;
	default:
		return STATUS_FAILED;
	}
}

enum rxectl_exit rows_failed(const char *what, const char *why, int err)
{
	fprintf(stderr, "rxectl: %s: %s\n", what, why ? why : strerror(err));
	return rxectl_status(err);
}

FILE *rows_open(const char *name, enum rxectl_exit *status)
{
	FILE *to = name ? fopen(name, "we") : stdout;

	*status = to ? STATUS_OK : rows_failed(name, NULL, errno);
	return to;
}

enum rxectl_exit rows_close(FILE *to, const char *name)
{
	int err = 0;

	if (!name)
		return STATUS_OK;
	errno = EIO;
	if (fflush(to) || ferror(to))
		err = errno;
	if (fclose(to) && !err)
		err = errno;
	return err ? rows_failed(name, NULL, err) : STATUS_OK;
}

uint64_t row_number(struct json_object *row, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(row, key, &value) ?
	       json_object_get_uint64(value) : 0;
}

const char *row_text(struct json_object *row, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(row, key, &value) ?
	       json_object_get_string(value) : NULL;
}

bool row_has(struct json_object *row, const char *key)
{
	return json_object_object_get_ex(row, key, NULL);
}

void row_put(struct json_object *row, const char *key, uint64_t n)
{
	json_object_object_add(row, key, json_object_new_uint64(n));
}

void row_put_text(struct json_object *row, const char *key, const char *word)
{
	json_object_object_add(row, key, json_object_new_string(word));
}

void rows_show(const struct args *args, struct json_object *rows,
	       const struct out_column *columns, size_t num_columns)
{
	if (args->json)
		out_json(stdout, rows, args->pretty);
	else
		out_table(stdout, rows, columns, num_columns);
}

static enum rxectl_exit cannot_open(const char *name, int err)
{
	return rows_failed(name, err == EOPNOTSUPP ?
			   "this device's driver has no calls for device memory" :
			   NULL, err);
}

enum rxectl_exit rows_for_devices(const struct args *args, rows_device_fn fn,
				  struct json_object *rows)
{
	enum rxectl_exit status = STATUS_OK;
	bool found = !args->dev;
	size_t i;
	struct json_object *all;
	int err;

	err = nl_devices(&all);
	if (err)
		return rows_failed("the list of devices", NULL, err);
	for (i = 0; i < json_object_array_length(all) && !status; i++) {
		struct json_object *row = json_object_array_get_idx(all, i);
		const char *name = row_text(row, "device");
		struct device d;

		if (args->dev && strcmp(args->dev, name))
			continue;
		found = true;
		err = device_open(&d, name, row_number(row, "index"));
		if (!err) {
			status = fn(args, &d, rows);
			device_close(&d);
		} else if (args->dev) {
			status = cannot_open(name, err);
		}
	}
	json_object_put(all);
	return found ? status : rows_failed(args->dev, "no such device", ENODEV);
}

static bool meant(const struct args *args, struct json_object *region)
{
	if (args->has_mrn)
		return row_number(region, "mrn") == args->mrn;
	if (args->has_pid)
		return row_has(region, "pid") && row_number(region, "pid") == args->pid;
	return true;
}

enum rxectl_exit rows_for_regions(const struct args *args, struct device *d,
				  rows_region_fn fn, struct json_object *rows)
{
	enum rxectl_exit status = STATUS_OK;
	size_t i, found = 0;
	char word[80];
	struct json_object *all;
	int err;

	err = nl_regions(d->index, &all);
	if (err)
		return rows_failed(d->name, NULL, err);
	for (i = 0; i < json_object_array_length(all) && !status; i++) {
		struct json_object *region = json_object_array_get_idx(all, i);

		if (!meant(args, region))
			continue;
		found++;
		status = fn(args, d, region, rows);
	}
	json_object_put(all);
	if (found || (!args->has_mrn && !args->has_pid))
		return status;
	if (args->has_pid && !args->dev)
		return STATUS_OK;
	snprintf(word, sizeof(word), "%s: %s %" PRIu32, d->name,
		 args->has_mrn ? "mrn" : "pid",
		 args->has_mrn ? args->mrn : args->pid);
	return rows_failed(word, "no such region", ENOENT);
}

struct json_object *row_of_region(struct device *d, struct json_object *region)
{
	struct json_object *row = json_object_new_object();

	row_put_text(row, "device", d->name);
	row_put(row, "mrn", row_number(region, "mrn"));
	return row;
}
