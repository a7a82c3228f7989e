/* Values whose derivative is that of another function: estimates with an estimator of their derivative. */
#include "call.h"

static bool view(ad_var r, ad__arr *a)
{
	(void)r, (void)a;
	return true;
}

static void once_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)g, (void)gin;
	ad__fail(r, "this derivative is an estimate, or a stand-in for one: it has no derivative itself");
}

static ad_var once_jvp(ad_var r, const ad_var v[])
{
	(void)v;
	ad__fail(r, "this derivative is an estimate, or a stand-in for one: it has no derivative itself");
	return ad_root(r->tape)->dud;
}

/* g, with a dependence on everything that the surrogate is a function of, so that second derivatives meet it. */
static ad_var once(ad_var g, int n, const ad_var x[])
{
	static const ad_op op = {
		.name = "surrogate", .flags = AD__VIEW, .vjp = once_vjp, .jvp = once_jvp, .view = view
	};
	ad_var in[n + 1];
	int m = 0;
	in[m++] = g;
	for (int i = 0; i < n; i++)
		if (x[i]->dtype != AD_I32)
			in[m++] = x[i];
	return ad__push_shaped(NULL, &op, m, in, (ad_attr){ 0 }, g->dtype, g->shape);
}

/* in[0] is the packed value; then arguments and captured variables. */
static ad_var inlined(ad_var r, ad_var x[])
{
	ad_fn *f = (ad_fn *)r->attr.data;
	ad_var out[f->nout];
	for (int i = 1; i < r->nin; i++)
		x[i - 1] = ad__alias(r->in[i]);
	ad__inline(f, x, x + f->narg, out);
	return ad__pack(f->nout, out);
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var x[r->nin + 1], y = inlined(r, x), g1 = once(g, r->nin - 1, x);
	ad__call_pull(r, 1, y, g1, x, gin);
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	ad_var x[r->nin + 1], y = inlined(r, x), d = ad__call_push(r, 1, y, x, v);
	return d ? once(d, r->nin - 1, x) : NULL;
}

static bool matching(ad_fn *f, const ad_var value[])
{
	for (int i = 0; i < f->nout; i++)
		if (!ad_shape_eq(value[i]->shape, f->out[i]->shape) || value[i]->dtype != f->out[i]->dtype ||
		    (i && ad_batched(f->out[i]) != ad_batched(f->out[0])))
			return false;
	return f->nout > 0;
}

void ad_surrogate(ad_fn *f, const ad_var given[], const ad_var value[], ad_var out[])
{
	static const ad_op op = { .name = "surrogate", .flags = AD__VIEW, .vjp = vjp, .jvp = jvp, .view = view };
	ad_tape *t = f->outer;
	ad_var arg[f->narg + 1];
	ad__fit_arguments(f, given, arg); /* out may be the same array */
	if (!ad_error(t) && !matching(f, value))
		ad_fail(t,
			"ad_surrogate: values must have the shapes of the function's results, all batched or all not");
	if (ad_error(t)) {
		for (int i = 0; i < f->nout; i++)
			out[i] = ad_root(t)->dud;
		return;
	}
	int n = 1 + f->narg + f->tape->ncapture;
	ad_var in[n];
	in[0] = ad__pack(f->nout, value);
	for (int i = 1; i < n; i++)
		in[i] = i <= f->narg ? arg[i - 1] : f->tape->outside[i - 1 - f->narg];
	ad_var r = ad__push_shaped(NULL, &op, n, in, (ad_attr){ .data = f }, in[0]->dtype, in[0]->shape);
	ad_shape shape[f->nout];
	for (int i = 0; i < f->nout; i++)
		shape[i] = f->out[i]->shape;
	ad__unpack(r, f->nout, shape, out);
}
