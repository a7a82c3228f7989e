/* compare.c - the tables of several runs on the same test rows. */
#include <stdio.h>
#include <stdlib.h>

#include "lab/canvas.h"
#include "lab/cli.h"
#include "lab/contest_sheets.h"
#include "lab/follow.h"
#include "lab/memory.h"
#include "lab/progress.h"

typedef struct {
	bool csv, markdown, latex, cost, curves, samples, columns;
	int64_t draws, threads;
} options;

static const lab_option option[] = {
	{ "cost", LAB_FLAG, offsetof(options, cost), NULL, NULL, 0, 0,
	  "Also time, steps, memory, and the metrics that layers counted.", LAB_LOCAL },
	{ "curves", LAB_FLAG, offsetof(options, curves), NULL, NULL, 0, 0,
	  "Also validation curves, over steps and over seconds.", LAB_LOCAL },
	{ "samples", LAB_FLAG, offsetof(options, samples), NULL, NULL, 0, 0,
	  "Also calibration and two-sample tests, computed now from the checkpoint.h5 beside each log.", LAB_LOCAL },
	{ "columns", LAB_FLAG, offsetof(options, columns), NULL, NULL, 0, 0,
	  "Of --samples, also each column of the data: marginal and tails.", LAB_LOCAL },
	{ "draws", LAB_INT, offsetof(options, draws), "N", "5000", 100, 1e6,
	  "Test rows, and samples, used by --samples.", LAB_LOCAL },
	{ "threads", LAB_INT, offsetof(options, threads), "N", "all cores", 1, 4096, "Threads for --samples.",
	  LAB_LOCAL },
	{ "csv", LAB_FLAG, offsetof(options, csv), NULL, NULL, 0, 0,
	  "Comma-separated, every digit; one table only, the last of those asked for.", LAB_LOCAL },
	{ "markdown", LAB_FLAG, offsetof(options, markdown), NULL, NULL, 0, 0, "Markdown tables.", LAB_LOCAL },
	{ "latex", LAB_FLAG, offsetof(options, latex), NULL, NULL, 0, 0, "LaTeX tabulars (booktabs).", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "compare",
	.line = "compare runs by their test log-likelihood",
	.args = "RUN.h5...",
	.min_args = 1,
	.max_args = 1000,
	.about = "Prints a row for each model and configuration, best first.  Runs that differ in their seed only are "
		 "one row: "
		 "the mean over seeds of each test row's log-likelihood, and the standard deviation over seeds of the "
		 "runs' "
		 "means.\n\n"
		 "\"test\" is the mean test log-likelihood in nats, in the units of the data, with its standard error "
		 "over test "
		 "rows.  \"to the best\" is the mean over test rows of the difference to the first row of the table, "
		 "and its 95 % "
		 "interval (percentiles of 1000 resamples of the test rows; normal above 50,000 rows): because the "
		 "rows are the "
		 "same for every model, this difference is known far better than either mean.  \"with seeds\" is the "
		 "interval "
		 "when seeds are drawn anew too, for rows of two seeds and more: what to expect of other runs of the "
		 "same "
		 "models.  \"above floor\" is, for a density "
		 "of known entropy, the mean negative log-likelihood less that entropy, the least that any model can "
		 "reach.  "
		 "Parameters, steps and training time are means over seeds.\n\n"
		 "--samples looks at what the models are, not how likely they make the data.  MMD and classifier test "
		 "whether samples "
		 "and test rows can be told apart (p-values; \"told apart\": accuracy of the classifier, 0.5 if it "
		 "cannot); "
		 "marginals, latents and radius whether columns, latents and their distance from the origin are "
		 "distributed as "
		 "the model says (the least p-value of all columns times their number); regions, whether the regions "
		 "of highest "
		 "density hold as many test rows as they should: the last columns say how many the 50, 90 and 95 % "
		 "regions "
		 "hold.  A p-value near 0 says that the fault is certain, not that it is large.\n\n"
		 "Runs that were tested on other rows, by the hash in their logs, are refused.  Those without a result (they "
		 "go on, or failed) are left out, each with a line on stderr and exit status 1.  A directory stands for "
		 "the "
		 "run.h5 in it.",
	.option = option,
	.examples = "compare out/moons-*/run.h5\ncompare --markdown out/power-* > power.md\ncompare --samples "
		    "--columns out/moons-*",
};

static void put(lab_sheet *s, const char *title, lab_style how, bool last)
{
	if (how == LAB_CSV && !last)
		return;
	if (title && how == LAB_PLAIN)
		printf("\n%s\n\n", title);
	else if (title && how == LAB_MARKDOWN)
		printf("\n### %s\n\n", title);
	else if (title && how == LAB_LATEX)
		printf("\n%% %s\n", title);
	lab_sheet_put(s, how, stdout);
}

static void curves(const lab_contest *c, lab_log *const log[])
{
	enum { W = 100, H = 16 };
	int n = 0, *which;
	for (int k = 0; k < c->n; k++)
		n += c->row[k].runs;
	lab_curve *curve = lab_alloc((size_t)n, sizeof *curve);
	which = lab_alloc((size_t)n, sizeof *which);
	lab_canvas canvas = lab_canvas_new(W, H + c->n + 1, true, false);
	for (int panel = 0; panel < 2; panel++) {
		int at = 0;
		for (int k = 0; k < c->n; k++)
			for (int i = 0; i < c->row[k].runs; i++, at++) {
				double *x, *y;
				int64_t m = lab_follow_series(log[c->row[k].run[i]], "val/nll", &x, &y);
				if (panel)
					lab_follow_seconds(log[c->row[k].run[i]], m, x);
				curve[at] = (lab_curve){ .n = m, .x = x, .y = y };
				which[at] = k;
			}
		lab_canvas_plot(&canvas, panel * W / 2, 0, W / 2, H,
				panel ? "validation, nats, over seconds" : "validation, nats, over steps", n, curve,
				which);
		for (int k = 0; k < n; k++) {
			free((double *)curve[k].x);
			free((double *)curve[k].y);
		}
	}
	for (int k = 0; k < c->n; k++) {
		char mark[8];
		lab_canvas_text(&canvas, 0, H + k, 0, lab_canvas_mark(&canvas, k, mark));
		lab_canvas_text(&canvas, 2, H + k, 0, c->row[k].label);
	}
	putchar('\n');
	lab_canvas_put(&canvas, stdout, false);
	lab_canvas_free(&canvas);
	free(curve);
	free(which);
}

/* Examinations of all runs; the number of those that failed, each with a line on stderr. */
static int examine(int n, lab_log *const log[], char path[][4200], const options *o, lab_examination *e[])
{
	int failed = 0;
	for (int i = 0; i < n; i++) {
		lab_err err;
		e[i] = lab_examine(log[i], path[i], o->draws, (int)o->threads, NULL, &err);
		if (!e[i]) {
			fprintf(stderr, "compare: %s\n", err.text);
			failed++;
		} else if (e[i]->odd) {
			fprintf(stderr, "compare: %s: %lld samples were not finite and were left out\n", path[i],
				(long long)e[i]->odd);
		}
	}
	return failed;
}

static int show(const lab_contest *c, int n, lab_log *const log[], char path[][4200], const options *o)
{
	lab_style how = o->csv ? LAB_CSV : o->markdown ? LAB_MARKDOWN : o->latex ? LAB_LATEX : LAB_PLAIN;
	bool samples = o->samples || o->columns;
	int failed = 0;
	if (how == LAB_PLAIN || how == LAB_MARKDOWN) {
		printf("%s: %lld test rows, %lld columns", c->source, (long long)c->points, (long long)c->columns);
		if (c->entropy == c->entropy)
			printf(", entropy %.4f nats", c->entropy);
		printf("\n\n");
	}
	lab_sheet *s = lab_sheet_results(c);
	put(s, NULL, how, !o->cost && !samples);
	lab_sheet_free(s);
	if (o->cost) {
		put(s = lab_sheet_cost(c, log), "Cost", how, !samples);
		lab_sheet_free(s);
	}
	if (o->curves && how == LAB_PLAIN)
		curves(c, log);
	if (!samples)
		return 0;
	lab_examination **e = lab_alloc((size_t)n, sizeof(lab_examination *));
	failed = examine(n, log, path, o, e);
	put(s = lab_sheet_calibration(c, log, e), "Calibration and samples", how, !o->columns);
	lab_sheet_free(s);
	if (o->columns) {
		put(s = lab_sheet_columns(c, log, e), "Columns", how, true);
		lab_sheet_free(s);
	}
	for (int i = 0; i < n; i++)
		lab_examination_free(e[i]);
	free(e);
	return failed ? LAB_FAILED : 0;
}

int main(int argc, char **argv)
{
	options o = { 0 };
	lab_args a;
	lab_err err;
	lab_share_cores(argv);
	int status = lab_cli_parse(&cli, argc, argv, &o, &a);
	if (status >= 0)
		return status;
	if (o.csv + o.markdown + o.latex > 1)
		return lab_cli_wrong(&cli, "--csv, --markdown and --latex exclude each other");
	lab_entrants e;
	status = lab_entrants_open(&e, &cli, a.nargs, a.arg, &err) ? lab_cli_wrong(&cli, "%s", err.text) :
								show(e.contest, e.n, e.log, e.path, &o);
	if (!status && e.odd)
		status = LAB_FAILED;
	lab_entrants_close(&e);
	return status;
}
