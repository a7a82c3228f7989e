/* check_sheet.c - programs and numbers for the laws of flow_check. */
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void flow__report(const flow__check *k, const char *fmt, ...)
{
	va_list ap;
	if (!k->o.report)
		return;
	va_start(ap, fmt);
	fprintf(k->o.report, "%s: %s: ", k->f->name ? k->f->name : k->f->kind, k->law);
	vfprintf(k->o.report, fmt, ap);
	fputc('\n', k->o.report);
	va_end(ap);
}

void flow__break(flow__check *k, const char *fmt, ...)
{
	va_list ap;
	FILE *out = k->o.report ? k->o.report : stderr;
	k->broken++;
	va_start(ap, fmt);
	fprintf(out, "%s: BROKEN: %s: ", k->f->name ? k->f->name : k->f->kind, k->law);
	vfprintf(out, fmt, ap);
	fputc('\n', out);
	va_end(ap);
}

double flow__normal_noise(const flow__check *k, const char *purpose, int64_t i)
{
	return ad_noise_normal(k->o.seed, 0, ad_hash(0, purpose), (uint64_t)i);
}

bool flow__has(const flow__check *k, flow_dir dir)
{
	return (dir == FLOW_FORWARD ? k->f->caps.forward : k->f->caps.inverse) != FLOW_ABSENT;
}

flow__sheet flow__sheet_new(const flow__check *k, nn_store *store, flow_dir dir)
{
	ad_dtype d = nn_dtype(store);
	flow__sheet s = { .k = k, .tape = ad_tape_new(d), .store = store };
	s.c = nn_begin(s.tape, store, NN_EVAL);
	s.in = ad_input(s.tape, d, AD_SHAPE(AD_BATCH, dir == FLOW_FORWARD ? k->nx : k->ny), "in");
	if (k->o.cond)
		s.cond = ad_input(s.tape, d, AD_SHAPE(AD_BATCH, k->o.cond), "cond");
	return s;
}

void flow__sheet_free(flow__sheet *s)
{
	ad_prog_free(s->prog);
	ad_tape_free(s->tape);
	for (int i = 0; i < 2; i++)
		free(s->held[i]);
}

int flow__wants(flow__sheet *s, ad_var v)
{
	if (s->nout == FLOW__OUT)
		ad_fail(s->tape, "flow_check: more than %d outputs", FLOW__OUT);
	else
		s->out[s->nout++] = v;
	return s->nout - 1;
}

static ad_var flat(ad_var x, int64_t n)
{
	return ad_rank(x) == 2 ? x : ad_reshape(x, AD_SHAPE(AD_BATCH, n));
}

flow_out flow__on_sheet(flow__sheet *s, ad_var in, flow_dir dir)
{
	const flow__check *k = s->k;
	ad_var from[FLOW_PORTS], to[FLOW_PORTS];
	ad_shape events[FLOW_PORTS];
	char why[160];
	int nx = flow__nx(k->f, dir), ny = flow__ny(k->f, dir);
	if (!flow_shape(k->f, &k->o.event, events, why))
		ad_fail(s->tape, "%s", why);
	if (dir == FLOW_FORWARD)
		events[0] = k->o.event;
	int64_t at = 0;
	for (int i = 0; i < nx; i++) {
		int64_t n = ad_numel(events[i]);
		from[i] = ad_reshape(ad_slice(in, 1, at, at + n), flow__batched(events[i]));
		at += n;
	}
	flow_out r = { in, flow_apply_n(k->f, s->c, from, s->cond, dir, to) };
	for (int i = 0; i < ny; i++)
		to[i] = flat(to[i], ad_numel(flow__event(to[i])));
	r.x = ny == 1 ? to[0] : ad_concat(1, ny, to);
	r.logdet = ad_broadcast(r.logdet, AD_SHAPE(AD_BATCH));
	return r;
}

static const void *bound(flow__sheet *s, int slot, int64_t n, const double *v)
{
	if (nn_dtype(s->store) == AD_F64)
		return v;
	float *f = realloc(s->held[slot], (size_t)n * sizeof *f);
	for (int64_t i = 0; i < n; i++)
		f[i] = (float)v[i];
	return s->held[slot] = f;
}

bool flow__sheet_run(flow__check *k, flow__sheet *s, ad_options o, int64_t samples, const double *in,
		     const double *cond)
{
	if (!s->prog) {
		s->prog = ad_compile(s->tape, s->nout, s->out, o);
		if (!s->prog) {
			flow__break(k, "%s", ad_error(s->tape) ? ad_error(s->tape) : "does not compile");
			return false;
		}
		nn_bind(s->store, s->tape, s->prog);
	}
	ad_set_seed(s->prog, k->o.seed);
	ad_set_batch(s->prog, samples);
	ad_bind(s->prog, s->in, bound(s, 0, samples * ad_numel(ad_shape_of(s->in)), in));
	if (s->cond)
		ad_bind(s->prog, s->cond, bound(s, 1, samples * k->o.cond, cond));
	if (!ad_run(s->prog, 0))
		return true;
	flow__break(k, "%s", ad_run_error(s->prog));
	return false;
}

double flow__value(const flow__sheet *s, int out, int64_t i)
{
	const void *p = ad_result(s->prog, out);
	return ad_dtype_of(s->out[out]) == AD_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

int64_t flow__sheet_bytes(const flow__sheet *s, int out, int64_t samples)
{
	int64_t n = ad_numel(ad_shape_of(s->out[out]));
	return n * (ad_batched(s->out[out]) ? samples : 1) * (ad_dtype_of(s->out[out]) == AD_F64 ? 8 : 4);
}

double flow__log_abs_det(double *a, int64_t n)
{
	double sum = 0;
	for (int64_t k = 0; k < n; k++) {
		int64_t pivot = k;
		for (int64_t i = k + 1; i < n; i++)
			if (fabs(a[i * n + k]) > fabs(a[pivot * n + k]))
				pivot = i;
		for (int64_t j = 0; j < n; j++) {
			double t = a[k * n + j];
			a[k * n + j] = a[pivot * n + j];
			a[pivot * n + j] = t;
		}
		sum += log(fabs(a[k * n + k]));
		for (int64_t i = k + 1; i < n; i++) {
			double m = a[i * n + k] / a[k * n + k];
			for (int64_t j = k; j < n; j++)
				a[i * n + j] -= m * a[k * n + j];
		}
	}
	return sum;
}
