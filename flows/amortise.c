/* amortise.c - parameters that are free, or free plus the outputs of a net of cond. */
#include "amortise.h"

flow__source flow__source_of(nn c, const nn_net *net, ad_var cond, int64_t total)
{
	bool amortised = net->apply && cond;
	return (flow__source){ c, amortised ? nn_apply(net, nn_in(c, "conditioner"), cond, NULL, total) : NULL, 0 };
}

ad_var flow__source_take(flow__source *s, const char *name, ad_shape shape, nn_fill fill)
{
	nn at = nn_in(s->c, "%s", name);
	int i = nn_find(s->c.store, at.path);
	int64_t n = ad_numel(shape);
	ad_shape held = shape;
	if (i >= 0 && nn_at(s->c.store, i).numel == n)
		held = nn_at(s->c.store, i).shape;
	ad_var p = nn_param(s->c, name, held, fill);
	if (ad_error(s->c.tape) || nn_error(s->c.store))
		return ad_full(s->c.tape, shape, 0);
	p = ad_reshape(p, shape);
	if (!s->out)
		return p;
	ad_shape batched = { .rank = 1 + shape.rank, .dim = { AD_BATCH } };
	for (int k = 0; k < shape.rank; k++)
		batched.dim[k + 1] = shape.dim[k];
	ad_var own = ad_reshape(ad_slice(s->out, 1, s->at, s->at + n), batched);
	s->at += n;
	return ad_add(own, p);
}

ad_var flow__last(ad_var x)
{
	return ad_sum_keep(x, AD_AXIS(ad_rank(x) - 1));
}

ad_var flow__dot(ad_var x, ad_var y)
{
	return flow__last(ad_mul(x, y));
}

ad_var flow__rows_through(ad_var w, ad_var x)
{
	if (ad_rank(w) == 2)
		return ad_linear(x, w, NULL);
	return ad_squeeze(ad_matmul(w, ad_expand(x, -1), false, false), -1);
}
