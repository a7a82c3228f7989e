/* ode.c - ad_ode: checks, and one flat state. */
#include "ode.h"

static ad_var as_real(ad_var x, ad_dtype d)
{
	return x->dtype == d ? x : ad_cast(x, d);
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
		: o->first_derivative && o->control == AD_ODE_TILE
			? "the first step has no derivative where tiles control it: its size depends on the tile"
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
		o.gradient == AD_ODE_ADJOINT ? ad__solve_adjoint : ad__solve;
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
