// SPDX-License-Identifier: GPL-2.0
/*
 * The command line: options, a command, and words that go in pairs.
 *
 *	rxectl [-j] [-p] dev [DEV]
 *	rxectl [-j] [-p] mr [DEV] [mrn N] [pid N]
 *	rxectl [-j] [-p] stat [DEV] [mrn N] [pid N]
 *	rxectl [-j] [-p] heat [DEV] [mrn N] [pid N]
 *	rxectl [-j] [-p] policy [DEV [MODE]]
 *	rxectl top [DEV] [count N]
 *	rxectl record [DEV] [every MS] [count N] [to FILE]
 *	rxectl report FILE [to FILE]
 *	rxectl heatmap FILE [dev DEV] [svg] [to FILE]
 *	rxectl [-j] [-p] migrate DEV {mrn N | pid N} to PLACE [offset N] [length N]
 *	rxectl [-j] [-p] prefer DEV {mrn N | pid N} PLACE [offset N] [length N]
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

/* How often record may look, in ms. */
#define EVERY_LEAST	10
#define EVERY_MOST	3600000

struct parser {
	struct args *args;
	char **argv;			/* what is left of it */
	char *error;
	size_t size;
	bool has_place, has_offset;
};

static int wrong(struct parser *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, p->size, fmt, ap);
	va_end(ap);
	return -1;
}

/* A number without sign or space; the rest of the word goes to end. */
static int number(const char *word, uint64_t *n, const char **end)
{
	char *stop;

	if (!isdigit((unsigned char)*word))
		return -1;
	errno = 0;
	*n = strtoull(word, &stop, 0);
	if (errno || stop == word)
		return -1;
	*end = stop;
	return 0;
}

static int number32(const char *word, uint32_t *to)
{
	const char *end;
	uint64_t n;

	if (number(word, &n, &end) || *end || n > UINT32_MAX)
		return -1;
	*to = n;
	return 0;
}

int args_size(const char *word, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	unsigned int shift = 0;
	uint64_t n;

	if (number(word, &n, &end))
		return -1;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -1;
		shift = 10 * (unit - units + 1);
	}
	if (n > UINT64_MAX >> shift)
		return -1;
	*bytes = n << shift;
	return 0;
}

static int take_place(struct parser *p, const char *word)
{
	int last = p->args->command == ARGS_MIGRATE ? RXEDV_PLACE_DEVICE :
						      RXEDV_PLACE_NONE;
	int place;

	if (p->has_place)
		return wrong(p, "%s: there is a place already", word);
	for (place = 0; place <= last; place++)
		if (!strcmp(word, rxedv_place_str(place)))
			break;
	if (place > last)
		return wrong(p, "%s: not a place; %s", word,
			     last == RXEDV_PLACE_DEVICE ?
			     "it is 'device' or 'system'" :
			     "it is 'device', 'system', 'stay' or 'none'");
	p->args->place = place;
	p->has_place = true;
	return 0;
}

/* The value of the word that was just taken, or NULL after an error. */
static const char *value(struct parser *p, bool again)
{
	const char *word = p->argv[-1];

	if (again)
		wrong(p, "%s: given twice", word);
	else if (!*p->argv)
		wrong(p, "%s: a value is missing", word);
	else
		return *p->argv++;
	return NULL;
}

static int take_number(struct parser *p, bool *has, uint32_t *to)
{
	const char *word = value(p, *has);

	if (!word)
		return -1;
	if (number32(word, to))
		return wrong(p, "%s: not a number of 32 bits", word);
	*has = true;
	return 0;
}

static int take_size(struct parser *p, bool *has, uint64_t *to)
{
	const char *word = value(p, *has);

	if (!word)
		return -1;
	if (args_size(word, to))
		return wrong(p, "%s: not a number of bytes", word);
	*has = true;
	return 0;
}

static bool moves(const struct args *args)
{
	return args->command == ARGS_MIGRATE || args->command == ARGS_PREFER;
}

static bool reads_recording(const struct args *args)
{
	return args->command == ARGS_REPORT || args->command == ARGS_HEATMAP;
}

static int take_mode(struct parser *p, const char *word)
{
	static const char *const modes[] = { "off", "manual", "auto", "default" };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(word, modes[i]))
			continue;
		p->args->mode = modes[i];
		return 0;
	}
	return wrong(p, "%s: not a mode; it is 'off', 'manual', 'auto' or 'default'",
		     word);
}

static int take_text(struct parser *p, const char **to)
{
	const char *word = value(p, *to);

	if (!word)
		return -1;
	*to = word;
	return 0;
}

static int take_every(struct parser *p)
{
	bool has = p->args->every;

	if (take_number(p, &has, &p->args->every))
		return -1;
	if (p->args->every < EVERY_LEAST || p->args->every > EVERY_MOST)
		return wrong(p, "every: from %d to %d ms", EVERY_LEAST, EVERY_MOST);
	return 0;
}

/* The words of record, report and heatmap. Returns 1 if it is none of them. */
static int take_recording_word(struct parser *p, const char *word)
{
	struct args *args = p->args;

	if (!strcmp(word, "to"))
		return take_text(p, &args->to);
	if (args->command == ARGS_RECORD)
		return strcmp(word, "every") ? 1 : take_every(p);
	if (args->command == ARGS_HEATMAP && !strcmp(word, "dev"))
		return take_text(p, &args->dev);
	if (args->command == ARGS_HEATMAP && !strcmp(word, "svg")) {
		args->svg = true;
		return 0;
	}
	if (args->file)
		return wrong(p, "%s: not known here", word);
	args->file = word;
	return 0;
}

static bool is_of_recordings(const struct args *args)
{
	return args->command == ARGS_RECORD || reads_recording(args);
}

static int take_word(struct parser *p)
{
	struct args *args = p->args;
	const char *word = *p->argv++;

	if ((args->command == ARGS_TOP || args->command == ARGS_RECORD) &&
	    !strcmp(word, "count"))
		return take_number(p, &args->has_count, &args->count);
	if (is_of_recordings(args)) {
		int ret = take_recording_word(p, word);

		if (ret <= 0)
			return ret;
	}
	if (args->command == ARGS_HEAT || args->command == ARGS_MR ||
	    args->command == ARGS_STAT || moves(args)) {
		if (!strcmp(word, "mrn"))
			return take_number(p, &args->has_mrn, &args->mrn);
		if (!strcmp(word, "pid"))
			return take_number(p, &args->has_pid, &args->pid);
	}
	if (moves(args)) {
		if (!strcmp(word, "offset"))
			return take_size(p, &p->has_offset, &args->offset);
		if (!strcmp(word, "length"))
			return take_size(p, &args->has_length, &args->length);
		if (!strcmp(word, "to")) {
			word = value(p, false);
			return word ? take_place(p, word) : -1;
		}
		if (args->dev)
			return take_place(p, word);
	}
	if (args->dev && args->command == ARGS_POLICY && !args->mode)
		return take_mode(p, word);
	if (args->dev)
		return wrong(p, "%s: not known here", word);
	args->dev = word;
	return 0;
}

static int check(struct parser *p)
{
	struct args *args = p->args;

	if (args->has_mrn && args->has_pid)
		return wrong(p, "either mrn or pid, not both");
	if (reads_recording(args) && !args->file)
		return wrong(p, "which recording?");
	if (!moves(args))
		return args->has_mrn && !args->dev ?
		       wrong(p, "mrn: which device's?") : 0;
	if (!args->dev)
		return wrong(p, "which device?");
	if (!args->has_mrn && !args->has_pid)
		return wrong(p, "which region? give 'mrn N' or 'pid N'");
	if (!p->has_place)
		return wrong(p, "where to? give 'to device' or 'to system'");
	if (args->has_pid && (p->has_offset || args->has_length))
		return wrong(p, "offset and length are for one region: give 'mrn N'");
	if (args->has_length && !args->length)
		return wrong(p, "length: 0 bytes are nothing to work on");
	return 0;
}

static int take_options(struct parser *p)
{
	for (; *p->argv && **p->argv == '-'; p->argv++) {
		const char *word = *p->argv;

		if (!strcmp(word, "-j") || !strcmp(word, "--json"))
			p->args->json = true;
		else if (!strcmp(word, "-p") || !strcmp(word, "--pretty"))
			p->args->pretty = true;
		else if (!strcmp(word, "-h") || !strcmp(word, "--help"))
			p->args->command = ARGS_HELP;
		else if (!strcmp(word, "-V") || !strcmp(word, "--version"))
			p->args->command = ARGS_VERSION;
		else
			return wrong(p, "%s: unknown option", word);
	}
	return 0;
}

static int take_command(struct parser *p)
{
	static const struct {
		const char *word;
		enum args_command command;
	} commands[] = {
		{ "dev", ARGS_DEV }, { "mr", ARGS_MR }, { "stat", ARGS_STAT },
		{ "migrate", ARGS_MIGRATE }, { "prefer", ARGS_PREFER },
		{ "heat", ARGS_HEAT }, { "policy", ARGS_POLICY },
		{ "top", ARGS_TOP }, { "record", ARGS_RECORD },
		{ "report", ARGS_REPORT }, { "heatmap", ARGS_HEATMAP },
		{ "help", ARGS_HELP }, { "version", ARGS_VERSION },
	};
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(*p->argv, commands[i].word))
			continue;
		p->args->command = commands[i].command;
		p->argv++;
		return 0;
	}
	return wrong(p, "%s: unknown command", *p->argv);
}

int args_parse(struct args *args, int argc, char **argv, char *error, size_t size)
{
	struct parser p = {
		.args = args,
		.argv = argc ? argv + 1 : argv,
		.error = error,
		.size = size,
	};
	const int none = -1;

	memset(args, 0, sizeof(*args));
	args->command = none;
	if (take_options(&p))
		return -1;
	if (args->command == ARGS_HELP || args->command == ARGS_VERSION)
		return 0;
	if (!*p.argv)
		return wrong(&p, "a command is missing");
	if (take_command(&p))
		return -1;
	if (args->command == ARGS_HELP || args->command == ARGS_VERSION)
		return 0;
	while (*p.argv)
		if (take_word(&p))
			return -1;
	return check(&p);
}
