/* residual.c - residual blocks and their nets. */
#include "residual.h"

#include "layers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double norm_p(parity *p, const json *o, const char *key)
{
	const json *j = json_get(o, key);
	if (!j)
		return 2;
	if (j->type == JSON_STRING && !strcmp(j->string, "inf"))
		return INFINITY;
	if (j->type != JSON_NUMBER || !(j->number >= 1))
		parity_bad(p, "config: \"%s\" is no norm", key);
	return j->number;
}

int iterations_after_step(parity *p)
{
	const char *text = json_string(p->config, "after_step", NULL);
	int n = 0;
	if (text && (sscanf(text, "%d power iterations", &n) != 1 || n < 1))
		parity_unsupported(p, "work after each step: \"%s\"", text);
	return n;
}

nn_induced induced(parity *p, const json *o)
{
	int n = iterations_after_step(p);
	return (nn_induced){ .coeff = parity_member(p, o, "coeff", JSON_NUMBER)->number,
			     .domain = norm_p(p, o, "domain"),
			     .codomain = norm_p(p, o, "codomain"),
			     .iterations = n ? n : 1 };
}

static int64_t rows(parity *p, const char *at, int i)
{
	const array *w = parity_array(p, "params/%s/%d/weight", at, i);
	if (w->rank != 2)
		parity_bad(p, "params/%s/%d/weight is no matrix", at, i);
	return w->dim[0];
}

static const char *named_act(parity *p, const char *name)
{
	for (const nn_lip_act *a = nn_lip_acts; name && a->name; a++)
		if (!strcmp(a->name, name))
			return a->name;
	parity_unsupported(p, "activation \"%s\" of a residual block", name ? name : "(none)");
}

static nn_lip_module module(parity *p, const json *o, const char *at, int i)
{
	const char *type = parity_member(p, o, "type", JSON_STRING)->string;
	nn_lip_module l = { .kind = NN_LIP_LINEAR };
	if (!strcmp(type, "activation")) {
		l.kind = NN_LIP_ACT;
		l.act = named_act(p, json_string(o, "name", NULL));
		return l;
	}
	if (!strcmp(type, "dense_concat")) {
		const char *pre = json_string(o, "pre_activation", "none");
		l.kind = NN_LIP_DENSE;
		l.act = strcmp(pre, "none") && strcmp(pre, "identity") ? named_act(p, pre) : NULL;
		l.scale = parity_member(p, o, "lip_coeff", JSON_NUMBER)->number;
		l.eta_floor = parity_member(p, o, "eta_floor", JSON_NUMBER)->number;
	} else if (strcmp(type, "induced_norm_linear")) {
		parity_unsupported(p, "\"%s\" in a residual block", type);
	}
	l.linear = induced(p, o);
	l.linear.no_bias = !parity_find(p, "params/%s/%d/bias", at, i);
	l.out = rows(p, at, i);
	return l;
}

nn_net residual_net(parity *p, const json *list, const char *at)
{
	if (list->n < 1)
		parity_bad(p, "config: a net without modules");
	nn_lip_module *l = parity_alloc(p, (size_t)list->n * sizeof *l);
	for (int i = 0; i < list->n; i++) {
		if (list->item[i].type != JSON_OBJECT)
			parity_bad(p, "config: module %d of a net is no object", i);
		l[i] = module(p, &list->item[i], at, i);
	}
	return nn_lipschitz(list->n, l);
}

static flow *block(spec *s, flow_logdet_estimator kind, int terms)
{
	nn_net net = residual_net(s->p, parity_member(s->p, s->o, "net", JSON_ARRAY),
				  parity_text(s->p, "layers/%d/net", s->k));
	/* The reference leaves it to the user whether the norms of neighbouring layers match. */
	double bound = nn_lipschitz_bound(&net);
	return flow_residual(s->mem, net, s->dim,
			     (flow_residual_opt){ .train = kind,
						  .eval = kind,
						  .terms = terms,
						  .eval_terms = terms,
						  .tail = FLOW_TAIL_NONE,
						  .tolerance = 1e-13,
						  .lipschitz = bound < 1 ? bound : 0.99 });
}

flow *layer_ires(spec *s)
{
	static const word kinds[] = { { "brute_force", FLOW_LOGDET_EXACT },
				      { "exact_trace", FLOW_LOGDET_TRACES },
				      { NULL, 0 } };
	int kind = choice(s, "logdet", kinds, NULL);
	int terms = kind == FLOW_LOGDET_TRACES ? (int)parity_count(s->p, s->o, "n_power_series") : 0;
	if (kind == FLOW_LOGDET_TRACES && terms < 1)
		parity_bad(s->p, "config: layer %d: a series of %d terms", s->k, terms);
	return block(s, (flow_logdet_estimator)kind, terms);
}

flow *layer_idense(spec *s)
{
	return block(s, FLOW_LOGDET_EXACT, 0);
}
