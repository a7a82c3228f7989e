/* (x - mean) / sd per feature; both are state, so that a checkpoint carries them. */
#include "parts.h"

typedef struct {
	flow f;
	int64_t dim;
	const double *mean, *sd;
} standardise;

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	const standardise *s = (const standardise *)f;
	ad_var mean = nn_state_array(c, "mean", AD_SHAPE(s->dim), s->mean);
	ad_var sd = nn_state_array(c, "sd", AD_SHAPE(s->dim), s->sd);
	ad_var logdet = ad_sum(ad_log(sd), AD_ALL);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_div(ad_sub(x, mean), sd), ad_neg(logdet) };
	return (flow_out){ ad_add(ad_mul(x, sd), mean), logdet };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const standardise *)f)->dim, in, out, why);
}

flow *flow_standardise(flow_mem *m, int64_t dim, const double *mean, const double *sd)
{
	if (dim < 1)
		return flow_refuse(m, "standardise", "%lld features", (long long)dim);
	for (int64_t i = 0; i < dim; i++)
		if (!(sd[i] > 0))
			return flow_refuse(m, "standardise", "feature %lld has standard deviation %g", (long long)i,
					   sd[i]);
	size_t bytes = (size_t)dim * sizeof(double);
	standardise *s = flow_alloc(m, sizeof *s);
	*s = (standardise){
		.f = { .kind = "standardise", .apply = apply, .shape = shape, .unshape = shape, .caps.rebuilds = true },
		.dim = dim,
		.mean = flow_copy(m, mean, bytes),
		.sd = flow_copy(m, sd, bytes),
	};
	return &s->f;
}
