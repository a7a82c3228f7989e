/* sylvester.c - Sylvester flows (van den Berg et al. 2018): z = x + Q R1 tanh(R2 Q^T x + b). */
#include "lowrank.h"
#include "amortise.h"
#include "parts.h"
#include "variants.h"

#include <math.h>

typedef struct {
	flow f;
	flow_sylvester_kind kind;
	bool given; /* q, r1, r2 count as they stand */
	int64_t dim, rank, reflections;
	const int *perm; /* Q^T x = x[perm]; NULL with .given: "q" */
	nn_net net;
} sylvester;

typedef struct {
	ad_var qt, r1, r2, b; /* qt [M, D], NULL: the identity; each may be batched */
} matrices;

static ad_var permutation_matrix(const sylvester *y, ad_tape *t)
{
	int32_t at[y->dim];
	for (int64_t i = 0; i < y->dim; i++)
		at[i] = y->perm[i];
	return ad_one_hot(ad_array_i32(t, AD_SHAPE(y->dim), at), y->dim);
}

static ad_var projection(const sylvester *y, flow__source *s)
{
	if (y->kind == FLOW_SYLVESTER_TRIANGULAR)
		return y->perm ? permutation_matrix(y, s->c.tape) : NULL;
	if (y->kind == FLOW_SYLVESTER_HOUSEHOLDER) {
		ad_shape shape = AD_SHAPE(y->reflections, y->dim);
		ad_var v = flow__source_take(s, "vectors", shape, (nn_fill){ NN_NORMAL, 1 }), h = flow__reflections(v);
		return ad_slice(h, ad_rank(h) - 2, 0, y->rank);
	}
	ad_var q = flow__source_take(s, "q", AD_SHAPE(y->dim, y->rank), (nn_fill){ NN_ORTHOGONAL, 1 });
	if (y->given)
		return ad_transpose(q);
	/* q = Q L^T, L the factor of q^T q */
	ad_var l = ad_cholesky(ad_matmul(q, q, true, false));
	return ad_solve_triangular(l, ad_transpose(q), false, false, false);
}

/* Upper triangular, the diagonal in (-1, 1) */
static ad_var triangle(const sylvester *y, ad_var r)
{
	return y->given ? r : ad_add(ad_triu(r, 1), ad_diag(ad_tanh(ad_diagonal(r))));
}

static matrices parameters(const sylvester *y, nn c, ad_var cond)
{
	int64_t m = y->rank, basis = y->kind == FLOW_SYLVESTER_TRIANGULAR    ? 0
				     : y->kind == FLOW_SYLVESTER_HOUSEHOLDER ? y->reflections * y->dim
									     : y->dim * m;
	flow__source s = flow__source_of(c, &y->net, cond, basis + 2 * m * m + m);
	nn_fill fill = { NN_NORMAL, 0.5 / sqrt((double)m) };
	matrices a = { .qt = projection(y, &s) };
	a.r1 = triangle(y, flow__source_take(&s, "r1", AD_SHAPE(m, m), fill));
	a.r2 = triangle(y, flow__source_take(&s, "r2", AD_SHAPE(m, m), fill));
	a.b = flow__source_take(&s, "b", AD_SHAPE(m), (nn_fill){ NN_ZEROS, 0 });
	return a;
}

static ad_var project(const matrices *a, ad_var x)
{
	return a->qt ? flow__rows_through(a->qt, x) : x;
}

static ad_var unproject(const matrices *a, ad_var v)
{
	return a->qt ? flow__rows_through(ad_transpose(a->qt), v) : v;
}

/* Row i of w from column lo on, as [1, n] or [B, n] */
static ad_var row(ad_var w, int64_t i, int64_t lo, int64_t hi)
{
	int k = ad_rank(w) - 2;
	ad_var r = ad_slice(ad_slice(w, k, i, i + 1), k + 1, lo, hi);
	return k ? ad_squeeze(r, k) : r;
}

/* The root v of v + p tanh(q v + b) = t, sought as v - t.  p q > -1: it increases. */
static ad_var root(ad_tape *tape, ad_var t, ad_var p, ad_var q, ad_var b)
{
	ad_fn *f = ad_fn_begin(tape);
	ad_var e = ad_fn_arg(f, ad_dtype_of(t), ad_shape_of(t));
	ad_var y = ad_add(e, ad_mul(p, ad_tanh(ad_add(ad_mul(q, ad_add(t, e)), b))));
	ad_fn_end(f, 1, &y);
	return ad_add(t, ad_bisect(f, ad_shape_of(t), -1, 1, 0));
}

/* tanh(R2 v + b) for the v with v + R1 tanh(R2 v + b) = t, from the last row upwards */
static ad_var solve(ad_tape *tape, const matrices *a, ad_var t)
{
	int64_t m = ad_dim(t, 1);
	ad_var v = NULL, h = NULL;
	for (int64_t i = m - 1; i >= 0; i--) {
		ad_var ti = ad_slice(t, 1, i, i + 1), bi = ad_slice(a->b, ad_rank(a->b) - 1, i, i + 1);
		if (v) {
			ti = ad_sub(ti, flow__dot(row(a->r1, i, i + 1, m), h));
			bi = ad_add(bi, flow__dot(row(a->r2, i, i + 1, m), v));
		}
		ad_var p = row(a->r1, i, i, i + 1), q = row(a->r2, i, i, i + 1), vi = root(tape, ti, p, q, bi);
		ad_var hi = ad_tanh(ad_add(ad_mul(q, vi), bi));
		v = v ? ad_concat(1, 2, (ad_var[]){ vi, v }) : vi;
		h = h ? ad_concat(1, 2, (ad_var[]){ hi, h }) : hi;
	}
	return h;
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const sylvester *y = (const sylvester *)f;
	matrices a = parameters(y, c, cond);
	if (ad_error(c.tape))
		return (flow_out){ x, ad_const(c.tape, 0) };
	ad_var v = project(&a, x), h;
	if (dir == FLOW_FORWARD)
		h = ad_tanh(ad_add(flow__rows_through(a.r2, v), a.b));
	else
		h = solve(c.tape, &a, v);
	ad_var move = unproject(&a, flow__rows_through(a.r1, h));
	/* 1 + (1 - h^2) p, p the product of the diagonals */
	ad_var gain = ad_shift(ad_mul(ad_diagonal(a.r1), ad_diagonal(a.r2)), 1);
	ad_var slope = ad_add(ad_square(h), ad_mul(ad_one_minus_square(h), gain));
	ad_var logdet = ad_sum(ad_log(ad_abs(slope)), AD_EVENT);
	if (dir == FLOW_FORWARD)
		return (flow_out){ ad_add(x, move), logdet };
	return (flow_out){ ad_sub(x, move), ad_neg(logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const sylvester *)f)->dim, in, out, why);
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	static const char *const name[] = { "orthogonal", "Householder", "triangular" };
	const sylvester *y = (const sylvester *)f;
	snprintf(buf, n, "%s, %lld directions%s", name[y->kind], (long long)y->rank, y->net.apply ? ", amortised" : "");
	return buf;
}

static sylvester base(flow_sylvester_kind kind, int64_t dim, int64_t rank)
{
	return (sylvester){
		.f = { .kind = "sylvester",
		       .apply = apply,
		       .shape = shape,
		       .unshape = shape,
		       .describe = describe,
		       .caps.inverse = FLOW_ITERATIVE,
		       .caps.rebuilds = true },
		.kind = kind,
		.dim = dim,
		.rank = rank,
	};
}

flow *flow_sylvester(flow_mem *m, flow_sylvester_kind kind, int64_t dim, flow_sylvester_opt o)
{
	int64_t rank = o.rank ? o.rank : dim;
	bool triangular = kind == FLOW_SYLVESTER_TRIANGULAR;
	if ((unsigned)kind > FLOW_SYLVESTER_TRIANGULAR || dim < 1 || dim > 4096 || rank < 1 || rank > dim ||
	    o.reflections < 0 || o.reflections > 4096 || (triangular && rank != dim))
		return flow_refuse(m, "sylvester", "kind %d, %lld features, %lld directions, %lld reflections", (int)kind,
				   (long long)dim, (long long)rank, (long long)o.reflections);
	sylvester *y = flow_alloc(m, sizeof *y);
	*y = base(kind, dim, rank);
	y->reflections = o.reflections ? o.reflections : rank;
	y->net = o.net;
	if (triangular && o.flip) {
		int *perm = flow_alloc(m, (size_t)dim * sizeof *perm);
		for (int64_t i = 0; i < dim; i++)
			perm[i] = (int)(dim - 1 - i);
		y->perm = perm;
	}
	return &y->f;
}

flow *flow_sylvester_given(flow_mem *m, int64_t dim, int64_t rank, bool triangular, const int *perm)
{
	if (dim < 1 || dim > 4096 || rank < 1 || rank > dim || (triangular && rank != dim))
		return flow_refuse(m, "sylvester", "%lld features, %lld directions", (long long)dim, (long long)rank);
	for (int64_t i = 0; perm && i < dim; i++)
		if (perm[i] < 0 || perm[i] >= dim)
			return flow_refuse(m, "sylvester", "permutation[%lld] = %d", (long long)i, perm[i]);
	sylvester *y = flow_alloc(m, sizeof *y);
	*y = base(triangular ? FLOW_SYLVESTER_TRIANGULAR : FLOW_SYLVESTER_ORTHOGONAL, dim, rank);
	y->given = true;
	y->perm = perm ? flow_copy(m, perm, (size_t)dim * sizeof *perm) : NULL;
	return &y->f;
}
