/* A learned accept-reject base (Bauer & Mnih 2019; in flows, Stimper et al. 2022): a normal proposal z accepted with probability
 * a(z), the last of T proposals in any case, so that
 *   log p(z) = log normal(z) + log((1 - c) a(z) / Z + c),  c = (1 - Z)^(T - 1),  Z = E a. */
#include "base.h"
#include <math.h>
#include <stdlib.h>

/* Points for Z: new ones in each training step, with gradients through them; the same ones always in evaluation. */
enum { TRAIN_POINTS = 1024, EVAL_POINTS = 16384 };

static ad_var log_accept(const flow_base *b, nn c, ad_var z)
{
	ad_var l = ad_logsigmoid(nn_apply(&b->net, nn_in(c, "accept"), z, NULL, 1));
	return ad_squeeze(l, ad_rank(l) - 1);
}

/* Normal points and their mirror images, [points, D] */
static ad_var points(nn c, int64_t dim)
{
	ad_var half;
	if (c.phase == NN_EVAL) {
		int64_t n = EVAL_POINTS / 2 * dim;
		double *v = ad_memory((size_t)n * sizeof *v);
		ad_noise_normals(1, 0, ad_hash(0, "flow/base/resampled"), 0, n, v);
		half = ad_array(c.tape, AD_SHAPE(EVAL_POINTS / 2, dim), v);
		free(v);
	} else {
		half = ad_normal(c.tape, AD_SHAPE(TRAIN_POINTS / 2, dim), nn_stream(c, "normaliser"));
	}
	return ad_concat(0, 2, (ad_var[]){ half, ad_neg(half) });
}

static ad_var log_prob(const flow_base *b, nn c, ad_var z, ad_var cond)
{
	(void)cond;
	z = flow__flat(z);
	if (b->components < 2)
		ad_fail(c.tape, "resampled: %d proposals, in \"%s\"", b->components, c.path);
	ad_var at = log_accept(b, c, points(c, ad_dim(z, 1)));
	/* log Z, away from Z = 1 where 1 - Z rounds to 0 */
	ad_var log_z = ad_clamp(ad_shift(ad_logsumexp(at, 0), -log((double)ad_dim(at, 0))), -INFINITY, -1e-6);
	ad_var log_c = ad_scale(ad_log(ad_neg(ad_expm1(log_z))), b->components - 1);
	ad_var log_rest = ad_log(ad_neg(ad_expm1(log_c)));
	ad_var kept = ad_add(ad_sub(log_accept(b, c, z), log_z), log_rest);
	nn_metric(c, "log_z", log_z);
	return ad_add(flow__rows(flow__log_normal(z)), ad_add(log_c, ad_softplus(ad_sub(kept, log_c))));
}

/* All T proposals at once; the first that is accepted. */
static ad_var sample(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature)
{
	(void)cond;
	int64_t dim = ad_numel(s), T = b->components;
	ad_var z = ad_normal(c.tape, AD_SHAPE(AD_BATCH, T, dim), nn_stream(c, "sample"));
	ad_var u = ad_uniform(c.tape, AD_SHAPE(AD_BATCH, T), nn_stream(c, "coin"));
	ad_var taken = ad_lt(ad_log(u), log_accept(b, c, z));
	if (T > 1)
		taken = ad_max(taken, ad_pad(ad_full(c.tape, AD_SHAPE(1), 1), 0, T - 1, 0, 0));
	ad_var first = ad_mul(taken, ad_eq(ad_cumsum(taken, 1, false), ad_const(c.tape, 1)));
	return flow__like(ad_scale(ad_sum(ad_mul(z, ad_expand(ad_stop(first), 2)), AD_AXIS(1)), temperature), s);
}

flow_base flow_resampled(int proposals, nn_net accept)
{
	return (flow_base){
		.kind = "resampled",
		.log_prob = log_prob,
		.sample = sample,
		.components = proposals,
		.net = accept,
	};
}
