/* evaluate.c - log-densities of a table under a trained model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lab/checkpoint.h"
#include "lab/cli.h"
#include "lab/memory.h"
#include "lab/profile.h"
#include "lab/progress.h"

typedef struct {
	int64_t threads;
	const char *data, *drop, *out;
	bool profile;
} options;

static const lab_option option[] = {
	{ "data", LAB_TEXT, offsetof(options, data), "FILE", NULL, 0, 0,
	  "A table with the columns of the training data: CSV, .npy, .npz, HDF5, idx.  FILE:NAME is array NAME in it.",
	  LAB_LOCAL },
	{ "drop", LAB_TEXT, offsetof(options, drop), "COLUMNS", NULL, 0, 0,
	  "Columns of FILE to leave out, counted from 1: 10 or 3,7-9; those that the run dropped, where FILE has them.", LAB_LOCAL },
	{ "out", LAB_TEXT, offsetof(options, out), "FILE", "log_density.npy in DIR", 0, 0,
	  "Where the log-densities go: .npy, .csv or .h5, one per row, in nats, in the units of the data.", LAB_LOCAL },
	{ "threads", LAB_INT, offsetof(options, threads), "N", "all cores", 1, 4096, "Threads.", LAB_LOCAL },
	{ "profile", LAB_FLAG, offsetof(options, profile), NULL, NULL, 0, 0, LAB_PROFILE_HELP, LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_cli cli = {
	.name = "evaluate",
	.line = "log-densities of a table under a trained model",
	.args = "DIR",
	.min_args = 1,
	.max_args = 1,
	.about = "Evaluates the density in DIR/checkpoint.h5, as tabular left it there, on every row of FILE, writes the "
	         "values and prints their mean and its standard error.",
	.option = option,
	.examples = "evaluate out/table-maf --data new.csv\n"
	            "evaluate out/table-maf --data new.csv --out new-log-density.csv",
};

static void tell(const options *o, const double *l, int64_t rows, int64_t cols, int64_t discrete)
{
	double mean = 0, var = 0, n = (double)rows;
	for (int64_t i = 0; i < rows; i++)
		mean += l[i] / n;
	for (int64_t i = 0; i < rows; i++)
		var += (l[i] - mean) * (l[i] - mean) / (n - 1);
	printf("%s: log-likelihood %.4f +- %.4f nats (%.4f nats per column), %lld rows; written to %s\n", o->data, mean,
	       sqrt(var / n), mean / (double)cols, (long long)rows, o->out);
	if (discrete)
		printf("  a lower bound: %lld discrete column%s, dequantised, in log-probability\n", (long long)discrete,
		       discrete > 1 ? "s" : "");
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
	if (!o.data)
		return lab_cli_wrong(&cli, "needs --data FILE");
	lab_model *m = lab_checkpoint_density(lab_path(path, sizeof path, a.arg[0], "checkpoint.h5"), &err);
	if (!m)
		return lab_cli_wrong(&cli, "%s", err.text);
	lab_table *t = lab_load(o.data, NULL, &err);
	bool wrong = !t || !lab_table_drop(t, o.drop, &err);
	if (!wrong && t->cols != m->dim) {
		lab_fail(&err, "%s has %lld columns%s, the model in %s has %lld", o.data, (long long)t->cols,
		         o.drop ? " without those dropped" : " (--drop leaves some out)", a.arg[0], (long long)m->dim);
		wrong = true;
	}
	if (wrong || (wrong = lab_columns_check(m->column, t, &err)))
		status = lab_cli_wrong(&cli, "%s", err.text);
	if (!o.out)
		o.out = lab_path(out, sizeof out, a.arg[0], "log_density.npy");
	if (!wrong) {
		double *l = lab_alloc((size_t)t->rows, sizeof *l);
		status = lab_log_density(m, t, (int)o.threads, l, &err) ||
		         lab_save(o.out, "log_density", t->rows, 1, l, &err);
		if (status)
			fprintf(stderr, "evaluate: %s\n", err.text);
		else
			tell(&o, l, t->rows, t->cols, lab_columns_discrete(m->column, m->dim));
		free(l);
	}
	if (t)
		lab_table_free(t);
	lab_model_free(m);
	return status;
}
