/* example_layer.c - a new layer from nothing: the sinh-arcsinh flow (Jones & Pewsey 2009), which gives every dimension
 * its own skewness and tail weight: z = sinh(d asinh(x) - e), d > 0. */
#include "flows/flow.h"

#include <math.h>

/* log cosh u, without overflow and smooth to any order */
static ad_var log_cosh(ad_var u)
{
	return ad_shift(ad_add(u, ad_softplus(ad_scale(u, -2))), -log(2));
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	ad_shape s = AD_SHAPE(ad_dim(x, 1)); /* x is [B, D] */
	ad_var log_d = ad_tanh(nn_param(c, "log_tail", s, (nn_fill){ NN_ZEROS }));
	ad_var e = nn_param(c, "skew", s, (nn_fill){ NN_ZEROS });
	ad_var u = ad_asinh(x), v, sign = ad_const(c.tape, dir == FLOW_FORWARD ? 1 : -1);
	if (dir == FLOW_FORWARD)
		v = ad_sub(ad_mul(ad_exp(log_d), u), e); /* x = sinh u, z = sinh v */
	else
		v = ad_mul(ad_exp(ad_neg(log_d)), ad_add(u, e));
	/* dz/dx = d cosh v / cosh u */
	ad_var logdet = ad_add(ad_mul(sign, log_d), ad_sub(log_cosh(v), log_cosh(u)));
	(void)f, (void)cond;
	return (flow_out){ ad_sinh(v), ad_sum(logdet, AD_EVENT) };
}

flow *flow_sinh_arcsinh(flow_mem *m)
{
	flow f = { .kind = "sinh_arcsinh", .apply = apply, .caps = { FLOW_ANALYTIC, FLOW_ANALYTIC, FLOW_EXACT, true } };
	return flow_copy(m, &f, sizeof f);
}
