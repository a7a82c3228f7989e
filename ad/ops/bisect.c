/* Roots of increasing elementwise functions, with the implicit derivative.  Each element keeps a bracket, which regula falsi
 * with Anderson and Bjoerck's weights (1973) narrows superlinearly; a step that did not halve it within three is a bisection. */
#include "call.h"

#include <float.h>
#include <math.h>

enum { EXPANSIONS = 650, STEPS = 3300, PATIENCE = 2 };

typedef struct {
	double lo, hi, flo, fhi; /* f at the ends: flo <= 0 <= fhi; weighted, so only their signs are certain */
	int side, slow;          /* the end moved last (-1, 1); steps since the bracket was halved */
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
			put(y, r->dtype, i, side < 0 ? b[i].lo : b[i].hi);
		if (!ad__sub_run(c, 0, &arg, &f))
			return false;
		for (int64_t i = 0; i < n; i++) {
			double v = get(f.p, r->dtype, i), width = b[i].hi - b[i].lo;
			*(side < 0 ? &b[i].flo : &b[i].fhi) = v;
			if (side < 0 ? !(v > 0) : !(v < 0))
				continue;
			again = true;
			if (side < 0) {
				b[i].hi = b[i].lo;
				b[i].fhi = v;
				b[i].lo -= 2 * width;
			} else {
				b[i].lo = b[i].hi;
				b[i].flo = v;
				b[i].hi += 2 * width;
			}
		}
		if (!again)
			return true;
	}
	snprintf(c->error, 256, "ad_bisect: no root: the function does not %s%s%.100s%s",
	         side < 0 ? "become negative" : "become positive", *r->path ? ", in \"" : "", r->path, *r->path ? "\"" : "");
	return false;
}

static double middle(const bracket *b) { return b->lo + 0.5 * (b->hi - b->lo); }

/* Where to look next, at least a step away from both ends, so that a root beside an end is soon shut in. */
static double next(const bracket *b, double step)
{
	double m = b->lo - b->flo * ((b->hi - b->lo) / (b->fhi - b->flo));
	if (b->slow >= PATIENCE || !(m >= b->lo && m <= b->hi) || b->hi - b->lo <= 2 * step)
		return middle(b);
	return fmin(fmax(m, b->lo + step), b->hi - step);
}

static double weight(double v, double before)
{
	double w = 1 - v / before;
	return w > 0 ? w : 0.5;
}

static void narrow(bracket *b, double m, double v)
{
	double width = b->hi - b->lo;
	if (v == 0 || v != v) {
		b->lo = b->hi = v == 0 ? m : v;
		return;
	}
	if (v > 0) {
		b->flo *= b->side > 0 ? weight(v, b->fhi) : 1;
		b->hi = m, b->fhi = v, b->side = 1;
	} else {
		b->fhi *= b->side < 0 ? weight(v, b->flo) : 1;
		b->lo = m, b->flo = v, b->side = -1;
	}
	b->slow = b->hi - b->lo > 0.5 * width ? b->slow + 1 : 0;
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = ad__rows(r) * (out->lane ? c->width : 1);
	double tol = (double)r->attr.i[0] * 0x1p-60, unit = r->dtype == AD_F32 ? FLT_EPSILON : DBL_EPSILON;
	bracket *b = c->scratch;
	void *arg = out->p;
	for (int64_t i = 0; i < n; i++)
		b[i] = (bracket){ .lo = r->attr.a, .hi = r->attr.b };
	ad__sub_bind(c, 0, in);
	if (!expand(r, c, out->p, n, b, 1) || !expand(r, c, out->p, n, b, -1))
		return;
	for (int k = 0; k < STEPS; k++) {
		ad__arr f;
		bool again = false;
		for (int64_t i = 0; i < n; i++) {
			double size = fmax(fabs(b[i].lo), fabs(b[i].hi)); /* a step that rounding keeps */
			put(out->p, r->dtype, i, next(&b[i], fmax(unit * size, 0.5 * tol * (1 + fabs(middle(&b[i]))))));
		}
		if (!ad__sub_run(c, 0, &arg, &f))
			return;
		for (int64_t i = 0; i < n; i++) {
			double m = get(out->p, r->dtype, i), v = get(f.p, r->dtype, i);
			if (m <= b[i].lo || m >= b[i].hi || b[i].hi - b[i].lo <= tol * (1 + fabs(m)))
				continue;
			again = true;
			narrow(&b[i], m, v);
		}
		if (!again)
			break;
	}
	for (int64_t i = 0; i < n; i++)
		put(out->p, r->dtype, i, middle(&b[i]));
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
