/* elementwise_given.c - every element through a scalar map whose numbers are free, plus a function of the condition. */
#include "neural.h"
#include "parts.h"

typedef struct {
	flow f;
	flow_map map;
	nn_net net;
	int64_t dim;
} given;

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const given *g = (const given *)f;
	ad_var p = nn_param(c, "params", AD_SHAPE(g->dim, g->map.nparam), (nn_fill){ NN_ZEROS });
	if (cond) { /* flow_map_params adds the map's start */
		ad_var out = nn_apply(&g->net, nn_in(c, "conditioner"), cond, NULL, g->dim * g->map.nparam);
		p = ad_add(p, flow_map_params(&g->map, out));
	} else if (g->map.start) {
		p = ad_add(p, ad_array(ad_root(c.tape), AD_SHAPE(g->map.nparam), g->map.start));
	}
	flow_out r = g->map.apply(&g->map, c, x, p, dir);
	return (flow_out){ r.x, ad_sum(r.logdet, AD_EVENT) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const given *)f)->dim, in, out, why);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	snprintf(buf, n, "%s", ((const given *)f)->map.kind);
	return buf;
}

flow *flow_elementwise_given(flow_mem *m, flow_map map, nn_net net, int64_t dim)
{
	if (dim < 1 || map.constant_logdet)
		return flow_refuse(m, "elementwise_given", "%lld features, map %s", (long long)dim, map.kind);
	given g = { { .kind = "elementwise_given",
		      .apply = apply,
		      .shape = shape,
		      .unshape = shape,
		      .caps = map.caps,
		      .describe = describe },
		    map,
		    net,
		    dim };
	return flow_copy(m, &g, sizeof g);
}
