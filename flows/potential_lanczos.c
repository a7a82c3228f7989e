/* potential_lanczos.c - stochastic log-determinant of a Hessian: conjugate gradients give the solution of H u = v, and, in their
 * coefficients, Lanczos's tridiagonal matrix (Golub & Meurant; Huang et al. 2021, section 3.2). */
#include "potential_private.h"

#include <math.h>

/* --- e_1^T log(T) e_1 of the tridiagonal matrix of conjugate gradients ------------------------------------------ */

/* Eigenvalues of the symmetric tridiagonal matrix d, e by implicit QL, and the first row of its eigenvectors in z. */
static void eigen(int n, double *d, double *e, double *z)
{
	for (int i = 0; i < n; i++)
		z[i] = i == 0;
	e[n - 1] = 0;
	for (int l = 0; l < n; l++)
		for (int turn = 0; turn < 60; turn++) {
			int m = l;
			while (m < n - 1 && fabs(e[m]) > 1e-16 * (fabs(d[m]) + fabs(d[m + 1])))
				m++;
			if (m == l)
				break;
			double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1), s = 1, c = 1, p = 0;
			g = d[m] - d[l] + e[l] / (g + copysign(r, g));
			int i = m - 1;
			for (; i >= l; i--) {
				double f = s * e[i], b = c * e[i];
				r = hypot(f, g);
				e[i + 1] = r;
				if (r == 0) {
					d[i + 1] -= p;
					e[m] = 0;
					break;
				}
				s = f / r;
				c = g / r;
				g = d[i + 1] - p;
				r = (d[i] - g) * s + 2 * c * b;
				p = s * r;
				d[i + 1] = g + p;
				g = c * r - b;
				f = z[i + 1];
				z[i + 1] = s * z[i] + c * f;
				z[i] = c * z[i] - s * f;
			}
			if (r == 0 && i >= l)
				continue;
			d[l] -= p;
			e[l] = g;
			e[m] = 0;
		}
}

static ad_shape scalar_shape(int nin, const ad_var in[], const void *user)
{
	(void)nin, (void)in, (void)user;
	return AD_SHAPE(AD_BATCH);
}

static double at(ad_view v, int64_t i)
{
	return v.dtype == AD_F32 ? (double)((const float *)v.data)[i] : ((const double *)v.data)[i];
}

/* in: step lengths and ratios of successive residuals, [B, K] each */
static void log_eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	(void)nin, (void)user;
	int n = (int)in[0].numel;
	for (int64_t b = 0; b < out.width; b++) {
		double d[FLOW__LANCZOS], e[FLOW__LANCZOS], z[FLOW__LANCZOS], sum = 0, before = 0;
		for (int k = 0; k < n; k++) {
			double a = at(in[0], k * out.width + b), r = at(in[1], k * out.width + b);
			d[k] = 1 / a + before;
			e[k] = sqrt(r) / a;
			before = r / a;
		}
		eigen(n, d, e, z);
		for (int k = 0; k < n; k++)
			sum += z[k] * z[k] * log(fmax(d[k], 1e-300));
		if (out.dtype == AD_F32)
			((float *)out.data)[b] = (float)sum;
		else
			((double *)out.data)[b] = sum;
	}
}

static const ad_custom log_op = { .name = "log of a tridiagonal matrix", .shape = scalar_shape, .eval = log_eval };

/* --- A value with the gradient of another expression -------------------------------------------------------------- */

static void first_eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	(void)nin, (void)user;
	for (int64_t i = 0; i < out.numel * out.width; i++)
		if (out.dtype == AD_F32)
			((float *)out.data)[i] = ((const float *)in[0].data)[i];
		else
			((double *)out.data)[i] = ((const double *)in[0].data)[i];
}

/* Without a rule: what depends on in[1] cannot be differentiated again. */
static const ad_custom once_op = { .name = "second derivative of a stochastic log-determinant",
				   .shape = scalar_shape,
				   .eval = first_eval };

static void surrogate_vjp(ad_var r, ad_var g, int nin, const ad_var in[], ad_var gin[], const void *user)
{
	(void)r, (void)nin, (void)user;
	gin[1] = ad_call(&once_op, 2, (ad_var[]){ g, in[1] }, NULL);
}

static const ad_custom surrogate_op = { .name = "stochastic log-determinant",
					.shape = scalar_shape,
					.eval = first_eval,
					.vjp = surrogate_vjp };

/* --- Conjugate gradients ------------------------------------------------------------------------------------------------ */

static ad_var dot(ad_var a, ad_var b)
{
	return ad_sum_keep(ad_mul(a, b), AD_AXIS(1));
}

static ad_var times_hessian(const flow__potential *p, nn c, ad_var x, ad_var cond, ad_var v)
{
	ad_var g = flow__potential_gradient(p, c, x, cond), h;
	ad_jvp(1, &g, 1, &x, &v, &h);
	return h;
}

/* The state [u | r | p | lengths | ratios | k] after one more step; once the residual is rounding nothing moves, and the rest
 * of the tridiagonal matrix is the identity. */
static ad_var step(const flow__potential *o, nn c, ad_var x, ad_var cond, ad_var state, double tiny)
{
	int64_t n = o->dim, K = o->o.steps;
	ad_var u = ad_slice(state, 1, 0, n), r = ad_slice(state, 1, n, 2 * n), p = ad_slice(state, 1, 2 * n, 3 * n);
	ad_var length = ad_slice(state, 1, 3 * n, 3 * n + K), ratio = ad_slice(state, 1, 3 * n + K, 3 * n + 2 * K);
	ad_var k = ad_slice(state, 1, 3 * n + 2 * K, 3 * n + 2 * K + 1);
	ad_var hp = times_hessian(o, c, x, cond, p), rr = dot(r, r), php = dot(p, hp);
	ad_var going = ad_above(rr, tiny * (double)n), one = ad_full_like(rr, 1);
	ad_var a = ad_div(ad_where(going, rr, one), ad_where(going, php, one));
	ad_var step_length = ad_mul(going, a), next = ad_sub(r, ad_mul(step_length, hp));
	ad_var b = ad_mul(going, ad_div(dot(next, next), ad_where(going, rr, one)));
	ad_var here = ad_eq(ad_iota(c.tape, K), k);
	ad_var part[] = { ad_add(u, ad_mul(step_length, p)),
			  next,
			  ad_add(next, ad_mul(b, p)),
			  ad_where(here, ad_add(ad_full_like(length, 0), a), length),
			  ad_where(here, ad_add(ad_full_like(ratio, 0), b), ratio),
			  ad_shift(k, 1) };
	return ad_concat(1, 6, part);
}

ad_var flow__potential_logdet(const flow__potential *p, nn c, ad_var x, ad_var cond)
{
	int64_t n = p->dim, K = p->o.steps;
	double tiny = ad_dtype_of(x) == AD_F32 ? 1e-12 : 1e-26;
	ad_var sum = NULL;
	for (int i = 0; i < p->o.probes; i++) {
		char purpose[32];
		snprintf(purpose, sizeof purpose, "probe %d", i);
		ad_var v = ad_rademacher(c.tape, AD_SHAPE(AD_BATCH, n), nn_stream(c, purpose));
		ad_var start[] = { ad_full_like(v, 0), v, v, ad_full(c.tape, AD_SHAPE(AD_BATCH, K), 1),
				   ad_full(c.tape, AD_SHAPE(AD_BATCH, K + 1), 0) };
		ad_fn *f = ad_fn_begin(c.tape);
		ad_shape s = AD_SHAPE(AD_BATCH, 3 * n + 2 * K + 1);
		ad_var state = ad_fn_arg(f, ad_dtype_of(x), s);
		ad_var next = step(p, nn_on(c, ad_fn_tape(f)), ad_stop(x), cond, state, tiny);
		ad_fn_end(f, 1, &next);
		ad_var end = ad_stop(ad_fixpoint(f, ad_concat(1, 5, start), 0, (int)K, true));
		ad_var coefficients[] = { ad_slice(end, 1, 3 * n, 3 * n + K), ad_slice(end, 1, 3 * n + K, 3 * n + 2 * K) };
		ad_var value = ad_scale(ad_call(&log_op, 2, coefficients, NULL), (double)n);
		ad_var pull = ad_sum(ad_mul(ad_slice(end, 1, 0, n), times_hessian(p, c, x, cond, v)), AD_EVENT);
		ad_var one = ad_call(&surrogate_op, 2, (ad_var[]){ value, pull }, NULL);
		sum = sum ? ad_add(sum, one) : one;
	}
	return ad_scale(sum, 1 / (double)p->o.probes);
}
