/* From a tape to a program: live nodes, stages, steps, fusion, places. */
#include "emit.h"

#include <stdlib.h>
#include <string.h>

static void mark_live(planner *pl, int nout, const ad_var out[])
{
	ad_tape *t = pl->t;
	for (int i = 0; i < nout; i++)
		pl->live[out[i]->id] = 1;
	for (int id = t->n; id-- > 0;) {
		ad_var x = t->node[id];
		if (x->op->flags & AD__IMPURE)
			pl->live[id] = 1;
		/* A view is made of its first input; others are there for its derivative. */
		int made_of = x->op->flags & AD__VIEW ? 1 : x->nin;
		for (int k = 0; pl->live[id] && k < made_of; k++)
			pl->live[x->in[k]->id] = 1;
		pl->p->live_nodes += pl->live[id];
	}
}

static bool reduces(ad_var x)
{
	if (ad_batched(x))
		return false;
	for (int k = 0; k < x->nin; k++)
		if (ad_batched(x->in[k]))
			return true;
	return false;
}

/* exec: stage in which a node is computed; avail: stage from which on it can be used. */
static void find_stages(planner *pl)
{
	for (int id = 0; id < pl->t->n; id++) {
		ad_var x = pl->t->node[id];
		if (!pl->live[id])
			continue;
		int s = 0;
		for (int k = 0; k < x->nin; k++)
			s = pl->avail[x->in[k]->id] > s ? pl->avail[x->in[k]->id] : s;
		pl->exec[id] = s;
		pl->avail[id] = !pl->p->fn && reduces(x) ? s + 1 : s;
		if (pl->avail[id] + 1 > pl->p->nstage)
			pl->p->nstage = pl->avail[id] + 1;
	}
}

static void sort_by_stage(planner *pl)
{
	int *begin = pl->begin = ad__malloc((size_t)(pl->p->nstage + 2) * sizeof(int));
	for (int id = 0; id < pl->t->n; id++)
		if (pl->live[id])
			begin[pl->exec[id] + 2]++;
	for (int s = 0; s < pl->p->nstage; s++)
		begin[s + 2] += begin[s + 1];
	for (int id = 0; id < pl->t->n; id++)
		if (pl->live[id])
			pl->order[begin[pl->exec[id] + 1]++] = id;
}

/* Batched values used in a later loop are kept for the whole batch; inputs are loaded again. */
static void find_uses(planner *pl)
{
	for (int id = 0; id < pl->t->n; id++) {
		ad_var x = pl->t->node[id];
		if (!pl->live[id] || x->op->flags & AD__VIEW)
			continue;
		for (int k = 0; k < x->nin; k++)
			plan_use(pl, x->in[k], pl->exec[id]);
	}
	for (int i = 0; i < pl->p->noutput; i++)
		plan_use(pl, pl->p->output[i].node, pl->exec[pl->p->output[i].node->id]);
}

static void emit_stage(planner *pl, int s)
{
	ad_prog *p = pl->p;
	plan_stage *st = &p->stage[s];
	pl->stage = s;
	for (int loop = 0; loop < 2; loop++) {
		*(loop ? &st->bat0 : &st->inv0) = p->nstep;
		pl->loop = loop;
		pl->list0 = p->nstep;
		if (loop)
			plan_emit_loads(pl);
		for (int i = pl->begin[s]; i < pl->begin[s + 1]; i++) {
			ad_var x = pl->t->node[pl->order[i]];
			bool in_loop = ad_batched(x) || reduces(x);
			if (p->fn || in_loop == loop) {
				plan_emit(pl, x);
				st->reduces |= loop && reduces(x);
			}
			if (ad_error(pl->t))
				return;
		}
		if (!loop && !p->fn)
			plan_emit_copies(pl);
		plan_emit_outputs(pl);
		*(loop ? &st->bat1 : &st->inv1) = p->nstep;
		if (p->fn) {
			st->bat0 = st->bat1 = p->nstep;
			return;
		}
	}
}

static void note_largest(ad_prog *p, char *text, size_t n)
{
	bool *told = ad__malloc((size_t)p->nvalue);
	size_t at = 0;
	for (int k = 0; k < 3 && at < n; k++) {
		int best = -1;
		for (int i = 0; i < p->nvalue; i++)
			if (!told[i] && p->value[i].node && p->value[i].place <= PLACE_SLOT &&
			    (best < 0 || plan_value_bytes(p, &p->value[i]) > plan_value_bytes(p, &p->value[best])))
				best = i;
		if (best < 0)
			break;
		told[best] = true;
		ad_var x = p->value[best].node;
		char shape[128];
		at += (size_t)snprintf(text + at, n - at, "%s ad_%s %s \"%.80s\" %.3g MB", k ? "," : "", x->op->name,
		                       ad__shape_str(x->shape, shape, sizeof shape), x->path,
		                       (double)plan_value_bytes(p, &p->value[best]) / 1e6);
	}
	free(told);
}

static bool fits(ad_prog *p)
{
	double have = plan_memory(p), need = plan_need(p);
	if (need <= have)
		return true;
	char text[500] = "";
	note_largest(p, text, sizeof text);
	ad_fail(p->tape, "ad_compile: the program needs %.4g MB, there are %.4g MB; largest:%s", need / 1e6, have / 1e6, text);
	return false;
}

/* Accumulators of sums over the batch, each for a run of tiles: few of what is large.  Their number may not depend on that of
 * threads or ranks, for the order of the sums does.  Threads beyond it take turns at the tiles of one; ranks beyond it wait. */
static void choose_slots(ad_prog *p)
{
	size_t b = p->slot_bytes;
	p->slots = b <= (256u << 10) ? PLAN_SLOTS : b <= (1u << 20) ? 8 : b <= (4u << 20) ? 4 : 2;
}

enum { MAX_TILE = 1 << 20, FEW = 64 };

static int64_t round16(int64_t n) { return (n + 15) / 16 * 16; }

/* More than this of memory is beyond what processors share as a cache, if each of a few threads has as much. */
static size_t most_bytes(int64_t tile) { return tile > FEW ? (size_t)16 << 20 : (size_t)24 << 20; }

/* The tile shrinks until a thread's arena is a few times its cache at most; to few samples, which cost products more, later. */
static void choose_tile(ad_prog *p)
{
	p->max_tile = p->o.tile > 0 ? round16(p->o.tile < MAX_TILE ? p->o.tile : MAX_TILE) : PLAN_TILE;
	plan_arena(p);
	while (!p->fn && p->o.tile <= 0 && p->max_tile > 16 && p->tile_bytes + p->scratch_bytes > most_bytes(p->max_tile)) {
		p->max_tile /= 2;
		plan_arena(p);
	}
}

ad_prog *plan_compile(ad_tape *t, ad_fn *fn, int nout, const ad_var out[], ad_options o)
{
	if (ad_error(t))
		return NULL;
	ad_prog *p = ad__malloc(sizeof *p);
	p->tape = t;
	p->fn = fn;
	p->o = o;
	p->o.no_fusion |= o.check_finite;
	p->nthread = plan_threads(&p->o);
	for (int d = 0; d < 2; d++) {
		p->k[d] = ad__kernels_for(d == AD_F32 ? 32 : 64, o.isa);
		if (!p->k[d]) {
			ad_fail(t, "ad_compile: this machine has no instruction set \"%s\"%s", o.isa ? o.isa : getenv("FLOWTAPE_ISA"),
			        o.isa ? "" : " (FLOWTAPE_ISA)");
			free(p);
			return NULL;
		}
	}
	p->noutput = nout;
	p->output = ad__malloc((size_t)nout * sizeof *p->output);
	planner pl = { .p = p, .t = t };
	size_t n = (size_t)t->n;
	p->nnode = t->n;
	pl.live = ad__malloc(n);
	pl.cut = ad__malloc(n);
	pl.exec = ad__malloc(n * sizeof(int));
	pl.avail = ad__malloc(n * sizeof(int));
	pl.at = ad__malloc(n * sizeof *pl.at);
	pl.order = ad__malloc(n * sizeof(int));
	pl.found = ad__malloc(n * sizeof(int));
	pl.copy = ad__malloc(n * sizeof(int));
	p->input_of = ad__malloc(n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		pl.at[i].value = -1;
	ad_var seen[nout + 1];
	for (int i = 0; i < nout; i++) {
		seen[i] = ad__see(t, out[i]);
		if (!seen[i]) {
			ad_fail(t, "ad_compile: output %d belongs to another tape", i);
			seen[i] = t->node[0];
		}
		p->output[i].node = seen[i];
	}
	p->nstage = 1;
	mark_live(&pl, nout, seen);
	find_stages(&pl);
	sort_by_stage(&pl);
	p->stage = ad__malloc((size_t)p->nstage * sizeof *p->stage);
	pl.loaded = ad__malloc((size_t)p->nstage * sizeof *pl.loaded);
	pl.nloaded = ad__malloc((size_t)p->nstage * sizeof(int));
	plan_declare(&pl);
	find_uses(&pl);
	for (int s = 0; s < p->nstage && !ad_error(t); s++)
		emit_stage(&pl, s);
	plan_finish(&pl);
	if (!ad_error(t)) {
		choose_tile(p);
		choose_slots(p);
	}
	plan_discard(&pl);
	if (ad_error(t) || (!fn && !fits(p))) {
		ad_prog_free(p);
		return NULL;
	}
	return p;
}

ad_prog *ad_compile(ad_tape *t, int nout, const ad_var out[], ad_options o)
{
	ad_prog *p = plan_compile(ad_root(t), NULL, nout, out, o);
	if (p)
		plan_allocate(p);
	return p;
}
