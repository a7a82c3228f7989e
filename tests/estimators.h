/* estimators.h - is the mean of a random estimate the exact value?  With the power to see 1 %. */
#ifndef TESTS_ESTIMATORS_H
#define TESTS_ESTIMATORS_H

#include "nn_help.h"

#include "flows/flow.h"

/* A scalar that is random in training, the mean over the batch; exact: the number that its mean must be, from the same
 * parameters.  x: rows of data. */
typedef ad_var estimator_trace(nn c, flow_mem *m, ad_var x, bool exact, const void *opt);
typedef struct {
	const char *name;
	estimator_trace *trace;
	const void *opt;
	int64_t dim, batch, rows; /* rows: of normal numbers, repeated through the batch; 0: 16 */
	int runs;
	void (*data)(int64_t batch, double *x); /* instead of such rows; NULL: those */
	void (*weights)(nn_store *s); /* NULL: every matrix near the identity */
	const char *by;               /* the parameter whose gradient is compared; NULL: all */
	bool biased;                  /* must be rejected */
} estimator;

/* The mean over runs, and its standard error. */
typedef struct {
	double mean, error;
} sampled;

static inline sampled mean_of(int64_t n, const double *v)
{
	sampled s = { 0 };
	for (int64_t i = 0; i < n; i++)
		s.mean += v[i] / (double)n;
	for (int64_t i = 0; i < n; i++)
		s.error += (v[i] - s.mean) * (v[i] - s.mean) / (double)(n - 1) / (double)n;
	s.error = sqrt(s.error);
	return s;
}

/* Four standard errors: 6 in 100000 of what is right is rejected. */
static inline bool accepted(sampled s, double exact)
{
	return fabs(s.mean - exact) <= 4 * s.error + 1e-12 * fabs(exact);
}

/* One per cent more or less on every draw is rejected. */
static inline bool sees_one_percent(sampled s, double exact)
{
	return !accepted((sampled){ 1.01 * s.mean, 1.01 * s.error }, exact) &&
	       !accepted((sampled){ 0.99 * s.mean, 0.99 * s.error }, exact);
}

static inline void near_identity(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		int64_t n = e.shape.rank == 2 && e.shape.dim[0] == e.shape.dim[1] ? e.shape.dim[0] : 0;
		for (int64_t j = 0; e.trained && j < e.numel; j++)
			((double *)e.value)[j] = (n && j % (n + 1) == 0) + 0.15 * ad_noise_normal(9, 0, (uint64_t)i, (uint64_t)j);
	}
}

typedef struct {
	ad_tape *t;
	ad_prog *p;
	int64_t n; /* numbers in the gradient */
} estimator_program;

/* The scalar, and its gradient by the parameters, joined. */
static inline estimator_program estimator_compile(const estimator *e, flow_mem *m, nn_store *s, bool exact, const double *data)
{
	estimator_program r = { .t = ad_tape_new(AD_F64) };
	nn c = nn_begin(r.t, s, NN_TRAIN);
	ad_var x = ad_input(r.t, AD_F64, AD_SHAPE(AD_BATCH, e->dim), "x"), by[64], g[64];
	ad_var value = ad_add(e->trace(c, m, x, exact, e->opt), ad_scale(ad_mean(x, AD_ALL), 0));
	int n = 0;
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry v = nn_at(s, i);
		if (!v.trained || (e->by && strcmp(v.name, e->by)))
			continue;
		r.n += v.numel;
		by[n++] = nn_param(c, v.name, v.shape, (nn_fill){ 0 });
	}
	ad_vjp(1, &value, NULL, n, by, g);
	for (int i = 0; i < n; i++)
		g[i] = ad_reshape(g[i], AD_SHAPE(ad_numel(ad_shape_of(g[i]))));
	ad_var out[2] = { value, ad_concat(0, n, g) };
	r.p = ad_error(r.t) ? NULL : ad_compile(r.t, 2, out, (ad_options){ .threads = 1 });
	if (!r.p)
		fail_msg("%s: %s", e->name, ad_error(r.t));
	nn_bind(s, r.t, r.p);
	ad_set_seed(r.p, 3);
	ad_set_batch(r.p, e->batch);
	ad_bind(r.p, x, data);
	return r;
}

static inline void estimator_free(estimator_program *r, nn_store *s)
{
	ad_prog_free(r->p);
	nn_release(s, r->t);
	ad_tape_free(r->t);
}

static inline void estimator_run(const estimator *e, const estimator_program *r, int k, double *value, const double **gradient)
{
	if (ad_run(r->p, (uint64_t)k))
		fail_msg("%s: %s", e->name, ad_run_error(r->p));
	*value = ad_result_scalar(r->p, 0);
	*gradient = ad_result(r->p, 1);
}

/* Parameters with the row's values, and the state that follows them. */
static inline nn_store *estimator_store(const estimator *e, flow_mem *m)
{
	nn_store *s = nn_store_new(AD_F64, 5);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, e->dim), "x");
	e->trace(nn_begin(t, s, NN_TRAIN), m, x, false, e->opt);
	(e->weights ? e->weights : near_identity)(s);
	if (ad_error(t) || !nn_refresh(s, t))
		fail_msg("%s: %s", e->name, ad_error(t) ? ad_error(t) : nn_error(s));
	nn_release(s, t);
	ad_tape_free(t);
	return s;
}

/* Value and gradient, the latter along the exact one.  Returns what is wrong, or NULL. */
static inline const char *estimator_check(const estimator *e)
{
	flow_mem *m = flow_mem_new();
	nn_store *s = estimator_store(e, m);
	int64_t numbers = e->batch * e->dim, rows = e->rows ? e->rows : 16;
	double *x = malloc((size_t)numbers * sizeof *x), *v = malloc((size_t)(2 * e->runs) * sizeof *v), *g = v + e->runs;
	assert_true(x && v);
	for (int64_t i = 0; i < numbers; i++)
		x[i] = ad_noise_normal(7, 0, 3, (uint64_t)(i % (rows * e->dim)));
	if (e->data)
		e->data(e->batch, x);
	double exact = 0, square = 0;
	const double *q;
	estimator_program p = estimator_compile(e, m, s, true, x);
	double *along = malloc((size_t)p.n * sizeof *along);
	assert_non_null(along);
	estimator_run(e, &p, 0, &exact, &q);
	for (int64_t i = 0; i < p.n; i++)
		along[i] = q[i], square += q[i] * q[i];
	estimator_free(&p, s);
	p = estimator_compile(e, m, s, false, x);
	for (int k = 0; k < e->runs; k++) {
		estimator_run(e, &p, k, &v[k], &q);
		g[k] = 0;
		for (int64_t i = 0; i < p.n; i++)
			g[k] += q[i] * along[i] / square;
	}
	estimator_free(&p, s);
	sampled value = mean_of(e->runs, v), slope = mean_of(e->runs, g);
	print_message("%-34s value %.5f +- %.5f of %.5f, gradient %.5f +- %.5f of 1\n", e->name, value.mean, value.error, exact,
		      slope.mean, slope.error);
	bool right = accepted(value, exact) && accepted(slope, 1);
	bool sharp = sees_one_percent(value, exact) && sees_one_percent(slope, 1);
	free(x), free(v), free(along);
	nn_store_free(s);
	flow_mem_free(m);
	if (e->biased)
		return right ? "is biased, and was not rejected" : NULL;
	return !right ? "is biased" : !sharp ? "a bias of 1 % would not be seen" : NULL;
}

#endif
