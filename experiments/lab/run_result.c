/* run_result.c - what came of a run: test, log, a few lines, figures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "memory.h"
#include "pictures.h"
#include "ranks.h"
#include "run_private.h"

static int test(lab__run *r)
{
	const lab_table *t = r->data->test;
	double *l = lab_alloc((size_t)t->rows, sizeof *l), n = (double)t->rows, mean = 0, var = 0;
	int64_t odd = 0;
	lab_eval *e = lab_eval_new(r->model, (int)r->o->train.threads, &r->at.err);
	int bad = !e || lab_eval_rows(e, t, l, &r->at.err);
	double elbo = e ? lab_eval_elbo(e) : NAN;
	for (int64_t i = 0; i < t->rows && !bad; i++) {
		mean += l[i] / n;
		odd += !isfinite(l[i]);
	}
	for (int64_t i = 0; i < t->rows && !bad; i++)
		var += (l[i] - mean) * (l[i] - mean) / (n - 1);
	if (!bad) {
		struct rusage u;
		getrusage(RUSAGE_SELF, &u);
		lab_log_array(r->at.log, "test/log_likelihood", t->rows, l, "nats");
		lab_log_real(r->at.log, "final/test_log_likelihood", mean, "nats");
		lab_log_real(r->at.log, "final/test_standard_error", sqrt(var / n), "nats");
		if (r->model->cells)
			lab_log_real(r->at.log, "final/test_elbo", elbo, "nats");
		lab_log_real(r->at.log, "final/val_nll", lab_eval_nll(e, r->data->val, &r->at.err), "nats");
		lab_log_int(r->at.log, "final/steps", r->at.state.step, "steps");
		lab_log_int(r->at.log, "final/best_step", r->at.state.best_step, "steps");
		lab_log_real(r->at.log, "final/seconds", r->at.state.seconds, "seconds");
		lab_log_int(r->at.log, "final/peak_memory", (int64_t)u.ru_maxrss * 1024, "bytes");
	}
	lab_log_int(r->at.log, "model/parameters", lab_model_parameters(r->model), NULL);
	if (odd)
		lab_cli_wrong(r->at.cli, "the log-likelihood of %lld of %lld test rows is not finite", (long long)odd,
		              (long long)t->rows);
	lab_eval_free(e);
	free(l);
	return bad ? -1 : 0;
}

static void tell(const lab__run *r)
{
	double mean = lab_log_get_real(r->at.log, "final/test_log_likelihood", NAN);
	printf("%s on %s: test log-likelihood %.4f +- %.4f nats (%lld rows, %lld columns)\n", r->o->model, r->o->data, mean,
	       lab_log_get_real(r->at.log, "final/test_standard_error", NAN), (long long)r->data->test->rows,
	       (long long)r->data->test->cols);
	int64_t discrete = lab_log_get_int(r->at.log, "data/discrete_columns", 0);
	if (discrete)
		printf("  a lower bound: %lld discrete column%s, dequantised, in log-probability\n", (long long)discrete,
		       discrete > 1 ? "s" : "");
	if (r->model->cells)
		printf("  by %lld draws of the points in cells; the variational bound, of one, is %.4f nats\n",
		       (long long)r->model->draws, lab_log_get_real(r->at.log, "final/test_elbo", NAN));
	if (isfinite(r->data->entropy))
		printf("  above the entropy floor of %.4f nats by %.4f nats\n", r->data->entropy, -mean - r->data->entropy);
	printf("  %lld parameters", (long long)lab_model_parameters(r->model));
	if (!r->model->row.exact)
		printf(", %lld steps of %lld, best at %lld, %.1f seconds%s", (long long)r->at.state.step,
		       (long long)r->o->train.steps, (long long)r->at.state.best_step, r->at.state.seconds,
		       r->at.outcome == LAB_STOPPED_EARLY ? ", stopped early" : "");
	printf("\n");
	printf("  %s\n  %s\n", r->at.log_path, r->at.checkpoint_path);
}

int lab__finish(lab__run *r)
{
	if (r->at.outcome == LAB_BROKEN || test(r))
		return lab_place_failed(&r->at);
	if (lab_place_finished(&r->at))
		return LAB_FAILED;
	tell(r);
	lab_ranks_part();
	if (!r->o->no_figures && lab_rank() == 0) {
		char title[300];
		snprintf(title, sizeof title, "%.60s on %.200s", r->o->model, r->o->data);
		lab_pictures(r->at.dir, title, r->model, r->data, r->at.log, (int)r->o->train.threads);
	}
	return 0;
}
