/* workload.c - the models on which speed is measured. */
#include "workload.h"

#include "flows/continuous.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const workload workloads[] = {
	{ "MAF-63", WORKLOAD_MAF, 63, 10, 512, 2, 512, 0, 0, 0, false },
	{ "NSF-AR-6", WORKLOAD_NSF_AR, 6, 10, 256, 5, 512, 8, 3, 0, false },
	{ "NSF-C-43", WORKLOAD_NSF_C, 43, 10, 128, 5, 256, 8, 3, 0, false },
	{ "RealNVP-21", WORKLOAD_REALNVP, 21, 10, 64, 2, 256, 0, 0, 0, false },
	{ "RealNVP-2", WORKLOAD_REALNVP, 2, 8, 64, 2, 256, 0, 0, 0, false },
	{ "FFJORD-2", WORKLOAD_FFJORD, 2, 1, 64, 3, 512, 0, 0, 20, true },
	{ "FFJORD-43", WORKLOAD_FFJORD, 43, 1, 860, 2, 512, 0, 0, 4, false },
	{ 0 },
};

typedef struct {
	const char *key;
	size_t at;
	int64_t lo, hi;
	bool spline;
} size_key;

#define AT(field) offsetof(workload, field)
static const size_key keys[] = {
	{ "dim", AT(dim), 2, 4096, false },     { "layers", AT(layers), 1, 1000, false }, { "width", AT(width), 1, 65536, false },
	{ "depth", AT(depth), 1, 100, false },  { "batch", AT(batch), 1, 1 << 24, false }, { "bins", AT(bins), 2, 512, true },
	{ 0 },
};

static bool set(workload *w, const char *key, const char *value, char why[160])
{
	char *end;
	bool spline = w->kind == WORKLOAD_NSF_AR || w->kind == WORKLOAD_NSF_C;
	double v = strtod(value, &end);
	bool number = end != value && !*end;
	if (!strcmp(key, "steps") && w->kind == WORKLOAD_FFJORD && number && v == floor(v) && v >= 1 && v <= 1e6) {
		w->steps = (int64_t)v;
		return true;
	}
	if (!strcmp(key, "tail") && spline && number && v >= 1e-3 && v <= 1e6) {
		w->tail = v;
		return true;
	}
	for (const size_key *k = keys; k->key; k++)
		if (!strcmp(k->key, key) && (spline || !k->spline)) {
			if (number && v == floor(v) && v >= (double)k->lo && v <= (double)k->hi) {
				*(int64_t *)((char *)w + k->at) = (int64_t)v;
				return true;
			}
			snprintf(why, 160, "%s: %.40s is not a whole number from %lld to %lld", key, value, (long long)k->lo,
			         (long long)k->hi);
			return false;
		}
	snprintf(why, 160, "%s has no %.40s=%.40s; it has dim, layers, width, depth, batch%s", w->name, key, value,
	         spline ? ", bins, tail (above 0)" : w->kind == WORKLOAD_FFJORD ? ", steps" : "");
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
	}
	return flow_chain(m, n, f);
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
