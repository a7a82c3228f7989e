/* The product kernels against plain loops: every instruction set, type, remainder and stride. */
#include "ad/op.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const isas[] = { "plain", "base", "v3", "v4" };

static uint64_t state = 1;

static double draw(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double)(state >> 40) / (1 << 23) - 1;
}

/* 0 to n - 1 */
static int64_t below(int64_t n)
{
	return (int64_t)((draw() + 1) / 2 * (double)n);
}

static double get(int bits, const void *p, int64_t i)
{
	return bits == 64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(int bits, void *p, int64_t i, double v)
{
	if (bits == 64)
		((double *)p)[i] = v;
	else
		((float *)p)[i] = (float)v;
}

static void fill(int bits, void *p, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		put(bits, p, i, draw());
}

/* Strides of an [m, n] matrix: rows, columns, or neither contiguous. */
static void strides(int kind, int64_t m, int64_t n, int64_t *r, int64_t *c)
{
	*r = kind == 0 ? n + 1 : kind == 1 ? 1 : 2 * n + 3;
	*c = kind == 0 ? 1 : kind == 1 ? m + 2 : 2;
}

enum { GUARD = 16 };

typedef struct {
	int bits;
	const ad__kernels *k;
	char *a, *b, *c, *before, *scratch;
} bench;

static void one_product(const bench *t, int64_t m, int64_t n, int64_t k, int kind_a, int kind_b, bool acc, bool biased)
{
	int64_t ra, ca, rb, cb, rc = n + 5, size = t->bits / 8;
	strides(kind_a, m, k, &ra, &ca);
	strides(kind_b, k, n, &rb, &cb);
	int64_t total = m * rc + 2 * GUARD;
	fill(t->bits, t->c, total);
	memcpy(t->before, t->c, (size_t)(total * size));
	char *c = t->c + GUARD * size, *bias = t->a + 7 * size;
	if (biased)
		t->k->gemm_bias(m, n, k, t->a, ra, ca, t->b, rb, cb, c, rc, bias, acc, t->scratch);
	else
		t->k->gemm(m, n, k, t->a, ra, ca, t->b, rb, cb, c, rc, acc, t->scratch);
	double tol = (t->bits == 64 ? 1e-14 : 1e-6) * (double)(k + 4);
	for (int64_t q = 0; q < total; q++) {
		int64_t i = (q - GUARD) / rc, j = (q - GUARD) % rc;
		double want = get(t->bits, t->before, q);
		if (q >= GUARD && q < total - GUARD && j < n) {
			want = acc ? want : 0;
			want += biased ? get(t->bits, bias, i) : 0;
			for (int64_t p = 0; p < k; p++)
				want += get(t->bits, t->a, i * ra + p * ca) * get(t->bits, t->b, p * rb + j * cb);
			if (!(fabs(get(t->bits, t->c, q) - want) <= tol))
				fail_msg("%s/%d m %d n %d k %d kinds %d %d acc %d bias %d at %d %d: %g, not %g",
					 t->k->isa, t->bits, (int)m, (int)n, (int)k, kind_a, kind_b, acc, biased,
					 (int)i, (int)j, get(t->bits, t->c, q), want);
		} else {
			assert_true(get(t->bits, t->c, q) == want);
		}
	}
}

/* Any part of a product has the bits that it has as a product of its own. */
static void same_bits(const bench *t, int64_t m, int64_t n, int64_t k, int kind_a, int kind_b)
{
	int64_t ra, ca, rb, cb, size = t->bits / 8;
	strides(kind_a, m, k, &ra, &ca);
	strides(kind_b, k, n, &rb, &cb);
	t->k->gemm(m, n, k, t->a, ra, ca, t->b, rb, cb, t->c, n, false, t->scratch);
	for (int q = 0; q < 20; q++) {
		int64_t i = below(m), j = below(n), h = below(m - i) + 1, w = below(n - j) + 1;
		t->k->gemm(h, w, k, t->a + i * ra * size, ra, ca, t->b + j * cb * size, rb, cb, t->before, w, false,
			   t->scratch);
		for (int64_t x = 0; x < h; x++)
			assert_memory_equal(t->c + ((i + x) * n + j) * size, t->before + x * w * size,
					    (size_t)(w * size));
	}
}

static void one_dot(const bench *t, int64_t k, int64_t lanes, int la, int lb, bool acc)
{
	int64_t size = t->bits / 8, total = lanes + 2 * GUARD;
	fill(t->bits, t->c, total);
	memcpy(t->before, t->c, (size_t)(total * size));
	t->k->lane_dot(k, lanes, t->a, lanes + 1, la, t->b, lanes + 2, lb, t->c + GUARD * size, acc);
	for (int64_t q = 0; q < total; q++) {
		double want = get(t->bits, t->before, q);
		int64_t l = q - GUARD;
		if (l >= 0 && l < lanes) {
			want = acc ? want : 0;
			for (int64_t p = 0; p < k; p++)
				want += get(t->bits, t->a, p * (lanes + 1) + l * la) *
					get(t->bits, t->b, p * (lanes + 2) + l * lb);
		}
		assert_true(fabs(get(t->bits, t->c, q) - want) <= (t->bits == 64 ? 1e-14 : 1e-6) * (double)(k + 1));
	}
}

static void each_table(void (*f)(const bench *))
{
	enum { ROOM = 8 << 20 };
	for (int bits = 32; bits <= 64; bits += 32)
		for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
			bench t = { bits, ad__kernels_for(bits, isas[i]), NULL, NULL, NULL, NULL, NULL };
			if (!t.k)
				continue;
			char **p[] = { &t.a, &t.b, &t.c, &t.before, &t.scratch };
			for (int k = 0; k < 5; k++)
				*p[k] = ad__malloc(ROOM);
			fill(bits, t.a, ROOM / 8);
			fill(bits, t.b, ROOM / 8);
			f(&t);
			for (int k = 0; k < 5; k++)
				free(*p[k]);
		}
}

static void products(const bench *t)
{
	static const int64_t ms[] = { 1, 2, 3, 4, 5, 6, 7, 13, 101 }, ns[] = { 1, 3, 8, 16, 17, 33, 48, 64, 65, 130 };
	static const int64_t ks[] = { 0, 1, 5, 19, 515 };
	for (int m = 0; m < 9; m++)
		for (int n = 0; n < 10; n++)
			for (int k = 0; k < 5; k++)
				for (int kind = 0; kind < (ks[k] > 100 ? 1 : 9); kind++)
					one_product(t, ms[m], ns[n], ks[k], ks[k] > 100 ? m % 3 : kind / 3,
						    ks[k] > 100 ? n % 3 : kind % 3, (m + n + kind) % 2,
						    (m + k + kind) % 3 == 0);
	for (int kind = 0; kind < 9; kind++)
		same_bits(t, 31, 150, kind % 2 ? 20 : 530, kind / 3, kind % 3);
}

static void dots(const bench *t)
{
	static const int64_t lanes[] = { 1, 3, 16, 31, 64, 80, 200 };
	for (int l = 0; l < 7; l++)
		for (int64_t k = 0; k < 40; k += 13)
			for (int how = 0; how < 8; how++)
				one_dot(t, k, lanes[l], how & 1, how >> 1 & 1, how >> 2);
}

static void gemm(void **s)
{
	(void)s;
	each_table(products);
}

static void lane_dot(void **s)
{
	(void)s;
	each_table(dots);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(gemm), cmocka_unit_test(lane_dot) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
