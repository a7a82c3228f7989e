/* residual_logdet.c - log|det(I + J)|: exactly, by a series of traces, and by probes. */
#include "residual_private.h"

#include <math.h>

ad_var flow__pull(ad_var g, ad_var x, ad_var v)
{
	ad_var d;
	ad_vjp(1, &g, &v, 1, &x, &d);
	return d;
}

ad_var flow__inner(ad_var a, ad_var b)
{
	return ad_sum(ad_mul(a, b), AD_EVENT);
}

/* [B, D, D], rows e_i^T J. */
static ad_var jacobian(ad_var g, ad_var x)
{
	int64_t n = ad_dim(x, 1);
	ad_var row[n], eye = ad_diag(ad_full(ad_tape_of(g), AD_SHAPE(n), 1));
	for (int64_t i = 0; i < n; i++) {
		ad_var e = ad_reshape(ad_slice(eye, 0, i, i + 1), AD_SHAPE(1, n));
		row[i] = flow__pull(g, x, ad_broadcast(e, ad_shape_of(g)));
	}
	return ad_stack(1, (int)n, row);
}

static ad_var entry(ad_var j, int64_t r, int64_t c)
{
	return ad_reshape(ad_slice(ad_slice(j, 1, r, r + 1), 2, c, c + 1), AD_SHAPE(AD_BATCH));
}

/* Small determinants in closed form: they are positive, as g contracts. */
ad_var flow__logdet_exact(ad_var g, ad_var x)
{
	ad_var j = jacobian(g, x);
	int64_t n = ad_dim(x, 1);
	if (n == 1)
		return ad_log1p(entry(j, 0, 0));
	if (n == 2) {
		ad_var a = entry(j, 0, 0), d = entry(j, 1, 1);
		/* (1 + a)(1 + d) - bc - 1 */
		ad_var more = ad_sub(ad_add(ad_add(a, d), ad_mul(a, d)), ad_mul(entry(j, 0, 1), entry(j, 1, 0)));
		return ad_log1p(more);
	}
	return ad_logabsdet(ad_add(j, ad_diag(ad_full(ad_tape_of(j), AD_SHAPE(n), 1))));
}

ad_var flow__logdet_traces(ad_var g, ad_var x, int terms)
{
	ad_var j = jacobian(g, x), power = j, sum = NULL;
	for (int k = 1; k <= terms; k++) {
		ad_var t = ad_scale(ad_sum(ad_diagonal(power), AD_EVENT), (k % 2 ? 1.0 : -1.0) / k);
		sum = sum ? ad_add(sum, t) : t;
		if (k < terms)
			power = ad_matmul(power, j, false, false);
	}
	return sum;
}

ad_var flow_logdet_basic(ad_var g, ad_var x, ad_var e, int n, const ad_var c[])
{
	ad_var v = e, sum = ad_full(ad_tape_of(g), AD_SHAPE(AD_BATCH), 0);
	for (int k = 1; k <= n; k++) {
		v = flow__pull(g, x, v);
		sum = ad_add(sum, ad_scale(ad_mul(flow__inner(v, e), c[k - 1]), (k % 2 ? 1.0 : -1.0) / k));
	}
	return sum;
}

ad_var flow_logdet_neumann(ad_var g, ad_var x, ad_var e, int n, const double c[])
{
	ad_tape *t = ad_tape_of(g);
	ad_fn *f = ad_fn_begin(t);
	ad_var v = ad_fn_arg(f, ad_dtype_of(e), ad_shape_of(e)), d = flow__pull(g, x, v), s, unused;
	ad_fn_end(f, 1, &d);
	double a[n + 1], b[n + 1];
	for (int k = 0; k <= n; k++) {
		a[k] = k ? (k % 2 ? -c[k - 1] : c[k - 1]) : 1;
		b[k] = 0;
	}
	ad_power_series(f, e, ad_const(t, n), n + 1, a, b, &s, &unused);
	return flow__inner(flow__pull(g, x, ad_stop(s)), e);
}

/* --- How many terms --------------------------------------------------------------------------------------------------
 */

enum { LONGEST = 4096 };

flow__tail flow__tail_new(flow_mem *m, flow_tail kind, double rate)
{
	flow__tail t = { 0, flow_alloc(m, LONGEST * sizeof(double)) };
	double left = 1;
	for (int j = 1; kind != FLOW_TAIL_NONE && j <= LONGEST; j++) {
		if (kind == FLOW_TAIL_GEOMETRIC) {
			left = j == 1 ? 1 : left * (1 - rate);
		} else {
			left = 0; /* summed from small to large */
			for (int i = j + 400; i >= j; i--)
				left += exp(-rate + i * log(rate) - lgamma(i + 1.0));
		}
		if (left < 0x1p-54) /* noise is larger */
			break;
		t.survival[t.n++] = left;
	}
	return t;
}

ad_var flow__terms(nn c, int terms, const flow__tail *tail)
{
	if (!tail->n)
		return ad_const(c.tape, terms);
	double edge[tail->n];
	for (int j = 0; j < tail->n; j++)
		edge[j] = -tail->survival[j];
	ad_var u = ad_uniform(c.tape, AD_SCALAR, nn_stream(c, "number of terms"));
	ad_var n = ad_searchsorted(ad_array(c.tape, AD_SHAPE(tail->n), edge), ad_neg(u));
	return ad_shift(ad_cast(n, ad_real(c.tape)), terms);
}

double *flow__coefficients(flow_mem *m, int terms, const flow__tail *tail)
{
	double *c = flow_alloc(m, (size_t)(terms + tail->n + 1) * sizeof *c);
	for (int k = 0; k <= terms + tail->n; k++)
		c[k] = k <= terms ? 1 : 1 / tail->survival[k - terms - 1];
	return c;
}

double flow_residual_bias(double lipschitz, int64_t dim, int terms)
{
	return (double)dim * pow(lipschitz, terms + 1) / ((terms + 1) * (1 - lipschitz));
}
