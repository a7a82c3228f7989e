/* timing.c - times of several jobs taken in turns, and the BLAS product to compare them with. */
#include "timing.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double timing_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double timing_peak_mib(void)
{
	/* Not getrusage: its maximum is inherited from the process that started this one. */
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	double kib = NAN;
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "VmHWM:", 6))
			kib = strtod(line + 6, NULL);
	if (f)
		fclose(f);
	return kib / 1024;
}

static void *allocate(size_t bytes)
{
	void *p = calloc(1, bytes);
	if (p)
		return p;
	fprintf(stderr, "out of memory\n");
	exit(1);
}

/* n times in a few pieces: no further when it takes much longer than meant, as on a machine that others use. */
static double once(timing_job *j, int64_t n, double limit)
{
	double start = timing_now(), spent = 0;
	int64_t done = 0, piece = n < 8 ? 1 : n / 8;
	while (!j->failed && done < n && spent <= limit) {
		int64_t k = n - done < piece ? n - done : piece;
		j->failed = !j->run(j->what, k);
		done += k;
		spent = timing_now() - start;
	}
	return j->failed ? NAN : spent / (double)done;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void timing_rounds(int n, timing_job job[], int rounds, double block)
{
	double *t = allocate((size_t)n * (size_t)rounds * sizeof *t);
	int64_t *times = allocate((size_t)n * sizeof *times);
	for (int i = 0; i < n; i++) {
		once(&job[i], 1, block); /* compiles, touches memory */
		double guess = once(&job[i], 1, block);
		times[i] = guess < block ? (int64_t)fmin(1e5, ceil(block / guess)) : 1;
	}
	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < n; i++)
			t[i * rounds + r] = once(&job[i], times[i], 3 * block);
	for (int i = 0; i < n; i++) {
		double *v = t + i * rounds;
		qsort(v, (size_t)rounds, sizeof *v, ascending);
		job[i].least = job[i].failed ? NAN : v[0];
		job[i].median = job[i].failed ? NAN : (v[rounds / 2] + v[(rounds - 1) / 2]) / 2;
	}
	free(t);
	free(times);
}

double timing_exponent(int n, const double x[], const double y[])
{
	double m = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
	for (int i = 0; i < n; i++)
		if (x[i] > 0 && y[i] > 0) {
			double a = log(x[i]), b = log(y[i]);
			m++;
			sx += a;
			sy += b;
			sxx += a * a;
			sxy += a * b;
		}
	double d = m * sxx - sx * sx;
	return m > 1 && d > 0 ? (m * sxy - sx * sy) / d : NAN;
}

typedef struct {
	int threads;
	float *a, *b, *c;
} gemm;

static bool multiply(void *what, int64_t n)
{
	const gemm *g = what;
	const int size = TIMING_GEMM, threads = g->threads;
	for (int64_t k = 0; k < n; k++) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
		for (int i = 0; i < threads; i++) {
			int lo = size * i / threads, rows = size * (i + 1) / threads - lo;
			size_t at = (size_t)lo * (size_t)size;
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, size, size, 1, g->a + at, size, g->b, size, 0,
			            g->c + at, size);
		}
	}
	return true;
}

timing_job timing_gemm(int threads)
{
	size_t n = (size_t)TIMING_GEMM * TIMING_GEMM;
	gemm *g = allocate(sizeof *g);
	*g = (gemm){ threads, allocate(n * sizeof(float)), allocate(n * sizeof(float)), allocate(n * sizeof(float)) };
	for (size_t i = 0; i < n; i++) {
		g->a[i] = (float)(i % 7) - 3;
		g->b[i] = (float)(i % 5) - 2;
	}
	openblas_set_num_threads(1);
	return (timing_job){ .run = multiply, .what = g };
}

void timing_gemm_free(timing_job *j)
{
	gemm *g = j->what;
	free(g->a);
	free(g->b);
	free(g->c);
	free(g);
}
