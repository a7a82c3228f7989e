/* nsf.c - neural spline flows (Durkan et al. 2019): rational-quadratic splines, a random permutation and an LU layer
 * before every step and after the last.  Paper: 10 or 20 steps, residual nets of 1 or 2 blocks of 32 to 512, 8 bins on
 * [-3, 3].  Here 5 steps of width 64. */
#include "model.h"

#include <math.h>
#include <string.h>

typedef flow *step_fn(flow_mem *m, int64_t dim, flow_model_opt o, flow_map map, int i);

static flow *coupling_step(flow_mem *m, int64_t dim, flow_model_opt o, flow_map map, int i)
{
	flow_map free_map = map;
	free_map.width_divisor = free_map.height_divisor = 0;
	nn_net net = flow__model_net(nn_resnet(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu");
	return flow_coupling(m, map, net, dim, flow_mask_alternate(m, dim, i % 2), &free_map);
}

static flow *autoregressive_step(flow_mem *m, int64_t dim, flow_model_opt o, flow_map map, int i)
{
	(void)i;
	nn_net net = flow__model_net(nn_res_made(flow__pos64(o.width, 64), flow__pos(o.depth, 2)), o, "relu");
	return flow_autoregressive_with(m, map, net, dim, NULL, flow__model_solver(o));
}

/* The map that o.map names, with the scale of its nets' outputs. */
static flow_map element(flow_mem *m, flow_model_opt o)
{
	static const struct {
		const char *name;
		flow_map (*make)(int bins, double bound);
	} splines[] = { { "cubic", flow_cubic_spline },
			{ "quadratic", flow_quadratic_spline },
			{ "linear", flow_linear_spline } };
	int bins = flow__pos(o.bins, 8);
	double bound = o.bound > 0 ? o.bound : 3;
	if (o.map && !strcmp(o.map, "affine"))
		return flow_affine(FLOW_TANH_EXP, 0);
	if (o.map && !strcmp(o.map, "additive"))
		return flow_additive();
	flow_map map = flow__rq_identity(m, bins, bound);
	for (size_t i = 0; o.map && i < sizeof splines / sizeof *splines; i++)
		if (!strcmp(o.map, splines[i].name))
			map = splines[i].make(bins, bound);
	map.width_divisor = map.height_divisor = sqrt((double)flow__pos64(o.width, 64));
	return map;
}

static flow *steps(flow_mem *m, int64_t dim, flow_model_opt o, step_fn *step)
{
	int layers = flow__pos(o.layers, 5), n = 0;
	flow **f = flow_alloc(m, (size_t)(3 * layers + 2) * sizeof *f);
	flow_map map = element(m, o);
	bool mixed = !o.linear || strcmp(o.linear, "none"),
	     lu = mixed && (!o.linear || strcmp(o.linear, "permutation"));
	for (int i = 0; i <= layers; i++) {
		f[n++] = mixed && dim > 1 ? flow_permutation(m, dim, NULL) : NULL;
		f[n++] = lu ? flow_linear(m, FLOW_LU, dim, 0) : NULL;
		if (i < layers)
			f[n++] = step(m, dim, o, map, i);
	}
	return flow_chain(m, n, f);
}

flow *flow_nsf_coupling(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return steps(m, dim, o, coupling_step);
}

flow *flow_nsf_autoregressive(flow_mem *m, int64_t dim, flow_model_opt o)
{
	return steps(m, dim, o, autoregressive_step);
}
