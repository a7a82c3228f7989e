/* examine.c - a trained density's samples, latents and regions against the test rows. */
#include "examine.h"

#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "file.h"
#include "memory.h"
#include "rerun.h"

const double lab_level[LAB_LEVELS] = { 0.5, 0.9, 0.95 };

void lab_examination_free(lab_examination *e)
{
	if (!e)
		return;
	free(e->number);
	free(e->test);
	free(e->sample);
	free(e->marginal);
	free(e->tail);
	free(e->pit);
	free(e);
}

/* --- What is compared ------------------------------------------------------------------------------------- */

static void some_rows(lab_examination *e, const lab_table *t)
{
	e->number = lab_alloc((size_t)e->dim, sizeof *e->number);
	for (int64_t j = 0; j < e->dim; j++)
		e->number[j] = lab_column_number(t, j);
	e->test = lab_alloc((size_t)(e->rows * e->dim), sizeof *e->test);
	for (int64_t i = 0; i < e->rows; i++)
		memcpy(e->test + i * e->dim, t->x + i * t->rows / e->rows * e->dim, (size_t)e->dim * sizeof *t->x);
}

/* Samples, without those that are not finite; as many test rows go. */
static int draw(lab_examination *e, lab_model *m, int threads, lab_err *err)
{
	e->sample = lab_alloc((size_t)(e->rows * e->dim), sizeof *e->sample);
	if (lab_sample(m, e->rows, 1, 1, threads, e->sample, err))
		return -1;
	int64_t kept = 0;
	for (int64_t i = 0; i < e->rows; i++) {
		bool finite = true;
		for (int64_t j = 0; j < e->dim; j++)
			finite &= isfinite(e->sample[i * e->dim + j]) != 0;
		if (finite)
			memmove(e->sample + kept++ * e->dim, e->sample + i * e->dim,
				(size_t)e->dim * sizeof *e->sample);
	}
	e->odd = e->rows - kept;
	e->rows = kept;
	if (kept >= 16)
		return 0;
	lab_fail(err, "%lld of %lld samples are not finite", (long long)e->odd, (long long)(kept + e->odd));
	return -1;
}

static double *column(const double *x, int64_t rows, int64_t dim, int64_t j)
{
	double *c = lab_alloc((size_t)rows, sizeof *c);
	for (int64_t i = 0; i < rows; i++)
		c[i] = x[i * dim + j];
	return c;
}

/* How many of the n sorted values are below v. */
static int64_t below(const double *sorted, int64_t n, double v)
{
	int64_t lo = 0, hi = n;
	while (lo < hi) {
		int64_t mid = (lo + hi) / 2;
		if (sorted[mid] < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- Judgements ------------------------------------------------------------------------------------------------ */

static void marginals(lab_examination *e)
{
	int64_t n = e->rows;
	e->marginal = lab_alloc((size_t)e->dim, sizeof *e->marginal);
	e->tail = lab_alloc((size_t)e->dim, sizeof *e->tail);
	e->pit = lab_alloc((size_t)e->dim, sizeof *e->pit);
	e->marginal_p = 1;
	for (int64_t j = 0; j < e->dim; j++) {
		double *t = column(e->test, n, e->dim, j), *s = column(e->sample, n, e->dim, j);
		e->marginal[j] = lab_ks_two(t, n, s, n);
		e->marginal_p = fmin(e->marginal_p, (double)e->dim * e->marginal[j].p);
		lab_sort(t, n);
		lab_sort(s, n);
		e->tail[j][0] = (double)below(s, n, lab_quantile(t, n, 0.01)) / (double)n;
		e->tail[j][1] = 1 - (double)below(s, n, lab_quantile(t, n, 0.99)) / (double)n;
		for (int64_t i = 0; i < n; i++) {
			int64_t bin = below(s, n, t[i]) * LAB_BINS / (n + 1);
			e->pit[j][bin] += 1 / (double)n;
		}
		free(t);
		free(s);
	}
}

static int latents(lab_examination *e, lab_model *m, int threads, lab_err *err)
{
	e->normal = !strcmp(m->density.base.kind, "normal");
	e->latent_p = NAN;
	e->radius = (lab_ks){ NAN, NAN };
	if (!e->normal)
		return 0;
	int64_t n = e->rows;
	double *z = lab_alloc((size_t)(n * e->dim), sizeof *z), *u = lab_alloc((size_t)n, sizeof *u);
	lab_table t = { .rows = n, .cols = e->dim, .x = e->test };
	int bad = lab_latents(m, &t, threads, z, err);
	e->latent_p = bad ? NAN : 1;
	for (int64_t j = 0; j < e->dim && !bad; j++) {
		for (int64_t i = 0; i < n; i++)
			u[i] = lab_normal_cdf(z[i * e->dim + j]);
		e->latent_p = fmin(e->latent_p, (double)e->dim * lab_ks_uniform(u, n).p);
	}
	for (int64_t i = 0; i < n && !bad; i++) {
		double r = 0;
		for (int64_t j = 0; j < e->dim; j++)
			r += z[i * e->dim + j] * z[i * e->dim + j];
		u[i] = lab_gamma_cdf(r / 2, (double)e->dim / 2);
	}
	if (!bad)
		e->radius = lab_ks_uniform(u, n);
	free(z);
	free(u);
	return bad;
}

/* A row's level is the mass of what is denser than it: the share of samples that are. */
static int regions(lab_examination *e, lab_model *m, int threads, lab_err *err)
{
	int64_t n = e->rows;
	double *p = lab_alloc((size_t)n, sizeof *p), *q = lab_alloc((size_t)n, sizeof *q);
	lab_table t = { .rows = n, .cols = e->dim, .x = e->test }, s = { .rows = n, .cols = e->dim, .x = e->sample };
	int bad = lab_log_density(m, &t, threads, p, err) || lab_log_density(m, &s, threads, q, err);
	if (!bad) {
		e->region = lab_ks_two(p, n, q, n);
		lab_sort(q, n);
		for (int64_t i = 0; i < n; i++) {
			double level = 1 - (double)below(q, n, p[i]) / (double)n;
			for (int k = 0; k < LAB_LEVELS; k++)
				e->coverage[k] += (level <= lab_level[k]) / (double)n;
			int bin = (int)(level * LAB_BINS);
			e->region_pit[bin < LAB_BINS ? bin : LAB_BINS - 1] += 1 / (double)n;
		}
	}
	free(p);
	free(q);
	return bad;
}

/* Rows in the units of the standardisation, so that no column outweighs the others. */
static double *scaled(const double *x, int64_t rows, int64_t every, const lab_model *m)
{
	double *s = lab_alloc((size_t)(rows * m->dim), sizeof *s);
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < m->dim; j++)
			s[i * m->dim + j] = (x[i * every * m->dim + j] - m->mean[j]) / m->sd[j];
	return s;
}

static int two_samples(lab_examination *e, const lab_model *m, lab_err *err)
{
	int64_t n = e->rows < 1000 ? e->rows : 1000;
	double *x = scaled(e->test, n, e->rows / n, m), *y = scaled(e->sample, n, e->rows / n, m);
	e->mmd = lab_mmd(x, n, y, n, e->dim, 499, 1);
	free(x);
	free(y);
	n = e->rows < 4000 ? e->rows : 4000;
	x = scaled(e->test, n, e->rows / n, m);
	y = scaled(e->sample, n, e->rows / n, m);
	e->classifier = lab_classify(x, y, n, e->dim, 1, err);
	free(x);
	free(y);
	return isnan(e->classifier.p) ? -1 : 0;
}

/* --- The whole -------------------------------------------------------------------------------------------------- */

static lab_model *model_beside(const char *log_path, const lab_log *l, lab_err *err)
{
	char dir[4200], path[4300];
	snprintf(dir, sizeof dir, "%s", log_path);
	lab_path(path, sizeof path, dirname(dir), "checkpoint.h5");
	if (!lab_log_find(l, "test/log_likelihood")) {
		lab_fail(err, "%s has no test result; its status is \"%s\"", log_path,
			 lab_log_get_text(l, "status", "unknown"));
		return NULL;
	}
	lab_model *m = lab_checkpoint_density(path, err);
	if (m && strcmp(m->row.name, lab_log_get_text(l, "config/model", ""))) {
		lab_fail(err, "%s holds another model (%s) than %s (%s)", path, m->row.name, log_path,
			 lab_log_get_text(l, "config/model", "?"));
		lab_model_free(m);
		return NULL;
	}
	return m;
}

lab_examination *lab_examine(const lab_log *l, const char *log_path, int64_t draws, int threads, lab_model **model,
			     lab_err *err)
{
	lab_model *m = model_beside(log_path, l, err);
	lab_dataset *d = m ? lab_rerun_data(l, err) : NULL;
	lab_examination *e = NULL;
	if (d && d->test->cols != m->dim) {
		lab_fail(err, "%s: the checkpoint beside it has %lld columns, the data %lld", log_path,
			 (long long)m->dim, (long long)d->test->cols);
	} else if (d) {
		e = lab_alloc(1, sizeof *e);
		e->dim = m->dim;
		e->rows = d->test->rows < draws ? d->test->rows : draws;
		int bad = draw(e, m, threads, err);
		if (!bad) {
			some_rows(e, d->test);
			marginals(e);
			bad = latents(e, m, threads, err) || regions(e, m, threads, err) || two_samples(e, m, err);
		}
		if (bad) {
			lab_err why = *err;
			lab_fail(err, "%.200s: %.300s", log_path, why.text);
			lab_examination_free(e);
			e = NULL;
		}
	}
	if (d)
		lab_dataset_free(d);
	if (model && e)
		*model = m;
	else
		lab_model_free(m);
	return e;
}
