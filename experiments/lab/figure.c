/* figure.c - densities, samples and curves as PNG */
#include "figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gnuplot.h"
#include "load.h"

#define SHOWN 10000 /* points of a sample; more would only blacken the picture */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Quantiles lo and hi of the finite values p[0], p[step], ...; false if there are none. */
static bool quantiles(const double *p, int64_t n, int step, double lo, double hi, double q[2])
{
	double *s = malloc((size_t)(n > 0 ? n : 1) * sizeof *s);
	int64_t m = 0;
	for (int64_t i = 0; s && i < n; i++)
		if (isfinite(p[i * step]))
			s[m++] = p[i * step];
	if (m) {
		qsort(s, (size_t)m, sizeof *s, by_size);
		q[0] = s[(int64_t)(lo * (double)(m - 1))];
		q[1] = s[(int64_t)(hi * (double)(m - 1))];
	}
	free(s);
	return m > 0;
}

int lab_figure_density(const char *png, const char *title, int n, const double *p, double x0, double x1, double y0,
                       double y1, lab_err *err)
{
	lab__plot g;
	double q[2];
	if (!lab_figures_available())
		return 0;
	if (!quantiles(p, (int64_t)n * n, 1, 0, 0.999, q)) {
		lab__fail(err, png, "no finite values to draw");
		return -1;
	}
	double tall = fmax(0.25, fmin(4, (y1 - y0) / (x1 - x0)));
	if (lab__plot_begin(&g, png, 660, 100 + (int)(480 * tall), err))
		return -1;
	fprintf(g.script, "$p << EOD\n");
	for (int i = 0; i < n * n; i++)
		fprintf(g.script, "%.6g%c", isfinite(p[i]) ? p[i] : 0, (i + 1) % n ? ' ' : '\n');
	fprintf(g.script, "EOD\n");
	lab__plot_text(&g, "set title ", title, " font ',12'\n");
	fprintf(g.script,
	        "set palette defined (0 '#ffffff', 0.1 '#dbe9f6', 0.3 '#9dc7e0', 0.55 '#4a94c8', 0.8 '#1b5c9e', 1 '#082a57')\n"
	        "unset grid\nset size ratio -1\nset xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\nset cbrange [0:%.9g]\n"
	        "set cblabel 'density'\nset lmargin at screen 0.1\nset rmargin at screen 0.84\nset xlabel 'x₁'\nset ylabel 'x₂'\n"
	        "plot $p matrix using (%.9g + %.9g * ($1 + 0.5)):(%.9g + %.9g * ($2 + 0.5)):3 with image notitle\n",
	        x0, x1, y0, y1, q[1] > 0 ? q[1] : 1, x0, (x1 - x0) / n, y0, (y1 - y0) / n);
	return lab__plot_end(&g, err);
}

/* A range that holds nearly all of both samples' coordinate k. */
static bool range(int k, int64_t na, const double *a, int64_t nb, const double *b, double r[2])
{
	double q[2];
	if (!quantiles(a + k, na, 2, 0.0005, 0.9995, r))
		return false;
	if (b && quantiles(b + k, nb, 2, 0.0005, 0.9995, q)) {
		r[0] = fmin(r[0], q[0]);
		r[1] = fmax(r[1], q[1]);
	}
	double margin = 0.04 * (r[1] - r[0]) + 1e-9 * fabs(r[1]) + 1e-12;
	r[0] -= margin;
	r[1] += margin;
	return true;
}

int lab_figure_samples(const char *png, const char *title, int64_t n, const double *a, const char *name_a, int64_t nb,
                       const double *b, const char *name_b, lab_err *err)
{
	lab__plot g;
	double x[2], y[2];
	if (!lab_figures_available())
		return 0;
	if (!range(0, n, a, nb, b, x) || !range(1, n, a, nb, b, y)) {
		lab__fail(err, png, "no finite points to draw");
		return -1;
	}
	if (lab__plot_begin(&g, png, b ? 1040 : 560, 560, err))
		return -1;
	for (int k = 0; k < (b ? 2 : 1); k++) {
		const double *s = k ? b : a;
		int64_t m = k ? nb : n;
		fprintf(g.script, "$s%d << EOD\n", k);
		for (int64_t i = 0; i < m && i < SHOWN; i++)
			if (isfinite(s[2 * i]) && isfinite(s[2 * i + 1]))
				fprintf(g.script, "%.6g %.6g\n", s[2 * i], s[2 * i + 1]);
		fprintf(g.script, "EOD\n");
	}
	fprintf(g.script, "set multiplot layout 1,%d ", b ? 2 : 1);
	lab__plot_text(&g, "title ", title, " font ',13'\n");
	fprintf(g.script, "set size ratio -1\nset xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\nset xlabel 'x₁'\nset ylabel 'x₂'\n",
	        x[0], x[1], y[0], y[1]);
	for (int k = 0; k < (b ? 2 : 1); k++) {
		lab__plot_text(&g, "set title ", k ? name_b : name_a, "\n");
		fprintf(g.script, "plot $s%d with points pt 7 ps 0.25 lc rgb '#88%s' notitle\n", k, k ? "b0304a" : "0b4f94");
	}
	fprintf(g.script, "unset multiplot\n");
	return lab__plot_end(&g, err);
}

static const char *const colour[] = { "#0b559f", "#c8374d", "#2a8050", "#d9820a", "#6a4c93", "#4d4d4d", "#1597a5", "#8c564b" };

static bool usable(const lab_panel *p, const lab_curve *c, int64_t i)
{
	return isfinite(c->x[i]) && isfinite(c->y[i]) && !(p->logx && c->x[i] <= 0) && !(p->logy && c->y[i] <= 0);
}

static bool drawable(const lab_panel *p)
{
	for (int k = 0; k < p->n; k++)
		for (int64_t i = 0; i < p->curve[k].n; i++)
			if (usable(p, &p->curve[k], i))
				return true;
	return false;
}

static void put_data(lab__plot *g, const lab_panel *p, int number)
{
	for (int k = 0; k < p->n; k++) {
		const lab_curve *c = &p->curve[k];
		fprintf(g->script, "$d%d_%d << EOD\n", number, k);
		for (int64_t i = 0; i < c->n; i++)
			if (usable(p, c, i))
				fprintf(g->script, "%.9g %.9g\n", c->x[i], c->y[i]);
			else
				fputc('\n', g->script);
		fprintf(g->script, "EOD\n");
	}
}

static void put_panel(lab__plot *g, const lab_panel *p, int number)
{
	static const char *const style[] = { [LAB_LINE] = "lines lw 2", [LAB_POINTS] = "points pt 7 ps 0.6",
		                             [LAB_STEPS] = "histeps lw 1.5", [LAB_BOXES] = "boxes fs solid 0.3 noborder",
		                             [LAB_THIN] = "lines lw 1" };
	int nc = (int)(sizeof colour / sizeof *colour);
	bool boxes = false;
	for (int k = 0; k < p->n; k++)
		boxes |= p->curve[k].style == LAB_BOXES;
	lab__plot_text(g, "set title ", p->title ? p->title : "", " font ',11'\n");
	lab__plot_text(g, "set xlabel ", p->xlabel ? p->xlabel : "", "\n");
	lab__plot_text(g, "set ylabel ", p->ylabel ? p->ylabel : "", "\n");
	fprintf(g->script, "%s logscale x\n%s logscale y\nset format '%%g'\n", p->logx ? "set" : "unset",
	        p->logy ? "set" : "unset");
	fprintf(g->script, "set yrange [%s:*]\nset offsets 0, 0, %s, 0\n", boxes && !p->logy ? "0" : "*",
	        boxes && !p->logy ? "graph 0.08" : "0");
	fprintf(g->script, "set size %s\nplot ", p->equal ? "ratio -1" : "noratio");
	for (int k = 0; k < p->n; k++) {
		const lab_curve *c = &p->curve[k];
		fprintf(g->script, "%s$d%d_%d using 1:2 with %s lc rgb '%s'%s ", k ? ", " : "", number, k, style[c->style],
		        colour[k % nc], k >= nc && c->style == LAB_LINE ? " dt 2" : "");
		if (c->label)
			lab__plot_text(g, "title ", c->label, "");
		else
			fputs("notitle", g->script);
	}
	fputc('\n', g->script);
}

int lab_figure_panels(const char *png, const char *title, int cols, int n, const lab_panel p[], lab_err *err)
{
	lab__plot g;
	cols = cols < 1 ? 1 : cols < n ? cols : n;
	int rows = (n + cols - 1) / (cols ? cols : 1);
	if (!lab_figures_available())
		return 0;
	for (int k = 0; k < n; k++)
		if (!drawable(&p[k])) {
			lab__fail(err, png, "no finite points to draw%s%s", p[k].title ? " in panel " : "", p[k].title ? p[k].title : "");
			return -1;
		}
	if (n < 1 || lab__plot_begin(&g, png, cols == 1 ? 760 : 480 * cols, 60 + (rows == 1 ? 460 : 390 * rows), err))
		return -1;
	for (int k = 0; k < n; k++)
		put_data(&g, &p[k], k);
	fprintf(g.script, "set multiplot layout %d,%d ", rows, cols);
	lab__plot_text(&g, "title ", title ? title : "", " font ',13'\n");
	for (int k = 0; k < n; k++)
		put_panel(&g, &p[k], k);
	fprintf(g.script, "unset multiplot\n");
	return lab__plot_end(&g, err);
}

int lab_figure_curves(const char *png, const char *title, const char *xlabel, const char *ylabel, bool logx, bool logy,
                      int n, const lab_curve c[], lab_err *err)
{
	lab_panel p = { .xlabel = xlabel, .ylabel = ylabel, .logx = logx, .logy = logy, .n = n, .curve = c };
	return lab_figure_panels(png, title, 1, 1, &p, err);
}
