/* test_kernels.c - kernels by themselves, on every instruction set: sums over lanes whatever the number of rows, exponentials
 * at the ends of their range, triangular systems of every size. */
#include "ad/op.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const isas[] = { "plain", "base", "v3", "v4" };

static double noise(int stream, int64_t i) { return ad_noise_normal(5, 0, (uint64_t)stream, (uint64_t)i); }

/* The kernels of instruction set i for reals of `bits`; NULL: this machine lacks it. */
static const ad__kernels *kernels(int i, int bits) { return ad__kernels_for(bits, isas[i]); }

static void put(void *p, int bits, int64_t i, double v)
{
	if (bits == 64)
		((double *)p)[i] = v;
	else
		((float *)p)[i] = (float)v;
}

static double get(const void *p, int bits, int64_t i) { return bits == 64 ? ((const double *)p)[i] : (double)((const float *)p)[i]; }

/* A row's sum has the same bits among many rows and alone. */
static void lane_sums(void **state)
{
	enum { ROWS = 37, WIDTH = 1104 };
	static double x[ROWS * WIDTH], all[ROWS], one[ROWS];
	static const int64_t valid[] = { 1, 15, 16, 17, 48, 61, 64, 128, 1023, 1104 };
	(void)state;
	for (int i = 0; i < 4; i++)
		for (int bits = 32; bits <= 64; bits += 32) {
			const ad__kernels *k = kernels(i, bits);
			if (!k)
				continue;
			for (int64_t e = 0; e < ROWS * WIDTH; e++)
				put(x, bits, e, noise(1, e));
			for (size_t v = 0; v < sizeof valid / sizeof *valid; v++)
				for (int add = 0; add < 2; add++) {
					int64_t n = valid[v], width = (n + 15) / 16 * 16;
					for (int r = 0; r < ROWS; r++) {
						put(all, bits, r, r);
						put(one, bits, r, r);
					}
					k->lane_sum(ROWS, width, n, all, x, add);
					for (int64_t r = 0; r < ROWS; r++)
						k->lane_sum(1, width, n, (char *)one + r * bits / 8, (char *)x + r * width * bits / 8, add);
					assert_memory_equal(all, one, (size_t)(ROWS * bits / 8));
					double want = add ? 3 : 0, size = fabs(want);
					for (int64_t l = 0; l < n; l++) {
						want += get(x, bits, 3 * width + l);
						size += fabs(get(x, bits, 3 * width + l));
					}
					double eps = bits == 64 ? DBL_EPSILON : FLT_EPSILON;
					if (!(fabs(get(all, bits, 3) - want) <= 16 * eps * size))
						fail_msg("%s, %d bits: %g, not %g", isas[i], bits, get(all, bits, 3), want);
				}
		}
}

/* Infinite arguments, results below the normal numbers, overflow. */
static void exponentials(void **state)
{
	static const struct {
		int ew;
		double x[2], y; /* x by precision */
	} at[] = {
		{ AD__EW_exp, { -INFINITY, -INFINITY }, 0 },    { AD__EW_exp, { INFINITY, INFINITY }, INFINITY },
		{ AD__EW_exp, { -1e30, -1e300 }, 0 },           { AD__EW_exp, { 89, 710 }, INFINITY },
		{ AD__EW_exp, { 0, 0 }, 1 },                    { AD__EW_tanh, { INFINITY, INFINITY }, 1 },
		{ AD__EW_tanh, { -1e30, -1e300 }, -1 },         { AD__EW_tanh, { 0, 0 }, 0 },
		{ AD__EW_sigmoid, { -INFINITY, -INFINITY }, 0 }, { AD__EW_sigmoid, { 1e30, 1e300 }, 1 },
		{ AD__EW_sigmoid, { 0, 0 }, 0.5 },              { AD__EW_softplus, { -1e30, -1e300 }, 0 },
		{ AD__EW_softplus, { INFINITY, INFINITY }, INFINITY },
	};
	(void)state;
	for (int i = 0; i < 4; i++)
		for (int bits = 32; bits <= 64; bits += 32) {
			const ad__kernels *k = kernels(i, bits);
			double x[20], y[20];
			for (size_t j = 0; k && j < sizeof at / sizeof *at; j++) {
				for (int e = 0; e < 20; e++)
					put(x, bits, e, at[j].x[bits == 64]);
				k->ew[at[j].ew](19, y, (const void *[]){ x, NULL, NULL }, 0, 0);
				for (int e = 0; e < 19; e++)
					if (get(y, bits, e) != at[j].y)
						fail_msg("%s, %d bits, row %d of %g: %g, not %g", isas[i], bits, at[j].ew, at[j].x[bits == 64],
						         get(y, bits, e), at[j].y);
			}
			/* Largest and smallest finite results, and those that are not normal. */
			for (double v = bits == 64 ? -744 : -102; k && v < (bits == 64 ? 709.7 : 88.7); v += 0.37) {
				double least = bits == 64 ? 5e-324 : 1.5e-45, eps = bits == 64 ? DBL_EPSILON : FLT_EPSILON;
				put(x, bits, 0, v);
				k->ew[AD__EW_exp](1, y, (const void *[]){ x, NULL, NULL }, 0, 0);
				double want = exp(get(x, bits, 0));
				if (!(fabs(get(y, bits, 0) - want) <= 2 * eps * want + least))
					fail_msg("%s, %d bits: exp(%.17g) is %.17g, not %.17g", isas[i], bits, v, get(y, bits, 0), want);
			}
		}
}

/* t x = b, both ways round, for sizes with and without remainders, small and by products. */
static void one_system(int64_t n, int64_t cols, unsigned how, int bits, int isa)
{
	ad_dtype d = bits == 64 ? AD_F64 : AD_F32;
	bool upper = how & 1, turned = how & 2, unit = how & 4;
	ad_tape *t = ad_tape_new(d);
	ad_var a = ad_input(t, d, AD_SHAPE(n, n), "a"), b = ad_input(t, d, AD_SHAPE(n, cols), "b");
	ad_var y = ad_solve_triangular(a, b, upper, turned, unit);
	ad_prog *p = ad_compile(t, 1, &y, (ad_options){ .threads = 1, .isa = isas[isa] });
	double *va = malloc((size_t)(n * n) * sizeof *va), *vb = malloc((size_t)(n * cols) * sizeof *vb);
	assert_true(p && va && vb);
	for (int64_t i = 0; i < n * n; i++) /* what the other triangle holds must not matter */
		put(va, bits, i, i % (n + 1) ? 0.3 * noise(2, i) / sqrt((double)n) : 1.5 + 0.5 * cos((double)i));
	for (int64_t i = 0; i < n * cols; i++)
		put(vb, bits, i, noise(3, i));
	ad_bind(p, a, va);
	ad_bind(p, b, vb);
	assert_int_equal(ad_run(p, 0), 0);
	const void *x = ad_result(p, 0);
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < cols; j++) {
			double sum = 0;
			for (int64_t k = 0; k < n; k++) {
				bool in = turned != upper ? k > i : k < i;
				double v = k == i ? (unit ? 1 : get(va, bits, i * n + i)) : in ? get(va, bits, turned ? k * n + i : i * n + k) : 0;
				sum += v * get(x, bits, k * cols + j);
			}
			if (!(fabs(sum - get(vb, bits, i * cols + j)) <= (bits == 64 ? 1e-12 : 1e-4)))
				fail_msg("%s, %d bits, n %lld, %lld columns, way %u: t x = %g, b = %g", isas[isa], bits, (long long)n,
				         (long long)cols, how, sum, get(vb, bits, i * cols + j));
		}
	free(va);
	free(vb);
	ad_prog_free(p);
	ad_tape_free(t);
}

static void systems(void **state)
{
	static const int64_t sizes[] = { 1, 2, 7, 16, 31, 43, 128, 145 }, cols[] = { 1, 5, 16, 35 };
	(void)state;
	for (int i = 0; i < 4; i++)
		for (int bits = 32; kernels(i, bits) && bits <= 64; bits += 32)
			for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++)
				for (size_t c = 0; c < sizeof cols / sizeof *cols; c++)
					for (unsigned how = 0; how < 8; how++)
						one_system(sizes[n], cols[c], how, bits, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lane_sums), cmocka_unit_test(exponentials),
		                                cmocka_unit_test(systems) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
