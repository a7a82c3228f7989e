/* report_pictures.c - densities and samples of a report: pictures of two columns, histograms of others. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "report_parts.h"
#include "svg_plot.h"

enum { FINE = 160, COARSE = 60, BARS = 40, MODELS = 7 };

/* The test rows' range in a column, and a margin. */
static void range(const lab_examination *e, int64_t j, double *lo, double *hi)
{
	*lo = INFINITY;
	*hi = -INFINITY;
	for (int64_t i = 0; i < e->rows; i++) {
		*lo = fmin(*lo, e->test[i * e->dim + j]);
		*hi = fmax(*hi, e->test[i * e->dim + j]);
	}
	double margin = 0.08 * (*hi - *lo);
	*lo -= margin;
	*hi += margin;
}

static const lab_examination *first_of(const lab_report *r, int k)
{
	return r->examination[r->contest->row[k].run[0]];
}

/* --- Two columns --------------------------------------------------------------------------------------------- */

static void counted(FILE *f, const char *alt, const lab_examination *e, const double *x)
{
	double *count = lab_alloc(COARSE * COARSE, sizeof *count), lo[2], hi[2];
	range(e, 0, &lo[0], &hi[0]);
	range(e, 1, &lo[1], &hi[1]);
	for (int64_t i = 0; i < e->rows; i++) {
		double u = (x[2 * i] - lo[0]) / (hi[0] - lo[0]), v = (x[2 * i + 1] - lo[1]) / (hi[1] - lo[1]);
		if (u >= 0 && u < 1 && v >= 0 && v < 1)
			count[(int)(v * COARSE) * COARSE + (int)(u * COARSE)]++;
	}
	lab_html_picture(f, alt, COARSE, count);
	free(count);
}

static void density(FILE *f, const char *alt, const lab_examination *e, lab_model *m, int threads)
{
	double lo[2], hi[2], *p = lab_alloc(FINE * FINE, sizeof *p);
	lab_table grid = { .rows = FINE * FINE, .cols = 2, .x = lab_alloc(2 * FINE * FINE, sizeof(double)) };
	lab_err err;
	range(e, 0, &lo[0], &hi[0]);
	range(e, 1, &lo[1], &hi[1]);
	for (int64_t i = 0; i < FINE * FINE; i++) {
		grid.x[2 * i] = lo[0] + (hi[0] - lo[0]) * ((double)(i % FINE) + 0.5) / FINE;
		grid.x[2 * i + 1] = lo[1] + (hi[1] - lo[1]) * ((double)(i / FINE) + 0.5) / FINE;
	}
	if (lab_log_density(m, &grid, threads, p, &err)) {
		fputs("<p>", f);
		lab_html_text(f, err.text);
		fputs("</p>\n", f);
	} else {
		for (int64_t i = 0; i < FINE * FINE; i++)
			p[i] = isfinite(p[i]) ? exp(p[i]) : 0;
		lab_html_picture(f, alt, FINE, p);
	}
	free(p);
	free(grid.x);
}

static void plane(FILE *f, const lab_report *r)
{
	char alt[300];
	bool data = false;
	double lo[2] = { 0 }, hi[2] = { NAN, NAN };
	for (int k = 0; k < r->contest->n && !isfinite(hi[1]); k++)
		for (int j = 0; j < 2 && first_of(r, k); j++)
			range(first_of(r, k), j, &lo[j], &hi[j]);
	fprintf(f,
		"<p class=\"soft\">The test rows, and of each model (its first seed) the density and samples, all for "
		"column 1 from %.3g to %.3g, left to right, and column 2 from %.3g to %.3g, upwards; colours by the "
		"square root.</p>\n<div class=\"figures small\">\n",
		lo[0], hi[0], lo[1], hi[1]);
	for (int k = 0; k < r->contest->n; k++) {
		const lab_examination *e = first_of(r, k);
		if (!e)
			continue;
		if (!data)
			counted(f, "test rows", e, e->test);
		data = true;
		snprintf(alt, sizeof alt, "%s: density", r->contest->row[k].label);
		density(f, alt, e, r->model[r->contest->row[k].run[0]], r->threads);
		snprintf(alt, sizeof alt, "%s: samples", r->contest->row[k].label);
		counted(f, alt, e, e->sample);
	}
	fputs("</div>\n", f);
}

/* --- Other numbers of columns -------------------------------------------------------------------------------- */

static void bars(const lab_examination *e, const double *x, int64_t j, double lo, double hi, double bar[BARS])
{
	memset(bar, 0, BARS * sizeof *bar);
	for (int64_t i = 0; i < e->rows; i++) {
		double u = (x[i * e->dim + j] - lo) / (hi - lo);
		if (u >= 0 && u < 1)
			bar[(int)(u * BARS)] += BARS / ((hi - lo) * (double)e->rows);
	}
}

static void column(FILE *f, const lab_report *r, int64_t j)
{
	double x[BARS], y[MODELS + 1][BARS], lo, hi;
	lab_curve curve[MODELS + 1];
	int which[MODELS + 1], n = 0;
	char title[64] = "";
	for (int k = 0; k < r->contest->n && k < MODELS; k++) {
		const lab_examination *e = first_of(r, k);
		if (!e)
			continue;
		if (!n) {
			snprintf(title, sizeof title, "column %lld", (long long)e->number[j]);
			range(e, j, &lo, &hi);
			for (int i = 0; i < BARS; i++)
				x[i] = lo + (hi - lo) * (i + 0.5) / BARS;
			bars(e, e->test, j, lo, hi, y[n]);
			curve[n] = (lab_curve){ .n = BARS, .x = x, .y = y[n], .style = LAB_BOXES };
			which[n++] = 7;
		}
		bars(e, e->sample, j, lo, hi, y[n]);
		curve[n] = (lab_curve){ .n = BARS, .x = x, .y = y[n], .style = LAB_STEPS };
		which[n++] = k;
	}
	lab_svg_plot(f, &(lab_plot){ .title = title, .xlabel = "value", .ylabel = "density", .n = n, .curve = curve,
				     .which = which, .level = NAN });
}

/* The columns in which some model is farthest from the test rows come first. */
static void columns(FILE *f, const lab_report *r, int64_t dim)
{
	enum { MOST = 9 };
	bool *done = lab_alloc((size_t)dim, sizeof *done);
	fputs("<p class=\"soft\">Bars: the test rows. Lines: samples of the models (their first seeds). The columns in "
	      "which a model errs most come first.</p>\n<ul class=\"key\">"
	      "<li><i class=\"block\" style=\"--c: var(--c8)\"></i>test rows</li>",
	      f);
	for (int k = 0; k < r->contest->n && k < MODELS; k++)
		lab_html_key(f, k, r->contest->row[k].label);
	fputs("</ul>\n<div class=\"figures\">\n", f);
	for (int n = 0; n < MOST && n < dim; n++) {
		int64_t worst = -1;
		double most = -1;
		for (int64_t j = 0; j < dim; j++)
			for (int k = 0; k < r->contest->n && !done[j]; k++) {
				const lab_examination *e = first_of(r, k);
				if (e && e->marginal[j].distance > most) {
					most = e->marginal[j].distance;
					worst = j;
				}
			}
		if (worst < 0)
			break;
		done[worst] = true;
		column(f, r, worst);
	}
	fputs("</div>\n", f);
	free(done);
}

void lab_report_pictures(FILE *f, const lab_report *r)
{
	int64_t dim = 0;
	for (int k = 0; k < r->contest->n; k++)
		if (first_of(r, k))
			dim = first_of(r, k)->dim;
	if (!dim)
		return;
	fputs("<h2>Densities and samples</h2>\n", f);
	if (dim == 2)
		plane(f, r);
	else
		columns(f, r, dim);
}
