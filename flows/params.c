/* params.c - from the output of a conditioner to the parameters of a scalar map. */
#include "flow.h"

ad_var flow_map_params(const flow_map *m, ad_var out)
{
	ad_shape s = ad_shape_of(out), v = s;
	int axis[AD_MAXRANK], at = m->layout == FLOW_PARAM_LAST ? 2 : 1, k = 0;
	int64_t n = s.rank > 1 ? s.dim[1] / m->nparam : 0;
	if (s.rank < 2 || s.rank == AD_MAXRANK || n * m->nparam != s.dim[1]) {
		ad_fail(ad_tape_of(out), "%s: %lld outputs of the conditioner are no multiple of %d parameters",
			m->kind, s.rank > 1 ? (long long)s.dim[1] : 0, m->nparam);
		return out;
	}
	v.rank = s.rank + 1;
	v.dim[at] = m->nparam;
	v.dim[3 - at] = n;
	for (int i = 2; i < s.rank; i++)
		v.dim[i + 1] = s.dim[i];
	for (int i = 0; i < v.rank; i++)
		if (i != at)
			axis[k++] = i;
	axis[k] = at;
	ad_var p = ad_reshape(out, v);
	if (at != v.rank - 1)
		p = ad_permute(p, axis);
	return m->start ? ad_add(p, ad_array(ad_tape_of(p), AD_SHAPE(m->nparam), m->start)) : p;
}
