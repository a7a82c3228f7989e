/* reversible.h - training in memory that does not grow with depth: a chain that rebuilds its activations by inversion.
 *
 * Ordinary training keeps what every layer needs for its derivative until the way back comes to it.  A reversible chain keeps
 * its output only: on the way back each layer's input is computed from its output by the layer's inverse, and its inner values
 * once more (Dinh et al. 2017; Gomez et al. 2017, "The Reversible Residual Network").  Values, gradients of any order, paths
 * and parameters are those of the chain, so that weights move freely between the two; memory of the values of a training step
 * does not grow with the number of layers, and a step takes about one density evaluation and one inverse more.
 * docs/reversible.md has measurements, and what rounding does in long chains.
 */
#ifndef FLOWS_REVERSIBLE_H
#define FLOWS_REVERSIBLE_H

#include "flows/flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	/* The value between layers is kept after each run of so many, where the rebuilding starts afresh: bounds what rounding
	 * adds up to, for [B, event] numbers a run.  0: never. */
	int every;
	/* Layers that cannot rebuild their input (their caps.rebuilds is false: iterative inverses, batch statistics) stay as they
	 * are, values kept, between the runs of those that can.  Without it such a layer is an error at trace time. */
	bool mixed;
} flow_reversible_opt;
/* The same flow as f, trained so.  f: a chain, a repeat, an inverse of these, or any one flow; chains within chains count as
 * their layers, a graph as one layer.  Both directions (training by sampling too) are reversible. */
flow *flow_reversible(flow_mem *m, flow *f, flow_reversible_opt o);
/* Whether every layer can rebuild its input; else false, with the layer and its path in why. */
bool flow_rebuilds(const flow *f, char why[160]);

#ifdef __cplusplus
}
#endif

#endif
