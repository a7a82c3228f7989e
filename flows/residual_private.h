/* residual_private.h - log-determinants of I + dg/dx.  Private to flows/. */
#ifndef FLOW_RESIDUAL_PRIVATE_H
#define FLOW_RESIDUAL_PRIVATE_H

#include "residual.h"

/* A tail's probabilities: survival[j - 1] = P(N >= j), until it is below the smallest number that noise can be. */
typedef struct {
	int n;
	double *survival;
} flow__tail;
flow__tail flow__tail_new(flow_mem *m, flow_tail kind, double rate);

ad_var flow__logdet_exact(ad_var g, ad_var x);
ad_var flow__logdet_traces(ad_var g, ad_var x, int terms);
/* Number of terms (rank 0): terms + N. */
ad_var flow__terms(nn c, int terms, const flow__tail *tail);
/* c[k], k = 0 .. terms + tail->n. */
double *flow__coefficients(flow_mem *m, int terms, const flow__tail *tail);
/* J^T v */
ad_var flow__pull(ad_var g, ad_var x, ad_var v);
ad_var flow__inner(ad_var a, ad_var b); /* over features: [B] */

#endif
