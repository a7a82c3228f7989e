/* test_noise.c - the generator against its published vectors, its numbers against their
 * distributions, and that the noise of an array depends on nothing but seed, step, stream and
 * element. */
#include "ad/ad.h"
#include "ad/kernels/kernels.h"
#include "ad/noise.h"
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N (1 << 20)
#define SIGMAS 5 /* of a sum of N terms: 0.5 % of one term's deviation */

static double buffer[N];

/* One block of Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011): replaces the counter by four random words. */
static void philox(uint32_t c[4], const uint32_t key[2])
{
	uint32_t k0 = key[0], k1 = key[1];
	for (int r = 0; r < 10; r++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
		uint64_t p = (uint64_t)0xD2511F53 * c[0], q = (uint64_t)0xCD9E8D57 * c[2];
		c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k0;
		c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k1;
		c[1] = (uint32_t)q;
		c[3] = (uint32_t)p;
	}
}

/* The vectors that Salmon et al. publish with it. */
static void philox_vectors(void **state)
{
	(void)state;
	static const struct {
		uint32_t counter[4], key[2], out[4];
	} v[] = {
		{ { 0 }, { 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u },
			{ 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
			{ 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};
	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		uint32_t c[4];
		memcpy(c, v[i].counter, sizeof c);
		philox(c, v[i].key);
		assert_memory_equal(c, v[i].out, sizeof c);
	}
}

static double unit(uint32_t high, uint32_t low) { return ((double)(((uint64_t)high << 32 | low) >> 12) + 0.5) * 0x1p-52; }

/* Runs of elements on every instruction set: those of the blocks one by one, and the same quantiles. */
static void instruction_sets(void **state)
{
	(void)state;
	enum { MOST = 300 };
	static const char *const isas[] = { "plain", "base", "v3", "v4" };
	static const uint64_t seeds[] = { 0, 0x299f31d0a4093822 }, firsts[] = { 0, 1, 77, (1ull << 33) - 5, ~0ull - MOST };
	double u[MOST + 1], z[2][MOST];
	for (int i = 0; i < 2 * 5 * MOST; i += 1 + i % 7) {
		uint64_t seed = seeds[i % 2], first = firsts[i / 2 % 5], place = seed * 31 + (uint64_t)i;
		int64_t n = i / 10 + 1;
		for (int k = 0; k < 4; k++) {
			const ad__kernels *kernels = ad__kernels_for(i % 3 ? 64 : 32, isas[k]);
			if (!kernels)
				continue;
			u[n] = 7;
			kernels->noise_uniform(seed, place, first, n, u);
			assert_true(u[n] == 7);
			for (int64_t e = 0; e < n; e++) {
				uint64_t block = (first + (uint64_t)e) / 2;
				uint32_t c[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)place, (uint32_t)(place >> 32) };
				philox(c, (uint32_t[]){ (uint32_t)seed, (uint32_t)(seed >> 32) });
				bool odd = (first + (uint64_t)e) % 2;
				assert_true(u[e] == (odd ? unit(c[2], c[3]) : unit(c[0], c[1])));
			}
			memcpy(z[k > 0], u, (size_t)n * sizeof *u);
			kernels->noise_quantile(n, z[k > 0]);
			assert_memory_equal(z[0], z[k > 0], (size_t)n * sizeof *u);
		}
	}
}

/* The quantile inverts the distribution function, relative to the nearer tail. */
static void quantile(void **state)
{
	(void)state;
	for (double u = 0x1p-53; u < 1; u = u < 1e-3 ? 1.5 * u : u + 1e-3) {
		double z = u;
		ad__noise_quantile(1, &z);
		double tail = u < 0.5 ? u : 1 - u, p = 0.5 * erfc(fabs(z) / sqrt(2));
		assert_true(fabs(p - tail) <= 1e-14 * tail * (1 + z * z));
		assert_true((z < 0) == (u < 0.5) || z == 0);
	}
}

static void deviates(double sum, double mean, double variance)
{
	double z = (sum - N * mean) / sqrt(N * variance);
	if (fabs(z) > SIGMAS)
		fail_msg("%g standard errors from the mean", z);
}

static void uniform_numbers(void **state)
{
	(void)state;
	ad__noise_uniform(7, 1, ad_hash(0, "uniform"), 12345, N, buffer);
	double s1 = 0, s2 = 0, chi = 0;
	static int cell[1 << 10];
	for (int i = 0; i < N; i++) {
		double u = buffer[i];
		assert_true(u > 0 && u < 1 && ad__noise_f32(u) > 0 && ad__noise_f32(u) < 1);
		s1 += u;
		s2 += u * u;
		cell[(int)(u * (1 << 10))]++;
	}
	deviates(s1, 1. / 2, 1. / 12);
	deviates(s2, 1. / 3, 4. / 45);
	for (int i = 0; i < 1 << 10; i++)
		chi += (cell[i] - 1024.) * (cell[i] - 1024.) / 1024;
	assert_true(fabs(chi - 1023) < SIGMAS * sqrt(2 * 1023));
	assert_true(ad__noise_f32(1 - 0x1p-53) < 1 && ad__noise_f32(0x1p-53) > 0);
}

static void normal_numbers(void **state)
{
	(void)state;
	ad__noise_uniform(7, 1, ad_hash(0, "normal"), 1, N, buffer);
	ad__noise_quantile(N, buffer);
	double s[5] = { 0 }, beyond = 0, p = erfc(3 / sqrt(2));
	for (int i = 0; i < N; i++) {
		double z = buffer[i], power = 1;
		for (int k = 1; k < 5; k++)
			s[k] += power *= z;
		beyond += fabs(z) > 3;
	}
	deviates(s[1], 0, 1);
	deviates(s[2], 1, 2);
	deviates(s[3], 0, 15);
	deviates(s[4], 3, 96);
	deviates(beyond, p, p * (1 - p));
}

/* Correlations of values and of squares, and a table of pairs. */
static void independent(const double *x, const double *y)
{
	double s = 0, q = 0, chi = 0;
	static int cell[32][32];
	memset(cell, 0, sizeof cell);
	for (int i = 0; i < N; i++) {
		double a = x[i] - 0.5, b = y[i] - 0.5;
		s += 12 * a * b;
		q += (a * a - 1. / 12) * (b * b - 1. / 12) * 180;
		cell[(int)(32 * x[i])][(int)(32 * y[i])]++;
	}
	deviates(s, 0, 1);
	deviates(q, 0, 1);
	for (int i = 0; i < 32; i++)
		for (int j = 0; j < 32; j++)
			chi += (cell[i][j] - 1024.) * (cell[i][j] - 1024.) / 1024;
	assert_true(fabs(chi - 1023) < SIGMAS * sqrt(2 * 1023));
}

static void independence(void **state)
{
	(void)state;
	static double other[N + 64];
	ad__noise_uniform(3, 4, 5, 0, N, buffer);
	for (int lag = 1; lag <= 64; lag *= 2) {
		ad__noise_uniform(3, 4, 5, (uint64_t)lag, N, other);
		independent(buffer, other);
	}
	static const uint64_t neighbour[][3] = { { 2, 4, 5 }, { 3, 5, 5 }, { 3, 3, 5 }, { 3, 4, 6 },
		{ 3, 4, 4 }, { 4, 4, 5 }, { 3 | 1ull << 32, 4, 5 }, { 3, 5, 4 }, { 3, 4 | 1ull << 32, 5 },
		{ 3, 4, 5 | 1ull << 63 } };
	for (size_t i = 0; i < sizeof neighbour / sizeof *neighbour; i++) {
		ad__noise_uniform(neighbour[i][0], neighbour[i][1], neighbour[i][2], 0, N, other);
		independent(buffer, other);
	}
	ad__noise_uniform(3, 4, 5, 1ull << 33, N, other);
	independent(buffer, other);
}

static void hashes(void **state)
{
	(void)state;
	assert_true(ad_hash(0, "a") != ad_hash(0, "b"));
	assert_true(ad_hash(ad_hash(0, "ab"), "c") != ad_hash(ad_hash(0, "a"), "bc"));
	assert_true(ad_hash(ad_hash(0, "a"), "b") != ad_hash(ad_hash(0, "b"), "a"));
	assert_true(ad_hash(0, "") != 0);
}

typedef struct {
	ad_tape *t;
	ad_prog *p;
	ad_var out[4];
} noisy;

static noisy arrays(
	ad_dtype d, ad_shape s, ad_options o, int64_t samples, uint64_t seed, uint64_t step)
{
	noisy g = { .t = ad_tape_new(d) };
	g.out[0] = ad_normal(g.t, s, 11);
	g.out[1] = ad_uniform(g.t, s, 12);
	g.out[2] = ad_rademacher(g.t, s, 13);
	g.out[3] = ad_categorical(
		ad_broadcast(ad_array(g.t, AD_SHAPE(3), (double[]){ log(0.2), -INFINITY, log(0.8) }), s),
		14);
	g.p = ad_compile(g.t, 4, g.out, o);
	assert_non_null(g.p);
	ad_set_seed(g.p, seed);
	ad_set_batch(g.p, samples);
	assert_int_equal(ad_run(g.p, step), 0);
	return g;
}

static void end(noisy g)
{
	ad_prog_free(g.p);
	ad_tape_free(g.t);
}

static double at(noisy g, int out, int64_t i)
{
	const void *p = ad_result(g.p, out);
	ad_dtype d = ad_dtype_of(g.out[out]);
	return d == AD_F64   ? ((const double *)p)[i]
		   : d == AD_F32 ? ((const float *)p)[i]
						 : ((const int32_t *)p)[i];
}

/* Element by element what ad_noise_uniform and ad_noise_normal say, whatever dtype, tile, threads
 * and batch. */
static void arrays_of_noise(void **state)
{
	(void)state;
	ad_shape shapes[] = { AD_SHAPE(AD_BATCH, 3), AD_SHAPE(AD_BATCH, 5, 3),
		AD_SHAPE(AD_BATCH, 70, 3), AD_SHAPE(4, 3) };
	ad_options options[] = { { .tile = 16 }, { .tile = 48, .threads = 2, .reverse_tiles = true },
		{ .threads = 1 } };
	for (size_t k = 0; k < 4; k++) {
		int64_t n = ad_numel(shapes[k]), most = shapes[k].dim[0] == AD_BATCH ? 101 : 1;
		for (int o = 0; o < 3; o++)
			for (ad_dtype d = AD_F32; d <= AD_F64; d++)
				for (int64_t samples = 1; samples <= most; samples += 50) {
					noisy g = arrays(d, shapes[k], options[o], samples, 9, 2);
					for (int64_t i = 0; i < n * samples; i++) {
						double z = ad_noise_normal(9, 2, 11, (uint64_t)i),
							   u = ad_noise_uniform(9, 2, 12, (uint64_t)i);
						double v = ad_noise_uniform(9, 2, 13, (uint64_t)i);
						assert_true(at(g, 0, i) == (d == AD_F32 ? (float)z : z));
						assert_true(at(g, 1, i) == (d == AD_F32 ? ad__noise_f32(u) : u));
						assert_true(at(g, 2, i) == (v < 0.5 ? -1 : 1));
					}
					end(g);
				}
	}
}

/* The draws of a batch do not change when it grows, and do with seed and step. */
static void categorical(void **state)
{
	(void)state;
	enum { SAMPLES = 20000, ROWS = 7 };
	ad_shape s = AD_SHAPE(AD_BATCH, ROWS, 3);
	noisy g = arrays(AD_F64, s, (ad_options){ 0 }, SAMPLES, 1, 1),
		  same = arrays(AD_F32, s, (ad_options){ .tile = 32 }, 99, 1, 1);
	noisy seed = arrays(AD_F64, s, (ad_options){ 0 }, 99, 2, 1),
		  step = arrays(AD_F64, s, (ad_options){ 0 }, 99, 1, 2);
	double n = SAMPLES * ROWS, count[3] = { 0 };
	int changed[2] = { 0 };
	for (int64_t i = 0; i < SAMPLES * ROWS; i++)
		count[(int)at(g, 3, i)]++;
	assert_true(count[1] == 0);
	assert_true(fabs(count[2] - 0.8 * n) < SIGMAS * sqrt(n * 0.16));
	for (int64_t i = 0; i < 99 * ROWS; i++) {
		assert_true(at(g, 3, i) == at(same, 3, i));
		changed[0] += at(g, 3, i) != at(seed, 3, i);
		changed[1] += at(g, 3, i) != at(step, 3, i);
	}
	for (int k = 0; k < 2; k++) /* two independent draws differ with probability 2 x 0.2 x 0.8 */
		assert_true(fabs(changed[k] - 0.32 * 99 * ROWS) < SIGMAS * sqrt(99 * ROWS * 0.32 * 0.68));
	end(g);
	end(same);
	end(seed);
	end(step);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(philox_vectors), cmocka_unit_test(instruction_sets),
		cmocka_unit_test(quantile),
		cmocka_unit_test(uniform_numbers),
		cmocka_unit_test(normal_numbers),
		cmocka_unit_test(independence),
		cmocka_unit_test(hashes),
		cmocka_unit_test(arrays_of_noise),
		cmocka_unit_test(categorical),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
