/* run_options.c - the options of a run. */
#include <math.h>

#include "profile.h"
#include "run.h"

#define AT(field) offsetof(lab_run_opt, field)
const lab_option lab_run_options[] = {
	{ "data", LAB_TEXT, AT(data), "WHAT", NULL, 0, 0,
	  "A FILE, which is split into train, validation and test rows; a FOLDER with files train, val and test; or the name "
	  "of a DENSITY (--list-densities).  Files: CSV, .npy, .npz, HDF5, idx, gzipped or not.  FILE:NAME is array NAME in "
	  "an .npz or HDF5 file.",
	  LAB_KEPT },
	{ "model", LAB_TEXT, AT(model), "NAME", NULL, 0, 0, "The model (--list-models).", LAB_KEPT },
	{ "steps", LAB_INT, AT(train.steps), "N", "by the data", 1, 1e12, "Train for N batches.", LAB_KEPT },
	{ "epochs", LAB_INT, AT(epochs), "N", NULL, 1, 1e9, "Train for N passes over the training rows.", LAB_KEPT },
	{ "seconds", LAB_REAL, AT(train.seconds), "S", NULL, 0.1, 1e9,
	  "Train for about S seconds: the number of steps is found by timing a few, unless --steps or --epochs gives it; in "
	  "any case training ends after S seconds.",
	  LAB_FREE },
	{ "batch", LAB_INT, AT(train.batch), "N", "by the data", 1, 1e9, "Rows in a batch.", LAB_KEPT },
	{ "lr", LAB_REAL, AT(train.lr), "X", "by the data", 1e-12, 1e30, "Largest learning rate.", LAB_KEPT },
	{ "seed", LAB_INT, AT(train.seed), "N", "1", 0, 9e15, "Seed of initial weights, batches and dropout.", LAB_KEPT },
	{ "split-seed", LAB_INT, AT(split_seed), "N", "1", 0, 9e15,
	  "Seed of the split of a FILE, or of the points of a DENSITY.  Runs compare only with equal test rows.", LAB_KEPT },
	LAB_TRAIN_THREADS(lab_run_opt, train),
	LAB_TRAIN_DTYPE(lab_run_opt),
	{ "out", LAB_TEXT, AT(out), "DIR", "DATA-MODEL-SEED in out/", 0, 0, "Where the run is kept; made if absent.", LAB_LOCAL },
	LAB_TRAIN_RESUME(lab_run_opt),
	{ "list-models", LAB_FLAG, AT(list_models), NULL, NULL, 0, 0, "Print the models and end.", LAB_LOCAL },
	{ "list-densities", LAB_FLAG, AT(list_densities), NULL, NULL, 0, 0, "Print the densities and end.", LAB_LOCAL },
	{ "no-figures", LAB_FLAG, AT(no_figures), NULL, NULL, 0, 0, "Draw nothing.", LAB_LOCAL },
	{ "profile", LAB_FLAG, AT(profile), NULL, NULL, 0, 0, LAB_PROFILE_HELP, LAB_LOCAL },
	{ "quiet", LAB_FLAG, AT(quiet), NULL, NULL, 0, 0, "No progress on stderr.", LAB_LOCAL },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

const lab_option lab_run_settings[] = {
	LAB_TRAIN_SETTINGS(lab_run_opt, train),
	{ "val_fraction", LAB_REAL, AT(val_fraction), "X", "0.1", 0.001, 0.9,
	  "Part of a FILE's rows, without the test rows, that validates.", LAB_KEPT },
	{ "test_fraction", LAB_REAL, AT(test_fraction), "X", "0.1", 0.001, 0.9, "Part of a FILE's rows that tests.", LAB_KEPT },
	{ "rows", LAB_INT, AT(rows), "N", "100000", 2, 1e9, "Training points drawn from a DENSITY.", LAB_KEPT },
	{ "array", LAB_TEXT, AT(array), "NAME", "the only one", 0, 0, "Array in an .npz or HDF5 file.", LAB_KEPT },
	{ "drop", LAB_TEXT, AT(drop), "COLUMNS", NULL, 0, 0, "Columns left out, counted from 1: 10 or 3,7-9.", LAB_KEPT },
	{ "columns", LAB_TEXT, AT(columns), "KINDS", NULL, 0, 0,
	  "Kinds of columns, counted from 1, as 3:bounded[0,1],5-6:positive,7:periodic[0,6.2832],8:discrete; the others are real. "
	  "They are mapped to the real line, and the log-determinants count.  Discrete ones are multiples of 1, or of the step "
	  "in discrete[0.5], and dequantised: log-likelihoods then are lower bounds, of probabilities.  variational[STEP,K] draws the "
	  "points in their cells by a flow trained with the model, and tests with the bound of K draws (1 and 16).", LAB_KEPT },
	{ NULL, LAB_FLAG, 0, NULL, NULL, 0, 0, NULL, LAB_LOCAL },
};

const lab_key *lab_run_model_keys(void)
{
	static lab_key key[LAB_MAX_ROWS];
	for (int i = 0; flow_model_keys[i].key && i < LAB_MAX_ROWS - 1; i++)
		key[i] = (lab_key){ flow_model_keys[i].key, flow_model_keys[i].about };
	return key;
}

bool lab_run_set_model(void *values, const char *key, const char *value, char why[160])
{
	return flow_model_set(&((lab_run_opt *)values)->net, key, value, why);
}
