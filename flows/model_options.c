/* model_options.c - the options of the published models by key. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const norms[] = { "actnorm", "batch", "none", NULL };
static const char *const directions[] = { "density", "sampling", NULL };
static const char *const sigmoids[] = { "dsf", "ddsf", NULL };
static const char *const maps[] = { "rational-quadratic", "cubic", "quadratic", "linear", "affine", "additive", NULL };
static const char *const linears[] = { "lu", "permutation", "none", NULL };
static const char *const estimators[] = { "auto", "exact", "basic", "neumann", NULL };
static const char *const contractions[] = { "lipswish", "clipswish", "elu", "tanh", "softplus", "softsign", "relu", NULL };
static const char *const solvers[] = { "euler",	"midpoint",	  "heun2", "heun3", "rk4",    "rk4-38", "explicit-adams",
				       "implicit-adams", "adaptive-heun", "bosh3", "tsit5", "dopri5", "dopri8", NULL };
static const char *const tails[] = { "geometric", "poisson", "none", NULL };

#define AT(field) offsetof(flow_model_opt, field)
const flow_model_key flow_model_keys[] = {
	{ "layers", "couplings, autoregressive layers or spline steps", FLOW_INT, AT(layers), 1, 1000, NULL },
	{ "width", "units in a hidden layer of the nets", FLOW_INT64, AT(width), 1, 65536, NULL },
	{ "depth", "hidden layers of the nets, or residual blocks", FLOW_INT, AT(depth), 1, 100, NULL },
	{ "bins", "bins of splines", FLOW_INT, AT(bins), 2, 512, NULL },
	{ "bound", "half width of the box of splines", FLOW_REAL, AT(bound), 1e-3, 1e6, NULL },
	{ "dropout", "dropout rate in the nets, 0 to below 1", FLOW_REAL, AT(dropout), 0, 0.99, NULL },
	{ "act", "activation of the nets (relu, tanh, silu, ..)", FLOW_ACT, AT(act), 0, 0, NULL },
	{ "norm", "between layers: actnorm, batch or none", FLOW_WORD, AT(norm), 0, 0, norms },
	{ "rank", "directions in which a Sylvester flow moves, at most the columns", FLOW_INT64, AT(rank), 1, 4096, NULL },
	{ "base", "base distribution: normal, learned, logistic, student, mixture, made or lars", FLOW_WORD, AT(base), 0, 0,
	  flow__model_bases },
	{ "components", "components of the bases mixture and made; proposals of lars", FLOW_INT, AT(components), 2, 10000, NULL },
	{ "direction", "which direction is easy: density (as published), or sampling, with the model turned round", FLOW_WORD,
	  AT(direction), 0, 0, directions },
	{ "units", "sigmoids, kernels, polynomials, Bernstein's degree, umnn's embedding; bnaf: units a feature",
	  FLOW_INT, AT(units), 1, 256, NULL },
	{ "nodes", "points of umnn's quadrature", FLOW_INT, AT(nodes), 2, 512, NULL },
	{ "sigmoid", "naf's sigmoidal map: dsf, or dense ddsf", FLOW_WORD, AT(sigmoid), 0, 0, sigmoids },
	{ "jacobi", "autoregressive inverse by sweeps to this tolerance, not row by row", FLOW_REAL, AT(jacobi), 1e-15, 0.1, NULL },
	{ "reversible", "1: training rebuilds activations by inversion, memory does not grow with layers", FLOW_INT,
	  AT(reversible), 0, 1, NULL },
	{ "map", "of each element: rational-quadratic, cubic, quadratic or linear spline, affine or additive", FLOW_WORD, AT(map), 0,
	  0, maps },
	{ "linear", "between layers: lu, permutation or none", FLOW_WORD, AT(linear), 0, 0, linears },
	{ "coeff", "bound of the norm of each linear in a residual block, below 1", FLOW_REAL, AT(coeff), 0.01, 0.999, NULL },
	{ "contraction", "activation in a residual block: lipswish, clipswish, elu, tanh, ..", FLOW_WORD, AT(contraction), 0, 0, contractions },
	{ "n_exact", "terms of a residual block's series before the random ones", FLOW_INT, AT(n_exact), 1, 1000, NULL },
	{ "n_exact_eval", "terms in evaluation, where the log-determinant is not exact", FLOW_INT, AT(n_exact_eval), 1, 1000, NULL },
	{ "estimator", "log-determinant in training: auto, exact, basic or neumann", FLOW_WORD, AT(estimator), 0, 0, estimators },
	{ "tail", "random number of terms: geometric, poisson or none", FLOW_WORD, AT(tail), 0, 0, tails },
	{ "solver_steps", "steps of a continuous flow's solver in training; 4 times as many in evaluation", FLOW_INT, AT(steps), 1, 100000, NULL },
	{ "solver", "method of a continuous flow: rk4, dopri5, tsit5, .. (ad/ode.h)", FLOW_WORD, AT(solver), 0, 0, solvers },
	{ "tol", "tolerance of an adaptive solver, if solver_steps is not given", FLOW_REAL, AT(tol), 1e-14, 0.1, NULL },
	{ "kinetic", "weight of a continuous flow's kinetic energy", FLOW_REAL, AT(kinetic), 0, 1e6, NULL },
	{ "frobenius", "weight of the squared norm of its Jacobian", FLOW_REAL, AT(frobenius), 0, 1e6, NULL },
	{ 0 },
};

bool flow__has_word(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = words; n && (p = strstr(p, word)); p += n)
		if ((p == words || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	return false;
}

double flow_option_number(const flow_model_opt *o, const flow_model_key *k)
{
	const char *p = (const char *)o + k->at;
	return k->kind == FLOW_INT     ? *(const int *)p
	       : k->kind == FLOW_INT64 ? (double)*(const int64_t *)p
	       : k->kind == FLOW_REAL  ? *(const double *)p
				       : 0;
}

const char *flow_option_text(const flow_model_opt *o, const flow_model_key *k)
{
	return k->kind < FLOW_ACT ? NULL : *(const char *const *)((const char *)o + k->at);
}

static bool takes(const flow_model_key *k, double v)
{
	return v >= k->lo && v <= k->hi && (k->kind == FLOW_REAL || v == floor(v));
}

bool flow_option_put(flow_model_opt *o, const flow_model_key *k, double v)
{
	char *p = (char *)o + k->at;
	if (k->kind < FLOW_ACT && v != 0 && !takes(k, v))
		return false;
	if (k->kind == FLOW_INT)
		*(int *)p = (int)v;
	else if (k->kind == FLOW_INT64)
		*(int64_t *)p = (int64_t)v;
	else if (k->kind == FLOW_REAL)
		*(double *)p = v;
	return true;
}

void flow_option_put_text(flow_model_opt *o, const flow_model_key *k, const char *v)
{
	if (k->kind >= FLOW_ACT)
		*(const char **)((char *)o + k->at) = v;
}

static bool set_number(flow_model_opt *o, const flow_model_key *k, const char *value, char why[160])
{
	char *end;
	double v = strtod(value, &end);
	if (end == value || *end || !takes(k, v)) {
		snprintf(why, 160, "%s: %.40s is not %s from %g to %g", k->key, value,
			 k->kind == FLOW_REAL ? "a number" : "a whole number", k->lo, k->hi);
		return false;
	}
	flow_option_put(o, k, v);
	return true;
}

static const char *word_of(const flow_model_key *k, const char *value)
{
	const char *const *w = k->words;
	while (*w && strcmp(*w, value))
		w++;
	return *w;
}

bool flow_model_set(flow_model_opt *o, const char *key, const char *value, char why[160])
{
	const flow_model_key *k = flow_model_keys;
	while (k->key && strcmp(k->key, key))
		k++;
	if (!k->key) {
		int n = snprintf(why, 160, "there is no option %.30s; there are", key);
		for (k = flow_model_keys; k->key && n < 150; k++)
			n += snprintf(why + n, (size_t)(160 - n), " %s", k->key);
		return false;
	}
	if (k->kind < FLOW_ACT)
		return set_number(o, k, value, why);
	const nn_act *act = k->kind == FLOW_ACT ? nn_act_named(value) : NULL;
	const char *word = k->kind == FLOW_WORD ? word_of(k, value) : act ? act->name : NULL;
	if (word)
		flow_option_put_text(o, k, word);
	else if (k->kind == FLOW_WORD) {
		int n = snprintf(why, 160, "%s: %.60s is none of", key, value);
		for (const char *const *w = k->words; *w && n < 150; w++)
			n += snprintf(why + n, (size_t)(160 - n), " %s", *w);
	} else
		snprintf(why, 160, "%s: there is no activation named %.60s", key, value);
	return word;
}
