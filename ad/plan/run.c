/* Running a program: stages, loops over tiles, sums over the batch in a fixed order. */
#include "plan.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE = 2000 }; /* looks at a tile before the processor is given away */

double plan_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void describe(const plan_step *s, const char *what, char *text, size_t n)
{
	char shape[128];
	snprintf(text, n, "ad_%s: %s, shape %s%s%.120s%s", s->node->op->name, what,
	         ad__shape_str(s->node->shape, shape, sizeof shape), *s->node->path ? ", in \"" : "", s->node->path,
	         *s->node->path ? "\"" : "");
}

static bool all_finite(const ad__arr *a, const plan_step *s, ad__ctx *c)
{
	if (a->dtype == AD_I32)
		return true;
	bool ok;
	int64_t rows = 1;
	for (int i = 0; i < a->rank; i++)
		rows *= a->dim[i];
	int64_t w = a->lane ? c->width : 1;
	c->k[a->dtype]->all_finite(rows, w, a->lane && s->batched ? c->valid : w, (const void *)a->p, &ok);
	return ok;
}

void plan_spent(plan_step *s, double seconds, bool call)
{
#pragma omp atomic
	s->seconds += seconds;
#pragma omp atomic
	s->calls += call;
}

bool plan_step_run(ad_prog *p, plan_step *s, const ad__arr arg[], ad__ctx *c)
{
	double t0 = p->profiling ? plan_now() : 0;
	if (s->leads) {
		plan_led_run(p, s, arg, c);
		return !*c->error;
	}
	switch (s->kind) {
	case STEP_FUSED:
		plan_fused(s, arg, c, 0, s->rows * (s->batched ? c->width : 1));
		break;
	case STEP_COPY:
		ad__copy(&arg[0], &arg[1], c->width);
		break;
	case STEP_LOAD: {
		int64_t rows = ad__rows(s->node);
		size_t at = (size_t)(c->first * rows) * ad__size(s->node->dtype);
		int d = s->node->dtype == AD_F64 ? AD_F64 : AD_F32; /* i32 moves as 4 bytes do */
		c->k[d]->tile_in(rows, c->width, c->valid, arg[0].p, (const char *)p->bound[s->output] + at);
		break;
	}
	case STEP_STORE: {
		int64_t rows = ad__rows(s->node);
		plan_output *o = &p->output[s->output];
		size_t at = (size_t)(c->first * rows) * ad__size(s->node->dtype);
		int d = s->node->dtype == AD_F64 ? AD_F64 : AD_F32;
		c->k[d]->tile_out(rows, c->width, c->valid, (char *)(o->bound ? o->bound : o->own) + at, arg[0].p);
		break;
	}
	default:
		c->running = s;
		c->nout = s->nout;
		c->accumulate |= s->adds;
		s->node->op->eval(s->node, arg, arg + s->nout, c);
		c->accumulate &= !s->adds;
	}
	if (p->profiling)
		plan_spent(s, plan_now() - t0, true);
	if (p->o.check_finite && s->kind != STEP_STORE && !*c->error)
		for (int i = 0; i < s->nout; i++)
			if (!all_finite(&arg[i], s, c))
				describe(s, "result is not finite", c->error, 256);
	return !*c->error;
}

static void at_tile(ad_prog *p, plan_thread *th, int64_t tile, int slot, bool accumulate)
{
	ad__ctx *c = &th->ctx;
	int64_t first = tile * p->tile, valid = p->batch - first < p->tile ? p->batch - first : p->tile;
	int64_t width = (valid + 15) / 16 * 16;
	c->first = first;
	c->valid = valid;
	c->width = width;
	c->accumulate = accumulate;
	c->partial = slot > 0;
	th->tile = tile;
	th->slot = slot;
	if (th->width == width) {
		plan_bind_moving(p, th);
		return;
	}
	th->width = width;
	plan_bind(p, th);
}

/* Waits until the tile has taken its turn in `turns` sums. */
static void wait_for(const plan_turn *t, int64_t turns)
{
	for (int64_t spin = 0; __atomic_load_n(&t->taken, __ATOMIC_ACQUIRE) < turns; spin++)
		if (spin > PATIENCE)
			sched_yield();
}

static void run_tile(ad_prog *p, const plan_stage *st, plan_thread *th, int64_t tile, int slot, bool first, bool ordered)
{
	int64_t turns = 0;
	at_tile(p, th, tile, slot, !first);
	for (int i = st->bat0; i < st->bat1 && !*th->error; i += 1 + p->step[i].leads) {
		plan_step *s = &p->step[i];
		bool turn = ordered && s->reduces;
		if (turn && !first)
			wait_for(&p->turn[tile - 1], ++turns);
		plan_step_run(p, s, th->arg + s->first_arg, &th->ctx);
		if (turn)
			__atomic_fetch_add(&p->turn[tile].taken, 1, __ATOMIC_RELEASE);
	}
	if (ordered) /* whoever waits, waits no more, whatever happened here */
		__atomic_store_n(&p->turn[tile].taken, INT64_MAX, __ATOMIC_RELEASE);
}

/* Slot s owns a run of neighbouring tiles and adds them up in order, whichever threads have them.  Who is done with one slot
 * claims the next that nobody has; where there are fewer slots than threads, the next tile, and the tiles of a slot then take
 * turns, step by step.  Tiles are claimed in order, so that whoever is waited for is at work. */
static void run_loop(ad_prog *p, const plan_stage *st, plan_thread *th)
{
	int64_t n = omp_get_num_threads(), me = omp_get_thread_num(), all = st->reduces ? p->used : p->ntiles;
	plan_span mine = plan_slots_of(p, plan_rank(p));
	if (!st->reduces) /* the tiles of the same slots, so that what is kept from loop to loop is here */
		mine = (plan_span){ mine.lo * p->ntiles / p->used, mine.hi * p->ntiles / p->used };
	if (p->o.reverse_tiles)
		me = n - 1 - me;
	int64_t slots = mine.hi - mine.lo;
	bool turns = st->reduces && n > slots;
	int64_t each = turns ? (p->ntiles + all - 1) / all : 1;
	for (int64_t k = me; k < slots * each; k = __atomic_fetch_add(&p->claimed.taken, 1, __ATOMIC_RELAXED)) {
		int64_t s = k % slots, u = p->o.reverse_tiles ? mine.hi - 1 - s : mine.lo + s;
		int64_t lo = u * p->ntiles / all, hi = (u + 1) * p->ntiles / all;
		int64_t from = lo + k / slots, to = turns && from + 1 < hi ? from + 1 : hi;
		for (int64_t t = from; t < to; t++)
			run_tile(p, st, th, t, (int)(st->reduces ? u : 0), t == lo, turns);
	}
#pragma omp barrier
	for (int64_t t = omp_get_thread_num(); t < p->ntiles && st->reduces; t += n)
		p->turn[t].taken = 0;
}

static void sum_slots(ad_prog *p, const plan_stage *st)
{
	if (!st->reduces)
		return;
	plan_fold_all(p, st);
	if (plan_ranks(p) > 1)
		plan_join(p, st);
}

enum { WIDE = 1 << 15 };

/* How an ordinary step runs: by one thread, or shared out; apart: it reads nothing that the program computes. */
typedef enum { ALONE, SHARED, APART } sharing;

static sharing sharing_of(const ad_prog *p, const plan_step *s)
{
	if (s->kind == STEP_FUSED)
		return s->rows >= WIDE && !p->o.check_finite ? SHARED : ALONE;
	if (s->kind != STEP_OP || !(s->node->op->flags & AD__PARTS))
		return ALONE;
	for (int k = 0; k < s->nin; k++) {
		plan_place from = p->value[s->arg[s->nout + k].value].place;
		if (from != PLACE_INPUT && from != PLACE_CONST)
			return SHARED;
	}
	return APART;
}

static void run_part(ad_prog *p, plan_step *s, plan_thread *th, int me, int n)
{
	const ad__arr *arg = th->arg + s->first_arg;
	if (s->kind == STEP_FUSED) {
		int64_t lo = s->rows * me / n / 16 * 16, hi = me == n - 1 ? s->rows : s->rows * (me + 1) / n / 16 * 16;
		plan_fused(s, arg, &th->ctx, lo, hi);
		return;
	}
	th->ctx.part = me;
	th->ctx.parts = n;
	plan_step_run(p, s, arg, &th->ctx);
	th->ctx.parts = 0;
}

/* Ordinary steps: one thread, but large elementwise ones and those that can be are shared out. */
static void run_ordinary(ad_prog *p, const plan_stage *st, plan_thread *th)
{
	int n = omp_get_num_threads(), me = omp_get_thread_num();
	sharing before = ALONE;
	for (int i = st->inv0; i < st->inv1; i++) {
		plan_step *s = &p->step[i];
		sharing now = n > 1 ? sharing_of(p, s) : ALONE;
		if (now == SHARED || now != before) {
#pragma omp barrier
		}
		before = now;
		th->ctx.width = th->ctx.valid = 1;
		if (now != ALONE)
			run_part(p, s, th, me, n);
		else if (me == 0 && !*th->error)
			plan_step_run(p, s, th->arg + s->first_arg, &th->ctx);
	}
}

static void run_all(ad_prog *p, uint64_t step)
{
	int n = p->o.check_finite ? 1 : p->nthread;
	if (p->sorted != p->binding) {
		plan_sort_sums(p);
		p->sorted = p->binding;
	}
	plan_place_caller(n);
#pragma omp parallel num_threads(n) if (n > 1)
	{
		plan_thread *th = &p->thread[omp_get_thread_num()];
		plan_place_member(omp_get_thread_num(), n);
		th->ctx.seed = p->seed;
		th->ctx.step = step;
		th->ctx.batch = p->batch;
		th->ctx.first = 0;
		*th->error = 0;
		if (th->binding != p->binding) {
			th->width = 16;
			th->tile = th->slot = 0;
			plan_bind(p, th);
			th->binding = p->binding;
		}
		for (int s = 0; s < p->nstage; s++) {
			const plan_stage *st = &p->stage[s];
			run_ordinary(p, st, th);
			if (st->bat0 == st->bat1)
				continue;
			if (omp_get_thread_num() == 0)
				p->claimed.taken = omp_get_num_threads(); /* each begins with the item of its number */
#pragma omp barrier
			run_loop(p, st, th);
			sum_slots(p, st);
#pragma omp barrier
		}
	}
}

static bool ready(ad_prog *p)
{
	if (*p->refused) {
		snprintf(p->error, sizeof p->error, "%s", p->refused);
		return false;
	}
	for (int i = 0; i < p->ninput; i++)
		if (!p->bound[i]) {
			snprintf(p->error, sizeof p->error, "ad_run: input \"%s\" is not bound", (const char *)p->input[i]->attr.data);
			return false;
		}
	if (p->any_batched && p->batch < 1) {
		snprintf(p->error, sizeof p->error, "ad_run: the number of samples is not set");
		return false;
	}
	return true;
}

int ad_run(ad_prog *p, uint64_t step)
{
	bool group = plan_ranks(p) > 1;
	*p->error = 0;
	bool can = ready(p);
	if (group && !p->agreed) {
		plan_agree(p);
		can = p->agreed = !*p->error;
	}
	if (!can)
		return -1;
	double t0 = p->profiling ? plan_now() : 0;
	run_all(p, step);
	for (int i = 0; i < p->nthread && !*p->error; i++)
		if (*p->thread[i].error)
			snprintf(p->error, sizeof p->error, "%s", p->thread[i].error);
	if (group)
		plan_agree(p);
	if (group && !*p->error)
		plan_share_outputs(p);
	if (p->profiling) {
		p->run_seconds += plan_now() - t0;
		p->runs++;
	}
	return *p->error ? -1 : 0;
}
