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

ad_var flow__sampled(const flow_density *d, nn c, ad_shape event, ad_var cond, double temperature, ad_var *z, flow_out *o)
{
	ad_shape latent;
	char why[160];
	nn b = nn_in(c, "base"), f = nn_in(c, "flow");
	if (!flow_shape(d->f, &event, &latent, why)) {
		ad_fail(c.tape, "%s: %s, in \"%s\"", d->f->kind, why, f.path);
		latent = event;
	}
	const char *before = ad_set_path(c.tape, b.path);
	*z = d->base.sample(&d->base, b, flow__batched(latent), cond, temperature);
	ad_set_path(c.tape, before);
	*o = flow_apply(d->f, f, *z, cond, FLOW_INVERSE);
	return o->x;
}

ad_var flow_sample(const flow_density *d, nn c, ad_shape event, ad_var cond, double temperature)
{
	ad_var z;
	flow_out o;
	return flow__sampled(d, c, event, cond, temperature, &z, &o);
}

ad_var flow_nll(const flow_density *d, nn c, ad_var x, ad_var cond)
{
	return ad_neg(ad_mean(flow_log_prob(d, c, x, cond), AD_ALL));
}
