/* model.h - a density for tables: a model by its name and options, its weights, and the scaling of its data.
 *
 * Everything outside is in the units of the data file: log-likelihoods include the log-determinants of the standardisation and
 * of typed columns, samples are put back.  Rows inside are (x - mean) / sd, x after the bijections of typed columns. */
#ifndef LAB_MODEL_H
#define LAB_MODEL_H

#include "columns.h"
#include "flows/dequantise.h"

/* Number 0 is gaussian, the others are flow_models. */
typedef struct {
	const char *name, *about;
	int64_t min_dim;
	bool exact; /* fitted to tables in closed form by lab_gaussian_fit, in fp64 */
} lab_model_row;
bool lab_model_at(int i, lab_model_row *r); /* false past the end */
bool lab_model_named(const char *name, lab_model_row *r);
/* Puts sizes that suit a table of rows x dim where o has 0 (dropout: where it is negative); clears the options that the
 * model does not take. */
void lab_model_defaults(const char *name, int64_t dim, int64_t rows, flow_model_opt *o);

typedef struct {
	lab_model_row row;
	flow_model_opt opt;
	int64_t dim;
	double *mean, *sd;  /* [dim] */
	lab_column *column; /* [dim]; NULL: all real */
	lab_scale scale;    /* of these three */
	double logdet;      /* of the standardisation: -sum log sd */
	flow_mem *mem;
	flow_density density;
	flow_dequantiser *cells; /* of variational columns; NULL: there are none */
	int64_t draws;           /* of the bound that they have in evaluations; else 1 */
	nn_store *store;
} lab_model;
/* scale is copied.  NULL and err if there is no such model, or not of this dimension. */
lab_model *lab_model_new(const char *name, flow_model_opt o, int64_t dim, ad_dtype dtype, uint64_t seed,
                         lab_scale scale, lab_err *err);
void lab_model_free(lab_model *m);
/* log p(x) as it stands inside, [B]; with variational columns one draw of the weight whose mean is P(x). */
ad_var lab_model_log_weight(const lab_model *m, nn c, ad_var x);
int64_t lab_model_parameters(const lab_model *m);

/* gaussian: z = inverse(L) (x - mean) with L the Cholesky factor of the covariance; starts as the standard normal. */
flow *lab_gaussian(flow_mem *m);
/* Maximum likelihood on the rows of t; fails, naming the column, if the columns are linearly dependent. */
int lab_gaussian_fit(lab_model *m, const lab_table *t, lab_err *err);

/* Compiled log-density of m as NN_EVAL has it; reads the weights that m has at each call.  With variational columns it is the bound
 * of m->draws draws, the same in every call for the same table. */
typedef struct lab_eval lab_eval;
lab_eval *lab_eval_new(lab_model *m, int threads, lab_err *err);
void lab_eval_free(lab_eval *e);
void lab_eval_draws(lab_eval *e, int64_t draws); /* of the bound from now on; 1: the variational bound */
double lab_eval_elbo(const lab_eval *e); /* variational bound of the rows of the last call, mean of them and of their draws */
void lab_eval_profile(const lab_eval *e, const char *what); /* prints, if --profile is on; e may be NULL */
/* Nats, in the units of the file, of the raw rows of t.  0, or -1 and err. */
int lab_eval_rows(lab_eval *e, const lab_table *t, double *out, lab_err *err);
/* The same for one table only. */
int lab_log_density(lab_model *m, const lab_table *t, int threads, double *out, lab_err *err);
/* Minus their mean over all of t; NaN and err on failure. */
double lab_eval_nll(lab_eval *e, const lab_table *t, lab_err *err);

/* n samples, row-major, in the units of the file; a given seed always gives the same.  0, or -1 and err. */
int lab_sample(lab_model *m, int64_t n, double temperature, uint64_t seed, int threads, double *x, lab_err *err);

#endif
