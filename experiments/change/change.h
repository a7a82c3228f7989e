/* change.h - the chapters of the change-of-variables experiment and what they share. */
#ifndef CHANGE_H
#define CHANGE_H

#include "ad/ad.h"
#include "experiments/lab/figure.h"

#define SAMPLES 1000000
#define NODES 4 /* of Gauss and Legendre in a bin's side */
#define ENOUGH 400 /* expected points below which a bin is not judged */
#define LIMIT 5.0 /* standard errors */

typedef struct {
	uint64_t seed;
	const char *out;
	int64_t threads;
	bool profile;
	int wrong; /* formulas that disagree with their measurement */
} change_run;

void change_line(change_run *r);        /* increasing and decreasing maps of the line */
void change_cdf(change_run *r);         /* a density to the uniform by its own CDF, and back */
void change_expansion(change_run *r);   /* the determinant as the volume of a small cell's image */
void change_composition(change_run *r); /* determinants multiply; a density in the plane */
void change_cost(change_run *r);        /* dense against triangular log-determinants */

/* Compiles and runs a tape once on batch samples, and frees it.  Input i reads data[i]; out[i], of one number a sample,
 * is written to result[i]. */
void change_evaluate(const change_run *r, ad_tape *t, int64_t batch, int nin, const ad_var in[], const double *const data[], int nout,
                     const ad_var out[], double *const result[]);
/* Prints "what: value (limit)" and counts it as wrong if value > limit or is not a number. */
void change_judge(change_run *r, const char *what, double value, double limit);
void change_figure(const change_run *r, int rc, const char *name, const lab_err *err); /* says what was drawn, or why not */
const char *change_path(const change_run *r, const char *name);                        /* static buffer */
double *change_array(int64_t n);

/* A histogram beside the probabilities that a density gives its bins.  The caller evaluates the density at the
 * nodes. */
#define BINS 40
typedef struct {
	double lo, hi, width;
	double node[BINS * NODES], density[BINS * NODES]; /* at the nodes */
	double middle[BINS], seen[BINS], formula[BINS], deviation[BINS], worst;
} change_bins;
void change_bins_init(change_bins *b, double lo, double hi);
/* Sets the rest from node and density; deviation in standard errors, NaN for a bin with too few points; the points outside
 * are a bin, too. */
void change_bins_fill(change_bins *b, int64_t n, const double *x);
/* The histogram and the density over it. */
lab_panel change_bins_panel(const change_bins *b, const char *title, const char *xlabel, lab_curve curve[2]);
void change_bins_print(const change_bins *b, const char *variable);
/* Node k of 0..NODES-1 in [-1, 1] and its weight / 2. */
extern const double change_node[NODES], change_weight[NODES];

/* An invertible map of the plane in three couplings (x, y) -> (x, y exp s(x) + t(x)), the roles of x and y alternating. */
#define LAYERS 3
void change_map(ad_var z[2], ad_var log_det[LAYERS]);     /* in place; log |det| of each layer */
void change_map_back(ad_var x[2], ad_var log_det[LAYERS]); /* of the inverses */

#endif
