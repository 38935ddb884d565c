// SPDX-License-Identifier: GPL-2.0
/*
 * top: every second a picture of what the devices do and which memory is used
 * most. Plain text; on a terminal each picture takes the place of the one
 * before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "top.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define NO_TERMINAL	40	/* lines */

/* What is shown of a device's counters, each as so many a second. */
static const struct {
	const char *counter;
	const char *title;
} rates[] = {
	{ "accesses", "ACCESSES/S" },
	{ "page_faults_handled", "FAULTS/S" },
	{ "device_cpu_faults", "CPU FAULTS/S" },
	{ "pages_promoted", "PROMOTED/S" },
	{ "pages_demoted", "DEMOTED/S" },
	{ "pages_evicted", "EVICTED/S" },
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
			look_rate(before, now, device, rates[i].counter));
	fputc('\n', to);
}

static void draw_heat(FILE *to, struct json_object *row)
{
	uint64_t reads = row_number(row, "read_rate");
	uint64_t writes = row_number(row, "write_rate");
	char bytes[16];

	fprintf(to, "%-10s %6" PRIu64 " %#16" PRIx64 " %9" PRIu64 " %9" PRIu64
		" %9s %10" PRIu64 "\n", row_text(row, "device"),
		row_number(row, "mrn"), row_number(row, "address"), reads, writes,
		out_size(row_number(row, "device_bytes"), bytes, sizeof(bytes)),
		row_number(row, "cpu_faults"));
}

void top_draw(FILE *to, const struct look *before,
	      const struct look *now, unsigned int lines)
{
	size_t num = json_object_array_length(now->devices), i;

	fprintf(to, "%-10s %9s %9s %7s", "DEVICE", "USED", "MEMORY", "HITS");
	for (i = 0; i < COUNT(rates); i++)
		fprintf(to, " %s", rates[i].title);
	fputc('\n', to);
	for (i = 0; i < num; i++)
		draw_device(to, before, now,
			    json_object_array_get_idx(now->devices, i));
	fprintf(to, "\n%-10s %6s %16s %9s %9s %9s %10s\n", "DEVICE", "MRN",
		"ADDRESS", "READS/S", "WRITES/S", "ON DEVICE", "CPU FAULTS");
	lines = lines > num + 4 ? lines - num - 4 : 0;
	for (i = 0; i < json_object_array_length(now->heat) && i < lines; i++)
		draw_heat(to, json_object_array_get_idx(now->heat, i));
}

static unsigned int lines_of_terminal(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return NO_TERMINAL;
	return size.ws_row - 1;
}

enum rxectl_exit top_run(const struct args *args)
{
	struct look before = {}, now = {};
	bool terminal = isatty(STDOUT_FILENO);
	enum rxectl_exit status;
	uint32_t i;

	status = look_take(args, &before);
	for (i = 0; !status && (!args->has_count || i < args->count); i++) {
		sleep(1);
		status = look_take(args, &now);
		if (status)
			break;
		if (terminal)
			printf("\033[H\033[J");
		else if (i)
			putchar('\n');
		top_draw(stdout, &before, &now, lines_of_terminal());
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
