// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "heatmap.h"
#include "svg.h"

#define PART		(2ULL << 20)
#define SVG_ROWS	96
#define SVG_COLUMNS	300
#define TEXT_ROWS	40
#define TEXT_COLUMNS	60
#define TEXT_LABEL	19		/* characters */

/* What is known of a part at a look. */
struct part {
	uint64_t mrn;
	uint64_t address;
	uint64_t accesses;
	uint64_t device_bytes;
};

struct parts {
	struct part *part;
	size_t num;
};

static int by_place(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->mrn != y->mrn)
		return x->mrn < y->mrn ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

/* A device's parts at a look, each once, in the order of their places. */
static struct parts parts_of(const struct look *look, const char *device)
{
	size_t num = json_object_array_length(look->heat), i, n = 0;
	struct parts parts = { .part = calloc(num + 1, sizeof(*parts.part)) };

	for (i = 0; parts.part && i < num; i++) {
		struct json_object *row = json_object_array_get_idx(look->heat, i);

		if (strcmp(row_text(row, "device"), device))
			continue;
		parts.part[parts.num++] = (struct part) {
			.mrn = row_number(row, "mrn"),
			.address = row_number(row, "address"),
			.accesses = row_number(row, "reads") +
				    row_number(row, "writes"),
			.device_bytes = row_number(row, "device_bytes"),
		};
	}
	if (!parts.num)
		return parts;
	qsort(parts.part, parts.num, sizeof(*parts.part), by_place);
	for (i = 1; i < parts.num; i++)
		if (by_place(&parts.part[n], &parts.part[i]))
			parts.part[++n] = parts.part[i];
	parts.num = n + 1;
	return parts;
}

static struct part *find_part(const struct parts *parts, const struct part *key)
{
	if (!parts->num)
		return NULL;
	return bsearch(key, parts->part, parts->num, sizeof(*key), by_place);
}

/* All parts of both, each once. */
static struct parts merge(struct parts a, struct parts b)
{
	struct parts all = {
		.part = calloc(a.num + b.num + 1, sizeof(*all.part)),
	};
	size_t i = 0, k = 0;
	int order;

	while (all.part && (i < a.num || k < b.num)) {
		order = i == a.num ? 1 : k == b.num ? -1 :
			by_place(&a.part[i], &b.part[k]);
		all.part[all.num++] = order <= 0 ? a.part[i] : b.part[k];
		i += order <= 0;
		k += order >= 0;
	}
	free(a.part);
	free(b.part);
	return all;
}

static struct parts all_parts(const struct recording *r, const char *device)
{
	struct parts all = {};
	size_t i;

	for (i = 0; i < r->num; i++)
		all = merge(all, parts_of(&r->looks[i], device));
	return all;
}

/* The column or row that the i-th of num falls into. */
static size_t bin(size_t i, size_t num, size_t bins)
{
	return i * bins / num;
}

static void set_rows(struct heatmap *map, const struct parts *all)
{
	size_t i;

	for (i = all->num; i--;) {
		struct heatmap_row *row =
			&map->rows[bin(i, all->num, map->num_rows)];

		row->mrn = all->part[i].mrn;
		row->address = all->part[i].address;
		row->parts++;
	}
}

/* Add what happened between two looks to the column's cells. */
static void add_looks(struct heatmap *map, const struct parts *all,
		      const struct parts *before, const struct parts *now,
		      size_t column, double share)
{
	size_t i;

	for (i = 0; i < now->num; i++) {
		const struct part *new = &now->part[i];
		const struct part *old = find_part(before, new);
		const struct part *at = find_part(all, new);
		struct heatmap_cell *cell;
		size_t row;

		if (!at)
			continue;
		row = bin(at - all->part, all->num, map->num_rows);
		cell = &map->cells[row * map->num_columns + column];

		/* what is new in the recording may have been used long before */
		if (old && new->accesses > old->accesses)
			cell->rate += (new->accesses - old->accesses) /
				      (double)map->rows[row].parts;
		cell->device += fmin(new->device_bytes / (double)PART, 1) * share /
				map->rows[row].parts;
	}
}

static void fill(struct heatmap *map, const struct recording *r,
		 const char *device, const struct parts *all)
{
	struct parts before = parts_of(&r->looks[0], device), now;
	size_t i, column, num = r->num - 1;

	map->start[map->num_columns] = r->looks[num].time - r->looks[0].time;
	for (i = num; i--;)
		map->start[bin(i, num, map->num_columns)] =
			r->looks[i].time - r->looks[0].time;
	for (i = 0; i < num; i++) {
		double time = r->looks[i + 1].time - r->looks[i].time;

		column = bin(i, num, map->num_columns);
		now = parts_of(&r->looks[i + 1], device);
		add_looks(map, all, &before, &now, column,
			  time / (map->start[column + 1] - map->start[column]));
		free(before.part);
		before = now;
	}
	free(before.part);
}

static void set_rates(struct heatmap *map)
{
	size_t i, column;

	for (i = 0; i < map->num_rows * map->num_columns; i++) {
		column = i % map->num_columns;
		map->cells[i].rate /= map->start[column + 1] - map->start[column];
		map->hottest = fmax(map->hottest, map->cells[i].rate);
	}
}

struct heatmap *heatmap_make(const struct recording *r, const char *device,
			     size_t max_rows, size_t max_columns)
{
	struct parts all = all_parts(r, device);
	struct heatmap *map = NULL;

	if (!all.num)
		goto out;
	map = calloc(1, sizeof(*map));
	if (!map)
		goto out;
	map->parts = all.num;
	map->num_rows = all.num < max_rows ? all.num : max_rows;
	map->num_columns = r->num - 1 < max_columns ? r->num - 1 : max_columns;
	map->rows = calloc(map->num_rows, sizeof(*map->rows));
	map->start = calloc(map->num_columns + 1, sizeof(*map->start));
	map->cells = calloc(map->num_rows * map->num_columns, sizeof(*map->cells));
	if (!map->rows || !map->start || !map->cells) {
		heatmap_free(map);
		map = NULL;
		goto out;
	}
	set_rows(map, &all);
	fill(map, r, device, &all);
	set_rates(map);
out:
	free(all.part);
	return map;
}

void heatmap_free(struct heatmap *map)
{
	if (!map)
		return;
	free(map->rows);
	free(map->start);
	free(map->cells);
	free(map);
}

/* Each level is half of the next: the last one is the hottest there is. */
int heatmap_level(const struct heatmap *map, const struct heatmap_cell *cell)
{
	double level;

	if (cell->rate <= 0)
		return 0;
	level = HEATMAP_LEVELS + ceil(log2(cell->rate / map->hottest));
	return level < 1 ? 1 : level;
}

static bool is_on_device(const struct heatmap_cell *cell)
{
	return cell->device >= 0.5;
}

/* svg */

#define MAP_TOP		50.0
#define MAP_FOOT	46.0

static double opacity(int level)
{
	return level ? 0.10 + 0.90 * level / HEATMAP_LEVELS : 0.04;
}

static bool look_alike(const struct heatmap *map, const struct heatmap_cell *a,
		       const struct heatmap_cell *b)
{
	return heatmap_level(map, a) == heatmap_level(map, b) &&
	       is_on_device(a) == is_on_device(b);
}

/* Cells that look alike are one. */
static void draw_row(FILE *to, const struct heatmap *map, size_t row, double y,
		     double height)
{
	const struct heatmap_cell *cells = &map->cells[row * map->num_columns];
	double end = map->start[map->num_columns], x;
	size_t first, i;

	for (first = 0; first < map->num_columns; first = i) {
		for (i = first + 1; i < map->num_columns &&
				    look_alike(map, &cells[first], &cells[i]);)
			i++;
		x = svg_x(map->start[first], end);
		fprintf(to, "<rect class=\"k%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill-opacity=\"%.2f\"/>\n",
			is_on_device(&cells[first]), x, y,
			svg_x(map->start[i], end) - x, height,
			opacity(heatmap_level(map, &cells[first])));
	}
}

static void draw_scale(FILE *to, const struct heatmap *map)
{
	char buf[32];
	double x;
	int i, device;

	x = svg_key(to, SVG_LEFT, 38, "k0", "in RAM");
	x = svg_key(to, x, 38, "k1", "on the device") + 20;
	fprintf(to, "<text x=\"%.1f\" y=\"38\">accesses/s of 2 MiB: 0</text>\n", x);
	x += 134;
	for (i = 0; i <= HEATMAP_LEVELS; i++)
		for (device = 0; device < 2; device++)
			fprintf(to, "<rect class=\"k%d\" x=\"%.1f\" y=\"%d\" width=\"14\" height=\"6\" fill-opacity=\"%.2f\"/>\n",
				device, x + 14 * i, 27 + 6 * device, opacity(i));
	fprintf(to, "<text x=\"%.1f\" y=\"38\">%s, steps double</text>\n",
		x + 14 * (HEATMAP_LEVELS + 1) + 6,
		svg_number(map->hottest, buf, sizeof(buf)));
}

void heatmap_svg(FILE *to, const struct heatmap *map, const char *title, int alone)
{
	double height = fmin(16, fmax(4, 320.0 / map->num_rows)), y = MAP_TOP;
	double labelled = -20;
	size_t row;

	svg_open(to, title, MAP_TOP + height * map->num_rows + MAP_FOOT, alone);
	fprintf(to, "<text class=\"end\" x=\"%.1f\" y=\"38\">address</text>\n",
		SVG_LEFT - 8);
	draw_scale(to, map);
	for (row = 0; row < map->num_rows; row++, y += height) {
		const struct heatmap_row *r = &map->rows[row];

		if (y - labelled >= 15) {
			fprintf(to, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\">%#" PRIx64 "</text>\n",
				SVG_LEFT - 8, y + fmin(height, 11), r->address);
			labelled = y;
		}
		fprintf(to, "<g><title>mrn %" PRIu64 ", %#" PRIx64 ", %zu MiB</title>\n",
			r->mrn, r->address, 2 * r->parts);
		draw_row(to, map, row, y, height - (height > 6 ? 0.6 : 0));
		fputs("</g>\n", to);
	}
	svg_time_axis(to, y, map->start[map->num_columns]);
	svg_close(to);
}

/* text */

/* Light to dark, of the 256 colours that terminals have. */
static const unsigned char ram_colours[HEATMAP_LEVELS + 1] = {
	234, 17, 18, 19, 25, 26, 33, 75, 117
};

static const unsigned char device_colours[HEATMAP_LEVELS + 1] = {
	235, 52, 88, 94, 130, 166, 172, 208, 214
};

static void print_cell(FILE *to, int level, bool device, bool colours)
{
	if (colours)
		fprintf(to, "\033[48;5;%dm ", device ? device_colours[level] :
						       ram_colours[level]);
	else if (device)
		fputc(level ? 'A' + level - 1 : '_', to);
	else
		fputc(level ? '0' + level : '.', to);
}

static void end_colours(FILE *to, bool colours)
{
	if (colours)
		fputs("\033[0m", to);
}

static void print_scale(FILE *to, const struct heatmap *map, bool colours)
{
	static const char *const words[] = { "in RAM ", "on the device " };
	int device, level;
	char buf[32];

	for (device = 0; device < 2; device++) {
		fputs(words[device], to);
		for (level = 0; level <= HEATMAP_LEVELS; level++)
			print_cell(to, level, device, colours);
		end_colours(to, colours);
		fputs("  ", to);
	}
	fprintf(to, "from 0 to %s accesses/s of 2 MiB, each step twice as many\n",
		svg_number(map->hottest, buf, sizeof(buf)));
}

void heatmap_text(FILE *to, const struct heatmap *map, const char *title,
		  bool colours)
{
	char end[32];
	size_t row, i;

	fprintf(to, "%s\n", title);
	for (row = 0; row < map->num_rows; row++) {
		fprintf(to, "%#*" PRIx64 " ", TEXT_LABEL - 1, map->rows[row].address);
		for (i = 0; i < map->num_columns; i++) {
			const struct heatmap_cell *cell =
				&map->cells[row * map->num_columns + i];

			print_cell(to, heatmap_level(map, cell),
				   is_on_device(cell), colours);
		}
		end_colours(to, colours);
		fputc('\n', to);
	}
	snprintf(end, sizeof(end), "%.1f s", map->start[map->num_columns]);
	fprintf(to, "%*s%s%*s\n", TEXT_LABEL, "", "0",
		(int)(map->num_columns > 1 ? map->num_columns - 1 : 1), end);
	print_scale(to, map, colours);
}

/* The first device that has used memory, if none is named. */
static struct heatmap *map_of(const struct args *args, const struct recording *r,
			      char *title, size_t size)
{
	struct json_object *names = recording_devices(r);
	size_t rows = SVG_ROWS, columns = SVG_COLUMNS, i;
	struct heatmap *map = NULL;
	struct winsize window;

	if (!args->svg) {
		rows = TEXT_ROWS;
		columns = TEXT_COLUMNS;
		if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) &&
		    window.ws_col > TEXT_LABEL + 20 && window.ws_row > 10) {
			columns = window.ws_col - TEXT_LABEL - 1;
			rows = window.ws_row - 4;
		}
	}
	for (i = 0; !map && i < json_object_array_length(names); i++) {
		const char *name =
			json_object_get_string(json_object_array_get_idx(names, i));

		if (args->dev && strcmp(args->dev, name))
			continue;
		map = heatmap_make(r, name, rows, columns);
		snprintf(title, size, "Heat of memory that %s uses", name);
	}
	json_object_put(names);
	return map;
}

enum rxectl_exit heatmap_run(const struct args *args)
{
	enum rxectl_exit status;
	struct recording r;
	struct heatmap *map;
	char title[80];
	FILE *to;

	status = recording_load(&r, args->file);
	if (status)
		return status;
	map = map_of(args, &r, title, sizeof(title));
	recording_forget(&r);
	if (!map)
		return rows_failed(args->file, args->dev ?
				   "that device has used no memory" :
				   "no device has used memory", ENOENT);
	to = rows_open(args->to, &status);
	if (to) {
		if (args->svg)
			heatmap_svg(to, map, title, 1);
		else
			heatmap_text(to, map, title,
				     !args->to && isatty(STDOUT_FILENO));
		status = rows_close(to, args->to);
	}
	heatmap_free(map);
	return status;
}
