/* ode_grid.c - grids of fixed steps. */
#include "ode.h"

#include <math.h>

bool ad__known(ad_var t, double *v)
{
	while (t->op == &ad__op_capture || t->op == &ad__op_alias)
		t = t->op == &ad__op_capture ? (ad_var)t->attr.data : t->in[0];
	*v = t->attr.a;
	return t->op == &ad__op_full && t->shape.rank == 0;
}

static ad_var as_real(ad_var x, ad_dtype d)
{
	return x->dtype == d ? x : ad_cast(x, d);
}

static ad__grid known_grid(const ad__problem *p, double t0, double t1)
{
	double span = t1 - t0, size = p->o.steps ? span / p->o.steps : copysign(p->o.step_size, span);
	int64_t n = p->o.steps ? p->o.steps : (int64_t)fmax(ceil(fabs(span) / p->o.step_size + 1) - 1, 1);
	ad_tape *t = ad_root(p->F->tape);
	if (n > 100000000) {
		ad_fail(t, "ad_ode: %.3g steps", (double)n);
		n = 1;
	}
	double *v = ad__alloc(t, (size_t)(2 * n) * sizeof *v);
	for (int64_t k = 0; k < n; k++) {
		double end = k == n - 1	  ? t1
			     : p->o.steps ? t0 + span * (double)(k + 1) / (double)n
					  : t0 + (double)(k + 1) * size;
		v[2 * k] = p->o.steps ? t0 + span * (double)k / (double)n : t0 + (double)k * size;
		v[2 * k + 1] = end - v[2 * k];
	}
	return (ad__grid){ as_real(ad_array(t, AD_SHAPE(n, 2), v), p->d), NULL, n };
}

/* Columns [B, 1] of times, or rank 0. */
static ad_var upright(ad_var t)
{
	return ad_batched(t) ? ad_reshape(t, AD_SHAPE(AD_BATCH, 1)) : t;
}

ad__grid ad__fixed_grid(const ad__problem *p, ad_var t0, ad_var t1)
{
	double a, b;
	if (ad__known(t0, &a) && ad__known(t1, &b))
		return known_grid(p, a, b);
	int64_t n = p->o.steps ? p->o.steps : p->o.max_steps;
	ad_var k = as_real(ad_iota(ad_root(p->F->tape), n), p->d), from, size, count = NULL;
	if (ad_batched(t0) != ad_batched(t1)) {
		t0 = ad_broadcast(t0, AD_SHAPE(AD_BATCH));
		t1 = ad_broadcast(t1, AD_SHAPE(AD_BATCH));
	}
	ad_var start = upright(t0), end = upright(t1), span = ad_sub(end, start);
	if (p->o.steps) {
		from = ad_add(start, ad_mul(span, ad_scale(k, 1 / (double)n)));
		size = ad_add(ad_scale(span, 1 / (double)n), ad_scale(k, 0));
	} else {
		ad_var number = ad_stop(
			ad_shift(ad_ceil(ad_shift(ad_div(ad_abs(span), ad_full_like(span, p->o.step_size)), 1)), -1));
		ad_var h = ad_stop(ad_scale(ad_sign(span), p->o.step_size)), next = ad_shift(k, 1);
		from = ad_where(ad_lt(k, number), ad_add(start, ad_mul(h, k)), end);
		size = ad_sub(ad_where(ad_lt(next, number), ad_add(start, ad_mul(h, next)), end), from);
		count = ad_batched(number) ? ad_reshape(number, AD_SHAPE(AD_BATCH)) : number;
	}
	ad_var column[2] = { ad_expand(from, ad_rank(from)), ad_expand(size, ad_rank(size)) };
	return (ad__grid){ ad_concat(ad_rank(from), 2, column), count, n };
}

ad_var ad__step_of(ad__grid g, ad_var t0, ad_var end, ad_var time)
{
	bool b = ad_batched(g.v);
	ad_var start = ad_reshape(ad__cut(g.v, 0, 1), b ? AD_SHAPE(AD_BATCH, g.n) : AD_SHAPE(g.n)), ends[2];
	ends[0] = g.n > 1 ? ad_slice(start, b, 1, g.n) : NULL;
	ends[1] = ad_reshape(b ? ad_broadcast(end, AD_SHAPE(AD_BATCH)) : end, b ? AD_SHAPE(AD_BATCH, 1) : AD_SHAPE(1));
	ad_var last = g.n > 1 ? ad_concat(b, 2, ends) : ends[1], dir = upright(ad_sign(ad_sub(end, t0)));
	return ad_stop(ad_sum(ad_lt(ad_mul(dir, last), ad_mul(dir, upright(time))), b ? AD_EVENT : AD_ALL));
}
