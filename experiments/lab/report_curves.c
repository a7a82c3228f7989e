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
	for (int k = 0; k < c->n; k++) {
		fprintf(f, "<li><i style=\"--c: var(--c%d)\"></i>", 1 + k % 8);
		lab_html_text(f, c->row[k].label);
		fputs("</li>", f);
	}
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
	lab_svg_plot(f, title, seconds ? "seconds of training" : "step", unit, n, curve, which,
		     strstr(series, "nll") || strstr(series, "loss") ? r->contest->entropy : NAN);
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
	learning(f, r, "val/nll", "validation over steps", false, "nats");
	learning(f, r, "val/nll", "validation over time", true, "nats");
	learning(f, r, "train/loss", "training loss", false, "nats");
	learning(f, r, "train/lr", "learning rate", false, "rate");
	fputs("</div>\n", f);
}

/* Shares of LAB_BINS twentieths against the level of a twentieth, several in one plot. */
static void histogram(FILE *f, const char *title, const char *xlabel, int n, const double *const share[], int which)
{
	double x[LAB_BINS];
	lab_curve *curve = lab_alloc((size_t)n, sizeof *curve);
	int *colour = lab_alloc((size_t)n, sizeof *colour);
	for (int i = 0; i < LAB_BINS; i++)
		x[i] = (i + 0.5) / LAB_BINS;
	for (int k = 0; k < n; k++) {
		curve[k] = (lab_curve){ .n = LAB_BINS, .x = x, .y = share[k], .style = n > 1 ? LAB_STEPS : LAB_BOXES };
		colour[k] = n > 1 ? k : which;
	}
	lab_svg_plot(f, title, xlabel, "share of the test rows", n, curve, colour, 1.0 / LAB_BINS);
	free(curve);
	free(colour);
}

static void of_run(FILE *f, const lab_report *r, int k, int i)
{
	const lab_examination *e = r->examination[r->contest->row[k].run[i]];
	enum { MOST = 8 };
	const double *share[MOST];
	char title[300], seed[40] = "";
	int n = (int)(e->dim < MOST ? e->dim : MOST);
	if (r->contest->row[k].runs > 1)
		snprintf(seed, sizeof seed, " seed=%lld",
			 (long long)lab_log_get_int(r->log[r->contest->row[k].run[i]], "config/seed", 0));
	for (int j = 0; j < n; j++)
		share[j] = e->pit[j];
	snprintf(title, sizeof title, "%s%s: columns%s", r->contest->row[k].label, seed,
		 e->dim > MOST ? " 1 to 8" : "");
	histogram(f, title, "place among the samples", n, share, k);
	snprintf(title, sizeof title, "%s%s: regions", r->contest->row[k].label, seed);
	histogram(f, title, "mass of what is denser", 1, (const double *const[]){ e->region_pit }, k);
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
	fputs("<p class=\"soft\">Where the test rows fall among the samples, by twentieths, for each column, and in "
	      "the regions of "
	      "highest density. A calibrated model is flat: the dashed line.</p>\n<div class=\"figures\">\n",
	      f);
	for (int k = 0; k < r->contest->n; k++)
		for (int i = 0; i < r->contest->row[k].runs; i++)
			if (r->examination[r->contest->row[k].run[i]])
				of_run(f, r, k, i);
	fputs("</div>\n<details><summary>Each column: marginals and tails</summary><p class=\"soft\">The samples' mass "
	      "below the "
	      "1&#160;% and above the 99&#160;% quantile of the test rows: 1&#160;% each, if the tails are "
	      "right.</p>\n",
	      f);
	lab_sheet_put(s = lab_sheet_columns(r->contest, r->log, r->examination), LAB_HTML, f);
	lab_sheet_free(s);
	fputs("</details>\n", f);
}
