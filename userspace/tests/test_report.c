// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a recording: the page, the heat map, and what is said of a file
 * that is none. With a file's name, it writes a recording there.
 */
#include <stdlib.h>

#include "heatmap.h"
#include "report.h"
#include "sample.h"
#include "svg.h"
#include "tap.h"

static struct recording r;

/* Read a recording from text. */
static int parse(const char *text, char *error, size_t size)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");
	int ret = recording_read(&r, f, error, size);

	fclose(f);
	return ret;
}

/* The recording that is made up, read again. */
static void sample(const char *device)
{
	char *text = NULL, error[80];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	sample_write(f, device);
	fclose(f);
	CHECK_INT(0, parse(text, error, sizeof(error)));
	free(text);
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

#define HEAD "{\"recording\":1}\n"
#define LOOK(time) "{\"time\":" time ",\"devices\":[],\"counters\":[],\"heat\":[]}\n"

#define REFUSED(text, why) do {						\
	char error[80] = "";						\
	CHECK_INT(-1, parse(text, error, sizeof(error)));		\
	CHECK_STR(why, error);						\
	CHECK(!r.looks && !r.head && !r.num);				\
} while (0)

static void no_recordings(void)
{
	REFUSED(" ", "not a recording");
	REFUSED("hello\n", "not a recording");
	REFUSED("[1]\n", "not a recording");
	REFUSED("{\"a\":1}\n", "not a recording");
	REFUSED("{\"recording\":2}\n", "a recording of another rxectl");
	REFUSED(HEAD, "fewer than two looks");
	REFUSED(HEAD LOOK("0"), "fewer than two looks");
	REFUSED(HEAD LOOK("0") "7\n", "line 3 is no object");
	REFUSED(HEAD LOOK("0") "{\"time\n", "line 3 is no object");
	REFUSED(HEAD LOOK("0") "{}\n", "line 3 is no look");
	REFUSED(HEAD LOOK("\"0\""), "line 2 is no look");
	REFUSED(HEAD LOOK("NaN"), "line 2 is no look");
	/* time goes on */
	REFUSED(HEAD LOOK("1") LOOK("1"), "line 3 is no look");
	REFUSED(HEAD LOOK("1") LOOK("0.5"), "line 3 is no look");
	REFUSED(HEAD "{\"time\":0,\"devices\":{},\"counters\":[],\"heat\":[]}\n",
		"line 2 is no look");
	REFUSED(HEAD "{\"time\":0,\"devices\":[{}],\"counters\":[],\"heat\":[]}\n",
		"line 2 is no look");
	REFUSED(HEAD "{\"time\":0,\"devices\":[],\"counters\":[],\"heat\":[{\"device\":1}]}\n",
		"line 2 is no look");
	REFUSED(HEAD "{\"time\":0,\"devices\":[],\"counters\":[{\"device\":\"a\"}],\"heat\":[]}\n",
		"line 2 is no look");
}

/* Whoever recorded was killed while it wrote. */
static void cut_off(void)
{
	char error[80];

	CHECK_INT(0, parse(HEAD LOOK("0") LOOK("1") "{\"time\":2,\"dev", error,
			   sizeof(error)));
	CHECK_INT(2, r.num);
	recording_forget(&r);
}

static void heat(void)
{
	struct heatmap *map;
	const struct heatmap_cell *cell;
	size_t row, column, wrong = 0;

	sample("rxe0");
	CHECK(!heatmap_make(&r, "rxe1", 100, 100));
	map = heatmap_make(&r, "rxe0", 100, 100);
	CHECK_INT(SAMPLE_PARTS, map->num_rows);
	CHECK_INT(SAMPLE_LOOKS - 1, map->num_columns);
	CHECK(map->hottest == sample_rate(0));
	for (row = 0; row < map->num_rows; row++) {
		CHECK_INT(SAMPLE_BASE + row * SAMPLE_PART, map->rows[row].address);
		for (column = 0; column < map->num_columns; column++) {
			cell = &map->cells[row * map->num_columns + column];
			/* counts are whole numbers */
			wrong += fabs(cell->rate - sample_rate(row)) > 2;
			wrong += cell->device != sample_on_device(column + 1, row);
		}
	}
	CHECK_INT(0, wrong);
	cell = map->cells;
	CHECK_INT(HEATMAP_LEVELS, heatmap_level(map, &cell[0]));
	CHECK_INT(HEATMAP_LEVELS - 1, heatmap_level(map, &cell[map->num_columns]));
	CHECK_INT(HEATMAP_LEVELS - 2, heatmap_level(map, &cell[3 * map->num_columns]));
	heatmap_free(map);

	/* four parts in a row, four looks in a column: the mean of all */
	map = heatmap_make(&r, "rxe0", 16, 10);
	CHECK_INT(16, map->num_rows);
	CHECK_INT(10, map->num_columns);
	CHECK_INT(4, map->rows[15].parts);
	CHECK_INT(SAMPLE_BASE + 60 * SAMPLE_PART, map->rows[15].address);
	CHECK(fabs(map->cells[0].rate - (2000 + 1000 + 666 + 500) / 4.0) < 1);
	CHECK(map->cells[9].device == 1 && map->cells[0].device == 0);
	CHECK(fabs(map->start[10] - (SAMPLE_LOOKS - 1) * SAMPLE_EVERY) < 1e-6);
	heatmap_free(map);
	recording_forget(&r);
}

static char *draw(int kind)
{
	struct heatmap *map = heatmap_make(&r, "rxe0", 8, 20);
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (kind == 's')
		heatmap_svg(f, map, "A & B", 1);
	else
		heatmap_text(f, map, "A & B", kind == 'c');
	fclose(f);
	heatmap_free(map);
	return text;
}

static void pictures(void)
{
	char *text;

	sample("rxe0");
	text = draw('t');
	/* the first rows are hot, and on the device after five of 20 columns */
	CHECK(strstr(text, "A & B\n    0x7f0000000000 88888HHHHHHHHHHHHHHH\n"));
	CHECK(strstr(text, "    0x7f0007000000 44444444444444444444\n"));
	CHECK_INT(8 + 3, count(text, "\n"));
	free(text);
	text = draw('c');
	CHECK(strstr(text, "\033[48;5;117m ") && strstr(text, "\033[48;5;214m "));
	CHECK_INT(8 + 2, count(text, "\033[0m"));
	free(text);
	text = draw('s');
	CHECK(!strncmp(text, "<svg xmlns=", 11) && strstr(text, ">A &amp; B</text>"));
	CHECK_INT(1, count(text, "</svg>\n"));
	CHECK_INT(8, count(text, "<g>"));
	CHECK(strstr(text, "<rect class=\"k1\" x=\"297.5\" y=\"50.0\" width=\"442.5\" height=\"15.4\" fill-opacity=\"1.00\"/>"));
	free(text);
	recording_forget(&r);
}

static char *page(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	report_write(f, &r);
	fclose(f);
	return text;
}

static void pages(void)
{
	char *text;

	sample("rxe0");
	text = page();
	CHECK_INT(6, count(text, "<svg "));
	CHECK_INT(6, count(text, "</svg>"));
	CHECK_INT(1, count(text, "<h2>rxe0</h2>"));
	/* one page that asks for nothing else */
	CHECK_INT(count(text, "xmlns=\"http://"), count(text, "http"));
	CHECK(!strstr(text, "<script") && !strstr(text, "<img") &&
	      !strstr(text, "src=") && !strstr(text, "url("));
	/* 2048 bytes times the sum of the rates */
	CHECK(strstr(text, "<tr><th>Read and written, MiB</th><td>370 </td><td>18.5 /s</td><td>18.5 /s</td></tr>"));
	CHECK(strstr(text, "<tr><th>Promoted, MiB</th><td>32 </td><td>0 /s</td><td>0 /s</td></tr>"));
	CHECK(!strstr(text, "nan") && !strstr(text, "inf"));
	free(text);
	recording_forget(&r);

	/* names are somebody else's */
	sample("<b>\"&\x01");
	text = page();
	CHECK(!strstr(text, "<b>") && strstr(text, "<h2>&lt;b&gt;&quot;&amp; </h2>"));
	free(text);
	recording_forget(&r);
}

/* Nothing has happened, or nothing is known. */
static void empty_pages(void)
{
	char error[80], *text;

	CHECK_INT(0, parse(HEAD LOOK("0") LOOK("1"), error, sizeof(error)));
	text = page();
	CHECK_INT(0, count(text, "<svg "));
	free(text);
	recording_forget(&r);

#define IDLE(time) "{\"time\":" time ",\"devices\":[{\"device\":\"a\"}],\"counters\":[],\"heat\":[]}\n"
	CHECK_INT(0, parse(HEAD IDLE("0") IDLE("1"), error, sizeof(error)));
	text = page();
	CHECK_INT(5, count(text, "<svg "));
	CHECK(strstr(text, "No heat is known"));
	CHECK(!strstr(text, "nan") && !strstr(text, "inf"));
	free(text);
	recording_forget(&r);
}

static void numbers(void)
{
	static const struct {
		double n;
		const char *text;
	} cases[] = {
		{ 0, "0" }, { 1, "1" }, { 0.25, "0.25" }, { 999, "999" },
		{ 999.6, "1k" }, { 1500, "1.5k" }, { 20e6, "20M" },
		{ 1e18, "1E" }, { 1e24, "1e+06E" },
	};
	char buf[32];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(cases[i].text,
			  svg_number(cases[i].n, buf, sizeof(buf)));
	CHECK(svg_step(10, 10) == 1 && svg_step(11, 10) == 2 &&
	      svg_step(40, 10) == 5 && svg_step(0.6, 10) == 0.1);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		FILE *to = fopen(argv[1], "w");

		if (to)
			sample_write(to, "rxe0");
		return !to || fclose(to);
	}
	RUN(no_recordings);
	RUN(cut_off);
	RUN(heat);
	RUN(pictures);
	RUN(pages);
	RUN(empty_pages);
	RUN(numbers);
	return tap_end();
}
