/* twosample.h - do two samples come from one distribution?  Rows are points; p-values are small if they do not. */
#ifndef LAB_TWOSAMPLE_H
#define LAB_TWOSAMPLE_H

#include "data.h"

typedef struct {
	double statistic, p;
} lab_verdict;

/* Maximum mean discrepancy: the unbiased estimate of MMD^2 (Gretton et al., JMLR 13, 2012, eq. 3) with the sum of
 * Gaussian kernels of half, once and twice the median distance, and its p-value among `permutations` relabellings.
 * Memory and time grow with the square of the rows. */
lab_verdict lab_mmd(const double *x, int64_t nx, const double *y, int64_t ny, int64_t dim, int permutations,
		    uint64_t seed);

/* Classifier two-sample test (Lopez-Paz & Oquab, ICLR 2017): the accuracy, on the half of the rows held out, of a net
 * trained on the other half to tell x from y, and the p-value of so many hits by guessing.  Both have as many rows, at
 * least 8.  p is NaN with err set if training fails. */
lab_verdict lab_classify(const double *x, const double *y, int64_t n, int64_t dim, uint64_t seed, lab_err *err);

#endif
