/* zuko's structures: a plain net "hyper" gives the numbers of a scalar map. */
#include "parts.h"
#include "variants.h"
#include <string.h>

typedef struct {
	flow f;
	flow_map map;
	flow__net net;
	int64_t dim, passed, *width;
	const int32_t *feed, *moved; /* coupling: features with mask 1, and with mask 0; passed of the first */
	const int32_t *back;	     /* where each feature stands in (feed, moved) */
} hyper;

static ad_var params(const flow *f, nn c, ad_var x, ad_var cond)
{
	const hyper *h = (const hyper *)f;
	ad_var p = flow__net_apply(&h->net, nn_in(c, "hyper"), x, cond);
	return ad_reshape(p, AD_SHAPE(AD_BATCH, h->dim - h->passed, h->map.nparam));
}

static flow_out autoregressive(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const hyper *h = (const hyper *)f;
	return flow__sequential(f, &h->map, params, c, x, cond, h->dim, dir, h->net.degree);
}

static ad_var choose(ad_var x, const int32_t *index, int64_t n)
{
	return ad_gather(x, 1, ad_array_i32(ad_tape_of(x), AD_SHAPE(n), index));
}

static flow_out coupling(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const hyper *h = (const hyper *)f;
	ad_var feed = choose(x, h->feed, h->passed), moved = choose(x, h->moved, h->dim - h->passed);
	flow_out o = h->map.apply(&h->map, c, moved, params(f, c, feed, cond), dir);
	ad_var both = ad_concat(1, 2, (ad_var[]){ feed, o.x });
	return (flow_out){ choose(both, h->back, h->dim), ad_sum(o.logdet, AD_EVENT) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const hyper *)f)->dim, in, out, why);
}

static hyper *new (flow_mem *m, const char *kind, flow_map map, int64_t dim, int64_t moved, int layers,
		   const int64_t hidden[])
{
	hyper *h = flow_alloc(m, sizeof *h);
	h->f = (flow){ .kind = kind, .shape = shape, .unshape = shape, .caps = map.caps };
	h->map = map;
	h->dim = dim;
	h->passed = dim - moved;
	h->width = flow_alloc(m, (size_t)(layers + 1) * sizeof *h->width);
	if (layers)
		memcpy(h->width, hidden, (size_t)layers * sizeof *hidden);
	h->width[layers] = moved * map.nparam;
	h->net = (flow__net){ .linears = layers + 1, .width = h->width, .act = nn_act_named("relu") };
	return h;
}

flow *flow_hyper_autoregressive(flow_mem *m, flow_map map, int64_t dim, const int *order, int layers,
				const int64_t hidden[])
{
	if (dim < 1 || layers < 0)
		return flow_refuse(m, "hyper_autoregressive", "%lld features, %d hidden layers", (long long)dim,
				   layers);
	hyper *h = new (m, "hyper_autoregressive", map, dim, dim, layers, hidden);
	h->net.degree = flow__degrees_in_order(m, dim, order);
	h->net.interleaved = true;
	h->f.apply = autoregressive;
	h->f.caps.inverse = FLOW_ITERATIVE;
	return &h->f;
}

flow *flow_hyper_coupling(flow_mem *m, flow_map map, int64_t dim, const int *mask, int layers, const int64_t hidden[])
{
	int64_t moved = 0, at[2] = { 0 };
	for (int64_t d = 0; d < dim; d++)
		moved += !mask[d];
	if (moved < 1 || moved >= dim || layers < 0)
		return flow_refuse(m, "hyper_coupling", "%lld of %lld features transformed, %d hidden layers",
				   (long long)moved, (long long)dim, layers);
	hyper *h = new (m, "hyper_coupling", map, dim, moved, layers, hidden);
	int32_t *list[2], *back = flow_alloc(m, (size_t)dim * sizeof *back);
	for (int k = 0; k < 2; k++)
		list[k] = flow_alloc(m, (size_t)dim * sizeof **list);
	for (int64_t d = 0; d < dim; d++) {
		int k = !mask[d];
		back[d] = (int32_t)(at[k] + (k ? h->passed : 0));
		list[k][at[k]++] = (int32_t)d;
	}
	h->feed = list[0], h->moved = list[1], h->back = back;
	h->f.apply = coupling;
	return &h->f;
}
