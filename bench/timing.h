/* timing.h - times of several jobs taken in turns, so that each round is a comparison under the same conditions. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <stdbool.h>
#include <stdint.h>

double timing_now(void);      /* seconds */
double timing_peak_mib(void); /* the most memory that this process has had resident */

typedef struct {
	bool (*run)(void *what, int64_t n); /* n times; false: it failed, and is left out from then on */
	void *what;
	bool failed;
	double least, median; /* seconds a time */
} timing_job;

/* Every job runs in turn for about `block` seconds, `rounds` times over. */
void timing_rounds(int n, timing_job job[], int rounds, double block);
/* The exponent k of y = c x^k by least squares in the logarithms, over the positive pairs; NAN for less than two. */
double timing_exponent(int n, const double x[], const double y[]);
/* GFLOP/s are 2e-9 n^3 over the time of this: a product of square single-precision matrices by the BLAS library, its
 * rows shared out to threads. */
enum { TIMING_GEMM = 1024 };
timing_job timing_gemm(int threads);
void timing_gemm_free(timing_job *j);

#endif
