/* solve.c - substitution in a triangular system that all columns share. */
#include "kernels.h"
#include "real.h"

#define AD_KERNEL(name, args) void K(name) args;
#include "kernels.def"
#undef AD_KERNEL

enum { BLOCK = AD__SUBSTITUTE_ROWS };

/* n columns, at most VL, of rows lo .. lo + h - 1, in registers. */
static inline __attribute__((always_inline)) void columns(int h, int64_t lo, int64_t from, const real *t, int64_t rs,
                                                          int64_t cs, bool unit, real *x, int64_t xs, int64_t n)
{
	vec y[BLOCK], v = vset(0);
	for (int i = 0; i < h; i++) {
		memcpy(&v, x + (lo + i) * xs, (size_t)n * sizeof(real));
		y[i] = v;
	}
	for (int64_t j = from; j < lo; j++) {
		memcpy(&v, x + j * xs, (size_t)n * sizeof(real));
		for (int i = 0; i < h; i++)
			y[i] = vfma(vset(-t[(lo + i) * rs + j * cs]), v, y[i]);
	}
	for (int j = 0; j < h; j++) {
		if (!unit)
			y[j] = y[j] / vset(t[(lo + j) * (rs + cs)]);
		for (int i = j + 1; i < h; i++)
			y[i] = vfma(vset(-t[(lo + i) * rs + (lo + j) * cs]), y[j], y[i]);
	}
	for (int i = 0; i < h; i++)
		memcpy(x + (lo + i) * xs, &y[i], (size_t)n * sizeof(real));
}

#define PIECE(h)                                                                                                       \
	static void piece_##h(int64_t lo, int64_t from, const real *t, int64_t rs, int64_t cs, bool unit, real *x, int64_t xs, \
	                      int64_t cols)                                                                                \
	{                                                                                                                  \
		int64_t l = 0;                                                                                                 \
		for (; l + VL <= cols; l += VL)                                                                                \
			columns(h, lo, from, t, rs, cs, unit, x + l, xs, VL);                                                      \
		if (l < cols)                                                                                                  \
			columns(h, lo, from, t, rs, cs, unit, x + l, xs, cols - l);                                                \
	}
PIECE(16)
PIECE(8)
PIECE(4)
PIECE(2)
PIECE(1)

void K(substitute)(int64_t lo, int64_t hi, int64_t from, const real *t, int64_t rs, int64_t cs, bool unit, real *x, int64_t xs,
                   int64_t cols)
{
	static void (*const piece[])(int64_t, int64_t, const real *, int64_t, int64_t, bool, real *, int64_t, int64_t) = {
		piece_16, piece_8, piece_4, piece_2, piece_1
	};
	for (int k = 0; k < 5; k++)
		for (int64_t h = BLOCK >> k; hi - lo >= h; lo += h)
			piece[k](lo, from, t, rs, cs, unit, x, xs, cols);
}
