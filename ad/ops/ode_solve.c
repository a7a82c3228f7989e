/* ode_solve.c - one interval solved, and which derivative is taken. */
#include "ode.h"

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
		w.step[j] = ad__step_of(g, time[0], end, time[1 + j]);
	}
	ad_var counted = ad__steps(p, z, g, &w, out);
	ad_var steps = g.count ? g.count : ad_cast(ad_const(ad_root(p->F->tape), (double)g.n), p->d);
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
	if (p->o.first_derivative)
		c.grid = ad__first_moved(p, z, ntime, time, c.grid);
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

void ad__solve_adjoint(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var out[], ad_ode_stats *s)
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
