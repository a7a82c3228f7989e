/* run.c - one run: a model trained on a table, tested, logged. */
#include "run_private.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "profile.h"
#include "ranks.h"

/* --- Where, and what is there ------------------------------------------------------------------------------ */

static void default_directory(lab__run *r)
{
	char what[4096];
	snprintf(what, sizeof what, "%s", r->o->data);
	char *name = basename(what), *dot = strchr(name, '.');
	if (dot && dot > name)
		*dot = 0;
	snprintf(r->at.dir, sizeof r->at.dir, "out/%.200s-%.60s-%lld", name, r->o->model, (long long)r->o->train.seed);
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
	return lab_ranks_cores();
}

lab_dataset *lab__open_data(const lab_run_opt *o, lab_err *err)
{
	lab_data_opt d = { .split_seed = (uint64_t)o->split_seed, .val_fraction = o->val_fraction,
		           .test_fraction = o->test_fraction, .n_train = o->rows, .array = o->array, .drop = o->drop,
		           .columns = o->columns };
	char elsewhere[8200];
	lab_err why;
	lab_dataset *t = lab_dataset_open(o->data, d, err);
	if (t || !o->from || *o->data == '/')
		return t;
	snprintf(elsewhere, sizeof elsewhere, "%s/%s", o->from, o->data);
	t = lab_dataset_open(elsewhere, d, &why);
	if (t)
		snprintf(t->source, sizeof t->source, "%s", o->data);
	return t;
}

static int open_data(lab__run *r)
{
	r->data = lab__open_data(r->o, &r->at.err);
	if (!r->data)
		return lab_place_refuse(&r->at, "");
	const uint64_t now[] = { r->data->train_hash, r->data->val_hash, r->data->test_hash };
	static const char *const then[] = { "data/train_hash", "data/val_hash", "data/test_hash" };
	char hash[32];
	bool same = true;
	for (int i = 0; i < 3 && r->at.old; i++) {
		snprintf(hash, sizeof hash, "%016llx", (unsigned long long)now[i]);
		same &= !strcmp(hash, lab_log_get_text(r->at.old, then[i], hash));
	}
	if (!same)
		return lab_cli_wrong(r->at.cli, "cannot resume %s: the data in %s have changed since that run began", r->at.dir, r->o->data);
	return -1;
}

static lab_model *make_model(lab__run *r)
{
	return lab_model_new(r->o->model, r->o->net, r->data->train->cols, strcmp(r->o->dtype, "f64") ? AD_F32 : AD_F64,
	                     (uint64_t)r->o->train.seed, lab_dataset_scale(r->data), &r->at.err);
}

/* Sizes and budgets that were left open. */
static int settle(lab__run *r)
{
	lab_run_opt *o = r->o;
	const lab_table *t = r->data->train;
	if (r->at.old)
		return lab_model_restore(r->at.old, &o->net, &r->at.err) ? -1 : lab_place_refuse(&r->at, "cannot resume");
	bool open = !o->train.steps && !o->epochs && o->train.seconds > 0;
	lab_model_defaults(o->model, t->cols, t->rows, &o->net);
	lab_train_opt plain = o->train;
	lab_train_defaults(&plain, t, o->model);
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
			return lab_place_refuse(&r->at, "");
		plain.steps = (int64_t)1 << 30;
		lab_objective j = lab_likelihood_new(scratch, r->data, &plain);
		o->train.steps = lab_train_calibrate(scratch, &j, &plain, &r->at.state.seconds, &r->at.err);
		lab_likelihood_free(&j);
		lab_model_free(scratch);
		if (o->train.steps < 0) {
			lab_place_refuse(&r->at, "training failed");
			return LAB_FAILED;
		}
	}
	lab_train_defaults(&o->train, t, o->model);
	return -1;
}

/* --- The whole ---------------------------------------------------------------------------------------------- */

/* All that may end a run before anything is computed. */
static int open_all(lab__run *r)
{
	lab_run_opt *o = r->o;
	int status;
	if (!o->out && (!o->data || !o->model))
		return lab_cli_wrong(r->at.cli, "needs --data and --model (--help explains)");
	if (o->out)
		snprintf(r->at.dir, sizeof r->at.dir, "%s", o->out);
	else
		default_directory(r);
	if ((status = lab_place_open(&r->at, o->resume, o)) >= 0)
		return status;
	if (r->at.old && lab_log_find(r->at.old, "config/energy"))
		return lab_cli_wrong(r->at.cli, "cannot resume %s: it is a fit to an energy, of the program energy", r->at.dir);
	if (!o->data || !o->model)
		return lab_cli_wrong(r->at.cli, "needs --data and --model (--help explains)");
	if ((status = lab_model_check(r->at.cli, r->at.args, o->model)) >= 0)
		return status;
	if (lab_place_over(&r->at, "test/log_likelihood")) {
		printf("%s: the run in %s is finished\n", r->at.cli->name, r->at.dir);
		return 0;
	}
	if (!o->train.threads)
		o->train.threads = lab_cores();
	return open_data(r);
}

/* The same rows, in the same order, on all ranks. */
static int same_data(lab__run *r)
{
	const lab_table *t[] = { r->data->train, r->data->val, r->data->test };
	int bad = 0;
	for (int i = 0; i < 3 && lab_group() && !bad; i++)
		bad = lab_ranks_same(t[i]->x, (size_t)(t[i]->rows * t[i]->cols) * sizeof *t[i]->x, "data", &r->at.err);
	return bad ? lab_place_refuse(&r->at, "") : -1;
}

static int prepare(lab__run *r)
{
	int status = lab_ranks_agree(r->at.cli, open_all(r));
	if (status >= 0 || (status = same_data(r)) >= 0 || (status = settle(r)) >= 0)
		return status;
	if (!(r->model = make_model(r)))
		return lab_place_refuse(&r->at, "");
	if (r->model->row.exact && lab_gaussian_fit(r->model, r->data->train, &r->at.err))
		return lab_place_refuse(&r->at, "");
	return lab_place_take(&r->at);
}

static int perform(lab__run *r)
{
	int status = lab_place_begin(&r->at, lab__describe, r);
	if (status >= 0)
		return status;
	int bad = r->model->row.exact &&
	          lab_checkpoint_write(r->at.checkpoint_path, r->model, NULL, NULL, &r->at.state, r->at.log, &r->at.err);
	if (lab_ranks_bad(bad, &r->at.err)) {
		lab_place_refuse(&r->at, "");
		return LAB_FAILED;
	}
	if (!r->model->row.exact) {
		r->o->train.silent = r->o->quiet;
		lab_objective j = lab_likelihood_new(r->model, r->data, &r->o->train);
		r->at.outcome = lab_train(r->model, &j, &r->o->train, r->at.dir, r->at.log, r->at.resumed ? &r->at.from : NULL, &r->at.state,
		                       &r->at.err);
		lab_likelihood_free(&j);
	}
	return r->at.outcome == LAB_INTERRUPTED ? lab_place_interrupted(&r->at, r->o->train.steps) : lab__finish(r);
}

int lab_run(const lab_cli *c, const lab_args *a, lab_run_opt *o)
{
	static const lab_args nothing;
	lab__run r = { .at = { .cli = c, .args = a ? a : &nothing }, .o = o };
	lab_profiling = o->profile && lab_rank() == 0;
	int status = lab_ranks_agree(c, prepare(&r));
	if (status < 0)
		status = perform(&r);
	lab_place_close(&r.at);
	lab_model_free(r.model);
	if (r.data)
		lab_dataset_free(r.data);
	return status;
}
