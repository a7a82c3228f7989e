/* stats.c - moments, quantiles and distributions. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

double lab_mean(const double *x, int64_t n)
{
	double s = 0;
	for (int64_t i = 0; i < n; i++)
		s += x[i];
	return s / (double)n;
}

double lab_sd(const double *x, int64_t n)
{
	double s = 0, mean = lab_mean(x, n);
	for (int64_t i = 0; i < n; i++)
		s += (x[i] - mean) * (x[i] - mean);
	return n > 1 ? sqrt(s / (double)(n - 1)) : NAN;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void lab_sort(double *x, int64_t n)
{
	if (n > 1)
		qsort(x, (size_t)n, sizeof *x, by_size);
}

double lab_quantile(const double *sorted, int64_t n, double p)
{
	if (n < 1)
		return NAN;
	double at = p * (double)(n - 1);
	int64_t i = (int64_t)at;
	return i >= n - 1 ? sorted[n - 1] : sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

/* --- Distributions ------------------------------------------------------------------------------------------ */

double lab_normal_cdf(double z)
{
	return 0.5 * erfc(-z / sqrt(2));
}

/* The series below the mode, the continued fraction (Lentz) above. */
double lab_gamma_cdf(double x, double shape)
{
	if (!(x > 0))
		return isnan(x) ? NAN : 0;
	if (isinf(x))
		return 1;
	double front = exp(shape * log(x) - x - lgamma(shape));
	if (x < shape + 1) {
		double term = 1 / shape, sum = term;
		for (double a = shape + 1; term > sum * 1e-16; a++)
			sum += term *= x / a;
		return front * sum;
	}
	double b = x + 1 - shape, c = 1e300, d = 1 / b, h = d;
	for (int i = 1; i < 100000; i++) {
		double an = -i * (i - shape);
		b += 2;
		d = 1 / (an * d + b);
		c = b + an / c;
		h *= c * d;
		if (fabs(c * d - 1) < 1e-15)
			break;
	}
	return 1 - front * h;
}

/* Regularised incomplete beta function by its continued fraction (Lentz), x below the mode. */
static double beta_fraction(double x, double a, double b)
{
	double c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), h = d;
	for (int m = 1; m < 10000; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		d = 1 / (1 + even * d);
		c = 1 + even / c;
		h *= c * d;
		d = 1 / (1 + odd * d);
		c = 1 + odd / c;
		h *= c * d;
		if (fabs(c * d - 1) < 1e-15)
			break;
	}
	return h * exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a;
}

/* P(T > t) for t > 0: half of I_x(df/2, 1/2) at x = df / (df + t^2). */
static double t_tail(double t, double df)
{
	double x = df / (df + t * t), a = df / 2, b = 0.5;
	return x < (a + 1) / (a + b + 2) ? beta_fraction(x, a, b) / 2 : (1 - beta_fraction(1 - x, b, a)) / 2;
}

double lab_t_quantile(double p, double df)
{
	if (p < 0.5)
		return -lab_t_quantile(1 - p, df);
	double lo = 0, hi = 1;
	while (t_tail(hi, df) > 1 - p && hi < 1e12)
		hi *= 2;
	for (int k = 0; k < 60; k++) {
		double mid = (lo + hi) / 2;
		*(t_tail(mid, df) > 1 - p ? &lo : &hi) = mid;
	}
	return (lo + hi) / 2;
}

/* --- Kolmogorov-Smirnov --------------------------------------------------------------------------------------- */

/* Stephens, JRSS B 32 (1970): the distance times sqrt(n) + 0.12 + 0.11 / sqrt(n) has nearly the limiting distribution.
 */
static lab_ks judged(double distance, double n)
{
	double s = sqrt(n), l = distance * (s + 0.12 + 0.11 / s), p = 0;
	if (l < 0.2)
		return (lab_ks){ distance, 1 };
	for (int k = 1; k <= 100; k++)
		p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * l * l);
	return (lab_ks){ distance, fmin(fmax(p, 0), 1) };
}

static double *sorted_copy(const double *x, int64_t n)
{
	double *s = lab_alloc((size_t)n + 1, sizeof *s);
	memcpy(s, x, (size_t)n * sizeof *s);
	lab_sort(s, n);
	return s;
}

lab_ks lab_ks_uniform(const double *u, int64_t n)
{
	double *s = sorted_copy(u, n), most = 0;
	for (int64_t i = 0; i < n; i++)
		most = fmax(most, fmax((double)(i + 1) / (double)n - s[i], s[i] - (double)i / (double)n));
	free(s);
	return judged(most, (double)n);
}

lab_ks lab_ks_two(const double *a, int64_t na, const double *b, int64_t nb)
{
	double *x = sorted_copy(a, na), *y = sorted_copy(b, nb), most = 0;
	for (int64_t i = 0, j = 0; i < na && j < nb;) {
		double at = fmin(x[i], y[j]);
		while (i < na && x[i] <= at)
			i++;
		while (j < nb && y[j] <= at)
			j++;
		most = fmax(most, fabs((double)i / (double)na - (double)j / (double)nb));
	}
	free(x);
	free(y);
	return judged(most, (double)na * (double)nb / (double)(na + nb));
}
