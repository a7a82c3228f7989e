/* The piecewise quadratic spline (Mueller et al. 2019): a density linear in each bin.
 * p: K widths; K - 1 heights at the inner knots (with tails) or K + 1. */
#include "spline.h"

#define FLOOR 1e-3

static ad_var total(ad_var x)
{
	return ad_sum_keep(x, AD_AXIS(ad_rank(x) - 1));
}

static ad_var middle(ad_var e) /* (e_i + e_{i+1}) / 2 */
{
	int64_t n = ad_dim(e, -1);
	return ad_scale(ad_add(flow__part(e, 0, n - 1), flow__part(e, 1, n)), 0.5);
}

/* The two outer heights that make the density 1 where the tails begin: c = N / (1 - (w_first + w_last) / 4). */
static ad_var with_ends(ad_var e, ad_var w, int K)
{
	ad_var first = ad_scale(flow__part(w, 0, 1), 0.25), last = ad_scale(flow__part(w, K - 1, K), 0.25);
	ad_var n = ad_add(ad_mul(first, flow__part(e, 0, 1)), ad_mul(last, flow__part(e, K - 2, K - 1)));
	if (K > 2)
		n = ad_add(n, total(ad_mul(middle(e), flow__part(w, 1, K - 1))));
	ad_var c = ad_div(n, ad_shift(ad_neg(ad_add(first, last)), 1));
	return ad_concat(-1, 3, (ad_var[]){ c, e, c });
}

/* In a bin, with v0, v1 the density at its ends: y = c0 + w t (v0 + (v1 - v0) t / 2).  Inverse, with
 * f = (y - c0) / (c1 - c0): the slope there is r = sqrt((1 - f) v0^2 + f v1^2), and t = f (v0 + v1) / (v0 + r). */
static flow_out core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	int K = m->bins;
	double min = flow__or(m->min_height, 1e-3);
	ad_var w = flow__spline_widths(flow__part(p, 0, K), m->width_divisor, flow__or(m->min_width, 1e-3));
	ad_var raw = flow__part(p, K, m->nparam);
	if (m->height_divisor != 0)
		raw = ad_scale(raw, 1 / m->height_divisor);
	ad_var e = ad_shift(ad_softplus(raw), FLOOR);
	if (!m->box)
		e = with_ends(e, w, K);
	ad_var area = total(ad_mul(middle(e), w));
	ad_var v = ad_shift(ad_scale(ad_div(e, area), 1 - min), min);
	flow__knots X = flow__knots_of_widths(w), C = flow__knots_of_widths(ad_mul(middle(v), w));

	ad_var bin = flow__bin(dir == FLOW_FORWARD ? X.inner : C.inner, u);
	ad_var x0 = flow__pick(X.lo, bin), width = ad_sub(flow__pick(X.hi, bin), x0);
	ad_var v0 = flow__pick(flow__part(v, 0, K), bin), v1 = flow__pick(flow__part(v, 1, K + 1), bin);
	ad_var c0 = flow__pick(C.lo, bin);
	if (dir == FLOW_FORWARD) {
		ad_var t = ad_div(ad_sub(u, x0), width), rise = ad_mul(t, ad_sub(v1, v0));
		ad_var mean = ad_add(v0, ad_scale(rise, 0.5));
		return (flow_out){ ad_add(c0, ad_mul(ad_mul(width, t), mean)), ad_log(ad_add(v0, rise)) };
	}
	ad_var c1 = flow__pick(C.hi, bin), mass = ad_sub(c1, c0);
	ad_var f = ad_div(ad_sub(u, c0), mass), g = ad_div(ad_sub(c1, u), mass);
	ad_var r = ad_sqrt(ad_add(ad_mul(g, ad_square(v0)), ad_mul(f, ad_square(v1))));
	ad_var t = ad_div(ad_mul(f, ad_add(v0, v1)), ad_add(v0, r));
	return (flow_out){ ad_add(x0, ad_mul(width, t)), ad_neg(ad_log(r)) };
}

static flow_out apply(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__spline(m, c, x, p, dir, core);
}

flow_map flow_quadratic_spline(int bins, double bound)
{
	flow_map m = flow__spline_map("quadratic_spline", bound == 0 ? 2 * bins + 1 : 2 * bins - 1, bins, bound);
	m.apply = apply;
	return m;
}
