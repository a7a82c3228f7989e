/* index.c - one-hot vectors and searches in sorted edges. */
#include "ad/op.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void one_hot_infer(ad_var r)
{
	ad_var index = r->in[0];
	r->dtype = ad_real(r->tape);
	r->shape = index->shape;
	if (index->dtype != AD_I32 || r->attr.i[0] < 1 || index->shape.rank == AD_MAXRANK) {
		ad__fail(r,
			"needs an index of integers, rank below %d, and a positive extent (here %" PRId64 ")",
			AD_MAXRANK, r->attr.i[0]);
		return;
	}
	r->shape.dim[r->shape.rank++] = r->attr.i[0];
}

static void one_hot_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = r->attr.i[0], rows = ad__rows(r->in[0]), width = c->width;
	const int32_t *index = (const int32_t *)in[0].p;
	memset(out->p, 0, (size_t)(rows * n * width) * ad__size(r->dtype));
	for (int64_t i = 0; i < rows * width; i++) {
		if (index[i] < 0 || index[i] >= n) {
			snprintf(c->error, 256,
				"ad_one_hot: index %" PRId32 " is outside [0, %" PRId64 "), in \"%s\"", index[i], n,
				r->path ? r->path : "");
			return;
		}
		int64_t at = (i / width * n + index[i]) * width + i % width;
		if (r->dtype == AD_F32)
			((float *)out->p)[at] = 1;
		else
			((double *)out->p)[at] = 1;
	}
}

/* An index has no derivative. */
static void no_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	(void)g;
	(void)gin;
}

static void searchsorted_infer(ad_var r)
{
	ad_var edges = r->in[0], x = r->in[1];
	r->dtype = AD_I32;
	r->shape = edges->shape;
	bool axis = r->shape.rank > ad_batched(edges);
	if (axis)
		r->shape.rank--;
	if (!axis || !ad_shape_eq(r->shape, x->shape) || edges->shape.dim[r->shape.rank] == 0)
		ad__fail(r, "edges need the values' shape and one more axis, not empty");
	else if (edges->dtype == AD_I32 || edges->dtype != x->dtype)
		ad__fail(r, "edges and values must be reals of one type");
}

#define COUNT(name, real)                                                                     \
	static int32_t name(                                                                      \
		const char *edges, int64_t e, int64_t step, int64_t n, const char *values, int64_t v) \
	{                                                                                         \
		const real *p = (const real *)edges + e;                                              \
		real x = ((const real *)values)[v];                                                   \
		int64_t base = 0;                                                                     \
		while (n > 1) {                                                                       \
			int64_t half = n / 2;                                                             \
			base = p[(base + half - 1) * step] <= x ? base + half : base;                     \
			n -= half;                                                                        \
		}                                                                                     \
		return (int32_t)(base + (p[base * step] <= x));                                       \
	}

COUNT(count_f32, float)
COUNT(count_f64, double)

static void searchsorted_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ad__arr *edges = &in[0], *x = &in[1];
	int rank = x->rank;
	int64_t n = edges->dim[rank], step = edges->stride[rank], e = 0, v = 0, at[AD_MAXRANK] = { 0 };
	int32_t *y = (int32_t *)out->p;
	for (int64_t row = 0; row < ad__rows(r); row++) {
		for (int64_t l = 0; l < c->width; l++) {
			int64_t el = e + l * edges->lane, vl = v + l * x->lane;
			*y++ = x->dtype == AD_F32 ? count_f32(edges->p, el, step, n, x->p, vl)
									  : count_f64(edges->p, el, step, n, x->p, vl);
		}
		for (int k = rank; k-- > 0;) {
			e += edges->stride[k];
			v += x->stride[k];
			if (++at[k] < x->dim[k])
				break;
			e -= edges->stride[k] * x->dim[k];
			v -= x->stride[k] * x->dim[k];
			at[k] = 0;
		}
	}
}

static const ad_op one_hot_op = {
	.name = "one_hot", .flags = AD__ROWWISE, .infer = one_hot_infer, .vjp = no_vjp, .eval = one_hot_eval
};
static const ad_op searchsorted_op = { .name = "searchsorted",
	.flags = AD__ROWWISE | AD__STRIDED,
	.infer = searchsorted_infer,
	.vjp = no_vjp,
	.eval = searchsorted_eval };

ad_var ad_one_hot(ad_var index, int64_t n)
{
	return ad__push(ad_tape_of(index), &one_hot_op, 1, &index, (ad_attr){ .i = { n } });
}

ad_var ad_searchsorted(ad_var edges, ad_var x)
{
	ad_shape row = ad_shape_of(edges), s;
	if (row.rank > ad_batched(edges)) {
		int64_t n = row.dim[--row.rank];
		if (ad__broadcast_shapes(row, ad_shape_of(x), &s) && s.rank < AD_MAXRANK) {
			x = ad_broadcast(x, s);
			s.dim[s.rank++] = n;
			edges = ad_broadcast(edges, s);
		}
	}
	return ad__push(ad_tape_of(x), &searchsorted_op, 2, (ad_var[]){ edges, x }, (ad_attr){ 0 });
}
