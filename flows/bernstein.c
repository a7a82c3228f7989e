/* bernstein.c - Bernstein polynomials with increasing coefficients (Ramasinghe et al. 2021; Farouki 2012). */
#include "monotone.h"
#include "neural.h"
#include "neural_variants.h"

/* sum_k c_k C(n,k) v^k (1-v)^(n-k) by de Casteljau: convex combinations only */
static ad_var casteljau(ad_var c, ad_var v)
{
	ad_var left = ad_shift(ad_neg(v), 1);
	for (int64_t n = ad_dim(c, -1); n > 1; n--)
		c = ad_add(ad_mul(ad_slice(c, -1, 0, n - 1), left), ad_mul(ad_slice(c, -1, 1, n), v));
	return ad_squeeze(c, -1);
}

/* y and dy/dv at v [.., 1] from the increments d [.., M] and theta_0 [.., 1]: with theta_0 .. theta_M the coefficients,
 * y = (value of theta_0 .. theta_M-1) + v (value of d) and dy/dv = M (value of d). */
static flow_out polynomial(ad_var d, ad_var first, ad_var v)
{
	int64_t M = ad_dim(d, -1);
	ad_var theta = ad_add(ad_pad(ad_cumsum(ad_slice(d, -1, 0, M - 1), -1, false), -1, 1, 0, 0), first);
	ad_var step = casteljau(d, v);
	return (flow_out){ ad_add(casteljau(theta, v), ad_mul(ad_squeeze(v, -1), step)), ad_scale(step, (double)M) };
}

static flow_out curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int M = m->bins;
	ad_var in = ad_clamp(x, -m->bound, m->bound), v = ad_shift(ad_scale(flow__last(in), 0.5 / m->bound), 0.5);
	ad_var d = ad_scale(flow__softplus_one(ad_slice(p, -1, 0, M), 1e-3), 2 * m->bound / M);
	ad_var half = ad_scale(ad_sum_keep(d, AD_AXIS(ad_rank(d) - 1)), 0.5);
	flow_out y = polynomial(d, ad_sub(ad_slice(p, -1, M, M + 1), half), v);
	ad_var slope = ad_scale(y.logdet, 0.5 / m->bound);
	(void)c;
	return (flow_out){ ad_add(y.x, ad_mul(ad_sub(x, in), slope)), ad_log(slope) };
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
			   .alike = true,
			   .bins = n,
			   .bound = bound };
}

/* Two increments at either end are those of the identity, so that it is reached smoothly. */
static flow_out zuko_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	double B = m->bound, d = 2 * B / (m->nparam + 4), eps = m->a;
	ad_var v = ad_scale(ad_shift(x, B), 0.5 / B), in = ad_mul(ad_above(v, eps), ad_above(ad_neg(v), eps - 1));
	ad_var at = flow__last(ad_where(in, v, ad_full_like(v, 0.5)));
	ad_var free = ad_scale(ad_softmax(p, -1), 2 * B - 4 * d);
	flow_out y = polynomial(ad_pad(free, -1, 2, 2, d), ad_full(c.tape, AD_SHAPE(1), -B), at);
	ad_var below = ad_shift(ad_scale(ad_shift(v, -eps), 2 * B), -B),
	       beyond = ad_shift(ad_scale(ad_shift(v, eps - 1), 2 * B), B);
	ad_var outside = ad_where(ad_above(v, 0.5), beyond, below);
	return (flow_out){ ad_where(in, y.x, outside),
			   ad_where(in, ad_log(ad_scale(y.logdet, 0.5 / B)), ad_full_like(v, 0)) };
}

static flow_out zuko(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, zuko_curve);
}

flow_map flow_bernstein_zuko(flow_mem *m, int numbers, double bound, double eps)
{
	if (numbers < 1 || numbers > 256 || !(bound > 0) || !(eps >= 0 && eps < 0.5))
		return flow__bad_map(m, "bernstein_zuko", "%d numbers, bound %g, eps %g", numbers, bound, eps);
	return (flow_map){ .kind = "bernstein_zuko",
			   .nparam = numbers,
			   .apply = zuko,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .bound = bound,
			   .a = eps };
}
