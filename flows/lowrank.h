/* lowrank.h - planar, radial and Sylvester flows: the identity plus a map of few directions.
 *
 * Their easy direction is FLOW_FORWARD.  As x -> z they are densities; flow_invert of them are samplers, as in the posterior of
 * a variational autoencoder or against an energy, where that direction is the one needed.
 * Parameters are free, or, with a net and where there is cond, amortised: free ones plus the outputs of the net of cond (under
 * "conditioner"), so that a net whose last layer starts at zero starts from the free ones.
 * Every one is invertible for all values of its parameters; inverses that are solved for have implicit derivatives. */
#ifndef FLOW_LOWRANK_H
#define FLOW_LOWRANK_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	bool leaky;   /* h = leaky relu, else tanh */
	double slope; /* of it, 0 to 1; 0: 0.01 */
	nn_net net;   /* apply NULL: free parameters */
} flow_planar_opt;
/* z = x + u' h(w.x + b), u' = u + (softplus(w.u) - 1 - w.u) w / |w|^2 (Rezende & Mohamed 2015, eq. 10, A.1); "w", "u" [D],
 * "b" [1].  Inverse: with tanh a root in 1-D by bisection to the last bit, with the leaky relu a formula. */
flow *flow_planar(flow_mem *m, int64_t dim, flow_planar_opt o);

/* z = x + b' / (a' + r) (x - center), r = |x - center|, a' = |alpha|, b' = softplus(beta) - a' (the same paper, eq. 14, A.2);
 * "alpha", "beta" [1], "center" [D].  The inverse is the root of a quadratic.  net: as above; apply NULL: free. */
flow *flow_radial(flow_mem *m, int64_t dim, nn_net net);

typedef enum {
	FLOW_SYLVESTER_ORTHOGONAL,  /* Q of any "q" [D, M], by Cholesky's factor of q^T q */
	FLOW_SYLVESTER_HOUSEHOLDER, /* the first M columns of a product of reflections, "vectors" [reflections, D] */
	FLOW_SYLVESTER_TRIANGULAR   /* Q is the identity, or the reversal (flip); M = D */
} flow_sylvester_kind;
typedef struct {
	int64_t rank;        /* M <= D; 0: D */
	int64_t reflections; /* 0: M */
	bool flip;
	nn_net net;
} flow_sylvester_opt;
/* z = x + Q R1 tanh(R2 Q^T x + b) (van den Berg et al. 2018), R1 and R2 upper triangular with diagonals in (-1, 1), the tanh of
 * those of "r1", "r2" [M, M]; "b" [M].  The inverse is solved for one of the M directions after another, each a root in 1-D
 * of an increasing function, by bisection to the last bit: exact, at M bisections. */
flow *flow_sylvester(flow_mem *m, flow_sylvester_kind kind, int64_t dim, flow_sylvester_opt o);

#ifdef __cplusplus
}
#endif

#endif
