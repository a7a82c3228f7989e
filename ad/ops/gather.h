/* gather.h - what gathers take, and from where. */
#ifndef AD_GATHER_H
#define AD_GATHER_H

#include "ad/tape.h"

/* The index, if r is a gather (scattered: its transpose) of rows of [B, n] by constants; else NULL. */
const int32_t *ad__gathered_rows(ad_var r, bool *scattered);

/* The index of a gather along an axis by constants; NULL if x is no such thing. */
const int32_t *ad__constant_gather(ad_var x, int axis);
bool ad__is_concat(ad_var x, int axis);

/* Entries index[0] to index[n - 1] of an axis of x, if gathers and concatenations between can be left out or, where the entries
 * are not known to be a slice of x, if they are one; else NULL. */
ad_var ad__rearranged(ad_var x, int axis, int64_t n, const int32_t *index, bool slice);

#endif
