/* fill.c - initial values; element i of an entry is drawn from (store's seed, its path, i). */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
	uint64_t seed, stream;
	double a;
	int64_t rows, cols, n; /* rows: dim 0; cols: the rest, the fan-in */
	double fan_out;
} draw;

static double uniform(const draw *d, int64_t i)
{
	return 2 * ad_noise_uniform(d->seed, 0, d->stream, (uint64_t)i) - 1;
}

static double normal(const draw *d, int64_t i) { return ad_noise_normal(d->seed, 0, d->stream, (uint64_t)i); }

static void zeros(const draw *d, double *v)
{
	for (int64_t i = 0; i < d->n; i++)
		v[i] = 0;
}

static void constant(const draw *d, double *v)
{
	for (int64_t i = 0; i < d->n; i++)
		v[i] = d->a;
}

static void uniforms(const draw *d, double *v, double a)
{
	for (int64_t i = 0; i < d->n; i++)
		v[i] = a * uniform(d, i);
}

static void normals(const draw *d, double *v, double sd)
{
	for (int64_t i = 0; i < d->n; i++)
		v[i] = sd * normal(d, i);
}

static void fill_uniform(const draw *d, double *v) { uniforms(d, v, d->a); }
static void fill_normal(const draw *d, double *v) { normals(d, v, d->a); }
static void fan_in(const draw *d, double *v) { uniforms(d, v, d->a / sqrt((double)d->cols)); }
static void kaiming(const draw *d, double *v) { normals(d, v, d->a * sqrt(2 / (double)d->cols)); }
static void xavier(const draw *d, double *v) { uniforms(d, v, d->a * sqrt(6 / ((double)d->cols + d->fan_out))); }

/* Gram-Schmidt, each vector orthogonalised twice, on the shorter side of a normal matrix. */
static void orthogonal(const draw *d, double *v)
{
	normals(d, v, 1);
	bool wide = d->rows <= d->cols;
	int64_t m = wide ? d->rows : d->cols, n = wide ? d->cols : d->rows;
	int64_t vec = wide ? d->cols : 1, elem = wide ? 1 : d->cols; /* strides between vectors and in them */
	for (int64_t j = 0; j < m; j++) {
		double *x = v + j * vec;
		for (int64_t k = 0; k < 2 * j; k++) {
			const double *y = v + k % j * vec;
			double dot = 0;
			for (int64_t i = 0; i < n; i++)
				dot += x[i * elem] * y[i * elem];
			for (int64_t i = 0; i < n; i++)
				x[i * elem] -= dot * y[i * elem];
		}
		double norm = 0;
		for (int64_t i = 0; i < n; i++)
			norm += x[i * elem] * x[i * elem];
		for (int64_t i = 0; i < n; i++)
			x[i * elem] /= sqrt(norm);
	}
	for (int64_t i = 0; i < d->n; i++)
		v[i] *= d->a;
}

static void (*const fills[])(const draw *, double *) = {
	[NN_ZEROS] = zeros,       [NN_CONST] = constant,   [NN_UNIFORM] = fill_uniform, [NN_NORMAL] = fill_normal,
	[NN_FAN_IN] = fan_in,     [NN_KAIMING] = kaiming,  [NN_XAVIER] = xavier,        [NN_ORTHOGONAL] = orthogonal,
};

void nn__fill_values(nn_store *s, const char *name, ad_shape shape, nn_fill f, double *out)
{
	int64_t n = ad_numel(shape), rows = shape.rank ? shape.dim[0] : 1, ins = shape.rank > 1 ? shape.dim[1] : 1;
	draw d = { s->seed, ad_hash(ad_hash(0, "initial value of "), name), f.a == 0 ? 1 : f.a, rows, n / rows, n,
		   (double)(n / ins) };
	fills[f.kind](&d, out);
}
