/* report_curves.c - sections of a report that are curves: learning, calibration. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "memory.h"
#include "report_parts.h"
#include "svg_plot.h"

static void key(FILE *f, const lab_contest *c)
{
	fputs("<ul class=\"key\">", f);
	for (int k = 0; k < c->n; k++)
		lab_html_key(f, k, c->row[k].label);
	fputs("</ul>\n", f);
}

static void learning(FILE *f, const lab_report *r, const char *series, const char *title, bool seconds,
		     const char *unit)
{
	lab_curve *curve = lab_alloc((size_t)r->runs, sizeof *curve);
	int *which = lab_alloc((size_t)r->runs, sizeof *which), n = 0;
	for (int k = 0; k < r->contest->n; k++)
		for (int i = 0; i < r->contest->row[k].runs; i++) {
			const lab_log *l = r->log[r->contest->row[k].run[i]];
			double *x, *y;
			int64_t m = lab_follow_series(l, series, &x, &y);
			if (seconds)
				lab_follow_seconds(l, m, x);
			curve[n] = (lab_curve){ .n = m, .x = x, .y = y, .style = LAB_LINE };
			which[n++] = k;
		}
	bool loss = strstr(series, "nll") || strstr(series, "loss");
	lab_svg_plot(f, &(lab_plot){ .title = title, .xlabel = seconds ? "seconds of training" : "step", .ylabel = unit,
				     .n = n, .curve = curve, .which = which, .level = loss ? r->contest->entropy : NAN });
	for (int k = 0; k < n; k++) {
		free((double *)curve[k].x);
		free((double *)curve[k].y);
	}
	free(curve);
	free(which);
}

void lab_report_curves(FILE *f, const lab_report *r)
{
	bool any = false;
	for (int i = 0; i < r->runs; i++)
		any |= lab_log_series(r->log[i], "val/nll") != NULL;
	if (!any)
		return;
	fputs("<h2>Learning curves</h2>\n<p class=\"soft\">A line for each run; dashed: the entropy, where it is "
	      "known. The largest "
	      "values at the beginning may lie above the frame.</p>\n",
	      f);
	key(f, r->contest);
	fputs("<div class=\"figures\">\n", f);
	learning(f, r, "val/nll", "validation over steps", false, "negative log-likelihood, nats");
	learning(f, r, "val/nll", "validation over time", true, "negative log-likelihood, nats");
	learning(f, r, "train/loss", "training loss over steps", false, "loss, nats");
	learning(f, r, "train/lr", "learning rate over steps", false, "learning rate");
	fputs("</div>\n", f);
}

/* --- Calibration: what is below each twentieth, less what should be ------------------------------------------------ */

enum { POINTS = LAB_BINS + 1, MOST = 8 };
typedef double deviation[POINTS];

static void deviate(const double share[LAB_BINS], deviation d)
{
	double sum = 0;
	for (int i = 0; i < POINTS; i++) {
		d[i] = sum - (double)i / LAB_BINS;
		sum += i < LAB_BINS ? share[i] : 0;
	}
}

/* Half the width of the band that 95 % of the curves of a right model stay in: Kolmogorov-Smirnov of two samples. */
static double band(const lab_examination *e)
{
	return 1.358 * sqrt(2 / (double)e->rows);
}

static void deviations(FILE *f, lab_plot p, int n, deviation d[], char (*label)[24])
{
	double x[POINTS];
	lab_curve *curve = lab_alloc((size_t)n, sizeof *curve);
	for (int i = 0; i < POINTS; i++)
		x[i] = (double)i / LAB_BINS;
	for (int k = 0; k < n; k++)
		curve[k] = (lab_curve){ .label = label ? label[k] : "", .n = POINTS, .x = x, .y = d[k], .style = LAB_LINE };
	p.n = n;
	p.curve = curve;
	p.key = label != NULL;
	p.whole = true;
	lab_svg_plot(f, &p);
	free(curve);
}

static void regions(FILE *f, const lab_report *r)
{
	deviation *d = lab_alloc((size_t)r->runs, sizeof *d);
	int *which = lab_alloc((size_t)r->runs, sizeof *which), n = 0;
	double widest = 0;
	for (int k = 0; k < r->contest->n; k++)
		for (int i = 0; i < r->contest->row[k].runs; i++) {
			const lab_examination *e = r->examination[r->contest->row[k].run[i]];
			if (!e)
				continue;
			deviate(e->region_pit, d[n]);
			which[n++] = k;
			widest = fmax(widest, band(e));
		}
	deviations(f, (lab_plot){ .title = "coverage: all runs", .xlabel = "mass that the region should hold",
				  .ylabel = "test rows in it, less that", .which = which, .band = widest }, n, d, NULL);
	free(d);
	free(which);
}

static void columns(FILE *f, const lab_report *r, int k)
{
	static const int which[MOST] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	const lab_examination *e = r->examination[r->contest->row[k].run[0]];
	deviation d[MOST];
	char title[300], label[MOST][24];
	int n = (int)(e->dim < MOST ? e->dim : MOST);
	for (int j = 0; j < n; j++) {
		deviate(e->pit[j], d[j]);
		snprintf(label[j], sizeof *label, "%s%d", j ? "" : "column ", j + 1);
	}
	snprintf(title, sizeof title, "PIT: %s%s", r->contest->row[k].label, r->contest->row[k].runs > 1 ? ", first seed" : "");
	deviations(f, (lab_plot){ .title = title, .xlabel = "quantile of the samples",
				  .ylabel = "test rows below it, less that", .which = which, .band = band(e) }, n, d, label);
}

void lab_report_calibration(FILE *f, const lab_report *r)
{
	bool any = false;
	for (int i = 0; i < r->runs; i++)
		any |= r->examination[i] != NULL;
	if (!any)
		return;
	fputs("<h2>Calibration and samples</h2>\n<p class=\"soft\">p-values are near 0 when samples, latents or "
	      "regions of the model "
	      "disagree with the test rows, and uniform when they do not; they say how certain a fault is, not how "
	      "large. "
	      "MMD: maximum mean discrepancy by permutations. Classifier: a net told to tell samples from test rows; "
	      "&quot;told "
	      "apart&quot; is how often it is right on rows held out. Marginals, latents: the least of all columns, "
	      "times their "
	      "number. The last columns: test rows in the regions of highest density that hold 50, 90 and 95&#160;% of "
	      "the "
	      "model.</p>\n",
	      f);
	lab_sheet *s = lab_sheet_calibration(r->contest, r->log, r->examination);
	lab_sheet_put(s, LAB_HTML, f);
	lab_sheet_free(s);
	fputs("<p class=\"soft\">Coverage: test rows in the region of highest density that should hold so much, for "
	      "every mass. PIT: of each column, the test rows below each quantile of the samples. Both less what they "
	      "should be: a right model stays near the dashed line, in the grey band with probability 95&#160;% a "
	      "curve.</p>\n",
	      f);
	key(f, r->contest);
	fputs("<div class=\"figures\">\n", f);
	regions(f, r);
	for (int k = 0; k < r->contest->n; k++)
		if (r->examination[r->contest->row[k].run[0]])
			columns(f, r, k);
	fputs("</div>\n<details><summary>Each column: marginals and tails</summary><p class=\"soft\">The samples' mass "
	      "below the "
	      "1&#160;% and above the 99&#160;% quantile of the test rows: 1&#160;% each, if the tails are "
	      "right.</p>\n",
	      f);
	lab_sheet_put(s = lab_sheet_columns(r->contest, r->log, r->examination), LAB_HTML, f);
	lab_sheet_free(s);
	fputs("</details>\n", f);
}
