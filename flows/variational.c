/* variational.c - reverse Kullback-Leibler divergence to an unnormalised density. */
#include "variational.h"
#include "private.h"

/* value, with derivatives of pull */
static ad_var with_value(ad_var value, ad_var pull)
{
	return ad_add(ad_stop(ad_sub(value, pull)), pull);
}

flow_fit flow_fit_energy(const flow_density *d, nn c, ad_shape event, ad_var cond, flow_energy *energy, void *user,
			 flow_gradient path)
{
	flow__sample s = flow__sampled(d, c, event, cond, 1);
	flow_fit f = { .x = s.out.x };
	f.log_q = ad_sub(d->base.log_prob(&d->base, nn_in(c, "base"), s.z, cond), s.out.logdet);
	f.energy = energy(c, f.x, cond, user);
	f.loss = ad_add(f.log_q, f.energy);
	if (path == FLOW_PATH || ad_error(c.tape))
		return f;
	/* The derivative of log q by x, at fixed parameters and for the same dropout, pulls on x. */
	nn_redraw(c, s.draws);
	ad_var at = ad_stop(f.x), slope = ad_stop(ad_grad(flow_log_prob(d, nn_quiet(c), at, cond), at));
	ad_var pull = ad_add(ad_sum(ad_mul(slope, f.x), AD_EVENT), f.energy);
	f.loss = with_value(f.loss, pull);
	return f;
}

ad_var flow_reverse_kl(const flow_density *d, nn c, ad_shape event, ad_var cond, flow_energy *energy, void *user,
		       flow_gradient path)
{
	return ad_mean(flow_fit_energy(d, c, event, cond, energy, user, path).loss, AD_ALL);
}
