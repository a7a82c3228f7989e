/* continuous.h - continuous flows: z = x(T) with dx/dt = f(t, x), log|det dz/dx| = the integral of tr df/dx along the path.
 *
 * A field f and a way to solve make a flow; FLOW_FORWARD (data to latent) runs from time 0 to T, FLOW_INVERSE from T to 0.
 * Both directions cost the same; samples alone (flow_sample) are solved for without the log-determinant.  The flow hands up
 * the number of evaluations ("nfe", nn_metric) and its regularisers (nn_penalty) when it is traced for training.
 *
 * Sources: Chen et al. 2018 (neural ODEs); Grathwohl et al. 2019 (FFJORD); Finlay et al. 2020 (RNODE); Onken et al. 2021
 * (OT-Flow); Lipman et al. 2023, Tong et al. 2024 (flow matching); Hutchinson 1989.
 */
#ifndef FLOW_CONTINUOUS_H
#define FLOW_CONTINUOUS_H

#include "ad/ode.h"
#include "flows/flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Fields ------------------------------------------------------------------------------------------------------- */

typedef struct {
	ad_var x;     /* the slope, shaped as x */
	ad_var trace; /* of its Jacobian by x, [B], or NULL: to be found by derivatives */
	ad_var time;  /* derivative of the potential by time, [B], or NULL: there is none */
} flow_slope;

typedef enum { FLOW_T_IGNORE, FLOW_T_CONCAT, FLOW_T_SQUASH, FLOW_T_CONCATSQUASH, FLOW_T_BLEND, FLOW_T_HYPER } flow_time_layer;

/* A field of your own: a slope, and data for what it needs (borrowed). */
typedef struct flow_field flow_field;
struct flow_field {
	const char *kind;
	/* t: rank 0, or [B]; x [B, D]; cond [B, n] or NULL.  trace: whether a trace is wanted.  Traced inside the solver's
	 * function, so nothing but parameters, cond and noise may come from outside. */
	flow_slope (*slope)(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, bool trace);
	flow_time_layer layer;
	int64_t width;
	int depth;              /* hidden layers; of the potential: layers of its residual net */
	const int64_t *widths;  /* [depth], instead of width; borrowed */
	const char *act;        /* a name of nn_acts, or "square", or "swish_beta": y sigmoid(beta y) with one beta, trained */
	int64_t hyper;          /* hidden units of a hyper layer's net; 0: 8 */
	bool zero_last;         /* starts as the identity */
	int64_t rank;           /* potential: rows of A; 0: min(10, D + 1) */
	double alpha;           /* potential: slope = -grad / alpha; 0: 1 */
	const void *data;
};

/* A net of time-dependent layers "0", "1", ..: of y = main(x)
 *     ignore       main(x)
 *     concat       main([t, x])
 *     squash       main(x) sigmoid(hyper(t))
 *     concatsquash main(x) sigmoid(hyper_gate(t)) + hyper_bias(t)
 *     blend        (1 - t) main_0(x) + t main_1(x)
 *     hyper        weight and bias are a net of t: "hypernet"
 * cond is joined to x in the first layer.  act: NULL means tanh. */
flow_field flow_odenet(flow_time_layer layer, int64_t width, int depth, const char *act);
bool flow_time_layer_named(const char *name, flow_time_layer *l); /* "ignore", .. */
/* Minus the gradient of phi(x, t) = w.N(s) + |A s|^2 / 2 + c.s, s = (x, t), N a residual net of log(2 cosh) units; its trace in
 * closed form (OT-Flow).  depth layers (at least 2) of width. */
flow_field flow_potential(int64_t width, int depth);
ad_var flow_potential_value(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond); /* [B] */

/* --- The flow -------------------------------------------------------------------------------------------------------- */

typedef enum {
	FLOW_TRACE_EXACT,      /* the field's own trace, which nets mostly have, or D directional derivatives */
	FLOW_TRACE_RADEMACHER, /* e.J e, e of -1 and 1, one draw a solution: unbiased; in NN_EVAL too, so use EXACT there */
	FLOW_TRACE_GAUSSIAN
} flow_trace;

/* Integrated along the path, averaged over samples.  rms over the D numbers (D^2 of a Jacobian). */
typedef enum {
	FLOW_REG_L1,          /* mean |f| */
	FLOW_REG_L2,          /* rms f */
	FLOW_REG_DIRECTIONAL, /* rms J^T f */
	FLOW_REG_JACOBIAN,    /* rms J, exact */
	FLOW_REG_KINETIC,     /* |f|^2 (RNODE) */
	FLOW_REG_FROBENIUS,   /* |e J|^2 of the trace's noise, or exactly |J|^2 with an exact trace (RNODE) */
	FLOW_REG_TRANSPORT,   /* |f|^2 / 2 (OT-Flow) */
	FLOW_REG_HJB,         /* | d phi/dt - alpha |f|^2 / 2 |: fields with a potential */
	FLOW_REGS
} flow_regulariser;

typedef struct {
	ad_ode_opt solver;    /* all zeros: classic Runge-Kutta, 20 steps */
	ad_ode_opt eval;      /* in NN_EVAL; all zeros: the same.  A density is one only as far as its steps are fine */
	double end_time;      /* T; 0: 1 */
	bool train_end_time;  /* T = "sqrt_end_time"^2, trained from end_time */
	flow_trace trace;
	bool exact_eval;      /* EXACT in NN_EVAL, whatever trace says */
	double weight[FLOW_REGS]; /* of regularisers in the loss; 0: not computed */
} flow_cnf_opt;

/* Parameters under "odenet" (of a potential: under the flow's own path). */
flow *flow_cnf(flow_mem *m, const flow_field *f, flow_cnf_opt o); /* f is copied */

/* What flow_cnf does, one solution from (x, l): l [B], or NULL: zeros; noise shaped as x, or NULL: drawn.  With reg[] of
 * FLOW_REGS entries (or NULL) the integrals asked for by weights, [B]; nfe as ad_ode_stats has it. */
typedef struct {
	ad_var x, logdet, l, reg[FLOW_REGS], nfe;
} flow_path;
flow_path flow_cnf_solve(const flow_field *f, nn c, flow_cnf_opt o, ad_var x, ad_var l, ad_var cond, ad_var noise, flow_dir dir);
/* tr df/dx at (t, x), exact, or e.J e with noise e. */
ad_var flow_divergence(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, ad_var noise);

/* --- Flow matching --------------------------------------------------------------------------------------------------- */

/* x_t = alpha(t) x1 + sigma(t) x0 from noise x0 (t = 0) to data x1 (t = 1). */
typedef enum {
	FLOW_PATH_OT,         /* t, 1 - t */
	FLOW_PATH_POLYNOMIAL, /* t^n, 1 - t^n */
	FLOW_PATH_VP,         /* variance preserving: exp(-T/2), sqrt(1 - exp(-T)), T = (1-t)^2 (b1 - b0)/2 + (1-t) b0 */
	FLOW_PATH_LINEAR_VP,  /* t, sqrt(1 - t^2) */
	FLOW_PATH_COSINE      /* sin(pi t/2), cos(pi t/2) */
} flow_schedule_kind;
typedef struct {
	flow_schedule_kind kind;
	double n;            /* polynomial; 0: 1 */
	double beta0, beta1; /* VP; 0: 0.1 and 20 */
} flow_schedule;
typedef struct {
	ad_var alpha, sigma, d_alpha, d_sigma; /* shaped as t */
} flow_scheduled;
flow_scheduled flow_schedule_at(flow_schedule s, ad_var t);
ad_var flow_schedule_mix(ad_var alpha, ad_var sigma, ad_var x1, ad_var x0); /* alpha x1 + sigma x0, alpha and sigma [B] */
/* What a prediction says about another quantity at x_t: data, noise or velocity. */
typedef enum { FLOW_IS_DATA, FLOW_IS_NOISE, FLOW_IS_VELOCITY } flow_quantity;
ad_var flow_schedule_convert(flow_scheduled s, flow_quantity from, flow_quantity to, ad_var x_t, ad_var prediction);

/* Conditional flow matching for the same field that flow_cnf (end_time T) integrates: mean |f - dx/ds|^2 / D at times drawn
 * uniformly; s = T (1 - t) since our flows run from data to noise.  x0: [B, D] or NULL: normal noise is drawn.  c is the context
 * in which the flow's parameters lie (for flow_density: nn_in(c, "flow")). */
ad_var flow_matching_loss(const flow *cnf, nn c, flow_schedule s, ad_var x1, ad_var x0, ad_var cond);
/* Minibatch optimal transport: the assignment that minimises the sum of |x1_i - x0_to[i]|^2, exact, O(n^3) time; rows of d
 * numbers.  Feed x0 in that order.  to[n] is the caller's.  0, or -1 if a number is not finite or there is no memory. */
int flow_transport(int64_t n, int64_t d, const double *x1, const double *x0, int64_t *to);

/* --- Models ---------------------------------------------------------------------------------------------------------- */

flow *flow_ffjord(flow_mem *m, int64_t dim, flow_model_opt o);
flow *flow_otflow(flow_mem *m, int64_t dim, flow_model_opt o);

#ifdef __cplusplus
}
#endif

#endif
