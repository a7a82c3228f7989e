/* flow.h - invertible maps with log-determinants, their composition into graphs, and densities.
 *
 * A flow maps data x to latent z (FLOW_FORWARD, the direction of density estimation) and back (FLOW_INVERSE,
 * sampling).  One apply serves both, so that they cannot drift apart.  Axis 0 is the batch, the other axes one
 * event.  The log-determinant returned is that of the direction taken: log|det dz/dx| forward, log|det dx/dz|
 * inverse, per sample, shape [B], or rank 0 when it does not depend on x.  Units: nats.
 * cond (may be NULL) is [B, n] and reaches every layer, the nets in them and the base.
 *
 * Ownership: a flow_mem owns every flow, map, net and array made in it.  Flows hold no parameters: those are in
 * the nn_store, under the path of the context; so one flow can be traced many times, on any tape.
 * Errors: model mistakes go to the tape at trace time (ad_fail), named with the path.
 */
#ifndef FLOW_H
#define FLOW_H

#include "nn/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { FLOW_FORWARD, FLOW_INVERSE } flow_dir;
typedef struct {
	ad_var x, logdet;
} flow_out;

typedef enum { FLOW_ANALYTIC, FLOW_ITERATIVE, FLOW_ABSENT } flow_inverse_kind;
typedef enum { FLOW_EXACT, FLOW_STOCHASTIC, FLOW_LOWER_BOUND } flow_logdet_kind;
typedef struct {
	flow_inverse_kind inverse, forward; /* how each direction is computed; forward ABSENT: only samples */
	flow_logdet_kind logdet;
	bool rebuilds; /* its input can be rebuilt from its output to rounding: reversible training */
} flow_caps;

#define FLOW_PORTS 16 /* the most inputs, and outputs, of one flow */

typedef struct flow flow;
typedef struct flow_mem flow_mem;
struct flow {
	const char *kind; /* "coupling" */
	const char *name; /* path component; NULL: kind and ordinal among its kind in the enclosing graph */
	flow_out (*apply)(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir);
	flow_caps caps; /* of flows made of others: the weakest of theirs */
	/* Flows of several inputs or outputs (split, merge, graphs) have apply_n instead; x[] and y[] as dir has it. */
	int nin, nout; /* 0 means 1 */
	ad_var (*apply_n)(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[]);
	/* Event shape after the flow (shape without batch), forward; NULL: unchanged.  Returns false for a shape it
	 * cannot take, with the reason in why. */
	bool (*shape)(const flow *f, const ad_shape in[], ad_shape out[], char why[160]);
	int nchild;
	flow *const *child; /* for printing and walking */
	const char *(*describe)(const flow *f, char *buf, size_t n); /* options in a few words; NULL: none */
	/* Event shape before the flow from that after it (of flows that keep shapes: the same function as shape).
	 * NULL: known only where shape gives back what it gets. */
	bool (*unshape)(const flow *f, const ad_shape in[], ad_shape out[], char why[160]);
};

flow_mem *flow_mem_new(void);
void flow_mem_free(flow_mem *m);
void *flow_alloc(flow_mem *m, size_t bytes); /* zeroed */
void *flow_copy(flow_mem *m, const void *p, size_t bytes);
flow *flow_named(flow *f, const char *name); /* gives f a name (copied by no one: a literal or flow_copy) */

/* Event shapes after f, forward; false with the reason in why.  unshape: those before f from those after it. */
bool flow_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160]);
bool flow_unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160]);
/* A flow that takes no shape, for the reason given: what constructors return for arguments that make no sense. */
flow *flow_refuse(flow_mem *m, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Applies f, checking shapes of x and of the log-determinant. */
flow_out flow_apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir);
ad_var flow_apply_n(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[]);
ad_var flow_add_logdet(ad_var a, ad_var b); /* either may be rank 0 or NULL */

/* --- Graphs --------------------------------------------------------------------------------------------------- */

flow *flow_chain(flow_mem *m, int n, flow *const f[]); /* f[0] meets the data first; NULL entries are skipped */
flow *flow_invert(flow_mem *m, flow *f);
flow *flow_repeat(flow_mem *m, int n, flow *f); /* the same weights n times */
/* Axis counts with the batch (1: features or channels).  split: [.., n] -> the first k and the rest. */
flow *flow_split(flow_mem *m, int axis, int64_t k);
flow *flow_merge(flow_mem *m, int axis, int64_t k); /* its inverse */
/* Any wiring.  Nodes are evaluated in the order added; every value made is used once (else it is an output). */
typedef struct flow_builder flow_builder;
typedef int flow_wire;
flow_builder *flow_graph_begin(flow_mem *m, int inputs, flow_wire in[]);
void flow_graph_add(flow_builder *b, flow *f, const flow_wire in[], flow_wire out[]);
flow *flow_graph_end(flow_builder *b, int outputs, const flow_wire out[]);
flow *flow_reshape(flow_mem *m, ad_shape from, ad_shape to); /* event shapes */
/* f, then the first k of axis are emitted and the rest go on through rest; z is all parts flattened and joined,
 * emitted ones first, [B, numel].  event is the shape of x, which the inverse cannot know otherwise. */
flow *flow_multiscale(flow_mem *m, ad_shape event, flow *f, int axis, int64_t k, flow *rest);

/* Table of layers for events of this shape: path, kind, shape in and out, parameters, inverse, log-det.  0, or -1
 * with the reason printed. */
int flow_print(const flow *f, ad_shape event, int64_t cond, FILE *out);
void flow_write_dot(const flow *f, ad_shape event, FILE *out);
void flow_write_svg(const flow *f, ad_shape event, FILE *out); /* the same drawing, laid out; lines have the colour of the text around */
flow_caps flow_capabilities(const flow *f);
flow_caps flow_weakest(int n, flow *const f[]); /* for flows made of others */

/* --- Scalar maps ------------------------------------------------------------------------------------------------ */

/* y = map(x; p) elementwise.  x has any shape; p has x's shape and one extra last axis of extent nparam, but lacks the
 * batch axis where it is the same for all samples.  logdet has x's shape (or likewise, without the batch).  A user's map embeds flow_map as its first member, or uses data; it may own weights under c. */
typedef struct flow_map flow_map;
/* How a conditioner's n nparam outputs along axis 1 are laid out: the numbers of one element together, [n, nparam],
 * or all first numbers, then all second ones, [nparam, n] (affine couplings of the "two halves" kind). */
typedef enum { FLOW_PARAM_LAST, FLOW_PARAM_FIRST } flow_layout;
struct flow_map {
	const char *kind;
	int nparam;
	flow_out (*apply)(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir);
	flow_caps caps;
	/* Splines: bins; box [-bound, bound] with linear tails, or [0, 1] without (box). */
	int bins;
	bool box;
	double bound;
	double min_width, min_height, min_derivative;
	double width_divisor, height_divisor; /* raw widths and heights are divided by these; 0: 1 */
	double a, b;                          /* the map's own constants */
	bool raw_first;                       /* affine: p = (raw, t) instead of (t, raw) */
	flow_layout layout;
	/* [nparam], added by structures to every element's parameters (so that zeros are the identity); NULL: nothing.
	 * Borrowed: of the flow_mem or static. */
	const double *start;
	bool alike;           /* the same function of x and p for every element (no weights of single features), whose inverse is found by
	                       * iteration: an autoregressive inverse solves one feature at a time */
	bool constant_logdet; /* logdet is zero everywhere (additive): couplings return rank 0 */
	const void *data;
};
/* Conditioner output [B, n nparam, ..] to p [B, n, .., nparam], for structures. */
ad_var flow_map_params(const flow_map *m, ad_var out);
flow_map flow_additive(void);
/* Scale maps of the affine map y = s x + t; p = (t, raw) or (raw, t) as raw_first says. */
typedef enum {
	FLOW_EXP,            /* s = exp(raw) */
	FLOW_TANH_EXP,       /* exp(a tanh(raw / a)), a the bound (0: 2): the default of our models */
	FLOW_SIGMOID2,       /* sigmoid(raw + 2) + a, a: 0 means 1e-3, as in the next two */
	FLOW_SOFTPLUS,       /* softplus(raw) + a */
	FLOW_SOFTPLUS_CLAMP, /* min(softplus(raw) + a, 3) */
	FLOW_SOFTCLIP_EXP    /* exp(raw / (1 + |raw / log a|)), a: 0 means 1e-3; zuko's */
} flow_scale;
flow_map flow_affine(flow_scale kind, double a);
/* Box [-bound, bound], or [0, 1] for bound 0; outside it a spline is the identity.  At least 2 bins. */
flow_map flow_linear_spline(int bins, double bound);
flow_map flow_quadratic_spline(int bins, double bound);
flow_map flow_cubic_spline(int bins, double bound);
flow_map flow_rq_spline(int bins, double bound);

/* --- Structures: maps x conditioners ------------------------------------------------------------------------------ */

/* Every element has free parameters of its own: "params" [event.., nparam].  The independent flow. */
flow *flow_elementwise(flow_mem *m, flow_map map, int64_t dim);
/* mask[D] of 0 and 1: elements with mask 1 are transformed, conditioned on those with mask 0 (nn under
 * "conditioner").  identity_map, or NULL: also transforms the others elementwise, by parameters of their own under
 * "unconditional".  Copied. */
flow *flow_coupling(flow_mem *m, flow_map map, nn_net net, int64_t dim, const int *mask, const flow_map *identity_map);
int *flow_mask_alternate(flow_mem *m, int64_t dim, int first); /* first, 1-first, first, .. */
int *flow_mask_half(flow_mem *m, int64_t dim, int first);      /* the first half is `first`, the rest 1 - first */
/* z_d = map(x_d; p_d(x_<d)); net must be autoregressive.  order: degrees, a permutation of 1..dim, or NULL.  The
 * inverse is sequential.  flow_invert of it is the inverse autoregressive structure. */
flow *flow_autoregressive(flow_mem *m, flow_map map, nn_net net, int64_t dim, const int *order);

/* --- Layers --------------------------------------------------------------------------------------------------------- */

flow *flow_actnorm(flow_mem *m);                   /* y = exp(log_scale) x + shift per channel; starts whitening the first batch */
/* Where it starts: WHITEN y = exp(log_scale) x + shift; the others y = exp(log_scale)(x + bias), with the scale
 * 1/(sd + 1e-6), 1/sqrt(max(var, 0.2)), and 1/(sd + 1e-6) of the biased variance. */
typedef enum { FLOW_ACTNORM_WHITEN, FLOW_ACTNORM_GLOW, FLOW_ACTNORM_RESIDUAL, FLOW_ACTNORM_FLOWPP } flow_actnorm_start;
flow *flow_actnorm_with(flow_mem *m, flow_actnorm_start start);
flow *flow_batch_norm(flow_mem *m, double eps, double momentum); /* y = exp(log_gamma)(x - mean)/sqrt(var + eps) + beta */
flow *flow_permutation(flow_mem *m, int64_t dim, const int *perm); /* y_j = x_perm[j]; NULL: drawn from the path's stream, kept in the store */
flow *flow_reverse(flow_mem *m, int64_t dim);
typedef enum { FLOW_LU, FLOW_QR, FLOW_SVD, FLOW_DENSE, FLOW_HOUSEHOLDER, FLOW_PLU } flow_linear_kind;
/* y = W x + bias, parameterised as named, starting at the identity (householder, and qr with an odd number: at an orthogonal
 * map); reflections: of QR, SVD and HOUSEHOLDER (0: dim; of QR the next even number).  HOUSEHOLDER and PLU have no bias. */
flow *flow_linear(flow_mem *m, flow_linear_kind kind, int64_t dim, int reflections);
/* The same with the floor of the diagonal of LU and SVD, softplus(raw) + eps (flow_linear: 1e-3). */
flow *flow_linear_with(flow_mem *m, flow_linear_kind kind, int64_t dim, int reflections, double eps);
flow *flow_standardise(flow_mem *m, int64_t dim, const double *mean, const double *sd); /* (x - mean) / sd, kept in the store as state */
typedef enum { FLOW_LOGIT, FLOW_SIGMOID, FLOW_TANH, FLOW_LEAKY_RELU, FLOW_LOG_TANH, FLOW_EXPONENTIAL, FLOW_SOFTCLIP } flow_pointwise_kind;
/* a: temperature of logit and sigmoid (0: 1), slope (0.01), cut of log_tanh (1), bound of softclip (5); eps: how near the ends
 * of its domain an inverse of a bounded map, or logit, is taken (0: one rounding). */
flow *flow_pointwise(flow_mem *m, flow_pointwise_kind kind, double a, double eps);

/* --- Densities ---------------------------------------------------------------------------------------------------- */

typedef struct flow_base flow_base;
struct flow_base {
	const char *kind;
	ad_var (*log_prob)(const flow_base *b, nn c, ad_var z, ad_var cond); /* [B] */
	/* s is the shape [AD_BATCH, event..]; temperature scales the spread. */
	ad_var (*sample)(const flow_base *b, nn c, ad_shape s, ad_var cond, double temperature);
	int components; /* mixtures */
	double a, b, eps;
	nn_net net;
	const void *data;
};
flow_base flow_normal(void);
flow_base flow_normal_learned(void);              /* "mean", "log_std" [1, D] */
flow_base flow_normal_conditional(void);          /* linear "encoder" of cond: means, then log stds */
flow_base flow_uniform(double lo, double hi);
flow_base flow_logistic(void);
flow_base flow_student_t(double df);              /* learned "log_df" if df is 0 */
flow_base flow_gaussian_mixture(int components);  /* diagonal; "weight_scores" [1, K], "loc", "log_scale" [1, K, D] */
flow_base flow_made_mixture(int components, nn_net made, double eps);
/* Learned accept-reject (LARS): normal proposals accepted with probability sigmoid(accept(z)) (a net of one output, under
 * "accept"; not of cond), the last of `proposals` (at least 2) in any case.  The density is that of the samples, up to its
 * normaliser Z = E a, a mean over antithetic normal points: 1,024 new ones in each training step, the same 16,384 in
 * evaluation.  So log-densities share one error, of standard deviation below sd(a) / (128 Z) nats; "log_z" is a metric. */
flow_base flow_resampled(int proposals, nn_net accept);

typedef struct {
	flow *f;
	flow_base base;
} flow_density;
/* Paths: the flow under "flow", the base under "base". */
ad_var flow_log_prob(const flow_density *d, nn c, ad_var x, ad_var cond); /* [B], nats */
ad_var flow_sample(const flow_density *d, nn c, ad_shape event, ad_var cond, double temperature);
ad_var flow_nll(const flow_density *d, nn c, ad_var x, ad_var cond); /* minus the mean log density: a loss */

/* --- Published models, each a page of composition ------------------------------------------------------------------- */

typedef struct {
	int layers; /* zeros: the model's own values, given in its source beside the paper's */
	int64_t width;
	int depth;
	int bins;
	double bound, dropout;
	const char *act;  /* a name of nn_acts */
	const char *norm; /* between layers: "actnorm" (default), "batch" or "none" */
	int64_t rank;     /* directions of a Sylvester flow */
	const char *base; /* a name that flow_model_base knows; NULL: normal */
	int components;   /* of the bases mixture and made; proposals of lars */
	const char *direction; /* "sampling": the model is turned round, so that its easy direction samples */
	int units, nodes; /* of monotone maps: see the keys */
	const char *sigmoid; /* of NAF: "dsf" (default) or "ddsf" */
	double jacobi;    /* autoregressive inverses by sweeps to this tolerance (autoregressive.h); 0: row by row */
	int reversible;   /* 1: activations are rebuilt in training instead of kept (reversible.h) */
	const char *map;  /* the scalar map of the spline models: "rational-quadratic" (default), "cubic", .., "additive" */
	const char *linear; /* between layers of the spline models: "lu" after a permutation (default), "permutation", "none" */
	/* Residual flows, see flows/residual.h: */
	double coeff;                 /* bound of each linear's norm */
	int n_exact, n_exact_eval;    /* terms of the series without a tail */
	const char *estimator, *tail; /* in training: "auto", "exact", "basic", "neumann"; "geometric", "poisson", "none" */
	const char *contraction;      /* activation of known Lipschitz constant: a name of nn_lip_acts */
	int steps;                   /* of a continuous flow's solver in training (4 times as many in evaluation); 0: 4, or as tol asks of an adaptive one */
	const char *solver;          /* its method, as ad_ode_method_named has it; NULL: "rk4" */
	double tol;                  /* of an adaptive solver, relative and absolute; 0: 1e-5 */
	double kinetic, frobenius;   /* weights of its regularisers */
} flow_model_opt;
flow *flow_independent(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_nice(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_realnvp(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_maf(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_iaf(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_nsf_coupling(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_nsf_autoregressive(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_planar_model(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_radial_model(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_sylvester_model(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_cpflow(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_tarflow(flow_mem *m, int64_t dim, flow_model_opt o);
/* The base that o.base names: normal, learned (normal), logistic, student, mixture, made, lars. */
flow_base flow_model_base(flow_model_opt o);
flow *flow_resflow(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_idensenet(flow_mem *m, int64_t dim, flow_model_opt o);

/* All of them by name.  Ends with a NULL name. */
typedef struct {
	const char *name, *about;
	flow *(*make)(flow_mem *m, int64_t dim, flow_model_opt o);
	int64_t min_dim;
	const char *keys; /* the options that it takes, separated by blanks */
} flow_model_row;
extern const flow_model_row flow_models[];
/* NULL with the reason in why: unknown name, too few dimensions, options out of range. */
flow *flow_model(flow_mem *m, const char *name, int64_t dim, flow_model_opt o, char why[160]);
/* Options by key, as "width" "128": the fields of flow_model_opt.  Ends with a NULL key. */
typedef enum { FLOW_INT, FLOW_INT64, FLOW_REAL, FLOW_ACT, FLOW_WORD } flow_option_kind;
typedef struct {
	const char *key, *about;
	flow_option_kind kind;
	size_t at;         /* in flow_model_opt */
	double lo, hi;     /* of numbers */
	const char *const *words; /* FLOW_WORD: the values, ending with NULL */
} flow_model_key;
extern const flow_model_key flow_model_keys[];
bool flow_model_takes(const char *model, const char *key);
/* Sets one; false with the reason in why (unknown key, bad value). */
bool flow_model_set(flow_model_opt *o, const char *key, const char *value, char why[160]);
/* The value of a number, or of an option that is a name (NULL: unset, or a number). */
double flow_option_number(const flow_model_opt *o, const flow_model_key *k);
const char *flow_option_text(const flow_model_opt *o, const flow_model_key *k);
/* False, and nothing is put, if v is neither 0 (unset) nor a value that the option takes; true if it is of another kind. */
bool flow_option_put(flow_model_opt *o, const flow_model_key *k, double v);
/* Unchecked; does nothing if the option is of another kind.  The text is borrowed. */
void flow_option_put_text(flow_model_opt *o, const flow_model_key *k, const char *v);

/* --- The laws, for any flow ------------------------------------------------------------------------------------------- */

typedef struct {
	ad_shape event;     /* without the batch */
	int64_t cond;       /* extent of cond, 0: none */
	int samples;        /* 0: 16 */
	uint64_t seed;
	double scale;       /* data: scale * normal + shift; 0: 1 */
	double shift;
	bool unit;          /* data uniform in (0, 1) instead */
	double tolerance;   /* 0: 1e-9 */
	double perturb;     /* normal noise of this size is added to parameters, so that none is special; 0: 0.1 */
	bool triangular;    /* the Jacobian must be lower triangular in the order given by perm (NULL: as is) */
	const int *perm;
	bool no_quadrature; /* 1-D and 2-D densities are integrated unless said */
	bool bounded;       /* skip the extreme arguments 1e-30 .. 1e30 */
	FILE *report;       /* NULL: silent but for failures on stderr */
} flow_check_opt;
/* Inverse, log-determinant against the Jacobian built by jvp, both directions' log-determinants, gradients at orders 1
 * and 2 against differences, finite values and gradients at extremes, the density's integral, fp32 near fp64, bits
 * equal for several tiles and threads.  Returns the number of laws broken, each printed in a line. */
int flow_check(const flow *f, flow_check_opt o);

#ifdef __cplusplus
}
#endif

#endif
