/* trainer.c - makes the programs of a trainer: loss, penalties, states and gradients in one. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ad_var nn__trace_loss(nn_trainer *tr, const nn__task *k, ad_tape *t, nn_phase phase, ad_var input[4])
{
	char name[32], shape[128];
	for (int i = 0; i < tr->o.inputs; i++) {
		snprintf(name, sizeof name, "batch %d", i);
		input[i] = ad_input(t, tr->o.dtype[i], tr->o.shape[i], name);
	}
	ad_var loss = k->t.loss(nn_begin(t, tr->store, phase), tr->o.inputs, input, k->t.user);
	if (!ad_error(t) && (ad_rank(loss) || ad_tape_of(loss) != t || ad_dtype_of(loss) == AD_I32))
		ad_fail(t, "a loss must be a real scalar on the tape of its context, not of shape %s",
		        nn__shape_str(ad_shape_of(loss), shape));
	return loss;
}

uint64_t nn__task_seed(const nn_trainer *tr, const nn__task *k)
{
	char text[32];
	snprintf(text, sizeof text, "noise of task %d", (int)(k - tr->task));
	return ad_hash(tr->seed, text);
}

static bool matches(const char *prefixes, const char *path)
{
	if (!prefixes)
		return true;
	for (const char *p = prefixes;; p++) {
		size_t n = strcspn(p, ",");
		if (!strncmp(path, p, n))
			return true;
		p += n;
		if (!*p)
			return false;
	}
}

static void log_terms(nn__program *p, const nn__records *r)
{
	for (int i = 0; i < r->n; i++) {
		p->term[p->nterm++] = strdup(r->at[i].name);
		p->out[p->nout++] = r->at[i].v;
	}
}

static void set_states(nn__program *p, const nn__records *r)
{
	for (int i = 0; i < r->n; i++) {
		p->state[p->nstate++] = r->at[i].entry;
		p->out[p->nout++] = r->at[i].v;
	}
}

static void find_parameters(nn__program *p, const nn_store *s, nn__trace *trace, const char *prefix, ad_var leaf[])
{
	for (int i = 0; i < s->n; i++) {
		const nn__record *use = nn__use(trace, i);
		if (use && use->leaf && s->entry[i].trained && matches(prefix, s->entry[i].name)) {
			leaf[p->nparam] = use->leaf;
			p->param[p->nparam++] = i;
		}
	}
}

static void make_room(nn__program *p, const nn__trace *trace)
{
	size_t terms = (size_t)trace->penalties.n + (size_t)trace->metrics.n, states = (size_t)trace->states.n;
	size_t uses = (size_t)trace->uses.n;
	p->term = nn__alloc(terms * sizeof *p->term);
	p->state = nn__alloc(states * sizeof *p->state);
	p->param = nn__alloc(uses * sizeof *p->param);
	p->out = nn__alloc((1 + terms + states + uses) * sizeof *p->out);
}

static bool compile(nn_trainer *tr, nn__program *p, const char *what)
{
	p->bound = (uint64_t)-1;
	if (!ad_error(p->tape))
		p->prog = ad_compile(p->tape, p->nout, p->out, tr->o.run);
	if (!p->prog)
		nn_fail(tr->store, "%s: %s", what, ad_error(p->tape));
	return p->prog;
}

static bool make_task(nn_trainer *tr, nn__task *k, const char *what)
{
	nn__program *p = &k->p;
	p->tape = ad_tape_new(tr->store->dtype);
	nn__trace *trace = nn__trace_of(tr->store, p->tape);
	trace->deferred = true;
	ad_var total = nn__trace_loss(tr, k, p->tape, NN_TRAIN, p->input);
	for (int i = 0; i < trace->penalties.n; i++)
		total = ad_add(total, trace->penalties.at[i].v);
	make_room(p, trace);
	ad_var *leaf = nn__alloc((size_t)trace->uses.n * sizeof *leaf);
	find_parameters(p, tr->store, trace, k->prefix, leaf);
	p->out[p->nout++] = total;
	log_terms(p, &trace->penalties);
	log_terms(p, &trace->metrics);
	set_states(p, &trace->states);
	if (!ad_error(p->tape) && !p->nparam)
		ad_fail(p->tape, "its loss uses no parameter%s%s", k->prefix ? " under " : "", k->prefix ? k->prefix : "");
	if (!ad_error(p->tape))
		ad_vjp(1, &total, NULL, p->nparam, leaf, p->out + p->nout);
	p->nout += p->nparam;
	free(leaf);
	k->term = nn__alloc((size_t)p->nterm * sizeof *k->term);
	return compile(tr, p, what);
}

typedef struct {
	nn__span *at;
	int n, cap;
} spans;

enum { GAP = 32 };

/* Elements at..at + n of an entry that begins at `entry`, by whole lines.  What lies between them or in a small gap counts in: its
 * gradient is zero. */
static void add_span(spans *s, int64_t entry, int64_t at, int64_t n, int64_t per_line)
{
	nn__span *last = s->n ? &s->at[s->n - 1] : NULL;
	int64_t end = entry + (at + n - entry + per_line - 1) / per_line * per_line;
	if (n < 1)
		return;
	at = entry + (at - entry) / per_line * per_line;
	if (last && (last->at + last->n == at || (last->at + last->n >= entry && at - last->at - last->n < GAP))) {
		last->n = end - last->at;
		return;
	}
	s->at = nn__room(s->at, s->n, &s->cap, sizeof *s->at);
	s->at[s->n++] = (nn__span){ at, end - at };
}

/* Weights that a mask takes out have no gradient: an optimiser that leaves them alone then need not look at them. */
static void make_optimiser(nn_trainer *tr, nn__task *k)
{
	const nn_store *s = tr->store;
	const int64_t per_line = (int64_t)(64 / nn__size(s)), *lo, *hi;
	spans all = { 0 };
	for (int i = 0; i < k->p.nparam; i++) {
		const nn__entry *e = &s->entry[k->p.param[i]];
		ad_var g = k->p.out[k->p.nout - k->p.nparam + i];
		if (k->t.optim.weight_decay == 0 && ad_row_ranges(g, &lo, &hi))
			for (int64_t r = 0, cols = e->shape.dim[1]; r < e->shape.dim[0]; r++)
				add_span(&all, e->at, e->at + r * cols + lo[r], hi[r] - lo[r], per_line);
		else
			add_span(&all, e->at, e->at, e->numel, per_line);
	}
	k->optimiser = nn__optimiser_spans(k->t.optim, s->dtype, all.n, all.at, tr->o.run.threads);
	free(all.at);
}

static bool make_after(nn_trainer *tr)
{
	nn__program *p = &tr->after;
	p->tape = ad_tape_new(tr->store->dtype);
	nn__trace *trace = nn__trace_of(tr->store, p->tape);
	trace->deferred = true;
	for (int i = 0; i < tr->o.tasks; i++)
		nn__trace_after(tr->store, nn__trace_find(tr->store, tr->task[i].p.tape), p->tape);
	if (tr->o.after)
		tr->o.after(nn_begin(p->tape, tr->store, NN_TRAIN), tr->o.after_user);
	make_room(p, trace);
	set_states(p, &trace->states);
	return (!p->nout && !ad_error(p->tape)) || compile(tr, p, "nn_trainer_new: after the step");
}

static const char *wrong_schedule(const nn_schedule *s)
{
	if (s->kind == NN_COSINE && s->total < 1)
		return "a cosine schedule needs .total";
	if (s->kind == NN_STEP && s->every < 1)
		return "a step schedule needs .every";
	if (s->kind == NN_EXPONENTIAL && !(s->gamma > 0))
		return "an exponential schedule needs .gamma";
	return NULL;
}

static const char *wrong_optim(const nn_optim *o)
{
	if (!(o->lr >= 0 && isfinite(o->lr)))
		return "the learning rate must be finite and not negative";
	if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1 && o->ema >= 0 && o->ema < 1))
		return "beta1, beta2 and ema must be in [0, 1)";
	if (!(o->eps >= 0 && o->weight_decay >= 0 && o->clip_norm >= 0 && o->clip_value >= 0))
		return "eps, weight_decay, clip_norm and clip_value must not be negative";
	return NULL;
}

static bool acceptable(nn_store *s, const nn_trainer_opt *o)
{
	if (nn_error(s))
		return false;
	if (o->inputs < 0 || o->inputs > 4 || o->tasks < 1 || o->tasks > 4) {
		nn_fail(s, "nn_trainer_new: %d inputs and %d tasks; at most 4 of each, and one task", o->inputs, o->tasks);
		return false;
	}
	for (int k = 0; k < o->tasks; k++) {
		const char *wrong = o->task[k].loss ? wrong_optim(&o->task[k].optim) : "it has no loss";
		wrong = wrong ? wrong : wrong_schedule(&o->task[k].schedule);
		if (wrong) {
			nn_fail(s, "nn_trainer_new: task %d: %s", k, wrong);
			return false;
		}
	}
	return true;
}

static void free_program(nn_store *s, nn__program *p)
{
	for (int i = 0; i < p->nterm; i++)
		free(p->term[i]);
	free(p->term);
	free(p->state);
	free(p->param);
	free(p->out);
	if (p->prog)
		ad_prog_free(p->prog);
	if (p->tape) {
		nn_release(s, p->tape);
		ad_tape_free(p->tape);
	}
}

void nn_trainer_free(nn_trainer *tr)
{
	if (!tr)
		return;
	for (int i = 0; i < 4; i++) {
		nn__task *k = &tr->task[i];
		free_program(tr->store, &k->p);
		nn_optimiser_free(k->optimiser);
		free(k->prefix);
		free(k->term);
	}
	free_program(tr->store, &tr->after);
	free(tr->kept);
	free(tr);
}

nn_trainer *nn_trainer_new(nn_store *s, nn_trainer_opt o)
{
	if (!acceptable(s, &o))
		return NULL;
	nn_trainer *tr = nn__alloc(sizeof *tr);
	tr->store = s;
	tr->o = o;
	tr->seed = s->seed;
	bool ok = true;
	for (int i = 0; ok && i < o.tasks; i++) {
		nn__task *k = &tr->task[i];
		char what[48];
		snprintf(what, sizeof what, "nn_trainer_new: task %d", i);
		*k = (nn__task){ .t = o.task[i], .best = INFINITY, .factor = 1 };
		k->prefix = k->t.prefix ? strdup(k->t.prefix) : NULL;
		k->t.optim.lr = k->t.optim.lr == 0 ? 1e-3 : k->t.optim.lr;
		ok = make_task(tr, k, what);
		if (ok)
			make_optimiser(tr, k);
	}
	nn__want_grad(s);
	if (ok && make_after(tr))
		return tr;
	nn_trainer_free(tr);
	return NULL;
}
