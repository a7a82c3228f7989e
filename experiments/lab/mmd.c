/* mmd.c - maximum mean discrepancy with a permutation test. */
#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "stats.h"
#include "twosample.h"

static double square_distance(const double *a, const double *b, int64_t dim)
{
	double s = 0;
	for (int64_t j = 0; j < dim; j++)
		s += (a[j] - b[j]) * (a[j] - b[j]);
	return s;
}

/* Kernel of all pairs of the pooled rows, [n, n], its diagonal zero. */
static float *kernel(const double *x, int64_t nx, const double *y, int64_t n, int64_t dim)
{
	float *k = lab_alloc((size_t)(n * n), sizeof *k);
	int64_t pairs = n * (n - 1) / 2, stride = pairs / 100000 + 1, m = 0, at = 0;
	double *some = lab_alloc((size_t)(pairs / stride + 1), sizeof *some);
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < i; j++, at++) {
			double d = square_distance(i < nx ? x + i * dim : y + (i - nx) * dim,
						   j < nx ? x + j * dim : y + (j - nx) * dim, dim);
			k[i * n + j] = (float)d;
			if (at % stride == 0)
				some[m++] = d;
		}
	lab_sort(some, m);
	double median = lab_quantile(some, m, 0.5), unit = median > 0 ? median : 1;
	free(some);
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < i; j++) {
			double d = k[i * n + j] / (2 * unit);
			k[i * n + j] = k[j * n + i] = (float)(exp(-4 * d) + exp(-d) + exp(-d / 4));
		}
	return k;
}

/* The estimate when the rows order[0..nx) are one sample; total: sum of k; row: its sums by rows. */
static double estimate(const float *k, const int64_t *order, int64_t nx, int64_t n, double total, const double *row)
{
	double inside = 0, rows = 0;
	for (int64_t i = 0; i < nx; i++) {
		const float *r = k + order[i] * n;
		double s = 0;
		for (int64_t j = 0; j < nx; j++)
			s += r[order[j]];
		inside += s;
		rows += row[order[i]];
	}
	double cross = rows - inside, rest = total - inside - 2 * cross, a = (double)nx, b = (double)(n - nx);
	return inside / (a * (a - 1)) + rest / (b * (b - 1)) - 2 * cross / (a * b);
}

lab_verdict lab_mmd(const double *x, int64_t nx, const double *y, int64_t ny, int64_t dim, int permutations,
		    uint64_t seed)
{
	int64_t n = nx + ny, *order = lab_alloc((size_t)n, sizeof *order), as_large = 0;
	float *k = kernel(x, nx, y, n, dim);
	double *row = lab_alloc((size_t)n, sizeof *row), total = 0;
	for (int64_t i = 0; i < n; i++) {
		order[i] = i;
		for (int64_t j = 0; j < n; j++)
			row[i] += k[i * n + j];
		total += row[i];
	}
	lab_verdict v = { .statistic = estimate(k, order, nx, n, total, row) };
	lab_rng r = { seed };
	for (int b = 0; b < permutations; b++) {
		lab_rng_shuffle(&r, n, order);
		as_large += estimate(k, order, nx, n, total, row) >= v.statistic;
	}
	v.p = (double)(1 + as_large) / (double)(1 + permutations);
	free(order);
	free(row);
	free(k);
	return v;
}
