/* solve.c - linear systems: by LU, triangular, and the inverse. */
#include "matrix.h"
#include <stdio.h>
#include <string.h>

enum { BLOCK = AD__SUBSTITUTE_ROWS, LARGE = 128 };

/* One triangular matrix t, and right-hand sides x [n, cols, lanes] that become the solution. */
typedef struct {
	ad_dtype d;
	int64_t n, cols, width; /* width: lanes of x */
	const char *t;
	int64_t rs, cs, lane;
	bool upper, unit;
	char *x;
} system_;

static const char *diagonal(const system_ *s, int64_t i)
{
	return s->t + i * (s->rs + s->cs) * (int64_t)ad__size(s->d);
}

static void divide(const system_ *s, int64_t i)
{
	int64_t row = s->cols * s->width;
	if (s->d == AD_F64) {
		double *x = (double *)s->x + i * row;
		const double *t = (const double *)diagonal(s, i);
		for (int64_t j = 0; j < row; j++)
			x[j] /= t[s->lane ? j % s->width : 0];
	} else {
		float *x = (float *)s->x + i * row;
		const float *t = (const float *)diagonal(s, i);
		for (int64_t j = 0; j < row; j++)
			x[j] /= t[s->lane ? j % s->width : 0];
	}
}

static void subtract(ad_dtype d, int64_t n, char *x, const char *y)
{
	for (int64_t i = 0; i < n; i++)
		if (d == AD_F64)
			((double *)x)[i] -= ((const double *)y)[i];
		else
			((float *)x)[i] -= ((const float *)y)[i];
}

/* Lane of a zero on the diagonal, or -1. */
static int64_t singular(const system_ *s)
{
	for (int64_t l = 0; !s->unit && l < (s->lane ? s->width : 1); l++)
		for (int64_t i = 0; i < s->n; i++)
			if (ad__get(s->d, diagonal(s, i), l * s->lane) == 0)
				return l;
	return -1;
}

/* One matrix for all lanes.  An upper system is a lower one in reverse.  What lies far from the diagonal in a large one is
 * taken away by products with -t. */
static void substitute_blocks(const system_ *s, ad__ctx *c)
{
	int64_t n = s->n, size = (int64_t)ad__size(s->d), row = s->cols * s->width, sign = s->upper ? -1 : 1;
	int64_t first = s->upper ? n - 1 : 0;
	const char *t = s->t + first * (s->rs + s->cs) * size;
	char *m = (char *)c->scratch + AD__GEMM_SCRATCH, *x = s->x + first * row * size;
	for (int64_t i = 0; n > LARGE && i < n; i++)
		for (int64_t j = 0; j < n; j++)
			ad__put(s->d, m, i * n + j, -ad__get(s->d, s->t, i * s->rs + j * s->cs));
	for (int64_t done = 0; done < n; done += BLOCK) {
		int64_t h = n - done < BLOCK ? n - done : BLOCK;
		int64_t i0 = s->upper ? n - done - h : done, from = s->upper ? i0 + h : 0;
		if (done && n > LARGE)
			c->k[s->d]->gemm(h, row, done, m + (i0 * n + from) * size, n, 1, s->x + from * row * size, row,
					 1, s->x + i0 * row * size, row, true, c->scratch);
		c->k[s->d]->substitute(done, done + h, n > LARGE ? done : 0, t, sign * s->rs, sign * s->cs, s->unit, x,
				       sign * row, row);
	}
}

/* A matrix of its own for each lane. */
static void substitute_lanes(const system_ *s, ad__ctx *c)
{
	int64_t n = s->n, size = (int64_t)ad__size(s->d), row = s->cols * s->width;
	for (int64_t q = 0; q < n; q++) {
		int64_t i = s->upper ? n - 1 - q : q, from = s->upper ? i + 1 : 0;
		for (int64_t j = 0; j < s->cols; j++) {
			c->k[s->d]->lane_dot(q, s->width, s->t + (i * s->rs + from * s->cs) * size, s->cs, 1,
					     s->x + (from * row + j * s->width) * size, row, 1, c->scratch, false);
			subtract(s->d, s->width, s->x + (i * row + j * s->width) * size, c->scratch);
		}
		if (!s->unit)
			divide(s, i);
	}
}

static bool substitute(ad_var r, const system_ *s, ad__ctx *c)
{
	int64_t bad = singular(s);
	if (bad >= 0) {
		ad__matrix_error(r, c, s->lane, bad, "is singular");
		return false;
	}
	(s->lane ? substitute_lanes : substitute_blocks)(s, c);
	return true;
}

/* The matrix of problem k, as the system that its part of the result is. */
static system_ system_of(const ad__arr *t, const ad__arr *out, int64_t k, const ad__ctx *c)
{
	int64_t size = (int64_t)ad__size(out->dtype), n = out->dim[out->rank - 2];
	system_ s = { .d = out->dtype,
		      .n = n,
		      .cols = out->dim[out->rank - 1],
		      .width = out->lane ? c->width : 1,
		      .rs = t->stride[t->rank - 2],
		      .cs = t->stride[t->rank - 1],
		      .lane = t->lane };
	s.t = t->p + ad__problem(t, 2, out, 2, k) * size;
	s.x = out->p + k * n * s.cols * s.width * size;
	return s;
}

static bool solve_shape(ad_var r)
{
	ad_shape a = r->in[0]->shape, b = r->in[1]->shape, s;
	if (!ad__wants_real(r) || !ad__square(r, r->in[0]))
		return false;
	if (b.rank < 2 + ad_batched(r->in[1]) || b.dim[b.rank - 2] != a.dim[a.rank - 1]) {
		ad__fail(r, "the right-hand side is not [.., n, m] for a matrix [.., n, n]");
		return false;
	}
	int64_t n = b.dim[b.rank - 2], m = b.dim[b.rank - 1];
	a.rank -= 2;
	b.rank -= 2;
	if (!ad__broadcast_shapes(a, b, &s)) {
		ad__fail(r, "leading axes do not broadcast");
		return false;
	}
	s.dim[s.rank] = n;
	s.dim[s.rank + 1] = m;
	s.rank += 2;
	r->shape = s;
	return true;
}

static void solve_infer(ad_var r)
{
	if (solve_shape(r) && r->in[0]->dtype != r->in[1]->dtype)
		ad__fail(r, "operands of different types");
}

static size_t solve_scratch(ad_var r, int64_t width)
{
	size_t n = (size_t)ad_dim(r->in[0], -1), size = ad__size(r->dtype);
	return AD__GEMM_SCRATCH + n * n * size + (size_t)width * size;
}

static double solve_flops(ad_var r)
{
	return (r->nin == 3 ? 2.0 : 1.0) * (double)ad_numel(r->shape) * (double)ad_dim(r->in[0], -1);
}

/* sum over what a lacks of u v^T, in the shape of a; u and v [.., n, m] alike. */
static ad_var outer(ad_var u, ad_var v, ad_var a)
{
	char lu[AD_MAXRANK + 1] = "", la[AD_MAXRANK + 1] = "", spec[5 * AD_MAXRANK];
	int lead = ad_rank(u) - 2, skip = ad_rank(u) - ad_rank(a), n = 0;
	for (int i = 0; i < lead; i++) {
		lu[i] = (char)('A' + i);
		if (i >= skip && ad_dim(a, i - skip) == ad_dim(u, i))
			la[n++] = lu[i];
	}
	snprintf(spec, sizeof spec, "%sim,%sjm->%sij", lu, lu, la);
	ad_var g = ad_einsum(spec, u, v);
	return ad_shape_eq(ad_shape_of(g), ad_shape_of(a)) ? g : ad_reshape(g, ad_shape_of(a));
}

/* --- By LU: inputs a, b, LU of a; without b the inverse --- */

static void solve_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[1] = ad_solve(ad_transpose(r->in[0]), g);
	gin[0] = ad_neg(outer(gin[1], r, r->in[0]));
}

/* Rows of b (NULL: the identity) as the LU has them. */
static void permuted(const system_ *s, const char *b, const ad__arr *in)
{
	int64_t size = (int64_t)ad__size(s->d), bl = b ? in->lane : 0;
	int64_t rb = b ? in->stride[in->rank - 2] : 0, cb = b ? in->stride[in->rank - 1] : 0;
	static const double one = 1;
	for (int64_t i = 0; i < s->n; i++)
		for (int64_t l = 0; l < s->width; l++) {
			int64_t row = (int64_t)ad__get(s->d, s->t, i * s->rs + s->n * s->cs + l * s->lane);
			for (int64_t j = 0; j < s->cols; j++) {
				int64_t to = (i * s->cols + j) * s->width + l;
				if (b)
					memcpy(s->x + to * size, b + (row * rb + j * cb + l * bl) * size, (size_t)size);
				else
					ad__put(s->d, s->x, to, j == row ? one : 0);
			}
		}
}

static void lu_solve_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ad__arr *b = r->nin == 3 ? &in[1] : NULL, *lu = &in[r->nin - 1];
	for (int64_t k = 0; k < ad__problems(out, 2); k++) {
		system_ s = system_of(lu, out, k, c);
		permuted(&s, b ? b->p + ad__problem(b, 2, out, 2, k) * (int64_t)ad__size(r->dtype) : NULL, b);
		s.unit = true;
		if (!substitute(r, &s, c))
			return;
		s.unit = false;
		s.upper = true;
		if (!substitute(r, &s, c))
			return;
	}
}

static const ad_op solve_op = { .name = "solve",
				.flags = AD__STRIDED,
				.infer = solve_infer,
				.vjp = solve_vjp,
				.eval = lu_solve_eval,
				.scratch = solve_scratch,
				.flops = solve_flops };

ad_var ad_solve(ad_var a, ad_var b)
{
	bool vector = ad_rank(b) == 1 + ad_batched(b);
	ad_var x = vector ? ad_expand(b, -1) : b;
	x = ad__push(NULL, &solve_op, 3, (ad_var[]){ a, x, ad__lu(a) }, (ad_attr){ 0 });
	return vector ? ad_squeeze(x, -1) : x;
}

/* --- The inverse: inputs a and its LU --- */

static void inverse_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
}

static void inverse_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_neg(ad_matmul(ad_matmul(r, g, true, false), r, false, true));
}

static double inverse_flops(ad_var r)
{
	return 2 * solve_flops(r);
}

static const ad_op inverse_op = { .name = "inverse",
				  .flags = AD__STRIDED,
				  .infer = inverse_infer,
				  .vjp = inverse_vjp,
				  .eval = lu_solve_eval,
				  .scratch = solve_scratch,
				  .flops = inverse_flops };

ad_var ad__inverse(ad_var a, ad_var lu)
{
	return ad__push(NULL, &inverse_op, 2, (ad_var[]){ a, lu }, (ad_attr){ 0 });
}

ad_var ad_inverse(ad_var a)
{
	return ad__inverse(a, ad__lu(a));
}

/* --- Triangular: axis bits upper, transposed, unit --- */

enum { UPPER = 1, TRANSPOSED = 2, UNIT = 4 };

static void triangular_vjp(ad_var r, ad_var g, ad_var gin[])
{
	unsigned how = r->attr.axes;
	bool unit = how & UNIT, turned = how & TRANSPOSED;
	ad_var gb = ad_solve_triangular(r->in[0], g, how & UPPER, !turned, unit);
	ad_var ga = turned ? outer(r, gb, r->in[0]) : outer(gb, r, r->in[0]);
	gin[0] = ad_neg(how & UPPER ? ad_triu(ga, unit) : ad_tril(ga, unit ? -1 : 0));
	gin[1] = gb;
}

static void triangular_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	unsigned how = r->attr.axes;
	ad__arr b = in[1];
	for (int i = out->rank - 1, j = b.rank - 1; i >= 0; i--, j--)
		b.stride[i] = j >= 0 && (in[1].dim[j] == out->dim[i]) ? in[1].stride[j] : 0;
	b.rank = out->rank;
	ad__copy(out, &b, c->width);
	for (int64_t k = 0; k < ad__problems(out, 2); k++) {
		system_ s = system_of(&in[0], out, k, c);
		s.unit = how & UNIT;
		s.upper = how & UPPER;
		if (how & TRANSPOSED) {
			int64_t t = s.rs;
			s.rs = s.cs;
			s.cs = t;
			s.upper = !s.upper;
		}
		if (!substitute(r, &s, c))
			return;
	}
}

static const ad_op triangular_op = { .name = "solve_triangular",
				     .flags = AD__STRIDED,
				     .infer = solve_infer,
				     .vjp = triangular_vjp,
				     .eval = triangular_eval,
				     .scratch = solve_scratch,
				     .flops = solve_flops };

ad_var ad_solve_triangular(ad_var a, ad_var b, bool upper, bool transposed, bool unit)
{
	bool vector = ad_rank(b) == 1 + ad_batched(b);
	ad_attr t = { .axes = (upper ? UPPER : 0u) | (transposed ? TRANSPOSED : 0u) | (unit ? UNIT : 0u) };
	ad_var x = vector ? ad_expand(b, -1) : b;
	x = ad__push(NULL, &triangular_op, 2, (ad_var[]){ a, x }, t);
	return vector ? ad_squeeze(x, -1) : x;
}
