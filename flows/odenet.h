/* odenet.h - nets of time-dependent layers from inside.  Private to flows/. */
#ifndef FLOWS_ODENET_H
#define FLOWS_ODENET_H

#include "flows/continuous.h"

/* A layer's derivative by its input: that of gate (W x), then of the activation behind it. */
typedef struct {
	ad_var weight; /* [out, in], or NULL: it is of another kind */
	ad_var gate;   /* [out] or [B, out], or NULL: 1 */
	ad_var slope;  /* of the activation, [B, out]; NULL: it does not act on numbers one by one, or there is none */
} flow__map;

/* The trace by the first dim of the net's inputs, which has as many outputs, [B]; or NULL: it has no such form. */
ad_var flow__net_trace(int n, const flow__map m[], int64_t dim);

#endif
