/* triangle.c - triangles and diagonals of the matrices in the last two axes. */
#include "ad/op.h"
#include <string.h>

static void triangle_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	if (r->shape.rank < 2 + ad_batched(r->in[0]))
		ad__fail(r, "needs a matrix in the last two axes, none of them the batch");
}

/* Zeros must be set, not multiplied in: what they replace may be infinite. */
static void triangle_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	if (ad__rows(r) == 0)
		return;
	int rank = r->shape.rank;
	int64_t m = r->shape.dim[rank - 2], n = r->shape.dim[rank - 1], count = ad__rows(r) / (m * n);
	size_t size = ad__size(r->dtype) * (size_t)c->width;
	bool upper = r->attr.flag;
	int64_t d = r->attr.i[0];
	for (int64_t row = 0; row < count * m; row++) {
		int64_t edge = row % m + d + !upper; /* columns before it are the lower part */
		edge = edge < 0 ? 0 : edge > n ? n : edge;
		char *y = out->p + (size_t)(row * n) * size;
		const char *x = in[0].p + (size_t)(row * n) * size;
		size_t lower = (size_t)edge * size, whole = (size_t)n * size;
		if (upper) {
			memset(y, 0, lower);
			memcpy(y + lower, x + lower, whole - lower);
		} else {
			memcpy(y, x, lower);
			memset(y + lower, 0, whole - lower);
		}
	}
}

static void tril_vjp(ad_var r, ad_var g, ad_var gin[]) { gin[0] = ad_tril(g, (int)r->attr.i[0]); }

static void triu_vjp(ad_var r, ad_var g, ad_var gin[]) { gin[0] = ad_triu(g, (int)r->attr.i[0]); }

static void diag_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	if (r->shape.rank < 1 + ad_batched(r->in[0]) || r->shape.rank == AD_MAXRANK) {
		ad__fail(r, "needs a last axis that is not the batch, and rank below %d", AD_MAXRANK);
		return;
	}
	r->shape.dim[r->shape.rank] = r->shape.dim[r->shape.rank - 1];
	r->shape.rank++;
}

static void diag_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	if (ad__rows(r) == 0)
		return;
	int64_t n = r->shape.dim[r->shape.rank - 1], rows = ad__rows(r) / n;
	size_t size = ad__size(r->dtype) * (size_t)c->width;
	memset(out->p, 0, (size_t)(rows * n) * size);
	for (int64_t i = 0; i < rows; i++)
		memcpy(out->p + (size_t)(i * n + i % n) * size, in[0].p + (size_t)i * size, size);
}

static void diag_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	gin[0] = ad_diagonal(g);
}

static void diagonal_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	int k = --r->shape.rank;
	if (k < 1 + ad_batched(r->in[0]) || r->shape.dim[k] != r->shape.dim[k - 1])
		ad__fail(r, "needs a square matrix in the last two axes, none of them the batch");
}

static bool diagonal_view(ad_var r, ad__arr *a)
{
	(void)r;
	int k = --a->rank;
	a->stride[k - 1] += a->stride[k];
	return true;
}

static void diagonal_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	gin[0] = ad_diag(g);
}

static const ad_op tril_op = {
	.name = "tril", .infer = triangle_infer, .vjp = tril_vjp, .eval = triangle_eval
};
static const ad_op triu_op = {
	.name = "triu", .infer = triangle_infer, .vjp = triu_vjp, .eval = triangle_eval
};
static const ad_op diag_op = {
	.name = "diag", .infer = diag_infer, .vjp = diag_vjp, .eval = diag_eval
};
static const ad_op diagonal_op = { .name = "diagonal",
	.flags = AD__VIEW,
	.infer = diagonal_infer,
	.vjp = diagonal_vjp,
	.view = diagonal_view };

ad_var ad_tril(ad_var x, int diagonal)
{
	return ad__push(ad_tape_of(x), &tril_op, 1, &x, (ad_attr){ .i = { diagonal } });
}

ad_var ad_triu(ad_var x, int diagonal)
{
	return ad__push(ad_tape_of(x), &triu_op, 1, &x, (ad_attr){ .i = { diagonal }, .flag = true });
}

ad_var ad_diag(ad_var x) { return ad__push(ad_tape_of(x), &diag_op, 1, &x, (ad_attr){ 0 }); }

ad_var ad_diagonal(ad_var x)
{
	return ad__push(ad_tape_of(x), &diagonal_op, 1, &x, (ad_attr){ 0 });
}
