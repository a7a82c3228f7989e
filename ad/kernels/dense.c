/* dense.c - products of a small matrix, all of whose entries count, with a tile: 64 lanes after the other, so that matrix and lanes
 * stay in L1. */
#include "block.h"

void K(dense)(int64_t r0, int64_t r1, int64_t k, const real *a, int64_t ra, int64_t ca, int64_t lanes, const real *x,
              const real *bias, real *y, int finish, const real *gate)
{
	for (int64_t l = 0; l < lanes; l += NR) {
		int64_t nv = lanes - l < NR ? (lanes - l) / VL : NV;
		for (int64_t r = r0, h; r < r1; r += h) {
			h = K(block_rows)(r1 - r);
			const block_run run = { a + r * ra, ra, ca, k, 0, a, 0 };
			int64_t at = r * lanes + l;
			K(blocks)[h - 1][nv - 1](1, &run, x + l, lanes, y + at, lanes, finish, bias ? bias + r : NULL,
			                         gate ? gate + at : NULL);
		}
	}
}
