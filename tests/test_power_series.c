/* test_power_series.c - sums over powers of a map against a loop; values with the derivative of something else. */
#include "program.h"

enum { N = 37, D = 3, TERMS = 9 };

static const double a[TERMS] = { 1, -0.5, 0.25, 2, -1, 0.3, 0.7, -0.2, 0.1 };
static const double b[TERMS] = { 0.2, 1, -1, 0.5, 0.4, -0.3, 0.25, 0.6, -0.9 };

/* v -> (v M) * tanh(h), with h captured: a product that depends on no argument is made outside. */
static void series(program *g, ad_var v, ad_var m, ad_var h, ad_var terms, ad_var *sum, ad_var *dot)
{
	ad_fn *f = ad_fn_begin(g->t);
	ad_var x = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, D));
	ad_var y = ad_mul(ad_matmul(x, m, false, false), ad_tanh(ad_square(h)));
	ad_fn_end(f, 1, &y);
	ad_power_series(f, v, terms, TERMS, a, b, sum, dot);
}

static void expected(const double *v, const double *m, const double *h, int n, double sum[D], double *dot)
{
	double p[D], q[D];
	memcpy(p, v, sizeof p);
	*dot = 0;
	memset(sum, 0, D * sizeof *sum);
	for (int k = 0; k <= n; k++) {
		for (int i = 0; i < D; i++) {
			sum[i] += a[k] * p[i];
			*dot += b[k] * p[i] * v[i];
		}
		for (int j = 0; j < D; j++) {
			q[j] = 0;
			for (int i = 0; i < D; i++)
				q[j] += p[i] * m[i * D + j];
			q[j] *= tanh(h[j] * h[j]);
		}
		memcpy(p, q, sizeof p);
	}
}

static void sums(void **state)
{
	(void)state;
	double *v = numbers(N * D, -1, 1, 1), *m = numbers(D * D, -1, 1, 2), *h = numbers(N * D, -2, 2, 3);
	size_t arena = 0;
	for (int n = 0; n < TERMS + 3; n++) {
		double terms = n;
		program g = program_on(AD_F64, N);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, D), v),
		       w = program_in(&g, AD_F64, AD_SHAPE(D, D), m);
		ad_var k = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, D), h),
		       t = program_in(&g, AD_F64, AD_SCALAR, &terms), s, d;
		series(&g, x, w, k, t, &s, &d);
		program_out(&g, s);
		program_out(&g, d);
		program_run(&g, (ad_options){ .threads = n % 2 + 1, .tile = 16, .no_fusion = n % 3 == 0 });
		for (int i = 0; i < N; i++) {
			double want[D], dot;
			expected(v + i * D, m, h + i * D, n < TERMS ? n : TERMS - 1, want, &dot);
			for (int j = 0; j < D; j++)
				assert_true(fabs(program_f64(&g, 0)[i * D + j] - want[j]) <= 1e-13);
			assert_true(fabs(program_f64(&g, 1)[i] - dot) <= 1e-13);
		}
		if (n % 3)
			arena = arena ? arena : ad_prog_summary(g.p).tile_arena;
		if (n % 3)
			assert_int_equal(ad_prog_summary(g.p).tile_arena, arena);
		program_free(&g);
	}
	free(v), free(m), free(h);
}

static void refusals(void **state)
{
	(void)state;
	double v[D] = { 1, 2, 3 }, m[D * D] = { 0 }, bad = -1;
	for (int k = 0; k < 2; k++) {
		program g = program_on(AD_F64, 1);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, D), v),
		       w = program_in(&g, AD_F64, AD_SHAPE(D, D), m);
		ad_var t = program_in(&g, AD_F64, AD_SCALAR, &bad), s, d;
		series(&g, x, w, x, t, &s, &d);
		program_out(&g, s);
		if (k) {
			ad_grad(d, x);
			assert_non_null(strstr(ad_error(g.t), "no derivative rule"));
		} else {
			assert_int_equal(program_try(&g, (ad_options){ 0 }), -1);
			assert_non_null(strstr(ad_run_error(g.p), "-1 terms"));
		}
		program_free(&g);
	}
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), s, d;
	ad_fn *f = ad_fn_begin(t);
	ad_var arg = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, D)), y = ad_sum(arg, AD_EVENT);
	ad_fn_end(f, 1, &y);
	ad_power_series(f, x, ad_const(t, 1), TERMS, a, b, &s, &d);
	assert_non_null(strstr(ad_error(t), "ad_power_series: takes"));
	ad_tape_free(t);
}

/* Value sin(x) w, derivative of x^3 w + w^2 (a captured w). */
static ad_var surrogate(ad_var x, ad_var w)
{
	ad_tape *t = ad_tape_of(x);
	ad_fn *f = ad_fn_begin(t);
	ad_var arg = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, D));
	ad_var body[2] = { ad_add(ad_mul(ad_cube(arg), w), ad_square(w)), ad_square(arg) }, out[2];
	ad_fn_end(f, 2, body);
	ad_surrogate(f, &x, (const ad_var[]){ ad_mul(ad_sin(x), w), ad_full_like(x, 7) }, out);
	return ad_add(out[0], out[1]);
}

static void surrogates(void **state)
{
	(void)state;
	double *x0 = numbers(N * D, -1, 1, 1), *w0 = numbers(D, -1, 1, 2), *v0 = numbers(N * D, -1, 1, 3);
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, D), x0), w = program_in(&g, AD_F64, AD_SHAPE(D), w0);
	ad_var v = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, D), v0), y = surrogate(x, w), d;
	ad_jvp(1, &y, 1, &x, &v, &d);
	program_out(&g, y);
	program_out(&g, ad_grad(y, x));
	program_out(&g, ad_grad(y, w));
	program_out(&g, d);
	program_run(&g, (ad_options){ .threads = 2, .tile = 16 });
	double gw[D] = { 0 };
	for (int i = 0; i < N * D; i++) {
		double xi = x0[i], wi = w0[i % D], slope = 3 * xi * xi * wi + 2 * xi;
		assert_true(fabs(program_f64(&g, 0)[i] - (sin(xi) * wi + 7)) < 1e-14);
		assert_true(fabs(program_f64(&g, 1)[i] - slope) < 1e-14);
		assert_true(fabs(program_f64(&g, 3)[i] - slope * v0[i]) < 1e-14);
		gw[i % D] += xi * xi * xi + 2 * wi;
	}
	for (int i = 0; i < D; i++)
		assert_true(fabs(program_f64(&g, 2)[i] - gw[i]) < 1e-12);
	program_free(&g);
	free(x0), free(w0), free(v0);
}

/* A second derivative is an error, in whichever mode it is taken, and also by a variable that only the body captures.
 */
static void no_second_derivative(void **state)
{
	(void)state;
	for (int k = 0; k < 5; k++) {
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), w = ad_input(t, AD_F64, AD_SHAPE(D), "w");
		ad_var y = surrogate(x, w), v = ad_full_like(x, 1), d, second;
		if (k < 2)
			ad_grad(ad_grad(y, k ? w : x), k ? x : w);
		else if (k == 2) {
			d = ad_grad(y, x);
			ad_jvp(1, &d, 1, &x, &v, &second);
		} else {
			ad_jvp(1, &y, 1, &x, &v, &d);
			ad_grad(d, k == 3 ? x : w);
		}
		assert_non_null(ad_error(t));
		assert_non_null(strstr(ad_error(t), "it has no derivative itself"));
		ad_tape_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sums), cmocka_unit_test(refusals),
					    cmocka_unit_test(surrogates), cmocka_unit_test(no_second_derivative) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
