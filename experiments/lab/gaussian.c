/* gaussian.c - the full-covariance Gaussian as a flow, fitted in closed form. */
#include <math.h>
#include <stdlib.h>

#include "file.h"
#include "memory.h"
#include "model.h"

/* z = W (x - mean), x = mean + L z; W = inverse(L), both kept so that neither direction solves. */
static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f;
	(void)cond;
	int64_t d = ad_dim(x, 1);
	ad_var mean = nn_state(c, "mean", AD_SHAPE(d), (nn_fill){ NN_ZEROS, 0 });
	ad_var whiten = nn_state(c, "whiten", AD_SHAPE(d, d), (nn_fill){ NN_ZEROS, 0 });
	ad_var factor = nn_state(c, "factor", AD_SHAPE(d, d), (nn_fill){ NN_ZEROS, 0 });
	bool forward = dir == FLOW_FORWARD;
	ad_var y = forward ? ad_linear(ad_sub(x, mean), whiten, NULL) : ad_linear(x, factor, mean);
	return (flow_out){ y, ad_sum(ad_log(ad_diagonal(forward ? whiten : factor)), AD_ALL) };
}

flow *lab_gaussian(flow_mem *m)
{
	flow *f = flow_alloc(m, sizeof *f);
	f->kind = "gaussian";
	f->apply = apply;
	f->caps = (flow_caps){ FLOW_ANALYTIC, FLOW_ANALYTIC, FLOW_EXACT, true };
	return f;
}

static void moments(const double *row, int64_t rows, int64_t d, double *mean, double *cov)
{
	double *x = lab_alloc((size_t)d, sizeof *x);
	for (int64_t i = 0; i < rows * d; i++)
		mean[i % d] += row[i] / (double)rows;
	for (int64_t i = 0; i < rows; i++) {
		for (int64_t j = 0; j < d; j++)
			x[j] = row[i * d + j] - mean[j];
		for (int64_t j = 0; j < d; j++)
			for (int64_t k = 0; k <= j; k++)
				cov[j * d + k] += x[j] * x[k];
	}
	for (int64_t j = 0; j < d * d; j++)
		cov[j] /= (double)rows;
	free(x);
}

/* Lower factor in place; the first dependent column, or -1. */
static int64_t cholesky(int64_t d, double *a)
{
	for (int64_t j = 0; j < d; j++) {
		double pivot = a[j * d + j], before = pivot;
		for (int64_t k = 0; k < j; k++)
			pivot -= a[j * d + k] * a[j * d + k];
		if (!(pivot > 1e-12 * before))
			return j;
		a[j * d + j] = sqrt(pivot);
		for (int64_t i = j + 1; i < d; i++) {
			double s = a[i * d + j];
			for (int64_t k = 0; k < j; k++)
				s -= a[i * d + k] * a[j * d + k];
			a[i * d + j] = s / a[j * d + j];
		}
	}
	return -1;
}

static void invert_lower(int64_t d, const double *l, double *w)
{
	for (int64_t j = 0; j < d; j++)
		for (int64_t i = j; i < d; i++) {
			double s = i == j;
			for (int64_t k = j; k < i; k++)
				s -= l[i * d + k] * w[k * d + j];
			w[i * d + j] = s / l[i * d + i];
		}
}

int lab_gaussian_fit(lab_model *m, const lab_table *t, lab_err *err)
{
	int64_t d = m->dim;
	double *mean = lab_alloc((size_t)d, sizeof *mean), *l = lab_alloc((size_t)(d * d), sizeof *l);
	double *w = lab_alloc((size_t)(d * d), sizeof *w);
	double *rows = lab_alloc((size_t)(t->rows * d), sizeof *rows);
	lab_rows(t, 0, t->rows, &m->scale, rows, false, NULL);
	moments(rows, t->rows, d, mean, l);
	free(rows);
	int64_t column = cholesky(d, l);
	int bad = column >= 0;
	if (bad) {
		lab_fail(err, "model gaussian: column %lld (of those kept) of %s is a linear combination of those before it",
		         (long long)column + 1, t->source);
	} else {
		invert_lower(d, l, w);
		bad = !nn_put(m->store, "flow/mean", AD_SHAPE(d), false, mean) ||
		      !nn_put(m->store, "flow/factor", AD_SHAPE(d, d), false, l) ||
		      !nn_put(m->store, "flow/whiten", AD_SHAPE(d, d), false, w);
		if (bad)
			lab_fail(err, "model gaussian: %s", nn_error(m->store));
	}
	free(mean);
	free(l);
	free(w);
	return bad ? -1 : 0;
}
