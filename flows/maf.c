/* maf.c - masked autoregressive flow (Papamakarios et al. 2017): affine maps, MADE nets, the order reversed from layer
 * to layer, actnorm between; the paper has batch norm (norm=batch).  Paper: 5 or 10 layers, 1 or 2 hidden layers of 100 to
 * 1024. */
#include "model.h"

flow *flow_maf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 5), n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * layers) * sizeof *f);
	nn_net net = flow__model_net(nn_made(flow__pos64(o.width, 128), flow__pos(o.depth, 2)), o, "relu");
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = flow_autoregressive_with(m, flow_affine(FLOW_TANH_EXP, o.bound), net, dim,
					     i % 2 ? flow__backward(m, dim) : NULL, flow__model_solver(o));
	}
	return flow_chain(m, n, f);
}
