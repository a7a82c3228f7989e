/* Activation normalisation (Kingma and Dhariwal 2018): a scale and a shift per channel, that start by whitening what
 * comes out of the direction first traced. */
#include "flow.h"

typedef struct {
	const char *kind;
	bool unbiased, shift_last; /* shift_last: exp(log_scale) x + shift, else exp(log_scale) (x + bias) */
	double sd_plus, var_floor;
} row;
typedef struct {
	flow f;
	const row *row;
} actnorm;

static const row rows[] = {
	[FLOW_ACTNORM_WHITEN] = { "actnorm", true, true, 0, 0 },
	[FLOW_ACTNORM_GLOW] = { "actnorm", true, false, 1e-6, 0 },
	[FLOW_ACTNORM_RESIDUAL] = { "actnorm", true, false, 0, 0.2 },
	[FLOW_ACTNORM_FLOWPP] = { "actnorm", false, false, 1e-6, 0 },
};

/* Over the batch and space: [C]. */
static unsigned all_but_channels(ad_var x)
{
	unsigned axes = 0;
	for (int k = 0; k < ad_rank(x); k++)
		if (k != 1)
			axes |= AD_AXIS(k);
	return axes;
}

static ad_var flat(ad_var v, ad_var x)
{
	return ad_reshape(v, AD_SHAPE(ad_dim(x, 1)));
}

/* log of what the channels are divided by; 0 for a channel without a variance (constant, or one sample alone). */
static ad_var log_spread(const row *r, ad_var x)
{
	ad_var var = flat(ad_var_keep(x, all_but_channels(x), r->unbiased), x);
	ad_var known = ad_above(var, 0), one = ad_full_like(var, 1), v = ad_where(known, var, one);
	if (r->var_floor > 0)
		v = ad_max(v, ad_full_like(v, r->var_floor));
	ad_var l = r->sd_plus > 0 ? ad_log(ad_shift(ad_sqrt(v), r->sd_plus)) : ad_scale(ad_log(v), 0.5);
	return ad_where(known, l, ad_full_like(l, 0));
}

static ad_var channels(ad_var v, ad_var x) /* [C] -> [C, 1, 1] for images */
{
	ad_shape s = { ad_rank(x) - 1, { ad_dim(v, 0), 1, 1, 1, 1, 1, 1 } };
	return s.rank == 1 ? v : ad_reshape(v, s);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	const row *r = ((const actnorm *)f)->row;
	bool forward = dir == FLOW_FORWARD;
	ad_var mean = flat(ad_mean_keep(x, all_but_channels(x)), x), spread = log_spread(r, x), s, t;
	/* The direction traced first gives (x - mean) / spread; so the other one starts as its inverse. */
	s = nn_param_from(c, "log_scale", ad_stop(forward ? ad_neg(spread) : spread));
	if (r->shift_last)
		t = forward ? ad_neg(ad_mul(mean, ad_exp(ad_neg(spread)))) : mean;
	else
		t = forward ? ad_neg(mean) : ad_mul(mean, ad_exp(ad_neg(spread)));
	t = nn_param_from(c, r->shift_last ? "shift" : "bias", ad_stop(t));

	ad_var logdet = ad_scale(ad_sum(s, AD_ALL), (double)(ad_numel(ad_shape_of(x)) / ad_dim(x, 1)));
	s = channels(s, x), t = channels(t, x);
	if (forward)
		return (flow_out){ r->shift_last ? ad_add(ad_mul(x, ad_exp(s)), t) : ad_mul(ad_add(x, t), ad_exp(s)),
				   logdet };
	ad_var shrink = ad_exp(ad_neg(s)),
	       y = r->shift_last ? ad_mul(ad_sub(x, t), shrink) : ad_sub(ad_mul(x, shrink), t);
	return (flow_out){ y, ad_neg(logdet) };
}

flow *flow_actnorm_with(flow_mem *m, flow_actnorm_start start)
{
	if ((unsigned)start >= sizeof rows / sizeof *rows)
		return flow_refuse(m, "actnorm", "no start %d", (int)start);
	actnorm *a = flow_alloc(m, sizeof *a);
	*a = (actnorm){ .f = { .kind = rows[start].kind, .apply = apply, .caps.rebuilds = true }, .row = &rows[start] };
	return &a->f;
}

flow *flow_actnorm(flow_mem *m)
{
	return flow_actnorm_with(m, FLOW_ACTNORM_WHITEN);
}
