/* trace.c - what each tape has asked of the store: inputs to bind, values to take over. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

nn__trace *nn__trace_find(const nn_store *s, ad_tape *t)
{
	const ad_tape *root = ad_root(t);
	for (nn__trace *tr = s->trace; tr; tr = tr->next)
		if (tr->tape == root && tr->serial == ad_serial(root))
			return tr;
	return NULL;
}

static void free_records(nn__records *r)
{
	for (int i = 0; i < r->n; i++)
		free(r->at[i].name);
	free(r->at);
}

void nn__trace_free(nn__trace *tr)
{
	free_records(&tr->uses);
	free_records(&tr->initial);
	free_records(&tr->states);
	free_records(&tr->penalties);
	free_records(&tr->metrics);
	for (int i = 0; i < tr->nafter; i++) {
		free(tr->after[i].path);
		free(tr->after[i].data);
	}
	free(tr->after);
	free(tr->use_of);
	free(tr->called);
	free(tr);
}

/* Drops the trace of t, or of a freed tape that stood at the same address. */
void nn_release(nn_store *s, ad_tape *t)
{
	const ad_tape *root = ad_root(t);
	for (nn__trace **p = &s->trace; *p;) {
		nn__trace *tr = *p;
		if (tr->tape == root) {
			*p = tr->next;
			nn__trace_free(tr);
		} else {
			p = &tr->next;
		}
	}
}

nn__trace *nn__trace_of(nn_store *s, ad_tape *t)
{
	nn__trace *tr = nn__trace_find(s, t);
	if (tr)
		return tr;
	nn_release(s, t);
	tr = nn__alloc(sizeof *tr);
	tr->tape = ad_root(t);
	tr->serial = ad_serial(tr->tape);
	tr->next = s->trace;
	s->trace = tr;
	return tr;
}

nn__record *nn__append(nn__records *r, nn__record x)
{
	r->at = nn__room(r->at, r->n, &r->cap, sizeof *r->at);
	r->at[r->n] = x;
	return &r->at[r->n++];
}

nn__record *nn__use(nn__trace *tr, int entry)
{
	return entry < tr->nuse_of && tr->use_of[entry] ? &tr->uses.at[tr->use_of[entry] - 1] : NULL;
}

nn__record *nn__add_use(nn__trace *tr, int entry)
{
	while (entry >= tr->nuse_of)
		tr->use_of = nn__room(tr->use_of, tr->nuse_of, &tr->nuse_of, sizeof *tr->use_of);
	nn__record *r = nn__append(&tr->uses, (nn__record){ .entry = entry });
	tr->use_of[entry] = tr->uses.n;
	return r;
}

void nn_bind(nn_store *s, ad_tape *t, ad_prog *p)
{
	nn__trace *tr = nn__trace_find(s, t);
	for (int i = 0; tr && i < tr->uses.n; i++)
		if (tr->uses.at[i].leaf)
			ad_bind(p, tr->uses.at[i].leaf, nn__value(s, tr->uses.at[i].entry));
}

int nn_updates(const nn_store *s, ad_tape *t, const char *name[], ad_var v[], int max)
{
	nn__trace *tr = nn__trace_find(s, t);
	for (int i = 0; tr && i < tr->states.n && i < max; i++) {
		name[i] = s->entry[tr->states.at[i].entry].name;
		v[i] = tr->states.at[i].v;
	}
	return tr ? tr->states.n : 0;
}
