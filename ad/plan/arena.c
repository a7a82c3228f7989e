/* Places in memory: first fit over lifetimes. */
#include "plan.h"

#include <stdlib.h>

size_t plan_value_bytes(const ad_prog *p, const plan_value *v)
{
	size_t n = (size_t)v->rows * ad__size(v->dtype) * (size_t)(v->batched ? p->max_tile : 1);
	return (n + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

typedef struct {
	size_t at, end;
	int last;
} span;

/* Values come in order of their first step; active spans are kept by place. */
typedef struct {
	span *s;
	int n, cap;
	size_t top;
} spans;

static void expire(spans *a, int step)
{
	int m = 0;
	for (int i = 0; i < a->n; i++)
		if (a->s[i].last >= step)
			a->s[m++] = a->s[i];
	a->n = m;
}

static void insert(spans *a, span s)
{
	if (a->n == a->cap) {
		a->cap = a->cap ? 2 * a->cap : 64;
		a->s = realloc(a->s, (size_t)a->cap * sizeof *a->s);
		if (!a->s)
			abort();
	}
	int i = a->n++;
	for (; i > 0 && a->s[i - 1].at > s.at; i--)
		a->s[i] = a->s[i - 1];
	a->s[i] = s;
	if (s.end > a->top)
		a->top = s.end;
}

static size_t first_fit(const spans *a, size_t bytes)
{
	size_t at = 0;
	for (int i = 0; i < a->n; i++) {
		if (a->s[i].at >= at + bytes)
			break;
		if (a->s[i].end > at)
			at = a->s[i].end;
	}
	return at;
}

static int by_first(const void *a, const void *b)
{
	const plan_value *x = *(plan_value *const *)a, *y = *(plan_value *const *)b;
	return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : (x > y) - (x < y);
}

static size_t place(ad_prog *p, plan_place where, int stage)
{
	plan_value **v = ad__malloc((size_t)p->nvalue * sizeof *v);
	int n = 0;
	for (int i = 0; i < p->nvalue; i++)
		if (p->value[i].place == where && p->value[i].escapes && (stage < 0 || p->value[i].stage == stage))
			v[n++] = &p->value[i];
	qsort(v, (size_t)n, sizeof *v, by_first);
	spans a = { 0 };
	for (int i = 0; i < n; i++) {
		size_t bytes = plan_value_bytes(p, v[i]);
		expire(&a, v[i]->first);
		v[i]->offset = p->keep_all          ? a.top
		               : v[i]->inplace >= 0 ? p->value[v[i]->inplace].offset
		                                    : first_fit(&a, bytes);
		insert(&a, (span){ v[i]->offset, v[i]->offset + bytes, v[i]->last });
	}
	size_t top = a.top;
	free(a.s);
	free(v);
	return top;
}

void plan_arena(ad_prog *p)
{
	p->tile_bytes = 0;
	for (int s = 0; s < p->nstage; s++) {
		size_t top = place(p, PLACE_TILE, p->fn ? -1 : s);
		if (top > p->tile_bytes)
			p->tile_bytes = top;
	}
	p->shared_bytes = place(p, PLACE_SHARED, -1);
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
