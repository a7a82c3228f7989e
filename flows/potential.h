/* potential.h - convex potential flows: z is the gradient of a convex function of x (Huang et al. 2021). */
#ifndef FLOW_POTENTIAL_H
#define FLOW_POTENTIAL_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	int64_t width; /* of hidden layers, even; 0: 64 */
	int depth;     /* hidden layers, at least 1; 0: 2 */
	bool gaussian; /* s(v) = v Phi(v) + phi(v), else softplus */
	bool centred;  /* s(v) - s(0) */
	bool even;     /* the layers next to the data have s(v) - v / 2 */
	/* Log-determinant in training: exact, or for probes > 0 Lanczos quadrature of that many random directions and
	 * steps, with the gradient of the same by conjugate gradients (below). */
	int probes, steps; /* steps 0: min(D, 32) */
} flow_potential_opt;
/* z = grad of softplus(w1) N(x) + softplus(w0) |x|^2 / 2, N an input-convex net (Amos et al. 2017) of layers
 *   h_i = [ s(actnorm(pos(h) + x_linear(x))), s(aug_linear(x)) ],  pos of weights softplus(W) / inputs;
 * cond, if there is any, enters each layer linearly ("cond_linear_i").
 * The log-determinant is that of the dense Hessian, D forward derivatives of the gradient at once: exact; NN_EVAL always has
 * it.  With probes, training has v^T log(H) v for random signs v, by Lanczos's quadrature from the coefficients of one run of
 * conjugate gradients, whose solution u of H u = v gives the unbiased gradient, d log|det H| = E[u^T dH v].  As value and
 * gradient are different estimators, second derivatives of it are refused.
 * Inverse: minimises potential(x) - z.x, strictly convex, by Newton's method with backtracking, to 1e-11 (fp32: 1e-5)
 * relative; implicit derivative. */
flow *flow_convex_potential(flow_mem *m, int64_t dim, flow_potential_opt o);

#ifdef __cplusplus
}
#endif

#endif
