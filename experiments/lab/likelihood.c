/* likelihood.c - maximum likelihood on a table, as an objective of training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "train.h"

typedef struct {
	lab_model *m;
	lab_batches batches;
	lab_table *validation;
	lab_eval *eval; /* made after the first step, when every weight has a value */
	int threads;
} likelihood;

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n;
	return ad_neg(ad_mean(lab_model_log_weight(user, c, batch[0]), AD_ALL));
}

/* Evenly spaced rows of t, at most n. */
static lab_table *subset(const lab_table *t, int64_t n)
{
	lab_table *v = lab_alloc(1, sizeof *v);
	v->rows = t->rows < n ? t->rows : n;
	v->cols = t->cols;
	v->x = lab_alloc((size_t)(v->rows * v->cols), sizeof *v->x);
	for (int64_t i = 0; i < v->rows; i++)
		memcpy(v->x + i * v->cols, t->x + (int64_t)((double)i / (double)v->rows * (double)t->rows) * v->cols,
		       (size_t)v->cols * sizeof *v->x);
	return v;
}

static int64_t batch(void *data, int64_t step, void *rows, bool f32, double *offset)
{
	likelihood *l = data;
	int64_t n = lab_batch_at(&l->batches, step, rows, f32);
	*offset = -l->m->logdet - l->batches.logdet;
	return n;
}

static double validate(void *data, lab_err *err)
{
	likelihood *l = data;
	if (!l->eval && !(l->eval = lab_eval_new(l->m, l->threads, err)))
		return NAN;
	lab_eval_draws(l->eval, 1);
	return lab_eval_nll(l->eval, l->validation, err);
}

lab_objective lab_likelihood_new(lab_model *m, const lab_dataset *d, const lab_train_opt *o)
{
	likelihood *l = lab_alloc(1, sizeof *l);
	*l = (likelihood){ .m = m, .threads = (int)o->threads, .validation = subset(d->val, o->validation_rows) };
	lab_batches_init(&l->batches, d->train, o->batch, ad_hash((uint64_t)o->seed, "batches"), &m->scale);
	return (lab_objective){ .loss = loss, .user = m, .columns = m->dim, .batch = batch, .validate = validate, .validation = "val/nll", .data = l };
}

void lab_likelihood_free(lab_objective *j)
{
	likelihood *l = j->data;
	if (l->eval)
		lab_eval_profile(l->eval, "validation");
	lab_eval_free(l->eval);
	lab_table_free(l->validation);
	lab_batches_free(&l->batches);
	free(l);
}
