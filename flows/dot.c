/* dot.c - a flow as a Graphviz drawing: layers are nodes, values edges. */
#include "private.h"

#include <string.h>

static const char *quoted(const char *s, char buf[256])
{
	size_t n = 0;
	for (; *s && n < 253; s++) {
		if (*s == '"' || *s == '\\')
			buf[n++] = '\\';
		buf[n++] = *s;
	}
	buf[n] = 0;
	return buf;
}

/* The layer before row that made v, or -1: it comes from outside. */
static int maker(const flow__log *l, int row, ad_var v)
{
	for (int i = row - 1; i >= 0; i--)
		for (int k = 0; l->row[i].leaf && k < l->row[i].ny; k++)
			if (l->row[i].y[k] == v)
				return i;
	return -1;
}

static bool consumed(const flow__log *l, int row, ad_var v)
{
	for (int i = row + 1; i < l->n; i++)
		for (int k = 0; l->row[i].leaf && k < l->row[i].nx; k++)
			if (l->row[i].x[k] == v)
				return true;
	return false;
}

static void draw(const flow__log *l, FILE *out)
{
	char q[256], s[96], options[200];
	for (int i = 0; i < l->n; i++) {
		const flow__record *r = &l->row[i];
		if (!r->leaf)
			continue;
		options[0] = 0;
		if (r->f->describe)
			r->f->describe(r->f, options, sizeof options);
		fprintf(out, "\tn%d [label=\"%s%s", i, r->dir == FLOW_FORWARD ? "" : "inverse of ",
			quoted(r->f->kind, q));
		fprintf(out, "\\n%s", quoted(r->path, q));
		fprintf(out, "\\n%s\"];\n", quoted(options, q));
		for (int k = 0; k < r->nx; k++) {
			int from = maker(l, i, r->x[k]);
			char name[32] = "x";
			if (from >= 0)
				snprintf(name, sizeof name, "n%d", from);
			fprintf(out, "\t%s -> n%d [label=\"%s\"];\n", name, i,
				flow__shape_str(flow__event(r->x[k]), s));
		}
		for (int k = 0; k < r->ny; k++)
			if (!consumed(l, i, r->y[k]))
				fprintf(out, "\tn%d -> z [label=\"%s\"];\n", i,
					flow__shape_str(flow__event(r->y[k]), s));
	}
}

void flow_write_dot(const flow *f, ad_shape event, FILE *out)
{
	flow__trace t = flow__traced(f, event, 0);
	char q[256];
	fprintf(out, "digraph flow {\n\tnode [shape=box, fontname=\"sans-serif\"];\n");
	fprintf(out, "\tx [shape=plaintext];\n\tz [shape=plaintext];\n");
	if (t.error)
		fprintf(out, "\terror [label=\"%s\"];\n", quoted(t.error, q));
	else
		draw(&t.log, out);
	fprintf(out, "}\n");
	flow__trace_free(&t);
}
