/* Derivatives as graph transformations: reverse mode by the ops' rules, forward mode by the rules' transposes. */
#include "tape.h"

#include <stdlib.h>
#include <string.h>

ad_var ad__sum_to(ad_var g, ad_shape s)
{
	if (ad_shape_eq(g->shape, s))
		return g;
	unsigned axes = 0, keep = 0;
	int extra = g->shape.rank - s.rank;
	for (int i = 0; i < g->shape.rank; i++) {
		if (i < extra)
			axes |= AD_AXIS(i);
		else if (s.dim[i - extra] == 1 && g->shape.dim[i] != 1)
			keep |= AD_AXIS(i);
	}
	ad_var r = axes | keep ? ad_sum(g, axes | keep) : g;
	return ad_shape_eq(r->shape, s) ? r : ad_reshape(r, s);
}

static bool differentiable(ad_var x) { return x->dtype != AD_I32; }

typedef struct {
	int lo, hi;
	char *dep;   /* depends on an x */
	char *seed;  /* is an x */
	ad_var *cot; /* cotangent or tangent */
} walk;

static walk begin(ad_tape *t, int ny, const ad_var y[], int nx, const ad_var x[], bool cut)
{
	walk w = { .lo = t->n, .hi = -1 };
	for (int i = 0; i < nx; i++)
		if (x[i] && x[i]->id < w.lo)
			w.lo = x[i]->id;
	for (int i = 0; i < ny; i++)
		if (y[i]->tape == t && y[i]->id > w.hi)
			w.hi = y[i]->id;
	int64_t n = w.hi >= w.lo ? w.hi - w.lo + 1 : 0;
	w.dep = ad__malloc((size_t)n);
	w.seed = ad__malloc((size_t)n);
	w.cot = ad__malloc((size_t)n * sizeof *w.cot);
	for (int i = 0; i < nx; i++)
		if (x[i] && x[i]->id <= w.hi)
			w.dep[x[i]->id - w.lo] = w.seed[x[i]->id - w.lo] = 1;
	for (int id = w.lo; id <= w.hi; id++) {
		ad_var r = t->node[id];
		if (cut && w.seed[id - w.lo])
			continue;
		for (int k = 0; k < r->nin && !w.dep[id - w.lo]; k++)
			if (r->in[k]->id >= w.lo && differentiable(r->in[k]))
				w.dep[id - w.lo] = w.dep[r->in[k]->id - w.lo];
	}
	/* What no y uses does not count, whatever it depends on. */
	char *used = ad__malloc((size_t)n);
	for (int i = 0; i < ny; i++)
		if (y[i]->tape == t && y[i]->id >= w.lo)
			used[y[i]->id - w.lo] = 1;
	for (int id = w.hi; id >= w.lo; id--) {
		ad_var r = t->node[id];
		for (int k = 0; k < r->nin && used[id - w.lo]; k++)
			if (r->in[k]->id >= w.lo)
				used[r->in[k]->id - w.lo] = 1;
		w.dep[id - w.lo] &= used[id - w.lo];
	}
	free(used);
	return w;
}

static void end(walk *w)
{
	free(w->dep);
	free(w->seed);
	free(w->cot);
}

/* The parts of an array that was sliced are put together rather than padded and added; products are summed inside of one. */
static void add_to(ad_var *sum, ad_var g)
{
	ad_var joined = *sum ? ad__join_pads(*sum, g) : g;
	joined = joined ? joined : ad__join_products(*sum, g);
	*sum = joined ? joined : ad_add(*sum, g);
}

static void pull(ad_var r, ad_var g, walk *w)
{
	ad_var gin[r->nin + 1];
	memset(gin, 0, sizeof gin);
	if (!r->op->vjp) {
		ad__fail(r, "no derivative rule");
		return;
	}
	r->op->vjp(r, g, gin);
	for (int k = 0; k < r->nin; k++) {
		int at = r->in[k]->id - w->lo;
		if (!gin[k] || at < 0 || !w->dep[at] || !differentiable(r->in[k]))
			continue;
		add_to(&w->cot[at], ad__sum_to(gin[k], r->in[k]->shape));
	}
}

static ad_tape *deepest(ad_tape *t, int n, const ad_var v[])
{
	for (int i = 0; i < n; i++)
		if (!t || v[i]->tape->depth > t->depth)
			t = v[i]->tape;
	return t;
}

/* v stretched to the shape of x. */
static ad_var fitted(ad_tape *t, ad_var v, ad_var x, const char *what, int number)
{
	ad_shape s;
	if (v->dtype == x->dtype && ad__broadcast_shapes(v->shape, x->shape, &s) && ad_shape_eq(s, x->shape))
		return ad_broadcast(v, s);
	ad_fail(t, "%s %d does not have its shape and dtype", what, number);
	return ad_root(t)->dud;
}

static bool same_world(ad_tape *t, int n, const ad_var x[], const char *who)
{
	for (int i = 0; i < n; i++)
		if (ad_root(x[i]->tape) != ad_root(t)) {
			ad_fail(t, "%s: variable %d belongs to another tape", who, i);
			return false;
		}
	return true;
}

/* Within one tape: y and x are on t, or NULL. */
static void reverse_on(ad_tape *t, int ny, const ad_var y[], const ad_var gy[], int nx, const ad_var x[], ad_var gx[], bool cut)
{
	for (int j = 0; j < nx; j++)
		gx[j] = NULL;
	walk w = begin(t, ny, y, nx, x, cut);
	for (int i = 0; i < ny; i++)
		if (y[i] && y[i]->id >= w.lo && w.dep[y[i]->id - w.lo] && differentiable(y[i])) {
			ad_var g = gy && gy[i] ? gy[i] : ad_full_like(y[i], 1);
			add_to(&w.cot[y[i]->id - w.lo], fitted(t, g, y[i], "ad_vjp: the cotangent of output", i));
		}
	for (int id = w.hi; id >= w.lo && !ad_error(t); id--) {
		ad_var r = t->node[id], g = w.cot[id - w.lo];
		if (!g || !w.dep[id - w.lo] || !r->nin || (cut && w.seed[id - w.lo]))
			continue;
		ad_tape *on = g->tape;
		const char *old = on->path;
		on->path = r->path;
		pull(r, g, &w);
		on->path = old;
	}
	for (int j = 0; j < nx; j++)
		if (x[j] && x[j]->id <= w.hi)
			gx[j] = w.cot[x[j]->id - w.lo];
	end(&w);
}

/* Variables of outer tapes are reached through whatever t captured of them: t's derivatives by its stand-ins, then on from
 * there. */
static void reverse(int ny, const ad_var y0[], const ad_var gy[], int nx, const ad_var x0[], ad_var gx[], bool cut)
{
	for (int j = 0; j < nx; j++)
		gx[j] = NULL;
	if (!ny || !nx)
		return;
	ad_tape *t = deepest(NULL, ny, y0);
	if (ad_error(t) || !same_world(t, nx, x0, "ad_vjp"))
		return;
	ad_var *y = ad__malloc((size_t)ny * sizeof *y), *outer = ad__malloc((size_t)nx * sizeof *outer);
	for (int i = 0; i < ny; i++)
		y[i] = ad__see(t, y0[i]);
	int nout = 0, nc = t->ncapture;
	for (int j = 0; j < nx; j++)
		if (x0[j]->tape->depth < t->depth)
			outer[nout++] = x0[j];
	if (!nout)
		nc = 0;
	ad_var *x = ad__malloc((size_t)(nx + nc) * sizeof *x), *g = ad__malloc((size_t)(nx + nc) * sizeof *g);
	ad_var *bridge = ad__malloc((size_t)nc * sizeof *bridge);
	for (int j = 0; j < nx; j++)
		x[j] = x0[j]->tape == t ? x0[j] : NULL;
	for (int i = 0; i < nc; i++) {
		x[nx + i] = t->inside[i];
		bridge[i] = t->outside[i];
	}
	reverse_on(t, ny, y, gy, nx + nc, x, g, cut);
	int m = 0;
	for (int i = 0; i < nc; i++)
		if (g[nx + i]) {
			bridge[m] = bridge[i];
			x[nx + m++] = g[nx + i];
		}
	ad_var *go = ad__malloc((size_t)nout * sizeof *go);
	reverse(m, bridge, x + nx, nout, outer, go, cut);
	for (int j = 0, k = 0; j < nx; j++)
		gx[j] = x0[j]->tape->depth < t->depth ? go[k++] : g[j];
	free(go);
	free(bridge);
	free(g);
	free(x);
	free(outer);
	free(y);
}

void ad__vjp_cut(int ny, const ad_var y[], const ad_var gy[], int nx, const ad_var x[], ad_var gx[])
{
	reverse(ny, y, gy, nx, x, gx, true);
}

void ad_vjp(int ny, const ad_var y[], const ad_var gy[], int nx, const ad_var x[], ad_var gx[])
{
	reverse(ny, y, gy, nx, x, gx, false);
	for (int j = 0; j < nx; j++)
		if (!gx[j])
			gx[j] = differentiable(x[j]) ? ad_full_like(x[j], 0) : ad_root(x[j]->tape)->dud;
}

ad_var ad_grad(ad_var y, ad_var x)
{
	ad_var g;
	ad_vjp(1, &y, NULL, 1, &x, &g);
	return g;
}

/* An elementwise op's Jacobian is diagonal: its own rule maps tangents too. */
static ad_var push_elementwise(ad_var r, const ad_var v[])
{
	ad_var sum = NULL;
	for (int k = 0; k < r->nin; k++) {
		if (!v[k])
			continue;
		ad_var gin[3] = { 0 };
		r->op->vjp(r, ad_shape_eq(v[k]->shape, r->shape) ? v[k] : ad_broadcast(v[k], r->shape), gin);
		if (gin[k])
			add_to(&sum, ad_shape_eq(gin[k]->shape, r->shape) ? gin[k] : ad_broadcast(gin[k], r->shape));
	}
	return sum;
}

/* The rule is linear in the cotangent u; its transpose is the tangent map. */
static ad_var push_transposed(ad_var r, const ad_var v[])
{
	ad_var u = ad__alias(ad_full_like(r, 0)), gin[r->nin + 1], sum = NULL;
	memset(gin, 0, sizeof gin);
	if (!r->op->vjp) {
		ad__fail(r, "no derivative rule");
		return NULL;
	}
	r->op->vjp(r, u, gin);
	for (int k = 0; k < r->nin; k++) {
		if (!v[k] || !gin[k])
			continue;
		ad_var g = ad__sum_to(gin[k], r->in[k]->shape), part;
		ad__vjp_cut(1, &g, &v[k], 1, &u, &part);
		if (part)
			add_to(&sum, part);
	}
	return sum;
}

/* Within one tape: y and x are on t, or NULL. */
static void forward_on(ad_tape *t, int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[], bool cut)
{
	for (int i = 0; i < ny; i++)
		dy[i] = NULL;
	walk w = begin(t, ny, y, nx, x, cut);
	for (int j = 0; j < nx; j++)
		if (v[j] && x[j] && x[j]->id <= w.hi)
			add_to(&w.cot[x[j]->id - w.lo], fitted(t, v[j], x[j], "ad_jvp: the tangent of input", j));
	for (int id = w.lo; id <= w.hi && !ad_error(t); id++) {
		ad_var r = t->node[id], tangent[r->nin + 1];
		if (!w.dep[id - w.lo] || !r->nin || !differentiable(r) || (cut && w.seed[id - w.lo]))
			continue;
		bool any = false;
		for (int k = 0; k < r->nin; k++) {
			tangent[k] = r->in[k]->id >= w.lo ? w.cot[r->in[k]->id - w.lo] : NULL;
			any |= tangent[k] != NULL;
		}
		if (!any)
			continue;
		const char *old = t->path;
		t->path = r->path;
		ad_var d = r->op->jvp                         ? r->op->jvp(r, tangent)
		           : r->op->flags & AD__ELEMENTWISE ? push_elementwise(r, tangent)
		                                            : push_transposed(r, tangent);
		t->path = old;
		if (d)
			add_to(&w.cot[id - w.lo], d);
	}
	for (int i = 0; i < ny; i++)
		if (y[i] && y[i]->id >= w.lo)
			dy[i] = w.cot[y[i]->id - w.lo];
	end(&w);
}

/* Tangents of what t captured come from the tapes around it. */
static void forward(int ny, const ad_var y0[], int nx, const ad_var x0[], const ad_var v[], ad_var dy[], bool cut)
{
	for (int i = 0; i < ny; i++)
		dy[i] = NULL;
	if (!ny || !nx)
		return;
	ad_tape *t = deepest(NULL, ny, y0);
	if (ad_error(t) || !same_world(t, nx, x0, "ad_jvp"))
		return;
	ad_var *y = ad__malloc((size_t)ny * sizeof *y), *outer = ad__malloc((size_t)nx * sizeof *outer);
	ad_var *vo = ad__malloc((size_t)nx * sizeof *vo);
	for (int i = 0; i < ny; i++)
		y[i] = ad__see(t, y0[i]);
	int nout = 0, nc = t->ncapture;
	for (int j = 0; j < nx; j++)
		if (x0[j]->tape->depth < t->depth) {
			vo[nout] = v[j];
			outer[nout++] = x0[j];
		}
	if (!nout)
		nc = 0;
	ad_var *x = ad__malloc((size_t)(nx + nc) * sizeof *x), *tangent = ad__malloc((size_t)(nx + nc) * sizeof *tangent);
	ad_var *bridge = ad__malloc((size_t)nc * sizeof *bridge);
	for (int j = 0; j < nx; j++) {
		x[j] = x0[j]->tape == t ? x0[j] : NULL;
		tangent[j] = x[j] ? v[j] : NULL;
	}
	for (int i = 0; i < nc; i++) {
		x[nx + i] = t->inside[i];
		bridge[i] = t->outside[i];
	}
	forward(nc, bridge, nout, outer, vo, tangent + nx, cut);
	for (int i = nx; i < nx + nc; i++)
		x[i] = tangent[i] ? x[i] : NULL;
	forward_on(t, ny, y, nx + nc, x, tangent, dy, cut);
	free(bridge);
	free(tangent);
	free(x);
	free(vo);
	free(outer);
	free(y);
}

void ad__jvp_cut(int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[])
{
	forward(ny, y, nx, x, v, dy, true);
}

void ad_jvp(int ny, const ad_var y[], int nx, const ad_var x[], const ad_var v[], ad_var dy[])
{
	forward(ny, y, nx, x, v, dy, false);
	for (int i = 0; i < ny; i++)
		if (!dy[i])
			dy[i] = ad_full_like(y[i], 0);
}
