/* scan_keep.c - what a loop keeps for its derivative: results of products, which the derivative's body would make again. */
#include "loop.h"

#include <stdlib.h>
#include <string.h>

enum { DEAR = 100, ROOM = 128 << 10 }; /* flop a number, from which on it is kept; bytes a sample, at most */

typedef struct {
	ad_var r;
	ad_fn *f, *g; /* the derivative's body, and the one that has what is kept as its last argument */
	ad_var *was;  /* by node of f: the node of r's body that it stands for, or NULL */
	char *wanted, *keep;
	ad_var *reader; /* the only one, or NULL */
	int *readers;
	ad_var *copy;
	int64_t *at, len;
} keeping;

static int made_of(ad_var x)
{
	return x->op->flags & AD__VIEW ? 1 : x->nin;
}

static bool dear(ad_var x)
{
	return ad_batched(x) && (x->op->fn || (x->op->flops && x->op->flops(x) >= DEAR * (double)ad__rows(x)));
}

static ad_var behind_views(ad_var x)
{
	while (x->op->flags & AD__VIEW)
		x = x->in[0];
	return x;
}

/* What is needed where nothing that is kept is made.  choose: what is dear is kept. */
static void mark(keeping *k, int nout, const ad_var out[], bool choose)
{
	int n = k->f->tape->n;
	memset(k->wanted, 0, (size_t)n);
	memset(k->readers, 0, (size_t)n * sizeof *k->readers);
	for (int i = 0; i < nout; i++) {
		k->wanted[out[i]->id] = 1;
		k->readers[behind_views(out[i])->id] += 2;
	}
	for (int id = n; id-- > 0;) {
		ad_var x = k->f->tape->node[id];
		if (!k->wanted[id]) {
			k->keep[id] = 0;
			continue;
		}
		if (choose)
			k->keep[id] = k->was[id] && dear(x);
		for (int i = 0; i < made_of(x) && !k->keep[id]; i++) {
			ad_var from = behind_views(x->in[i]);
			k->wanted[x->in[i]->id] = 1;
			k->readers[from->id] += !(x->op->flags & AD__VIEW);
			k->reader[from->id] = x;
		}
	}
}

/* If all that is made of a kept array is another one of its size, that is kept instead. */
static void move_on(keeping *k)
{
	for (int id = 0; id < k->f->tape->n; id++) {
		ad_var x = k->f->tape->node[id], y = k->reader[id];
		if (!k->keep[id] || k->readers[id] != 1 || !k->was[y->id] || !(y->op->flags & AD__ELEMENTWISE) ||
		    ad__rows(y) != ad__rows(x))
			continue;
		k->keep[id] = 0;
		k->keep[y->id] = 1;
	}
}

static ad_var again(keeping *k, ad_var x);

static ad_var copy_of(keeping *k, ad_var x)
{
	ad_tape *t = k->g->tape;
	if (x->op == &ad__op_capture)
		return ad__see(t, (ad_var)x->attr.data);
	if (k->keep[x->id]) {
		ad_var all = k->g->arg[k->g->narg - 1];
		return ad_reshape(ad_slice(all, 1, k->at[x->id], k->at[x->id] + ad__rows(x)), x->shape);
	}
	ad_var in[x->nin + 1];
	for (int i = 0; i < made_of(x); i++)
		in[i] = again(k, x->in[i]);
	const char *old = t->path;
	t->path = x->path;
	ad_var y = ad__push_shaped(t, x->op, made_of(x), in, x->attr, x->dtype, x->shape);
	t->path = old;
	return y;
}

static ad_var again(keeping *k, ad_var x)
{
	if (!k->copy[x->id])
		k->copy[x->id] = copy_of(k, x);
	return k->copy[x->id];
}

/* What is made again is made where it is first read, so that it lives shortly. */
static void copy_body(keeping *k)
{
	ad_fn *f = k->f;
	ad_var out[f->nout];
	k->g = ad_fn_begin(f->outer);
	k->g->sums = true;
	for (int i = 0; i < f->narg; i++)
		k->copy[f->arg[i]->id] = ad_fn_arg(k->g, f->arg[i]->dtype, f->arg[i]->shape);
	ad_fn_arg(k->g, k->r->dtype, AD_SHAPE(AD_BATCH, k->len));
	for (int id = 0; id < f->tape->n; id++)
		if (k->wanted[id] && !k->was[id])
			again(k, f->tape->node[id]);
	for (int i = 0; i < f->nout; i++)
		out[i] = again(k, f->out[i]);
	ad_fn_end(k->g, f->nout, out);
}

/* r's body with what is kept as further results. */
static ad_var kept_of(keeping *k)
{
	const ad__loop *l = ad__loop_of(k->r);
	ad_fn *f = ad__alloc(k->r->tape, sizeof *f);
	*f = *l->body;
	f->out = ad__alloc(k->r->tape, (size_t)(f->nout + k->f->tape->n) * sizeof *f->out);
	memcpy(f->out, l->body->out, (size_t)f->nout * sizeof *f->out);
	for (int id = 0; id < k->f->tape->n; id++)
		if (k->keep[id])
			f->out[f->nout++] = k->was[id];
	f->lent = f->nout - l->body->nout;
	return ad__loop_side(k->r, f, k->r, l->n * k->len);
}

static bool has_side(ad_var r)
{
	for (int id = r->id + 1; id < r->tape->n; id++)
		if (r->tape->node[id]->op->flags & AD__SIDE && r->tape->node[id]->in[0] == r)
			return true;
	return false;
}

ad_fn *ad__loop_keep(ad_var r, ad_fn *f, const ad_var map[], ad_var *side, int64_t *len)
{
	const ad__loop *l = ad__loop_of(r);
	if (!l->keeps || !ad_batched(r) || has_side(r) || ad_error(r->tape))
		return NULL;
	size_t n = (size_t)f->tape->n;
	keeping k = { .r = r, .f = f };
	k.was = ad__malloc(n * sizeof *k.was);
	k.wanted = ad__malloc(n);
	k.keep = ad__malloc(n);
	k.reader = ad__malloc(n * sizeof *k.reader);
	k.readers = ad__malloc(n * sizeof *k.readers);
	k.copy = ad__malloc(n * sizeof *k.copy);
	k.at = ad__malloc(n * sizeof *k.at);
	for (int i = 0; i < l->body->tape->n; i++)
		if (map[i] && map[i]->tape == f->tape && !(map[i]->op->flags & AD__LEAF))
			k.was[map[i]->id] = l->body->tape->node[i];
	mark(&k, f->nout, f->out, true);
	move_on(&k);
	mark(&k, f->nout, f->out, false);
	for (size_t id = 0; id < n; id++)
		if (k.keep[id]) {
			k.at[id] = k.len;
			k.len += ad__rows(f->tape->node[id]);
		}
	if (k.len && (double)(l->n * k.len) * (double)ad__size(r->dtype) <= ROOM) {
		copy_body(&k);
		*side = kept_of(&k);
		*len = k.len;
	}
	void *own[] = { k.was, k.wanted, k.keep, k.reader, k.readers, k.copy, k.at };
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		free(own[i]);
	return k.g;
}

/* --- The value of one, the derivatives of another ------------------------------------------------------------- */

static bool same_place(ad_var r, ad__arr *a)
{
	(void)r, (void)a;
	return true;
}

static void value_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	gin[1] = g;
}

static ad_var value_jvp(ad_var r, const ad_var v[])
{
	(void)r;
	return v[1];
}

static const ad_op op_value = {
	.name = "value_of", .flags = AD__VIEW, .vjp = value_vjp, .jvp = value_jvp, .view = same_place
};

ad_var ad__loop_value(ad_var a, ad_var b)
{
	return a && b ? ad__push_shaped(NULL, &op_value, 2, (ad_var[]){ a, b }, (ad_attr){ 0 }, b->dtype, b->shape) : b;
}
