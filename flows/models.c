/* models.c - the published models by name, and their options by key. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

nn_net flow__model_net(nn_net net, flow_model_opt o, const char *act)
{
	net.act = nn_act_named(o.act ? o.act : act);
	net.dropout = o.dropout;
	net.zero_last = true;
	return net;
}

const int *flow__backward(flow_mem *m, int64_t dim)
{
	int *order = flow_alloc(m, (size_t)dim * sizeof *order);
	for (int64_t i = 0; i < dim; i++)
		order[i] = (int)(dim - i);
	return order;
}

flow_map flow__rq_identity(flow_mem *m, int bins, double bound)
{
	flow_map map = flow_rq_spline(bins, bound);
	double *start = flow_alloc(m, (size_t)map.nparam * sizeof *start);
	/* softplus(raw) + min_derivative = 1 */
	for (int i = 2 * bins; i < map.nparam; i++)
		start[i] = log(expm1(1 - map.min_derivative));
	map.start = start;
	return map;
}

const flow_model_row flow_models[] = {
	{ "independent", "every dimension by its own spline; no dependence", flow_independent, 1 },
	{ "nice", "additive couplings (NICE)", flow_nice, 2 },
	{ "realnvp", "affine couplings (RealNVP)", flow_realnvp, 2 },
	{ "maf", "masked autoregressive flow, affine", flow_maf, 1 },
	{ "iaf", "inverse autoregressive flow, affine; its density is solved dimension by dimension", flow_iaf, 1 },
	{ "nsf-c", "rational-quadratic spline couplings (NSF)", flow_nsf_coupling, 2 },
	{ "nsf-ar", "rational-quadratic splines, autoregressive (NSF)", flow_nsf_autoregressive, 1 },
	{ 0 },
};

flow *flow_model(flow_mem *m, const char *name, int64_t dim, flow_model_opt o, char why[160])
{
	if (o.act && !nn_act_named(o.act)) {
		snprintf(why, 160, "act: there is no activation named %.60s", o.act);
		return NULL;
	}
	for (const flow_model_row *r = flow_models; r->name; r++) {
		if (strcmp(r->name, name))
			continue;
		if (dim >= r->min_dim)
			return r->make(m, dim, o);
		snprintf(why, 160, "%s needs data of at least %lld dimensions; these have %lld", name,
			 (long long)r->min_dim, (long long)dim);
		return NULL;
	}
	int n = snprintf(why, 160, "there is no model %.30s; there are", name);
	for (const flow_model_row *r = flow_models; r->name && n < 150; r++)
		n += snprintf(why + n, (size_t)(160 - n), " %s", r->name);
	return NULL;
}

const flow_model_key flow_model_keys[] = {
	{ "layers", "couplings, autoregressive layers or spline steps" },
	{ "width", "units in a hidden layer of the nets" },
	{ "depth", "hidden layers of the nets, or residual blocks" },
	{ "bins", "bins of splines" },
	{ "bound", "half width of the box of splines" },
	{ "dropout", "dropout rate in the nets, 0 to below 1" },
	{ "act", "activation of the nets (relu, tanh, silu, ..)" },
	{ 0 },
};

typedef struct {
	const char *key;
	enum { INT, INT64, REAL, NAME } kind;
	size_t at;
	double lo, hi;
} slot;

#define AT(field) offsetof(flow_model_opt, field)
static const slot slots[] = {
	{ "layers", INT, AT(layers), 1, 1000 },	 { "width", INT64, AT(width), 1, 65536 },
	{ "depth", INT, AT(depth), 1, 100 },	 { "bins", INT, AT(bins), 2, 512 },
	{ "bound", REAL, AT(bound), 1e-3, 1e6 }, { "dropout", REAL, AT(dropout), 0, 0.99 },
	{ "act", NAME, AT(act), 0, 0 },
};

static bool set_number(flow_model_opt *o, const slot *s, const char *value, char why[160])
{
	char *end, *p = (char *)o + s->at;
	double v = strtod(value, &end);
	if (end == value || *end || !(v >= s->lo && v <= s->hi) || (s->kind != REAL && v != floor(v))) {
		snprintf(why, 160, "%s: %.40s is not %s from %g to %g", s->key, value,
			 s->kind == REAL ? "a number" : "a whole number", s->lo, s->hi);
		return false;
	}
	if (s->kind == INT)
		*(int *)p = (int)v;
	else if (s->kind == INT64)
		*(int64_t *)p = (int64_t)v;
	else
		*(double *)p = v;
	return true;
}

bool flow_model_set(flow_model_opt *o, const char *key, const char *value, char why[160])
{
	for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
		const slot *s = &slots[i];
		if (strcmp(s->key, key))
			continue;
		if (s->kind != NAME)
			return set_number(o, s, value, why);
		const nn_act *a = nn_act_named(value);
		if (a)
			o->act = a->name;
		else
			snprintf(why, 160, "%s: there is no activation named %.60s", key, value);
		return a;
	}
	int n = snprintf(why, 160, "there is no option %.30s; there are", key);
	for (const flow_model_key *k = flow_model_keys; k->key && n < 150; k++)
		n += snprintf(why + n, (size_t)(160 - n), " %s", k->key);
	return false;
}
