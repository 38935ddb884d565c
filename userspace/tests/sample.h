/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A recording that is made up: a device with 32 MiB of memory serves 64 parts of
 * 2 MiB, those with low numbers most. After a quarter of the time the hottest are
 * on the device.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <math.h>

#include "recording.h"

#define SAMPLE_LOOKS	41
#define SAMPLE_PARTS	64
#define SAMPLE_ON_DEVICE	16
#define SAMPLE_EVERY	0.5
#define SAMPLE_BASE	0x7f0000000000ULL
#define SAMPLE_PART	(2ULL << 20)

static inline bool sample_on_device(int look, int part)
{
	return part < SAMPLE_ON_DEVICE && look > SAMPLE_LOOKS / 4;
}

static inline uint64_t sample_rate(int part)
{
	return 2000 / (part + 1);
}

static inline struct json_object *sample_row(const char *device)
{
	struct json_object *row = json_object_new_object();

	row_put_text(row, "device", device);
	return row;
}

static inline void sample_look(struct look *look, int i, const char *device)
{
	struct json_object *row, *counters = json_object_new_object();
	uint64_t accesses = 0, hits = 0;
	int part, k;

	memset(look, 0, sizeof(*look));
	look->time = 100 + i * SAMPLE_EVERY;
	look->devices = json_object_new_array();
	look->counters = json_object_new_array();
	look->heat = json_object_new_array();
	for (part = 0; part < SAMPLE_PARTS; part++) {
		uint64_t n = i * SAMPLE_EVERY * sample_rate(part);

		accesses += n;
		for (k = 1; k <= i; k++)
			if (sample_on_device(k, part))
				hits += SAMPLE_EVERY * sample_rate(part);
		row = sample_row(device);
		row_put(row, "mrn", 7);
		row_put(row, "address", SAMPLE_BASE + part * SAMPLE_PART);
		row_put(row, "reads", n);
		row_put(row, "device_bytes",
			sample_on_device(i, part) ? SAMPLE_PART : 0);
		json_object_array_add(look->heat, row);
	}
	row = sample_row(device);
	row_put(row, "memory_size", SAMPLE_ON_DEVICE * SAMPLE_PART);
	row_put(row, "memory_used", i > SAMPLE_LOOKS / 4 ?
		SAMPLE_ON_DEVICE * SAMPLE_PART : 0);
	json_object_array_add(look->devices, row);
	row_put(counters, "accesses", accesses);
	row_put(counters, "device_accesses", hits);
	row_put(counters, "access_bytes", accesses * 2048);
	row_put(counters, "pages_promoted",
		i > SAMPLE_LOOKS / 4 ? SAMPLE_ON_DEVICE * 512 : 0);
	row_put(counters, "page_faults_handled", i ? 300 : 0);
	row = sample_row(device);
	json_object_object_add(row, "counters", counters);
	json_object_array_add(look->counters, row);
}

static inline void sample_write(FILE *to, const char *device)
{
	struct look look;
	int i;

	recording_begin(to);
	for (i = 0; i < SAMPLE_LOOKS; i++) {
		sample_look(&look, i, device);
		recording_add(to, &look, 100);
		look_forget(&look);
	}
}

#endif
