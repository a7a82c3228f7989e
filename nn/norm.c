/* norm.c - layer, group and batch normalisation. */
#include "internal.h"

static const nn_fill zeros = { NN_ZEROS, 0 }, ones = { NN_CONST, 1 };

static ad_var whiten(ad_var x, ad_var mean, ad_var var, double eps)
{
	return ad_mul(ad_sub(x, mean), ad_rsqrt(ad_shift(var, eps)));
}

/* A vector over channels (axis 1), shaped to broadcast against x. */
static ad_var per_channel(ad_var x, ad_var v)
{
	ad_shape s = { .rank = ad_rank(x) - 1, .dim = { ad_dim(x, 1), 1, 1, 1, 1, 1, 1 } };
	return ad_reshape(v, s);
}

ad_var nn_layer_norm(nn c, ad_var x, double eps)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_shape s = AD_SHAPE(ad_dim(x, -1));
	unsigned last = AD_AXIS(ad_rank(x) - 1);
	ad_var y = whiten(x, ad_mean_keep(x, last), ad_var_keep(x, last, false), eps);
	y = ad_add(ad_mul(y, nn_param(c, "weight", s, ones)), nn_param(c, "bias", s, zeros));
	ad_set_path(c.tape, was);
	return y;
}

static ad_var group_norm(nn c, ad_var x, int groups, double eps)
{
	int64_t channels = ad_rank(x) > 1 ? ad_dim(x, 1) : 0;
	if (groups < 1 || channels < 1 || channels % groups) {
		ad_fail(c.tape, "nn_group_norm: %d groups of %lld channels", groups, (long long)channels);
		return nn__dud(c);
	}
	ad_shape s = ad_shape_of(x);
	int64_t size = 1;
	for (int i = 1; i < s.rank; i++)
		size *= s.dim[i];
	ad_var y = ad_reshape(x, AD_SHAPE(s.dim[0], groups, size / groups));
	y = whiten(y, ad_mean_keep(y, AD_AXIS(2)), ad_var_keep(y, AD_AXIS(2), false), eps);
	ad_var w = nn_param(c, "weight", AD_SHAPE(channels), ones), b = nn_param(c, "bias", AD_SHAPE(channels), zeros);
	return ad_add(ad_mul(ad_reshape(y, s), per_channel(x, w)), per_channel(x, b));
}

ad_var nn_group_norm(nn c, ad_var x, int groups, double eps)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var y = group_norm(c, x, groups, eps);
	ad_set_path(c.tape, was);
	return y;
}

/* Normalises by the biased variance of batch and space and moves the running statistics, the unbiased one. */
static ad_var batch_statistics(nn c, ad_var x, ad_var running_mean, ad_var running_var, double eps, double momentum)
{
	unsigned axes = ((1u << ad_rank(x)) - 1) & ~AD_AXIS(1);
	ad_shape s = ad_shape_of(x), channels = AD_SHAPE(ad_dim(x, 1));
	double space = 1;
	for (int i = ad_batched(x); i < s.rank; i++)
		space *= i == 1 ? 1 : (double)s.dim[i];
	ad_var n = ad_batched(x) ? ad_scale(ad_batch_size(c.tape), space) : ad_const(c.tape, space);
	ad_var mean = ad_mean_keep(x, axes), d = ad_sub(x, mean), var = ad_mean_keep(ad_square(d), axes);
	ad_var unbiased = ad_mul(var, ad_div(n, ad_max(ad_shift(n, -1), ad_const(c.tape, 1))));
	ad_var new_mean = ad_add(ad_scale(running_mean, 1 - momentum), ad_scale(ad_reshape(mean, channels), momentum));
	ad_var new_var = ad_add(ad_scale(running_var, 1 - momentum), ad_scale(ad_reshape(unbiased, channels), momentum));
	nn_set_state(c, "running_mean", ad_stop(new_mean));
	nn_set_state(c, "running_var", ad_stop(new_var));
	return ad_mul(d, ad_rsqrt(ad_shift(var, eps)));
}

static ad_var batch_norm(nn c, ad_var x, double eps, double momentum)
{
	if (ad_rank(x) < 2) {
		ad_fail(c.tape, "nn_batch_norm: the input has rank %d; axis 1 must be the channels", ad_rank(x));
		return nn__dud(c);
	}
	ad_shape s = AD_SHAPE(ad_dim(x, 1));
	ad_var w = nn_param(c, "weight", s, ones), b = nn_param(c, "bias", s, zeros);
	ad_var mean = nn_state(c, "running_mean", s, zeros), var = nn_state(c, "running_var", s, ones);
	ad_var y = c.phase == NN_EVAL ? whiten(x, per_channel(x, mean), per_channel(x, var), eps)
	                              : batch_statistics(c, x, mean, var, eps, momentum);
	return ad_add(ad_mul(y, per_channel(x, w)), per_channel(x, b));
}

ad_var nn_batch_norm(nn c, ad_var x, double eps, double momentum)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var y = batch_norm(c, x, eps, momentum);
	ad_set_path(c.tape, was);
	return y;
}
