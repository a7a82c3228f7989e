/* workload.h - the models on which speed is measured: sizes by name, and their composition from flows.
 *
 * A workload is written NAME or NAME:key=value,.. with other sizes; keys are dim, layers, width, depth (hidden layers of
 * a net), batch, reversible (1: the chain rebuilds its activations), for splines bins and tail, for sigmoidal maps signal
 * (their units), for FFJORD steps.  Residual nets have (depth - 1) / 2 blocks, so that a depth stands for the same products
 * in every kind of net.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "flows/flow.h"

typedef enum {
	WORKLOAD_MAF,
	WORKLOAD_NSF_AR,
	WORKLOAD_NSF_C,
	WORKLOAD_REALNVP,
	WORKLOAD_NAF,
	WORKLOAD_RESFLOW,
	WORKLOAD_FFJORD
} workload_kind;
typedef struct {
	const char *name;
	workload_kind kind;
	int64_t dim, layers, width, depth, batch, bins;
	double tail;
	int64_t signal;
	int64_t reversible;
	int64_t steps; /* FFJORD: of classic Runge-Kutta */
	bool exact;    /* its trace; else one Rademacher probe */
} workload;

extern const workload workloads[]; /* ends with a NULL name */

/* false with the reason in why. */
bool workload_parse(const char *text, workload *w, char why[160]);
flow *workload_flow(const workload *w, flow_mem *m);
/* Whether the flow can be reversible; else the reason in why. */
bool workload_can_reverse(const workload *w, flow_mem *m, char why[160]);
/* Names, sizes and batch of all in a table, for --help; static. */
const char *workload_table(void);
/* A fixed batch, [batch, dim]: correlated, bounded by 1.2, of about unit scale.  Caller frees. */
float *workload_batch(const workload *w);

#endif
