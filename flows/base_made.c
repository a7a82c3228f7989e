/* A mixture of Gaussians for each feature given those before it, from a MADE (Germain et al. 2015): the autoregressive
 * density itself.  The net's output is [B, D, K, 3]: logits, means, raw standard deviations. */
#include "base.h"

typedef struct {
	ad_var logits, mean, sd; /* [B, D, K] */
} mixture;

static ad_var column(ad_var p, int64_t k)
{
	return ad_squeeze(ad_slice(p, 3, k, k + 1), 3);
}

static mixture parameters(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	int64_t dim = ad_dim(z, 1), K = b->components > 0 ? b->components : 1;
	if (b->components < 1)
		ad_fail(c.tape, "made_mixture: %d components, in \"%s\"", b->components, c.path);
	ad_var out = nn_apply(&b->net, nn_in(c, "conditioner"), z, cond, dim * K * 3);
	ad_var p = ad_reshape(out, AD_SHAPE(AD_BATCH, dim, K, 3));
	return (mixture){ column(p, 0), column(p, 1), ad_shift(ad_softplus(column(p, 2)), b->eps) };
}

static ad_var log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	z = flow__flat(z);
	mixture p = parameters(b, c, z, cond);
	ad_var each = ad_sub(flow__log_normal(ad_div(ad_sub(ad_expand(z, 2), p.mean), p.sd)), ad_log(p.sd));
	return flow__rows(ad_logsumexp(ad_add(ad_log_softmax(p.logits, 2), each), 2));
}

/* Feature after feature, as the fixed point of one pass on given noise; the component by Gumbel's maximum. */
static ad_var sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	int64_t dim = ad_numel(s), K = b->components > 0 ? b->components : 1;
	ad_shape flat = AD_SHAPE(AD_BATCH, dim);
	ad_var noise = ad_scale(flow__noise(c, flat), temperature);
	ad_var u = ad_uniform(c.tape, AD_SHAPE(AD_BATCH, dim, K), nn_stream(c, "component"));
	ad_var gumbel = ad_neg(ad_log(ad_neg(ad_log(u))));
	ad_fn *g = ad_fn_begin(c.tape);
	mixture p = parameters(b, nn_on(c, ad_fn_tape(g)), ad_fn_arg(g, ad_dtype_of(noise), flat), cond);
	ad_var score = ad_add(p.logits, gumbel), pick = ad_eq(score, ad_maxof_keep(score, AD_AXIS(2)));
	ad_var next = ad_sum(ad_mul(pick, ad_add(p.mean, ad_mul(p.sd, ad_expand(noise, 2)))), AD_AXIS(2));
	ad_fn_end(g, 1, &next);
	return flow__like(ad_fixpoint(g, ad_full(c.tape, flat, 0), 0, (int)dim, true), s);
}

flow_base flow_made_mixture(int components, nn_net made, double eps)
{
	return (flow_base){
		.kind = "made_mixture",
		.log_prob = log_prob,
		.sample = sample,
		.components = components,
		.eps = eps > 0 ? eps : 1e-2,
		.net = made,
	};
}
