/* gather.c - gather and take, and their transposes scatter_add and put_add.  All four are one walk
 * over the axes other than the op's own, with a step of its own for source, index and result on
 * every axis; an index that is the same everywhere has steps 0. */
#include "ad/ops/gather.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FROM, INDEX, TO };

typedef struct {
	int n;
	int64_t dim[AD_MAXRANK + 1],
		step[AD_MAXRANK + 1][3]; /* the innermost first, lanes before axes */
	int64_t first, count, along[3]; /* the op's own axis: indices from first to count - 1, and steps */
	int64_t bound;
} walk;

static void add_loop(walk *w, int64_t n, int64_t from, int64_t index, int64_t to)
{
	if (n == 1)
		return;
	if (w->n) {
		int64_t *s = w->step[w->n - 1], d = w->dim[w->n - 1];
		if (from == s[FROM] * d && index == s[INDEX] * d && to == s[TO] * d) {
			w->dim[w->n - 1] *= n;
			return;
		}
	}
	w->dim[w->n] = n;
	w->step[w->n][FROM] = from;
	w->step[w->n][INDEX] = index;
	w->step[w->n][TO] = to;
	w->n++;
}

static walk walk_of(
	ad_var r, const ad__arr *from, const ad__arr *index, const ad__arr *to, int64_t width)
{
	walk w = { .count = 0 };
	int axis = r->attr.axis - ad_batched(r);
	bool same = r->in[1]->shape.rank == 1 && r->attr.flag;
	add_loop(&w, width, from->lane, index->lane, to->lane);
	for (int k = to->rank; k-- > 0;)
		if (k != axis)
			add_loop(&w, to->dim[k], from->stride[k], same ? 0 : index->stride[k], to->stride[k]);
	if (!w.n) {
		w.n = 1;
		w.dim[0] = 1;
	}
	w.count = index->dim[same ? 0 : axis];
	w.along[FROM] = from->stride[axis];
	w.along[INDEX] = index->stride[same ? 0 : axis];
	w.along[TO] = to->stride[axis];
	return w;
}

/* A run of n elements; `across` is the step of the side that is indexed.  -1, or the place of a bad
 * index. */
typedef int64_t run(int64_t n, int64_t bound, int64_t across, char *to, int64_t st,
	const char *from, int64_t sf, const int32_t *index, int64_t si);

#define RUN(name, type, to_across, from_across, op)                                     \
	static int64_t name(int64_t n, int64_t bound, int64_t across, char *to, int64_t st, \
		const char *from, int64_t sf, const int32_t *index, int64_t si)                 \
	{                                                                                   \
		type *y = (type *)to;                                                           \
		const type *x = (const type *)from;                                             \
		if (si == 0) {                                                                  \
			if (*index < 0 || *index >= bound)                                          \
				return 0;                                                               \
			y += *index * (to_across);                                                  \
			x += *index * (from_across);                                                \
			if (st == 1 && sf == 1)                                                     \
				for (int64_t l = 0; l < n; l++)                                         \
					y[l] op x[l];                                                       \
			else                                                                        \
				for (int64_t l = 0; l < n; l++)                                         \
					y[l * st] op x[l * sf];                                             \
			return -1;                                                                  \
		}                                                                               \
		for (int64_t l = 0; l < n; l++) {                                               \
			int64_t i = index[l * si];                                                  \
			if (i < 0 || i >= bound)                                                    \
				return l;                                                               \
			y[l * st + i * (to_across)] op x[l * sf + i * (from_across)];               \
		}                                                                               \
		return -1;                                                                      \
	}

RUN(copy_f32, float, 0, across, =)
RUN(copy_f64, double, 0, across, =)
RUN(copy_i32, int32_t, 0, across, =)
RUN(add_f32, float, across, 0, +=)
RUN(add_f64, double, across, 0, +=)
RUN(add_i32, int32_t, across, 0, +=)

static void go(ad_var r, const walk *w, run *f, const ad__arr *from, const ad__arr *index,
	const ad__arr *to, bool scatter, ad__ctx *c)
{
	int64_t size = (int64_t)ad__size(r->dtype), at[AD_MAXRANK + 1] = { 0 }, o[3] = { 0 };
	int64_t across = w->along[scatter ? TO : FROM];
	for (;;) {
		for (int64_t j = w->first; j < w->count; j++) {
			const int32_t *i = (const int32_t *)index->p + o[INDEX] + j * w->along[INDEX];
			int64_t to_at = o[TO] + (scatter ? 0 : j * w->along[TO]);
			int64_t from_at = o[FROM] + (scatter ? j * w->along[FROM] : 0);
			int64_t bad = f(w->dim[0], w->bound, across, to->p + to_at * size, w->step[0][TO],
				from->p + from_at * size, w->step[0][FROM], i, w->step[0][INDEX]);
			if (bad >= 0) {
				snprintf(c->error, 256,
					"ad_%s: index %" PRId32 " is outside [0, %" PRId64 ") of axis %d, in \"%s\"",
					r->op->name, i[bad * w->step[0][INDEX]], w->bound, r->attr.axis,
					r->path ? r->path : "");
				return;
			}
		}
		int k = 1;
		for (; k < w->n; k++) {
			for (int s = 0; s < 3; s++)
				o[s] += w->step[k][s];
			if (++at[k] < w->dim[k])
				break;
			for (int s = 0; s < 3; s++)
				o[s] -= w->step[k][s] * w->dim[k];
			at[k] = 0;
		}
		if (k == w->n)
			return;
	}
}

/* Whether only rows row0 to row1 - 1 of the result are asked for. */
static bool some_rows(ad_var r, const ad__ctx *c) { return c->row1 && r->shape.rank == 2 && r->attr.axis == 1; }

static void gather_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	static run *const copy[] = { [AD_F32] = copy_f32, [AD_F64] = copy_f64, [AD_I32] = copy_i32 };
	walk w = walk_of(r, &in[0], &in[1], out, c->width);
	w.bound = in[0].dim[r->attr.axis - ad_batched(r)];
	if (some_rows(r, c)) {
		w.first = c->row0;
		w.count = c->row1;
	}
	go(r, &w, copy[r->dtype], &in[0], &in[1], out, false, c);
}

static void scatter_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	static run *const add[] = { [AD_F32] = add_f32, [AD_F64] = add_f64, [AD_I32] = add_i32 };
	walk w = walk_of(r, &in[0], &in[1], out, c->width);
	w.bound = r->attr.i[0];
	if (!some_rows(r, c)) {
		memset(out->p, 0, (size_t)(ad__rows(r) * c->width) * ad__size(r->dtype));
		go(r, &w, add[r->dtype], &in[0], &in[1], out, true, c);
		return;
	}
	size_t row = (size_t)c->width * ad__size(r->dtype);
	memset(out->p + (size_t)c->row0 * row, 0, (size_t)(c->row1 - c->row0) * row);
	for (int64_t j = 0, n = w.count; j < n; j++) {
		int32_t i = ((const int32_t *)in[1].p)[j * w.along[INDEX]];
		w.first = j;
		w.count = j + 1;
		if (i >= c->row0 && i < c->row1)
			go(r, &w, add[r->dtype], &in[0], &in[1], out, true, c);
	}
}

/* attr: axis; flag: index of rank 1 for all; i[0]: extent of the result there, 0 for that of the
 * index. */
static void infer(ad_var r)
{
	ad_var x = r->in[0], index = r->in[1];
	int k = r->attr.axis;
	int64_t n = r->attr.i[0];
	r->shape = x->shape;
	if (index->dtype != AD_I32) {
		ad__fail(r, "the index must be of integers");
		return;
	}
	if (r->attr.flag) {
		if (index->shape.rank != 1 || ad_batched(index)) {
			ad__fail(r, "the index must have rank 1 and no batch");
			return;
		}
		if (n && index->shape.dim[0] != x->shape.dim[k]) {
			ad__fail(r, "one index is needed for each of the %" PRId64 " entries of axis %d",
				x->shape.dim[k], k);
			return;
		}
		r->shape.dim[k] = n ? n : index->shape.dim[0];
	} else {
		ad_shape s = x->shape;
		if (!n)
			s.dim[k] = index->shape.dim[k];
		if (!ad_shape_eq(s, index->shape)) {
			ad__fail(r, "index and array differ in more than axis %d", k);
			return;
		}
		r->shape.dim[k] = n ? n : index->shape.dim[k];
	}
}

static void gather_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_scatter_add(g, r->attr.axis, r->in[1], ad_dim(r->in[0], r->attr.axis));
}

static void scatter_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_gather(g, r->attr.axis, r->in[1]);
}

static void take_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_put_add(g, r->attr.axis, r->in[1], ad_dim(r->in[0], r->attr.axis));
}

static void put_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_take(g, r->attr.axis, r->in[1]);
}

static const ad_op gather_op = {
	.name = "gather", .flags = AD__STRIDED | AD__ROWS, .infer = infer, .vjp = gather_vjp, .eval = gather_eval
};
static const ad_op scatter_op = { .name = "scatter_add",
	.flags = AD__STRIDED | AD__ROWS,
	.infer = infer,
	.vjp = scatter_vjp,
	.eval = scatter_eval };
static const ad_op take_op = {
	.name = "take", .flags = AD__ROWWISE | AD__STRIDED, .infer = infer, .vjp = take_vjp, .eval = gather_eval
};
static const ad_op put_op = {
	.name = "put_add", .flags = AD__ROWWISE | AD__STRIDED, .infer = infer, .vjp = put_vjp, .eval = scatter_eval
};

static ad_var same_index(ad_var x, int axis, ad_var index, int64_t n, const ad_op *op)
{
	int k = ad__axis(x, axis, op->name);
	if (k < 0 || !ad__not_batch_axis(x, k, op->name))
		return x;
	ad_attr a = { .axis = k, .flag = true, .i = { n } };
	return ad__push(ad_tape_of(x), op, 2, (ad_var[]){ x, index }, a);
}

/* x and index broadcast against each other, the op's axis apart. */
static ad_var own_index(ad_var x, int axis, ad_var index, int64_t n, const ad_op *op)
{
	int k = ad__axis(x, axis, op->name);
	if (k < 0 || !ad__not_batch_axis(x, k, op->name))
		return x;
	int behind = ad_rank(x) - k;
	ad_shape sx = ad_shape_of(x), si = ad_shape_of(index), s;
	if (behind <= si.rank) {
		int ki = si.rank - behind;
		if (!ad__not_batch_axis(index, ki, op->name))
			return x;
		int64_t nx = sx.dim[k], ni = si.dim[ki];
		sx.dim[k] = si.dim[ki] = 1;
		if (ad__broadcast_shapes(sx, si, &s)) {
			k = s.rank - behind;
			s.dim[k] = nx;
			x = ad_broadcast(x, s);
			s.dim[k] = ni;
			index = ad_broadcast(index, s);
		}
	}
	return ad__push(
		ad_tape_of(x), op, 2, (ad_var[]){ x, index }, (ad_attr){ .axis = k, .i = { n } });
}

static int64_t extent(ad_var x, int64_t n, const ad_op *op)
{
	if (n < 1)
		ad_fail(ad_tape_of(x), "ad_%s: extent %" PRId64, op->name, n);
	return n < 1 ? 1 : n;
}

const int32_t *ad__constant_gather(ad_var x, int axis)
{
	ad_var index = x->op == &gather_op && x->attr.axis == axis ? ad__origin(x->in[1]) : NULL;
	return index && index->op == &ad__op_const ? index->attr.data : NULL;
}

ad_var ad_gather(ad_var x, int axis, ad_var index)
{
	int k = axis < 0 ? axis + x->shape.rank : axis;
	ad_var known = ad__origin(index);
	if (known->op == &ad__op_const && known->dtype == AD_I32 && known->shape.rank == 1 && k >= ad_batched(x) && k < x->shape.rank) {
		ad_var y = ad__rearranged(x, k, known->shape.dim[0], known->attr.data, false);
		if (y)
			return y;
	}
	return same_index(x, axis, index, 0, &gather_op);
}

ad_var ad_scatter_add(ad_var x, int axis, ad_var index, int64_t n)
{
	return same_index(x, axis, index, extent(x, n, &scatter_op), &scatter_op);
}

ad_var ad_take(ad_var x, int axis, ad_var index) { return own_index(x, axis, index, 0, &take_op); }

ad_var ad_put_add(ad_var x, int axis, ad_var index, int64_t n)
{
	return own_index(x, axis, index, extent(x, n, &put_op), &put_op);
}

const int32_t *ad__gathered_rows(ad_var r, bool *scattered)
{
	*scattered = r->op == &scatter_op;
	if ((r->op != &gather_op && !*scattered) || !ad_batched(r) || r->shape.rank != 2 || r->attr.axis != 1)
		return NULL;
	ad_var index = ad__origin(r->in[1]);
	return index->op == &ad__op_const ? index->attr.data : NULL;
}
