/* ode_control_run.c - adaptive steps: each lane of a tile with its own step size, or all with one. */
#include "ode_control.h"
#include "ode_lanes.h"

#include <math.h>
#include <string.h>

/* One solution in progress. */
typedef struct {
	const ad__control_node *k;
	ad_var r;
	ad__ctx *c;
	int64_t w, valid;
	ad_dtype d;
	bool together;
	char *out;			    /* of the node */
	void *z, *slope, *at, *targ, *harg; /* of the dtype */
	double *t, *h, *t0, *span, *dir, *norm, *before, *sum, *try;
	int64_t *taken, *refused, *evaluations;
	int *next; /* wanted time that comes next */
	char *yes, *live;
} run;

size_t ad__control_scratch(ad_var r, int64_t width)
{
	const ad__control_node *k = r->attr.data;
	size_t w = (size_t)(ad_batched(r) ? width : 1);
	return w * (((size_t)k->p.D * 3 + 2) * ad__size(r->dtype) + 9 * sizeof(double) + 3 * sizeof(int64_t) +
		    sizeof(int) + 2) +
	       18 * 64;
}

static void *carve(char **at, size_t bytes)
{
	void *p = *at;
	*at += (bytes + 63) / 64 * 64;
	return p;
}

/* Root mean squares by part, the largest of them, by lane into norm. */
static void norms(run *s, const void *x, const void *minus, const void *a, const void *b, double *norm)
{
	const ad__problem *p = &s->k->p;
	int64_t row = 0;
	for (int64_t l = 0; l < s->w; l++)
		norm[l] = 0;
	for (int i = 0; i < p->parts; i++) {
		int64_t n = p->part[i], at = row * s->w;
		memset(s->sum, 0, (size_t)s->w * sizeof *s->sum);
		if (s->d == AD_F32)
			squares_float(n, s->w, (const float *)x + at, minus ? (const float *)minus + at : NULL,
				      (const float *)a + at, (const float *)b + at, &p->o, s->sum);
		else
			squares_double(n, s->w, (const double *)x + at, minus ? (const double *)minus + at : NULL,
				       (const double *)a + at, (const double *)b + at, &p->o, s->sum);
		if (s->together) {
			double all = 0;
			for (int64_t l = 0; l < s->valid; l++)
				all += s->sum[l];
			for (int64_t l = 0; l < s->w; l++)
				s->sum[l] = all / (double)s->valid;
		}
		for (int64_t l = 0; l < s->w; l++) {
			double v = sqrt(s->sum[l] / (double)n);
			norm[l] = v > norm[l] || v != v ? v : norm[l];
		}
		row += n;
	}
}

static bool slope_at(run *s, void *z, void *into, const double *ahead)
{
	for (int64_t l = 0; l < s->w; l++)
		put(s->targ, s->d, l, s->t[l] + (ahead ? ahead[l] : 0));
	void *arg[2] = { s->targ, z };
	ad__arr k;
	if (!ad__sub_run(s->c, 0, arg, &k))
		return false;
	memcpy(into, k.p, (size_t)(s->k->p.D * s->w) * ad__size(s->d));
	for (int64_t l = 0; l < s->w; l++)
		s->evaluations[l]++;
	return true;
}

/* Hairer, Norsett, Wanner II.4. */
static bool first_step(run *s)
{
	const ad__problem *p = &s->k->p;
	double *d1 = s->before, *h0 = s->try;
	for (int64_t l = 0; l < s->w; l++)
		s->h[l] = p->o.first_step;
	if (p->o.first_step > 0)
		return true;
	norms(s, s->z, NULL, s->z, s->z, s->norm);
	norms(s, s->slope, NULL, s->z, s->z, d1);
	for (int64_t l = 0; l < s->w; l++) {
		h0[l] = s->norm[l] < 1e-5 || d1[l] < 1e-5 ? 1e-6 : 0.01 * s->norm[l] / d1[l];
		h0[l] *= s->dir[l];
	}
	if (s->d == AD_F32)
		axpy_float(p->D, s->w, s->at, s->z, h0, s->slope);
	else
		axpy_double(p->D, s->w, s->at, s->z, h0, s->slope);
	/* The slope there replaces the state tried. */
	if (!slope_at(s, s->at, s->at, h0))
		return false;
	norms(s, s->at, s->slope, s->z, s->z, s->norm);
	for (int64_t l = 0; l < s->w; l++) {
		double h = fabs(h0[l]), d2 = s->norm[l] / h, d = d1[l] > d2 ? d1[l] : d2;
		double next = d <= 1e-15 ? fmax(1e-6, h * 1e-3) : pow(0.01 / d, 1.0 / p->tab->order);
		s->h[l] = fmin(100 * h, next);
	}
	return true;
}

static bool fail(run *s, int64_t l, const char *what)
{
	const char *path = s->r->path;
	double size = 0;
	for (int64_t i = 0; i < s->k->p.D; i++)
		size += get(s->z, s->d, i * s->w + l) * get(s->z, s->d, i * s->w + l);
	snprintf(s->c->error, 256,
		 "ad_ode: %s at t = %.9g of %.6g to %.6g, step %.3g, norm of the state %.6g, sample %lld%s%.80s%s",
		 what, s->t[l], s->t0[l], s->t0[l] + s->span[l], s->h[l], sqrt(size), (long long)(s->c->first + l),
		 *path ? ", in \"" : "", path, *path ? "\"" : "");
	return false;
}

static void note(run *s, int64_t at, int64_t l, double v)
{
	put(s->out, s->d, at * s->w + l, v);
}

static double wanted(const run *s, const ad__arr *time, int j, int64_t l)
{
	return get(time->p, s->d, j * (time->lane ? s->w : 1) + (time->lane ? l : 0));
}

static void values(run *s, const ad__arr *time, int64_t l, const ad__arr res[])
{
	const ad__control_node *k = s->k;
	double h = s->try[l], end = s->t[l] + h;
	for (; s->next[l] < k->nvalue; s->next[l]++) {
		double at = wanted(s, time, 1 + s->next[l], l);
		if ((end - at) * s->dir[l] < 0)
			return;
		int64_t to = s->next[l] * k->p.D * s->w;
		double f = (at - s->t[l]) / h;
		if (s->d == AD_F32)
			between_float(k->p.D, s->w, l, f, h, (float *)s->out + to, s->z, (float *)res[0].p, s->slope,
				      (float *)res[1].p, (float *)res[3].p);
		else
			between_double(k->p.D, s->w, l, f, h, (double *)s->out + to, s->z, (double *)res[0].p, s->slope,
				       (double *)res[1].p, (double *)res[3].p);
		note(s, ad__control_at_where(k) + s->next[l], l, (double)s->taken[l]);
	}
}

/* Size of the next attempt; lanes that have arrived stand still. */
static bool attempt_sizes(run *s, int *moving)
{
	*moving = 0;
	for (int64_t l = 0; l < s->w; l++) {
		s->try[l] = 0;
		if (!s->live[l])
			continue;
		(*moving)++;
		double h = s->h[l], left = (s->t0[l] + s->span[l] - s->t[l]) * s->dir[l];
		if (!s->k->p.o.interpolate && h >= left * (1 - 1e-12))
			h = left;
		s->try[l] = h * s->dir[l];
		if (!(h > 0) || s->t[l] + s->try[l] == s->t[l])
			return fail(s, l, "the step size underflows");
		if (s->taken[l] + s->refused[l] >= s->k->steps)
			return fail(s, l, "more steps than max_steps");
	}
	return true;
}

static void judge(run *s, const ad__arr *time, const ad__arr res[])
{
	const ad_ode_opt *o = &s->k->p.o;
	int order = s->k->p.tab->order;
	double beta = o->integral_control ? 0 : 0.4 / order, alpha = o->integral_control ? 1.0 / order : 0.7 / order;
	for (int64_t l = 0; l < s->w; l++) {
		double ratio = s->norm[l], factor;
		s->yes[l] = 0;
		if (!s->live[l])
			continue;
		s->yes[l] = ratio <= 1;
		if (ratio == 0)
			factor = o->max_factor;
		else if (ratio != ratio || isinf(ratio))
			factor = o->min_factor;
		else
			factor = fmin(o->max_factor,
				      fmax(o->safety * pow(ratio, -(s->yes[l] ? alpha : 1.0 / order)) *
						   (s->yes[l] ? pow(s->before[l], beta) : 1),
					   s->yes[l] && o->integral_control && ratio < 1 ? 1 : o->min_factor));
		double size = fabs(s->try[l]);
		if (!s->yes[l] && o->keep_refused) {
			note(s, ad__control_at_refused(s->k) + 2 * s->refused[l], l, s->t[l]);
			note(s, ad__control_at_refused(s->k) + 2 * s->refused[l] + 1, l, s->try[l]);
		}
		if (s->yes[l]) {
			if (o->interpolate)
				values(s, time, l, res);
			note(s, ad__control_at_grid(s->k) + 2 * s->taken[l], l, (s->t[l] - s->t0[l]) / s->span[l]);
			note(s, ad__control_at_grid(s->k) + 2 * s->taken[l] + 1, l, s->try[l] / s->span[l]);
			s->taken[l]++;
			s->before[l] = fmax(ratio, 1e-4);
			double end = s->t0[l] + s->span[l];
			bool arrived = o->interpolate ? s->next[l] >= s->k->nvalue
						      : fabs(s->try[l]) >= (end - s->t[l]) * s->dir[l];
			s->t[l] += s->try[l];
			s->live[l] = !arrived;
		} else {
			s->refused[l]++;
		}
		s->h[l] = size * factor;
	}
}

static bool solve(run *s, const ad__arr *time)
{
	const ad__control_node *k = s->k;
	if (!slope_at(s, s->z, s->slope, NULL) || !first_step(s))
		return false;
	for (int64_t l = 0; l < s->w; l++)
		s->before[l] = 1;
	for (int moving;;) {
		if (!attempt_sizes(s, &moving))
			return false;
		if (!moving)
			return true;
		for (int64_t l = 0; l < s->w; l++) {
			put(s->targ, s->d, l, s->t[l]);
			put(s->harg, s->d, l, s->try[l]);
		}
		void *arg[4] = { s->targ, s->harg, s->z, s->slope };
		ad__arr res[4];
		if (!ad__sub_run(s->c, 1, arg, res))
			return false;
		for (int64_t l = 0; l < s->w; l++)
			s->evaluations[l] += s->live[l] ? k->p.tab->stages - 1 : 0;
		norms(s, res[2].p, NULL, s->z, res[0].p, s->norm);
		judge(s, time, res);
		if (s->d == AD_F32)
			accept_float(k->p.D, s->w, s->yes, s->z, (float *)res[0].p, s->slope, (float *)res[1].p);
		else
			accept_double(k->p.D, s->w, s->yes, s->z, (double *)res[0].p, s->slope, (double *)res[1].p);
	}
}

static bool begin(run *s, const ad__arr *z, const ad__arr *time)
{
	const ad__control_node *k = s->k;
	memcpy(s->z, z->p, (size_t)(k->p.D * s->w) * ad__size(s->d));
	for (int64_t l = 0; l < s->w; l++) {
		s->t[l] = s->t0[l] = wanted(s, time, 0, l);
		s->span[l] = wanted(s, time, k->ntime - 1, l) - s->t0[l];
		s->dir[l] = s->span[l] < 0 ? -1 : 1;
		s->taken[l] = s->refused[l] = s->evaluations[l] = 0;
		s->next[l] = 0;
		/* Padding repeats the last sample: it does as that does. */
		s->live[l] = s->span[l] != 0;
		for (int64_t i = 0; i < k->p.D; i++)
			if (!isfinite(get(s->z, s->d, i * s->w + l)))
				return fail(s, l, "the state is not finite");
		if (!isfinite(s->span[l]))
			return fail(s, l, "the times are not finite");
		for (int j = 1; j < k->ntime; j++)
			if ((wanted(s, time, j, l) - wanted(s, time, j - 1, l)) * s->dir[l] < 0)
				return fail(s, l, "the times are not in order");
	}
	return true;
}

void ad__control_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ad__control_node *k = r->attr.data;
	run s = { .k = k,
		  .r = r,
		  .c = c,
		  .w = out->lane ? c->width : 1,
		  .valid = out->lane ? c->valid : 1,
		  .d = r->dtype,
		  .out = out->p };
	s.together = k->p.batched && k->p.o.control != AD_ODE_SAMPLE;
	if (out->lane && k->p.o.control == AD_ODE_BATCH && c->valid != c->batch) {
		snprintf(c->error, 256,
			 "ad_ode: control by the batch needs the batch (%lld samples) in one tile (ad_options.tile)",
			 (long long)c->batch);
		return;
	}
	char *at = c->scratch;
	size_t w = (size_t)s.w, state = (size_t)k->p.D * w * ad__size(s.d);
	void **of_dtype[] = { &s.z, &s.slope, &s.at };
	for (int i = 0; i < 3; i++)
		*of_dtype[i] = carve(&at, state);
	s.targ = carve(&at, w * ad__size(s.d));
	s.harg = carve(&at, w * ad__size(s.d));
	double **real[] = { &s.t, &s.h, &s.t0, &s.span, &s.dir, &s.norm, &s.before, &s.sum, &s.try };
	for (int i = 0; i < 9; i++)
		*real[i] = carve(&at, w * sizeof(double));
	s.taken = carve(&at, w * sizeof(int64_t));
	s.refused = carve(&at, w * sizeof(int64_t));
	s.evaluations = carve(&at, w * sizeof(int64_t));
	s.next = carve(&at, w * sizeof(int));
	s.yes = carve(&at, w);
	s.live = carve(&at, w);
	memset(s.out, 0, (size_t)ad__control_numbers(k) * w * ad__size(s.d));
	ad__sub_bind(c, 0, in);
	ad__sub_bind(c, 1, in);
	if (!begin(&s, &in[0], &in[1]) || !solve(&s, &in[1]))
		return;
	if (!k->p.o.interpolate)
		memcpy(s.out, s.z, state);
	for (int64_t l = 0; l < s.w; l++) {
		for (; k->p.o.interpolate && s.next[l] < k->nvalue; s.next[l]++)
			for (int64_t i = 0; i < k->p.D; i++)
				note(&s, s.next[l] * k->p.D + i, l, get(s.z, s.d, i * s.w + l));
		note(&s, ad__control_at_counts(k), l, (double)s.taken[l]);
		note(&s, ad__control_at_counts(k) + 1, l, (double)s.evaluations[l]);
		note(&s, ad__control_at_counts(k) + 2, l, (double)s.refused[l]);
	}
}
