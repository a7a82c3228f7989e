/* sample.c - draws from a trained model. */
#include <stdio.h>
#include <stdlib.h>

#include "lab/checkpoint.h"
#include "lab/cli.h"
#include "lab/memory.h"
#include "lab/profile.h"
#include "lab/progress.h"

typedef struct {
	int64_t count, seed, threads;
	double temperature;
	const char *out, *density;
	bool profile;
} options;

static const lab_option option[] = {
	{ "count", LAB_INT, offsetof(options, count), "N", NULL, 1, 1e12, "Number of samples.", LAB_LOCAL },
	{ "temperature", LAB_REAL, offsetof(options, temperature), "T", "1", 0, 1e6,
	  "Scales the spread of the base distribution; below 1, samples keep to the likely regions.", LAB_LOCAL },
	{ "seed", LAB_INT, offsetof(options, seed), "N", "1", 0, 9e15, "The same seed draws the same samples.", LAB_LOCAL },
	{ "threads", LAB_INT, offsetof(options, threads), "N", "all cores", 1, 4096, "Threads.", LAB_LOCAL },
	{ "out", LAB_TEXT, offsetof(options, out), "FILE", "samples.npy in DIR", 0, 0,
	  "Where the samples go: .npy, .csv or .h5, a row each, in the units of the training data.", LAB_LOCAL },
	{ "log-density", LAB_TEXT, offsetof(options, density), "FILE", NULL, 0, 0,
	  "Also writes the log-density of each sample under the model (at temperature 1), in nats.", LAB_LOCAL },
	{ "profile", LAB_FLAG, offsetof(options, profile), NULL, NULL, 0, 0, LAB_PROFILE_HELP, LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "sample",
	.line = "draw from a trained model",
	.args = "DIR",
	.min_args = 1,
	.max_args = 1,
	.about = "Draws samples from the density in DIR/checkpoint.h5, as tabular left it there.",
	.option = option,
	.examples = "sample out/moons-nsf-c-1 --count 10000\n"
	            "sample out/table-maf --count 1000 --temperature 0.8 --out s.csv --log-density l.csv",
};

static int densities(lab_model *m, const options *o, double *x, lab_err *err)
{
	double *l = lab_alloc((size_t)o->count, sizeof *l);
	lab_table t = { .rows = o->count, .cols = m->dim, .x = x };
	int bad = lab_log_density(m, &t, (int)o->threads, l, err) ||
	          lab_save(o->density, "log_density", o->count, 1, l, err);
	free(l);
	return bad;
}

int main(int argc, char **argv)
{
	options o = { 0 };
	lab_args a;
	lab_err err;
	char path[4200], out[4200];
	lab_share_cores(argv);
	int status = lab_cli_parse(&cli, argc, argv, &o, &a);
	if (status >= 0)
		return status;
	lab_profiling = o.profile;
	if (!o.count)
		return lab_cli_wrong(&cli, "needs --count N");
	lab_model *m = lab_checkpoint_density(lab_path(path, sizeof path, a.arg[0], "checkpoint.h5"), &err);
	if (!m)
		return lab_cli_wrong(&cli, "%s", err.text);
	if (!o.out)
		o.out = lab_path(out, sizeof out, a.arg[0], "samples.npy");
	double *x = lab_alloc((size_t)o.count, (size_t)m->dim * sizeof *x);
	int bad = lab_sample(m, o.count, o.temperature, (uint64_t)o.seed, (int)o.threads, x, &err) ||
	          lab_save(o.out, "samples", o.count, m->dim, x, &err) || (o.density && densities(m, &o, x, &err));
	if (bad)
		fprintf(stderr, "sample: %s\n", err.text);
	else
		printf("%lld samples of %lld columns in %s%s%s\n", (long long)o.count, (long long)m->dim, o.out,
		       o.density ? ", their log-densities in " : "", o.density ? o.density : "");
	free(x);
	lab_model_free(m);
	return bad ? LAB_FAILED : 0;
}
