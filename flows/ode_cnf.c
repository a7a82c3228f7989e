/* ode_cnf.c - the continuous flow of a field: state, log-determinant and regularisers solved together. */
#include "flows/cnf.h"
#include "private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ad_var as_real(ad_var x, ad_dtype d)
{
	return ad_dtype_of(x) == d ? x : ad_cast(x, d);
}
static ad_var sum_event(ad_var x)
{
	return ad_sum(x, AD_EVENT);
}

static ad_var unit_vector(ad_var x, int64_t i)
{
	int64_t d = ad_dim(x, 1);
	double *e = calloc((size_t)d, sizeof *e);
	ad_tape *root = ad_root(ad_tape_of(x));
	if (!e)
		return ad_full_like(x, 0);
	e[i] = 1;
	ad_var v = ad_array(root, AD_SHAPE(d), e);
	free(e);
	v = as_real(v, ad_dtype_of(x));
	/* In an ordinary state's adjoint each captured array counts in the error norm: none may come of weights times
	 * this one. */
	return ad_batched(x) ? v : ad_add(v, ad_scale(x, 0));
}

/* Column i of the Jacobian of f by x, [B, D]. */
static ad_var jacobian_column(ad_var f, ad_var x, int64_t i)
{
	ad_var e = unit_vector(x, i), d;
	ad_jvp(1, &f, 1, &x, &e, &d);
	return d;
}

typedef struct {
	ad_var trace, frobenius; /* frobenius: |J|^2, or |J e|^2; only if wanted */
} traced;

static traced trace_of(ad_var f, ad_var x, ad_var noise, bool frobenius)
{
	traced r = { 0 };
	if (noise) {
		/* |e J|^2 has the expectation |J|^2, as |J e|^2 has. */
		ad_var d;
		ad_jvp(1, &f, 1, &x, &noise, &d);
		r.trace = sum_event(ad_mul(d, noise));
		r.frobenius = frobenius ? sum_event(ad_square(d)) : NULL;
		return r;
	}
	for (int64_t i = 0; i < ad_dim(x, 1); i++) {
		ad_var d = jacobian_column(f, x, i), t = ad_reshape(ad_slice(d, 1, i, i + 1), AD_SHAPE(ad_dim(x, 0)));
		ad_var q = frobenius ? sum_event(ad_square(d)) : NULL;
		r.trace = i ? ad_add(r.trace, t) : t;
		r.frobenius = i && q ? ad_add(r.frobenius, q) : q;
	}
	return r;
}

static ad_var rms(ad_var squares, double n)
{
	/* The root has no derivative at 0. */
	return ad_sqrt(ad_shift(ad_scale(squares, 1 / n), 1e-30));
}

/* Slope of a regulariser, [B]. */
static ad_var regular(flow_regulariser k, const flow_field *field, flow_slope s, ad_var x, ad_var square,
		      ad_var frobenius)
{
	double d = (double)ad_dim(x, 1);
	ad_var g;
	switch (k) {
	case FLOW_REG_L1:
		return ad_scale(sum_event(ad_abs(s.x)), 1 / d);
	case FLOW_REG_L2:
		return rms(square, d);
	case FLOW_REG_DIRECTIONAL:
		ad_vjp(1, &s.x, &s.x, 1, &x, &g); /* J^T f */
		return rms(sum_event(ad_square(g)), d);
	case FLOW_REG_JACOBIAN:
		return rms(frobenius, d * d);
	case FLOW_REG_KINETIC:
		return square;
	case FLOW_REG_FROBENIUS:
		return frobenius;
	case FLOW_REG_TRANSPORT:
		return ad_scale(square, 0.5);
	default:
		if (s.time)
			return ad_abs(
				ad_add(ad_neg(s.time), ad_scale(square, 0.5 * (field->alpha > 0 ? field->alpha : 1))));
		ad_fail(ad_tape_of(x),
			"flow_cnf: the field has no potential, for which there would be a Hamilton-Jacobi equation");
		return square;
	}
}

ad_var flow_divergence(const flow_field *f, nn c, ad_var t, ad_var x, ad_var cond, ad_var noise)
{
	flow_slope s = f->slope(f, c, t, x, cond, !noise);
	return s.trace && !noise ? s.trace : trace_of(s.x, x, noise, false).trace;
}

ad_var flow__end_time(nn c, const flow_cnf_opt *o)
{
	double T = o->end_time > 0 ? o->end_time : 1;
	if (!o->train_end_time)
		return ad_const(c.tape, T);
	return ad_square(nn_param(c, "sqrt_end_time", AD_SCALAR, (nn_fill){ NN_CONST, sqrt(T) }));
}

static bool given(const ad_ode_opt *o)
{
	return o->method != AD_EULER || o->steps || o->step_size > 0;
}

/* Without logdet only x is solved for, and what regularisers need. */
static flow_path solve(const flow_field *f, nn c, flow_cnf_opt o, ad_var x, ad_var l, ad_var cond, ad_var noise,
		       flow_dir dir, bool logdet)
{
	ad_shape one = AD_SHAPE(ad_dim(x, 0));
	if (c.phase == NN_EVAL && given(&o.eval))
		o.solver = o.eval;
	if (!given(&o.solver)) {
		o.solver.method = AD_RK4;
		o.solver.steps = 20;
	}
	bool exact = o.trace == FLOW_TRACE_EXACT || (o.exact_eval && c.phase == NN_EVAL);
	if (!noise && !exact)
		noise = o.trace == FLOW_TRACE_GAUSSIAN ? ad_normal(c.tape, ad_shape_of(x), nn_stream(c, "trace"))
						       : ad_rademacher(c.tape, ad_shape_of(x), nn_stream(c, "trace"));
	if (exact)
		noise = NULL;
	else
		noise = as_real(noise, ad_dtype_of(x));
	ad_var T = flow__end_time(c, &o), zero = ad_const(c.tape, 0),
	       time[2] = { dir == FLOW_FORWARD ? zero : T, dir == FLOW_FORWARD ? T : zero };
	ad_fn *g = ad_fn_begin(c.tape);
	ad_dtype d = ad_dtype_of(x);
	nn in = nn_on(c, ad_fn_tape(g));
	ad_var t = ad_fn_arg(g, d, ad_ode_time_shape(o.solver, ad_batched(x), false)),
	       at = ad_fn_arg(g, d, ad_shape_of(x));
	bool frobenius = o.weight[FLOW_REG_FROBENIUS] != 0, jacobian = o.weight[FLOW_REG_JACOBIAN] != 0,
	     squares = false, all = frobenius || (jacobian && exact);
	for (int k = FLOW_REG_L2; k < FLOW_REGS; k++)
		squares |= o.weight[k] != 0;
	flow_slope s = f->slope(f, in, t, at, cond, exact && logdet && !all);
	traced tr = { 0 };
	if (all || (logdet && !(s.trace && exact)))
		tr = trace_of(s.x, at, noise, all);
	ad_var trace = s.trace && exact ? s.trace : tr.trace, square = squares ? sum_event(ad_square(s.x)) : NULL;
	ad_var whole = jacobian && !exact ? trace_of(s.x, at, NULL, true).frobenius : tr.frobenius;
	ad_var slope[2 + FLOW_REGS], y0[2 + FLOW_REGS], y[2 + FLOW_REGS];
	int n = 0, which[FLOW_REGS];
	slope[n] = s.x, y0[n++] = x;
	if (logdet)
		slope[n] = ad_neg(trace), y0[n++] = ad_broadcast(l ? l : as_real(zero, d), one);
	int first = n;
	for (int k = 0; k < FLOW_REGS; k++)
		if (o.weight[k] != 0) {
			which[n - first] = k;
			slope[n] = regular((flow_regulariser)k, f, s, at, square,
					   k == FLOW_REG_JACOBIAN ? whole : tr.frobenius);
			y0[n++] = ad_broadcast(as_real(zero, d), one);
		}
	for (int i = 1; i < n; i++)
		ad_fn_arg(g, d, one);
	ad_fn_end(g, n, slope);
	ad_ode_stats stats;
	for (int i = 0; i < 2; i++)
		time[i] = as_real(time[i], d);
	ad_ode(g, n, y0, 2, time, o.solver, y, &stats);
	flow_path p = { .x = y[0], .nfe = stats.evaluations };
	p.l = logdet ? y[1] : as_real(ad_const(c.tape, NAN), d);
	p.logdet = logdet ? ad_sub(y0[1], y[1]) : p.l;
	for (int i = first; i < n; i++)
		p.reg[which[i - first]] = y[i];
	return p;
}

flow_path flow_cnf_solve(const flow_field *f, nn c, flow_cnf_opt o, ad_var x, ad_var l, ad_var cond, ad_var noise,
			 flow_dir dir)
{
	return solve(f, c, o, x, l, cond, noise, dir, true);
}

static const char *const reg_names[FLOW_REGS] = { "l1",	     "l2",	  "directional", "jacobian",
						  "kinetic", "frobenius", "transport",	 "hjb" };

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const flow__cnf *s = (const flow__cnf *)f;
	flow_cnf_opt o = s->o;
	bool training = c.phase != NN_EVAL;
	if (!training)
		memset(o.weight, 0, sizeof o.weight);
	flow_path p = solve(&s->field, c, o, x, NULL, cond, NULL, dir, flow__logdet_wanted());
	nn_metric(c, "nfe", p.nfe);
	for (int k = 0; k < FLOW_REGS; k++)
		if (o.weight[k] != 0)
			nn_penalty(c, reg_names[k], ad_scale(p.reg[k], o.weight[k]));
	return (flow_out){ p.x, p.logdet };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	(void)f;
	out[0] = in[0];
	if (in[0].rank == 1)
		return true;
	snprintf(why, 160, "takes vectors");
	return false;
}

static const char *describe(const flow *f, char *buf, size_t n)
{
	const flow__cnf *s = (const flow__cnf *)f;
	static const char *const traces[] = { "exact trace", "Rademacher trace", "Gaussian trace" };
	snprintf(buf, n, "%s, %s", s->field.kind, traces[s->o.trace]);
	return buf;
}

flow *flow_cnf(flow_mem *m, const flow_field *field, flow_cnf_opt o)
{
	flow__cnf s = { { .kind = "cnf",
			  .apply = apply,
			  .shape = shape,
			  .unshape = shape,
			  .describe = describe,
			  .caps = { FLOW_ITERATIVE, FLOW_ITERATIVE,
				    o.trace == FLOW_TRACE_EXACT ? FLOW_EXACT : FLOW_STOCHASTIC, false } },
			*field,
			o };
	return flow_copy(m, &s, sizeof s);
}

bool flow__is_cnf(const flow *f)
{
	return f->apply == apply;
}
