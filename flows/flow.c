/* flow.c - applying a flow: paths, shapes checked before and after, the log of applications. */
#include "private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local flow__log *current;
static _Thread_local bool without_logdet;

flow__log *flow__set_log(flow__log *log)
{
	flow__log *before = current;
	current = log;
	return before;
}

bool flow__logdet_wanted(void)
{
	return !without_logdet;
}

bool flow__want_logdet(bool wanted)
{
	bool before = !without_logdet;
	without_logdet = !wanted;
	return before;
}

flow *flow_named(flow *f, const char *name)
{
	f->name = name;
	return f;
}

nn flow__in(nn c, flow *const child[], int i)
{
	int ordinal = 0;
	if (child[i]->name)
		return nn_in(c, "%s", child[i]->name);
	for (int k = 0; k < i; k++)
		ordinal += !child[k]->name && !strcmp(child[k]->kind, child[i]->kind);
	return nn_in(c, "%s_%d", child[i]->kind, ordinal);
}

int flow__nx(const flow *f, flow_dir d)
{
	int n = d == FLOW_FORWARD ? f->nin : f->nout;
	return n ? n : 1;
}

int flow__ny(const flow *f, flow_dir d)
{
	return flow__nx(f, d == FLOW_FORWARD ? FLOW_INVERSE : FLOW_FORWARD);
}

ad_shape flow__event(ad_var x)
{
	ad_shape s = ad_shape_of(x), e = { 0 };
	for (int k = 1; k < s.rank; k++)
		e.dim[e.rank++] = s.dim[k];
	return e;
}

ad_shape flow__batched(ad_shape e)
{
	ad_shape s = { 1, { AD_BATCH } };
	for (int k = 0; k < e.rank && s.rank < AD_MAXRANK; k++)
		s.dim[s.rank++] = e.dim[k];
	return s;
}

const char *flow__shape_str(ad_shape s, char buf[96])
{
	size_t n = 0;
	for (int k = 0; k < s.rank; k++)
		n += (size_t)snprintf(buf + n, 96 - n, "%s%.9g", k ? "," : "[", (double)s.dim[k]);
	snprintf(buf + n, 96 - n, s.rank ? "]" : "[]");
	return buf;
}

bool flow_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	if (f->shape)
		return f->shape(f, in, out, why);
	memcpy(out, in, (size_t)flow__nx(f, FLOW_FORWARD) * sizeof *in);
	return true;
}

bool flow_unshape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	int n = flow__nx(f, FLOW_FORWARD);
	if (f->unshape)
		return f->unshape(f, in, out, why);
	if (n == flow__ny(f, FLOW_FORWARD)) {
		bool same = flow_shape(f, in, out, why);
		for (int i = 0; same && i < n; i++)
			same = ad_shape_eq(in[i], out[i]);
		if (same)
			return true;
	}
	snprintf(why, 160, "%.40s cannot tell the shape of its input from that of its output", f->kind);
	return false;
}

typedef struct {
	flow f;
	char why[160];
} refusal;

static bool refuse_shape(const flow *f, const ad_shape in[], ad_shape out[], char why[160])
{
	(void)in, (void)out;
	memcpy(why, ((const refusal *)f)->why, 160);
	return false;
}

static flow_out refuse_apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)cond, (void)dir;
	ad_fail(c.tape, "%s: %s, in \"%s\"", f->kind, ((const refusal *)f)->why, c.path);
	return (flow_out){ x, ad_const(c.tape, 0) };
}

flow *flow_refuse(flow_mem *m, const char *kind, const char *fmt, ...)
{
	refusal *r = flow_alloc(m, sizeof *r);
	va_list ap;
	r->f = (flow){ .kind = kind, .apply = refuse_apply, .shape = refuse_shape, .unshape = refuse_shape };
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof r->why, fmt, ap);
	va_end(ap);
	return &r->f;
}

flow_caps flow_capabilities(const flow *f)
{
	return f->caps;
}

flow_caps flow_weakest(int n, flow *const f[])
{
	flow_caps w = { .rebuilds = true };
	for (int i = 0; i < n; i++) {
		flow_caps c = f[i]->caps;
		w.inverse = c.inverse > w.inverse ? c.inverse : w.inverse;
		w.forward = c.forward > w.forward ? c.forward : w.forward;
		w.logdet = c.logdet > w.logdet ? c.logdet : w.logdet;
		w.rebuilds &= c.rebuilds;
	}
	return w;
}

ad_var flow_add_logdet(ad_var a, ad_var b)
{
	return !a ? b : !b ? a : ad_add(a, b);
}

static bool failed(ad_tape *t)
{
	return ad_error(t) || ad_error(ad_root(t));
}

/* Whether f, applied in direction dir, takes events of shapes xs, and gives ys (NULL: not known yet). */
static bool shapes_agree(const flow *f, nn c, flow_dir dir, const ad_shape xs[], const ad_shape ys[])
{
	ad_shape want[FLOW_PORTS];
	char why[160] = "", a[96], b[96];
	bool forward = dir == FLOW_FORWARD, told = forward || f->unshape || !f->shape;
	if (!told && !ys)
		return true;
	/* Without unshape an inverse is judged by its result: put forward, it must give back xs. */
	const ad_shape *from = told ? xs : ys, *to = told ? ys : xs;
	if (!(forward || !told ? flow_shape : flow_unshape)(f, from, want, why)) {
		ad_fail(c.tape, "%s: %s, in \"%s\"", f->kind, why, c.path);
		return false;
	}
	for (int i = 0; to && i < flow__ny(f, told ? dir : FLOW_FORWARD); i++)
		if (!ad_shape_eq(want[i], to[i])) {
			ad_fail(c.tape, "%s: events of shape %s where %s was declared, in \"%s\"", f->kind,
				flow__shape_str(to[i], a), flow__shape_str(want[i], b), c.path);
			return false;
		}
	return true;
}

static bool logdet_agrees(const flow *f, nn c, ad_var ld, ad_var x)
{
	char a[96];
	if (ld && (!ad_rank(ld) || (ad_rank(ld) == 1 && ad_dim(ld, 0) == ad_dim(x, 0))))
		return true;
	ad_fail(c.tape, "%s: log-determinant of shape %s; one number a sample, or rank 0, was expected, in \"%s\"",
		f->kind, ld ? flow__shape_str(ad_shape_of(ld), a) : "NULL", c.path);
	return false;
}

static int log_begin(const flow *f, nn c, int nx, const ad_var x[], flow_dir dir)
{
	flow__log *l = current;
	if (!l)
		return -1;
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 32;
		l->row = realloc(l->row, (size_t)l->room * sizeof *l->row);
		if (!l->row)
			abort();
	}
	flow__record *r = &l->row[l->n];
	memset(r, 0, sizeof *r);
	r->f = f;
	memcpy(r->path, c.path, sizeof r->path);
	r->dir = dir;
	r->nx = nx;
	r->depth = l->depth++;
	r->leaf = true;
	memcpy(r->x, x, (size_t)nx * sizeof *x);
	if (l->n && r->depth)
		for (int i = l->n - 1; i >= 0; i--)
			if (l->row[i].depth < r->depth) {
				l->row[i].leaf = false;
				break;
			}
	return l->n++;
}

static void log_end(int row, int ny, const ad_var y[])
{
	if (row < 0)
		return;
	current->depth--;
	current->row[row].ny = ny;
	memcpy(current->row[row].y, y, (size_t)ny * sizeof *y);
}

ad_var flow_apply_n(const flow *f, nn c, const ad_var x[], ad_var cond, flow_dir dir, ad_var y[])
{
	int nx = flow__nx(f, dir), ny = flow__ny(f, dir);
	ad_shape xs[FLOW_PORTS], ys[FLOW_PORTS];
	ad_var logdet = ad_const(c.tape, 0);
	for (int i = 0; i < ny; i++)
		y[i] = x[0];
	for (int i = 0; i < nx; i++) {
		if (!failed(c.tape) && !ad_rank(x[i]))
			ad_fail(c.tape, "%s: input of rank 0, in \"%s\"", f->kind, c.path);
		xs[i] = flow__event(x[i]);
	}
	if (failed(c.tape) || !shapes_agree(f, c, dir, xs, NULL))
		return logdet;
	if ((dir == FLOW_FORWARD ? f->caps.forward : f->caps.inverse) == FLOW_ABSENT) {
		ad_fail(c.tape, "%s: has no %s, in \"%s\"", f->kind,
			dir == FLOW_FORWARD ? "forward direction" : "inverse", c.path);
		return logdet;
	}
	const char *before = ad_set_path(c.tape, c.path);
	int row = log_begin(f, c, nx, x, dir);
	if (f->apply_n) {
		logdet = f->apply_n(f, c, x, cond, dir, y);
	} else {
		flow_out r = f->apply(f, c, x[0], cond, dir);
		y[0] = r.x;
		logdet = r.logdet;
	}
	log_end(row, ny, y);
	ad_set_path(c.tape, before);
	if (failed(c.tape) || !logdet_agrees(f, c, logdet, x[0]))
		return ad_const(c.tape, 0);
	for (int i = 0; i < ny; i++)
		ys[i] = flow__event(y[i]);
	shapes_agree(f, c, dir, xs, ys);
	return logdet;
}

flow_out flow_apply(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	flow_out r = { x, NULL };
	if (flow__nx(f, dir) != 1 || flow__ny(f, dir) != 1) {
		ad_fail(c.tape, "%s: has several inputs or outputs; give it a place in a graph, in \"%s\"", f->kind,
			c.path);
		r.logdet = ad_const(c.tape, 0);
		return r;
	}
	r.logdet = flow_apply_n(f, c, &x, cond, dir, &r.x);
	return r;
}
