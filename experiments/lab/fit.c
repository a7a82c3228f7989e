/* fit.c - one run: a model fitted to an energy by the reverse divergence. */
#include "fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "file.h"
#include "flows/variational.h"
#include "fit_private.h"
#include "memory.h"
#include "ranks.h"

/* --- The objective ------------------------------------------------------------------------------------------------- */

typedef struct {
	const lab_energy *energy;
	ad_var inverse_temperature; /* [B], or NULL: 1 */
} target;

static ad_var energy_of(nn c, ad_var x, ad_var cond, void *user)
{
	(void)c, (void)cond;
	const target *t = user;
	ad_var u = t->energy->energy(x);
	return t->inverse_temperature ? ad_mul(t->inverse_temperature, u) : u;
}

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	const lab__fit *f = user;
	target t = { f->energy, n ? ad_squeeze(batch[0], 1) : NULL };
	if (n)
		nn_metric(c, "inverse_temperature", t.inverse_temperature);
	flow_gradient path = strcmp(f->o->gradient, "path") ? FLOW_STICK : FLOW_PATH;
	return flow_reverse_kl(&f->model->density, c, AD_SHAPE(2), NULL, energy_of, &t, path);
}

int lab__fit_measure(lab__fit *f, int64_t n, uint64_t seed, double *log_q, double *energy, lab_err *err)
{
	lab_model *m = f->model;
	ad_dtype d = nn_dtype(m->store);
	ad_tape *t = ad_tape_new(d);
	target p_x = { f->energy, NULL };
	flow_fit s = flow_fit_energy(&m->density, nn_begin(t, m->store, NN_EVAL), AD_SHAPE(2), NULL, energy_of, &p_x,
				     FLOW_PATH);
	ad_var out[2] = { ad_cast(s.log_q, AD_F64), ad_cast(s.energy, AD_F64) };
	ad_prog *p = nn_error(m->store) || ad_error(t) ? NULL
						       : ad_compile(t, 2, out, (ad_options){ .threads = (int)f->o->train.threads,
											     .group = lab_group() });
	enum { CHUNK = 16384 };
	int bad = !p;
	if (bad)
		lab_fail(err, "%s", nn_error(m->store) ? nn_error(m->store) : ad_error(t));
	bad = lab_ranks_bad(bad, err);
	if (!bad) {
		nn_bind(m->store, t, p);
		ad_set_seed(p, seed);
	}
	for (int64_t at = 0; at < n && !bad; at += CHUNK) {
		int64_t rows = n - at < CHUNK ? n - at : CHUNK;
		ad_set_batch(p, rows);
		bad = ad_run(p, (uint64_t)(at / CHUNK));
		if (bad) {
			lab_fail(err, "%s", ad_run_error(p));
			break;
		}
		memcpy(log_q + at, ad_result(p, 0), (size_t)rows * sizeof *log_q);
		memcpy(energy + at, ad_result(p, 1), (size_t)rows * sizeof *energy);
	}
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

/* The inverse temperature rises linearly over the first part of the steps. */
static int64_t temperatures(void *data, int64_t step, void *rows, bool f32, double *offset)
{
	const lab_fit_opt *o = ((lab__fit *)data)->o;
	double rising = o->anneal * (double)o->train.steps;
	double b = (double)step < rising ? o->anneal_from + (1 - o->anneal_from) * (double)step / rising : 1;
	for (int64_t i = 0; i < o->train.batch && rows; i++)
		if (f32)
			((float *)rows)[i] = (float)b;
		else
			((double *)rows)[i] = b;
	*offset = ((lab__fit *)data)->energy->log_z;
	return o->train.batch;
}

static lab_objective objective(lab__fit *f)
{
	return (lab_objective){ .loss = loss, .user = f, .batch = temperatures, .columns = f->o->anneal > 0,
				.validate = validate, .validation = "val/kl", .data = f };
}

/* --- Before training ------------------------------------------------------------------------------------------------- */

static lab_model *make_model(lab__fit *f)
{
	static const double mean[2] = { 0, 0 }, sd[2] = { 1, 1 };
	return lab_model_new(f->o->model, f->o->net, 2, strcmp(f->o->dtype, "f64") ? AD_F32 : AD_F64,
			     (uint64_t)f->o->train.seed, (lab_scale){ mean, sd, NULL }, &f->at.err);
}

/* Turns the model if only its other direction is a formula.  What is solved in both (continuous flows) stays. */
static int orient(lab__fit *f)
{
	if (!(f->model = make_model(f)))
		return lab_cli_wrong(f->at.cli, "%s", f->at.err.text);
	flow_caps caps = flow_capabilities(f->model->density.f);
	bool given = f->o->net.direction, exact = caps.logdet == FLOW_EXACT;
	if (given || !exact || caps.inverse == FLOW_ANALYTIC || caps.forward != FLOW_ANALYTIC)
		return exact && caps.inverse != FLOW_ABSENT
			       ? -1
			       : lab_cli_wrong(f->at.cli, "model %s%s%s does not sample with an exact density", f->o->model,
					       given ? ", direction=" : "", given ? f->o->net.direction : "");
	f->o->net.direction = "sampling";
	lab_model_free(f->model);
	f->model = make_model(f);
	return f->model ? -1 : lab_cli_wrong(f->at.cli, "%s", f->at.err.text);
}

static int settle(lab__fit *f)
{
	lab_train_opt *t = &f->o->train;
	if (f->at.old && !lab_model_restore(f->at.old, &f->o->net, &f->at.err))
		return lab_place_refuse(&f->at, "cannot resume");
	/* As for plenty of data in the plane. */
	lab_table like = { .rows = 100000, .cols = 2 };
	lab_model_defaults(f->o->model, 2, like.rows, &f->o->net);
	int status = orient(f);
	if (status >= 0)
		return status;
	if (!f->at.old && !t->steps && t->seconds > 0) {
		lab_train_opt plain = *t;
		plain.steps = (int64_t)1 << 30;
		lab_train_defaults(&plain, &like, f->o->model);
		lab_objective j = objective(f);
		double spent;
		int64_t steps = lab_train_calibrate(f->model, &j, &plain, &spent, &f->at.err);
		lab_model_free(f->model);
		f->model = make_model(f);
		if (steps < 0 || !f->model)
			return lab_cli_wrong(f->at.cli, "training failed: %s", f->at.err.text), LAB_FAILED;
		t->steps = steps;
		f->at.state.seconds = spent;
	}
	lab_train_defaults(t, &like, f->o->model);
	return -1;
}

/* All that may end a fit before anything is computed. */
static int open_all(lab__fit *f)
{
	lab_fit_opt *o = f->o;
	int status;
	if (!o->out && (!o->energy || !o->model))
		return lab_cli_wrong(f->at.cli, "needs --energy and --model (--help explains)");
	if (o->out)
		snprintf(f->at.dir, sizeof f->at.dir, "%s", o->out);
	else
		snprintf(f->at.dir, sizeof f->at.dir, "out/%s-%.60s-%lld", o->energy, o->model, (long long)o->train.seed);
	if ((status = lab_place_open(&f->at, o->resume, o)) >= 0)
		return status;
	if (f->at.old && lab_log_find(f->at.old, "config/data"))
		return lab_cli_wrong(f->at.cli, "cannot resume %s: it is a run on data, of the program tabular", f->at.dir);
	if (!o->energy || !o->model)
		return lab_cli_wrong(f->at.cli, "needs --energy and --model (--help explains)");
	if (!(f->energy = lab_energy_named(o->energy)))
		return lab_cli_wrong(f->at.cli, "unknown energy \"%s\" (--list-energies names them all)", o->energy);
	if ((status = lab_model_check(f->at.cli, f->at.args, o->model)) >= 0)
		return status;
	if (lab_place_over(&f->at, "final/kl")) {
		printf("%s: the run in %s is finished\n", f->at.cli->name, f->at.dir);
		return 0;
	}
	if (!o->train.threads)
		o->train.threads = lab_cores();
	return -1;
}

static int prepare(lab__fit *f)
{
	int status = lab_ranks_agree(f->at.cli, open_all(f));
	if (status >= 0 || (status = settle(f)) >= 0)
		return status;
	return lab_place_take(&f->at);
}

static void describe(void *run)
{
	lab__fit *f = run;
	lab_log *l = f->at.log;
	lab_log_text(l, "status", "running");
	lab_log_environment(l);
	lab_config_record(l, f->at.cli, f->o, f->at.args);
	lab_model_record(l, f->model, &f->o->net);
	lab_log_text(l, "data/source", f->energy->name);
	lab_log_int(l, "data/columns", 2, NULL);
	lab_log_real(l, "data/log_z", f->energy->log_z, "nats");
}

static int perform(lab__fit *f)
{
	int status = lab_place_begin(&f->at, describe, f);
	if (status >= 0)
		return status;
	lab_objective j = objective(f);
	f->at.outcome = lab_train(f->model, &j, &f->o->train, f->at.dir, f->at.log, f->at.resumed ? &f->at.from : NULL,
				  &f->at.state, &f->at.err);
	return f->at.outcome == LAB_INTERRUPTED ? lab_place_interrupted(&f->at, f->o->train.steps) : lab__fit_finish(f);
}

int lab_fit(const lab_cli *c, const lab_args *a, lab_fit_opt *o)
{
	static const lab_args nothing;
	lab__fit f = { .at = { .cli = c, .args = a ? a : &nothing }, .o = o };
	int status = lab_ranks_agree(c, prepare(&f));
	if (status < 0)
		status = perform(&f);
	lab_place_close(&f.at);
	lab_model_free(f.model);
	return status;
}
