/* A mixture of diagonal Gaussians. */
#include "base.h"

typedef struct {
	ad_var scores, loc, log_scale; /* [1, K], [1, K, D], [1, K, D] */
} mixture;

static mixture parameters(const flow_base *b, nn c, int64_t dim)
{
	int K = b->components > 0 ? b->components : 1;
	if (b->components < 1)
		ad_fail(c.tape, "gaussian_mixture: %d components, in \"%s\"", b->components, c.path);
	nn_fill zero = { NN_ZEROS, 0 };
	return (mixture){
		nn_param(c, "weight_scores", AD_SHAPE(1, K), zero),
		nn_param(c, "loc", AD_SHAPE(1, K, dim), (nn_fill){ NN_NORMAL, 1 }),
		nn_param(c, "log_scale", AD_SHAPE(1, K, dim), zero),
	};
}

static ad_var log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)cond;
	z = flow__flat(z);
	mixture p = parameters(b, c, ad_dim(z, 1));
	ad_var u = ad_mul(ad_sub(ad_expand(z, 1), p.loc), ad_exp(ad_neg(p.log_scale))); /* [B, K, D] */
	ad_var each = ad_sum(ad_sub(flow__log_normal(u), p.log_scale), AD_AXIS(2));
	return ad_logsumexp(ad_add(ad_log_softmax(p.scores, 1), each), 1);
}

static ad_var sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)cond;
	int64_t dim = ad_numel(s), K = b->components;
	mixture p = parameters(b, c, dim);
	ad_var scores = ad_broadcast(p.scores, AD_SHAPE(AD_BATCH, K));
	ad_var pick = ad_one_hot(ad_categorical(scores, nn_stream(c, "component")), K); /* [B, K] */
	ad_var loc = ad_matmul(pick, ad_squeeze(p.loc, 0), false, false);
	ad_var sd = ad_matmul(pick, ad_squeeze(ad_exp(p.log_scale), 0), false, false);
	ad_var noise = ad_scale(flow__noise(c, AD_SHAPE(AD_BATCH, dim)), temperature);
	return flow__like(ad_add(loc, ad_mul(sd, noise)), s);
}

flow_base flow_gaussian_mixture(int components)
{
	return (flow_base){
		.kind = "gaussian_mixture",
		.log_prob = log_prob,
		.sample = sample,
		.components = components,
	};
}
