/* Linear layers: y = W x + bias, W parameterised so that its determinant and its inverse are cheap. */
#include "parts.h"
#include <math.h>
#include <stdlib.h>

typedef struct linear linear;
typedef struct {
	const char *kind;
	flow_out (*apply)(const linear *l, nn c, ad_var x, flow_dir dir);
} row;
struct linear {
	flow f;
	const row *row;
	int64_t dim, reflections;
	double eps;
};

static ad_var bias(const linear *l, nn c)
{
	return nn_param(c, "bias", AD_SHAPE(l->dim), (nn_fill){ NN_ZEROS, 0 });
}

/* NULL for one feature, which has no entries off the diagonal. */
static ad_var triangle(const linear *l, nn c, const char *name, bool upper)
{
	if (l->dim == 1)
		return NULL;
	ad_var e = nn_param(c, name, AD_SHAPE(l->dim * (l->dim - 1) / 2), (nn_fill){ NN_ZEROS, 0 });
	return flow__triangle(e, l->dim, upper);
}

static ad_var plus(ad_var a, ad_var b)
{
	return a ? ad_add(a, b) : b;
}

/* softplus(raw) + eps, 1 at the start. */
static ad_var positive(const linear *l, nn c, const char *name)
{
	nn_fill one = { NN_CONST, log(expm1(1 - l->eps)) };
	return ad_shift(ad_softplus(nn_param(c, name, AD_SHAPE(l->dim), one)), l->eps);
}

/* n reflections, rows v_0, v_0, v_1, v_1, ..: the identity if n is even.  reversed: the inverse of those. */
static ad_var reflections(const linear *l, nn c, const char *name, bool reversed)
{
	int64_t n = l->reflections, D = l->dim;
	double *v = calloc((size_t)(n * D), sizeof *v);
	if (!v) {
		ad_fail(c.tape, "%s: no memory, in \"%s\"", l->f.kind, c.path);
		return flow__eye(c.tape, D);
	}
	for (int64_t i = 0; i < n; i++)
		v[(reversed ? n - 1 - i : i) * D + i / 2 % D] = 1;
	ad_var p = flow__param_array(c, name, AD_SHAPE(n, D), v);
	free(v);
	return flow__reflections(p);
}

static ad_var rows_times(ad_var x, ad_var w) /* x W, the inverse map of an orthogonal W */
{
	return ad_matmul(x, w, false, false);
}

static flow_out lu(const linear *l, nn c, ad_var x, flow_dir dir)
{
	ad_var diag = positive(l, c, "unconstrained_upper_diag"), logdet = ad_sum(ad_log(diag), AD_ALL);
	ad_var lower = plus(triangle(l, c, "lower_entries", false), flow__eye(c.tape, l->dim));
	ad_var upper = plus(triangle(l, c, "upper_entries", true), ad_diag(diag)), b = bias(l, c);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_linear(x, ad_matmul(lower, upper, false, false), b), logdet };
	x = flow__solve_rows(lower, ad_sub(x, b), false, true);
	return (flow_out){ flow__solve_rows(upper, x, true, false), ad_neg(logdet) };
}

static flow_out qr(const linear *l, nn c, ad_var x, flow_dir dir)
{
	ad_var diag = nn_param(c, "log_upper_diag", AD_SHAPE(l->dim), (nn_fill){ NN_ZEROS, 0 });
	ad_var upper = plus(triangle(l, c, "upper_entries", true), ad_diag(ad_exp(diag)));
	ad_var q = reflections(l, c, "householder", false), b = bias(l, c), logdet = ad_sum(diag, AD_ALL);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_linear(x, ad_matmul(q, upper, false, false), b), logdet };
	return (flow_out){ flow__solve_rows(upper, rows_times(ad_sub(x, b), q), true, false), ad_neg(logdet) };
}

static flow_out svd(const linear *l, nn c, ad_var x, flow_dir dir)
{
	ad_var s = positive(l, c, "unconstrained_diagonal"), logdet = ad_sum(ad_log(s), AD_ALL), b = bias(l, c);
	ad_var h1 = reflections(l, c, "householder_1", true), h2 = reflections(l, c, "householder_2", false);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_linear(x, ad_matmul(h1, ad_mul(ad_expand(s, 1), h2), false, false), b), logdet };
	return (flow_out){ rows_times(ad_div(rows_times(ad_sub(x, b), h1), s), h2), ad_neg(logdet) };
}

static ad_var identity_weight(nn c, int64_t n)
{
	double *v = calloc((size_t)(n * n), sizeof *v);
	if (!v) {
		ad_fail(c.tape, "dense linear: no memory, in \"%s\"", c.path);
		return flow__eye(c.tape, n);
	}
	for (int64_t i = 0; i < n; i++)
		v[i * n + i] = 1;
	ad_var w = flow__param_array(c, "weight", AD_SHAPE(n, n), v);
	free(v);
	return w;
}

/* Determinant and inverse in double precision whatever the tape's. */
static flow_out dense(const linear *l, nn c, ad_var x, flow_dir dir)
{
	ad_var w = identity_weight(c, l->dim), b = bias(l, c), wide = ad_cast(w, AD_F64);
	ad_var logdet = ad_cast(ad_logabsdet(wide), ad_dtype_of(x));
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_linear(x, w, b), logdet };
	return (flow_out){ ad_linear(ad_sub(x, b), ad_cast(ad_inverse(wide), ad_dtype_of(x)), NULL), ad_neg(logdet) };
}

static flow_out householder(const linear *l, nn c, ad_var x, flow_dir dir)
{
	ad_var q =
		flow__reflections(nn_param(c, "vectors", AD_SHAPE(l->reflections, l->dim), (nn_fill){ NN_NORMAL, 1 }));
	return (flow_out){ dir == FLOW_FORWARD ? ad_linear(x, q, NULL) : rows_times(x, q), ad_const(c.tape, 0) };
}

/* Row vector x times W = P (strict_lower + I) (strict_upper + diag(sign exp(log_abs_diag))). */
static flow_out plu(const linear *l, nn c, ad_var x, flow_dir dir)
{
	int64_t n = l->dim;
	nn_fill zero = { NN_ZEROS, 0 };
	ad_var lower = ad_add(ad_tril(nn_param(c, "lower", AD_SHAPE(n, n), zero), -1), flow__eye(c.tape, n));
	ad_var strict = ad_triu(nn_param(c, "upper", AD_SHAPE(n, n), zero), 1);
	ad_var diag = nn_param(c, "log_abs_diag", AD_SHAPE(n), zero), logdet = ad_sum(diag, AD_ALL);
	ad_var sign = nn_state(c, "diag_sign", AD_SHAPE(n), (nn_fill){ NN_CONST, 1 });
	ad_var upper = ad_add(strict, ad_diag(ad_mul(sign, ad_exp(diag))));
	double *eye = calloc((size_t)(n * n), sizeof *eye);
	for (int64_t i = 0; eye && i < n; i++)
		eye[i * n + i] = 1;
	ad_var perm = nn_state_array(c, "permutation_matrix", AD_SHAPE(n, n), eye);
	free(eye);
	if (dir == FLOW_FORWARD) {
		ad_var w = ad_matmul(perm, ad_matmul(lower, upper, false, false), false, false);
		return (flow_out){ ad_matmul(x, w, false, false), logdet };
	}
	x = flow__solve_rows(ad_transpose(upper), x, false, false);
	x = flow__solve_rows(ad_transpose(lower), x, true, true);
	return (flow_out){ ad_matmul(x, perm, false, true), ad_neg(logdet) };
}

static const row rows[] = {
	[FLOW_LU] = { "lu_linear", lu },
	[FLOW_QR] = { "qr_linear", qr },
	[FLOW_SVD] = { "svd_linear", svd },
	[FLOW_DENSE] = { "dense_linear", dense },
	[FLOW_HOUSEHOLDER] = { "householder", householder },
	[FLOW_PLU] = { "plu_matrix", plu },
};

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond;
	const linear *l = (const linear *)f;
	return l->row->apply(l, c, x, dir);
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const linear *)f)->dim, in, out, why);
}

flow *flow_linear_with(flow_mem *m, flow_linear_kind kind, int64_t dim, int count, double eps)
{
	if ((unsigned)kind >= sizeof rows / sizeof *rows)
		return flow_refuse(m, "linear", "no kind %d", (int)kind);
	if (dim < 1 || dim > 30000 || count < 0 || !(eps >= 0 && eps < 1))
		return flow_refuse(m, rows[kind].kind, "%lld features, %d reflections, eps %g", (long long)dim, count,
				   eps);
	linear *l = flow_alloc(m, sizeof *l);
	*l = (linear){
		.f = { .kind = rows[kind].kind,
		       .apply = apply,
		       .shape = shape,
		       .unshape = shape,
		       .caps.rebuilds = true },
		.row = &rows[kind],
		.dim = dim,
		.reflections = count ? count : dim + (kind == FLOW_QR && dim % 2),
		.eps = eps,
	};
	return &l->f;
}

flow *flow_linear(flow_mem *m, flow_linear_kind kind, int64_t dim, int count)
{
	return flow_linear_with(m, kind, dim, count, 1e-3);
}
