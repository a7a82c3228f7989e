/* step.c - one training step, and what is told about it. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *grad_of(const nn_store *s, int entry) { return s->grad + (size_t)s->entry[entry].at * nn__size(s); }

static void bind(nn_store *s, nn__program *p)
{
	if (p->bound == s->generation)
		return;
	p->bound = s->generation;
	nn_bind(s, p->tape, p->prog);
	for (int i = 0; i < p->nparam; i++)
		ad_bind_output(p->prog, p->nout - p->nparam + i, grad_of(s, p->param[i]));
}

static void feed(nn_trainer *tr, nn__task *k, ad_prog *p, int64_t samples, const void *const data[])
{
	ad_set_seed(p, nn__task_seed(tr, k));
	ad_set_batch(p, samples);
	for (int i = 0; i < tr->o.inputs; i++)
		ad_bind(p, k->p.input[i], data[i]);
}

/* Runs the step again in a program that stops at the first node that is not finite. */
static void diagnose(nn_trainer *tr, nn__task *k, const char *what, double value, int64_t samples,
                     const void *const data[])
{
	nn_store *s = tr->store;
	nn__program *p = &k->p;
	long long step = (long long)*nn__optimiser_steps(k->optimiser) + 1;
	ad_options o = tr->o.run;
	o.check_finite = true;
	ad_prog *check = ad_compile(p->tape, p->nout, p->out, o);
	if (!check) {
		nn_fail(s, "%s is %g at step %lld", what, value, step);
		return;
	}
	nn_bind(s, p->tape, check);
	feed(tr, k, check, samples, data);
	if (ad_run(check, (uint64_t)k->calls))
		nn_fail(s, "%s is %g at step %lld: %s", what, value, step, ad_run_error(check));
	else
		nn_fail(s, "%s is %g at step %lld", what, value, step);
	ad_prog_free(check);
}

static void take_states(nn_store *s, const nn__program *p)
{
	int first = p->nout - p->nparam - p->nstate;
	for (int i = 0; i < p->nstate; i++)
		memcpy(nn__value(s, p->state[i]), ad_result(p->prog, first + i),
		       (size_t)s->entry[p->state[i]].numel * nn__size(s));
}

static bool run_after(nn_trainer *tr, const nn__task *k)
{
	nn__program *p = &tr->after;
	if (!p->prog)
		return true;
	bind(tr->store, p);
	ad_set_seed(p->prog, nn__task_seed(tr, k));
	if (ad_run(p->prog, (uint64_t)k->calls)) {
		nn_fail(tr->store, "after step %lld: %s", (long long)*nn__optimiser_steps(k->optimiser), ad_run_error(p->prog));
		return false;
	}
	take_states(tr->store, p);
	return true;
}

static bool acceptable(nn_trainer *tr, int task, int64_t samples, const void *const data[])
{
	nn_store *s = tr->store;
	if (nn_error(s))
		return false;
	if (task < 0 || task >= tr->o.tasks || samples < 1) {
		nn_fail(s, "nn_train_step: task %d of %d on %lld samples", task, tr->o.tasks, (long long)samples);
		return false;
	}
	if (tr->swapped)
		nn_fail(s, "nn_train_step: the weights are swapped for their average; nn_ema_swap puts them back");
	for (int i = 0; i < tr->o.inputs; i++)
		if (!data || !data[i])
			nn_fail(s, "nn_train_step: no data for input %d", i);
	return !nn_error(s);
}

double nn_train_step(nn_trainer *tr, int task, int64_t samples, const void *const data[])
{
	nn_store *s = tr->store;
	nn__task *k = &tr->task[task < 0 || task > 3 ? 0 : task];
	if (!acceptable(tr, task, samples, data) || !nn__initialise(tr, k, samples, data))
		return NAN;
	nn__program *p = &k->p;
	bind(s, p);
	feed(tr, k, p->prog, samples, data);
	int64_t before = *nn__optimiser_steps(k->optimiser);
	if (ad_run(p->prog, (uint64_t)k->calls)) {
		nn_fail(s, "step %lld: %s", (long long)before + 1, ad_run_error(p->prog));
		return NAN;
	}
	double loss = ad_result_scalar(p->prog, 0);
	if (!isfinite(loss)) {
		diagnose(tr, k, "loss", loss, samples, data);
		return NAN;
	}
	double lr = nn_schedule_lr(&k->t.schedule, k->t.optim.lr, before) * k->factor;
	double norm = nn_optimiser_step(k->optimiser, lr, s->block[1].data, s->grad);
	if (!isfinite(norm)) {
		diagnose(tr, k, "norm of the gradient", norm, samples, data);
		return NAN;
	}
	k->lr = lr;
	k->norm = norm;
	for (int i = 0; i < p->nterm; i++)
		k->term[i] = ad_result_scalar(p->prog, 1 + i);
	take_states(s, p);
	bool stepped = *nn__optimiser_steps(k->optimiser) > before;
	if (stepped && !run_after(tr, k))
		return NAN;
	k->calls++;
	return loss;
}

double nn_grad_norm(const nn_trainer *tr, int task) { return tr->task[task].norm; }
double nn_lr(const nn_trainer *tr, int task) { return tr->task[task].lr; }
int64_t nn_step_count(const nn_trainer *tr, int task) { return *nn__optimiser_steps(tr->task[task].optimiser); }
ad_prog *nn_trainer_prog(nn_trainer *tr, int task) { return tr->task[task].p.prog; }

int nn_metrics(const nn_trainer *tr, int task, const char *name[], double value[], int max)
{
	const nn__task *k = &tr->task[task];
	for (int i = 0; i < k->p.nterm && i < max; i++) {
		name[i] = k->p.term[i];
		value[i] = k->term[i];
	}
	return k->p.nterm;
}

void nn_report(nn_trainer *tr, int task, double validation_loss)
{
	nn__task *k = &tr->task[task];
	const nn_schedule *s = &k->t.schedule;
	if (s->kind != NN_PLATEAU)
		return;
	bool better = validation_loss < k->best;
	k->best = better ? validation_loss : k->best;
	k->bad = better ? 0 : k->bad + 1;
	if (k->cooldown > 0) {
		k->cooldown--;
		k->bad = 0;
	}
	if (k->bad > s->patience) {
		double least = s->eta_min / k->t.optim.lr;
		k->factor = fmax(k->factor * (s->gamma == 0 ? 0.1 : s->gamma), fmin(least, k->factor));
		k->cooldown = s->cooldown;
		k->bad = 0;
	}
}

/* State that follows the weights follows their average too, and comes back as it was. */
static void states_follow(nn_trainer *tr)
{
	nn_store *s = tr->store;
	const nn__program *p = &tr->after;
	size_t bytes = 0;
	for (int i = 0; i < p->nstate; i++)
		bytes += (size_t)s->entry[p->state[i]].numel * nn__size(s);
	if (tr->swapped)
		tr->kept = nn__alloc(bytes);
	char *at = tr->kept;
	for (int i = 0; i < p->nstate && at; i++) {
		size_t n = (size_t)s->entry[p->state[i]].numel * nn__size(s);
		void *value = nn__value(s, p->state[i]);
		memcpy(tr->swapped ? at : value, tr->swapped ? value : at, n);
		at += n;
	}
	if (tr->swapped) {
		run_after(tr, &tr->task[0]);
	} else {
		free(tr->kept);
		tr->kept = NULL;
	}
}

void nn_ema_swap(nn_trainer *tr)
{
	for (int i = 0; i < tr->o.tasks; i++)
		nn__optimiser_swap(tr->task[i].optimiser, tr->store->block[1].data);
	tr->swapped = !tr->swapped;
	states_follow(tr);
}
