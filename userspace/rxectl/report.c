// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heatmap.h"
#include "report.h"
#include "svg.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define MAX_POINTS	360
#define MAX_LINES	4
#define MAP_ROWS	96
#define MAP_COLUMNS	300
#define MIB		1048576.0

static const char page_style[] =
	":root{color-scheme:light dark}\n"
	"body{font:15px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;"
	"padding:0 1em;color:#222;background:#fff}\n"
	"h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.2em;margin-top:2em;"
	"border-bottom:1px solid #8886}\n"
	"p.about{color:#666;margin-top:.2em}\n"
	"table{border-collapse:collapse;margin:1em 0}"
	"th,td{padding:.2em .9em .2em 0;text-align:right;font-variant-numeric:tabular-nums}\n"
	"th:first-child,td:first-child{text-align:left}"
	"thead th{border-bottom:1px solid #8886}tbody th{font-weight:400}\n"
	"figure{margin:1.2em 0}figcaption{color:#666;font-size:.87em}\n"
	"@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}"
	"p.about,figcaption{color:#999}}\n";

/* Lines of a picture: the growth of a counter in a second, by some factor. */
struct curve {
	const char *name;
	const char *counter;
};

struct picture {
	const char *title;
	const char *unit;
	const char *caption;
	bool pages;			/* counted in pages, shown in MiB */
	double factor;
	struct curve curves[MAX_LINES];
};

static const struct picture pictures[] = {
	{
		.title = "Bandwidth",
		.unit = "MiB/s",
		.caption = "Bytes that packets have read from or written to on-demand memory.",
		.factor = 1 / MIB,
		.curves = { { "read and written", "access_bytes" } },
	}, {
		.title = "Migrations",
		.unit = "MiB/s",
		.caption = "Promoted and demoted: by choice. Evicted: to make room for others. Taken back: because the CPU touched it.",
		.pages = true,
		.factor = 1 / MIB,
		.curves = { { "promoted", "pages_promoted" },
			    { "demoted", "pages_demoted" },
			    { "evicted", "pages_evicted" },
			    { "taken back", "pages_cpu_faulted" } },
	}, {
		.title = "Faults",
		.unit = "per s",
		.caption = "Of the NIC on memory that it had not mapped, and of the CPU on memory that was on the device.",
		.factor = 1,
		.curves = { { "of the NIC", "page_faults_handled" },
			    { "of the CPU", "device_cpu_faults" } },
	},
};

/* A device of a recording, in so many points. */
struct subject {
	const struct recording *r;
	const char *device;
	double page_size;
	double start[MAX_POINTS + 1];
	size_t at[MAX_POINTS + 1];	/* the look that a point begins with */
	size_t num;
};

static void init(struct subject *s, const struct recording *r, const char *device)
{
	size_t num = r->num - 1, i;

	s->r = r;
	s->device = device;
	s->page_size = row_number(r->head, "page_size");
	s->num = num < MAX_POINTS ? num : MAX_POINTS;
	for (i = 0; i <= s->num; i++) {
		s->at[i] = i * num / s->num;
		s->start[i] = r->looks[s->at[i]].time - r->looks[0].time;
	}
}

static void figure(FILE *to, const struct subject *s, struct svg_plot *plot,
		   const char *caption)
{
	plot->start = s->start;
	plot->num = s->num;
	fputs("<figure>\n", to);
	svg_draw_plot(to, plot);
	fprintf(to, "<figcaption>%s</figcaption></figure>\n", caption);
}

/* Looks between two points are passed over: counters tell all the same. */
static double rate_at(const struct subject *s, size_t i, const char *counter)
{
	return look_rate(&s->r->looks[s->at[i]], &s->r->looks[s->at[i + 1]],
			 s->device, counter);
}

static void draw_rates(FILE *to, const struct subject *s,
		       const struct picture *picture)
{
	double y[MAX_LINES][MAX_POINTS];
	struct svg_line lines[MAX_LINES];
	struct svg_plot plot = {
		.title = picture->title,
		.unit = picture->unit,
		.lines = lines,
	};
	double factor = picture->factor * (picture->pages ? s->page_size : 1);
	size_t i, k;

	for (k = 0; k < MAX_LINES && picture->curves[k].name; k++) {
		for (i = 0; i < s->num; i++)
			y[k][i] = factor * rate_at(s, i, picture->curves[k].counter);
		lines[k] = (struct svg_line) { picture->curves[k].name, y[k] };
	}
	plot.num_lines = k;
	figure(to, s, &plot, picture->caption);
}

static void draw_hits(FILE *to, const struct subject *s)
{
	double y[MAX_POINTS], all;
	struct svg_line line = { "served from the device", y };
	struct svg_plot plot = {
		.title = "Hit rate",
		.unit = "%",
		.lines = &line,
		.num_lines = 1,
		.top = 100,
	};
	size_t i;

	for (i = 0; i < s->num; i++) {
		all = rate_at(s, i, "accesses");
		y[i] = all > 0 ? fmin(100, 100 * rate_at(s, i, "device_accesses") /
				      all) : i ? y[i - 1] : 0;
	}
	figure(to, s, &plot,
	       "The part of the accesses that the device's memory has served.");
}

static double memory_at(const struct subject *s, size_t i, const char *member)
{
	struct json_object *row = look_device(&s->r->looks[s->at[i + 1]],
					      s->device);

	return row ? row_number(row, member) / MIB : 0;
}

static void draw_residency(FILE *to, const struct subject *s)
{
	double used[MAX_POINTS], size[MAX_POINTS];
	const struct svg_line lines[] = {
		{ "used", used }, { "there is", size },
	};
	struct svg_plot plot = {
		.title = "Residency: memory of the device",
		.unit = "MiB",
		.lines = lines,
		.num_lines = COUNT(lines),
	};
	size_t i;

	for (i = 0; i < s->num; i++) {
		used[i] = memory_at(s, i, "memory_used");
		size[i] = memory_at(s, i, "memory_size");
	}
	figure(to, s, &plot, "What is used is memory of processes that is not in RAM.");
}

static void draw_heat(FILE *to, const struct subject *s)
{
	struct heatmap *map = heatmap_make(s->r, s->device, MAP_ROWS, MAP_COLUMNS);

	if (!map) {
		fputs("<p>No heat is known of this device's memory.</p>\n", to);
		return;
	}
	fputs("<figure>\n", to);
	heatmap_svg(to, map, "Heat and place of memory", 0);
	fprintf(to, "<figcaption>%zu parts of 2 MiB, in the order of their addresses; those that were never used are left out.</figcaption></figure>\n",
		map->parts);
	heatmap_free(map);
}

/* What a counter has grown from look to look, in all or in a second. */
static void write_growth(FILE *to, const struct subject *s, size_t from,
			 size_t end, const char *counter, double factor,
			 const char *unit)
{
	const struct look *looks = s->r->looks;
	char buf[32];
	double n;

	if (from == end) {
		fputs("<td>-</td>", to);
		return;
	}
	n = factor * look_growth(&looks[from], &looks[end], s->device, counter);
	if (unit)
		n /= looks[end].time - looks[from].time;
	fprintf(to, "<td>%s %s</td>", svg_number(n, buf, sizeof(buf)),
		unit ? unit : "");
}

static void write_totals(FILE *to, const struct subject *s)
{
	static const struct {
		const char *name;
		const char *counter;
		double factor;		/* 0: pages */
		const char *unit;
	} rows[] = {
		{ "Read and written, MiB", "access_bytes", 1 / MIB, "/s" },
		{ "Accesses", "accesses", 1, "/s" },
		{ "&#8230; served from the device", "device_accesses", 1, "/s" },
		{ "Promoted, MiB", "pages_promoted", 0, "/s" },
		{ "Demoted, MiB", "pages_demoted", 0, "/s" },
		{ "Page faults of the NIC", "page_faults_handled", 1, "/s" },
		{ "Page faults of the CPU", "device_cpu_faults", 1, "/s" },
	};
	size_t last = s->r->num - 1, fifth = last / 5, i;

	fputs("<table><thead><tr><th></th><th>in all</th><th>in the first fifth</th><th>in the last fifth</th></tr></thead><tbody>\n",
	      to);
	for (i = 0; i < COUNT(rows); i++) {
		double factor = rows[i].factor ? rows[i].factor :
						 s->page_size / MIB;

		fprintf(to, "<tr><th>%s</th>", rows[i].name);
		write_growth(to, s, 0, last, rows[i].counter, factor, NULL);
		write_growth(to, s, 0, fifth, rows[i].counter, factor,
			     rows[i].unit);
		write_growth(to, s, last - fifth, last, rows[i].counter, factor,
			     rows[i].unit);
		fputs("</tr>\n", to);
	}
	fputs("</tbody></table>\n", to);
}

static void write_device(FILE *to, const struct recording *r, const char *device)
{
	struct subject s;
	size_t i;

	init(&s, r, device);
	fputs("<h2>", to);
	svg_escape(to, device);
	fputs("</h2>\n", to);
	write_totals(to, &s);
	draw_heat(to, &s);
	draw_hits(to, &s);
	draw_rates(to, &s, &pictures[0]);
	draw_residency(to, &s);
	for (i = 1; i < COUNT(pictures); i++)
		draw_rates(to, &s, &pictures[i]);
}

static void write_word(FILE *to, const struct recording *r, const char *key)
{
	const char *word = row_text(r->head, key);

	svg_escape(to, word ? word : "unknown");
}

void report_write(FILE *to, const struct recording *r)
{
	struct json_object *names = recording_devices(r);
	size_t i;

	fprintf(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<link rel=\"icon\" href=\"data:,\">\n"
		"<title>rxectl report</title>\n<style>\n%s%s</style></head><body>\n"
		"<h1>rxectl report</h1>\n<p class=\"about\">Recorded from ",
		page_style, svg_style);
	write_word(to, r, "started");
	fprintf(to, " on, for %.1f s, in %zu looks; kernel ",
		r->looks[r->num - 1].time - r->looks[0].time, r->num);
	write_word(to, r, "kernel");
	fputs("</p>\n", to);
	for (i = 0; i < json_object_array_length(names); i++)
		write_device(to, r, json_object_get_string(json_object_array_get_idx(names, i)));
	fputs("</body></html>\n", to);
	json_object_put(names);
}

enum rxectl_exit report_run(const struct args *args)
{
	enum rxectl_exit status;
	struct recording r;
	FILE *to;

	status = recording_load(&r, args->file);
	if (status)
		return status;
	to = rows_open(args->to, &status);
	if (to) {
		report_write(to, &r);
		status = rows_close(to, args->to);
	}
	recording_forget(&r);
	return status;
}
