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
	before.regions = parse("[]");
	before.counters = parse("[{\"device\":\"rxe0\",\"counters\":{"
		"\"accesses\":1000,\"device_accesses\":500,\"pages_evicted\":9}}]");
	before.heat = parse("[]");
	now.time = 12;
	now.devices = parse("[{\"device\":\"rxe0\",\"memory_size\":67108864,"
		"\"memory_used\":4096}]");
	now.regions = parse("[{\"device\":\"rxe0\",\"mrn\":9,\"pid\":1},"
		"{\"device\":\"rxe0\",\"mrn\":8,\"pid\":42,\"comm\":\"server\",\"length\":4096},"
		"{\"device\":\"rxe1\",\"mrn\":7},"
		"{\"device\":\"rxe0\",\"mrn\":7,\"pid\":43,\"length\":8388608}]");
	now.counters = parse("[{\"device\":\"rxe0\",\"counters\":{"
		"\"accesses\":1400,\"device_accesses\":600,\"pages_promoted\":1024,"
		"\"access_bytes\":10485760,"
		"\"pages_evicted\":3}}]");
	now.heat = parse("[{\"device\":\"rxe0\",\"mrn\":7,\"address\":2097152,"
		"\"read_rate\":11,\"write_rate\":22,\"device_bytes\":2097152},"
		"{\"device\":\"rxe0\",\"mrn\":7,\"address\":8388608,\"read_rate\":5,"
		"\"device_bytes\":4096},"
		"{\"device\":\"rxe0\",\"mrn\":8,\"address\":4194304}]");
}

static void forget(void)
{
	json_object_put(before.devices);
	json_object_put(before.regions);
	json_object_put(now.regions);
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
	/* 100 of 400 accesses, 5 MiB and 200 accesses a second, 512 pages a second */
	CHECK(strstr(text, "\nrxe0           4 KiB    64 MiB   25.0%       5        200"));
	CHECK(strstr(text, "        512"));
	/* the sums over both parts of a region; the one most used first */
	CHECK(strstr(text, "CPU FAULTS\nrxe0            7       43 -                      16        22   2.0 MiB     8 MiB          0\n"
			   "rxe0            8       42 server                  0         0       0 B     4 KiB          0\n\n"));
	CHECK(!strstr(text, "rxe1") && !strstr(text, "rxe0            9"));
	CHECK(strstr(text, "\nrxe0            7         0x200000        11        22     2 MiB"));
	CHECK(strstr(text, "\nrxe0            8         0x400000"));
	free(text);

	/* room for one region and one part of memory, or for no more than devices */
	text = draw(&before, &now, 9);
	CHECK(strstr(text, "       43 -") && !strstr(text, "server"));
	CHECK(strstr(text, " 0x200000 ") && !strstr(text, " 0x800000 "));
	free(text);
	text = draw(&before, &now, 1);
	CHECK(!strstr(text, " 0x200000 ") && !strstr(text, "server"));
	free(text);

	/* nothing has happened, in no time */
	now.time = before.time;
	text = draw(&now, &now, 40);
	CHECK(strstr(text, "64 MiB       -       0          0"));
	free(text);
	forget();
}

/* Lines beyond the screen, and what is beyond its width, are left out. */
static void screens(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	top_screen(f, "12345\n123456\n\n1", 3, 5);
	fclose(f);
	CHECK_STR("\033[H12345\033[K\r\n12345\033[K\r\n\033[K\033[J", text);
	free(text);
}

int main(void)
{
	RUN(pictures);
	RUN(screens);
	return tap_end();
}
