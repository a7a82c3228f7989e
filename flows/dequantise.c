/* dequantise.c - points within the cells of discrete features, drawn by a conditional flow (Ho et al. 2019). */
#include "dequantise.h"
#include "model.h"
#include "neural.h"
#include "private.h"

#include <math.h>

struct flow_dequantiser {
	int64_t dim, n;
	double *place; /* [n, dim]: the width of cell i at its feature */
	flow_density noise;
};

/* Splines of each number given x, and, if there are several, of each given those before it too: both sample by a formula. */
static flow *noise_flow(flow_mem *m, int64_t n)
{
	nn_net net = nn_mlp(64, 2), made = nn_made(64, 2);
	net.act = made.act = nn_act_named("silu");
	net.zero_last = made.zero_last = true;
	flow_map spline = flow__rq_identity(m, 8, 8);
	flow *own = flow_elementwise_given(m, spline, net, n);
	return n == 1 ? own : flow_chain(m, 2, (flow *[]){ own, flow_invert(m, flow_autoregressive(m, spline, made, n, NULL)) });
}

flow_dequantiser *flow_dequantise_new(flow_mem *m, int64_t dim, int64_t n, const int64_t feature[], const double width[])
{
	flow_dequantiser *q = flow_alloc(m, sizeof *q);
	if (n < 1 || dim < n)
		return NULL;
	*q = (flow_dequantiser){ dim, n, flow_alloc(m, (size_t)(n * dim) * sizeof(double)), { noise_flow(m, n), flow_logistic() } };
	for (int64_t i = 0; i < n; i++) {
		if (feature[i] < 0 || feature[i] >= dim || !(width[i] > 0 && isfinite(width[i])))
			return NULL;
		q->place[i * dim + feature[i]] = width[i];
	}
	return q;
}

static ad_var joined(ad_var x, ad_var cond)
{
	return cond ? ad_concat(1, 2, (ad_var[]){ x, cond }) : x;
}

/* -log du/dv of u = sigmoid(v) */
static ad_var steepness(ad_var v)
{
	return ad_sum(ad_add(ad_softplus(v), ad_softplus(ad_neg(v))), AD_EVENT);
}

ad_var flow_dequantise(const flow_dequantiser *q, nn c, ad_var x, ad_var cond, ad_var *log_q)
{
	nn in = nn_in(c, "dequantisation");
	ad_var given = joined(x, cond);
	flow__sample s = flow__sampled(&q->noise, in, AD_SHAPE(q->n), given, 1);
	ad_var v = s.out.x, base = q->noise.base.log_prob(&q->noise.base, nn_in(in, "base"), s.z, given);
	*log_q = ad_add(ad_sub(base, s.out.logdet), steepness(v));
	ad_var place = ad_array(c.tape, AD_SHAPE(q->n, q->dim), q->place);
	if (ad_dtype_of(place) != ad_dtype_of(x))
		place = ad_cast(place, ad_dtype_of(x));
	/* u - 1/2 = tanh(v / 2) / 2 */
	return ad_add(x, ad_matmul(ad_scale(ad_tanh(ad_scale(v, 0.5)), 0.5), place, false, false));
}

ad_var flow_dequantise_log_prob(const flow_dequantiser *q, nn c, ad_var x, ad_var cond, ad_var u)
{
	ad_var v = ad_sub(ad_log(u), ad_log1p(ad_neg(u)));
	return ad_add(flow_log_prob(&q->noise, nn_in(c, "dequantisation"), v, joined(x, cond)), steepness(v));
}
