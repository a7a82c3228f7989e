/* work.c - a workload made runnable. */
#include "work.h"

#include <math.h>
#include <stdlib.h>

const char *const work_names[WORK_KINDS] = { "train", "density", "sample" };

struct work {
	workload w;
	int threads;
	flow_mem *mem;
	flow_density density;
	nn_store *store;
	float *batch;
	nn_trainer *trainer;
	ad_tape *tape[WORK_KINDS];
	ad_prog *prog[WORK_KINDS];
	uint64_t step;
	char error[512];
};

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	const work *k = user;
	(void)n;
	return flow_nll(&k->density, c, batch[0], NULL);
}

static void make_trainer(work *k)
{
	nn_trainer_opt o = { .inputs = 1, .shape = { AD_SHAPE(AD_BATCH, k->w.dim) }, .dtype = { AD_F32 }, .tasks = 1,
		.task = { { .loss = loss, .user = k, .optim = { .rule = NN_ADAM, .lr = 1e-4 } } }, .run = { .threads = k->threads } };
	k->trainer = nn_trainer_new(k->store, o);
	if (k->trainer)
		k->prog[WORK_TRAIN] = nn_trainer_prog(k->trainer, 0);
	else
		snprintf(k->error, sizeof k->error, "%s", nn_error(k->store));
}

static void make_program(work *k, work_kind kind)
{
	ad_tape *t = k->tape[kind] = ad_tape_new(AD_F32);
	nn c = nn_begin(t, k->store, NN_EVAL);
	ad_var x = NULL, out;
	if (kind == WORK_DENSITY) {
		x = ad_input(t, AD_F32, AD_SHAPE(AD_BATCH, k->w.dim), "x");
		out = flow_nll(&k->density, c, x, NULL);
	} else {
		out = flow_sample(&k->density, c, AD_SHAPE(k->w.dim), NULL, 1);
	}
	ad_prog *p = k->prog[kind] = ad_compile(t, 1, &out, (ad_options){ .threads = k->threads });
	if (!p) {
		snprintf(k->error, sizeof k->error, "%s", ad_error(t));
		return;
	}
	nn_bind(k->store, t, p);
	ad_set_seed(p, 1);
	ad_set_batch(p, k->w.batch);
	if (x)
		ad_bind(p, x, k->batch);
}

work *work_new(const workload *w, int threads)
{
	work *k = calloc(1, sizeof *k);
	if (!k) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	k->w = *w;
	k->threads = threads;
	k->mem = flow_mem_new();
	k->density = (flow_density){ workload_flow(w, k->mem), flow_normal() };
	k->store = nn_store_new(AD_F32, 0);
	k->batch = workload_batch(w);
	return k;
}

void work_free(work *k)
{
	if (!k)
		return;
	nn_trainer_free(k->trainer);
	for (int i = WORK_DENSITY; i < WORK_KINDS; i++) {
		ad_prog_free(k->prog[i]);
		if (k->tape[i]) {
			nn_release(k->store, k->tape[i]);
			ad_tape_free(k->tape[i]);
		}
	}
	nn_store_free(k->store);
	flow_mem_free(k->mem);
	free(k->batch);
	free(k);
}

const char *work_error(const work *k) { return *k->error ? k->error : NULL; }

ad_prog *work_prog(work *k, work_kind kind)
{
	if (!*k->error && !k->prog[kind]) {
		if (kind == WORK_TRAIN)
			make_trainer(k);
		else
			make_program(k, kind);
	}
	return *k->error ? NULL : k->prog[kind];
}

int64_t work_parameters(work *k)
{
	work_prog(k, WORK_TRAIN);
	return nn_parameters(k->store);
}

static double mean(const float *v, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += v[i];
	return sum / (double)n;
}

double work_do(work *k, work_kind kind, int64_t n)
{
	ad_prog *p = work_prog(k, kind);
	double value = NAN;
	for (int64_t i = 0; p && i < n && !*k->error; i++) {
		if (kind == WORK_TRAIN) {
			value = nn_train_step(k->trainer, 0, k->w.batch, (const void *[]){ k->batch });
			if (nn_error(k->store))
				snprintf(k->error, sizeof k->error, "%s", nn_error(k->store));
		} else if (ad_run(p, k->step++)) {
			snprintf(k->error, sizeof k->error, "%s", ad_run_error(p));
		}
	}
	if (!p || *k->error || n < 1)
		return NAN;
	if (kind == WORK_DENSITY)
		value = ad_result_scalar(p, 0);
	if (kind == WORK_SAMPLE)
		value = mean(ad_result(p, 0), k->w.batch * k->w.dim);
	return value;
}

bool work_task_run(void *what, int64_t n)
{
	const work_task *t = what;
	work_do(t->k, t->kind, n);
	return !work_error(t->k);
}
