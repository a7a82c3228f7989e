/* scan.c - loops: running them, and their derivatives as loops. */
#include "scan.h"

#include <math.h>
#include <string.h>

typedef struct {
	ad_fn *body;
	int64_t n, C, Y, S, P, Q;
	int nsource, nsum, ntotal;
	bool backward, kept;
	ad__source source[SCAN_SOURCES];
} loop;

/* Inputs of the node: carry, count (negative: none), sources, what the body captured. */
enum { IN_CARRY, IN_COUNT, IN_SOURCE };

static const loop *of(ad_var r)
{
	return r->attr.data;
}
static int64_t slot(const loop *l, int64_t k)
{
	return l->C + l->S + k * (l->C + l->Y);
} /* of carry k */
static int captured(const loop *l)
{
	return IN_SOURCE + l->nsource;
}

static int64_t iterations(const loop *l, const ad__arr *count, ad__ctx *c)
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

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const loop *l = of(r);
	int64_t w = out->lane ? c->width : 1, m = iterations(l, &in[IN_COUNT], c);
	size_t size = ad__size(r->dtype), row = (size_t)w * size, carry = (size_t)l->C * row;
	char *base = out->p, *sums = base + carry, *side = c->nout > 1 ? out[1].p : NULL;
	bool adding = c->accumulate;
	const ad__kernels *k = c->k[r->dtype];
	memset(sums, 0, (size_t)l->S * row);
	if (side && !adding)
		memset(side, 0, (size_t)(l->P + l->n * l->Q) * size);
	ad__sub_bind(c, 0, in);
	const char *now = in[IN_CARRY].p;
	for (int64_t i = 0; i < m; i++) {
		int64_t at = l->backward ? m - 1 - i : i;
		char *to = base + (size_t)slot(l, at) * row;
		memcpy(to, now, carry);
		void *arg[1 + SCAN_SOURCES];
		arg[0] = to;
		for (int j = 0; j < l->nsource; j++)
			arg[1 + j] = in[IN_SOURCE + j].p + (size_t)(l->source[j].at + at * l->source[j].stride) * size *
								   (size_t)(in[IN_SOURCE + j].lane ? w : 1);
		ad__arr res[l->body->nout];
		if (!ad__sub_run(c, 0, arg, res))
			return;
		now = res[0].p;
		int o = 1;
		if (l->kept)
			memcpy(to + carry, res[o++].p, (size_t)l->Y * row);
		char *s = sums, *p = side, *q = side ? side + (size_t)(l->P + at * l->Q) * size : NULL;
		for (int j = 0; j < l->nsum; j++, o++) {
			int64_t n = ad__rows(l->body->out[o]);
			k->add(n * w, s, res[o].p);
			s += (size_t)n * row;
		}
		for (int j = 0; o < l->body->nout && side; j++, o++) {
			int64_t n = ad__rows(l->body->out[o]);
			char **to_side = j < l->ntotal ? &p : &q;
			k->add(n, *to_side, res[o].p);
			*to_side += (size_t)n * size;
		}
	}
	if (now != base)
		memcpy(base, now, carry);
	for (int64_t at = m; at < l->n; at++) {
		char *to = base + (size_t)slot(l, at) * row;
		memcpy(to, l->backward ? in[IN_CARRY].p : base, carry);
		memset(to + carry, 0, (size_t)l->Y * row);
	}
}

static ad_fn *fn(ad_var r, int k, int *first)
{
	*first = captured(of(r));
	return k == 0 ? of(r)->body : NULL;
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

/* The transpose of taking the elements of source s: from [.., n, len] to s.v's shape. */
static ad_var spread(const ad__source *s, int64_t n, ad_var x)
{
	int b = ad_batched(x);
	int64_t whole = ad_numel(s->v->shape), room = s->at + n * s->stride;
	x = s->stride > s->len ? ad_pad(x, b + 1, 0, s->stride - s->len, 0) : x;
	x = ad_reshape(x, b ? AD_SHAPE(AD_BATCH, n * s->stride) : AD_SHAPE(n * s->stride));
	if (room > whole)
		x = part(x, 0, whole - s->at);
	else if (room < whole)
		x = ad_pad(x, b, 0, whole - room, 0);
	return s->at ? ad_pad(x, b, s->at, 0, 0) : x;
}

static ad_var main_result(const loop *l, ad_var r)
{
	int b = ad_batched(r);
	int64_t step = l->C + l->Y;
	ad_var all = part(r, l->C + l->S, l->n * step);
	all = ad_reshape(all, b ? AD_SHAPE(AD_BATCH, l->n, step) : AD_SHAPE(l->n, step));
	return ad_slice(all, b + 1, l->C, step);
}

/* The body traced once more in f, on arguments of f and aliases of what it captured. */
typedef struct {
	ad_var carry, arg[1 + SCAN_SOURCES], *cap, *out;
	int ncap;
} copy;

static copy body_in(ad_fn *f, ad_var r)
{
	const loop *l = of(r);
	ad_tape *t = r->tape;
	copy c = { .ncap = r->nin - captured(l) };
	c.cap = ad__alloc(t, (size_t)(c.ncap + 1) * sizeof *c.cap);
	c.out = ad__alloc(t, (size_t)l->body->nout * sizeof *c.out);
	for (int i = 0; i < c.ncap; i++)
		c.cap[i] = ad__alias(r->in[captured(l) + i]);
	c.carry = ad_fn_arg(f, r->dtype, l->body->arg[0]->shape);
	for (int j = 0; j <= l->nsource; j++)
		c.arg[j] = ad_fn_arg(f, r->dtype, l->body->arg[j]->shape);
	ad__inline(l->body, c.arg, c.cap, c.out);
	return c;
}

/* Sources of a derivative's loop: the carries of r, then r's own. */
static int sources_of(ad_var r, ad__source s[])
{
	const loop *l = of(r);
	s[0] = (ad__source){ r, l->C + l->S, l->C + l->Y, l->C };
	for (int j = 0; j < l->nsource; j++) {
		s[1 + j] = l->source[j];
		s[1 + j].v = r->in[IN_SOURCE + j];
	}
	return 1 + l->nsource;
}

static ad_shape flat_shape(ad_var like, int64_t n)
{
	return ad_batched(like) ? AD_SHAPE(AD_BATCH, n) : AD_SHAPE(n);
}

static ad_var append(ad_fn *f, ad__source s[], int *n, ad__source more)
{
	if (*n < SCAN_SOURCES) {
		s[(*n)++] = more;
		return ad_fn_arg(f, more.v->dtype, flat_shape(more.v, more.len));
	}
	ad_fail(f->outer, "ad_scan: too many sources");
	return ad_root(f->outer)->dud;
}

static ad_var zero_or(ad_var x, ad_shape s, ad_tape *t, ad_dtype d)
{
	if (x)
		return ad_broadcast(ad__flat(x), s);
	ad_var z = ad_full(t, s, 0);
	return z->dtype == d ? z : ad_cast(z, d);
}

static ad_var join(int n, const ad_var x[])
{
	return n == 1 ? x[0] : ad_concat(ad_batched(x[0]), n, x);
}

/* Cotangents of r's inputs from those of r (g) and of its side result (u); either may be NULL. */
static void pull(ad_var r, ad_var g, ad_var u, ad_var gin[])
{
	const loop *l = of(r);
	int b = ad_batched(r), first = captured(l), nout = l->body->nout, n = 0, ny = 0, at = 0, nx = 1;
	ad_var all[r->nin + 3];
	all[n++] = r;
	for (int i = 0; i < r->nin; i++)
		all[n++] = r->in[i];
	if (g)
		all[n++] = g;
	if (u)
		all[n++] = u;
	ad_fn *f = ad__fn_of(n, all);
	f->sums = true;
	copy c = body_in(f, r);
	ad__source s[SCAN_SOURCES];
	int ns = sources_of(r, s);
	ad_var slots = g ? append(f, s, &ns, (ad__source){ g, l->C + l->S, l->C + l->Y, l->C + l->Y }) : NULL;
	ad_var stack = u && l->Q ? append(f, s, &ns, (ad__source){ u, l->P, l->Q, l->Q }) : NULL;
	if (ad_error(r->tape))
		return;
	/* Results and their cotangents. */
	ad_var y[nout], gy[nout];
	y[ny] = c.out[at++], gy[ny++] = c.carry;
	if (l->kept) {
		if (g)
			y[ny] = c.out[at], gy[ny++] = part(slots, l->C, l->Y);
		at++;
	}
	int64_t from = l->C, from_q = 0;
	for (int j = 0; at < nout; j++, at++) {
		ad_var o = c.out[at];
		int64_t size = ad_numel(o->shape);
		ad_var cot = NULL;
		if (j < l->nsum)
			cot = g ? part(g, from, size) : NULL, from += size;
		else if (j < l->nsum + l->ntotal)
			cot = u ? part(u, from - l->C - l->S, size) : NULL, from += size;
		else
			cot = stack ? part(stack, from_q, size) : NULL, from_q += size;
		if (cot)
			y[ny] = o, gy[ny++] = ad_reshape(cot, o->shape);
	}
	/* Derivatives wanted. */
	ad_var x[1 + l->nsource + c.ncap], gx[1 + l->nsource + c.ncap];
	int who[1 + l->nsource + c.ncap];
	x[0] = c.arg[0];
	for (int i = IN_SOURCE; i < r->nin; i++)
		if (!ad__fixed(r->in[i])) {
			who[nx] = i;
			x[nx++] = i < first ? c.arg[1 + i - IN_SOURCE] : c.cap[i - first];
		}
	ad__vjp_cut(ny, y, gy, nx, x, gx);
	/* Sorted into what is kept, summed, totalled and stacked. */
	enum { KEPT, SUM, TOTAL, STACK };
	ad_var of_class[4][nx], out[1 + 4 * nx];
	int count[4] = { 0 }, class[nx], nr = 0;
	for (int i = 1; i < nx; i++) {
		if (!gx[i])
			continue;
		bool own = ad_batched(r->in[who[i]]) == b;
		class[i] = who[i] < first ? (own ? KEPT : STACK) : own ? SUM : TOTAL;
		of_class[class[i]][count[class[i]]++] = ad__flat(gx[i]);
	}
	ad_shape carry = flat_shape(r, l->C);
	out[nr] = zero_or(gx[0], carry, f->tape, r->dtype);
	if (g)
		out[nr] = ad_add(out[nr], part(slots, 0, l->C));
	nr++;
	if (count[KEPT])
		out[nr++] = join(count[KEPT], of_class[KEPT]);
	for (int k = SUM; k <= STACK; k++)
		for (int i = 0; i < count[k]; i++)
			out[nr++] = of_class[k][i];
	ad_fn_end(f, nr, out);
	ad_var start = g ? part(g, 0, l->C) : zero_or(NULL, carry, f->outer, r->dtype);
	ad__looped back = ad__scan(f, start, ns, s, r->in[IN_COUNT], l->n, !l->backward, count[KEPT] > 0, count[SUM],
				   count[TOTAL]);
	gin[IN_CARRY] = back.last;
	int64_t used[4] = { 0 };
	ad_var whole[] = { back.y, back.sums, back.totals, back.stack };
	for (int i = 1; i < nx && !ad_error(r->tape); i++) {
		if (!gx[i])
			continue;
		int k = class[i];
		int64_t size = ad_numel(gx[i]->shape);
		ad_var v = whole[k];
		v = ad_slice(v, ad_rank(v) - 1, used[k], used[k] + size);
		used[k] += size;
		gin[who[i]] = who[i] < first ? spread(&s[1 + who[i] - IN_SOURCE], l->n, v) : v;
		gin[who[i]] = ad_reshape(gin[who[i]], r->in[who[i]]->shape);
	}
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	pull(r, g, NULL, gin);
}

static void side_vjp(ad_var r, ad_var g, ad_var gin[])
{
	pull(r->in[0], NULL, g, gin + 1);
}

static ad_var node(const loop *l, ad_var carry, const ad_var input[], ad_var count);

/* A loop over tangents beside r's carries. */
static ad_var jvp(ad_var r, const ad_var v[])
{
	const loop *l = of(r);
	int first = captured(l), nout = 1 + l->kept + l->nsum, n = 0, nx = 1;
	ad_var all[2 * r->nin + 1];
	all[n++] = r;
	for (int i = 0; i < r->nin; i++) {
		all[n++] = r->in[i];
		if (v[i])
			all[n++] = v[i];
	}
	ad_fn *f = ad__fn_of(n, all);
	copy c = body_in(f, r);
	ad__source s[SCAN_SOURCES];
	int ns = sources_of(r, s);
	ad_var x[r->nin], t[r->nin], d[nout], out[nout];
	x[0] = c.arg[0];
	t[0] = c.carry;
	for (int i = IN_SOURCE; i < r->nin; i++) {
		if (!v[i])
			continue;
		x[nx] = i < first ? c.arg[1 + i - IN_SOURCE] : c.cap[i - first];
		ad__source moved = i < first ? l->source[i - IN_SOURCE] : (ad__source){ 0 };
		moved.v = v[i];
		t[nx++] = i < first ? append(f, s, &ns, moved) : v[i];
	}
	if (ad_error(r->tape))
		return NULL;
	ad__jvp_cut(nout, c.out, nx, x, t, d);
	for (int i = 0; i < nout; i++)
		out[i] = zero_or(d[i], flat_shape(r, ad_numel(c.out[i]->shape)), f->tape, r->dtype);
	ad_fn_end(f, nout, out);
	ad_var start = v[IN_CARRY] ? v[IN_CARRY] : ad_full_like(r->in[IN_CARRY], 0);
	ad_var input[SCAN_SOURCES];
	loop tangent = { .body = f,
			 .n = l->n,
			 .C = l->C,
			 .Y = l->Y,
			 .S = l->S,
			 .nsource = ns,
			 .nsum = l->nsum,
			 .backward = l->backward,
			 .kept = l->kept };
	for (int j = 0; j < ns; j++) {
		tangent.source[j] = s[j];
		input[j] = s[j].v;
	}
	return node(&tangent, start, input, r->in[IN_COUNT]);
}

static const ad_op op_loop = {
	.name = "scan", .flags = AD__CONTIGUOUS | AD__SIDED, .vjp = vjp, .jvp = jvp, .eval = eval, .fn = fn
};
static const ad_op op_side = { .name = "scan_totals", .flags = AD__SIDE | AD__REDUCES, .vjp = side_vjp };

static ad_var node(const loop *l, ad_var carry, const ad_var input[], ad_var count)
{
	ad_tape *t = l->body->outer;
	loop *own = ad__alloc(t, sizeof *own);
	*own = *l;
	int first = captured(l), n = first + l->body->tape->ncapture;
	ad_var in[n];
	in[IN_CARRY] = carry;
	in[IN_COUNT] = count;
	for (int i = IN_SOURCE; i < n; i++)
		in[i] = i < first ? input[i - IN_SOURCE] : l->body->tape->outside[i - first];
	return ad__push_shaped(NULL, &op_loop, n, in, (ad_attr){ .data = own }, carry->dtype,
			       flat_shape(carry, l->C + l->S + l->n * (l->C + l->Y)));
}

ad__looped ad__scan(ad_fn *body, ad_var carry, int nsource, const ad__source source[], ad_var count, int64_t n,
		    bool backward, bool kept, int nsum, int ntotal)
{
	ad_tape *t = body->outer;
	ad_var dud = ad_root(t)->dud, input[SCAN_SOURCES];
	ad__looped none = { dud, dud, dud, dud, dud };
	if (ad_error(t))
		return none;
	loop l = { .body = body,
		   .n = n,
		   .nsource = nsource,
		   .nsum = nsum,
		   .ntotal = ntotal,
		   .backward = backward,
		   .kept = kept };
	for (int j = 0; j < nsource; j++) {
		l.source[j] = source[j];
		input[j] = source[j].v;
	}
	l.C = ad_numel(carry->shape);
	bool fits = nsource == body->narg - 1 && nsource <= SCAN_SOURCES && body->nout > kept + nsum + ntotal;
	for (int o = 0; o < body->nout && fits; o++) {
		int64_t size = ad_numel(body->out[o]->shape);
		bool own = o <= kept + nsum;
		fits &= body->out[o]->dtype == carry->dtype &&
			(!own || ad_batched(body->out[o]) == ad_batched(carry)) && (own || !ad_batched(body->out[o])) &&
			(o || size == l.C);
		l.Y += o && o <= kept ? size : 0;
		l.S += o > kept && o <= kept + nsum ? size : 0;
		l.P += o > kept + nsum && o <= kept + nsum + ntotal ? size : 0;
		l.Q += o > kept + nsum + ntotal ? size : 0;
	}
	if (!fits) {
		ad_fail(t, "ad_scan: the body's results do not fit");
		return none;
	}
	ad_var c = count ? count : ad_full(t, AD_SCALAR, -1),
	       r = node(&l, carry, input, c->dtype == carry->dtype ? c : ad_cast(c, carry->dtype));
	ad__looped res = { .last = part(r, 0, l.C),
			   .y = l.Y ? main_result(&l, r) : NULL,
			   .sums = l.S ? part(r, l.C, l.S) : NULL };
	if (l.P + l.Q) {
		ad_var in[r->nin + 1];
		in[0] = r;
		memcpy(in + 1, r->in, (size_t)r->nin * sizeof *in);
		ad_var side = ad__push_shaped(NULL, &op_side, r->nin + 1, in, (ad_attr){ 0 }, r->dtype,
					      AD_SHAPE(l.P + n * l.Q));
		res.totals = l.P ? part(side, 0, l.P) : NULL;
		res.stack = l.Q ? ad_reshape(part(side, l.P, n * l.Q), AD_SHAPE(n, l.Q)) : NULL;
	}
	return res;
}
