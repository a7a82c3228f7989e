/* model.h - what the published models share. */
#ifndef FLOWS_MODEL_H
#define FLOWS_MODEL_H

#include "flows/autoregressive.h"

static inline int flow__pos(int v, int otherwise)
{
	return v > 0 ? v : otherwise;
}

static inline int64_t flow__pos64(int64_t v, int64_t otherwise)
{
	return v > 0 ? v : otherwise;
}

/* net with activation, dropout and a last layer that starts at zero, so that models start near the identity. */
nn_net flow__model_net(nn_net net, flow_model_opt o, const char *act);
flow_solver flow__model_solver(flow_model_opt o); /* as o.jacobi says */
const int *flow__backward(flow_mem *m, int64_t dim); /* dim, .., 2, 1 */
/* The rational-quadratic spline with linear tails that is the identity for parameters of zero. */
flow_map flow__rq_identity(flow_mem *m, int bins, double bound);

/* The layer that o.norm names; NULL for none. */
flow *flow__model_norm(flow_mem *m, flow_model_opt o);
extern const char *const flow__model_bases[]; /* ends with NULL */
bool flow__has_word(const char *words, const char *word); /* words: separated by blanks */

#endif
