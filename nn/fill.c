/* fill.c - initial values; element i of an entry is drawn from (store's seed, its path, i). */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
	nn_fill_kind kind;
	uint64_t seed, stream;
	double a;
	int64_t rows, cols, n; /* rows: dim 0; cols: the rest, the fan-in */
	double fan_out;
} draw;

static double spread(const draw *d)
{
	switch (d->kind) {
	case NN_FAN_IN:
		return d->a / sqrt((double)d->cols);
	case NN_KAIMING:
		return d->a * sqrt(2 / (double)d->cols);
	case NN_XAVIER:
		return d->a * sqrt(6 / ((double)d->cols + d->fan_out));
	case NN_ORTHOGONAL:
		return 1;
	default:
		return d->a;
	}
}

/* Elements first .. first + n - 1. */
static void fill(const draw *d, int64_t first, int64_t n, double *v)
{
	double a = spread(d);
	bool normal = d->kind == NN_NORMAL || d->kind == NN_KAIMING || d->kind == NN_ORTHOGONAL;
	if (d->kind == NN_ZEROS || d->kind == NN_CONST) {
		for (int64_t i = 0; i < n; i++)
			v[i] = d->kind == NN_CONST ? a : 0;
	} else if (normal) {
		ad_noise_normals(d->seed, 0, d->stream, (uint64_t)first, n, v);
		for (int64_t i = 0; i < n; i++)
			v[i] *= a;
	} else {
		ad_noise_uniforms(d->seed, 0, d->stream, (uint64_t)first, n, v);
		for (int64_t i = 0; i < n; i++)
			v[i] = a * (2 * v[i] - 1);
	}
}

/* Gram-Schmidt, each vector orthogonalised twice, on the shorter side of the normal matrix v. */
static void orthogonal(const draw *d, double *v)
{
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

enum { PIECE = 1024 };

void nn__fill(nn_store *s, int entry, nn_fill f)
{
	nn__entry *e = &s->entry[entry];
	int64_t n = e->numel, rows = e->shape.rank ? e->shape.dim[0] : 1, ins = e->shape.rank > 1 ? e->shape.dim[1] : 1;
	draw d = { f.kind, s->seed, ad_hash(ad_hash(0, "initial value of "), e->name), f.a == 0 ? 1 : f.a, rows, n / rows, n,
		   (double)(n / ins) };
	bool whole = f.kind == NN_ORTHOGONAL;
	int64_t piece = whole ? n : PIECE;
	double few[PIECE], *v = whole ? nn__alloc((size_t)n * sizeof *v) : few;
	for (int64_t i = 0; i < n; i += piece) {
		int64_t m = n - i < piece ? n - i : piece;
		fill(&d, i, m, v);
		if (whole)
			orthogonal(&d, v);
		nn__set_double(s->dtype, (char *)nn__value(s, entry) + (size_t)i * nn__size(s), v, m);
	}
	if (whole)
		free(v);
	e->ready = true;
}
