/* multiscale.c - a flow after which part of the variables is done and the rest goes on. */
#include "private.h"

static flow_wire add(flow_builder *b, flow *f, flow_wire in)
{
	flow_wire out;
	flow_graph_add(b, f, &in, &out);
	return out;
}

flow *flow_multiscale(flow_mem *m, ad_shape event, flow *f, int axis, int64_t k, flow *rest)
{
	ad_shape s, part[2], last;
	char why[160];
	flow *split = flow_split(m, axis, k);
	if (!flow_shape(f, &event, &s, why) || !flow_shape(split, &s, part, why) ||
	    !flow_shape(rest, &part[1], &last, why))
		return flow_refuse(m, "multiscale", "%s", why);
	flow_wire x, z, half[2];
	flow_builder *b = flow_graph_begin(m, 1, &x);
	x = add(b, f, x);
	flow_graph_add(b, split, &x, half);
	half[0] = add(b, flow_reshape(m, part[0], AD_SHAPE(ad_numel(part[0]))), half[0]);
	half[1] = add(b, rest, half[1]);
	half[1] = add(b, flow_reshape(m, last, AD_SHAPE(ad_numel(last))), half[1]);
	flow_graph_add(b, flow_merge(m, 1, ad_numel(part[0])), half, &z);
	flow *g = flow_graph_end(b, 1, &z);
	g->kind = "multiscale";
	return g;
}
