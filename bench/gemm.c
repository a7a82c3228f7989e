/* Products of a linear layer on one tile, GFLOP/s of our kernel beside OpenBLAS's, one core; --isa NAME picks the
 * instruction set. */
#include "ad/op.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
	const char *what;
	int m, n, k;
	bool ta, tb;
} shape;

static const shape shapes[] = {
	{ "forward, tile 16", 512, 16, 512, false, false },    { "forward, tile 64", 512, 64, 512, false, false },
	{ "forward, tile 128", 512, 128, 512, false, false },  { "forward, tile 256", 512, 256, 512, false, false },
	{ "backward, tile 64", 512, 64, 512, true, false },    { "backward, tile 128", 512, 128, 512, true, false },
	{ "backward, tile 256", 512, 256, 512, true, false },  { "weight, tile 64", 512, 512, 64, false, true },
	{ "weight, tile 128", 512, 512, 128, false, true },    { "weight, tile 256", 512, 512, 256, false, true },
	{ "first layer", 512, 128, 63, false, false },	       { "last layer", 126, 128, 512, false, false },
	{ "first layer's weight", 512, 63, 128, false, true }, { "narrow net", 64, 64, 64, false, false },
	{ "narrow net, backward", 64, 64, 64, true, false },   { "one output", 1, 128, 64, false, false },
	{ "square", 1024, 1024, 1024, false, false },
};

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void blas(ad_dtype d, const shape *s, const void *a, const void *b, void *c)
{
	CBLAS_TRANSPOSE ta = s->ta ? CblasTrans : CblasNoTrans, tb = s->tb ? CblasTrans : CblasNoTrans;
	int la = s->ta ? s->m : s->k, lb = s->tb ? s->k : s->n;
	if (d == AD_F64)
		cblas_dgemm(CblasRowMajor, ta, tb, s->m, s->n, s->k, 1, a, la, b, lb, 0, c, s->n);
	else
		cblas_sgemm(CblasRowMajor, ta, tb, s->m, s->n, s->k, 1, a, la, b, lb, 0, c, s->n);
}

static void ours(const ad__kernels *k, const shape *s, const void *a, const void *b, void *c, void *scratch)
{
	k->gemm(s->m, s->n, s->k, a, s->ta ? 1 : s->k, s->ta ? s->m : 1, b, s->tb ? 1 : s->n, s->tb ? s->k : 1, c, s->n,
		false, scratch);
}

static void *numbers(ad_dtype d, int64_t n, uint64_t seed)
{
	void *p = ad__malloc((size_t)n * ad__size(d));
	for (int64_t i = 0; i < n; i++) {
		double v = ad_noise_uniform(seed, 0, 0, (uint64_t)i) - 0.5;
		if (d == AD_F64)
			((double *)p)[i] = v;
		else
			((float *)p)[i] = (float)v;
	}
	return p;
}

/* Best of several runs of about 0.1 Gflop each. */
static double rate(ad_dtype d, const ad__kernels *k, const shape *s, const void *a, const void *b, void *c,
		   void *scratch)
{
	double flops = 2.0 * s->m * s->n * s->k, best = INFINITY;
	int repeat = 1 + (int)(1e8 / flops);
	for (int run = 0; run < 20; run++) {
		double t = seconds();
		for (int i = 0; i < repeat; i++)
			if (k)
				ours(k, s, a, b, c, scratch);
			else
				blas(d, s, a, b, c);
		t = (seconds() - t) / repeat;
		best = t < best ? t : best;
	}
	return flops / best * 1e-9;
}

int main(int argc, char **argv)
{
	const char *isa = argc == 3 && !strcmp(argv[1], "--isa") ? argv[2] : NULL;
	if ((argc != 1 && !isa) || !ad__kernels_for(32, isa)) {
		fprintf(stderr, "usage: gemm [--isa plain|base|v3|v4], one that this machine has\n");
		return 1;
	}
	void *scratch = ad__malloc(AD__GEMM_SCRATCH);
	printf("ours %s, OpenBLAS %s; GFLOP/s\n", ad__kernels_for(32, isa)->isa, ad_blas());
	for (ad_dtype d = AD_F32; d <= AD_F64; d++) {
		printf("\n%-22s %5s %5s %5s %8s %8s %6s\n", d == AD_F32 ? "fp32" : "fp64", "m", "n", "k", "ours",
		       "BLAS", "ratio");
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
			const shape *s = &shapes[i];
			void *a = numbers(d, (int64_t)s->m * s->k, 1), *b = numbers(d, (int64_t)s->k * s->n, 2);
			void *c = ad__malloc((size_t)s->m * (size_t)s->n * ad__size(d));
			double own = rate(d, ad__kernels_for(d == AD_F32 ? 32 : 64, isa), s, a, b, c, scratch);
			double theirs = rate(d, NULL, s, a, b, c, scratch);
			printf("%-22s %5d %5d %5d %8.1f %8.1f %6.2f\n", s->what, s->m, s->n, s->k, own, theirs,
			       own / theirs);
			free(a);
			free(b);
			free(c);
		}
	}
	free(scratch);
	return 0;
}
