/* Linear maps with an autoregressive mask: each row of the weight counts between two columns only.  Panels of rows (or
 * columns) multiply just the columns (rows) that one of them has, about half of a dense product. */
#include "masked.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 36, STRIP = 6, COLS = 8 * STRIP, WIDE = 64 };

typedef ad__ranges ranges;

static const ad_op op_forward, op_input, op_weight;

static ad_var push(const ad_op *op, int n, const ad_var in[], const ranges *m, ad_shape s)
{
	return ad__push_shaped(NULL, op, n, in, (ad_attr){ .data = m }, in[0]->dtype, s);
}

static ad_var forward(const ranges *m, ad_var x, ad_var w, ad_var bias)
{
	ad_var in[] = { x, w, bias };
	return push(&op_forward, bias ? 3 : 2, in, m, AD_SHAPE(AD_BATCH, m->rows));
}

static ad_var input_side(const ranges *m, ad_var g, ad_var w)
{
	return push(&op_input, 2, (ad_var[]){ g, w }, m, AD_SHAPE(AD_BATCH, m->cols));
}

static ad_var weight_side(const ranges *m, ad_var g, ad_var x)
{
	return push(&op_weight, 2, (ad_var[]){ g, x }, m, AD_SHAPE(m->rows, m->cols));
}

/* The three products are each other's transposes. */
static void forward_vjp(ad_var r, ad_var g, ad_var gin[])
{
	const ranges *m = r->attr.data;
	gin[0] = input_side(m, g, r->in[1]);
	gin[1] = weight_side(m, g, r->in[0]);
	if (r->nin > 2)
		gin[2] = ad_sum(g, AD_AXIS(0));
}

static void input_vjp(ad_var r, ad_var u, ad_var gin[])
{
	const ranges *m = r->attr.data;
	gin[0] = forward(m, u, r->in[1], NULL);
	gin[1] = weight_side(m, r->in[0], u);
}

static void weight_vjp(ad_var r, ad_var u, ad_var gin[])
{
	const ranges *m = r->attr.data;
	gin[0] = forward(m, r->in[1], u, NULL);
	gin[1] = input_side(m, r->in[0], u);
}

static double flops(ad_var r)
{
	const ranges *m = r->attr.data;
	double n = 0;
	for (int64_t i = 0; i < m->rows; i++)
		n += (double)(m->hi[i] - m->lo[i]);
	return 2 * n;
}

static size_t scratch(ad_var r, int64_t width)
{
	const ranges *m = r->attr.data;
	(void)width;
	return AD__GEMM_SCRATCH + (size_t)COLS * (size_t)(m->rows > m->cols ? m->rows : m->cols) * sizeof(double) + 64;
}

static int64_t least(const int64_t *v, int64_t a, int64_t b)
{
	int64_t m = v[a];
	for (int64_t i = a + 1; i < b; i++)
		m = v[i] < m ? v[i] : m;
	return m;
}

static int64_t most(const int64_t *v, int64_t a, int64_t b)
{
	int64_t m = v[a];
	for (int64_t i = a + 1; i < b; i++)
		m = v[i] > m ? v[i] : m;
	return m;
}

/* Copies rows r0..r1 of w between columns lo..hi, zero outside each row's own range. */
static void copy_rows(const ranges *m, const char *w, int64_t r0, int64_t r1, int64_t lo, int64_t hi, size_t size, char *room)
{
	memset(room, 0, (size_t)((r1 - r0) * (hi - lo)) * size);
	for (int64_t i = r0; i < r1; i++) {
		int64_t a = m->lo[i] > lo ? m->lo[i] : lo, b = m->hi[i] < hi ? m->hi[i] : hi;
		if (b > a)
			memcpy(room + (size_t)((i - r0) * (hi - lo) + a - lo) * size, w + (size_t)(i * m->cols + a) * size,
			       (size_t)(b - a) * size);
	}
}

/* A panel of rows: the columns that all its rows have straight from w, the ragged ends from a copy with zeros. */
static void forward_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	const ad__kernels *k = c->k[r->dtype];
	const size_t size = ad__size(r->dtype);
	char *room = (char *)c->scratch + AD__GEMM_SCRATCH;
	int64_t end = c->row1 ? c->row1 : m->rows, w = c->width;
	for (int64_t r0 = c->row1 ? c->row0 : 0; r0 < end; r0 += ROWS) {
		int64_t r1 = r0 + ROWS < end ? r0 + ROWS : end, from = least(m->lo, r0, r1), to = most(m->hi, r0, r1);
		int64_t inner0 = most(m->lo, r0, r1), inner1 = least(m->hi, r0, r1);
		if (inner1 <= inner0)
			inner0 = inner1 = to > from ? to : (to = from + 1);
		const int64_t cut[] = { from, inner0, inner1, to };
		const char *bias = r->nin > 2 ? in[2].p + (size_t)r0 * size : NULL;
		bool acc = false;
		for (int part = 0; part < 3; part++) {
			int64_t lo = cut[part], n = cut[part + 1] - lo;
			if (n <= 0)
				continue;
			if (part != 1)
				copy_rows(m, in[1].p, r0, r1, lo, lo + n, size, room);
			k->gemm_bias(r1 - r0, w, n, part == 1 ? in[1].p + (size_t)(r0 * m->cols + lo) * size : room,
			             part == 1 ? m->cols : n, 1, in[0].p + (size_t)(lo * w) * size, w, 1,
			             out->p + (size_t)(r0 * w) * size, w, acc ? NULL : bias, acc, c->scratch);
			acc = true;
		}
	}
}

/* The rows that count some of columns c0..c1 lie from *first to the end returned; first above it: there are none. */
static int64_t rows_meeting(const ranges *m, int64_t c0, int64_t c1, int64_t *first)
{
	int64_t last = 0;
	*first = m->rows;
	for (int64_t i = 0; i < m->rows; i++)
		if (m->lo[i] < c1 && m->hi[i] > c0) {
			*first = i < *first ? i : *first;
			last = i + 1;
		}
	return last;
}

/* A panel of columns, copied into strips of STRIP that lie as the product kernel reads them. */
static void input_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	const ad__kernels *k = c->k[r->dtype];
	const size_t size = ad__size(r->dtype);
	char *room = (char *)c->scratch + AD__GEMM_SCRATCH;
	int64_t end = c->row1 ? c->row1 : m->cols, w = c->width;
	for (int64_t c0 = c->row1 ? c->row0 : 0; c0 < end; c0 += COLS) {
		int64_t c1 = c0 + COLS < end ? c0 + COLS : end, first, last = rows_meeting(m, c0, c1, &first);
		if (first >= last)
			last = (first = 0) + 1;
		int64_t n = last - first;
		for (int64_t s = c0; s < c1; s += STRIP) {
			int64_t e = s + STRIP < c1 ? s + STRIP : c1, h = e - s;
			char *strip = room + (size_t)((s - c0) * n) * size;
			for (int64_t i = first; i < last; i++) {
				char *row = strip + (size_t)((i - first) * h) * size;
				const char *from = in[1].p + (size_t)(i * m->cols + s) * size;
				if (m->lo[i] <= s && m->hi[i] >= e && h == STRIP) {
					memcpy(row, from, STRIP * size);
					continue;
				}
				for (int64_t j = s; j < e; j++, row += size, from += size)
					if (j >= m->lo[i] && j < m->hi[i])
						memcpy(row, from, size);
					else
						memset(row, 0, size);
			}
			k->gemm(h, w, n, strip, 1, h, in[0].p + (size_t)(first * w) * size, w, 1, out->p + (size_t)(s * w) * size, w,
			        false, c->scratch);
		}
	}
}

/* Columns c0..c1 outside each row's range, of the rows just made; of all rows when they hold nothing yet. */
static void clear_masked(const ranges *m, int64_t c0, int64_t c1, int64_t first, int64_t last, bool made_only, size_t size,
                         char *w)
{
	for (int64_t i = made_only ? first : 0; i < (made_only ? last : m->rows); i++) {
		int64_t lo = m->lo[i] > c0 ? m->lo[i] : c0, hi = m->hi[i] < c1 ? m->hi[i] : c1;
		char *row = w + (size_t)(i * m->cols) * size;
		if (lo >= hi)
			lo = hi = c1;
		if (lo > c0)
			memset(row + (size_t)c0 * size, 0, (size_t)(lo - c0) * size);
		if (c1 > hi)
			memset(row + (size_t)hi * size, 0, (size_t)(c1 - hi) * size);
	}
}

/* Columns in panels as wide as the kernel's, so that each panel of x is transposed once. */
static void weight_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	const ad__kernels *k = c->k[r->dtype];
	const size_t size = ad__size(r->dtype);
	const int64_t w = c->width;
	for (int64_t c0 = 0; c0 < m->cols; c0 += WIDE) {
		int64_t c1 = c0 + WIDE < m->cols ? c0 + WIDE : m->cols, first, last = rows_meeting(m, c0, c1, &first);
		if (last > first)
			k->gemm(last - first, c1 - c0, c->valid, in[0].p + (size_t)(first * w) * size, w, 1,
			        in[1].p + (size_t)(c0 * w) * size, 1, w, out->p + (size_t)(first * m->cols + c0) * size, m->cols,
			        c->accumulate, c->scratch);
		clear_masked(m, c0, c1, first, last, c->accumulate, size, out->p);
	}
}

static const ad_op op_forward = { .name = "linear_masked", .flags = AD__CONTIGUOUS | AD__ROWS, .vjp = forward_vjp, .eval = forward_eval,
	                          .scratch = scratch, .flops = flops };
static const ad_op op_input = { .name = "linear_masked_x", .flags = AD__CONTIGUOUS | AD__ROWS, .vjp = input_vjp, .eval = input_eval,
	                        .scratch = scratch, .flops = flops };
static const ad_op op_weight = { .name = "linear_masked_w", .flags = AD__CONTIGUOUS | AD__REDUCES, .vjp = weight_vjp,
	                         .eval = weight_eval, .scratch = scratch, .flops = flops };

static ad_var dense(ad_var x, ad_var w, ad_var bias, const ranges *m)
{
	double *mask = ad__malloc((size_t)(m->rows * m->cols) * sizeof *mask);
	for (int64_t i = 0; i < m->rows; i++)
		for (int64_t j = m->lo[i]; j < m->hi[i]; j++)
			mask[i * m->cols + j] = 1;
	ad_var y = ad_linear(x, ad_mul(w, ad_cast(ad_array(ad_root(w->tape), AD_SHAPE(m->rows, m->cols), mask), w->dtype)), bias);
	free(mask);
	return y;
}

ad_var ad_linear_masked(ad_var x, ad_var w, ad_var bias, const int64_t *lo, const int64_t *hi)
{
	ad_tape *t = ad_root(x->tape);
	if (ad_error(t))
		return t->dud;
	if (w->shape.rank != 2 || x->shape.rank < 1 || x->shape.dim[x->shape.rank - 1] != w->shape.dim[1]) {
		char a[128], b[128];
		ad_fail(t, "ad_linear_masked: %s does not fit a weight of %s", ad__shape_str(x->shape, a, sizeof a),
		        ad__shape_str(w->shape, b, sizeof b));
		return t->dud;
	}
	int64_t n = w->shape.dim[0], *copy = ad__alloc(t, (size_t)(2 * n) * sizeof *copy);
	ranges *m = ad__alloc(t, sizeof *m);
	*m = (ranges){ n, w->shape.dim[1], copy, copy + n };
	for (int64_t i = 0; i < n; i++) {
		bool empty = lo[i] >= hi[i];
		copy[i] = empty ? 0 : lo[i];
		copy[n + i] = empty ? 0 : hi[i];
		if (copy[i] < 0 || copy[n + i] > m->cols) {
			ad_fail(t, "ad_linear_masked: row %lld counts from %lld to %lld of %lld columns", (long long)i, (long long)lo[i],
			        (long long)hi[i], (long long)m->cols);
			return t->dud;
		}
	}
	if (x->shape.rank != 2 || !ad_batched(x) || ad_batched(w) || w->dtype != x->dtype ||
	    (bias && !ad_shape_eq(bias->shape, AD_SHAPE(n))))
		return dense(x, w, bias, m);
	return forward(m, x, w, bias);
}

const ad__ranges *ad__masked_ranges(ad_var r, bool *transposed)
{
	*transposed = r->op == &op_input;
	return r->op == &op_forward || r->op == &op_input ? r->attr.data : NULL;
}
