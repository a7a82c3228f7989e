/* gaussianization.c - y = Phi^-1(F(x)), F a mixture of normal distribution functions (Chen & Gopinath 2000; Meng et al.
 * 2020). The logit of F goes straight to the quantile, so that neither tail is lost to rounding. */
#include "monotone.h"
#include "neural.h"

#include <math.h>

static flow_out curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int n = m->bins;
	ad_var w = ad_log_softmax(ad_slice(p, -1, 0, n), -1), mean = ad_slice(p, -1, n, 2 * n);
	ad_var l = flow__log_width(ad_slice(p, -1, 2 * n, 3 * n));
	ad_var u = ad_mul(ad_sub(flow__last(x), mean), ad_exp(ad_neg(l)));
	ad_var P = ad_logsumexp(ad_add(w, flow__log_phi(u)), -1),
	       Q = ad_logsumexp(ad_add(w, flow__log_phi(ad_neg(u))), -1);
	ad_var y = flow__probit_of_logit(ad_sub(P, Q));
	/* log F'(x) - log phi(y), without the constant that both have */
	ad_var log_f = ad_logsumexp(ad_sub(ad_sub(w, l), ad_scale(ad_square(u), 0.5)), -1);
	(void)c;
	return flow__sloped((flow_out){ y, ad_add(log_f, ad_scale(ad_square(y), 0.5)) }, x);
}

static flow_out apply(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, curve);
}

flow_map flow_gaussianization(flow_mem *m, int components)
{
	int n = components ? components : 8;
	if (n < 1 || n > 4096)
		return flow__bad_map(m, "gaussianization", "%d components", n);
	double *start = flow_alloc(m, (size_t)(3 * n) * sizeof *start);
	for (int i = 0; i < n; i++)
		start[n + i] = n > 1 ? 4.0 * i / (n - 1) - 2 : 0;
	return (flow_map){ .kind = "gaussianization",
			   .nparam = 3 * n,
			   .apply = apply,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .bins = n,
			   .start = start };
}
