/* softmax.c - log-sum-exp, softmax and log-softmax along one axis. */
#include "ad/op.h"

static void same_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	ad__wants_real(r);
}

static void drop_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	r->shape.rank--;
	for (int k = r->attr.axis; k < r->shape.rank; k++)
		r->shape.dim[k] = r->shape.dim[k + 1];
	ad__wants_real(r);
}

static void logsumexp_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_mul(ad_expand(g, r->attr.axis), ad_softmax(r->in[0], r->attr.axis));
}

static void softmax_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_mul(r, ad_sub(g, ad_sum_keep(ad_mul(g, r), AD_AXIS(r->attr.axis))));
}

static void log_softmax_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_sub(g, ad_mul(ad_exp(r), ad_sum_keep(g, AD_AXIS(r->attr.axis))));
}

static void logsumexp_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r->in[0], r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->logsumexp_axis(outer, n, inner, out->p, in[0].p);
}

static void softmax_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r->in[0], r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->softmax_axis(outer, n, inner, out->p, in[0].p);
}

static void log_softmax_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r->in[0], r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->log_softmax_axis(outer, n, inner, out->p, in[0].p);
}

/* maximum, difference, exponential, sum */
static double flops(ad_var r) { return 4 * (double)ad__rows(r->in[0]); }

static const ad_op logsumexp_op = { .name = "logsumexp", .flags = AD__ROWWISE,
	.infer = drop_infer,
	.vjp = logsumexp_vjp,
	.eval = logsumexp_eval,
	.flops = flops };
static const ad_op softmax_op = {
	.name = "softmax", .flags = AD__ROWWISE, .infer = same_infer, .vjp = softmax_vjp, .eval = softmax_eval, .flops = flops
};
static const ad_op log_softmax_op = { .name = "log_softmax", .flags = AD__ROWWISE,
	.infer = same_infer,
	.vjp = log_softmax_vjp,
	.eval = log_softmax_eval,
	.flops = flops };

static ad_var along(ad_var x, int axis, const ad_op *op)
{
	int k = ad__axis(x, axis, op->name);
	if (k < 0 || !ad__not_batch_axis(x, k, op->name))
		return x;
	return ad__push(ad_tape_of(x), op, 1, &x, (ad_attr){ .axis = k });
}

ad_var ad_logsumexp(ad_var x, int axis) { return along(x, axis, &logsumexp_op); }

ad_var ad_softmax(ad_var x, int axis) { return along(x, axis, &softmax_op); }

ad_var ad_log_softmax(ad_var x, int axis) { return along(x, axis, &log_softmax_op); }
