/* svg.c - a flow as a drawing in SVG: layers are boxes from data to latent, values the lines between them. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

enum { BOX = 300, TALL = 40, GAP = 26, SIDE = 24 };

typedef struct {
	int row, rank, slot; /* of the log; how many boxes lie above it at least; place among those of its rank */
} box;

static void text(FILE *out, const char *s)
{
	for (; *s; s++)
		if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
			fprintf(out, "&#%d;", *s);
		else
			fputc((unsigned char)*s < 32 ? ' ' : *s, out);
}

static void label(FILE *out, double x, double y, const char *how, const char *s)
{
	fprintf(out, "<text x=\"%g\" y=\"%g\" %s>", x, y, how);
	text(out, s);
	fputs("</text>\n", out);
}

static double left(const box *b)
{
	return SIDE + b->slot * (BOX + SIDE);
}
static double top(const box *b)
{
	return TALL + GAP + b->rank * (TALL + GAP);
}

/* The box whose layer made v, or NULL: it comes from outside. */
static const box *maker(const flow__log *l, const box *b, int n, ad_var v)
{
	while (n--)
		for (int k = 0; k < l->row[b[n].row].ny; k++)
			if (l->row[b[n].row].y[k] == v)
				return &b[n];
	return NULL;
}

static bool used(const flow__log *l, const box *b, int n, int from, ad_var v)
{
	for (int i = from; i < n; i++)
		for (int k = 0; k < l->row[b[i].row].nx; k++)
			if (l->row[b[i].row].x[k] == v)
				return true;
	return false;
}

static int place(const flow__log *l, box *b, int *wide)
{
	int n = 0, deepest = 0;
	*wide = 1;
	for (int i = 0; i < l->n; i++) {
		const flow__record *r = &l->row[i];
		if (!r->leaf)
			continue;
		b[n] = (box){ .row = i };
		for (int k = 0; k < r->nx; k++) {
			const box *from = maker(l, b, n, r->x[k]);
			if (from && from->rank + 1 > b[n].rank)
				b[n].rank = from->rank + 1;
		}
		for (int k = 0; k < n; k++)
			b[n].slot += b[k].rank == b[n].rank;
		deepest = b[n].rank > deepest ? b[n].rank : deepest;
		*wide = b[n].slot + 1 > *wide ? b[n].slot + 1 : *wide;
		n++;
	}
	for (int k = 0; k < n; k++)
		deepest = b[k].rank > deepest ? b[k].rank : deepest;
	b[n].rank = deepest + 1; /* where z stands */
	return n;
}

/* From (x0, y0) down to (x1, y1), round what lies between. */
static void wire(FILE *out, double x0, double y0, double x1, double y1, ad_var v)
{
	char shape[96];
	bool straight = y1 - y0 <= GAP;
	double bend = straight ? 0 : BOX / 2.0 + SIDE / 2.0;
	fprintf(out, "<path d=\"M%g %g C%g %g %g %g %g %g m-4 -6 l4 6 l4 -6\"/>\n", x0, y0, x0 + bend,
		y0 + (straight ? GAP / 2.0 : 2 * GAP), x1 + bend, y1 - (straight ? GAP / 2.0 : 2 * GAP), x1, y1 - 1);
	label(out, (x0 + x1) / 2 + 6 + 0.75 * bend, (y0 + y1) / 2 + 3,
	      "font-size=\"9\" stroke=\"none\" fill=\"currentColor\" opacity=\"0.7\"",
	      flow__shape_str(flow__event(v), shape));
}

static void draw(const flow__log *l, FILE *out, const box *b, int n)
{
	for (int i = 0; i < n; i++) {
		const flow__record *r = &l->row[b[i].row];
		char head[200], options[200] = "";
		double x = left(&b[i]), y = top(&b[i]);
		if (r->f->describe)
			r->f->describe(r->f, options, sizeof options);
		snprintf(head, sizeof head, "%s%s", r->dir == FLOW_FORWARD ? "" : "inverse of ", r->f->kind);
		fputs("<g><title>", out);
		text(out, r->path);
		fprintf(out, "</title><rect x=\"%g\" y=\"%g\" width=\"%d\" height=\"%d\" rx=\"5\"/>\n", x, y, BOX,
			TALL);
		label(out, x + 10, y + 16,
		      "font-size=\"12\" font-weight=\"bold\" stroke=\"none\" fill=\"currentColor\"", head);
		label(out, x + 10, y + 31, "font-size=\"10\" stroke=\"none\" fill=\"currentColor\"", options);
		fputs("</g>\n", out);
		for (int k = 0; k < r->nx; k++) {
			const box *from = maker(l, b, i, r->x[k]);
			double at = x + BOX * (k + 1.0) / (r->nx + 1);
			wire(out, from ? left(from) + (at - x) : at, from ? top(from) + TALL : TALL, at, y, r->x[k]);
		}
		for (int k = 0; k < r->ny; k++)
			if (!used(l, b, n, i + 1, r->y[k]))
				wire(out, x + BOX * (k + 1.0) / (r->ny + 1), y + TALL,
				     x + BOX * (k + 1.0) / (r->ny + 1), top(&b[n]), r->y[k]);
	}
}

void flow_write_svg(const flow *f, ad_shape event, FILE *out)
{
	flow__trace t = flow__traced(f, event, 0);
	box *b = calloc((size_t)t.log.n + 1, sizeof *b);
	int wide = 1, n = t.error || !b ? 0 : place(&t.log, b, &wide);
	double w = SIDE + wide * (BOX + SIDE), h = n ? top(&b[n]) + TALL : 2 * TALL;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" "
		"font-family=\"sans-serif\" stroke=\"currentColor\" fill=\"none\" role=\"img\">\n",
		w, h, w, h);
	fputs("<title>the flow, from data x to latent z</title>\n", out);
	if (t.error)
		label(out, SIDE, TALL, "font-size=\"12\" stroke=\"none\" fill=\"currentColor\"", t.error);
	if (n) {
		draw(&t.log, out, b, n);
		label(out, SIDE + BOX / 2.0 - 4, TALL - 8, "font-size=\"13\" stroke=\"none\" fill=\"currentColor\"",
		      "x");
		label(out, SIDE + BOX / 2.0 - 4, h - TALL + 14,
		      "font-size=\"13\" stroke=\"none\" fill=\"currentColor\"", "z");
	}
	fputs("</svg>\n", out);
	free(b);
	flow__trace_free(&t);
}
