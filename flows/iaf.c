/* iaf.c - inverse autoregressive flow (Kingma et al. 2016), trained by maximum likelihood: sampling is one pass, the
 * density is solved dimension by dimension.  Layers, nets and orders as in maf.c. */
#include "model.h"

flow *flow_iaf(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 5), n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * layers) * sizeof *f);
	nn_net net = flow__model_net(nn_made(flow__pos64(o.width, 128), flow__pos(o.depth, 2)), o, "relu");
	for (int i = 0; i < layers; i++) {
		const int *order = i % 2 ? flow__backward(m, dim) : NULL;
		f[n++] = flow_actnorm(m);
		f[n++] = flow_invert(m, flow_autoregressive_with(m, flow_affine(FLOW_TANH_EXP, o.bound), net, dim, order,
								 flow__model_solver(o)));
	}
	return flow_chain(m, n, f);
}
