/* Roots of increasing elementwise functions, with the implicit derivative.  Each element keeps a bracket of its own, which
 * Chandrupatla's method (1997) narrows: inverse quadratic interpolation where that is safe, else bisection. */
#include "call.h"

#include <float.h>
#include <math.h>

enum { EXPANSIONS = 650, STEPS = 3300 };

/* x1: the newest point; x2: the end of the other sign; x3: the point replaced last.  Before: lo x2, hi x1. */
typedef struct {
	double x1, f1, x2, f2, x3, f3;
	double t; /* where to look next, from x1 to x2 */
	bool done;
} bracket;

static size_t scratch(ad_var r, int64_t width) { return (size_t)(ad__rows(r) * width) * sizeof(bracket); }

static double get(const char *p, ad_dtype d, int64_t i) { return d == AD_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i]; }
static void put(char *p, ad_dtype d, int64_t i, double v)
{
	if (d == AD_F32)
		((float *)p)[i] = (float)v;
	else
		((double *)p)[i] = v;
}

/* Moves one end of every bracket outwards until f has the sign it should have there. */
static bool expand(ad_var r, ad__ctx *c, char *y, int64_t n, bracket *b, int side)
{
	void *arg = y;
	for (int k = 0; k < EXPANSIONS; k++) {
		ad__arr f;
		bool again = false;
		for (int64_t i = 0; i < n; i++)
			put(y, r->dtype, i, side < 0 ? b[i].x2 : b[i].x1);
		if (!ad__sub_run(c, 0, &arg, &f))
			return false;
		for (int64_t i = 0; i < n; i++) {
			double v = get(f.p, r->dtype, i), width = b[i].x1 - b[i].x2;
			*(side < 0 ? &b[i].f2 : &b[i].f1) = v;
			if (side < 0 ? !(v > 0) : !(v < 0))
				continue;
			again = true;
			if (side < 0) {
				b[i].x1 = b[i].x2;
				b[i].f1 = v;
				b[i].x2 -= 2 * width;
			} else {
				b[i].x2 = b[i].x1;
				b[i].f2 = v;
				b[i].x1 += 2 * width;
			}
		}
		if (!again)
			return true;
	}
	snprintf(c->error, 256, "ad_bisect: no root: the function does not %s%s%.100s%s",
	         side < 0 ? "become negative" : "become positive", *r->path ? ", in \"" : "", r->path, *r->path ? "\"" : "");
	return false;
}

/* The first step is a secant's.  A zero at an end of the given bracket is not taken at once: where f is flat the root inside
 * has the better slope. */
static void begin(bracket *b)
{
	b->f1 = b->f1 == 0 ? DBL_MIN : b->f1;
	b->f2 = b->f2 == 0 ? -DBL_MIN : b->f2;
	double t = b->f1 / (b->f1 - b->f2);
	b->t = t > 0 && t < 1 ? t : 0.5;
	b->done = b->f1 != b->f1 || b->f2 != b->f2;
	if (b->done)
		b->x1 = NAN;
}

static double best(const bracket *b) { return b->done || fabs(b->f1) < fabs(b->f2) ? b->x1 : b->x2; }

/* Least step that counts */
static double grain(const bracket *b, double tol, double unit)
{
	double m = fabs(best(b));
	return fmax(unit * m, 0.5 * tol * (1 + m));
}

static bool between(const bracket *b, double x) { return (x > b->x1 && x < b->x2) || (x > b->x2 && x < b->x1); }

/* The next point, representable; if there is none the bracket is done. */
static double propose(bracket *b, ad_dtype d, double step)
{
	double width = fabs(b->x2 - b->x1), least = step / width;
	double x[2] = { b->x1 + fmin(fmax(b->t, least), 1 - least) * (b->x2 - b->x1), b->x1 + 0.5 * (b->x2 - b->x1) };
	for (int k = 0; k < 2 && width > 2 * step; k++) {
		double v = d == AD_F32 ? (double)(float)x[k] : x[k];
		if (between(b, v))
			return v;
	}
	b->x1 = best(b);
	b->done = true;
	return b->x1;
}

static void narrow(bracket *b, double x, double v)
{
	if ((v > 0) == (b->f1 > 0)) {
		b->x3 = b->x1, b->f3 = b->f1;
	} else {
		b->x3 = b->x2, b->f3 = b->f2;
		b->x2 = b->x1, b->f2 = b->f1;
	}
	b->x1 = x, b->f1 = v;
	b->done = v == 0 || v != v;
	if (v != v)
		b->x1 = v;
	double xi = (b->x1 - b->x2) / (b->x3 - b->x2), phi = (b->f1 - b->f2) / (b->f3 - b->f2);
	double t = b->f1 / (b->f2 - b->f1) * b->f3 / (b->f2 - b->f3) +
	           (b->x3 - b->x1) / (b->x2 - b->x1) * b->f1 / (b->f3 - b->f1) * b->f2 / (b->f3 - b->f2);
	b->t = phi > 1 - sqrt(1 - xi) && phi < sqrt(xi) && t > 0 && t < 1 ? t : 0.5;
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = ad__rows(r) * (out->lane ? c->width : 1);
	double tol = (double)r->attr.i[0] * 0x1p-60, unit = r->dtype == AD_F32 ? FLT_EPSILON : DBL_EPSILON;
	bracket *b = c->scratch;
	void *arg = out->p;
	for (int64_t i = 0; i < n; i++)
		b[i] = (bracket){ .x2 = r->attr.a, .x1 = r->attr.b };
	ad__sub_bind(c, 0, in);
	if (!expand(r, c, out->p, n, b, 1) || !expand(r, c, out->p, n, b, -1))
		return;
	for (int64_t i = 0; i < n; i++)
		begin(&b[i]);
	for (int k = 0; k < STEPS; k++) {
		ad__arr f;
		bool again = false;
		for (int64_t i = 0; i < n; i++) {
			put(out->p, r->dtype, i, b[i].done ? b[i].x1 : propose(&b[i], r->dtype, grain(&b[i], tol, 0.5 * unit)));
			again |= !b[i].done;
		}
		if (!again)
			return;
		if (!ad__sub_run(c, 0, &arg, &f))
			return;
		for (int64_t i = 0; i < n; i++)
			if (!b[i].done)
				narrow(&b[i], get(out->p, r->dtype, i), get(f.p, r->dtype, i));
	}
	for (int64_t i = 0; i < n; i++)
		put(out->p, r->dtype, i, best(&b[i]));
}

static ad_fn *fn(ad_var r, int k, int *first)
{
	*first = 0;
	return k == 0 ? (ad_fn *)r->attr.data : NULL;
}

/* f(y; c) = 0: dy = -(df/dc dc) / f'(y), f' diagonal. */
static ad_var slope_of(ad_var r, ad_var y, ad_var at)
{
	ad_var slope;
	ad__vjp_cut(1, &y, NULL, 1, &at, &slope);
	if (!slope)
		ad__fail(r, "the derivative of the function by its argument is zero");
	return slope;
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var at = ad__alias(r), cap[r->nin + 1];
	ad_var y = ad__call_at(r, 0, at, cap), slope = slope_of(r, y, at);
	if (slope)
		ad__call_pull(r, 0, y, ad_neg(ad_div(g, slope)), cap, gin);
}

static ad_var jvp(ad_var r, const ad_var v[])
{
	ad_var at = ad__alias(r), cap[r->nin + 1];
	ad_var y = ad__call_at(r, 0, at, cap);
	ad_var b = ad__call_push(r, 0, y, cap, v);
	if (!b)
		return NULL;
	ad_var slope = slope_of(r, y, at);
	return slope ? ad_neg(ad_div(b, slope)) : NULL;
}

ad_var ad_bisect(ad_fn *f, ad_shape s, double lo, double hi, double tol)
{
	static const ad_op op = { .name = "bisect", .flags = AD__CONTIGUOUS, .vjp = vjp, .jvp = jvp, .eval = eval,
		                  .scratch = scratch, .fn = fn };
	ad_tape *t = f->outer;
	if (ad_error(t))
		return ad_root(t)->dud;
	if (f->narg != 1 || f->nout != 1 || !ad_shape_eq(f->arg[0]->shape, s) || !ad_shape_eq(f->out[0]->shape, s) || f->arg[0]->dtype != f->out[0]->dtype ||
	    f->arg[0]->dtype == AD_I32 || !(lo < hi)) {
		ad_fail(t, "ad_bisect: the function must map reals of shape s to such, and lo lie below hi");
		return ad_root(t)->dud;
	}
	int64_t scaled = tol > 0 ? (int64_t)(tol * 0x1p60) : 0;
	return ad__call(&op, f, 0, NULL, (ad_attr){ .a = lo, .b = hi, .i = { scaled } }, f->arg[0]->dtype, s);
}
