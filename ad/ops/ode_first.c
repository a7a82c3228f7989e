/* ode_first.c - the size of an adaptive solution's first step (Hairer, Norsett, Wanner II.4) as a graph, for its derivative. */
#include "ode.h"

static ad_var like(ad_var x, double v)
{
	return ad_full_like(x, v);
}

/* The largest root mean square of the state's arrays over their scale: of each sample, or of all. */
static ad_var norm(const ad__problem *p, ad_var x, ad_var scale)
{
	ad_var squares = ad_square(ad_div(x, scale)), most = NULL;
	int64_t at = 0;
	for (int i = 0; i < p->parts; at += p->part[i++]) {
		ad_var mean = ad_mean(ad__cut(squares, at, p->part[i]),
				      p->batched && p->o.control == AD_ODE_SAMPLE ? AD_EVENT : AD_ALL);
		most = most ? ad_max(most, mean) : mean;
	}
	/* The root has no derivative at 0. */
	ad_var zero = ad_eq(most, like(most, 0));
	return ad_where(zero, like(most, 0), ad_sqrt(ad_where(zero, like(most, 1), most)));
}

/* [B] or rank 0, signed. */
static ad_var first_step(const ad__problem *p, ad_var z, ad_var t0, ad_var direction)
{
	ad_var scale = ad_shift(ad_scale(ad_abs(z), p->o.rtol), p->o.atol), f0 = ad__slope(p, t0, z);
	ad_var d0 = norm(p, z, scale), d1 = norm(p, f0, scale);
	ad_var small = ad_max(ad_lt(d0, like(d0, 1e-5)), ad_lt(d1, like(d1, 1e-5)));
	ad_var h0 = ad_where(small, like(d0, 1e-6), ad_scale(ad_div(d0, ad_where(small, like(d1, 1), d1)), 0.01));
	ad_var h = ad_mul(h0, direction), at = ad_add(z, ad_mul(ad__column(p, h), f0));
	ad_var d2 = ad_div(norm(p, ad_sub(ad__slope(p, ad_add(t0, h), at), f0), scale), h0), d = ad_max(d1, d2);
	ad_var flat = ad_le(d, like(d, 1e-15));
	ad_var power = ad_exp(
		ad_scale(ad_log(ad_scale(ad_where(flat, like(d, 1), d), 100)), -1.0 / p->tab->order));
	ad_var h1 = ad_where(flat, ad_max(like(h0, 1e-6), ad_scale(h0, 1e-3)), power);
	return ad_mul(ad_min(ad_scale(h0, 100), h1), direction);
}

ad_var ad__first_moved(const ad__problem *p, ad_var z, int ntime, const ad_var time[], ad_var grid)
{
	if (p->o.first_step > 0)
		return grid;
	ad_var direction = ad_stop(ad_sign(ad_sub(time[ntime - 1], time[0]))), h = first_step(p, z, time[0], direction);
	int64_t n = p->o.max_steps;
	ad_tape *t = ad_root(p->F->tape);
	double *v = ad__alloc(t, (size_t)(2 * n) * sizeof *v);
	/* The first step is longer, the others start later. */
	for (int64_t k = 0; k < n; k++)
		v[2 * k + (k == 0)] = 1;
	ad_var moved = ad_sub(h, ad_stop(h)), by = ad_array(t, AD_SHAPE(n, 2), v);
	if (ad_batched(moved))
		moved = ad_reshape(moved, AD_SHAPE(AD_BATCH, 1, 1));
	return ad_add(grid, ad_mul(moved, ad_cast(by, p->d)));
}
