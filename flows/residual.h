/* residual.h - residual flows: z = x + g(x) with a contraction g, whose log-determinant is a power series.
 *
 *     log|det(I + J)| = sum over k >= 1 of (-1)^(k+1) tr(J^k) / k,      J = dg/dx, |J| <= L < 1
 *
 * Behrmann et al. 2019 (i-ResNet), Chen et al. 2019 (Residual Flows), Perugachi-Diaz et al. 2021 (i-DenseNet).
 * The inverse is the fixed point of x = z - g(x), found to .tolerance; its derivative is implicit.
 */
#ifndef FLOW_RESIDUAL_H
#define FLOW_RESIDUAL_H

#include "flows/flow.h"
#include "nn/lipschitz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the log-determinant is computed.  e is a probe with E[e e^T] = I; the number of terms n is drawn once a step for
 * each block; both depend on seed and step alone. */
typedef enum {
	FLOW_LOGDET_AUTO,   /* exact up to .exact_dim dimensions, else neumann */
	FLOW_LOGDET_EXACT,  /* log|det(I + J)| of the Jacobian built row by row */
	FLOW_LOGDET_TRACES, /* .terms terms of the series with exact traces: biased, see flow_residual_bias */
	/* sum c_k (-1)^(k+1) e^T J^k e / k, differentiated through all its terms: memory grows with .most terms */
	FLOW_LOGDET_BASIC,
	/* The same value; its derivative is that of e^T J s at s = sum c_k (-1)^k (J^T)^k e held fixed, an unbiased
	 * estimate (Chen et al., theorem 2).  Memory does not depend on the number of terms, and a block's inner
	 * variables are computed again in the derivative.  A second derivative is an error. */
	FLOW_LOGDET_NEUMANN
} flow_logdet_estimator;

/* c_k = 1 for k <= .terms.  Beyond, the tail makes the series unbiased: N is drawn, n = terms + N, c_k = 1 / P(N >= k -
 * terms). */
typedef enum {
	FLOW_TAIL_GEOMETRIC, /* P(N >= j) = (1 - rate)^(j - 1), j >= 1; rate 0: 0.5 */
	FLOW_TAIL_POISSON,   /* mean rate; 0: 2 */
	FLOW_TAIL_NONE	     /* n = terms: biased */
} flow_tail;

typedef struct {
	flow_logdet_estimator train, eval; /* in training (and NN_INIT), and in NN_EVAL */
	int64_t exact_dim, eval_exact_dim; /* of AUTO; 0: 3 in training, 32 in NN_EVAL; -1: never */
	int terms, eval_terms;		   /* 0: 2, and 20.  In NN_EVAL there is no tail */
	flow_tail tail;
	double rate;
	int most;      /* basic: the series is cut after so many terms; 0: terms + 20 */
	bool gaussian; /* e is normal instead of -1 and 1 */
	/* Largest error of the inverse relative to 1 + max|x|, if g has the constant .lipschitz; 0: 1e-11 in double,
	 * 2e-6 in single precision. */
	double tolerance;
	double lipschitz; /* of g; 0: nn_lipschitz_bound(g).  Must be below 1 */
} flow_residual_opt;

/* z = x + g(x), g from dim to dim features under "net". Hands up in training: "lipschitz" (current estimate, of nets of
 * nn_lipschitz), "terms" (drawn). */
flow *flow_residual(flow_mem *m, nn_net g, int64_t dim, flow_residual_opt o);
/* The most that the log-determinant misses if its series is cut after so many terms: dim L^(n+1) / ((n + 1)(1 - L)). */
double flow_residual_bias(double lipschitz, int64_t dim, int terms);

/* The estimators alone, of a net g at x [B, D], for coefficients c_1 .. c_n, c_0 = 1, and probe e [B, D].  basic: value
 * and derivatives of the series.  neumann: e^T J s, whose value means nothing and whose derivative estimates that of
 * the log-determinant. */
ad_var flow_logdet_basic(ad_var g, ad_var x, ad_var e, int n, const ad_var c[]);
ad_var flow_logdet_neumann(ad_var g, ad_var x, ad_var e, int n, const double c[]);

/* Nets.  act goes before each linear but not after the last: depth hidden layers of width units, every linear bounded
 * as o says.  dense: growth features are concatenated depth times. */
nn_net flow_lipschitz_mlp(flow_mem *m, int64_t width, int depth, const char *act, nn_induced o);
nn_net flow_lipschitz_dense(flow_mem *m, int64_t growth, int depth, const char *act, nn_induced o);

#ifdef __cplusplus
}
#endif

#endif
