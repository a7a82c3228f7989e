/* Fusion of elementwise ops: an op joins one of the last few fused steps of its list if all it needs is there. */
#include "emit.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4, MAX_MICRO = 96, MAX_INPUT = 24 };

/* x's place, stretched to the extents of r. */
static plan_operand stretched(planner *pl, ad_var x, ad_var r)
{
	plan_operand o = plan_find(pl, x);
	ad__arr want = plan_layout(r), a = o.a;
	o.a.rank = want.rank;
	for (int i = 1; i <= want.rank; i++) {
		int to = want.rank - i, from = a.rank - i;
		o.a.dim[to] = want.dim[to];
		o.a.stride[to] = from < 0 || a.dim[from] == 1 ? 0 : a.stride[from];
	}
	return o;
}

static bool whole(const plan_value *v, const ad__arr *a)
{
	int64_t n = 1;
	for (int i = 0; i < a->rank; i++)
		n *= a->dim[i];
	return plan_contiguous(a) && !a->offset && n == v->rows && a->lane == v->batched;
}

static bool can_join(const planner *pl, int step, ad_var x, const plan_operand in[])
{
	const ad_prog *p = pl->p;
	const plan_step *s = &p->step[step];
	if (s->kind != STEP_FUSED || s->batched != ad_batched(x) || s->rows != ad__rows(x) || s->node->dtype != x->dtype ||
	    s->nmicro >= MAX_MICRO || s->nin + x->nin > MAX_INPUT)
		return false;
	for (int k = 0; k < x->nin; k++) {
		const plan_value *v = &p->value[in[k].value];
		bool made_here = v->place != PLACE_CONST && v->place != PLACE_INPUT && v->place != PLACE_OUTER && v->first == step;
		if (made_here ? !whole(v, &in[k].a)
		              : v->place != PLACE_CONST && v->place != PLACE_INPUT && v->place != PLACE_OUTER && v->first > step)
			return false;
	}
	return true;
}

static int external(plan_step *s, const plan_operand *o)
{
	for (int i = 0; i < s->nin; i++)
		if (s->arg[i].value == o->value && !memcmp(&s->arg[i].a, &o->a, sizeof o->a))
			return i;
	s->arg[s->nin] = *o;
	return s->nin++;
}

/* Until plan_finish_fused, sources are ~number of an external operand, or the number of a value made here. */
static void join(planner *pl, int step, ad_var x, const plan_operand in[])
{
	ad_prog *p = pl->p;
	plan_place place = pl->cut[x->id] ? PLACE_CUT : pl->loop || p->fn ? PLACE_TILE : PLACE_SHARED;
	int v = plan_new_value(pl, (plan_value){ .place = place, .dtype = x->dtype, .batched = ad_batched(x), .rows = ad__rows(x),
	                                         .escapes = place == PLACE_CUT, .node = x });
	p->value[v].first = p->value[v].last = step;
	plan_step *s = &p->step[step];
	plan_micro m = { .ew = x->op->ew, .a = x->attr.a, .b = x->attr.b, .node = x, .value = v };
	for (int k = 0; k < 3; k++)
		m.src[k] = INT32_MIN;
	for (int k = 0; k < x->nin; k++) {
		bool inside = false;
		for (int i = 0; i < s->nmicro; i++)
			inside |= s->micro[i].value == in[k].value;
		if (inside) {
			m.src[k] = in[k].value;
		} else {
			m.src[k] = ~external(s, &in[k]);
			plan_step_uses(pl, step, &in[k]);
		}
	}
	s->micro = realloc(s->micro, (size_t)(s->nmicro + 1) * sizeof *s->micro);
	if (!s->micro)
		abort();
	s->micro[s->nmicro++] = m;
	s->flops += (double)ad__rows(x);
	pl->at[x->id] = (plan_operand){ v, plan_layout(x) };
	p->fused_nodes++;
}

void plan_emit_elementwise(planner *pl, ad_var x)
{
	ad_prog *p = pl->p;
	plan_operand in[3];
	for (int k = 0; k < x->nin; k++) {
		in[k] = stretched(pl, x->in[k], x);
		if (in[k].value < 0)
			return;
	}
	int into = -1;
	for (int i = p->nstep - 1; i >= pl->list0 && i >= p->nstep - WINDOW && !p->o.no_fusion && into < 0; i--)
		if (can_join(pl, i, x, in))
			into = i;
	if (into < 0) {
		plan_new_step(pl, (plan_step){ .kind = STEP_FUSED, .node = x, .batched = ad_batched(x), .rows = ad__rows(x),
		                               .arg = ad__malloc((MAX_INPUT + 3) * sizeof(plan_operand)) });
		into = p->nstep - 1;
	}
	join(pl, into, x, in);
}

/* An input that ends here, has the shape of v, and that no op after number `at` reads. */
static int dying_input(ad_prog *p, const plan_step *s, int step, int at, const plan_value *v)
{
	for (int i = 0; i < s->nin; i++) {
		const plan_value *u = &p->value[s->arg[i].value];
		if (u->place != PLACE_TILE || v->place != PLACE_TILE || u->last != step || u->first == step || u->rows != v->rows ||
		    u->batched != v->batched || u->dtype != v->dtype)
			continue;
		bool ok = true;
		for (int k = 0; k < s->nin; k++)
			if (s->arg[k].value == s->arg[i].value)
				ok &= whole(u, &s->arg[k].a);
		for (int k = 0; k < s->nmicro; k++)
			ok &= p->value[s->micro[k].value].inplace != s->arg[i].value;
		for (int k = at + 1; k < s->nmicro; k++)
			for (int j = 0; j < 3; j++) {
				int src = s->micro[k].src[j];
				ok &= src >= 0 || src == INT32_MIN || s->arg[~src].value != s->arg[i].value;
			}
		if (ok)
			return s->arg[i].value;
	}
	return -1;
}

/* Outputs are the values that escape; the others get block registers, freed at their last use. */
void plan_finish_fused(planner *pl, int step)
{
	ad_prog *p = pl->p;
	plan_step *s = &p->step[step];
	plan_merge(p, s);
	int n = s->nmicro, last[MAX_MICRO], reg[MAX_MICRO], nout = 0;
	bool busy[MAX_MICRO + 1] = { 0 };
	for (int i = 0; i < n; i++) {
		last[i] = i;
		for (int k = 0; k < 3; k++)
			for (int j = 0; j < i && s->micro[i].src[k] >= 0; j++)
				if (s->micro[j].value == s->micro[i].src[k])
					last[j] = i;
		nout += p->value[s->micro[i].value].escapes;
	}
	plan_operand *arg = ad__malloc((size_t)(nout + s->nin) * sizeof *arg);
	int at = 0;
	for (int i = 0; i < n; i++) {
		plan_micro *m = &s->micro[i];
		plan_value *v = &p->value[m->value];
		int dst;
		if (v->escapes) {
			arg[at] = (plan_operand){ m->value, plan_layout(m->node) };
			dst = ~at++;
			v->inplace = dying_input(p, s, step, i, v);
		} else {
			int r = 0;
			while (busy[r])
				r++;
			busy[r] = true;
			if (r + 1 > s->nreg)
				s->nreg = r + 1;
			dst = r;
		}
		for (int k = 0; k < 3 && m->src[k] != INT32_MIN; k++) {
			if (m->src[k] < 0) {
				m->src[k] = ~(nout + ~m->src[k]);
				continue;
			}
			for (int j = 0; j < i; j++)
				if (s->micro[j].value == m->src[k]) {
					m->src[k] = reg[j];
					break;
				}
		}
		reg[i] = dst;
		m->dst = dst;
		for (int j = 0; j <= i; j++)
			if (reg[j] >= 0 && last[j] == i && !p->value[s->micro[j].value].escapes && busy[reg[j]]) {
				bool later = false;
				for (int k = 0; k <= i; k++)
					later |= k != j && reg[k] == reg[j] && last[k] > i;
				if (!later)
					busy[reg[j]] = false;
			}
	}
	memcpy(arg + nout, s->arg, (size_t)s->nin * sizeof *arg);
	free(s->arg);
	s->arg = arg;
	s->nout = nout;
	plan_fused_how(s);
	s->scratch = plan_fused_scratch(s);
}
