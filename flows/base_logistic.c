/* The logistic base. */
#include "base.h"

static ad_var log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)b, (void)c, (void)cond;
	return ad_neg(flow__rows(ad_add(ad_softplus(z), ad_softplus(ad_neg(z)))));
}

static ad_var sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)b, (void)cond;
	ad_var u = ad_uniform(c.tape, s, nn_stream(c, "sample"));
	return ad_scale(ad_sub(ad_log(u), ad_log1p(ad_neg(u))), temperature);
}

flow_base flow_logistic(void)
{
	return (flow_base){ .kind = "logistic", .log_prob = log_prob, .sample = sample };
}
