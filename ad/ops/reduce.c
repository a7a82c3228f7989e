/* reduce.c - sums, maxima and what is made of them. */
#include "ad/op.h"

bool ad__wants_real(ad_var r)
{
	for (int i = 0; i < r->nin; i++)
		if (r->in[i]->dtype == AD_I32) {
			ad__fail(r, "integers where reals are needed");
			return false;
		}
	return true;
}

/* The primitives reduce attr.axes, a run of neighbouring axes that starts at attr.axis: event axes,
 * or axis 0. */

static bool reduced(ad_var r, int k) { return r->attr.axes >> k & 1; }

static ad_var kept(ad_var r, ad_var y)
{
	ad_shape s = r->in[0]->shape;
	for (int k = 0; k < s.rank; k++)
		if (reduced(r, k))
			s.dim[k] = 1;
	return ad_reshape(y, s);
}

static void infer(ad_var r)
{
	ad_shape x = r->in[0]->shape;
	r->shape.rank = 0;
	for (int k = 0; k < x.rank; k++)
		if (!reduced(r, k))
			r->shape.dim[r->shape.rank++] = x.dim[k];
	ad__wants_real(r);
}

static void max_infer(ad_var r)
{
	for (int k = 0; k < r->in[0]->shape.rank; k++)
		if (reduced(r, k) && r->in[0]->shape.dim[k] == 0)
			ad__fail(r, "nothing along axis %d", k);
	infer(r);
}

static void sum_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_broadcast(kept(r, g), r->in[0]->shape);
}

static void max_vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var mask = ad_eq(r->in[0], kept(r, r));
	gin[0] = ad_mul(mask, ad_div(kept(r, g), ad_sum_keep(mask, r->attr.axes)));
}

static void run_extents(ad_var r, int64_t width, int64_t *outer, int64_t *n, int64_t *inner)
{
	int64_t skip;
	int last = r->attr.axis;
	while (reduced(r, last + 1))
		last++;
	ad__split(r->in[0], last, width, outer, n, inner);
	int64_t all = *outer * *n;
	ad__split(r->in[0], r->attr.axis, width, outer, n, &skip);
	*n = all / *outer;
}

static void sum_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	run_extents(r, c->width, &outer, &n, &inner);
	c->k[r->dtype]->sum_axis(outer, n, inner, out->p, in[0].p);
}

static void max_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t outer, n, inner;
	run_extents(r, c->width, &outer, &n, &inner);
	c->k[r->dtype]->max_axis(outer, n, inner, out->p, in[0].p);
}

static void sum_batch_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	c->k[r->dtype]->lane_sum(ad__rows(r), c->width, c->valid, out->p, in[0].p, c->accumulate);
}

static void max_batch_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	c->k[r->dtype]->lane_max(ad__rows(r), c->width, c->valid, out->p, in[0].p, c->accumulate);
}

static void max_join(int64_t n, ad_dtype d, void *total, const void *part)
{
	float *tf = total;
	const float *pf = part;
	double *td = total;
	const double *pd = part;
	for (int64_t i = 0; i < n; i++)
		if (d == AD_F32)
			tf[i] = pf[i] > tf[i] || pf[i] != pf[i] ? pf[i] : tf[i];
		else
			td[i] = pd[i] > td[i] || pd[i] != pd[i] ? pd[i] : td[i];
}

static double flops(ad_var r) { return (double)ad__rows(r->in[0]); }

static const ad_op sum_op = {
	.name = "sum", .flags = AD__ROWWISE, .infer = infer, .vjp = sum_vjp, .eval = sum_eval, .flops = flops
};
static const ad_op sum_batch_op = { .name = "sum_batch",
	.flags = AD__REDUCES,
	.infer = infer,
	.vjp = sum_vjp,
	.eval = sum_batch_eval,
	.flops = flops };
static const ad_op max_op = {
	.name = "max", .flags = AD__ROWWISE, .infer = max_infer, .vjp = max_vjp, .eval = max_eval, .flops = flops
};
static const ad_op max_batch_op = { .name = "max_batch",
	.flags = AD__REDUCES,
	.infer = max_infer,
	.vjp = max_vjp,
	.eval = max_batch_eval,
	.combine = max_join,
	.flops = flops };

/* x without axes that have extent 1 each. */
static ad_var without(ad_var x, unsigned axes)
{
	ad_shape s = { 0 };
	for (int k = 0; k < x->shape.rank; k++)
		if (!(axes >> k & 1))
			s.dim[s.rank++] = x->shape.dim[k];
	return ad_reshape(x, s);
}

/* From the last axis to the first, so that the numbers of those to come stay right, and over the
 * samples last. */
static ad_var reduce(ad_var x, unsigned axes, const ad_op *event, const ad_op *batch)
{
	int first = ad_batched(x);
	for (int k = ad_rank(x); k-- > first;) {
		ad_attr a = { .axis = k };
		for (; k >= first && (axes >> k & 1); k--) {
			a.axes |= AD_AXIS(k);
			a.axis = k;
		}
		int64_t n = 1;
		for (int i = 0; i < x->shape.rank; i++)
			n *= a.axes >> i & 1 ? x->shape.dim[i] : 1;
		if (a.axes && n == 1 && x->dtype != AD_I32)
			x = without(x, a.axes);
		else if (a.axes)
			x = ad__push(ad_tape_of(x), event, 1, &x, a);
	}
	if (first && (axes & 1))
		x = ad__push(ad_tape_of(x), batch, 1, &x, (ad_attr){ .axes = 1 });
	return x;
}

/* y, reduced from x, with extent 1 in the place of the axes. */
static ad_var keep(ad_var y, ad_var x, unsigned axes)
{
	ad_shape s = ad_shape_of(x);
	for (int k = 0; k < s.rank; k++)
		if (axes >> k & 1)
			s.dim[k] = 1;
	return ad_reshape(y, s);
}

/* Elements reduced into one, those of the batch apart. */
static double count(ad_var x, unsigned axes, bool *samples)
{
	double n = 1;
	*samples = ad_batched(x) && (axes & 1);
	for (int k = *samples; k < ad_rank(x); k++)
		if (axes >> k & 1)
			n *= (double)ad_dim(x, k);
	return n;
}

/* y / (n - less), n being the elements of x that were summed into one of y. */
static ad_var divide_by_count(ad_var y, ad_var x, unsigned axes, int less)
{
	bool samples;
	double n = count(x, axes, &samples);
	if (!samples)
		return ad_scale(y, 1 / (n - less));
	ad_var b = ad_cast(ad_batch_size(ad_tape_of(y)), ad_dtype_of(y));
	return ad_div(y, ad_shift(ad_scale(b, n), -less));
}

ad_var ad_sum(ad_var x, unsigned axes) { return reduce(x, axes, &sum_op, &sum_batch_op); }

ad_var ad_sum_keep(ad_var x, unsigned axes) { return keep(ad_sum(x, axes), x, axes); }

ad_var ad_maxof(ad_var x, unsigned axes) { return reduce(x, axes, &max_op, &max_batch_op); }

ad_var ad_maxof_keep(ad_var x, unsigned axes) { return keep(ad_maxof(x, axes), x, axes); }

ad_var ad_mean(ad_var x, unsigned axes) { return divide_by_count(ad_sum(x, axes), x, axes, 0); }

ad_var ad_mean_keep(ad_var x, unsigned axes) { return keep(ad_mean(x, axes), x, axes); }

ad_var ad_var_keep(ad_var x, unsigned axes, bool unbiased)
{
	bool samples;
	if (unbiased && count(x, axes, &samples) < 2 && !samples) {
		ad_fail(ad_tape_of(x), "ad_var_keep: the unbiased variance needs more than one element");
		return x;
	}
	ad_var d = ad_sub(x, ad_mean_keep(x, axes));
	return divide_by_count(ad_sum_keep(ad_square(d), axes), x, axes, unbiased);
}

/* By halves: the derivative needs no division, so zeros do no harm at any order. */
ad_var ad_prod(ad_var x, int axis)
{
	int k = ad__axis(x, axis, "prod");
	if (k < 0 || !ad__not_batch_axis(x, k, "prod"))
		return x;
	for (int64_t n = ad_dim(x, k); n > 1; n -= n / 2) {
		int64_t h = n / 2;
		ad_var y = ad_mul(ad_slice(x, k, 0, h), ad_slice(x, k, h, 2 * h));
		x = n % 2 ? ad_concat(k, 2, (ad_var[]){ y, ad_slice(x, k, 2 * h, n) }) : y;
	}
	return ad_squeeze(x, k);
}

/* s sqrt(sum (x / s)^2) does not depend on s, which only keeps squares in range; the derivative at
 * 0 is 0. */
ad_var ad_norm(ad_var x, unsigned axes)
{
	ad_var m = ad_stop(ad_maxof_keep(ad_abs(x), axes));
	ad_var zero = ad_eq(m, ad_full_like(m, 0));
	ad_var s = ad_add(m, zero);
	ad_var sum = ad_sum_keep(ad_square(ad_div(x, s)), axes);
	ad_var y = ad_mul(s, ad_where(zero, ad_full_like(sum, 0), ad_sqrt(ad_add(sum, zero))));
	return ad_sum(y, axes);
}
