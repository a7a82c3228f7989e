/* plot_range.h - the range of curves to be drawn, and round numbers in it. */
#ifndef LAB_PLOT_RANGE_H
#define LAB_PLOT_RANGE_H

#include "figure.h"

typedef struct {
	double x0, x1, y0, y1; /* x0 infinite: there is no finite point */
	bool above;	       /* some points lie above y1 */
} lab_range;
/* All finite points, but the largest twentieth of the values only where they are not far from the others: so the first
 * steps do not flatten the rest. */
lab_range lab_range_of(int n, const lab_curve curve[]);
/* Where v lies between lo and hi, from 0 to 1. */
double lab_part(double v, double lo, double hi);
/* About `want` round numbers from lo to hi; their number, at most 20. */
int lab_ticks(double lo, double hi, int want, double tick[20]);

#endif
