/* graph.c - flows wired in any way: evaluated in the order added, inverted in reverse. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
	flow_wire in[FLOW_PORTS], out[FLOW_PORTS];
} wiring;

struct flow_builder {
	flow_mem *m;
	int inputs, n, wires;
	flow **f;
	wiring *w;
	bool *used; /* by wire */
	char why[160];
};

typedef struct {
	flow f;
	int wires;
	wiring ends;
	const wiring *w;
} graph;

static void *grown(flow_mem *m, void *old, int n, size_t size)
{
	if (n & (n - 1))
		return old;
	void *p = flow_alloc(m, (size_t)(n ? 2 * n : 1) * size);
	if (n)
		memcpy(p, old, (size_t)n * size);
	return p;
}

static flow_wire new_wire(flow_builder *b)
{
	b->used = grown(b->m, b->used, b->wires, sizeof *b->used);
	b->used[b->wires] = false;
	return b->wires++;
}

static void use(flow_builder *b, flow_wire w, const char *by)
{
	if (b->why[0])
		return;
	if (w < 0 || w >= b->wires)
		snprintf(b->why, sizeof b->why, "%.40s uses value %d, which nothing makes", by, w);
	else if (b->used[w])
		snprintf(b->why, sizeof b->why, "%.40s uses value %d, which is used already", by, w);
	else
		b->used[w] = true;
}

flow_builder *flow_graph_begin(flow_mem *m, int inputs, flow_wire in[])
{
	flow_builder *b = flow_alloc(m, sizeof *b);
	b->m = m;
	b->inputs = inputs;
	if (inputs < 1 || inputs > FLOW_PORTS)
		snprintf(b->why, sizeof b->why, "%d inputs; 1 to %d are possible", inputs, FLOW_PORTS);
	for (int i = 0; i < inputs; i++)
		in[i] = new_wire(b);
	return b;
}

void flow_graph_add(flow_builder *b, flow *f, const flow_wire in[], flow_wire out[])
{
	b->f = grown(b->m, b->f, b->n, sizeof *b->f);
	b->w = grown(b->m, b->w, b->n, sizeof *b->w);
	wiring *w = &b->w[b->n];
	b->f[b->n++] = f;
	for (int i = 0; i < flow__nx(f, FLOW_FORWARD); i++) {
		use(b, in[i], f->kind);
		w->in[i] = in[i];
	}
	for (int i = 0; i < flow__ny(f, FLOW_FORWARD); i++)
		w->out[i] = out[i] = new_wire(b);
}

static ad_var apply_n(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[])
{
	const graph *g = (const graph *)f;
	ad_var *v = calloc((size_t)g->wires, sizeof *v), from[FLOW_PORTS], to[FLOW_PORTS], logdet = NULL;
	bool forward = dir == FLOW_FORWARD;
	for (int i = 0; i < flow__nx(f, dir); i++)
		v[(forward ? g->ends.in : g->ends.out)[i]] = x[i];
	for (int k = 0; k < f->nchild; k++) {
		int n = forward ? k : f->nchild - 1 - k;
		const flow *child = f->child[n];
		const int *in = forward ? g->w[n].in : g->w[n].out, *out = forward ? g->w[n].out : g->w[n].in;
		for (int i = 0; i < flow__nx(child, dir); i++)
			from[i] = v[in[i]];
		logdet = flow_add_logdet(logdet, flow_apply_n(child, flow__in(c, f->child, n), from, cond, dir, to));
		for (int i = 0; i < flow__ny(child, dir); i++)
			v[out[i]] = to[i];
	}
	for (int i = 0; i < flow__ny(f, dir); i++)
		y[i] = v[(forward ? g->ends.out : g->ends.in)[i]];
	free(v);
	return logdet ? logdet : ad_const(c.tape, 0);
}

static bool shapes(const flow *f, const ad_shape in[], ad_shape out[], char why[160], flow_dir dir)
{
	const graph *g = (const graph *)f;
	ad_shape *v = calloc((size_t)g->wires, sizeof *v), from[FLOW_PORTS], to[FLOW_PORTS];
	bool forward = dir == FLOW_FORWARD, ok = true;
	for (int i = 0; i < flow__nx(f, dir); i++)
		v[(forward ? g->ends.in : g->ends.out)[i]] = in[i];
	for (int k = 0; ok && k < f->nchild; k++) {
		int n = forward ? k : f->nchild - 1 - k;
		const flow *child = f->child[n];
		const int *a = forward ? g->w[n].in : g->w[n].out, *b = forward ? g->w[n].out : g->w[n].in;
		for (int i = 0; i < flow__nx(child, dir); i++)
			from[i] = v[a[i]];
		ok = (forward ? flow_shape : flow_unshape)(child, from, to, why);
		for (int i = 0; ok && i < flow__ny(child, dir); i++)
			v[b[i]] = to[i];
	}
	for (int i = 0; ok && i < flow__ny(f, dir); i++)
		out[i] = v[(forward ? g->ends.out : g->ends.in)[i]];
	free(v);
	return ok;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return shapes(f, in, out, why, FLOW_FORWARD);
}

static bool unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return shapes(f, in, out, why, FLOW_INVERSE);
}

flow *flow_graph_end(flow_builder *b, int outputs, const flow_wire out[])
{
	graph g = { { .kind = "graph",
		      .nin = b->inputs,
		      .nout = outputs,
		      .apply_n = apply_n,
		      .shape = shape,
		      .unshape = unshape,
		      .caps = flow_weakest(b->n, b->f),
		      .nchild = b->n,
		      .child = b->f },
		    .wires = b->wires,
		    .w = b->w };
	if (!b->why[0] && (outputs < 1 || outputs > FLOW_PORTS))
		snprintf(b->why, sizeof b->why, "%d outputs; 1 to %d are possible", outputs, FLOW_PORTS);
	for (int i = 0; i < outputs && !b->why[0]; i++) {
		use(b, out[i], "the output");
		g.ends.out[i] = out[i];
	}
	for (int i = 0; i < b->inputs && !b->why[0]; i++)
		g.ends.in[i] = i;
	for (int i = 0; i < b->wires && !b->why[0]; i++)
		if (!b->used[i])
			snprintf(b->why, sizeof b->why, "value %d is not used and is no output", i);
	if (!b->why[0])
		return flow_copy(b->m, &g, sizeof g);
	flow *bad = flow_refuse(b->m, "graph", "%s", b->why);
	bad->nin = b->inputs > FLOW_PORTS ? 1 : b->inputs;
	bad->nout = outputs > FLOW_PORTS ? 1 : outputs;
	return bad;
}
