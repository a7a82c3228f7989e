/* Emission: values and steps of one stage after the other. */
#include "emit.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *p, int n, int *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap ? 2 * *cap : 64;
	p = realloc(p, (size_t)*cap * size);
	if (!p)
		abort();
	return p;
}

int plan_new_value(planner *pl, plan_value v)
{
	ad_prog *p = pl->p;
	p->value = grow(p->value, p->nvalue, &pl->capvalue, sizeof *p->value);
	v.first = v.last = p->nstep;
	v.inplace = -1;
	v.stage = pl->stage;
	p->value[p->nvalue] = v;
	return p->nvalue++;
}

plan_step *plan_new_step(planner *pl, plan_step s)
{
	ad_prog *p = pl->p;
	p->step = grow(p->step, p->nstep, &pl->capstep, sizeof *p->step);
	p->step[p->nstep] = s;
	return &p->step[p->nstep++];
}

ad__arr plan_layout(ad_var x)
{
	int b = ad_batched(x);
	ad__arr a = { .dtype = x->dtype, .rank = x->shape.rank - b, .lane = b };
	int64_t n = 1;
	for (int i = a.rank; i-- > 0;) {
		a.dim[i] = x->shape.dim[i + b];
		a.stride[i] = n;
		n *= a.dim[i];
	}
	return a;
}

void plan_use(planner *pl, ad_var x, int s)
{
	while (x->op->flags & AD__VIEW)
		x = x->in[0];
	if (!ad_batched(x) || pl->p->fn || x->op == &ad__op_full)
		return;
	if (x->op != &ad__op_input) {
		if (pl->exec[x->id] < s)
			pl->cut[x->id] = 1;
		return;
	}
	for (int i = 0; i < pl->nloaded[s]; i++)
		if (pl->loaded[s][i] == x)
			return;
	pl->loaded[s] = realloc(pl->loaded[s], (size_t)(pl->nloaded[s] + 1) * sizeof(ad_var));
	if (!pl->loaded[s])
		abort();
	pl->loaded[s][pl->nloaded[s]++] = x;
}

void plan_declare(planner *pl)
{
	ad_prog *p = pl->p;
	for (int id = 0; id < pl->t->n; id++) {
		ad_var x = pl->t->node[id];
		p->any_batched |= pl->live[id] && ad_batched(x);
		if (!pl->live[id] || x->op != &ad__op_input)
			continue;
		p->input = realloc(p->input, (size_t)(p->ninput + 1) * sizeof(ad_var));
		if (!p->input)
			abort();
		p->input[p->ninput] = x;
		p->input_of[id] = ++p->ninput;
		if (!ad_batched(x))
			pl->at[id] = (plan_operand){ plan_new_value(pl, (plan_value){ .place = PLACE_INPUT, .dtype = x->dtype,
				                                             .rows = ad__rows(x), .input = p->ninput - 1, .node = x }),
				                         plan_layout(x) };
	}
	p->bound = ad__malloc((size_t)p->ninput * sizeof *p->bound);
	if (!p->fn)
		return;
	p->narg = p->fn->narg + p->fn->tape->ncapture;
	for (int i = 0; i < p->narg; i++) {
		ad_var x = i < p->fn->narg ? p->fn->arg[i] : p->fn->tape->inside[i - p->fn->narg];
		pl->at[x->id] = (plan_operand){ plan_new_value(pl, (plan_value){ .place = PLACE_OUTER, .dtype = x->dtype,
			                                                 .batched = ad_batched(x), .rows = ad__rows(x),
			                                                 .input = i, .node = x }),
			                        plan_layout(x) };
	}
}

static int const_value(planner *pl, ad_var x)
{
	const void *data = x->attr.data;
	int64_t rows = ad__rows(x);
	if (x->op == &ad__op_full) {
		void *v = ad__alloc(ad_root(pl->t), 8);
		if (x->dtype == AD_F64)
			*(double *)v = x->attr.a;
		else if (x->dtype == AD_F32)
			*(float *)v = (float)x->attr.a;
		else
			*(int32_t *)v = (int32_t)x->attr.a;
		data = v;
		rows = 1;
	}
	int v = plan_new_value(pl, (plan_value){ .place = PLACE_CONST, .dtype = x->dtype, .rows = rows, .data = data, .node = x });
	pl->p->value[v].first = -1;
	return v;
}

static plan_operand view_of(ad_var x, plan_operand o, planner *pl)
{
	if (o.value < 0 || x->op->view(x, &o.a))
		return o;
	o = plan_dense_of(pl, x->in[0], ad_batched(x->in[0]));
	x->op->view(x, &o.a);
	return o;
}

/* Chains of views may be long: no recursion. */
static plan_operand find_view(planner *pl, ad_var x)
{
	int now = 2 * pl->stage + pl->loop + 1, n = 0;
	ad_var v = x;
	for (; v->op->flags & AD__VIEW && pl->found[v->id] != now; v = v->in[0])
		n++;
	ad_var *chain = ad__malloc((size_t)n * sizeof *chain);
	v = x;
	for (int i = n; i-- > 0; v = v->in[0])
		chain[i] = v;
	for (int i = 0; i < n; i++) {
		pl->at[chain[i]->id] = view_of(chain[i], plan_find(pl, chain[i]->in[0]), pl);
		pl->found[chain[i]->id] = now;
	}
	free(chain);
	return pl->at[x->id];
}

plan_operand plan_find(planner *pl, ad_var x)
{
	if (x->op->flags & AD__VIEW)
		return find_view(pl, x);
	if (x->op == &ad__op_input && ad_batched(x))
		for (int i = 0; i < pl->nloaded[pl->stage]; i++)
			if (pl->loaded[pl->stage][i] == x)
				return (plan_operand){ pl->load_value[i], plan_layout(x) };
	if (pl->at[x->id].value < 0 && (x->op == &ad__op_const || x->op == &ad__op_full)) {
		plan_operand o = { const_value(pl, x), plan_layout(x) };
		if (x->op == &ad__op_full) {
			memset(o.a.stride, 0, sizeof o.a.stride);
			o.a.lane = 0;
		}
		pl->at[x->id] = o;
	}
	if (pl->at[x->id].value < 0)
		ad_fail(pl->t, "ad_compile: ad_%s is used before it is computed", x->op->name);
	return pl->at[x->id];
}

void plan_step_uses(planner *pl, int step, const plan_operand *o)
{
	if (o->value < 0)
		return;
	plan_value *v = &pl->p->value[o->value];
	if (v->first != step)
		v->escapes = true;
	if (step > v->last)
		v->last = step;
}

static plan_step *step_with(planner *pl, plan_step s, int n)
{
	s.arg = ad__malloc((size_t)n * sizeof *s.arg);
	return plan_new_step(pl, s);
}

static plan_place local_place(const planner *pl) { return pl->loop || pl->p->fn ? PLACE_TILE : PLACE_SHARED; }

plan_operand plan_dense_of(planner *pl, ad_var x, bool batched)
{
	while (x->op == &ad__op_alias)
		x = x->in[0];
	plan_operand o = plan_find(pl, x);
	if (plan_contiguous(&o.a) && o.a.lane == batched)
		return o;
	ad__arr a = o.a;
	int64_t n = 1;
	for (int i = a.rank; i-- > 0; n *= a.dim[i])
		a.stride[i] = n;
	a.offset = 0;
	a.lane = batched;
	for (int i = pl->copy[x->id]; i; i = pl->dense[i - 1].next) {
		const plan_dense *d = &pl->dense[i - 1];
		bool here = d->stage == pl->stage && d->loop == pl->loop;
		if (d->batched == batched && (here || pl->p->value[d->value].place == PLACE_SHARED))
			return (plan_operand){ d->value, a };
	}
	int v = plan_new_value(pl, (plan_value){ .place = local_place(pl), .dtype = x->dtype, .batched = batched,
	                                         .escapes = true, .rows = n, .node = x });
	plan_step *s = step_with(pl, (plan_step){ .kind = STEP_COPY, .node = x, .batched = batched, .nout = 1, .nin = 1 }, 2);
	s->arg[0] = (plan_operand){ v, a };
	s->arg[1] = o;
	plan_step_uses(pl, pl->p->nstep - 1, &o);
	pl->dense = grow(pl->dense, pl->ndense, &pl->capdense, sizeof *pl->dense);
	pl->dense[pl->ndense++] = (plan_dense){ pl->stage, v, pl->copy[x->id], pl->loop, batched };
	pl->copy[x->id] = pl->ndense;
	return s->arg[0];
}

/* What a loop reads that is ordinary and strided is copied once, before it. */
void plan_emit_copies(planner *pl)
{
	for (int i = pl->begin[pl->stage]; i < pl->begin[pl->stage + 1]; i++) {
		ad_var x = pl->t->node[pl->order[i]];
		bool loop = ad_batched(x);
		for (int k = 0; k < x->nin; k++)
			loop |= ad_batched(x->in[k]);
		for (int k = 0; k < x->nin && loop && x->op->flags & AD__CONTIGUOUS && !ad_error(pl->t); k++)
			if (!ad_batched(x->in[k]))
				plan_dense_of(pl, x->in[k], false);
	}
}

void plan_emit_loads(planner *pl)
{
	int n = pl->nloaded[pl->stage];
	free(pl->load_value);
	pl->load_value = ad__malloc((size_t)n * sizeof(int));
	for (int i = 0; i < n; i++) {
		ad_var x = pl->loaded[pl->stage][i];
		int v = plan_new_value(pl, (plan_value){ .place = PLACE_TILE, .dtype = x->dtype, .batched = true, .escapes = true,
		                                         .rows = ad__rows(x), .node = x });
		plan_step *s = step_with(pl, (plan_step){ .kind = STEP_LOAD, .node = x, .batched = true, .nout = 1,
		                                          .output = pl->p->input_of[x->id] - 1 }, 1);
		s->arg[0] = (plan_operand){ v, plan_layout(x) };
		pl->load_value[i] = v;
	}
}

/* The accumulators of a sum over the batch, and the ordinary value they end in. */
static int reduced_value(planner *pl, ad_var x)
{
	ad_prog *p = pl->p;
	int total = plan_new_value(pl, (plan_value){ .place = PLACE_SHARED, .dtype = x->dtype, .escapes = true,
	                                             .rows = ad__rows(x), .node = x });
	int v = plan_new_value(pl, (plan_value){ .place = PLACE_SLOT, .dtype = x->dtype, .escapes = true, .rows = ad__rows(x),
	                                         .input = total, .slot_offset = p->slot_bytes, .node = x });
	p->slot_bytes += ((size_t)ad__rows(x) * ad__size(x->dtype) + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
	pl->at[x->id] = (plan_operand){ total, plan_layout(x) };
	return v;
}

/* The live second result of x, or NULL. */
static ad_var side_of(planner *pl, ad_var x)
{
	for (int id = x->id + 1; x->op->flags & AD__SIDED && id < pl->t->n; id++)
		if (pl->live[id] && pl->t->node[id]->op->flags & AD__SIDE && pl->t->node[id]->in[0] == x)
			return pl->t->node[id];
	return NULL;
}

static void emit_op(planner *pl, ad_var x)
{
	ad_var side = side_of(pl, x), sum = side ? side : x;
	int nout = side ? 2 : 1;
	bool any = false, sums = !pl->p->fn && pl->loop && !ad_batched(sum);
	for (int k = 0; k < x->nin; k++)
		any |= ad_batched(x->in[k]);
	plan_operand in[x->nin + 1];
	for (int k = 0; k < x->nin; k++)
		in[k] = x->op->flags & AD__STRIDED      ? plan_find(pl, x->in[k])
		        : x->op->flags & AD__CONTIGUOUS ? plan_dense_of(pl, x->in[k], ad_batched(x->in[k]))
		                                        : plan_dense_of(pl, x->in[k], any);
	plan_place place = pl->cut[x->id] ? PLACE_CUT : local_place(pl);
	int v[2];
	for (int i = 0; i < nout; i++) {
		ad_var y = i ? side : x;
		bool reduced = sums && y == sum;
		v[i] = reduced ? reduced_value(pl, y)
		               : plan_new_value(pl, (plan_value){ .place = i ? local_place(pl) : place, .dtype = y->dtype, .batched = ad_batched(y),
		                                                  .escapes = true, .rows = ad__rows(y), .node = y });
		if (!reduced)
			pl->at[y->id] = (plan_operand){ v[i], plan_layout(y) };
	}
	plan_step *s = step_with(pl, (plan_step){ .kind = STEP_OP, .node = x, .batched = ad_batched(x) || any, .reduces = sums,
	                                          .nout = nout, .nin = x->nin }, x->nin + nout);
	for (int i = 0; i < nout; i++)
		s->arg[i] = (plan_operand){ v[i], plan_layout(i ? side : x) };
	if (x->nin)
		memcpy(s->arg + nout, in, (size_t)x->nin * sizeof *in);
	for (int k = 0; k < x->nin; k++)
		plan_step_uses(pl, pl->p->nstep - 1, &in[k]);
	if (x->op->flops)
		s->flops = x->op->flops(x);
	if (!x->op->fn)
		return;
	ad_fn *f;
	int first;
	ad_options o = pl->p->o;
	o.tile = 0;
	ad_var made = side && side->op->fn ? side : x;
	while ((f = made->op->fn(made, s->nsub, &first))) {
		s->sub = realloc(s->sub, (size_t)(s->nsub + 1) * sizeof *s->sub);
		if (!s->sub)
			abort();
		ad_prog *sub = plan_compile(f->tape, f, f->nout, f->out, o);
		if (!sub)
			return;
		s->sub[s->nsub++] = sub;
	}
	if (x->op->flags & AD__SOLVES)
		plan_triangular(s->sub[0]);
}

void plan_emit(planner *pl, ad_var x)
{
	if (x->op->flags & (AD__LEAF | AD__VIEW | AD__SIDE))
		return;
	if (x->op->flags & AD__ELEMENTWISE)
		plan_emit_elementwise(pl, x);
	else
		emit_op(pl, x);
}

static void emit_store(planner *pl, int i)
{
	plan_operand o = plan_dense_of(pl, pl->p->output[i].node, true);
	plan_step *s = step_with(pl, (plan_step){ .kind = STEP_STORE, .node = pl->p->output[i].node, .batched = true, .nin = 1,
	                                          .output = i }, 1);
	s->arg[0] = o;
	plan_step_uses(pl, pl->p->nstep - 1, &o);
}

/* An ordinary output is a shared value of its own, so that nothing has to be copied when the run ends. */
static void settle_output(planner *pl, int i)
{
	ad_prog *p = pl->p;
	ad_var x = p->output[i].node;
	plan_operand o = plan_find(pl, x);
	bool taken = o.value < 0 || p->value[o.value].place != PLACE_SHARED || !plan_contiguous(&o.a) || o.a.offset ||
	             p->value[o.value].rows != ad__rows(x);
	for (int k = 0; k < i; k++)
		taken |= !p->output[k].batched && p->output[k].value == o.value;
	if (taken) {
		ad__arr a = plan_layout(x);
		int v = plan_new_value(pl, (plan_value){ .place = PLACE_SHARED, .dtype = x->dtype, .escapes = true,
		                                         .rows = ad__rows(x), .node = x });
		plan_step *s = step_with(pl, (plan_step){ .kind = STEP_COPY, .node = x, .nout = 1, .nin = 1 }, 2);
		s->arg[0] = (plan_operand){ v, a };
		s->arg[1] = o;
		plan_step_uses(pl, p->nstep - 1, &o);
		o = s->arg[0];
	}
	p->output[i].value = o.value;
	p->value[o.value].escapes = true;
	p->value[o.value].last = INT32_MAX;
}

/* A result that the caller has room for is made there, if it is a value of its own; and added, if its step can. */
static void lend(ad_prog *p, int i)
{
	const plan_output *o = &p->output[i];
	int number = i - (p->noutput - p->fn->lent);
	if (number < 0 || o->value < 0)
		return;
	plan_value *v = &p->value[o->value];
	plan_step *s = &p->step[v->first];
	bool own = v->place == PLACE_TILE && !o->offset && v->rows == ad__rows(o->node);
	for (int k = 0; k < p->noutput; k++)
		own &= k == i || p->output[k].value != o->value;
	bool adds = s->kind == STEP_OP && s->node->op->flags & AD__REDUCES && !s->node->op->combine && s->batched &&
	            s->nout == 1 && v->last == v->first;
	if (!own || (p->fn->adds && !adds))
		return;
	v->place = PLACE_OUTER;
	v->input = p->narg + number;
	s->adds = p->fn->adds;
}

/* Results of a traced function. */
static void emit_results(planner *pl)
{
	ad_prog *p = pl->p;
	for (int i = 0; i < p->noutput && !ad_error(pl->t); i++) {
		plan_output *out = &p->output[i];
		out->batched = ad_batched(out->node);
		plan_operand o = plan_dense_of(pl, out->node, out->batched);
		out->value = o.value;
		out->offset = o.a.offset;
	}
	for (int i = 0; i < p->noutput && !ad_error(pl->t); i++)
		lend(p, i);
	for (int i = 0; i < p->noutput && !ad_error(pl->t); i++)
		if (p->output[i].value >= 0) {
			plan_value *v = &p->value[p->output[i].value];
			v->escapes = true;
			v->last = INT32_MAX;
		}
}

void plan_emit_outputs(planner *pl)
{
	ad_prog *p = pl->p;
	if (p->fn) {
		emit_results(pl);
		return;
	}
	for (int i = 0; i < p->noutput; i++) {
		ad_var x = p->output[i].node;
		p->output[i].batched = ad_batched(x);
		if (pl->loop && ad_batched(x) && pl->exec[x->id] == pl->stage) {
			emit_store(pl, i);
		} else if (!pl->loop && !ad_batched(x) && pl->stage == p->nstage - 1) {
			settle_output(pl, i);
		}
		if (ad_error(pl->t))
			return;
	}
}

static void lengthen(plan_value *v, int first, int last)
{
	if (first < v->first)
		v->first = first;
	if (last > v->last)
		v->last = last;
}

/* Shared values stay for the whole of a loop that uses them, sums from its start. */
static void finish_lifetimes(ad_prog *p)
{
	for (int s = 0; s < p->nstage; s++) {
		plan_stage *st = &p->stage[s];
		for (int i = st->bat0; i < st->bat1; i++)
			for (int k = 0; k < p->step[i].nout + p->step[i].nin; k++) {
				plan_value *v = &p->value[p->step[i].arg[k].value];
				if (v->place == PLACE_SLOT)
					lengthen(&p->value[v->input], st->bat0, st->bat1);
				else if (v->place == PLACE_SHARED)
					lengthen(v, v->first, st->bat1);
			}
	}
}

/* Its place depends on the tile; in a traced function, on the run. */
static bool moves(const ad_prog *p, const plan_value *v)
{
	return v->place == PLACE_CUT || v->place == PLACE_SLOT || (v->place == PLACE_OUTER && (v->input < p->fn->narg || v->input >= p->narg));
}

void plan_finish(planner *pl)
{
	ad_prog *p = pl->p;
	if (ad_error(pl->t))
		return;
	int at = 0;
	for (int i = 0; i < p->nstep; i++)
		if (p->step[i].kind == STEP_FUSED)
			plan_finish_fused(pl, i);
	for (int i = 0; i < p->nstep; i++) {
		plan_step *s = &p->step[i];
		s->first_arg = at;
		at += s->nout + s->nin;
	}
	p->moving = ad__malloc((size_t)at * sizeof *p->moving);
	for (int i = 0; i < p->nstep; i++) {
		const plan_step *s = &p->step[i];
		for (int k = 0; k < s->nout + s->nin; k++)
			if (moves(p, &p->value[s->arg[k].value]))
				p->moving[p->nmoving++] = (plan_moving){ &s->arg[k], s->first_arg + k };
	}
	finish_lifetimes(p);
	plan_panels(p);
}

void plan_discard(planner *pl)
{
	for (int s = 0; s < pl->p->nstage; s++)
		free(pl->loaded[s]);
	free(pl->loaded);
	free(pl->nloaded);
	free(pl->load_value);
	free(pl->dense);
	free(pl->live);
	free(pl->cut);
	free(pl->exec);
	free(pl->avail);
	free(pl->at);
	free(pl->order);
	free(pl->begin);
	free(pl->found);
	free(pl->copy);
}
