/* reduce.c - sums, maxima and running sums over the middle one of three extents.  The order of
 * every sum follows from the extents alone: columns are added row by row, a contiguous row as 16
 * columns joined in a tree. */
#include "fold.h"

#define LANES 16 /* virtual lanes, whatever VL is */
#define CHUNK 64 /* columns at a time */
#define LEAF 64  /* rows added in sequence; longer sums are halved, so that float stays accurate */

static void sum_rows(
	int64_t n, int64_t stride, int64_t w, real *restrict acc, const real *restrict x)
{
	if (n > LEAF) {
		real right[CHUNK];
		int64_t half = n / 8 * 4;
		sum_rows(half, stride, w, acc, x);
		sum_rows(n - half, stride, w, right, x + half * stride);
		for (int64_t l = 0; l < w; l++)
			acc[l] += right[l];
		return;
	}
	for (int64_t l = 0; l < w; l++)
		acc[l] = 0;
	int64_t i = 0;
	for (; i + 4 <= n; i += 4) {
		const real *a = x + i * stride, *b = a + stride, *c = b + stride, *d = c + stride;
		for (int64_t l = 0; l < w; l++)
			acc[l] += (a[l] + b[l]) + (c[l] + d[l]);
	}
	for (; i < n; i++)
		for (int64_t l = 0; l < w; l++)
			acc[l] += x[i * stride + l];
}

static real sum_run(int64_t n, const real *x)
{
	real p[LANES];
	int64_t whole = n / LANES * LANES;
	sum_rows(n / LANES, LANES, LANES, p, x);
	for (int64_t l = 0; l < n - whole; l++)
		p[l] += x[whole + l];
	for (int h = LANES / 2; h > 0; h /= 2)
		for (int l = 0; l < h; l++)
			p[l] += p[l + h];
	return p[0];
}

/* NaN stays. */
static inline real larger(real m, real x) { return ((x > m) | (x != x)) ? x : m; }

static real max_run(int64_t n, const real *x)
{
	real p[LANES];
	for (int l = 0; l < LANES; l++)
		p[l] = x[l < n ? l : 0];
	int64_t i = LANES;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			p[l] = larger(p[l], x[i + l]);
	for (; i < n; i++)
		p[0] = larger(p[0], x[i]);
	for (int l = 1; l < LANES; l++)
		p[0] = larger(p[0], p[l]);
	return p[0];
}

void K(sum_axis)(int64_t outer, int64_t n, int64_t inner, real *y, const real *x)
{
	for (int64_t o = 0; o < outer; o++, x += n * inner, y += inner) {
		if (inner == 1)
			*y = sum_run(n, x);
		else
			for (int64_t l = 0; l < inner; l += CHUNK)
				sum_rows(n, inner, inner - l < CHUNK ? inner - l : CHUNK, y + l, x + l);
	}
}

void K(max_axis)(int64_t outer, int64_t n, int64_t inner, real *y, const real *x)
{
	for (int64_t o = 0; o < outer; o++, x += n * inner, y += inner) {
		if (inner == 1) {
			*y = max_run(n, x);
			continue;
		}
		memcpy(y, x, (size_t)inner * sizeof *y);
		for (int64_t i = 1; i < n; i++)
			for (int64_t l = 0; l < inner; l++)
				y[l] = larger(y[l], x[i * inner + l]);
	}
}

#ifdef FOLD_16
/* As sum_rows does it. */
static inline __attribute__((always_inline)) vec columns(int64_t n, const real *x)
{
	vec acc = { 0 };
	if (n > LEAF) {
		sum_rows(n, LANES, LANES, (real *)&acc, x);
		return acc;
	}
	int64_t i = 0;
	for (; i + 4 <= n; i += 4) {
		const real *p = x + i * LANES;
		acc += (vload(p) + vload(p + LANES)) + (vload(p + 2 * LANES) + vload(p + 3 * LANES));
	}
	for (; i < n; i++)
		acc += vload(x + i * LANES);
	return acc;
}

/* The columns of a row and what is left of it. */
static inline __attribute__((always_inline)) vec row_columns(int64_t valid, const real *x)
{
	int64_t whole = valid / LANES * LANES;
	vec v = columns(whole / LANES, x);
	if (whole < valid) {
		real p[LANES];
		vstore(p, v);
		for (int64_t l = 0; l < valid - whole; l++)
			p[l] += x[whole + l];
		v = vload(p);
	}
	return v;
}

/* sum_run of 16 rows at once, in the same order. */
static void sum_16(int64_t width, int64_t valid, real *y, const real *x)
{
#define ROW(i) const vec s##i = row_columns(valid, x + i * width);
	SIXTEEN(ROW)
	vstore(y, fold_16(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15));
}
#endif

void K(lane_sum)(int64_t rows, int64_t width, int64_t valid, real *y, const real *x, bool acc)
{
	int64_t i = 0;
#ifdef FOLD_16
	for (; i + 16 <= rows; i += 16) {
		real s[16];
		sum_16(width, valid, s, x + i * width);
		for (int k = 0; k < 16; k++)
			y[i + k] = acc ? y[i + k] + s[k] : s[k];
	}
#endif
	for (; i < rows; i++) {
		real s = sum_run(valid, x + i * width);
		y[i] = acc ? y[i] + s : s;
	}
}

void K(lane_max)(int64_t rows, int64_t width, int64_t valid, real *y, const real *x, bool acc)
{
	for (int64_t i = 0; i < rows; i++) {
		real m = max_run(valid, x + i * width);
		y[i] = acc ? larger(y[i], m) : m;
	}
}

/* Of w columns, `step` from row to row: blocks of LEAF rows on top of the sum of those before, for
 * accuracy. */
static void cumsum_rows(int64_t n, int64_t step, int64_t w, real *y, const real *x)
{
	real base[CHUNK] = { 0 }, part[CHUNK] = { 0 };
	for (int64_t i = 0; i < n; i++, x += step, y += step) {
		for (int64_t l = 0; l < w; l++) {
			part[l] += x[l];
			y[l] = base[l] + part[l];
		}
		if (i % LEAF == LEAF - 1) {
			memcpy(base, y, (size_t)w * sizeof *y);
			memset(part, 0, sizeof part);
		}
	}
}

void K(cumsum_axis)(int64_t outer, int64_t n, int64_t inner, real *y, const real *x, bool reverse)
{
	int64_t first = reverse ? (n - 1) * inner : 0, step = reverse ? -inner : inner;
	for (int64_t o = 0; o < outer; o++, x += n * inner, y += n * inner)
		for (int64_t l = 0; l < inner; l += CHUNK)
			cumsum_rows(
				n, step, inner - l < CHUNK ? inner - l : CHUNK, y + first + l, x + first + l);
}
