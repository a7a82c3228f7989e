/* program.h - for tests: a tape with its bound inputs and wanted outputs. */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include "ad/ad.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
	ad_tape *t;
	ad_prog *p;
	int nin, nout;
	ad_var in[24], out[64];
	const void *data[24];
	int64_t batch;
} program;

static inline program program_on(ad_dtype real, int64_t batch)
{
	return (program){ .t = ad_tape_new(real), .batch = batch };
}

static inline ad_var program_in(program *g, ad_dtype d, ad_shape s, const void *data)
{
	char name[16];
	snprintf(name, sizeof name, "x%d", g->nin);
	g->data[g->nin] = data;
	return g->in[g->nin++] = ad_input(g->t, d, s, name);
}

static inline int program_out(program *g, ad_var v)
{
	g->out[g->nout] = v;
	return g->nout++;
}

/* Compiles, binds and runs; 0, or -1 if the run fails. */
static inline int program_try(program *g, ad_options o)
{
	ad_prog_free(g->p);
	g->p = NULL;
	if (ad_error(g->t))
		fail_msg("%s", ad_error(g->t));
	g->p = ad_compile(g->t, g->nout, g->out, o);
	if (!g->p)
		fail_msg("%s", ad_error(g->t));
	ad_set_batch(g->p, g->batch);
	for (int i = 0; i < g->nin; i++)
		ad_bind(g->p, g->in[i], g->data[i]);
	return ad_run(g->p, 0);
}

static inline void program_run(program *g, ad_options o)
{
	if (program_try(g, o))
		fail_msg("%s", ad_run_error(g->p));
}

static inline int64_t program_count(const program *g, int i)
{
	return ad_numel(ad_shape_of(g->out[i])) * (ad_batched(g->out[i]) ? g->batch : 1);
}

static inline const double *program_f64(const program *g, int i)
{
	return ad_result(g->p, i);
}

static inline void program_free(program *g)
{
	ad_prog_free(g->p);
	ad_tape_free(g->t);
}

/* Reproducible numbers in (lo, hi). */
static inline double *numbers(int64_t n, double lo, double hi, uint64_t seed)
{
	double *v = malloc((size_t)n * sizeof *v);
	for (int64_t i = 0; i < n; i++)
		v[i] = lo + (hi - lo) * ad_noise_uniform(seed, 0, 0, (uint64_t)i);
	return v;
}

/* An instruction set that kernels are compiled for. */
static inline bool machine_has(const char *isa)
{
	if (!strcmp(isa, "plain"))
		return true;
#ifdef __x86_64__
	__builtin_cpu_init();
	if (!strcmp(isa, "base"))
		return true;
	if (!strcmp(isa, "v3"))
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
	return false;
#endif
}

#endif
