/* bernstein.c - Bernstein polynomials with increasing coefficients (Ramasinghe et al. 2021; Farouki 2012). */
#include "monotone.h"
#include "neural.h"

/* sum_k c_k C(n,k) v^k (1-v)^(n-k) by de Casteljau: convex combinations only */
static ad_var casteljau(ad_var c, ad_var v)
{
	ad_var left = ad_shift(ad_neg(v), 1);
	for (int64_t n = ad_dim(c, -1); n > 1; n--)
		c = ad_add(ad_mul(ad_slice(c, -1, 0, n - 1), left), ad_mul(ad_slice(c, -1, 1, n), v));
	return ad_squeeze(c, -1);
}

/* With coefficients theta_0 .. theta_M of y and increments d: y = (value of theta_0 .. theta_M-1) + v (value of d), and
 * dy/dv = M (value of d). */
static flow_out curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int M = m->bins;
	ad_var in = ad_clamp(x, -m->bound, m->bound), v = ad_shift(ad_scale(flow__last(in), 0.5 / m->bound), 0.5);
	ad_var d = ad_scale(flow__softplus_one(ad_slice(p, -1, 0, M), 1e-3), 2 * m->bound / M);
	ad_var centre = ad_sub(ad_slice(p, -1, M, M + 1), ad_scale(ad_sum_keep(d, AD_AXIS(ad_rank(d) - 1)), 0.5));
	ad_var theta = ad_add(ad_pad(ad_cumsum(ad_slice(d, -1, 0, M - 1), -1, false), -1, 1, 0, 0), centre);
	ad_var step = casteljau(d, v), slope = ad_scale(step, 0.5 * M / m->bound);
	ad_var y = ad_add(casteljau(theta, v), ad_mul(ad_squeeze(v, -1), step));
	(void)c;
	return (flow_out){ ad_add(y, ad_mul(ad_sub(x, in), slope)), ad_log(slope) };
}

static flow_out apply(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, curve);
}

flow_map flow_bernstein(flow_mem *m, int degree, double bound)
{
	int n = degree ? degree : 16;
	bound = bound == 0 ? 5 : bound;
	if (n < 2 || n > 256 || !(bound > 0))
		return flow__bad_map(m, "bernstein", "degree %d, bound %g", n, bound);
	return (flow_map){ .kind = "bernstein",
			   .nparam = n + 1,
			   .apply = apply,
			   .caps.inverse = FLOW_ITERATIVE,
			   .bins = n,
			   .bound = bound };
}
