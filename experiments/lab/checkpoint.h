/* checkpoint.h - everything that a trained density and the rest of its training depend on, in one HDF5 file.
 *
 * /model     attributes name, dim, dtype and the options; datasets mean, sd and, for typed columns, columns
 * /weights   the store as it stood (nn_save), /best the store at the best validation, if there was one
 * /trainer   optimiser slots and steps (nn_trainer_save), if it was trained
 * /state     attributes: where training stands
 * /log       the run log up to here, so that a resumed run continues the same series */
#ifndef LAB_CHECKPOINT_H
#define LAB_CHECKPOINT_H

#include "log.h"
#include "model.h"

#define LAB_CHECKPOINT_FORMAT "flowtape checkpoint"
#define LAB_CHECKPOINT_VERSION 1

typedef struct {
	int64_t step, best_step, since_best; /* since_best: validations */
	double best_nll;                     /* of a validation; infinite before the first */
	double seconds;                      /* spent training */
	double loss, norm;                   /* sums since the last point of the log, over `summed` steps */
	int64_t summed;
	bool stopped;                        /* early: training is over */
} lab_state;

/* trainer and best may be NULL. */
int lab_checkpoint_write(const char *path, lab_model *m, nn_trainer *trainer, const nn_snapshot *best,
                         const lab_state *s, const lab_log *log, lab_err *err);

/* The density, with its best weights if there are any. */
lab_model *lab_checkpoint_density(const char *path, lab_err *err);
lab_model *lab_checkpoint_density_in(hid_t file, const char *path, lab_err *err); /* of an open one; path: for messages */

/* For resuming, in this order: open; the log and state; the weights into a model just made; the trainer made of it. */
typedef struct {
	hid_t file;
	char path[4096];
	lab_log *log;
	lab_state state;
} lab_checkpoint;
int lab_checkpoint_open(lab_checkpoint *k, const char *path, lab_err *err);
int lab_checkpoint_open_in(lab_checkpoint *k, hid_t file, const char *path, lab_err *err);
/* *best: a snapshot of the best weights, or NULL. */
int lab_checkpoint_weights(lab_checkpoint *k, lab_model *m, nn_snapshot **best, lab_err *err);
int lab_checkpoint_trainer(lab_checkpoint *k, lab_model *m, nn_trainer *t, lab_err *err);
void lab_checkpoint_close(lab_checkpoint *k); /* the log stays, the caller's */

#endif
