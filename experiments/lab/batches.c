/* batches.c - shuffled minibatches as a function of (seed, step) */
#include <stdlib.h>

#include "ad/ad.h"
#include "columns.h"
#include "shuffle.h"

#define STREAM 0x6c61622f64657175u

typedef struct {
	uint64_t seed, step; /* of the points in the cells of discrete columns */
} place;

/* Row number row of t to row number to of out; returns the log-determinant of its typed columns. */
static double write_row(const lab_table *t, const lab_scale *s, int64_t row, place at, int64_t to, void *out, bool f32)
{
	const double *x = t->x + row * t->cols;
	double logdet = 0;
	for (int64_t c = 0; c < t->cols; c++) {
		double v = x[c];
		if (s && s->column) {
			const lab_column *k = &s->column[c];
			double u = k->kind == LAB_COLUMN_DISCRETE
			               ? ad_noise_uniform(at.seed, at.step, STREAM, (uint64_t)(row * t->cols + c)) : 0.5;
			v = lab_column_forward(k, v, u, &logdet);
		}
		if (s && s->mean)
			v = (v - s->mean[c]) / s->sd[c];
		if (f32)
			((float *)out)[to * t->cols + c] = (float)v;
		else
			((double *)out)[to * t->cols + c] = v;
	}
	return logdet;
}

void lab_rows(const lab_table *t, int64_t lo, int64_t hi, const lab_scale *scale, void *out, bool f32, double *logdet)
{
	for (int64_t r = lo; r < hi; r++) {
		double l = write_row(t, scale, r, (place){ 0, 0 }, r - lo, out, f32);
		if (logdet)
			logdet[r - lo] = l;
	}
}

void lab_batches_init(lab_batches *b, const lab_table *t, int64_t batch, uint64_t seed, const lab_scale *scale)
{
	*b = (lab_batches){ .t = t, .seed = seed, .epoch = -1 };
	if (scale)
		b->scale = *scale;
	b->batch = batch < 1 ? 1 : batch < t->rows ? batch : t->rows;
	b->order = lab__order_new(t->rows);
}

void lab_batches_free(lab_batches *b)
{
	free(b->order);
	b->order = NULL;
}

int64_t lab_batches_per_epoch(const lab_batches *b) { return b->t->rows / b->batch; }

int64_t lab_batch_at(lab_batches *b, int64_t step, void *out, bool f32)
{
	int64_t per = lab_batches_per_epoch(b), epoch = step / per, first = step % per * b->batch;
	if (epoch != b->epoch) {
		lab__shuffle(b->order, b->t->rows, b->seed, (uint64_t)epoch, "lab/batches");
		b->epoch = epoch;
	}
	place at = { b->seed, (uint64_t)step + 1 };
	b->logdet = 0;
	for (int64_t r = 0; r < b->batch; r++)
		b->logdet += write_row(b->t, &b->scale, b->order[first + r], at, r, out, f32) / (double)b->batch;
	return b->batch;
}
