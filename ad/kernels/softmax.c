/* softmax.c - log-sum-exp and its relatives over the middle one of three extents, shifted by the
 * maximum, and their derivatives.  Nothing but -inf gives log-sum-exp -inf, softmax 0 and log-softmax -inf. */
#include "real.h"

#define LANES 16
#define CHUNK 64

/* Rows of w reals, stride apart, the last of which has only `last`.  If run, all lanes are parts of
 * one sum. */
typedef struct {
	int64_t rows, stride, w, last;
	bool run;
} block;

static inline int64_t lanes(const block *b, int64_t row)
{
	return row == b->rows - 1 ? b->last : b->w;
}

static inline vec load(const real *p, int64_t n)
{
	if (n >= VL)
		return vload(p);
	vec v = vset(0);
	memcpy(&v, p, (size_t)n * sizeof(real));
	return v;
}

static inline void store(real *p, vec v, int64_t n)
{
	if (n >= VL)
		vstore(p, v);
	else
		memcpy(p, &v, (size_t)n * sizeof(real));
}

static void shift_of(const block *b, const real *x, real *m)
{
	for (int l = 0; l < CHUNK; l++)
		m[l] = (real)-INFINITY;
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, n = lanes(b, i); l < n; l++)
			m[l] = x[i * b->stride + l] > m[l] ? x[i * b->stride + l] : m[l];
	if (b->run) {
		for (int l = 1; l < LANES; l++)
			m[0] = m[l] > m[0] ? m[l] : m[0];
		for (int l = 1; l < LANES; l++)
			m[l] = m[0];
	}
	for (int l = 0; l < CHUNK; l++)
		m[l] = m[l] - m[l] == 0 ? m[l] : 0; /* inf - inf */
}

static void join(const block *b, real *s)
{
	if (!b->run)
		return;
	for (int h = LANES / 2; h > 0; h /= 2)
		for (int l = 0; l < h; l++)
			s[l] += s[l + h];
	for (int l = 1; l < LANES; l++)
		s[l] = s[0];
}

/* s = sum of exp(x - m); the terms go to y unless it is NULL. */
static void sum_of(const block *b, const real *x, const real *m, real *s, real *y)
{
	memset(s, 0, CHUNK * sizeof *s);
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, n = lanes(b, i); l < n; l += VL) {
			vec e = vexp(load(x + i * b->stride + l, n - l) - vload(m + l));
			if (y)
				store(y + i * b->stride + l, e, n - l);
			if (n - l >= VL) {
				vstore(s + l, vload(s + l) + e);
				continue;
			}
			real t[VL];
			vstore(t, e);
			for (int64_t j = 0; j < n - l; j++)
				s[l + j] += t[j];
		}
	join(b, s);
}

static void logsumexp(const block *b, real *y, const real *x)
{
	real m[CHUNK], s[CHUNK];
	shift_of(b, x, m);
	sum_of(b, x, m, s, NULL);
	for (int64_t l = 0, n = b->run ? 1 : b->w; l < n; l += VL)
		store(y + l, vload(m + l) + vlog(vload(s + l)), n - l);
}

static void softmax(const block *b, real *y, const real *x)
{
	real m[CHUNK], s[CHUNK];
	shift_of(b, x, m);
	sum_of(b, x, m, s, y);
	for (int l = 0; l < CHUNK; l++)
		s[l] = s[l] == 0 ? 1 : 1 / s[l];
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, n = lanes(b, i); l < n; l++)
			y[i * b->stride + l] *= s[l];
}

static void log_softmax(const block *b, real *y, const real *x)
{
	real m[CHUNK], s[CHUNK];
	shift_of(b, x, m);
	sum_of(b, x, m, s, NULL);
	for (int l = 0; l < CHUNK; l++)
		s[l] = s[l] == 0 ? 1 : s[l];
	for (int64_t l = 0; l < b->w; l += VL)
		vstore(s + l, vlog(vload(s + l)));
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, n = lanes(b, i); l < n; l++)
			y[i * b->stride + l] = (x[i * b->stride + l] - m[l]) - s[l];
}

/* A contiguous row is taken as rows of LANES. */
static void each_block(void f(const block *, real *, const real *), int64_t outer, int64_t n,
	int64_t inner, real *y, int64_t ny, const real *x)
{
	for (int64_t o = 0; o < outer; o++, x += n * inner, y += ny * inner) {
		if (inner == 1) {
			int64_t rows = (n + LANES - 1) / LANES;
			f(&(block){ rows, LANES, LANES, n - (rows - 1) * LANES, true }, y, x);
			continue;
		}
		for (int64_t l = 0; l < inner; l += CHUNK) {
			int64_t w = inner - l < CHUNK ? inner - l : CHUNK;
			f(&(block){ n, inner, w, w, false }, y + l, x + l);
		}
	}
}

void K(logsumexp_axis)(int64_t outer, int64_t n, int64_t inner, real *y, const real *x)
{
	each_block(logsumexp, outer, n, inner, y, 1, x);
}

void K(softmax_axis)(int64_t outer, int64_t n, int64_t inner, real *y, const real *x)
{
	each_block(softmax, outer, n, inner, y, n, x);
}

void K(log_softmax_axis)(int64_t outer, int64_t n, int64_t inner, real *y, const real *x)
{
	each_block(log_softmax, outer, n, inner, y, n, x);
}

/* s = sum of g y, or of g if y is NULL. */
static void dot_of(const block *b, const real *y, const real *g, real *s)
{
	memset(s, 0, CHUNK * sizeof *s);
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, at = i * b->stride, n = lanes(b, i); l < n; l += VL) {
			vec v = load(g + at + l, n - l);
			if (y)
				v *= load(y + at + l, n - l);
			store(s + l, load(s + l, n - l) + v, n - l);
		}
	join(b, s);
}

/* y (g - sum g y) */
static void softmax_vjp(const block *b, real *gx, const real *y, const real *g)
{
	real s[CHUNK];
	dot_of(b, y, g, s);
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, at = i * b->stride, n = lanes(b, i); l < n; l += VL)
			store(gx + at + l, load(y + at + l, n - l) * (load(g + at + l, n - l) - vload(s + l)), n - l);
}

/* g - exp(y) sum g */
static void log_softmax_vjp(const block *b, real *gx, const real *y, const real *g)
{
	real s[CHUNK];
	dot_of(b, NULL, g, s);
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, at = i * b->stride, n = lanes(b, i); l < n; l += VL)
			store(gx + at + l, load(g + at + l, n - l) - vexp(load(y + at + l, n - l)) * vload(s + l), n - l);
}

static void each_pair(void f(const block *, real *, const real *, const real *), int64_t outer, int64_t n, int64_t inner,
	real *gx, const real *y, const real *g, int64_t ng)
{
	for (int64_t o = 0; o < outer; o++, gx += n * inner, y += n * inner, g += ng * inner) {
		if (inner == 1) {
			int64_t rows = (n + LANES - 1) / LANES;
			f(&(block){ rows, LANES, LANES, n - (rows - 1) * LANES, true }, gx, y, g);
			continue;
		}
		for (int64_t l = 0; l < inner; l += CHUNK) {
			int64_t w = inner - l < CHUNK ? inner - l : CHUNK;
			f(&(block){ n, inner, w, w, false }, gx + l, y + l, g + l);
		}
	}
}

void K(softmax_vjp_axis)(int64_t outer, int64_t n, int64_t inner, real *gx, const real *y, const real *g)
{
	each_pair(softmax_vjp, outer, n, inner, gx, y, g, n);
}

void K(log_softmax_vjp_axis)(int64_t outer, int64_t n, int64_t inner, real *gx, const real *y, const real *g)
{
	each_pair(log_softmax_vjp, outer, n, inner, gx, y, g, n);
}

/* g softmax(x) */
static void logsumexp_vjp(const block *b, real *gx, const real *x, const real *g)
{
	softmax(b, gx, x);
	for (int64_t i = 0; i < b->rows; i++)
		for (int64_t l = 0, at = i * b->stride, n = lanes(b, i); l < n; l += VL)
			store(gx + at + l, load(gx + at + l, n - l) * (b->run ? vset(*g) : load(g + l, n - l)), n - l);
}

void K(logsumexp_vjp_axis)(int64_t outer, int64_t n, int64_t inner, real *gx, const real *x, const real *g)
{
	each_pair(logsumexp_vjp, outer, n, inner, gx, x, g, 1);
}
