/* autoregressive.h - how the inverse of an autoregressive flow is computed.
 *
 * z_d = map(x_d; p_d(x_before d)) is solved for x.  Row by row, the default, makes every hidden unit once, as soon as the
 * dimensions that it sees are known: a solution costs about one evaluation of the net (docs/autodiff.md).  Sweeps evaluate the
 * net for all dimensions at once, again and again from x = 0: after k sweeps the first k dimensions are right, so that D are
 * exact, which is what other libraries do; far fewer are often near enough (Song et al. 2021, "Accelerating feedforward
 * computation via parallel nonlinear equation solving"; Wiggers & Hoogeboom 2020).  Row by row is faster nearly always; sweeps
 * serve as its reference, and for nets in which no rows can be told apart.
 */
#ifndef FLOWS_AUTOREGRESSIVE_H
#define FLOWS_AUTOREGRESSIVE_H

#include "flows/flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { FLOW_ROWS, FLOW_SWEEPS } flow_solver_kind;
typedef struct {
	flow_solver_kind kind;
	/* FLOW_SWEEPS: a sample is done when a sweep changes no x by more than tolerance (1 + max |x|), or after D sweeps.
	 * 0: when nothing changes any more, which is exact.  Otherwise the inverse counts as iterative, and rebuilds nothing:
	 * what a last small change does to later dimensions is not bounded by it. */
	double tolerance;
} flow_solver;
/* As flow_autoregressive, whose inverse goes row by row. */
flow *flow_autoregressive_with(flow_mem *m, flow_map map, nn_net net, int64_t dim, const int *order, flow_solver how);

#ifdef __cplusplus
}
#endif

#endif
