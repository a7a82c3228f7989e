/* Traced functions: capture, inlining. */
#include "tape.h"

#include <stdlib.h>
#include <string.h>

static void capture_infer(ad_var r) { (void)r; }
const ad_op ad__op_arg = { .name = "arg", .flags = AD__LEAF, .infer = capture_infer };
const ad_op ad__op_capture = { .name = "capture", .flags = AD__LEAF, .infer = capture_infer };

static int *capture_slot(const ad_tape *t, ad_var x)
{
	uint64_t h = (uint64_t)(uintptr_t)x * 0x9e3779b97f4a7c15u;
	for (uint64_t i = h >> 32;; i++) {
		int *at = &t->capture_at[i % (uint64_t)t->ncapture_at];
		if (!*at || t->outside[*at - 1] == x)
			return at;
	}
}

static void note_capture(ad_tape *t, int number)
{
	if (2 * t->ncapture >= t->ncapture_at) {
		free(t->capture_at);
		t->ncapture_at = 64 > 4 * t->ncapture ? 64 : 4 * t->ncapture;
		t->capture_at = ad__malloc((size_t)t->ncapture_at * sizeof(int));
		for (int i = 0; i < number; i++)
			*capture_slot(t, t->outside[i]) = i + 1;
	}
	*capture_slot(t, t->outside[number]) = number + 1;
}

ad_var ad__see(ad_tape *t, ad_var x)
{
	if (x->tape == t)
		return x;
	if (!t->parent || x->tape->depth >= t->depth)
		return NULL;
	int known = t->ncapture_at ? *capture_slot(t, x) : 0;
	if (known)
		return t->inside[known - 1];
	if (!ad__see(t->parent, x))
		return NULL;
	ad_var in = ad__push_shaped(t, &ad__op_capture, 0, NULL, (ad_attr){ .data = x }, x->dtype, x->shape);
	if (t->ncapture == t->capcapture) {
		t->capcapture = t->capcapture ? 2 * t->capcapture : 16;
		t->outside = realloc(t->outside, (size_t)t->capcapture * sizeof *t->outside);
		t->inside = realloc(t->inside, (size_t)t->capcapture * sizeof *t->inside);
		if (!t->outside || !t->inside)
			abort();
	}
	t->outside[t->ncapture] = x;
	t->inside[t->ncapture++] = in;
	note_capture(t, t->ncapture - 1);
	return in;
}

ad_fn *ad_fn_begin(ad_tape *outer)
{
	ad_fn *f = ad__alloc(outer, sizeof *f);
	ad_tape *t = ad__malloc(sizeof *t);
	t->real = outer->real;
	t->parent = outer;
	t->depth = outer->depth + 1;
	t->path = outer->path;
	*f = (ad_fn){ .outer = outer, .tape = t };
	if (outer->nfn == outer->capfn) {
		outer->capfn = outer->capfn ? 2 * outer->capfn : 8;
		outer->fn = realloc(outer->fn, (size_t)outer->capfn * sizeof(ad_fn *));
		if (!outer->fn)
			abort();
	}
	outer->fn[outer->nfn++] = f;
	return f;
}

ad_tape *ad_fn_tape(ad_fn *f) { return f->tape; }

ad_var ad_fn_arg(ad_fn *f, ad_dtype d, ad_shape s)
{
	ad_var a = ad__push_shaped(f->tape, &ad__op_arg, 0, NULL, (ad_attr){ .i = { f->narg } }, d, s);
	ad_var *all = ad__alloc(f->tape, (size_t)(f->narg + 1) * sizeof *all);
	if (f->narg)
		memcpy(all, f->arg, (size_t)f->narg * sizeof *all);
	all[f->narg++] = a;
	f->arg = all;
	return a;
}

/* Marks what the outputs of f need. */
static char *needed(const ad_fn *f)
{
	const ad_tape *t = f->tape;
	char *live = ad__malloc((size_t)t->n);
	for (int i = 0; i < f->nout; i++)
		live[f->out[i]->id] = 1;
	for (int id = t->n; id-- > 0;)
		for (int k = 0; live[id] && k < t->node[id]->nin; k++)
			live[t->node[id]->in[k]->id] = 1;
	return live;
}

void ad_fn_end(ad_fn *f, int n, const ad_var out[])
{
	f->nout = n;
	f->out = ad__alloc(f->tape, (size_t)n * sizeof *f->out);
	for (int i = 0; i < n; i++) {
		f->out[i] = ad__see(f->tape, out[i]);
		if (!f->out[i]) {
			ad_fail(f->outer, "ad_fn_end: output %d belongs to another tape", i);
			f->out[i] = ad_root(f->tape)->dud;
		}
	}
	if (ad_error(f->tape))
		return;
	if (f->sums)
		return;
	char *live = needed(f);
	for (int i = 0; i < f->tape->n; i++) {
		ad_var x = f->tape->node[i];
		for (int k = 0; k < x->nin && live[i]; k++)
			if (ad_batched(x->in[k]) && !ad_batched(x))
				ad__fail(x, "a traced function may not sum over the batch");
	}
	free(live);
}

void ad__fit_arguments(ad_fn *f, const ad_var given[], ad_var arg[])
{
	for (int i = 0; i < f->narg; i++) {
		arg[i] = ad_broadcast(given[i], f->arg[i]->shape);
		if (given[i]->dtype != f->arg[i]->dtype)
			ad_fail(f->outer, "ad_fn: argument %d has another dtype than declared", i);
	}
}

void ad__inline(ad_fn *f, const ad_var arg[], const ad_var cap[], ad_var out[])
{
	ad_var *map = ad__malloc((size_t)f->tape->n * sizeof *map);
	ad__inline_map(f, arg, cap, out, map);
	free(map);
}

void ad__inline_map(ad_fn *f, const ad_var arg[], const ad_var cap[], ad_var out[], ad_var map[])
{
	ad_tape *t = f->tape;
	ad_var dud = ad_root(t)->dud;
	if (ad_error(t)) {
		for (int i = 0; i < f->nout; i++)
			out[i] = dud;
		return;
	}
	int n = t->n;
	char *live = needed(f);
	for (int i = 0; i < f->narg; i++)
		map[f->arg[i]->id] = arg[i];
	for (int i = 0; i < t->ncapture; i++)
		map[t->inside[i]->id] = cap ? cap[i] : t->outside[i];
	for (int i = 0; i < n; i++) {
		ad_var x = t->node[i];
		if (!live[i] || map[i])
			continue;
		ad_var in[x->nin + 1];
		for (int k = 0; k < x->nin; k++)
			in[k] = map[x->in[k]->id];
		map[i] = ad__clone(x, in);
	}
	for (int i = 0; i < f->nout; i++)
		out[i] = map[f->out[i]->id];
	free(live);
}

void ad_fn_inline(ad_fn *f, const ad_var arg[], ad_var out[])
{
	ad_var fit[f->narg + 1];
	ad__fit_arguments(f, arg, fit);
	ad__inline(f, fit, NULL, out);
}

/* Nodes of f that depend on no argument are made outside; leaves and views are cheap, and stay on both sides. */
typedef struct {
	ad_fn *f, *g;
	ad_var *outer, *inner; /* by node of f: its copy outside g, inside g */
	char *moving;          /* depends on an argument */
} hoist;

static ad_var outside(hoist *h, ad_var x)
{
	if (h->outer[x->id])
		return h->outer[x->id];
	ad_var in[x->nin + 1];
	for (int k = 0; k < x->nin; k++)
		in[k] = outside(h, x->in[k]);
	ad_var r = x->nin ? ad__clone(x, in) : ad__push_shaped(h->f->outer, x->op, 0, NULL, x->attr, x->dtype, x->shape);
	return h->outer[x->id] = r;
}

static ad_var inside(hoist *h, ad_var x)
{
	if (h->inner[x->id])
		return h->inner[x->id];
	bool leaf = x->op->flags & AD__LEAF && x->op != &ad__op_capture, view = x->op->flags & AD__VIEW;
	ad_var r;
	if (leaf) {
		r = ad__push_shaped(h->g->tape, x->op, 0, NULL, x->attr, x->dtype, x->shape);
	} else if (h->moving[x->id] || view) {
		ad_var in[x->nin + 1];
		for (int k = 0; k < x->nin; k++)
			in[k] = inside(h, x->in[k]);
		r = ad__clone(x, in);
	} else {
		r = ad__see(h->g->tape, outside(h, x));
	}
	return h->inner[x->id] = r;
}

ad_fn *ad__hoist(ad_fn *f)
{
	ad_tape *t = f->tape;
	size_t n = (size_t)t->n;
	hoist h = { f, ad_fn_begin(f->outer), ad__malloc(n * sizeof(ad_var)), ad__malloc(n * sizeof(ad_var)), ad__malloc(n) };
	for (int i = 0; i < f->narg; i++) {
		h.inner[f->arg[i]->id] = ad_fn_arg(h.g, f->arg[i]->dtype, f->arg[i]->shape);
		h.moving[f->arg[i]->id] = 1;
	}
	for (int i = 0; i < t->ncapture; i++)
		h.outer[t->inside[i]->id] = t->outside[i];
	for (int i = 0; i < t->n; i++) {
		h.moving[i] |= t->node[i]->op->flags & AD__IMPURE ? 1 : 0;
		for (int k = 0; k < t->node[i]->nin; k++)
			h.moving[i] |= h.moving[t->node[i]->in[k]->id];
	}
	ad_var out[f->nout + 1];
	for (int i = 0; i < f->nout; i++)
		out[i] = inside(&h, f->out[i]);
	ad_fn_end(h.g, f->nout, out);
	free(h.outer);
	free(h.inner);
	free(h.moving);
	return h.g;
}
