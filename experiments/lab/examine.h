/* examine.h - is a trained density right, not just likely?  Its samples, latents and regions against the test rows.
 *
 * Every p-value is small when model and test rows disagree, and uniform when they do not.  Test rows and samples are
 * independent draws, so the tests hold their level; they say how surely a fault is seen, not how bad it is. */
#ifndef LAB_EXAMINE_H
#define LAB_EXAMINE_H

#include "log.h"
#include "model.h"
#include "stats.h"
#include "twosample.h"

enum { LAB_LEVELS = 3, LAB_BINS = 20 };
extern const double lab_level[LAB_LEVELS]; /* 0.5, 0.9, 0.95 */

typedef struct {
	int64_t rows, dim;
	int64_t *number; /* [dim]: of each column in its file, from 1 */
	double *test;	/* [rows, dim]: the test rows used, evenly spaced, in the units of the data */
	double *sample; /* [rows, dim]: as many samples of the model, of a fixed seed */
	int64_t odd;	/* samples that were not finite and were left out; rows is what is left */
	/* Of a column: test values at their place among the samples (the PIT by the model's marginal), as a two-sample
	 * test; the samples' mass below the 1 % and above the 99 % quantile of the test values, each 0.01 of a perfect
	 * model. */
	lab_ks *marginal;	 /* [dim] */
	double (*tail)[2];	 /* [dim] */
	double (*pit)[LAB_BINS]; /* [dim]: the test values' share of each twentieth of the samples */
	/* Latents z of the test rows against a standard normal base: each coordinate's Phi(z), and the radius by the
	 * chi-squared distribution.  normal: the base is one; else NaN. */
	bool normal;
	double latent_p; /* the least over coordinates, times their number (at most 1): level kept for all together */
	lab_ks radius;
	/* Highest-density regions: at a level L, the region of highest density that has mass L under the model, found
	 * from the samples' densities; the share of test rows in it.  Calibrated: L.  region: all levels at once. */
	double coverage[LAB_LEVELS];
	lab_ks region;
	double region_pit[LAB_BINS];
	double marginal_p; /* the least over columns, times their number */
	lab_verdict mmd, classifier;
} lab_examination;

/* Of the run with this log and the checkpoint in the same directory; the test rows are read again and checked by their
 * hash.  draws: rows and samples at most.  NULL and err on failure.  model: if not NULL, gets the model, the caller's.
 */
lab_examination *lab_examine(const lab_log *l, const char *log_path, int64_t draws, int threads, lab_model **model,
			     lab_err *err);
void lab_examination_free(lab_examination *e);

/* Latents of the rows of t, [rows, dim]; 0, or -1 and err. */
int lab_latents(lab_model *m, const lab_table *t, int threads, double *z, lab_err *err);

#endif
