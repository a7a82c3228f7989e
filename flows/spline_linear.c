/* The piecewise linear spline (Mueller et al. 2019): equal bins, a softmax of p[K] their masses. */
#include "spline.h"
#include <math.h>

static flow_out forward(ad_var u, ad_var logp, ad_var below, int K)
{
	ad_var x = ad_scale(u, K), i = ad_clamp(ad_floor(x), 0, K - 1);
	ad_var bin = ad_expand(ad_cast(i, AD_I32), -1);
	ad_var lp = flow__pick(logp, bin);
	return (flow_out){ ad_add(flow__pick(below, bin), ad_mul(ad_sub(x, i), ad_exp(lp))), ad_shift(lp, log(K)) };
}

static flow_out inverse(ad_var u, ad_var logp, flow__knots C, int K)
{
	ad_var bin = flow__bin(C.inner, u), lp = flow__pick(logp, bin),
	       i = ad_cast(ad_squeeze(bin, -1), ad_dtype_of(u));
	/* From the nearer end, so that 1 stays 1 though the last bin's mass be lost to rounding. */
	ad_var mass = ad_shift(ad_exp(lp), 1e-37);
	ad_var up = ad_sub(u, flow__pick(C.lo, bin)), down = ad_sub(flow__pick(C.hi, bin), u);
	ad_var t = ad_div(ad_where(ad_le(down, up), ad_sub(mass, down), up), mass);
	return (flow_out){ ad_scale(ad_add(t, i), 1.0 / K), ad_neg(ad_shift(lp, log(K))) };
}

static flow_out core(const flow_map *m, ad_var u, ad_var p, flow_dir dir)
{
	ad_var logp = ad_log_softmax(p, -1);
	flow__knots C = flow__knots_of_widths(ad_exp(logp));
	return dir == FLOW_FORWARD ? forward(u, logp, C.lo, m->bins) : inverse(u, logp, C, m->bins);
}

static flow_out apply(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__spline(m, c, x, p, dir, core);
}

flow_map flow_linear_spline(int bins, double bound)
{
	flow_map m = flow__spline_map("linear_spline", bins, bins, bound);
	m.apply = apply;
	return m;
}
