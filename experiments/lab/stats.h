/* stats.h - moments, quantiles, distributions and resampling. */
#ifndef LAB_STATS_H
#define LAB_STATS_H

#include <stdbool.h>
#include <stdint.h>

double lab_mean(const double *x, int64_t n);
double lab_sd(const double *x, int64_t n);			/* divisor n - 1; NaN for n < 2 */
void lab_sort(double *x, int64_t n);				/* ascending */
double lab_quantile(const double *sorted, int64_t n, double p); /* linear between order statistics; NaN for n = 0 */

/* --- Distributions --------------------------------------------------------------------------------------- */

double lab_normal_cdf(double z);
double lab_gamma_cdf(double x, double shape); /* of scale 1; chi-squared of k degrees: (x / 2, k / 2) */
double lab_t_quantile(double p, double df);   /* of Student's t */

/* --- Kolmogorov-Smirnov ------------------------------------------------------------------------------------ */

/* p-values by the asymptotic distribution with Stephens's correction for finite n. */
typedef struct {
	double distance, p;
} lab_ks;
lab_ks lab_ks_uniform(const double *u, int64_t n); /* against the uniform distribution on (0, 1) */
lab_ks lab_ks_two(const double *a, int64_t na, const double *b, int64_t nb);

/* --- Resampling ---------------------------------------------------------------------------------------------- */

typedef struct {
	uint64_t state; /* any value is a seed */
} lab_rng;		/* splitmix64 */
uint64_t lab_rng_next(lab_rng *r);
int64_t lab_rng_below(lab_rng *r, int64_t n);
double lab_rng_normal(lab_rng *r);
void lab_rng_shuffle(lab_rng *r, int64_t n, int64_t *x);

/* All intervals below are of 95 %, from 1000 resamples of a fixed seed. */

/* Of the mean of n values: percentiles of resamples up to 50,000 values, normal above. */
void lab_interval(const double *x, int64_t n, double *lo, double *hi);

/* Of the mean difference between two contestants on the same points, when points and seeds are both drawn anew.
 * d: point by point difference of the means over seeds.  a, b: the means over points of each seed's run.  Points are
 * resampled, and the seeds of either side, whose deviations are widened by sqrt(k / (k - 1)) and by the quantile of
 * Student's t over the normal's (the expanded percentile interval; Hesterberg, The American Statistician 69, 2015):
 * without it a few seeds give far too narrow an interval.  NaN unless both have two seeds. */
void lab_interval_seeds(const double *d, int64_t n, const double *a, int na, const double *b, int nb, double *lo,
			double *hi);

#endif
