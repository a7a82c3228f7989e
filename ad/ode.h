/* ode.h - ordinary differential equations on the tape: y' = f(t, y), solved while the program runs.
 *
 * The right-hand side is a traced function of time and state; whatever it captures (weights, noise, conditions) receives
 * derivatives.  A state may be several arrays, each batched or all of them ordinary.  Solutions differentiate to any order,
 * in reverse and forward mode: by initial states, captured variables and times.
 *
 * A batched state is solved tile by tile, all steps of a tile before the next tile; so memory does not grow with the batch.
 * Adaptive solvers step every sample with its own step size, so that a sample's result does not depend on its neighbours.
 *
 * Mistakes (shapes, options that do not go together) are failures of the tape; a step size that underflows, a state that is not
 * finite, or too many steps end ad_run with a message that names time and norm.
 *
 * Sources: Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, 2nd ed. (tableaus, II.4 step control, III.1
 * Adams methods); Bogacki and Shampine 1989; Dormand and Prince 1980; Prince and Dormand 1981; Tsitouras 2011; Shampine 1986
 * (error weights and middle of DOPRI5); Chen et al. 2018 (adjoint); Pontryagin.
 */
#ifndef AD_ODE_H
#define AD_ODE_H

#include "ad.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
	/* Fixed steps. */
	AD_EULER,
	AD_MIDPOINT,
	AD_HEUN2,
	AD_HEUN3,
	AD_RK4,            /* classic */
	AD_RK4_38,         /* Kutta's 3/8 rule */
	AD_ADAMS_EXPLICIT, /* Adams-Bashforth, started by the 3/8 rule */
	AD_ADAMS_IMPLICIT, /* Adams-Bashforth-Moulton, the corrector iterated */
	/* Adaptive, or with fixed steps if steps or step_size is given. */
	AD_HEUN_EULER, /* order 2(1); the last slope is that at the predicted point (PEC): one evaluation a step */
	AD_BOSH3,      /* 3(2) */
	AD_TSIT5,      /* 5(4) */
	AD_DOPRI5,     /* 5(4) */
	AD_DOPRI8      /* 8(7), 13 stages */
} ad_ode_method;

/* Whose error decides a step of an adaptive solver.  Ordinary states: always the whole state. */
typedef enum {
	AD_ODE_SAMPLE, /* each sample's own: the default */
	AD_ODE_TILE,   /* one step size for the samples of a tile */
	AD_ODE_BATCH   /* for the whole batch, which must then be one tile (ad_options.tile), else the run fails */
} ad_ode_control;

typedef enum {
	AD_ODE_DIRECT,       /* of the discrete solution, exact; keeps the state at every step, and of its stages the results of
	                      * large products, if these are at most 128 KiB a sample (else they are computed again) */
	AD_ODE_CHECKPOINTED, /* the same numbers; keeps the state at about sqrt(steps) places, computes steps between once more */
	AD_ODE_ADJOINT       /* continuous adjoint: another solution, backwards in time; keeps nothing, exact up to the tolerance */
} ad_ode_gradient;

typedef struct {
	ad_ode_method method;
	/* Fixed steps: this many between two times asked for; or of this size, the last one shorter (the number of steps is then
	 * known only at run time, at most max_steps, if the times are variables). */
	int steps;
	double step_size;
	/* Adaptive: error of a step <= atol + rtol |y| in the root mean square of each array of the state.  0: 1e-6. */
	double rtol, atol;
	ad_ode_control control;
	double first_step;                       /* 0: chosen (Hairer II.4; two evaluations) */
	double safety, min_factor, max_factor;   /* 0: 0.9, 0.2, 10 */
	/* Derivatives include that of the first step's size where the solver chooses it (torchdiffeq's do).  With a slope whose
	 * derivative by time is whole that is of the order of the tolerance; else (FFJORD's code cuts it) it is not.  Not with
	 * AD_ODE_TILE. */
	bool first_derivative;
	bool integral_control;                   /* next step from the last error alone, as other libraries do; else PI */
	int max_steps;                           /* attempted between two times; 0: 1000 */
	bool keep_refused;                       /* stats.refused is wanted */
	ad_ode_gradient gradient;
	/* Steps do not stop at the times asked for: values there are interpolated (linearly with fixed steps; else by the
	 * method's quartic, which goes past the last time too). */
	bool interpolate;
	bool low_dense; /* with the middles that torchdiffeq has for BOSH3 and HEUN_EULER, of order 1; else theirs are of order 3 */
	/* Adams: at most adams_order - 1 slopes are used (0: 5, at most 12); corrections at most (0: 4), until they agree to
	 * rtol and atol. */
	int adams_order, corrections;
} ad_ode_opt;

/* Of all steps together: [B] with a batched state solved adaptively, else rank 0. */
typedef struct {
	ad_var evaluations, accepted, rejected;
	/* Adaptive, with two times or interpolate, else NULL: [.., max_steps, 2], start and signed size of each accepted, and of
	 * each rejected step (keep_refused); sizes beyond those counts are 0. */
	ad_var steps, refused;
} ad_ode_stats;

/* The shape that f's first argument must have: [B] if the state is batched and the solver adaptive, or the times are batched;
 * else rank 0. */
ad_shape ad_ode_time_shape(ad_ode_opt o, bool batched_state, bool batched_times);

/* f(t, y_0, .., y_n-1) has n results, the slopes, shaped as the state.  time[0] is that of y0; the others are where the
 * solution is asked for, in one direction, rank 0 or [B].  y[(j - 1) n + i] becomes array i at time[j].  stats may be NULL. */
void ad_ode(ad_fn *f, int n, const ad_var y0[], int ntime, const ad_var time[], ad_ode_opt o, ad_var y[], ad_ode_stats *stats);

/* With AD_ODE_ADJOINT: evaluations of the solutions backwards, traced so far for derivatives of y (a result of ad_ode); NULL: none. */
ad_var ad_ode_adjoint_evaluations(ad_var y);

/* "euler", "midpoint", "heun2", "heun3", "rk4", "rk4-38", "explicit-adams", "implicit-adams", "adaptive-heun", "bosh3",
 * "tsit5", "dopri5", "dopri8"; false if unknown. */
bool ad_ode_method_named(const char *name, ad_ode_method *m);

#ifdef __cplusplus
}
#endif

#endif
