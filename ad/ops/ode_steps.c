/* ode_steps.c - steps over a given grid, as a loop on the tape. */
#include "ode.h"

#include <math.h>

ad_shape ad__state(const ad__problem *p, int64_t n)
{
	return p->batched ? AD_SHAPE(AD_BATCH, n) : AD_SHAPE(n);
}

ad_var ad__cut(ad_var x, int64_t at, int64_t n)
{
	return ad_slice(x, ad_rank(x) - 1, at, at + n);
}

ad_var ad__slope(const ad__problem *p, ad_var t, ad_var z)
{
	ad_var arg[2] = { ad_broadcast(t, p->F->arg[0]->shape), z }, out;
	ad__inline(p->F, arg, p->cap, &out);
	return ad_broadcast(out, ad__state(p, p->D));
}

ad_var ad__column(const ad__problem *p, ad_var t)
{
	return p->lanes && p->batched ? ad_reshape(ad_broadcast(t, AD_SHAPE(AD_BATCH)), AD_SHAPE(AD_BATCH, 1)) : t;
}

ad_var ad__weighted(int n, const double w[], const ad_var k[])
{
	ad_var sum = NULL;
	for (int i = 0; i < n; i++) {
		if (w[i] == 0)
			continue;
		ad_var term = w[i] == 1 ? k[i] : ad_scale(k[i], w[i]);
		sum = sum ? ad_add(sum, term) : term;
	}
	return sum;
}

ad_var ad__rk_step(const ad__problem *p, const ad__tableau *tab, ad_var t, ad_var h, ad_var z, ad_var first, bool all,
		   ad_var k[])
{
	/* The last stage of methods with b_s = 0 stands at the new state. */
	bool closed = tab->b[tab->stages - 1] == 0;
	int n = tab->stages - (closed && !all);
	ad_var column = ad__column(p, h), end = NULL;
	k[0] = first ? first : ad__slope(p, t, z);
	const double *a = tab->a;
	for (int i = 1; i < n; i++, a += i - 1) {
		ad_var at = ad_add(z, ad_mul(column, ad__weighted(i, a, k)));
		k[i] = ad__slope(p, ad_add(t, ad_scale(h, tab->c[i - 1])), at);
		end = at;
	}
	return closed && all ? end : ad_add(z, ad_mul(column, ad__weighted(n, tab->b, k)));
}

ad_var ad__between(const ad__tableau *tab, ad_var h, ad_var s, ad_var z0, ad_var z1, const ad_var k[])
{
	if (!tab)
		return ad_add(z0, ad_mul(s, ad_sub(z1, z0)));
	ad_var mid = ad_add(z0, ad_mul(h, ad__weighted(tab->stages, tab->mid, k)));
	ad_var f0 = ad_mul(h, k[0]), f1 = ad_mul(h, k[tab->stages - 1]);
	ad_var x[5] = { f0, f1, z0, z1, mid };
	static const double a[5] = { -2, 2, -8, -8, 16 }, b[5] = { 5, -3, 18, 14, -32 }, c[5] = { -4, 1, -11, -5, 16 };
	ad_var r = ad__weighted(5, a, x);
	r = ad_add(ad_mul(r, s), ad__weighted(5, b, x));
	r = ad_add(ad_mul(r, s), ad__weighted(5, c, x));
	return ad_add(z0, ad_mul(s, ad_add(f0, ad_mul(s, r))));
}

/* The carry: the state, the wanted values, and what the method remembers: the last slope (adaptive), or slopes, their
 * number and the evaluations (Adams). */
typedef struct {
	const ad__problem *p;
	const ad__wanted *w;
	bool start; /* Adams: the first steps */
	int64_t slopes;
} stepper;

static bool adams(const ad__problem *p)
{
	return p->o.method == AD_ADAMS_EXPLICIT || p->o.method == AD_ADAMS_IMPLICIT;
}
static int order_of(const ad__problem *p)
{
	return p->o.adams_order - 1;
}

static ad_var one_of(ad_var known, int order, int slopes, int first, int lowest)
{
	/* Weights by the number of slopes known: rows of a table, chosen without a branch. */
	ad_var sum = NULL;
	for (int o = lowest; o <= order; o++) {
		double w[ODE_STAGES] = { 0 };
		ad__adams(o + first, first, w);
		ad_var row = ad_array(ad_root(ad_tape_of(known)), AD_SHAPE(slopes), w);
		if (ad_dtype_of(row) != ad_dtype_of(known))
			row = ad_cast(row, ad_dtype_of(known));
		ad_var is = o < order ? ad_eq(known, ad_full_like(known, o)) : ad_ge(known, ad_full_like(known, o));
		ad_var term = ad_mul(is, row);
		sum = sum ? ad_add(sum, term) : term;
	}
	return sum;
}

/* Adams-Bashforth over the slopes known, corrected by Adams-Moulton until two corrections agree. */
static ad_var multistep(const stepper *s, ad_var t, ad_var h, ad_var z, const ad_var slope[], ad_var *known,
			ad_var *count)
{
	const ad__problem *p = s->p;
	int order = order_of(p);
	ad_var step = ad__column(p, h);
	ad_var w = one_of(*known, order, (int)s->slopes, 0, 3);
	ad_var sum = NULL;
	for (int i = 0; i < s->slopes; i++) {
		ad_var term = ad_mul(ad__cut(w, i, 1), slope[i]);
		sum = sum ? ad_add(sum, term) : term;
	}
	ad_var dz = ad_mul(step, sum);
	if (p->o.method == AD_ADAMS_EXPLICIT)
		return ad_add(z, dz);
	w = one_of(*known, order, (int)s->slopes + 1, 1, 3);
	ad_var past = NULL;
	for (int i = 0; i < s->slopes; i++) {
		ad_var term = ad_mul(ad__cut(w, i + 1, 1), slope[i]);
		past = past ? ad_add(past, term) : term;
	}
	past = ad_mul(step, past);
	ad_var done = ad_full_like(*known, 0);
	for (int i = 0; i < p->o.corrections; i++) {
		ad_var f = ad__slope(p, ad_add(t, h), ad_add(z, dz));
		ad_var next = ad_add(ad_mul(step, ad_mul(ad__cut(w, 0, 1), f)), past);
		ad_var size = ad_max(ad_abs(dz), ad_abs(next));
		ad_var ratio = ad_div(ad_abs(ad_sub(next, dz)), ad_shift(ad_scale(size, p->o.rtol), p->o.atol));
		ad_var worst = ad_reshape(ad_maxof(ratio, p->batched ? AD_EVENT : AD_ALL), ad_shape_of(done));
		*count = ad_add(*count, ad_sub(ad_full_like(done, 1), done));
		dz = ad_where(done, dz, next);
		done = ad_max(done, ad_stop(ad_lt(worst, ad_full_like(worst, 1))));
	}
	/* Without agreement the oldest slope is forgotten. */
	*known = ad_sub(*known, ad_sub(ad_full_like(done, 1), done));
	return ad_add(z, dz);
}

/* One step; carry in, carry out. */
static ad_var step_once(const stepper *s, ad_var carry, ad_var x, ad_var number)
{
	const ad__problem *p = s->p;
	int64_t D = p->D, at = D * (1 + s->w->n);
	ad_shape ts = p->F->arg[0]->shape;
	ad_var t = ad_reshape(ad__cut(x, 0, 1), ts), h = ad_reshape(ad__cut(x, 1, 1), ts);
	ad_var z = ad__cut(carry, 0, D), piece[2 + ODE_TIMES + ODE_STAGES + 2], k[ODE_STAGES], z1;
	int n = 1 + s->w->n;
	if (p->adaptive) {
		z1 = ad__rk_step(p, p->tab, t, h, z, ad__cut(carry, at, D), true, k);
		/* A sample that has arrived (h = 0) keeps its slope, though the last stage may stand elsewhere. */
		ad_var still = ad__column(p, ad_eq(h, ad_full_like(h, 0)));
		piece[n++] = ad_where(still, k[0], k[p->tab->stages - 1]);
	} else if (adams(p)) {
		ad_var slope[ODE_STAGES], known = ad__cut(carry, at + s->slopes * D, 1);
		ad_var count = ad__cut(carry, at + s->slopes * D + 1, 1);
		slope[0] = ad__slope(p, t, z);
		for (int i = 1; i < s->slopes; i++)
			slope[i] = ad__cut(carry, at + (i - 1) * D, D);
		known = ad_min(ad_shift(known, 1), ad_full_like(known, order_of(p)));
		count = ad_shift(count, s->start ? 4 : 1);
		z1 = s->start ? ad__rk_step(p, p->tab, t, h, z, slope[0], false, k)
			      : multistep(s, t, h, z, slope, &known, &count);
		for (int i = 0; i < s->slopes; i++)
			piece[n++] = slope[i];
		piece[n++] = known;
		piece[n++] = count;
	} else {
		z1 = ad__rk_step(p, p->tab, t, h, z, NULL, false, k);
	}
	piece[0] = z1;
	for (int j = 0; j < s->w->n; j++) {
		ad_var size = ad_where(ad_eq(h, ad_full_like(h, 0)), ad_full_like(h, 1), h);
		ad_var where = ad__column(p, ad_div(ad_sub(s->w->time[j], t), size));
		ad_var here = ad__column(p, ad_eq(ad_reshape(number, AD_SCALAR), s->w->step[j]));
		ad_var v = ad__between(p->adaptive ? p->tab : NULL, ad__column(p, h), where, z, z1, k);
		piece[1 + j] = ad_where(here, v, ad__cut(carry, D * (1 + j), D));
	}
	for (int i = 0; i < n; i++)
		piece[i] = ad_broadcast(piece[i], ad__state(p, ad_dim(piece[i], ad_rank(piece[i]) - 1)));
	return n == 1 ? piece[0] : ad_concat(p->batched, n, piece);
}

static ad_var number_of(const ad__problem *p, double v)
{
	ad_var x = ad_const(ad_root(p->F->tape), v);
	return ad_dtype_of(x) == p->d ? x : ad_cast(x, p->d);
}

static ad_var numbers(const ad__problem *p, int64_t n, double step)
{
	ad_var v = ad_scale(ad_iota(ad_root(p->F->tape), n), step);
	return ad_dtype_of(v) == p->d ? v : ad_cast(v, p->d);
}

/* Steps from .. from + n - 1 of the flat grid g. */
static ad_var loop(const stepper *s, ad_var carry, ad_var g, ad_var number, int64_t from, int64_t n, ad_var count)
{
	bool indexed = s->w->n > 0;
	int64_t C = ad_numel(ad_shape_of(carry));
	ad_var on[3] = { carry, g, number };
	ad_fn *f = ad__fn_of(2 + indexed, on);
	ad_var c = ad_fn_arg(f, s->p->d, ad__state(s->p, C));
	ad_var x = ad_fn_arg(f, s->p->d, ad_batched(g) ? AD_SHAPE(AD_BATCH, 2) : AD_SHAPE(2));
	ad_var k = indexed ? ad_fn_arg(f, s->p->d, AD_SHAPE(1)) : NULL;
	ad_var next = step_once(s, c, x, k);
	ad_fn_end(f, 1, &next);
	return ad__scan((ad__loop){ .body = f,
				    .n = n,
				    .nsource = 1 + indexed,
				    .source = { { g, 2 * from, 2, 2 }, { number, from, 1, 1 } },
				    .keeps = s->p->o.gradient == AD_ODE_DIRECT },
			carry, count)
		.last;
}

/* The same in runs of about sqrt(n) steps, each a loop of its own inside a loop: only their starts are kept. */
static ad_var loop_checkpointed(const stepper *s, ad_var carry, ad_var g, ad_var number, int64_t n, ad_var count)
{
	const ad__problem *p = s->p;
	int64_t run = (int64_t)ceil(sqrt((double)n)), runs = (n + run - 1) / run;
	int b = ad_batched(g);
	if (runs * run > n) {
		g = ad_pad(g, b, 0, 2 * (runs * run - n), 0);
		number = ad_pad(number, 0, 0, runs * run - n, -1);
		if (!count)
			count = number_of(p, (double)n);
	}
	ad_var first = numbers(p, runs, (double)run);
	ad_var on[4] = { carry, g, number, count ? count : carry };
	ad_fn *f = ad__fn_of(4, on);
	ad_var c = ad_fn_arg(f, p->d, ad_shape_of(carry));
	ad_var x = ad_fn_arg(f, p->d, b ? AD_SHAPE(AD_BATCH, 2 * run) : AD_SHAPE(2 * run));
	ad_var k = ad_fn_arg(f, p->d, AD_SHAPE(run)), from = ad_fn_arg(f, p->d, AD_SHAPE(1)), left = NULL;
	if (count) {
		ad_var zero = ad_full_like(count, 0);
		left = ad_min(ad_max(ad_sub(count, ad_reshape(from, AD_SCALAR)), zero),
			      ad_full_like(count, (double)run));
	}
	ad_var next = loop(s, c, x, k, 0, run, left);
	ad_fn_end(f, 1, &next);
	ad_var outer = NULL;
	if (count)
		outer = ad_ceil(ad_scale(count, 1 / (double)run));
	return ad__scan((ad__loop){ .body = f,
				    .n = runs,
				    .nsource = 3,
				    .source = { { g, 0, 2 * run, 2 * run }, { number, 0, run, run }, { first, 0, 1, 1 } } },
			carry, outer)
		.last;
}

ad_var ad__steps(const ad__problem *p, ad_var z, ad__grid g, const ad__wanted *w, ad_var out[])
{
	stepper s = { .p = p, .w = w };
	bool multi = adams(p);
	s.slopes = multi ? order_of(p) : 0;
	int64_t C = p->D * (1 + w->n) + (p->adaptive ? p->D : multi ? s.slopes * p->D + 2 : 0);
	ad_var flat = ad__flat(g.v), number = numbers(p, g.n, 1), carry = z;
	if (C > p->D) {
		ad_var piece[3] = { z };
		int n = 1;
		int64_t rest = C - p->D - (p->adaptive ? p->D : 0);
		if (rest)
			piece[n++] = ad_broadcast(number_of(p, 0), ad__state(p, rest));
		if (p->adaptive)
			piece[n++] = ad__slope(p, ad_reshape(ad__cut(flat, 0, 1), p->F->arg[0]->shape), z);
		carry = ad_concat(p->batched, n, piece);
	}
	int64_t from = 0;
	if (multi) {
		s.start = true;
		int64_t few = order_of(p) < 3 || g.n < 2 ? g.n : 2;
		carry = loop(&s, carry, flat, number, 0, few, g.count);
		s.start = false;
		from = few;
		if (g.count)
			g.count = ad_max(ad_shift(g.count, -(double)few), ad_full_like(g.count, 0));
	}
	int64_t n = g.n - from;
	if (n > 0 && p->o.gradient == AD_ODE_CHECKPOINTED && n > 3) {
		int b = ad_batched(flat);
		ad_var rest = from ? ad_slice(flat, b, 2 * from, 2 * g.n) : flat;
		carry = loop_checkpointed(&s, carry, rest, from ? ad_slice(number, 0, from, g.n) : number, n, g.count);
	} else if (n > 0) {
		carry = loop(&s, carry, flat, number, from, n, g.count);
	}
	for (int j = 0; j < w->n; j++)
		out[j] = ad__cut(carry, p->D * (1 + j), p->D);
	if (!w->n)
		out[0] = ad__cut(carry, 0, p->D);
	return multi ? ad__cut(carry, C - 1, 1) : NULL;
}
