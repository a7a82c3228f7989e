/* train.h - training a model: budgets, validation, early stopping, log and checkpoint at intervals; likelihood on a table.
 *
 * The order of batches is a function of (seed, step), the checkpoint holds the rest, so a run that is killed and
 * resumed gives the bits of one that was not; only wall-clock series differ.
 * Losses in the log are nats a row, in the units of the data file. */
#ifndef LAB_TRAIN_H
#define LAB_TRAIN_H

#include "checkpoint.h"
#include "cli.h"

typedef struct {
	int64_t steps;
	double seconds; /* end after so long; 0: no limit */
	int64_t batch, validate, validation_rows, points, patience, warmup, accumulate;
	double lr, lr_end, clip, clip_value, ema, weight_decay, save;
	const char *optimiser, *schedule;
	int64_t seed, threads;
	int64_t until; /* end after so many steps, though the schedule is for `steps`; 0: no.  Not an option: for replaying */
	bool silent;
} lab_train_opt;

/* Rows of an option table for these fields, for a struct type that has them as member `in`. */
#define LAB_TRAIN_SETTINGS(type, in) \
	{ "optimiser", LAB_CHOICE, offsetof(type, in.optimiser), "adam|adamw|adamax|rmsprop|adagrad|sgd", "adam", 0, 0, \
	  "Rule that turns gradients into steps.", LAB_KEPT }, \
	{ "schedule", LAB_CHOICE, offsetof(type, in.schedule), "cosine|constant|plateau", "cosine", 0, 0, \
	  "Learning rate over the run: cosine down to lr_end at the last step; constant; or halved when the " \
	  "validation loss has not improved for 10 validations.", LAB_KEPT }, \
	{ "lr_end", LAB_REAL, offsetof(type, in.lr_end), "X", "0", 0, 1e3, "Learning rate at the end of cosine.", \
	  LAB_KEPT }, \
	{ "warmup", LAB_INT, offsetof(type, in.warmup), "N", "0", 0, 1e12, \
	  "Steps over which the learning rate rises from 0.", LAB_KEPT }, \
	{ "clip", LAB_REAL, offsetof(type, in.clip), "X", "5", 0, 1e30, \
	  "Largest norm of the gradient; longer ones are shortened. 0: any.", LAB_KEPT }, \
	{ "clip_value", LAB_REAL, offsetof(type, in.clip_value), "X", "0", 0, 1e30, \
	  "Largest absolute value of a gradient's element. 0: any.", LAB_KEPT }, \
	{ "weight_decay", LAB_REAL, offsetof(type, in.weight_decay), "X", "0", 0, 1e6, "Weight decay.", LAB_KEPT }, \
	{ "ema", LAB_REAL, offsetof(type, in.ema), "X", "0", 0, 0.999999999, \
	  "Decay of the average of the weights; the average is what is validated, tested and kept. 0: none.", LAB_KEPT }, \
	{ "accumulate", LAB_INT, offsetof(type, in.accumulate), "N", "1", 1, 1e6, \
	  "Batches whose gradients make one step of the optimiser.", LAB_KEPT }, \
	{ "validate", LAB_INT, offsetof(type, in.validate), "N", "a hundredth of the steps", 1, 1e12, \
	  "Steps between validations.", LAB_KEPT }, \
	{ "validation_rows", LAB_INT, offsetof(type, in.validation_rows), "N", "20000", 1, 1e12, \
	  "At most so many validation rows are used, evenly spaced.", LAB_KEPT }, \
	{ "patience", LAB_INT, offsetof(type, in.patience), "N", "40", 0, 1e12, \
	  "Training ends after so many validations without a better one. 0: never. The weights of the best " \
	  "validation are the result in any case.", LAB_KEPT }, \
	{ "points", LAB_INT, offsetof(type, in.points), "N", "a tenth of validate", 1, 1e12, \
	  "Steps to a point of the series in the log, which is their mean.", LAB_KEPT }, \
	{ "save", LAB_REAL, offsetof(type, in.save), "S", "10", 0, 1e9, \
	  "Log and checkpoint are written at the first validation after so many seconds. 0: at each.", LAB_FREE }

/* Options of every program that trains, a row each, for an options struct with a lab_train_opt `in`. */
#define LAB_TRAIN_THREADS(type, in) \
	{ "threads", LAB_INT, offsetof(type, in.threads), "N", "all cores", 1, 4096, \
	  "Threads.  Results do not depend on their number.", LAB_FREE }
#define LAB_TRAIN_DTYPE(type) \
	{ "dtype", LAB_CHOICE, offsetof(type, dtype), "f32|f64", "f32", 0, 0, "Precision of weights and arithmetic.", LAB_KEPT }
#define LAB_TRAIN_RESUME(type) \
	{ "resume", LAB_FLAG, offsetof(type, resume), NULL, NULL, 0, 0, \
	  "Go on with the run in DIR from its checkpoint, with its own options (those given again must agree); start it if " \
	  "there is none.  The result has the bits of a run that was never interrupted.", LAB_LOCAL }

/* Puts values that suit the data and the model where o has 0. */
void lab_train_defaults(lab_train_opt *o, const lab_table *train, const char *model);

typedef enum { LAB_FINISHED, LAB_STOPPED_EARLY, LAB_INTERRUPTED, LAB_BROKEN } lab_outcome;
extern const char *const lab_outcome_name[]; /* as in the log's status */
extern int lab_signal;                       /* the one that interrupted, else 0; the same on all ranks */

/* What is made small.  data is the objective's own. */
typedef struct {
	nn_loss_fn *loss; /* of one input, a batch of rows of so many columns; with 0 columns of none */
	void *user;
	int64_t columns;
	/* Fills rows (floats if f32; NULL without columns) with batch number step and returns how many, or how many samples the
	 * loss draws; *offset is added to the loss. */
	int64_t (*batch)(void *data, int64_t step, void *rows, bool f32, double *offset);
	double (*validate)(void *data, lab_err *err); /* the value that training lowers; err if it fails */
	const char *validation;                       /* name of its series in the log */
	void *data;
} lab_objective;

/* Trains m, from its checkpoint if from is not NULL, writing dir/run.h5 (log, status "running") and dir/checkpoint.h5.  At the
 * end m has its best weights.  LAB_BROKEN: the reason is in err, and the last checkpoint was left as it was. */
lab_outcome lab_train(lab_model *m, const lab_objective *j, const lab_train_opt *o, const char *dir, lab_log *log,
                      lab_checkpoint *from, lab_state *s, lab_err *err);

/* How many steps fit into o->seconds, found by taking some with scratch, a model like the one to be trained.  *spent:
 * the seconds that this took.  -1 and err on failure. */
int64_t lab_train_calibrate(lab_model *scratch, const lab_objective *j, const lab_train_opt *o, double *spent,
                            lab_err *err);

/* Minus the log-likelihood of the rows of d, nats, in the units of the file. */
lab_objective lab_likelihood_new(lab_model *m, const lab_dataset *d, const lab_train_opt *o);
void lab_likelihood_free(lab_objective *j);

#endif
