/* check_run.c - laws of execution: single precision, tiles and threads, and independence of the other samples. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static nn_store *single_of(const nn_store *s)
{
	nn_store *r = nn_store_new(AD_F32, 0);
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		nn_put(r, e.name, e.shape, e.trained, e.value);
	}
	return r;
}

static int outputs(flow__sheet *s, flow_dir dir)
{
	flow_out r = flow__on_sheet(s, s->in, dir);
	flow__wants(s, r.x);
	flow__wants(s, r.logdet);
	return s->nout;
}

void flow__law_single(flow__check *k)
{
	k->law = "single precision";
	for (flow_dir dir = FLOW_FORWARD; dir <= FLOW_INVERSE; dir++) {
		const double *in = dir == FLOW_FORWARD ? k->x : k->z;
		if (!in || !flow__has(k, dir))
			continue;
		nn_store *store = single_of(k->store);
		flow__sheet one = flow__sheet_new(k, store, dir), two = flow__sheet_new(k, k->store, dir);
		int n = outputs(&one, dir);
		outputs(&two, dir);
		double worst = 0;
		if (flow__sheet_run(k, &one, (ad_options){ .threads = 1 }, k->samples, in, k->cond) &&
		    flow__sheet_run(k, &two, (ad_options){ .threads = 1 }, k->samples, in, k->cond)) {
			for (int o = 0; o < n; o++)
				for (int64_t i = 0; i < flow__sheet_bytes(&two, o, k->samples) / 8; i++) {
					double b = flow__value(&two, o, i),
					       err = fabs(flow__value(&one, o, i) - b) / fmax(1, fabs(b));
					worst = err <= worst ? worst : err;
				}
			if (!(worst <= 2e-3))
				flow__break(k, "differs from double precision by %.1e%s", worst,
					    dir == FLOW_FORWARD ? "" : " in the inverse");
			else
				flow__report(k, "differs from double precision by %.1e", worst);
		}
		flow__sheet_free(&one);
		flow__sheet_free(&two);
		nn_store_free(store);
	}
}

enum { MANY = 83 };

static void many(const flow__check *k, flow_dir dir, double *in, double *cond)
{
	int64_t n = dir == FLOW_FORWARD ? k->nx : k->ny;
	const double *from = dir == FLOW_FORWARD ? k->x : k->z;
	for (int64_t i = 0; i < MANY * n; i++) {
		double v = from[i % (k->samples * n)];
		in[i] = k->o.unit ? v : v * (1 - 0.003 * (double)(i / n));
	}
	for (int64_t i = 0; i < MANY * k->o.cond; i++)
		cond[i] = k->cond[i % (k->samples * k->o.cond)];
}

/* Values by tiles and threads; gradients of parameters, sums over tiles, by threads. */
static void bits(flow__check *k, flow_dir dir)
{
	static const ad_options options[] = { { .tile = 16, .threads = 1 },
					      { .tile = 16, .threads = 2 },
					      { .tile = 16, .threads = 4, .reverse_tiles = true },
					      { .tile = 32, .threads = 1 },
					      { .tile = 32, .threads = 4 } };
	int64_t n = dir == FLOW_FORWARD ? k->nx : k->ny;
	double *in = malloc((size_t)(MANY * n) * sizeof *in),
	       *cond = calloc((size_t)(MANY * k->o.cond + 1), sizeof *cond);
	void *first[3] = { NULL };
	many(k, dir, in, cond);
	int broken = k->broken;
	for (size_t i = 0; i < sizeof options / sizeof *options && k->broken == broken; i++) {
		flow__sheet s = flow__sheet_new(k, k->store, dir);
		outputs(&s, dir);
		ad_var g = ad_const(s.tape, 0), l = ad_sum(ad_add(ad_sum(s.out[0], AD_EVENT), s.out[1]), AD_ALL);
		for (int e = 0; e < nn_count(k->store); e++) {
			nn_entry entry = nn_at(k->store, e);
			if (entry.trained)
				g = ad_add(g, ad_sum(ad_grad(l, nn_param(s.c, entry.name, entry.shape,
									 (nn_fill){ .kind = NN_ZEROS })),
						     AD_ALL));
		}
		flow__wants(&s, g);
		if (flow__sheet_run(k, &s, options[i], MANY, in, cond))
			for (int o = 0; o < (options[i].tile == 16 ? 3 : 2) && k->broken == broken; o++) {
				size_t bytes = (size_t)flow__sheet_bytes(&s, o, MANY);
				if (!i) {
					first[o] = malloc(bytes);
					memcpy(first[o], ad_result(s.prog, o), bytes);
				} else if (memcmp(first[o], ad_result(s.prog, o), bytes)) {
					flow__break(k, "%s have other bits with tiles of %d on %d threads",
						    o == 2 ? "gradients"
						    : o	   ? "log-determinants"
							   : "values",
						    (int)options[i].tile, options[i].threads);
				}
			}
		flow__sheet_free(&s);
	}
	if (k->broken == broken)
		flow__report(k, "equal");
	for (int o = 0; o < 3; o++)
		free(first[o]);
	free(in);
	free(cond);
}

void flow__law_bits(flow__check *k)
{
	k->law = "bits over tiles and threads";
	if (flow__has(k, FLOW_FORWARD))
		bits(k, FLOW_FORWARD);
	else if (k->z)
		bits(k, FLOW_INVERSE);
}

/* A sample alone, and among others, has the same bits. */
void flow__law_neighbours(flow__check *k)
{
	k->law = "independence of the other samples";
	for (flow_dir dir = FLOW_FORWARD; dir <= FLOW_INVERSE; dir++) {
		const double *in = dir == FLOW_FORWARD ? k->x : k->z;
		int64_t n = dir == FLOW_FORWARD ? k->nx : k->ny, m = dir == FLOW_FORWARD ? k->ny : k->nx;
		if (!in || !flow__has(k, dir))
			continue;
		flow__sheet all = flow__sheet_new(k, k->store, dir), one = flow__sheet_new(k, k->store, dir);
		outputs(&all, dir);
		outputs(&one, dir);
		int broken = k->broken;
		if (flow__sheet_run(k, &all, (ad_options){ .threads = 1 }, k->samples, in, k->cond))
			for (int b = 0; b < k->samples && b < 4 && k->broken == broken; b++) {
				const double *cond = k->cond + b * k->o.cond;
				if (!flow__sheet_run(k, &one, (ad_options){ .threads = 1 }, 1, in + b * n, cond))
					break;
				const double *z = ad_result(all.prog, 0), *ld = ad_result(all.prog, 1);
				if (memcmp(z + b * m, ad_result(one.prog, 0), (size_t)m * 8) ||
				    memcmp(ld + b, ad_result(one.prog, 1), 8))
					flow__break(
						k,
						"sample %d alone has a log-determinant of %.17g, with the others %.17g",
						b, flow__value(&one, 1, 0), ld[b]);
			}
		if (k->broken == broken)
			flow__report(k, "holds");
		flow__sheet_free(&all);
		flow__sheet_free(&one);
	}
}
