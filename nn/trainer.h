/* trainer.h - the trainer from inside.  Private to nn/. */
#ifndef NN_TRAINER_H
#define NN_TRAINER_H

#include "internal.h"

/* A compiled trace.  Outputs, in this order: the loss; values to log; new states; gradients. */
typedef struct {
	ad_tape *tape;
	ad_prog *prog;
	ad_var input[4], *out;
	int nout, nterm, nstate, nparam;
	char **term;        /* names of values to log */
	int *state, *param; /* entries */
	uint64_t bound;     /* generation of the store that prog was bound to */
} nn__program;

typedef struct {
	nn_task t;
	char *prefix;
	nn__program p;
	nn_optimiser *optimiser;
	int64_t calls;
	double lr, norm, *term;
	double best, factor; /* of NN_PLATEAU */
	int bad, cooldown;
} nn__task;

struct nn_trainer {
	nn_store *store;
	nn_trainer_opt o;
	nn__task task[4];
	nn__program after;
	uint64_t seed;
	bool swapped;
	char *kept; /* states of `after` while weights are swapped */
};

/* trainer.c */
ad_var nn__trace_loss(nn_trainer *tr, const nn__task *k, ad_tape *t, nn_phase phase, ad_var input[4]);
uint64_t nn__task_seed(const nn_trainer *tr, const nn__task *k);

/* init.c: values of the parameters that wait for data.  false after nn_fail. */
bool nn__initialise(nn_trainer *tr, nn__task *k, int64_t samples, const void *const data[]);

#endif
