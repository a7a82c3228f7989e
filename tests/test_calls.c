/* test_calls.c - call ops on traced functions: fixed point and bisection, with derivatives of orders 1 and 2 in both
 * modes, in batches, sample by sample. */
#include "program.h"

#define N 37

/* Numeric gradient and Hessian column of scalar output 0 against traced ones: outputs 1 (gradient by input j), 2
 * (gradient of <v, gradient>), 3 (forward derivative along v). */
static void scalar_law(program *g, int j, double *x, int64_t n, const double *v, double tolerance)
{
	double h = 1e-4, *first = malloc((size_t)n * 8), *second = malloc((size_t)n * 8), along = 0, want = 0;
	if (ad_run(g->p, 0))
		fail_msg("%s", ad_run_error(g->p));
	memcpy(first, program_f64(g, 1), (size_t)n * 8);
	memcpy(second, program_f64(g, 2), (size_t)n * 8);
	along = program_f64(g, 3)[0];
	for (int64_t i = 0; i < n; i++) {
		double kept = x[i], value[4], slope[4];
		static const double step[4] = { 1, -1, 2, -2 };
		for (int s = 0; s < 4; s++) {
			x[i] = kept + step[s] * h;
			if (ad_run(g->p, 0))
				fail_msg("%s", ad_run_error(g->p));
			value[s] = program_f64(g, 0)[0];
			slope[s] = 0;
			for (int64_t k = 0; k < n; k++)
				slope[s] += program_f64(g, 1)[k] * v[k];
		}
		x[i] = kept;
		double d1 = (8 * (value[0] - value[1]) - (value[2] - value[3])) / (12 * h);
		double d2 = (8 * (slope[0] - slope[1]) - (slope[2] - slope[3])) / (12 * h);
		if (!(fabs(d1 - first[i]) <= tolerance * fmax(1, fabs(d1))))
			fail_msg("input %d[%lld]: gradient %.12g against %.12g", j, (long long)i, first[i], d1);
		if (!(fabs(d2 - second[i]) <= 10 * tolerance * fmax(1, fabs(d2))))
			fail_msg("input %d[%lld]: second derivative %.12g against %.12g", j, (long long)i, second[i],
				 d2);
		want += first[i] * v[i];
	}
	if (!(fabs(along - want) <= 1e-10 * fmax(1, fabs(want))))
		fail_msg("input %d: forward derivative %.15g against %.15g", j, along, want);
	free(first);
	free(second);
}

/* The law for a scalar y by every input of g. */
static void check_scalar(program *g, ad_var y, double tolerance)
{
	int inputs = g->nin;
	int64_t n[8];
	double *v[8], *x[8];
	for (int j = 0; j < inputs; j++) {
		n[j] = ad_numel(ad_shape_of(g->in[j])) * (ad_batched(g->in[j]) ? g->batch : 1);
		v[j] = numbers(n[j], -1, 1, 50 + (uint64_t)j);
		x[j] = memcpy(malloc((size_t)n[j] * 8), g->data[j], (size_t)n[j] * 8);
		g->data[j] = x[j];
	}
	for (int j = 0; j < inputs; j++) {
		g->nout = 0;
		ad_var vj = program_in(g, AD_F64, ad_shape_of(g->in[j]), v[j]), along, first = ad_grad(y, g->in[j]);
		ad_jvp(1, &y, 1, &g->in[j], &vj, &along);
		program_out(g, y);
		program_out(g, first);
		program_out(g, ad_grad(ad_sum(ad_mul(first, vj), AD_ALL), g->in[j]));
		program_out(g, along);
		program_run(g, (ad_options){ .threads = 2, .tile = 16 });
		scalar_law(g, j, x[j], n[j], v[j], tolerance);
	}
	for (int j = 0; j < inputs; j++) {
		free(v[j]);
		free(x[j]);
	}
}

/* --- Fixed points ---------------------------------------------------------------- */

/* y = tanh(W y) / 2 + x, a contraction */
static ad_var contraction(ad_var x, ad_var w, double tol, int maxit)
{
	ad_tape *t = ad_tape_of(x);
	ad_fn *g = ad_fn_begin(t);
	ad_var y = ad_fn_arg(g, ad_dtype_of(x), ad_shape_of(x));
	ad_var next = ad_add(ad_scale(ad_tanh(ad_linear(y, w, NULL)), 0.5), x);
	ad_fn_end(g, 1, &next);
	return ad_fixpoint(g, ad_full_like(x, 0), tol, maxit, false);
}

static void fixpoint_values(void **state)
{
	(void)state;
	double *x0 = numbers(N * 3, -1, 1, 1), *w0 = numbers(9, -0.5, 0.5, 2), all[N * 3];
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0), w = program_in(&g, AD_F64, AD_SHAPE(3, 3), w0);
	ad_var y = contraction(x, w, 1e-14, 200);
	program_out(&g, y);
	program_out(&g, ad_sub(y, ad_add(ad_scale(ad_tanh(ad_linear(y, w, NULL)), 0.5), x)));
	program_run(&g, (ad_options){ .tile = 16, .threads = 2 });
	memcpy(all, program_f64(&g, 0), sizeof all);
	for (int i = 0; i < N * 3; i++)
		assert_true(fabs(program_f64(&g, 1)[i]) < 1e-13);
	/* Alone, a sample has the same bits. */
	ad_set_batch(g.p, 1);
	for (int i = 0; i < N; i++) {
		ad_bind(g.p, x, x0 + 3 * i);
		assert_int_equal(ad_run(g.p, 0), 0);
		assert_memory_equal(program_f64(&g, 0), all + 3 * i, 3 * sizeof *all);
	}
	program_free(&g);
	free(x0);
	free(w0);
}

static void fixpoint_derivatives(void **state)
{
	(void)state;
	double *x0 = numbers(5 * 3, -1, 1, 1), *w0 = numbers(9, -0.5, 0.5, 2);
	program g = program_on(AD_F64, 5);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0), w = program_in(&g, AD_F64, AD_SHAPE(3, 3), w0);
	check_scalar(&g, ad_sum(ad_sin(contraction(x, w, 1e-15, 400)), AD_ALL), 1e-8);
	program_free(&g);
	free(x0);
	free(w0);
}

/* Not converging is an error, said once and clearly; exact ones take as many sweeps as were promised. */
static void fixpoint_limits(void **state)
{
	(void)state;
	double *x0 = numbers(N * 3, -1, 1, 1), *w0 = numbers(9, -0.5, 0.5, 2);
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0), w = program_in(&g, AD_F64, AD_SHAPE(3, 3), w0);
	ad_set_path(g.t, "flow/7");
	program_out(&g, contraction(x, w, 1e-14, 3));
	assert_int_equal(program_try(&g, (ad_options){ .threads = 2, .tile = 16 }), -1);
	assert_non_null(strstr(ad_run_error(g.p), "fixpoint"));
	assert_non_null(strstr(ad_run_error(g.p), "flow/7"));
	program_free(&g);

	g = program_on(AD_F64, N);
	x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0);
	ad_var lower = ad_tril(program_in(&g, AD_F64, AD_SHAPE(3, 3), w0), -1);
	ad_fn *f = ad_fn_begin(g.t);
	ad_var y = ad_fn_arg(f, AD_F64, ad_shape_of(x)), next = ad_add(ad_exp(ad_linear(y, lower, NULL)), x);
	ad_fn_end(f, 1, &next);
	y = ad_fixpoint(f, ad_full_like(x, 0), 0, 3, true);
	program_out(&g, ad_sub(y, ad_add(ad_exp(ad_linear(y, lower, NULL)), x)));
	check_scalar(&g, ad_sum(ad_tanh(y), AD_ALL), 1e-8);
	program_free(&g);
	free(x0);
	free(w0);
}

/* --- Bisection ---------------------------------------------------------------- */

/* The y with a y + y^3 = x, a > 0 */
static ad_var cubic_root(ad_var x, ad_var a, double lo, double hi)
{
	ad_fn *f = ad_fn_begin(ad_tape_of(x));
	ad_var y = ad_fn_arg(f, ad_dtype_of(x), ad_shape_of(x)), value = ad_sub(ad_add(ad_mul(a, y), ad_cube(y)), x);
	ad_fn_end(f, 1, &value);
	return ad_bisect(f, ad_shape_of(x), lo, hi, 0);
}

static void bisect_values(void **state)
{
	(void)state;
	double *x0 = numbers(N * 2, -50, 50, 1), a0[2] = { 0.3, 2 }, all[N * 2];
	x0[0] = 1e12; /* far outside the bracket */
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0), a = program_in(&g, AD_F64, AD_SHAPE(2), a0);
	program_out(&g, cubic_root(x, a, -1, 1));
	program_run(&g, (ad_options){ .tile = 16, .threads = 2 });
	memcpy(all, program_f64(&g, 0), sizeof all);
	for (int i = 0; i < 2 * N; i++)
		assert_true(fabs(a0[i % 2] * all[i] + pow(all[i], 3) - x0[i]) <= 1e-14 * fmax(1, fabs(x0[i])) * 4);
	ad_set_batch(g.p, 1);
	for (int i = 0; i < N; i++) {
		ad_bind(g.p, x, x0 + 2 * i);
		assert_int_equal(ad_run(g.p, 0), 0);
		assert_memory_equal(program_f64(&g, 0), all + 2 * i, 2 * sizeof *all);
	}
	program_free(&g);
	free(x0);
}

/* In single precision too every bracket closes, whatever its ends. */
static void bisect_single(void **state)
{
	(void)state;
	double *x0 = numbers(N * 2, -20, 20, 3);
	float a0[2] = { 0.3f, 2 }, x1[N * 2];
	for (int i = 0; i < 2 * N; i++)
		x1[i] = (float)x0[i];
	for (int k = 0; k < 4; k++) {
		program g = program_on(AD_F32, N);
		ad_var x = program_in(&g, AD_F32, AD_SHAPE(AD_BATCH, 2), x1), a = program_in(&g, AD_F32, AD_SHAPE(2), a0);
		program_out(&g, cubic_root(x, a, -8 + 0.37 * k, 8 + 11.0 * k));
		program_run(&g, (ad_options){ .threads = 2 });
		const float *y = ad_result(g.p, 0);
		for (int i = 0; i < 2 * N; i++) {
			double v = (double)y[i], c = (double)a0[i % 2], slope = c + 3 * v * v, miss = c * v + v * v * v - x0[i];
			assert_true(fabs(miss) <= 1e-6 * (slope * (1 + fabs(v)) + fabs(x0[i])));
		}
		program_free(&g);
	}
	free(x0);
}

static void bisect_derivatives(void **state)
{
	(void)state;
	double *x0 = numbers(5 * 2, -5, 5, 1), a0[2] = { 0.5, 2 };
	program g = program_on(AD_F64, 5);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0), a = program_in(&g, AD_F64, AD_SHAPE(2), a0);
	check_scalar(&g, ad_sum(ad_sin(cubic_root(x, a, -1, 1)), AD_ALL), 1e-7);
	program_free(&g);
	free(x0);
}

/* --- Functions ---------------------------------------------------------------- */

/* Captured outer variables receive derivatives; a function can be inlined more than once, and inside another. */
static void capture(void **state)
{
	(void)state;
	double x0[2] = { 0.3, -1 }, a0[2] = { 2, 5 };
	program g = program_on(AD_F64, 1);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(2), x0), a = program_in(&g, AD_F64, AD_SHAPE(2), a0), once, twice;
	ad_fn *f = ad_fn_begin(g.t);
	ad_var u = ad_fn_arg(f, AD_F64, AD_SHAPE(2)), v = ad_mul(ad_sin(u), a);
	ad_fn_end(f, 1, &v);
	ad_fn_inline(f, &x, &once);
	ad_fn_inline(f, &once, &twice);
	check_scalar(&g, ad_sum(ad_mul(twice, once), AD_ALL), 1e-8);
	program_free(&g);
}

/* exp(a) is traced outside the function, since it needs no argument; derivatives by a must find it there. */
static ad_var inner_derivative(ad_var u, ad_var a)
{
	ad_var s = ad_logsumexp(ad_mul(u, ad_exp(a)), 1), ga = ad_grad(s, a), one = ad_full_like(u, 1), ds, da;
	ad_jvp(1, &s, 1, &u, &one, &ds);
	ad_jvp(1, &s, 1, &a, &a, &da);
	return ad_add(ad_mul(ds, da), ad_sum(ad_mul(ga, a), AD_ALL));
}

static void derivatives_inside(void **state)
{
	(void)state;
	double *x0 = numbers(2 * 3, -1, 1, 1), a0[3] = { 0.5, -0.3, 0.8 };
	program g = program_on(AD_F64, 1);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(2, 3), x0), a = program_in(&g, AD_F64, AD_SHAPE(3), a0), y;
	ad_fn *f = ad_fn_begin(g.t);
	ad_var u = ad_fn_arg(f, AD_F64, AD_SHAPE(2, 3)), v = inner_derivative(u, a);
	ad_fn_end(f, 1, &v);
	ad_remat(f, &x, &y);
	int at = program_out(&g, ad_norm(ad_sub(y, inner_derivative(x, a)), AD_ALL)), size = program_out(&g, ad_norm(y, AD_ALL));
	program_run(&g, (ad_options){ 0 });
	assert_true(ad_result_scalar(g.p, at) < 1e-14);
	assert_true(ad_result_scalar(g.p, size) > 0.1);
	check_scalar(&g, ad_sum(y, AD_ALL), 1e-7);
	program_free(&g);
	free(x0);
}

static void wrong_functions(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_full(t, AD_SHAPE(3), 1);
	ad_fn *f = ad_fn_begin(t);
	ad_var u = ad_fn_arg(f, AD_F64, AD_SHAPE(3)), v = ad_sum(u, AD_ALL);
	ad_fn_end(f, 1, &v);
	ad_fixpoint(f, x, 1e-9, 10, false);
	assert_non_null(strstr(ad_error(t), "fixpoint"));
	ad_tape_free(t);

	t = ad_tape_new(AD_F64);
	x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 3), "x");
	f = ad_fn_begin(t);
	u = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, 3));
	v = ad_sub(u, ad_mean_keep(u, AD_AXIS(0)));
	ad_fn_end(f, 1, &v);
	ad_fixpoint(f, x, 1e-9, 10, false);
	assert_non_null(ad_error(t));
	ad_tape_free(t);
}

/* All kinds of call inside a traced function, and drawn. */
static void nested(void **state)
{
	(void)state;
	double *x0 = numbers(5 * 2, -1, 1, 1), a0[2] = { 0.5, 2 };
	program g = program_on(AD_F64, 5);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0), a = program_in(&g, AD_F64, AD_SHAPE(2), a0), y;
	ad_fn *f = ad_fn_begin(g.t);
	ad_var u = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, 2)), root = cubic_root(u, a, -1, 1);
	ad_fn_end(f, 1, &root);
	ad_remat(f, &x, &y);
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	ad_write_dot(g.t, out);
	fclose(out);
	assert_non_null(strstr(text, "bisect"));
	free(text);
	check_scalar(&g, ad_sum(ad_sin(y), AD_ALL), 1e-7);
	program_free(&g);
	free(x0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixpoint_values),    cmocka_unit_test(fixpoint_derivatives),
		cmocka_unit_test(fixpoint_limits),    cmocka_unit_test(bisect_values),
		cmocka_unit_test(bisect_derivatives), cmocka_unit_test(bisect_single),
		cmocka_unit_test(capture),
		cmocka_unit_test(derivatives_inside),
		cmocka_unit_test(wrong_functions),    cmocka_unit_test(nested),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
