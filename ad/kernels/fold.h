/* fold.h - sums of all lanes of a vector, and of 16 vectors at once: halves are added, then quarters, and so on. */
#ifndef AD_FOLD_H
#define AD_FOLD_H

#include "real.h"

static inline real fold(vec v)
{
	real p[VL];
	vstore(p, v);
	for (int h = VL / 2; h > 0; h /= 2)
		for (int l = 0; l < h; l++)
			p[l] += p[l + h];
	return p[0];
}

#if defined ISA_v4 && REAL_BITS == 32
#define FOLD_16

#define SIXTEEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/* Two vectors become one, whose lanes are those of the first where bit h of the lane's number is 0, else of the second. */
#define FOLD(h, ...) \
	static inline __attribute__((always_inline)) vec fold_##h(vec a, vec b) \
	{ \
		return vshuffle(a, b, (vmask){ __VA_ARGS__ }) + \
		       vshuffle(a, b, (vmask){ __VA_ARGS__ } ^ h); \
	}
FOLD(8, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31)
FOLD(4, 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31)
FOLD(2, 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30, 31)
FOLD(1, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
#undef FOLD

/* Lane i: fold(s_i). */
static inline __attribute__((always_inline)) vec fold_16(vec s0, vec s1, vec s2, vec s3, vec s4, vec s5, vec s6, vec s7, vec s8,
                                                         vec s9, vec s10, vec s11, vec s12, vec s13, vec s14, vec s15)
{
#define HALF(i, j) s##i = fold_8(s##i, s##j);
	HALF(0, 8) HALF(1, 9) HALF(2, 10) HALF(3, 11) HALF(4, 12) HALF(5, 13) HALF(6, 14) HALF(7, 15)
#undef HALF
	s0 = fold_4(s0, s4);
	s1 = fold_4(s1, s5);
	s2 = fold_4(s2, s6);
	s3 = fold_4(s3, s7);
	return fold_1(fold_2(s0, s2), fold_2(s1, s3));
}
#endif

#endif
