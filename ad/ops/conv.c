/* conv.c - convolutions in one and two dimensions: three ops, each a transpose of the other two.
 *
 * With y[o, i] = sum over c, k of w[o, c, k] x[c, i stride - pad + k dilation], conv makes y, conv_input x and
 * conv_weight w from the other two, for any extents; each is a sum over taps k of matrix products. */
#include "ad/op.h"
#include <string.h>

/* A map [N, C, H, W] of x or y; strides in elements.  N is 1 in batched maps, H is 1 in one dimension. */
typedef struct {
	char *p;
	int64_t n, c, h, w, sn, sc, sh, sw, lane;
} map;

typedef struct {
	map x, y;
	char *w; /* [kh, kw, groups, rows, cols], rows and cols being the channels of the product */
	int64_t kh, kw, groups, lanes, valid, size, cx, cy; /* cx, cy: channels of a group */
	int64_t stride[2], pad[2], dilation[2];
	const ad__kernels *k;
	void *scratch;
} job;

static map map_of(const ad__arr *a, bool batched, int space)
{
	map m = { .p = a->p, .n = 1, .h = 1, .lane = a->lane };
	int i = 0;
	if (!batched) {
		m.n = a->dim[i];
		m.sn = a->stride[i++];
	}
	m.c = a->dim[i];
	m.sc = a->stride[i++];
	if (space == 2) {
		m.h = a->dim[i];
		m.sh = a->stride[i++];
	}
	m.w = a->dim[i];
	m.sw = a->stride[i];
	return m;
}

static char *at(const job *j, const map *m, int64_t n, int64_t c, int64_t h, int64_t w)
{
	return m->p + (n * m->sn + c * m->sc + h * m->sh + w * m->sw) * j->size;
}

/* Positions of y along one axis for which tap k meets x. */
static void range(const job *j, int axis, int64_t k, int64_t nx, int64_t ny, int64_t *lo, int64_t *hi)
{
	int64_t off = j->pad[axis] - k * j->dilation[axis], s = j->stride[axis];
	*lo = off > 0 ? (off + s - 1) / s : 0;
	*hi = nx - 1 + off < 0 ? 0 : (nx - 1 + off) / s + 1;
	*hi = *hi < ny ? *hi : ny;
}

static int64_t meet(const job *j, int axis, int64_t k, int64_t i)
{
	return i * j->stride[axis] - j->pad[axis] + k * j->dilation[axis];
}

/* to += w from, over pixels lo to hi of y's row i; the products of one tap and group. */
static void row(const job *j, const char *w, int64_t rows, int64_t cols, const map *to, const map *from, char *t,
		const char *f, int64_t ts, int64_t fs, int64_t pixels)
{
	bool dense = j->lanes == 1 ? ts == 1 : ts == j->lanes && fs == j->lanes && from->lane == 1;
	int64_t n = dense ? pixels * j->lanes : j->lanes, cb = j->lanes == 1 ? fs : from->lane;
	for (int64_t i = 0; i < (dense ? 1 : pixels); i++)
		j->k->gemm(rows, n, cols, w, cols, 1, f + i * fs * j->size, from->sc, cb, t + i * ts * j->size, to->sc,
			   true, j->scratch);
}

/* w += y x^T over the same pixels. */
static void row_weight(const job *j, char *w, const char *y, const char *x, int64_t xs, int64_t pixels)
{
	const map *mx = &j->x, *my = &j->y;
	int64_t k = j->valid, ca = my->lane, rb = mx->lane, times = pixels;
	if (j->lanes == 1 || (j->valid == j->lanes && my->sw == j->lanes && xs == j->lanes && ca == 1 && rb == 1)) {
		k *= pixels;
		times = 1;
		ca = j->lanes == 1 ? my->sw : 1;
		rb = j->lanes == 1 ? xs : 1;
	}
	for (int64_t i = 0; i < times; i++)
		j->k->gemm(j->cy, j->cx, k, y + i * my->sw * j->size, my->sc, ca, x + i * xs * j->size, rb, mx->sc, w,
			   j->cx, true, j->scratch);
}

enum { CONV, INPUT, WEIGHT };

static void taps(const job *j, int what, int64_t n, int64_t iy)
{
	int64_t one = j->cx * j->cy * j->size, xs = j->x.sw * j->stride[1];
	for (int64_t kh = 0; kh < j->kh; kh++) {
		int64_t ix = meet(j, 0, kh, iy);
		if (ix < 0 || ix >= j->x.h)
			continue;
		for (int64_t kw = 0; kw < j->kw; kw++) {
			int64_t lo, hi;
			range(j, 1, kw, j->x.w, j->y.w, &lo, &hi);
			for (int64_t g = 0; lo < hi && g < j->groups; g++) {
				char *w = j->w + ((kh * j->kw + kw) * j->groups + g) * one;
				char *x = at(j, &j->x, n, g * j->cx, ix, meet(j, 1, kw, lo)),
				     *y = at(j, &j->y, n, g * j->cy, iy, lo);
				if (what == CONV)
					row(j, w, j->cy, j->cx, &j->y, &j->x, y, x, j->y.sw, xs, hi - lo);
				else if (what == INPUT)
					row(j, w, j->cx, j->cy, &j->x, &j->y, x, y, xs, j->y.sw, hi - lo);
				else
					row_weight(j, w, y, x, xs, hi - lo);
			}
		}
	}
}

/* The kernel [groups cy, cx, kh, kw] as [kh, kw, groups, cy, cx], or [.., cx, cy] for conv_input. */
static void kernel_views(const job *j, const ad__arr *w, int what, int space, ad__arr *from, ad__arr *to)
{
	int64_t so = w->stride[0], sc = w->stride[1], sh = space == 2 ? w->stride[2] : 0, sw = w->stride[space + 1];
	bool turned = what == INPUT;
	int64_t dim[5] = { j->kh, j->kw, j->groups, turned ? j->cx : j->cy, turned ? j->cy : j->cx };
	int64_t stride[5] = { sh, sw, so * j->cy, turned ? sc : so, turned ? so : sc };
	*from = (ad__arr){ .p = w->p, .dtype = w->dtype, .rank = 5 };
	memcpy(from->dim, dim, sizeof dim);
	*to = *from;
	to->p = j->w;
	memcpy(from->stride, stride, sizeof stride);
	for (int64_t i = 4, n = 1; i >= 0; n *= dim[i--])
		to->stride[i] = n;
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c, int what)
{
	const ad__arr *x = what == INPUT ? out : &in[0], *w = what == WEIGHT ? out : &in[1];
	const ad__arr *y = what == CONV ? out : what == INPUT ? &in[0] : &in[1];
	int space = w->rank - 2;
	bool lanes = ad_batched(r->in[0]); /* x and y share axis 0 */
	job j = { .x = map_of(x, lanes, space),
		  .y = map_of(y, lanes, space),
		  .kh = space == 2 ? w->dim[2] : 1,
		  .kw = w->dim[space + 1],
		  .groups = r->attr.i[6],
		  .lanes = lanes ? c->width : 1,
		  .valid = lanes ? c->valid : 1,
		  .size = (int64_t)ad__size(r->dtype),
		  .k = c->k[r->dtype],
		  .scratch = c->scratch };
	memcpy(j.stride, &r->attr.i[0], sizeof j.stride);
	memcpy(j.pad, &r->attr.i[2], sizeof j.pad);
	memcpy(j.dilation, &r->attr.i[4], sizeof j.dilation);
	j.w = (char *)c->scratch + AD__GEMM_SCRATCH;
	j.cy = w->dim[0] / j.groups;
	j.cx = w->dim[1];
	ad__arr from, to;
	kernel_views(&j, w, what, space, &from, &to);
	if (what != WEIGHT) {
		ad__copy(&to, &from, 1);
		ad__fill(out, 0, c->width);
	} else if (c->accumulate && lanes) {
		ad__copy(&to, &from, 1);
	} else {
		ad__fill(&to, 0, 1);
	}
	for (int64_t n = 0; n < j.x.n; n++)
		for (int64_t i = 0; i < j.y.h; i++)
			taps(&j, what, n, i);
	if (what == WEIGHT)
		ad__copy(&from, &to, 1);
}

static void conv_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	eval(r, out, in, c, CONV);
}
static void input_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	eval(r, out, in, c, INPUT);
}
static void weight_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	eval(r, out, in, c, WEIGHT);
}

static size_t kernel_scratch(ad_var w)
{
	return AD__GEMM_SCRATCH + (size_t)ad_numel(w->shape) * ad__size(w->dtype);
}

static size_t scratch(ad_var r, int64_t width)
{
	(void)width;
	return kernel_scratch(r->in[1]);
}

static size_t weight_scratch(ad_var r, int64_t width)
{
	(void)width;
	return kernel_scratch(r);
}

/* One multiply-add per weight and pixel of y. */
static double count(ad_var y, ad_var w)
{
	return 2 * (double)ad_numel(w->shape) * (double)ad_numel(y->shape) / (double)ad_dim(y, 1);
}

static double conv_flops(ad_var r)
{
	return count(r, r->in[1]);
}
static double input_flops(ad_var r)
{
	return count(r->in[0], r->in[1]);
}
static double weight_flops(ad_var r)
{
	return count(r->in[1], r);
}

static const ad_op conv_op, input_op, weight_op;

static ad_var like(const ad_op *op, ad_var r, ad_var a, ad_var b, ad_var shaped)
{
	return ad__push_shaped(NULL, op, 2, (ad_var[]){ a, b }, r->attr, r->dtype, shaped->shape);
}

static void conv_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = like(&input_op, r, g, r->in[1], r->in[0]);
	gin[1] = like(&weight_op, r, r->in[0], g, r->in[1]);
}

static void input_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = like(&conv_op, r, g, r->in[1], r->in[0]);
	gin[1] = like(&weight_op, r, g, r->in[0], r->in[1]);
}

static void weight_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = like(&input_op, r, r->in[1], g, r->in[0]);
	gin[1] = like(&conv_op, r, r->in[0], g, r->in[1]);
}

static const ad_op conv_op = { .name = "conv",
			       .flags = AD__STRIDED,
			       .vjp = conv_vjp,
			       .eval = conv_eval,
			       .scratch = scratch,
			       .flops = conv_flops };
static const ad_op input_op = { .name = "conv_input",
				.flags = AD__STRIDED,
				.vjp = input_vjp,
				.eval = input_eval,
				.scratch = scratch,
				.flops = input_flops };
static const ad_op weight_op = { .name = "conv_weight",
				 .flags = AD__STRIDED | AD__REDUCES,
				 .vjp = weight_vjp,
				 .eval = weight_eval,
				 .scratch = weight_scratch,
				 .flops = weight_flops };

/* Options by (h, w), also in one dimension. */
static ad_attr attr_of(const ad_conv_opt *o, int space)
{
	ad_attr t = { 0 };
	int skip = 2 - space;
	t.i[0] = t.i[4] = 1;
	for (int k = 0; k < space; k++) {
		t.i[k + skip] = o->stride[k] ? o->stride[k] : 1;
		t.i[2 + k + skip] = o->pad[k];
		t.i[4 + k + skip] = o->dilation[k] ? o->dilation[k] : 1;
	}
	t.i[6] = o->groups ? o->groups : 1;
	return t;
}

static ad_var fail(ad_var x, ad_var w, const char *name, const char *what)
{
	char sx[128], sw[128];
	ad_fail(ad_tape_of(x), "ad_%s: %s; x %s, w %s", name, what, ad__shape_str(ad_shape_of(x), sx, sizeof sx),
		ad__shape_str(ad_shape_of(w), sw, sizeof sw));
	return x;
}

static const char *mistake(ad_var x, ad_var w, const ad_attr *t, bool transposed)
{
	bool positive = t->i[6] > 0;
	for (int k = 0; k < 2; k++)
		positive &= t->i[k] > 0 && t->i[2 + k] >= 0 && t->i[4 + k] > 0;
	if (ad_dtype_of(x) == AD_I32 || ad_dtype_of(x) != ad_dtype_of(w))
		return "operands are not of one real type";
	if (ad_batched(w))
		return "the kernel may not be batched";
	if (!positive)
		return "stride, dilation and groups must be positive, pad not negative";
	if (ad_dim(x, 1) != (transposed ? ad_dim(w, 0) : ad_dim(w, 1) * t->i[6]) || ad_dim(w, 0) % t->i[6])
		return "channels do not match";
	return NULL;
}

static ad_var conv(ad_var x, ad_var w, ad_conv_opt o, bool transposed, const int64_t extra[2])
{
	const char *name = transposed ? "conv_transposed" : "conv";
	int space = ad_rank(x) - 2;
	if (ad_error(ad_tape_of(x)))
		return x;
	if ((space != 1 && space != 2) || ad_rank(w) != ad_rank(x))
		return fail(x, w, name, "needs x [B, C, T] with w of rank 3, or x [B, C, H, W] with w of rank 4");
	ad_attr t = attr_of(&o, space);
	const char *wrong = mistake(x, w, &t, transposed);
	if (wrong)
		return fail(x, w, name, wrong);
	ad_shape s = ad_shape_of(x);
	s.dim[1] = transposed ? ad_dim(w, 1) * t.i[6] : ad_dim(w, 0);
	for (int k = 0; k < space; k++) {
		int q = k + 2 - space;
		int64_t reach = (ad_dim(w, 2 + k) - 1) * t.i[4 + q] + 1, n = s.dim[2 + k], more = extra ? extra[k] : 0;
		s.dim[2 + k] = transposed ? reach + (n - 1) * t.i[q] - 2 * t.i[2 + q] + more
					  : (n + 2 * t.i[2 + q] - reach + t.i[q]) / t.i[q];
		if (reach < 1 || n < 1 || s.dim[2 + k] < 1 || more < 0)
			return fail(x, w, name, "the kernel is larger than the padded input");
	}
	return ad__push_shaped(NULL, transposed ? &input_op : &conv_op, 2, (ad_var[]){ x, w }, t, ad_dtype_of(x), s);
}

ad_var ad_conv(ad_var x, ad_var w, ad_conv_opt o)
{
	return conv(x, w, o, false, NULL);
}

ad_var ad_conv_transposed(ad_var x, ad_var w, ad_conv_opt o, const int64_t extra[2])
{
	return conv(x, w, o, true, extra);
}
