/* sequential.c - the autoregressive structure over any net: z_d = map(x_d; p_d(x_before d)), and its inverse. */
#include "parts.h"

/* The sum of v where e is set along an axis: what is not chosen cannot spoil it, whatever it is. */
static ad_var chosen(ad_var e, ad_var v, int axis)
{
	return ad_sum_keep(ad_where(e, v, ad_full_like(v, 0)), AD_AXIS(axis));
}

/* Solves one feature after another in the order of their degrees, each with the numbers that those before it give: for maps
 * whose roots are found by iteration, which would else be sought for all features in each of dim sweeps. */
static ad_var solve_each(const flow *f, const flow_map *map, flow__params *params, nn c, ad_var x, ad_var cond,
			 int64_t dim, const int *degree)
{
	double place[dim];
	for (int64_t d = 0; d < dim; d++)
		place[d] = degree ? degree[d] - 1 : (double)d;
	ad_fn *g = ad_fn_begin(c.tape);
	ad_var state = ad_fn_arg(g, ad_dtype_of(x), AD_SHAPE(AD_BATCH, dim + 1)); /* y, and how many are known */
	nn inner = nn_on(c, ad_fn_tape(g));
	ad_var y = ad_slice(state, 1, 0, dim), known = ad_slice(state, 1, dim, dim + 1);
	ad_var away = ad_abs(ad_sub(ad_array(inner.tape, AD_SHAPE(dim), place), known));
	ad_var e = ad_above(ad_neg(away), -0.5);
	ad_var p = params(f, inner, y, cond), all = ad_add(x, ad_scale(known, 0));
	flow_out o = map->apply(map, inner, chosen(e, all, 1), chosen(ad_expand(e, 2), p, 1), FLOW_INVERSE);
	ad_var next = ad_concat(1, 2, (ad_var[]){ ad_where(e, ad_broadcast(o.x, ad_shape_of(y)), y), ad_shift(known, 1) });
	ad_fn_end(g, 1, &next);
	ad_var start = ad_full(c.tape, AD_SHAPE(AD_BATCH, dim + 1), 0);
	return ad_slice(ad_fixpoint_sweeps(g, start, 0, (int)dim), 1, 0, dim);
}

flow_out flow__sequential_with(const flow *f, const flow_map *map, flow__params *params, nn c, ad_var x, ad_var cond,
			       int64_t dim, flow_dir dir, flow_solver how, const int *degree)
{
	ad_var at = x;
	int draws = nn_draws(c);
	bool each = map->alike && how.kind != FLOW_SWEEPS;
	if (dir == FLOW_INVERSE) {
		ad_var found = each ? solve_each(f, map, params, c, x, cond, dim, degree) : ad_full_like(x, 0);
		nn_redraw(c, draws);
		ad_fn *g = ad_fn_begin(c.tape);
		ad_var y = ad_fn_arg(g, ad_dtype_of(x), ad_shape_of(x));
		nn inner = nn_on(c, ad_fn_tape(g));
		flow_out o = map->apply(map, inner, x, params(f, inner, y, cond), dir);
		ad_fn_end(g, 1, &o.x);
		at = each			   ? ad_fixpoint_given(g, found, (int)dim)
		     : how.kind == FLOW_SWEEPS ? ad_fixpoint_sweeps(g, found, how.tolerance, (int)dim)
					       : ad_fixpoint(g, found, 0, (int)dim, true);
		nn_redraw(c, draws);
	}
	ad_var p = params(f, c, at, cond);
	if (dir == FLOW_FORWARD || !each) {
		flow_out o = map->apply(map, c, x, p, dir);
		/* Inversely the solution is the result already: sampling needs no map after it. */
		return (flow_out){ dir == FLOW_INVERSE ? at : o.x, ad_sum(o.logdet, AD_EVENT) };
	}
	/* The slope at the solution spares another search for it. */
	return (flow_out){ at, ad_neg(ad_sum(map->apply(map, c, at, p, FLOW_FORWARD).logdet, AD_EVENT)) };
}

flow_out flow__sequential(const flow *f, const flow_map *map, flow__params *params, nn c, ad_var x, ad_var cond,
			  int64_t dim, flow_dir dir, const int *degree)
{
	return flow__sequential_with(f, map, params, c, x, cond, dim, dir, (flow_solver){ 0 }, degree);
}
