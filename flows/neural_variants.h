/* neural_variants.h - monotone flows as other libraries parametrise them, for loading their weights; new models are
 * better made of neural.h.  As in variants.h masks are state, hidden[layers] are copied, and the numbers are those of
 * the library, clipping included: a map that its library clips to a bounded range has an inverse within it only
 * (ad_bisect says "no root" elsewhere), and its density misses what lies outside. */
#ifndef FLOW_NEURAL_VARIANTS_H
#define FLOW_NEURAL_VARIANTS_H

#include "variants.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CW-Huang/NAF: "made/linear_i" as in flow_gated_autoregressive, outputs numbers a feature, "to_params" from those to
 * the numbers of units x steps sigmoidal layers; dense: "sigmoidal_l/u" and "/w".  delta 0: 1e-6; z lies within
 * +-log(2/delta). */
typedef struct {
	bool dense;
	int units, steps;
	int64_t outputs;
	double delta;
} flow_sigmoidal_opt;
flow *flow_sigmoidal_autoregressive(flow_mem *m, int64_t dim, flow_sigmoidal_opt o, int layers, const int64_t hidden[]);

/* AWehenkel/UMNN: "made/linear_i" (relu), outputs numbers a feature, number slowest; "integrand/linear_i" (leaky relu),
 * elu + 1; state "log_scale" [dim], "quadrature_nodes", "quadrature_weights" [steps + 1].  The derivative by x is the
 * integrand's. */
typedef struct {
	int64_t outputs;
	int steps;
	double log_eps;
	int integrand_layers;		 /* hidden ones */
	const int64_t *integrand_hidden; /* copied */
} flow_umnn_autoregressive_opt;
flow *flow_umnn_autoregressive(flow_mem *m, int64_t dim, flow_umnn_autoregressive_opt o, int layers,
			       const int64_t hidden[]);

/* zuko, as maps for flow_hyper_autoregressive and flow_hyper_coupling.  Nets are each feature's own:
 * "network/linear_i", weight [dim, out, in]. */
flow_map flow_sum_of_squares_zuko(flow_mem *m, int polynomials, int degree, double bound,
				  double slope); /* slope 0: 1e-3 */
flow_map flow_bernstein_zuko(flow_mem *m, int numbers, double bound, double eps);
/* |W|, elu on the first half of the units and -elu(-x) on the others; input x and signal numbers. */
flow_map flow_monotonic_mlp_zuko(flow_mem *m, int signal, int layers, const int64_t hidden[]);
/* exp(r / (1 + |r / 7|)) integrated; elu between. */
flow_map flow_umnn_zuko(flow_mem *m, int signal, int nodes, int layers, const int64_t hidden[]);
/* "raw_scale", "shift" [dim, components]; y = sqrt 2 erfinv(mean_c erf((s_c x + shift_c) / sqrt 2) (1 - 1e-6)), within
 * +-4.9. */
flow *flow_gaussianization_zuko(flow_mem *m, int64_t dim, int components);

/* normflows: spline of n features, circular where flag is 1, with linear tails elsewhere; K + 1 slopes a feature.  The
 * net takes w_0 sin(scale u) + w_1 cos(scale u) ("periodic/weights" [count, 2]) in place of the features listed. */
flow_map flow_circular_spline_mixed(flow_mem *m, int bins, double bound, int64_t n, const int *flag);
nn_net flow_periodic_mixed_net(flow_mem *m, nn_net net, int64_t n, int64_t count, const int at[], double scale);

#ifdef __cplusplus
}
#endif

#endif
