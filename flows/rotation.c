/* rotation.c - y = exp(A - A^T) x: any rotation, by free numbers. */
#include "neural.h"
#include "parts.h"

#include <math.h>

enum { TERMS = 14, DOUBLINGS = 16 };

/* exp S by scaling and squaring: S / 2^n of norm at most 1/2 in a Taylor series, squared n times.  n is found when run,
 * so squarings that are not needed are undone by a choice. */
static ad_var matrix_exp(ad_var S)
{
	int64_t D = ad_dim(S, 0);
	ad_var eye = flow__eye(ad_tape_of(S), D), size = ad_stop(ad_maxof(ad_sum(ad_abs(S), AD_AXIS(1)), AD_ALL));
	ad_var n = ad_clamp(ad_shift(ad_ceil(ad_scale(ad_log(ad_shift(size, 1e-30)), 1 / log(2))), 1), 0, DOUBLINGS);
	ad_var X = ad_mul(S, ad_exp(ad_scale(n, -log(2)))), E = eye;
	for (int k = TERMS; k > 0; k--)
		E = ad_add(eye, ad_scale(ad_matmul(X, E, false, false), 1.0 / k));
	for (int k = 0; k < DOUBLINGS; k++)
		E = ad_where(ad_above(n, k + 0.5), ad_matmul(E, E, false, false), E);
	return E;
}

typedef struct {
	flow f;
	int64_t dim;
} rotation;

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	int64_t D = ((const rotation *)f)->dim;
	ad_var A = nn_param(c, "A", AD_SHAPE(D, D), (nn_fill){ NN_NORMAL, 1 });
	ad_var Q = matrix_exp(ad_sub(A, ad_transpose(A)));
	(void)cond;
	return (flow_out){ ad_linear(x, dir == FLOW_FORWARD ? Q : ad_transpose(Q), NULL), ad_const(c.tape, 0) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const rotation *)f)->dim, in, out, why);
}

flow *flow_rotation(flow_mem *m, int64_t dim)
{
	if (dim < 1)
		return flow_refuse(m, "rotation", "%lld features", (long long)dim);
	rotation r = { { .kind = "rotation", .apply = apply, .shape = shape, .unshape = shape, .caps.rebuilds = true },
		       dim };
	return flow_copy(m, &r, sizeof r);
}
