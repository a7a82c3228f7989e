/* elementwise.c - every element through a scalar map with free parameters of its own. */
#include "private.h"

typedef struct {
	flow f;
	flow_map map;
	int64_t dim;
} elementwise;

ad_var flow__sum(const flow_map *m, nn c, ad_var x, ad_var logdet)
{
	if (m->constant_logdet)
		return ad_const(c.tape, 0);
	return ad_sum(logdet, ad_rank(logdet) < ad_rank(x) ? AD_ALL : AD_EVENT);
}

flow_out flow__elementwise(const flow_map *m, nn c, ad_var x, flow_dir dir)
{
	ad_shape s = flow__event(x);
	s.dim[s.rank++] = m->nparam;
	ad_var p = nn_param(c, "params", s, (nn_fill){ .kind = NN_ZEROS });
	if (m->start)
		p = ad_add(p, ad_array(c.tape, AD_SHAPE(m->nparam), m->start));
	flow_out r = m->apply(m, c, x, p, dir);
	r.logdet = flow__sum(m, c, x, r.logdet);
	return r;
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	return flow__elementwise(&((const elementwise *)f)->map, c, x, dir);
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	const elementwise *e = (const elementwise *)f;
	char a[96];
	*out = *in;
	if (in->rank > 0 && in->rank < AD_MAXRANK - 1 && in->dim[0] == e->dim)
		return true;
	snprintf(why, 160, "made for %lld features, not for events of shape %s", (long long)e->dim,
		 flow__shape_str(*in, a));
	return false;
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	snprintf(buf, n, "%s", ((const elementwise *)f)->map.kind);
	return buf;
}

flow *flow_elementwise(flow_mem *m, flow_map map, int64_t dim)
{
	elementwise e = { { .kind = "elementwise",
			    .apply = apply,
			    .shape = shape,
			    .unshape = shape,
			    .caps = map.caps,
			    .describe = describe },
			  map,
			  dim };
	return flow_copy(m, &e, sizeof e);
}
