/* check.c - flow_check: the laws of a flow, one after another on the same parameters and data. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

/* State that layers compute from their weights follows the weights just set. */
static bool refreshed(flow__check *k)
{
	flow_dir dir = flow__has(k, FLOW_FORWARD) ? FLOW_FORWARD : FLOW_INVERSE;
	flow__sheet s = flow__sheet_new(k, k->store, dir);
	flow__on_sheet(&s, s.in, dir);
	bool ok = nn_refresh(k->store, s.tape);
	if (!ok)
		flow__break(k, "%s", nn_error(k->store));
	nn_release(k->store, s.tape);
	flow__sheet_free(&s);
	return ok;
}

/* Creates every parameter by tracing both directions as an initialisation, then moves all trained ones off their
 * starting values: zeros and identities hide mistakes. */
static bool parameters(flow__check *k)
{
	k->law = "tracing";
	for (flow_dir dir = FLOW_FORWARD; dir <= FLOW_INVERSE; dir++) {
		if (!flow__has(k, dir))
			continue;
		flow__sheet s = flow__sheet_new(k, k->store, dir);
		s.c.phase = NN_INIT;
		flow__on_sheet(&s, s.in, dir);
		const char *error = ad_error(s.tape) ? ad_error(s.tape) : nn_error(k->store);
		if (error)
			flow__break(k, "%s", error);
		flow__sheet_free(&s);
		if (error)
			return false;
	}
	int64_t at = 0;
	for (int i = 0; i < nn_count(k->store); i++) {
		nn_entry e = nn_at(k->store, i);
		double *v = calloc((size_t)e.numel, sizeof *v);
		if (e.ready)
			nn_get(k->store, e.name, v, e.numel);
		for (int64_t j = 0; j < e.numel; j++)
			if (e.trained)
				v[j] = (double)(float)(v[j] + k->o.perturb * flow__normal_noise(k, "parameters", at++));
		if (e.trained || !e.ready)
			nn_set(k->store, e.name, v, e.numel);
		free(v);
	}
	return refreshed(k);
}

static void data(flow__check *k)
{
	k->x = malloc((size_t)(k->samples * k->nx) * sizeof *k->x);
	k->cond = calloc((size_t)(k->samples * k->o.cond + 1), sizeof *k->cond);
	for (int64_t i = 0; i < k->samples * k->nx; i++) {
		double v = flow__normal_noise(k, "data", i);
		if (k->o.unit)
			v = 0.02 + 0.96 * ad_noise_uniform(k->o.seed, 0, ad_hash(0, "unit data"), (uint64_t)i);
		else
			v = k->o.shift + k->o.scale * v;
		k->x[i] = (double)(float)v;
	}
	for (int64_t i = 0; i < k->samples * k->o.cond; i++)
		k->cond[i] = (double)(float)flow__normal_noise(k, "cond", i);
}

/* Latents are where the data go; of flows that only sample, normal noise. */
static void latents(flow__check *k)
{
	int64_t n = k->samples * k->ny;
	k->law = "values";
	double *z = malloc((size_t)n * sizeof *z);
	for (int64_t i = 0; i < n; i++)
		z[i] = (double)(float)flow__normal_noise(k, "latents", i);
	if (flow__has(k, FLOW_FORWARD)) {
		flow__sheet s = flow__sheet_new(k, k->store, FLOW_FORWARD);
		flow__wants(&s, flow__on_sheet(&s, s.in, FLOW_FORWARD).x);
		if (!flow__sheet_run(k, &s, (ad_options){ .threads = 1 }, k->samples, k->x, k->cond)) {
			flow__sheet_free(&s);
			free(z);
			return;
		}
		for (int64_t i = 0; i < n; i++)
			z[i] = (double)(float)flow__value(&s, 0, i);
		flow__sheet_free(&s);
	}
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(z[i])) {
			flow__break(k, "%g in sample %lld", z[i], (long long)(i / k->ny));
			free(z);
			return;
		}
	k->z = z;
}

static bool shapes(flow__check *k)
{
	ad_shape out[FLOW_PORTS];
	char why[160];
	k->law = "shape";
	if (flow__nx(k->f, FLOW_FORWARD) != 1) {
		flow__break(k, "flow_check takes flows of one input; invert a merge, or put it in a graph");
		return false;
	}
	if (!flow_shape(k->f, &k->o.event, out, why)) {
		flow__break(k, "%s", why);
		return false;
	}
	k->nx = ad_numel(k->o.event);
	for (int i = 0; i < flow__ny(k->f, FLOW_FORWARD); i++)
		k->ny += ad_numel(out[i]);
	return true;
}

int flow_check(const flow *f, flow_check_opt o)
{
	static void (*const law[])(flow__check *) = { flow__law_inverse,    flow__law_jacobian, flow__law_gradients,
						      flow__law_neighbours, flow__law_bits,	flow__law_single,
						      flow__law_extremes,   flow__law_integral };
	flow__check k = { .f = f, .o = o };
	k.samples = o.samples ? o.samples : 16;
	k.o.tolerance = o.tolerance ? o.tolerance : 1e-9;
	k.o.scale = o.scale ? o.scale : 1;
	k.o.perturb = o.perturb ? o.perturb : 0.1;
	k.store = nn_store_new(AD_F64, o.seed);
	if (shapes(&k) && parameters(&k)) {
		data(&k);
		latents(&k);
		for (size_t i = 0; i < sizeof law / sizeof *law && k.z; i++)
			law[i](&k);
	}
	free(k.x);
	free(k.cond);
	free(k.z);
	nn_store_free(k.store);
	return k.broken;
}
