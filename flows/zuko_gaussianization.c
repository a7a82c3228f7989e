/* zuko_gaussianization.c - a layer of zuko's Gaussianization flow: free scales and shifts, error functions in and out.
 */
#include "monotone.h"
#include "neural_variants.h"
#include "parts.h"

#include <math.h>

typedef struct {
	flow f;
	int64_t dim;
	flow_map map;
} gaussianization;

/* p: raw scales, shifts */
static ad_var value(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int n = m->bins;
	ad_var s = ad_exp(ad_slice(p, -1, 0, n)), u = ad_add(ad_mul(s, flow__last(x)), ad_slice(p, -1, n, 2 * n));
	ad_var mean = ad_mean(ad_erf(ad_scale(u, sqrt(0.5))), AD_AXIS(ad_rank(u) - 1));
	(void)c;
	return ad_scale(ad_erfinv(ad_scale(mean, 1 - 1e-6)), sqrt(2));
}

static flow_out curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	return flow__differentiated(m, c, x, p, value);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const gaussianization *g = (const gaussianization *)f;
	ad_shape s = AD_SHAPE(g->dim, g->map.bins);
	ad_var p[] = { nn_param(c, "raw_scale", s, (nn_fill){ NN_ZEROS }),
		       nn_param(c, "shift", s, (nn_fill){ NN_NORMAL, 1 }) };
	flow_out r = flow__by_root(&g->map, c, x, ad_concat(-1, 2, p), dir, curve);
	(void)cond;
	return (flow_out){ r.x, ad_sum(r.logdet, AD_EVENT) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const gaussianization *)f)->dim, in, out, why);
}

flow *flow_gaussianization_zuko(flow_mem *m, int64_t dim, int components)
{
	if (dim < 1 || components < 1)
		return flow_refuse(m, "gaussianization_zuko", "%lld features, %d components", (long long)dim,
				   components);
	gaussianization g = { { .kind = "gaussianization_zuko",
				.apply = apply,
				.shape = shape,
				.unshape = shape,
				.caps.inverse = FLOW_ITERATIVE },
			      dim,
			      { .kind = "gaussianization_zuko", .nparam = 2 * components, .bins = components } };
	return flow_copy(m, &g, sizeof g);
}
