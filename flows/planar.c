/* planar.c - planar flows (Rezende & Mohamed 2015), with tanh or a leaky relu, and free or amortised parameters. */
#include "lowrank.h"
#include "amortise.h"
#include "parts.h"

#include <math.h>

typedef struct {
	flow f;
	int64_t dim;
	flow_planar_opt o;
} planar;

typedef struct {
	ad_var w, u, b, gain; /* u is u'; gain = 1 + w.u' = softplus(w.u) */
} direction;

/* u starts where w.u = log(e - 1), u' = 0: at the identity. */
static void start(const planar *p, nn c)
{
	nn w = nn_in(c, "w"), u = nn_in(c, "u");
	double v[p->dim], square = 0;
	if (nn_find(c.store, u.path) >= 0 || !nn_get(c.store, w.path, v, p->dim))
		return;
	for (int64_t i = 0; i < p->dim; i++)
		square += v[i] * v[i];
	for (int64_t i = 0; i < p->dim; i++)
		v[i] *= log(expm1(1)) / (square + 1e-30);
	nn_put(c.store, u.path, AD_SHAPE(p->dim), true, v);
}

static direction parameters(const planar *p, nn c, ad_var cond)
{
	flow__source s = flow__source_of(c, &p->o.net, cond, 2 * p->dim + 1);
	nn_fill fill = { NN_NORMAL, 1 / sqrt((double)p->dim) };
	direction d = { .w = flow__source_take(&s, "w", AD_SHAPE(p->dim), fill) };
	start(p, c);
	ad_var u = flow__source_take(&s, "u", AD_SHAPE(p->dim), fill), wu = flow__dot(d.w, u);
	d.b = flow__source_take(&s, "b", AD_SHAPE(1), (nn_fill){ NN_ZEROS, 0 });
	d.gain = ad_softplus(wu);
	ad_var along = ad_div(d.w, ad_shift(flow__dot(d.w, d.w), 1e-30)); /* w = 0 has no direction */
	d.u = ad_add(u, ad_mul(ad_sub(ad_shift(d.gain, -1), wu), along));
	return d;
}

/* The root a of a + (gain - 1) tanh a = t, increasing in a as gain > 0; sought as a - t, which is small. */
static ad_var tanh_root(ad_tape *tape, ad_var t, ad_var gain)
{
	ad_fn *f = ad_fn_begin(tape);
	ad_var e = ad_fn_arg(f, ad_dtype_of(t), ad_shape_of(t));
	ad_var y = ad_add(e, ad_mul(ad_shift(gain, -1), ad_tanh(ad_add(t, e))));
	ad_fn_end(f, 1, &y);
	return ad_add(t, ad_bisect(f, ad_shape_of(t), -1, 1, 0));
}

/* h(a), and the log of 1 + (gain - 1) h'(a), written as a sum of positive terms */
static flow_out ridge(const planar *p, ad_var a, ad_var gain)
{
	if (!p->o.leaky) {
		ad_var h = ad_tanh(a);
		return (flow_out){ h, ad_log(ad_add(ad_square(h), ad_mul(ad_one_minus_square(h), gain))) };
	}
	ad_var slope = ad_shift(ad_scale(ad_above(a, 0), 1 - p->o.slope), p->o.slope);
	return (flow_out){ ad_mul(a, slope), ad_log(ad_add(ad_sub(ad_full_like(a, 1), slope), ad_mul(slope, gain))) };
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const planar *p = (const planar *)f;
	direction d = parameters(p, c, cond);
	ad_var a = ad_add(flow__dot(d.w, x), d.b);
	if (dir == FLOW_INVERSE && !p->o.leaky)
		a = tanh_root(c.tape, a, d.gain);
	else if (dir == FLOW_INVERSE) /* a + (gain - 1) h(a) has the sign of a */
		a = ad_mul(a, ad_exp(ad_neg(ridge(p, a, d.gain).logdet)));
	flow_out r = ridge(p, a, d.gain);
	ad_var move = ad_mul(d.u, r.x), logdet = ad_squeeze(r.logdet, 1);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(x, move), logdet };
	return (flow_out){ ad_sub(x, move), ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const planar *)f)->dim, in, out, why);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const planar *p = (const planar *)f;
	snprintf(buf, n, "%s%s", p->o.leaky ? "leaky relu" : "tanh", p->o.net.apply ? ", amortised" : "");
	return buf;
}

flow *flow_planar(flow_mem *m, int64_t dim, flow_planar_opt o)
{
	if (dim < 1 || dim > 1 << 16 || !(o.slope >= 0 && o.slope <= 1))
		return flow_refuse(m, "planar", "%lld features, slope %g (0 to 1)", (long long)dim, o.slope);
	if (o.leaky && o.slope == 0)
		o.slope = 0.01;
	planar *p = flow_alloc(m, sizeof *p);
	*p = (planar){
		.f = { .kind = "planar",
		       .apply = apply,
		       .shape = shape,
		       .unshape = shape,
		       .describe = describe,
		       .caps.inverse = o.leaky ? FLOW_ANALYTIC : FLOW_ITERATIVE,
		       .caps.rebuilds = true },
		.dim = dim,
		.o = o,
	};
	return &p->f;
}
