/* machine.c - what one thread of this machine can do, measured: products, elementwise work in the cache, copies. */
#include "ad.h"
#include "plan/plan.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 384, CACHED = 32 << 10, LARGE = 32 << 20 };

typedef struct {
	void *a, *b, *c;
	ad_dtype d;
	size_t bytes;
	const ad__kernels *k;
	void *scratch;
} arrays;

static void product(const arrays *m)
{
	if (m->d == AD_F32)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1, m->a, SIDE, m->b, SIDE, 0, m->c, SIDE);
	else
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1, m->a, SIDE, m->b, SIDE, 0, m->c, SIDE);
}

static void own_product(const arrays *m)
{
	m->k->gemm(SIDE, SIDE, SIDE, m->a, SIDE, 1, m->b, SIDE, 1, m->c, SIDE, false, m->scratch);
}

static void add(const arrays *m)
{
	m->k->add((int64_t)(m->bytes / ad__size(m->d)), m->c, m->a);
}

static void copy(const arrays *m) { memcpy(m->c, m->a, m->bytes); }

/* Least seconds of some runs, a few hundredths of a second in all. */
static double least(void run(const arrays *m), const arrays *m, int times)
{
	double best = 1e30, start = plan_now();
	run(m);
	for (int k = 0; k < 3 || plan_now() - start < 0.04; k++) {
		double t = plan_now();
		for (int i = 0; i < times; i++)
			run(m);
		t = (plan_now() - t) / times;
		best = t < best ? t : best;
	}
	return best;
}

ad_rates ad_machine(ad_dtype d)
{
	arrays m = { .a = ad_memory(LARGE), .b = ad_memory(LARGE), .c = ad_memory(LARGE), .d = d == AD_F64 ? AD_F64 : AD_F32 };
	memset(m.a, 0, LARGE);
	memset(m.b, 0, LARGE);
	memset(m.c, 0, LARGE);
	m.k = ad__kernels_for(m.d == AD_F32 ? 32 : 64, NULL);
	m.scratch = ad_memory(AD__GEMM_SCRATCH);
	/* The library may have been told to use the instructions of an older processor (OPENBLAS_CORETYPE). */
	double library = least(product, &m, 1), own = m.k ? least(own_product, &m, 1) : library;
	ad_rates r;
	r.gflops = 2e-9 * SIDE * SIDE * SIDE / (own < library ? own : library);
	m.bytes = CACHED;
	r.cache_gbytes = m.k ? 3e-9 * CACHED / least(add, &m, 64) : 0;
	m.bytes = LARGE;
	r.memory_gbytes = 2e-9 * LARGE / least(copy, &m, 1);
	free(m.scratch);
	free(m.a);
	free(m.b);
	free(m.c);
	return r;
}
