/* The monotone cubic spline (Durkan et al. 2019b; slopes after Steffen 1990).
 * p: K widths, K heights, and a number each for the slope at the left and the right end. */
#include "spline.h"

/* Hermite's cubic on [0, 1] from 0 to s with slopes d0, d1: s t^2 (3 - 2t) + d0 t r^2 - d1 t^2 r,  r = 1 - t */
static ad_var hermite(ad_var t, ad_var s, ad_var d0, ad_var d1)
{
	ad_var r = ad_shift(ad_neg(t), 1), tt = ad_square(t);
	ad_var ends = ad_mul(ad_mul(t, r), ad_sub(ad_mul(d0, r), ad_mul(d1, t)));
	return ad_add(ad_mul(ad_mul(s, tt), ad_shift(ad_scale(t, -2), 3)), ends);
}

/* d0 r^2 + 2 t r (3s - d0 - d1) + d1 t^2 */
static ad_var slope(ad_var t, ad_var s, ad_var d0, ad_var d1)
{
	ad_var r = ad_shift(ad_neg(t), 1), mid = ad_sub(ad_scale(s, 6), ad_scale(ad_add(d0, d1), 2));
	return ad_add(ad_add(ad_mul(d0, ad_square(r)), ad_mul(d1, ad_square(t))), ad_mul(ad_mul(t, r), mid));
}

/* t in [0, 1] with hermite(t) = y; continued with slope 1, so that rounding cannot lose the bracket. */
static ad_var solve(ad_var y, ad_var s, ad_var d0, ad_var d1)
{
	ad_fn *f = ad_fn_begin(ad_tape_of(y));
	ad_var t = ad_fn_arg(f, ad_dtype_of(y), ad_shape_of(y)), in = ad_clamp(t, 0, 1);
	ad_var miss = ad_add(ad_sub(hermite(in, s, d0, d1), y), ad_sub(t, in));
	ad_fn_end(f, 1, &miss);
	return ad_bisect(f, ad_shape_of(y), 0, 1, 1e-16);
}

/* Slopes at the knots, [.., K+1]: at inner ones 2 min(s_j, s_{j+1}, mean slope of their parabola). */
static ad_var slopes(ad_var w, ad_var h, ad_var ends, int K)
{
	ad_var s = ad_div(h, w);
	ad_var s0 = flow__part(s, 0, K - 1), s1 = flow__part(s, 1, K);
	ad_var w0 = flow__part(w, 0, K - 1), w1 = flow__part(w, 1, K);
	ad_var parabola = ad_scale(ad_div(ad_add(ad_mul(w1, s0), ad_mul(w0, s1)), ad_add(w0, w1)), 0.5);
	ad_var inner = ad_scale(ad_min(ad_min(s0, s1), parabola), 2), e = ad_scale(ad_sigmoid(ends), 3);
	return ad_concat(-1, 3,
			 (ad_var[]){ ad_mul(flow__part(e, 0, 1), flow__part(s, 0, 1)), inner,
				     ad_mul(flow__part(e, 1, 2), flow__part(s, K - 1, K)) });
}

static flow_out core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	int K = m->bins;
	ad_var w = flow__spline_widths(flow__part(p, 0, K), m->width_divisor, flow__or(m->min_width, 1e-3));
	ad_var h = flow__spline_widths(flow__part(p, K, 2 * K), m->height_divisor, flow__or(m->min_height, 1e-3));
	flow__knots X = flow__knots_of_widths(w), Y = flow__knots_of_widths(h);
	ad_var d = slopes(w, h, flow__part(p, 2 * K, 2 * K + 2), K);

	ad_var bin = flow__bin(dir == FLOW_FORWARD ? X.inner : Y.inner, u);
	ad_var x0 = flow__pick(X.lo, bin), width = ad_sub(flow__pick(X.hi, bin), x0);
	ad_var y0 = flow__pick(Y.lo, bin), s = ad_div(ad_sub(flow__pick(Y.hi, bin), y0), width);
	ad_var d0 = flow__pick(flow__part(d, 0, K), bin), d1 = flow__pick(flow__part(d, 1, K + 1), bin);
	if (dir == FLOW_FORWARD) {
		ad_var t = ad_div(ad_sub(u, x0), width);
		return (flow_out){ ad_add(y0, ad_mul(width, hermite(t, s, d0, d1))), ad_log(slope(t, s, d0, d1)) };
	}
	ad_var t = solve(ad_div(ad_sub(u, y0), width), s, d0, d1);
	return (flow_out){ ad_add(x0, ad_mul(width, t)), ad_neg(ad_log(slope(t, s, d0, d1))) };
}

static flow_out apply(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__spline(m, c, x, p, dir, core);
}

flow_map flow_cubic_spline(int bins, double bound)
{
	flow_map m = flow__spline_map("cubic_spline", 2 * bins + 2, bins, bound);
	m.apply = apply;
	m.caps.inverse = FLOW_ITERATIVE;
	m.caps.rebuilds = false;
	return m;
}
