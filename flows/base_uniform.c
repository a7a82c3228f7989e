/* The uniform base on [lo, hi]: density 0, with gradient 0, outside. */
#include "base.h"
#include <math.h>

static void check(const flow_base *b, nn c)
{
	if (!(b->a < b->b))
		ad_fail(c.tape, "uniform: from %g to %g, in \"%s\"", b->a, b->b, c.path);
}

static ad_var log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)cond;
	check(b, c);
	ad_var in = ad_within(z, b->a, b->b);
	return flow__rows(ad_where(in, ad_const(c.tape, -log(b->b - b->a)), ad_const(c.tape, -INFINITY)));
}

static ad_var sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)cond;
	check(b, c);
	ad_var u = ad_shift(ad_uniform(c.tape, s, nn_stream(c, "sample")), -0.5);
	return ad_shift(ad_scale(u, temperature * (b->b - b->a)), 0.5 * (b->a + b->b));
}

flow_base flow_uniform(double lo, double hi)
{
	return (flow_base){ .kind = "uniform", .log_prob = log_prob, .sample = sample, .a = lo, .b = hi };
}
