/* spline.h - the monotone rational-quadratic spline (Durkan et al. 2019, eqs. 4-8 and appendix A.3) as one op.
 *
 * ad_rq_spline takes points x [..] and raw numbers p [.., M]: K widths, K heights, and slopes at the inner knots (M = 3K - 1)
 * or, with `ends`, at all of them (M = 3K + 1).  Bin k is min + (1 - min K) softmax(scale raw)[k] of the box wide (or high),
 * a slope min_derivative + softplus(raw); without `ends` the slopes at the ends are 1.  The result is [.., 2]: the value, and
 * the logarithm of the derivative, of the spline or of its inverse.  Points outside the box stay, with logarithm 0; the ends
 * count as inside.  p may lack the batch of x, and x that of p.
 *
 * Value and first derivative are kernels.  `composed` must trace the same function of ad ops; derivatives beyond the first
 * come from it.  It is called when such a derivative is traced, with the tape's own copy of the options. */
#ifndef AD_SPLINE_H
#define AD_SPLINE_H

#include "ad.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ad_rq ad_rq;
struct ad_rq {
	int bins;                                     /* K, at least 2 */
	double lo, side;                              /* the box is [lo, lo + side] on both axes */
	double width_scale, height_scale;
	double min_width, min_height, min_derivative; /* widths and heights as parts of the side */
	bool ends, inverse;
	ad_var (*composed)(ad_var x, ad_var p, const ad_rq *o);
};

int ad_rq_numbers(const ad_rq *o); /* M */
ad_var ad_rq_spline(ad_var x, ad_var p, const ad_rq *o);

#ifdef __cplusplus
}
#endif

#endif
