/* matrix.h - what the ops on matrices share.  Private to ad/.
 *
 * Such an op works on independent problems: the leading axes of its result, and its lanes.  Operands' leading
 * axes broadcast to the result's. */
#ifndef AD_MATRIX_H
#define AD_MATRIX_H

#include "ad/op.h"

/* How many problems out holds a lane, and where problem k begins in x; tails count the axes of one problem. */
int64_t ad__problems(const ad__arr *out, int out_tail);
int64_t ad__problem(const ad__arr *x, int tail, const ad__arr *out, int out_tail, int64_t k);

/* Whether the last two axes are a square matrix without the batch axis; else fails r. */
bool ad__square(ad_var r, ad_var a);

/* LU factors of a [.., n, n] with row pivoting: [.., n, n + 1], L (unit) and U in the first n columns, and in the
 * last one the row of a that stands in this row.  Has derivative zero: ops that take it beside a give the whole
 * derivative to a. */
ad_var ad__lu(ad_var a);
ad_var ad__inverse(ad_var a, ad_var lu);

double ad__get(ad_dtype d, const char *p, int64_t i);
void ad__put(ad_dtype d, char *p, int64_t i, double v);
void ad__matrix_error(ad_var r, ad__ctx *c, bool batched, int64_t lane, const char *what);

#endif
