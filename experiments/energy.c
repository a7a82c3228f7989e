/* energy.c - fits a flow to an unnormalised density by its own samples. */
#include <stdio.h>

#include "lab/fit.h"
#include "lab/progress.h"
#include "lab/ranks.h"

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
	.option = lab_fit_options,
	.setting = lab_fit_settings,
	.more_title = "MODEL SETTINGS (for the models that have them)",
	.set_more = lab_fit_set_model,
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
