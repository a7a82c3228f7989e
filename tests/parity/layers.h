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
nn_net layer_net(spec *s); /* member "conditioner" */
int *layer_mask(spec *s);  /* elements transformed: those of transform_index, or of mask 1 */
/* Widths of the hidden layers of linears <prefix>linear_0, linear_1, .., from the extents of these arrays. */
int64_t *hidden_widths(spec *s, const char *prefix, const char *array_name, int linears);

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

/* lowrank.c */
flow *layer_planar(spec *s);
flow *layer_radial(spec *s);
flow *layer_sylvester(spec *s);
flow *layer_triangular_sylvester(spec *s);
flow *layer_all_in_one(spec *s);
flow *layer_convex_potential(spec *s);
/* neural.c */
flow *layer_sigmoidal(spec *s);
flow *layer_block_autoregressive(spec *s);
flow *layer_umnn(spec *s);
flow *layer_circular_coupling(spec *s);
flow *layer_gaussianization(spec *s);
flow *layer_rotation(spec *s);
flow_map zuko_monotone_map(spec *s);
/* residual.c */
flow *layer_ires(spec *s);
flow *layer_idense(spec *s);

#endif
