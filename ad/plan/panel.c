/* A step that can make its rows by panels, and the fused step after it that reads them: panel by panel, while they are
 * in L1, or in the registers that they are made in. */
#include "plan.h"

enum { PANEL = 4608 }; /* elements */

static bool reads(const plan_step *s, int value)
{
	for (int k = 0; k < s->nin; k++)
		if (s->arg[s->nout + k].value == value)
			return true;
	return false;
}

/* s makes rows, f reads them, all in s's own order; nothing that f writes takes over the place of something that s
 * still reads. */
static bool follows(const ad_prog *p, const plan_step *s, const plan_step *f)
{
	if (s->kind != STEP_OP || !(s->node->op->flags & AD__ROWS) || !s->batched || s->reduces ||
	    f->kind != STEP_FUSED || !f->batched)
		return false;
	const plan_operand *made = &s->arg[0];
	if (p->value[made->value].rows != f->rows || !reads(f, made->value) ||
	    p->value[made->value].stage != p->value[f->arg[0].value].stage)
		return false;
	for (int k = 0; k < f->nin; k++) {
		const plan_operand *o = &f->arg[f->nout + k];
		int64_t n = 1;
		for (int i = 0; i < o->a.rank; i++)
			n *= o->a.dim[i];
		if (o->value == made->value && (!plan_contiguous(&o->a) || o->a.offset || n != f->rows || !o->a.lane))
			return false;
	}
	for (int k = 0; k < f->nout; k++) {
		int over = p->value[f->arg[k].value].inplace;
		if (over >= 0 && reads(s, over))
			return false;
	}
	return true;
}

/* Of f's inputs that lie in order, the one made first. */
static int oldest(const ad_prog *p, const plan_step *s, const plan_step *f)
{
	int best = -1;
	for (int k = 0; k < f->nin; k++) {
		const plan_operand *o = &f->arg[f->nout + k];
		const plan_value *v = &p->value[o->value];
		if (v->place == PLACE_TILE && v->batched && v->rows == f->rows && plan_contiguous(&o->a) &&
		    !o->a.offset && o->value != s->arg[0].value &&
		    (best < 0 || v->first < p->value[f->arg[f->nout + best].value].first))
			best = k;
	}
	return best;
}

/* What the step has to do so that f need not run; its rows are read by nobody else then. */
static int finish(const ad_prog *p, int step, const plan_step *f)
{
	const plan_step *s = &p->step[step];
	const plan_micro *m = &f->micro[0];
	const plan_value *made = &p->value[s->arg[0].value], *result = &p->value[f->arg[0].value];
	if (!(s->node->op->flags & AD__FINISHES) || f->nmicro != 1 || made->last != step + 1 || made->place != PLACE_TILE ||
	    m->src[0] >= 0 || f->arg[~m->src[0]].value != s->arg[0].value)
		return AD__AS_IT_IS;
	if (m->ew == AD__EW_relu)
		return AD__RELU;
	if (m->ew != AD__EW_gate || s->soon < 0 || ~m->src[1] != f->nout + s->soon ||
	    result->inplace == f->arg[~m->src[1]].value)
		return AD__AS_IT_IS;
	return AD__GATE;
}

void plan_panels(ad_prog *p)
{
	for (int i = 0; i + 1 < p->nstep && !p->o.no_fusion; i++) {
		plan_step *s = &p->step[i];
		s->leads = follows(p, s, s + 1);
		s->soon = s->leads ? oldest(p, s, s + 1) : -1;
		s->finish = s->leads ? finish(p, i, s + 1) : AD__AS_IT_IS;
		for (int k = 0; s->leads && k < s->nin; k++) {
			plan_value *v = &p->value[s->arg[s->nout + k].value];
			v->last = v->last == i ? i + 1 : v->last;
		}
	}
}

static void finished_run(ad_prog *p, plan_step *s, const ad__arr arg[], ad__ctx *c)
{
	plan_step *f = s + 1;
	const ad__arr *result = arg + (f->first_arg - s->first_arg);
	double t0 = p->profiling ? plan_now() : 0;
	c->running = s;
	c->finish = s->finish;
	c->gate = c->soon = s->finish == AD__GATE ? result[f->nout + s->soon].p : NULL;
	s->node->op->eval(s->node, result, arg + s->nout, c);
	c->finish = AD__AS_IT_IS;
	c->gate = c->soon = NULL;
	if (p->profiling)
		plan_spent(s, plan_now() - t0, true);
}

void plan_led_run(ad_prog *p, plan_step *s, const ad__arr arg[], ad__ctx *c)
{
	plan_step *f = s + 1;
	if (s->finish) {
		finished_run(p, s, arg, c);
		return;
	}
	int64_t rows = PANEL / c->width / AD__STRIP * AD__STRIP;
	rows = rows < AD__STRIP ? AD__STRIP : rows;
	c->running = s;
	c->soon = s->soon < 0 ? NULL : arg[f->first_arg - s->first_arg + f->nout + s->soon].p;
	for (int64_t r = 0; r < f->rows && !*c->error; r = c->row1) {
		c->row0 = r;
		c->row1 = r + rows < f->rows ? r + rows : f->rows;
		double t0 = p->profiling ? plan_now() : 0;
		s->node->op->eval(s->node, arg, arg + s->nout, c);
		double t1 = p->profiling ? plan_now() : 0;
		plan_fused(f, arg + (f->first_arg - s->first_arg), c, c->row0 * c->width, c->row1 * c->width);
		if (p->profiling) {
			plan_spent(s, t1 - t0, r == 0);
			plan_spent(f, plan_now() - t1, r == 0);
		}
	}
	c->row0 = c->row1 = 0;
	c->soon = NULL;
}
