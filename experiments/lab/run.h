/* run.h - one run: a model trained on a table, tested, logged.  tabular is its command line; an ablation is a loop
 * over it. */
#ifndef LAB_RUN_H
#define LAB_RUN_H

#include "cli.h"
#include "train.h"

typedef struct {
	const char *from; /* not an option, for replaying: the folder where a path to data began; NULL: here */
	const char *data, *array, *drop, *columns, *model, *out, *dtype;
	int64_t epochs, split_seed, rows;
	double val_fraction, test_fraction;
	bool resume, quiet, no_figures, profile, list_models, list_densities;
	flow_model_opt net;  /* dropout < 0: by the data */
	lab_train_opt train; /* steps, seconds, batch, lr, seed and threads too */
} lab_run_opt;

/* The tables of its options and settings, and of the models' own settings. */
extern const lab_option lab_run_options[], lab_run_settings[];
extern const lab_key *lab_run_model_keys(void);
bool lab_run_set_model(void *values, const char *key, const char *value, char why[160]);

/* -1 if there is such a model and it takes the settings given; else one line on stderr, and the exit status. */
int lab_model_check(const lab_cli *c, const lab_args *a, const char *model);
int lab_cores(void); /* that this process may use */
/* The model's options, name, precision and table of layers. */
void lab_model_record(lab_log *l, const lab_model *m, const flow_model_opt *net);
/* The options again, texts borrowed; false and err if the log holds values that they do not take. */
bool lab_model_restore(const lab_log *l, flow_model_opt *net, lab_err *err);

/* Does the run that o asks for and prints what came of it; zeros in o are replaced by what was used.  c and a (NULL:
 * nothing was given) name the program and say which options a resumed run must agree with.  Returns the exit status. */
int lab_run(const lab_cli *c, const lab_args *a, lab_run_opt *o);

#endif
