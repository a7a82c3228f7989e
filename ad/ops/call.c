/* What call ops on traced functions share. */
#include "call.h"

#include <string.h>

ad_var ad__call(const ad_op *op, ad_fn *f, int first, const ad_var in[], ad_attr attr, ad_dtype d, ad_shape s)
{
	int n = first + f->tape->ncapture;
	ad_var all[n + 1];
	for (int i = 0; i < n; i++)
		all[i] = i < first ? in[i] : f->tape->outside[i - first];
	attr.data = f;
	return ad__push_shaped(n ? NULL : f->outer, op, n, all, attr, d, s);
}

ad_var ad__call_at(ad_var r, int first, ad_var at, ad_var cap[])
{
	ad_fn *f = (ad_fn *)r->attr.data;
	for (int i = first; i < r->nin; i++)
		cap[i - first] = ad__alias(r->in[i]);
	ad_var y;
	ad__inline(f, &at, cap, &y);
	return y;
}

void ad__call_pull(ad_var r, int first, ad_var y, ad_var w, const ad_var cap[], ad_var gin[])
{
	ad__vjp_cut(1, &y, &w, r->nin - first, cap, gin + first);
}

ad_var ad__call_push(ad_var r, int first, ad_var y, const ad_var cap[], const ad_var v[])
{
	ad_var x[r->nin + 1], t[r->nin + 1], d;
	int n = 0;
	for (int i = first; i < r->nin; i++)
		if (v[i]) {
			x[n] = cap[i - first];
			t[n++] = v[i];
		}
	if (!n)
		return NULL;
	ad__jvp_cut(1, &y, n, x, t, &d);
	return d;
}

static bool any_batched(int n, const ad_var x[])
{
	for (int i = 0; i < n; i++)
		if (ad_batched(x[i]))
			return true;
	return false;
}

ad_var ad__pack(int n, const ad_var x[])
{
	ad_var flat[n];
	bool batched = any_batched(n, x);
	for (int i = 0; i < n; i++) {
		ad_shape s = x[i]->shape;
		if (batched && !ad_batched(x[i])) {
			s.rank = 1 + x[i]->shape.rank;
			s.dim[0] = AD_BATCH;
			memcpy(s.dim + 1, x[i]->shape.dim, (size_t)x[i]->shape.rank * sizeof *s.dim);
		}
		int64_t m = ad_numel(x[i]->shape);
		flat[i] = ad_reshape(ad_broadcast(x[i], s), batched ? AD_SHAPE(AD_BATCH, m) : AD_SHAPE(m));
	}
	return n == 1 ? flat[0] : ad_concat(batched, n, flat);
}

void ad__unpack(ad_var flat, int n, const ad_shape shape[], ad_var out[])
{
	int axis = ad_batched(flat);
	int64_t at = 0;
	for (int i = 0; i < n; i++) {
		int64_t m = ad_numel(shape[i]);
		out[i] = ad_reshape(ad_slice(flat, axis, at, at + m), shape[i]);
		at += m;
	}
}
