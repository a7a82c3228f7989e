/* fit.c - one run: a model fitted to an energy by the reverse divergence. */
#include "fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "file.h"
#include "flows/variational.h"
#include "fit_private.h"
#include "memory.h"

/* --- The objective ------------------------------------------------------------------------------------------------- */

static ad_var energy_of(nn c, ad_var x, ad_var cond, void *user)
{
	(void)c, (void)cond;
	return ((const lab_energy *)user)->energy(x);
}

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)batch;
	const lab__fit *f = user;
	flow_path path = strcmp(f->o->gradient, "path") ? FLOW_STICK : FLOW_PATH;
	return flow_reverse_kl(&f->model->density, c, AD_SHAPE(2), NULL, energy_of, (void *)f->energy, path);
}

int lab__fit_measure(lab__fit *f, int64_t n, uint64_t seed, double *log_q, double *energy, lab_err *err)
{
	lab_model *m = f->model;
	ad_dtype d = nn_dtype(m->store);
	ad_tape *t = ad_tape_new(d);
	flow_fit s = flow_fit_energy(&m->density, nn_begin(t, m->store, NN_EVAL), AD_SHAPE(2), NULL, energy_of,
				     (void *)f->energy, FLOW_PATH);
	ad_var out[2] = { ad_cast(s.log_q, AD_F64), ad_cast(s.energy, AD_F64) };
	ad_prog *p = nn_error(m->store) || ad_error(t) ? NULL
						       : ad_compile(t, 2, out, (ad_options){ .threads = (int)f->o->train.threads });
	enum { CHUNK = 16384 };
	int bad = !p;
	if (p) {
		nn_bind(m->store, t, p);
		ad_set_seed(p, seed);
	}
	for (int64_t at = 0; at < n && !bad; at += CHUNK) {
		int64_t rows = n - at < CHUNK ? n - at : CHUNK;
		ad_set_batch(p, rows);
		bad = ad_run(p, (uint64_t)(at / CHUNK));
		if (bad)
			break;
		memcpy(log_q + at, ad_result(p, 0), (size_t)rows * sizeof *log_q);
		memcpy(energy + at, ad_result(p, 1), (size_t)rows * sizeof *energy);
	}
	if (bad)
		lab_fail(err, "%s", nn_error(m->store) ? nn_error(m->store) : ad_error(t) ? ad_error(t) : ad_run_error(p));
	if (p)
		ad_prog_free(p);
	nn_release(m->store, t);
	ad_tape_free(t);
	return bad ? -1 : 0;
}

/* KL, on the same noise at every validation */
static double validate(void *data, lab_err *err)
{
	lab__fit *f = data;
	int64_t n = f->o->train.validation_rows;
	double *v = lab_alloc((size_t)(2 * n), sizeof *v), sum = 0;
	int bad = lab__fit_measure(f, n, ad_hash((uint64_t)f->o->train.seed, "validation"), v, v + n, err);
	for (int64_t i = 0; i < 2 * n && !bad; i++)
		sum += v[i];
	free(v);
	return bad ? NAN : sum / (double)n + f->energy->log_z;
}

static int64_t no_rows(void *data, int64_t step, void *rows, bool f32, double *offset)
{
	(void)step, (void)rows, (void)f32;
	*offset = ((lab__fit *)data)->energy->log_z;
	return ((lab__fit *)data)->o->train.batch;
}

static lab_objective objective(lab__fit *f)
{
	return (lab_objective){ .loss = loss, .user = f, .batch = no_rows, .no_rows = true, .validate = validate,
				.validation = "val/kl", .data = f };
}

/* --- Before training ------------------------------------------------------------------------------------------------- */

static lab_model *make_model(lab__fit *f)
{
	static const double mean[2] = { 0, 0 }, sd[2] = { 1, 1 };
	return lab_model_new(f->o->model, f->o->net, 2, strcmp(f->o->dtype, "f64") ? AD_F32 : AD_F64,
			     (uint64_t)f->o->train.seed, (lab_scale){ mean, sd, NULL }, &f->err);
}

/* Turns the model if only its other direction is a formula. */
static int orient(lab__fit *f)
{
	if (!(f->model = make_model(f)))
		return lab_cli_wrong(f->cli, "%s", f->err.text);
	flow_caps caps = flow_capabilities(f->model->density.f);
	if (f->model->row.exact)
		return lab_cli_wrong(f->cli, "model %s is fitted to data, not to energies", f->o->model);
	if (caps.inverse == FLOW_ANALYTIC && caps.logdet == FLOW_EXACT)
		return -1;
	if (caps.forward != FLOW_ANALYTIC || caps.logdet != FLOW_EXACT || f->o->net.direction)
		return lab_cli_wrong(f->cli, "model %s%s%s does not sample by a formula with an exact density", f->o->model,
				     f->o->net.direction ? ", direction=" : "", f->o->net.direction ? f->o->net.direction : "");
	f->o->net.direction = "sampling";
	lab_model_free(f->model);
	f->model = make_model(f);
	return f->model ? -1 : lab_cli_wrong(f->cli, "%s", f->err.text);
}

static int settle(lab__fit *f)
{
	lab_train_opt *t = &f->o->train;
	/* As for plenty of data in the plane. */
	lab_table like = { .rows = 100000, .cols = 2 };
	lab_model_defaults(f->o->model, 2, like.rows, &f->o->net);
	int status = orient(f);
	if (status >= 0)
		return status;
	if (!t->steps && t->seconds > 0) {
		lab_train_opt plain = *t;
		plain.steps = (int64_t)1 << 30;
		lab_train_defaults(&plain, &like);
		lab_objective j = objective(f);
		double spent;
		int64_t steps = lab_train_calibrate(f->model, &j, &plain, &spent, &f->err);
		lab_model_free(f->model);
		f->model = make_model(f);
		if (steps < 0 || !f->model)
			return fprintf(stderr, "%s: training failed: %s\n", f->cli->name, f->err.text), LAB_FAILED;
		t->steps = steps;
		f->state.seconds = spent;
	}
	lab_train_defaults(t, &like);
	return -1;
}

static int prepare(lab__fit *f)
{
	lab_fit_opt *o = f->o;
	if (!o->energy || !o->model)
		return lab_cli_wrong(f->cli, "needs --energy and --model (--help explains)");
	if (!(f->energy = lab_energy_named(o->energy)))
		return lab_cli_wrong(f->cli, "unknown energy \"%s\" (--list-energies names them all)", o->energy);
	int status = lab_model_check(f->cli, f->args, o->model);
	if (status >= 0)
		return status;
	if (o->out)
		snprintf(f->dir, sizeof f->dir, "%s", o->out);
	else
		snprintf(f->dir, sizeof f->dir, "out/%s-%.60s-%lld", o->energy, o->model, (long long)o->train.seed);
	lab_path(f->log_path, sizeof f->log_path, f->dir, "run.h5");
	if (!access(f->log_path, F_OK))
		return lab_cli_wrong(f->cli, "%s exists: --out DIR puts this run elsewhere", f->log_path);
	if (!o->train.threads)
		o->train.threads = lab_cores();
	if ((status = settle(f)) >= 0)
		return status;
	if (lab_dir_make(f->dir, &f->err) || lab_dir_lock(f->dir, &f->err))
		return lab_cli_wrong(f->cli, "%s", f->err.text);
	return -1;
}

static void describe(lab__fit *f)
{
	lab_log *l = f->log;
	lab_log_text(l, "status", "running");
	lab_log_environment(l);
	lab_config_record(l, f->cli, f->o, f->args);
	lab_model_record(l, f->model, &f->o->net);
	lab_log_text(l, "data/source", f->energy->name);
	lab_log_int(l, "data/columns", 2, NULL);
	lab_log_real(l, "data/log_z", f->energy->log_z, "nats");
}

static int perform(lab__fit *f)
{
	f->log = lab_log_new();
	f->state.best_nll = INFINITY;
	describe(f);
	if (lab_log_write(f->log, f->log_path, &f->err))
		return lab_cli_wrong(f->cli, "%s", f->err.text), LAB_FAILED;
	lab_objective j = objective(f);
	f->outcome = lab_train(f->model, &j, &f->o->train, f->dir, f->log, NULL, &f->state, &f->err);
	return lab__fit_finish(f);
}

int lab_fit(const lab_cli *c, const lab_args *a, lab_fit_opt *o)
{
	lab__fit f = { .cli = c, .args = a, .o = o };
	int status = prepare(&f);
	if (status < 0)
		status = perform(&f);
	lab_log_free(f.log);
	lab_model_free(f.model);
	return status;
}
