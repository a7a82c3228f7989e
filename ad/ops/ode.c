/* ode.c - ad_ode: checks, flat states, grids, and which derivative is taken. */
#include "ode.h"

#include <math.h>
#include <string.h>

bool ad__known(ad_var t, double *v)
{
	while (t->op == &ad__op_capture || t->op == &ad__op_alias)
		t = t->op == &ad__op_capture ? (ad_var)t->attr.data : t->in[0];
	*v = t->attr.a;
	return t->op == &ad__op_full && t->shape.rank == 0;
}

static ad_var as_real(ad_var x, ad_dtype d)
{
	return x->dtype == d ? x : ad_cast(x, d);
}

static ad__grid known_grid(const ad__problem *p, double t0, double t1)
{
	double span = t1 - t0, size = p->o.steps ? span / p->o.steps : copysign(p->o.step_size, span);
	int64_t n = p->o.steps ? p->o.steps : (int64_t)fmax(ceil(fabs(span) / p->o.step_size + 1) - 1, 1);
	ad_tape *t = ad_root(p->F->tape);
	if (n > 100000000) {
		ad_fail(t, "ad_ode: %.3g steps", (double)n);
		n = 1;
	}
	double *v = ad__alloc(t, (size_t)(2 * n) * sizeof *v);
	for (int64_t k = 0; k < n; k++) {
		double end = k == n - 1	  ? t1
			     : p->o.steps ? t0 + span * (double)(k + 1) / (double)n
					  : t0 + (double)(k + 1) * size;
		v[2 * k] = p->o.steps ? t0 + span * (double)k / (double)n : t0 + (double)k * size;
		v[2 * k + 1] = end - v[2 * k];
	}
	return (ad__grid){ as_real(ad_array(t, AD_SHAPE(n, 2), v), p->d), NULL, n };
}

/* Columns [B, 1] of times, or rank 0. */
static ad_var upright(ad_var t)
{
	return ad_batched(t) ? ad_reshape(t, AD_SHAPE(AD_BATCH, 1)) : t;
}

ad__grid ad__fixed_grid(const ad__problem *p, ad_var t0, ad_var t1)
{
	double a, b;
	if (ad__known(t0, &a) && ad__known(t1, &b))
		return known_grid(p, a, b);
	int64_t n = p->o.steps ? p->o.steps : p->o.max_steps;
	ad_var k = as_real(ad_iota(ad_root(p->F->tape), n), p->d), from, size, count = NULL;
	if (ad_batched(t0) != ad_batched(t1)) {
		t0 = ad_broadcast(t0, AD_SHAPE(AD_BATCH));
		t1 = ad_broadcast(t1, AD_SHAPE(AD_BATCH));
	}
	ad_var start = upright(t0), end = upright(t1), span = ad_sub(end, start);
	if (p->o.steps) {
		from = ad_add(start, ad_mul(span, ad_scale(k, 1 / (double)n)));
		size = ad_add(ad_scale(span, 1 / (double)n), ad_scale(k, 0));
	} else {
		ad_var number = ad_stop(
			ad_shift(ad_ceil(ad_shift(ad_div(ad_abs(span), ad_full_like(span, p->o.step_size)), 1)), -1));
		ad_var h = ad_stop(ad_scale(ad_sign(span), p->o.step_size)), next = ad_shift(k, 1);
		from = ad_where(ad_lt(k, number), ad_add(start, ad_mul(h, k)), end);
		size = ad_sub(ad_where(ad_lt(next, number), ad_add(start, ad_mul(h, next)), end), from);
		count = ad_batched(number) ? ad_reshape(number, AD_SHAPE(AD_BATCH)) : number;
	}
	ad_var column[2] = { ad_expand(from, ad_rank(from)), ad_expand(size, ad_rank(size)) };
	return (ad__grid){ ad_concat(ad_rank(from), 2, column), count, n };
}

/* In which step of the grid a time lies: as many as end before it. */
static ad_var step_of(ad__grid g, ad_var t0, ad_var end, ad_var time)
{
	bool b = ad_batched(g.v);
	ad_var start = ad_reshape(ad__cut(g.v, 0, 1), b ? AD_SHAPE(AD_BATCH, g.n) : AD_SHAPE(g.n)), ends[2];
	ends[0] = g.n > 1 ? ad_slice(start, b, 1, g.n) : NULL;
	ends[1] = ad_reshape(b ? ad_broadcast(end, AD_SHAPE(AD_BATCH)) : end, b ? AD_SHAPE(AD_BATCH, 1) : AD_SHAPE(1));
	ad_var last = g.n > 1 ? ad_concat(b, 2, ends) : ends[1], dir = upright(ad_sign(ad_sub(end, t0)));
	return ad_stop(ad_sum(ad_lt(ad_mul(dir, last), ad_mul(dir, upright(time))), b ? AD_EVENT : AD_ALL));
}

static void add_to(ad_var *sum, ad_var v)
{
	*sum = *sum ? ad_add(*sum, v) : v;
}

static int per_step(const ad__problem *p)
{
	return p->tab->stages - (p->tab->b[p->tab->stages - 1] == 0);
}

/* Between the first and last of the times, the others interpolated; or one interval. */
static void solve_fixed(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var out[], ad_ode_stats *s)
{
	ad_var end = time[ntime - 1];
	ad__grid g = ad__fixed_grid(p, time[0], end);
	ad__wanted w = { .n = p->o.interpolate ? ntime - 1 : 0 };
	for (int j = 0; j < w.n; j++) {
		w.time[j] = time[1 + j];
		w.step[j] = step_of(g, time[0], end, time[1 + j]);
	}
	ad_var counted = ad__steps(p, z, g, &w, out);
	ad_var steps = g.count ? g.count : as_real(ad_const(ad_root(p->F->tape), (double)g.n), p->d);
	add_to(&s->accepted, steps);
	add_to(&s->evaluations, counted ? ad_stop(ad_reshape(counted, p->batched ? AD_SHAPE(AD_BATCH) : AD_SCALAR))
					: ad_scale(steps, per_step(p)));
}

/* --- Values whose derivative is that of other arithmetic: the same steps without control, or the adjoint -------------
 */

typedef struct {
	ad__problem p;
	int ntime, nvalue;
	ad_var *back; /* evaluations backwards, if any */
} wrapped;

enum { IN_VALUE, IN_CONTROL, IN_STATE, IN_TIME };

static bool same_place(ad_var r, ad__arr *a)
{
	(void)r, (void)a;
	return true;
}

static ad_var outermost(ad_var x)
{
	while (x->op == &ad__op_capture)
		x = (ad_var)x->attr.data;
	return x;
}

/* The solution once more from aliases x[] of the inputs from IN_STATE on. */
static ad_var again(ad_var r, ad_var x[])
{
	const wrapped *w = r->attr.data;
	for (int i = IN_STATE; i < r->nin; i++)
		x[i - IN_STATE] = ad__alias(r->in[i]);
	ad__problem p = w->p;
	p.cap = x + 1 + w->ntime;
	ad_var out[ODE_TIMES];
	ad__replay(&p, x[0], w->ntime, x + 1, outermost(r->in[IN_CONTROL]), out);
	return w->nvalue == 1 ? out[0] : ad_concat(p.batched, w->nvalue, out);
}

static void control_vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var x[r->nin], by[r->nin], d[r->nin], y = again(r, x);
	int who[r->nin], n = 0;
	for (int i = IN_STATE; i < r->nin; i++)
		if (!ad__fixed(r->in[i])) {
			who[n] = i;
			by[n++] = x[i - IN_STATE];
		}
	ad__vjp_cut(1, &y, &g, n, by, d);
	for (int i = 0; i < n; i++)
		gin[who[i]] = d[i];
}

static ad_var control_jvp(ad_var r, const ad_var v[])
{
	ad_var x[r->nin], by[r->nin], t[r->nin], d, y = again(r, x);
	int n = 0;
	for (int i = IN_STATE; i < r->nin; i++)
		if (v[i]) {
			by[n] = x[i - IN_STATE];
			t[n++] = v[i];
		}
	if (!n)
		return NULL;
	ad__jvp_cut(1, &y, n, by, t, &d);
	return d;
}

void ad__replay(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var node, ad_var out[])
{
	ad__controlled c = ad__control_of(p, node, ntime, time);
	ad__steps(p, z, (ad__grid){ c.grid, c.count, p->o.max_steps }, &c.wanted, out);
}

static void adjoint_vjp(ad_var r, ad_var g, ad_var gin[])
{
	const wrapped *w = r->attr.data;
	ad_var x[r->nin];
	for (int i = IN_STATE; i < r->nin; i++)
		x[i - IN_STATE] = ad__alias(r->in[i]);
	ad__problem p = w->p;
	p.cap = x + 1 + w->ntime;
	ad_var n = ad__adjoint(&p, r, g, x[0], w->ntime, x + 1, gin + IN_STATE);
	add_to(w->back, n);
}

static const ad_op op_controlled = { .name = "ode_value",
				     .flags = AD__VIEW,
				     .vjp = control_vjp,
				     .jvp = control_jvp,
				     .view = same_place },
		   op_adjoint = { .name = "ode_adjoint", .flags = AD__VIEW, .vjp = adjoint_vjp, .view = same_place };

static void wrap(const ad_op *op, const ad__problem *p, ad_var node, ad_var z, int ntime, const ad_var time[],
		 ad_var value, int nvalue, ad_var out[])
{
	ad_tape *t = p->F->outer;
	if (ad_error(t))
		return;
	wrapped *w = ad__alloc(ad_root(t), sizeof *w);
	*w = (wrapped){ *p, ntime, nvalue, ad__alloc(ad_root(t), sizeof(ad_var)) };
	int ncap = p->F->tape->ncapture, n = IN_TIME + ntime + ncap;
	ad_var in[n];
	in[IN_VALUE] = value;
	in[IN_CONTROL] = node;
	in[IN_STATE] = z;
	for (int i = 0; i < ntime; i++)
		in[IN_TIME + i] = time[i];
	for (int i = 0; i < ncap; i++)
		in[IN_TIME + ntime + i] = p->cap ? p->cap[i] : p->F->tape->outside[i];
	ad_var r = ad__push_shaped(NULL, op, n, in, (ad_attr){ .data = w }, value->dtype, value->shape);
	for (int j = 0; j < nvalue; j++)
		out[j] = ad__cut(r, j * p->D, p->D);
}

ad_var ad_ode_adjoint_evaluations(ad_var y)
{
	while (y->op != &op_adjoint && (y->op->flags & AD__VIEW || y->op == &ad__op_capture))
		y = y->op->flags & AD__VIEW ? y->in[0] : (ad_var)y->attr.data;
	return y->op == &op_adjoint ? *((const wrapped *)y->attr.data)->back : NULL;
}

/* -------------------------------------------------------------------------------------------------------------------
 */

void ad__solve(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var out[], ad_ode_stats *s)
{
	if (!p->adaptive) {
		solve_fixed(p, z, ntime, time, out, s);
		return;
	}
	ad__controlled c = ad__control(p, z, ntime, time);
	add_to(&s->evaluations, c.evaluations);
	add_to(&s->accepted, c.count);
	add_to(&s->rejected, c.rejected);
	s->steps = c.grid;
	s->refused = c.refused;
	int nvalue = p->o.interpolate ? ntime - 1 : 1;
	for (int j = 0; j < nvalue; j++)
		out[j] = ad__cut(c.value, j * p->D, p->D);
	wrap(&op_controlled, p, c.node, z, ntime, time, c.value, nvalue, out);
}

static void solve_adjoint(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var out[], ad_ode_stats *s)
{
	ad__problem q = *p;
	int nvalue = p->o.interpolate ? ntime - 1 : 1;
	q.o.gradient = AD_ODE_CHECKPOINTED;
	if (p->adaptive) {
		ad__controlled c = ad__control(&q, z, ntime, time);
		add_to(&s->evaluations, c.evaluations);
		add_to(&s->accepted, c.count);
		add_to(&s->rejected, c.rejected);
		s->steps = c.grid;
		s->refused = c.refused;
		wrap(&op_adjoint, p, z, z, ntime, time, c.value, nvalue, out);
	} else {
		solve_fixed(&q, z, ntime, time, out, s);
		wrap(&op_adjoint, p, z, z, ntime, time, nvalue == 1 ? out[0] : ad_concat(p->batched, nvalue, out),
		     nvalue, out);
	}
}

ad_shape ad_ode_time_shape(ad_ode_opt o, bool batched_state, bool batched_times)
{
	bool adaptive = o.method >= AD_HEUN_EULER && !o.steps && !(o.step_size > 0);
	return (adaptive && batched_state) || batched_times ? AD_SHAPE(AD_BATCH) : AD_SCALAR;
}

static bool sensible(ad_tape *t, ad_ode_opt *o, const ad__tableau *tab)
{
	const char *why =
		!tab						       ? "there is no such method"
		: o->steps < 0 || o->step_size < 0 || o->max_steps < 0 ? "a number of steps, or their size, is negative"
		: o->steps && o->step_size > 0			       ? "both steps and step_size are given"
		: !tab->error && !o->steps && !(o->step_size > 0)      ? "the method needs steps or step_size"
		: !(o->rtol >= 0) || !(o->atol >= 0) || !(o->first_step >= 0)
			? "a tolerance or the first step is negative"
		: !(o->safety >= 0) || !(o->min_factor >= 0) || !(o->max_factor >= 0)
			? "a factor of the step size is negative"
		: o->adams_order < 0 || o->adams_order > 12 || o->adams_order == 1 ? "adams_order is not from 2 to 12"
		: o->corrections < 0 || o->corrections > 100			   ? "corrections are not from 1 to 100"
		: o->control > AD_ODE_BATCH || o->gradient > AD_ODE_ADJOINT ? "control or gradient is none of theirs"
									    : NULL;
	if (why)
		ad_fail(t, "ad_ode%s%s: %s", tab ? " " : "", tab ? tab->name : "", why);
	o->rtol = o->rtol > 0 ? o->rtol : 1e-6;
	o->atol = o->atol > 0 ? o->atol : 1e-6;
	o->safety = o->safety > 0 ? o->safety : 0.9;
	o->min_factor = o->min_factor > 0 ? o->min_factor : 0.2;
	o->max_factor = o->max_factor > 0 ? o->max_factor : 10;
	o->max_steps = o->max_steps ? o->max_steps : 1000;
	o->adams_order = o->adams_order ? o->adams_order : 5;
	o->corrections = o->corrections ? o->corrections : 4;
	return !why;
}

static bool matches(ad_tape *t, ad_fn *f, int n, const ad_var y0[], int ntime, const ad_var time[], ad_ode_opt o)
{
	if (n < 1 || f->narg != n + 1 || f->nout != n || n > ODE_PARTS || ntime < 2 || ntime > ODE_TIMES) {
		ad_fail(t,
			"ad_ode: the function takes %d arguments and has %d results; wanted are time and %d arrays, %d "
			"slopes (2 to %d times)",
			f->narg, f->nout, n, n, ODE_TIMES);
		return false;
	}
	bool batched_times = false;
	for (int j = 0; j < ntime; j++) {
		batched_times |= ad_batched(time[j]);
		if (ad_rank(time[j]) > 1 || (ad_rank(time[j]) == 1 && !ad_batched(time[j])) ||
		    time[j]->dtype == AD_I32) {
			ad_fail(t, "ad_ode: time %d is neither a number nor one a sample", j);
			return false;
		}
	}
	ad_shape want = ad_ode_time_shape(o, ad_batched(y0[0]), batched_times);
	char a[128], b[128];
	if (!ad_shape_eq(f->arg[0]->shape, want)) {
		ad_fail(t,
			"ad_ode: the function's time has shape %s; with this state, control and these times it is %s",
			ad__shape_str(f->arg[0]->shape, a, sizeof a), ad__shape_str(want, b, sizeof b));
		return false;
	}
	for (int i = 0; i < n; i++) {
		ad_shape s;
		bool ok = ad_shape_eq(f->arg[1 + i]->shape, y0[i]->shape) && y0[i]->dtype == y0[0]->dtype &&
			  y0[i]->dtype != AD_I32 && f->arg[1 + i]->dtype == y0[i]->dtype &&
			  f->out[i]->dtype == y0[i]->dtype && f->arg[0]->dtype == y0[0]->dtype &&
			  ad__broadcast_shapes(f->out[i]->shape, y0[i]->shape, &s) && ad_shape_eq(s, y0[i]->shape);
		if (ok && ad_batched(y0[i]) == ad_batched(y0[0]) && (!batched_times || ad_batched(y0[i])))
			continue;
		ad_fail(t,
			"ad_ode: array %d of the state is %s, the function takes %s there; all arrays must be batched "
			"or none",
			i, ad__shape_str(y0[i]->shape, a, sizeof a), ad__shape_str(f->arg[1 + i]->shape, b, sizeof b));
		return false;
	}
	return true;
}

static ad_var joined(int n, const ad_var x[])
{
	ad_var flat[n];
	for (int i = 0; i < n; i++)
		flat[i] = ad__flat(x[i]);
	return n == 1 ? flat[0] : ad_concat(ad_batched(x[0]), n, flat);
}

/* f with one flat array for the state. */
static ad_fn *flat_function(ad_fn *f, int n, int64_t D)
{
	ad_fn *F = ad_fn_begin(f->outer);
	ad_var arg[n + 1], out[n];
	arg[0] = ad_fn_arg(F, f->arg[0]->dtype, f->arg[0]->shape);
	bool b = ad_batched(f->arg[1]);
	ad_var z = ad_fn_arg(F, f->arg[1]->dtype, b ? AD_SHAPE(AD_BATCH, D) : AD_SHAPE(D));
	int64_t at = 0;
	for (int i = 0; i < n; i++) {
		int64_t size = ad_numel(f->arg[1 + i]->shape);
		arg[1 + i] = ad_reshape(ad__cut(z, at, size), f->arg[1 + i]->shape);
		at += size;
	}
	ad_fn_inline(f, arg, out);
	for (int i = 0; i < n; i++)
		out[i] = ad_broadcast(out[i], f->arg[1 + i]->shape);
	ad_var flat = joined(n, out);
	ad_fn_end(F, 1, &flat);
	return F;
}

void ad_ode(ad_fn *f, int n, const ad_var y0[], int ntime, const ad_var time[], ad_ode_opt o, ad_var y[],
	    ad_ode_stats *stats)
{
	ad_tape *t = f->outer;
	ad_ode_stats own = { 0 };
	const ad__tableau *tab = ad__ode_tableau(o.method, o.low_dense);
	ad_var dud = ad_root(t)->dud;
	for (int i = 0; i < n * (ntime > 1 ? ntime - 1 : 0); i++)
		y[i] = dud;
	if (stats)
		*stats = (ad_ode_stats){ dud, dud, dud, NULL, NULL };
	if (ad_error(t) || !sensible(t, &o, tab) || !matches(t, f, n, y0, ntime, time, o))
		return;
	ad__problem p = { .parts = n, .batched = ad_batched(y0[0]), .d = y0[0]->dtype, .o = o, .tab = tab };
	for (int i = 0; i < n; i++) {
		p.part[i] = ad_numel(y0[i]->shape);
		p.D += p.part[i];
	}
	p.F = flat_function(f, n, p.D);
	p.lanes = p.F->arg[0]->shape.rank == 1;
	p.adaptive = tab->error && !o.steps && !(o.step_size > 0);
	ad_var tt[ODE_TIMES], z = joined(n, y0), value[ODE_TIMES];
	for (int j = 0; j < ntime; j++)
		tt[j] = as_real(time[j], p.d);
	void (*solve)(const ad__problem *, ad_var, int, const ad_var[], ad_var[], ad_ode_stats *) =
		o.gradient == AD_ODE_ADJOINT ? solve_adjoint : ad__solve;
	for (int j = 0; j + 1 < ntime && !ad_error(t); j++) {
		int last = o.interpolate ? ntime - 1 : j + 1;
		solve(&p, z, last - j + 1, tt + j, value + j, &own);
		j = last - 1;
		z = value[j];
	}
	if (ad_error(t))
		return;
	for (int j = 0; j + 1 < ntime; j++) {
		int64_t at = 0;
		for (int i = 0; i < n; i++) {
			y[j * n + i] = ad_reshape(ad__cut(value[j], at, p.part[i]), y0[i]->shape);
			at += p.part[i];
		}
	}
	if (!stats)
		return;
	*stats = own;
	if (!stats->rejected)
		stats->rejected = ad_full_like(own.accepted, 0);
	if (!p.adaptive || (ntime > 2 && !o.interpolate))
		stats->steps = stats->refused = NULL;
}
