/* svg_plot.c - plots inside a page. */
#include "svg_plot.h"

#include <math.h>
#include <string.h>

#include "plot_range.h"
#include "sheet.h"

enum { W = 420, H = 270, LEFT = 76, RIGHT = 12, TOP = 28, BOTTOM = 46, COLOURS = 8 };

static double px(const lab_range *r, double x)
{
	return LEFT + lab_part(x, r->x0, r->x1) * (W - LEFT - RIGHT);
}
static double py(const lab_range *r, double y)
{
	return H - BOTTOM - lab_part(y, r->y0, r->y1) * (H - TOP - BOTTOM);
}

static void text(FILE *f, double x, double y, const char *look, const char *s)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, look);
	lab_html_text(f, s);
	fputs("</text>\n", f);
}

/* A long title begins at the edge, in smaller letters. */
static void name(FILE *f, const char *s)
{
	double wide = 0.6 * (double)strlen(s); /* in units of the size of letters */
	double left = 13 * wide > W - LEFT ? 4 : LEFT, size = fmax(6, fmin(13, (W - left - 4) / wide));
	fprintf(f, "<text x=\"%.0f\" y=\"17\" class=\"name\"", left);
	if (size < 13)
		fprintf(f, " style=\"font-size:%.1fpx\"", size);
	fputc('>', f);
	lab_html_text(f, s);
	fputs("</text>\n", f);
}

static void axes(FILE *f, const lab_range *r, const char *xlabel, const char *ylabel)
{
	double tick[20];
	char s[32];
	int n = lab_ticks(r->y0, r->y1, 5, tick);
	for (int i = 0; i < n; i++) {
		fprintf(f, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, py(r, tick[i]), W - RIGHT);
		snprintf(s, sizeof s, "%.4g", fabs(tick[i]) < 1e-9 * (r->y1 - r->y0) ? 0 : tick[i]);
		text(f, LEFT - 5, py(r, tick[i]) + 4, "end", s);
	}
	n = lab_ticks(r->x0, r->x1, 5, tick);
	for (int i = 0; i < n; i++) {
		fprintf(f, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>\n", px(r, tick[i]), TOP, H - BOTTOM);
		snprintf(s, sizeof s, "%.4g", fabs(tick[i]) < 1e-9 * (r->x1 - r->x0) ? 0 : tick[i]);
		text(f, px(r, tick[i]), H - BOTTOM + 17, "middle", s);
	}
	text(f, (LEFT + W - RIGHT) / 2.0, H - 6, "middle", xlabel);
	fprintf(f, "<g transform=\"translate(13 %d) rotate(-90)\">", (TOP + H - BOTTOM) / 2);
	text(f, 0, 0, "middle", ylabel);
	fputs("</g>\n", f);
}

static void draw(FILE *f, const lab_range *r, const lab_curve *c, int which)
{
	bool up = true;
	double base = py(r, r->y0), half = c->n > 1 ? (px(r, c->x[1]) - px(r, c->x[0])) / 2 : 4;
	int64_t stride = c->n / 800 + 1; /* more points than pixels: every so many, and the last */
	fprintf(f, "<path class=\"%s\" style=\"--c: var(--c%d)\" d=\"",
		c->style == LAB_BOXES	     ? "box"
		: which % COLOURS < COLOURS / 2 ? "curve"
						: "curve dashed",
		1 + which % COLOURS);
	for (int64_t i = 0; i < c->n; i += stride) {
		if (c->n - 1 - i < stride)
			i = c->n - 1;
		double x = px(r, c->x[i]), y = py(r, c->y[i]);
		if (!isfinite(c->x[i]) || !isfinite(c->y[i]))
			up = true;
		else if (c->style == LAB_BOXES)
			fprintf(f, "M%.1f %.1fV%.1fH%.1fV%.1fZ", x - half + 0.5, base, y, x + half - 0.5, base);
		else if (c->style == LAB_STEPS)
			fprintf(f, "%c%.1f %.1fH%.1f", up ? 'M' : 'L', x - half, y, x + half);
		else
			fprintf(f, "%c%.1f %.1f", up ? 'M' : 'L', x, y);
		up = !isfinite(c->x[i]) || !isfinite(c->y[i]);
	}
	fputs("\"/>\n", f);
}

static double top(const lab_plot *p)
{
	double most = -INFINITY;
	for (int k = 0; k < p->n; k++)
		for (int64_t i = 0; i < p->curve[k].n; i++)
			if (isfinite(p->curve[k].y[i]))
				most = fmax(most, p->curve[k].y[i]);
	return most;
}

static void level(FILE *f, const lab_range *r, const lab_plot *p)
{
	if (p->band > 0)
		fprintf(f, "<path class=\"band\" d=\"M%d %.1fH%dV%.1fH%dZ\"/>\n", LEFT, py(r, p->level - p->band), W - RIGHT,
			py(r, p->level + p->band), LEFT);
	if (isfinite(p->level))
		fprintf(f, "<path class=\"level\" d=\"M%d %.1fH%d\"/>\n", LEFT, py(r, p->level), W - RIGHT);
}

void lab_html_key(FILE *f, int k, const char *label)
{
	fprintf(f, "<li><i%s style=\"--c: var(--c%d)\"></i>", k % COLOURS < COLOURS / 2 ? "" : " class=\"dashed\"",
		1 + k % COLOURS);
	lab_html_text(f, label);
	fputs("</li>", f);
}

static void key(FILE *f, const lab_plot *p)
{
	fputs("<figcaption><ul class=\"key\">", f);
	for (int k = 0; k < p->n; k++)
		lab_html_key(f, p->which[k], p->curve[k].label);
	fputs("</ul></figcaption>", f);
}

void lab_svg_plot(FILE *f, const lab_plot *p)
{
	lab_range r = lab_range_of(p->n, p->curve);
	bool boxes = false;
	for (int k = 0; k < p->n; k++)
		boxes |= p->curve[k].style != LAB_LINE;
	fprintf(f, "<figure><svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\"><title>", W, H);
	lab_html_text(f, p->title);
	fputs("</title>\n", f);
	name(f, p->title);
	if (!isfinite(r.x0)) {
		text(f, W / 2.0, H / 2.0, "middle", "nothing to draw");
		fputs("</svg></figure>\n", f);
		return;
	}
	if (p->whole || boxes)
		r.y1 = fmax(r.y1, top(p));
	if (isfinite(p->level)) {
		r.y0 = fmin(r.y0, p->level - p->band);
		r.y1 = fmax(r.y1, p->level + p->band);
	}
	if (boxes) { /* of equal width about their x, on a floor of 0 */
		const lab_curve *c = &p->curve[0];
		double half = c->n > 1 ? (c->x[1] - c->x[0]) / 2 : 0.5;
		r.x0 -= half;
		r.x1 += half;
		r.y0 = 0;
	}
	r.y1 += 0.03 * (r.y1 - r.y0);
	axes(f, &r, p->xlabel, p->ylabel);
	level(f, &r, p);
	for (int k = 0; k < p->n; k++)
		draw(f, &r, &p->curve[k], p->which[k]);
	fputs("</svg>", f);
	if (p->key)
		key(f, p);
	fputs("</figure>\n", f);
}
