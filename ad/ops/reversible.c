/* Invertible steps of which only the last result is kept.
 *
 * The derivative goes backwards: rebuild a step's argument by its inverse, trace the step once more at an alias of it, pull
 * the cotangent through that alone.  Without the cut at aliases a derivative would walk from the rebuilt value back into the
 * forward steps: right, but quadratic in their number.  With a stop in place of the alias the second derivative would be wrong. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

/* Inputs of the node: the value made by the ordinary forward steps, x, contexts, captured variables (each once). */
enum { VALUE, X, CONTEXT };

typedef struct {
	int n, contexts, nout;
	const ad_step *step;
	int *const *at[2]; /* of f and of inverse, per step: the input that a captured variable is */
	ad_shape shape[2]; /* of the results */
} chain;

static bool view(ad_var r, ad__arr *a)
{
	(void)r, (void)a;
	return true;
}

/* A second result that no argument reaches was traced outside. */
static bool outside(const ad_fn *f) { return f->out[1]->op == &ad__op_capture; }
static bool sums(const ad_fn *f) { return f->nout > 1 && !outside(f); }

static bool noise_alone(ad_var x)
{
	if (!x->nin)
		return x->op != &ad__op_input && x->op != &ad__op_arg && x->op != &ad__op_capture;
	for (int i = 0; i < x->nin; i++)
		if (ad_batched(x->in[i]) && !noise_alone(x->in[i]))
			return false;
	return true;
}

static ad_var traced_again(ad_var x)
{
	if (!ad_batched(x))
		return x;
	ad_var in[x->nin + 1];
	for (int i = 0; i < x->nin; i++)
		in[i] = traced_again(x->in[i]);
	return ad__clone(x, in);
}

/* Noise is made again, so that it need not be kept. */
static ad_var captured(ad_var x) { return ad_batched(x) && noise_alone(x) ? traced_again(x) : x; }

static void gather(ad_var r, const chain *c, int which, int k, ad_var arg[], ad_var cap[])
{
	const ad_fn *f = which ? c->step[k].inverse : c->step[k].f;
	for (int i = 0; i < c->contexts; i++)
		arg[1 + i] = r->in[CONTEXT + i];
	for (int i = 0; i < f->tape->ncapture; i++)
		cap[i] = captured(r->in[c->at[which][k][i]]);
}

static void add_to(ad_var *sum, ad_var g) { *sum = g && *sum ? ad_add(*sum, g) : g ? g : *sum; }

/* Step k at the rebuilt argument `at`: takes the cotangents g of its results to those of its inputs. */
static void pull(ad_var r, const chain *c, int k, ad_var at, ad_var g[2], ad_var gin[])
{
	ad_fn *f = c->step[k].f;
	int caps = f->tape->ncapture, n = f->narg + caps;
	ad_var x[n], d[n], out[2];
	x[0] = at;
	gather(r, c, 0, k, x, x + f->narg);
	for (int i = 0; i < n; i++)
		x[i] = ad__alias(x[i]);
	ad__inline(f, x, x + f->narg, out);
	if (sums(f))
		out[1] = ad_broadcast(out[1], c->shape[1]);
	ad__vjp_cut(sums(f) ? 2 : 1, out, g, n, x, d);
	g[0] = d[0] ? d[0] : ad_full_like(at, 0);
	for (int i = 0; i < c->contexts; i++)
		add_to(&gin[CONTEXT + i], d[1 + i]);
	for (int i = 0; i < caps; i++)
		add_to(&gin[c->at[0][k][i]], d[f->narg + i]);
}

static void vjp(ad_var r, ad_var given, ad_var gin[])
{
	const chain *c = r->attr.data;
	ad_var h[2], g[2];
	ad__unpack(r, c->nout, c->shape, h);
	ad__unpack(given, c->nout, c->shape, g);
	for (int k = c->n - 1; k >= 0 && !ad_error(r->tape); k--) {
		ad_fn *back = c->step[k].inverse;
		ad_var arg[back->narg], cap[back->tape->ncapture + 1];
		arg[0] = h[0];
		gather(r, c, 1, k, arg, cap);
		ad__inline(back, arg, cap, &h[0]);
		pull(r, c, k, h[0], g, gin);
	}
	gin[X] = g[0];
}

/* Forward derivatives keep nothing: the ordinary steps serve. */
static ad_var jvp(ad_var r, const ad_var v[])
{
	(void)r;
	return v[VALUE];
}

static bool fits(ad_tape *t, int k, const ad_step *s, int contexts)
{
	const ad_fn *f = s->f, *b = s->inverse;
	const char *why = f->narg != 1 + contexts || b->narg != 1 + contexts ? "takes another number of arguments than one and the contexts"
	                  : f->nout < 1 || f->nout > 2 || b->nout != 1 ? "has another number of results than expected"
	                  : !ad_shape_eq(b->arg[0]->shape, f->out[0]->shape) || !ad_shape_eq(b->out[0]->shape, f->arg[0]->shape)
	                          ? "has an inverse of another shape"
	                          : NULL;
	if (why)
		ad_fail(t, "ad_reversible: step %d %s", k, why);
	return !why;
}

/* Numbers of inputs for the captured variables of f, new ones appended. */
static int *enlist(ad_tape *t, const ad_fn *f, ad_var **in, int *n, int *cap)
{
	int *at = ad__alloc(t, (size_t)(f->tape->ncapture + 1) * sizeof *at);
	for (int i = 0; i < f->tape->ncapture; i++) {
		ad_var x = f->tape->outside[i];
		if (x->mark < CONTEXT || x->mark >= *n || (*in)[x->mark] != x) {
			if (*n == *cap) {
				*cap *= 2;
				*in = realloc(*in, (size_t)*cap * sizeof **in);
				if (!*in)
					abort();
			}
			x->mark = *n;
			(*in)[(*n)++] = x;
		}
		at[i] = x->mark;
	}
	return at;
}

/* The ordinary way through the steps: the result, and the two kinds of sums. */
static ad_var forward(const chain *c, ad_var x, const ad_var context[], ad_var *inside, ad_var *free_sum)
{
	ad_var arg[c->contexts + 1], out[2];
	if (c->contexts)
		memcpy(arg + 1, context, (size_t)c->contexts * sizeof *arg);
	for (int k = 0; k < c->n; k++, x = out[0]) {
		ad_fn *f = c->step[k].f;
		ad_var cap[f->tape->ncapture + 1];
		for (int i = 0; i < f->tape->ncapture; i++)
			cap[i] = captured(f->tape->outside[i]);
		arg[0] = x;
		ad__fit_arguments(f, arg, arg);
		ad__inline(f, arg, cap, out);
		if (f->nout > 1)
			add_to(sums(f) ? inside : free_sum, out[1]);
	}
	return x;
}

ad_var ad_reversible(int n, const ad_step step[], ad_var x, int contexts, const ad_var context[], ad_var *sum)
{
	static const ad_op op = { .name = "reversible", .flags = AD__VIEW, .vjp = vjp, .jvp = jvp, .view = view };
	ad_tape *t = x->tape;
	chain *c = ad__alloc(t, sizeof *c);
	ad_step *copy = ad__alloc(t, (size_t)n * sizeof *copy);
	ad_var inside = NULL, free_sum = NULL, value[2];
	*sum = ad_const(t, 0);
	for (int k = 0; k < n && !ad_error(t); k++) {
		copy[k] = step[k];
		fits(t, k, &step[k], contexts);
	}
	if (ad_error(t) || !n)
		return x;
	*c = (chain){ .n = n, .contexts = contexts, .step = copy };
	value[0] = forward(c, x, context, &inside, &free_sum);
	if (inside && ad_batched(value[0]) && !ad_batched(inside))
		inside = ad_broadcast(inside, AD_SHAPE(AD_BATCH));
	value[1] = inside;
	c->nout = inside ? 2 : 1;
	for (int i = 0; i < c->nout; i++)
		c->shape[i] = value[i]->shape;
	int room = 64 + CONTEXT + contexts, nin = CONTEXT + contexts;
	ad_var *in = malloc((size_t)room * sizeof *in);
	if (!in)
		abort();
	in[VALUE] = ad__pack(c->nout, value);
	in[X] = x;
	for (int i = 0; i < contexts; i++)
		in[CONTEXT + i] = context[i];
	for (int which = 0; which < 2; which++) {
		int **at = ad__alloc(t, (size_t)n * sizeof *at);
		for (int k = 0; k < n; k++)
			at[k] = enlist(t, which ? step[k].inverse : step[k].f, &in, &nin, &room);
		c->at[which] = at;
	}
	ad_var r = ad__push_shaped(NULL, &op, nin, in, (ad_attr){ .data = c }, in[VALUE]->dtype, in[VALUE]->shape);
	free(in);
	if (ad_error(t))
		return x;
	ad__unpack(r, c->nout, c->shape, value);
	add_to(&free_sum, inside ? value[1] : NULL);
	*sum = free_sum ? free_sum : *sum;
	return value[0];
}
