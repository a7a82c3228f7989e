/* softmax.c - log-sum-exp, softmax and log-softmax along one axis: values and first derivatives by kernels. */
#include "../tape.h"

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

/* The derivatives, as kernels; beyond them what they are composed of serves. */
static ad_var composed_logsumexp(const ad_var in[], int axis)
{
	return ad_mul(ad_expand(in[1], axis), ad_softmax(in[0], axis));
}

static ad_var composed_softmax(const ad_var in[], int axis)
{
	return ad_mul(in[0], ad_sub(in[1], ad_sum_keep(ad_mul(in[1], in[0]), AD_AXIS(axis))));
}

static ad_var composed_log_softmax(const ad_var in[], int axis)
{
	return ad_sub(in[1], ad_mul(ad_exp(in[0]), ad_sum_keep(in[1], AD_AXIS(axis))));
}

/* Of the composed form, cut off at copies of the inputs. */
static void pull(ad_var r, ad_var w, ad_var gin[], ad_var composed(const ad_var in[], int axis))
{
	ad_var in[] = { ad__alias(r->in[0]), ad__alias(r->in[1]) };
	ad_var y = composed(in, r->attr.axis);
	ad__vjp_cut(1, &y, &w, 2, in, gin);
}

static void logsumexp_vjp_vjp(ad_var r, ad_var w, ad_var gin[]) { pull(r, w, gin, composed_logsumexp); }
static void softmax_vjp_vjp(ad_var r, ad_var w, ad_var gin[]) { pull(r, w, gin, composed_softmax); }
static void log_softmax_vjp_vjp(ad_var r, ad_var w, ad_var gin[]) { pull(r, w, gin, composed_log_softmax); }

static void logsumexp_vjp_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r, r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->logsumexp_vjp_axis(outer, n, inner, out->p, in[0].p, in[1].p);
}

static void softmax_vjp_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r, r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->softmax_vjp_axis(outer, n, inner, out->p, in[0].p, in[1].p);
}

static void log_softmax_vjp_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	ad__split(r, r->attr.axis, c->width, &outer, &n, &inner);
	c->k[r->dtype]->log_softmax_vjp_axis(outer, n, inner, out->p, in[0].p, in[1].p);
}

static double vjp_flops(ad_var r) { return 4 * (double)ad__rows(r); }

static const ad_op logsumexp_vjp_op = { .name = "logsumexp_vjp", .flags = AD__ROWWISE, .vjp = logsumexp_vjp_vjp,
	.eval = logsumexp_vjp_eval, .flops = vjp_flops };
static const ad_op softmax_vjp_op = { .name = "softmax_vjp", .flags = AD__ROWWISE, .vjp = softmax_vjp_vjp,
	.eval = softmax_vjp_eval, .flops = vjp_flops };
static const ad_op log_softmax_vjp_op = { .name = "log_softmax_vjp", .flags = AD__ROWWISE, .vjp = log_softmax_vjp_vjp,
	.eval = log_softmax_vjp_eval, .flops = vjp_flops };

static void logsumexp_vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var x = r->in[0];
	gin[0] = ad__push_shaped(NULL, &logsumexp_vjp_op, 2, (ad_var[]){ x, g }, r->attr, r->dtype, x->shape);
}

static void softmax_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad__push_shaped(NULL, &softmax_vjp_op, 2, (ad_var[]){ r, g }, r->attr, r->dtype, r->shape);
}

static void log_softmax_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad__push_shaped(NULL, &log_softmax_vjp_op, 2, (ad_var[]){ r, g }, r->attr, r->dtype, r->shape);
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
