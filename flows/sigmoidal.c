/* sigmoidal.c - logits of mixtures of sigmoids: deep sigmoidal flows, dense and not, and mixtures of logistics.
 * With P = log sum_j w_j sigmoid(u_j) and Q = log sum_j w_j sigmoid(-u_j) the logit is P - Q, and its slope in u_j is
 * w_j sigmoid(u_j) sigmoid(-u_j) / exp(P + Q): nothing under- or overflows. */
#include "monotone.h"
#include "neural.h"

#include <math.h>

#define LEAST 1e-3 /* slope a */

/* w [.., n] logarithms of weights up to a constant, u [.., n], log_a their slopes' logarithms */
static flow_out logit_mixture(ad_var w, ad_var u, ad_var log_a)
{
	ad_var up = ad_logsigmoid(u), down = ad_sub(up, u), wu = ad_add(w, up), total = ad_logsumexp(w, -1);
	ad_var P = ad_logsumexp(wu, -1), Q = ad_logsumexp(ad_add(w, down), -1);
	ad_var slope = ad_logsumexp(ad_add(ad_add(wu, down), log_a), -1);
	return (flow_out){ ad_sub(P, Q), ad_sub(ad_add(slope, total), ad_add(P, Q)) };
}

static flow_out dsf_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int n = m->bins, layers = (int)m->a;
	flow_out r = { x, NULL };
	(void)c;
	for (int l = 0; l < layers; l++) {
		ad_var part = ad_slice(p, -1, 3 * n * l, 3 * n * (l + 1));
		ad_var a = flow__softplus_one(ad_slice(part, -1, 0, n), LEAST), b = ad_slice(part, -1, n, 2 * n);
		ad_var w = ad_slice(part, -1, 2 * n, 3 * n);
		flow_out o = logit_mixture(w, ad_add(ad_mul(a, flow__last(r.x)), b), ad_log(a));
		r = (flow_out){ o.x, flow_add_logdet(r.logdet, o.logdet) };
	}
	return flow__sloped(r, x);
}

static flow_out dsf(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, dsf_curve);
}

/* n numbers from -3 to 3, so that units differ from the start */
static void fan(double *v, int n)
{
	for (int i = 0; i < n; i++)
		v[i] = n > 1 ? 6.0 * i / (n - 1) - 3 : 0;
}

flow_map flow_dsf(flow_mem *m, int units, int layers)
{
	int n = units ? units : 16, depth = layers ? layers : 1;
	if (n < 1 || depth < 1 || n > 4096 || depth > 64)
		return flow__bad_map(m, "dsf", "%d layers of %d units", depth, n);
	double *start = flow_alloc(m, (size_t)(3 * n * depth) * sizeof *start);
	for (int l = 0; l < depth; l++)
		fan(start + 3 * n * l + n, n);
	return (flow_map){ .kind = "dsf",
			   .nparam = 3 * n * depth,
			   .apply = dsf,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .bins = n,
			   .a = depth,
			   .start = start };
}

/* exp(w - max of the row): W up to a factor of each row */
static ad_var positive(ad_var w)
{
	return ad_exp(ad_sub(w, ad_stop(ad_maxof_keep(w, AD_AXIS(1)))));
}

/* log sum_j E_oj exp v_j over the last axis; the shift drops out, so its derivative may be left out. */
static ad_var log_product(ad_var v, ad_var E)
{
	ad_var top = ad_stop(ad_maxof_keep(v, AD_AXIS(ad_rank(v) - 1)));
	return ad_add(ad_log(ad_linear(ad_exp(ad_sub(v, top)), E, NULL)), top);
}

static flow_out ddsf_layer(nn c, ad_var h, ad_var log_j, ad_var p, int n, int64_t in, int64_t out)
{
	ad_var a = flow__softplus_one(ad_slice(p, -1, 0, n), LEAST), b = ad_slice(p, -1, n, 2 * n);
	ad_var w = ad_slice(p, -1, 2 * n, 3 * n), u = ad_slice(p, -1, 3 * n, 3 * n + in);
	nn_fill some = { NN_NORMAL, 0.5 };
	ad_var U = positive(nn_param(c, "u", AD_SHAPE(n, in), some)),
	       W = positive(nn_param(c, "w", AD_SHAPE(out, n), some));
	/* sum_i U_ji h_i / sum_i U_ji, U_ji = exp(u_ji + u_i) */
	ad_var raised = ad_sub(u, ad_stop(ad_maxof_keep(u, AD_AXIS(ad_rank(u) - 1)))),
	       norm = ad_linear(ad_exp(raised), U, NULL);
	ad_var mean = ad_div(ad_linear(ad_mul(ad_exp(raised), h), U, NULL), norm);
	ad_var pre = ad_add(ad_mul(a, mean), b), up = ad_logsigmoid(pre), down = ad_sub(up, pre);
	ad_var total = log_product(w, W);
	ad_var P = ad_sub(log_product(ad_add(w, up), W), total), Q = ad_sub(log_product(ad_add(w, down), W), total);
	ad_var inner = ad_sub(log_product(ad_add(raised, log_j), U), ad_log(norm));
	ad_var slope = ad_add(ad_add(ad_add(w, up), down), ad_add(ad_log(a), inner));
	slope = ad_sub(log_product(slope, W), total);
	return (flow_out){ ad_sub(P, Q), ad_sub(slope, ad_add(P, Q)) };
}

static flow_out ddsf_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int n = m->bins, layers = (int)m->a;
	int64_t at = 0;
	flow_out r = { flow__last(x), ad_full_like(flow__last(x), 0) };
	for (int l = 0; l < layers; l++) {
		int64_t in = l ? n : 1, out = l + 1 < layers ? n : 1;
		ad_var part = ad_slice(p, -1, at, at + in + 3 * n);
		r = ddsf_layer(nn_in(c, "ddsf_%d", l), r.x, r.logdet, part, n, in, out);
		at += in + 3 * n;
	}
	return flow__sloped((flow_out){ ad_squeeze(r.x, -1), ad_squeeze(r.logdet, -1) }, x);
}

static flow_out ddsf(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, ddsf_curve);
}

flow_map flow_ddsf(flow_mem *m, int units, int layers)
{
	int n = units ? units : 16, depth = layers ? layers : 2;
	if (n < 1 || depth < 1 || n > 4096 || depth > 64)
		return flow__bad_map(m, "ddsf", "%d layers of %d units", depth, n);
	int nparam = depth * 4 * n - n + 1;
	double *start = flow_alloc(m, (size_t)nparam * sizeof *start);
	for (int l = 0, at = 0; l < depth; l++) {
		fan(start + at + n, n);
		at += 3 * n + (l ? n : 1);
	}
	return (flow_map){ .kind = "ddsf",
			   .nparam = nparam,
			   .apply = ddsf,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .bins = n,
			   .a = depth,
			   .start = start };
}

static flow_out mixture_curve(const flow_map *m, nn c, ad_var x, ad_var p)
{
	int n = m->bins;
	ad_var w = ad_slice(p, -1, 0, n), mean = ad_slice(p, -1, n, 2 * n);
	ad_var l = flow__log_width(ad_slice(p, -1, 2 * n, 3 * n)), s = flow__bounded(flow__number(p, 3 * n), 2);
	(void)c;
	flow_out o = logit_mixture(w, ad_mul(ad_sub(flow__last(x), mean), ad_exp(ad_neg(l))), ad_neg(l));
	o = flow__sloped(o, x);
	return (flow_out){ ad_add(ad_mul(ad_exp(s), o.x), flow__number(p, 3 * n + 1)), ad_add(o.logdet, s) };
}

static flow_out mixture(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir)
{
	return flow__by_root(m, c, x, p, dir, mixture_curve);
}

flow_map flow_logistic_mixture(flow_mem *m, int components)
{
	int n = components ? components : 8;
	if (n < 1 || n > 4096)
		return flow__bad_map(m, "logistic_mixture", "%d components", n);
	double *start = flow_alloc(m, (size_t)(3 * n + 2) * sizeof *start);
	fan(start + n, n);
	return (flow_map){ .kind = "logistic_mixture",
			   .nparam = 3 * n + 2,
			   .apply = mixture,
			   .caps.inverse = FLOW_ITERATIVE,
			   .alike = true,
			   .bins = n,
			   .start = start };
}
