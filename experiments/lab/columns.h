/* columns.h - what kind of number a column holds, and its bijection to numbers without bounds.
 *
 * Declared as "3:bounded[0,1],5-6:positive,7:periodic[0,6.2832],8:discrete", columns counted from 1; the others are real.
 *   bounded[LO,HI]   logit of p = A + (1 - 2A) (x - LO) / (HI - LO), A = 1e-6, so that the ends are taken
 *   positive         log x
 *   periodic[LO,HI]  wrapped into a period that begins in the middle of the widest gap between training values, then as bounded:
 *                    the density falls to 0 at that seam
 *   discrete[STEP]   multiples of STEP (1 if it is left out), dequantised: x + STEP (u - 1/2), u uniform.  The log-density of such
 *                    a point, plus log STEP, is on average a lower bound of the log-probability of x (Theis et al. 2016)
 *   variational[STEP,K]  the same with u drawn by a flow that is trained with the model (flows/dequantise.h), and with the bound of
 *                    K draws (16) in every evaluation (Burda et al. 2016)
 * Log-determinants count in every log-likelihood, so that it is that of the table's own units (discrete: of probabilities). */
#ifndef LAB_COLUMNS_H
#define LAB_COLUMNS_H

#include "data.h"

typedef enum { LAB_COLUMN_REAL, LAB_COLUMN_BOUNDED, LAB_COLUMN_POSITIVE, LAB_COLUMN_PERIODIC, LAB_COLUMN_DISCRETE,
	       LAB_COLUMN_VARIATIONAL } lab_column_kind;
struct lab_column {
	lab_column_kind kind;
	double lo, hi; /* ends; of a period the cut, and the cut and the period; discrete: the step is lo; variational: hi is K */
	double from;   /* of a period: where the declared one begins */
};

/* columns[cols] from the declaration; false and err (which begins with path) for one that makes no sense. */
bool lab_columns_parse(const char *path, const char *text, int64_t cols, lab_column *columns, lab_err *err);
/* Marks the columns of "3,7-9" in gone[cols]; false and err (which begins with path) for text that says nothing of the kind. */
bool lab_columns_dropped(const char *path, const char *text, int64_t cols, bool *gone, lab_err *err);
/* Puts the cuts of periods where the training values leave most room. */
void lab_columns_cut(lab_column *columns, const lab_table *train);
/* 0 if every value of t is one that its column can have; else -1, and err names row and column. */
int lab_columns_check(const lab_column *columns, const lab_table *t, lab_err *err);
bool lab_column_sound(const lab_column *c); /* are its ends, or its step, such as a declaration can give? */
int64_t lab_columns_count(const lab_column *columns, int64_t cols, lab_column_kind kind);
int64_t lab_columns_discrete(const lab_column *columns, int64_t cols); /* of either kind */

/* The number that stands for x; u in (0, 1) for discrete columns.  *logdet += log|dy/dx|, -inf if x cannot occur (then
 * y is 0). */
double lab_column_forward(const lab_column *c, double x, double u, double *logdet);
double lab_column_inverse(const lab_column *c, double y);

#endif
