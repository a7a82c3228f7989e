/* resflow.c - Residual Flow (Chen et al. 2019) and i-DenseNet (Perugachi-Diaz et al. 2021): actnorm and residual blocks
 * in turn. Their 2-D densities have 100 blocks of 3 hidden layers of 128 units (10 of dense nets), coeff 0.9, batches
 * of 500 or more for 50,000 steps; images coeff 0.98, 2 exact terms in training and 20 in evaluation. */
#include "model.h"
#include "residual.h"

#include <string.h>

static int word(const char *w, int n, const char *const name[])
{
	for (int i = 0; w && i < n; i++)
		if (!strcmp(w, name[i]))
			return i;
	return 0;
}

static flow *blocks(flow_mem *m, int64_t dim, nn_net net, int layers, flow_model_opt o)
{
	static const char *const estimator[] = { "auto", "exact", "traces", "basic", "neumann" };
	static const char *const tail[] = { "geometric", "poisson", "none" };
	flow_residual_opt r = { .train = (flow_logdet_estimator)word(o.estimator, 5, estimator),
				.tail = (flow_tail)word(o.tail, 3, tail),
				.terms = o.n_exact,
				.eval_terms = o.n_exact_eval };
	flow **f = flow_alloc(m, (size_t)(2 * layers + 1) * sizeof *f);
	for (int i = 0; i < layers; i++) {
		f[2 * i] = flow__model_norm(m, o);
		f[2 * i + 1] = flow_residual(m, net, dim, r);
	}
	f[2 * layers] = flow__model_norm(m, o);
	return flow_chain(m, 2 * layers + 1, f);
}

static nn_induced bound(flow_model_opt o)
{
	return (nn_induced){ .coeff = o.coeff > 0 ? o.coeff : 0.97 };
}

flow *flow_resflow(flow_mem *m, int64_t dim, flow_model_opt o)
{
	nn_net net = flow_lipschitz_mlp(m, flow__pos64(o.width, 64), flow__pos(o.depth, 2),
					o.contraction ? o.contraction : "lipswish", bound(o));
	return blocks(m, dim, net, flow__pos(o.layers, 10), o);
}

flow *flow_idensenet(flow_mem *m, int64_t dim, flow_model_opt o)
{
	nn_net net = flow_lipschitz_dense(m, flow__pos64(o.width, 16), flow__pos(o.depth, 3),
					  o.contraction ? o.contraction : "clipswish", bound(o));
	return blocks(m, dim, net, flow__pos(o.layers, 10), o);
}
