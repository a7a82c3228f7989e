/* Rematerialisation: the value comes from one copy of the body, the derivative traces another. */
#include "call.h"

#include <string.h>

static bool view(ad_var r, ad__arr *a)
{
	(void)r, (void)a;
	return true;
}

/* in[0] is the value computed by the first copy; then arguments and captured variables. */
static ad_var again(ad_var r, ad_var x[])
{
	ad_fn *f = (ad_fn *)r->attr.data;
	ad_var out[f->nout];
	for (int i = 1; i < r->nin; i++)
		x[i - 1] = ad__alias(r->in[i]);
	ad__inline(f, x, x + f->narg, out);
	return out[r->attr.i[0]];
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var x[r->nin + 1], y = again(r, x);
	ad__vjp_cut(1, &y, &g, r->nin - 1, x, gin + 1);
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	ad_var x[r->nin + 1], y = again(r, x), by[r->nin + 1], t[r->nin + 1], d;
	int n = 0;
	for (int i = 1; i < r->nin; i++)
		if (v[i]) {
			by[n] = x[i - 1];
			t[n++] = v[i];
		}
	if (!n)
		return NULL;
	ad__jvp_cut(1, &y, n, by, t, &d);
	return d;
}

static int64_t event_numel(ad_var x) { return ad_numel(x->shape); }

/* Several results travel as one flat array, so that the derivative runs the body once. */
static ad_var pack(int n, const ad_var x[])
{
	ad_var flat[n];
	bool batched = false;
	for (int i = 0; i < n; i++)
		batched |= ad_batched(x[i]);
	for (int i = 0; i < n; i++) {
		ad_shape s = x[i]->shape;
		if (batched && !ad_batched(x[i])) {
			s.rank = 1 + x[i]->shape.rank;
			s.dim[0] = AD_BATCH;
			memcpy(s.dim + 1, x[i]->shape.dim, (size_t)x[i]->shape.rank * sizeof *s.dim);
		}
		ad_shape f = batched ? AD_SHAPE(AD_BATCH, event_numel(x[i])) : AD_SHAPE(event_numel(x[i]));
		flat[i] = ad_reshape(ad_broadcast(x[i], s), f);
	}
	return n == 1 ? flat[0] : ad_concat(batched, n, flat);
}

static const ad_op op_remat = { .name = "remat", .flags = AD__VIEW, .vjp = vjp, .jvp = jvp, .view = view };

void ad_remat(ad_fn *f, const ad_var given[], ad_var out[])
{
	ad_tape *t = f->outer;
	ad_var arg[f->narg + 1];
	ad__fit_arguments(f, given, arg); /* out may be the same array */
	if (!f->nout)
		ad_fail(t, "ad_remat: the function has no result");
	for (int i = 0; i < f->nout; i++)
		out[i] = ad_root(t)->dud;
	if (ad_error(t))
		return;
	for (int i = 0; i < f->nout; i++)
		if (ad_batched(f->out[i]) != ad_batched(f->out[0]) && f->nout > 1) {
			ad_fail(t, "ad_remat: results must all be batched or all not");
			return;
		}
	ad_fn *g = ad_fn_begin(t);
	ad_var inner[f->narg + 1], body[f->nout + 1];
	for (int i = 0; i < f->narg; i++)
		inner[i] = ad_fn_arg(g, f->arg[i]->dtype, f->arg[i]->shape);
	ad__inline(f, inner, NULL, body);
	ad_var flat = pack(f->nout, body);
	ad_fn_end(g, 1, &flat);
	if (ad_error(t))
		return;
	int n = 1 + g->narg + g->tape->ncapture;
	ad_var in[n];
	ad__inline(g, arg, NULL, &in[0]);
	for (int i = 1; i < n; i++)
		in[i] = i <= g->narg ? arg[i - 1] : g->tape->outside[i - 1 - g->narg];
	ad_var r = ad__push_shaped(NULL, &op_remat, n, in, (ad_attr){ .data = g }, in[0]->dtype, in[0]->shape);
	int axis = ad_batched(r);
	int64_t at = 0;
	for (int i = 0; i < f->nout; i++) {
		int64_t m = event_numel(f->out[i]);
		out[i] = ad_reshape(ad_slice(r, axis, at, at + m), f->out[i]->shape);
		at += m;
	}
}
