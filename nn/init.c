/* init.c - data-dependent initial values: the loss is traced once more with each parameter that has no value replaced
 * by what it shall start as, and run on the first batch. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool pending(const nn_trainer *tr, const nn__task *k, const char **name)
{
	const nn__trace *trace = nn__trace_find(tr->store, k->p.tape);
	for (int i = 0; i < trace->uses.n; i++) {
		const nn__entry *e = &tr->store->entry[trace->uses.at[i].entry];
		*name = e->name;
		if (!e->ready)
			return true;
	}
	return false;
}

static bool finite_values(const nn_store *s, const void *v, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(s->dtype == AD_F64 ? ((const double *)v)[i] : (double)((const float *)v)[i]))
			return false;
	return true;
}

static void take_values(nn_store *s, const nn__records *initial, const ad_prog *p)
{
	for (int i = 0; i < initial->n; i++) {
		const nn__entry *e = &s->entry[initial->at[i].entry];
		if (!finite_values(s, ad_result(p, i), e->numel))
			nn_fail(s, "the initial value of \"%s\" from the first batch is not finite", e->name);
	}
	for (int i = 0; !nn_error(s) && i < initial->n; i++) {
		int k = initial->at[i].entry;
		memcpy(nn__value(s, k), ad_result(p, i), (size_t)s->entry[k].numel * nn__size(s));
		s->entry[k].ready = true;
	}
}

static void run(nn_trainer *tr, nn__task *k, ad_tape *t, int64_t samples, const void *const data[])
{
	nn_store *s = tr->store;
	ad_var input[4];
	nn__trace_loss(tr, k, t, NN_INIT, input);
	const nn__records *initial = &nn__trace_of(s, t)->initial;
	ad_var *out = nn__alloc((size_t)initial->n * sizeof *out);
	for (int i = 0; i < initial->n; i++)
		out[i] = initial->at[i].v;
	ad_prog *p = ad_error(t) || !initial->n ? NULL : ad_compile(t, initial->n, out, tr->o.run);
	free(out);
	if (ad_error(t))
		nn_fail(s, "initialisation: %s", ad_error(t));
	if (!p)
		return;
	nn_bind(s, t, p);
	ad_set_seed(p, nn__task_seed(tr, k));
	ad_set_batch(p, samples);
	for (int i = 0; i < tr->o.inputs; i++)
		ad_bind(p, input[i], data[i]);
	if (ad_run(p, (uint64_t)k->calls))
		nn_fail(s, "initialisation: %s", ad_run_error(p));
	else
		take_values(s, initial, p);
	ad_prog_free(p);
}

bool nn__initialise(nn_trainer *tr, nn__task *k, int64_t samples, const void *const data[])
{
	nn_store *s = tr->store;
	const char *name;
	if (!pending(tr, k, &name))
		return true;
	ad_tape *t = ad_tape_new(s->dtype);
	run(tr, k, t, samples, data);
	nn_release(s, t);
	ad_tape_free(t);
	if (!nn_error(s) && pending(tr, k, &name))
		nn_fail(s, "parameter \"%s\" has no value yet, and this task's loss does not initialise it", name);
	return !nn_error(s);
}
