/* potential.c - convex potential flows (Huang et al. 2021): net, gradient, dense Hessian, inverse. */
#include "potential.h"
#include "parts.h"
#include "potential_private.h"

#include <math.h>

static const nn_fill zero = { NN_ZEROS, 0 };

static ad_var smooth(const flow__potential *p, ad_var v, bool outer)
{
	ad_var s;
	double at0 = log(2);
	if (p->o.gaussian) {
		at0 = 1 / sqrt(2 * acos(-1));
		ad_var cdf = ad_scale(ad_erfc(ad_scale(v, -sqrt(0.5))), 0.5);
		s = ad_add(ad_mul(v, cdf), ad_scale(ad_exp(ad_scale(ad_square(v), -0.5)), at0));
	} else {
		s = ad_softplus(v);
	}
	if (p->o.centred)
		s = ad_shift(s, -at0);
	return outer && p->o.even ? ad_sub(s, ad_scale(v, 0.5)) : s;
}

static ad_var actnorm(nn c, ad_var v)
{
	int64_t n = ad_dim(v, -1);
	ad_var shift, scale = nn_param(c, "log_scale", AD_SHAPE(1, n, 1), (nn_fill){ NN_CONST, 0.5 });
	/* A constant added to the potential has no effect: kept, not trained. */
	shift = n > 1 ? nn_param(c, "shift", AD_SHAPE(1, n, 1), zero) : nn_state(c, "shift", AD_SHAPE(1, n, 1), zero);
	scale = ad_shift(ad_exp(ad_reshape(scale, AD_SHAPE(n))), 1e-3);
	return ad_mul(ad_add(v, ad_reshape(shift, AD_SHAPE(n))), scale);
}

static ad_var positive(nn c, ad_var h, int64_t out, bool bias)
{
	int64_t in = ad_dim(h, -1);
	ad_var w = ad_softplus(nn_param(c, "weight", AD_SHAPE(out, in), (nn_fill){ NN_FAN_IN, 1 }));
	ad_var b = bias ? nn_param(c, "bias", AD_SHAPE(out), zero) : NULL;
	return ad_scale(ad_linear(h, w, b), 1 / (double)in);
}

/* Linear maps of x, and of cond where there is any. */
static ad_var from_input(nn c, const char *name, int i, ad_var x, ad_var cond, int64_t out, bool last)
{
	/* Kinks spread over data of unit variance, so that the potential is curved from the start. */
	nn_linear_opt o = { .no_bias = last, .weight = { NN_NORMAL, 2 / sqrt((double)ad_dim(x, -1)) }, .bias = { NN_UNIFORM, 2 } };
	ad_var v = nn_linear_with(nn_in(c, "%s_%d", name, i), x, out, o);
	if (!cond)
		return v;
	ad_var k = nn_linear_with(nn_in(c, "cond_%s_%d", name, i), cond, out, (nn_linear_opt){ .no_bias = true });
	return ad_add(v, ad_rank(x) == 3 ? ad_expand(k, 1) : k);
}

/* The potential of x [B, .., D]: [B, ..] */
static ad_var potential(const flow__potential *p, nn c, ad_var x, ad_var cond)
{
	int64_t half = p->o.width / 2;
	int last = p->o.depth - 1;
	ad_var h = smooth(p, from_input(c, "z_linear", 0, x, cond, p->o.width, false), true);
	for (int i = 0; i < last; i++) {
		ad_var pre = ad_add(positive(nn_in(c, "z_linear_%d", i + 1), h, half, true),
				    from_input(c, "x_linear", i, x, cond, half, false));
		ad_var part[] = { smooth(p, actnorm(nn_in(c, "actnorm_%d", i), pre), false),
				  smooth(p, from_input(c, "aug_linear", i, x, cond, half, false), true) };
		h = ad_concat(ad_rank(h) - 1, 2, part);
	}
	ad_var out = ad_add(positive(nn_in(c, "z_linear_%d", last + 1), h, 1, false),
			    from_input(c, "x_linear", last, x, NULL, 1, true));
	out = actnorm(nn_in(c, "actnorm_%d", last), out);
	ad_var w0 = nn_param(c, "w0", AD_SHAPE(1), (nn_fill){ NN_CONST, log(expm1(1)) });
	ad_var w1 = nn_param(c, "w1", AD_SHAPE(1), (nn_fill){ NN_CONST, log(expm1(1)) });
	ad_var square = ad_scale(ad_sum_keep(ad_square(x), AD_AXIS(ad_rank(x) - 1)), 0.5);
	out = ad_add(ad_mul(ad_softplus(w1), out), ad_mul(ad_softplus(w0), square));
	return ad_squeeze(out, ad_rank(out) - 1);
}

ad_var flow__potential_gradient(const flow__potential *p, nn c, ad_var x, ad_var cond)
{
	return ad_grad(potential(p, c, x, cond), x);
}

/* [B, D, D]: the gradient at D copies of x, moved along the D axes. */
static ad_var hessian(const flow__potential *p, nn c, ad_var x, ad_var cond)
{
	int64_t n = p->dim;
	ad_shape s = AD_SHAPE(AD_BATCH, n, n);
	ad_var copies = ad_broadcast(ad_expand(x, 1), s), eye = ad_broadcast(flow__eye(c.tape, n), s), h;
	ad_var g = flow__potential_gradient(p, c, copies, cond);
	ad_jvp(1, &g, 1, &copies, &eye, &h);
	return h;
}

/* One damped step of Newton's method for the minimum of potential(x) - z.x: the longest of the steps 1, 1/2, .. that goes
 * down enough, by Armijo's rule with room for rounding, so that the full step is taken near the minimum. */
static ad_var newton(const flow__potential *p, nn c, ad_var x, ad_var z, ad_var cond, double slack)
{
	enum { STEPS = 24 };
	double size[STEPS];
	for (int k = 0; k < STEPS; k++)
		size[k] = ldexp(1, -k);
	ad_var g = ad_sub(flow__potential_gradient(p, c, x, cond), z);
	ad_var d = ad_neg(ad_solve(hessian(p, c, x, cond), g));
	ad_var t = ad_array(c.tape, AD_SHAPE(STEPS, 1), size);
	ad_var path = ad_add(ad_expand(x, 1), ad_mul(t, ad_expand(d, 1))); /* [B, STEPS, D] */
	ad_var at = ad_concat(1, 2, (ad_var[]){ ad_expand(x, 1), path });
	ad_var high = potential(p, c, at, cond), low = ad_sum(ad_mul(at, ad_expand(z, 1)), AD_AXIS(2)), f = ad_sub(high, low);
	ad_var size0 = ad_slice(ad_add(ad_abs(high), ad_abs(low)), 1, 0, 1); /* of what cancels in f */
	ad_var f0 = ad_slice(f, 1, 0, 1), slope = ad_expand(ad_sum(ad_mul(g, d), AD_EVENT), 1);
	ad_var bound = ad_add(f0, ad_add(ad_mul(ad_squeeze(ad_scale(t, 1e-4), 1), slope),
					 ad_scale(ad_shift(size0, 1), slack)));
	ad_var good = ad_le(ad_slice(f, 1, 1, STEPS + 1), bound);
	ad_var tail = ad_pad(ad_full(c.tape, AD_SHAPE(1), 1), 0, STEPS - 1, 0, 0); /* the last is taken anyway */
	good = ad_max(good, tail);
	ad_var first = ad_mul(good, ad_eq(ad_cumsum(good, 1, false), ad_const(c.tape, 1)));
	ad_var length = ad_stop(ad_sum(ad_mul(first, ad_squeeze(t, 1)), AD_EVENT));
	return ad_add(x, ad_mul(ad_expand(length, 1), d));
}

static ad_var invert(const flow__potential *p, nn c, ad_var z, ad_var cond)
{
	bool f32 = ad_dtype_of(z) == AD_F32;
	ad_fn *f = ad_fn_begin(c.tape);
	ad_var x = ad_fn_arg(f, ad_dtype_of(z), ad_shape_of(z));
	ad_var y = newton(p, nn_on(c, ad_fn_tape(f)), x, z, cond, f32 ? 1e-6 : 1e-13);
	ad_fn_end(f, 1, &y);
	return ad_fixpoint(f, z, f32 ? 1e-5 : 1e-11, 200, false);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const flow__potential *p = (const flow__potential *)f;
	bool forward = dir == FLOW_FORWARD;
	ad_var at = forward ? x : invert(p, c, x, cond);
	ad_var logdet = p->o.probes && c.phase != NN_EVAL ? flow__potential_logdet(p, c, at, cond)
							  : ad_logabsdet(hessian(p, c, at, cond));
	if (forward)
		return (flow_out){ flow__potential_gradient(p, c, x, cond), logdet };
	return (flow_out){ at, ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const flow__potential *)f)->dim, in, out, why);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const flow__potential *p = (const flow__potential *)f;
	snprintf(buf, n, "%d layers of %lld, %s", p->o.depth, (long long)p->o.width,
		 p->o.probes ? "Lanczos in training" : "dense Hessian");
	return buf;
}

flow *flow_convex_potential(flow_mem *m, int64_t dim, flow_potential_opt o)
{
	o.width = o.width ? o.width : 64;
	o.depth = o.depth ? o.depth : 2;
	o.steps = o.steps ? o.steps : dim < 32 ? (int)dim : 32;
	if (dim < 1 || dim > 4096 || o.width < 2 || o.width % 2 || o.depth < 1 || o.probes < 0 || o.probes > 64 ||
	    o.steps < 1 || o.steps > FLOW__LANCZOS)
		return flow_refuse(m, "convex_potential",
				   "%lld features, %d layers of %lld (even), %d probes, %d steps (at most %d)",
				   (long long)dim, o.depth, (long long)o.width, o.probes, o.steps, FLOW__LANCZOS);
	flow__potential *p = flow_alloc(m, sizeof *p);
	*p = (flow__potential){
		.f = { .kind = "convex_potential",
		       .apply = apply,
		       .shape = shape,
		       .unshape = shape,
		       .describe = describe,
		       .caps = { .inverse = FLOW_ITERATIVE, .logdet = o.probes ? FLOW_STOCHASTIC : FLOW_EXACT } },
		.dim = dim,
		.o = o,
	};
	return &p->f;
}
