/* neural.h - monotone maps of great flexibility: sigmoidal (NAF), mixtures of logistic and of normal distribution
 * functions, sums of squares, Bernstein polynomials, integrals of positive nets (UMNN), splines on a circle; and block
 * autoregressive flows (BNAF).
 *
 * The maps are scalar maps: each goes into any structure, with any conditioner.  Parameters of zero give the identity,
 * or a map near it whose units differ from each other.  Where no formula inverts, ad_bisect does, to rounding: an
 * inverse is as exact as the map's value divided by its slope.  The mixtures (the first four) have 1e-6 x added, so
 * that they are nowhere flat; the slope of the next three is at least 1e-3 e^-2.  All are onto R, so densities
 * integrate to 1, and finite from 1e-30 to 1e30.  Arguments out of range are refused when the map is traced. */
#ifndef FLOW_NEURAL_H
#define FLOW_NEURAL_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Deep sigmoidal flow (Huang et al. 2018, eqs. 8-9): layers times h <- logit sum_j w_j sigmoid(a_j h + b_j), w =
 * softmax, a = softplus + 1e-3; the logit is taken from log-sums, without the clipping of the paper's code, and so is
 * onto R. nparam = 3 units layers: raw a, b, raw w of each layer.  units, layers 0: 16, 1. */
flow_map flow_dsf(flow_mem *m, int units, int layers);
/* Deep dense sigmoidal flow (ibid., eq. 10): layers joined by matrices, h <- logit W sigmoid(a U h + b), rows of W and
 * U softmax(parameter of the layer + number of the element).  The matrices "ddsf_<l>/u" [units, in] and "ddsf_<l>/w"
 * [out, units] are the map's own weights; nparam = layers 4 units - units + 1.  units, layers 0: 16, 2. */
flow_map flow_ddsf(flow_mem *m, int units, int layers);
/* Mixture of logistics (Ho et al. 2019): y = exp(s) logit sum_k w_k sigmoid((x - mean_k) exp(-l_k)) + t, |s| < 2, -7 <
 * l < 2. p: raw w, means, raw l, then raw s and t; nparam = 3 components + 2.  components 0: 8. */
flow_map flow_logistic_mixture(flow_mem *m, int components);
/* Gaussianization (Meng et al. 2020, with normal kernels): y = Phi^-1 sum_k w_k Phi((x - mean_k) exp(-l_k)), -7 < l
 * < 2. p: raw w, means, raw l; nparam = 3 components.  components 0: 8. */
flow_map flow_gaussianization(flow_mem *m, int components);
/* Sum of squares (Jaini et al. 2019): y = t + integral from 0 to x of g(v) = mean_k (1 + sum_j a_kj (v/bound)^j)^2 +
 * 1e-3, j = 0 .. degree; exact by Gauss-Legendre.  Beyond +-bound it goes on with the slope there.  p: a [polynomials,
 * degree + 1], then t.  polynomials, degree, bound 0: 3, 4, 5. */
flow_map flow_sum_of_squares(flow_mem *m, int polynomials, int degree, double bound);
/* Bernstein polynomial on [-bound, bound] with increments softplus + 1e-3 (identity: all 1) and linear tails
 * (Ramasinghe et al. 2021).  p: raw increments [degree], then the shift; nparam = degree + 1.  degree, bound 0: 16, 5.
 */
flow_map flow_bernstein(flow_mem *m, int degree, double bound);

/* Unconstrained monotone map (Wehenkel & Louppe 2019): y = t + exp(s) integral from 0 to x of g(v, e), g =
 * softplus(net) + 1e-3, |s| < 2, linear beyond +-bound.  The net "integrand/linear_i" (MLP) takes v and the embedding e
 * and is the map's own, the same for all elements.  p: e [embedding], raw s, t.  Its value is as exact as the
 * quadrature: the log-determinant is that of the exact integral. */
typedef enum { FLOW_GAUSS_LEGENDRE, FLOW_CLENSHAW_CURTIS } flow_quadrature;
typedef struct {
	int embedding;	   /* 0: 8 */
	int64_t width;	   /* of the integrand's hidden layers, 0: 32 */
	int depth;	   /* hidden layers, 0: 2 */
	const nn_act *act; /* NULL: silu; smooth ones keep the quadrature exact */
	flow_quadrature rule;
	int nodes;    /* 0: 16 */
	double bound; /* 0: 5 */
} flow_umnn_opt;
flow_map flow_umnn(flow_mem *m, flow_umnn_opt o);
/* Nodes in [-1, 1] and weights (their sum is 2) of n >= 1 points; Clenshaw-Curtis needs 2. */
void flow_quadrature_rule(flow_quadrature rule, int n, double node[], double weight[]);

/* Rational-quadratic spline of the circle [-bound, bound): the slope at both ends is the same (Rezende et al. 2020).
 * p: bins widths, bins heights, bins slopes, the first that of the ends; outside the box the identity. */
flow_map flow_circular_spline(flow_mem *m, int bins, double bound);
/* x turned by a learned angle per feature, within [-bound, bound); outside the identity. */
flow *flow_rotate_circle(flow_mem *m, int64_t dim, double bound);
/* Any real to its representative in [-bound, bound); the inverse is the identity.  First layer of flows on circles. */
flow *flow_wrap(flow_mem *m, int64_t dim, double bound);
/* A net for periodic inputs: features with flag 1 enter as sine and cosine of pi x / bound, the others as they are,
 * before net, which must not be autoregressive.  flag: [n] of the net's inputs, NULL: all; copied. */
nn_net flow_periodic_net(flow_mem *m, nn_net net, int64_t n, const int *flag, double bound);
/* [-bound, bound] to R: z = Phi^-1((x / bound + 1) / 2), which makes uniform data normal; last layer of flows on
 * circles or boxes. */
flow *flow_probit(flow_mem *m, int64_t dim, double bound);

/* y = exp(A - A^T) x, "A" [dim, dim], starting at a rotation drawn by the store. */
flow *flow_rotation(flow_mem *m, int64_t dim);

/* Block autoregressive flow (De Cao et al. 2019): masked linears "linear_i" of dim x dim blocks, exp on the diagonal
 * ones, weight-normalised by rows, tanh between, "weight" [out, in], "log_scale" [out, 1], "bias" [out].  widths: of
 * the hidden layers, multiples of dim.  Residual: NONE y = h (bounded, no inverse), NORMAL y = x + h, GATED y = s h +
 * (1 - s) x with s = sigmoid("gate").  cond enters the first layer ("context").  The inverse is sequential. */
typedef enum { FLOW_RESIDUAL_GATED, FLOW_RESIDUAL_NORMAL, FLOW_RESIDUAL_NONE } flow_bnaf_residual;
flow *flow_block_autoregressive(flow_mem *m, int64_t dim, int layers, const int64_t widths[], flow_bnaf_residual residual);

/* Every feature through a map with free numbers "params", to which net (under "conditioner") adds a function of cond if
 * there is one: flow_elementwise for conditional densities of vectors. */
flow *flow_elementwise_given(flow_mem *m, flow_map map, nn_net net, int64_t dim);

/* Models (their names in flow_models: naf umnn sos bernstein bnaf mol ncsf gf). */
flow *flow_naf(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_umnn_maf(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_sos(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_bernstein_flow(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_bnaf(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_mol(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_ncsf(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_gf(flow_mem *m, int64_t dim, flow_model_opt o);

#ifdef __cplusplus
}
#endif

#endif
