/* figure.h - PNG figures through gnuplot.  Without gnuplot they are left out, with one line on stderr saying so once.
 * All return 0, or -1 with the reason in err.  A figure is written beside its place and renamed. */
#ifndef LAB_FIGURE_H
#define LAB_FIGURE_H

#include "data.h"

bool lab_figures_available(void);
/* Density on an n x n grid over [x0, x1] x [y0, y1], values p[iy * n + ix] at the centres of its cells. */
int lab_figure_density(const char *png, const char *title, int n, const double *p, double x0, double x1, double y0, double y1, lab_err *err);
/* Points (x, y pairs) of one or two samples side by side (b may be NULL). */
int lab_figure_samples(const char *png, const char *title, int64_t n, const double *a, const char *name_a, int64_t nb, const double *b,
                       const char *name_b, lab_err *err);
typedef struct {
	const char *label; /* NULL: not in the key */
	int64_t n;
	const double *x, *y; /* NaN breaks a line */
	enum { LAB_LINE, LAB_POINTS, LAB_STEPS, LAB_BOXES /* from 0 */, LAB_THIN /* line */ } style;
} lab_curve;
int lab_figure_curves(const char *png, const char *title, const char *xlabel, const char *ylabel, bool logx, bool logy, int n,
                      const lab_curve c[], lab_err *err);
/* Several panels in one picture. */
typedef struct {
	const char *title, *xlabel, *ylabel;
	bool logx, logy;
	int n;
	const lab_curve *curve;
	bool equal; /* the same scale on both axes */
} lab_panel;
int lab_figure_panels(const char *png, const char *title, int cols, int n, const lab_panel p[], lab_err *err);

#endif
