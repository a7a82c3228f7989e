/* replay.c - runs a run again: does every bit come out? */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/agreement.h"
#include "lab/progress.h"
#include "lab/rerun.h"

typedef struct {
	int64_t threads;
	bool quiet, diff;
	const char *out;
} options;

static const lab_option option[] = {
	{ "out", LAB_TEXT, offsetof(options, out), "DIR", NULL, 0, 0, "Keep the new run, in DIR.", LAB_LOCAL },
	{ "diff", LAB_FLAG, offsetof(options, diff), NULL, NULL, 0, 0,
	  "Of two runs that are there: train nothing, compare their logs.", LAB_LOCAL },
	{ "threads", LAB_INT, offsetof(options, threads), "N", "all cores", 1, 4096,
	  "Threads.  Results do not depend on their number.", LAB_LOCAL },
	{ "quiet", LAB_FLAG, offsetof(options, quiet), NULL, NULL, 0, 0, "No progress on stderr.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "replay",
	.line = "run a run again and compare every bit",
	.args = "RUN.h5 [OTHER.h5]",
	.min_args = 1,
	.max_args = 2,
	.about = "Trains and tests again with the options that the log of a finished run records, from the same data, "
		 "and compares "
		 "every number of the new log with the old: losses, gradients, validations, metrics, the "
		 "log-likelihood of every "
		 "test row, the divergence of a fit to an energy.  Times, memory and threads are left out.  Exit status 0 if every bit agrees, else 1, with "
		 "what differs: "
		 "configuration, data, source, libraries, machine, then numbers and the first step at which they do.\n\n"
		 "Equal bits are promised for equal source, data, instruction set and BLAS core.  A run that was "
		 "limited by "
		 "--seconds is run again for as many steps as it had.  A path to data that is not absolute is looked "
		 "for from "
		 "the current directory, then from that of the run.  A directory stands for the run.h5 in it.",
	.option = option,
	.examples = "replay out/moons-nsf-c-1\nreplay --diff out/a out/b",
};

/* The parts in which the logs differ, as words. */
static const char *places(const lab_agreement *g, char text[200])
{
	static const char *const name[LAB_PARTS] = { NULL, "configuration", "data", "source or libraries", "machine" };
	*text = 0;
	for (int k = 1; k < LAB_PARTS; k++)
		if (g->different[k])
			snprintf(text + strlen(text), 200 - strlen(text), "%s%s", *text ? ", " : "", name[k]);
	return text;
}

static int tell(const lab_log *then, const lab_log *now)
{
	char where[200], *lines = NULL;
	size_t bytes;
	FILE *f = open_memstream(&lines, &bytes);
	lab_agreement g = lab_agree(then, now, f);
	fclose(f);
	places(&g, where);
	if (!g.different[LAB_RESULTS]) {
		printf("every bit agrees: %lld numbers of %lld entries\n", (long long)g.numbers, (long long)g.entries);
		if (*where)
			printf("although these differ: %s\n", where);
	} else {
		printf("the numbers differ: %d of %lld entries", g.different[LAB_RESULTS], (long long)g.entries);
		if (g.first_step >= 0)
			printf(", from step %lld on", (long long)g.first_step);
		printf("\n%s%s\n", *where ? "so do: " : "nothing that the logs record explains it", where);
	}
	fputs(lines, stdout);
	free(lines);
	return g.different[LAB_RESULTS] ? LAB_FAILED : 0;
}

static void clean(const char *dir)
{
	static const char *const left[] = { "run.h5", "checkpoint.h5", ".lock" };
	char path[4200];
	for (int i = 0; i < 3; i++)
		unlink(lab_path(path, sizeof path, dir, left[i]));
	rmdir(dir);
}

/* A run of either kind, with the options of its log. */
typedef struct {
	bool fit;
	lab_run_opt run;
	lab_fit_opt of_energy;
} plan;

static bool read_plan(plan *p, const options *o, const lab_log *then, const char *folder, lab_err *err)
{
	p->fit = lab_log_find(then, "config/energy") != NULL;
	if (p->fit ? !lab_rerun_fit_options(then, &p->of_energy, err) : !lab_rerun_options(then, &p->run, err))
		return false;
	lab_train_opt *t = p->fit ? &p->of_energy.train : &p->run.train;
	if (t->seconds > 0) {
		t->until = lab_log_get_int(then, "final/steps", 0);
		t->seconds = 0;
	}
	t->threads = o->threads;
	p->run.out = p->of_energy.out = folder;
	p->run.quiet = p->of_energy.train.silent = o->quiet;
	p->run.no_figures = p->of_energy.no_figures = true;
	return true;
}

/* The run without what it says on stdout, which is about files that go away. */
static int run_untold(plan *p)
{
	static const lab_cli tabular = { .name = "replay", .option = lab_run_options, .setting = lab_run_settings };
	static const lab_cli energy = { .name = "replay", .option = lab_fit_options, .setting = lab_fit_settings };
	fflush(stdout);
	int own = dup(1), nothing = open("/dev/null", O_WRONLY);
	dup2(nothing, 1);
	int status = p->fit ? lab_fit(&energy, NULL, &p->of_energy) : lab_run(&tabular, NULL, &p->run);
	fflush(stdout);
	dup2(own, 1);
	close(own);
	close(nothing);
	return status;
}

static int again(const options *o, const lab_log *then)
{
	char folder[4096], path[4200];
	const char *tmp = getenv("TMPDIR");
	static plan p;
	lab_err err;
	snprintf(folder, sizeof folder, "%s", o->out ? o->out : tmp ? tmp : "/tmp");
	if (!o->out)
		strncat(folder, "/replay-XXXXXX", sizeof folder - strlen(folder) - 1);
	if (!read_plan(&p, o, then, folder, &err))
		return lab_cli_wrong(&cli, "%s", err.text);
	if (!lab_log_find(then, p.fit ? "final/kl" : "test/log_likelihood"))
		return lab_cli_wrong(&cli, "the run has no result to compare with; its status is \"%s\"",
				     lab_log_get_text(then, "status", "unknown"));
	if (!o->out && !mkdtemp(folder))
		return lab_cli_wrong(&cli, "cannot make a folder %s", folder);
	int status = run_untold(&p);
	lab_log *now = status ? NULL : lab_log_of_run(folder, path, &err);
	if (!status && !now)
		status = lab_cli_wrong(&cli, "%s", err.text);
	if (!status)
		status = tell(then, now);
	lab_log_free(now);
	if (!o->out)
		clean(folder);
	return status;
}

int main(int argc, char **argv)
{
	options o = { 0 };
	lab_args a;
	lab_err err;
	char path[4200];
	lab_share_cores(argv);
	int status = lab_cli_parse(&cli, argc, argv, &o, &a);
	if (status >= 0)
		return status;
	if (o.diff != (a.nargs == 2))
		return lab_cli_wrong(&cli, o.diff ? "--diff compares two runs" : "a second run is for --diff");
	lab_log *then = lab_log_of_run(a.arg[0], path, &err), *other = NULL;
	if (!then)
		return lab_cli_wrong(&cli, "%s", err.text);
	if (o.diff && !(other = lab_log_of_run(a.arg[1], path, &err)))
		status = lab_cli_wrong(&cli, "%s", err.text);
	else
		status = o.diff ? tell(then, other) : again(&o, then);
	lab_log_free(then);
	lab_log_free(other);
	return status;
}
