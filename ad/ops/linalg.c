/* linalg.c - factorisations by LAPACK, in double whatever the type: LU, determinants, Cholesky. */
#include "matrix.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

int64_t ad__problems(const ad__arr *out, int out_tail)
{
	int64_t n = 1;
	for (int i = 0; i < out->rank - out_tail; i++)
		n *= out->dim[i];
	return n;
}

int64_t ad__problem(const ad__arr *x, int tail, const ad__arr *out, int out_tail, int64_t k)
{
	int64_t at = 0;
	int j = x->rank - tail - 1;
	for (int i = out->rank - out_tail - 1; i >= 0 && j >= 0; i--, j--) {
		if (x->dim[j] != 1)
			at += k % out->dim[i] * x->stride[j];
		k /= out->dim[i];
	}
	return at;
}

bool ad__square(ad_var r, ad_var a)
{
	int k = ad_rank(a);
	if (k >= 2 + ad_batched(a) && ad_dim(a, -1) == ad_dim(a, -2))
		return true;
	ad__fail(r, "needs a square matrix in the last two axes, none of them the batch");
	return false;
}

double ad__get(ad_dtype d, const char *p, int64_t i)
{
	return d == AD_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

void ad__put(ad_dtype d, char *p, int64_t i, double v)
{
	if (d == AD_F64)
		((double *)p)[i] = v;
	else
		((float *)p)[i] = (float)v;
}

void ad__matrix_error(ad_var r, ad__ctx *c, bool batched, int64_t lane, const char *what)
{
	if (batched)
		snprintf(c->error, 256, "ad_%s: matrix of sample %lld %s", r->op->name, (long long)(c->first + lane),
			 what);
	else
		snprintf(c->error, 256, "ad_%s: the matrix %s", r->op->name, what);
}

static void no_derivative(ad_var r, ad_var g, ad_var gin[])
{
	(void)r, (void)g, (void)gin;
}

static int64_t order(ad_var r)
{
	return ad_dim(r->in[0], -1);
}

/* Lanes factorised at a time. */
enum { GROUP = 16 };

static size_t matrix_scratch(ad_var r, int64_t width)
{
	size_t n = (size_t)order(r);
	(void)width;
	return GROUP * n * (n * sizeof(double) + sizeof(lapack_int));
}

static double cubic(ad_var r, double share)
{
	double n = (double)order(r);
	return (double)ad_numel(r->in[0]->shape) * n * share;
}

/* Column-major copy of one matrix, half the sum with its transpose if symmetric; false if not finite. */
static bool fetch(ad_dtype d, int64_t n, const ad__arr *a, const char *p, bool symmetric, double *s)
{
	int64_t ra = a->stride[a->rank - 2], ca = a->stride[a->rank - 1];
	bool finite = true;
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < n; j++) {
			double v = ad__get(d, p, i * ra + j * ca);
			s[j * n + i] = symmetric ? 0.5 * v + 0.5 * ad__get(d, p, j * ra + i * ca) : v;
			finite &= isfinite(v);
		}
	return finite;
}

typedef struct {
	double *s;
	lapack_int *pivot, info; /* info < 0: not finite, not factorised */
} matrix;

/* Factorises up to GROUP lanes.  One thread at a time: OpenBLAS's serial build keeps its work space in globals. */
static void factorise(ad_var r, const ad__arr *in, const char *p, int64_t lanes, bool symmetric, void *scratch,
		      matrix m[GROUP])
{
	int64_t n = order(r), size = (int64_t)ad__size(r->dtype);
	lapack_int order_n = (lapack_int)n;
	for (int64_t l = 0; l < lanes; l++) {
		m[l].s = (double *)scratch + l * n * n;
		m[l].pivot = (lapack_int *)((double *)scratch + GROUP * n * n) + l * n;
		m[l].info = fetch(r->dtype, n, in, p + l * in->lane * size, symmetric, m[l].s) ? 0 : -1;
	}
#pragma omp critical(ad_lapack)
	for (int64_t l = 0; l < lanes; l++)
		if (m[l].info == 0 && symmetric)
			m[l].info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', order_n, m[l].s, order_n);
		else if (m[l].info == 0)
			m[l].info =
				LAPACKE_dgetrf_work(LAPACK_COL_MAJOR, order_n, order_n, m[l].s, order_n, m[l].pivot);
	for (int64_t l = 0; l < lanes; l++)
		for (int64_t i = 0; m[l].info < 0 && i < n * n; i++)
			m[l].s[i] = NAN;
}

/* --- LU --- */

static void lu_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	if (ad__wants_real(r) && ad__square(r, r->in[0]))
		r->shape.dim[r->shape.rank - 1]++;
}

static void store_lu(ad_dtype d, int64_t n, const matrix *m, char *q, int64_t width)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j <= n; j++)
			ad__put(d, q, (i * (n + 1) + j) * width, j < n ? m->s[j * n + i] : (double)i);
	for (int64_t i = 0; m->info >= 0 && i < n; i++) {
		int64_t x = (i * (n + 1) + n) * width, y = ((m->pivot[i] - 1) * (n + 1) + n) * width;
		double t = ad__get(d, q, x);
		ad__put(d, q, x, ad__get(d, q, y));
		ad__put(d, q, y, t);
	}
}

static void lu_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = order(r), width = out->lane ? c->width : 1, size = (int64_t)ad__size(r->dtype);
	matrix m[GROUP];
	for (int64_t k = 0; k < ad__problems(out, 2); k++)
		for (int64_t l0 = 0; l0 < width; l0 += GROUP) {
			int64_t lanes = width - l0 < GROUP ? width - l0 : GROUP;
			const char *p = in->p + (ad__problem(in, 2, out, 2, k) + l0 * in->lane) * size;
			factorise(r, in, p, lanes, false, c->scratch, m);
			for (int64_t l = 0; l < lanes; l++)
				store_lu(r->dtype, n, &m[l], out->p + (k * n * (n + 1) * width + l0 + l) * size, width);
		}
}

static double lu_flops(ad_var r)
{
	return cubic(r, 2.0 / 3);
}

static const ad_op lu_op = { .name = "lu",
			     .flags = AD__STRIDED,
			     .infer = lu_infer,
			     .vjp = no_derivative,
			     .eval = lu_eval,
			     .scratch = matrix_scratch,
			     .flops = lu_flops };

ad_var ad__lu(ad_var a)
{
	return ad__push(NULL, &lu_op, 1, &a, (ad_attr){ 0 });
}

/* --- Determinants: inputs a and its LU --- */

static void det_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	r->shape.rank -= 2;
}

/* p: the factors of one matrix; n + 1 columns. */
static double log_det(ad_dtype d, int64_t n, const char *p, int64_t rs, int64_t cs)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += log(fabs(ad__get(d, p, i * (rs + cs))));
	return sum;
}

static double det_sign(ad_dtype d, int64_t n, const char *p, int64_t rs, int64_t cs)
{
	double sign = 1;
	for (int64_t i = 0; i < n; i++) {
		double u = ad__get(d, p, i * (rs + cs));
		sign *= u > 0 ? 1 : u < 0 ? -1 : u;
		for (int64_t j = 0; j < i; j++)
			if (ad__get(d, p, j * rs + n * cs) > ad__get(d, p, i * rs + n * cs))
				sign = -sign;
	}
	return sign;
}

static void det_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	const ad__arr *lu = &in[1];
	int64_t width = out->lane ? c->width : 1, size = (int64_t)ad__size(r->dtype);
	int64_t rs = lu->stride[lu->rank - 2], cs = lu->stride[lu->rank - 1];
	for (int64_t k = 0; k < ad__problems(out, 0); k++)
		for (int64_t l = 0; l < width; l++) {
			const char *p = lu->p + (ad__problem(lu, 2, out, 0, k) + l * lu->lane) * size;
			double v = (r->attr.flag ? det_sign : log_det)(r->dtype, order(r), p, rs, cs);
			ad__put(r->dtype, out->p, k * width + l, v);
		}
}

/* d log|det a| = tr(a^-1 da) */
static void logabsdet_vjp(ad_var r, ad_var g, ad_var gin[])
{
	gin[0] = ad_mul(ad_expand(ad_expand(g, -1), -1), ad_transpose(ad__inverse(r->in[0], r->in[1])));
}

static const ad_op logabsdet_op = {
	.name = "logabsdet", .flags = AD__STRIDED, .infer = det_infer, .vjp = logabsdet_vjp, .eval = det_eval
};
static const ad_op det_sign_op = {
	.name = "det_sign", .flags = AD__STRIDED, .infer = det_infer, .vjp = no_derivative, .eval = det_eval
};

ad_var ad_logabsdet(ad_var a)
{
	return ad__push(NULL, &logabsdet_op, 2, (ad_var[]){ a, ad__lu(a) }, (ad_attr){ 0 });
}

ad_var ad_det_sign(ad_var a)
{
	return ad__push(NULL, &det_sign_op, 2, (ad_var[]){ a, ad__lu(a) }, (ad_attr){ .flag = true });
}

/* --- Cholesky, of (a + a^T) / 2 --- */

static void cholesky_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	if (ad__wants_real(r))
		ad__square(r, r->in[0]);
}

/* I. Murray, Differentiation of the Cholesky decomposition (2016), eq. 10: S = L^-T P L^-1 with
 * P = tril(L^T g), its diagonal halved. */
static void cholesky_vjp(ad_var r, ad_var g, ad_var gin[])
{
	ad_var x = ad_matmul(r, g, true, false);
	ad_var p = ad_mul(ad_add(ad_tril(x, 0), ad_tril(x, -1)), ad_full_like(x, 0.5));
	ad_var z = ad_solve_triangular(r, p, false, true, false);
	ad_var s = ad_solve_triangular(r, ad_transpose(z), false, true, false);
	gin[0] = ad_mul(ad_add(s, ad_transpose(s)), ad_full_like(s, 0.5));
}

static void cholesky_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	int64_t n = order(r), width = out->lane ? c->width : 1, size = (int64_t)ad__size(r->dtype);
	matrix m[GROUP];
	for (int64_t k = 0; k < ad__problems(out, 2); k++)
		for (int64_t l0 = 0; l0 < width; l0 += GROUP) {
			int64_t lanes = width - l0 < GROUP ? width - l0 : GROUP;
			const char *p = in->p + (ad__problem(in, 2, out, 2, k) + l0 * in->lane) * size;
			factorise(r, in, p, lanes, true, c->scratch, m);
			for (int64_t l = 0; l < lanes; l++) {
				char *q = out->p + (k * n * n * width + l0 + l) * size;
				if (m[l].info > 0) {
					ad__matrix_error(r, c, out->lane, l0 + l, "is not positive definite");
					return;
				}
				for (int64_t i = 0; i < n; i++)
					for (int64_t j = 0; j < n; j++)
						ad__put(r->dtype, q, (i * n + j) * width,
							j > i ? 0 : m[l].s[j * n + i]);
			}
		}
}

static double cholesky_flops(ad_var r)
{
	return cubic(r, 1.0 / 3);
}

static const ad_op cholesky_op = { .name = "cholesky",
				   .flags = AD__STRIDED,
				   .infer = cholesky_infer,
				   .vjp = cholesky_vjp,
				   .eval = cholesky_eval,
				   .scratch = matrix_scratch,
				   .flops = cholesky_flops };

ad_var ad_cholesky(ad_var a)
{
	return ad__push(NULL, &cholesky_op, 1, &a, (ad_attr){ 0 });
}
