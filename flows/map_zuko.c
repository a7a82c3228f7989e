/* zuko's scalar maps: raw numbers are clipped softly, clip_k(v) = v / (1 + |k v / log slope|). */
#include "spline.h"
#include "variants.h"
#include <math.h>

static ad_var clip(const flow_map *m, ad_var v, double k)
{
	return ad_div(v, ad_shift(ad_scale(ad_abs(v), k / -log(m->a)), 1));
}

static ad_var column(ad_var p, int64_t k)
{
	return ad_squeeze(ad_slice(p, -1, k, k + 1), -1);
}

static flow_out affine(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	(void)c;
	ad_var t = column(p, 0), l = clip(m, column(p, 1), 1);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(ad_mul(x, ad_exp(l)), t), l };
	return (flow_out){ ad_mul(ad_sub(x, t), ad_exp(ad_neg(l))), ad_neg(l) };
}

static flow_out spline_core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	int K = m->bins;
	flow__knots X = flow__knots_of_widths(ad_softmax(clip(m, flow__part(p, 0, K), 2), -1));
	flow__knots Y = flow__knots_of_widths(ad_softmax(clip(m, flow__part(p, K, 2 * K), 2), -1));
	ad_var d = ad_pad(clip(m, flow__part(p, 2 * K, m->nparam), 1), -1, 1, 1, 0);
	flow__rq_bin b = flow__rq_bin_at(X, Y, d, u, dir);
	b.d0 = ad_exp(b.d0);
	b.d1 = ad_exp(b.d1);
	return flow__rq(b, u, dir);
}

static flow_out spline(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__spline(m, c, x, p, dir, spline_core);
}

static double slope_or_default(double slope)
{
	return slope > 0 && slope < 1 ? slope : 1e-3;
}

flow_map flow_affine_zuko(double slope)
{
	return (flow_map){ .kind = "affine_zuko", .nparam = 2, .apply = affine, .a = slope_or_default(slope) };
}

flow_map flow_rqs_zuko(int bins, double bound, double slope)
{
	flow_map m = flow__spline_map("rqs_zuko", 3 * bins - 1, bins, bound);
	m.apply = spline;
	m.a = slope_or_default(slope);
	return m;
}
