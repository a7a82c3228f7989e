/* Places in memory: first fit over lifetimes. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

size_t plan_value_bytes(const ad_prog *p, const plan_value *v)
{
	size_t n = (size_t)v->rows * ad__size(v->dtype) * (size_t)(v->batched ? p->max_tile : 1);
	return (n + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

/* What is free below `end`, by place. */
typedef struct {
	struct {
		size_t at, end;
	} * gap;
	int n, cap;
	size_t end, top;
} room;

static size_t take(room *r, size_t bytes)
{
	for (int i = 0; i < r->n; i++) {
		size_t at = r->gap[i].at;
		if (r->gap[i].end - at < bytes)
			continue;
		r->gap[i].at += bytes;
		if (r->gap[i].at == r->gap[i].end)
			memmove(&r->gap[i], &r->gap[i + 1], (size_t)(--r->n - i) * sizeof *r->gap);
		return at;
	}
	size_t at = r->end;
	r->end += bytes;
	if (r->end > r->top)
		r->top = r->end;
	return at;
}

static void give(room *r, size_t at, size_t end)
{
	int lo = 0, hi = r->n;
	while (lo < hi) {
		int mid = (lo + hi) / 2;
		if (r->gap[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	bool below = lo > 0 && r->gap[lo - 1].end == at, above = lo < r->n && r->gap[lo].at == end;
	if (below && above) {
		r->gap[lo - 1].end = r->gap[lo].end;
		memmove(&r->gap[lo], &r->gap[lo + 1], (size_t)(--r->n - lo) * sizeof *r->gap);
	} else if (below) {
		r->gap[lo - 1].end = end;
	} else if (above) {
		r->gap[lo].at = at;
	} else {
		if (r->n == r->cap) {
			r->cap = r->cap ? 2 * r->cap : 64;
			r->gap = realloc(r->gap, (size_t)r->cap * sizeof *r->gap);
			if (!r->gap)
				abort();
		}
		memmove(&r->gap[lo + 1], &r->gap[lo], (size_t)(r->n++ - lo) * sizeof *r->gap);
		r->gap[lo].at = at;
		r->gap[lo].end = end;
	}
	if (r->n && r->gap[r->n - 1].end == r->end)
		r->end = r->gap[--r->n].at;
}

/* Stage by stage for what lives in one, then by first or last step. */
static int by(const plan_value *x, const plan_value *y, int kx, int ky)
{
	int sx = x->place == PLACE_TILE ? x->stage : 0, sy = y->place == PLACE_TILE ? y->stage : 0;
	return sx != sy ? (sx > sy) - (sx < sy) : kx != ky ? (kx > ky) - (kx < ky) : (x > y) - (x < y);
}

static int by_first(const void *a, const void *b)
{
	const plan_value *x = *(plan_value *const *)a, *y = *(plan_value *const *)b;
	return by(x, y, x->first, y->first);
}

static int by_last(const void *a, const void *b)
{
	const plan_value *x = *(plan_value *const *)a, *y = *(plan_value *const *)b;
	return by(x, y, x->last, y->last);
}

/* A value whose memory another takes over does not give it back. */
static size_t place(ad_prog *p, plan_place where)
{
	plan_value **v = ad__malloc((size_t)p->nvalue * sizeof *v), **ends = ad__malloc((size_t)p->nvalue * sizeof *v);
	bool *taken = ad__malloc((size_t)p->nvalue * sizeof *taken);
	int n = 0, over = 0;
	for (int i = 0; i < p->nvalue; i++)
		if (p->value[i].place == where && p->value[i].escapes)
			ends[n] = v[n] = &p->value[i], n++;
	qsort(v, (size_t)n, sizeof *v, by_first);
	qsort(ends, (size_t)n, sizeof *ends, by_last);
	room r = { 0 };
	size_t top = 0;
	for (int i = 0; i < n; i++) {
		size_t bytes = plan_value_bytes(p, v[i]);
		if (i && where == PLACE_TILE && v[i]->stage != v[i - 1]->stage) {
			r.n = 0;
			r.end = 0;
			over = i;
		}
		for (; ends[over]->last < v[i]->first && !p->keep_all; over++)
			if (!taken[ends[over] - p->value])
				give(&r, ends[over]->offset, ends[over]->offset + plan_value_bytes(p, ends[over]));
		if (v[i]->inplace >= 0 && !p->keep_all) {
			v[i]->offset = p->value[v[i]->inplace].offset;
			taken[v[i]->inplace] = true;
		} else {
			v[i]->offset = take(&r, bytes);
		}
		top = r.top > top ? r.top : top;
	}
	free(r.gap);
	free(v);
	free(ends);
	free(taken);
	return top;
}

void plan_arena(ad_prog *p)
{
	p->tile_bytes = place(p, PLACE_TILE);
	p->shared_bytes = place(p, PLACE_SHARED);
	p->cut_bytes = 0;
	p->scratch_bytes = 0;
	for (int i = 0; i < p->nvalue; i++)
		if (p->value[i].place == PLACE_CUT) {
			p->value[i].offset = p->cut_bytes;
			p->cut_bytes += plan_value_bytes(p, &p->value[i]);
		}
	for (int i = 0; i < p->nstep; i++) {
		plan_step *s = &p->step[i];
		if (s->kind == STEP_OP && s->node->op->scratch)
			s->scratch = s->node->op->scratch(s->node, s->batched ? p->max_tile : 1);
		size_t need = (s->scratch + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
		for (int k = 0; k < s->nsub; k++) {
			ad_prog *sub = s->sub[k];
			sub->max_tile = p->max_tile;
			plan_arena(sub);
			need += plan_sub_bytes(sub);
		}
		if (need > p->scratch_bytes)
			p->scratch_bytes = need;
	}
}
