/* Traced functions run by call ops: a nested program inside a thread's scratch memory. */
#include "plan.h"

#include <string.h>

/* What lies in scratch per function: its thread record, operands, bound pointers, arena, scratch. */
static size_t align(size_t n) { return (n + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN; }

size_t plan_sub_bytes(const ad_prog *sub)
{
	return align(sizeof(plan_thread)) + align(sizeof(ad_prog)) + align(plan_operands(sub) * sizeof(ad__arr)) +
	       align((size_t)(sub->narg + sub->fn->lent + 1) * sizeof(void *)) + align(sub->tile_bytes) + align(sub->scratch_bytes) + PLAN_ALIGN;
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
	at += align(plan_operands(n.prog) * sizeof(ad__arr));
	n.prog->bound = (const void **)at;
	at += align((size_t)(n.prog->narg + n.prog->fn->lent + 1) * sizeof(void *));
	n.th->memory = at;
	n.th->width = s->batched ? c->width : 1;
	n.th->ctx = *c;
	n.th->ctx.accumulate = n.th->ctx.partial = false;
	n.th->ctx.scratch = at + align(n.prog->tile_bytes);
	n.th->ctx.prog = n.prog;
	int nargs = n.prog->fn->narg;
	for (int i = 0; i < n.prog->narg + n.prog->fn->lent; i++)
		n.prog->bound[i] = i < nargs || i >= n.prog->narg ? NULL : in[first + i - nargs].p;
	plan_bind(n.prog, n.th);
}

const ad_fn *ad__sub_fn(const ad__ctx *c, int k)
{
	return c->running->sub[k]->fn;
}

void ad__sub_lend(ad__ctx *c, int k, int j, void *room)
{
	ad_prog *p = locate(c, k).prog;
	const void **at = &p->bound[p->narg + j];
	p->lent_anew |= *at != room;
	*at = room;
}

bool ad__sub_run(ad__ctx *c, int k, void *const arg[], ad__arr out[])
{
	nested n = locate(c, k);
	ad_prog *p = n.prog;
	bool same = !p->lent_anew;
	for (int i = 0; i < p->fn->narg; i++)
		same &= p->bound[i] == arg[i];
	if (!same) {
		for (int i = 0; i < p->fn->narg; i++)
			p->bound[i] = arg[i];
		p->lent_anew = false;
		plan_bind_moving(p, n.th);
	}
	for (int i = 0; i < p->nstep; i += 1 + p->step[i].leads)
		if (!plan_step_run(p, &p->step[i], n.th->arg + p->step[i].first_arg, &n.th->ctx))
			return false;
	for (int i = 0; i < p->noutput; i++) {
		plan_operand o = { p->output[i].value, plan_layout(p->output[i].node) };
		o.a.offset = p->output[i].offset;
		plan_operand_at(p, n.th, &o, &out[i]);
	}
	return true;
}

/* One index of axis 1 at a time, or all rows at once where the step knows no such axis. */
static bool rowwise_run(ad_prog *p, plan_step *s, const ad__arr arg[], ad__ctx *c, const plan_run *r)
{
	int64_t d = plan_leading(s->node), n = p->value[s->arg[0].value].rows;
	if (!d || (s->kind == STEP_OP && !s->shadow))
		return plan_step_run(p, s, arg, c);
	for (int64_t i = r->lo / (n / d); i < r->hi / (n / d); i++) {
		ad__arr part[s->nout + s->nin];
		for (int k = 0; k < s->nout + s->nin; k++) {
			part[k] = arg[k];
			if (part[k].rank && part[k].dim[0] == d) {
				part[k].p += (size_t)(i * part[k].stride[0]) * ad__size(part[k].dtype);
				part[k].dim[0] = 1;
			}
		}
		if (s->kind == STEP_COPY)
			ad__copy(&part[0], &part[1], c->width);
		else
			s->shadow->op->eval(s->shadow, part, part + 1, c);
		if (*c->error)
			return false;
	}
	return true;
}

static bool run_rows(ad_prog *p, const plan_run *r, plan_thread *th)
{
	plan_step *s = &p->step[r->step];
	const ad__arr *arg = th->arg + s->first_arg;
	ad__ctx *c = &th->ctx;
	int64_t w = s->batched ? c->width : 1;
	if (s->kind == STEP_FUSED) {
		plan_fused(s, arg, c, r->lo * w, r->hi * w);
		return true;
	}
	if (s->kind == STEP_COPY || !(s->node->op->flags & AD__ROWS))
		return rowwise_run(p, s, arg, c, r);
	c->row0 = r->lo;
	c->row1 = r->hi;
	c->col0 = r->col0;
	c->col1 = r->col1;
	s->node->op->eval(s->node, arg, arg + 1, c);
	c->row0 = c->row1 = c->col0 = c->col1 = 0;
	return !*c->error;
}

bool ad__sub_solve(ad__ctx *c, void *y)
{
	nested n = locate(c, 0);
	ad_prog *p = n.prog;
	if (!p->run)
		return false;
	p->bound[0] = y;
	plan_bind(p, n.th);
	if (p->reads_ahead)
		memset(n.th->memory, 0, p->tile_bytes);
	plan_operand o = { p->output[0].value, plan_layout(p->output[0].node) };
	ad__arr f;
	plan_operand_at(p, n.th, &o, &f);
	size_t row = (size_t)n.th->width * ad__size(f.dtype);
	for (int64_t i = 0; i < p->nrun; i++) {
		const plan_run *r = &p->run[i];
		if (r->step < 0)
			memcpy((char *)y + (size_t)r->lo * row, f.p + (size_t)r->lo * row, (size_t)(r->hi - r->lo) * row);
		else if (!run_rows(p, r, n.th))
			return true; /* c->error says why */
	}
	return true;
}
