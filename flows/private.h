/* private.h - what the files of flows/ share. */
#ifndef FLOWS_PRIVATE_H
#define FLOWS_PRIVATE_H

#include "flows/flow.h"

/* The context of child i: named, or its kind and ordinal. */
nn flow__in(nn c, flow *const child[], int i);

/* While tracing, every application of a flow is recorded here if it is not NULL (printing, DOT). */
typedef struct {
	const flow *f;
	char path[192];
	flow_dir dir;
	int nx, ny, depth;
	bool leaf; /* applied no other flow */
	ad_var x[FLOW_PORTS], y[FLOW_PORTS];
} flow__record;
typedef struct {
	flow__record *row;
	int n, room, depth;
} flow__log;
/* Traces f forward on its own tape and store and lists applications, outer ones before inner ones. */
typedef struct {
	ad_tape *tape;
	nn_store *store;
	flow__log log;
	const char *error; /* NULL: all is well */
} flow__trace;
flow__trace flow__traced(const flow *f, ad_shape event, int64_t cond);
void flow__trace_free(flow__trace *t);
/* Makes the log current and returns the one before. */
flow__log *flow__set_log(flow__log *log);
/* Whether whoever traces now wants log-determinants: true but for samples alone.  A flow whose log-determinant costs more than
 * dead code (one solution gives both) may return NAN instead if not.  want returns what held before. */
bool flow__logdet_wanted(void);
bool flow__want_logdet(bool wanted);

ad_shape flow__event(ad_var x);			       /* its shape without the batch */
ad_shape flow__batched(ad_shape event);		       /* [AD_BATCH, event..] */
const char *flow__shape_str(ad_shape s, char buf[96]); /* "[3,4]" */
/* Through a scalar map with free parameters "params" [event.., nparam] under c; the log-determinant summed. */
flow_out flow__elementwise(const flow_map *m, nn c, ad_var x, flow_dir dir);
ad_var flow__sum(const flow_map *m, nn c, ad_var x, ad_var logdet); /* over the event */
/* A sample of d: its latent, what the inverse gave, and nn_draws before the inverse. */
typedef struct {
	ad_var z;
	flow_out out;
	int draws;
} flow__sample;
flow__sample flow__sampled(const flow_density *d, nn c, ad_shape event, ad_var cond, double temperature);
int flow__nx(const flow *f, flow_dir d);
int flow__ny(const flow *f, flow_dir d);
/* What kind of composition f is. */
bool flow__is_chain(const flow *f);
bool flow__is_inverse(const flow *f);
int flow__times(const flow *f); /* of a repeat; else 0 */

#endif
