/* neural_models.c - models of monotone maps and block autoregressive nets.  Papers: NAF and UMNN 5 flows of nets of 1
 * or 2 layers of 100 to 1024 (NAF: 16 units), BNAF 5 flows of 2 layers of 10 to 40 units a feature, GF 5 layers of 100
 * kernels. */
#include "model.h"
#include "neural.h"

#include <string.h>

/* Norm, autoregressive layer, the order reversed from layer to layer; a norm at the end. */
static flow *autoregressive(flow_mem *m, int64_t dim, flow_model_opt o, flow_map map)
{
	int layers = flow__pos(o.layers, 5), n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * layers + 1) * sizeof *f);
	nn_net net = flow__model_net(nn_made(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu");
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = flow_autoregressive(m, map, net, dim, i % 2 ? flow__backward(m, dim) : NULL);
	}
	f[n++] = flow__model_norm(m, o);
	return flow_chain(m, n, f);
}

flow *flow_naf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	bool dense = o.sigmoid && !strcmp(o.sigmoid, "ddsf");
	return autoregressive(m, dim, o, dense ? flow_ddsf(m, o.units, 0) : flow_dsf(m, o.units, 1));
}

flow *flow_umnn_maf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	flow_umnn_opt u = { .embedding = o.units, .nodes = o.nodes, .bound = o.bound };
	return autoregressive(m, dim, o, flow_umnn(m, u));
}

flow *flow_sos(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return autoregressive(m, dim, o, flow_sum_of_squares(m, o.units, 0, o.bound));
}

flow *flow_bernstein_flow(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return autoregressive(m, dim, o, flow_bernstein(m, o.units > 1 ? o.units : 0, o.bound));
}

flow *flow_bnaf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 3), depth = flow__pos(o.depth, 1), n = 0;
	flow **f = flow_alloc(m, (size_t)(3 * layers + 1) * sizeof *f);
	int64_t *width = flow_alloc(m, (size_t)depth * sizeof *width);
	for (int i = 0; i < depth; i++)
		width[i] = dim * flow__pos(o.units, 16);
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = i ? flow_reverse(m, dim) : NULL;
		f[n++] = flow_block_autoregressive(m, dim, depth, width, FLOW_RESIDUAL_GATED);
	}
	f[n++] = flow__model_norm(m, o);
	return flow_chain(m, n, f);
}

/* As Flow++ on images: norm, linear, coupling. */
flow *flow_mol(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 5), n = 0;
	flow **f = flow_alloc(m, (size_t)(3 * layers + 1) * sizeof *f);
	nn_net net = flow__model_net(nn_resnet(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu");
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = flow_linear(m, FLOW_LU, dim, 0);
		f[n++] = flow_coupling(m, flow_logistic_mixture(m, o.units), net, dim,
				       flow_mask_alternate(m, dim, i % 2), NULL);
	}
	f[n++] = flow__model_norm(m, o);
	return flow_chain(m, n, f);
}

static flow *circle_step(flow_mem *m, int64_t dim, flow_model_opt o, flow_map map, int i)
{
	if (dim == 1)
		return flow_elementwise_given(
			m, map, flow__model_net(nn_mlp(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu"), 1);
	nn_net net = flow__model_net(nn_resnet(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu");
	int64_t seen = i % 2 ? dim / 2 : (dim + 1) / 2; /* elements with mask 0 */
	net = flow_periodic_net(m, net, seen, NULL, map.bound);
	return flow_coupling(m, map, net, dim, flow_mask_alternate(m, dim, i % 2), &map);
}

flow *flow_ncsf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 5), n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * layers + 3) * sizeof *f);
	double bound = o.bound > 0 ? o.bound : 3.14159265358979323846;
	flow_map map = flow_circular_spline(m, flow__pos(o.bins, 8), bound);
	f[n++] = flow_wrap(m, dim, bound);
	for (int i = 0; i < layers; i++) {
		f[n++] = flow_rotate_circle(m, dim, bound);
		f[n++] = circle_step(m, dim, o, map, i);
	}
	f[n++] = flow_rotate_circle(m, dim, bound);
	f[n++] = flow_probit(m, dim, bound);
	return flow_chain(m, n, f);
}

flow *flow_gf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 8), n = 0;
	flow **f = flow_alloc(m, (size_t)(3 * layers + 1) * sizeof *f);
	nn_net net = flow__model_net(nn_mlp(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu");
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = dim > 1 ? flow_linear(m, FLOW_HOUSEHOLDER, dim, 0) : NULL;
		f[n++] = flow_elementwise_given(m, flow_gaussianization(m, o.units), net, dim);
	}
	f[n++] = flow__model_norm(m, o);
	return flow_chain(m, n, f);
}
