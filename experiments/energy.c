/* energy.c - fits a flow to an unnormalised density by its own samples. */
#include <stdio.h>

#include "lab/fit.h"
#include "lab/progress.h"
#include "lab/ranks.h"

#define AT(field) offsetof(lab_fit_opt, field)
static const lab_option option[] = {
	{ "energy", LAB_TEXT, AT(energy), "NAME", NULL, 0, 0, "The energy (--list-energies).", LAB_KEPT },
	{ "model", LAB_TEXT, AT(model), "NAME", NULL, 0, 0,
	  "The model (tabular --list-models).  One whose other direction alone is a formula is turned round.", LAB_KEPT },
	{ "steps", LAB_INT, AT(train.steps), "N", "by --seconds, else 5000", 1, 1e12, "Train for N batches.", LAB_KEPT },
	{ "seconds", LAB_REAL, AT(train.seconds), "S", NULL, 0.1, 1e9,
	  "Train for about S seconds: the number of steps is found by timing a few, unless --steps gives it; in any case "
	  "training ends after S seconds.",
	  LAB_FREE },
	{ "batch", LAB_INT, AT(train.batch), "N", "512", 1, 1e9, "Samples in a batch.", LAB_KEPT },
	{ "lr", LAB_REAL, AT(train.lr), "X", "0.005", 1e-12, 1e30, "Largest learning rate.", LAB_KEPT },
	{ "seed", LAB_INT, AT(train.seed), "N", "1", 0, 9e15, "Seed of initial weights and samples.", LAB_KEPT },
	{ "threads", LAB_INT, AT(train.threads), "N", "all cores", 1, 4096, "Threads.  Results do not depend on their number.",
	  LAB_FREE },
	{ "dtype", LAB_CHOICE, AT(dtype), "f32|f64", "f32", 0, 0, "Precision of weights and arithmetic.", LAB_KEPT },
	{ "out", LAB_TEXT, AT(out), "DIR", "ENERGY-MODEL-SEED in out/", 0, 0, "Where the run is kept; made if absent.",
	  LAB_LOCAL },
	{ "resume", LAB_FLAG, AT(resume), NULL, NULL, 0, 0,
	  "Go on with the run in DIR from its checkpoint, with its own options (those given again must agree); start it if "
	  "there is none.  The result has the bits of a run that was never interrupted.",
	  LAB_LOCAL },
	{ "list-energies", LAB_FLAG, AT(list), NULL, NULL, 0, 0, "Print the energies and end.", LAB_LOCAL },
	{ "no-figures", LAB_FLAG, AT(no_figures), NULL, NULL, 0, 0, "Draw nothing.", LAB_LOCAL },
	{ "quiet", LAB_FLAG, AT(train.silent), NULL, NULL, 0, 0, "No progress on stderr.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static const lab_option setting[] = {
	LAB_TRAIN_SETTINGS(lab_fit_opt, train),
	{ "gradient", LAB_CHOICE, AT(gradient), "stick|path", "stick", 0, 0,
	  "Estimator: sticking the landing, or the plain path derivative.", LAB_KEPT },
	{ "anneal", LAB_REAL, AT(anneal), "X", "0", 0, 1,
	  "Part of the steps over which the inverse temperature of the energy rises linearly to 1, so that modes are found while "
	  "they are shallow; 0: none.  Validation is at 1.",
	  LAB_KEPT },
	{ "anneal_from", LAB_REAL, AT(anneal_from), "X", "0.01", 0, 1, "Inverse temperature at the first step of anneal.", LAB_KEPT },
	{ "test_samples", LAB_INT, AT(samples), "N", "100000", 100, 1e9, "Samples that the result is measured with.", LAB_KEPT },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

static bool set_model(void *values, const char *key, const char *value, char why[160])
{
	return flow_model_set(&((lab_fit_opt *)values)->net, key, value, why);
}

static lab_cli cli = {
	.name = "energy",
	.line = "fit a normalizing flow to an energy",
	.about = "Fits a density to p(x) = exp(-U(x)) / Z, U a 2-D energy of known Z, by minimising the Kullback-Leibler "
		 "divergence KL(q || p) = E[log q(x) + U(x)] + log Z over the flow's own samples x, and keeps a record of the "
		 "run.  Everything printed and stored is in nats.  The effective sample size is that of importance weights "
		 "exp(-U) / q, of 1.\n\n"
		 "An existing run is never overwritten.  SIGINT and SIGTERM end a run after the step in hand; --resume goes on, also "
		 "after a crash or kill, with the same bits as if nothing had happened.\n\n"
		 "Started by mpirun or srun, in a build with MPI, all processes together make one run, with the same results.",
	.option = option,
	.setting = setting,
	.more_title = "MODEL SETTINGS (for the models that have them)",
	.set_more = set_model,
	.files = "DIR/run.h5         the log: configuration, series, result.  docs/log-format.md describes it.\n"
		 "DIR/checkpoint.h5  the density, and all that resuming needs; sample and evaluate read it\n"
		 "DIR/*.png          learning curve, target and fitted density, samples",
	.examples = "energy --energy U1 --model planar\n"
		    "energy --energy U4 --model nsf-c --seconds 60 --set gradient=path\n"
		    "energy --energy U2 --model planar --set anneal=0.5 --out out/annealed\n"
		    "energy --out out/annealed --resume",
};

int main(int argc, char **argv)
{
	lab_fit_opt o = { 0 };
	lab_args a;
	cli.more = lab_run_model_keys();
	lab_share_cores(argv);
	lab_ranks_begin(&cli);
	int status = lab_ranks_agree(&cli, lab_cli_parse(&cli, argc, argv, &o, &a));
	if (status >= 0)
		return status;
	if (!o.list)
		return lab_ranks_agree(&cli, lab_fit(&cli, &a, &o));
	for (const lab_energy *e = lab_energies; e->name; e++)
		printf("%s  log Z %.4f nats  %s\n", e->name, e->log_z, e->about);
	return 0;
}
