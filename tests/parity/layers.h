/* layers.h - what the makers of layers share. */
#ifndef PARITY_LAYERS_H
#define PARITY_LAYERS_H

#include "parity.h"

/* A layer to be made. */
typedef struct {
	parity *p;
	const json *o; /* of the layer */
	int k;
	flow_mem *mem;
	int64_t dim;
	bool cond; /* set by layers that take the context */
} spec;

typedef struct {
	const char *name;
	int value;
} word;

/* The value named by member key; the table ends with NULL.  No other name is supported. */
int choice(spec *s, const char *key, const word *w, const char *otherwise);
int *integers(spec *s, const char *key, int64_t n); /* the list of n at key */
const nn_act *activation(parity *p, const json *o, const char *key);
void needs_context(spec *s, const json *net);

/* variants.c */
flow *layer_gated(spec *s);
flow *layer_context_affine(spec *s);
flow *layer_maf_exp(spec *s);
flow *layer_masked_coupling_exp(spec *s);
flow *layer_freia_nice(spec *s);
flow *layer_freia_rnvp(spec *s);
flow *layer_freia_glow(spec *s);
flow *layer_freia_gin(spec *s);
flow *layer_freia_one_sided(spec *s);
flow *layer_hyper_autoregressive(spec *s);
flow *layer_hyper_coupling(spec *s);

/* residual.c */
flow *layer_ires(spec *s);
flow *layer_idense(spec *s);

#endif
