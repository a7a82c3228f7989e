/* scan_grad.c - the derivative of a loop: a loop the other way over the derivative of its body; or, of tangents, beside it. */
#include "loop.h"

#include <string.h>

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

/* The body traced once more in f, on arguments of f and aliases of what it captured. */
typedef struct {
	ad_var carry, arg[1 + SCAN_SOURCES], *cap, *out, *map;
	int ncap;
} copy;

static copy body_in(ad_fn *f, ad_var r)
{
	const ad__loop *l = ad__loop_of(r);
	ad_tape *t = r->tape;
	copy c = { .ncap = r->nin - ad__loop_captured(l) };
	c.cap = ad__alloc(t, (size_t)(c.ncap + 1) * sizeof *c.cap);
	c.out = ad__alloc(t, (size_t)l->body->nout * sizeof *c.out);
	c.map = ad__alloc(t, (size_t)l->body->tape->n * sizeof *c.map);
	for (int i = 0; i < c.ncap; i++)
		c.cap[i] = ad__alias(r->in[ad__loop_captured(l) + i]);
	c.carry = ad_fn_arg(f, r->dtype, l->body->arg[0]->shape);
	for (int j = 0; j <= l->nsource; j++)
		c.arg[j] = ad_fn_arg(f, r->dtype, l->body->arg[j]->shape);
	ad__inline_map(l->body, c.arg, c.cap, c.out, c.map);
	return c;
}

/* Sources of a derivative's loop: the carries of r, then r's own. */
static int sources_of(ad_var r, ad__source s[])
{
	const ad__loop *l = ad__loop_of(r);
	s[0] = (ad__source){ r, l->C + l->S, l->C + l->Y, l->C };
	for (int j = 0; j < l->nsource; j++) {
		s[1 + j] = l->source[j];
		s[1 + j].v = r->in[LOOP_SOURCE + j];
	}
	return 1 + l->nsource;
}

static ad_var append(ad_fn *f, ad__source s[], int *n, ad__source more)
{
	if (*n < SCAN_SOURCES) {
		s[(*n)++] = more;
		return ad_fn_arg(f, more.v->dtype, ad__loop_flat(more.v, more.len));
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

/* If r can keep what the body of its derivative `loop` makes again, that is computed by a loop that reads it. */
static void read_kept(ad_var r, ad__loop loop, const ad_var map[], ad_var start, ad__looped *plain)
{
	ad_var side;
	int64_t len;
	ad_fn *f = loop.nsource < SCAN_SOURCES ? ad__loop_keep(r, loop.body, map, &side, &len) : NULL;
	if (!f || ad_error(r->tape))
		return;
	loop.body = f;
	loop.source[loop.nsource++] = (ad__source){ side, 0, len, len };
	loop.value = true;
	ad__looped fast = ad__scan(loop, start, r->in[LOOP_COUNT]);
	plain->last = ad__loop_value(fast.last, plain->last);
	plain->y = ad__loop_value(fast.y, plain->y);
	plain->sums = ad__loop_value(fast.sums, plain->sums);
	plain->totals = ad__loop_value(fast.totals, plain->totals);
	plain->stack = ad__loop_value(fast.stack, plain->stack);
}

/* Cotangents of r's inputs from those of r (g) and of its side result (u); either may be NULL. */
static void pull(ad_var r, ad_var g, ad_var u, ad_var gin[])
{
	const ad__loop *l = ad__loop_of(r);
	int b = ad_batched(r), first = ad__loop_captured(l), nout = l->body->nout, n = 0, ny = 0, at = 0, nx = 1;
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
	for (int i = LOOP_SOURCE; i < r->nin; i++)
		if (!ad__fixed(r->in[i])) {
			who[nx] = i;
			x[nx++] = i < first ? c.arg[1 + i - LOOP_SOURCE] : c.cap[i - first];
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
	ad_shape carry = ad__loop_flat(r, l->C);
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
	ad__loop back_loop = { .body = f,
			       .n = l->n,
			       .nsource = ns,
			       .nsum = count[SUM],
			       .ntotal = count[TOTAL],
			       .backward = !l->backward,
			       .kept = count[KEPT] > 0 };
	memcpy(back_loop.source, s, sizeof s);
	ad__looped back = ad__scan(back_loop, start, r->in[LOOP_COUNT]);
	if (!u)
		read_kept(r, back_loop, c.map, start, &back);
	gin[LOOP_CARRY] = back.last;
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
		gin[who[i]] = who[i] < first ? spread(&s[1 + who[i] - LOOP_SOURCE], l->n, v) : v;
		gin[who[i]] = ad_reshape(gin[who[i]], r->in[who[i]]->shape);
	}
}

void ad__loop_vjp(ad_var r, ad_var g, ad_var gin[])
{
	pull(r, g, NULL, gin);
}

void ad__loop_side_vjp(ad_var r, ad_var g, ad_var gin[])
{
	pull(r->in[0], NULL, g, gin + 1);
}

/* A loop over tangents beside r's carries. */
ad_var ad__loop_jvp(ad_var r, const ad_var v[])
{
	const ad__loop *l = ad__loop_of(r);
	if (l->value)
		return NULL;
	int first = ad__loop_captured(l), nout = 1 + l->kept + l->nsum, n = 0, nx = 1;
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
	for (int i = LOOP_SOURCE; i < r->nin; i++) {
		if (!v[i])
			continue;
		x[nx] = i < first ? c.arg[1 + i - LOOP_SOURCE] : c.cap[i - first];
		ad__source moved = i < first ? l->source[i - LOOP_SOURCE] : (ad__source){ 0 };
		moved.v = v[i];
		t[nx++] = i < first ? append(f, s, &ns, moved) : v[i];
	}
	if (ad_error(r->tape))
		return NULL;
	ad__jvp_cut(nout, c.out, nx, x, t, d);
	for (int i = 0; i < nout; i++)
		out[i] = zero_or(d[i], ad__loop_flat(r, ad_numel(c.out[i]->shape)), f->tape, r->dtype);
	ad_fn_end(f, nout, out);
	ad_var start = v[LOOP_CARRY] ? v[LOOP_CARRY] : ad_full_like(r->in[LOOP_CARRY], 0);
	ad_var input[SCAN_SOURCES];
	ad__loop tangent = { .body = f,
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
	return ad__loop_node(&tangent, start, input, r->in[LOOP_COUNT]);
}

