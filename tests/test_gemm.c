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

/* Ranges of rows: 0 all columns, 1 growing from the first, 2 shrinking towards the last, 3 any, some empty. */
static void draw_ranges(int kind, int64_t rows, int64_t cols, int64_t *lo, int64_t *hi)
{
	for (int64_t i = 0; i < rows; i++) {
		int64_t part = rows > 1 ? i * cols / (rows - 1) : cols;
		lo[i] = kind == 2 ? part : kind == 3 ? below(cols) : 0;
		hi[i] = kind == 1 ? part : kind == 3 ? lo[i] + below(cols - lo[i] + 1) : cols;
		if (lo[i] >= hi[i])
			lo[i] = hi[i] = 0;
	}
}

typedef struct {
	int64_t rows, cols, lanes, lo[2100], hi[2100], first[2100], last[2100], at[2100];
} layer;

static bool counts(const layer *l, int64_t i, int64_t j) { return j >= l->lo[i] && j < l->hi[i]; }

static void find_strips(layer *l)
{
	int64_t at = 0;
	for (int64_t s = 0; s * AD__STRIP < l->cols; s++) {
		int64_t end = (s + 1) * AD__STRIP < l->cols ? (s + 1) * AD__STRIP : l->cols;
		l->first[s] = l->last[s] = 0;
		for (int64_t i = l->rows; i-- > 0;)
			for (int64_t j = s * AD__STRIP; j < end; j++)
				if (counts(l, i, j)) {
					l->first[s] = i;
					l->last[s] = l->last[s] ? l->last[s] : i + 1;
				}
		l->at[s] = at;
		at += (l->last[s] - l->first[s]) * (end - s * AD__STRIP);
	}
}

static void expect(const bench *t, const layer *l, const char *what, int64_t i, int64_t j, int64_t at, double want)
{
	double tol = (t->bits == 64 ? 1e-14 : 1e-6) * (double)(l->rows + l->cols + l->lanes);
	if (!(fabs(get(t->bits, t->c, at) - want) <= tol))
		fail_msg("%s/%d %s %d x %d, %d lanes, at %d %d: %g, not %g", t->k->isa, t->bits, what, (int)l->rows, (int)l->cols,
		         (int)l->lanes, (int)i, (int)j, get(t->bits, t->c, at), want);
}

/* What a product that finishes its n elements makes of those of t->c has their bits after relu or gate. */
static void expect_finished(const bench *t, const char *gate, int finish, int64_t n)
{
	for (int64_t q = 0; q < n; q++) {
		double v = get(t->bits, t->c, q);
		bool kept = finish == AD__RELU ? v > 0 : get(t->bits, gate, q) > 0;
		assert_true(get(t->bits, t->before, q) == (kept ? v : 0));
	}
}

static bool full(const layer *l)
{
	for (int64_t i = 0; i < l->rows; i++)
		if (l->lo[i] > 0 || l->hi[i] < l->cols)
			return false;
	return true;
}

/* Products of a matrix that is all there, element (i, p) at a[i * ra + p * ca]: the bits of t->c, also in parts and finished. */
static void check_dense(const bench *t, int64_t rows, int64_t k, int64_t ra, int64_t ca, int64_t w, const char *bias)
{
	int64_t size = t->bits / 8, r0 = below(rows), r1 = r0 + below(rows - r0) + 1;
	const char *gate = t->b + 100 * size;
	t->k->dense(0, rows, k, t->a, ra, ca, w, t->b, bias, t->before, AD__AS_IT_IS, NULL);
	assert_memory_equal(t->c, t->before, (size_t)(rows * w * size));
	for (int finish = AD__RELU; finish <= AD__GATE; finish += AD__GATE - AD__RELU) {
		t->k->dense(0, rows, k, t->a, ra, ca, w, t->b, bias, t->before, finish, gate);
		expect_finished(t, gate, finish, rows * w);
	}
	t->k->dense(r0, r1, k, t->a, ra, ca, w, t->b, bias, t->before, AD__AS_IT_IS, NULL);
	assert_memory_equal(t->c + r0 * w * size, t->before + r0 * w * size, (size_t)((r1 - r0) * w * size));
}

/* Some columns of rows that all begin at the first, then, for a few rows after the other, the others. */
static void check_windows(const bench *t, const layer *l, const char *bias)
{
	int64_t k = below(l->cols) + 1, w = l->lanes;
	t->k->linear(0, l->rows, 0, k, l->cols, l->lo, l->hi, t->a, w, t->b, bias, t->before, AD__AS_IT_IS, NULL, t->scratch);
	for (int64_t r0 = 0, r1; r0 < l->rows; r0 = r1) {
		r1 = r0 + below(l->rows - r0) + 1;
		t->k->linear(r0, r1, k, l->cols, l->cols, l->lo, l->hi, t->a, w, t->b, bias, t->before, AD__AS_IT_IS, NULL,
		             t->scratch);
	}
	assert_memory_equal(t->c, t->before, (size_t)(l->rows * w * t->bits / 8));
}

static void check_forward(const bench *t, const layer *l, bool biased)
{
	int64_t size = t->bits / 8, w = l->lanes, r0 = below(l->rows), r1 = r0 + below(l->rows - r0) + 1;
	const char *bias = biased ? t->a + 5 * size : NULL;
	t->k->linear(0, l->rows, 0, l->cols, l->cols, l->lo, l->hi, t->a, w, t->b, bias, t->c, AD__AS_IT_IS, NULL, t->scratch);
	for (int64_t i = 0; i < l->rows; i++)
		for (int64_t j = 0; j < w; j++) {
			double want = biased ? get(t->bits, bias, i) : 0;
			for (int64_t p = l->lo[i]; p < l->hi[i]; p++)
				want += get(t->bits, t->a, i * l->cols + p) * get(t->bits, t->b, p * w + j);
			expect(t, l, "linear", i, j, i * w + j, want);
		}
	if (full(l))
		check_dense(t, l->rows, l->cols, l->cols, 1, w, bias);
	const char *gate = t->b + 100 * size;
	for (int finish = AD__RELU; finish <= AD__GATE; finish += AD__GATE - AD__RELU) {
		t->k->linear(0, l->rows, 0, l->cols, l->cols, l->lo, l->hi, t->a, w, t->b, bias, t->before, finish, gate, t->scratch);
		expect_finished(t, gate, finish, l->rows * w);
	}
	t->k->linear(r0, r1, 0, l->cols, l->cols, l->lo, l->hi, t->a, w, t->b, bias, t->before, AD__AS_IT_IS, NULL, t->scratch);
	assert_memory_equal(t->c + r0 * w * size, t->before + r0 * w * size, (size_t)((r1 - r0) * w * size));
	for (int64_t i = 0; i < l->rows; i++)
		if (l->lo[i] > 0)
			return;
	check_windows(t, l, bias);
}

static void check_back(const bench *t, layer *l)
{
	int64_t size = t->bits / 8, w = l->lanes, c0 = below(l->cols), c1 = c0 + below(l->cols - c0) + 1;
	int64_t strips = (l->cols + AD__STRIP - 1) / AD__STRIP, cut = below(strips);
	find_strips(l);
	t->k->linear_pack(0, cut, l->cols, l->lo, l->hi, l->first, l->last, l->at, t->a, t->scratch);
	t->k->linear_pack(cut, strips, l->cols, l->lo, l->hi, l->first, l->last, l->at, t->a, t->scratch);
	t->k->linear_back(0, l->cols, l->rows, l->cols, l->first, l->last, l->at, t->scratch, w, t->b, t->c, AD__AS_IT_IS, NULL, t->a);
	for (int64_t j = 0; j < l->cols; j++)
		for (int64_t n = 0; n < w; n++) {
			double want = 0;
			for (int64_t i = 0; i < l->rows; i++)
				want += counts(l, i, j) ? get(t->bits, t->a, i * l->cols + j) * get(t->bits, t->b, i * w + n) : 0;
			expect(t, l, "linear_back", j, n, j * w + n, want);
		}
	if (full(l))
		check_dense(t, l->cols, l->rows, 1, l->cols, w, NULL);
	const char *gate = t->a + 100 * size;
	for (int finish = AD__RELU; finish <= AD__GATE; finish += AD__GATE - AD__RELU) {
		t->k->linear_back(0, l->cols, l->rows, l->cols, l->first, l->last, l->at, t->scratch, w, t->b, t->before, finish, gate,
		                  NULL);
		expect_finished(t, gate, finish, l->cols * w);
	}
	t->k->linear_back(c0, c1, l->rows, l->cols, l->first, l->last, l->at, t->scratch, w, t->b, t->before, AD__AS_IT_IS, NULL, NULL);
	assert_memory_equal(t->c + c0 * w * size, t->before + c0 * w * size, (size_t)((c1 - c0) * w * size));
}

static void check_weight(const bench *t, const layer *l, int64_t valid, bool clean)
{
	int64_t size = t->bits / 8, w = l->lanes, n = l->rows * l->cols;
	fill(t->bits, t->c, n + GUARD); /* nothing of it may stay */
	memcpy(t->before + n * size, t->c + n * size, (size_t)(GUARD * size));
	for (int times = 1; times <= 2; times++) {
		t->k->linear_weight(l->rows, l->cols, l->lo, l->hi, w, valid, 1, (const void *[]){ t->a }, (const void *[]){ t->b }, t->c,
		                    times == 2, clean, t->scratch);
		for (int64_t i = 0; i < l->rows; i++)
			for (int64_t j = 0; j < l->cols; j++) {
				double want = 0;
				for (int64_t p = 0; counts(l, i, j) && p < valid; p++)
					want += times * get(t->bits, t->a, i * w + p) * get(t->bits, t->b, j * w + p);
				if (!counts(l, i, j) && !clean)
					continue;
				if (!counts(l, i, j))
					assert_true(get(t->bits, t->c, i * l->cols + j) == 0);
				expect(t, l, "linear_weight", i, j, i * l->cols + j, want);
			}
		assert_memory_equal(t->c + n * size, t->before + n * size, (size_t)(GUARD * size));
	}
}

static void layers(const bench *t)
{
	static const int64_t shapes[][3] = { { 1, 1, 16 },  { 5, 1, 48 },    { 6, 17, 16 },    { 13, 70, 80 },
		                             { 50, 64, 128 }, { 65, 131, 64 }, { 4, 2050, 16 }, { 2060, 3, 16 },
		                             { 40, 2, 96 },  { 1, 37, 144 },  { 3, 20, 64 },
		                             { 64, 4, 128 } };
	layer *l = ad__malloc(sizeof *l);
	for (size_t q = 0; q < sizeof shapes / sizeof *shapes; q++)
		for (int kind = 0; kind < 4; kind++) {
			l->rows = shapes[q][0];
			l->cols = shapes[q][1];
			l->lanes = shapes[q][2];
			draw_ranges(kind, l->rows, l->cols, l->lo, l->hi);
			check_forward(t, l, kind % 2);
			check_back(t, l);
			check_weight(t, l, l->lanes - below(16), true);
			check_weight(t, l, l->lanes - below(16), false);
		}
	free(l);
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

static void linear(void **s)
{
	(void)s;
	each_table(layers);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(gemm), cmocka_unit_test(lane_dot), cmocka_unit_test(linear) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
