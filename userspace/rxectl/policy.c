// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define HEATS		512

/* policy */

static const struct out_column policy_columns[] = {
	{ "device", "DEVICE", OUT_TEXT },
	{ "mode", "MODE", OUT_TEXT },
	{ "period_ms", "PERIOD/MS", OUT_NUMBER },
	{ "half_life_ms", "HALF-LIFE/MS", OUT_NUMBER },
	{ "min_rate", "MIN-RATE", OUT_NUMBER },
	{ "rate_mib", "MIB/S", OUT_NUMBER },
	{ "watermark_percent", "WATERMARK/%", OUT_NUMBER },
	{ "min_residency_ms", "RESIDENCY/MS", OUT_NUMBER },
	{ "backoff_ms", "BACK-OFF/MS", OUT_NUMBER },
};

static enum rxectl_exit policy_row(const struct args *args, struct device *d,
				   struct json_object *rows)
{
	struct json_object *row = json_object_new_object();
	char file[64], line[64];
	size_t i;
	int err;

	if (args->mode) {
		err = device_write(d->name, "hmm/tier_mode", args->mode);
		if (err) {
			json_object_put(row);
			return rows_failed(d->name, err == ENOENT ?
					   "this device has no policy" : NULL, err);
		}
	}
	row_put_text(row, "device", d->name);
	for (i = 1; i < COUNT(policy_columns); i++) {
		const struct out_column *column = &policy_columns[i];

		snprintf(file, sizeof(file), "hmm/tier_%s", column->key);
		if (device_read(d->name, file, line, sizeof(line)))
			continue;
		if (column->kind == OUT_TEXT)
			row_put_text(row, column->key, line);
		else
			row_put(row, column->key, strtoull(line, NULL, 10));
	}
	json_object_array_add(rows, row);
	return STATUS_OK;
}

enum rxectl_exit policy_rows(const struct args *args, struct json_object *rows)
{
	return rows_for_devices(args, policy_row, rows);
}

void policy_show(const struct args *args, struct json_object *rows)
{
	rows_show(args, rows, policy_columns, COUNT(policy_columns));
}

/* heat */

static const struct out_column heat_columns[] = {
	{ "device", "DEVICE", OUT_TEXT },
	{ "mrn", "MRN", OUT_NUMBER },
	{ "address", "ADDRESS", OUT_HEX },
	{ "read_rate", "READS/S", OUT_NUMBER },
	{ "write_rate", "WRITES/S", OUT_NUMBER },
	{ "device_bytes", "ON DEVICE", OUT_SIZE },
	{ "reads", "READS", OUT_NUMBER },
	{ "writes", "WRITES", OUT_NUMBER },
	{ "device_accesses", "FROM DEVICE", OUT_NUMBER },
	{ "cpu_faults", "CPU FAULTS", OUT_NUMBER },
};

static void add_heat(struct device *d, struct json_object *region,
		     const struct rxedv_heat *heat, struct json_object *rows)
{
	struct json_object *row = row_of_region(d, region);

	row_put(row, "address", heat->address);
	row_put(row, "read_rate", heat->read_rate);
	row_put(row, "write_rate", heat->write_rate);
	row_put(row, "device_bytes", (uint64_t)heat->device_pages *
		d->caps.page_size);
	row_put(row, "reads", heat->reads);
	row_put(row, "writes", heat->writes);
	row_put(row, "device_accesses", heat->device_accesses);
	row_put(row, "cpu_faults", heat->cpu_faults);
	json_object_array_add(rows, row);
}

static enum rxectl_exit cannot_tell(const struct args *args, struct device *d,
				    struct json_object *region, int err)
{
	char word[80];

	/* Pinned, or gone: no error unless it was named. */
	if (!args->has_mrn && (err == EINVAL || err == ENOENT))
		return STATUS_OK;
	snprintf(word, sizeof(word), "%s: mrn %" PRIu64, d->name,
		 row_number(region, "mrn"));
	return rows_failed(word, err == EINVAL ? "not an on-demand region" :
			   err == EPERM ? "this takes CAP_SYS_ADMIN" : NULL, err);
}

static enum rxectl_exit heat_of_region(const struct args *args, struct device *d,
				       struct json_object *region,
				       struct json_object *rows)
{
	uint64_t length = row_number(region, "length");
	struct rxedv_heat heats[HEATS];
	struct rxedv_query_heat_attr attr = {
		.heats = heats,
		.max_heats = HEATS,
	};
	uint32_t i;
	int err;

	for (attr.next = 0; attr.next < length;) {
		attr.offset = attr.next;
		attr.length = length - attr.offset;
		err = rxedv_query_heat_mrn(d->context, row_number(region, "mrn"),
					   &attr, sizeof(attr));
		if (err)
			return cannot_tell(args, d, region, err);
		for (i = 0; i < attr.num_heats; i++)
			add_heat(d, region, &heats[i], rows);
	}
	return STATUS_OK;
}

static enum rxectl_exit heat_of_device(const struct args *args, struct device *d,
				       struct json_object *rows)
{
	return rows_for_regions(args, d, heat_of_region, rows);
}

static int hottest_first(const void *a, const void *b)
{
	struct json_object *x = *(struct json_object *const *)a;
	struct json_object *y = *(struct json_object *const *)b;
	uint64_t heat_x = row_number(x, "read_rate") + row_number(x, "write_rate");
	uint64_t heat_y = row_number(y, "read_rate") + row_number(y, "write_rate");

	return heat_x > heat_y ? -1 : heat_x < heat_y;
}

enum rxectl_exit heat_rows(const struct args *args, struct json_object *rows)
{
	enum rxectl_exit status = rows_for_devices(args, heat_of_device, rows);

	json_object_array_sort(rows, hottest_first);
	return status;
}

void heat_show(const struct args *args, struct json_object *rows)
{
	rows_show(args, rows, heat_columns, COUNT(heat_columns));
}
