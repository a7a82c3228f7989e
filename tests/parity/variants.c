/* variants.c - layers in the parametrisations of other libraries. */
#include "layers.h"

#include "flows/variants.h"

#include <string.h>

int64_t *hidden_widths(spec *s, const char *prefix, const char *array_name, int linears)
{
	int64_t *w = parity_alloc(s->p, (size_t)linears * sizeof *w);
	for (int i = 0; i < linears - 1; i++)
		w[i] = parity_array(s->p, "params/layers/%d/%slinear_%d/%s", s->k, prefix, i, array_name)->dim[0];
	return w;
}

flow *layer_gated(spec *s)
{
	static const word realify[] = { { "sigmoid", 1 }, { "softplus", 0 }, { NULL, 0 } };
	const json *made = parity_member(s->p, s->o, "made", JSON_OBJECT);
	int linears = (int)parity_count(s->p, made, "num_linear");
	needs_context(s, made);
	if (linears < 1 || strcmp(json_string(made, "activation", "elu"), "elu"))
		parity_unsupported(s->p, "layer %d: a net of %d linears with \"%s\"", s->k, linears,
				   json_string(made, "activation", "elu"));
	return flow_gated_autoregressive(s->mem, s->dim, choice(s, "realify", realify, "sigmoid"), linears - 1,
					 hidden_widths(s, "made/", "direction", linears),
					 json_number(s->o, "delta", 0));
}

flow *layer_context_affine(spec *s)
{
	s->cond = true;
	return flow_context_affine(s->mem, s->dim, json_number(s->o, "delta", 0));
}

static flow_maf_exp_opt maf_options(spec *s, const char *first)
{
	flow_maf_exp_opt o = { .split = json_true(s->o, "split"), .tanh_log_scale = json_true(s->o, "tanh_log_scale") };
	o.hidden = parity_array(s->p, "params/layers/%d/%slinear_0/weight", s->k, first)->dim[0];
	o.shift_act = activation(s->p, s->o, json_get(s->o, "shift_activation") ? "shift_activation" : "activation");
	o.log_scale_act = activation(s->p, s->o, "log_scale_activation");
	return o;
}

flow *layer_maf_exp(spec *s)
{
	s->cond |= parity_find(s->p, "params/layers/%d/%slinear_0/context_weight", s->k,
			       json_true(s->o, "split") ? "shift/" : "") != NULL;
	return flow_maf_exp(s->mem, s->dim, maf_options(s, json_true(s->o, "split") ? "shift/" : ""));
}

flow *layer_masked_coupling_exp(spec *s)
{
	const array *first = parity_array(s->p, "params/layers/%d/shift/linear_0/weight", s->k);
	s->cond |= first->rank == 2 && first->dim[1] > s->dim;
	return flow_masked_coupling_exp(s->mem, s->dim, integers(s, "mask", s->dim), maf_options(s, "shift/"));
}

static flow *freia(spec *s, flow_freia_kind kind, const char *net)
{
	static const word clamps[] = { { "ATAN", FLOW_CLAMP_ATAN },
				       { "TANH", FLOW_CLAMP_TANH },
				       { "SIGMOID", FLOW_CLAMP_SIGMOID },
				       { "none", FLOW_CLAMP_ATAN },
				       { NULL, 0 } };
	int64_t hidden = parity_array(s->p, "params/layers/%d/%s/linear_0/weight", s->k, net)->dim[0];
	int *split = integers(s, "split", 2);
	if (kind != FLOW_FREIA_NICE && !strcmp(json_string(s->o, "clamp_activation", "ATAN"), "none"))
		parity_unsupported(s->p, "layer %d: scales without \"clamp_activation\"", s->k);
	return flow_freia(s->mem, kind, s->dim, split[0], hidden, json_number(s->o, "clamp", 0),
			  (flow_freia_clamp)choice(s, "clamp_activation", clamps, "ATAN"));
}

flow *layer_freia_nice(spec *s)
{
	return freia(s, FLOW_FREIA_NICE, "f");
}
flow *layer_freia_rnvp(spec *s)
{
	return freia(s, FLOW_FREIA_RNVP, "subnet_s1");
}
flow *layer_freia_glow(spec *s)
{
	return freia(s, FLOW_FREIA_GLOW, "subnet1");
}
flow *layer_freia_gin(spec *s)
{
	return freia(s, FLOW_FREIA_GIN, "subnet1");
}
flow *layer_freia_one_sided(spec *s)
{
	return freia(s, FLOW_FREIA_ONE_SIDED, "subnet");
}

static flow_map zuko_map(spec *s)
{
	const char *kind = json_string(s->o, "univariate", "");
	double slope = json_number(s->o, "slope", 0);
	if (!strcmp(kind, "affine_zuko"))
		return flow_affine_zuko(slope);
	if (strcmp(kind, "rqs_zuko"))
		return zuko_monotone_map(s);
	const json *shapes = parity_member(s->p, s->o, "shapes", JSON_ARRAY);
	const json *widths = shapes->n ? &shapes->item[0] : NULL;
	if (!widths || widths->type != JSON_ARRAY || widths->n != 1 || widths->item[0].type != JSON_NUMBER)
		parity_bad(s->p, "config: layer %d: \"shapes\" does not give the number of bins", s->k);
	return flow_rqs_zuko((int)widths->item[0].number, json_number(s->o, "bound", 5), slope);
}

static int zuko_linears(spec *s)
{
	int n = (int)parity_count(s->p, s->o, "num_linear");
	if (n < 1 || strcmp(json_string(s->o, "activation", "relu"), "relu"))
		parity_unsupported(s->p, "layer %d: a net of %d linears with \"%s\"", s->k, n,
				   json_string(s->o, "activation", "relu"));
	return n;
}

flow *layer_hyper_autoregressive(spec *s)
{
	int n = zuko_linears(s);
	if (json_number(s->o, "passes", (double)s->dim) != (double)s->dim)
		parity_unsupported(s->p, "layer %d: fewer passes than dimensions", s->k);
	return flow_hyper_autoregressive(s->mem, zuko_map(s), s->dim, integers(s, "order", s->dim), n - 1,
					 hidden_widths(s, "hyper/", "bias", n));
}

flow *layer_hyper_coupling(spec *s)
{
	int n = zuko_linears(s);
	return flow_hyper_coupling(s->mem, zuko_map(s), s->dim, integers(s, "mask", s->dim), n - 1,
				   hidden_widths(s, "hyper/", "bias", n));
}
