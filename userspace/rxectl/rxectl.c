// SPDX-License-Identifier: GPL-2.0
/*
 * The commands. Each one gathers JSON objects, a row for a device or a region,
 * and prints them at its end as they are or as a table.
 *
 * What a command finds while it goes through devices and regions may be gone
 * a moment later: that is no error unless the user has named it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rxectl.h"
#include "device.h"
#include "heatmap.h"
#include "nl.h"
#include "out.h"
#include "policy.h"
#include "recording.h"
#include "report.h"
#include "rows.h"
#include "top.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* More than this is not looked at page by page: it would take too long. */
#define LOOK_MAX	(1ULL << 40)

/* dev */

static const struct out_column dev_columns[] = {
	{ "device", "DEVICE", OUT_TEXT },
	{ "netdev", "NETDEV", OUT_TEXT },
	{ "abi_version", "ABI", OUT_NUMBER },
	{ "regions", "REGIONS", OUT_NUMBER },
	{ "memory_size", "MEMORY", OUT_SIZE },
	{ "memory_used", "USED", OUT_SIZE },
	{ "memory_free", "FREE", OUT_SIZE },
	{ "memory_peak", "PEAK", OUT_SIZE },
};

static enum rxectl_exit dev_row(const struct args *args, struct device *d,
				   struct json_object *rows)
{
	struct json_object *row = json_object_new_object();
	struct json_object *memory = device_memory(d), *regions;
	char *netdev = device_netdev(d->name);
	char key[32];

	(void)args;
	row_put_text(row, "device", d->name);
	if (netdev)
		row_put_text(row, "netdev", netdev);
	free(netdev);
	row_put(row, "abi_version", d->caps.abi_version);
	if (!nl_regions(d->index, &regions)) {
		row_put(row, "regions", json_object_array_length(regions));
		json_object_put(regions);
	}
	json_object_object_foreach(memory, word, value) {
		snprintf(key, sizeof(key), "memory_%s", word);
		json_object_object_add(row, key, json_object_get(value));
	}
	json_object_put(memory);
	json_object_array_add(rows, row);
	return STATUS_OK;
}

static void add_comm(struct json_object *row)
{
	char path[64], comm[32];
	FILE *f;

	if (row_has(row, "comm") || !row_has(row, "pid"))
		return;
	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/comm",
		 row_number(row, "pid"));
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(comm, sizeof(comm), f)) {
		comm[strcspn(comm, "\n")] = 0;
		row_put_text(row, "comm", comm);
	}
	fclose(f);
}

/* mr */

static const struct out_column mr_columns[] = {
	{ "device", "DEVICE", OUT_TEXT },
	{ "mrn", "MRN", OUT_NUMBER },
	{ "pid", "PID", OUT_NUMBER },
	{ "comm", "COMMAND", OUT_TEXT },
	{ "kind", "KIND", OUT_TEXT },
	{ "address", "ADDRESS", OUT_HEX },
	{ "length", "LENGTH", OUT_SIZE },
	{ "present_bytes", "PRESENT", OUT_SIZE },
	{ "device_bytes", "ON DEVICE", OUT_SIZE },
};

/* What only an administrator can see. */
static void add_pages(struct device *d, struct json_object *region,
		      struct json_object *row)
{
	struct rxedv_query_range_attr attr = {
		.length = row_number(region, "length"),
	};
	int err;

	if (!attr.length || attr.length > LOOK_MAX)
		return;
	err = rxedv_query_range_mrn(d->context, row_number(region, "mrn"), &attr,
				    sizeof(attr));
	/* Nothing else is wrong with the call. */
	if (err == EINVAL)
		row_put_text(row, "kind", "pinned");
	if (err)
		return;
	row_put_text(row, "kind", "on-demand");
	row_put(row, "address", attr.address);
	row_put(row, "pages", attr.pages);
	row_put(row, "present_bytes", attr.present * d->caps.page_size);
	row_put(row, "device_bytes", attr.device * d->caps.page_size);
	row_put(row, "writable_bytes", attr.writable * d->caps.page_size);
}

static enum rxectl_exit mr_row(const struct args *args, struct device *d,
				  struct json_object *region, struct json_object *rows)
{
	struct json_object *row = json_object_get(region);

	row_put_text(row, "device", d->name);
	add_comm(row);
	if (args->command == ARGS_MR)
		add_pages(d, region, row);
	json_object_array_add(rows, row);
	return STATUS_OK;
}

static enum rxectl_exit mr_rows(const struct args *args, struct device *d,
				   struct json_object *rows)
{
	return rows_for_regions(args, d, mr_row, rows);
}

/* stat */

static enum rxectl_exit region_stat(const struct args *args, struct device *d,
				       struct json_object *region, struct json_object *rows)
{
	struct json_object *row, *counters;
	int err;

	(void)args;
	err = nl_region_counters(d->index, row_number(region, "mrn"), &counters);
	if (err == ENOENT)
		return STATUS_OK;
	if (err)
		return rows_failed(d->name, NULL, err);
	row = row_of_region(d, region);
	json_object_object_add(row, "counters", counters);
	json_object_array_add(rows, row);
	return STATUS_OK;
}

static enum rxectl_exit stat_rows(const struct args *args, struct device *d,
				     struct json_object *rows)
{
	struct json_object *row, *counters;
	int err;

	if (args->has_mrn || args->has_pid)
		return rows_for_regions(args, d, region_stat, rows);
	err = nl_device_counters(d->index, &counters);
	if (err)
		return rows_failed(d->name, NULL, err);
	row = json_object_new_object();
	row_put_text(row, "device", d->name);
	json_object_object_add(row, "counters", counters);
	json_object_array_add(rows, row);
	return STATUS_OK;
}

static const struct out_column stat_columns[] = {
	{ "counter", "COUNTER", OUT_TEXT },
	{ "value", "VALUE", OUT_NUMBER },
};

/* Not one table but one for each device or region. */
static void show_stat(const struct args *args, struct json_object *rows)
{
	struct json_object *row, *counters, *lines, *line;
	size_t i;

	if (args->json) {
		out_json(stdout, rows, args->pretty);
		return;
	}
	for (i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		counters = json_object_object_get(row, "counters");
		printf("%s%s", i ? "\n" : "", row_text(row, "device"));
		if (row_has(row, "mrn"))
			printf(" mrn %" PRIu64, row_number(row, "mrn"));
		printf("\n");
		lines = json_object_new_array();
		json_object_object_foreach(counters, name, value) {
			line = json_object_new_object();
			row_put_text(line, "counter", name);
			json_object_object_add(line, "value",
					       json_object_get(value));
			json_object_array_add(lines, line);
		}
		if (json_object_array_length(lines))
			out_table(stdout, lines, stat_columns,
				  COUNT(stat_columns));
		else
			printf("no counters: it is not an on-demand region\n");
		json_object_put(lines);
	}
}

/* migrate, prefer */

static const struct out_column migrate_columns[] = {
	{ "device", "DEVICE", OUT_TEXT },
	{ "mrn", "MRN", OUT_NUMBER },
	{ "place", "PLACE", OUT_TEXT },
	{ "moved", "MOVED", OUT_NUMBER },
	{ "already", "ALREADY", OUT_NUMBER },
	{ "skipped_pages", "SKIPPED", OUT_NUMBER },
	{ "reasons", "REASONS", OUT_TEXT },
};

static const struct out_column prefer_columns[] = {
	{ "device", "DEVICE", OUT_TEXT },
	{ "mrn", "MRN", OUT_NUMBER },
	{ "place", "PLACE", OUT_TEXT },
};

/* Why a region that the user has named cannot be moved. */
static const char *why_not(const struct args *args, int err)
{
	switch (err) {
	case EINVAL:
		return args->offset || args->has_length ?
		       "not an on-demand region, or the range does not begin and end at pages" :
		       "not an on-demand region";
	case ERANGE:
	case EOVERFLOW:
		return "the range leaves the region";
	case ENOENT:
		return "the region is gone";
	case ESRCH:
		return "its process is gone";
	case EPERM:
		return "this takes CAP_SYS_ADMIN";
	case EOPNOTSUPP:
		return "device memory is off";
	default:
		return NULL;
	}
}

static enum rxectl_exit cannot_move(const struct args *args, struct device *d,
				       struct json_object *region, int err)
{
	char word[80];

	/* Of a process, its other regions are meant. */
	if (args->has_pid && (err == EINVAL || err == ENOENT))
		return STATUS_OK;
	snprintf(word, sizeof(word), "%s: mrn %" PRIu64, d->name,
		 row_number(region, "mrn"));
	return rows_failed(word, why_not(args, err), err);
}

/* To the region's end, if the user doesn't say how far. */
static uint64_t range_length(const struct args *args, struct json_object *region)
{
	uint64_t length = row_number(region, "length");

	if (args->has_length)
		return args->length;
	/* Beyond the end the kernel says what is wrong. */
	return length > args->offset ? length - args->offset : 1;
}

static void add_skipped(struct json_object *row,
			const struct rxedv_migrate_attr *attr)
{
	struct json_object *skipped = json_object_new_object();
	uint64_t sum = 0;
	char words[128] = "";
	size_t len = 0;
	int i;

	for (i = 0; rxedv_skip_str(i); i++) {
		if (!attr->skipped[i])
			continue;
		row_put(skipped, rxedv_skip_str(i), attr->skipped[i]);
		sum += attr->skipped[i];
		if (len < sizeof(words))
			len += snprintf(words + len, sizeof(words) - len,
					"%s%s", len ? "," : "",
					rxedv_skip_str(i));
	}
	row_put(row, "skipped_pages", sum);
	json_object_object_add(row, "skipped", skipped);
	if (len)
		row_put_text(row, "reasons", words);
}

static enum rxectl_exit migrate_row(const struct args *args, struct device *d,
				       struct json_object *region, struct json_object *rows)
{
	struct rxedv_migrate_attr attr = {
		.offset = args->offset,
		.length = range_length(args, region),
		.place = args->place,
	};
	struct json_object *row;
	int err;

	err = rxedv_migrate_mrn(d->context, row_number(region, "mrn"), &attr,
				sizeof(attr));
	if (err)
		return cannot_move(args, d, region, err);
	row = row_of_region(d, region);
	row_put_text(row, "place", rxedv_place_str(args->place));
	row_put(row, "moved", attr.moved);
	row_put(row, "already", attr.already);
	add_skipped(row, &attr);
	json_object_array_add(rows, row);
	return STATUS_OK;
}

static enum rxectl_exit prefer_row(const struct args *args, struct device *d,
				      struct json_object *region, struct json_object *rows)
{
	struct rxedv_prefer_attr attr = {
		.offset = args->offset,
		.length = range_length(args, region),
		.place = args->place,
	};
	struct json_object *row;
	int err;

	err = rxedv_prefer_mrn(d->context, row_number(region, "mrn"), &attr,
			       sizeof(attr));
	if (err)
		return cannot_move(args, d, region, err);
	row = row_of_region(d, region);
	row_put_text(row, "place", rxedv_place_str(args->place));
	json_object_array_add(rows, row);
	return STATUS_OK;
}

static enum rxectl_exit migrate_rows(const struct args *args,
					struct device *d, struct json_object *rows)
{
	return rows_for_regions(args, d, migrate_row, rows);
}

static enum rxectl_exit prefer_rows(const struct args *args, struct device *d,
				       struct json_object *rows)
{
	return rows_for_regions(args, d, prefer_row, rows);
}

enum rxectl_exit rxectl_dev(const struct args *args, struct json_object *rows)
{
	return rows_for_devices(args, dev_row, rows);
}

enum rxectl_exit rxectl_regions(const struct args *args, struct json_object *rows)
{
	return rows_for_devices(args, mr_rows, rows);
}

enum rxectl_exit rxectl_stat(const struct args *args, struct json_object *rows)
{
	return rows_for_devices(args, stat_rows, rows);
}

/* What was done before an error is shown all the same. */
enum rxectl_exit rxectl_run(const struct args *args)
{
	struct json_object *rows;
	enum rxectl_exit status;

	switch (args->command) {
	case ARGS_TOP:
		return top_run(args);
	case ARGS_RECORD:
		return record_run(args);
	case ARGS_REPORT:
		return report_run(args);
	case ARGS_HEATMAP:
		return heatmap_run(args);
	default:
		break;
	}
	rows = json_object_new_array();
	switch (args->command) {
	case ARGS_DEV:
		status = rxectl_dev(args, rows);
		break;
	case ARGS_MR:
		status = rxectl_regions(args, rows);
		break;
	case ARGS_STAT:
		status = rxectl_stat(args, rows);
		break;
	case ARGS_MIGRATE:
		status = rows_for_devices(args, migrate_rows, rows);
		break;
	case ARGS_PREFER:
		status = rows_for_devices(args, prefer_rows, rows);
		break;
	case ARGS_HEAT:
		status = heat_rows(args, rows);
		break;
	case ARGS_POLICY:
		status = policy_rows(args, rows);
		break;
	default:
		status = STATUS_USAGE;
	}
	if (status && !json_object_array_length(rows))
		goto out;

	if (args->command == ARGS_DEV)
		rows_show(args, rows, dev_columns, COUNT(dev_columns));
	else if (args->command == ARGS_MR)
		rows_show(args, rows, mr_columns, COUNT(mr_columns));
	else if (args->command == ARGS_MIGRATE)
		rows_show(args, rows, migrate_columns, COUNT(migrate_columns));
	else if (args->command == ARGS_HEAT)
		heat_show(args, rows);
	else if (args->command == ARGS_POLICY)
		policy_show(args, rows);
	else if (args->command == ARGS_PREFER)
		rows_show(args, rows, prefer_columns, COUNT(prefer_columns));
	else
		show_stat(args, rows);
out:
	json_object_put(rows);
	return status;
}
