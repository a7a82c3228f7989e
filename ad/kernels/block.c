/* block.c - the register block of all matrix products; compiled with contraction to fused multiply-adds. */
#include "block.h"

/* Every element has a variable of its own: what stands in an array goes to memory and back round the loop. */
#define ROWS(X)       X(0) X(1) X(2) X(3) X(4) X(5)
#define VECTORS(X, i) X(i, 0) X(i, 1) X(i, 2) X(i, 3)

INLINE void micro(int mr, int nv, int nrun, const block_run *run, const real *b, int64_t rb, real *c, int64_t rc, int mode,
                  const real *bias, const real *gate)
{
#define DECLARE(i, v) vec s##i##v = vset(0);
#define DECLARE_ROW(i) VECTORS(DECLARE, i)
#define BEGIN(i, v) \
	if (v < nv) { \
		s##i##v = mode & BLOCK_CONTINUE ? vload(c + i * rc + v * VL) : first; \
		if (!(mode & BLOCK_ADD)) \
			__builtin_prefetch(c + i * rc + v * VL, 1); \
	}
#define BEGIN_ROW(i) \
	if (i < mr) { \
		const vec first = vset(bias ? bias[i] : 0); \
		VECTORS(BEGIN, i) \
	}
#define MULTIPLY(i, v) \
	if (v < nv) \
		s##i##v += w * x##v;
#define MULTIPLY_ROW(i) \
	if (i < mr) { \
		const real w = a[i * ra]; \
		VECTORS(MULTIPLY, i) \
	}
#define FOR_ALL(END) \
	if (0 < mr) { VECTORS(END, 0) } \
	if (1 < mr) { VECTORS(END, 1) } \
	if (2 < mr) { VECTORS(END, 2) } \
	if (3 < mr) { VECTORS(END, 3) } \
	if (4 < mr) { VECTORS(END, 4) } \
	if (5 < mr) { VECTORS(END, 5) }
#define STORE(i, v, value) \
	if (v < nv) { \
		const vec s = s##i##v; \
		const int64_t at = i * rc + v * VL; \
		vstore(c + at, value); \
	}
#define STORE_SUM(i, v)  STORE(i, v, s)
#define STORE_MORE(i, v) STORE(i, v, vload(c + at) + s)
#define STORE_RELU(i, v) STORE(i, v, vsel(VCMP(s, <, vset(0)), vset(0), s))
#define STORE_GATE(i, v) STORE(i, v, vsel(VCMP(vload(gate + at), >, vset(0)), s, vset(0)))
	ROWS(DECLARE_ROW)
	ROWS(BEGIN_ROW)
#define COLUMN(...) \
	{ \
		__VA_ARGS__ \
		__builtin_prefetch(a + (p & 7) * ra + ahead); \
		__builtin_prefetch(soon); \
		const vec x0 = vload(b), x1 = nv > 1 ? vload(b + VL) : x0; \
		const vec x2 = nv > 2 ? vload(b + 2 * VL) : x0, x3 = nv > 3 ? vload(b + 3 * VL) : x0; \
		ROWS(MULTIPLY_ROW) \
		p--, a += ca, b += rb, soon += stride; \
	}
	/* Where C is read it may be far: a vector of it with each of the first columns. */
	const real *far = c;
	int64_t vectors = mode & BLOCK_ADD ? mr * nv : 0, across = 0;
	for (; nrun-- > 0; run++) {
		const real *a = run->a;
		const int64_t ra = run->ra, ca = run->ca, ahead = run->ahead, stride = run->stride;
		const char *soon = run->soon;
		int64_t p = run->k, rest = p > vectors ? p - vectors : 0;
		vectors -= p - rest;
		while (p > rest)
			COLUMN(__builtin_prefetch(far + across * VL, 1); across++; far += across == nv ? rc : 0;
			       across = across == nv ? 0 : across;)
		while (p > 0)
			COLUMN()
	}
	if (mode & BLOCK_ADD) {
		FOR_ALL(STORE_MORE)
	} else if (mode & BLOCK_RELU) {
		FOR_ALL(STORE_RELU)
	} else if (mode & BLOCK_GATE) {
		FOR_ALL(STORE_GATE)
	} else {
		FOR_ALL(STORE_SUM)
	}
}

int64_t K(block_rows)(int64_t n)
{
	return n <= MR ? n : n < 2 * MR ? (n + 1) / 2 : MR;
}

/* clang-format off */
#define BLOCK(m, n) \
	static void block_##m##_##n(int nrun, const block_run *run, const real *b, int64_t rb, real *c, int64_t rc, int mode, \
	                            const real *bias, const real *gate) \
	{ \
		micro(m, n, nrun, run, b, rb, c, rc, mode, bias, gate); \
	}
#if NV == 4
#define BLOCKS(m) BLOCK(m, 1) BLOCK(m, 2) BLOCK(m, 3) BLOCK(m, 4)
#define ROW(m) { block_##m##_1, block_##m##_2, block_##m##_3, block_##m##_4 }
#else
#define BLOCKS(m) BLOCK(m, 1) BLOCK(m, 2)
#define ROW(m) { block_##m##_1, block_##m##_2 }
#endif
BLOCKS(1) BLOCKS(2) BLOCKS(3) BLOCKS(4) BLOCKS(5) BLOCKS(6)
block *const K(blocks)[MR][NV] = { ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6) };
/* clang-format on */
