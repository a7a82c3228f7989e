/* Sums over the batch, made in slots: which slots are whose, and how they are added up. */
#include "plan.h"

#include <omp.h>
#include <stdlib.h>

/* Slots of rank r: lo to hi - 1. */
plan_span plan_slots_of(const ad_prog *p, int r)
{
	int64_t n = plan_ranks(p);
	return (plan_span){ p->used * r / n, p->used * (r + 1) / n };
}

/* The rank whose slots are all of lo to hi - 1, or -1. */
static int owner(const ad_prog *p, int64_t lo, int64_t hi)
{
	int64_t r = ((lo + 1) * plan_ranks(p) + p->used - 1) / p->used - 1;
	return hi <= plan_slots_of(p, (int)r).hi ? (int)r : -1;
}

/* What rank r's slots are when it has added up what it can: the first slot of each part of the tree. */
int plan_roots(const ad_prog *p, int r, int64_t root[PLAN_SLOTS])
{
	plan_span s = plan_slots_of(p, r);
	int n = 0;
	for (int64_t i = s.lo, step; i < s.hi; i += step) {
		for (step = 1; i % (2 * step) == 0 && step < p->used && (i + 2 * step < p->used ? i + 2 * step : p->used) <= s.hi;)
			step *= 2;
		root[n++] = i;
	}
	return n;
}

char *plan_slot_at(const ad_prog *p, const plan_value *v, int64_t slot)
{
	const plan_value *total = &p->value[v->input];
	if (slot)
		return p->slot + (size_t)(slot - 1) * p->slot_bytes + v->slot_offset;
	return total->data ? (char *)total->data : p->shared + total->offset;
}

const plan_value *plan_sum_of(const ad_prog *p, const plan_step *s)
{
	return s->reduces ? &p->value[s->arg[s->nout - 1].value] : NULL;
}

/* Elements lo to hi - 1; of a masked weight's gradient, those that its mask lets through. */
static void add_up(const ad_prog *p, ad_var node, int64_t lo, int64_t hi, char *to, const char *from)
{
	const ad__kernels *k = p->k[node->dtype];
	const size_t size = ad__size(node->dtype);
	const int64_t *begin, *end;
	if (!ad_row_ranges(node, &begin, &end)) {
		k->add(hi - lo, to + (size_t)lo * size, from + (size_t)lo * size);
		return;
	}
	for (int64_t cols = node->shape.dim[1], r = lo / cols; r * cols < hi; r++) {
		int64_t a = r * cols + begin[r], b = r * cols + end[r];
		a = a < lo ? lo : a;
		b = b > hi ? hi : b;
		if (a < b)
			k->add(b - a, to + (size_t)a * size, from + (size_t)a * size);
	}
}

enum { BLOCK = 4096 }; /* elements that are added up before the next ones: they stay in the cache */

/* Adds neighbours, pairs of neighbours, and so on: those of one rank (all: false), or what then is left. */
static void fold(const ad_prog *p, const plan_step *s, int64_t lo, int64_t hi, bool rest)
{
	const plan_value *v = plan_sum_of(p, s);
	size_t at = (size_t)lo * ad__size(v->dtype);
	int me = plan_rank(p);
	for (int64_t step = 1; step < p->used; step *= 2)
		for (int64_t i = 0; i + step < p->used; i += 2 * step) {
			int64_t end = i + 2 * step < p->used ? i + 2 * step : p->used;
			int who = owner(p, i, end);
			if (rest ? who >= 0 : who != me)
				continue;
			char *to = plan_slot_at(p, v, i), *from = plan_slot_at(p, v, i + step);
			if (s->node->op->combine)
				s->node->op->combine(hi - lo, v->dtype, to + at, from + at);
			else
				add_up(p, s->node, lo, hi, to, from);
		}
}

void plan_fold(const ad_prog *p, const plan_step *s, int64_t lo, int64_t hi, bool rest)
{
	int64_t n = hi - lo, me = omp_get_thread_num(), team = omp_get_num_threads();
	int64_t end = lo + n * (me + 1) / team;
	for (int64_t at = lo + n * me / team; at < end; at += BLOCK)
		fold(p, s, at, at + BLOCK < end ? at + BLOCK : end, rest);
}

static int by_place(const void *a, const void *b)
{
	const plan_sum *x = a, *y = b;
	return ((uintptr_t)x->total > (uintptr_t)y->total) - ((uintptr_t)x->total < (uintptr_t)y->total);
}

void plan_sort_sums(ad_prog *p)
{
	int n = 0;
	for (int s = 0; s < p->nstage; s++) {
		plan_stage *st = &p->stage[s];
		st->sum0 = n;
		for (int i = st->bat0; i < st->bat1; i++)
			if (plan_sum_of(p, &p->step[i]))
				p->sum[n++] = (plan_sum){ &p->step[i], plan_slot_at(p, plan_sum_of(p, &p->step[i]), 0), 0 };
		st->sum1 = n;
		qsort(p->sum + st->sum0, (size_t)(n - st->sum0), sizeof *p->sum, by_place);
		st->summed = 0;
		for (int i = st->sum0; i < n; i++) {
			p->sum[i].at = st->summed;
			st->summed += plan_sum_of(p, p->sum[i].step)->rows;
		}
	}
}

/* Of neighbouring sums, such as the gradients of a store's parameters, a thread has a run, the same in every step. */
void plan_fold_all(const ad_prog *p, const plan_stage *st)
{
	int64_t me = omp_get_thread_num(), team = omp_get_num_threads();
	int64_t begin = st->summed * me / team / 16 * 16, end = me == team - 1 ? st->summed : st->summed * (me + 1) / team / 16 * 16;
	for (int i = st->sum0; i < st->sum1 && p->used > 1; i++) {
		const plan_sum *s = &p->sum[i];
		int64_t rows = plan_sum_of(p, s->step)->rows, lo = begin > s->at ? begin - s->at : 0;
		int64_t hi = end < s->at + rows ? end - s->at : rows;
		for (int64_t at = lo; at < hi; at += BLOCK)
			fold(p, s->step, at, at + BLOCK < hi ? at + BLOCK : hi, false);
	}
}
