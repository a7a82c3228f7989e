/* Normal bases: standard, learned, and conditional. */
#include "base.h"
#include <math.h>

ad_var flow__log_normal(ad_var z)
{
	return ad_shift(ad_scale(ad_square(z), -0.5), -0.5 * log(2 * acos(-1)));
}

ad_var flow__noise(nn c, ad_shape s)
{
	return ad_normal(c.tape, s, nn_stream(c, "sample"));
}

static ad_var standard_log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)b, (void)c, (void)cond;
	double n = (double)ad_numel(ad_shape_of(z));
	return ad_shift(ad_scale(flow__rows(ad_square(z)), -0.5), -0.5 * n * log(2 * acos(-1)));
}

static ad_var standard_sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)b, (void)cond;
	return ad_scale(flow__noise(c, s), temperature);
}

flow_base flow_normal(void)
{
	return (flow_base){ .kind = "normal", .log_prob = standard_log_prob, .sample = standard_sample };
}

typedef struct {
	ad_var mean, log_std;
} moments;

static moments learned(nn c, int64_t dim)
{
	nn_fill zero = { NN_ZEROS, 0 };
	return (moments){ nn_param(c, "mean", AD_SHAPE(1, dim), zero), nn_param(c, "log_std", AD_SHAPE(1, dim), zero) };
}

static moments conditional(nn c, int64_t dim, ad_var cond)
{
	if (!cond) {
		ad_fail(c.tape, "normal_conditional: no conditional input, in \"%s\"", c.path);
		return learned(c, dim);
	}
	ad_var both = nn_linear(nn_in(c, "encoder"), cond, 2 * dim);
	return (moments){ ad_slice(both, 1, 0, dim), ad_slice(both, 1, dim, 2 * dim) };
}

static ad_var log_prob(moments p, ad_var z)
{
	ad_var each = flow__log_normal(ad_mul(ad_sub(z, p.mean), ad_exp(ad_neg(p.log_std))));
	return flow__rows(ad_sub(each, p.log_std));
}

static ad_var sample(moments p, nn c, ad_shape s, double temperature)
{
	ad_var noise = ad_scale(flow__noise(c, AD_SHAPE(AD_BATCH, ad_numel(s))), temperature);
	return flow__like(ad_add(ad_mul(noise, ad_exp(p.log_std)), p.mean), s);
}

static ad_var learned_log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)b, (void)cond;
	z = flow__flat(z);
	return log_prob(learned(c, ad_dim(z, 1)), z);
}

static ad_var learned_sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)b, (void)cond;
	return sample(learned(c, ad_numel(s)), c, s, temperature);
}

flow_base flow_normal_learned(void)
{
	return (flow_base){ .kind = "normal_learned", .log_prob = learned_log_prob, .sample = learned_sample };
}

static ad_var conditional_log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)b;
	z = flow__flat(z);
	return log_prob(conditional(c, ad_dim(z, 1), cond), z);
}

static ad_var conditional_sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)b;
	return sample(conditional(c, ad_numel(s), cond), c, s, temperature);
}

flow_base flow_normal_conditional(void)
{
	return (flow_base){ .kind = "normal_conditional",
			    .log_prob = conditional_log_prob,
			    .sample = conditional_sample };
}
