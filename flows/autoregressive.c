/* autoregressive.c - z_d = map(x_d; p_d(x_before d)), in any order (Germain et al. 2015, Papamakarios et al. 2017). */
#include "autoregressive.h"
#include "parts.h"
#include "private.h"

typedef struct {
	flow f;
	flow_map map;
	nn_net net;
	int64_t dim;
	flow_solver how;
} autoregressive;

static ad_var parameters(const flow *f, nn c, ad_var x, ad_var cond)
{
	const autoregressive *a = (const autoregressive *)f;
	ad_var out = nn_apply(&a->net, nn_in(c, "conditioner"), x, cond, a->dim * a->map.nparam);
	return flow_map_params(&a->map, out);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const autoregressive *a = (const autoregressive *)f;
	flow_out r = flow__sequential_with(f, &a->map, parameters, c, x, cond, a->dim, dir, a->how, a->net.degree);
	if (a->map.constant_logdet)
		r.logdet = ad_const(c.tape, 0);
	return r;
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const autoregressive *a = (const autoregressive *)f;
	char s[96];
	*out = *in;
	if (in->rank == 1 && in->dim[0] == a->dim)
		return true;
	snprintf(why, 160, "made for %lld dimensions, not for events of shape %s", (long long)a->dim,
		 flow__shape_str(*in, s));
	return false;
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const autoregressive *a = (const autoregressive *)f;
	snprintf(buf, n, "%s, %s%s", a->map.kind, a->net.kind ? a->net.kind : "net",
		 a->how.kind == FLOW_SWEEPS ? ", inverse by sweeps" : "");
	return buf;
}

flow *flow_autoregressive_with(flow_mem *m, flow_map map, nn_net net, int64_t dim, const int *order, flow_solver how)
{
	autoregressive a = { { .kind = "autoregressive",
			       .apply = apply,
			       .shape = shape,
			       .unshape = shape,
			       .caps = map.caps,
			       .describe = describe },
			     map,
			     net,
			     dim,
			     how };
	if (!net.autoregressive)
		return flow_refuse(m, "autoregressive", "its net (%s) is not autoregressive",
				   net.kind ? net.kind : "net");
	if (map.layout != FLOW_PARAM_LAST)
		return flow_refuse(m, "autoregressive", "the net's outputs are laid out one element after another");
	if (!(how.tolerance >= 0 && how.tolerance < 1))
		return flow_refuse(m, "autoregressive", "tolerance %g is not from 0 to below 1", how.tolerance);
	if (how.kind == FLOW_SWEEPS && how.tolerance > 0) {
		a.f.caps.inverse = FLOW_ITERATIVE;
		a.f.caps.rebuilds = false;
	}
	if (dim < 1)
		return flow_refuse(m, "autoregressive", "needs at least 1 dimension; got %lld", (long long)dim);
	if (order) {
		bool *seen = flow_alloc(m, (size_t)dim * sizeof *seen);
		for (int64_t i = 0; i < dim; i++) {
			if (order[i] < 1 || order[i] > dim || seen[order[i] - 1])
				return flow_refuse(m, "autoregressive",
						   "order[%lld] = %d: the order is no permutation of 1..%lld",
						   (long long)i, order[i], (long long)dim);
			seen[order[i] - 1] = true;
		}
		a.net.degree = flow_copy(m, order, (size_t)dim * sizeof *order);
	}
	return flow_copy(m, &a, sizeof a);
}

flow *flow_autoregressive(flow_mem *m, flow_map map, nn_net net, int64_t dim, const int *order)
{
	return flow_autoregressive_with(m, map, net, dim, order, (flow_solver){ 0 });
}
