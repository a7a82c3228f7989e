/* What call ops on traced functions share. */
#include "call.h"

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
