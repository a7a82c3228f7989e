/* rows.h - for tests: every row of ops.def with a reference in long double and the domain on which it is checked. */
#ifndef TESTS_ROWS_H
#define TESTS_ROWS_H

#include "program.h"

typedef long double wide;

static inline wide softplus(wide x)
{
	return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}
static inline wide sigmoid(wide x)
{
	return x > 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x));
}
static inline wide erf_inverse(wide y)
{
	wide x = 0;
	for (int i = 0; i < 200; i++)
		x -= (erfl(x) - y) / (1.12837916709551257390L * expl(-x * x)) / (1 + (fabsl(x) > 1 ? fabsl(x) : 0));
	return x;
}

/* Derivative number n of digamma: recurrence to x > 40, then the asymptotic series. */
static inline wide polygamma(int n, wide x)
{
	static const wide bernoulli[] = { 1.0L / 6,  -1.0L / 30,     1.0L / 42, -1.0L / 30,
					  5.0L / 66, -691.0L / 2730, 7.0L / 6 };
	wide sum = 0, sign = n % 2 ? 1 : -1, f = tgammal(n + 1);
	for (; x < 40; x += 1)
		sum += n ? sign * f / powl(x, n + 1) : -1 / x;
	sum += n ? sign * (tgammal(n) / powl(x, n) + f / (2 * powl(x, n + 1))) : logl(x) - 1 / (2 * x);
	for (int k = 1; k <= 7; k++) {
		wide b = bernoulli[k - 1];
		sum += n ? sign * b * tgammal(2 * k + n) / tgammal(2 * k + 1) / powl(x, 2 * k + n)
			 : -b / (2 * k * powl(x, 2 * k));
	}
	return sum;
}

/* clang-format off */
#define REFERENCE(name, value) \
	static inline wide ref_##name(wide x, wide y, wide z, wide a, wide b) { return (void)x, (void)y, (void)z, (void)a, (void)b, (value); }
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
REFERENCE(swish, x *sigmoid(x)) REFERENCE(swish_slope, sigmoid(x) * (1 + x * sigmoid(-x)))
REFERENCE(above, x > a) REFERENCE(gate, y > 0 ? x : 0)
REFERENCE(abs, fabsl(x)) REFERENCE(sign, (x > 0) - (x < 0))
REFERENCE(max, x > y ? x : y) REFERENCE(min, x < y ? x : y)
REFERENCE(clamp, x < a ? a : x > b ? b : x) REFERENCE(within, x >= a && x <= b)
REFERENCE(lt, x < y) REFERENCE(le, x <= y) REFERENCE(gt, x > y) REFERENCE(ge, x >= y)
REFERENCE(eq, x == y) REFERENCE(ne, x != y) REFERENCE(where, x != 0 ? y : z)
REFERENCE(floor, floorl(x)) REFERENCE(ceil, ceill(x)) REFERENCE(round, rintl(x))
typedef struct row row;
/* clang-format on */

struct row {
	const char *name;
	int nin, numbers;
	ad_var (*f1)(ad_var);
	ad_var (*f1a)(ad_var, double);
	ad_var (*f1ab)(ad_var, double, double);
	ad_var (*f2)(ad_var, ad_var);
	ad_var (*f3)(ad_var, ad_var, ad_var);
	wide (*reference)(wide, wide, wide, wide, wide);
};

static const row rows[] = {
#define AD_EW1(name, ...)   { #name, 1, 0, .f1 = ad_##name, .reference = ref_##name },
#define AD_EW1A(name, ...)  { #name, 1, 1, .f1a = ad_##name, .reference = ref_##name },
#define AD_EW1AB(name, ...) { #name, 1, 2, .f1ab = ad_##name, .reference = ref_##name },
#define AD_EW2(name, ...)   { #name, 2, 0, .f2 = ad_##name, .reference = ref_##name },
#define AD_EW3(name, ...)   { #name, 3, 0, .f3 = ad_##name, .reference = ref_##name },
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
/* clang-format off */
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
	{ "swish", -4, 4, 700, 0, 0, 10 }, { "swish_slope", -1, 4, 700, 0, 0, 24 }, { "above", -3, 3, 1e30, 0.4, 0, 0 }, { "clamp", -3, 3, 1e30, -0.51, 0.7, 0 },
	{ "within", -3, 3, 1e30, -0.51, 0.7, 0 }, { "gate", -3, 3, 1e30, 0, 0, 0 },
};
/* clang-format on */

static inline domain domain_of(const row *r)
{
	for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
		if (!strcmp(domains[i].name, r->name))
			return domains[i];
	return (domain){ r->name, -3, 3, 1e30, 0.3, 1.1, 2 };
}

static inline ad_var apply(const row *r, const ad_var x[])
{
	domain d = domain_of(r);
	return r->f1	 ? r->f1(x[0])
	       : r->f1a	 ? r->f1a(x[0], d.a)
	       : r->f1ab ? r->f1ab(x[0], d.a, d.b)
	       : r->f2	 ? r->f2(x[0], x[1])
			 : r->f3(x[0], x[1], x[2]);
}

#endif
