/* Binding: operands of steps become addresses and strides for one thread and tile width. */
#include "plan.h"

static char *base(const ad_prog *p, const plan_thread *th, const plan_value *v)
{
	switch (v->place) {
	case PLACE_TILE:
		return th->memory + v->offset;
	case PLACE_SHARED:
		return v->data ? (char *)v->data : p->shared + v->offset;
	case PLACE_CUT:
		return p->cut + (size_t)th->tile * p->cut_bytes + v->offset;
	case PLACE_SLOT:
		return th->slot ? p->slot + (size_t)(th->slot - 1) * p->slot_bytes + v->slot_offset
		                : base(p, th, &p->value[v->input]);
	case PLACE_CONST:
		return (char *)v->data;
	default: /* inputs, arguments, captured variables */
		return (char *)p->bound[v->input];
	}
}

void plan_operand_at(const ad_prog *p, const plan_thread *th, const plan_operand *o, ad__arr *a)
{
	const plan_value *v = &p->value[o->value];
	int64_t w = v->batched ? th->width : 1;
	*a = o->a;
	for (int i = 0; i < a->rank; i++)
		a->stride[i] *= w;
	a->p = base(p, th, v);
	if (a->p)
		a->p += (size_t)(o->a.offset * w) * ad__size(v->dtype);
}

void plan_bind(ad_prog *p, plan_thread *th)
{
	for (int i = 0; i < p->nstep; i++) {
		const plan_step *s = &p->step[i];
		for (int k = 0; k < s->nout + s->nin; k++)
			plan_operand_at(p, th, &s->arg[k], &th->arg[s->first_arg + k]);
	}
}

void plan_bind_moving(ad_prog *p, plan_thread *th)
{
	for (int i = 0; i < p->nmoving; i++)
		plan_operand_at(p, th, p->moving[i].operand, &th->arg[p->moving[i].arg]);
}

size_t plan_operands(const ad_prog *p)
{
	const plan_step *last = p->nstep ? &p->step[p->nstep - 1] : NULL;
	return last ? (size_t)(last->first_arg + last->nout + last->nin) : 0;
}

int64_t plan_leading(ad_var x) { return ad_batched(x) && x->shape.rank > 1 ? x->shape.dim[1] : 0; }
