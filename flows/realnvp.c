/* realnvp.c - RealNVP (Dinh et al. 2017): affine couplings with bounded log-scales, alternating masks, actnorm between.
 * On tables the MAF paper's RealNVP has 5 or 10 couplings, nets of 1 or 2 layers of 100 to 1024, batch norm between. */
#include "model.h"

flow *flow_realnvp(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 8), n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * layers) * sizeof *f);
	nn_net net = flow__model_net(nn_mlp(flow__pos64(o.width, 128), flow__pos(o.depth, 2)), o, "relu");
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = flow_coupling(m, flow_affine(FLOW_TANH_EXP, o.bound), net, dim,
				       flow_mask_alternate(m, dim, i % 2), NULL);
	}
	return flow_chain(m, n, f);
}
