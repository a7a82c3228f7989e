/* random_graph.h - for tests: a random smooth graph of every kind of op, traced on the batch or on a fixed extent. */
#ifndef TESTS_RANDOM_GRAPH_H
#define TESTS_RANDOM_GRAPH_H

#include "ad/ad.h"

#include <string.h>

/* b: axis 0 is the batch, whether it is traced as AD_BATCH or as a number. */
typedef struct {
	ad_var v;
	bool b;
} val;

enum { POOL = 48 };

typedef struct {
	uint64_t state;
	ad_tape *t;
	int64_t batch; /* AD_BATCH, or the extent that stands for it */
	val pool[POOL];
	int n;
	val x, index, w, v, s; /* inputs [B,5], [B,3] of 0 to 2, [4,5], [5], [] */
	bool mixes;            /* some value depends on other samples */
	double tol;
} graph;

static inline uint64_t draw(graph *g, uint64_t n)
{
	uint64_t z = (g->state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

static inline double draw_real(graph *g) { return (double)draw(g, 20001) / 10000 - 1; }
static inline val pick(graph *g) { return g->pool[draw(g, (uint64_t)g->n)]; }

static inline val pick_batched(graph *g)
{
	for (int i = 0; i < 50; i++) {
		val a = pick(g);
		if (a.b)
			return a;
	}
	return g->x;
}

/* The shape with AD_BATCH wherever the batch stands. */
static inline ad_shape logical(val a)
{
	ad_shape s = ad_shape_of(a.v);
	if (a.b)
		s.dim[0] = AD_BATCH;
	return s;
}

static inline ad_shape real_shape(const graph *g, ad_shape s)
{
	if (s.rank && s.dim[0] == AD_BATCH)
		s.dim[0] = g->batch;
	return s;
}

static inline ad_var random_array(graph *g, ad_shape s)
{
	double a[4096];
	for (int64_t i = 0; i < ad_numel(s); i++)
		a[i] = draw_real(g);
	return ad_array(g->t, s, a);
}

static inline int64_t event_size(val a) { return ad_numel(logical(a)); }
/* An event axis, or -1. */
static inline int event_axis(graph *g, val a)
{
	int n = ad_rank(a.v) - a.b;
	return n > 0 ? a.b + (int)draw(g, (uint64_t)n) : -1;
}

static inline val flat(graph *g, val a)
{
	int64_t n = event_size(a);
	return (val){ ad_reshape(a.v, a.b ? AD_SHAPE(g->batch, n) : AD_SHAPE(n)), a.b };
}

static inline val unary(graph *g, val a)
{
	ad_var x = a.v;
	switch (draw(g, 16)) {
	case 0: x = ad_tanh(x); break;
	case 1: x = ad_sin(x); break;
	case 2: x = ad_sigmoid(ad_scale(x, 2)); break;
	case 3: x = ad_exp(ad_tanh(x)); break;
	case 4: x = ad_log1p(ad_square(x)); break;
	case 5: x = ad_atan(x); break;
	case 6: x = ad_swish(x); break;
	case 7: x = ad_erf(x); break;
	case 8: x = ad_reciprocal(ad_shift(ad_square(x), 1)); break;
	case 9: x = ad_rsqrt(ad_shift(ad_square(x), 0.5)); break;
	case 10: x = ad_softplus(x); break;
	case 11: x = ad_neg(ad_scale(x, 0.7)); break;
	case 12: x = ad_where(ad_array(g->t, AD_SHAPE(1), (double[]){ (double)draw(g, 2) }), ad_cos(x), ad_tanh(x)); break;
	case 13: x = ad_powc(ad_shift(ad_square(x), 1), 0.3); break;
	case 14: x = ad_cube(ad_tanh(x)); break;
	default: x = ad_gelu(x);
	}
	return (val){ x, a.b };
}

static inline bool fits(ad_shape a, ad_shape b)
{
	int rank = a.rank > b.rank ? a.rank : b.rank;
	for (int i = 1; i <= rank; i++) {
		int64_t x = i <= a.rank ? a.dim[a.rank - i] : 1, y = i <= b.rank ? b.dim[b.rank - i] : 1;
		if ((x != y && x != 1 && y != 1) || ((x == AD_BATCH || y == AD_BATCH) && i != rank))
			return false;
	}
	return true;
}

static inline val binary(graph *g)
{
	val a = pick(g), b = pick(g);
	for (int i = 0; i < 20 && !fits(logical(a), logical(b)); i++)
		b = pick(g);
	if (!fits(logical(a), logical(b)))
		b = g->s;
	ad_var y = b.v;
	switch (draw(g, 5)) {
	case 0: y = ad_add(a.v, y); break;
	case 1: y = ad_sub(y, a.v); break;
	case 2: y = ad_mul(ad_tanh(a.v), y); break;
	case 3: y = ad_div(a.v, ad_shift(ad_sin(y), 1.5)); break;
	default: y = ad_atan2(ad_sin(a.v), ad_shift(ad_tanh(y), 2));
	}
	return (val){ y, a.b || b.b };
}

static inline val movement(graph *g)
{
	val a = pick(g);
	int k = event_axis(g, a), p[AD_MAXRANK], rank = ad_rank(a.v);
	if (k < 0)
		return unary(g, a);
	int64_t n = ad_dim(a.v, k), lo = (int64_t)draw(g, (uint64_t)n), hi = lo + 1 + (int64_t)draw(g, (uint64_t)(n - lo));
	ad_var y = a.v;
	switch (draw(g, 7)) {
	case 0: y = ad_slice(y, k, lo, hi); break;
	case 1: y = ad_slice_step(y, k, lo, hi, 1 + (int64_t)draw(g, 3)); break;
	case 2: y = ad_flip(y, k); break;
	case 3: y = n < 9 ? ad_pad(y, k, (int64_t)draw(g, 3), (int64_t)draw(g, 3), 0.3) : y; break;
	case 4:
		for (int i = 0; i < rank; i++)
			p[i] = i;
		for (int i = rank - 1; i > a.b; i--) {
			int j = a.b + (int)draw(g, (uint64_t)(i - a.b + 1)), t = p[i];
			p[i] = p[j];
			p[j] = t;
		}
		y = ad_permute(y, p);
		if (draw(g, 2))
			return flat(g, (val){ y, a.b });
		break;
	case 5: {
		int64_t all = event_size(a), f = 1 + (int64_t)draw(g, (uint64_t)all);
		while (all % f)
			f--;
		y = ad_reshape(y, a.b ? AD_SHAPE(g->batch, f, all / f) : AD_SHAPE(f, all / f));
		break;
	}
	default: y = n < 9 ? ad_concat(k, 3, (ad_var[]){ ad_sin(y), ad_slice(y, k, lo, hi), ad_flip(y, k) }) : y;
	}
	return (val){ y, a.b };
}

static inline val reduction(graph *g)
{
	val a = pick(g);
	int k = event_axis(g, a);
	if (k < 0)
		return unary(g, a);
	unsigned set = AD_AXIS(k) | AD_AXIS(k + (int)draw(g, 2));
	switch (draw(g, 8)) {
	case 0: return (val){ ad_sum(ad_tanh(a.v), set), a.b };
	case 1: return (val){ ad_mean_keep(a.v, set), a.b };
	case 2: return (val){ ad_softmax(a.v, k), a.b };
	case 3: return (val){ ad_log_softmax(a.v, k), a.b };
	case 4: return (val){ ad_logsumexp(a.v, k), a.b };
	case 5: return (val){ ad_cumsum(a.v, k, draw(g, 2)), a.b };
	case 6: return (val){ ad_var_keep(a.v, set, false), a.b };
	default: return (val){ ad_prod(ad_sigmoid(a.v), k), a.b };
	}
}

/* Sums over the samples, which others then use: more phases. */
static inline val across(graph *g)
{
	val a = pick_batched(g);
	g->mixes = true;
	switch (draw(g, 3)) {
	case 0: return (val){ ad_mean(a.v, AD_AXIS(0)), false };
	case 1: return (val){ ad_mean_keep(ad_square(ad_tanh(a.v)), AD_AXIS(0) | AD_AXIS(ad_rank(a.v) - 1)), false };
	default: {
		ad_var m = ad_tanh(flat(g, a).v);
		return (val){ ad_div(ad_einsum("bi,bj->ij", m, g->x.v), ad_sum(ad_full_like(ad_slice(g->x.v, 1, 0, 1), 1), AD_ALL)), false };
	}
	}
}

static inline val indexing(graph *g)
{
	val a = pick(g);
	int k = event_axis(g, a);
	if (k < 0)
		return unary(g, a);
	int64_t n = ad_dim(a.v, k), m = n < 9 ? n : 9;
	int32_t at[16];
	for (int i = 0; i < 16; i++)
		at[i] = (int32_t)draw(g, (uint64_t)n);
	if (draw(g, 3) == 0 && n <= 9)
		return (val){ ad_scatter_add(a.v, k, ad_array_i32(g->t, AD_SHAPE(n), at), n), a.b };
	if (draw(g, 2) && event_size(a) >= 3 && event_size(a) < 40)
		return (val){ ad_take(flat(g, a).v, -1, g->index.v), true };
	return (val){ ad_gather(a.v, k, ad_array_i32(g->t, AD_SHAPE(m), at)), a.b };
}

/* A weight that depends on an input. */
static inline ad_var weight(graph *g, int64_t m, int64_t n)
{
	return ad_scale(ad_add(random_array(g, AD_SHAPE(m, n)), ad_scale(g->s.v, 0.3)), 1.0 / (double)n);
}

static inline void ranges(graph *g, int64_t rows, int64_t cols, int64_t lo[], int64_t hi[])
{
	uint64_t kind = draw(g, 4);
	for (int64_t i = 0; i < rows; i++) {
		int64_t a = (int64_t)draw(g, (uint64_t)cols + 1), b = (int64_t)draw(g, (uint64_t)cols + 1);
		lo[i] = kind == 0 ? 0 : a < b ? a : b;
		hi[i] = kind == 1 ? cols : a < b ? b : a;
		if (kind == 2 && draw(g, 3) == 0)
			lo[i] = hi[i] = 0;
	}
}

static inline val product(graph *g)
{
	val a = flat(g, pick_batched(g));
	int64_t n = event_size(a), m = 1 + (int64_t)draw(g, 9), lo[64], hi[64];
	if (n > 40)
		return unary(g, a);
	switch (draw(g, 6)) {
	case 0: return (val){ ad_linear(a.v, weight(g, m, n), NULL), true };
	case 1: return (val){ ad_linear(a.v, weight(g, m, n), random_array(g, AD_SHAPE(m))), true };
	case 2:
		ranges(g, m, n, lo, hi);
		return (val){ ad_linear_masked(a.v, weight(g, m, n), draw(g, 2) ? random_array(g, AD_SHAPE(m)) : NULL, lo, hi), true };
	case 3: {
		int64_t f = n % 3 == 0 ? 3 : n % 2 == 0 ? 2 : 1;
		ad_var r = ad_tanh(ad_reshape(a.v, AD_SHAPE(g->batch, f, n / f)));
		return (val){ ad_matmul(r, r, false, true), true };
	}
	case 4: return (val){ ad_einsum("bi,bj->bji", ad_slice(a.v, 1, 0, n < 6 ? n : 6), ad_tanh(g->x.v)), true };
	default: return (val){ ad_matmul(ad_tanh(ad_slice(a.v, 1, 0, n < 5 ? n : 5)), ad_slice(g->w.v, 1, 0, n < 5 ? n : 5), false, true), true };
	}
}

static inline val leaf(graph *g)
{
	val a = pick(g);
	int rank = ad_rank(a.v);
	if (!rank || (a.b && rank == 1))
		return (val){ ad_mul(a.v, ad_full_like(a.v, 0.8)), a.b };
	int64_t n = ad_dim(a.v, -1);
	return (val){ draw(g, 2) ? ad_add(a.v, ad_scale(ad_iota(g->t, n), 1.0 / (double)n)) : ad_mul(a.v, random_array(g, AD_SHAPE(n))), a.b };
}

static inline val call(graph *g)
{
	val a = pick(g), c = g->s;
	for (int i = 0; i < 10; i++) {
		val d = pick(g);
		if (ad_shape_eq(logical(d), logical(a)))
			c = d;
	}
	ad_shape s = ad_shape_of(a.v);
	ad_fn *f = ad_fn_begin(g->t);
	ad_var y = ad_fn_arg(f, ad_real(g->t), s), out;
	switch (draw(g, 3)) {
	case 0:
		out = ad_mul(ad_tanh(y), ad_sin(ad_add(y, c.v)));
		ad_fn_end(f, 1, &out);
		ad_remat(f, &a.v, &out);
		break;
	case 1: /* a part of a larger result */
		out = ad_scale(ad_sin(ad_add(y, ad_sin(c.v))), 0.3);
		if (ad_rank(y) > a.b) {
			int k = ad_rank(y) - 1;
			int64_t n = ad_dim(y, k);
			out = ad_slice(ad_concat(k, 2, (ad_var[]){ ad_cos(y), out }), k, n, 2 * n);
		}
		out = ad_add(out, ad_tanh(a.v));
		ad_fn_end(f, 1, &out);
		out = ad_fixpoint(f, ad_full_like(a.v, 0), g->tol, 300, false);
		break;
	default:
		out = ad_sub(ad_add(y, ad_scale(ad_sin(y), 0.3)), ad_tanh(ad_add(a.v, c.v)));
		ad_fn_end(f, 1, &out);
		out = ad_bisect(f, s, -2, 1.5, 0);
	}
	return (val){ out, a.b };
}

/* y_i from y_1 .. y_(i-1) through a masked net and operations on the numbers of each row, as splines do. */
static inline val triangular(graph *g)
{
	val a = flat(g, pick_batched(g));
	int64_t d = event_size(a), k = 3 + (int64_t)draw(g, 3), lo[64 * 8] = { 0 }, hi[64 * 8];
	if (d > 8)
		a.v = ad_slice(a.v, 1, 0, d = 8);
	int64_t hidden = 2 * d;
	ad_fn *f = ad_fn_begin(g->t);
	ad_var y = ad_fn_arg(f, ad_real(g->t), ad_shape_of(a.v));
	bool down = draw(g, 2), holes = draw(g, 2); /* suffixes instead of prefixes; only parts of them */
	for (int64_t i = 0; i < hidden; i++) {
		lo[i] = down ? i / 2 + 1 : 0;
		hi[i] = down ? d : i / 2;
		if (holes && lo[i] < hi[i])
			lo[i] += (int64_t)draw(g, (uint64_t)(hi[i] - lo[i]) + 1);
		if (holes && lo[i] < hi[i])
			hi[i] -= (int64_t)draw(g, (uint64_t)(hi[i] - lo[i]));
	}
	ad_var h = ad_tanh(ad_linear_masked(y, weight(g, hidden, d), random_array(g, AD_SHAPE(hidden)), lo, hi));
	for (int64_t i = 0; i < d * k; i++) {
		lo[i] = down ? 2 * (i / k) : 0;
		hi[i] = down ? hidden : 2 * (i / k) + 2;
	}
	ad_var p = ad_reshape(ad_linear_masked(h, weight(g, d * k, hidden), NULL, lo, hi), AD_SHAPE(g->batch, d, k));
	ad_var q = ad_cumsum(ad_softmax(p, 2), 2, draw(g, 2));
	if (draw(g, 2))
		q = ad_concat(2, 2, (ad_var[]){ ad_flip(q, 2), ad_pad(ad_slice(p, 2, 1, 3), 2, 1, 0, 0.5) });
	int32_t first[8] = { 0 };
	ad_var t = ad_take(q, 2, ad_array_i32(g->t, AD_SHAPE(d, 1), first));
	ad_var out = ad_add(ad_tanh(a.v), ad_scale(ad_add(ad_sum(q, AD_AXIS(2)), ad_mul(ad_squeeze(t, 2), ad_logsumexp(p, 2))), 0.2));
	ad_fn_end(f, 1, &out);
	return (val){ ad_fixpoint(f, ad_full_like(a.v, 0), g->tol, (int)d + 1, true), true };
}

static inline void grow(graph *g)
{
	static val (*const kinds[])(graph *) = { binary, binary, binary, movement, movement, reduction, across, indexing, product,
		                                 product, leaf, call, triangular };
	uint64_t kind = draw(g, sizeof kinds / sizeof *kinds + 3);
	val a = kind < sizeof kinds / sizeof *kinds ? kinds[kind](g) : unary(g, pick(g));
	if (event_size(a) <= 64 && ad_rank(a.v) <= 6 && g->n < POOL && !ad_error(g->t))
		g->pool[g->n++] = a;
}

/* Traces graph number seed; batch as in graph. */
static inline graph random_graph(uint64_t seed, ad_dtype real, int64_t batch, int ops)
{
	graph g = { .state = seed * 7919 + 1, .t = ad_tape_new(real), .batch = batch, .tol = real == AD_F64 ? 1e-14 : 1e-6 };
	g.x = (val){ ad_input(g.t, real, AD_SHAPE(batch, 5), "x"), true };
	g.w = (val){ ad_input(g.t, real, AD_SHAPE(4, 5), "w"), false };
	g.v = (val){ ad_input(g.t, real, AD_SHAPE(5), "v"), false };
	g.s = (val){ ad_input(g.t, real, AD_SCALAR, "s"), false };
	g.index = (val){ ad_input(g.t, AD_I32, AD_SHAPE(batch, 3), "index"), true };
	val all[] = { g.x, g.w, g.v, g.s, { ad_full(g.t, real_shape(&g, AD_SHAPE(AD_BATCH, 5)), 0.4), true } };
	memcpy(g.pool, all, sizeof all);
	g.n = (int)(sizeof all / sizeof *all);
	for (int i = 0; i < ops; i++)
		grow(&g);
	return g;
}

#endif
