/* report.c - runs as one page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/cli.h"
#include "lab/memory.h"
#include "lab/page.h"
#include "lab/progress.h"
#include "lab/report_parts.h"

typedef struct {
	bool no_samples;
	int64_t draws, threads;
	const char *out, *title;
} options;

static const lab_option option[] = {
	{ "out", LAB_TEXT, offsetof(options, out), "FILE", "report.html", 0, 0, "Where the page goes.", LAB_LOCAL },
	{ "title", LAB_TEXT, offsetof(options, title), "TEXT", "the data's name", 0, 0, "Its heading.", LAB_LOCAL },
	{ "no-samples", LAB_FLAG, offsetof(options, no_samples), NULL, NULL, 0, 0,
	  "Only what the logs hold: no calibration, pictures or drawings of models.", LAB_LOCAL },
	{ "draws", LAB_INT, offsetof(options, draws), "N", "5000", 100, 1e6, "Test rows, and samples, looked at.",
	  LAB_LOCAL },
	{ "threads", LAB_INT, offsetof(options, threads), "N", "all cores", 1, 4096, "Threads.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "report",
	.line = "runs as one page of HTML",
	.args = "RUN.h5...",
	.min_args = 1,
	.max_args = 1000,
	.about = "Writes a page with the tables of compare (they sort at a click, and are there as Markdown, LaTeX and "
		 "CSV too), "
		 "learning curves, what differs in the configurations, calibration and two-sample tests, densities and "
		 "samples, "
		 "and a drawing of each model.  The page needs nothing else: no network, no other file.  It can be "
		 "read on a "
		 "phone, printed, and follows the reader's choice of light or dark.\n\n"
		 "Runs without a result are left out, each with a line on stderr and exit status 1.  A directory stands for the run.h5 in it; what the logs do not hold comes from the checkpoint.h5 "
		 "beside each.",
	.option = option,
	.examples = "report out/moons-* --out moons.html",
};

/* The number of examinations that failed, each with a line on stderr. */
static int examine(lab_report *r, char path[][4200], const options *o)
{
	int failed = 0;
	for (int i = 0; i < r->runs && !o->no_samples; i++) {
		lab_err err;
		r->examination[i] = lab_examine(r->log[i], path[i], o->draws, (int)o->threads, &r->model[i], &err);
		if (r->examination[i])
			continue;
		fprintf(stderr, "report: %s\n", err.text);
		failed++;
	}
	return failed;
}

static int write_page(const lab_report *r, const options *o)
{
	char *text = NULL, title[300];
	size_t bytes;
	lab_err err;
	FILE *f = open_memstream(&text, &bytes);
	snprintf(title, sizeof title, "%s", o->title ? o->title : r->contest->source);
	lab_page_begin(f, title);
	lab_report_results(f, r);
	lab_report_curves(f, r);
	lab_report_calibration(f, r);
	lab_report_pictures(f, r);
	lab_report_models(f, r);
	lab_report_origin(f, r);
	lab_page_end(f);
	fclose(f);
	int bad = lab_file_replace(o->out, text, bytes, &err);
	if (bad)
		fprintf(stderr, "report: %s\n", err.text);
	else
		printf("%s: %d runs, %.0f kB\n", o->out, r->runs, (double)bytes / 1e3);
	free(text);
	return bad ? LAB_FAILED : 0;
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
	lab_entrants e;
	status = lab_entrants_open(&e, &cli, a.nargs, a.arg, &err) ? lab_cli_wrong(&cli, "%s", err.text) : 0;
	lab_report r = { .runs = e.n, .log = e.log, .contest = e.contest, .threads = (int)o.threads };
	if (!status) {
		r.examination = lab_alloc((size_t)e.n, sizeof(lab_examination *));
		r.model = lab_alloc((size_t)e.n, sizeof(lab_model *));
		int failed = examine(&r, e.path, &o);
		status = write_page(&r, &o);
		status = (failed || e.odd) && !status ? LAB_FAILED : status;
		for (int i = 0; i < e.n; i++) {
			lab_examination_free(r.examination[i]);
			lab_model_free(r.model[i]);
		}
		free(r.examination);
		free(r.model);
	}
	lab_entrants_close(&e);
	return status;
}
