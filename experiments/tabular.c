/* tabular.c - trains any vector model on any table. */
#include <stdio.h>

#include "lab/progress.h"
#include "lab/ranks.h"
#include "lab/run.h"

static const char about[] =
	"Trains a density model on a table of real numbers by maximum likelihood, tests it on rows held out, and keeps a "
	"record of the run.  The columns are standardised by the training rows' mean and standard deviation; every "
	"log-likelihood it prints or stores is in nats, in the units of the file (the log-determinant of the "
	"standardisation is counted).\n\n"
	"An existing run is never overwritten.  SIGINT and SIGTERM end a run after the step in hand; --resume goes on, also "
	"after a crash or kill, with the same bits as if nothing had happened.\n\n"
	"Started by mpirun or srun, in a build with MPI, all processes together make one run: each computes its part of every "
	"batch, the first writes and speaks.  Results do not depend on their number, and --resume may change it.  "
	"docs/many-machines.md has more.";

static lab_cli cli = {
	.name = "tabular",
	.line = "train a normalizing flow on a table",
	.about = about,
	.option = lab_run_options,
	.setting = lab_run_settings,
	.more_title = "MODEL SETTINGS (for the models that have them; unset ones suit the data's size)",
	.set_more = lab_run_set_model,
	.files = "DIR/run.h5         the log: configuration, series, result; /test/log_likelihood holds\n"
	         "                   a value per test row.  docs/log-format.md describes it.\n"
	         "DIR/checkpoint.h5  the density, and all that resuming needs\n"
	         "DIR/*.png          learning curve; for two columns also density and samples",
	.examples = "tabular --data moons --model nsf-c\n"
	            "tabular --data table.csv --model maf --seconds 300 --out out/table-maf\n"
	            "tabular --data folder --model nsf-ar --steps 20000 --batch 512 --lr 5e-4 \\\n"
	            "        --set layers=10 --set width=256 --set dropout=0.1\n"
	            "tabular --out out/table-maf --resume\n"
	            "mpirun -n 4 tabular --data table.csv --model maf --threads 8",
};

static int list_models(void)
{
	lab_model_row r;
	for (int i = 0; lab_model_at(i, &r); i++)
		printf("%-12s %s%s\n", r.name, r.about, r.min_dim > 1 ? "; two columns or more" : "");
	return 0;
}

static int list_densities(void)
{
	for (const lab_density *d = lab_densities; d->name; d++)
		printf("%-13s entropy %.4f nats  %s\n", d->name, d->entropy, d->about);
	return 0;
}

int main(int argc, char **argv)
{
	lab_run_opt o = { .net.dropout = -1 };
	lab_args a;
	cli.more = lab_run_model_keys();
	lab_share_cores(argv);
	lab_ranks_begin(&cli);
	int status = lab_ranks_agree(&cli, lab_cli_parse(&cli, argc, argv, &o, &a));
	if (status >= 0)
		return status;
	if (o.list_models)
		return list_models();
	if (o.list_densities)
		return list_densities();
	return lab_ranks_agree(&cli, lab_run(&cli, &a, &o));
}
