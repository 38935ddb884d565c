// SPDX-License-Identifier: GPL-2.0
/* The command line of rxectl: what is taken, and what is refused and how. */
#include <stdlib.h>

#include "args.h"
#include "tap.h"

static struct args a;
static char error[160];

/* Parse a command line whose words are separated by single spaces. */
static int parse(const char *line)
{
	char *copy = strdup(line), *argv[32];
	int argc = 0, ret;
	char *word;

	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strdup(word);
	argv[argc] = NULL;
	error[0] = 0;
	ret = args_parse(&a, argc, argv, error, sizeof(error));
	/* the device's name is the caller's */
	if (!ret && a.dev) {
		static char dev[32];

		snprintf(dev, sizeof(dev), "%s", a.dev);
		a.dev = dev;
	}
	while (argc)
		free(argv[--argc]);
	free(copy);
	return ret;
}

#define REFUSED(line, why) do {						\
	CHECK_INT(-1, parse(line));					\
	CHECK_STR(why, error);						\
} while (0)

static void sizes(void)
{
	static const struct {
		const char *word;
		uint64_t n;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "0x1000", 4096 },
		{ "4k", 4096 }, { "4K", 4096 }, { "1M", 1 << 20 },
		{ "2G", 2ULL << 30 }, { "3t", 3ULL << 40 }, { "010", 8 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", 16777215ULL << 40 },
	};
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "k", "1kk", "1kB", "1.5M", "0x",
		"4P", "abc", "18446744073709551616", "16777216T", "0xg",
	};
	uint64_t n;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_INT(0, args_size(good[i].word, &n));
		CHECK(n == good[i].n);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		n = 42;
		if (!args_size(bad[i], &n)) {
			printf("# taken: \"%s\"\n", bad[i]);
			CHECK(false);
		}
		CHECK(n == 42);
	}
}

static void plain(void)
{
	CHECK_INT(0, parse("rxectl dev"));
	CHECK_INT(ARGS_DEV, a.command);
	CHECK(!a.dev && !a.json && !a.pretty);
	CHECK_INT(0, parse("rxectl -j --pretty mr rxe0 pid 12"));
	CHECK_INT(ARGS_MR, a.command);
	CHECK_STR("rxe0", a.dev);
	CHECK(a.json && a.pretty && a.has_pid && a.pid == 12 && !a.has_mrn);
	CHECK_INT(0, parse("rxectl mr pid 12"));
	CHECK(!a.dev);
	CHECK_INT(0, parse("rxectl stat rxe0 mrn 4294967295"));
	CHECK(a.has_mrn && a.mrn == UINT32_MAX);
	CHECK_INT(0, parse("rxectl heat rxe0 mrn 5"));
	CHECK_INT(ARGS_HEAT, a.command);
	CHECK(a.has_mrn && a.mrn == 5);
	CHECK_INT(0, parse("rxectl policy"));
	CHECK_INT(ARGS_POLICY, a.command);
	CHECK(!a.dev && !a.mode);
	CHECK_INT(0, parse("rxectl policy rxe0 manual"));
	CHECK_STR("manual", a.mode);
	CHECK_INT(0, parse("rxectl top rxe0 count 3"));
	CHECK_INT(ARGS_TOP, a.command);
	CHECK(a.has_count && a.count == 3);
	CHECK_INT(0, parse("rxectl top"));
	CHECK(!a.dev && !a.has_count);
	CHECK_INT(0, parse("rxectl --help mr"));
	CHECK_INT(ARGS_HELP, a.command);
	CHECK_INT(0, parse("rxectl help"));
	CHECK_INT(ARGS_HELP, a.command);
	CHECK_INT(0, parse("rxectl -V"));
	CHECK_INT(ARGS_VERSION, a.command);
}

static void recordings(void)
{
	CHECK_INT(0, parse("rxectl record"));
	CHECK_INT(ARGS_RECORD, a.command);
	CHECK(!a.dev && !a.to && !a.every && !a.has_count);
	CHECK_INT(0, parse("rxectl record rxe0 count 3 every 10 to x"));
	CHECK_STR("rxe0", a.dev);
	CHECK(a.to && a.every == 10 && a.count == 3);
	CHECK_INT(0, parse("rxectl report x"));
	CHECK_INT(ARGS_REPORT, a.command);
	CHECK(a.file && !a.to && !a.dev);
	CHECK_INT(0, parse("rxectl heatmap - svg dev rxe0 to y"));
	CHECK_INT(ARGS_HEATMAP, a.command);
	CHECK(a.file && a.svg && a.to);
	CHECK_STR("rxe0", a.dev);

	REFUSED("rxectl record every 9", "every: from 10 to 3600000 ms");
	REFUSED("rxectl record every 3600001", "every: from 10 to 3600000 ms");
	REFUSED("rxectl record every 0", "every: from 10 to 3600000 ms");
	REFUSED("rxectl record every 1s", "1s: not a number of 32 bits");
	REFUSED("rxectl record every 20 every 20", "every: given twice");
	REFUSED("rxectl record to", "to: a value is missing");
	REFUSED("rxectl record to x to y", "to: given twice");
	REFUSED("rxectl record rxe0 svg", "svg: not known here");
	REFUSED("rxectl record rxe0 mrn 1", "mrn: not known here");
	REFUSED("rxectl report", "which recording?");
	REFUSED("rxectl report to x", "which recording?");
	REFUSED("rxectl report x y", "y: not known here");
	REFUSED("rxectl report x svg", "svg: not known here");
	REFUSED("rxectl heatmap svg", "which recording?");
	REFUSED("rxectl heatmap x dev", "dev: a value is missing");
	REFUSED("rxectl heatmap x count 1", "count: not known here");
	REFUSED("rxectl top every 20", "20: not known here");
}

static void moving(void)
{
	CHECK_INT(0, parse("rxectl migrate rxe0 mrn 3 to device"));
	CHECK_INT(ARGS_MIGRATE, a.command);
	CHECK_INT(RXEDV_PLACE_DEVICE, a.place);
	CHECK(a.has_mrn && a.mrn == 3 && !a.has_length && !a.offset);
	CHECK_INT(0, parse("rxectl migrate rxe0 offset 4K to system length 1M mrn 0x10"));
	CHECK_INT(RXEDV_PLACE_SYSTEM, a.place);
	CHECK(a.mrn == 16 && a.offset == 4096 && a.has_length &&
	      a.length == 1 << 20);
	CHECK_INT(0, parse("rxectl migrate rxe0 pid 1 to system"));
	CHECK(a.has_pid);
	CHECK_INT(0, parse("rxectl prefer rxe0 mrn 3 stay"));
	CHECK_INT(RXEDV_PLACE_STAY, a.place);
	CHECK_INT(0, parse("rxectl prefer rxe0 mrn 3 to none"));
	CHECK_INT(RXEDV_PLACE_NONE, a.place);
}

static void refused(void)
{
	REFUSED("rxectl", "a command is missing");
	REFUSED("rxectl -j", "a command is missing");
	REFUSED("rxectl -x dev", "-x: unknown option");
	REFUSED("rxectl frob", "frob: unknown command");
	REFUSED("rxectl dev rxe0 rxe1", "rxe1: not known here");
	REFUSED("rxectl dev rxe0 mrn 1", "mrn: not known here");
	REFUSED("rxectl policy rxe0 on",
		"on: not a mode; it is 'off', 'manual', 'auto' or 'default'");
	REFUSED("rxectl policy rxe0 auto off", "off: not known here");
	REFUSED("rxectl policy rxe0 mrn 1",
		"mrn: not a mode; it is 'off', 'manual', 'auto' or 'default'");
	REFUSED("rxectl top rxe0 count x", "x: not a number of 32 bits");
	REFUSED("rxectl dev rxe0 count 1", "count: not known here");
	REFUSED("rxectl heat mrn 1", "mrn: which device's?");
	REFUSED("rxectl mr rxe0 mrn", "mrn: a value is missing");
	REFUSED("rxectl mr rxe0 mrn x", "x: not a number of 32 bits");
	REFUSED("rxectl mr rxe0 mrn 4294967296", "4294967296: not a number of 32 bits");
	REFUSED("rxectl mr rxe0 mrn -1", "-1: not a number of 32 bits");
	REFUSED("rxectl mr rxe0 mrn 1 mrn 2", "mrn: given twice");
	REFUSED("rxectl mr rxe0 mrn 1 pid 2", "either mrn or pid, not both");
	REFUSED("rxectl mr mrn 1", "mrn: which device's?");
	REFUSED("rxectl migrate", "which device?");
	REFUSED("rxectl migrate rxe0 to device",
		"which region? give 'mrn N' or 'pid N'");
	REFUSED("rxectl migrate rxe0 mrn 1",
		"where to? give 'to device' or 'to system'");
	REFUSED("rxectl migrate rxe0 mrn 1 to", "to: a value is missing");
	REFUSED("rxectl migrate rxe0 mrn 1 to moon",
		"moon: not a place; it is 'device' or 'system'");
	REFUSED("rxectl migrate rxe0 mrn 1 to stay",
		"stay: not a place; it is 'device' or 'system'");
	REFUSED("rxectl migrate rxe0 mrn 1 to device to system",
		"system: there is a place already");
	REFUSED("rxectl prefer rxe0 mrn 1 moon",
		"moon: not a place; it is 'device', 'system', 'stay' or 'none'");
	REFUSED("rxectl migrate rxe0 mrn 1 to device length 0",
		"length: 0 bytes are nothing to work on");
	REFUSED("rxectl migrate rxe0 mrn 1 to device length 4Q",
		"4Q: not a number of bytes");
	REFUSED("rxectl migrate rxe0 mrn 1 to device offset 1 offset 1",
		"offset: given twice");
	REFUSED("rxectl migrate rxe0 pid 1 to device length 4K",
		"offset and length are for one region: give 'mrn N'");
}

int main(void)
{
	RUN(sizes);
	RUN(plain);
	RUN(recordings);
	RUN(moving);
	RUN(refused);
	return tap_end();
}
