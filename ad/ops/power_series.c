/* Sums over the powers of a linear map, as many as is known when the program runs. */
#include "call.h"

#include <math.h>
#include <string.h>

typedef struct {
	int n;
	const double *a, *b;
} coefficients;

/* x holds the sum, and in its last row the scalar products; p is the power, v what it is multiplied with. */
#define ADD(real)                                                                                                      \
	static void add_##real(int64_t rows, int64_t w, real *x, const real *p, const real *v, double a, double b)     \
	{                                                                                                              \
		for (int64_t r = 0; r < rows; r++)                                                                     \
			for (int64_t l = 0; l < w; l++) {                                                              \
				x[r * w + l] += (real)a * p[r * w + l];                                                \
				x[rows * w + l] += (real)b * p[r * w + l] * v[r * w + l];                              \
			}                                                                                              \
	}
ADD(float)
ADD(double)

static void add(ad_dtype d, int64_t rows, int64_t w, void *x, const void *p, const void *v, double a, double b)
{
	if (d == AD_F32)
		add_float(rows, w, x, p, v, a, b);
	else
		add_double(rows, w, x, p, v, a, b);
}

static size_t scratch(ad_var r, int64_t width)
{
	return (size_t)(ad__rows(r) * width) * ad__size(r->dtype);
}

static void eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const coefficients *k = (const coefficients *)(intptr_t)r->attr.i[0];
	int64_t w = out->lane ? c->width : 1, rows = ad__rows(r) - 1;
	double terms = r->dtype == AD_F32 ? (double)*(float *)in[1].p : *(double *)in[1].p;
	if (!(terms >= 0)) {
		snprintf(c->error, 256, "ad_power_series: %g terms", terms);
		return;
	}
	int n = terms > k->n - 1 ? k->n - 1 : (int)lround(terms);
	size_t bytes = (size_t)(rows * w) * ad__size(r->dtype);
	void *power = c->scratch;
	memset(out->p, 0, bytes + (size_t)w * ad__size(r->dtype));
	memcpy(power, in[0].p, bytes);
	add(r->dtype, rows, w, out->p, power, in[0].p, k->a[0], k->b[0]);
	ad__sub_bind(c, 0, in);
	for (int i = 1; i <= n; i++) {
		ad__arr next;
		if (!ad__sub_run(c, 0, &power, &next))
			return;
		add(r->dtype, rows, w, out->p, next.p, in[0].p, k->a[i], k->b[i]);
		memcpy(power, next.p, bytes);
	}
}

static ad_fn *fn(ad_var r, int k, int *first)
{
	*first = 2;
	return k == 0 ? (ad_fn *)r->attr.data : NULL;
}

static bool acceptable(ad_fn *f, ad_var v, ad_var terms, int n)
{
	return f->narg == 1 && f->nout == 1 && v->dtype != AD_I32 && v->dtype == f->arg[0]->dtype &&
	       f->out[0]->dtype == v->dtype && ad_shape_eq(f->arg[0]->shape, f->out[0]->shape) &&
	       ad_shape_eq(v->shape, f->arg[0]->shape) && ad_batched(v) && terms->shape.rank == 0 &&
	       terms->dtype == v->dtype && n >= 1;
}

void ad_power_series(ad_fn *f, ad_var v, ad_var terms, int n, const double a[], const double b[], ad_var *sum,
		     ad_var *dot)
{
	static const ad_op op = {
		.name = "power_series", .flags = AD__CONTIGUOUS, .eval = eval, .scratch = scratch, .fn = fn
	};
	ad_tape *t = f->outer;
	if (!ad_error(t) && !acceptable(f, v, terms, n))
		ad_fail(t, "ad_power_series: takes a map of one batched array of reals to one like it, that array, and "
			   "a number of rank 0");
	*sum = *dot = ad_root(t)->dud;
	if (ad_error(t))
		return;
	coefficients *k = ad__alloc(ad_root(t), sizeof *k + (size_t)(2 * n) * sizeof(double));
	double *copy = (double *)(k + 1);
	memcpy(copy, a, (size_t)n * sizeof *a);
	memcpy(copy + n, b, (size_t)n * sizeof *b);
	*k = (coefficients){ n, copy, copy + n };
	int64_t numel = ad_numel(v->shape);
	ad_var in[2] = { v, terms };
	ad_var r = ad__call(&op, ad__hoist(f), 2, in, (ad_attr){ .i = { (int64_t)(intptr_t)k } }, v->dtype,
			    AD_SHAPE(AD_BATCH, numel + 1));
	*sum = ad_reshape(ad_slice(r, 1, 0, numel), v->shape);
	*dot = ad_reshape(ad_slice(r, 1, numel, numel + 1), AD_SHAPE(AD_BATCH));
}
