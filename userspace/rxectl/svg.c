// SPDX-License-Identifier: GPL-2.0
#include <math.h>

#include "svg.h"

#define PLOT_TOP	58.0
#define PLOT_HEIGHT	170.0
#define PLOT_FOOT	46.0

const char svg_style[] =
	"svg{font:12px system-ui,sans-serif;max-width:100%;height:auto}\n"
	"svg text{fill:#333}svg .title{font-weight:600;font-size:14px}\n"
	"svg .end{text-anchor:end}svg .middle{text-anchor:middle}\n"
	"svg .grid{stroke:#ddd;stroke-width:1}svg .axis{stroke:#888;stroke-width:1}\n"
	"svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}\n"
	"svg .hover{fill:transparent}svg .hover:hover{fill:#8883}\n"
	"svg .s0{stroke:#0067a8}svg .s1{stroke:#c44e00}"
	"svg .s2{stroke:#00795a}svg .s3{stroke:#a8427f}\n"
	"svg .k0{fill:#0067a8}svg .k1{fill:#c44e00}"
	"svg .k2{fill:#00795a}svg .k3{fill:#a8427f}\n"
	"svg .area{fill:#8881}\n"
	"@media(prefers-color-scheme:dark){svg text{fill:#ddd}svg .grid{stroke:#3a3a3a}\n"
	"svg .s0{stroke:#5ab4f0}svg .s1{stroke:#ff9c4d}"
	"svg .s2{stroke:#3ccfa2}svg .s3{stroke:#e98fc6}\n"
	"svg .k0{fill:#5ab4f0}svg .k1{fill:#ff9c4d}"
	"svg .k2{fill:#3ccfa2}svg .k3{fill:#e98fc6}}\n";

void svg_escape(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		case '"':
			fputs("&quot;", to);
			break;
		default:
			/* XML has no control characters */
			fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
		}
	}
}

void svg_open(FILE *to, const char *title, double height, int alone)
{
	fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\" aria-label=\"",
		SVG_WIDTH, height, SVG_WIDTH, height);
	svg_escape(to, title);
	fputs("\">\n", to);
	if (alone)
		fprintf(to, "<style>%s@media(prefers-color-scheme:dark){svg{background:#161616}}</style>\n",
			svg_style);
	fputs("<text class=\"title\" x=\"8\" y=\"18\">", to);
	svg_escape(to, title);
	fputs("</text>\n", to);
}

void svg_close(FILE *to)
{
	fputs("</svg>\n", to);
}

const char *svg_number(double n, char *buf, size_t size)
{
	static const char units[] = " kMGTPE";
	int unit = 0;

	while (fabs(n) >= 999.5 && units[unit + 1]) {
		n /= 1000;
		unit++;
	}
	if (unit)
		snprintf(buf, size, "%.3g%c", n, units[unit]);
	else
		snprintf(buf, size, "%.3g", n);
	return buf;
}

double svg_step(double range, int parts)
{
	double least = range / parts, unit = pow(10, floor(log10(least)));

	if (least <= unit)
		return unit;
	if (least <= 2 * unit)
		return 2 * unit;
	return least <= 5 * unit ? 5 * unit : 10 * unit;
}

double svg_x(double time, double end)
{
	return SVG_LEFT + (SVG_WIDTH - SVG_LEFT - SVG_RIGHT) * time / end;
}

void svg_time_axis(FILE *to, double y, double end)
{
	double step = svg_step(end, 10);
	int i;

	fprintf(to, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", SVG_LEFT, y,
		SVG_WIDTH - SVG_RIGHT);
	for (i = 0; i * step <= end * 1.0001; i++)
		fprintf(to, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/><text class=\"middle\" x=\"%.1f\" y=\"%.1f\">%g</text>\n",
			svg_x(i * step, end), y, svg_x(i * step, end), y + 17,
			i * step);
	fprintf(to, "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">time in s</text>\n",
		svg_x(end / 2, end), y + 33);
}

double svg_key(FILE *to, double x, double y, const char *class, const char *word)
{
	double end = x + 22;
	const char *p;

	fprintf(to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" rx=\"2\"/><text x=\"%.1f\" y=\"%.1f\">",
		class, x, y - 10, x + 15, y);
	svg_escape(to, word);
	fputs("</text>\n", to);
	for (p = word; *p; p++)
		end += 6.6;
	return end + 8;
}

static double highest(const struct svg_plot *plot)
{
	double most = 0;
	size_t i, k;

	if (plot->top > 0)
		return plot->top;
	for (i = 0; i < plot->num_lines; i++)
		for (k = 0; k < plot->num; k++)
			most = fmax(most, plot->lines[i].y[k]);
	return most > 0 ? most : 1;
}

static double plot_y(double y, double top)
{
	return PLOT_TOP + PLOT_HEIGHT * (1 - y / top);
}

static void draw_line(FILE *to, const struct svg_plot *plot, size_t i, double top)
{
	double end = plot->start[plot->num];
	size_t k;

	fprintf(to, "<path class=\"line s%zu\" d=\"M%.1f %.1f", i,
		svg_x(plot->start[0], end), plot_y(plot->lines[i].y[0], top));
	for (k = 0; k < plot->num; k++)
		fprintf(to, "V%.1fH%.1f", plot_y(plot->lines[i].y[k], top),
			svg_x(plot->start[k + 1], end));
	fputs("\"/>\n", to);
}

/* What a pointer on the picture tells. */
static void draw_hovers(FILE *to, const struct svg_plot *plot)
{
	double end = plot->start[plot->num], x;
	char buf[32];
	size_t i, k;

	for (k = 0; k < plot->num; k++) {
		x = svg_x(plot->start[k], end);
		fprintf(to, "<rect class=\"hover\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%.1f s",
			x, PLOT_TOP, svg_x(plot->start[k + 1], end) - x,
			PLOT_HEIGHT, plot->start[k]);
		for (i = 0; i < plot->num_lines; i++)
			fprintf(to, "\n%s: %s %s", plot->lines[i].name,
				svg_number(plot->lines[i].y[k], buf, sizeof(buf)),
				plot->unit);
		fputs("</title></rect>\n", to);
	}
}

void svg_draw_plot(FILE *to, const struct svg_plot *plot)
{
	double most = highest(plot), step = svg_step(most, 4);
	double top = step * ceil(most / step - 1e-9), x = SVG_LEFT;
	char buf[32], class[32];
	size_t k;
	int i;

	svg_open(to, plot->title, PLOT_TOP + PLOT_HEIGHT + PLOT_FOOT, 0);
	for (k = 0; k < plot->num_lines; k++) {
		snprintf(class, sizeof(class), "k%zu", k);
		x = svg_key(to, x, 38, class, plot->lines[k].name);
	}
	for (i = 0; i * step <= top * 1.0001; i++)
		fprintf(to, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text class=\"end\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
			SVG_LEFT, plot_y(i * step, top), SVG_WIDTH - SVG_RIGHT,
			SVG_LEFT - 8, plot_y(i * step, top) + 4,
			svg_number(i * step, buf, sizeof(buf)));
	fprintf(to, "<text class=\"end\" x=\"%.1f\" y=\"38\">%s</text>\n",
		SVG_LEFT - 8, plot->unit);
	for (k = 0; k < plot->num_lines; k++)
		draw_line(to, plot, k, top);
	svg_time_axis(to, PLOT_TOP + PLOT_HEIGHT, plot->start[plot->num]);
	draw_hovers(to, plot);
	svg_close(to);
}
