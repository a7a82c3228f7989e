/* after.c - state that layers compute from updated weights: recorded while tracing, traced again for a program of its
 * own. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

void nn_after_step(nn c, void (*f)(nn c, const void *data), const void *data, size_t bytes)
{
	if (ad_error(c.tape))
		return;
	nn__trace *tr = nn__trace_of(c.store, c.tape);
	for (int i = 0; i < tr->nafter; i++)
		if (tr->after[i].f == f && !strcmp(tr->after[i].path, c.path))
			return;
	tr->after = nn__room(tr->after, tr->nafter, &tr->capafter, sizeof *tr->after);
	nn__after *a = &tr->after[tr->nafter++];
	a->f = f;
	a->path = strdup(c.path);
	a->data = nn__alloc(bytes);
	memcpy(a->data, data, bytes);
}

void nn__trace_after(nn_store *s, const nn__trace *from, ad_tape *t)
{
	nn c = nn_begin(t, s, NN_TRAIN);
	nn__trace *to = nn__trace_of(s, t);
	for (int i = 0; i < from->nafter; i++) {
		const nn__after *a = &from->after[i];
		snprintf(c.path, sizeof c.path, "%s", a->path);
		int known = to->nafter;
		nn_after_step(c, a->f, a->data, 0); /* marks it as done, for layers that several losses share */
		if (to->nafter > known)
			a->f(c, a->data);
	}
}

bool nn_refresh(nn_store *s, ad_tape *traced)
{
	nn__trace *from = nn__trace_find(s, traced);
	if (!from || !from->nafter)
		return true;
	ad_tape *t = ad_tape_new(s->dtype);
	nn__trace_of(s, t)->deferred = true;
	nn__trace_after(s, nn__trace_find(s, traced), t);
	nn__records *r = &nn__trace_of(s, t)->states;
	ad_var *out = nn__alloc((size_t)(r->n + 1) * sizeof *out);
	for (int i = 0; i < r->n; i++)
		out[i] = r->at[i].v;
	ad_prog *p = ad_error(t) ? NULL : ad_compile(t, r->n, out, (ad_options){ .threads = 1 });
	if (p)
		nn_bind(s, t, p);
	bool ok = p && !ad_run(p, 0);
	if (!ok)
		nn_fail(s, "nn_refresh: %s", p ? ad_run_error(p) : ad_error(t));
	for (int i = 0; ok && i < r->n; i++)
		memcpy(nn__value(s, r->at[i].entry), ad_result(p, i),
		       (size_t)s->entry[r->at[i].entry].numel * nn__size(s));
	free(out);
	if (p)
		ad_prog_free(p);
	nn_release(s, t);
	ad_tape_free(t);
	return ok;
}
