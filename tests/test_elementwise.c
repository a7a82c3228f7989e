/* test_elementwise.c - every row of ops.def: values against long double, derivatives at orders 1 and 2 against
 * differences, every instruction set, single against double precision, every pattern of broadcasting, and fusion. */
#include "program.h"

#include <float.h>
#include <stdio.h>

typedef long double wide;

/* --- References ---------------------------------------------------------------------------------------------- */

static wide softplus(wide x) { return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }
static wide sigmoid(wide x) { return x > 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }
static wide erf_inverse(wide y)
{
	wide x = 0;
	for (int i = 0; i < 200; i++)
		x -= (erfl(x) - y) / (1.12837916709551257390L * expl(-x * x)) / (1 + (fabsl(x) > 1 ? fabsl(x) : 0));
	return x;
}

/* Derivative number n of digamma: recurrence to x > 40, then the asymptotic series. */
static wide polygamma(int n, wide x)
{
	static const wide bernoulli[] = { 1.0L / 6, -1.0L / 30, 1.0L / 42, -1.0L / 30, 5.0L / 66, -691.0L / 2730, 7.0L / 6 };
	wide sum = 0, sign = n % 2 ? 1 : -1, f = tgammal(n + 1);
	for (; x < 40; x += 1)
		sum += n ? sign * f / powl(x, n + 1) : -1 / x;
	sum += n ? sign * (tgammal(n) / powl(x, n) + f / (2 * powl(x, n + 1))) : logl(x) - 1 / (2 * x);
	for (int k = 1; k <= 7; k++) {
		wide b = bernoulli[k - 1];
		sum += n ? sign * b * tgammal(2 * k + n) / tgammal(2 * k + 1) / powl(x, 2 * k + n) :
		           -b / (2 * k * powl(x, 2 * k));
	}
	return sum;
}

#define REFERENCE(name, value) \
	static wide ref_##name(wide x, wide y, wide z, wide a, wide b) { return (void)x, (void)y, (void)z, (void)a, (void)b, (value); }
REFERENCE(add, x + y) REFERENCE(sub, x - y) REFERENCE(mul, x *y) REFERENCE(div, x / y)
REFERENCE(neg, -x) REFERENCE(scale, x *a) REFERENCE(shift, x + a)
REFERENCE(square, x *x) REFERENCE(cube, x *x *x) REFERENCE(sqrt, sqrtl(x)) REFERENCE(rsqrt, 1 / sqrtl(x))
REFERENCE(reciprocal, 1 / x) REFERENCE(pow, powl(x, y)) REFERENCE(powc, powl(x, a))
REFERENCE(exp, expl(x)) REFERENCE(expm1, expm1l(x)) REFERENCE(log, logl(x)) REFERENCE(log1p, log1pl(x))
REFERENCE(sin, sinl(x)) REFERENCE(cos, cosl(x)) REFERENCE(tan, tanl(x))
REFERENCE(asin, asinl(x)) REFERENCE(acos, acosl(x)) REFERENCE(atan, atanl(x)) REFERENCE(atan2, atan2l(x, y))
REFERENCE(sinh, sinhl(x)) REFERENCE(cosh, coshl(x)) REFERENCE(tanh, tanhl(x))
REFERENCE(asinh, asinhl(x)) REFERENCE(acosh, acoshl(x)) REFERENCE(atanh, atanhl(x))
REFERENCE(one_minus_square, (1 - x) * (1 + x))
REFERENCE(sigmoid, sigmoid(x)) REFERENCE(logsigmoid, -softplus(-x)) REFERENCE(softplus, softplus(x))
REFERENCE(erf, erfl(x)) REFERENCE(erfc, erfcl(x)) REFERENCE(erfinv, erf_inverse(x))
REFERENCE(lgamma, lgammal(x)) REFERENCE(polygamma, polygamma((int)a, x))
REFERENCE(relu, x > 0 ? x : 0) REFERENCE(leaky_relu, x > 0 ? x : a * x)
REFERENCE(elu, x > 0 ? x : a * expm1l(x)) REFERENCE(elu_slope, x > 0 ? 1 : a * expl(x))
REFERENCE(swish, x *sigmoid(x)) REFERENCE(above, x > a)
REFERENCE(abs, fabsl(x)) REFERENCE(sign, (x > 0) - (x < 0))
REFERENCE(max, x > y ? x : y) REFERENCE(min, x < y ? x : y)
REFERENCE(clamp, x < a ? a : x > b ? b : x) REFERENCE(within, x >= a && x <= b)
REFERENCE(lt, x < y) REFERENCE(le, x <= y) REFERENCE(gt, x > y) REFERENCE(ge, x >= y)
REFERENCE(eq, x == y) REFERENCE(ne, x != y) REFERENCE(where, x != 0 ? y : z)
REFERENCE(floor, floorl(x)) REFERENCE(ceil, ceill(x)) REFERENCE(round, rintl(x))

/* --- The rows ------------------------------------------------------------------------------------------------ */

typedef struct {
	const char *name;
	int nin, numbers;
	ad_var (*f1)(ad_var);
	ad_var (*f1a)(ad_var, double);
	ad_var (*f1ab)(ad_var, double, double);
	ad_var (*f2)(ad_var, ad_var);
	ad_var (*f3)(ad_var, ad_var, ad_var);
	wide (*reference)(wide, wide, wide, wide, wide);
} row;

static const row rows[] = {
#define AD_EW1(name, ...) { #name, 1, 0, .f1 = ad_##name, .reference = ref_##name },
#define AD_EW1A(name, ...) { #name, 1, 1, .f1a = ad_##name, .reference = ref_##name },
#define AD_EW1AB(name, ...) { #name, 1, 2, .f1ab = ad_##name, .reference = ref_##name },
#define AD_EW2(name, ...) { #name, 2, 0, .f2 = ad_##name, .reference = ref_##name },
#define AD_EW3(name, ...) { #name, 3, 0, .f3 = ad_##name, .reference = ref_##name },
#include "ad/ops.def"
#undef AD_EW1
#undef AD_EW1A
#undef AD_EW1AB
#undef AD_EW2
#undef AD_EW3
};
#define ROWS (sizeof rows / sizeof *rows)

/* Where an op is defined (lo, hi, of x and y; far: at how extreme arguments its value is still checked), its numbers,
 * and how many units in the last place it may err.  Rows without an entry: the reals, 1, 1, 2 units. */
typedef struct {
	const char *name;
	double lo, hi, far, a, b, ulps;
} domain;
static const domain domains[] = {
	{ "scale", -3, 3, 1e30, 1.7, 0, 2 }, { "shift", -3, 3, 1e30, 0.6, 0, 2 }, { "cube", -3, 3, 1e30, 0, 0, 3 },
	{ "square", -3, 3, 1e30, 0, 0, 2 }, { "mul", -3, 3, 1e30, 0, 0, 2 }, { "div", 0.2, 3, 1e30, 0, 0, 2 },
	{ "sqrt", 0.1, 4, 1e30, 0, 0, 2 }, { "rsqrt", 0.1, 4, 1e30, 0, 0, 4 }, { "reciprocal", 0.2, 4, 1e30, 0, 0, 2 },
	{ "pow", 0.2, 3, 0, 0, 0, 4 }, { "powc", 0.2, 3, 1e30, 2.7, 0, 4 }, { "exp", -3, 3, 700, 0, 0, 4 },
	{ "expm1", -3, 3, 700, 0, 0, 4 }, { "log", 0.1, 4, 1e30, 0, 0, 4 }, { "log1p", -0.8, 4, 1e30, 0, 0, 4 },
	{ "tan", -1.2, 1.2, 0, 0, 0, 4 }, { "asin", -0.9, 0.9, 0, 0, 0, 4 }, { "acos", -0.9, 0.9, 0, 0, 0, 4 },
	{ "sin", -3, 3, 1e4, 0, 0, 4 }, { "cos", -3, 3, 1e4, 0, 0, 4 }, { "atan", -3, 3, 1e30, 0, 0, 4 },
	{ "atan2", 0.2, 3, 1e30, 0, 0, 4 }, { "sinh", -3, 3, 700, 0, 0, 4 }, { "cosh", -3, 3, 700, 0, 0, 4 },
	{ "tanh", -3, 3, 1e30, 0, 0, 4 }, { "asinh", -3, 3, 1e30, 0, 0, 6 }, { "acosh", 1.2, 4, 1e30, 0, 0, 6 },
	{ "atanh", -0.9, 0.9, 0, 0, 0, 6 }, { "one_minus_square", -0.9, 0.9, 1e30, 0, 0, 16 },
	{ "sigmoid", -4, 4, 700, 0, 0, 8 }, { "logsigmoid", -4, 4, 1e30, 0, 0, 8 }, { "softplus", -4, 4, 1e30, 0, 0, 8 },
	{ "erf", -3, 3, 1e30, 0, 0, 4 }, { "erfc", -3, 3, 20, 0, 0, 16 }, { "erfinv", -0.95, 0.95, 0, 0, 0, 8 },
	{ "lgamma", 0.3, 6, 1e30, 0, 0, 64 }, { "polygamma", 0.3, 6, 1e3, 1, 0, 64 },
	{ "leaky_relu", -3, 3, 1e30, 0.2, 0, 2 }, { "elu", -3, 3, 1e30, 1.3, 0, 6 }, { "elu_slope", -3, 3, 700, 1.3, 0, 6 },
	{ "swish", -4, 4, 700, 0, 0, 10 }, { "above", -3, 3, 1e30, 0.4, 0, 0 }, { "clamp", -3, 3, 1e30, -0.51, 0.7, 0 },
	{ "within", -3, 3, 1e30, -0.51, 0.7, 0 },
};

static domain domain_of(const row *r)
{
	for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
		if (!strcmp(domains[i].name, r->name))
			return domains[i];
	return (domain){ r->name, -3, 3, 1e30, 0.3, 1.1, 2 };
}

static ad_var apply(const row *r, const ad_var x[])
{
	domain d = domain_of(r);
	return r->f1 ? r->f1(x[0]) : r->f1a ? r->f1a(x[0], d.a) : r->f1ab ? r->f1ab(x[0], d.a, d.b) :
	       r->f2 ? r->f2(x[0], x[1]) : r->f3(x[0], x[1], x[2]);
}

/* --- Values ---------------------------------------------------------------------------------------------------- */

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

static bool has(const char *isa)
{
	if (!strcmp(isa, "plain"))
		return true;
#ifdef __x86_64__
	__builtin_cpu_init();
	if (!strcmp(isa, "base"))
		return true;
	if (!strcmp(isa, "v3"))
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl");
#else
	return false;
#endif
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
		if (has(isas[i])) {
			values_with(isas[i], AD_F64);
			values_with(isas[i], AD_F32);
		}
}

static void nan_stays_nan(void **state)
{
	(void)state;
	static const char *const drop[] = { "above", "within", "lt", "le", "gt", "ge", "eq", "ne", "where" };
	double nan3[3][20];
	for (int i = 0; i < 60; i++)
		nan3[i / 20][i % 20] = NAN;
	for (size_t k = 0; k < ROWS; k++) {
		bool compares = false;
		for (size_t j = 0; j < sizeof drop / sizeof *drop; j++)
			compares |= !strcmp(drop[j], rows[k].name);
		if (compares)
			continue;
		program g = program_on(AD_F64, 1);
		for (int j = 0; j < rows[k].nin; j++)
			program_in(&g, AD_F64, AD_SHAPE(20), nan3[j]);
		program_out(&g, apply(&rows[k], g.in));
		program_run(&g, (ad_options){ .threads = 1 });
		for (int i = 0; i < 20; i++)
			if (!isnan(program_f64(&g, 0)[i]))
				fail_msg("%s of NaN is %g", rows[k].name, program_f64(&g, 0)[i]);
		program_free(&g);
	}
}

/* --- Derivatives --------------------------------------------------------------------------------------------------- */

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
static void differences(program *g, const row *r, double x[3][POINTS], int j, int from, int to, const double *weight, double *d)
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
			fail_msg("%s: %s by input %d at point %d: %.15g against %.15g", r->name, what, j, i, got[i], want[i]);
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

/* --- Broadcasting ----------------------------------------------------------------------------------------------------- */

#define SAMPLES 21
#define B AD_BATCH
static const ad_shape patterns[][2] = {
	{ { 2, { 3, 4 } }, { 2, { 3, 4 } } }, { { 2, { 3, 4 } }, { 1, { 4 } } }, { { 2, { 3, 4 } }, { 2, { 3, 1 } } },
	{ { 2, { 3, 4 } }, { 0, { 0 } } }, { { 2, { 3, 1 } }, { 2, { 1, 4 } } }, { { 0, { 0 } }, { 1, { 5 } } },
	{ { 3, { 2, 1, 4 } }, { 2, { 3, 1 } } }, { { 2, { B, 4 } }, { 2, { B, 4 } } }, { { 2, { B, 4 } }, { 1, { 4 } } },
	{ { 2, { B, 4 } }, { 2, { B, 1 } } }, { { 2, { B, 4 } }, { 2, { 1, 4 } } }, { { 2, { B, 1 } }, { 2, { 1, 4 } } },
	{ { 2, { B, 1 } }, { 1, { 4 } } }, { { 2, { B, 4 } }, { 0, { 0 } } }, { { 1, { B } }, { 0, { 0 } } },
	{ { 3, { B, 2, 3 } }, { 2, { 2, 1 } } }, { { 3, { B, 1, 3 } }, { 3, { B, 2, 1 } } }, { { 3, { B, 2, 3 } }, { 3, { 1, 1, 3 } } },
	{ { 3, { 1, 2, 3 } }, { 3, { B, 2, 1 } } }, { { 1, { 4 } }, { 2, { B, 4 } } }, { { 2, { 1, 1 } }, { 2, { B, 3 } } },
};
#undef B

static int64_t extent(ad_shape s, int axis, int rank) /* axis counted in an array of that rank */
{
	int k = axis - (rank - s.rank);
	return k < 0 ? 1 : s.dim[k] == AD_BATCH ? SAMPLES : s.dim[k];
}

static ad_shape joined(ad_shape a, ad_shape b)
{
	ad_shape s = { a.rank > b.rank ? a.rank : b.rank, { 0 } };
	for (int k = 0; k < s.rank; k++) {
		int64_t p = extent(a, k, s.rank), q = extent(b, k, s.rank);
		s.dim[k] = p > q ? p : q;
	}
	return s;
}

static int64_t size_of(ad_shape s)
{
	int64_t n = 1;
	for (int k = 0; k < s.rank; k++)
		n *= extent(s, k, s.rank);
	return n;
}

/* Where element i of the joined array stands in one of shape s. */
static int64_t place(ad_shape s, ad_shape all, int64_t i)
{
	int64_t at = 0, stride = 1;
	for (int k = all.rank - 1; k >= 0; k--) {
		int64_t n = extent(s, k, all.rank), c = i % all.dim[k];
		i /= all.dim[k];
		at += (n == 1 ? 0 : c) * stride;
		stride *= n;
	}
	return at;
}

/* The same op on arrays already stretched: the value, and the gradient not yet summed. */
static void stretched(const row *r, int64_t n, const double *const x[3], const double *w, double *y, double *g[3])
{
	program q = program_on(AD_F64, 1);
	ad_var grad[3];
	for (int j = 0; j < r->nin; j++)
		program_in(&q, AD_F64, AD_SHAPE(n), x[j]);
	ad_var v = apply(r, q.in), cw = program_in(&q, AD_F64, AD_SHAPE(n), w);
	ad_vjp(1, &v, &cw, r->nin, q.in, grad);
	program_out(&q, v);
	for (int j = 0; j < r->nin; j++)
		program_out(&q, grad[j]);
	program_run(&q, (ad_options){ .threads = 1 });
	memcpy(y, program_f64(&q, 0), (size_t)n * sizeof *y);
	for (int j = 0; j < r->nin; j++)
		memcpy(g[j], program_f64(&q, 1 + j), (size_t)n * sizeof *y);
	program_free(&q);
}

static void broadcast_pattern(const row *r, const ad_shape s[3], ad_options o)
{
	domain d = domain_of(r);
	ad_shape all = joined(joined(s[0], s[1]), s[2]);
	int64_t n = size_of(all);
	double *small[3], *x[3], *g[3], *y = malloc((size_t)n * 8), *w = numbers(n, 0.5, 1.5, 9);
	for (int j = 0; j < 3; j++) {
		small[j] = numbers(size_of(s[j]), d.lo, d.hi, 5 + (uint64_t)j);
		for (int64_t i = 0; !j && !strcmp(r->name, "where") && i < size_of(s[j]); i++)
			small[j][i] = i % 2;
		x[j] = malloc((size_t)n * 8);
		g[j] = malloc((size_t)n * 8);
		for (int64_t i = 0; i < n; i++)
			x[j][i] = small[j][place(s[j], all, i)];
	}
	stretched(r, n, (const double *const *)x, w, y, g);

	program q = program_on(AD_F64, SAMPLES);
	ad_var grad[3];
	for (int j = 0; j < r->nin; j++)
		program_in(&q, AD_F64, s[j], small[j]);
	ad_var v = apply(r, q.in), cw = program_in(&q, AD_F64, ad_shape_of(v), w);
	ad_vjp(1, &v, &cw, r->nin, q.in, grad);
	program_out(&q, v);
	for (int j = 0; j < r->nin; j++)
		program_out(&q, grad[j]);
	program_run(&q, o);
	assert_int_equal(program_count(&q, 0), n);
	assert_memory_equal(program_f64(&q, 0), y, (size_t)n * sizeof *y);
	for (int j = 0; j < r->nin; j++) {
		int64_t m = size_of(s[j]);
		double *sum = calloc((size_t)m, sizeof *sum);
		for (int64_t i = 0; i < n; i++)
			sum[place(s[j], all, i)] += g[j][i];
		assert_int_equal(program_count(&q, 1 + j), m);
		for (int64_t i = 0; i < m; i++)
			if (!(fabs(program_f64(&q, 1 + j)[i] - sum[i]) <= 1e-12 * fmax(1, fabs(sum[i]))))
				fail_msg("%s: gradient of input %d: %.17g against %.17g", r->name, j, program_f64(&q, 1 + j)[i], sum[i]);
		free(sum);
	}
	program_free(&q);
	for (int j = 0; j < 3; j++) {
		free(small[j]);
		free(x[j]);
		free(g[j]);
	}
	free(y);
	free(w);
}

static void broadcasting(void **state)
{
	(void)state;
	static const ad_shape scalar;
	for (size_t k = 0; k < ROWS; k++)
		for (size_t i = 0; rows[k].nin > 1 && i < sizeof patterns / sizeof *patterns; i++) {
			const ad_shape *p = patterns[i];
			ad_shape s[3] = { p[0], p[1], rows[k].nin > 2 ? p[i % 2] : scalar };
			broadcast_pattern(&rows[k], s, (ad_options){ .threads = 1 });
			broadcast_pattern(&rows[k], s, (ad_options){ .threads = 2, .tile = 16, .no_fusion = i % 2 });
		}
}

/* --- Fusion -------------------------------------------------------------------------------------------------------------- */

/* A net of elementwise ops over everything in range, with shared and broadcast inner values. */
static void tangle(program *g, const double *x, const double *b)
{
	ad_var v = program_in(g, AD_F64, AD_SHAPE(AD_BATCH, 5), x), bias = program_in(g, AD_F64, AD_SHAPE(5), b), kept = v;
	for (size_t k = 0; k < ROWS; k++) {
		const row *r = &rows[k];
		domain d = domain_of(r);
		/* into the domain */
		ad_var in = ad_shift(ad_scale(ad_sigmoid(v), d.hi - d.lo), d.lo);
		ad_var other = ad_shift(ad_scale(ad_sigmoid(ad_add(kept, bias)), d.hi - d.lo), d.lo);
		ad_var y = apply(r, (ad_var[]){ in, other, in });
		kept = k % 4 ? kept : v;
		v = ad_add(ad_scale(ad_tanh(y), 0.5), ad_scale(v, 0.5));
	}
	ad_var loss = ad_sum(v, AD_ALL);
	program_out(g, v);
	program_out(g, ad_grad(loss, g->in[0]));
	program_out(g, ad_grad(loss, bias));
}

static void fusion(void **state)
{
	(void)state;
	double *x = numbers(37 * 5, -2, 2, 1), *b = numbers(5, -1, 1, 2), *first[3] = { NULL };
	for (int i = 0; i < 4; i++) {
		program g = program_on(AD_F64, 37);
		tangle(&g, x, b);
		program_run(&g, (ad_options){ .threads = 1 + i / 2, .tile = 16, .no_fusion = i % 2 });
		for (int o = 0; o < 3; o++) {
			size_t bytes = (size_t)program_count(&g, o) * sizeof(double);
			if (i == 0)
				first[o] = memcpy(malloc(bytes), program_f64(&g, o), bytes);
			else
				assert_memory_equal(first[o], program_f64(&g, o), bytes);
		}
		program_free(&g);
	}
	for (int o = 0; o < 3; o++)
		free(first[o]);
	free(x);
	free(b);
}

/* --- Composed ops --------------------------------------------------------------------------------------------------------- */

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
		want = 1.0507009873554804934193349852946 * (x[i] > 0 ? x[i] : 1.6732632423543772848170429916717 * expm1(x[i]));
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
		cmocka_unit_test(values), cmocka_unit_test(nan_stays_nan), cmocka_unit_test(derivatives), cmocka_unit_test(ties),
		cmocka_unit_test(broadcasting), cmocka_unit_test(fusion), cmocka_unit_test(composed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
