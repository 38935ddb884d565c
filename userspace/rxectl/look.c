// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <time.h>

#include "look.h"
#include "policy.h"

enum rxectl_exit look_take(const struct args *args, struct look *look)
{
	enum rxectl_exit status;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	look->time = t.tv_sec + t.tv_nsec * 1e-9;
	look->devices = json_object_new_array();
	look->regions = json_object_new_array();
	look->counters = json_object_new_array();
	look->heat = json_object_new_array();
	status = rxectl_dev(args, look->devices);
	if (!status)
		status = rxectl_regions(args, look->regions);
	if (!status)
		status = rxectl_stat(args, look->counters);
	if (!status)
		status = heat_rows(args, look->heat);
	return status;
}

void look_forget(struct look *look)
{
	json_object_put(look->devices);
	json_object_put(look->regions);
	json_object_put(look->counters);
	json_object_put(look->heat);
	memset(look, 0, sizeof(*look));
}

static struct json_object *row_of(struct json_object *rows, const char *device)
{
	size_t i;

	for (i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (!strcmp(row_text(row, "device"), device))
			return row;
	}
	return NULL;
}

struct json_object *look_device(const struct look *look, const char *device)
{
	return row_of(look->devices, device);
}

static uint64_t counter_of(const struct look *look, const char *device,
			   const char *name)
{
	struct json_object *row = row_of(look->counters, device), *counters;

	if (!row || !json_object_object_get_ex(row, "counters", &counters))
		return 0;
	return row_number(counters, name);
}

uint64_t look_growth(const struct look *before, const struct look *now,
		     const char *device, const char *counter)
{
	uint64_t old = counter_of(before, device, counter);
	uint64_t new = counter_of(now, device, counter);

	/* a device that was made again begins at 0 */
	return new > old ? new - old : 0;
}

double look_rate(const struct look *before, const struct look *now,
		 const char *device, const char *counter)
{
	double seconds = now->time - before->time;

	return seconds > 0 ? look_growth(before, now, device, counter) / seconds :
			     0.0;
}
