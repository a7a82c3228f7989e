/* Several processes run a program together: they exchange sums over the batch, errors and outputs. */
#include "plan.h"

#include <omp.h>
#include <string.h>

enum { SMALL = 1 << 16, EVERYTHING = -1 };

int plan_rank(const ad_prog *p) { return p->o.group ? p->o.group->rank : 0; }
int plan_ranks(const ad_prog *p) { return p->o.group && p->any_batched ? p->o.group->size : 1; }

/* Part q of n elements is what rank q adds up. */
static plan_span part_of(const ad_prog *p, int64_t n, int q)
{
	int64_t ranks = plan_ranks(p);
	return q == EVERYTHING ? (plan_span){ 0, n } : (plan_span){ n * q / ranks, n * (q + 1) / ranks };
}

/* Copies part q of the slots of all sums of the stage to the wire, or back; the sums are shared out in the team.  Returns their
 * bytes; NULL: only that. */
static size_t copy(const ad_prog *p, const plan_stage *st, int nslot, const int64_t slot[], int q, char *wire, bool back)
{
	size_t at = 0;
	int me = omp_get_thread_num(), team = omp_get_num_threads();
	for (int i = st->bat0; i < st->bat1; i++) {
		const plan_value *v = plan_sum_of(p, &p->step[i]);
		if (!v)
			continue;
		plan_span e = part_of(p, v->rows, q);
		size_t size = ad__size(v->dtype), bytes = (size_t)(e.hi - e.lo) * size;
		for (int k = 0; k < nslot; k++, at += bytes) {
			if (!wire || (i + k) % team != me)
				continue;
			char *here = plan_slot_at(p, v, slot[k]) + (size_t)e.lo * size;
			memcpy(back ? here : wire + at, back ? wire + at : here, bytes);
		}
	}
	return at;
}

static void fold_rest(const ad_prog *p, const plan_stage *st, int q)
{
	for (int i = st->bat0; i < st->bat1; i++) {
		const plan_value *v = plan_sum_of(p, &p->step[i]);
		plan_span e = v ? part_of(p, v->rows, q) : (plan_span){ 0, 0 };
		if (v)
			plan_fold(p, &p->step[i], e.lo, e.hi, true);
	}
}

/* Where each rank's piece of a wire begins, from their sizes; begin[ranks] is the whole. */
static void places(int ranks, const size_t bytes[], size_t begin[])
{
	begin[0] = 0;
	for (int r = 0; r < ranks; r++)
		begin[r + 1] = begin[r] + bytes[r];
}

static bool timed(ad_prog *p, int failed, double t0)
{
	p->group_seconds += plan_now() - t0;
	p->lost |= failed != 0;
	return !failed;
}

static bool gather(ad_prog *p, void *all, const size_t bytes[])
{
	double t0 = plan_now();
	const ad_group *g = p->o.group;
	return !p->lost && timed(p, g->gather(g->user, all, bytes), t0);
}

static bool exchange(ad_prog *p, const size_t to[], const size_t from[])
{
	double t0 = plan_now();
	const ad_group *g = p->o.group;
	return !p->lost && timed(p, g->exchange(g->user, p->wire[0], to, p->wire[1], from), t0);
}

/* Each rank adds up its part of the elements from all slots, then all get all parts; where there is little of it, all add up
 * everything. */
void plan_join(ad_prog *p, const plan_stage *st)
{
	int ranks = plan_ranks(p), me = plan_rank(p);
	int64_t root[PLAN_SLOTS], total = 0;
	size_t to[ranks], from[ranks], begin_to[ranks + 1], begin_from[ranks + 1];
	int nroot = plan_roots(p, me, root);
	bool little = copy(p, st, 1, &total, EVERYTHING, NULL, false) * (size_t)(p->used + ranks) <= SMALL;
	int mine = little ? EVERYTHING : me;
	for (int r = 0; r < ranks; r++) {
		int64_t theirs[PLAN_SLOTS];
		to[r] = r == me ? 0 : copy(p, st, nroot, root, little ? EVERYTHING : r, NULL, false);
		from[r] = r == me ? 0 : copy(p, st, plan_roots(p, r, theirs), theirs, mine, NULL, false);
	}
	places(ranks, to, begin_to);
	places(ranks, from, begin_from);
#pragma omp barrier
#pragma omp master
	{
		plan_reserve(p, &p->wire[0], &p->wire_room[0], begin_to[ranks]);
		plan_reserve(p, &p->wire[1], &p->wire_room[1], begin_from[ranks]);
	}
#pragma omp barrier
	for (int r = 0; r < ranks; r++)
		if (r != me)
			copy(p, st, nroot, root, little ? EVERYTHING : r, p->wire[0] + begin_to[r], false);
#pragma omp barrier
#pragma omp master
	exchange(p, to, from);
#pragma omp barrier
	for (int r = 0; r < ranks; r++)
		if (r != me) {
			int64_t theirs[PLAN_SLOTS];
			copy(p, st, plan_roots(p, r, theirs), theirs, mine, p->wire[1] + begin_from[r], true);
		}
#pragma omp barrier
	fold_rest(p, st, mine);
	if (little)
		return;
	for (int r = 0; r < ranks; r++)
		from[r] = copy(p, st, 1, &total, r, NULL, false);
	places(ranks, from, begin_from);
#pragma omp barrier
#pragma omp master
	plan_reserve(p, &p->wire[2], &p->wire_room[2], begin_from[ranks]);
#pragma omp barrier
	copy(p, st, 1, &total, me, p->wire[2] + begin_from[me], false);
#pragma omp barrier
#pragma omp master
	gather(p, p->wire[2], from);
#pragma omp barrier
	for (int r = 0; r < ranks; r++)
		if (r != me)
			copy(p, st, 1, &total, r, p->wire[2] + begin_from[r], true);
}

/* The error of the first rank that has one, on all of them. */
void plan_agree(ad_prog *p)
{
	int ranks = plan_ranks(p), me = plan_rank(p), bad = -1;
	size_t bytes[ranks];
	char failed[ranks];
	for (int r = 0; r < ranks; r++)
		bytes[r] = 1;
	failed[me] = *p->error != 0;
	if (gather(p, failed, bytes))
		for (int r = ranks; r-- > 0;)
			bad = failed[r] ? r : bad;
	for (int r = 0; r < ranks; r++)
		bytes[r] = r == bad ? sizeof p->error : 0;
	if (bad >= 0)
		gather(p, p->error, bytes);
	if (p->lost)
		snprintf(p->error, sizeof p->error, "ad_run: a process of the group cannot be reached");
}

void plan_share_outputs(ad_prog *p)
{
	int ranks = plan_ranks(p);
	size_t bytes[ranks];
	for (int i = 0; i < p->noutput; i++) {
		plan_output *o = &p->output[i];
		if (!o->batched)
			continue;
		for (int r = 0; r < ranks; r++) {
			plan_span s = plan_slots_of(p, r);
			int64_t lo = s.lo * p->ntiles / p->used * p->tile, hi = s.hi * p->ntiles / p->used * p->tile;
			lo = lo < p->batch ? lo : p->batch;
			hi = hi < p->batch ? hi : p->batch;
			bytes[r] = (size_t)((hi - lo) * ad__rows(o->node)) * ad__size(o->node->dtype);
		}
		gather(p, o->bound ? o->bound : o->own, bytes);
	}
	if (p->lost)
		snprintf(p->error, sizeof p->error, "ad_run: a process of the group cannot be reached");
}
