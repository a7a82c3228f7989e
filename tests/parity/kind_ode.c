/* kind_ode.c - solvers of ordinary differential equations: values, evaluations, steps taken, gradients. */
#include "continuous.h"

#include <string.h>

enum { TIMES = 64, PARAMS = 8 };

typedef struct {
	parity *p;
	const char *name;
	const json *o;
	int params;
	const char *param[PARAMS];
} problem;

static ad_var entry(ad_var p, int i)
{
	return ad_reshape(ad_slice(p, 0, i, i + 1), AD_SCALAR);
}

/* p as one array inside the function, where parts of it would be captured one by one: the adjoint's error norm counts
 * arrays. */
static ad_var whole(ad_var p, ad_var t)
{
	return ad_add(p, ad_scale(t, 0));
}

static ad_var pair(ad_var a, ad_var b)
{
	ad_var v[2] = { ad_reshape(a, AD_SHAPE(1)), ad_reshape(b, AD_SHAPE(1)) };
	return ad_concat(0, 2, v);
}

static ad_var linear(ad_var t, ad_var y, const ad_var p[])
{
	(void)t;
	return ad_matmul(p[0], y, false, false);
}

static ad_var sine(ad_var t, ad_var y, const ad_var p[])
{
	ad_var v = whole(p[0], t), t2 = ad_mul(t, t), t3 = ad_mul(t2, t),
	       forced = ad_sub(ad_mul(t3, ad_sin(ad_mul(entry(v, 1), t))), t2);
	return ad_add(ad_div(ad_mul(entry(v, 0), y), t), ad_add(forced, ad_scale(t3, 4)));
}

static ad_var lotka(ad_var t, ad_var y, const ad_var p[])
{
	ad_var v = whole(p[0], t), a = entry(y, 0), b = entry(y, 1), ab = ad_mul(a, b);
	return pair(ad_sub(ad_mul(entry(v, 0), a), ad_mul(entry(v, 1), ab)),
		    ad_sub(ad_mul(entry(v, 3), ab), ad_mul(entry(v, 2), b)));
}

static ad_var vdp(ad_var t, ad_var y, const ad_var p[])
{
	ad_var a = entry(y, 0), b = entry(y, 1);
	(void)t;
	return pair(b, ad_sub(ad_mul(ad_mul(p[0], ad_one_minus_square(a)), b), a));
}

static ad_var mlp(ad_var t, ad_var y, const ad_var p[])
{
	ad_var in[2] = { ad_broadcast(t, AD_SHAPE(ad_dim(y, 0), 1)), y };
	return ad_linear(ad_tanh(ad_linear(ad_concat(1, 2, in), p[0], p[1])), p[2], p[3]);
}

static const struct {
	const char *formula;
	ad_var (*slope)(ad_var t, ad_var y, const ad_var p[]);
	const char *param[PARAMS];
} formulas[] = {
	{ "y' = A y", linear, { "A" } },
	{ "y' = p0*y/t + t^3 sin(p1 t) - t^2 + 4 t^3", sine, { "p" } },
	{ "y0' = p0 y0 - p1 y0 y1 ; y1' = -p2 y1 + p3 y0 y1", lotka, { "p" } },
	{ "y0' = y1 ; y1' = mu (1-y0^2) y1 - y0", vdp, { "mu" } },
	{ "y' = W2 tanh(W1 [t; y] + b1) + b2", mlp, { "W1", "b1", "W2", "b2" } },
};

typedef struct {
	model *m;
	ad_var y0, y, last, param[PARAMS];
	ad_ode_stats stats;
	const array *t;
	int n;
} solved;

static solved solve(problem *q, ad_ode_opt o)
{
	parity *p = q->p;
	solved s = { .m = model_new(p, NULL), .t = parity_array(p, "inputs/%s/t", q->name) };
	const char *formula = parity_member(p, q->o, "formula", JSON_STRING)->string;
	size_t f = 0;
	while (f < sizeof formulas / sizeof *formulas && !parity_begins(formula, formulas[f].formula))
		f++;
	if (f == sizeof formulas / sizeof *formulas)
		parity_unsupported(p, "the equation %s", formula);
	const array *a = parity_array(p, "inputs/%s/y0", q->name);
	s.y0 = model_input(s.m, a, false);
	q->params = 0;
	for (; formulas[f].param[q->params]; q->params++) {
		q->param[q->params] = formulas[f].param[q->params];
		s.param[q->params] =
			model_input(s.m, parity_array(p, "params/%s/%s", q->name, q->param[q->params]), false);
	}
	s.n = (int)s.t->n;
	if (s.t->rank != 1 || s.n < 2 || s.n > TIMES)
		parity_unsupported(p, "%d times", s.n);
	ad_tape *t = s.m->t;
	ad_fn *g = ad_fn_begin(t);
	ad_var time = ad_fn_arg(g, p->real, AD_SCALAR), y = ad_fn_arg(g, p->real, ad_shape_of(s.y0));
	ad_var dy = formulas[f].slope(time, y, s.param), at[TIMES], value[TIMES];
	ad_fn_end(g, 1, &dy);
	for (int i = 0; i < s.n; i++)
		at[i] = ad_const(t, s.t->v[i]);
	value[0] = s.y0;
	ad_ode(g, 1, &s.y0, s.n, at, o, value + 1, &s.stats);
	s.y = ad_stack(0, s.n, value);
	s.last = value[s.n - 1];
	return s;
}

static void expect_steps(parity *p, solved *s, ad_var steps, const char *path)
{
	const array *a = parity_find(p, "%s", path);
	if (!a || !parity_wants(p, path))
		return;
	if (a->n == 0) {
		parity_compare(p, path, 1e-6, 0, NULL);
		return;
	}
	ad_var some = ad_slice(steps, 0, 0, a->dim[0]);
	ad_var part[2] = { ad_slice(some, 1, 0, 1), ad_abs(ad_slice(some, 1, 1, 2)) };
	model_expect(s->m, ad_concat(1, 2, part), 1e-6, "%s", path);
}

static void check_values(problem *q, const char *method, const json *o)
{
	parity *p = q->p;
	const char *at = parity_text(p, "outputs/%s/%s", q->name, method);
	if (!parity_wants_below(p, at))
		return;
	solved s = solve(q, ode_options(p, json_string(o, "method", method), o, false));
	model_expect(s.m, s.y, p->tolerance, "%s/y", at);
	model_expect(s.m, s.stats.evaluations, p->tolerance, "%s/nfe", at);
	if (s.stats.steps) {
		expect_steps(p, &s, s.stats.steps, parity_text(p, "%s/accepted_t_dt", at));
		expect_steps(p, &s, s.stats.refused, parity_text(p, "%s/rejected_t_dt", at));
	}
	model_run(s.m);
}

static void check_gradients(problem *q, const char *method, const json *o, const char *as, bool tight)
{
	parity *p = q->p;
	for (int adjoint = 0; adjoint < 2; adjoint++) {
		const char *at = parity_text(p, "grads/%s/%s/%s/", q->name, as, adjoint ? "adjoint" : "direct");
		const char *nfe = parity_text(p, "grads/%s/%s/adjoint_nfe_backward", q->name, as);
		if (!parity_wants_below(p, at) && !(adjoint && parity_wants(p, nfe)))
			continue;
		ad_ode_opt opt = ode_options(p, json_string(o, "method", method), o, tight);
		opt.gradient = adjoint ? AD_ODE_ADJOINT : AD_ODE_DIRECT;
		solved s = solve(q, opt);
		ad_var w = model_input(s.m, parity_array(p, "inputs/%s/cotangent", q->name), false);
		ad_var loss = ad_sum(ad_mul(w, s.y), AD_ALL), x[1 + PARAMS], g[1 + PARAMS];
		x[0] = s.y0;
		memcpy(x + 1, s.param, sizeof s.param);
		ad_vjp(1, &loss, NULL, 1 + q->params, x, g);
		for (int i = 0; i <= q->params; i++)
			model_expect(s.m, g[i], p->tolerance, "%s%s", at, i ? q->param[i - 1] : "y0");
		if (adjoint) {
			ad_var back = ad_ode_adjoint_evaluations(s.last);
			if (back)
				model_expect(s.m, back, p->tolerance, "%s", nfe);
		}
		model_run(s.m);
	}
}

/* What is recorded as exact is dopri8 at tolerances of 1e-13, interpolated.  At these the control reads roundings: y0 moved by one
 * changes what that library gives by up to 7e-8 ("sine"), and the matrix exponential of "linear" is 1e-8 away. */
static void check_exact(problem *q)
{
	parity *p = q->p;
	const char *at = parity_text(p, "outputs/%s/exact", q->name);
	if (!parity_wants(p, at))
		return;
	ad_ode_opt o = ode_options(p, "dopri8", q->o, true);
	o.rtol = o.atol = 1e-13;
	solved s = solve(q, o);
	model_expect(s.m, s.y, 1e-7, "%s", at);
	model_run(s.m);
}

void check_ode(parity *p)
{
	const json *problems = parity_config(p, "problems", JSON_OBJECT);
	for (int i = 0; i < problems->n; i++) {
		problem q = { .p = p, .name = problems->key[i], .o = &problems->item[i] };
		const json *runs = parity_member(p, q.o, "runs", JSON_OBJECT);
		for (int k = 0; k < runs->n; k++) {
			check_values(&q, runs->key[k], &runs->item[k]);
			check_gradients(&q, runs->key[k], &runs->item[k], runs->key[k], false);
			check_gradients(&q, runs->key[k], &runs->item[k], parity_text(p, "%s_tight", runs->key[k]),
					true);
		}
		check_exact(&q);
	}
}
