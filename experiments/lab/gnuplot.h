/* gnuplot.h - running gnuplot on a script; private to lab's figures. */
#ifndef LAB_GNUPLOT_H
#define LAB_GNUPLOT_H

#include <stdio.h>

#include "data.h"

typedef struct {
	FILE *script;
	char png[4096], beside[4200];
} lab__plot;

/* Begins a picture of width x height pixels; -1 with a message. */
int lab__plot_begin(lab__plot *g, const char *png, int width, int height, lab_err *err);
/* Runs the script and puts the picture in place. */
int lab__plot_end(lab__plot *g, lab_err *err);
/* Writes before, text as a string of gnuplot, after. */
void lab__plot_text(lab__plot *g, const char *before, const char *text, const char *after);

#endif
