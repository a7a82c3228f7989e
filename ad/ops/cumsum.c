/* cumsum.c - running sums along one axis. */
#include "ad/op.h"

static void infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	ad__wants_real(r);
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_cumsum(g, r->attr.axis, !r->attr.flag);
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r, r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->cumsum_axis(outer, n, inner, out->p, in[0].p, r->attr.flag);
}

static double flops(ad_var r) { return (double)ad__rows(r); }

static const ad_op op = {
	.name = "cumsum", .flags = AD__ROWWISE, .infer = infer, .vjp = vjp, .eval = eval, .flops = flops
};

ad_var ad_cumsum(ad_var x, int axis, bool reverse)
{
	int k = ad__axis(x, axis, op.name);
	if (k < 0 || !ad__not_batch_axis(x, k, op.name))
		return x;
	return ad__push(ad_tape_of(x), &op, 1, &x, (ad_attr){ .axis = k, .flag = reverse });
}
