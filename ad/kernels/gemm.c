/* gemm.c - matrix products and lane dots, register-blocked.  Every element of C sums over k in the same order,
 * whatever the other extents, strides and remainders are; compiled with contraction to fused multiply-adds. */
#include "block.h"

#define MC (16 * MR)
#define KC 512

_Static_assert((MC + NR) * KC * sizeof(real) <= AD__GEMM_SCRATCH, "scratch of gemm");

/* A panel of rows as k x m: m is MR but for the last. */
INLINE void pack_rows(int64_t m, int64_t k, const real *a, int64_t ra, int64_t ca, real *to)
{
	for (int64_t p = 0; p < k; p++)
		for (int64_t i = 0; i < m; i++)
			to[p * m + i] = a[p * ca + i * ra];
}

/* Panels of MR rows, in steps of 16 along k so that the lines read serve the next panel too. */
static void pack_a(int64_t m, int64_t k, const real *a, int64_t ra, int64_t ca, real *to)
{
	for (int64_t p = 0; p < k; p += 16) {
		int64_t n = k - p < 16 ? k - p : 16;
		for (int64_t i = 0; i < m; i += MR) {
			int64_t h = m - i < MR ? m - i : MR;
			const real *s = a + i * ra + p * ca;
			real *d = to + i * k + p * h;
			if (h < MR)
				pack_rows(h, n, s, ra, ca, d);
			else if (ra == 1)
				pack_rows(MR, n, s, 1, ca, d);
			else
				pack_rows(MR, n, s, ra, ca, d);
		}
	}
}

#ifdef ISA_v4
#define SQUARE VL
#define QUARTER (VL / 4)
#if REAL_BITS == 32
#define LOW(x, y) (vec) _mm512_unpacklo_ps((__m512)x, (__m512)y)
#define HIGH(x, y) (vec) _mm512_unpackhi_ps((__m512)x, (__m512)y)
#else
#define LOW(x, y) (vec) _mm512_unpacklo_pd((__m512d)x, (__m512d)y)
#define HIGH(x, y) (vec) _mm512_unpackhi_pd((__m512d)x, (__m512d)y)
#endif
#define LOW_PAIR(x, y) (vec) _mm512_unpacklo_pd((__m512d)x, (__m512d)y)
#define HIGH_PAIR(x, y) (vec) _mm512_unpackhi_pd((__m512d)x, (__m512d)y)

/* A quarter of a vector from each of four rows. */
INLINE vec quarters(const real *s, int64_t rs)
{
	__m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const void *)s));
	x = _mm512_inserti32x4(x, _mm_loadu_si128((const void *)(s + rs)), 1);
	x = _mm512_inserti32x4(x, _mm_loadu_si128((const void *)(s + 2 * rs)), 2);
	return (vec)_mm512_inserti32x4(x, _mm_loadu_si128((const void *)(s + 3 * rs)), 3);
}

/* VL rows of VL: small squares come together as they are loaded, and each is transposed where it lies. */
INLINE void transpose(const real *s, int64_t rs, real *d, int64_t rd)
{
	vec x[QUARTER], y[QUARTER];
	for (int q = 0; q < VL; q += QUARTER) {
		for (int i = 0; i < QUARTER; i++)
			x[i] = quarters(s + i * rs + q, QUARTER * rs);
		for (int i = 0; i < QUARTER; i += 2) {
			y[i] = LOW(x[i], x[i + 1]);
			y[i + 1] = HIGH(x[i], x[i + 1]);
		}
		if (QUARTER == 4) {
			x[0] = LOW_PAIR(y[0], y[2]);
			x[1] = HIGH_PAIR(y[0], y[2]);
			x[2] = LOW_PAIR(y[1], y[3]);
			x[3] = HIGH_PAIR(y[1], y[3]);
		}
		for (int i = 0; i < QUARTER; i++)
			vstore(d + (q + i) * rd, QUARTER == 4 ? x[i] : y[i]);
	}
}
#else
#define SQUARE 4
typedef real quad __attribute__((vector_size(4 * sizeof(real))));

INLINE void transpose(const real *s, int64_t rs, real *d, int64_t rd)
{
	quad x[4], lo, hi, y[4];
	for (int i = 0; i < 4; i++)
		memcpy(&x[i], s + i * rs, sizeof *x);
	for (int h = 0; h < 2; h++) {
		lo = h ? __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7)
		       : __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
		hi = h ? __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7)
		       : __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
		y[2 * h] = __builtin_shufflevector(lo, hi, 0, 1, 4, 5);
		y[2 * h + 1] = __builtin_shufflevector(lo, hi, 2, 3, 6, 7);
	}
	for (int i = 0; i < 4; i++)
		memcpy(d + i * rd, &y[i], sizeof *y);
}
#endif

/* Squares of columns that stand as rows; n < SQUARE: zeros after those. */
INLINE void pack_squares(int64_t k, int64_t n, int64_t wide, const real *b, int64_t cb, real *to)
{
	real t[SQUARE * SQUARE];
	if (n < SQUARE)
		memset(t, 0, sizeof t);
	for (int64_t p = 0; p + SQUARE <= k; p += SQUARE) {
		for (int64_t i = 0; n < SQUARE && i < n; i++)
			memcpy(t + i * SQUARE, b + i * cb + p, SQUARE * sizeof *t);
		if (n < SQUARE)
			transpose(t, SQUARE, to + p * wide, wide);
		else
			transpose(b + p, cb, to + p * wide, wide);
	}
}

void K(pack_b)(int64_t k, int64_t n, int64_t wide, const real *b, int64_t rb, int64_t cb, real *to)
{
	int64_t done = 0; /* rows */
	if (rb == 1 && cb != 1 && wide % SQUARE == 0) {
		for (int64_t j = 0; j < n; j += SQUARE)
			pack_squares(k, n - j < SQUARE ? n - j : SQUARE, wide, b + j * cb, cb, to + j);
		for (int64_t j = (n + SQUARE - 1) / SQUARE * SQUARE; j < wide; j++)
			for (int64_t p = 0; p < k; p++)
				to[p * wide + j] = 0;
		done = k / SQUARE * SQUARE;
	}
	for (int64_t p = done; p < k; p++) {
		real *d = to + p * wide;
		const real *s = b + p * rb;
		if (cb == 1)
			memcpy(d, s, (size_t)n * sizeof *d);
		else
			for (int64_t q = 0; q < n; q++)
				d[q] = s[q * cb];
		for (int64_t q = n; q < wide; q++)
			d[q] = 0;
	}
}

/* Columns of a ragged block, from a whole one. */
static void put(int64_t m, int64_t n, real *c, int64_t rc, const real *t, bool acc)
{
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++)
			c[i * rc + j] = acc ? c[i * rc + j] + t[i * NR + j] : t[i * NR + j];
}

static void product(int64_t m, int64_t n, int64_t k, const real *a, int64_t ra, int64_t ca, const real *b, int64_t rb,
		    int64_t cb, real *c, int64_t rc, bool acc, const real *bias, real *scratch)
{
	bool packs_a = ca != 1 && m > 1 && !(ra == 1 && ca == m && m <= MR); /* such a strip is packed already */
	bool packs_b = cb != 1 || (rb * (int64_t)sizeof(real) >= 4096 && m > 4 * MR);
	real *pa = scratch, *pb = scratch + MC * KC, t[MR * NR];
	int64_t rows = packs_a ? MC : m;
	for (int64_t i0 = 0; i0 < m; i0 += rows) {
		int64_t i1 = i0 + rows < m ? i0 + rows : m;
		if (packs_a)
			pack_a(i1 - i0, k, a + i0 * ra, ra, ca, pa);
		for (int64_t j = 0; j < n; j += NR) {
			int64_t cols = n - j < NR ? n - j : NR, nv = (cols + VL - 1) / VL, rp = rb;
			bool ragged = cols % VL != 0;
			const real *bp = b + j * cb;
			if (packs_b || ragged) {
				rp = nv * VL;
				K(pack_b)(k, cols, rp, bp, rb, cb, pb);
				bp = pb;
			}
			for (int64_t i = i0; i < i1; i += MR) {
				int64_t h = i1 - i < MR ? i1 - i : MR, r = packs_a ? 1 : ra;
				const block_run run = { packs_a ? pa + (i - i0) * k : a + i * ra, r, packs_a ? h : ca, k, 0, a, 0 };
				const real *bi = bias ? bias + i : NULL;
				block *f = K(blocks)[h - 1][nv - 1];
				real *to = c + i * rc + j;
				if (ragged) {
					f(1, &run, bp, rp, t, NR, 0, bi, NULL);
					put(h, cols, to, rc, t, acc);
				} else {
					f(1, &run, bp, rp, to, rc, acc ? BLOCK_ADD : 0, bi, NULL);
				}
			}
		}
	}
}

void K(gemm_bias)(int64_t m, int64_t n, int64_t k, const real *a, int64_t ra, int64_t ca, const real *b, int64_t rb,
		  int64_t cb, real *c, int64_t rc, const real *bias, bool acc, void *scratch)
{
	int64_t p = 0;
	do {
		int64_t kc = k - p < KC ? k - p : KC;
		product(m, n, kc, a + p * ca, ra, ca, b + p * rb, rb, cb, c, rc, acc || p > 0, p > 0 ? NULL : bias,
			scratch);
		p += kc;
	} while (p < k);
}

void K(gemm)(int64_t m, int64_t n, int64_t k, const real *a, int64_t ra, int64_t ca, const real *b, int64_t rb,
	     int64_t cb, real *c, int64_t rc, bool acc, void *scratch)
{
	K(gemm_bias)(m, n, k, a, ra, ca, b, rb, cb, c, rc, NULL, acc, scratch);
}

/* nv vectors of lanes; a stride that is not 1 is 0. */
INLINE void dot_vectors(int nv, int64_t k, const real *a, int64_t ka, int64_t la, const real *b, int64_t kb, int64_t lb,
			real *out, bool acc)
{
	vec s[NV];
	for (int v = 0; v < nv; v++)
		s[v] = vset(0);
	for (int64_t p = 0; p < k; p++, a += ka, b += kb)
		for (int v = 0; v < nv; v++)
			s[v] += la && lb ? vload(a + v * VL) * vload(b + v * VL)
				: la	 ? vload(a + v * VL) * *b
				: lb	 ? *a * vload(b + v * VL)
					 : vset(*a * *b);
	for (int v = 0; v < nv; v++)
		vstore(out + v * VL, acc ? vload(out + v * VL) + s[v] : s[v]);
}

INLINE void dot_any(int nv, int64_t k, const real *a, int64_t ka, int64_t la, const real *b, int64_t kb, int64_t lb,
		    real *out, bool acc)
{
	if (la && lb)
		dot_vectors(nv, k, a, ka, 1, b, kb, 1, out, acc);
	else
		dot_vectors(nv, k, a, ka, la, b, kb, lb, out, acc);
}

void K(lane_dot)(int64_t k, int64_t lanes, const real *a, int64_t ka, int64_t la, const real *b, int64_t kb, int64_t lb,
		 real *out, bool acc)
{
	int64_t l = 0;
	for (; l + NR <= lanes; l += NR)
		dot_any(NV, k, a + l * la, ka, la, b + l * lb, kb, lb, out + l, acc);
	for (; l + VL <= lanes; l += VL)
		dot_any(1, k, a + l * la, ka, la, b + l * lb, kb, lb, out + l, acc);
	for (; l < lanes; l++) {
		real s = 0;
		for (int64_t p = 0; p < k; p++)
			s += a[p * ka + l * la] * b[p * kb + l * lb];
		out[l] = acc ? out[l] + s : s;
	}
}
