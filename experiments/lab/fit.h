/* fit.h - one run: a model fitted to an energy, measured, logged.  energy is its command line. */
#ifndef LAB_FIT_H
#define LAB_FIT_H

#include "energies.h"
#include "run.h"

typedef struct {
	const char *energy, *model, *out, *dtype, *gradient;
	int64_t samples;
	double anneal, anneal_from;
	bool resume, list, no_figures;
	flow_model_opt net;
	lab_train_opt train;
} lab_fit_opt;

/* The tables of its options and settings; those of models are lab_run_model_keys. */
extern const lab_option lab_fit_options[], lab_fit_settings[];
bool lab_fit_set_model(void *values, const char *key, const char *value, char why[160]);

/* Does the run that o asks for and prints what came of it; zeros in o are replaced by what was used.  c and a (NULL: nothing
 * was given) as of lab_run.  Returns the exit status. */
int lab_fit(const lab_cli *c, const lab_args *a, lab_fit_opt *o);

#endif
