/* conv.c - convolutions of images [B, C, H, W] and signals [B, C, T]. */
#include "internal.h"

#include <math.h>

static void resolve(nn_conv_opt *o)
{
	int64_t *pair[] = { o->kernel, o->stride, o->dilation };
	const int64_t standard[] = { 3, 1, 1 };
	for (int i = 0; i < 3; i++) {
		pair[i][0] = pair[i][0] ? pair[i][0] : standard[i];
		pair[i][1] = pair[i][1] ? pair[i][1] : pair[i][0];
	}
	o->groups = o->groups ? o->groups : 1;
}

static ad_var conv(nn c, ad_var x, int64_t out, nn_conv_opt o)
{
	int rank = ad_rank(x);
	resolve(&o);
	if (rank != 3 && rank != 4) {
		ad_fail(c.tape, "nn_conv: the input must be [B, C, H, W] or [B, C, T], not of rank %d", rank);
		return nn__dud(c);
	}
	int64_t in = ad_dim(x, 1);
	if (o.groups < 1 || in % o.groups || out % o.groups) {
		ad_fail(c.tape, "nn_conv: %lld groups do not divide %lld channels in and %lld out", (long long)o.groups,
		        (long long)in, (long long)out);
		return nn__dud(c);
	}
	ad_shape s = { .rank = rank,
		       .dim = { o.transposed ? in : out, (o.transposed ? out : in) / o.groups, o.kernel[0], o.kernel[1] } };
	nn_fill zero = { NN_ZEROS, 0 }, fill = { NN_FAN_IN, 1 };
	ad_var w = o.weight_norm ? nn__weight_norm(c, s, o.transposed, fill, o.zero)
	                         : nn_param(c, "weight", s, o.zero ? zero : fill);
	ad_conv_opt ao = { .groups = o.groups };
	for (int i = 0; i < rank - 2; i++) {
		ao.stride[i] = o.stride[i];
		ao.pad[i] = o.pad[i];
		ao.dilation[i] = o.dilation[i];
	}
	ad_var y = o.transposed ? ad_conv_transposed(x, w, ao, (const int64_t[2]){ 0, 0 }) : ad_conv(x, w, ao);
	if (o.no_bias)
		return y;
	double fan_in = (double)ad_numel(s) / (double)s.dim[0];
	fill = o.zero ? zero : (nn_fill){ NN_UNIFORM, 1 / sqrt(fan_in) };
	ad_var bias = nn_param(c, "bias", AD_SHAPE(out), fill);
	return ad_add(y, ad_reshape(bias, (ad_shape){ .rank = rank - 1, .dim = { out, 1, 1 } }));
}

ad_var nn_conv(nn c, ad_var x, int64_t out, nn_conv_opt o)
{
	const char *was = ad_set_path(c.tape, c.path);
	ad_var y = conv(c, x, out, o);
	ad_set_path(c.tape, was);
	return y;
}
