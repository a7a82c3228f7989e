/* Inverse autoregressive flows as in torchkit (Kingma et al. 2016; Huang et al. 2018): gates from a MADE whose linears
 * are scaled and shifted by the context, and an affine map from the context alone. */
#include "parts.h"
#include "variants.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
	flow f;
	flow_map map;
	int64_t dim, *width;
	flow__net net;
	double delta;
} gated;

static ad_var softplus(ad_var x, double delta)
{
	return ad_shift(ad_softplus(x), delta);
}

static ad_var column(ad_var p, int64_t k)
{
	return ad_squeeze(ad_slice(p, -1, k, k + 1), -1);
}

/* p = (m, r): z = (1 - s) m + s x with s = sigmoid(r) (1 - delta) + delta / 2 */
static flow_out sigmoid_map(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	(void)c;
	ad_var mean = column(p, 0), s = ad_shift(ad_scale(ad_sigmoid(column(p, 1)), 1 - m->a), m->a / 2);
	ad_var shift = ad_mul(ad_shift(ad_neg(s), 1), mean), l = ad_log(s);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(shift, ad_mul(s, x)), l };
	return (flow_out){ ad_div(ad_sub(x, shift), s), ad_neg(l) };
}

/* z = m + s x with s = softplus(r) + delta */
static flow_out softplus_map(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	(void)c;
	ad_var mean = column(p, 0), s = softplus(column(p, 1), m->a), l = ad_log(s);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(mean, ad_mul(s, x)), l };
	return (flow_out){ ad_div(ad_sub(x, mean), s), ad_neg(l) };
}

static ad_var row_norm(ad_var w)
{
	return ad_sqrt(ad_sum_keep(ad_square(w), AD_AXIS(1)));
}

/* s(cond) * (x V^T) + t(cond), V = direction * mask, its rows divided by the norm of the whole direction if last. */
static ad_var made_linear(const flow__net *n, int64_t dim, int i, nn c, ad_var x, ad_var cond)
{
	int64_t in = ad_dim(x, -1), out = n->width[i];
	double *v = flow__net_mask(n, i, dim, in);
	if (!v) {
		ad_fail(c.tape, "a mask [%lld,%lld]: no memory, in \"%s\"", (long long)out, (long long)in, c.path);
		return ad_full(c.tape, AD_SHAPE(AD_BATCH, out), 0);
	}
	ad_var mask = nn_state_array(c, "mask", AD_SHAPE(out, in), v);
	free(v);
	ad_var w = nn_param(c, "direction", AD_SHAPE(out, in), (nn_fill){ NN_FAN_IN, 1 });
	ad_var used = i + 1 == n->linears ? ad_div(w, row_norm(w)) : w;
	ad_var h = ad_linear(x, ad_mul(used, mask), NULL);
	if (!cond)
		return ad_add(h, nn_param(c, "bias", AD_SHAPE(out), (nn_fill){ NN_ZEROS, 0 }));
	nn_linear_opt scale = { .weight = { NN_NORMAL, 1e-3 }, .bias = { NN_CONST, 1 } };
	nn_linear_opt shift = { .weight = { NN_NORMAL, 1e-3 } };
	return ad_add(ad_mul(nn_linear_with(nn_in(c, "context_to_scale"), cond, out, scale), h),
		      nn_linear_with(nn_in(c, "context_to_bias"), cond, out, shift));
}

ad_var flow__torchkit_made(const flow__net *n, nn c, ad_var x, ad_var cond)
{
	int64_t dim = ad_dim(x, 1);
	nn at = nn_in(c, "made");
	for (int i = 0; i < n->linears; i++) {
		x = made_linear(n, dim, i, nn_in(at, "linear_%d", i), x, cond);
		if (i + 1 < n->linears)
			x = ad_elu(x, 1);
	}
	return ad_reshape(x, AD_SHAPE(AD_BATCH, dim, n->width[n->linears - 1] / dim));
}

static ad_var params(const flow *f, nn c, ad_var x, ad_var cond)
{
	return flow__torchkit_made(&((const gated *)f)->net, c, x, cond);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const gated *g = (const gated *)f;
	return flow__sequential(f, &g->map, params, c, x, cond, g->dim, dir, NULL);
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const gated *)f)->dim, in, out, why);
}

/* Weight-normalised: scale * direction / ||row||. */
static ad_var dot(nn c, ad_var x, int64_t out)
{
	nn_fill one = { NN_CONST, 1 }, zero = { NN_ZEROS, 0 };
	ad_var w = nn_param(c, "direction", AD_SHAPE(out, ad_dim(x, 1)), (nn_fill){ NN_FAN_IN, 1 });
	ad_var scale = ad_expand(nn_param(c, "scale", AD_SHAPE(out), one), 1);
	return ad_linear(x, ad_mul(ad_div(w, row_norm(w)), scale), nn_param(c, "bias", AD_SHAPE(out), zero));
}

static ad_var context_net(nn c, ad_var cond, int64_t dim)
{
	ad_var h = ad_relu(dot(nn_in(c, "dot_0h"), cond, dim));
	return ad_add(dot(nn_in(c, "dot_h1"), h, dim), dot(nn_in(c, "dot_01"), cond, dim));
}

static flow_out context_affine(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const gated *g = (const gated *)f;
	if (!cond) {
		ad_fail(c.tape, "context_affine: no conditional input, in \"%s\"", c.path);
		return (flow_out){ x, ad_const(c.tape, 0) };
	}
	ad_var mean = context_net(nn_in(c, "mean"), cond, g->dim);
	ad_var s = softplus(context_net(nn_in(c, "raw_std"), cond, g->dim), g->delta);
	ad_var logdet = ad_sum(ad_log(s), AD_EVENT);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(mean, ad_mul(s, x)), logdet };
	return (flow_out){ ad_div(ad_sub(x, mean), s), ad_neg(logdet) };
}

static gated *new (flow_mem *m, const char *kind, int64_t dim, double delta)
{
	gated *g = flow_alloc(m, sizeof *g);
	g->f = (flow){ .kind = kind, .shape = shape, .unshape = shape };
	g->dim = dim;
	g->delta = delta > 0 ? delta : 1e-6;
	return g;
}

flow *flow_gated_autoregressive(flow_mem *m, int64_t dim, bool sigmoid, int layers, const int64_t hidden[],
				double delta)
{
	if (dim < 1 || layers < 0)
		return flow_refuse(m, "gated_autoregressive", "%lld features, %d hidden layers", (long long)dim,
				   layers);
	gated *g = new (m, "gated_autoregressive", dim, delta);
	int *degree = flow__degrees_in_order(m, dim, NULL);
	g->width = flow_alloc(m, (size_t)(layers + 1) * sizeof *g->width);
	if (layers)
		memcpy(g->width, hidden, (size_t)layers * sizeof *hidden);
	g->width[layers] = 2 * dim;
	g->net = (flow__net){ .linears = layers + 1, .width = g->width, .degree = degree, .interleaved = true };
	g->map =
		(flow_map){ .kind = "gate", .nparam = 2, .apply = sigmoid ? sigmoid_map : softplus_map, .a = g->delta };
	g->f.apply = apply;
	g->f.caps.inverse = FLOW_ITERATIVE;
	return &g->f;
}

flow *flow_context_affine(flow_mem *m, int64_t dim, double delta)
{
	if (dim < 1)
		return flow_refuse(m, "context_affine", "%lld features", (long long)dim);
	gated *g = new (m, "context_affine", dim, delta);
	g->f.apply = context_affine;
	return &g->f;
}
