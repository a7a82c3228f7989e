/* compare.c - the table of several runs on the same test rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/cli.h"
#include "lab/contest.h"
#include "lab/memory.h"

typedef struct {
	bool csv, markdown, latex;
} options;

static const lab_option option[] = {
	{ "csv", LAB_FLAG, offsetof(options, csv), NULL, NULL, 0, 0, "Comma-separated, every digit.", LAB_LOCAL },
	{ "markdown", LAB_FLAG, offsetof(options, markdown), NULL, NULL, 0, 0, "A Markdown table.", LAB_LOCAL },
	{ "latex", LAB_FLAG, offsetof(options, latex), NULL, NULL, 0, 0, "A LaTeX tabular (booktabs).", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "compare",
	.line = "compare runs by their test log-likelihood",
	.args = "RUN.h5...",
	.min_args = 1,
	.max_args = 10000,
	.about = "Prints a row for each model and configuration, best first.  Runs that differ in their seed only are one row: "
	         "the mean over seeds of each test row's log-likelihood, and the standard deviation over seeds of the runs' "
	         "means.\n\n"
	         "\"test\" is the mean test log-likelihood in nats, in the units of the data, with its standard error over test "
	         "rows.  \"to the best\" is the mean over test rows of the difference to the first row of the table, and its 95 % "
	         "interval (percentiles of 1000 resamples of the test rows; normal above 50,000 rows): because the rows are the "
	         "same for every model, this difference is known far better than either mean.  \"above floor\" is, for a density "
	         "of known entropy, the mean negative log-likelihood less that entropy, the least that any model can reach.  "
	         "Parameters, steps and training time are means over seeds.\n\n"
	         "Runs that were tested on other rows, by the hash in their logs, are refused.  A directory stands for the "
	         "run.h5 in it.",
	.option = option,
	.examples = "compare out/moons-*/run.h5\ncompare --markdown out/power-* > power.md",
};

enum { CELLS = 8 };
static const char *const title[CELLS] = { "model", "seeds", "test, nats", "sd over seeds", "to the best [95 %]",
	                                  "above floor", "parameters", "seconds" };

static void fill(const lab_contest *c, int k, char cell[CELLS][240])
{
	const lab_contestant *r = &c->row[k];
	snprintf(cell[0], 240, "%s", r->label);
	snprintf(cell[1], 240, "%d", r->runs);
	snprintf(cell[2], 240, "%.4f +- %.4f", r->mean, r->se);
	snprintf(cell[3], 240, isnan(r->sd_runs) ? "-" : "%.4f", r->sd_runs);
	snprintf(cell[4], 240, k ? "%+.4f [%+.4f, %+.4f]" : "-", r->diff, r->lo, r->hi);
	snprintf(cell[5], 240, "%.4f", -r->mean - c->entropy);
	snprintf(cell[6], 240, "%.0f", r->parameters);
	snprintf(cell[7], 240, "%.1f", r->seconds);
}

static void csv(const lab_contest *c)
{
	printf("model,seeds,test_nats,test_standard_error,sd_over_seeds,to_best,to_best_low,to_best_high,above_floor,parameters,"
	       "steps,seconds\n");
	for (int k = 0; k < c->n; k++) {
		const lab_contestant *r = &c->row[k];
		printf("\"%s\",%d", r->label, r->runs);
		const double v[] = { r->mean, r->se, r->sd_runs, r->diff, r->lo, r->hi, -r->mean - c->entropy, r->parameters,
			             r->steps, r->seconds };
		for (size_t i = 0; i < sizeof v / sizeof *v; i++)
			printf(isnan(v[i]) ? "," : ",%.17g", v[i]);
		putchar('\n');
	}
}

static void latex_cell(const char *s)
{
	const char *pm = strstr(s, "+-");
	for (; *s; s++)
		if (s == pm) {
			printf("$\\pm$");
			s++;
		} else {
			printf(strchr("_%&#$", *s) ? "\\%c" : "%c", *s);
		}
}

typedef enum { PLAIN, MARKDOWN, LATEX } style;

static void line(style how, char cell[CELLS][240], const bool shown[CELLS], const int width[CELLS])
{
	bool first = true;
	for (int i = 0; i < CELLS; i++) {
		if (!shown[i])
			continue;
		if (how == LATEX) {
			printf(first ? "" : " & ");
			latex_cell(cell[i]);
		} else {
			printf("%s%*s", how == MARKDOWN ? "| " : first ? "" : "  ", i ? width[i] : -width[i], cell[i]);
			printf(how == MARKDOWN ? " " : "");
		}
		first = false;
	}
	printf(how == LATEX ? " \\\\\n" : how == MARKDOWN ? "|\n" : "\n");
}

static void rule(style how, const bool shown[CELLS], const int width[CELLS])
{
	if (how == LATEX)
		printf("\\midrule\n");
	for (int i = 0; i < CELLS && how == MARKDOWN; i++) {
		if (!shown[i])
			continue;
		printf(i ? "|" : "|:");
		for (int k = i ? -1 : 0; k < width[i]; k++)
			putchar('-');
		printf(i ? ":" : "-");
	}
	if (how == MARKDOWN)
		printf("|\n");
}

static void table(const lab_contest *c, style how)
{
	char(*cell)[CELLS][240] = lab_alloc((size_t)c->n + 1, sizeof *cell);
	bool shown[CELLS] = { true, false, true, false, c->n > 1, isfinite(c->entropy), true, true };
	int width[CELLS] = { 0 };
	for (int k = 0; k <= c->n; k++) {
		if (k)
			fill(c, k - 1, cell[k]);
		else
			for (int i = 0; i < CELLS; i++)
				snprintf(cell[0][i], 240, "%s", title[i]);
		if (k && c->row[k - 1].runs > 1)
			shown[1] = shown[3] = true;
		for (int i = 0; i < CELLS; i++)
			width[i] = (int)strlen(cell[k][i]) > width[i] ? (int)strlen(cell[k][i]) : width[i];
	}
	if (how == LATEX) {
		printf("\\begin{tabular}{l");
		for (int i = 1; i < CELLS; i++)
			printf(shown[i] ? "r" : "");
		printf("}\n\\toprule\n");
	} else {
		printf("%s: %lld test rows, %lld columns", c->source, (long long)c->points, (long long)c->columns);
		if (isfinite(c->entropy))
			printf(", entropy %.4f nats", c->entropy);
		printf("\n\n");
	}
	for (int k = 0; k <= c->n; k++) {
		line(how, cell[k], shown, width);
		if (!k)
			rule(how, shown, width);
	}
	if (how == LATEX)
		printf("\\bottomrule\n\\end{tabular}\n");
	free(cell);
}

int main(int argc, char **argv)
{
	options o = { 0 };
	lab_args a;
	lab_err err;
	int status = lab_cli_parse(&cli, argc, argv, &o, &a), n = 0;
	if (status >= 0)
		return status;
	if (o.csv + o.markdown + o.latex > 1)
		return lab_cli_wrong(&cli, "--csv, --markdown and --latex exclude each other");
	lab_log **log = lab_alloc((size_t)a.nargs, sizeof *log);
	char path[4200];
	status = 0;
	for (; n < a.nargs && !status; n += !status) {
		lab_path(path, sizeof path, a.arg[n], "run.h5");
		log[n] = lab_log_read(access(path, F_OK) ? a.arg[n] : path, &err);
		if (!log[n])
			status = lab_cli_wrong(&cli, "%s", err.text);
	}
	lab_contest *c = status ? NULL : lab_contest_new(n, log, a.arg, &err);
	if (!status && !c)
		status = lab_cli_wrong(&cli, "%s", err.text);
	if (c && o.csv)
		csv(c);
	else if (c)
		table(c, o.markdown ? MARKDOWN : o.latex ? LATEX : PLAIN);
	lab_contest_free(c);
	while (n)
		lab_log_free(log[--n]);
	free(log);
	return status;
}
