/* residual_nets.c - contractions with few options: a bounded MLP, and the dense net of i-DenseNets. */
#include "residual.h"

/* Bounded rows make small pre-activations: on them a LipSwish that starts at the papers' 0.5 is a straight line, and
 * the net takes thousands of steps to learn to bend. */
#define BETA 20

nn_net flow_lipschitz_mlp(flow_mem *m, int64_t width, int depth, const char *act, nn_induced o)
{
	nn_lip_module *l = flow_alloc(m, (size_t)(2 * depth + 2) * sizeof *l);
	int n = 0;
	for (int i = 0; i <= depth; i++) {
		/* Right after actnorm a first activation would only bend: nets start with a linear unless they have no
		 * other. */
		if (i > 0 || depth == 0)
			l[n++] = (nn_lip_module){ .kind = NN_LIP_ACT, .act = act, .beta = BETA };
		l[n++] = (nn_lip_module){ .kind = NN_LIP_LINEAR, .out = i < depth ? width : 0, .linear = o };
	}
	return nn_lipschitz(n, l);
}

nn_net flow_lipschitz_dense(flow_mem *m, int64_t growth, int depth, const char *act, nn_induced o)
{
	nn_lip_module *l = flow_alloc(m, (size_t)(depth + 1) * sizeof *l);
	for (int i = 0; i < depth; i++)
		l[i] = (nn_lip_module){
			.kind = NN_LIP_DENSE, .out = growth, .act = i ? act : NULL, .beta = BETA, .linear = o
		};
	l[depth] = (nn_lip_module){ .kind = NN_LIP_LINEAR, .linear = o };
	return nn_lipschitz(depth + 1, l);
}
