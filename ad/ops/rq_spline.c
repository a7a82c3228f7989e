/* rq_spline.c - the rational-quadratic spline: value and first derivative by kernels, more from the composed form. */
#include "../spline.h"
#include "../tape.h"

#include <math.h>
#include <string.h>

int ad_rq_numbers(const ad_rq *o) { return o->ends ? 3 * o->bins + 1 : 3 * o->bins - 1; }

typedef struct {
	ad_rq o;
	ad__rq numbers;
} settings;

static const ad_rq *options(ad_var r) { return &((const settings *)r->attr.data)->o; }
static const ad__rq *kernel_options(ad_var r) { return &((const settings *)r->attr.data)->numbers; }

static size_t scratch(ad_var r, int64_t width)
{
	(void)width;
	return AD__RQ_SCRATCH(options(r)->bins);
}

/* exponentials and the divisions and logarithms of a bin count eight each */
static double flops(ad_var r) { return (double)ad__rows(r->in[0]) * (30 * (double)options(r)->bins + 100); }

static double vjp_flops(ad_var r) { return (double)ad__rows(r->in[0]) * (40 * (double)options(r)->bins + 200); }

/* Elements of x, and where they, their numbers and the rows of cotangent and result lie; the last axis apart. */
typedef struct {
	int n, rank;
	const ad__arr *a[4];
	int64_t at[AD_MAXRANK];
	char *p[4];
} walk;

static walk walk_of(int n, const ad__arr *const a[], int rank)
{
	walk w = { .n = n, .rank = rank };
	for (int i = 0; i < n; i++) {
		w.a[i] = a[i];
		w.p[i] = a[i]->p;
	}
	return w;
}

static bool next(walk *w)
{
	for (int k = w->rank; k-- > 0;) {
		int64_t back = ++w->at[k] < w->a[0]->dim[k] ? 0 : w->a[0]->dim[k];
		for (int i = 0; i < w->n; i++)
			w->p[i] += (1 - back) * w->a[i]->stride[k] * (int64_t)ad__size(w->a[i]->dtype);
		if (!back)
			return true;
		w->at[k] = 0;
	}
	return false;
}

static void *row(const walk *w, int i, int64_t k)
{
	return w->p[i] + k * w->a[i]->stride[w->rank] * (int64_t)ad__size(w->a[i]->dtype);
}

enum { X, P, OUT, G };

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ad__kernels *k = c->k[r->dtype];
	walk w = walk_of(3, (const ad__arr *[]){ &in[0], &in[1], out }, in[0].rank);
	do
		k->rq_spline(kernel_options(r), out->lane ? c->width : 1, w.p[X], in[0].lane, w.p[P], in[1].stride[w.rank], in[1].lane,
		             row(&w, OUT, 0), row(&w, OUT, 1), c->scratch);
	while (next(&w));
}

static void vjp_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int M = ad_rq_numbers(options(r));
	const ad__kernels *k = c->k[r->dtype];
	walk w = walk_of(4, (const ad__arr *[]){ &in[0], &in[1], out, &in[2] }, in[0].rank);
	do
		k->rq_spline_vjp(kernel_options(r), out->lane ? c->width : 1, w.p[X], in[0].lane, w.p[P], in[1].stride[w.rank], in[1].lane,
		                 row(&w, G, 0), row(&w, G, 1), in[2].lane, row(&w, OUT, M), row(&w, OUT, 0),
		                 out->stride[w.rank], c->scratch);
	while (next(&w));
}

/* With the last axis replaced, or added. */
static ad_shape with_last(ad_var x, int64_t n)
{
	ad_shape s = x->shape;
	s.dim[s.rank++] = n;
	return s;
}

static ad_var last(ad_var v, int64_t lo, int64_t hi) { return ad_slice(v, -1, lo, hi); }

/* The derivative's derivative: the composed form's, traced anew and cut off at copies of x, p and g. */
static void vjp_vjp(ad_var r, ad_var w, ad_var gin[])
{
	const ad_rq *o = options(r);
	int M = ad_rq_numbers(o);
	ad_var in[3] = { ad__alias(r->in[0]), ad__alias(ad_broadcast(r->in[1], with_last(r->in[0], M))), ad__alias(r->in[2]) };
	ad_var y = o->composed(in[0], in[1], o), g[2];
	ad__vjp_cut(1, &y, &in[2], 2, in, g);
	ad__vjp_cut(2, g, (ad_var[]){ ad_squeeze(last(w, M, M + 1), -1), last(w, 0, M) }, 3, in, gin);
}

static void vjp(ad_var r, ad_var g, ad_var gin[])
{
	static const ad_op op = { .name = "rq_spline_vjp", .flags = AD__ROWWISE | AD__STRIDED, .vjp = vjp_vjp, .eval = vjp_eval,
		                      .scratch = scratch, .flops = vjp_flops };
	int M = ad_rq_numbers(options(r));
	ad_var v = ad__push_shaped(NULL, &op, 3, (ad_var[]){ r->in[0], r->in[1], g }, r->attr, r->dtype, with_last(r->in[0], M + 1));
	gin[0] = ad_squeeze(last(v, M, M + 1), -1);
	gin[1] = last(v, 0, M);
}

static const ad_op op = { .name = "rq_spline", .flags = AD__ROWWISE | AD__STRIDED, .vjp = vjp, .eval = eval,
	                      .scratch = scratch, .flops = flops };

/* x and p stretched to fit each other, but p left without the batch if it has none. */
static bool fit(ad_var *x, ad_var *p, int M)
{
	ad_shape sp = (*p)->shape, s;
	if (!sp.rank || sp.dim[sp.rank - 1] != M)
		return false;
	sp.rank--;
	if (!ad__broadcast_shapes((*x)->shape, sp, &s) || s.rank >= AD_MAXRANK)
		return false;
	*x = ad_broadcast(*x, s);
	bool shared = ad_batched(*x) && !ad_batched(*p);
	if (shared) {
		s.rank--;
		memmove(s.dim, s.dim + 1, (size_t)s.rank * sizeof *s.dim);
	}
	s.dim[s.rank++] = M;
	if (ad__broadcast_shapes((*p)->shape, s, &sp) && ad_shape_eq(sp, s))
		*p = ad_broadcast(*p, s);
	else
		*p = ad_broadcast(*p, with_last(*x, M));
	return true;
}

ad_var ad_rq_spline(ad_var x, ad_var p, const ad_rq *o)
{
	ad_tape *t = ad_root(ad_tape_of(x));
	char a[128], b[128];
	if (ad_error(t))
		return t->dud;
	if (x->dtype == AD_I32 || x->dtype != p->dtype)
		ad_fail(t, "ad_rq_spline: points and numbers must be reals of one type");
	else if (o->bins < 2 || !(o->side > 0))
		ad_fail(t, "ad_rq_spline: %d bins in a box of side %g", o->bins, o->side);
	else if (!(o->width_scale > 0) || !(o->height_scale > 0))
		ad_fail(t, "ad_rq_spline: scales %g and %g", o->width_scale, o->height_scale);
	else if (!fit(&x, &p, ad_rq_numbers(o)))
		ad_fail(t, "ad_rq_spline: points %s and numbers %s do not fit, %d numbers a point are needed",
		        ad__shape_str(x->shape, a, sizeof a), ad__shape_str(p->shape, b, sizeof b), ad_rq_numbers(o));
	if (ad_error(t))
		return t->dud;
	settings *own = ad__alloc(t, sizeof *own);
	/* softplus(outer) + min_derivative = 1 */
	*own = (settings){ *o, { o->bins, o->ends, o->inverse, o->lo, o->side, o->width_scale, o->height_scale, o->min_width,
		                     o->min_height, o->min_derivative, log(expm1(1 - o->min_derivative)) } };
	return ad__push_shaped(NULL, &op, 2, (ad_var[]){ x, p }, (ad_attr){ .axis = -1, .data = own }, x->dtype, with_last(x, 2));
}
