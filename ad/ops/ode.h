/* ode.h - what the files of the ODE solvers share.  Private to ad/. */
#ifndef AD_OPS_ODE_H
#define AD_OPS_ODE_H

#include "../ode.h"
#include "scan.h"

typedef struct {
	const char *name;
	int stages, order;
	const double *a, *b, *c, *error, *mid; /* error: NULL for fixed steps only */
} ad__tableau;
const ad__tableau *ad__ode_tableau(ad_ode_method m, bool low);
void ad__adams(int n, int first, double *w); /* weights of slopes at first, first - 1, .. for a step of 1 from 0 */

enum { ODE_STAGES = 16, ODE_TIMES = 64, ODE_PARTS = 256 };

/* z' = F(t, z) with a flat state; cap: aliases of what F captured, or NULL for itself. */
typedef struct {
	ad_fn *F;
	const ad_var *cap;
	int64_t D;
	int parts; /* arrays that the state is made of */
	int64_t part[ODE_PARTS];
	bool batched, lanes; /* lanes: t is [B] */
	ad_dtype d;
	ad_ode_opt o; /* defaults filled in */
	const ad__tableau *tab;
	bool adaptive;
} ad__problem;

ad_var ad__slope(const ad__problem *p, ad_var t, ad_var z);
ad_shape ad__state(const ad__problem *p, int64_t n);		/* [B, n] or [n] */
ad_var ad__cut(ad_var x, int64_t at, int64_t n);		/* of the last axis */
ad_var ad__column(const ad__problem *p, ad_var t);		/* [B] as [B, 1]; rank 0 as it is */
ad_var ad__weighted(int n, const double w[], const ad_var k[]); /* NULL if all weights are zero */
bool ad__known(ad_var t, double *v);				/* the value of a constant */

/* One Runge-Kutta step: slopes k[0 ..] (k[0] given if first is not NULL); returns the new state.  all: also the slope
 * at the end that methods with an error estimate have as their last stage. */
ad_var ad__rk_step(const ad__problem *p, const ad__tableau *tab, ad_var t, ad_var h, ad_var z, ad_var first, bool all,
		   ad_var k[]);
/* Values between, s in (0, 1): linear, or by the quartic. */
ad_var ad__between(const ad__tableau *tab, ad_var h, ad_var s, ad_var z0, ad_var z1, const ad_var k[]);

/* A grid: starts and signed sizes of n steps, [.., n, 2]; only the first count of them if that is not NULL. */
typedef struct {
	ad_var v, count;
	int64_t n;
} ad__grid;
/* Values wanted between steps: number of the step, and time; rank 0 or [B]. */
typedef struct {
	int n;
	ad_var step[ODE_TIMES], time[ODE_TIMES];
} ad__wanted;
/* Runs all steps from z; out[j] the wanted values, or out[0] the end if none.  Returns evaluations beyond a fixed
 * number a step (implicit Adams), or NULL. */
ad_var ad__steps(const ad__problem *p, ad_var z, ad__grid g, const ad__wanted *w, ad_var out[]);

/* Adaptive control: node of no derivative, [.., K]: values (wanted, or the end), grid relative to (t0, t1 - t0),
 * counts. */
typedef struct {
	ad_var node, value, grid, count, evaluations, rejected, refused;
	ad__wanted wanted;
} ad__controlled;
ad__controlled ad__control(const ad__problem *p, ad_var z, int ntime, const ad_var time[]);
/* The values of the controlled solution by their own steps, frozen: what derivatives are taken of. */
void ad__replay(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var node, ad_var out[]);
ad__controlled ad__control_of(const ad__problem *p, ad_var node, int ntime, const ad_var time[]);

ad__grid ad__fixed_grid(const ad__problem *p, ad_var t0, ad_var t1);
ad_var ad__step_of(ad__grid g, ad_var t0, ad_var end, ad_var time); /* in which step a time lies: as many as end before it */
/* The grid of an adaptive solution from z, whose derivative is that of its first step's size. */
ad_var ad__first_moved(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var grid);

/* One interval (or all, interpolated) with discrete derivatives; adds to the statistics. */
void ad__solve(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var out[], ad_ode_stats *s);
/* The same with the continuous adjoint's. */
void ad__solve_adjoint(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var out[], ad_ode_stats *s);
/* gin[0], gin[1 ..], gin[1 + ntime ..]: derivatives of <g, r> by z0, times and what F captured, by the continuous
 * adjoint from the values r [.., D nvalue].  Returns evaluations. */
ad_var ad__adjoint(const ad__problem *p, ad_var r, ad_var g, ad_var z0, int ntime, const ad_var time[], ad_var gin[]);

#endif
