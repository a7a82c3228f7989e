/* cost.c - why structure matters: the time of a log-determinant, dense against triangular, as dimension grows */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "change.h"

#define SIZES 7 /* D = 8, 16, ..., 512 */
#define LANES 16 /* samples that are worked on side by side: fewer cost the same */
#define SHORTEST 0.05 /* seconds of a measurement */

/* Time of the processor, not of the wall: other programs do not count. */
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds per sample of the program with this input and output; the best of five measurements. */
static double seconds(const change_run *r, ad_tape *t, ad_var in, const double *data, int64_t batch, ad_var out)
{
	ad_prog *p = ad_compile(t, 1, &out, (ad_options){ .threads = 1 });
	double best = INFINITY;
	if (!p) {
		fprintf(stderr, "change_of_variables: %s\n", ad_error(t));
		exit(1);
	}
	ad_set_seed(p, r->seed);
	ad_set_batch(p, batch);
	ad_bind(p, in, data);
	for (int m = 0; m < 6; m++) {
		double start = now(), spent = 0;
		int runs = 0;
		do {
			if (ad_run(p, 0)) {
				fprintf(stderr, "change_of_variables: %s\n", ad_run_error(p));
				exit(1);
			}
			runs++;
			spent = now() - start;
		} while (spent < SHORTEST);
		if (m > 0) /* the first one warms up */
			best = fmin(best, spent / runs / (double)batch);
	}
	ad_prog_free(p);
	ad_tape_free(t);
	return best;
}

/* A Jacobian for every sample; its log-determinant by LU. */
static double dense(const change_run *r, int64_t d, const double *data, int64_t batch)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var a = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, d, d), "jacobian");
	return seconds(r, t, a, data, batch, ad_logabsdet(a));
}

/* A triangular Jacobian's is the sum of the logs of its diagonal, which is all that a coupling or an autoregressive layer
 * computes of it. */
static double triangular(const change_run *r, int64_t d, const double *data, int64_t batch)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var a = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, d), "diagonal");
	return seconds(r, t, a, data, batch, ad_sum(ad_log(ad_abs(a)), AD_EVENT));
}

/* Slope and level of log y against log x, least squares over the last n of m. */
static void fit(int m, int n, const double *x, const double *y, double line[2])
{
	double sx = 0, sy = 0, xx = 0, xy = 0;
	for (int k = m - n; k < m; k++) {
		double a = log(x[k]), b = log(y[k]);
		sx += a;
		sy += b;
		xx += a * a;
		xy += a * b;
	}
	line[0] = (n * xy - sx * sy) / (n * xx - sx * sx);
	line[1] = exp((sy - line[0] * sx) / n);
}

void change_cost(change_run *r)
{
	double d[SIZES], time[2][SIZES], fitted[2][SIZES], line[2][2];
	int64_t most = 512 * 512 * LANES, kept = 1 << 16; /* numbers of a batch, so that all sizes run from the same cache */
	double *data = change_array(most);
	lab_err err;
	printf("\n5. Why structure matters: processor time of a log-determinant, per sample, one thread\n\n");
	for (int64_t i = 0; i < most; i++)
		data[i] = ad_noise_normal(r->seed, 0, ad_hash(0, "cost"), (uint64_t)i);
	printf("  %6s %16s %16s %10s\n", "D", "dense, us", "triangular, us", "ratio");
	for (int k = 0; k < SIZES; k++) {
		int64_t n = 8 << k, many = kept / (n * n);
		d[k] = (double)n;
		time[0][k] = dense(r, n, data, many > LANES ? many : LANES);
		time[1][k] = triangular(r, n, data, kept / n);
		printf("  %6d %16.3f %16.4f %10.0f\n", (int)n, 1e6 * time[0][k], 1e6 * time[1][k], time[0][k] / time[1][k]);
	}
	for (int j = 0; j < 2; j++) {
		fit(SIZES, 4, d, time[j], line[j]);
		for (int k = 0; k < SIZES; k++)
			fitted[j][k] = line[j][1] * pow(d[k], line[j][0]);
	}
	printf("  fitted over the last 4 sizes: dense D^%.2f (3 in theory), triangular D^%.2f (1 in theory)\n", line[0][0], line[1][0]);
	char label[2][48];
	for (int j = 0; j < 2; j++)
		snprintf(label[j], sizeof label[j], "%s fitted, D^%.2f", j ? "triangular" : "dense", line[j][0]);
	lab_curve curve[] = { { "dense: log |det| by LU", SIZES, d, time[0], LAB_POINTS },
		              { "triangular: sum of logs", SIZES, d, time[1], LAB_POINTS },
		              { label[0], SIZES, d, fitted[0], LAB_LINE },
		              { label[1], SIZES, d, fitted[1], LAB_LINE } };
	change_figure(r, lab_figure_curves(change_path(r, "cost.png"), "Time of a log-determinant", "dimension D", "seconds per sample",
	                                   true, true, 4, curve, &err), "cost.png", &err);
	free(data);
}
