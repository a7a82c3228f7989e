/* test_flow_density.c - densities: closed forms, sampling, and training of every model. */
#include "flow_help.h"

#include <math.h>

static int setup(void **state)
{
	*state = flow_mem_new();
	return 0;
}

static int teardown(void **state)
{
	flow_mem_free(*state);
	return 0;
}

static void test_density(void **state)
{
	flow_mem *m = *state;
	flow_density d = { flow_standardise(m, 2, (double[]){ 1, -2 }, (double[]){ 2, 0.5 }), flow_normal() };
	ad_tape *t = ad_tape_new(AD_F64);
	nn_store *s = nn_store_new(AD_F64, 0);
	nn c = nn_begin(t, s, NN_EVAL);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x");
	ad_var out[3] = { flow_log_prob(&d, c, x, NULL), flow_sample(&d, c, AD_SHAPE(2), NULL, 1),
			  flow_nll(&d, c, x, NULL) };
	ad_prog *p = ad_compile(t, 3, out, (ad_options){ .threads = 1 });
	assert_null(ad_error(t));
	enum { N = 20000 };
	double *v = calloc(2 * N, sizeof *v), mean[2] = { 0 }, square[2] = { 0 };
	v[0] = 3;
	v[1] = -1;
	nn_bind(s, t, p);
	ad_set_batch(p, N);
	ad_bind(p, x, v);
	assert_int_equal(ad_run(p, 0), 0);
	/* z = (1, 2): -(1 + 4)/2 - log 2 pi, and minus log(2 * 0.5) = 0 */
	assert_float_equal(((const double *)ad_result(p, 0))[0], -2.5 - log(2 * M_PI), 1e-12);
	double sum = 0;
	for (int i = 0; i < N; i++) {
		sum += ((const double *)ad_result(p, 0))[i];
		for (int k = 0; k < 2; k++) {
			double y = ((const double *)ad_result(p, 1))[2 * i + k];
			mean[k] += y / N;
			square[k] += y * y / N;
		}
	}
	assert_float_equal(ad_result_scalar(p, 2), -sum / N, 1e-9);
	assert_float_equal(mean[0], 1, 0.06);
	assert_float_equal(mean[1], -2, 0.015);
	assert_float_equal(sqrt(square[0] - mean[0] * mean[0]), 2, 0.05);
	assert_float_equal(sqrt(square[1] - mean[1] * mean[1]), 0.5, 0.0125);
	ad_prog_free(p);
	ad_tape_free(t);
	nn_store_free(s);
	free(v);
}

static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n;
	return flow_nll(user, c, batch[0], NULL);
}

/* Every model learns a correlated, curved density better than the start; the entropy is 1.4189 x 2 + log 0.5 = 2.145.
 */
static void test_training(void **state)
{
	flow_mem *m = *state;
	enum { N = 512, STEPS = 200 };
	float *x = malloc(2 * N * sizeof *x);
	char why[160];
	for (const flow_model_row *r = flow_models; r->name; r++) {
		bool continuous = flow_model_takes(r->name, "solver_steps");
		flow_model_opt o = { .layers = continuous ? 1 : 3, .width = 24, .steps = 4 };
		flow_density d = { flow_model(m, r->name, 2, o, why), flow_normal() };
		nn_store *s = nn_store_new(AD_F32, 1);
		nn_trainer *tr = nn_trainer_new(
			s, (nn_trainer_opt){
				   .inputs = 1,
				   .shape = { AD_SHAPE(AD_BATCH, 2) },
				   .dtype = { AD_F32 },
				   .tasks = 1,
				   .task = { { .loss = loss, .user = &d, .optim = { .rule = NN_ADAM, .lr = 5e-3 } } },
				   .run = { .threads = 1 } });
		double first = 0, last = 0;
		assert_non_null(tr);
		for (int k = 0; k < STEPS; k++) {
			for (int i = 0; i < N; i++) {
				double a = ad_noise_normal(5, (uint64_t)k, 1, (uint64_t)i),
				       b = ad_noise_normal(5, (uint64_t)k, 2, (uint64_t)i);
				x[2 * i] = (float)a;
				x[2 * i + 1] = (float)(a * a + 0.5 * b);
			}
			double l = nn_train_step(tr, 0, N, (const void *[]){ x });
			if (isnan(l))
				fail_msg("%s: %s", r->name, nn_error(s));
			first = k ? first : l;
			last += k >= STEPS - 20 ? l / 20 : 0;
		}
		print_message("%-12s %.3f -> %.3f (entropy 2.145)\n", r->name, first, last);
		assert_true(last < first - 0.05);
		assert_true(last > 2.05);
		nn_trainer_free(tr);
		nn_store_free(s);
	}
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_density, setup, teardown),
		cmocka_unit_test_setup_teardown(test_training, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
