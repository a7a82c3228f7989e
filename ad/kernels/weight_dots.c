/* weight_dots.c - the weight gradient g x^T of a layer with few inputs or few outputs: as dots along the lanes, which need no
 * transposition. */
#include "block.h"
#include "fold.h"

enum { GROUP = 16 };

/* The first n lanes, zeros after them. */
INLINE vec some(const real *p, int64_t n)
{
	real v[VL] = { 0 };
	memcpy(v, p, (size_t)n * sizeof *v);
	return vload(v);
}

static real dot(int64_t valid, const real *a, const real *b)
{
	vec s = vset(0);
	int64_t l = 0;
	for (; l + VL <= valid; l += VL)
		s += vload(a + l) * vload(b + l);
	if (l < valid)
		s += some(a + l, valid - l) * some(b + l, valid - l);
	return fold(s);
}

/* Those of GROUP rows of a with b. */
static void dots(int64_t lanes, int64_t valid, const real *a, const real *b, real s[GROUP])
{
#ifdef FOLD_16
	int64_t l = 0;
#define DECLARE(i) vec s##i = vset(0);
#define ADD(i)     s##i += vload(a + i * lanes + l) * x;
#define ADD_SOME(i) s##i += some(a + i * lanes + l, valid - l) * x;
	SIXTEEN(DECLARE)
	for (; l + VL <= valid; l += VL) {
		const vec x = vload(b + l);
		SIXTEEN(ADD)
	}
	if (l < valid) {
		const vec x = some(b + l, valid - l);
		SIXTEEN(ADD_SOME)
	}
	vstore(s, fold_16(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15));
#else
	for (int64_t i = 0; i < GROUP; i++)
		s[i] = dot(valid, a + i * lanes, b);
#endif
}

/* w[i * ra + j * rb] = (or +=) the dot of row i of a and row j of b. */
static void products(int64_t na, const real *a, int64_t ra, int64_t nb, const real *b, int64_t rb, int64_t lanes, int64_t valid,
                     real *w, bool acc)
{
	real s[GROUP];
	for (int64_t i = 0; i < na; i += GROUP)
		for (int64_t j = 0; j < nb; j++) {
			int64_t n = na - i < GROUP ? na - i : GROUP;
			real *to = w + i * ra + j * rb;
			if (n == GROUP)
				dots(lanes, valid, a + i * lanes, b + j * lanes, s);
			else
				for (int64_t k = 0; k < n; k++)
					s[k] = dot(valid, a + (i + k) * lanes, b + j * lanes);
			for (int64_t k = 0; k < n; k++)
				to[k * ra] = acc ? to[k * ra] + s[k] : s[k];
		}
}

void K(weight_dots)(int64_t rows, int64_t cols, int64_t lanes, int64_t valid, const real *g, const real *x, real *w, bool acc)
{
	if (rows < cols)
		products(cols, x, 1, rows, g, cols, lanes, valid, w, acc);
	else
		products(rows, g, cols, cols, x, 1, lanes, valid, w, acc);
}
