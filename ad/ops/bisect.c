/* Roots of increasing elementwise functions by bisection, with the implicit derivative. */
#include "call.h"

#include <math.h>

enum { EXPANSIONS = 64, HALVINGS = 1100 };

static size_t scratch(ad_var r, int64_t width) { return (size_t)(ad__rows(r) * width) * 2 * sizeof(double); }

static double get(const char *p, ad_dtype d, int64_t i) { return d == AD_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i]; }
static void put(char *p, ad_dtype d, int64_t i, double v)
{
	if (d == AD_F32)
		((float *)p)[i] = (float)v;
	else
		((double *)p)[i] = v;
}

/* Moves one end of every bracket outwards until f has the sign it should have there. */
static bool expand(ad_var r, ad__ctx *c, char *y, int64_t n, double *lo, double *hi, int side)
{
	void *arg = y;
	for (int k = 0; k < EXPANSIONS; k++) {
		ad__arr f;
		bool again = false;
		for (int64_t i = 0; i < n; i++)
			put(y, r->dtype, i, side < 0 ? lo[i] : hi[i]);
		if (!ad__sub_run(c, 0, &arg, &f))
			return false;
		for (int64_t i = 0; i < n; i++) {
			double v = get(f.p, r->dtype, i), width = hi[i] - lo[i];
			if (side < 0 ? !(v > 0) : !(v < 0))
				continue;
			again = true;
			if (side < 0) {
				hi[i] = lo[i];
				lo[i] -= 2 * width;
			} else {
				lo[i] = hi[i];
				hi[i] += 2 * width;
			}
		}
		if (!again)
			return true;
	}
	snprintf(c->error, 256, "ad_bisect: no root: the function does not %s%s%.100s%s",
	         side < 0 ? "become negative" : "become positive", *r->path ? ", in \"" : "", r->path, *r->path ? "\"" : "");
	return false;
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = ad__rows(r) * (out->lane ? c->width : 1);
	double *lo = c->scratch, *hi = lo + n, tol = r->attr.i[0] ? (double)r->attr.i[0] * 0x1p-60 : 0;
	void *arg = out->p;
	for (int64_t i = 0; i < n; i++) {
		lo[i] = r->attr.a;
		hi[i] = r->attr.b;
	}
	ad__sub_bind(c, 0, in);
	if (!expand(r, c, out->p, n, lo, hi, -1) || !expand(r, c, out->p, n, lo, hi, 1))
		return;
	for (int k = 0; k < HALVINGS; k++) {
		ad__arr f;
		bool again = false;
		for (int64_t i = 0; i < n; i++)
			put(out->p, r->dtype, i, lo[i] + 0.5 * (hi[i] - lo[i]));
		if (!ad__sub_run(c, 0, &arg, &f))
			return;
		for (int64_t i = 0; i < n; i++) {
			double m = get(out->p, r->dtype, i), v = get(f.p, r->dtype, i);
			if (v == 0 || v != v) {
				lo[i] = hi[i] = v == 0 ? m : v;
				continue;
			}
			if (m <= lo[i] || m >= hi[i] || hi[i] - lo[i] <= tol * (1 + fabs(m)))
				continue;
			again = true;
			if (v > 0)
				hi[i] = m;
			else
				lo[i] = m;
		}
		if (!again)
			break;
	}
	for (int64_t i = 0; i < n; i++)
		put(out->p, r->dtype, i, lo[i] + 0.5 * (hi[i] - lo[i]));
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
