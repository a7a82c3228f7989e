/* trace.c - a flow traced on a scratch tape and store, to be looked at. */
#include "private.h"

#include <stdlib.h>

flow__trace flow__traced(const flow *f, ad_shape event, int64_t cond)
{
	flow__trace t = { .tape = ad_tape_new(AD_F32), .store = nn_store_new(AD_F32, 0) };
	nn c = nn_begin(t.tape, t.store, NN_INIT);
	ad_var x = ad_input(t.tape, AD_F32, flow__batched(event), "x");
	ad_var y = cond ? ad_input(t.tape, AD_F32, AD_SHAPE(AD_BATCH, cond), "cond") : NULL;
	ad_var out[FLOW_PORTS];
	flow__log *before = flow__set_log(&t.log);
	if (flow__nx(f, FLOW_FORWARD) != 1)
		ad_fail(t.tape, "%s: has several inputs", f->kind);
	else
		flow_apply_n(f, c, &x, y, f->caps.forward == FLOW_ABSENT ? FLOW_INVERSE : FLOW_FORWARD, out);
	flow__set_log(before);
	t.error = ad_error(t.tape) ? ad_error(t.tape) : nn_error(t.store);
	return t;
}

void flow__trace_free(flow__trace *t)
{
	free(t->log.row);
	ad_tape_free(t->tape);
	nn_store_free(t->store);
}
