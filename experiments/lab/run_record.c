/* run_record.c - what a run is, put into its log. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "memory.h"
#include "run_private.h"

static void net_to_log(const flow_model_opt *n, lab_log *l)
{
	char name[64];
	for (const flow_model_key *k = flow_model_keys; k->key; k++) {
		const char *text = flow_option_text(n, k);
		snprintf(name, sizeof name, "config/%s", k->key);
		if (k->kind == FLOW_REAL)
			lab_log_real(l, name, flow_option_number(n, k), NULL);
		else if (k->kind == FLOW_INT || k->kind == FLOW_INT64)
			lab_log_int(l, name, (int64_t)flow_option_number(n, k), NULL);
		else
			lab_log_text(l, name, text ? text : "");
	}
}

bool lab_model_restore(const lab_log *l, flow_model_opt *n, lab_err *err)
{
	char name[64], why[160] = "";
	bool good = true;
	for (const flow_model_key *k = flow_model_keys; k->key && good; k++) {
		snprintf(name, sizeof name, "config/%s", k->key);
		const char *text = lab_log_get_text(l, name, "");
		double v = lab_log_get_real(l, name, 0);
		flow_option_put_text(n, k, NULL);
		if (!flow_option_put(n, k, v))
			snprintf(why, sizeof why, "%s: %g is not from %g to %g", k->key, v, k->lo, k->hi);
		if (*why || (*text && !flow_model_set(n, k->key, text, why)))
			good = false;
	}
	if (!good)
		lab_fail(err, "the log of the run is damaged: %s", why);
	return good;
}

void lab_model_record(lab_log *l, const lab_model *m, const flow_model_opt *net)
{
	char *table = NULL;
	size_t bytes = 0;
	net_to_log(net, l);
	lab_log_text(l, "model/name", m->row.name);
	lab_log_text(l, "model/dtype", nn_dtype(m->store) == AD_F32 ? "f32" : "f64");
	FILE *f = open_memstream(&table, &bytes);
	if (f) {
		flow_print(m->density.f, AD_SHAPE(m->dim), 0, f);
		fclose(f);
		if (bytes && bytes < 60000)
			lab_log_text(l, "model/table", table);
		free(table);
	}
}

/* [columns, 4]: kind (0 real, 1 bounded, 2 positive, 3 periodic, 4 discrete, 5 variational), ends or step and draws, beginning of a period */
static void columns_to_log(const lab_dataset *d, lab_log *l)
{
	int64_t cols = d->train->cols;
	double *v = lab_alloc((size_t)cols, 4 * sizeof *v);
	for (int64_t j = 0; j < cols; j++) {
		const lab_column *c = &d->column[j];
		memcpy(v + 4 * j, (double[4]){ c->kind, c->lo, c->hi, c->from }, 4 * sizeof *v);
	}
	lab_log_array(l, "data/column_kinds", 4 * cols, v, NULL);
	free(v);
}

static void put_hash(lab_log *l, const char *name, uint64_t hash)
{
	char text[32];
	snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
	lab_log_text(l, name, text);
}

void lab__describe(void *run)
{
	lab__run *r = run;
	const lab_dataset *d = r->data;
	lab_log *l = r->at.log;
	lab_log_text(l, "status", "running");
	lab_log_environment(l);
	lab_config_record(l, r->at.cli, r->o, r->at.args);
	lab_model_record(l, r->model, &r->o->net);
	lab_log_text(l, "data/source", d->source);
	lab_log_int(l, "data/columns", d->train->cols, NULL);
	lab_log_int(l, "data/train_rows", d->train->rows, NULL);
	lab_log_int(l, "data/val_rows", d->val->rows, NULL);
	lab_log_int(l, "data/test_rows", d->test->rows, NULL);
	lab_log_int(l, "data/split_seed", (int64_t)d->split_seed, NULL);
	int64_t discrete = lab_columns_discrete(d->column, d->train->cols);
	int64_t variational = lab_columns_count(d->column, d->train->cols, LAB_COLUMN_VARIATIONAL);
	lab_log_text(l, "data/dequantisation", !discrete ? "none" : !variational ? "uniform" : variational == discrete ? "variational" : "uniform and variational");
	lab_log_text(l, "data/likelihood", discrete ? "lower bound; of probabilities in discrete columns" : "exact");
	lab_log_int(l, "data/discrete_columns", discrete, NULL);
	if (d->column)
		columns_to_log(d, l);
	put_hash(l, "data/train_hash", d->train_hash);
	put_hash(l, "data/val_hash", d->val_hash);
	put_hash(l, "data/test_hash", d->test_hash);
	lab_log_array(l, "data/mean", d->train->cols, d->mean, NULL);
	lab_log_array(l, "data/sd", d->train->cols, d->sd, NULL);
	if (isfinite(d->entropy))
		lab_log_real(l, "data/entropy", d->entropy, "nats");
}
