/* The monotone rational-quadratic spline (Durkan et al. 2019, eqs. 4-8 and appendix A.3).
 * p: K widths, K heights, derivatives at the inner knots (with tails) or at all K + 1. */
#include "spline.h"
#include <math.h>

/* y = y0 + h (s t^2 + d0 q) / (s + (d0 + d1 - 2s) q),  q = t (1 - t) */
static flow_out forward(flow__rq_bin b, ad_var h, ad_var s, ad_var t)
{
	ad_var r = ad_shift(ad_neg(t), 1), q = ad_mul(t, r);
	ad_var e = ad_sub(ad_add(b.d0, b.d1), ad_scale(s, 2));
	ad_var den = ad_reciprocal(ad_add(s, ad_mul(e, q)));
	ad_var num = ad_add(ad_mul(s, ad_square(t)), ad_mul(b.d0, q));
	ad_var slope =
		ad_add(ad_add(ad_mul(b.d1, ad_square(t)), ad_scale(ad_mul(s, q), 2)), ad_mul(b.d0, ad_square(r)));
	return (flow_out){ ad_add(b.y0, ad_mul(h, ad_mul(num, den))),
			   ad_log(ad_mul(slope, ad_square(ad_mul(s, den)))) };
}

/* The root of a t^2 + b t = s u in the form that does not cancel.  With v = h - u and g = d0 v - d1 u,
 * b = g + 2 s u, a = h s - b and b^2 + 4 a s u = g^2 + 4 s^2 u v, a sum of two squares. */
static ad_var root(flow__rq_bin b, ad_var h, ad_var s, ad_var y)
{
	ad_var u = ad_sub(y, b.y0), v = ad_sub(b.y1, y), su = ad_scale(ad_mul(s, u), 2);
	ad_var g = ad_sub(ad_mul(b.d0, v), ad_mul(b.d1, u)), lin = ad_add(g, su);
	ad_var d = ad_sqrt(ad_add(ad_square(g), ad_scale(ad_mul(ad_square(s), ad_mul(u, v)), 4)));
	ad_var pos = ad_above(lin, 0);
	ad_var num = ad_where(pos, su, ad_sub(d, lin));
	return ad_div(num, ad_where(pos, ad_add(lin, d), ad_scale(ad_sub(ad_mul(h, s), lin), 2)));
}

flow_out flow__rq(flow__rq_bin b, ad_var u, flow_dir dir)
{
	ad_var w = ad_sub(b.x1, b.x0), h = ad_sub(b.y1, b.y0), s = ad_div(h, w);
	if (dir == FLOW_FORWARD)
		return forward(b, h, s, ad_div(ad_sub(u, b.x0), w));
	ad_var t = root(b, h, s, u);
	return (flow_out){ ad_add(b.x0, ad_mul(t, w)), ad_neg(forward(b, h, s, t).logdet) };
}

flow__rq_bin flow__rq_bin_at(flow__knots X, flow__knots Y, ad_var d, ad_var u, flow_dir dir)
{
	int64_t knots = ad_dim(d, -1);
	ad_var bin = flow__bin(dir == FLOW_FORWARD ? X.inner : Y.inner, u);
	return (flow__rq_bin){
		.x0 = flow__pick(X.lo, bin),
		.x1 = flow__pick(X.hi, bin),
		.y0 = flow__pick(Y.lo, bin),
		.y1 = flow__pick(Y.hi, bin),
		.d0 = flow__pick(flow__part(d, 0, knots - 1), bin),
		.d1 = flow__pick(flow__part(d, 1, knots), bin),
	};
}

static flow_out core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	int K = m->bins;
	double min = flow__or(m->min_derivative, 1e-3);
	ad_var w = flow__spline_widths(flow__part(p, 0, K), m->width_divisor, flow__or(m->min_width, 1e-3));
	ad_var h = flow__spline_widths(flow__part(p, K, 2 * K), m->height_divisor, flow__or(m->min_height, 1e-3));
	flow__knots X = flow__knots_of_widths(w), Y = flow__knots_of_widths(h);
	ad_var d = flow__part(p, 2 * K, m->nparam);
	if (!m->box)
		d = ad_pad(d, -1, 1, 1, log(expm1(1 - min))); /* slope 1 where the tails begin */
	flow__rq_bin b = flow__rq_bin_at(X, Y, d, u, dir);
	b.d0 = ad_shift(ad_softplus(b.d0), min);
	b.d1 = ad_shift(ad_softplus(b.d1), min);
	return flow__rq(b, u, dir);
}

static double inverse_of(double divisor)
{
	return divisor == 0 ? 1 : 1 / divisor;
}

static ad_rq options(const flow_map *m, flow_dir dir)
{
	return (ad_rq){ .bins = m->bins,
			.lo = m->box ? 0 : -m->bound,
			.side = m->box ? 1 : 2 * m->bound,
			.width_scale = inverse_of(m->width_divisor),
			.height_scale = inverse_of(m->height_divisor),
			.min_width = flow__or(m->min_width, 1e-3),
			.min_height = flow__or(m->min_height, 1e-3),
			.min_derivative = flow__or(m->min_derivative, 1e-3),
			.ends = m->box,
			.inverse = dir == FLOW_INVERSE,
			.composed = flow__rq_composed };
}

ad_var flow__rq_composed(ad_var x, ad_var p, const ad_rq *o)
{
	flow_map m = { .nparam = ad_rq_numbers(o),
		       .bins = o->bins,
		       .box = o->ends,
		       .bound = o->side / 2,
		       .width_divisor = 1 / o->width_scale,
		       .height_divisor = 1 / o->height_scale,
		       .min_width = o->min_width,
		       .min_height = o->min_height,
		       .min_derivative = o->min_derivative };
	flow_out r = flow__spline_boxed(&m, x, p, o->inverse ? FLOW_INVERSE : FLOW_FORWARD, core);
	return ad_stack(-1, 2, (ad_var[]){ r.x, r.logdet });
}

static flow_out apply(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	if (!flow__spline_sound(m, c, x, p))
		return (flow_out){ x, ad_full_like(x, 0) };
	ad_rq o = options(m, dir);
	ad_var r = ad_rq_spline(x, p, &o);
	return (flow_out){ ad_squeeze(flow__part(r, 0, 1), -1), ad_squeeze(flow__part(r, 1, 2), -1) };
}

flow_map flow_rq_spline(int bins, double bound)
{
	flow_map m = flow__spline_map("rq_spline", bound == 0 ? 3 * bins + 1 : 3 * bins - 1, bins, bound);
	m.apply = apply;
	return m;
}
