/* scan.c - loops: running them. */
#include "loop.h"

#include <math.h>
#include <string.h>

const ad__loop *ad__loop_of(ad_var r)
{
	return r->attr.data;
}

static int64_t slot(const ad__loop *l, int64_t k)
{
	return l->C + l->S + k * (l->C + l->Y);
} /* of carry k */

static int64_t iterations(const ad__loop *l, const ad__arr *count, ad__ctx *c)
{
	double most = -1;
	int64_t lanes = count->lane ? c->valid : 1;
	for (int64_t i = 0; i < lanes; i++) {
		double v =
			count->dtype == AD_F32 ? (double)((const float *)count->p)[i] : ((const double *)count->p)[i];
		most = v > most ? v : most;
	}
	most = ceil(most);
	if (most > (double)l->n)
		snprintf(c->error, 256, "ad_scan: %.0f iterations where there is room for %lld", most, (long long)l->n);
	return most < 0 || most > (double)l->n ? l->n : (int64_t)most;
}

/* The results of an iteration that go to the second result: totals, then what is kept for each.  fresh: they are not added
 * to what is there. */
typedef struct {
	const ad_fn *f;
	int own; /* results before them */
	bool fresh;
	char *base;
	int64_t total, each, w; /* numbers of w lanes */
	int ntotal;
	size_t size;
} side;

static side side_of(const ad__loop *l, const ad__arr *out, ad__ctx *c, size_t size)
{
	side s = { .f = ad__sub_fn(c, 0), .own = 1 + l->kept + l->nsum, .size = size, .ntotal = l->ntotal, .total = l->P };
	if (c->nout < 2)
		return s;
	s.base = out[1].p;
	s.fresh = out[1].lane;
	s.w = s.fresh ? c->width : 1;
	for (int o = s.own + l->ntotal; o < s.f->nout; o++)
		s.each += ad__rows(s.f->out[o]);
	if (!s.fresh && !c->accumulate)
		memset(s.base, 0, (size_t)(s.total + l->n * s.each) * size);
	return s;
}

static void lend(const side *s, int64_t at, char *to[], ad__ctx *c)
{
	size_t row = (size_t)s->w * s->size;
	char *p = s->base, *q = s->base + (size_t)(s->total + at * s->each) * row;
	for (int j = 0; j < s->f->lent; j++) {
		char **next = j < s->ntotal ? &p : &q;
		to[j] = *next;
		ad__sub_lend(c, 0, j, *next);
		*next += (size_t)ad__rows(s->f->out[s->own + j]) * row;
	}
}

static void settle(const side *s, char *const to[], const ad__arr res[], const ad__kernels *k)
{
	for (int j = 0; j < s->f->lent; j++) {
		int64_t n = ad__rows(s->f->out[s->own + j]) * s->w;
		const char *from = res[s->own + j].p;
		if (from == to[j])
			continue;
		if (s->fresh)
			memcpy(to[j], from, (size_t)n * s->size);
		else
			k->add(n, to[j], from);
	}
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ad__loop *l = ad__loop_of(r);
	int64_t w = out->lane ? c->width : 1, m = iterations(l, &in[LOOP_COUNT], c);
	size_t size = ad__size(r->dtype), row = (size_t)w * size, carry = (size_t)l->C * row;
	char *base = out->p, *sums = base + carry;
	const ad__kernels *k = c->k[r->dtype];
	side second = side_of(l, out, c, size);
	char *to_second[second.f->lent + 1];
	memset(sums, 0, (size_t)l->S * row);
	ad__sub_bind(c, 0, in);
	const char *now = in[LOOP_CARRY].p;
	for (int64_t i = 0; i < m; i++) {
		int64_t at = l->backward ? m - 1 - i : i;
		char *to = base + (size_t)slot(l, at) * row;
		memcpy(to, now, carry);
		void *arg[1 + SCAN_SOURCES];
		arg[0] = to;
		for (int j = 0; j < l->nsource; j++)
			arg[1 + j] = in[LOOP_SOURCE + j].p + (size_t)(l->source[j].at + at * l->source[j].stride) * size *
								     (size_t)(in[LOOP_SOURCE + j].lane ? w : 1);
		ad__arr res[second.f->nout];
		lend(&second, at, to_second, c);
		if (!ad__sub_run(c, 0, arg, res))
			return;
		settle(&second, to_second, res, k);
		now = res[0].p;
		if (l->kept)
			memcpy(to + carry, res[1].p, (size_t)l->Y * row);
		char *s = sums;
		for (int o = 1 + l->kept; o < second.own; o++) {
			int64_t n = ad__rows(l->body->out[o]);
			k->add(n * w, s, res[o].p);
			s += (size_t)n * row;
		}
	}
	if (now != base)
		memcpy(base, now, carry);
	for (int64_t at = m; at < l->n; at++) {
		char *to = base + (size_t)slot(l, at) * row;
		memcpy(to, l->backward ? in[LOOP_CARRY].p : base, carry);
		memset(to + carry, 0, (size_t)l->Y * row);
	}
}

static ad_fn *fn(ad_var r, int k, int *first)
{
	*first = ad__loop_captured(ad__loop_of(r));
	return k == 0 ? ad__loop_of(r)->body : NULL;
}

static ad_fn *side_fn(ad_var r, int k, int *first)
{
	*first = ad__loop_captured(ad__loop_of(r->in[0]));
	return k == 0 ? (ad_fn *)r->attr.data : NULL;
}

ad_var ad__flat(ad_var x)
{
	int64_t n = ad_numel(x->shape);
	return ad_reshape(x, ad_batched(x) ? AD_SHAPE(AD_BATCH, n) : AD_SHAPE(n));
}

ad_fn *ad__fn_of(int n, const ad_var x[])
{
	ad_tape *t = x[0]->tape;
	for (int i = 1; i < n; i++)
		t = x[i]->tape->depth > t->depth ? x[i]->tape : t;
	return ad_fn_begin(t);
}

static bool fixed(ad_var x, int *left)
{
	while (x->op == &ad__op_capture)
		x = (ad_var)x->attr.data;
	if (!strcmp(x->op->name, "stop") || x->dtype == AD_I32)
		return true;
	if (x->op == &ad__op_input || x->op == &ad__op_arg || --*left < 0)
		return false;
	for (int i = 0; i < x->nin; i++)
		if (!fixed(x->in[i], left))
			return false;
	return true;
}

bool ad__fixed(ad_var x)
{
	int left = 256;
	return fixed(x, &left);
}

/* Numbers at .. at + n - 1 of every sample of a flat array. */
static ad_var part(ad_var x, int64_t at, int64_t n)
{
	return ad_slice(x, ad_batched(x), at, at + n);
}

static ad_var main_result(const ad__loop *l, ad_var r)
{
	int b = ad_batched(r);
	int64_t step = l->C + l->Y;
	ad_var all = part(r, l->C + l->S, l->n * step);
	all = ad_reshape(all, b ? AD_SHAPE(AD_BATCH, l->n, step) : AD_SHAPE(l->n, step));
	return ad_slice(all, b + 1, l->C, step);
}

ad_shape ad__loop_flat(ad_var like, int64_t n)
{
	return ad_batched(like) ? AD_SHAPE(AD_BATCH, n) : AD_SHAPE(n);
}

static const ad_op op_loop = { .name = "scan",
			       .flags = AD__CONTIGUOUS | AD__SIDED,
			       .vjp = ad__loop_vjp,
			       .jvp = ad__loop_jvp,
			       .eval = eval,
			       .fn = fn };
static const ad_op op_side = { .name = "scan_totals", .flags = AD__SIDE | AD__REDUCES, .vjp = ad__loop_side_vjp, .fn = side_fn };

/* What is kept serves a loop that is only a value. */
static ad_var no_tangent(ad_var r, const ad_var v[])
{
	(void)r, (void)v;
	return NULL;
}

static const ad_op op_kept = { .name = "scan_kept", .flags = AD__SIDE, .jvp = no_tangent, .fn = side_fn };

ad_var ad__loop_side(ad_var r, ad_fn *f, ad_var like, int64_t n)
{
	ad_var in[r->nin + 1];
	in[0] = r;
	memcpy(in + 1, r->in, (size_t)r->nin * sizeof *in);
	return ad__push_shaped(NULL, ad_batched(like) ? &op_kept : &op_side, r->nin + 1, in, (ad_attr){ .data = f }, r->dtype,
			       ad__loop_flat(like, n));
}

ad_var ad__loop_node(const ad__loop *l, ad_var carry, const ad_var input[], ad_var count)
{
	ad_tape *t = l->body->outer;
	ad__loop *own = ad__alloc(t, sizeof *own);
	*own = *l;
	int first = ad__loop_captured(l), n = first + l->body->tape->ncapture;
	ad_var in[n];
	in[LOOP_CARRY] = carry;
	in[LOOP_COUNT] = count;
	for (int i = LOOP_SOURCE; i < n; i++)
		in[i] = i < first ? input[i - LOOP_SOURCE] : l->body->tape->outside[i - first];
	return ad__push_shaped(NULL, &op_loop, n, in, (ad_attr){ .data = own }, carry->dtype,
			       ad__loop_flat(carry, l->C + l->S + l->n * (l->C + l->Y)));
}

ad__looped ad__scan(ad__loop l, ad_var carry, ad_var count)
{
	ad_fn *body = l.body;
	ad_tape *t = body->outer;
	ad_var dud = ad_root(t)->dud, input[SCAN_SOURCES];
	ad__looped none = { dud, dud, dud, dud, dud };
	if (ad_error(t))
		return none;
	for (int j = 0; j < l.nsource && j < SCAN_SOURCES; j++)
		input[j] = l.source[j].v;
	l.C = ad_numel(carry->shape);
	int own = 1 + l.kept + l.nsum;
	bool fits = l.nsource == body->narg - 1 && l.nsource <= SCAN_SOURCES && body->nout >= own + l.ntotal;
	for (int o = 0; o < body->nout && fits; o++) {
		int64_t size = ad_numel(body->out[o]->shape);
		fits &= body->out[o]->dtype == carry->dtype &&
			(o >= own || ad_batched(body->out[o]) == ad_batched(carry)) &&
			(o < own || !ad_batched(body->out[o])) && (o || size == l.C);
		l.Y += o && o <= l.kept ? size : 0;
		l.S += o > l.kept && o < own ? size : 0;
		l.P += o >= own && o < own + l.ntotal ? size : 0;
		l.Q += o >= own + l.ntotal ? size : 0;
	}
	if (!fits) {
		ad_fail(t, "ad_scan: the body's results do not fit");
		return none;
	}
	ad_var c = count ? count : ad_full(t, AD_SCALAR, -1),
	       r = ad__loop_node(&l, carry, input, c->dtype == carry->dtype ? c : ad_cast(c, carry->dtype));
	ad__looped res = { .last = part(r, 0, l.C),
			   .y = l.Y ? main_result(&l, r) : NULL,
			   .sums = l.S ? part(r, l.C, l.S) : NULL };
	if (l.P + l.Q) {
		ad_fn *f = ad__alloc(t, sizeof *f);
		*f = *body;
		f->lent = body->nout - own;
		f->adds = true;
		ad_var totals = ad__loop_side(r, f, l.body->out[own], l.P + l.n * l.Q);
		res.totals = l.P ? part(totals, 0, l.P) : NULL;
		res.stack = l.Q ? ad_reshape(part(totals, l.P, l.n * l.Q), AD_SHAPE(l.n, l.Q)) : NULL;
	}
	return res;
}
