/* residual.c - z = x + g(x) for a contraction g (Behrmann et al. 2019, Chen et al. 2019). */
#include "parts.h"
#include "private.h"
#include "residual_private.h"

#include <math.h>

typedef struct {
	flow_logdet_estimator kind;
	int terms;
	flow__tail tail;
	const double *c; /* coefficients 0 .. n - 1, and what they make of the series' sums */
	double *sum, *dot;
	int n;
} estimator;

typedef struct {
	flow f;
	nn_net g;
	int64_t dim;
	flow_residual_opt o;
	estimator train, eval;
} residual;

static const estimator *chosen(const residual *r, nn c)
{
	return c.phase == NN_EVAL ? &r->eval : &r->train;
}

static ad_var net(const residual *r, nn c, ad_var x, ad_var cond)
{
	return nn_apply(&r->g, nn_in(c, "net"), x, cond, r->dim);
}

static ad_var probe(const residual *r, nn c)
{
	uint64_t stream = nn_stream(c, "probe");
	ad_shape s = AD_SHAPE(AD_BATCH, r->dim);
	return r->o.gaussian ? ad_normal(c.tape, s, stream) : ad_rademacher(c.tape, s, stream);
}

static ad_var basic(const residual *r, const estimator *k, nn c, ad_var g, ad_var x, ad_var terms)
{
	int n = k->terms + k->tail.n, most = r->o.most > 0 ? r->o.most : k->terms + 20;
	n = n < most ? n : most;
	ad_var coef[n + 1];
	for (int i = 1; i <= n; i++)
		coef[i - 1] = ad_scale(ad_above(terms, i - 0.5), k->c[i]);
	return flow_logdet_basic(g, x, probe(r, c), n, coef);
}

/* The value from one trace of the net; the derivative, of <J^T s, e> at fixed s, from another. */
static flow_out neumann(const residual *r, const estimator *k, nn c, ad_var x, ad_var cond, ad_var terms)
{
	ad_dtype real = ad_dtype_of(x);
	ad_shape s = ad_shape_of(x);
	ad_var g = net(r, c, x, cond), e = probe(r, c), sum, dot;
	ad_fn *f = ad_fn_begin(c.tape);
	ad_var v = ad_fn_arg(f, real, s), d = flow__pull(g, x, v);
	ad_fn_end(f, 1, &d);
	ad_power_series(f, e, terms, k->n, k->sum, k->dot, &sum, &dot);
	ad_fn *h = ad_fn_begin(c.tape);
	ad_var at[3] = { ad_fn_arg(h, real, s), ad_fn_arg(h, real, s), ad_fn_arg(h, real, s) };
	ad_var again = net(r, nn_on(c, ad_fn_tape(h)), at[0], cond);
	ad_var body[2] = { ad_add(at[0], again), flow__inner(flow__pull(again, at[0], at[1]), at[2]) }, out[2];
	ad_fn_end(h, 2, body);
	ad_surrogate(h, (const ad_var[]){ x, ad_stop(sum), e }, (const ad_var[]){ ad_add(x, g), dot }, out);
	return (flow_out){ out[0], out[1] };
}

static flow_out forward(const residual *r, nn c, ad_var x, ad_var cond)
{
	const estimator *k = chosen(r, c);
	bool drawn = k->kind == FLOW_LOGDET_BASIC || k->kind == FLOW_LOGDET_NEUMANN;
	ad_var terms = drawn ? flow__terms(c, k->terms, &k->tail) : NULL;
	if (c.phase == NN_TRAIN && drawn && ad_root(c.tape) == c.tape)
		nn_metric(c, "terms", terms);
	if (k->kind == FLOW_LOGDET_NEUMANN)
		return neumann(r, k, c, x, cond, terms);
	ad_var g = net(r, c, x, cond), logdet;
	if (k->kind == FLOW_LOGDET_EXACT)
		logdet = flow__logdet_exact(g, x);
	else if (k->kind == FLOW_LOGDET_TRACES)
		logdet = flow__logdet_traces(g, x, k->terms);
	else
		logdet = basic(r, k, c, g, x, terms);
	return (flow_out){ ad_add(x, g), logdet };
}

/* If |g| <= L, a last step of size s leaves an error of at most L / (1 - L) s in the norm of L, and at most dim times
 * that in the largest element.  What rounding allows is a limit. */
static ad_var solve(const residual *r, nn c, ad_var z, ad_var cond)
{
	bool single = ad_dtype_of(z) == AD_F32;
	double l = r->o.lipschitz, want = r->o.tolerance > 0 ? r->o.tolerance : single ? 2e-6 : 1e-11;
	double tol = fmin(want, want * (1 - l) / (l * (double)r->dim));
	tol = fmax(tol, single ? 6e-7 : 2e-15);
	int most = (int)fmin(1e6, 20 + log(tol / 1e6) / log(l));
	ad_fn *f = ad_fn_begin(c.tape);
	ad_var x = ad_fn_arg(f, ad_dtype_of(z), ad_shape_of(z));
	ad_var next = ad_sub(z, net(r, nn_on(c, ad_fn_tape(f)), x, cond));
	ad_fn_end(f, 1, &next);
	return ad_fixpoint(f, z, tol, most, false);
}

static flow_out apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	const residual *r = (const residual *)f;
	if (ad_error(c.tape))
		return (flow_out){ x, ad_const(c.tape, 0) };
	if (c.phase == NN_TRAIN && isfinite(nn_lipschitz_bound(&r->g)) && ad_root(c.tape) == c.tape &&
	    dir == FLOW_FORWARD) {
		flow_out y = forward(r, c, x, cond);
		nn_metric(c, "lipschitz", nn_lipschitz_now(&r->g, nn_in(c, "net")));
		return y;
	}
	if (dir == FLOW_FORWARD)
		return forward(r, c, x, cond);
	ad_var y = solve(r, c, x, cond);
	return (flow_out){ y, ad_neg(forward(r, c, y, cond).logdet) };
}

static bool shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	return flow__takes(((const residual *)f)->dim, in, out, why);
}

static const char *const names[] = { "auto", "exact", "traces", "basic", "neumann" };

static const char *describe(const flow *f, char *buf, size_t n)
{
	const residual *r = (const residual *)f;
	snprintf(buf, n, "%s, L <= %.3g, %s in training, %s", r->g.kind ? r->g.kind : "net", r->o.lipschitz,
		 names[r->train.kind], names[r->eval.kind]);
	return buf;
}

static estimator make(flow_mem *m, const flow_residual_opt *o, bool eval, int64_t dim)
{
	estimator k = { .kind = eval ? o->eval : o->train };
	int64_t exact = eval ? (o->eval_exact_dim ? o->eval_exact_dim : 32) : (o->exact_dim ? o->exact_dim : 3);
	if (k.kind == FLOW_LOGDET_AUTO)
		k.kind = dim <= exact ? FLOW_LOGDET_EXACT : FLOW_LOGDET_NEUMANN;
	k.terms = eval ? (o->eval_terms ? o->eval_terms : 20) : (o->terms ? o->terms : 2);
	k.tail = flow__tail_new(m, eval ? FLOW_TAIL_NONE : o->tail, o->rate);
	k.n = k.terms + k.tail.n + 1;
	k.c = flow__coefficients(m, k.terms, &k.tail);
	k.sum = flow_alloc(m, (size_t)k.n * sizeof *k.sum);
	k.dot = flow_alloc(m, (size_t)k.n * sizeof *k.dot);
	for (int i = 0; i < k.n; i++) {
		k.sum[i] = i % 2 ? -k.c[i] : k.c[i];
		k.dot[i] = i ? -k.sum[i] / i : 0;
	}
	return k;
}

static const char *wrong(const flow_residual_opt *o)
{
	if ((unsigned)o->train > FLOW_LOGDET_NEUMANN || (unsigned)o->eval > FLOW_LOGDET_NEUMANN ||
	    (unsigned)o->tail > FLOW_TAIL_NONE)
		return "no such estimator or tail";
	if (o->terms < 0 || o->eval_terms < 0 || o->most < 0 || o->terms > 1000 || o->eval_terms > 1000)
		return "numbers of terms lie from 0 to 1000";
	if (o->tail == FLOW_TAIL_GEOMETRIC && !(o->rate >= 0.01 && o->rate <= 1))
		return "the rate of a geometric tail lies from 0.01 to 1";
	if (o->tail == FLOW_TAIL_POISSON && !(o->rate > 0 && o->rate <= 100))
		return "the mean of a Poisson tail lies above 0, up to 100";
	if (!(o->tolerance >= 0))
		return "the tolerance must not be negative";
	return NULL;
}

flow *flow_residual(flow_mem *m, nn_net g, int64_t dim, flow_residual_opt o)
{
	o.rate = o.rate != 0 ? o.rate : o.tail == FLOW_TAIL_GEOMETRIC ? 0.5 : 2;
	o.lipschitz = o.lipschitz != 0 ? o.lipschitz : nn_lipschitz_bound(&g);
	if (dim < 1)
		return flow_refuse(m, "residual", "needs at least 1 dimension; got %lld", (long long)dim);
	if (wrong(&o))
		return flow_refuse(m, "residual", "%s", wrong(&o));
	if (!(o.lipschitz > 0 && o.lipschitz < 1))
		return flow_refuse(m, "residual", "its net (%s) has the Lipschitz bound %g, which must be below 1",
				   g.kind ? g.kind : "net", o.lipschitz);
	residual *r = flow_alloc(m, sizeof *r);
	*r = (residual){
		.f = { .kind = "residual", .apply = apply, .shape = shape, .unshape = shape, .describe = describe },
		.g = g,
		.dim = dim,
		.o = o,
		.train = make(m, &o, false, dim),
		.eval = make(m, &o, true, dim)
	};
	/* A cut series is an estimate, too. */
	r->f.caps = (flow_caps){ .inverse = FLOW_ITERATIVE,
				 .logdet = r->eval.kind == FLOW_LOGDET_EXACT ? FLOW_EXACT : FLOW_STOCHASTIC };
	return &r->f;
}
