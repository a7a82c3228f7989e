/* linear.c - the products of a linear layer on a tile: y = W x + bias, x' = W^T g, W' = g x^T, where row i of the
 * weight W counts from column lo[i] to hi[i] - 1 only.  Register blocks do just the columns that one of their rows has.
 */
#include "block.h"

enum { DEPTH = 1024, WIDE = 64, FEW_ROWS = 3, FEW_COLUMNS = 16 };

_Static_assert(WIDE % NR == 0, "panels of whole blocks");

static int64_t least(int64_t n, const int64_t *v)
{
	int64_t m = v[0];
	for (int64_t i = 1; i < n; i++)
		m = v[i] < m ? v[i] : m;
	return m;
}

static int64_t most(int64_t n, const int64_t *v)
{
	int64_t m = v[0];
	for (int64_t i = 1; i < n; i++)
		m = v[i] > m ? v[i] : m;
	return m;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}
static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* All lanes of h rows. */
static void rows_of_block(int64_t h, int64_t lanes, int nrun, const block_run *run, const real *b, real *c, int mode,
			  const real *bias, const real *gate)
{
	for (int64_t j = 0; j < lanes; j += NR) {
		int64_t nv = smaller(NV, (lanes - j) / VL);
		K(blocks)[h - 1][nv - 1](nrun, run, b + j, lanes, c + j, lanes, mode, bias,
					     gate ? gate + j : NULL);
	}
}

/* VL elements of a row from p on, zero outside of columns a..b. */
static inline vec within(const real *row, int64_t p, int64_t a, int64_t b)
{
#ifdef ISA_v4
	unsigned upto = b - p >= VL ? (1u << VL) - 1 : b > p ? (1u << (b - p)) - 1 : 0;
	unsigned below = a - p >= VL ? (1u << VL) - 1 : a > p ? (1u << (a - p)) - 1 : 0;
#if REAL_BITS == 32
	return (vec)_mm512_maskz_loadu_ps((__mmask16)(upto & ~below), row + p);
#else
	return (vec)_mm512_maskz_loadu_pd((__mmask8)(upto & ~below), row + p);
#endif
#else
	real v[VL];
	for (int64_t l = 0; l < VL; l++)
		v[l] = p + l >= a && p + l < b ? row[p + l] : 0;
	return vload(v);
#endif
}

/* Columns from..to of h rows, zero outside each row's own range. */
static block_run ragged(int64_t h, int64_t cols, const int64_t *lo, const int64_t *hi, const real *w, int64_t from,
			int64_t to, real *room)
{
	int64_t wide = (to - from + VL - 1) / VL * VL;
	for (int64_t i = 0; i < h; i++)
		for (int64_t p = 0; p < wide; p += VL)
			vstore(room + i * wide + p,
			       within(w + i * cols, from + p, larger(lo[i], from), smaller(hi[i], to)));
	return (block_run){ room, wide, 1, to - from, 0, room, 0 };
}

/* Columns that all rows have are read where they are; those that some have, from a copy with zeros. */
static int runs_of_rows(int64_t h, int64_t cols, const int64_t *lo, const int64_t *hi, const real *w, int64_t from,
			int64_t to, real *room, block_run run[3])
{
	int64_t in0 = larger(from, most(h, lo)), in1 = smaller(to, least(h, hi));
	int n = 0;
	if (in1 <= in0)
		in0 = in1 = to;
	if (in0 > from)
		run[n++] = ragged(h, cols, lo, hi, w, from, in0, room);
	if (in1 > in0)
		run[n++] = (block_run){ w + in0, cols, 1, in1 - in0, MR * cols, w, 0 };
	if (to > in1)
		run[n++] = ragged(h, cols, lo, hi, w, in1, to, room + h * (in0 - from + VL));
	return n;
}

void K(linear)(int64_t r0, int64_t r1, int64_t k0, int64_t k1, int64_t cols, const int64_t *lo, const int64_t *hi,
	       const real *w, int64_t lanes, const real *x, const real *bias, real *y, int finish, const real *gate,
	       void *scratch)
{
	for (int64_t c0 = k0; c0 == k0 || c0 < k1; c0 += DEPTH)
		for (int64_t r = r0, h; r < r1; r += h) {
			h = K(block_rows)(r1 - r);
			int64_t first = least(h, lo + r), last = most(h, hi + r);
			int64_t from = larger(first, c0), to = smaller(last, smaller(c0 + DEPTH, k1));
			bool begins = first >= c0 && first < c0 + DEPTH;
			if (!begins && from >= to)
				continue;
			block_run run[3];
			int n = from < to ? runs_of_rows(h, cols, lo + r, hi + r, w + r * cols, from, to, scratch, run)
					  : 0;
			rows_of_block(h, lanes, n, run, x + from * lanes, y + r * lanes,
				      (begins ? 0 : BLOCK_CONTINUE) | (last <= c0 + DEPTH ? finish : 0),
				      bias ? bias + r : NULL, gate ? gate + r * lanes : NULL);
		}
}

/* Strips of MR columns as [rows][MR], of the rows that one of them has; 16 rows at a time, so that each line of W is
 * read once. */
void K(linear_pack)(int64_t s0, int64_t s1, int64_t cols, const int64_t *lo, const int64_t *hi, const int64_t *first,
		    const int64_t *last, const int64_t *at, const real *w, real *packed)
{
	int64_t from = s0 < s1 ? least(s1 - s0, first + s0) : 0, to = s0 < s1 ? most(s1 - s0, last + s0) : 0;
	for (int64_t p0 = from; p0 < to; p0 += 16)
		for (int64_t s = s0; s < s1; s++) {
			int64_t j = s * MR, h = smaller(MR, cols - j), p1 = smaller(p0 + 16, last[s]);
			for (int64_t p = larger(p0, first[s]); p < p1; p++) {
				const real *row = w + p * cols + j;
				real *d = packed + at[s] + (p - first[s]) * h;
				__builtin_prefetch(row + 16 * cols);
				__builtin_prefetch(d + 16 * MR, 1);
				if (h == MR && lo[p] <= j && hi[p] >= j + MR)
					memcpy(d, row, MR * sizeof *d);
				else
					for (int64_t i = 0; i < h; i++)
						d[i] = j + i >= lo[p] && j + i < hi[p] ? row[i] : 0;
			}
		}
}

void K(linear_back)(int64_t c0, int64_t c1, int64_t rows, int64_t cols, const int64_t *first, const int64_t *last,
		    const int64_t *at, const real *packed, int64_t lanes, const real *g, real *x, int finish,
		    const real *gate, const real *soon)
{
	for (int64_t p0 = 0; p0 == 0 || p0 < rows; p0 += DEPTH)
		for (int64_t j = c0, h; j < c1; j += h) {
			int64_t s = j / MR, begin = s * MR, high = smaller(MR, cols - begin);
			h = smaller(begin + high, c1) - j;
			int64_t from = larger(first[s], p0), to = smaller(last[s], p0 + DEPTH);
			bool begins = first[s] >= p0 && first[s] < p0 + DEPTH;
			if (!begins && from >= to)
				continue;
			block_run run = { packed + at[s] + (from - first[s]) * high + j - begin,
					  1,
					  high,
					  to - from,
					  high * (last[s] - first[s]),
					  g,
					  0 };
			if (soon && begins && from < to) {
				run.soon = soon + j * lanes;
				run.stride = (h * lanes * (int64_t)sizeof *soon + run.k - 1) / run.k;
			}
			rows_of_block(h, lanes, from < to, &run, g + from * lanes, x + j * lanes,
				      (begins ? 0 : BLOCK_CONTINUE) | (last[s] <= p0 + DEPTH ? finish : 0), NULL,
				      gate ? gate + j * lanes : NULL);
		}
}

/* What lies outside the ranges of h rows: all of columns c0..c1, or of those that were multiplied. */
static void clear(int64_t h, int64_t cols, const int64_t *lo, const int64_t *hi, int64_t c0, int64_t c1, real *w)
{
	for (int64_t i = 0; i < h; i++) {
		int64_t a = larger(lo[i], c0), b = smaller(hi[i], c1);
		if (a >= b)
			a = b = c1;
		if (a > c0)
			memset(w + i * cols + c0, 0, (size_t)(a - c0) * sizeof *w);
		if (c1 > b)
			memset(w + i * cols + b, 0, (size_t)(c1 - b) * sizeof *w);
	}
}

/* Columns of a block that ends before its last vector does. */
static void put(int64_t h, int64_t n, real *c, int64_t rc, const real *t, bool acc)
{
	for (int64_t i = 0; i < h; i++)
		for (int64_t j = 0; j < n; j++)
			c[i * rc + j] = acc ? c[i * rc + j] + t[i * NR + j] : t[i * NR + j];
}

/* Columns j0..j1 of h rows from the transposed panels xt of columns c0 on. */
static void weight_rows(int64_t h, int64_t cols, int64_t c0, int64_t wide, int64_t j0, int64_t j1, int n,
			const block_run *g, const real *xt, real *w, bool acc)
{
	real t[MR * NR];
	for (int64_t j = j0; j < j1; j += NR) {
		int64_t nj = smaller(NR, j1 - j), nv = (nj + VL - 1) / VL;
		block *f = K(blocks)[h - 1][nv - 1];
		if (nj < nv * VL) {
			f(n, g, xt + j, wide, t, NR, 0, NULL, NULL);
			put(h, nj, w + c0 + j, cols, t, acc);
		} else {
			f(n, g, xt + j, wide, w + c0 + j, cols, acc ? BLOCK_ADD : 0, NULL, NULL);
		}
	}
}

/* A panel of h rows of g; the next one is read ahead, and by the first few of a sweep 8 rows each of the next panel of x. */
static block_run rows_of_g(const real *a, int64_t h, int64_t done, int64_t lanes, int64_t valid, const real *next)
{
	int64_t ahead = done < WIDE / 8 ? ((int64_t)(uintptr_t)(next + done * 8 * lanes) - (int64_t)(uintptr_t)a) /
						  (int64_t)sizeof *a
					: 0;
	return (block_run){ a, lanes, 1, valid, ahead, a + h * lanes, (h * lanes * (int64_t)sizeof *a + valid - 1) / valid };
}

/* Of n pairs, at most AD__LINEAR_PAIRS. */
static void weight_panel(int64_t c0, int64_t rows, int64_t cols, const int64_t *lo, const int64_t *hi, int64_t lanes,
			 int64_t valid, int n, const void *const g[], const void *const x[], real *w, bool acc,
			 bool clean, real *xt)
{
	int64_t nc = smaller(WIDE, cols - c0), wide = (nc + VL - 1) / VL * VL, done = 0;
	for (int k = 0; k < n; k++)
		K(pack_b)(valid, nc, wide, (const real *)x[k] + c0 * lanes, 1, lanes, xt + k * valid * wide);
	for (int64_t i = 0; i < rows; i += MR) {
		int64_t h = smaller(MR, rows - i), from = lo ? larger(c0, least(h, lo + i)) : c0,
			to = hi ? smaller(c0 + nc, most(h, hi + i)) : c0 + nc;
		int64_t j0 = 0, j1 = 0;
		real *to_w = w + i * cols;
		if (from < to) {
			block_run run[AD__LINEAR_PAIRS];
			for (int k = 0; k < n; k++)
				run[k] = rows_of_g((const real *)g[k] + i * lanes, h, done, lanes, valid,
						   (const real *)x[k] + (c0 + nc) * lanes);
			done++;
			j0 = (from - c0) / VL * VL;
			j1 = smaller(nc, (to - c0 + VL - 1) / VL * VL);
			weight_rows(h, cols, c0, wide, j0, j1, n, run, xt, to_w, acc);
		}
		if (!clean)
			continue;
		if (acc)
			clear(h, cols, lo + i, hi + i, c0 + j0, c0 + j1, to_w);
		else
			clear(h, cols, lo + i, hi + i, c0, c0 + nc, to_w);
	}
}

void K(linear_weight)(int64_t rows, int64_t cols, const int64_t *lo, const int64_t *hi, int64_t lanes, int64_t valid,
		      int n, const void *const g[], const void *const x[], real *w, bool acc, bool clean,
		      void *scratch)
{
	int64_t most_pairs = larger(1, AD__LINEAR_LANES / lanes);
	if (rows <= FEW_ROWS || cols <= FEW_COLUMNS) {
		for (int k = 0; k < n; k++)
			K(weight_dots)(rows, cols, lanes, valid, g[k], x[k], w, acc || k);
		if (clean)
			clear(rows, cols, lo, hi, 0, cols, w);
		return;
	}
	for (int64_t c0 = 0; c0 < cols; c0 += WIDE)
		for (int k = 0, m; k < n; k += m) {
			m = (int)smaller(smaller(n - k, AD__LINEAR_PAIRS), most_pairs);
			weight_panel(c0, rows, cols, lo, hi, lanes, valid, m, g + k, x + k, w, acc || k, clean, scratch);
		}
}
