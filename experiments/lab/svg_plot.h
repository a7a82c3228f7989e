/* svg_plot.h - plots and pictures inside a page, with the page's colours: var(--c1) .. var(--c8) for curves. */
#ifndef LAB_SVG_PLOT_H
#define LAB_SVG_PLOT_H

#include <stdio.h>

#include "figure.h"

typedef struct {
	const char *title, *xlabel, *ylabel; /* escaped */
	int n;
	const lab_curve *curve; /* LAB_LINE, LAB_STEPS or LAB_BOXES; with a label each, if there is to be a key */
	const int *which;	/* colour of each curve; those from the fifth on are dashed */
	double level;		/* a horizontal line; NaN: none */
	double band;		/* a grey band about the level, half its width; 0: none */
	bool whole; /* the largest values too, which else may lie above the frame */
	bool key;
} lab_plot;
void lab_svg_plot(FILE *f, const lab_plot *p);

/* An item of a list of class "key": the colour of curves number k, and what it stands for. */
void lab_html_key(FILE *f, int k, const char *label);

/* An n x n picture of values p[iy n + ix] >= 0, iy upwards, as an <img> with its bytes in it. */
void lab_html_picture(FILE *f, const char *alt, int n, const double *p);

#endif
