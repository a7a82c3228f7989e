/* lowrank.c - planar, radial and Sylvester layers, convex potentials, FrEIA's all-in-one block. */
#include "layers.h"

#include "flows/lowrank.h"
#include "flows/potential.h"
#include "flows/variants.h"

#include <string.h>

/* A configuration may hold only what is understood. */
static void only(spec *s, const char *const keys[])
{
	for (int i = 0; i < s->o->n; i++) {
		int k = 0;
		while (keys[k] && strcmp(keys[k], s->o->key[i]))
			k++;
		if (!keys[k])
			parity_unsupported(s->p, "layer %d: option \"%s\"", s->k, s->o->key[i]);
	}
}

static const array *param(spec *s, const char *name)
{
	return parity_array(s->p, "params/layers/%d/%s", s->k, name);
}

flow *layer_planar(spec *s)
{
	static const word acts[] = { { "tanh", 0 }, { "leaky_relu", 1 }, { NULL, 0 } };
	static const word constraints[] = { { "softplus", 0 }, { NULL, 0 } };
	only(s, (const char *const[]){ "type", "activation", "slope", "constraint", NULL });
	choice(s, "constraint", constraints, "softplus");
	flow_planar_opt o = { .leaky = choice(s, "activation", acts, "tanh"), .slope = json_number(s->o, "slope", 0) };
	return flow_planar(s->mem, s->dim, o);
}

flow *layer_radial(spec *s)
{
	only(s, (const char *const[]){ "type", NULL });
	return flow_radial(s->mem, s->dim, (nn_net){ 0 });
}

flow *layer_sylvester(spec *s)
{
	only(s, (const char *const[]){ "type", "num_ortho", NULL });
	const array *q = param(s, "q");
	int64_t rank = parity_count(s->p, s->o, "num_ortho");
	if (q->rank != 2 || q->dim[1] != rank)
		parity_bad(s->p, "config: layer %d: \"num_ortho\" is %lld, but q has another number of columns", s->k,
			   (long long)rank);
	return flow_sylvester_given(s->mem, s->dim, rank, false, NULL);
}

flow *layer_triangular_sylvester(spec *s)
{
	only(s, (const char *const[]){ "type", "permutation", NULL });
	const json *j = json_get(s->o, "permutation");
	bool given = j && j->type != JSON_NULL;
	return flow_sylvester_given(s->mem, s->dim, s->dim, true, given ? integers(s, "permutation", s->dim) : NULL);
}

flow *layer_all_in_one(spec *s)
{
	static const word scales[] = { { "softplus", FLOW_FREIA_SOFTPLUS },
				       { "sigmoid", FLOW_FREIA_SIGMOID },
				       { "exp", FLOW_FREIA_EXP },
				       { NULL, 0 } };
	only(s, (const char *const[]){ "type", "split", "clamp", "gin", "global_scale_type", "householder", "soft",
				       "reverse", NULL });
	const array *hidden = param(s, "subnet/linear_0/weight");
	flow_freia_block_opt o = {
		.split = integers(s, "split", 2)[0],
		.hidden = hidden->dim[0],
		.householder = parity_count(s->p, s->o, "householder"),
		.clamp = parity_member(s->p, s->o, "clamp", JSON_NUMBER)->number,
		.scale = (flow_freia_scale)choice(s, "global_scale_type", scales, "softplus"),
		.gin = json_true(s->o, "gin"),
		.reverse = json_true(s->o, "reverse"),
	};
	/* Reflections follow a first rotation, drawn as a matrix where "soft" is not set too. */
	o.soft = json_true(s->o, "soft") || o.householder > 0;
	s->cond |= hidden->rank == 2 && hidden->dim[1] > o.split;
	return flow_freia_all_in_one(s->mem, s->dim, o);
}

flow *layer_convex_potential(spec *s)
{
	static const word smooth[] = { { "softplus", 0 }, { "gaussian_softplus", 1 }, { NULL, 0 } };
	only(s, (const char *const[]){ "type", "hidden", "num_hidden_layers", "symmetric_first", "softplus",
				       "zero_softplus", NULL });
	flow_potential_opt o = {
		.width = parity_count(s->p, s->o, "hidden"),
		.depth = (int)parity_count(s->p, s->o, "num_hidden_layers"),
		.gaussian = choice(s, "softplus", smooth, "softplus"),
		.centred = json_true(s->o, "zero_softplus"),
		.even = json_true(s->o, "symmetric_first"),
	};
	return flow_convex_potential(s->mem, s->dim, o);
}
