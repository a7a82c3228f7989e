/* canvas.h - a grid of characters with curves drawn in it: plots for terminals. */
#ifndef LAB_CANVAS_H
#define LAB_CANVAS_H

#include <stdio.h>

#include "figure.h"

typedef struct {
	int w, h;
	bool ascii;  /* curves of letters, axes of ASCII; otherwise dots of Braille patterns, 2 x 4 to a character */
	bool colour; /* by ANSI sequences */
	struct lab_cell {
		uint32_t c; /* code point; 0: blank */
		uint8_t colour;
	} * cell;
} lab_canvas;

#define LAB_COLOURS 6 /* of curves, repeated after; 0 is the terminal's own */

lab_canvas lab_canvas_new(int w, int h, bool ascii, bool colour);
void lab_canvas_free(lab_canvas *c);
/* UTF-8 from column x on; what lies outside is cut off. */
void lab_canvas_text(lab_canvas *c, int x, int y, int colour, const char *text);
/* Curves in a frame of that place and size, with its title and the ends of its axes; curve k has colour 1 + which[k].
 * Points that are not finite are left out.  The range holds all but the largest twentieth of the values, so that the
 * first steps do not flatten the rest; "^" before the upper end says that some points lie above. */
void lab_canvas_plot(lab_canvas *c, int x, int y, int w, int h, const char *title, int n, const lab_curve curve[],
		     const int which[]);
/* The mark of curves of this number, as text. */
const char *lab_canvas_mark(const lab_canvas *c, int which, char buf[8]);
/* One line each; live: over the lines that are there, each cleared to its end. */
void lab_canvas_put(const lab_canvas *c, FILE *f, bool live);

#endif
