/* nn_help.h - small programs for the tests of nn/. */
#ifndef TESTS_NN_HELP_H
#define TESTS_NN_HELP_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/nn.h"

static inline void normals(uint64_t stream, int64_t n, double *x)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = ad_noise_normal(7, 0, stream, (uint64_t)i);
}

/* Runs y of an fp64 tape on samples rows of x (y is copied out). */
static inline void evaluate(nn_store *s, ad_tape *t, ad_var x, const double *data, int64_t samples, ad_var y, double *out)
{
	if (ad_error(t))
		fail_msg("%s", ad_error(t));
	ad_prog *p = ad_compile(t, 1, &y, (ad_options){ .threads = 2 });
	if (!p)
		fail_msg("%s", ad_error(t));
	nn_bind(s, t, p);
	ad_set_batch(p, samples);
	ad_bind(p, x, data);
	if (ad_run(p, 0))
		fail_msg("%s", ad_run_error(p));
	int64_t n = ad_numel(ad_shape_of(y)) * (ad_batched(y) ? samples : 1);
	memcpy(out, ad_result(p, 0), (size_t)n * sizeof *out);
	ad_prog_free(p);
}

#define assert_close(a, b, tol) \
	do { \
		double a_ = (a), b_ = (b); \
		if (!(fabs(a_ - b_) <= (tol))) \
			fail_msg("%s = %.17g, not %.17g", #a, a_, b_); \
	} while (0)

#endif
