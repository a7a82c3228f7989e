/* tarflow.h - transformer autoregressive flows (Zhai et al. 2024) on sequences and vectors. */
#ifndef FLOW_TARFLOW_H
#define FLOW_TARFLOW_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	int64_t tokens, channels; /* events [T, C] */
	int64_t width;            /* of the transformer, a multiple of head_dim */
	int64_t head_dim;         /* 0: width */
	int64_t expansion;        /* of its MLPs; 0: 4 */
	int layers;               /* 0: 1 */
	int64_t classes;          /* > 0: cond is [B, classes], one of them 1, and enters by "class_embed" [classes, 1, width] */
	bool flip;                /* the sequence from its end */
	double eps;               /* of layer norms; 0: 1e-5 */
	double bound;             /* log-scales within +-bound by a tanh; 0: not bounded */
} flow_tarflow_opt;
/* z_t = (x_t - b_t) exp(-a_t), a_t and b_t from a causal transformer of x_1 .. x_{t-1}; the first token stays.  Attention and
 * MLP blocks are residual, with layer norm before ("layers/i/attention/{norm,qkv,proj}", "layers/i/mlp/{norm,linear_0,
 * linear_1}", gelu); "proj_in", "pos_embed" [T, width], "proj_out" (zero at the start); cond enters by "cond".  The inverse
 * is sequential: T passes. */
flow *flow_tarflow_block(flow_mem *m, flow_tarflow_opt o);

#ifdef __cplusplus
}
#endif

#endif
