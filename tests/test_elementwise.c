/* test_elementwise.c - every row of ops.def: values against long double on every instruction set and in both
 * precisions, derivatives at orders 1 and 2 against differences. */
#include "rows.h"

#include <float.h>
#include <stdio.h>

#define GRID 203 /* no multiple of a vector */

/* The domain, and the argument's sizes from 1e-30 to far (in single precision, to 1e15). */
static void fill_grid(const row *r, bool single, double *x)
{
	domain d = domain_of(r);
	double far = single && d.far > 1e12 ? 1e12 : single && d.far > 80 && d.far < 1e4 ? 80 : d.far;
	double small = single ? 1e-12 : 1e-30;
	for (int i = 0; i < GRID; i++) {
		double u = (i + 0.37) / GRID;
		x[i] = d.lo + (d.hi - d.lo) * u;
		if (i % 3 == 1 && far > d.hi)
			x[i] = (d.lo < 0 && i % 2 ? -1 : 1) * d.hi * pow(far / d.hi, u);
		if (i % 3 == 2 && d.lo < 0 && d.lo > -1e9)
			x[i] = (i % 2 ? -1 : 1) * small * pow(0.1 / small, u);
		if (!strcmp(r->name, "log1p") && x[i] < -0.8)
			x[i] = -x[i];
		x[i] = single ? (float)x[i] : x[i];
	}
	if (d.lo <= 0)
		x[0] = 0;
}

static void fill_operands(const row *r, bool single, double x[3][GRID])
{
	for (int k = 0; k < 3; k++)
		fill_grid(r, single, x[k]);
	for (int i = 0; i < GRID; i++) {
		double y = x[1][(i * 71 + 13) % GRID], z = x[2][(i * 29 + 7) % GRID];
		if (i % 7 && !strcmp(r->name, "where"))
			x[0][i] = i % 2;
		x[2][i] = z;
		if (i % 5 || r->nin < 2) /* some ties */
			x[1][i] = y;
	}
	for (int i = 0; r->nin == 2 && i < GRID; i++) /* y is a permutation, but for the ties */
		if (i % 5)
			x[1][i] = x[0][(i * 71 + 13) % GRID];
}

static double reference(const row *r, bool single, double x[3][GRID], int i)
{
	domain d = domain_of(r);
	double a = single ? (float)d.a : d.a, b = single ? (float)d.b : d.b;
	return (double)r->reference(x[0][i], x[1][i], x[2][i], a, b);
}

static void values_with(const char *isa, ad_dtype real)
{
	static double x[3][GRID];
	static float narrow[3][GRID];
	bool single = real == AD_F32;
	for (size_t k = 0; k < ROWS; k++) {
		const row *r = &rows[k];
		domain d = domain_of(r);
		program g = program_on(real, 1);
		fill_operands(r, single, x);
		for (int j = 0; j < r->nin; j++) {
			for (int i = 0; i < GRID; i++)
				narrow[j][i] = (float)x[j][i];
			program_in(&g, real, AD_SHAPE(GRID), single ? (void *)narrow[j] : (void *)x[j]);
		}
		program_out(&g, apply(r, g.in));
		program_run(&g, (ad_options){ .threads = 1, .isa = isa });
		for (int i = 0; i < GRID; i++) {
			double want = reference(r, single, x, i);
			double got = single ? ((const float *)ad_result(g.p, 0))[i] : program_f64(&g, 0)[i];
			double unit = single ? FLT_EPSILON : DBL_EPSILON, least = single ? 1e-37 : 1e-300;
			/* A sum's error is that of its terms. */
			double size = fmax(fabs(want), !strcmp(r->name, "shift") ? fabs(x[0][i]) * 0.5 : 0);
			double allowed = (single ? fmax(d.ulps, 4) * 2 : d.ulps) * unit * size + least;
			if (!(fabs(got - want) <= allowed) && !(isinf(want) && got == want))
				fail_msg("%s (%s, %s) of %.17g, %.17g, %.17g: %.17g instead of %.17g", r->name, isa,
					 single ? "f32" : "f64", x[0][i], x[1][i], x[2][i], got, want);
		}
		program_free(&g);
	}
}

static void values(void **state)
{
	(void)state;
	static const char *const isas[] = { "plain", "base", "v3", "v4" };
	for (int i = 0; i < 4; i++)
		if (machine_has(isas[i])) {
			values_with(isas[i], AD_F64);
			values_with(isas[i], AD_F32);
		}
}

static void nan_stays_nan_in(ad_dtype real)
{
	static const char *const drop[] = { "above", "gate", "within", "lt", "le", "gt", "ge", "eq", "ne", "where" };
	double nans[20];
	float narrow[20];
	for (int i = 0; i < 20; i++)
		nans[i] = narrow[i] = NAN;
	for (size_t k = 0; k < ROWS; k++) {
		bool compares = false;
		for (size_t j = 0; j < sizeof drop / sizeof *drop; j++)
			compares |= !strcmp(drop[j], rows[k].name);
		if (compares)
			continue;
		program g = program_on(real, 1);
		for (int j = 0; j < rows[k].nin; j++)
			program_in(&g, real, AD_SHAPE(20), real == AD_F32 ? (void *)narrow : (void *)nans);
		program_out(&g, apply(&rows[k], g.in));
		program_run(&g, (ad_options){ .threads = 1 });
		for (int i = 0; i < 20; i++) {
			double y = real == AD_F32 ? (double)((const float *)ad_result(g.p, 0))[i] : program_f64(&g, 0)[i];
			if (!isnan(y))
				fail_msg("%s of NaN is %g", rows[k].name, y);
		}
		program_free(&g);
	}
}

static void nan_stays_nan(void **state)
{
	(void)state;
	nan_stays_nan_in(AD_F64);
	nan_stays_nan_in(AD_F32);
}

/* tanh of any size: its relative error, never beyond 1, and 1 where it rounds to that. */
static void tanh_everywhere(void **state)
{
	enum { N = 1 << 16 };
	static const char *const isas[] = { "plain", "base", "v3", "v4" };
	float *x = malloc(N * sizeof *x);
	(void)state;
	for (int i = 0; i < N; i++)
		x[i] = (i % 2 ? -1 : 1) * ldexpf(1 + (float)(i % 1024) / 1024, i / 1024 - 32);
	x[0] = INFINITY;
	x[1] = -INFINITY;
	for (int k = 0; k < 4; k++) {
		if (!machine_has(isas[k]))
			continue;
		program g = program_on(AD_F32, 1);
		program_out(&g, ad_tanh(program_in(&g, AD_F32, AD_SHAPE(N), x)));
		program_run(&g, (ad_options){ .threads = 1, .isa = isas[k] });
		const float *y = ad_result(g.p, 0);
		for (int i = 0; i < N; i++) {
			double want = tanh((double)x[i]);
			if (!(fabs(y[i] - want) <= 3.6e-7 * fabs(want)) || fabsf(y[i]) > 1 || (fabsf(x[i]) > 9.1f && fabsf(y[i]) < 1))
				fail_msg("tanh of %.9g (%s) is %.9g instead of %.9g", (double)x[i], isas[k], (double)y[i], want);
		}
		program_free(&g);
	}
	free(x);
}

/* --- Derivatives ---------------------------------------------------------------- */

#define POINTS 45

/* Interior points; off the kinks of abs, relu, clamp and the steps of floor and round. */
static void points(const row *r, double x[3][POINTS])
{
	domain d = domain_of(r);
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < POINTS; i++) {
			double u = (double)((i * (k == 0 ? 1 : k == 1 ? 17 : 26) + 5 * k) % POINTS) + 0.31 + 0.07 * k;
			x[k][i] = d.lo + (d.hi - d.lo) * (0.04 + 0.92 * u / POINTS);
		}
	for (int i = 0; i < POINTS && !strcmp(r->name, "where"); i++)
		x[0][i] = i % 2;
}

/* Outputs: y; for each input the product with the Jacobian; the same of sum_j <v, those>; the forward derivative. */
static void trace(program *g, const row *r, double x[3][POINTS], const double *w, const double *v)
{
	ad_var first[3], second[3], tangent[3], along;
	for (int j = 0; j < r->nin; j++)
		program_in(g, AD_F64, AD_SHAPE(POINTS), x[j]);
	ad_var y = apply(r, g->in), cw = program_in(g, AD_F64, AD_SHAPE(POINTS), w);
	ad_var cv = program_in(g, AD_F64, AD_SHAPE(POINTS), v);
	program_out(g, y);
	ad_vjp(1, &y, &cw, r->nin, g->in, first);
	ad_var dot = ad_const(g->t, 0);
	for (int j = 0; j < r->nin; j++) {
		program_out(g, first[j]);
		dot = ad_add(dot, ad_sum(ad_mul(first[j], cv), AD_ALL));
		tangent[j] = cv;
	}
	ad_vjp(1, &dot, NULL, r->nin, g->in, second);
	for (int j = 0; j < r->nin; j++)
		program_out(g, second[j]);
	ad_jvp(1, &y, r->nin, g->in, tangent, &along);
	program_out(g, along);
}

/* d(sum over outputs from..to of weight * output)/dx[j], elementwise, by differences of order 4 */
static void differences(program *g, const row *r, double x[3][POINTS], int j, int from, int to, const double *weight,
			double *d)
{
	static const double step[4] = { 1, -1, 2, -2 }, coefficient[4] = { 8, -8, -1, 1 };
	double kept[POINTS], h = 2e-4;
	memcpy(kept, x[j], sizeof kept);
	memset(d, 0, sizeof kept);
	for (int s = 0; s < 4; s++) {
		for (int i = 0; i < POINTS; i++)
			x[j][i] = kept[i] + step[s] * h;
		if (ad_run(g->p, 0))
			fail_msg("%s: %s", r->name, ad_run_error(g->p));
		for (int o = from; o < to; o++)
			for (int i = 0; i < POINTS; i++)
				d[i] += coefficient[s] * weight[i] * program_f64(g, o)[i] / (12 * h);
	}
	memcpy(x[j], kept, sizeof kept);
}

static void close_to(const row *r, const char *what, int j, const double *got, const double *want, double tolerance)
{
	for (int i = 0; i < POINTS; i++)
		if (!(fabs(got[i] - want[i]) <= tolerance * fmax(1, fabs(want[i]))))
			fail_msg("%s: %s by input %d at point %d: %.15g against %.15g", r->name, what, j, i, got[i],
				 want[i]);
}

static void derivatives(void **state)
{
	(void)state;
	double *w = numbers(POINTS, 0.5, 1.5, 3), *v = numbers(POINTS, -1, 1, 4), x[3][POINTS], d[POINTS];
	for (size_t k = 0; k < ROWS; k++) {
		const row *r = &rows[k];
		int n = r->nin;
		double result[8][POINTS], jvp[POINTS] = { 0 };
		points(r, x);
		program g = program_on(AD_F64, 1);
		trace(&g, r, x, w, v);
		program_run(&g, (ad_options){ .threads = 1 });
		for (int o = 0; o < g.nout; o++)
			memcpy(result[o], program_f64(&g, o), sizeof *result);
		for (int j = !strcmp(r->name, "where"); j < n; j++) {
			differences(&g, r, x, j, 0, 1, w, d);
			close_to(r, "vjp", j, result[1 + j], d, 1e-8);
			differences(&g, r, x, j, 1, 1 + n, v, d);
			close_to(r, "second derivative", j, result[1 + n + j], d, 1e-7);
		}
		for (int j = 0; j < n; j++)
			for (int i = 0; i < POINTS; i++)
				jvp[i] += result[1 + j][i] / w[i] * v[i];
		close_to(r, "jvp", 0, result[1 + 2 * n], jvp, 1e-12);
		program_free(&g);
	}
	free(w);
	free(v);
}

/* The documented branches at ties and kinks. */
static void ties(void **state)
{
	(void)state;
	double zero[1] = { 0 }, ends[2] = { -0.5, 0.5 };
	program g = program_on(AD_F64, 1);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(1), zero), y = program_in(&g, AD_F64, AD_SHAPE(1), zero);
	ad_var e = program_in(&g, AD_F64, AD_SHAPE(2), ends);
	program_out(&g, ad_grad(ad_relu(x), x));
	program_out(&g, ad_grad(ad_abs(x), x));
	program_out(&g, ad_grad(ad_max(x, y), x));
	program_out(&g, ad_grad(ad_min(x, y), y));
	program_out(&g, ad_grad(ad_clamp(e, -0.5, 0.5), e));
	program_run(&g, (ad_options){ 0 });
	assert_true(program_f64(&g, 0)[0] == 0 && program_f64(&g, 1)[0] == 0);
	assert_true(program_f64(&g, 2)[0] == 0.5 && program_f64(&g, 3)[0] == 0.5);
	assert_true(program_f64(&g, 4)[0] == 1 && program_f64(&g, 4)[1] == 1);
	program_free(&g);
}

/* --- Composed ops ---------------------------------------------------------------- */

static void composed(void **state)
{
	(void)state;
	double x[41], want;
	for (int i = 0; i < 41; i++)
		x[i] = -4 + 0.2 * i + 0.013;
	program g = program_on(AD_F64, 1);
	ad_var v = program_in(&g, AD_F64, AD_SHAPE(41), x);
	program_out(&g, ad_gelu(v));
	program_out(&g, ad_gelu_tanh(v));
	program_out(&g, ad_selu(v));
	program_out(&g, ad_digamma(ad_shift(ad_abs(v), 0.5)));
	program_out(&g, ad_cast(ad_cast(v, AD_F32), AD_F64));
	program_out(&g, ad_grad(ad_mul(ad_stop(v), v), v));
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < 41; i++) {
		want = x[i] * 0.5 * erfc(-x[i] / sqrt(2));
		assert_true(fabs(program_f64(&g, 0)[i] - want) < 1e-14);
		want = 0.5 * x[i] * (1 + tanh(sqrt(2 / M_PI) * (x[i] + 0.044715 * x[i] * x[i] * x[i])));
		assert_true(fabs(program_f64(&g, 1)[i] - want) < 1e-14);
		want = 1.0507009873554804934193349852946 *
		       (x[i] > 0 ? x[i] : 1.6732632423543772848170429916717 * expm1(x[i]));
		assert_true(fabs(program_f64(&g, 2)[i] - want) < 1e-14);
		want = (double)polygamma(0, fabsl((wide)x[i]) + 0.5L);
		assert_true(fabs(program_f64(&g, 3)[i] - want) < 1e-13 * fmax(1, fabs(want)));
		assert_true(program_f64(&g, 4)[i] == (float)x[i]);
		assert_true(program_f64(&g, 5)[i] == x[i]);
	}
	program_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values), cmocka_unit_test(nan_stays_nan), cmocka_unit_test(tanh_everywhere), cmocka_unit_test(derivatives),
		cmocka_unit_test(ties),	  cmocka_unit_test(composed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
