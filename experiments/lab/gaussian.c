/* gaussian.c - the full-covariance Gaussian as a flow, and its fit in closed form. */
#include <math.h>
#include <stdlib.h>

#include "file.h"
#include "memory.h"
#include "model.h"

/* z = L^-1 (x - mean), x = mean + L z; L is "factor" below the diagonal, on it exp("factor"). */
static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f;
	(void)cond;
	int64_t d = ad_dim(x, 1);
	ad_var mean = nn_param(c, "mean", AD_SHAPE(d), (nn_fill){ NN_ZEROS, 0 });
	ad_var factor = nn_param(c, "factor", AD_SHAPE(d, d), (nn_fill){ NN_ZEROS, 0 });
	ad_var diagonal = ad_diagonal(factor), logdet = ad_sum(diagonal, AD_ALL);
	ad_var l = ad_add(ad_tril(factor, -1), ad_diag(ad_exp(diagonal)));
	if (dir == FLOW_INVERSE)
		return (flow_out){ ad_linear(x, l, mean), logdet };
	ad_var eye = ad_diag(ad_full(c.tape, AD_SHAPE(d), 1)), whiten = ad_solve_triangular(l, eye, false, false, false);
	return (flow_out){ ad_linear(ad_sub(x, mean), whiten, NULL), ad_neg(logdet) };
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

int lab_gaussian_fit(lab_model *m, const lab_table *t, lab_err *err)
{
	int64_t d = m->dim;
	if (m->cells) {
		lab_fail(err, "model gaussian is fitted in closed form: its columns can be discrete, not variational");
		return -1;
	}
	double *mean = lab_alloc((size_t)d, sizeof *mean), *l = lab_alloc((size_t)(d * d), sizeof *l);
	double *rows = lab_alloc((size_t)(t->rows * d), sizeof *rows);
	lab_rows(t, 0, t->rows, &m->scale, rows, false, NULL);
	moments(rows, t->rows, d, mean, l);
	free(rows);
	int64_t column = cholesky(d, l);
	int bad = column >= 0;
	if (bad) {
		lab_fail(err, "model gaussian: column %lld of %s is a linear combination of those before it",
		         (long long)lab_column_number(t, column), t->source);
	} else {
		for (int64_t j = 0; j < d; j++)
			l[j * d + j] = log(l[j * d + j]);
		bad = !nn_put(m->store, "flow/mean", AD_SHAPE(d), true, mean) ||
		      !nn_put(m->store, "flow/factor", AD_SHAPE(d, d), true, l);
		if (bad)
			lab_fail(err, "model gaussian: %s", nn_error(m->store));
	}
	free(mean);
	free(l);
	return bad ? -1 : 0;
}
