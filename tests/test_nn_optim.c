/* test_nn_optim.c - update rules against their formulas, in both precisions, for any number of threads. */
#include "nn_help.h"

#include <omp.h>

enum { N = 37, STEPS = 12 };

/* The rules one element at a time, as the papers write them. */
typedef struct {
	double a, b, c;
} memory;

static void reference(const nn_optim *o, int t, double lr, double *p, double g, memory *m)
{
	double b1 = o->beta1, b2 = o->beta2, eps = o->eps;
	if (o->rule != NN_ADAMW)
		g += o->weight_decay * *p;
	switch (o->rule) {
	case NN_SGD:
		m->a = t == 1 ? g : o->momentum * m->a + (1 - o->dampening) * g;
		*p -= lr * (o->momentum == 0 ? g : o->nesterov ? g + o->momentum * m->a : m->a);
		break;
	case NN_RMSPROP:
		m->a = o->alpha * m->a + (1 - o->alpha) * g * g;
		m->b = o->alpha * m->b + (1 - o->alpha) * g;
		m->c = o->momentum * m->c + g / (sqrt(o->centered ? m->a - m->b * m->b : m->a) + eps);
		*p -= lr * m->c;
		break;
	case NN_ADAGRAD:
		m->a += g * g;
		*p -= lr * g / (sqrt(m->a) + eps);
		break;
	case NN_ADAMAX:
		m->a = b1 * m->a + (1 - b1) * g;
		m->b = fmax(b2 * m->b, fabs(g) + eps);
		*p -= lr / (1 - pow(b1, t)) * m->a / m->b;
		break;
	default:
		if (o->rule == NN_ADAMW)
			*p *= 1 - lr * o->weight_decay;
		m->a = b1 * m->a + (1 - b1) * g;
		m->b = b2 * m->b + (1 - b2) * g * g;
		m->c = fmax(m->c, m->b);
		*p -= lr / (1 - pow(b1, t)) * m->a / (sqrt(o->amsgrad ? m->c : m->b) / sqrt(1 - pow(b2, t)) + eps);
	}
}

static const nn_optim rows[] = {
	{ .rule = NN_SGD },
	{ .rule = NN_SGD, .momentum = 0.9, .dampening = 0.5 },
	{ .rule = NN_SGD, .momentum = 0.8, .nesterov = true, .weight_decay = 0.1 },
	{ .rule = NN_RMSPROP, .alpha = 0.95, .eps = 1e-6 },
	{ .rule = NN_RMSPROP, .alpha = 0.9, .eps = 1e-6, .centered = true, .momentum = 0.5, .weight_decay = 0.1 },
	{ .rule = NN_ADAGRAD, .eps = 1e-6 },
	{ .rule = NN_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6 },
	{ .rule = NN_ADAM, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.2, .amsgrad = true },
	{ .rule = NN_ADAM, .zero_beta1 = true, .beta2 = 0.95, .eps = 1e-6 },
	{ .rule = NN_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.2 },
	{ .rule = NN_ADAMAX, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6 },
};

static void rules(void **state)
{
	(void)state;
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		double p[N], q[N], g[N];
		float pf[N], gf[N];
		memory m[N] = { { 0, 0, 0 } };
		nn_optimiser *o = nn_optimiser_new(rows[r], AD_F64, N), *of = nn_optimiser_new(rows[r], AD_F32, N);
		normals(1, N, p);
		for (int i = 0; i < N; i++)
			pf[i] = (float)(q[i] = p[i]);
		for (int t = 1; t <= STEPS; t++) {
			double lr = 0.1 / t, norm = 0;
			normals(100 + (uint64_t)t, N, g);
			for (int i = 0; i < N; i++) {
				gf[i] = (float)g[i];
				norm += g[i] * g[i];
				reference(&rows[r], t, lr, &q[i], g[i], &m[i]);
			}
			assert_close(nn_optimiser_step(o, lr, p, g), sqrt(norm), 1e-13);
			assert_close(nn_optimiser_step(of, lr, pf, gf), sqrt(norm), 1e-6);
			for (int i = 0; i < N; i++) {
				assert_close(p[i], q[i], 1e-13);
				assert_close(pf[i], q[i], rows[r].centered ? 1e-3 : 1e-5);
			}
		}
		nn_optimiser_free(o);
		nn_optimiser_free(of);
	}
}

static void clipping(void **state)
{
	(void)state;
	double p[2] = { 0, 0 }, g[2] = { 3, -4 };
	nn_optimiser *o = nn_optimiser_new((nn_optim){ .clip_norm = 2 }, AD_F64, 2);
	assert_true(nn_optimiser_step(o, 1, p, g) == 5);
	assert_close(p[0], -3 * 2 / (5 + 1e-6), 1e-15);
	assert_close(p[1], 4 * 2 / (5 + 1e-6), 1e-15);
	nn_optimiser_free(o);
	double q[2] = { 0, 0 };
	o = nn_optimiser_new((nn_optim){ .clip_value = 3.5 }, AD_F64, 2);
	nn_optimiser_step(o, 1, q, g);
	assert_true(q[0] == -3 && q[1] == 3.5);
	nn_optimiser_free(o);
}

static void refuses_what_is_not_finite(void **state)
{
	(void)state;
	double p[2] = { 1, 2 }, good[2] = { 1, 1 }, bad[2] = { 1, NAN };
	nn_optimiser *o = nn_optimiser_new((nn_optim){ .rule = NN_ADAM, .accumulate = 2 }, AD_F64, 2);
	assert_true(isnan(nn_optimiser_step(o, 1, p, bad)));
	nn_optimiser_step(o, 1, p, good);
	assert_true(isnan(nn_optimiser_step(o, 1, p, bad)));
	assert_true(p[0] == 1 && p[1] == 2);
	nn_optimiser_step(o, 1, p, good);
	assert_close(p[0], 0, 1e-7);
	assert_close(p[1], 1, 1e-7);
	nn_optimiser_free(o);
}

static void accumulates_and_averages(void **state)
{
	(void)state;
	double p[3] = { 1, 2, 3 }, q[3] = { 1, 2, 3 }, ema[3] = { 1, 2, 3 }, g[3], sum[3];
	nn_optim plain = { .rule = NN_ADAM, .clip_norm = 0.5 }, held = plain;
	held.accumulate = 4;
	held.ema = 0.9;
	nn_optimiser *a = nn_optimiser_new(plain, AD_F64, 3), *b = nn_optimiser_new(held, AD_F64, 3);
	for (int t = 0; t < 20; t++) {
		normals((uint64_t)t, 3, g);
		for (int i = 0; i < 3; i++)
			sum[i] = (t % 4 ? sum[i] : 0) + g[i];
		nn_optimiser_step(b, 0.01, q, g);
		if (t % 4 < 3)
			continue;
		for (int i = 0; i < 3; i++)
			sum[i] /= 4;
		nn_optimiser_step(a, 0.01, p, sum);
		for (int i = 0; i < 3; i++) {
			ema[i] = 0.9 * ema[i] + 0.1 * p[i];
			assert_close(q[i], p[i], 1e-14);
			assert_close(((const double *)nn_optimiser_ema(b))[i], ema[i], 1e-14);
		}
	}
	nn_optimiser_free(a);
	nn_optimiser_free(b);
}

static void same_bits_for_any_threads(void **state)
{
	(void)state;
	enum { BIG = 200003 };
	int most = omp_get_max_threads();
	float *first = malloc(BIG * sizeof *first), *p = malloc(BIG * sizeof *p), *g = malloc(BIG * sizeof *g);
	for (int threads = 1; threads <= 4; threads++) {
		omp_set_num_threads(threads);
		nn_optimiser *o = nn_optimiser_new((nn_optim){ .rule = NN_ADAM, .clip_norm = 1 }, AD_F32, BIG);
		for (int i = 0; i < BIG; i++) {
			p[i] = (float)(i % 101) / 50 - 1;
			g[i] = (float)(i % 97) / 40 - 1;
		}
		for (int t = 0; t < 3; t++)
			nn_optimiser_step(o, 0.01, p, g);
		nn_optimiser_free(o);
		if (threads == 1)
			memcpy(first, p, BIG * sizeof *p);
		assert_memory_equal(first, p, BIG * sizeof *p);
	}
	omp_set_num_threads(most);
	free(first);
	free(p);
	free(g);
}

static void schedules(void **state)
{
	(void)state;
	nn_schedule cosine = { .kind = NN_COSINE, .total = 100, .eta_min = 0.1 };
	assert_close(nn_schedule_lr(&cosine, 1, 0), 1, 1e-15);
	assert_close(nn_schedule_lr(&cosine, 1, 50), 0.55, 1e-15);
	assert_close(nn_schedule_lr(&cosine, 1, 100), 0.1, 1e-15);
	nn_schedule step = { .kind = NN_STEP, .every = 10, .gamma = 0.5 };
	assert_close(nn_schedule_lr(&step, 1, 9), 1, 0);
	assert_close(nn_schedule_lr(&step, 1, 25), 0.25, 0);
	nn_schedule exponential = { .kind = NN_EXPONENTIAL, .gamma = 0.9, .warmup = 10 };
	assert_close(nn_schedule_lr(&exponential, 2, 3), 2 * pow(0.9, 3) * 0.4, 1e-15);
	assert_close(nn_schedule_lr(&exponential, 2, 20), 2 * pow(0.9, 20), 1e-15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(clipping),
		cmocka_unit_test(refuses_what_is_not_finite),
		cmocka_unit_test(accumulates_and_averages),
		cmocka_unit_test(same_bits_for_any_threads),
		cmocka_unit_test(schedules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
