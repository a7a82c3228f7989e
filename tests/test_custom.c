/* test_custom.c - users' ops in batches, with rules that are users' ops themselves. */
#include "program.h"

#define N 37

/* The sample's elements sorted: a permutation that depends on the data. */
static ad_shape sort_shape(int nin, const ad_var in[], const void *user)
{
	(void)nin, (void)user;
	return ad_shape_of(in[0]);
}

static void sort_eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	const double *x = in[0].data;
	double *y = out.data;
	int64_t w = out.width;
	(void)nin, (void)user;
	for (int64_t l = 0; l < w; l++)
		for (int64_t i = 0; i < out.numel; i++) {
			int64_t rank = 0;
			for (int64_t k = 0; k < out.numel; k++)
				rank += x[k * w + l] < x[i * w + l] || (x[k * w + l] == x[i * w + l] && k < i);
			y[rank * w + l] = x[i * w + l];
		}
}

static void unsort_eval(int nin, const ad_view in[], ad_view out, const void *user)
{
	const double *x = in[0].data, *g = in[1].data;
	double *y = out.data;
	int64_t w = out.width, gw = in[1].width;
	(void)nin, (void)user;
	for (int64_t l = 0; l < w; l++)
		for (int64_t i = 0; i < out.numel; i++) {
			int64_t rank = 0;
			for (int64_t k = 0; k < out.numel; k++)
				rank += x[k * w + l] < x[i * w + l] || (x[k * w + l] == x[i * w + l] && k < i);
			y[i * w + l] = g[rank * gw + (gw == 1 ? 0 : l)];
		}
}

static const ad_custom unsort_op = { .name = "unsort", .shape = sort_shape, .eval = unsort_eval };

static void sort_vjp(ad_var r, ad_var g, int nin, const ad_var in[], ad_var gin[], const void *user)
{
	(void)r, (void)nin, (void)user;
	gin[0] = ad_call(&unsort_op, 2, (ad_var[]){ in[0], g }, NULL);
}

static const ad_custom sort_op = { .name = "sort", .shape = sort_shape, .eval = sort_eval, .vjp = sort_vjp };

static void custom(void **state)
{
	(void)state;
	double *x0 = numbers(N * 4, -1, 1, 1), weight[4] = { 1, 10, 100, 1000 };
	program g = program_on(AD_F64, N);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 4), x0), w = program_in(&g, AD_F64, AD_SHAPE(4), weight);
	ad_var y = ad_call(&sort_op, 1, &x, NULL);
	program_out(&g, y);
	program_out(&g, ad_grad(ad_sum(ad_mul(y, w), AD_ALL), x));
	program_run(&g, (ad_options){ .threads = 2, .tile = 16 });
	for (int s = 0; s < N; s++)
		for (int i = 0; i < 4; i++) {
			int rank = 0;
			for (int k = 0; k < 4; k++)
				rank += x0[4 * s + k] < x0[4 * s + i];
			assert_true(program_f64(&g, 0)[4 * s + rank] == x0[4 * s + i]);
			assert_true(program_f64(&g, 1)[4 * s + i] == weight[rank]);
		}
	program_free(&g);
	free(x0);
}

/* Without a rule a derivative is refused, not taken as zero. */
static void custom_without_rule(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_full(t, AD_SHAPE(3), 1), y = ad_call(&unsort_op, 2, (ad_var[]){ x, x }, NULL);
	ad_grad(y, x);
	assert_non_null(strstr(ad_error(t), "unsort"));
	ad_tape_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(custom),
		cmocka_unit_test(custom_without_rule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
