/* svg_plot.h - plots and pictures inside a page, with the page's colours: var(--c1) .. var(--c8) for curves. */
#ifndef LAB_SVG_PLOT_H
#define LAB_SVG_PLOT_H

#include <stdio.h>

#include "figure.h"

/* Curves (LAB_LINE, LAB_STEPS or LAB_BOXES); curve k has colour which[k].  level: a horizontal line, NaN: none.  Texts
 * are escaped. */
void lab_svg_plot(FILE *f, const char *title, const char *xlabel, const char *ylabel, int n, const lab_curve curve[],
		  const int which[], double level);

/* An n x n picture of values p[iy n + ix] >= 0, iy upwards, as an <img> with its bytes in it. */
void lab_html_picture(FILE *f, const char *alt, int n, const double *p);

#endif
