/* run.c - one run: a model trained on a table, tested, logged. */
#include "run_private.h"

#include <libgen.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "profile.h"

static int refuse(lab__run *r, const char *what)
{
	return lab_cli_wrong(r->cli, "%s%s%s", what, *what ? ": " : "", r->err.text);
}

/* --- Where, and what is there ------------------------------------------------------------------------------ */

static void default_directory(lab__run *r)
{
	char what[4096];
	snprintf(what, sizeof what, "%s", r->o->data);
	char *name = basename(what), *dot = strchr(name, '.');
	if (dot && dot > name)
		*dot = 0;
	snprintf(r->dir, sizeof r->dir, "out/%.200s-%.60s-%lld", name, r->o->model, (long long)r->o->train.seed);
}

static int open_existing(lab__run *r)
{
	bool log = !access(r->log_path, F_OK), checkpoint = !access(r->checkpoint_path, F_OK);
	char why[400];
	if (!r->o->resume) {
		if (!log && !checkpoint)
			return -1;
		lab_fail(&r->err, "%s exists: --resume continues that run, --out DIR puts this one elsewhere",
		         log ? r->log_path : r->checkpoint_path);
		return refuse(r, "");
	}
	if (checkpoint) {
		if (lab_checkpoint_open(&r->from, r->checkpoint_path, &r->err))
			return refuse(r, "cannot resume");
		r->old = r->from.log;
		r->resumed = true;
	} else if (log && !(r->old = lab_log_read(r->log_path, &r->err))) {
		return refuse(r, "cannot resume");
	}
	if (!r->old || lab_config_restore(r->old, r->cli, r->o, r->args, why, sizeof why))
		return -1;
	lab_fail(&r->err, "%s: %s", r->dir, why);
	return refuse(r, "cannot resume");
}

/* --- Before training ------------------------------------------------------------------------------------------ */

int lab_model_check(const lab_cli *c, const lab_args *a, const char *model)
{
	lab_model_row m;
	const char *name[64];
	int n = 0;
	if (!lab_model_named(model, &m)) {
		while (n < 64 && lab_model_at(n, &m)) {
			name[n] = m.name;
			n++;
		}
		const char *near = lab_nearest(model, n, name);
		return lab_cli_wrong(c, "unknown model \"%s\"%s%s%s (--list-models names them all)", model,
		                     near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	}
	const lab_key *key = lab_run_model_keys();
	for (int i = 0; key[i].key; i++)
		if (a->more[i] && !flow_model_takes(m.name, key[i].key))
			return lab_cli_wrong(c, "--set %s=%s: model %s has no setting \"%s\"", key[i].key, a->more[i], m.name,
			                     key[i].key);
	return -1;
}

int lab_cores(void)
{
	cpu_set_t cores;
	return sched_getaffinity(0, sizeof cores, &cores) ? 1 : CPU_COUNT(&cores);
}

lab_dataset *lab__open_data(const lab_run_opt *o, lab_err *err)
{
	lab_data_opt d = { .split_seed = (uint64_t)o->split_seed, .val_fraction = o->val_fraction,
		           .test_fraction = o->test_fraction, .n_train = o->rows, .array = o->array, .drop = o->drop,
		           .columns = o->columns };
	return lab_dataset_open(o->data, d, err);
}

static int open_data(lab__run *r)
{
	r->data = lab__open_data(r->o, &r->err);
	if (!r->data)
		return refuse(r, "");
	char hash[32];
	snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->data->test_hash);
	if (r->old && strcmp(hash, lab_log_get_text(r->old, "data/test_hash", hash)))
		return lab_cli_wrong(r->cli, "cannot resume %s: the data in %s have changed since that run began", r->dir, r->o->data);
	return -1;
}

static lab_model *make_model(lab__run *r)
{
	return lab_model_new(r->o->model, r->o->net, r->data->train->cols, strcmp(r->o->dtype, "f64") ? AD_F32 : AD_F64,
	                     (uint64_t)r->o->train.seed, lab_dataset_scale(r->data), &r->err);
}

/* Sizes and budgets that were left open. */
static int settle(lab__run *r)
{
	lab_run_opt *o = r->o;
	const lab_table *t = r->data->train;
	if (r->old) {
		lab__net_from_log(&o->net, r->old);
		return -1;
	}
	bool open = !o->train.steps && !o->epochs && o->train.seconds > 0;
	lab_model_defaults(o->model, t->cols, t->rows, &o->net);
	lab_train_opt plain = o->train;
	lab_train_defaults(&plain, t);
	if (o->epochs) {
		lab_batches b;
		lab_batches_init(&b, t, plain.batch, 0, NULL);
		int64_t steps = o->epochs * lab_batches_per_epoch(&b);
		lab_batches_free(&b);
		if (!o->train.steps || steps < o->train.steps)
			o->train.steps = steps;
	}
	if (open && strcmp(o->model, "gaussian")) {
		lab_model *scratch = make_model(r);
		if (!scratch)
			return refuse(r, "");
		plain.steps = (int64_t)1 << 30;
		lab_objective j = lab_likelihood_new(scratch, r->data, &plain);
		o->train.steps = lab_train_calibrate(scratch, &j, &plain, &r->state.seconds, &r->err);
		lab_likelihood_free(&j);
		lab_model_free(scratch);
		if (o->train.steps < 0) {
			refuse(r, "training failed");
			return LAB_FAILED;
		}
	}
	lab_train_defaults(&o->train, t);
	return -1;
}

/* Makes the directory this run's alone. */
static int take_directory(lab__run *r)
{
	if (lab_dir_make(r->dir, &r->err) || lab_dir_lock(r->dir, &r->err))
		return refuse(r, "");
	if (r->old || (access(r->log_path, F_OK) && access(r->checkpoint_path, F_OK)))
		return -1;
	lab_fail(&r->err, "another process made %s meanwhile", r->log_path);
	return refuse(r, "");
}

static bool already_over(const lab__run *r)
{
	lab_err err;
	lab_log *l = r->old ? lab_log_read(r->log_path, &err) : NULL;
	const char *status = l ? lab_log_get_text(l, "status", "") : "";
	bool over = l && lab_log_find(l, "test/log_likelihood") &&
	            (!strcmp(status, "finished") || !strcmp(status, "stopped-early"));
	lab_log_free(l);
	return over;
}

/* --- The whole ---------------------------------------------------------------------------------------------- */

static int prepare(lab__run *r)
{
	lab_run_opt *o = r->o;
	int status;
	if (!o->out && (!o->data || !o->model))
		return lab_cli_wrong(r->cli, "needs --data and --model (--help explains)");
	if (o->out)
		snprintf(r->dir, sizeof r->dir, "%s", o->out);
	else
		default_directory(r);
	lab_path(r->log_path, sizeof r->log_path, r->dir, "run.h5");
	lab_path(r->checkpoint_path, sizeof r->checkpoint_path, r->dir, "checkpoint.h5");
	if ((status = open_existing(r)) >= 0)
		return status;
	if (!o->data || !o->model)
		return lab_cli_wrong(r->cli, "needs --data and --model (--help explains)");
	if ((status = lab_model_check(r->cli, r->args, o->model)) >= 0)
		return status;
	if (already_over(r)) {
		printf("%s: the run in %s is finished\n", r->cli->name, r->dir);
		return 0;
	}
	if (!o->train.threads)
		o->train.threads = lab_cores();
	if ((status = open_data(r)) >= 0 || (status = settle(r)) >= 0)
		return status;
	if (!(r->model = make_model(r)))
		return refuse(r, "");
	if (r->model->row.exact && lab_gaussian_fit(r->model, r->data->train, &r->err))
		return refuse(r, "");
	return take_directory(r);
}

static int perform(lab__run *r)
{
	if (r->resumed) {
		r->log = r->old;
		r->state = r->from.state;
	} else {
		r->log = lab_log_new();
		r->state.best_nll = INFINITY;
		lab__describe(r);
	}
	if (lab_log_write(r->log, r->log_path, &r->err) ||
	    (r->model->row.exact &&
	     lab_checkpoint_write(r->checkpoint_path, r->model, NULL, NULL, &r->state, r->log, &r->err))) {
		refuse(r, "");
		return LAB_FAILED;
	}
	if (!r->model->row.exact) {
		r->o->train.silent = r->o->quiet;
		lab_objective j = lab_likelihood_new(r->model, r->data, &r->o->train);
		r->outcome = lab_train(r->model, &j, &r->o->train, r->dir, r->log, r->resumed ? &r->from : NULL, &r->state,
		                       &r->err);
		lab_likelihood_free(&j);
	}
	return r->outcome == LAB_INTERRUPTED ? lab__interrupted(r) : lab__finish(r);
}

int lab_run(const lab_cli *c, const lab_args *a, lab_run_opt *o)
{
	static const lab_args nothing;
	lab__run r = { .cli = c, .args = a ? a : &nothing, .o = o };
	lab_profiling = o->profile;
	int status = prepare(&r);
	if (status < 0)
		status = perform(&r);
	if (r.resumed)
		lab_checkpoint_close(&r.from);
	if (r.log != r.old)
		lab_log_free(r.log);
	lab_log_free(r.old);
	lab_model_free(r.model);
	if (r.data)
		lab_dataset_free(r.data);
	return status;
}
