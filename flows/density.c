/* density.c - a flow and a base make a density: log p(x) = log base(z) + log|det dz/dx| at z = f(x). */
#include "private.h"

ad_var flow_log_prob(const flow_density *d, nn c, ad_var x, ad_var cond)
{
	flow_out z = flow_apply(d->f, nn_in(c, "flow"), x, cond, FLOW_FORWARD);
	nn b = nn_in(c, "base");
	const char *before = ad_set_path(c.tape, b.path);
	ad_var p = d->base.log_prob(&d->base, b, z.x, cond);
	ad_set_path(c.tape, before);
	return ad_add(p, z.logdet);
}

flow__sample flow__sampled(const flow_density *d, nn c, ad_shape event, ad_var cond, double temperature)
{
	flow__sample s;
	ad_shape latent;
	char why[160];
	nn b = nn_in(c, "base"), f = nn_in(c, "flow");
	if (!flow_shape(d->f, &event, &latent, why)) {
		ad_fail(c.tape, "%s: %s, in \"%s\"", d->f->kind, why, f.path);
		latent = event;
	}
	const char *before = ad_set_path(c.tape, b.path);
	s.z = d->base.sample(&d->base, b, flow__batched(latent), cond, temperature);
	ad_set_path(c.tape, before);
	s.draws = nn_draws(c);
	s.out = flow_apply(d->f, f, s.z, cond, FLOW_INVERSE);
	return s;
}

ad_var flow_sample(const flow_density *d, nn c, ad_shape event, ad_var cond, double temperature)
{
	bool before = flow__want_logdet(false);
	ad_var x = flow__sampled(d, c, event, cond, temperature).out.x;
	flow__want_logdet(before);
	return x;
}

ad_var flow_nll(const flow_density *d, nn c, ad_var x, ad_var cond)
{
	return ad_neg(ad_mean(flow_log_prob(d, c, x, cond), AD_ALL));
}
