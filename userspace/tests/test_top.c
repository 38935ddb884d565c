// SPDX-License-Identifier: GPL-2.0
/* What top makes of two looks. */
#include <stdlib.h>

#include "tap.h"
#include "top.h"

static struct json_object *parse(const char *json)
{
	struct json_object *object = json_tokener_parse(json);

	CHECK(object);
	return object;
}

/* Draw into a string, which the caller frees. */
static char *draw(struct look *before, struct look *now,
		  unsigned int lines)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	top_draw(f, before, now, lines);
	fclose(f);
	return text;
}

static struct look before, now;

static void look(void)
{
	before.time = 10;
	before.devices = parse("[]");
	before.counters = parse("[{\"device\":\"rxe0\",\"counters\":{"
		"\"accesses\":1000,\"device_accesses\":500,\"pages_evicted\":9}}]");
	before.heat = parse("[]");
	now.time = 12;
	now.devices = parse("[{\"device\":\"rxe0\",\"memory_size\":67108864,"
		"\"memory_used\":4096}]");
	now.counters = parse("[{\"device\":\"rxe0\",\"counters\":{"
		"\"accesses\":1400,\"device_accesses\":600,\"pages_promoted\":1024,"
		"\"pages_evicted\":3}}]");
	now.heat = parse("[{\"device\":\"rxe0\",\"mrn\":7,\"address\":2097152,"
		"\"read_rate\":11,\"write_rate\":22,\"device_bytes\":2097152},"
		"{\"device\":\"rxe0\",\"mrn\":8,\"address\":4194304}]");
}

static void forget(void)
{
	json_object_put(before.devices);
	json_object_put(before.counters);
	json_object_put(before.heat);
	json_object_put(now.devices);
	json_object_put(now.counters);
	json_object_put(now.heat);
}

static void pictures(void)
{
	char *text;

	look();
	text = draw(&before, &now, 40);
	/* 100 of 400 accesses, 200 a second, 512 pages a second */
	CHECK(strstr(text, "\nrxe0           4 KiB    64 MiB   25.0%        200"));
	CHECK(strstr(text, "        512"));
	CHECK(strstr(text, "\nrxe0            7         0x200000        11        22     2 MiB"));
	CHECK(strstr(text, "\nrxe0            8         0x400000"));
	free(text);

	/* room for one part of memory only, or for none */
	text = draw(&before, &now, 6);
	CHECK(strstr(text, " 0x200000 ") && !strstr(text, " 0x400000 "));
	free(text);
	text = draw(&before, &now, 1);
	CHECK(!strstr(text, " 0x200000 "));
	free(text);

	/* nothing has happened, in no time */
	now.time = before.time;
	text = draw(&now, &now, 40);
	CHECK(strstr(text, "64 MiB       -          0"));
	free(text);
	forget();
}

int main(void)
{
	RUN(pictures);
	return tap_end();
}
