/* train.c - the loop of training. */
#include "train.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "profile.h"
#include "progress.h"
#include "ranks.h"

const char *const lab_outcome_name[] = { "finished", "stopped-early", "interrupted", "failed" };
int lab_signal;
static volatile sig_atomic_t arrived; /* here, and not yet known to all ranks */

typedef struct {
	lab_model *m;
	const lab_objective *of;
	const lab_train_opt *o;
	const char *dir;
	lab_log *log;
	lab_state *s;
	nn_trainer *trainer;
	nn_snapshot *best;
	void *rows;
	double saved, started, last_nll;
	lab_err *err;
} job;

void lab_train_defaults(lab_train_opt *o, const lab_table *train, const char *model)
{
	bool few = train->rows < 5000, plane = train->cols <= 2, continuous = flow_model_takes(model, "solver");
	if (!o->batch)
		o->batch = few ? 64 : 512;
	if (o->batch > train->rows)
		o->batch = train->rows;
	if (!o->lr)
		o->lr = few ? 1e-3 : plane && continuous ? 1e-2 : plane ? 5e-3 : 5e-4;
	if (!o->steps)
		o->steps = plane || few ? 5000 : 20000;
	if (!o->validate)
		o->validate = o->steps < 1000 ? 10 : o->steps > 100000 ? 1000 : o->steps / 100;
	if (!o->points)
		o->points = o->validate < 10 ? 1 : o->validate / 10;
}

/* --- The pieces of a step -------------------------------------------------------------------------------- */

static nn_rule rule(const char *name)
{
	static const struct {
		const char *name;
		nn_rule rule;
	} table[] = { { "sgd", NN_SGD },     { "rmsprop", NN_RMSPROP }, { "adagrad", NN_ADAGRAD },
		      { "adamw", NN_ADAMW }, { "adamax", NN_ADAMAX },   { "adam", NN_ADAM } };
	int i = 0;
	while (i < 5 && strcmp(table[i].name, name))
		i++;
	return table[i].rule;
}

static nn_trainer *make_trainer(lab_model *m, const lab_objective *j, const lab_train_opt *o)
{
	bool cosine = !strcmp(o->schedule, "cosine"), plateau = !strcmp(o->schedule, "plateau");
	nn_task task = {
		.loss = j->loss,
		.user = j->user,
		.optim = { .rule = rule(o->optimiser), .lr = o->lr, .weight_decay = o->weight_decay, .clip_norm = o->clip,
		           .clip_value = o->clip_value, .ema = o->ema, .accumulate = (int)o->accumulate },
		.schedule = { .kind = cosine ? NN_COSINE : plateau ? NN_PLATEAU : NN_CONSTANT, .warmup = o->warmup,
		              .total = (o->steps + o->accumulate - 1) / o->accumulate, .eta_min = o->lr_end, .gamma = 0.5,
		              .patience = 10 },
	};
	return nn_trainer_new(m->store, (nn_trainer_opt){ .inputs = j->columns > 0, .shape = { AD_SHAPE(AD_BATCH, j->columns) },
	                                                  .dtype = { nn_dtype(m->store) }, .tasks = 1, .task = { task },
	                                                  .run = { .threads = (int)o->threads, .group = lab_group() } });
}

/* The loss before the step, in the units of the file. */
static double take_step(job *j)
{
	double offset = 0;
	int64_t n = j->of->batch(j->of->data, j->s->step, j->rows, nn_dtype(j->m->store) == AD_F32, &offset);
	return nn_train_step(j->trainer, 0, n, (const void *const[]){ j->rows }) + offset;
}

static void point(job *j)
{
	lab_state *s = j->s;
	double n = (double)s->summed;
	lab_log_point(j->log, "train/loss", "nats", s->step, s->loss / n);
	lab_log_point(j->log, "train/grad_norm", "1", s->step, s->norm / n);
	lab_log_point(j->log, "train/lr", "1", s->step, nn_lr(j->trainer, 0));
	lab_log_point(j->log, "time/seconds", "seconds", s->step, s->seconds);
	s->loss = s->norm = 0;
	s->summed = 0;
}

/* Validates with the averaged weights if there are any; keeps them if they are the best so far. */
static int validate(job *j)
{
	lab_state *s = j->s;
	if (j->o->ema > 0)
		nn_ema_swap(j->trainer);
	j->err->text[0] = 0;
	j->last_nll = j->of->validate(j->of->data, j->err);
	bool better = j->last_nll < s->best_nll;
	if (better) {
		nn_snapshot_free(j->best);
		j->best = nn_snapshot_take(j->m->store);
		s->best_nll = j->last_nll;
		s->best_step = s->step;
	}
	if (j->o->ema > 0)
		nn_ema_swap(j->trainer);
	if (j->err->text[0])
		return -1;
	s->since_best = better ? 0 : s->since_best + 1;
	lab_log_point(j->log, j->of->validation, "nats", s->step, j->last_nll);
	nn_report(j->trainer, 0, j->last_nll);
	const char *name[64];
	double value[64];
	int n = nn_metrics(j->trainer, 0, name, value, 64);
	for (int i = 0; i < n; i++) {
		char series[256];
		snprintf(series, sizeof series, "metric/%s", name[i]);
		lab_log_point(j->log, series, "1", s->step, value[i]);
	}
	s->stopped = j->o->patience && s->since_best >= j->o->patience;
	return 0;
}

/* Each rank made the optimiser's steps for itself. */
static int same_weights(job *j)
{
	char what[100];
	int bad = 0;
	snprintf(what, sizeof what, "weights after step %lld", (long long)j->s->step);
	for (int i = 0; i < nn_count(j->m->store) && lab_group() && !bad; i++) {
		nn_entry e = nn_at(j->m->store, i);
		bad = lab_ranks_same(e.value, (size_t)e.numel * (nn_dtype(j->m->store) == AD_F32 ? 4 : 8), what, j->err);
	}
	return bad;
}

static int save(job *j)
{
	char path[4200];
	j->saved = lab_clock();
	if (same_weights(j))
		return -1;
	/* The checkpoint first: it holds the log too, so that whichever of the two is older does not matter. */
	int bad = lab_checkpoint_write(lab_path(path, sizeof path, j->dir, "checkpoint.h5"), j->m, j->trainer, j->best, j->s,
	                               j->log, j->err) ||
	          lab_log_write(j->log, lab_path(path, sizeof path, j->dir, "run.h5"), j->err);
	return lab_ranks_bad(bad, j->err);
}

/* --- The loop ---------------------------------------------------------------------------------------------- */

static void caught(int sig)
{
	arrived = sig;
}

static void catch_signals(bool on)
{
	struct sigaction a = { .sa_handler = on ? caught : SIG_DFL, .sa_flags = SA_RESETHAND };
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

/* By a signal to any rank.  What arrives meanwhile waits for the next time: ranks must not think differently of one step. */
static bool interrupted(void)
{
	lab_signal = lab_ranks_any(arrived);
	return lab_signal;
}

static lab_outcome loop(job *j)
{
	lab_state *s = j->s;
	const lab_train_opt *o = j->o;
	double before = s->seconds, since = lab_clock();
	lab_progress bar = lab_progress_start("train", s->step, o->steps, o->seconds > 0 ? o->seconds - before : 0, o->silent);
	bool late = false;
	int bad = 0;
	char note[200];
	while (!bad && !s->stopped && !late && !interrupted() && s->step < o->steps) {
		double l = take_step(j);
		if (!isfinite(l)) {
			const char *why = nn_error(j->m->store);
			if (why)
				lab_fail(j->err, "%s", why);
			else
				lab_fail(j->err, "the loss of step %lld is not finite", (long long)s->step + 1);
			bad = 1;
			break;
		}
		s->step++;
		s->seconds = before + lab_clock() - since;
		s->loss += l;
		s->norm += nn_grad_norm(j->trainer, 0);
		s->summed++;
		late = (o->seconds > 0 && lab_ranks_yes(s->seconds >= o->seconds)) || s->step == o->until;
		snprintf(note, sizeof note, isfinite(s->best_nll) ? "loss %.4f  val %.4f (best %.4f)" : "loss %.4f", l,
		         j->last_nll, s->best_nll);
		if (s->step % o->points == 0)
			point(j);
		if (s->step % o->validate == 0 || s->step == o->steps || late)
			bad = validate(j);
		lab_progress_step(&bar, s->step, note);
		if (!bad && s->step % o->validate == 0 && lab_ranks_yes(lab_clock() - j->saved >= o->save))
			bad = save(j);
	}
	lab_progress_end(&bar);
	s->seconds = before + lab_clock() - since;
	if (!bad)
		bad = save(j);
	return bad ? LAB_BROKEN : lab_signal ? LAB_INTERRUPTED : s->stopped ? LAB_STOPPED_EARLY : LAB_FINISHED;
}

static void end(job *j)
{
	nn_trainer_free(j->trainer);
	nn_snapshot_free(j->best);
	free(j->rows);
}

static bool begin(job *j)
{
	j->rows = j->of->columns ? lab_alloc((size_t)(j->o->batch * j->of->columns), 8) : NULL;
	return (j->trainer = make_trainer(j->m, j->of, j->o)) != NULL;
}

lab_outcome lab_train(lab_model *m, const lab_objective *of, const lab_train_opt *o, const char *dir, lab_log *log,
                      lab_checkpoint *from, lab_state *s, lab_err *err)
{
	job j = { .m = m, .of = of, .o = o, .dir = dir, .log = log, .s = s, .err = err, .saved = lab_clock(), .last_nll = NAN };
	int bad = from && lab_checkpoint_weights(from, m, &j.best, err);
	if (!bad && !begin(&j)) {
		lab_fail(err, "%s", nn_error(m->store));
		bad = 1;
	}
	if (!bad && from)
		bad = lab_checkpoint_trainer(from, m, j.trainer, err);
	bad = lab_ranks_bad(bad, err);
	lab_outcome outcome = LAB_BROKEN;
	if (!bad) {
		lab_profile(nn_trainer_prog(j.trainer, 0));
		catch_signals(true);
		outcome = loop(&j);
		catch_signals(false);
		lab_profile_print(nn_trainer_prog(j.trainer, 0), "training steps (without the optimiser's update)");
	}
	if (j.best && outcome != LAB_BROKEN)
		nn_snapshot_restore(m->store, j.best);
	end(&j);
	return outcome;
}

int64_t lab_train_calibrate(lab_model *scratch, const lab_objective *of, const lab_train_opt *o, double *spent,
                            lab_err *err)
{
	double start = lab_clock(), enough = o->seconds * 0.04, ready = 0;
	lab_state s = { .best_nll = INFINITY };
	lab_log *log = lab_log_new();
	job j = { .m = scratch, .of = of, .o = o, .log = log, .s = &s, .err = err };
	bool bad = lab_ranks_bad(!begin(&j), err);
	while (!bad && (s.step < 4 || lab_ranks_yes(lab_clock() - ready < enough))) {
		bad = !isfinite(take_step(&j));
		if (++s.step == 1)
			ready = lab_clock();
	}
	double step = (lab_clock() - ready) / (double)(s.step - 1), setup = ready - start, validation = lab_clock();
	if (bad)
		lab_fail(err, "%s", nn_error(scratch->store) ? nn_error(scratch->store) : "the loss is not finite");
	bad = bad || validate(&j);
	validation = lab_clock() - validation;
	end(&j);
	lab_log_free(log);
	*spent = lab_clock() - start;
	/* About a hundred validations; the rest is steps, with a little in hand. */
	double left = 0.97 * (o->seconds - *spent - setup);
	double each = step + validation / fmax(20, left / step / 100);
	int64_t steps = left > 2 * each ? (int64_t)(left / each) : 2;
	lab_ranks_first(&steps, sizeof steps);
	return bad ? -1 : steps;
}
