/* batches.c - shuffled minibatches as a function of (seed, step) */
#include <stdlib.h>

#include "data.h"
#include "shuffle.h"

static void write_row(const lab_batches *b, int64_t row, int64_t to, void *out, bool f32)
{
	const double *x = b->t->x + row * b->t->cols;
	for (int64_t c = 0; c < b->t->cols; c++) {
		double v = b->mean ? (x[c] - b->mean[c]) / b->sd[c] : x[c];
		if (f32)
			((float *)out)[to * b->t->cols + c] = (float)v;
		else
			((double *)out)[to * b->t->cols + c] = v;
	}
}

void lab_rows(const lab_table *t, int64_t lo, int64_t hi, const double *mean, const double *sd, void *out, bool f32)
{
	lab_batches b = { .t = t, .mean = mean, .sd = sd };
	for (int64_t r = lo; r < hi; r++)
		write_row(&b, r, r - lo, out, f32);
}

void lab_batches_init(lab_batches *b, const lab_table *t, int64_t batch, uint64_t seed, const double *mean, const double *sd)
{
	*b = (lab_batches){ .t = t, .mean = mean, .sd = sd, .seed = seed, .epoch = -1 };
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
	for (int64_t r = 0; r < b->batch; r++)
		write_row(b, b->order[first + r], r, out, f32);
	return b->batch;
}
