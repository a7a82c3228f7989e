/* fit_options.c - the options of a fit. */
#include "fit.h"

#define AT(field) offsetof(lab_fit_opt, field)
const lab_option lab_fit_options[] = {
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
	LAB_TRAIN_THREADS(lab_fit_opt, train),
	LAB_TRAIN_DTYPE(lab_fit_opt),
	{ "out", LAB_TEXT, AT(out), "DIR", "ENERGY-MODEL-SEED in out/", 0, 0, "Where the run is kept; made if absent.",
	  LAB_LOCAL },
	LAB_TRAIN_RESUME(lab_fit_opt),
	{ "list-energies", LAB_FLAG, AT(list), NULL, NULL, 0, 0, "Print the energies and end.", LAB_LOCAL },
	{ "no-figures", LAB_FLAG, AT(no_figures), NULL, NULL, 0, 0, "Draw nothing.", LAB_LOCAL },
	{ "quiet", LAB_FLAG, AT(train.silent), NULL, NULL, 0, 0, "No progress on stderr.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

const lab_option lab_fit_settings[] = {
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

bool lab_fit_set_model(void *values, const char *key, const char *value, char why[160])
{
	return flow_model_set(&((lab_fit_opt *)values)->net, key, value, why);
}
