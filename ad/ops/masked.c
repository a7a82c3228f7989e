/* Linear layers of a batch: y = W x + bias, each row of W counting between two columns only - all of them, or those that an
 * autoregressive mask lets through, about half of a dense product. */
#include "masked.h"

#include <stdlib.h>
#include <string.h>

typedef ad__ranges ranges;

enum { PANEL = 64 /* columns of x that are transposed together for the weight */, SMALL = 16 << 10 };

static const ad_op ops[2][3], op_pack;

enum { FORWARD, INPUT, WEIGHT };

static bool full(const ranges *m)
{
	for (int64_t i = 0; i < m->rows; i++)
		if (m->lo[i] > 0 || m->hi[i] < m->cols)
			return false;
	return true;
}

/* A weight that stays in L1 is read where it lies, by rows and by columns. */
static bool small(const ranges *m, ad_dtype d) { return m->full && (size_t)(m->rows * m->cols) * ad__size(d) <= SMALL; }

static ad_var push(int what, int n, const ad_var in[], const ranges *m, ad_shape s)
{
	return ad__push_shaped(NULL, &ops[!m->full][what], n, in, (ad_attr){ .data = m }, in[0]->dtype, s);
}

static ad_var forward(const ranges *m, ad_var x, ad_var w, ad_var bias)
{
	ad_var in[] = { x, w, bias };
	return push(FORWARD, bias ? 3 : 2, in, m, AD_SHAPE(AD_BATCH, m->rows));
}

static bool same(const ranges *a, const ranges *b)
{
	size_t n = (size_t)a->rows * sizeof *a->lo;
	return a == b || (a->rows == b->rows && a->cols == b->cols && !memcmp(a->lo, b->lo, n) && !memcmp(a->hi, b->hi, n));
}

/* The transpose of w as the kernel reads it is a node of its own, so that it is made once and not for every tile or product. */
static ad_var input_side(const ranges *m, ad_var g, ad_var w)
{
	if (small(m, w->dtype))
		return push(INPUT, 2, (ad_var[]){ g, w }, m, AD_SHAPE(AD_BATCH, m->cols));
	ad_var from = ad__origin(w), packed = from->memo;
	if (!packed || packed->op != &op_pack || !same(packed->attr.data, m))
		from->memo = packed = ad__push_shaped(NULL, &op_pack, 1, &from, (ad_attr){ .data = m }, w->dtype, AD_SHAPE(m->packed));
	return push(INPUT, 3, (ad_var[]){ g, w, packed }, m, AD_SHAPE(AD_BATCH, m->cols));
}

static ad_var weight_side(const ranges *m, ad_var g, ad_var x)
{
	return push(WEIGHT, 2, (ad_var[]){ g, x }, m, AD_SHAPE(m->rows, m->cols));
}

/* A weight used several times: its products are summed inside of one. */
ad_var ad__join_products(ad_var a, ad_var b)
{
	bool kind = a->op == &ops[1][WEIGHT];
	int n = a->nin + b->nin;
	if (a->op != &ops[kind][WEIGHT] || b->op != a->op || a->tape != b->tape || n > 2 * AD__LINEAR_PAIRS ||
	    !same(a->attr.data, b->attr.data))
		return NULL;
	ad_var in[2 * AD__LINEAR_PAIRS];
	memcpy(in, a->in, (size_t)a->nin * sizeof *in);
	memcpy(in + a->nin, b->in, (size_t)b->nin * sizeof *in);
	return push(WEIGHT, n, in, a->attr.data, a->shape);
}

/* The three products are each other's transposes.  The input's side comes last, for the step that reads it may follow at once. */
static void forward_vjp(ad_var r, ad_var g, ad_var gin[])
{
	const ranges *m = r->attr.data;
	gin[1] = weight_side(m, g, r->in[0]);
	if (r->nin > 2)
		gin[2] = ad_sum(g, AD_AXIS(0));
	gin[0] = input_side(m, g, r->in[1]);
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
	for (int k = 0; k < r->nin; k += 2) {
		gin[k] = forward(m, r->in[k + 1], u, NULL);
		gin[k + 1] = input_side(m, r->in[k], u);
	}
}

static double flops(ad_var r)
{
	const ranges *m = r->attr.data;
	double n = 0;
	for (int64_t i = 0; i < m->rows; i++)
		n += (double)(m->hi[i] - m->lo[i]);
	return 2 * n;
}

static size_t forward_scratch(ad_var r, int64_t width)
{
	(void)r, (void)width;
	return AD__LINEAR_SCRATCH;
}

static double weight_flops(ad_var r) { return flops(r) * r->nin / 2; }

static size_t weight_scratch(ad_var r, int64_t width)
{
	int64_t all = r->nin / 2 * width, some = width > AD__LINEAR_LANES ? width : AD__LINEAR_LANES;
	return (size_t)(PANEL * (all < some ? all : some)) * ad__size(r->dtype);
}

static void forward_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	int64_t end = c->row1 ? c->row1 : m->rows;
	const void *bias = r->nin > 2 ? in[2].p : NULL;
	if (small(m, r->dtype) && !c->col1) {
		c->k[r->dtype]->dense(c->row0, end, m->cols, (void *)in[1].p, m->cols, 1, c->width, (void *)in[0].p, bias,
		                      (void *)out->p, c->finish, c->gate);
		return;
	}
	c->k[r->dtype]->linear(c->row1 ? c->row0 : 0, end, c->col0, c->col1 ? c->col1 : m->cols, m->cols, m->lo, m->hi, (void *)in[1].p, c->width, (void *)in[0].p,
	                       bias, (void *)out->p, c->finish, c->gate, c->scratch);
}

static void input_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	int64_t end = c->row1 ? c->row1 : m->cols;
	if (r->nin == 2) {
		c->k[r->dtype]->dense(c->row0, end, m->rows, (void *)in[1].p, 1, m->cols, c->width, (void *)in[0].p, NULL,
		                      (void *)out->p, c->finish, c->gate);
		return;
	}
	c->k[r->dtype]->linear_back(c->row1 ? c->row0 : 0, end, m->rows, m->cols, m->first, m->last, m->at, (void *)in[2].p, c->width,
	                            (void *)in[0].p, (void *)out->p, c->finish, c->gate, c->soon);
}

static void weight_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	int n = r->nin / 2;
	const void *g[AD__LINEAR_PAIRS], *x[AD__LINEAR_PAIRS];
	for (int k = 0; k < n; k++) {
		g[k] = in[2 * k].p;
		x[k] = in[2 * k + 1].p;
	}
	c->k[r->dtype]->linear_weight(m->rows, m->cols, m->full ? NULL : m->lo, m->full ? NULL : m->hi, c->width, c->valid, n, g, x,
	                              (void *)out->p, c->accumulate, !m->full && !c->partial, c->scratch);
}

static void pack_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ranges *m = r->attr.data;
	int64_t n = m->strips, s0 = c->parts ? n * c->part / c->parts : 0, s1 = c->parts ? n * (c->part + 1) / c->parts : n;
	c->k[r->dtype]->linear_pack(s0, s1, m->cols, m->lo, m->hi, m->first, m->last, m->at, (void *)in[0].p, (void *)out->p);
}

#define NAMED(name) \
	{ \
		{ name, AD__CONTIGUOUS | AD__ROWS | AD__FINISHES, .vjp = forward_vjp, .eval = forward_eval, .scratch = forward_scratch, .flops = flops }, \
		{ name "_x", AD__CONTIGUOUS | AD__ROWS | AD__FINISHES, .vjp = input_vjp, .eval = input_eval, .flops = flops }, \
		{ name "_w", AD__CONTIGUOUS | AD__REDUCES, .vjp = weight_vjp, .eval = weight_eval, .scratch = weight_scratch, \
		  .flops = weight_flops }, \
	}
static const ad_op ops[2][3] = { NAMED("linear"), NAMED("linear_masked") };

/* No derivative of its own: who reads it reads the weight too. */
static void pack_vjp(ad_var r, ad_var g, ad_var gin[]) { (void)r, (void)g, (void)gin; }

static ad_var pack_jvp(ad_var r, const ad_var v[])
{
	(void)r, (void)v;
	return NULL;
}

static const ad_op op_pack = { .name = "linear_pack", .flags = AD__CONTIGUOUS | AD__PARTS, .vjp = pack_vjp, .jvp = pack_jvp,
	                       .eval = pack_eval };

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

/* Room for the ranges of a weight, still empty. */
static ranges *new_ranges(ad_tape *t, int64_t rows, int64_t cols, int64_t **lo, int64_t **hi)
{
	ranges *m = ad__alloc(t, sizeof *m);
	*lo = ad__alloc(t, (size_t)(2 * rows) * sizeof **lo);
	*hi = *lo + rows;
	*m = (ranges){ .rows = rows, .cols = cols, .lo = *lo, .hi = *hi };
	return m;
}

static void find_strips(ad_tape *t, ranges *m)
{
	int64_t n = m->strips = (m->cols + AD__STRIP - 1) / AD__STRIP;
	int64_t *first = ad__alloc(t, (size_t)(3 * n) * sizeof *first), *last = first + n, *at = last + n;
	for (int64_t s = 0; s < n; s++)
		first[s] = m->rows;
	for (int64_t i = 0; i < m->rows; i++)
		for (int64_t s = m->lo[i] / AD__STRIP; s * AD__STRIP < m->hi[i]; s++) {
			first[s] = i < first[s] ? i : first[s];
			last[s] = i + 1;
		}
	for (int64_t s = 0; s < n; s++) {
		int64_t wide = m->cols - s * AD__STRIP < AD__STRIP ? m->cols - s * AD__STRIP : AD__STRIP;
		if (first[s] >= last[s])
			first[s] = last[s] = 0;
		at[s] = m->packed;
		m->packed += (last[s] - first[s]) * wide;
	}
	m->packed += m->packed == 0; /* a weight without any entry that counts */
	m->first = first;
	m->last = last;
	m->at = at;
	m->full = full(m);
}

static bool fits(ad_var x, ad_var w, ad_var bias, int64_t rows)
{
	return x->shape.rank == 2 && ad_batched(x) && !ad_batched(w) && w->dtype == x->dtype && x->dtype != AD_I32 &&
	       (!bias || (ad_shape_eq(bias->shape, AD_SHAPE(rows)) && bias->dtype == x->dtype));
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
	int64_t n = w->shape.dim[0], *from, *to;
	ranges *m = new_ranges(t, n, w->shape.dim[1], &from, &to);
	for (int64_t i = 0; i < n; i++) {
		bool empty = lo[i] >= hi[i];
		from[i] = empty ? 0 : lo[i];
		to[i] = empty ? 0 : hi[i];
		if (from[i] < 0 || to[i] > m->cols) {
			ad_fail(t, "ad_linear_masked: row %lld counts from %lld to %lld of %lld columns", (long long)i, (long long)lo[i],
			        (long long)hi[i], (long long)m->cols);
			return t->dud;
		}
	}
	if (!fits(x, w, bias, n))
		return dense(x, w, bias, m);
	find_strips(t, m);
	return forward(m, x, w, bias);
}

ad_var ad__linear_rows(ad_var x, ad_var w, ad_var bias)
{
	ad_tape *t = ad_root(x->tape);
	if (ad_error(t) || w->shape.rank != 2 || x->shape.rank != 2 || x->shape.dim[1] != w->shape.dim[1] ||
	    !fits(x, w, bias, w->shape.dim[0]))
		return NULL;
	int64_t *lo, *hi;
	ranges *m = new_ranges(t, w->shape.dim[0], w->shape.dim[1], &lo, &hi);
	for (int64_t i = 0; i < m->rows; i++)
		hi[i] = m->cols;
	find_strips(t, m);
	return forward(m, x, w, bias);
}

const ad__ranges *ad__masked_ranges(ad_var r, bool *transposed)
{
	*transposed = r->op == &ops[0][INPUT] || r->op == &ops[1][INPUT];
	return *transposed || r->op == &ops[0][FORWARD] || r->op == &ops[1][FORWARD] ? r->attr.data : NULL;
}

bool ad_row_ranges(ad_var g, const int64_t **lo, const int64_t **hi)
{
	const ranges *m = g->op == &ops[1][WEIGHT] ? g->attr.data : NULL;
	if (m) {
		*lo = m->lo;
		*hi = m->hi;
	}
	return m;
}
