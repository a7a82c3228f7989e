/* torchkit_sigmoidal.c - deep and deep dense sigmoidal flows as CW-Huang/NAF computes them, with its delta in every
 * softplus, sigmoid and logit (Huang et al. 2018). */
#include "monotone.h"
#include "neural_variants.h"
#include "parts.h"

#include <math.h>
#include <string.h>

typedef struct {
	flow f;
	flow_map map;
	flow__net net;
	int64_t dim, *width;
	flow_sigmoidal_opt o;
} sigmoidal;

static ad_var softplus_d(ad_var x, double delta)
{
	return ad_shift(ad_softplus(x), delta);
}

static ad_var logsigmoid_d(ad_var x, double delta)
{
	return ad_neg(softplus_d(ad_neg(x), delta));
}

/* logit of C = S (1 - delta) + delta / 2; also log C + log(1 - C) - log(1 - delta), which its derivative is divided by
 */
static flow_out clipped_logit(ad_var S, double delta)
{
	ad_var C = ad_shift(ad_scale(S, 1 - delta), delta / 2), up = ad_log(C), down = ad_log(ad_shift(ad_neg(C), 1));
	return (flow_out){ ad_sub(up, down), ad_shift(ad_add(up, down), -log1p(-delta)) };
}

static flow_out step(const sigmoidal *s, ad_var h, ad_var p)
{
	int n = s->o.units;
	double delta = s->o.delta;
	ad_var a = softplus_d(ad_slice(p, -1, 0, n), delta), raw = ad_slice(p, -1, 2 * n, 3 * n);
	ad_var pre = ad_add(ad_mul(a, flow__last(h)), ad_slice(p, -1, n, 2 * n));
	unsigned last = AD_AXIS(ad_rank(pre) - 1);
	flow_out y = clipped_logit(ad_sum(ad_mul(ad_softmax(raw, -1), ad_sigmoid(pre)), last), delta);
	ad_var slope = ad_add(ad_add(ad_log_softmax(raw, -1), logsigmoid_d(pre, delta)),
			      ad_add(logsigmoid_d(ad_neg(pre), delta), ad_log(a)));
	return (flow_out){ y.x, ad_sub(ad_logsumexp(slope, -1), y.logdet) };
}

/* x [.., in], M [.., out, in]: sum_i M_oi x_i */
static ad_var rows(ad_var M, ad_var x)
{
	return ad_sum(ad_mul(M, ad_expand(x, -2)), AD_AXIS(ad_rank(M) - 1));
}

/* log sum_i exp(L_oi + g_i) */
static ad_var log_rows(ad_var L, ad_var g)
{
	return ad_logsumexp(ad_add(L, ad_expand(g, -2)), -1);
}

static flow_out dense_step(const sigmoidal *s, nn c, flow_out r, ad_var p, int64_t in, int64_t out)
{
	int n = s->o.units;
	double delta = s->o.delta;
	nn_fill small = { NN_UNIFORM, 1e-3 };
	ad_var a = softplus_d(ad_shift(ad_slice(p, -1, 0, n), log(expm1(1 - delta))), delta),
	       b = ad_slice(p, -1, n, 2 * n);
	ad_var w = ad_expand(ad_slice(p, -1, 2 * n, 3 * n), -2), u = ad_expand(ad_slice(p, -1, 3 * n, 3 * n + in), -2);
	ad_var U = ad_log_softmax(ad_add(nn_param(c, "u", AD_SHAPE(n, in), small), u), -1);
	ad_var W = ad_log_softmax(ad_add(nn_param(c, "w", AD_SHAPE(out, n), small), w), -1);
	ad_var pre = ad_add(ad_mul(a, rows(ad_exp(U), r.x)), b);
	flow_out y = clipped_logit(rows(ad_exp(W), ad_sigmoid(pre)), delta);
	ad_var inner = ad_add(ad_add(logsigmoid_d(pre, delta), logsigmoid_d(ad_neg(pre), delta)),
			      ad_add(ad_log(a), log_rows(U, r.logdet)));
	return (flow_out){ y.x, ad_sub(log_rows(W, inner), y.logdet) };
}

static flow_out curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	const sigmoidal *s = m->data;
	int64_t n = s->o.units, at = 0;
	flow_out r = { x, ad_full_like(x, 0) };
	if (!s->o.dense) {
		for (int l = 0; l < s->o.steps; l++, at += 3 * n) {
			flow_out o = step(s, r.x, ad_slice(p, -1, at, at + 3 * n));
			r = (flow_out){ o.x, ad_add(r.logdet, o.logdet) };
		}
		return r;
	}
	r = (flow_out){ flow__last(r.x), flow__last(r.logdet) };
	for (int l = 0; l < s->o.steps; l++) {
		int64_t in = l ? n : 1, out = l + 1 < s->o.steps ? n : 1;
		r = dense_step(s, nn_in(c, "sigmoidal_%d", l), r, ad_slice(p, -1, at, at + in + 3 * n), in, out);
		at += in + 3 * n;
	}
	return (flow_out){ ad_squeeze(r.x, -1), ad_squeeze(r.logdet, -1) };
}

static flow_out map(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, curve);
}

static ad_var params(const flow *f, nn c, ad_var x, ad_var cond)
{
	const sigmoidal *s = (const sigmoidal *)f;
	nn at = nn_in(c, "to_params");
	int64_t P = s->map.nparam, M = s->o.outputs;
	ad_var w = nn_param(at, "weight", AD_SHAPE(P, M, 1), (nn_fill){ NN_UNIFORM, 1e-3 });
	ad_var b = nn_param(at, "bias", AD_SHAPE(P), (nn_fill){ NN_UNIFORM, 1e-3 });
	return ad_linear(flow__torchkit_made(&s->net, c, x, cond), ad_squeeze(w, 2), b);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const sigmoidal *s = (const sigmoidal *)f;
	return flow__sequential(f, &s->map, params, c, x, cond, s->dim, dir, NULL);
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const sigmoidal *)f)->dim, in, out, why);
}

flow *flow_sigmoidal_autoregressive(flow_mem *m, int64_t dim, flow_sigmoidal_opt o, int layers, const int64_t hidden[])
{
	if (dim < 1 || layers < 0 || o.units < 1 || o.steps < 1 || o.outputs < 1)
		return flow_refuse(m, "sigmoidal_autoregressive",
				   "%lld features, %d hidden layers, %d steps of %d units, %lld outputs",
				   (long long)dim, layers, o.steps, o.units, (long long)o.outputs);
	sigmoidal *s = flow_alloc(m, sizeof *s);
	s->dim = dim;
	s->o = o;
	s->o.delta = o.delta > 0 ? o.delta : 1e-6;
	s->width = flow_alloc(m, (size_t)(layers + 1) * sizeof *s->width);
	if (layers)
		memcpy(s->width, hidden, (size_t)layers * sizeof *hidden);
	s->width[layers] = o.outputs * dim;
	s->net = (flow__net){ .linears = layers + 1,
			      .width = s->width,
			      .degree = flow__degrees_in_order(m, dim, NULL),
			      .interleaved = true };
	s->map = (flow_map){ .kind = "sigmoidal",
			     .nparam = o.steps * 3 * o.units + (o.dense ? (o.steps - 1) * o.units + 1 : 0),
			     .apply = map,
			     .data = s };
	s->f = (flow){ .kind = "sigmoidal_autoregressive",
		       .apply = apply,
		       .shape = shape,
		       .unshape = shape,
		       .caps.inverse = FLOW_ITERATIVE };
	return &s->f;
}
