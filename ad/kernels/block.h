/* block.h - the register block of all matrix products: up to MR rows by NV vectors. */
#ifndef AD_BLOCK_H
#define AD_BLOCK_H

#include "kernels.h"
#include "real.h"

#define INLINE static inline __attribute__((always_inline))
#define MR     6 /* rows of a register block */
#ifdef ISA_v4
#define NV 4 /* its vectors */
#else
#define NV 2
#endif
#define NR (NV * VL)

/* A run of columns of A: element (i, p) stands at a[i * ra + p * ca], p < k.  What lies `ahead` elements further is wanted next,
 * and so is what lies at `soon` (or NULL), `stride` bytes for each p. */
typedef struct {
	const real *a;
	int64_t ra, ca, k, ahead;
	const void *soon;
	int64_t stride;
} block_run;

enum { BLOCK_ADD = 1, BLOCK_CONTINUE = 2, BLOCK_RELU = AD__RELU, BLOCK_GATE = AD__GATE };

/* s = bias (or c, if continued, or 0); s += A B over the runs of A one after the other, rows of B following on; c = s, or
 * c += s, or as the ops relu and gate do: c = relu(s), c = s where gate (laid out as c) is above 0 and 0 elsewhere.  The sum of
 * an element is one chain along k. */
typedef void block(int nrun, const block_run *run, const real *b, int64_t rb, real *c, int64_t rc, int mode, const real *bias,
                   const real *gate);

/* By rows - 1 and vectors - 1. */
extern block *const K(blocks)[MR][NV];

/* Of n rows, those that the next block takes: two blocks of middling height do better than a high and a low one. */
int64_t K(block_rows)(int64_t n);

/* k x n into k x wide, zeros beyond n. */
void K(pack_b)(int64_t k, int64_t n, int64_t wide, const real *b, int64_t rb, int64_t cb, real *to);

/* w [rows, cols] = g x^T, or added to it, over the valid ones of all lanes. */
void K(weight_dots)(int64_t rows, int64_t cols, int64_t lanes, int64_t valid, const real *g, const real *x, real *w, bool acc);

#endif
