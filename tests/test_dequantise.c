/* test_dequantise.c - points in cells: where they lie, their density, and the bounds of a probability that is known. */
#include "nn_help.h"

#include "flows/dequantise.h"

enum { D = 3, N = 2, MANY = 40000 };
static const int64_t feature[N] = { 0, 2 };
static const double width[N] = { 0.5, 1.25 };

/* Far from where q starts. */
static void perturb(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++)
		for (int64_t j = 0; j < nn_at(s, i).numel; j++)
			((double *)nn_at(s, i).value)[j] += 0.05 * ad_noise_normal(5, 0, (uint64_t)i, (uint64_t)j);
}

/* Standard normal p: log P of the cells that x stands for, x_1 held. */
static double log_probability(const double *x)
{
	double l = -0.5 * x[1] * x[1] - 0.5 * log(2 * acos(-1));
	for (int i = 0; i < N; i++) {
		double lo = (x[feature[i]] - width[i] / 2) / sqrt(2), hi = (x[feature[i]] + width[i] / 2) / sqrt(2);
		l += log(0.5 * (erf(hi) - erf(lo)));
	}
	return l;
}

/* At one x many draws: points, log q, and log p of the points. */
static void draw(flow_mem *m, bool far, const double x[D], double *at, double *log_q, double *log_p)
{
	flow_dequantiser *q = flow_dequantise_new(m, D, N, feature, width);
	assert_non_null(q);
	nn_store *s = nn_store_new(AD_F64, 2);
	for (int turn = 0; turn < 2; turn++) {
		ad_tape *t = ad_tape_new(AD_F64);
		nn c = nn_begin(t, s, NN_EVAL);
		ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), out[4];
		flow_base base = flow_normal();
		out[0] = flow_dequantise(q, c, in, NULL, &out[1]);
		out[2] = base.log_prob(&base, c, out[0], NULL);
		/* The same density from the points themselves. */
		ad_var off = ad_sub(out[0], in), u[N];
		for (int i = 0; i < N; i++)
			u[i] = ad_shift(ad_scale(ad_slice(off, 1, feature[i], feature[i] + 1), 1 / width[i]), 0.5);
		out[3] = flow_dequantise_log_prob(q, c, in, NULL, ad_concat(1, N, u));
		if (ad_error(t))
			fail_msg("%s", ad_error(t));
		if (turn) {
			double *rows = malloc(MANY * D * sizeof *rows);
			assert_non_null(rows);
			for (int i = 0; i < MANY * D; i++)
				rows[i] = x[i % D];
			ad_prog *p = ad_compile(t, 4, out, (ad_options){ .threads = 2 });
			assert_non_null(p);
			nn_bind(s, t, p);
			ad_set_batch(p, MANY);
			ad_bind(p, in, rows);
			assert_int_equal(ad_run(p, 0), 0);
			memcpy(at, ad_result(p, 0), MANY * D * sizeof *at);
			memcpy(log_q, ad_result(p, 1), MANY * sizeof *log_q);
			memcpy(log_p, ad_result(p, 2), MANY * sizeof *log_p);
			for (int i = 0; i < MANY; i++)
				assert_close(((const double *)ad_result(p, 3))[i], log_q[i], 1e-6);
			ad_prog_free(p);
			free(rows);
		} else if (far) {
			perturb(s);
		}
		nn_release(s, t);
		ad_tape_free(t);
	}
	nn_store_free(s);
}

static void points_and_bounds(void **state)
{
	static double at[MANY * D], log_q[MANY], log_p[MANY];
	const double x[D] = { 0.5, -0.3, 1.25 };
	double log_cells = log(width[0] * width[1]);
	(void)state;
	for (int far = 0; far < 2; far++) {
		flow_mem *m = flow_mem_new();
		draw(m, far, x, at, log_q, log_p);
		double inverse = 0, square = 0, mean = 0, weight = 0, weight2 = 0, spread = 0;
		for (int i = 0; i < MANY; i++) {
			for (int k = 0; k < D; k++)
				assert_true(k == 1 ? at[i * D + k] == x[k] : fabs(at[i * D + k] - x[k]) <= width[k / 2] / 2);
			double e = exp(-log_q[i]), l = log_p[i] + log_cells - log_q[i], w = exp(l);
			inverse += e / MANY, square += e * e / MANY;
			mean += l / MANY, spread += l * l / MANY, weight += w / MANY, weight2 += w * w / MANY;
			assert_true(far || fabs(log_q[i]) < 1e-9); /* q starts as uniform */
		}
		double truth = log_probability(x), error = sqrt(fmax(0, square - inverse * inverse) / MANY);
		/* q is a density of the unit square: E 1/q is its area. */
		assert_true(error < 0.002 && fabs(inverse - 1) <= 4 * error + 1e-9);
		/* The mean weight is the probability, the mean log weight below it, by more than its error where q is poor. */
		error = sqrt(weight2 - weight * weight) / sqrt(MANY);
		assert_true(error < 0.0025 * exp(truth) && fabs(weight - exp(truth)) <= 4 * error);
		error = sqrt((spread - mean * mean) / MANY);
		assert_true(mean < truth - 4 * error);
		flow_mem_free(m);
	}
}

/* The bound of K draws rises to log P. */
static void tighter(void **state)
{
	static double at[MANY * D], log_q[MANY], log_p[MANY];
	const double x[D] = { 0.5, -0.3, 1.25 };
	double before = -INFINITY, truth = log_probability(x);
	flow_mem *m = flow_mem_new();
	(void)state;
	draw(m, true, x, at, log_q, log_p);
	for (int K = 1; K <= 625; K *= 5) {
		double bound = 0;
		for (int i = 0; i < MANY / K; i++) {
			double w = 0;
			for (int k = 0; k < K; k++)
				w += exp(log_p[i * K + k] + log(width[0] * width[1]) - log_q[i * K + k]) / K;
			bound += log(w) / (MANY / K);
		}
		assert_true(bound > before && bound < truth + 0.01);
		before = bound;
	}
	assert_close(before, truth, 0.01);
	flow_mem_free(m);
}

static void mistakes(void **state)
{
	flow_mem *m = flow_mem_new();
	(void)state;
	assert_null(flow_dequantise_new(m, 2, 0, feature, width));
	assert_null(flow_dequantise_new(m, 1, 2, feature, width));
	assert_null(flow_dequantise_new(m, 2, 2, feature, width)); /* there is no feature 2 */
	assert_null(flow_dequantise_new(m, 3, 2, feature, (double[]){ 1, 0 }));
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(points_and_bounds), cmocka_unit_test(tighter), cmocka_unit_test(mistakes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
