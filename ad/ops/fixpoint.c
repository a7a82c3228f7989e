/* Fixed points by iteration, with the implicit derivative: another fixed point. */
#include "call.h"

#include <math.h>
#include <string.h>

/* One sweep: y takes g where a lane is not done; returns the lanes still moving, and their worst residual. */
#define SWEEP(real)                                                                                             \
	static int64_t sweep_##real(int64_t rows, int64_t w, int64_t valid, real *y, const real *g, char *done, \
	                            double tol, double *delta, double *size, double *worst)                     \
	{                                                                                                       \
		int64_t moving = 0;                                                                             \
		for (int64_t l = 0; l < w; l++)                                                                 \
			delta[l] = size[l] = 0;                                                                 \
		for (int64_t r = 0; r < rows; r++)                                                              \
			for (int64_t l = 0; l < w; l++) {                                                       \
				double d = fabs((double)g[r * w + l] - (double)y[r * w + l]);                   \
				double s = fabs((double)g[r * w + l]);                                          \
				delta[l] = d > delta[l] || d != d ? d : delta[l];                               \
				size[l] = s > size[l] ? s : size[l];                                            \
				y[r * w + l] = done[l] ? y[r * w + l] : g[r * w + l];                           \
			}                                                                                       \
		*worst = 0;                                                                                     \
		for (int64_t l = 0; l < w; l++) {                                                               \
			done[l] |= delta[l] <= tol * (1 + size[l]);                                             \
			if (l < valid && !done[l]) {                                                            \
				moving++;                                                                       \
				*worst = delta[l] > *worst || delta[l] != delta[l] ? delta[l] : *worst;         \
			}                                                                                       \
		}                                                                                               \
		return moving;                                                                                  \
	}
SWEEP(float)
SWEEP(double)

static size_t scratch(ad_var r, int64_t width)
{
	(void)r;
	return (size_t)width * (2 * sizeof(double) + 1);
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t w = out->lane ? c->width : 1, rows = ad__rows(r), valid = out->lane ? c->valid : 1, moving = 1;
	double *delta = c->scratch, *size = delta + w, worst = 0;
	char *done = (char *)(size + w);
	memset(done, 0, (size_t)w);
	ad__copy(out, &in[0], w);
	ad__sub_bind(c, 0, in);
	if (r->op->flags & AD__SOLVES && ad__sub_solve(c, out->p))
		return;
	for (int64_t i = 0; i < r->attr.i[0] && moving; i++) {
		void *arg = out->p;
		ad__arr g;
		if (!ad__sub_run(c, 0, &arg, &g))
			return;
		moving = r->dtype == AD_F32 ? sweep_float(rows, w, valid, (float *)out->p, (float *)g.p, done, r->attr.a, delta, size, &worst)
		                            : sweep_double(rows, w, valid, (double *)out->p, (double *)g.p, done, r->attr.a, delta, size, &worst);
	}
	if (moving && !r->attr.flag && !*c->error)
		snprintf(c->error, 256, "ad_fixpoint: %lld of %lld samples did not converge in %lld iterations, worst residual %.3g%s%.100s%s",
		         (long long)moving, (long long)valid, (long long)r->attr.i[0], worst, *r->path ? ", in \"" : "", r->path,
		         *r->path ? "\"" : "");
}

/* The solution was given. */
static void eval_given(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	(void)r;
	ad__copy(out, &in[0], out->lane ? c->width : 1);
}

static ad_fn *fn(ad_var r, int k, int *first)
{
	*first = 1;
	return k == 0 ? (ad_fn *)r->attr.data : NULL;
}

typedef enum { ITERATE, SWEEPS, GIVEN } way;
static ad_var solution(ad_fn *g, ad_var y0, double tol, int maxit, bool exact, way how);

/* Solves t = b + J t or t = b + J^T t, J the derivative of y by its alias `at`. */
static ad_var linear_solve(ad_var r, ad_var y, ad_var at, ad_var b, bool transposed)
{
	ad_fn *f = ad_fn_begin(ad_tape_of(b)->depth > r->tape->depth ? ad_tape_of(b) : r->tape);
	ad_var t = ad_fn_arg(f, r->dtype, r->shape), d;
	if (transposed)
		ad__vjp_cut(1, &y, &t, 1, &at, &d);
	else
		ad__jvp_cut(1, &y, 1, &at, &t, &d);
	ad_var next = d ? ad_add(b, d) : ad_add(b, ad_scale(t, 0));
	ad_fn_end(f, 1, &next);
	return solution(f, b, r->attr.a, (int)r->attr.i[0] + 1, r->attr.flag, r->attr.flag2 ? SWEEPS : ITERATE);
}

/* w = g + (dG/dy)^T w; then the partial derivatives by the captured variables at the solution. */
static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var at = ad__alias(r), cap[r->nin + 1];
	ad_var y = ad__call_at(r, 1, at, cap);
	ad_var w = linear_solve(r, y, at, g, true);
	ad__call_pull(r, 1, y, w, cap, gin);
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	ad_var at = ad__alias(r), cap[r->nin + 1];
	ad_var y = ad__call_at(r, 1, at, cap);
	ad_var b = ad__call_push(r, 1, y, cap, v);
	return b ? linear_solve(r, y, at, b, false) : NULL;
}

/* exact: maxit iterations suffice; SWEEPS: they are wanted, though rows one by one might do. */
static ad_var solution(ad_fn *g, ad_var y0, double tol, int maxit, bool exact, way how)
{
	static const ad_op op = { .name = "fixpoint", .flags = AD__CONTIGUOUS, .vjp = vjp, .jvp = jvp, .eval = eval,
		                  .scratch = scratch, .fn = fn },
		op_given = { .name = "fixpoint", .flags = AD__CONTIGUOUS, .vjp = vjp, .jvp = jvp, .eval = eval_given, .fn = fn },
		op_exact = { .name = "fixpoint", .flags = AD__CONTIGUOUS | AD__SOLVES, .vjp = vjp, .jvp = jvp, .eval = eval,
		             .scratch = scratch, .fn = fn };
	ad_tape *t = g->outer;
	if (ad_error(t))
		return ad_root(t)->dud;
	if (g->narg != 1 || g->nout != 1 || !ad_shape_eq(g->arg[0]->shape, g->out[0]->shape) || g->arg[0]->dtype != g->out[0]->dtype ||
	    g->arg[0]->dtype == AD_I32 || y0->dtype != g->arg[0]->dtype) {
		ad_fail(t, "ad_fixpoint: the function must map one array of reals to one of the same shape, y0 be of their dtype");
		return ad_root(t)->dud;
	}
	y0 = ad_broadcast(y0, g->arg[0]->shape);
	const ad_op *by = how == GIVEN ? &op_given : how == ITERATE && exact ? &op_exact : &op;
	return ad__call(by, g, 1, &y0, (ad_attr){ .a = tol, .i = { maxit }, .flag = exact, .flag2 = how == SWEEPS }, y0->dtype,
	                g->arg[0]->shape);
}

ad_var ad_fixpoint(ad_fn *g, ad_var y0, double tol, int maxit, bool exact) { return solution(g, y0, tol, maxit, exact, ITERATE); }
ad_var ad_fixpoint_sweeps(ad_fn *g, ad_var y0, double tol, int maxit) { return solution(g, y0, tol, maxit, true, SWEEPS); }
ad_var ad_fixpoint_given(ad_fn *g, ad_var y, int maxit) { return solution(g, y, 0, maxit, true, GIVEN); }
