/* ode_control.c - adaptive solutions as nodes: what they run, and what stands in their results. */
#include "ode_control.h"

static ad_fn *fn(ad_var r, int i, int *first)
{
	const ad__control_node *k = r->attr.data;
	*first = 2 + (i ? k->slope->tape->ncapture : 0);
	return i == 0 ? k->slope : i == 1 ? k->step : NULL;
}

/* Derivatives are those of the node around this one (ode.c), which replays the steps; none passes here. */
static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r, (void)g, (void)gin;
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	(void)r, (void)v;
	return NULL;
}

static const ad_op op_control = {
	.name = "ode", .flags = AD__CONTIGUOUS, .vjp = vjp, .jvp = jvp, .eval = ad__control_eval, .scratch = ad__control_scratch, .fn = fn
};

static ad_var packed_times(const ad__problem *p, int n, const ad_var time[])
{
	ad_var v[ODE_TIMES];
	ad_shape s = p->lanes ? AD_SHAPE(AD_BATCH, 1) : AD_SHAPE(1);
	bool batched = false;
	for (int i = 0; i < n; i++)
		batched |= ad_batched(time[i]);
	for (int i = 0; i < n; i++)
		v[i] = ad_reshape(batched ? ad_broadcast(time[i], AD_SHAPE(AD_BATCH)) : time[i],
				  batched ? s : AD_SHAPE(1));
	return ad_concat(batched, n, v);
}

static void trace_functions(ad__control_node *k, ad_var z, ad_var times)
{
	const ad__problem *p = &k->p;
	ad_var on[2 + 256], h, slope[ODE_STAGES], out[4];
	int n = 0;
	on[n++] = z;
	on[n++] = times;
	for (int i = 0; i < p->F->tape->ncapture && n < 256; i++)
		on[n++] = p->cap ? p->cap[i] : p->F->tape->outside[i];
	ad_shape ts = p->F->arg[0]->shape, zs = ad__state(p, p->D);
	k->slope = ad__fn_of(n, on);
	ad_var t = ad_fn_arg(k->slope, p->d, ts), y = ad_fn_arg(k->slope, p->d, zs), f = ad__slope(p, t, y);
	ad_fn_end(k->slope, 1, &f);
	k->step = ad__fn_of(n, on);
	t = ad_fn_arg(k->step, p->d, ts);
	h = ad_fn_arg(k->step, p->d, ts);
	y = ad_fn_arg(k->step, p->d, zs);
	f = ad_fn_arg(k->step, p->d, zs);
	out[0] = ad__rk_step(p, p->tab, t, h, y, f, true, slope);
	out[1] = slope[p->tab->stages - 1];
	out[2] = ad_mul(ad__column(p, h), ad__weighted(p->tab->stages, p->tab->error, slope));
	out[3] = ad_add(y, ad_mul(ad__column(p, h), ad__weighted(p->tab->stages, p->tab->mid, slope)));
	ad_fn_end(k->step, p->o.interpolate ? 4 : 3, out);
}

ad__controlled ad__control_of(const ad__problem *p, ad_var node, int ntime, const ad_var time[])
{
	const ad__control_node *k = node->attr.data;
	bool b = p->batched;
	int64_t n = k->steps;
	ad__controlled c = { .node = node };
	c.value = ad__cut(node, 0, ad__control_at_grid(k));
	ad_shape one = b ? AD_SHAPE(AD_BATCH) : AD_SCALAR, pairs = b ? AD_SHAPE(AD_BATCH, n, 2) : AD_SHAPE(n, 2);
	ad_var still = ad_stop(node);
	c.count = ad_reshape(ad__cut(still, ad__control_at_counts(k), 1), one);
	c.evaluations = ad_reshape(ad__cut(still, ad__control_at_counts(k) + 1, 1), one);
	c.rejected = ad_reshape(ad__cut(still, ad__control_at_counts(k) + 2, 1), one);
	if (p->o.keep_refused)
		c.refused = ad_reshape(ad__cut(still, ad__control_at_refused(k), 2 * n), pairs);
	/* The same fractions of the span whatever the times: so the grid moves with them. */
	ad_var span = ad_sub(time[ntime - 1], time[0]), g = ad_reshape(ad__cut(still, ad__control_at_grid(k), 2 * n), pairs);
	ad_shape wide = ad_batched(span) ? AD_SHAPE(AD_BATCH, 1, 1) : AD_SCALAR;
	ad_var from = ad_reshape(ad_batched(span) ? ad_broadcast(time[0], AD_SHAPE(AD_BATCH)) : time[0], wide);
	span = ad_reshape(span, wide);
	ad_var part[2] = { ad_add(from, ad_mul(ad__cut(g, 0, 1), span)), ad_mul(ad__cut(g, 1, 1), span) };
	c.grid = ad_concat(b + 1, 2, part);
	c.wanted.n = p->o.interpolate ? ntime - 1 : 0;
	for (int j = 0; j < c.wanted.n; j++) {
		c.wanted.step[j] = ad_reshape(ad__cut(still, ad__control_at_where(k) + j, 1), one);
		c.wanted.time[j] = time[1 + j];
	}
	return c;
}

ad__controlled ad__control(const ad__problem *p, ad_var z, int ntime, const ad_var time[])
{
	ad_tape *t = p->F->outer;
	ad__control_node *k = ad__alloc(ad_root(t), sizeof *k);
	k->p = *p;
	k->ntime = ntime;
	k->nvalue = p->o.interpolate ? ntime - 1 : 1;
	k->steps = p->o.max_steps;
	ad_var times = packed_times(p, ntime, time);
	trace_functions(k, z, times);
	int a = k->slope->tape->ncapture, b = k->step->tape->ncapture;
	ad_var in[2 + a + b];
	in[0] = z;
	in[1] = times;
	for (int i = 0; i < a; i++)
		in[2 + i] = k->slope->tape->outside[i];
	for (int i = 0; i < b; i++)
		in[2 + a + i] = k->step->tape->outside[i];
	if (ad_error(t)) {
		ad_var dud = ad_root(t)->dud;
		return (ad__controlled){
			.node = dud, .value = dud, .grid = dud, .count = dud, .evaluations = dud, .rejected = dud
		};
	}
	ad_var r = ad__push_shaped(NULL, &op_control, 2 + a + b, in, (ad_attr){ .data = k }, p->d,
				   ad__state(p, ad__control_numbers(k)));
	return ad__control_of(p, r, ntime, time);
}
