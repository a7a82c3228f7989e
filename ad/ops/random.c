/* random.c - noise. */
#include "ad/noise.h"
#include "ad/op.h"
#include <math.h>

#define RUN 256 /* elements at a time */

static void identity(int64_t n, double *u)
{
	(void)n;
	(void)u;
}

static void signs(int64_t n, double *u)
{
	for (int64_t i = 0; i < n; i++)
		u[i] = u[i] < 0.5 ? -1 : 1;
}

/* Samples are the columns of out, and their elements follow each other in the stream, as do those of one sample after another. */
static void fill(ad_var r, const ad__arr *out, ad__ctx *c, void transform(int64_t n, double *u))
{
	int64_t n = ad__rows(r), width = c->width, sample = ad_batched(r) ? c->first : 0, at = 0, e = 0;
	double u[RUN];
	for (int64_t done = 0; done < n * width; done += RUN) {
		int64_t m = n * width - done < RUN ? n * width - done : RUN;
		ad__noise_uniform(c->seed, c->step, r->attr.stream, (uint64_t)(sample * n + done), m, u);
		transform(m, u);
		for (int64_t i = 0; i < m; i++) {
			if (r->dtype == AD_F64)
				((double *)out->p)[at] = u[i];
			else
				((float *)out->p)[at] = transform == identity ? ad__noise_f32(u[i]) : (float)u[i];
			bool last = ++e == n;
			at += last ? 1 - (n - 1) * width : width;
			e = last ? 0 : e;
		}
	}
}

static void normal_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	(void)in;
	fill(r, out, c, ad__noise_quantile);
}

static void uniform_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	(void)in;
	fill(r, out, c, identity);
}

static void rademacher_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	(void)in;
	fill(r, out, c, signs);
}

static void categorical_infer(ad_var r)
{
	r->shape = r->in[0]->shape;
	r->dtype = AD_I32;
	if (r->shape.rank < 1 + ad_batched(r->in[0]))
		ad__fail(r, "needs logits in a last axis that is not the batch");
	else
		r->shape.rank--;
	ad__wants_real(r);
}

/* The largest of logit - log(-log u); a logit of -inf is never drawn unless all are. */
static void categorical_eval(ad_var r, const ad__arr *out, const ad__arr in[], ad__ctx *c)
{
	ad_var x = r->in[0];
	int64_t k = x->shape.dim[x->shape.rank - 1], rows = ad__rows(r), width = c->width;
	int64_t sample = ad_batched(r) ? c->first : 0;
	double u[RUN];
	for (int64_t row = 0; row < rows; row++)
		for (int64_t l = 0; l < width; l++) {
			uint64_t first = (uint64_t)(((sample + l) * rows + row) * k);
			double best = -INFINITY;
			int32_t choice = 0;
			for (int64_t j = 0; j < k; j++) {
				if (j % RUN == 0)
					ad__noise_uniform(c->seed, c->step, r->attr.stream, first + (uint64_t)j,
						k - j < RUN ? k - j : RUN, u);
				int64_t at = (row * k + j) * width + l;
				double logit = x->dtype == AD_F32 ? ((const float *)in[0].p)[at]
												  : ((const double *)in[0].p)[at];
				double score = logit - log(-log(u[j % RUN]));
				if (score > best) {
					best = score;
					choice = (int32_t)j;
				}
			}
			((int32_t *)out->p)[row * width + l] = choice;
		}
}

static void no_vjp(ad_var r, ad_var g, ad_var gin[])
{
	(void)r;
	(void)g;
	(void)gin;
}

static const ad_op normal_op = { .name = "normal", .vjp = no_vjp, .eval = normal_eval };
static const ad_op uniform_op = { .name = "uniform", .vjp = no_vjp, .eval = uniform_eval };
static const ad_op rademacher_op = { .name = "rademacher", .vjp = no_vjp, .eval = rademacher_eval };
static const ad_op categorical_op = {
	.name = "categorical", .infer = categorical_infer, .vjp = no_vjp, .eval = categorical_eval
};

static ad_var noise(ad_tape *t, ad_shape s, uint64_t stream, const ad_op *op)
{
	return ad__push_shaped(t, op, 0, NULL, (ad_attr){ .stream = stream }, ad_real(t), s);
}

ad_var ad_normal(ad_tape *t, ad_shape s, uint64_t stream)
{
	return noise(t, s, stream, &normal_op);
}

ad_var ad_uniform(ad_tape *t, ad_shape s, uint64_t stream)
{
	return noise(t, s, stream, &uniform_op);
}

ad_var ad_rademacher(ad_tape *t, ad_shape s, uint64_t stream)
{
	return noise(t, s, stream, &rademacher_op);
}

ad_var ad_categorical(ad_var logits, uint64_t stream)
{
	return ad__push(ad_tape_of(logits), &categorical_op, 1, &logits, (ad_attr){ .stream = stream });
}
