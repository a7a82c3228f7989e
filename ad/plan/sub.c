/* Traced functions run by call ops: a nested program inside a thread's scratch memory. */
#include "plan.h"

#include <string.h>

/* What lies in scratch per function: its thread record, operands, bound pointers, arena, scratch. */
static size_t align(size_t n) { return (n + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN; }

static size_t operands(const ad_prog *sub)
{
	return sub->nstep ? (size_t)(sub->step[sub->nstep - 1].first_arg + sub->step[sub->nstep - 1].nout +
	                             sub->step[sub->nstep - 1].nin) : 0;
}

size_t plan_sub_bytes(const ad_prog *sub)
{
	return align(sizeof(plan_thread)) + align(sizeof(ad_prog)) + align(operands(sub) * sizeof(ad__arr)) +
	       align((size_t)(sub->narg + 1) * sizeof(void *)) + align(sub->tile_bytes) + align(sub->scratch_bytes) + PLAN_ALIGN;
}

typedef struct {
	plan_thread *th;
	ad_prog *prog; /* a copy whose bound pointers are this thread's */
} nested;

static nested locate(ad__ctx *c, int k)
{
	plan_step *s = c->running;
	char *at = (char *)c->scratch + align(s->scratch);
	for (int i = 0; i < k; i++)
		at += plan_sub_bytes(s->sub[i]);
	nested n = { (plan_thread *)at, NULL };
	n.prog = (ad_prog *)(at + align(sizeof(plan_thread)));
	return n;
}

void ad__sub_bind(ad__ctx *c, int k, const ad__arr in[])
{
	plan_step *s = c->running;
	nested n = locate(c, k);
	int first = 0;
	s->node->op->fn(s->node, k, &first);
	*n.prog = *s->sub[k];
	char *at = (char *)n.prog + align(sizeof(ad_prog));
	memset(n.th, 0, sizeof *n.th);
	n.th->arg = (ad__arr *)at;
	at += align(operands(n.prog) * sizeof(ad__arr));
	n.prog->bound = (const void **)at;
	at += align((size_t)(n.prog->narg + 1) * sizeof(void *));
	n.th->memory = at;
	n.th->width = s->batched ? c->width : 1;
	n.th->ctx = *c;
	n.th->ctx.scratch = at + align(n.prog->tile_bytes);
	n.th->ctx.prog = n.prog;
	int nargs = n.prog->fn->narg;
	for (int i = 0; i < n.prog->narg; i++)
		n.prog->bound[i] = i < nargs ? NULL : in[first + i - nargs].p;
	plan_bind(n.prog, n.th, false);
}

bool ad__sub_run(ad__ctx *c, int k, void *const arg[], ad__arr out[])
{
	nested n = locate(c, k);
	ad_prog *p = n.prog;
	bool same = true;
	for (int i = 0; i < p->fn->narg; i++)
		same &= p->bound[i] == arg[i];
	if (!same) {
		for (int i = 0; i < p->fn->narg; i++)
			p->bound[i] = arg[i];
		plan_bind(p, n.th, false);
	}
	for (int i = 0; i < p->nstep; i++)
		if (!plan_step_run(p, &p->step[i], n.th->arg + p->step[i].first_arg, &n.th->ctx))
			return false;
	for (int i = 0; i < p->noutput; i++) {
		plan_operand o = { p->output[i].value, plan_layout(p->output[i].node) };
		plan_operand_at(p, n.th, &o, &out[i]);
	}
	return true;
}
