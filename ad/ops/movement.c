/* Movement: views where strides can say it, copies where they cannot. */
#include "gather.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int event_axis(ad_var r, int axis) { return axis - ad_batched(r); }

/* --- reshape --- */

static ad_shape event(ad_shape s)
{
	if (s.rank && s.dim[0] == AD_BATCH) {
		s.rank--;
		memmove(s.dim, s.dim + 1, (size_t)s.rank * sizeof *s.dim);
	}
	return s;
}

/* Strides of the new extents over the old ones, group by group of equal products; false if one group is not dense. */
static bool reshape_view(ad_var r, ad__arr *a)
{
	ad_shape s = event(r->shape);
	int64_t old[AD_MAXRANK], step[AD_MAXRANK], stride[AD_MAXRANK] = { 0 };
	int n = 0, i = 0, j = 0;
	for (int k = 0; k < a->rank; k++)
		if (a->dim[k] != 1) {
			old[n] = a->dim[k];
			step[n++] = a->stride[k];
		}
	while (i < n && j < s.rank) {
		int64_t np = s.dim[j], op = old[i];
		int i0 = i, j0 = j;
		while (np != op)
			if (np < op)
				np *= s.dim[++j];
			else
				op *= old[++i];
		for (int k = i0; k < i; k++)
			if (step[k] != old[k + 1] * step[k + 1])
				return false;
		stride[j] = step[i];
		for (int k = j; k > j0; k--)
			stride[k - 1] = stride[k] * s.dim[k];
		i++, j++;
	}
	a->rank = s.rank;
	memcpy(a->dim, s.dim, sizeof a->dim);
	memcpy(a->stride, stride, sizeof a->stride);
	return true;
}

static void reshape_vjp(ad_var r, ad_var g, ad_var gin[]) { gin[0] = ad_reshape(g, r->in[0]->shape); }

ad_var ad_reshape(ad_var x, ad_shape s)
{
	static const ad_op op = { .name = "reshape", .flags = AD__VIEW, .vjp = reshape_vjp, .view = reshape_view };
	char a[128], b[128];
	int64_t n = 1, total = ad_numel(x->shape);
	int infer = -1;
	if (s.rank > AD_MAXRANK)
		ad__shape_ok(x->tape, s, "reshape");
	if (ad_error(x->tape))
		return ad_root(x->tape)->dud;
	for (int i = 0; i < s.rank; i++)
		if (s.dim[i] == 0)
			infer = i;
		else if (s.dim[i] != AD_BATCH)
			n *= s.dim[i];
	if (infer >= 0 && n > 0 && total % n == 0 && total > 0)
		s.dim[infer] = total / n;
	bool batched = s.rank && s.dim[0] == AD_BATCH;
	if (ad_numel(s) != total || batched != ad_batched(x)) {
		ad_fail(x->tape, "ad_reshape: %s cannot become %s", ad__shape_str(x->shape, a, sizeof a), ad__shape_str(s, b, sizeof b));
		return ad_root(x->tape)->dud;
	}
	if (ad_shape_eq(s, x->shape))
		return x;
	return ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ 0 }, x->dtype, s);
}

ad_var ad_expand(ad_var x, int axis)
{
	ad_shape s = x->shape;
	int k = axis < 0 ? axis + s.rank + 1 : axis;
	if (k < ad_batched(x) || k > s.rank || s.rank == AD_MAXRANK) {
		ad_fail(x->tape, "ad_expand: axis %d of a rank %d array", axis, s.rank);
		return ad_root(x->tape)->dud;
	}
	memmove(s.dim + k + 1, s.dim + k, (size_t)(s.rank - k) * sizeof *s.dim);
	s.dim[k] = 1;
	s.rank++;
	return ad_reshape(x, s);
}

ad_var ad_squeeze(ad_var x, int axis)
{
	ad_shape s = x->shape;
	int k = ad__axis(x, axis, "squeeze");
	if (k < 0 || s.dim[k] != 1) {
		ad_fail(x->tape, "ad_squeeze: the extent on axis %d is not 1", axis);
		return ad_root(x->tape)->dud;
	}
	s.rank--;
	memmove(s.dim + k, s.dim + k + 1, (size_t)(s.rank - k) * sizeof *s.dim);
	return ad_reshape(x, s);
}

/* --- permute --- */

static bool permute_view(ad_var r, ad__arr *a)
{
	ad__arr old = *a;
	int b = ad_batched(r);
	for (int i = 0; i < a->rank; i++) {
		a->dim[i] = old.dim[r->attr.i[i + b] - b];
		a->stride[i] = old.stride[r->attr.i[i + b] - b];
	}
	return true;
}

static void permute_vjp(ad_var r, ad_var g, ad_var gin[])
{
	int back[AD_MAXRANK];
	for (int i = 0; i < r->shape.rank; i++)
		back[r->attr.i[i]] = i;
	gin[0] = ad_permute(g, back);
}

ad_var ad_permute(ad_var x, const int axis[])
{
	static const ad_op op = { .name = "permute", .flags = AD__VIEW, .vjp = permute_vjp, .view = permute_view };
	ad_shape s = { .rank = x->shape.rank };
	ad_attr attr = { 0 };
	unsigned seen = 0;
	for (int i = 0; i < s.rank; i++) {
		int k = axis[i];
		if (k < 0 || k >= s.rank || seen & AD_AXIS(k)) {
			ad_fail(x->tape, "ad_permute: not a permutation of %d axes", s.rank);
			return ad_root(x->tape)->dud;
		}
		seen |= AD_AXIS(k);
		s.dim[i] = x->shape.dim[k];
		attr.i[i] = k;
	}
	if (ad_batched(x) && axis[0] != 0) {
		ad_fail(x->tape, "ad_permute: the batch axis must stay axis 0");
		return ad_root(x->tape)->dud;
	}
	return ad__push_shaped(NULL, &op, 1, &x, attr, x->dtype, s);
}

ad_var ad_transpose(ad_var x)
{
	int n = x->shape.rank, axis[AD_MAXRANK];
	if (n < 2) {
		ad_fail(x->tape, "ad_transpose: a rank %d array", n);
		return ad_root(x->tape)->dud;
	}
	for (int i = 0; i < n; i++)
		axis[i] = i;
	axis[n - 1] = n - 2;
	axis[n - 2] = n - 1;
	return ad_permute(x, axis);
}

/* --- broadcast --- */

static bool broadcast_view(ad_var r, ad__arr *a)
{
	ad_shape s = event(r->shape);
	ad__arr old = *a;
	a->rank = s.rank;
	for (int i = 1; i <= s.rank; i++) {
		int to = s.rank - i, from = old.rank - i;
		a->dim[to] = s.dim[to];
		a->stride[to] = from < 0 || old.dim[from] == 1 ? 0 : old.stride[from];
	}
	return true;
}

static void broadcast_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	gin[0] = g;
}

ad_var ad_broadcast(ad_var x, ad_shape s)
{
	static const ad_op op = { .name = "broadcast", .flags = AD__VIEW, .vjp = broadcast_vjp, .view = broadcast_view };
	ad_shape out;
	char a[128], b[128];
	if (s.rank > AD_MAXRANK)
		ad__shape_ok(x->tape, s, "broadcast");
	if (ad_error(x->tape))
		return ad_root(x->tape)->dud;
	if (ad_shape_eq(x->shape, s))
		return x;
	if (!ad__broadcast_shapes(x->shape, s, &out) || !ad_shape_eq(out, s)) {
		ad_fail(x->tape, "ad_broadcast: %s cannot stretch to %s", ad__shape_str(x->shape, a, sizeof a),
		        ad__shape_str(s, b, sizeof b));
		return ad_root(x->tape)->dud;
	}
	return ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ 0 }, x->dtype, s);
}

/* --- slice and its transpose --- */

static bool slice_view(ad_var r, ad__arr *a)
{
	int k = event_axis(r, r->attr.axis);
	a->offset += r->attr.i[0] * a->stride[k];
	a->dim[k] = r->shape.dim[r->attr.axis];
	a->stride[k] *= r->attr.i[1];
	return true;
}

/* Arrays at lo, lo + step, .. of an axis otherwise filled with a number. */
typedef struct {
	bool whole; /* nothing is left to fill */
	struct {
		int64_t lo, step;
	} at[];
} places;

static void embed_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int k = event_axis(r, r->attr.axis);
	const places *pl = r->attr.data;
	if (!pl->whole)
		ad__fill(out, r->attr.a, c->width);
	for (int i = 0; i < r->nin; i++) {
		ad__arr part = *out;
		part.p += (size_t)(pl->at[i].lo * out->stride[k]) * ad__size(out->dtype);
		part.stride[k] *= pl->at[i].step;
		part.dim[k] = in[i].dim[k];
		ad__copy(&part, &in[i], c->width);
	}
}

static void embed_vjp(ad_var r, ad_var g, ad_var gin[])
{
	const places *pl = r->attr.data;
	for (int i = 0; i < r->nin; i++) {
		int64_t lo = pl->at[i].lo, step = pl->at[i].step, n = r->in[i]->shape.dim[r->attr.axis];
		gin[i] = ad_slice_step(g, r->attr.axis, lo, lo + (n - 1) * step + 1, step);
	}
}

static const ad_op embed_op = {
	.name = "pad", .flags = AD__ROWWISE | AD__STRIDED, .vjp = embed_vjp, .eval = embed_eval
};

static places *places_of(ad_tape *t, int n)
{
	return ad__alloc(ad_root(t), sizeof(places) + (size_t)n * sizeof(((places *)0)->at[0]));
}

/* x at lo, lo + step, .. of an axis of extent n otherwise filled with value */
static ad_var embed(ad_var x, int axis, int64_t lo, int64_t step, int64_t n, double value)
{
	ad_shape s = x->shape;
	if (ad_error(x->tape))
		return ad_root(x->tape)->dud;
	places *pl = places_of(x->tape, 1);
	pl->at[0].lo = lo;
	pl->at[0].step = step;
	s.dim[axis] = n;
	return ad__push_shaped(NULL, &embed_op, 1, &x, (ad_attr){ .axis = axis, .data = pl, .a = value }, x->dtype, s);
}

enum { MAX_JOINED = 16 };

ad_var ad__join_pads(ad_var a, ad_var b)
{
	int axis = a->attr.axis, n = a->nin + b->nin;
	if (a->op != &embed_op || b->op != &embed_op || axis != b->attr.axis || a->attr.a != 0 || b->attr.a != 0 ||
	    n > MAX_JOINED || a->tape != b->tape || !ad_shape_eq(a->shape, b->shape) || ad_error(a->tape))
		return NULL;
	int64_t extent = a->shape.dim[axis], filled = 0;
	places *pl = places_of(a->tape, n);
	char *taken = ad__malloc((size_t)extent);
	ad_var in[MAX_JOINED];
	bool apart = true;
	for (int i = 0; i < n; i++) {
		ad_var from = i < a->nin ? a : b;
		int k = i < a->nin ? i : i - a->nin;
		in[i] = from->in[k];
		pl->at[i] = ((const places *)from->attr.data)->at[k];
		for (int64_t j = 0; j < in[i]->shape.dim[axis]; j++, filled++) {
			char *here = &taken[pl->at[i].lo + j * pl->at[i].step];
			apart &= !*here;
			*here = 1;
		}
	}
	free(taken);
	pl->whole = filled == extent;
	if (!apart)
		return NULL;
	return ad__push_shaped(NULL, &embed_op, n, in, (ad_attr){ .axis = axis, .data = pl }, a->dtype, a->shape);
}

static void slice_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = embed(g, r->attr.axis, r->attr.i[0], r->attr.i[1], r->in[0]->shape.dim[r->attr.axis], 0);
}

/* n entries of a gather or a concatenation, from where that has them, or NULL. */
static ad_var from_before(ad_var x, int axis, int64_t n, int64_t lo, int64_t step)
{
	if (!ad__constant_gather(x, axis) && !ad__is_concat(x, axis))
		return NULL;
	int32_t *index = ad__malloc((size_t)n * sizeof *index);
	for (int64_t i = 0; i < n; i++)
		index[i] = (int32_t)(lo + i * step);
	ad_var y = ad__rearranged(x, axis, n, index, true);
	free(index);
	return y;
}

ad_var ad_slice_step(ad_var x, int axis, int64_t lo, int64_t hi, int64_t step)
{
	static const ad_op op = { .name = "slice", .flags = AD__VIEW, .vjp = slice_vjp, .view = slice_view };
	int k = ad__axis(x, axis, "slice");
	if (k < 0 || !ad__not_batch_axis(x, k, "slice"))
		return ad_root(x->tape)->dud;
	ad_shape s = x->shape;
	if (lo < 0 || hi > s.dim[k] || lo >= hi || step < 1) {
		ad_fail(x->tape, "ad_slice: %lld to %lld by %lld of extent %lld on axis %d", (long long)lo, (long long)hi,
		        (long long)step, (long long)s.dim[k], k);
		return ad_root(x->tape)->dud;
	}
	if (lo == 0 && hi == s.dim[k] && step == 1)
		return x;
	s.dim[k] = (hi - lo + step - 1) / step;
	ad_var y = from_before(x, k, s.dim[k], lo, step);
	return y ? y : ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ .axis = k, .i = { lo, step } }, x->dtype, s);
}

ad_var ad_slice(ad_var x, int axis, int64_t lo, int64_t hi) { return ad_slice_step(x, axis, lo, hi, 1); }

ad_var ad_pad(ad_var x, int axis, int64_t before, int64_t after, double value)
{
	int k = ad__axis(x, axis, "pad");
	if (k < 0 || !ad__not_batch_axis(x, k, "pad"))
		return ad_root(x->tape)->dud;
	if (before < 0 || after < 0) {
		ad_fail(x->tape, "ad_pad: %lld before and %lld after", (long long)before, (long long)after);
		return ad_root(x->tape)->dud;
	}
	if (!before && !after)
		return x;
	return embed(x, k, before, 1, x->shape.dim[k] + before + after, value);
}

/* --- flip --- */

static bool flip_view(ad_var r, ad__arr *a)
{
	int k = event_axis(r, r->attr.axis);
	a->offset += (a->dim[k] - 1) * a->stride[k];
	a->stride[k] = -a->stride[k];
	return true;
}

static void flip_vjp(ad_var r, ad_var g, ad_var gin[]) { gin[0] = ad_flip(g, r->attr.axis); }

ad_var ad_flip(ad_var x, int axis)
{
	static const ad_op op = { .name = "flip", .flags = AD__VIEW, .vjp = flip_vjp, .view = flip_view };
	int k = ad__axis(x, axis, "flip");
	if (k < 0 || !ad__not_batch_axis(x, k, "flip"))
		return ad_root(x->tape)->dud;
	return ad__push_shaped(NULL, &op, 1, &x, (ad_attr){ .axis = k }, x->dtype, x->shape);
}

/* --- concat --- */

static void concat_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int k = event_axis(r, r->attr.axis);
	int64_t at = 0;
	for (int i = 0; i < r->nin; i++) {
		ad__arr part = *out;
		part.p += (size_t)(at * out->stride[k]) * ad__size(out->dtype);
		part.dim[k] = in[i].dim[k];
		ad__copy(&part, &in[i], c->width);
		at += in[i].dim[k];
	}
}

static void concat_vjp(ad_var r, ad_var g, ad_var gin[])
{
	int64_t at = 0;
	for (int i = 0; i < r->nin; i++) {
		int64_t n = r->in[i]->shape.dim[r->attr.axis];
		gin[i] = ad_slice(g, r->attr.axis, at, at + n);
		at += n;
	}
}

static const ad_op concat_op = { .name = "concat", .flags = AD__ROWWISE | AD__STRIDED, .vjp = concat_vjp, .eval = concat_eval };

bool ad__is_concat(ad_var x, int axis) { return x->op == &concat_op && x->attr.axis == axis; }

ad_var ad_concat(int axis, int n, const ad_var x[])
{
	bool batched = false;
	assert(n > 0);
	ad_var in[n];
	for (int i = 0; i < n; i++)
		batched |= ad_batched(x[i]);
	for (int i = 0; i < n; i++) {
		in[i] = x[i];
		if (batched && !ad_batched(x[i]) && x[i]->shape.rank && x[i]->shape.dim[0] == 1) {
			ad_shape s = x[i]->shape;
			s.dim[0] = AD_BATCH;
			in[i] = ad_broadcast(x[i], s);
		}
	}
	int k = ad__axis(in[0], axis, "concat");
	if (k < 0 || !ad__not_batch_axis(in[0], k, "concat"))
		return ad_root(x[0]->tape)->dud;
	if (n == 1)
		return in[0];
	ad_shape s = in[0]->shape;
	s.dim[k] = 0;
	for (int i = 0; i < n; i++) {
		ad_shape a = in[i]->shape, b = in[0]->shape;
		int64_t extent = k < a.rank ? a.dim[k] : 0;
		if (k < a.rank)
			a.dim[k] = b.dim[k];
		if (!ad_shape_eq(a, b) || in[i]->dtype != in[0]->dtype) {
			char t[128], u[128];
			ad_fail(x[0]->tape, "ad_concat: input %d of shape %s does not fit %s along axis %d", i,
			        ad__shape_str(in[i]->shape, t, sizeof t), ad__shape_str(in[0]->shape, u, sizeof u), k);
			return ad_root(x[0]->tape)->dud;
		}
		s.dim[k] += extent;
	}
	return ad__push_shaped(NULL, &concat_op, n, in, (ad_attr){ .axis = k }, in[0]->dtype, s);
}

ad_var ad_stack(int axis, int n, const ad_var x[])
{
	assert(n > 0);
	ad_var in[n];
	for (int i = 0; i < n; i++)
		in[i] = ad_expand(x[i], axis);
	return ad_concat(axis < 0 ? axis + in[0]->shape.rank : axis, n, in);
}
