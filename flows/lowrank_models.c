/* lowrank_models.c - stacks of planar, radial and Sylvester flows, and of convex potentials, taken as x -> z.
 *
 * Rezende & Mohamed stack 2 to 80 planar or radial flows; van den Berg et al. 4 to 16 Sylvester flows; Huang et al. 10 to 20
 * potentials of width 32 or 64 on 2-D data, with actnorm between. */
#include "model.h"
#include "lowrank.h"
#include "potential.h"

/* cond, if there is any, moves the parameters. */
static nn_net amortiser(flow_model_opt o)
{
	return flow__model_net(nn_mlp(flow__pos64(o.width, 32), flow__pos(o.depth, 1)), o, "tanh");
}

typedef flow *make(flow_mem *m, int64_t dim, flow_model_opt o, int i);

static flow *stack(flow_mem *m, int64_t dim, flow_model_opt o, int layers, make *layer)
{
	flow **f = flow_alloc(m, (size_t)(2 * layers + 1) * sizeof *f);
	int n = 0;
	for (int i = 0; i < layers; i++) {
		f[n++] = flow__model_norm(m, o);
		f[n++] = layer(m, dim, o, i);
	}
	f[n++] = flow__model_norm(m, o);
	return flow_chain(m, n, f);
}

static flow *planar(flow_mem *m, int64_t dim, flow_model_opt o, int i)
{
	(void)i;
	return flow_planar(m, dim, (flow_planar_opt){ .net = amortiser(o) });
}

static flow *radial(flow_mem *m, int64_t dim, flow_model_opt o, int i)
{
	(void)i;
	return flow_radial(m, dim, amortiser(o));
}

static flow *sylvester(flow_mem *m, int64_t dim, flow_model_opt o, int i)
{
	(void)i;
	int64_t rank = flow__pos64(o.rank, 16);
	flow_sylvester_opt s = { .rank = rank < dim ? rank : dim, .net = amortiser(o) };
	return flow_sylvester(m, FLOW_SYLVESTER_ORTHOGONAL, dim, s);
}

/* Above 16 dimensions training has the stochastic log-determinant: one direction, as in the paper. */
static flow *potential(flow_mem *m, int64_t dim, flow_model_opt o, int i)
{
	(void)i;
	flow_potential_opt p = { .width = flow__pos64(o.width, 64), .depth = flow__pos(o.depth, 3), .probes = dim > 16 };
	return flow_convex_potential(m, dim, p);
}

flow *flow_planar_model(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return stack(m, dim, o, flow__pos(o.layers, 32), planar);
}

flow *flow_radial_model(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return stack(m, dim, o, flow__pos(o.layers, 32), radial);
}

flow *flow_sylvester_model(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return stack(m, dim, o, flow__pos(o.layers, 16), sylvester);
}

flow *flow_cpflow(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return stack(m, dim, o, flow__pos(o.layers, 3), potential);
}
