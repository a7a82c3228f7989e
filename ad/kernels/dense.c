/* dense.c - products of a small matrix, all of whose entries count, with a tile: 64 lanes after the other, so that matrix and lanes
 * stay in L1.  The sum of an element is one chain along k; compiled with contraction to fused multiply-adds. */
#include "block.h"

enum { THIN = 4 };

/* Of so few columns that they stay in registers while all rows pass. */
INLINE void thin(int k, int nv, int64_t r0, int64_t r1, const real *a, int64_t ra, int64_t ca, int64_t lanes, const real *x,
                 const real *bias, real *y, int finish, const real *gate)
{
	vec b[THIN][NV];
	for (int p = 0; p < k; p++)
		for (int v = 0; v < nv; v++)
			b[p][v] = vload(x + p * lanes + v * VL);
	for (int64_t r = r0; r < r1; r++) {
		const vec first = vset(bias ? bias[r] : 0);
		for (int v = 0; v < nv; v++) {
			const int64_t at = r * lanes + v * VL;
			vec s = first;
			for (int p = 0; p < k; p++)
				s += a[r * ra + p * ca] * b[p][v];
			vstore(y + at, finish == BLOCK_RELU   ? vsel(VCMP(s, <, vset(0)), vset(0), s)
			               : finish == BLOCK_GATE ? vsel(VCMP(vload(gate + at), >, vset(0)), s, vset(0))
			                                      : s);
		}
	}
}

#define THIN_OF(k) \
	static void thin_##k(int nv, int64_t r0, int64_t r1, const real *a, int64_t ra, int64_t ca, int64_t lanes, const real *x, \
	                     const real *bias, real *y, int finish, const real *gate) \
	{ \
		if (nv == NV) \
			thin(k, NV, r0, r1, a, ra, ca, lanes, x, bias, y, finish, gate); \
		else \
			for (int v = 0; v < nv; v++) \
				thin(k, 1, r0, r1, a, ra, ca, lanes, x + v * VL, bias, y + v * VL, finish, gate ? gate + v * VL : NULL); \
	}
THIN_OF(1)
THIN_OF(2)
THIN_OF(3)
THIN_OF(4)

void K(dense)(int64_t r0, int64_t r1, int64_t k, const real *a, int64_t ra, int64_t ca, int64_t lanes, const real *x,
              const real *bias, real *y, int finish, const real *gate)
{
	static void (*const thins[])(int nv, int64_t r0, int64_t r1, const real *a, int64_t ra, int64_t ca, int64_t lanes,
	                             const real *x, const real *bias, real *y, int finish,
	                             const real *gate) = { thin_1, thin_2, thin_3, thin_4 };
	for (int64_t l = 0; l < lanes; l += NR) {
		int64_t nv = lanes - l < NR ? (lanes - l) / VL : NV;
		if (k <= THIN) {
			thins[k - 1]((int)nv, r0, r1, a, ra, ca, lanes, x + l, bias, y + l, finish, gate ? gate + l : NULL);
			continue;
		}
		for (int64_t r = r0, h; r < r1; r += h) {
			h = K(block_rows)(r1 - r);
			const block_run run = { a + r * ra, ra, ca, k, h * ra, a, 0 };
			int64_t at = r * lanes + l;
			K(blocks)[h - 1][nv - 1](1, &run, x + l, lanes, y + at, lanes, finish, bias ? bias + r : NULL,
			                         gate ? gate + at : NULL);
		}
	}
}
