/* test_stats.c - statistics against known answers: distributions, coverage of intervals, level and power of tests. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "experiments/lab/stats.h"
#include "experiments/lab/twosample.h"

static void near(double got, double want, double tol)
{
	if (!(fabs(got - want) <= tol))
		fail_msg("%.15g instead of %.15g +- %g", got, want, tol);
}

/* Values from SciPy. */
static void distributions(void **state)
{
	(void)state;
	near(lab_normal_cdf(1.96), 0.9750021048517795, 1e-15);
	near(lab_normal_cdf(-6), 9.8658764503769e-10, 1e-22);
	near(lab_gamma_cdf(0.5, 0.5), 0.6826894921370859, 1e-14); /* chi-squared 1 at 1 */
	near(lab_gamma_cdf(9.154795, 5), 0.950039491526918, 1e-13);
	near(lab_gamma_cdf(60, 50), 0.9155933189063082, 1e-13);
	near(lab_gamma_cdf(0, 3), 0, 0);
	near(lab_gamma_cdf(1e4, 3), 1, 1e-15);
	near(lab_t_quantile(0.975, 1), 12.706204736, 1e-8);
	near(lab_t_quantile(0.975, 2), 4.302652730, 1e-8);
	near(lab_t_quantile(0.975, 10), 2.228138852, 1e-8);
	near(lab_t_quantile(0.025, 10), -2.228138852, 1e-8);
	near(lab_t_quantile(0.975, 1e6), 1.959966356814107, 1e-9);
	double x[] = { 1, 2, 4, 8 };
	near(lab_quantile(x, 4, 0.5), 3, 0);
	near(lab_quantile(x, 4, 1), 8, 0);
	near(lab_sd(x, 4), 3.0956959368344519, 1e-14);
}

static void kolmogorov(void **state)
{
	(void)state;
	double u[] = { 0.1, 0.4, 0.45, 0.8 }, a[] = { 1, 2, 3 }, b[] = { 2, 3, 4, 5 };
	near(lab_ks_uniform(u, 4).distance, 0.3, 1e-15);
	near(lab_ks_two(a, 3, b, 4).distance, 0.5, 1e-15);
	enum { REPEATS = 400, N = 100 };
	double p[REPEATS], q[REPEATS], v[N], w[N];
	lab_rng r = { 7 };
	for (int k = 0; k < REPEATS; k++) {
		for (int i = 0; i < N; i++) {
			v[i] = lab_normal_cdf(lab_rng_normal(&r));
			w[i] = lab_normal_cdf(lab_rng_normal(&r));
		}
		p[k] = lab_ks_uniform(v, N).p;
		q[k] = lab_ks_two(v, N, w, N).p;
	}
	assert_true(lab_ks_uniform(p, REPEATS).p > 0.01);
	int rejected = 0;
	for (int k = 0; k < REPEATS; k++)
		rejected += q[k] < 0.1; /* the two-sample statistic is discrete: level at most, not far below */
	assert_in_range(rejected, 15, 60);
	for (int i = 0; i < N; i++)
		v[i] = v[i] * v[i];
	assert_true(lab_ks_uniform(v, N).p < 1e-3);
}

static void coverage_over_points(void **state)
{
	(void)state;
	enum { REPEATS = 400, N = 60 };
	lab_rng r = { 3 };
	int held = 0;
	for (int k = 0; k < REPEATS; k++) {
		double x[N], lo, hi;
		for (int i = 0; i < N; i++)
			x[i] = exp(lab_rng_normal(&r)) - exp(0.5); /* skewed, mean 0 */
		lab_interval(x, N, &lo, &hi);
		held += lo <= 0 && 0 <= hi;
	}
	assert_in_range(held, REPEATS * 87 / 100, REPEATS * 97 / 100); /* known to fall a little short for skewed x */
}

/* d_i = effect of the points; seeds add theirs to all points of a run. */
static double held_by_seeds(int k, double seed_sd, uint64_t seed)
{
	enum { REPEATS = 300, N = 50 };
	lab_rng r = { seed };
	int held = 0;
	for (int t = 0; t < REPEATS; t++) {
		double d[N], a[8], b[8], lo, hi, mean = 0;
		for (int i = 0; i < k; i++) {
			a[i] = seed_sd * lab_rng_normal(&r);
			b[i] = seed_sd * lab_rng_normal(&r);
			mean += (a[i] - b[i]) / k;
		}
		for (int i = 0; i < N; i++)
			d[i] = mean + 0.3 * lab_rng_normal(&r);
		lab_interval_seeds(d, N, a, k, b, k, &lo, &hi);
		held += lo <= 0 && 0 <= hi;
	}
	return (double)held / REPEATS;
}

static void coverage_over_seeds(void **state)
{
	(void)state;
	double lo, hi, d[] = { 1, 2 };
	near(held_by_seeds(2, 1, 1), 0.95, 0.05);
	near(held_by_seeds(3, 1, 2), 0.95, 0.05);
	near(held_by_seeds(6, 1, 3), 0.95, 0.05);
	near(held_by_seeds(3, 0.02, 4), 0.95, 0.05);
	lab_interval_seeds(d, 2, d, 1, d, 2, &lo, &hi);
	assert_true(isnan(lo) && isnan(hi));
}

static void normals(lab_rng *r, double *x, int n, double shift)
{
	for (int i = 0; i < n; i++)
		x[i] = shift + lab_rng_normal(r);
}

static double distance2(const double *a, const double *b)
{
	return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

/* The estimate by its definition. */
static double mmd_by_hand(const double *x, int nx, const double *y, int ny)
{
	enum { MOST = 40 };
	double z[2 * MOST], d[MOST * MOST], s[3] = { 0, 0, 0 };
	int n = nx + ny, m = 0;
	for (int i = 0; i < 2 * n; i++)
		z[i] = i < 2 * nx ? x[i] : y[i - 2 * nx];
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			d[m++] = distance2(z + 2 * i, z + 2 * j);
	lab_sort(d, m);
	double median = lab_quantile(d, m, 0.5);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			double k = 0, e = distance2(z + 2 * i, z + 2 * j);
			for (int h = -1; h <= 1; h++) /* half, once and twice the median distance */
				k += exp(-e / (2 * median * pow(4, h)));
			if (i != j)
				s[(i < nx) + (j < nx)] += k;
		}
	return s[2] / (nx * (nx - 1.0)) + s[0] / (ny * (ny - 1.0)) - s[1] / ((double)nx * ny);
}

static void mmd(void **state)
{
	(void)state;
	enum { REPEATS = 150, N = 30 };
	double x[2 * N], y[2 * N], p[REPEATS];
	lab_rng r = { 5 };
	normals(&r, x, 24, 0);
	normals(&r, y, 34, 0.7);
	near(lab_mmd(x, 12, y, 17, 2, 1, 1).statistic, mmd_by_hand(x, 12, y, 17), 1e-6);
	for (int k = 0; k < REPEATS; k++) {
		normals(&r, x, 2 * N, 0);
		normals(&r, y, 2 * N, 0);
		/* the p-value is one of 1/100 .. 100/100: made continuous */
		p[k] = lab_mmd(x, N, y, N, 2, 99, (uint64_t)k).p - 0.01 * lab_normal_cdf(lab_rng_normal(&r));
	}
	assert_true(lab_ks_uniform(p, REPEATS).p > 0.01);
	normals(&r, y, 2 * N, 1);
	assert_true(lab_mmd(x, N, y, N, 2, 999, 1).p < 0.01);
}

static void classifier(void **state)
{
	(void)state;
	enum { REPEATS = 8, N = 250 };
	double x[2 * N], y[2 * N];
	lab_rng r = { 9 };
	lab_err err;
	int small = 0;
	for (int k = 0; k < REPEATS; k++) {
		normals(&r, x, 2 * N, 0);
		normals(&r, y, 2 * N, 0);
		small += lab_classify(x, y, N, 2, (uint64_t)k, &err).p < 0.05;
	}
	assert_in_range(small, 0, 3);
	normals(&r, y, N, 2); /* one column: the best classifier is right with probability Phi(1) = 0.841 */
	lab_verdict v = lab_classify(x, y, N, 1, 1, &err);
	near(v.statistic, 0.841, 0.06);
	assert_true(v.p < 1e-6);
	/* the same marginals, another dependence */
	for (int i = 0; i < N; i++)
		y[2 * i + 1] = -(y[2 * i] = lab_rng_normal(&r));
	assert_true(lab_classify(x, y, N, 2, 1, &err).p < 1e-6);
}

static void shuffles(void **state)
{
	(void)state;
	int count[6] = { 0 };
	lab_rng r = { 2 };
	for (int k = 0; k < 6000; k++) {
		int64_t x[] = { 0, 1, 2 };
		lab_rng_shuffle(&r, 3, x);
		count[2 * x[0] + (x[1] > x[2])]++;
	}
	for (int k = 0; k < 6; k++)
		assert_in_range(count[k], 880, 1120);
}

int main(void)
{
	const struct CMUnitTest test[] = {
		cmocka_unit_test(distributions),
		cmocka_unit_test(kolmogorov),
		cmocka_unit_test(coverage_over_points),
		cmocka_unit_test(coverage_over_seeds),
		cmocka_unit_test(mmd),
		cmocka_unit_test(classifier),
		cmocka_unit_test(shuffles),
	};
	return cmocka_run_group_tests(test, NULL, NULL);
}
