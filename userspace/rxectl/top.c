// SPDX-License-Identifier: GPL-2.0
/*
 * top: every second a picture of what the devices do, whose regions are used and
 * which parts of memory most. On a terminal it has a screen of its own until q is
 * pressed or it is interrupted; elsewhere the pictures follow each other as text.
 */
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "top.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define NO_TERMINAL	40	/* lines */
#define PERIOD_MS	1000
#define MAX_REGIONS	8	/* lines */

/* A screen beside the one with the shell, without a cursor; and back. */
#define SCREEN_OWN	"\033[?1049h\033[?25l"
#define SCREEN_BACK	"\033[?25h\033[?1049l"
#define SCREEN_HOME	"\033[H"
#define LINE_END	"\033[K"
#define SCREEN_END	"\033[J"

/* What is shown of a device's counters, each as so many a second. */
static const struct {
	const char *counter;
	const char *title;
	double factor;
} rates[] = {
	{ "access_bytes", "  MIB/S", 1 / 1048576.0 },
	{ "accesses", "ACCESSES/S", 1 },
	{ "page_faults_handled", "FAULTS/S", 1 },
	{ "device_cpu_faults", "CPU FAULTS/S", 1 },
	{ "pages_promoted", "PROMOTED/S", 1 },
	{ "pages_demoted", "DEMOTED/S", 1 },
	{ "pages_evicted", "EVICTED/S", 1 },
};

static void draw_device(FILE *to, const struct look *before,
			const struct look *now, struct json_object *row)
{
	const char *device = row_text(row, "device");
	uint64_t all = look_growth(before, now, device, "accesses");
	uint64_t hits = look_growth(before, now, device, "device_accesses");
	char used[16], size[16];
	size_t i;

	fprintf(to, "%-10s %9s %9s", device,
		out_size(row_number(row, "memory_used"), used, sizeof(used)),
		out_size(row_number(row, "memory_size"), size, sizeof(size)));
	if (all)
		fprintf(to, " %6.1f%%", 100.0 * hits / all);
	else
		fprintf(to, " %7s", "-");
	for (i = 0; i < COUNT(rates); i++)
		fprintf(to, " %*.0f", (int)strlen(rates[i].title),
			rates[i].factor *
			look_rate(before, now, device, rates[i].counter));
	fputc('\n', to);
}

/* What the heat tells of a region: the sums over its parts. */
static void add_heat(struct json_object *region, struct json_object *heat)
{
	static const char *const words[] = {
		"read_rate", "write_rate", "device_bytes", "cpu_faults"
	};
	size_t i, k;

	for (i = 0; i < COUNT(words); i++)
		json_object_object_del(region, words[i]);
	for (k = 0; k < json_object_array_length(heat); k++) {
		struct json_object *row = json_object_array_get_idx(heat, k);

		if (row_number(row, "mrn") != row_number(region, "mrn") ||
		    strcmp(row_text(row, "device"), row_text(region, "device")))
			continue;
		for (i = 0; i < COUNT(words); i++)
			row_put(region, words[i], row_number(region, words[i]) +
				row_number(row, words[i]));
	}
}

static uint64_t rate_of(struct json_object *row)
{
	return row_number(row, "read_rate") + row_number(row, "write_rate");
}

static int most_used_first(const void *a, const void *b)
{
	uint64_t x = rate_of(*(struct json_object *const *)a);
	uint64_t y = rate_of(*(struct json_object *const *)b);

	return x > y ? -1 : x < y;
}

static void draw_region(FILE *to, struct json_object *row)
{
	const char *comm = row_text(row, "comm");
	char bytes[16], length[16];

	fprintf(to, "%-10s %6" PRIu64 " %8" PRIu64 " %-15.15s %9" PRIu64 " %9" PRIu64
		" %9s %9s %10" PRIu64 "\n", row_text(row, "device"),
		row_number(row, "mrn"), row_number(row, "pid"), comm ? comm : "-",
		row_number(row, "read_rate"), row_number(row, "write_rate"),
		out_size(row_number(row, "device_bytes"), bytes, sizeof(bytes)),
		out_size(row_number(row, "length"), length, sizeof(length)),
		row_number(row, "cpu_faults"));
}

/* Regions that the heat knows, as many as there is room for; how many lines. */
static unsigned int draw_regions(FILE *to, const struct look *now,
				 unsigned int room)
{
	size_t num = json_object_array_length(now->regions), i;
	unsigned int lines = 0;

	for (i = 0; i < num; i++)
		add_heat(json_object_array_get_idx(now->regions, i), now->heat);
	json_object_array_sort(now->regions, most_used_first);
	for (i = 0; i < num && lines < room && lines < MAX_REGIONS; i++) {
		struct json_object *row = json_object_array_get_idx(now->regions, i);

		if (!row_has(row, "read_rate"))
			continue;
		if (!lines++)
			fprintf(to, "\n%-10s %6s %8s %-15s %9s %9s %9s %9s %10s\n",
				"DEVICE", "MRN", "PID", "COMMAND", "READS/S",
				"WRITES/S", "ON DEVICE", "OF", "CPU FAULTS");
		draw_region(to, row);
	}
	return lines ? lines + 2 : 0;
}

static void draw_heat(FILE *to, struct json_object *row)
{
	char bytes[16];

	fprintf(to, "%-10s %6" PRIu64 " %#16" PRIx64 " %9" PRIu64 " %9" PRIu64
		" %9s %10" PRIu64 "\n", row_text(row, "device"),
		row_number(row, "mrn"), row_number(row, "address"),
		row_number(row, "read_rate"), row_number(row, "write_rate"),
		out_size(row_number(row, "device_bytes"), bytes, sizeof(bytes)),
		row_number(row, "cpu_faults"));
}

static unsigned int less(unsigned int lines, unsigned int by)
{
	return lines > by ? lines - by : 0;
}

void top_draw(FILE *to, const struct look *before, const struct look *now,
	      unsigned int lines)
{
	size_t num = json_object_array_length(now->devices), i;

	fprintf(to, "%-10s %9s %9s %7s", "DEVICE", "USED", "MEMORY", "HITS");
	for (i = 0; i < COUNT(rates); i++)
		fprintf(to, " %s", rates[i].title);
	fputc('\n', to);
	for (i = 0; i < num; i++)
		draw_device(to, before, now,
			    json_object_array_get_idx(now->devices, i));
	lines = less(lines, num + 1);
	lines = less(lines, draw_regions(to, now, less(lines, 4) / 2) + 3);
	fprintf(to, "\n%-10s %6s %16s %9s %9s %9s %10s\n", "DEVICE", "MRN",
		"ADDRESS", "READS/S", "WRITES/S", "ON DEVICE", "CPU FAULTS");
	for (i = 0; i < json_object_array_length(now->heat) && i < lines; i++)
		draw_heat(to, json_object_array_get_idx(now->heat, i));
}

/* What doesn't fit is left out, or the terminal would scroll. */
void top_screen(FILE *to, const char *text, unsigned int lines, unsigned int width)
{
	const char *sep = SCREEN_HOME;
	size_t len;

	for (; *text && lines--; text += len + !!text[len]) {
		len = strcspn(text, "\n");
		fprintf(to, "%s%.*s" LINE_END, sep, (int)(len < width ? len : width),
			text);
		sep = "\r\n";
	}
	fputs(SCREEN_END, to);
}

static struct termios shell;
static volatile sig_atomic_t stopped;

static void note_signal(int signal)
{
	/* for SIGWINCH it is enough that poll() ends */
	if (signal != SIGWINCH)
		stopped = 1;
}

/* Keys come at once and don't show. */
static void enter_screen(void)
{
	struct sigaction sa = { .sa_handler = note_signal };
	struct termios keys;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGWINCH, &sa, NULL);
	if (!tcgetattr(STDIN_FILENO, &shell)) {
		keys = shell;
		keys.c_lflag &= ~(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	}
	fputs(SCREEN_OWN, stdout);
}

static void leave_screen(void)
{
	fputs(SCREEN_BACK, stdout);
	fflush(stdout);
	if (isatty(STDIN_FILENO))
		tcsetattr(STDIN_FILENO, TCSANOW, &shell);
}

static enum rxectl_exit show_screen(const struct look *before, const struct look *now)
{
	struct winsize size = {};
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return STATUS_FAILED;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	top_draw(to, before, now, size.ws_row ? size.ws_row : NO_TERMINAL);
	fclose(to);
	top_screen(stdout, text, size.ws_row ? size.ws_row : NO_TERMINAL,
		   size.ws_col ? size.ws_col : UINT_MAX);
	free(text);
	return STATUS_OK;
}

/* Wait for the next picture; returns false if there should be none. */
static bool wait_for_key(void)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	if (!isatty(STDIN_FILENO)) {
		poll(NULL, 0, PERIOD_MS);
		return !stopped;
	}
	if (poll(&keys, 1, PERIOD_MS) <= 0)
		return !stopped;
	return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && !stopped;
}

static enum rxectl_exit show(const struct args *args, bool terminal)
{
	struct look before = {}, now = {};
	enum rxectl_exit status;
	uint32_t i;

	status = look_take(args, &before);
	for (i = 0; !status && (!args->has_count || i < args->count); i++) {
		if (!terminal)
			sleep(PERIOD_MS / 1000);
		else if (!wait_for_key())
			break;
		status = look_take(args, &now);
		if (status)
			break;
		if (terminal) {
			status = show_screen(&before, &now);
		} else {
			if (i)
				putchar('\n');
			top_draw(stdout, &before, &now, NO_TERMINAL);
		}
		if (fflush(stdout))
			break;
		look_forget(&before);
		before = now;
		memset(&now, 0, sizeof(now));
	}
	look_forget(&before);
	look_forget(&now);
	return status;
}

enum rxectl_exit top_run(const struct args *args)
{
	bool terminal = isatty(STDOUT_FILENO);
	enum rxectl_exit status;

	if (terminal)
		enter_screen();
	status = show(args, terminal);
	if (terminal)
		leave_screen();
	return status;
}
