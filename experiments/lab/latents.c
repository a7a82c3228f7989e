/* latents.c - the latents of rows under a trained model. */
#include <stdlib.h>

#include "examine.h"
#include "file.h"
#include "memory.h"

int lab_latents(lab_model *m, const lab_table *t, int threads, double *z, lab_err *err)
{
	ad_dtype d = nn_dtype(m->store);
	bool f32 = d == AD_F32;
	int64_t chunk = 4096;
	ad_tape *tape = ad_tape_new(d);
	ad_var x = ad_input(tape, d, AD_SHAPE(AD_BATCH, m->dim), "x");
	nn c = nn_begin(tape, m->store, NN_EVAL);
	ad_var log_q, at = m->cells ? flow_dequantise(m->cells, c, x, NULL, &log_q) : x;
	ad_var out = flow_apply(m->density.f, nn_in(c, "flow"), at, NULL, FLOW_FORWARD).x;
	bool fits = ad_rank(out) == 2 && ad_dim(out, 1) == m->dim;
	ad_prog *p = nn_error(m->store) || ad_error(tape) || !fits
			     ? NULL
			     : ad_compile(tape, 1, &out, (ad_options){ .threads = threads });
	void *rows = lab_alloc((size_t)(chunk * m->dim), f32 ? 4 : 8);
	int bad = !p;
	if (p) {
		nn_bind(m->store, tape, p);
		ad_bind(p, x, rows);
	}
	for (int64_t first = 0; first < t->rows && !bad; first += chunk) {
		int64_t n = t->rows - first < chunk ? t->rows - first : chunk;
		lab_rows(t, first, first + n, &m->scale, rows, f32, NULL);
		ad_set_batch(p, n);
		bad = ad_run(p, (uint64_t)(first / chunk));
		const void *r = bad ? NULL : ad_result(p, 0);
		for (int64_t i = 0; i < n * m->dim && !bad; i++)
			z[first * m->dim + i] = f32 ? (double)((const float *)r)[i] : ((const double *)r)[i];
	}
	if (bad) {
		const char *why = nn_error(m->store) ? nn_error(m->store) : ad_error(tape);
		if (!why && p)
			why = ad_run_error(p);
		lab_fail(err, "latents: %s", why ? why : "they have another shape than the data");
	}
	ad_prog_free(p);
	ad_tape_free(tape);
	free(rows);
	return bad ? -1 : 0;
}
