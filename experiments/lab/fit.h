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

/* Does the run that o asks for and prints what came of it.  Returns the exit status. */
int lab_fit(const lab_cli *c, const lab_args *a, lab_fit_opt *o);

#endif
