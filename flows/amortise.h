/* amortise.h - parameters that are free, or free plus the outputs of a net of cond.  Private to flows/. */
#ifndef FLOW_AMORTISE_H
#define FLOW_AMORTISE_H

#include "flow.h"

typedef struct {
	nn c;
	ad_var out; /* of the net, [B, total]; NULL: free */
	int64_t at;
} flow__source;
/* total: how many numbers will be taken.  Free without a net (apply NULL) or without cond. */
flow__source flow__source_of(nn c, const nn_net *net, ad_var cond, int64_t total);
/* Parameter "name" as [s..], or [B, s..]; an entry already in the store may have any shape of as many numbers. */
ad_var flow__source_take(flow__source *s, const char *name, ad_shape shape, nn_fill fill);

/* Sums over the last axis, kept; x.y the same. */
ad_var flow__last(ad_var x);
ad_var flow__dot(ad_var x, ad_var y);
/* Rows of x [B, n] through w [m, n], or [B, m, n]. */
ad_var flow__rows_through(ad_var w, ad_var x);

#endif
