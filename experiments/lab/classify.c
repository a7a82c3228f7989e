/* classify.c - the classifier two-sample test. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "memory.h"
#include "nn/nn.h"
#include "stats.h"
#include "twosample.h"

enum { STEPS = 400, BATCH = 128 };

static ad_var scores(nn c, ad_var x)
{
	nn_net net = nn_mlp(32, 2);
	return nn_apply(&net, nn_in(c, "classifier"), x, NULL, 1);
}

/* Logistic: softplus(s) - label s. */
static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	ad_var s = scores(c, batch[0]);
	return ad_mean(ad_sub(ad_softplus(s), ad_mul(batch[1], s)), AD_ALL);
}

typedef struct {
	int64_t dim, n; /* rows of each sample */
	const double *x, *y;
	double *mean, *sd; /* of both together */
	int64_t *order;	   /* of the rows of both: the first half trains */
} problem;

static void row(const problem *p, int64_t i, float *out, float *label)
{
	const double *from = i < p->n ? p->x + i * p->dim : p->y + (i - p->n) * p->dim;
	for (int64_t j = 0; j < p->dim; j++)
		out[j] = (float)((from[j] - p->mean[j]) / p->sd[j]);
	*label = i < p->n;
}

static void standardise(problem *p)
{
	double *column = lab_alloc((size_t)(2 * p->n), sizeof *column);
	p->mean = lab_alloc((size_t)p->dim, sizeof *p->mean);
	p->sd = lab_alloc((size_t)p->dim, sizeof *p->sd);
	for (int64_t j = 0; j < p->dim; j++) {
		for (int64_t i = 0; i < p->n; i++) {
			column[2 * i] = p->x[i * p->dim + j];
			column[2 * i + 1] = p->y[i * p->dim + j];
		}
		p->mean[j] = lab_mean(column, 2 * p->n);
		double sd = lab_sd(column, 2 * p->n);
		p->sd[j] = sd > 0 ? sd : 1;
	}
	free(column);
}

static void train(const problem *p, nn_store *store, lab_rng *r)
{
	nn_task task = { .loss = loss,
			 .optim = { .rule = NN_ADAM, .lr = 5e-3, .weight_decay = 1e-4 },
			 .schedule = { .kind = NN_COSINE, .total = STEPS } };
	nn_trainer *t =
		nn_trainer_new(store, (nn_trainer_opt){ .inputs = 2,
							.shape = { AD_SHAPE(AD_BATCH, p->dim), AD_SHAPE(AD_BATCH, 1) },
							.dtype = { AD_F32, AD_F32 },
							.tasks = 1,
							.task = { task },
							.run = { .threads = 1 } });
	float *x = lab_alloc((size_t)(BATCH * p->dim), sizeof *x), label[BATCH];
	for (int s = 0; s < STEPS && !nn_error(store); s++) {
		for (int i = 0; i < BATCH; i++)
			row(p, p->order[lab_rng_below(r, p->n)], x + i * p->dim, &label[i]);
		nn_train_step(t, 0, BATCH, (const void *[]){ x, label });
	}
	free(x);
	nn_trainer_free(t);
}

/* Of the second half, how many are told right; -1 and the store's error on failure. */
static int64_t hits(const problem *p, nn_store *store)
{
	float *x = lab_alloc((size_t)(p->n * p->dim), sizeof *x), *label = lab_alloc((size_t)p->n, sizeof *label);
	ad_tape *t = ad_tape_new(AD_F32);
	ad_var in = ad_input(t, AD_F32, AD_SHAPE(AD_BATCH, p->dim), "x"), s = scores(nn_begin(t, store, NN_EVAL), in);
	ad_prog *prog = nn_error(store) ? NULL : ad_compile(t, 1, &s, (ad_options){ .threads = 1 });
	int64_t right = -1;
	for (int64_t i = 0; i < p->n; i++)
		row(p, p->order[p->n + i], x + i * p->dim, &label[i]);
	if (prog) {
		nn_bind(store, t, prog);
		ad_bind(prog, in, x);
		ad_set_batch(prog, p->n);
		const float *r = ad_run(prog, 0) ? NULL : ad_result(prog, 0);
		right = r ? 0 : -1;
		for (int64_t i = 0; r && i < p->n; i++)
			right += (r[i] > 0) == (label[i] > 0.5f);
	}
	ad_prog_free(prog);
	ad_tape_free(t);
	free(x);
	free(label);
	return right;
}

lab_verdict lab_classify(const double *x, const double *y, int64_t n, int64_t dim, uint64_t seed, lab_err *err)
{
	problem p = { .dim = dim, .n = n, .x = x, .y = y };
	lab_rng r = { seed };
	p.order = lab_alloc((size_t)(2 * n), sizeof *p.order);
	for (int64_t i = 0; i < 2 * n; i++)
		p.order[i] = i;
	lab_rng_shuffle(&r, 2 * n, p.order);
	standardise(&p);
	nn_store *store = nn_store_new(AD_F32, seed);
	train(&p, store, &r);
	int64_t right = nn_error(store) ? -1 : hits(&p, store);
	lab_verdict v = { NAN, NAN };
	if (right < 0) {
		lab_fail(err, "the classifier's training failed: %s", nn_error(store) ? nn_error(store) : "no program");
	} else {
		/* hits of a guess: binomial(n, 1/2), normal with the correction for continuity */
		double z = ((double)right - 0.5 - (double)n / 2) / sqrt((double)n / 4);
		v = (lab_verdict){ (double)right / (double)n, lab_normal_cdf(-z) };
	}
	nn_store_free(store);
	free(p.order);
	free(p.mean);
	free(p.sd);
	return v;
}
