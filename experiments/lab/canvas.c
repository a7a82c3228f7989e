/* canvas.c - a grid of characters with curves drawn in it. */
#include "canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "plot_range.h"

static const char letters[] = "*+ox#%@&";

lab_canvas lab_canvas_new(int w, int h, bool ascii, bool colour)
{
	w = w < 1 ? 1 : w;
	h = h < 1 ? 1 : h;
	return (lab_canvas){ w, h, ascii, colour, lab_alloc((size_t)w * (size_t)h, sizeof(struct lab_cell)) };
}

void lab_canvas_free(lab_canvas *c)
{
	free(c->cell);
	c->cell = NULL;
}

static struct lab_cell *cell(lab_canvas *c, int x, int y)
{
	return x >= 0 && x < c->w && y >= 0 && y < c->h ? &c->cell[y * c->w + x] : NULL;
}

static void set(lab_canvas *c, int x, int y, int colour, uint32_t code)
{
	struct lab_cell *p = cell(c, x, y);
	if (p)
		*p = (struct lab_cell){ code, (uint8_t)colour };
}

/* The next code point; control characters and broken sequences become "?". */
static uint32_t decode(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;
	int more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : -1;
	uint32_t v = more > 0 ? *p & (0x3fu >> more) : *p;
	if (more < 0 || (!more && (v < 32 || v == 127))) {
		++*s;
		return '?';
	}
	for (int k = 1; k <= more; k++) {
		if (p[k] >> 6 != 2) {
			++*s;
			return '?';
		}
		v = v << 6 | (p[k] & 0x3f);
	}
	*s += more + 1;
	return v;
}

static void encode(uint32_t v, FILE *f)
{
	if (v < 0x80) {
		fputc((int)v, f);
		return;
	}
	if (v >= 0x10000)
		fprintf(f, "%c%c", (int)(0xf0 | v >> 18), (int)(0x80 | (v >> 12 & 0x3f)));
	else if (v >= 0x800)
		fputc((int)(0xe0 | v >> 12), f);
	if (v >= 0x800)
		fputc((int)(0x80 | (v >> 6 & 0x3f)), f);
	else
		fputc((int)(0xc0 | v >> 6), f);
	fputc((int)(0x80 | (v & 0x3f)), f);
}

void lab_canvas_text(lab_canvas *c, int x, int y, int colour, const char *text)
{
	while (*text) {
		uint32_t v = decode(&text);
		set(c, x++, y, colour, c->ascii && v > 126 ? '?' : v);
	}
}

const char *lab_canvas_mark(const lab_canvas *c, int which, char buf[8])
{
	strcpy(buf, "\xe2\x96\xa0"); /* a square */
	if (c->ascii) {
		buf[0] = letters[which % (int)(sizeof letters - 1)];
		buf[1] = 0;
	}
	return buf;
}

/* --- Curves ---------------------------------------------------------------------------------------------- */

typedef struct {
	lab_canvas *c;
	int x, y, w, h; /* the inside of the frame, characters */
	lab_range r;
} frame;

/* A dot of the fine grid, row 0 at the top. */
static void dot(const frame *f, int px, int py, int which)
{
	static const uint8_t bit[4][2] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };
	int sx = f->c->ascii ? 1 : 2, sy = f->c->ascii ? 1 : 4;
	struct lab_cell *p = cell(f->c, f->x + px / sx, f->y + py / sy);
	if (!p || px < 0 || py < 0 || px >= f->w * sx || py >= f->h * sy)
		return;
	if (f->c->ascii)
		p->c = (uint32_t)letters[which % (int)(sizeof letters - 1)];
	else
		p->c = (p->c >> 8 == 0x28 ? p->c : 0x2800) | bit[py % 4][px % 2];
	p->colour = (uint8_t)(1 + which % LAB_COLOURS);
}

static void draw(const frame *f, const lab_curve *curve, int which)
{
	int sx = f->c->ascii ? 1 : 2, sy = f->c->ascii ? 1 : 4, lx = -1, ly = 0;
	int nx = f->w * sx - 1, ny = f->h * sy - 1;
	for (int64_t i = 0; i < curve->n; i++) {
		if (!isfinite(curve->x[i]) || !isfinite(curve->y[i])) {
			lx = -1;
			continue;
		}
		int px = (int)lround(lab_part(curve->x[i], f->r.x0, f->r.x1) * nx);
		int py = (int)lround((1 - lab_part(curve->y[i], f->r.y0, f->r.y1)) * ny);
		int steps = lx < 0 ? 0 : abs(px - lx) > abs(py - ly) ? abs(px - lx) : abs(py - ly);
		for (int s = 1; s < steps; s++)
			dot(f, lx + (px - lx) * s / steps, ly + (py - ly) * s / steps, which);
		dot(f, px, py, which);
		lx = px;
		ly = py;
	}
}

/* An end of an axis: large numbers without a power of ten, as far as there is room. */
static const char *end_text(char text[64], double v, const char *before)
{
	snprintf(text, 64, fabs(v) >= 1e4 && fabs(v) < 1e8 ? "%s%.0f" : "%s%.4g", before, v);
	return text;
}

void lab_canvas_plot(lab_canvas *c, int x, int y, int w, int h, const char *title, int n, const lab_curve curve[],
		     const int which[])
{
	enum { MARGIN = 11 };
	frame f = { .c = c, .x = x + MARGIN, .y = y + 1, .w = w - MARGIN - 1, .h = h - 3 };
	char text[64];
	lab_canvas_text(c, x + MARGIN, y, 0, title);
	if (f.w < 4 || f.h < 2)
		return;
	f.r = lab_range_of(n, curve);
	for (int k = 0; k < f.h; k++)
		set(c, f.x - 1, f.y + k, 0, c->ascii ? '|' : 0x2502);
	for (int k = 0; k < f.w; k++)
		set(c, f.x + k, f.y + f.h, 0, c->ascii ? '-' : 0x2500);
	set(c, f.x - 1, f.y + f.h, 0, c->ascii ? '+' : 0x2514);
	if (!isfinite(f.r.x0)) {
		lab_canvas_text(c, f.x + 1, f.y + f.h / 2, 0, "nothing yet");
		return;
	}
	end_text(text, f.r.y1, f.r.above ? "^" : "");
	lab_canvas_text(c, f.x - 2 - (int)strlen(text), f.y, 0, text);
	end_text(text, fabs(f.r.y0) < 1e-4 * f.r.y1 ? 0 : f.r.y0, "");
	lab_canvas_text(c, f.x - 2 - (int)strlen(text), f.y + f.h - 1, 0, text);
	lab_canvas_text(c, f.x, f.y + f.h + 1, 0, end_text(text, f.r.x0, ""));
	end_text(text, f.r.x1, "");
	lab_canvas_text(c, f.x + f.w - (int)strlen(text), f.y + f.h + 1, 0, text);
	for (int k = n - 1; k >= 0; k--)
		draw(&f, &curve[k], which[k]);
}

void lab_canvas_put(const lab_canvas *c, FILE *f, bool live)
{
	static const char *const ansi[LAB_COLOURS + 1] = { "0", "36", "33", "35", "32", "31", "34" };
	for (int y = 0; y < c->h; y++) {
		const struct lab_cell *row = &c->cell[y * c->w];
		int end = c->w, colour = 0;
		while (end && (!row[end - 1].c || row[end - 1].c == ' '))
			end--;
		for (int x = 0; x < end; x++) {
			int want = c->colour && row[x].c ? row[x].colour : colour;
			if (want != colour)
				fprintf(f, "\033[%sm", ansi[colour = want]);
			encode(row[x].c ? row[x].c : ' ', f);
		}
		fputs(colour ? "\033[0m" : "", f);
		fputs(live ? "\033[K" : "", f);
		if (!live || y < c->h - 1)
			fputc('\n', f);
	}
}
