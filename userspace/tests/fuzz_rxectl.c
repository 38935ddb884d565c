// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes what rxectl parses and prints, by libFuzzer. The first byte of an input
 * selects what the rest is: words of a command line, each ended by a zero, or
 * the attributes of a netlink message, or a recording. What is understood is checked
 * and printed.
 */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "heatmap.h"
#include "nl.h"
#include "out.h"
#include "report.h"

#define WORDS	24

/* Holds what rxectl relies on, else libFuzzer keeps the input. */
static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_args(const struct args *args)
{
	bool moves = args->command == ARGS_MIGRATE ||
		     args->command == ARGS_PREFER;

	must(!(args->has_mrn && args->has_pid));
	must(!args->has_mrn || args->dev);
	must(!moves || (args->dev && (args->has_mrn || args->has_pid)));
	must(!args->has_length || args->length);
	must(args->command != ARGS_MIGRATE || args->place <= RXEDV_PLACE_DEVICE);
}

static void command_line(char *text, size_t len)
{
	char *argv[WORDS + 2] = { "rxectl" }, error[80];
	struct args args;
	int argc = 1;
	char *word;

	for (word = text; word < text + len && argc <= WORDS;
	     word += strlen(word) + 1)
		argv[argc++] = word;
	memset(error, 'x', sizeof(error));
	if (args_parse(&args, argc, argv, error, sizeof(error)))
		must(memchr(error, '\0', sizeof(error)) && *error);
	else if (args.command != ARGS_HELP && args.command != ARGS_VERSION)
		check_args(&args);
}

static void print(struct json_object *what)
{
	static const struct out_column columns[] = {
		{ "device", "DEVICE", OUT_TEXT }, { "comm", "COMM", OUT_TEXT },
		{ "index", "INDEX", OUT_NUMBER }, { "mrn", "MRN", OUT_NUMBER },
		{ "length", "LENGTH", OUT_SIZE }, { "rkey", "RKEY", OUT_HEX },
	};
	FILE *to = fopen("/dev/null", "w");

	must(to);
	out_json(to, what, false);
	out_json(to, what, true);
	if (json_object_is_type(what, json_type_array))
		out_table(to, what, columns,
			  sizeof(columns) / sizeof(columns[0]));
	fclose(to);
}

static void message(uint8_t kind, const void *attrs, size_t len)
{
	struct json_object *to = kind % 3 < 2 ? json_object_new_array() :
						json_object_new_object();
	/* what is received is padded, and libmnl looks there */
	struct nlmsghdr *nlh = calloc(1, MNL_ALIGN(MNL_NLMSG_HDRLEN + len));

	must(to && nlh);
	nlh->nlmsg_len = MNL_NLMSG_HDRLEN + len;
	memcpy(nlh + 1, attrs, len);
	switch (kind % 3) {
	case 0:
		nl_parse_device(nlh, to);
		break;
	case 1:
		nl_parse_regions(nlh, to);
		break;
	case 2:
		nl_parse_counters(nlh, to);
		break;
	}
	print(to);
	free(nlh);
	json_object_put(to);
}

static void draw(const struct recording *r)
{
	FILE *to = fopen("/dev/null", "w");
	struct heatmap *map;

	must(to);
	report_write(to, r);
	map = heatmap_make(r, "a", 7, 7);
	if (map)
		heatmap_text(to, map, "a", true);
	heatmap_free(map);
	fclose(to);
}

static void recording(const void *text, size_t len)
{
	char error[80] = "";
	struct recording r;
	FILE *from;

	if (!len)
		return;
	from = fmemopen((void *)text, len, "r");
	must(from);
	if (recording_read(&r, from, error, sizeof(error))) {
		must(*error && !r.head && !r.looks);
	} else {
		draw(&r);
		recording_forget(&r);
	}
	fclose(from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text;

	if (!len)
		return 0;
	if (*data >= '0' && *data <= '2') {
		message(*data, data + 1, len - 1);
		return 0;
	}
	if (*data == '3') {
		recording(data + 1, len - 1);
		return 0;
	}
	text = malloc(len);
	must(text);
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	command_line(text, len - 1);
	free(text);
	return 0;
}
