/* workload.c - the models on which speed is measured. */
#include "workload.h"

#include "flows/neural.h"
#include "flows/reversible.h"
#include "flows/residual.h"
#include "flows/continuous.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const workload workloads[] = {
	{ "MAF-63", WORKLOAD_MAF, .dim = 63, .layers = 10, .width = 512, .depth = 2, .batch = 512 },
	{ "NSF-AR-6", WORKLOAD_NSF_AR, .dim = 6, .layers = 10, .width = 256, .depth = 5, .batch = 512, .bins = 8, .tail = 3 },
	{ "NSF-C-43", WORKLOAD_NSF_C, .dim = 43, .layers = 10, .width = 128, .depth = 5, .batch = 256, .bins = 8, .tail = 3 },
	{ "RealNVP-21", WORKLOAD_REALNVP, .dim = 21, .layers = 10, .width = 64, .depth = 2, .batch = 256 },
	{ "RealNVP-2", WORKLOAD_REALNVP, .dim = 2, .layers = 8, .width = 64, .depth = 2, .batch = 256 },
	{ "NAF-6", WORKLOAD_NAF, .dim = 6, .layers = 5, .width = 64, .depth = 2, .batch = 256, .signal = 16 },
	{ "ResFlow-2", WORKLOAD_RESFLOW, .dim = 2, .layers = 10, .width = 128, .depth = 4, .batch = 256 },
	{ "FFJORD-2", WORKLOAD_FFJORD, .dim = 2, .layers = 1, .width = 64, .depth = 3, .batch = 512, .steps = 20, .exact = true },
	{ "FFJORD-43", WORKLOAD_FFJORD, .dim = 43, .layers = 1, .width = 860, .depth = 2, .batch = 512, .steps = 4 },
	{ .name = NULL },
};

enum { SPLINES = 1 << WORKLOAD_NSF_AR | 1 << WORKLOAD_NSF_C, SIGMOIDAL = 1 << WORKLOAD_NAF, ODE = 1 << WORKLOAD_FFJORD, ALL = ~0 };
typedef struct {
	const char *key;
	size_t at;
	int64_t lo, hi;
	int kinds; /* that have it */
} size_key;

#define AT(field) offsetof(workload, field)
static const size_key keys[] = {
	{ "dim", AT(dim), 2, 4096, ALL },     { "layers", AT(layers), 1, 1000, ALL },    { "width", AT(width), 1, 65536, ALL },
	{ "depth", AT(depth), 1, 100, ALL },  { "batch", AT(batch), 1, 1 << 24, ALL },   { "bins", AT(bins), 2, 512, SPLINES },
	{ "signal", AT(signal), 1, 512, SIGMOIDAL }, { "reversible", AT(reversible), 0, 1, ALL }, { "steps", AT(steps), 1, 1000000, ODE },
	{ 0 },
};

static bool set(workload *w, const char *key, const char *value, char why[160])
{
	char *end;
	bool spline = SPLINES & 1 << w->kind;
	double v = strtod(value, &end);
	bool number = end != value && !*end;
	if (!strcmp(key, "tail") && spline && number && v >= 1e-3 && v <= 1e6) {
		w->tail = v;
		return true;
	}
	for (const size_key *k = keys; k->key; k++)
		if (!strcmp(k->key, key) && k->kinds & 1 << w->kind) {
			if (number && v == floor(v) && v >= (double)k->lo && v <= (double)k->hi) {
				*(int64_t *)((char *)w + k->at) = (int64_t)v;
				return true;
			}
			snprintf(why, 160, "%s: %.40s is not a whole number from %lld to %lld", key, value, (long long)k->lo,
			         (long long)k->hi);
			return false;
		}
	snprintf(why, 160, "%s has no %.40s=%.40s; it has dim, layers, width, depth, batch, reversible%s", w->name, key, value,
	         spline                       ? ", bins, tail (above 0)"
	         : w->kind == WORKLOAD_NAF    ? ", signal"
	         : w->kind == WORKLOAD_FFJORD ? ", steps"
	                                      : "");
	return false;
}

static bool find(const char *name, size_t n, workload *w, char why[160])
{
	for (const workload *k = workloads; k->name; k++)
		if (strlen(k->name) == n && !strncmp(k->name, name, n)) {
			*w = *k;
			return true;
		}
	int at = snprintf(why, 160, "no workload %.*s; there are", n < 40 ? (int)n : 40, name);
	for (const workload *k = workloads; k->name && at < 159; k++)
		at += snprintf(why + at, (size_t)(160 - at), " %s", k->name);
	return false;
}

bool workload_parse(const char *text, workload *w, char why[160])
{
	size_t n = strcspn(text, ":");
	if (!find(text, n, w, why))
		return false;
	char *changes = strdup(text[n] ? text + n + 1 : ""), *rest = changes;
	bool ok = changes;
	for (char *key; ok && (key = strsep(&rest, ","));) {
		char *value = strchr(key, '=');
		if (!*key)
			continue;
		if (value)
			*value++ = 0;
		ok = set(w, key, value ? value : "", why);
	}
	free(changes);
	if (ok && (w->kind == WORKLOAD_NSF_AR || w->kind == WORKLOAD_NSF_C) && w->depth % 2 == 0) {
		snprintf(why, 160, "depth: %lld hidden layers are no residual net; 1, 3, 5, .. are", (long long)w->depth);
		ok = false;
	}
	return ok;
}

static const int *order(flow_mem *m, int64_t dim, bool backward)
{
	int *v = flow_alloc(m, (size_t)dim * sizeof *v);
	for (int64_t i = 0; i < dim; i++)
		v[i] = (int)(backward ? dim - i : i + 1);
	return v;
}

static flow *continuous(const workload *w, flow_mem *m)
{
	flow_field f = flow_odenet(FLOW_T_CONCAT, w->width, (int)w->depth, w->exact ? "tanh" : "softplus");
	flow_cnf_opt o = { .solver = { .method = AD_RK4, .steps = (int)w->steps }, .trace = w->exact ? FLOW_TRACE_EXACT : FLOW_TRACE_RADEMACHER };
	return flow_cnf(m, &f, o);
}

static flow *layer(const workload *w, flow_mem *m, int i)
{
	flow_map spline = flow_rq_spline((int)w->bins, w->tail), affine = flow_affine(FLOW_TANH_EXP, 0);
	int blocks = (int)(w->depth - 1) / 2;
	switch (w->kind) {
	case WORKLOAD_FFJORD:
		return continuous(w, m);
	case WORKLOAD_MAF:
		return flow_autoregressive(m, affine, nn_made(w->width, (int)w->depth - 1), w->dim, order(m, w->dim, i % 2));
	case WORKLOAD_NSF_AR:
		return flow_autoregressive(m, spline, nn_res_made(w->width, blocks), w->dim, NULL);
	case WORKLOAD_NSF_C:
		return flow_coupling(m, spline, nn_resnet(w->width, blocks), w->dim, flow_mask_alternate(m, w->dim, i % 2), NULL);
	case WORKLOAD_NAF:
		return flow_autoregressive(m, flow_dsf(m, (int)w->signal, 1), nn_made(w->width, (int)w->depth - 1), w->dim,
		                           order(m, w->dim, i % 2));
	case WORKLOAD_RESFLOW:
		return flow_residual(m, flow_lipschitz_mlp(m, w->width, (int)w->depth, "lipswish", (nn_induced){ .coeff = 0.9 }), w->dim,
		                     (flow_residual_opt){ .train = FLOW_LOGDET_NEUMANN });
	default:
		return flow_coupling(m, affine, nn_mlp(w->width, (int)w->depth), w->dim, flow_mask_alternate(m, w->dim, i % 2), NULL);
	}
}

flow *workload_flow(const workload *w, flow_mem *m)
{
	int n = 0;
	flow **f = flow_alloc(m, (size_t)(2 * w->layers) * sizeof *f);
	for (int i = 0; i < w->layers; i++) {
		if (w->bins)
			f[n++] = flow_permutation(m, w->dim, NULL);
		f[n++] = layer(w, m, i);
		if (w->kind == WORKLOAD_RESFLOW)
			f[n++] = flow_actnorm(m);
	}
	flow *chain = flow_chain(m, n, f);
	return w->reversible ? flow_reversible(m, chain, (flow_reversible_opt){ 0 }) : chain;
}

bool workload_can_reverse(const workload *w, flow_mem *m, char why[160])
{
	workload stored = *w;
	stored.reversible = 0;
	return flow_rebuilds(workload_flow(&stored, m), why);
}

const char *workload_table(void)
{
	static char text[4096];
	size_t n = 0;
	for (const workload *w = workloads; w->name && n < sizeof text; w++)
		n += (size_t)snprintf(text + n, sizeof text - n,
		                      "%s%-12s dim %lld, %lld layers of width %lld and depth %lld, batch %lld", n ? "\n" : "", w->name,
		                      (long long)w->dim, (long long)w->layers, (long long)w->width, (long long)w->depth,
		                      (long long)w->batch);
	return text;
}

float *workload_batch(const workload *w)
{
	int64_t d = w->dim;
	double *mix = malloc((size_t)(d * d + d) * sizeof *mix), *row = mix ? mix + d * d : NULL;
	float *x = malloc((size_t)(w->batch * d) * sizeof *x);
	if (!mix || !x) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	for (int64_t i = 0; i < d * d; i++)
		mix[i] = ad_noise_normal(0, 0, 1, (uint64_t)i) / sqrt((double)d) + (i / d == i % d);
	for (int64_t b = 0; b < w->batch; b++) {
		for (int64_t i = 0; i < d; i++)
			row[i] = ad_noise_normal(0, 0, 2, (uint64_t)(b * d + i));
		for (int64_t j = 0; j < d; j++) {
			double sum = 0;
			for (int64_t i = 0; i < d; i++)
				sum += row[i] * mix[i * d + j];
			x[b * d + j] = (float)(1.2 * tanh(sum));
		}
	}
	free(mix);
	return x;
}
