/* monotone_nets.c - monotone and integrated nets as UMNN and zuko compute them (Wehenkel & Louppe 2019; Huang et al.
 * 2018).
 *
 * Their derivative of an integral I(x) by x is the integrand g(x), not that of the sum which approximates it.  Here
 * that is I(x) + (x - stop x)(g(x) - I'(x)): the same value; the first derivative is g(x), and further ones are off by
 * derivatives of the error g - I' of the quadrature. */
#include "monotone.h"
#include "neural.h"
#include "neural_variants.h"
#include "parts.h"

#include <math.h>
#include <string.h>

typedef struct {
	int linears;
	int64_t *width; /* of the output of each */
	int nodes;
	double *at, *weight; /* on [0, 1] */
} nets;

static nets *nets_new(flow_mem *m, int layers, const int64_t hidden[])
{
	nets *k = flow_alloc(m, sizeof *k);
	k->linears = layers + 1;
	k->width = flow_alloc(m, (size_t)(layers + 1) * sizeof *k->width);
	if (layers)
		memcpy(k->width, hidden, (size_t)layers * sizeof *hidden);
	k->width[layers] = 1;
	return k;
}

/* The integrand at v [B, D, Q], p [B, D, n]: [B, D, Q] */
typedef ad_var integrand(const flow_map *m, nn c, ad_var v, ad_var p);

static flow_out by_leibniz(const flow_map *m, nn c, ad_var x, ad_var p, integrand *g, flow__value_fn *integral)
{
	ad_var I[2], end = ad_squeeze(g(m, c, flow__last(x), p), -1);
	flow__slope(m, c, x, p, integral, I);
	ad_var fix = ad_mul(ad_sub(x, ad_stop(x)), ad_sub(end, I[1]));
	return (flow_out){ ad_add(I[0], fix), end };
}

static ad_var leaky(ad_var h)
{
	return ad_leaky_relu(h, 0.01);
}

static ad_var elu(ad_var h)
{
	return ad_elu(h, 1);
}

/* v and p side by side at every node */
static ad_var joined(ad_var v, ad_var p)
{
	ad_shape s = ad_shape_of(v), e = s;
	e.dim[e.rank++] = ad_dim(p, -1);
	return ad_concat(-1, 2, (ad_var[]){ flow__last(v), ad_broadcast(ad_expand(p, -2), e) });
}

/* --- UMNN ------------------------------------------------------------------------------------------- */

typedef struct {
	flow f;
	flow_map map;
	flow__net made;
	nets *net;
	int64_t dim, *width;
	flow_umnn_autoregressive_opt o;
} umnn;

static ad_var umnn_integrand(const flow_map *m, nn c, ad_var v, ad_var p)
{
	const umnn *u = m->data;
	ad_var h = joined(v, p);
	for (int i = 0; i < u->net->linears; i++) {
		h = nn_linear(nn_in(c, "integrand/linear_%d", i), h, u->net->width[i]);
		if (i + 1 < u->net->linears)
			h = leaky(h);
	}
	return ad_shift(elu(ad_squeeze(h, -1)), 1);
}

/* x / 2 sum_j w_j g(x (t_j + 1) / 2) */
static ad_var umnn_integral(const flow_map *m, nn c, ad_var x, ad_var p)
{
	const umnn *u = m->data;
	int64_t n = u->o.steps + 1;
	double t[n], w[n];
	flow_quadrature_rule(FLOW_CLENSHAW_CURTIS, (int)n, t, w);
	ad_var node = nn_state_array(c, "quadrature_nodes", AD_SHAPE(n), t);
	ad_var weight = nn_state_array(c, "quadrature_weights", AD_SHAPE(n), w);
	ad_var half = ad_scale(x, 0.5), v = ad_mul(flow__last(half), ad_shift(node, 1));
	ad_var g = umnn_integrand(m, c, v, p);
	return ad_mul(half, ad_sum(ad_mul(g, weight), AD_AXIS(ad_rank(g) - 1)));
}

static flow_out umnn_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	const umnn *u = m->data;
	ad_var s = nn_state(c, "log_scale", AD_SHAPE(u->dim), (nn_fill){ NN_ZEROS });
	flow_out r = by_leibniz(m, c, x, p, umnn_integrand, umnn_integral);
	ad_var y = ad_mul(ad_exp(s), ad_add(r.x, flow__number(p, 0)));
	return (flow_out){ y, ad_add(ad_log(ad_shift(r.logdet, u->o.log_eps)), s) };
}

static flow_out umnn_map(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, umnn_curve);
}

static ad_var umnn_params(const flow *f, nn c, ad_var x, ad_var cond)
{
	const umnn *u = (const umnn *)f;
	ad_var h = flow__net_apply(&u->made, nn_in(c, "made"), x, cond);
	return ad_transpose(ad_reshape(h, AD_SHAPE(AD_BATCH, u->o.outputs, u->dim)));
}

static flow_out umnn_apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const umnn *u = (const umnn *)f;
	return flow__sequential(f, &u->map, umnn_params, c, x, cond, u->dim, dir, NULL);
}

static bool umnn_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const umnn *)f)->dim, in, out, why);
}

flow *flow_umnn_autoregressive(flow_mem *m, int64_t dim, flow_umnn_autoregressive_opt o, int layers,
			       const int64_t hidden[])
{
	if (dim < 1 || layers < 0 || o.outputs < 1 || o.steps < 1 || o.steps > 1023 || o.integrand_layers < 0)
		return flow_refuse(m, "umnn_autoregressive", "%lld features, %d hidden layers, %lld outputs, %d steps",
				   (long long)dim, layers, (long long)o.outputs, o.steps);
	umnn *u = flow_alloc(m, sizeof *u);
	u->f = (flow){ .kind = "umnn_autoregressive",
		       .apply = umnn_apply,
		       .shape = umnn_shape,
		       .unshape = umnn_shape,
		       .caps.inverse = FLOW_ITERATIVE };
	u->dim = dim;
	u->o = o;
	u->net = nets_new(m, o.integrand_layers, o.integrand_hidden);
	u->width = flow_alloc(m, (size_t)(layers + 1) * sizeof *u->width);
	if (layers)
		memcpy(u->width, hidden, (size_t)layers * sizeof *hidden);
	u->width[layers] = o.outputs * dim;
	u->made = (flow__net){ .linears = layers + 1,
			       .width = u->width,
			       .act = nn_act_named("relu"),
			       .degree = flow__degrees_in_order(m, dim, NULL) };
	u->map = (flow_map){ .kind = "umnn", .nparam = (int)o.outputs, .apply = umnn_map, .data = u };
	return &u->f;
}

/* --- zuko: nets of each feature's own --------------------------------------------------------------------- */

static ad_var own_linear(nn c, ad_var h, int64_t out, bool positive, bool nodes)
{
	int64_t D = ad_dim(h, 1), in = ad_dim(h, -1);
	ad_var w = nn_param(c, "weight", AD_SHAPE(D, out, in), (nn_fill){ NN_UNIFORM, 1 / sqrt((double)in) });
	ad_var b = nn_param(c, "bias", AD_SHAPE(D, out), (nn_fill){ NN_UNIFORM, 1 / sqrt((double)in) });
	w = positive ? ad_abs(w) : w;
	return nodes ? ad_add(ad_einsum("bdqi,doi->bdqo", h, w), ad_expand(b, 1))
		     : ad_add(ad_einsum("bdi,doi->bdo", h, w), b);
}

static ad_var two_way_elu(ad_var h)
{
	int64_t n = ad_dim(h, -1), half = n / 2;
	ad_var part[2] = { ad_neg(elu(ad_neg(ad_slice(h, -1, half, n)))) };
	if (!half)
		return part[0];
	part[1] = part[0];
	part[0] = elu(ad_slice(h, -1, 0, half));
	return ad_concat(-1, 2, part);
}

static ad_var mlp_value(const flow_map *m, nn c, ad_var x, ad_var p)
{
	const nets *k = m->data;
	ad_var h = ad_concat(-1, 2, (ad_var[]){ flow__last(x), p });
	for (int i = 0; i < k->linears; i++) {
		h = own_linear(nn_in(c, "network/linear_%d", i), h, k->width[i], true, false);
		if (i + 1 < k->linears)
			h = two_way_elu(h);
	}
	return ad_squeeze(h, -1);
}

static flow_out mlp_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	return flow__differentiated(m, c, x, p, mlp_value);
}

static flow_out monotonic_mlp(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, mlp_curve);
}

flow_map flow_monotonic_mlp_zuko(flow_mem *m, int signal, int layers, const int64_t hidden[])
{
	if (signal < 1 || layers < 0)
		return flow__bad_map(m, "monotonic_mlp", "a signal of %d, %d hidden layers", signal, layers);
	return (flow_map){ .kind = "monotonic_mlp",
			   .nparam = signal,
			   .apply = monotonic_mlp,
			   .caps.inverse = FLOW_ITERATIVE,
			   .data = nets_new(m, layers, hidden) };
}

/* exp(r / (1 + |r / 7|)) */
static ad_var zuko_integrand(const flow_map *m, nn c, ad_var v, ad_var p)
{
	const nets *k = m->data;
	ad_var h = joined(v, ad_slice(p, -1, 0, m->nparam - 1));
	for (int i = 0; i < k->linears; i++) {
		h = own_linear(nn_in(c, "network/linear_%d", i), h, k->width[i], false, true);
		if (i + 1 < k->linears)
			h = elu(h);
	}
	ad_var r = ad_squeeze(h, -1);
	return ad_exp(ad_div(r, ad_shift(ad_scale(ad_abs(r), 1.0 / 7), 1)));
}

static ad_var zuko_integral(const flow_map *m, nn c, ad_var x, ad_var p)
{
	const nets *k = m->data;
	ad_var v = ad_mul(flow__last(x), ad_array(ad_root(c.tape), AD_SHAPE(k->nodes), k->at));
	ad_var g = ad_mul(zuko_integrand(m, c, v, p), ad_array(ad_root(c.tape), AD_SHAPE(k->nodes), k->weight));
	return ad_mul(x, ad_sum(g, AD_AXIS(ad_rank(g) - 1)));
}

static flow_out zuko_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	flow_out r = by_leibniz(m, c, x, p, zuko_integrand, zuko_integral);
	return (flow_out){ ad_add(r.x, flow__number(p, m->nparam - 1)), ad_log(r.logdet) };
}

static flow_out zuko_umnn(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, zuko_curve);
}

flow_map flow_umnn_zuko(flow_mem *m, int signal, int nodes, int layers, const int64_t hidden[])
{
	if (signal < 1 || nodes < 1 || nodes > 1024 || layers < 0)
		return flow__bad_map(m, "umnn_zuko", "a signal of %d, %d nodes, %d hidden layers", signal, nodes,
				     layers);
	nets *k = nets_new(m, layers, hidden);
	k->nodes = nodes;
	k->at = flow_alloc(m, (size_t)nodes * sizeof *k->at);
	k->weight = flow_alloc(m, (size_t)nodes * sizeof *k->weight);
	flow_quadrature_rule(FLOW_GAUSS_LEGENDRE, nodes, k->at, k->weight);
	for (int i = 0; i < nodes; i++) {
		k->at[i] = 0.5 * (k->at[i] + 1);
		k->weight[i] *= 0.5;
	}
	return (flow_map){
		.kind = "umnn_zuko", .nparam = signal + 1, .apply = zuko_umnn, .caps.inverse = FLOW_ITERATIVE, .data = k
	};
}
