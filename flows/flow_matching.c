/* flow_matching.c - probability paths, and training a field without solving it (Lipman et al. 2023; Tong et al. 2024).
 */
#include "flows/cnf.h"

#include <math.h>
#include <stdlib.h>

static flow_scheduled power(flow_schedule s, ad_var t)
{
	double n = s.n > 0 ? s.n : 1;
	ad_var a = n == 1 ? t : ad_powc(t, n), d = n == 1 ? ad_full_like(t, 1) : ad_scale(ad_powc(t, n - 1), n);
	return (flow_scheduled){ a, ad_shift(ad_neg(a), 1), d, ad_neg(d) };
}

static flow_scheduled straight(flow_schedule s, ad_var t)
{
	s.n = 1;
	return power(s, t);
}

static flow_scheduled preserving(flow_schedule s, ad_var t)
{
	double b0 = s.beta0 > 0 ? s.beta0 : 0.1, b1 = s.beta1 > 0 ? s.beta1 : 20;
	ad_var u = ad_shift(ad_neg(t), 1), T = ad_add(ad_scale(ad_square(u), (b1 - b0) / 2), ad_scale(u, b0));
	ad_var dT = ad_shift(ad_scale(u, -(b1 - b0)), -b0), e = ad_exp(ad_neg(T));
	flow_scheduled r = { ad_exp(ad_scale(T, -0.5)), ad_sqrt(ad_neg(ad_expm1(ad_neg(T)))), NULL, NULL };
	r.d_alpha = ad_scale(ad_mul(dT, r.alpha), -0.5);
	r.d_sigma = ad_div(ad_scale(ad_mul(dT, e), 0.5), r.sigma);
	return r;
}

static flow_scheduled linear_preserving(flow_schedule s, ad_var t)
{
	ad_var sigma = ad_sqrt(ad_one_minus_square(t));
	(void)s;
	return (flow_scheduled){ t, sigma, ad_full_like(t, 1), ad_neg(ad_div(t, sigma)) };
}

static flow_scheduled cosine(flow_schedule s, ad_var t)
{
	const double half = 1.57079632679489661923;
	ad_var a = ad_sin(ad_scale(t, half)), b = ad_cos(ad_scale(t, half));
	(void)s;
	return (flow_scheduled){ a, b, ad_scale(b, half), ad_scale(a, -half) };
}

flow_scheduled flow_schedule_at(flow_schedule s, ad_var t)
{
	static flow_scheduled (*const kinds[])(flow_schedule, ad_var) = { [FLOW_PATH_OT] = straight,
									  [FLOW_PATH_POLYNOMIAL] = power,
									  [FLOW_PATH_VP] = preserving,
									  [FLOW_PATH_LINEAR_VP] = linear_preserving,
									  [FLOW_PATH_COSINE] = cosine };
	return kinds[s.kind](s, t);
}

/* [B] as [B, 1], .. beside x. */
static ad_var beside(ad_var v, ad_var x)
{
	for (int k = ad_rank(v); ad_batched(v) && k < ad_rank(x); k++)
		v = ad_expand(v, k);
	return v;
}

ad_var flow_schedule_mix(ad_var alpha, ad_var sigma, ad_var x1, ad_var x0)
{
	return ad_add(ad_mul(beside(alpha, x1), x1), ad_mul(beside(sigma, x0), x0));
}

ad_var flow_schedule_convert(flow_scheduled s, flow_quantity from, flow_quantity to, ad_var x_t, ad_var p)
{
	ad_var a = beside(s.alpha, x_t), b = beside(s.sigma, x_t), da = beside(s.d_alpha, x_t),
	       db = beside(s.d_sigma, x_t);
	ad_var w = ad_sub(ad_mul(da, b), ad_mul(db, a));
	/* Each is a combination (u x_t + v p) / n. */
	ad_var zero = ad_full_like(a, 0), one = ad_full_like(a, 1), u = zero, v = one, n = one;
	if (from == FLOW_IS_DATA && to == FLOW_IS_VELOCITY)
		u = db, v = w, n = b;
	else if (from == FLOW_IS_NOISE && to == FLOW_IS_VELOCITY)
		u = da, v = ad_neg(w), n = a;
	else if (from == FLOW_IS_VELOCITY && to == FLOW_IS_DATA)
		u = ad_neg(db), v = b, n = w;
	else if (from == FLOW_IS_NOISE && to == FLOW_IS_DATA)
		u = one, v = ad_neg(b), n = a;
	else if (from == FLOW_IS_VELOCITY && to == FLOW_IS_NOISE)
		u = da, v = ad_neg(a), n = w;
	else if (from == FLOW_IS_DATA && to == FLOW_IS_NOISE)
		u = one, v = ad_neg(a), n = b;
	return ad_div(ad_add(ad_mul(u, x_t), ad_mul(v, p)), n);
}

static ad_var as_real(ad_var x, ad_dtype d)
{
	return ad_dtype_of(x) == d ? x : ad_cast(x, d);
}

ad_var flow_matching_loss(const flow *f, nn c, flow_schedule s, ad_var x1, ad_var x0, ad_var cond)
{
	if (!flow__is_cnf(f)) {
		ad_fail(c.tape, "flow_matching_loss: %s is no continuous flow, in \"%s\"", f->kind, c.path);
		return ad_const(c.tape, 0);
	}
	const flow__cnf *k = (const flow__cnf *)f;
	ad_dtype d = ad_dtype_of(x1);
	ad_var T = as_real(flow__end_time(c, &k->o), d);
	ad_var t = as_real(ad_uniform(c.tape, AD_SHAPE(AD_BATCH), nn_stream(c, "matching time")), d);
	if (!x0)
		x0 = as_real(ad_normal(c.tape, ad_shape_of(x1), nn_stream(c, "matching noise")), d);
	flow_scheduled at = flow_schedule_at(s, t);
	ad_var x = flow_schedule_mix(at.alpha, at.sigma, x1, x0),
	       velocity = flow_schedule_mix(at.d_alpha, at.d_sigma, x1, x0);
	/* s = T (1 - t): dx/ds = - velocity / T. */
	ad_var slope = k->field.slope(&k->field, c, ad_mul(T, ad_shift(ad_neg(t), 1)), x, cond, false).x;
	return ad_mean(ad_square(ad_add(ad_mul(T, slope), velocity)), AD_ALL);
}

/* Shortest augmenting paths with potentials (Jonker and Volgenant 1987). */
static void assign(int64_t n, const double *cost, double *u, double *v, double *least, int64_t *row_of, int64_t *way,
		   char *used)
{
	for (int64_t i = 1; i <= n; i++) {
		int64_t j = 0;
		row_of[0] = i;
		for (int64_t k = 0; k <= n; k++) {
			least[k] = INFINITY;
			used[k] = 0;
		}
		do {
			int64_t i0 = row_of[j], next = 0;
			double delta = INFINITY;
			used[j] = 1;
			for (int64_t k = 1; k <= n; k++) {
				if (used[k])
					continue;
				double c = cost[(i0 - 1) * n + k - 1] - u[i0] - v[k];
				if (c < least[k]) {
					least[k] = c;
					way[k] = j;
				}
				if (least[k] < delta) {
					delta = least[k];
					next = k;
				}
			}
			for (int64_t k = 0; k <= n; k++)
				if (used[k]) {
					u[row_of[k]] += delta;
					v[k] -= delta;
				} else {
					least[k] -= delta;
				}
			j = next;
		} while (row_of[j]);
		for (int64_t k; j; j = k) {
			k = way[j];
			row_of[j] = row_of[k];
		}
	}
}

int flow_transport(int64_t n, int64_t d, const double *x1, const double *x0, int64_t *to)
{
	if (n < 1 || d < 1 || n > 20000)
		return n == 0 ? 0 : -1;
	size_t m = (size_t)n + 1;
	double *cost = malloc((size_t)(n * n) * sizeof *cost), *real = calloc(3 * m, sizeof *real);
	int64_t *index = calloc(2 * m, sizeof *index);
	char *used = calloc(m, 1);
	bool ok = cost && real && index && used;
	for (int64_t i = 0; i < n && ok; i++)
		for (int64_t j = 0; j < n && ok; j++) {
			double sum = 0;
			for (int64_t k = 0; k < d; k++) {
				double e = x1[i * d + k] - x0[j * d + k];
				sum += e * e;
			}
			cost[i * n + j] = sum;
			ok = isfinite(sum);
		}
	if (ok) {
		assign(n, cost, real, real + m, real + 2 * m, index, index + m, used);
		for (int64_t j = 1; j <= n; j++)
			to[index[j] - 1] = j - 1;
	}
	free(cost);
	free(real);
	free(index);
	free(used);
	return ok ? 0 : -1;
}
