/* independent.c - every dimension by itself: affine, spline, affine.  What any model must beat. */
#include "model.h"

flow *flow_independent(flow_mem *m, int64_t dim, flow_model_opt o)
{
	int layers = flow__pos(o.layers, 2), n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * layers + 1) * sizeof *f);
	flow_map map = flow__rq_identity(m, flow__pos(o.bins, 16), o.bound > 0 ? o.bound : 3);
	for (int i = 0; i < layers; i++) {
		f[n++] = flow_actnorm(m);
		f[n++] = flow_elementwise(m, map, dim);
	}
	f[n++] = flow_actnorm(m);
	return flow_chain(m, n, f);
}
