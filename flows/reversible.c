/* reversible.c - chains that rebuild their activations by inversion (Gomez et al. 2017). */
#include "reversible.h"
#include "private.h"

#include <stdlib.h>

typedef struct {
	flow f;
	const flow *plain;
	flow_reversible_opt o;
} reversible;

typedef struct {
	const flow *f;
	nn c;
	flow_dir dir;
} layer;

typedef struct {
	layer *at;
	int n, room;
} layers;

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir);

static flow_dir turned(flow_dir d)
{
	return d == FLOW_FORWARD ? FLOW_INVERSE : FLOW_FORWARD;
}

/* The layers of f in the order in which direction dir meets them. */
static void list(layers *l, const flow *f, nn c, flow_dir dir)
{
	int times = flow__times(f);
	if (f->apply == apply) {
		list(l, ((const reversible *)f)->plain, c, dir);
	} else if (flow__is_inverse(f)) {
		list(l, f->child[0], c, turned(dir));
	} else if (flow__is_chain(f)) {
		for (int k = 0; k < f->nchild; k++) {
			int i = dir == FLOW_FORWARD ? k : f->nchild - 1 - k;
			list(l, f->child[i], flow__in(c, f->child, i), dir);
		}
	} else if (times) {
		for (int k = 0; k < times; k++)
			list(l, f->child[0], c, dir);
	} else {
		if (l->n == l->room) {
			l->room = l->room ? 2 * l->room : 32;
			l->at = realloc(l->at, (size_t)l->room * sizeof *l->at);
			if (!l->at)
				abort();
		}
		l->at[l->n++] = (layer){ f, c, dir };
	}
}

static bool can(const flow *f)
{
	return f->caps.rebuilds && f->caps.inverse != FLOW_ABSENT && f->caps.forward != FLOW_ABSENT &&
	       flow__nx(f, FLOW_FORWARD) == 1 && flow__ny(f, FLOW_FORWARD) == 1;
}

static void reason(const layer *l, char why[160])
{
	snprintf(why, 160, "%.30s%s%.80s%s cannot rebuild its input from its output", l->f->kind,
		 l->c.path[0] ? " \"" : "", l->c.path, l->c.path[0] ? "\"" : "");
}

bool flow_rebuilds(const flow *f, char why[160])
{
	layers l = { 0 };
	int k = 0;
	list(&l, f, (nn){ 0 }, FLOW_FORWARD);
	while (k < l.n && can(l.at[k].f))
		k++;
	if (k < l.n)
		reason(&l.at[k], why);
	bool all = k == l.n;
	free(l.at);
	return all;
}

/* The layer as a function of its argument, of shape *s, and of cond; then *s is that of its result. */
static ad_fn *traced(const layer *l, flow_dir dir, ad_dtype d, ad_shape *s, ad_var cond, bool with_logdet)
{
	ad_fn *g = ad_fn_begin(l->c.tape);
	ad_var x = ad_fn_arg(g, d, *s), c = cond ? ad_fn_arg(g, ad_dtype_of(cond), ad_shape_of(cond)) : NULL;
	flow_out o = flow_apply(l->f, nn_on(l->c, ad_fn_tape(g)), x, c, dir);
	ad_fn_end(g, with_logdet ? 2 : 1, (ad_var[]){ o.x, o.logdet });
	*s = ad_shape_of(o.x);
	return g;
}

/* A run of layers whose inputs are rebuilt. */
static flow_out run(const layer *l, int n, nn c, ad_var x, ad_var cond)
{
	ad_step *step = calloc((size_t)n + 1, sizeof *step);
	ad_shape s = ad_shape_of(x);
	flow_out r = { x, ad_const(c.tape, 0) };
	if (!step)
		abort();
	for (int k = 0; k < n && !ad_error(c.tape); k++) {
		int draws = nn_draws(c);
		step[k].f = traced(&l[k], l[k].dir, ad_dtype_of(x), &s, cond, true);
		ad_shape back = s;
		nn_redraw(c, draws); /* the same dropout */
		step[k].inverse = traced(&l[k], turned(l[k].dir), ad_dtype_of(x), &back, cond, false);
	}
	if (!ad_error(c.tape))
		r.x = ad_reversible(n, step, x, cond != NULL, &cond, &r.logdet);
	free(step);
	return r;
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const reversible *r = (const reversible *)f;
	layers l = { 0 };
	flow_out all = { x, NULL };
	char why[160];
	/* Values from the first batch are made outside of functions; there is nothing to go back for. */
	if (c.phase == NN_INIT)
		return r->plain->apply_n ? (flow_out){ .logdet = r->plain->apply_n(r->plain, c, &x, cond, dir, &all.x), .x = all.x }
					 : r->plain->apply(r->plain, c, x, cond, dir);
	list(&l, r->plain, c, dir);
	for (int k = 0, n; k < l.n && !ad_error(c.tape); k += n) {
		flow_out o;
		n = 0;
		while (k + n < l.n && can(l.at[k + n].f) && (!r->o.every || n < r->o.every))
			n++;
		if (n) {
			o = run(&l.at[k], n, c, all.x, cond);
		} else if (r->o.mixed) {
			o = flow_apply(l.at[k].f, l.at[k].c, all.x, cond, l.at[k].dir);
			n = 1;
		} else {
			reason(&l.at[k], why);
			ad_fail(c.tape, "flow_reversible: %s", why);
			break;
		}
		all.x = o.x;
		all.logdet = flow_add_logdet(all.logdet, o.logdet);
	}
	free(l.at);
	return (flow_out){ all.x, all.logdet ? all.logdet : ad_const(c.tape, 0) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow_shape(((const reversible *)f)->plain, in, out, why);
}

static bool unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow_unshape(((const reversible *)f)->plain, in, out, why);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const reversible *r = (const reversible *)f;
	char own[100] = "";
	if (r->plain->describe)
		r->plain->describe(r->plain, own, sizeof own);
	snprintf(buf, n, "%s%sreversible", own, own[0] ? ", " : "");
	return buf;
}

flow *flow_reversible(flow_mem *m, flow *f, flow_reversible_opt o)
{
	if (flow__nx(f, FLOW_FORWARD) != 1 || flow__ny(f, FLOW_FORWARD) != 1)
		return flow_refuse(m, "reversible", "%s has several inputs or outputs", f->kind);
	if (o.every < 0)
		return flow_refuse(m, "reversible", "every: %d is negative", o.every);
	reversible r = { *f, f, o };
	/* Kind, name and children stay: they make the paths. */
	r.f.apply = apply;
	r.f.apply_n = NULL;
	r.f.shape = shape;
	r.f.unshape = unshape;
	r.f.describe = describe;
	return flow_copy(m, &r, sizeof r);
}
