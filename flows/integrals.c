/* integrals.c - y = t + integral from 0 to x of a positive function: a sum of squared polynomials, or a net (UMNN).
 * Beyond +-b the integrand stays what it is there, so that the maps are onto R and quadrature is asked for no more than
 * it can do (zuko's sum of squares has no such bound). */
#include "monotone.h"
#include "neural.h"
#include "neural_variants.h"

#include <math.h>
#include <string.h>

#define LEAST 1e-3 /* slope */

typedef struct {
	int nodes;	     /* besides the end of the interval */
	double *at, *weight; /* [nodes + 1] on [0, 1], the last at 1 with weight 0 */
	flow_umnn_opt o;
	int polynomials, degree;
} rule;

static rule *rule_new(flow_mem *m, flow_quadrature kind, int nodes)
{
	rule *r = flow_alloc(m, sizeof *r);
	r->nodes = nodes;
	r->at = flow_alloc(m, (size_t)(nodes + 1) * sizeof *r->at);
	r->weight = flow_alloc(m, (size_t)(nodes + 1) * sizeof *r->weight);
	flow_quadrature_rule(kind, nodes, r->at, r->weight);
	for (int i = 0; i < nodes; i++) {
		r->at[i] = 0.5 * (r->at[i] + 1);
		r->weight[i] *= 0.5;
	}
	r->at[nodes] = 1;
	return r;
}

/* Integral and integrand at x, from the integrand at all nodes. */
typedef ad_var integrand(const flow_map *m, nn c, ad_var v, ad_var p);

static flow_out integral(const flow_map *m, nn c, ad_var x, ad_var p, integrand *g)
{
	const rule *r = m->data;
	int64_t n = r->nodes + 1;
	ad_var in = ad_clamp(x, -m->b, m->b), wide = flow__last(in);
	ad_var all = g(m, c, ad_mul(wide, ad_array(c.tape, AD_SHAPE(n), r->at)), p), end = flow__number(all, n - 1);
	ad_var mean = ad_sum(ad_mul(all, ad_array(c.tape, AD_SHAPE(n), r->weight)), AD_AXIS(ad_rank(all) - 1));
	return (flow_out){ ad_add(ad_mul(in, mean), ad_mul(ad_sub(x, in), end)), ad_log(end) };
}

/* mean_k (1 + sum_j a_kj (v/bound)^j)^2 */
static ad_var squares(const flow_map *m, nn c, ad_var v, ad_var p)
{
	const rule *r = m->data;
	int64_t terms = r->degree + 1;
	ad_shape s = ad_shape_of(p);
	s.dim[s.rank - 1] = r->polynomials;
	s.dim[s.rank++] = terms;
	ad_var a = ad_reshape(ad_slice(p, -1, 0, r->polynomials * terms), s),
	       u = ad_scale(ad_expand(v, -2), 1 / m->bound);
	ad_var f = ad_slice(a, -1, terms - 1, terms);
	(void)c;
	for (int64_t j = terms - 1; j-- > 0;)
		f = ad_add(ad_mul(f, u), ad_slice(a, -1, j, j + 1));
	f = ad_square(ad_shift(f, 1));
	return ad_shift(ad_mean(f, AD_AXIS(ad_rank(f) - 2)), m->a);
}

static flow_out squares_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	flow_out r = integral(m, c, x, p, squares);
	return (flow_out){ ad_add(r.x, flow__number(p, m->nparam - 1)), r.logdet };
}

static flow_out sum_of_squares(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, squares_curve);
}

static flow_map squares_map(flow_mem *m, const char *kind, int K, int L, double bound, double slope)
{
	if (K < 1 || L < 0 || K > 1024 || L > 64 || !(bound > 0) || !(slope > 0))
		return flow__bad_map(m, kind, "%d polynomials of degree %d, bound %g, slope %g", K, L, bound, slope);
	rule *r = rule_new(m, FLOW_GAUSS_LEGENDRE, L + 1);
	r->polynomials = K;
	r->degree = L;
	return (flow_map){ .kind = kind,
			   .nparam = K * (L + 1) + 1,
			   .apply = sum_of_squares,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .bound = bound,
			   .a = slope,
			   .b = bound,
			   .data = r };
}

flow_map flow_sum_of_squares(flow_mem *m, int polynomials, int degree, double bound)
{
	int K = polynomials ? polynomials : 3, L = degree ? degree : 4;
	flow_map map = squares_map(m, "sum_of_squares", K, L, bound == 0 ? 5 : bound, LEAST);
	if (map.nparam == 1)
		return map;
	double *start = flow_alloc(m, (size_t)map.nparam * sizeof *start);
	for (int k = 0; k < K && L; k++) /* polynomials that differ, but sum to nearly constant squares */
		start[k * (L + 1) + 1] = K > 1 ? 0.5 * (2.0 * k / (K - 1) - 1) : 0;
	map.start = start;
	return map;
}

flow_map flow_sum_of_squares_zuko(flow_mem *m, int polynomials, int degree, double bound, double slope)
{
	flow_map map = squares_map(m, "sos_zuko", polynomials, degree, bound, slope == 0 ? 1e-3 : slope);
	map.b = INFINITY;
	return map;
}

/* The net at all nodes: what the embedding gives to the first layer is computed once for all of them. */
static ad_var net(const flow_map *m, nn c, ad_var v, ad_var p)
{
	const flow_umnn_opt *o = &((const rule *)m->data)->o;
	int64_t e = o->embedding, w = o->width;
	nn at = nn_in(c, "integrand"), first = nn_in(at, "linear_0");
	ad_var weight = nn_param(first, "weight", AD_SHAPE(w, 1 + e), (nn_fill){ NN_FAN_IN, 1 });
	ad_var bias = nn_param(first, "bias", AD_SHAPE(w), (nn_fill){ NN_UNIFORM, 1 / sqrt(1 + (double)e) });
	ad_var given = ad_linear(ad_slice(p, -1, 0, e), ad_slice(weight, 1, 1, 1 + e), bias);
	ad_var h = ad_add(ad_expand(given, -2), ad_mul(flow__last(v), ad_squeeze(ad_slice(weight, 1, 0, 1), 1)));
	for (int i = 1; i <= o->depth; i++)
		h = nn_linear_with(nn_in(at, "linear_%d", i), o->act->apply(h), i < o->depth ? w : 1,
				   (nn_linear_opt){ .zero = i == o->depth });
	return flow__softplus_one(ad_squeeze(h, -1), LEAST);
}

static flow_out umnn_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	flow_out r = integral(m, c, x, p, net);
	ad_var s = flow__bounded(flow__number(p, m->nparam - 2), 2), t = flow__number(p, m->nparam - 1);
	return (flow_out){ ad_add(ad_mul(ad_exp(s), r.x), t), ad_add(r.logdet, s) };
}

static flow_out umnn(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, umnn_curve);
}

flow_map flow_umnn(flow_mem *m, flow_umnn_opt o)
{
	o.embedding = o.embedding ? o.embedding : 8;
	o.width = o.width ? o.width : 32;
	o.depth = o.depth ? o.depth : 2;
	o.act = o.act ? o.act : nn_act_named("silu");
	o.nodes = o.nodes ? o.nodes : 16;
	o.bound = o.bound == 0 ? 5 : o.bound;
	if (o.embedding < 1 || o.width < 1 || o.depth < 1 || o.nodes < 2 || o.nodes > 1024 || !(o.bound > 0))
		return flow__bad_map(m, "umnn", "embedding %d, %d layers of %lld, %d nodes, bound %g", o.embedding,
				     o.depth, (long long)o.width, o.nodes, o.bound);
	rule *r = rule_new(m, o.rule, o.nodes);
	r->o = o;
	return (flow_map){ .kind = "umnn",
			   .nparam = o.embedding + 2,
			   .apply = umnn,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .b = o.bound,
			   .data = r };
}
