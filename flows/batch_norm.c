/* Batch normalisation as a flow (Dinh et al. 2017), in two parametrisations.  Training uses the batch's statistics,
 * with gradients through them, and moves the running ones; evaluation and the inverse use the running ones. */
#include "flow.h"
#include "variants.h"
#include <math.h>

typedef struct batch_norm {
	flow f;
	double eps, momentum;
	bool softplus; /* scale softplus(unconstrained_weight) + eps, and eps is kept out of running_var */
} batch_norm;

static ad_var log_scale(const batch_norm *b, nn c, ad_shape s)
{
	if (!b->softplus)
		return nn_param(c, "log_gamma", s, (nn_fill){ NN_ZEROS, 0 });
	ad_var w = nn_param(c, "unconstrained_weight", s, (nn_fill){ NN_CONST, log(expm1(1 - b->eps)) });
	return ad_log(ad_shift(ad_softplus(w), b->eps));
}

static ad_var mix(const batch_norm *b, ad_var running, ad_var batch)
{
	return ad_stop(ad_add(ad_scale(running, b->momentum), ad_scale(batch, 1 - b->momentum)));
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	const batch_norm *b = (const batch_norm *)f;
	ad_shape s = AD_SHAPE(ad_dim(x, 1));
	ad_var scale = log_scale(b, c, s),
	       shift = nn_param(c, b->softplus ? "bias" : "beta", s, (nn_fill){ NN_ZEROS, 0 });
	ad_var mean = nn_state(c, "running_mean", s, (nn_fill){ NN_ZEROS, 0 });
	ad_var var = nn_state(c, "running_var", s, (nn_fill){ NN_CONST, 1 });
	if (dir == FLOW_FORWARD && c.phase != NN_EVAL) {
		ad_var m = ad_reshape(ad_mean_keep(x, AD_AXIS(0)), s);
		ad_var v = ad_reshape(ad_var_keep(x, AD_AXIS(0), b->softplus), s);
		if (!b->softplus)
			v = ad_shift(v, b->eps);
		nn_set_state(c, "running_mean", mix(b, mean, m));
		nn_set_state(c, "running_var", mix(b, var, v));
		mean = m, var = v;
	}
	if (b->softplus)
		var = ad_shift(var, b->eps);
	ad_var each = ad_sub(scale, ad_scale(ad_log(var), 0.5)), logdet = ad_sum(each, AD_ALL);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(ad_mul(ad_sub(x, mean), ad_exp(each)), shift), logdet };
	return (flow_out){ ad_add(ad_mul(ad_sub(x, shift), ad_exp(ad_neg(each))), mean), ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	(void)f;
	out[0] = in[0];
	if (in[0].rank == 1)
		return true;
	snprintf(why, 160, "takes vectors");
	return false;
}

static flow *new (flow_mem *m, double eps, double momentum, bool softplus)
{
	if (!(eps >= 0 && eps < 1) || !(momentum >= 0 && momentum < 1))
		return flow_refuse(m, "batch_norm", "eps %g, momentum %g", eps, momentum);
	batch_norm *b = flow_alloc(m, sizeof *b);
	*b = (batch_norm){
		.f = { .kind = "batch_norm", .apply = apply, .shape = shape, .unshape = shape },
		.eps = eps > 0 ? eps : 1e-5,
		.momentum = momentum > 0 ? momentum : 0.9,
		.softplus = softplus,
	};
	return &b->f;
}

flow *flow_batch_norm_softplus(flow_mem *m, double eps, double momentum)
{
	return new (m, eps, momentum, true);
}

flow *flow_batch_norm(flow_mem *m, double eps, double momentum)
{
	return new (m, eps, momentum, false);
}
