/* eval.c - log-densities and samples of a trained model, in the units of its data. */
#include <math.h>
#include <stdlib.h>

#include "file.h"
#include "memory.h"
#include "model.h"
#include "profile.h"
#include "ranks.h"

struct lab_eval {
	lab_model *model;
	ad_tape *tape;
	ad_prog *prog;
	ad_var x;
	int64_t chunk, draws;
	double elbo;
	void *rows;
};

static const char *reason(const lab_model *m, const ad_tape *t, const ad_prog *p)
{
	const char *e = nn_error(m->store);
	if (!e)
		e = ad_error(t);
	if (!e && p)
		e = ad_run_error(p);
	return e ? e : "unknown error";
}

static int64_t chunk_rows(int64_t dim)
{
	int64_t n = ((int64_t)1 << 20) / dim;
	return n < 1024 ? 1024 : n > 65536 ? 65536 : n;
}

lab_eval *lab_eval_new(lab_model *m, int threads, lab_err *err)
{
	lab_eval *e = lab_alloc(1, sizeof *e);
	ad_dtype d = nn_dtype(m->store);
	e->model = m;
	e->draws = m->draws;
	e->tape = ad_tape_new(d);
	e->x = ad_input(e->tape, d, AD_SHAPE(AD_BATCH, m->dim), "x");
	e->chunk = chunk_rows(m->dim);
	ad_var out = lab_model_log_weight(m, nn_begin(e->tape, m->store, NN_EVAL), e->x);
	if (!nn_error(m->store) && !ad_error(e->tape))
		e->prog = ad_compile(e->tape, 1, &out, (ad_options){ .threads = threads, .group = lab_group() });
	if (!e->prog)
		lab_fail(err, "%s", reason(m, e->tape, NULL));
	if (lab_ranks_bad(!e->prog, err)) {
		lab_eval_free(e);
		return NULL;
	}
	lab_profile(e->prog);
	e->rows = lab_alloc((size_t)(e->chunk * m->dim), d == AD_F32 ? 4 : 8);
	return e;
}

void lab_eval_free(lab_eval *e)
{
	if (!e)
		return;
	if (e->prog)
		ad_prog_free(e->prog);
	ad_tape_free(e->tape);
	free(e->rows);
	free(e);
}

void lab_eval_profile(const lab_eval *e, const char *what)
{
	if (e)
		lab_profile_print(e->prog, what);
}

static double log_sum(double a, double b)
{
	double top = fmax(a, b);
	return isfinite(top) ? top + log1p(exp(-fabs(a - b))) : top;
}

/* Of the rows in hand, chunk number k: the logarithm of the mean weight of e->draws draws, and the mean of its logarithm. */
static int weigh(lab_eval *e, int64_t k, int64_t rows, double *bound, double *mean)
{
	bool f32 = nn_dtype(e->model->store) == AD_F32;
	ad_set_batch(e->prog, rows);
	for (int64_t d = 0; d < e->draws; d++) {
		if (ad_run(e->prog, e->model->cells ? (uint64_t)(k * e->draws + d) : 0))
			return -1;
		const void *r = ad_result(e->prog, 0);
		for (int64_t i = 0; i < rows; i++) {
			double w = f32 ? (double)((const float *)r)[i] : ((const double *)r)[i];
			bound[i] = d ? log_sum(bound[i], w) : w;
			mean[i] = d ? mean[i] + w : w;
		}
	}
	for (int64_t i = 0; i < rows; i++) {
		bound[i] -= log((double)e->draws);
		mean[i] /= (double)e->draws;
	}
	return 0;
}

int lab_eval_rows(lab_eval *e, const lab_table *t, double *out, lab_err *err)
{
	lab_model *m = e->model;
	bool f32 = nn_dtype(m->store) == AD_F32;
	double *bound = lab_alloc((size_t)(2 * e->chunk), sizeof *bound), *mean = bound + e->chunk;
	int bad = 0;
	nn_bind(m->store, e->tape, e->prog);
	ad_bind(e->prog, e->x, e->rows);
	e->elbo = 0;
	for (int64_t at = 0; at < t->rows && !bad; at += e->chunk) {
		int64_t n = t->rows - at < e->chunk ? t->rows - at : e->chunk;
		lab_rows(t, at, at + n, &m->scale, e->rows, f32, out + at);
		if ((bad = weigh(e, at / e->chunk, n, bound, mean)))
			lab_fail(err, "%s", reason(m, e->tape, e->prog));
		for (int64_t i = 0; i < n && !bad; i++) {
			e->elbo += (out[at + i] + (mean[i] + m->logdet)) / (double)t->rows;
			out[at + i] += bound[i] + m->logdet;
		}
	}
	free(bound);
	return bad;
}

void lab_eval_draws(lab_eval *e, int64_t draws)
{
	e->draws = e->model->cells ? draws : 1;
}

double lab_eval_elbo(const lab_eval *e)
{
	return e->elbo;
}

int lab_log_density(lab_model *m, const lab_table *t, int threads, double *out, lab_err *err)
{
	lab_eval *e = lab_eval_new(m, threads, err);
	int bad = !e ? -1 : lab_eval_rows(e, t, out, err);
	lab_eval_profile(e, "log-densities");
	lab_eval_free(e);
	return bad;
}

double lab_eval_nll(lab_eval *e, const lab_table *t, lab_err *err)
{
	double *l = lab_alloc((size_t)t->rows, sizeof *l), sum = 0;
	int bad = lab_eval_rows(e, t, l, err);
	for (int64_t i = 0; i < t->rows && !bad; i++)
		sum += l[i];
	free(l);
	return bad ? NAN : -sum / (double)t->rows;
}

static double put_back(const lab_model *m, int64_t j, double v)
{
	v = v * m->sd[j] + m->mean[j];
	return m->column ? lab_column_inverse(&m->column[j], v) : v;
}

int lab_sample(lab_model *m, int64_t n, double temperature, uint64_t seed, int threads, double *x, lab_err *err)
{
	ad_dtype d = nn_dtype(m->store);
	ad_tape *t = ad_tape_new(d);
	ad_var s = flow_sample(&m->density, nn_begin(t, m->store, NN_EVAL), AD_SHAPE(m->dim), NULL, temperature);
	ad_prog *p = nn_error(m->store) || ad_error(t) ? NULL : ad_compile(t, 1, &s, (ad_options){ .threads = threads });
	int64_t chunk = chunk_rows(m->dim);
	int bad = !p;
	if (p) {
		nn_bind(m->store, t, p);
		ad_set_seed(p, seed);
		lab_profile(p);
	}
	for (int64_t at = 0; at < n && !bad; at += chunk) {
		int64_t rows = n - at < chunk ? n - at : chunk;
		ad_set_batch(p, rows);
		bad = ad_run(p, (uint64_t)(at / chunk));
		const void *r = bad ? NULL : ad_result(p, 0);
		for (int64_t i = 0; i < rows * m->dim && !bad; i++)
			x[at * m->dim + i] =
				put_back(m, i % m->dim, d == AD_F32 ? (double)((const float *)r)[i] : ((const double *)r)[i]);
	}
	if (bad)
		lab_fail(err, "%s", reason(m, t, p));
	lab_profile_print(p, "samples");
	if (p)
		ad_prog_free(p);
	ad_tape_free(t);
	return bad ? -1 : 0;
}
