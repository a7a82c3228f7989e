/* lipschitz.h - linear layers of bounded operator norm, and contractions made of them: the nets of residual flows.
 *
 * The weight counts as W / max(1, sigma / coeff), where sigma = u^T W v estimates the norm of W and u, v come from a
 * power iteration and are kept in the store as state.  In derivatives u and v are constants, sigma is not.  The
 * iteration runs when the layer is made, and after each training step on the new weights (nn_after_step), so that a
 * density that is evaluated has weights bounded as they are now.  A power iteration approaches the norm from below: the
 * true norm is at most coeff times (norm / sigma), and .tolerance says when the iteration stops. Miyato et al. 2018,
 * Gouk et al. 2018; mixed norms: Chen et al. 2019 (Residual Flows), appendix D.
 */
#ifndef NN_LIPSCHITZ_H
#define NN_LIPSCHITZ_H

#include "nn/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The norm bounded is max |W x|_codomain / |x|_domain.  It is exact at convergence for 2 to 2, 1 to any, and any to
 * infinity; for other pairs an iteration may stop at a local maximum. */
typedef struct {
	double coeff;		 /* the bound; 0: 0.9 */
	double domain, codomain; /* which p-norm, 1 to INFINITY; 0: 2 */
	/* 1, 2, ..: the norm has p = 1.5 - tanh(r / 2) / 2, in (1, 2), r the parameter "norm_<number>" [1] beside the
	 * layer, trained to make the norm (at fixed W, u, v) small; equal numbers share it.  0: domain and codomain as
	 * given. */
	int learned_domain, learned_codomain;
	int iterations; /* of the power iteration, each time; 0: until sigma grows by less than tolerance sigma, at most
			   200 */
	double tolerance; /* 0: 1e-4 */
	bool no_bias;
	nn_fill weight; /* zero kind with a == 0: NN_FAN_IN 1 */
} nn_induced;

/* y = W' x + b over the last axis, W' the bounded "weight" [out, in]; "bias" [out]; states "u" [out], "v" [in]. */
ad_var nn_induced_linear(nn c, ad_var x, int64_t out, nn_induced o);
/* The bounded weight alone; *sigma (if not NULL) the estimate. */
ad_var nn_induced_weight(nn c, int64_t out, int64_t in, nn_induced o, ad_var *sigma);
/* The same for a convolution of images [B, C, H, W] as a map of flat images, with zeros around: "weight" [out, C,
 * kernel..], "bias" [out], "u" [out H' W'], "v" [C H W]; of a 1 x 1 kernel "u" [out], "v" [C].  One group, no dilation,
 * no learned norms. *weight, *sigma (if not NULL): the bounded one, and the estimate. */
ad_var nn_induced_conv(nn c, ad_var x, int64_t out, nn_conv_opt k, nn_induced o, ad_var *weight, ad_var *sigma);
/* Power iteration on w [out, in] from u, v, in place: u = dual_codomain(W v), v = dual_domain(W^T u); returns u^T W v.
 */
double nn_induced_norm(int64_t out, int64_t in, const double *w, double *u, double *v, nn_induced o);

/* --- Contractions --------------------------------------------------------------------------------------------------
 */

typedef enum { NN_LIP_LINEAR, NN_LIP_ACT, NN_LIP_DENSE } nn_lip_kind;
/* Module i of a net has its parameters under "<i>". */
typedef struct {
	nn_lip_kind kind;
	int64_t out;	   /* units of linear and dense; 0: what the net is asked for */
	const char *act;   /* of act, and of dense before its linear (NULL: none): a name of nn_lip_acts */
	double beta;	   /* where lipswish and clipswish start; 0: 0.5, the papers' */
	nn_induced linear; /* of linear and dense */
	/* Dense (Perugachi-Diaz et al. 2021): h becomes [e1 h, e2 linear(act(h))], e_i = softplus("eta_<i>_raw") +
	 * eta_floor, then scaled to e1^2 + e2^2 = scale^2. */
	double scale, eta_floor; /* 0: 0.98, 0.1 */
} nn_lip_module;

/* A net of n modules in order, for any number of outputs; modules are borrowed.  cond enters the first linear by a
 * linear of its own, "context", without a bound: it does not matter for the derivative by x. */
nn_net nn_lipschitz(int n, const nn_lip_module module[]);
/* What the Lipschitz constant of such a net cannot exceed, in the norms of its layers, if the power iterations are
 * right; INFINITY if net is of another kind, if an activation has no bound, or if neighbouring norms do not match. */
double nn_lipschitz_bound(const nn_net *net);
/* The product of min(sigma, coeff) and the factors of the other modules, with current weights: rank 0.  For logs; c is
 * the context that the net was applied in before. */
ad_var nn_lipschitz_now(const nn_net *net, nn c);

/* Activations of known Lipschitz constant.  lipswish: x sigmoid(softplus(beta) x) / 1.1 with a trained "beta" [1];
 * clipswish: lipswish([x, -x]) / 1.004, twice the features. */
typedef struct {
	const char *name;
	double constant;
} nn_lip_act;
extern const nn_lip_act nn_lip_acts[]; /* ends with a NULL name */

#ifdef __cplusplus
}
#endif

#endif
