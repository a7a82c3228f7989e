/* Student's t, with given or learned degrees of freedom. */
#include "base.h"
#include <math.h>

/* Degrees of freedom: given, or exp(log_df) [1, D], 5 at the start. */
static ad_var freedom(const flow_base *b, nn c, int64_t dim)
{
	if (!(b->a >= 0))
		ad_fail(c.tape, "student_t: %g degrees of freedom, in \"%s\"", b->a, c.path);
	if (b->a > 0)
		return ad_const(c.tape, b->a);
	return ad_exp(nn_param(c, "log_df", AD_SHAPE(1, dim), (nn_fill){ NN_CONST, log(5) }));
}

/* log(1 + q^2), for q^2 beyond range as well */
static ad_var log1p_square(ad_var q)
{
	ad_var big = ad_above(q, 1), one = ad_full_like(q, 1);
	ad_var small = ad_where(big, one, q), large = ad_where(big, q, one);
	ad_var far = ad_add(ad_scale(ad_log(large), 2), ad_log1p(ad_reciprocal(ad_square(large))));
	return ad_where(big, far, ad_log1p(ad_square(small)));
}

static ad_var log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)cond;
	z = flow__flat(z);
	ad_var df = freedom(b, c, ad_dim(z, 1)), half = ad_scale(df, 0.5), up = ad_shift(half, 0.5);
	ad_var norm = ad_sub(ad_sub(ad_lgamma(up), ad_lgamma(half)), ad_scale(ad_log(ad_scale(df, acos(-1))), 0.5));
	return flow__rows(ad_sub(norm, ad_mul(up, log1p_square(ad_div(ad_abs(z), ad_sqrt(df))))));
}

/* sqrt(df (u^(-2/df) - 1)) cos(2 pi v) (Bailey 1994) */
static ad_var sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)cond;
	ad_shape flat = AD_SHAPE(AD_BATCH, ad_numel(s));
	ad_var df = freedom(b, c, ad_numel(s));
	ad_var u = ad_uniform(c.tape, flat, nn_stream(c, "sample")),
	       v = ad_uniform(c.tape, flat, nn_stream(c, "angle"));
	ad_var r = ad_sqrt(ad_mul(df, ad_expm1(ad_div(ad_scale(ad_log(u), -2), df))));
	return flow__like(ad_scale(ad_mul(r, ad_cos(ad_scale(v, 2 * acos(-1)))), temperature), s);
}

flow_base flow_student_t(double df)
{
	return (flow_base){ .kind = "student_t", .log_prob = log_prob, .sample = sample, .a = df };
}
