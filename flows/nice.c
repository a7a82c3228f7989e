/* nice.c - NICE (Dinh et al. 2015): additive couplings and a learned scale at the end.
 * Paper: 4 couplings, nets of 5 layers of 1000, relu.  Here 4 couplings, nets of 3 layers of 128. */
#include "model.h"

flow *flow_nice(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 4), n = 0;
	flow **f = flow_alloc(m, (size_t)(layers + 2) * sizeof *f);
	nn_net net = flow__model_net(nn_mlp(flow__pos64(o.width, 128), flow__pos(o.depth, 3)), o, "relu");
	net.zero_last = false; /* at the identity, symmetric data give additive couplings no gradient to leave it by */
	f[n++] = flow_named(flow_actnorm(m), "whiten");
	for (int i = 0; i < layers; i++)
		f[n++] = flow_coupling(m, flow_additive(), net, dim, flow_mask_alternate(m, dim, i % 2), NULL);
	f[n++] = flow_named(flow_actnorm(m), "scale");
	return flow_chain(m, n, f);
}
