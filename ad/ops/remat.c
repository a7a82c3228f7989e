/* Rematerialisation: the value comes from one copy of the body, the derivative traces another. */
#include "call.h"

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
	ad__call_pull(r, 1, y, g, x, gin);
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	ad_var x[r->nin + 1], y = again(r, x);
	return ad__call_push(r, 1, y, x, v);
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
	ad_var flat = ad__pack(f->nout, body);
	ad_fn_end(g, 1, &flat);
	if (ad_error(t))
		return;
	int n = 1 + g->narg + g->tape->ncapture;
	ad_var in[n];
	ad__inline(g, arg, NULL, &in[0]);
	for (int i = 1; i < n; i++)
		in[i] = i <= g->narg ? arg[i - 1] : g->tape->outside[i - 1 - g->narg];
	ad_var r = ad__push_shaped(NULL, &op_remat, n, in, (ad_attr){ .data = g }, in[0]->dtype, in[0]->shape);
	ad_shape shape[f->nout];
	for (int i = 0; i < f->nout; i++)
		shape[i] = f->out[i]->shape;
	ad__unpack(r, f->nout, shape, out);
}
