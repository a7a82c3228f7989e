/* resample.c - random numbers for resampling, and bootstrap intervals. */
#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "stats.h"

enum { RESAMPLES = 1000, LOW = 24, HIGH = 974, MOST = 50000 };

uint64_t lab_rng_next(lab_rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int64_t lab_rng_below(lab_rng *r, int64_t n)
{
	return (int64_t)((lab_rng_next(r) >> 32) * (uint64_t)n >> 32);
}

double lab_rng_normal(lab_rng *r)
{
	double u = ((double)(lab_rng_next(r) >> 11) + 0.5) * 0x1p-53, v = (double)(lab_rng_next(r) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(2 * acos(-1) * v);
}

void lab_rng_shuffle(lab_rng *r, int64_t n, int64_t *x)
{
	for (int64_t i = n - 1; i > 0; i--) {
		int64_t j = lab_rng_below(r, i + 1), was = x[i];
		x[i] = x[j];
		x[j] = was;
	}
}

/* Means of resamples. */
static void resample(const double *x, int64_t n, lab_rng *r, double mean[RESAMPLES])
{
	double m = lab_mean(x, n), se = lab_sd(x, n) / sqrt((double)n);
	bool normal = n > MOST || n < 2 || !isfinite(se);
	for (int b = 0; b < RESAMPLES; b++) {
		double s = 0;
		for (int64_t i = 0; i < n && !normal; i++)
			s += x[lab_rng_below(r, n)];
		mean[b] = normal ? m + se * lab_rng_normal(r) : s / (double)n;
	}
}

void lab_interval(const double *x, int64_t n, double *lo, double *hi)
{
	double m = lab_mean(x, n), half = 1.959964 * lab_sd(x, n) / sqrt((double)n), mean[RESAMPLES];
	*lo = m - half;
	*hi = m + half;
	if (n > MOST || n < 2 || !isfinite(half))
		return;
	resample(x, n, &(lab_rng){ 1 }, mean);
	lab_sort(mean, RESAMPLES);
	*lo = mean[LOW];
	*hi = mean[HIGH];
}

/* The mean of k resampled values, less their mean, widened. */
static double deviation(const double *x, int k, lab_rng *r)
{
	double s = 0;
	for (int i = 0; i < k; i++)
		s += x[lab_rng_below(r, k)];
	return (s / k - lab_mean(x, k)) * sqrt(k / (k - 1.0));
}

void lab_interval_seeds(const double *d, int64_t n, const double *a, int na, const double *b, int nb, double *lo,
			double *hi)
{
	*lo = *hi = NAN;
	if (na < 2 || nb < 2)
		return;
	double va = pow(lab_sd(a, na), 2) / na, vb = pow(lab_sd(b, nb), 2) / nb, mean[RESAMPLES];
	/* Welch's degrees of freedom */
	double df = va + vb > 0 ? (va + vb) * (va + vb) / (va * va / (na - 1) + vb * vb / (nb - 1)) : 1e6;
	double widen = va + vb > 0 ? lab_t_quantile(0.975, df) / 1.959964 : 1;
	lab_rng r = { 2 };
	resample(d, n, &(lab_rng){ 1 }, mean);
	for (int k = 0; k < RESAMPLES; k++)
		mean[k] += widen * (deviation(a, na, &r) - deviation(b, nb, &r));
	lab_sort(mean, RESAMPLES);
	*lo = mean[LOW];
	*hi = mean[HIGH];
}
