/* What the splines share: the box and its tails, knots from raw widths, the choice of a bin. */
#include "spline.h"

double flow__or(double v, double otherwise)
{
	return v == 0 ? otherwise : v;
}

ad_var flow__part(ad_var p, int64_t lo, int64_t hi)
{
	return ad_slice(p, -1, lo, hi);
}

flow__knots flow__knots_from(ad_var inner)
{
	return (flow__knots){ inner, ad_pad(inner, -1, 1, 0, 0), ad_pad(inner, -1, 0, 1, 1) };
}

ad_var flow__spline_widths(ad_var raw, double divisor, double min)
{
	if (divisor != 0 && divisor != 1)
		raw = ad_scale(raw, 1 / divisor);
	double spread = 1 - min * (double)ad_dim(raw, -1);
	return ad_shift(ad_scale(ad_softmax(raw, -1), spread), min);
}

flow__knots flow__knots_of_widths(ad_var w)
{
	return flow__knots_from(ad_cumsum(flow__part(w, 0, ad_dim(w, -1) - 1), -1, false));
}

/* The table with the leading axes of x. */
static ad_var spread(ad_var table, ad_shape x)
{
	ad_shape s = x;
	s.dim[s.rank++] = ad_dim(table, -1);
	return ad_shape_eq(s, ad_shape_of(table)) ? table : ad_broadcast(table, s);
}

ad_var flow__bin(ad_var inner, ad_var u)
{
	return ad_expand(ad_searchsorted(spread(inner, ad_shape_of(u)), u), -1);
}

ad_var flow__pick(ad_var table, ad_var bin)
{
	ad_shape x = ad_shape_of(bin);
	x.rank--;
	return ad_squeeze(ad_take(spread(table, x), -1, bin), -1);
}

bool flow__spline_sound(const flow_map *m, nn c, ad_var x, ad_var p)
{
	double min = flow__or(m->min_width, 1e-3), high = flow__or(m->min_height, 1e-3);
	if (m->bins < 2)
		ad_fail(ad_tape_of(x), "%s: %d bins, at least 2 are needed, in \"%s\"", m->kind, m->bins, c.path);
	else if (min * m->bins >= 1 || high * m->bins >= 1)
		ad_fail(ad_tape_of(x), "%s: %d bins of width at least %g and height at least %g, in \"%s\"", m->kind,
			m->bins, min, high, c.path);
	else if (!m->box && !(m->bound > 0))
		ad_fail(ad_tape_of(x), "%s: bound %g, in \"%s\"", m->kind, m->bound, c.path);
	else if (ad_dim(p, -1) != m->nparam)
		ad_fail(ad_tape_of(x), "%s: %lld numbers an element, %d needed, in \"%s\"", m->kind,
			(long long)ad_dim(p, -1), m->nparam, c.path);
	else
		return true;
	return false;
}

flow_out flow__spline_boxed(const flow_map *m, ad_var x, ad_var p, flow_dir dir, flow__spline_core *core)
{
	if (ad_batched(p) && !ad_batched(x)) {
		ad_shape s = ad_shape_of(p);
		s.rank--;
		x = ad_broadcast(x, s);
	}
	double lo = m->box ? 0 : -m->bound, side = m->box ? 1 : 2 * m->bound;
	/* Outside, the core sees a point of the box, so that its derivatives stay finite. */
	ad_var in = ad_within(x, lo, lo + side), zero = ad_full_like(x, 0);
	ad_var u = ad_where(in, ad_scale(ad_shift(x, -lo), 1 / side), ad_full_like(x, 0.5));
	flow_out o = core(m, u, p, dir);
	/* Rounding must not leave the box, where the next layer has another slope. */
	ad_var y = ad_add(o.x, ad_stop(ad_sub(ad_clamp(o.x, 0, 1), o.x)));
	return (flow_out){ ad_where(in, ad_shift(ad_scale(y, side), lo), x), ad_where(in, o.logdet, zero) };
}

flow_out flow__spline(const flow_map *m, nn c, ad_var x, ad_var p, flow_dir dir, flow__spline_core *core)
{
	if (!flow__spline_sound(m, c, x, p))
		return (flow_out){ x, ad_full_like(x, 0) };
	return flow__spline_boxed(m, x, p, dir, core);
}

flow_map flow__spline_map(const char *kind, int nparam, int bins, double bound)
{
	return (flow_map){
		.kind = kind,
		.nparam = nparam,
		.caps = { FLOW_ANALYTIC, FLOW_ANALYTIC, FLOW_EXACT, true },
		.bins = bins,
		.box = bound == 0,
		.bound = bound,
		.min_width = 1e-3,
		.min_height = 1e-3,
		.min_derivative = 1e-3,
	};
}
