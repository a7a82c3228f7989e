/* example_op.c - a user's own op: Lambert's W, the w >= -1 with w exp(w) = x.  Explained in docs/adding-an-op.md. */
#include "program.h"

static ad_shape lambert_shape(int nin, const ad_var in[], const void *user)
{
	(void)user;
	if (nin != 1 || ad_dtype_of(in[0]) == AD_I32)
		ad_fail(ad_tape_of(in[0]), "lambert: takes one array of reals, not %d", nin);
	return ad_shape_of(in[0]);
}

/* Halley's iteration; three steps from these starts reach the last bit but one. */
static double lambert(double x)
{
	double w = x < 1 ? x < -0.25 ? -1 + sqrt(fmax(0, 2 * (M_E * x + 1))) : x * (1 - x) : log1p(x) * 0.75;
	if (!(x >= -exp(-1)) || x == 0 || isinf(x))
		return x == 0 || x > 0 ? x : NAN;
	for (int i = 0; i < 20; i++) {
		double e = exp(w), f = w * e - x, step = f / (e * (w + 1) - (w + 2) * f / (2 * w + 2));
		if (!isfinite(step) || fabs(step) <= 1e-16 * fabs(w))
			break;
		w -= step;
	}
	return w;
}

static void lambert_eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	(void)nin, (void)user;
	for (int64_t i = 0; i < out.numel * out.width; i++)
		if (out.dtype == AD_F64)
			((double *)out.data)[i] = lambert(((const double *)in[0].data)[i]);
		else
			((float *)out.data)[i] = (float)lambert(((const float *)in[0].data)[i]);
}

/* W'(x) = exp(-W) / (1 + W), traced from the result r: so it can itself be differentiated, to any order. */
static ad_var lambert_slope(ad_var r)
{
	return ad_div(ad_exp(ad_neg(r)), ad_shift(r, 1));
}

static void lambert_vjp(ad_var r, ad_var g, int nin, const ad_var in[], ad_var gin[], const void *user)
{
	(void)nin, (void)in, (void)user;
	gin[0] = ad_mul(g, lambert_slope(r));
}

static ad_var lambert_jvp(ad_var r, int nin, const ad_var in[], const ad_var v[], const void *user)
{
	(void)nin, (void)in, (void)user;
	return ad_mul(v[0], lambert_slope(r));
}

static const ad_custom lambert_op = { "lambert", lambert_shape, lambert_eval, lambert_vjp, lambert_jvp };

static ad_var ad_lambert(ad_var x)
{
	return ad_call(&lambert_op, 1, &x, NULL);
}

/* It is used like any op, here in a batch of 30 samples, with derivatives of orders 1 to 3. */
static void values_and_derivatives(void **state)
{
	(void)state;
	double *x0 = numbers(30 * 2, -0.3, 9, 1), h = 1e-3;
	program g = program_on(AD_F64, 30);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0), w = ad_lambert(x), y = w,
	       ones = ad_full_like(x, 1), along;
	program_out(&g, ad_mul(w, ad_exp(w)));
	for (int k = 0; k < 4; k++) {
		program_out(&g, y);
		y = ad_grad(y, x);
	}
	ad_jvp(1, &w, 1, &x, &ones, &along);
	program_out(&g, along);
	program_run(&g, (ad_options){ .threads = 2, .tile = 16 });
	for (int i = 0; i < 60; i++) {
		double x1 = x0[i], d1 = program_f64(&g, 2)[i];
		assert_true(fabs(program_f64(&g, 0)[i] - x1) < 1e-14 * 9);
		assert_true(fabs(d1 - (lambert(x1 + h) - lambert(x1 - h)) / (2 * h)) < 1e-3 * fabs(d1));
		/* W'' = -exp(-2 W) (W + 2) / (1 + W)^3 */
		double W = lambert(x1), d2 = -exp(-2 * W) * (W + 2) / pow(1 + W, 3);
		assert_true(fabs(program_f64(&g, 3)[i] - d2) < 1e-11 * fmax(1, fabs(d2)));
		assert_true(fabs(program_f64(&g, 5)[i] - d1) < 1e-14 * fmax(1, fabs(d1)));
	}
	program_free(&g);
	free(x0);
}

static void single_precision(void **state)
{
	(void)state;
	float x0[5] = { -0.2f, 0, 0.5f, 3, 1e6f };
	program g = program_on(AD_F32, 1);
	ad_var x = program_in(&g, AD_F32, AD_SHAPE(5), x0);
	program_out(&g, ad_lambert(x));
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < 5; i++)
		assert_true(fabs(((const float *)ad_result(g.p, 0))[i] - lambert(x0[i])) <=
			    1e-6 * fmax(1, lambert(x0[i])));
	program_free(&g);
}

static void refuses_integers(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_lambert(ad_array_i32(t, AD_SHAPE(1), (int32_t[]){ 1 }));
	assert_non_null(strstr(ad_error(t), "lambert"));
	ad_tape_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_derivatives),
		cmocka_unit_test(single_precision),
		cmocka_unit_test(refuses_integers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
