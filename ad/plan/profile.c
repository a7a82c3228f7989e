/* Where a program's time goes. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { LINES = 40, LAYERS = 16 };

static void each_program(ad_prog *p, void f(ad_prog *p, void *with), void *with)
{
	f(p, with);
	for (int i = 0; i < p->nstep; i++)
		for (int k = 0; k < p->step[i].nsub; k++)
			each_program(p->step[i].sub[k], f, with);
}

static void reset(ad_prog *p, void *on)
{
	p->profiling = *(bool *)on;
	p->run_seconds = p->group_seconds = 0;
	p->runs = 0;
	for (int i = 0; i < p->nstep; i++) {
		p->step[i].seconds = 0;
		p->step[i].calls = 0;
	}
}

void ad_profile(ad_prog *p, bool on) { each_program(p, reset, &on); }

/* A line of any of the lists; seconds and work of all runs together. */
typedef struct {
	const plan_step *step;
	char name[64];
	double seconds, flops, bytes;
	int64_t calls;
} entry;

typedef struct {
	entry *at;
	int n, room;
} entries;

static entry *append(entries *e)
{
	if (e->n == e->room) {
		e->room = e->room ? 2 * e->room : 256;
		e->at = realloc(e->at, (size_t)e->room * sizeof *e->at);
		if (!e->at)
			abort();
	}
	memset(&e->at[e->n], 0, sizeof *e->at);
	return &e->at[e->n++];
}

/* Bytes that a step must move, for a sample or once. */
static double step_bytes(const ad_prog *p, const plan_step *s)
{
	double b = 0;
	for (int k = 0; k < s->nout + s->nin; k++) {
		double n = 1;
		for (int i = 0; i < s->arg[k].a.rank; i++)
			if (s->arg[k].a.stride[i])
				n *= (double)s->arg[k].a.dim[i];
		b += n * (double)ad__size(p->value[s->arg[k].value].dtype);
	}
	return b;
}

/* Steps inside of traced functions work on whole tiles; their time is not their caller's. */
static void collect(const ad_prog *top, const ad_prog *p, entries *e)
{
	for (int i = 0; i < p->nstep; i++) {
		const plan_step *s = &p->step[i];
		double work = !s->batched ? (double)s->calls : p == top ? (double)p->batch * (double)p->runs
		                                                        : (double)s->calls * (double)top->tile;
		double inside = 0;
		int first = e->n;
		for (int k = 0; k < s->nsub; k++)
			collect(top, s->sub[k], e);
		for (int k = first; k < e->n; k++)
			inside += e->at[k].seconds;
		if (!s->calls)
			continue;
		entry *x = append(e);
		x->step = s;
		x->seconds = s->seconds > inside ? s->seconds - inside : 0;
		x->calls = s->calls;
		x->flops = plan_step_flops(s) * work;
		x->bytes = step_bytes(p, s) * work;
	}
}

static int by_time(const void *a, const void *b)
{
	const entry *x = a, *y = b;
	return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static void op_of(const plan_step *s, char *name, size_t n)
{
	snprintf(name, n, "%s", s->kind == STEP_OP ? s->node->op->name : plan_step_kinds[s->kind]);
}

/* The first two parts of the path: "flow/coupling_3". */
static void layer_of(const plan_step *s, char *name, size_t n)
{
	const char *path = s->node->path, *end = strchr(path, '/');
	end = end ? strchr(end + 1, '/') : NULL;
	snprintf(name, n, "%.*s", end ? (int)(end - path) : (int)strlen(path), *path ? path : "(no path)");
	if (!*path)
		snprintf(name, n, "(no path)");
}

static entries summed(const entries *e, void name_of(const plan_step *s, char *name, size_t n))
{
	entries by = { 0 };
	for (int i = 0; i < e->n; i++) {
		char name[sizeof e->at->name];
		int k = 0;
		name_of(e->at[i].step, name, sizeof name);
		while (k < by.n && strcmp(by.at[k].name, name))
			k++;
		if (k == by.n)
			memcpy(append(&by)->name, name, sizeof name);
		by.at[k].seconds += e->at[i].seconds;
		by.at[k].flops += e->at[i].flops;
		by.at[k].bytes += e->at[i].bytes;
		by.at[k].calls += e->at[i].calls;
	}
	qsort(by.at, (size_t)by.n, sizeof *by.at, by_time);
	return by;
}

typedef struct {
	FILE *f;
	double all, runs; /* seconds of all threads together */
	ad_rates machine;
} listing;

/* The larger of the parts of the two rates that it reaches: what bounds it from below. */
static void line(const listing *l, const entry *x)
{
	double gflops = x->seconds > 0 ? 1e-9 * x->flops / x->seconds : 0, gbytes = x->seconds > 0 ? 1e-9 * x->bytes / x->seconds : 0;
	double a = gflops / l->machine.gflops, b = gbytes / l->machine.cache_gbytes;
	char text[200];
	if (*x->name)
		snprintf(text, sizeof text, "%s", x->name);
	else
		plan_name_step(x->step, text, sizeof text);
	fprintf(l->f, "%5.1f%% %10.4f %9.4g %9.2f %9.2f %6.0f%%  %s%s%s\n", 100 * x->seconds / l->all, 1e3 * x->seconds / l->runs,
	        (double)x->calls / l->runs, gflops, gbytes, 100 * (a > b ? a : b), text, *x->name ? "" : " ", *x->name ? "" : x->step->node->path);
}

static void list(const listing *l, const char *title, const entries *e, int most)
{
	double rest = 0;
	fprintf(l->f, "%6s %10s %9s %9s %9s %7s  %s\n", "share", "ms a run", "calls", "GFLOP/s", "GB/s", "reached", title);
	for (int i = 0; i < e->n; i++)
		if (i < most && e->at[i].seconds > 0)
			line(l, &e->at[i]);
		else
			rest += e->at[i].seconds;
	if (e->n > most)
		fprintf(l->f, "%5.1f%% %10.4f  in %d more\n", 100 * rest / l->all, 1e3 * rest / l->runs, e->n - most);
}

static ad_dtype main_dtype(const ad_prog *p)
{
	int64_t n[2] = { 0 };
	for (int i = 0; i < p->nstep; i++)
		if (p->step[i].node->dtype != AD_I32)
			n[p->step[i].node->dtype == AD_F64] += 1;
	return n[1] > n[0] ? AD_F64 : AD_F32;
}

void ad_profile_print(const ad_prog *p, FILE *f)
{
	if (!p->runs) {
		fprintf(f, "nothing was run\n");
		return;
	}
	entries e = { 0 };
	ad_dtype d = main_dtype(p);
	listing l = { f, p->run_seconds * p->nthread, (double)p->runs, ad_machine(d) };
	double steps = 0;
	collect(p, p, &e);
	qsort(e.at, (size_t)e.n, sizeof *e.at, by_time);
	for (int i = 0; i < e.n; i++)
		steps += e.at[i].seconds;
	fprintf(f, "%lld runs of %lld samples, %.3f ms each on %d thread%s (tile of %lld); times below are summed over threads\n",
	        (long long)p->runs, (long long)p->batch, 1e3 * p->run_seconds / l.runs, p->nthread, p->nthread > 1 ? "s" : "",
	        (long long)p->tile);
	fprintf(f, "one thread of this machine now: %.1f GFLOP/s (%s or our own product), %.1f GB/s in the cache, %.1f GB/s copying memory; \"reached\" is "
	           "the larger of a step's shares of the first two\n",
	        l.machine.gflops, d == AD_F32 ? "sgemm" : "dgemm", l.machine.cache_gbytes, l.machine.memory_gbytes);
	list(&l, "op, shape, path", &e, LINES);
	entries ops = summed(&e, op_of), layers = summed(&e, layer_of);
	list(&l, "by op", &ops, ops.n);
	list(&l, "by layer", &layers, LAYERS);
	fprintf(f, "%5.1f%% %10.4f  outside of steps: waiting for other threads, adding up sums over tiles, finding places\n",
	        100 * (l.all - steps) / l.all, 1e3 * (l.all - steps) / l.runs);
	if (plan_ranks(p) > 1)
		fprintf(f, "%5.1f%% %10.4f  of a run's time: exchanging results with %d other rank%s, and waiting for them\n",
		        100 * p->group_seconds / p->run_seconds, 1e3 * p->group_seconds / l.runs, plan_ranks(p) - 1,
		        plan_ranks(p) > 2 ? "s" : "");
	free(e.at);
	free(ops.at);
	free(layers.at);
}
