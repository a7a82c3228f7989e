/* variants.h - layer parametrisations of other libraries, for loading their weights.
 *
 * The layers compute what those libraries compute, from parameters of the same names and shapes; new models are better
 * made of the parts in flow.h.  Masks are state ("mask" beside each "weight"): loaded ones are authoritative, else they
 * are made from degrees.  hidden[layers]: widths of the hidden layers, copied.  All are exact in both directions. */
#ifndef FLOW_VARIANTS_H
#define FLOW_VARIANTS_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nflows: y = w (x - mean) / sqrt(var + eps) + bias, w = softplus(unconstrained_weight) + eps; running_var is unbiased
 * and running = momentum running + (1 - momentum) batch. */
flow *flow_batch_norm_softplus(flow_mem *m, double eps, double momentum);

/* CW-Huang/NAF and torchkit.  "made/linear_i": direction, context_to_scale, context_to_bias (without cond: 1 and a
 * parameter "bias").  sigmoid: z = (1-s) m + s x; else z = m + s x, s = softplus(r) + delta.  delta 0: 1e-6 */
flow *flow_gated_autoregressive(flow_mem *m, int64_t dim, bool sigmoid, int layers, const int64_t hidden[],
				double delta);
/* z = m(cond) + s(cond) x; "mean" and "raw_std", each of dot_0h, dot_h1, dot_01. */
flow *flow_context_affine(flow_mem *m, int64_t dim, double delta);

/* ikostrikov/pytorch-flows: y = (x - m) exp(-a), m and a from three masked linears ("linear_i"), halves of one net
 * or, split, two nets "shift" and "log_scale". */
typedef struct {
	int64_t hidden;
	const nn_act *shift_act, *log_scale_act; /* NULL: tanh and relu; a single net has shift_act (NULL: relu) */
	bool split, tanh_log_scale;
} flow_maf_exp_opt;
flow *flow_maf_exp(flow_mem *m, int64_t dim, flow_maf_exp_opt o);
/* y = x exp(s) + t, both from [x * mask, cond] and times 1 - mask. */
flow *flow_masked_coupling_exp(flow_mem *m, int64_t dim, const int *mask, flow_maf_exp_opt o);

/* FrEIA, on halves of split and dim - split features; subnets linear_0, relu, linear_1. */
typedef enum {
	FLOW_FREIA_NICE,
	FLOW_FREIA_RNVP,
	FLOW_FREIA_GLOW,
	FLOW_FREIA_GIN,
	FLOW_FREIA_ONE_SIDED
} flow_freia_kind;
typedef enum { FLOW_CLAMP_ATAN, FLOW_CLAMP_TANH, FLOW_CLAMP_SIGMOID } flow_freia_clamp;
flow *flow_freia(flow_mem *m, flow_freia_kind kind, int64_t dim, int64_t split, int64_t hidden, double clamp,
		 flow_freia_clamp activation);

/* FrEIA's AllInOneBlock: a coupling of the first split features onto the rest ("subnet", as above), an affine map of every
 * feature ("global_scale", "global_offset"), and an orthogonal map R, which is state: "permutation" [D], or soft, "rotation"
 * [D, D] ("initial_rotation" and the trained reflections "householder" [n, D] if there are any).  reverse: R^-1 first. */
typedef enum { FLOW_FREIA_SOFTPLUS, FLOW_FREIA_SIGMOID, FLOW_FREIA_EXP } flow_freia_scale;
typedef struct {
	int64_t split, hidden, householder;
	double clamp; /* 0: 2 */
	flow_freia_scale scale;
	bool gin, soft, reverse;
} flow_freia_block_opt;
flow *flow_freia_all_in_one(flow_mem *m, int64_t dim, flow_freia_block_opt o);

/* The Sylvester flow with "q" [D, M] (triangular: the identity, or Q^T x = x[perm]), "r1", "r2" [M, M] and "b" as they stand:
 * that q has orthonormal columns, and r1, r2 are upper triangular with r1_ii r2_ii > -1, is the caller's concern. */
flow *flow_sylvester_given(flow_mem *m, int64_t dim, int64_t rank, bool triangular, const int *perm);

/* zuko.  slope 0: 1e-3.  affine: p = (shift, raw); spline: K widths, K heights, K - 1 derivatives. */
flow_map flow_affine_zuko(double slope);
flow_map flow_rqs_zuko(int bins, double bound, double slope);
/* "hyper/linear_i", relu between; order: feature d comes at place order[d] (NULL: 0, 1, ..). */
flow *flow_hyper_autoregressive(flow_mem *m, flow_map map, int64_t dim, const int *order, int layers,
				const int64_t hidden[]);
/* Features with mask 1 feed the net, those with mask 0 are transformed. */
flow *flow_hyper_coupling(flow_mem *m, flow_map map, int64_t dim, const int *mask, int layers, const int64_t hidden[]);

#ifdef __cplusplus
}
#endif

#endif
