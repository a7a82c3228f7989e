/* test_ops_reduce.c - reductions over every set of axes, where their formulas are singular, and
 * over long arrays. */
#include "program.h"

#define SAMPLES 37

static double spread(const double *x, int n, bool unbiased)
{
	double mean = 0, s = 0;
	for (int i = 0; i < n; i++)
		mean += x[i] / n;
	for (int i = 0; i < n; i++)
		s += (x[i] - mean) * (x[i] - mean);
	return s / (n - unbiased);
}

/* Every set of axes of [37, 2, 3, 4]; bits beyond the rank are set too and must not matter. */
static void axes_of_reductions(void **state)
{
	(void)state;
	static const int dim[4] = { SAMPLES, 2, 3, 4 };
	enum { ALL = SAMPLES * 2 * 3 * 4 };
	double *x = numbers(ALL, -1, 1, 1);
	static double group[ALL][ALL];
	for (unsigned axes = 0; axes < 16; axes++)
		for (int batched = 0; batched < 2; batched++) {
			program g = program_on(AD_F64, SAMPLES);
			ad_shape s = AD_SHAPE(batched ? AD_BATCH : SAMPLES, 2, 3, 4);
			ad_var v = program_in(&g, AD_F64, s, x);
			unsigned set = axes | ~15u;
			program_out(&g, ad_sum(v, set));
			program_out(&g, ad_sum_keep(v, set));
			program_out(&g, ad_mean(v, set));
			program_out(&g, ad_mean_keep(v, set));
			program_out(&g, ad_maxof(v, set));
			program_out(&g, ad_maxof_keep(v, set));
			program_out(&g, ad_norm(v, set));
			program_out(&g, ad_var_keep(v, set, false));
			if (axes)
				program_out(&g, ad_var_keep(v, set, true));
			program_run(&g, (ad_options){ .tile = 16 });
			static int count[ALL];
			memset(count, 0, sizeof count);
			for (int i = 0; i < ALL; i++) {
				int at[4], rest = i, o = 0;
				for (int k = 3; k >= 0; k--) {
					at[k] = rest % dim[k];
					rest /= dim[k];
				}
				for (int k = 0; k < 4; k++)
					o = axes >> k & 1 ? o : o * dim[k] + at[k];
				group[o][count[o]++] = x[i];
			}
			for (int i = 0; i < g.nout; i++) {
				bool keeps = i == 1 || i == 3 || i == 5 || i > 6;
				assert_int_equal(ad_rank(g.out[i]), keeps ? 4 : 4 - __builtin_popcount(axes));
				assert_true(ad_batched(g.out[i]) == (batched && !(axes & 1)));
				assert_int_equal(program_count(&g, i), ALL / count[0]);
			}
			for (int o = 0; o < ALL / count[0]; o++) {
				double sum = 0, squares = 0, most = -INFINITY;
				int n = count[o];
				for (int i = 0; i < n; i++) {
					sum += group[o][i];
					squares += group[o][i] * group[o][i];
					most = fmax(most, group[o][i]);
				}
				double want[9] = { sum, sum, sum / n, sum / n, most, most, sqrt(squares),
					spread(group[o], n, false), n > 1 ? spread(group[o], n, true) : 0 };
				for (int i = 0; i < g.nout; i++)
					assert_true(fabs(program_f64(&g, i)[o] - want[i]) < 1e-12);
			}
			program_free(&g);
		}
	free(x);
}

/* Where formulas divide by zero or subtract infinities. */
static void singular_places(void **state)
{
	(void)state;
	program g = program_on(AD_F64, 1);
	ad_tape *t = g.t;
	const double inf = INFINITY;
	double want[12][6] = { { 0 }, { 0, 6, 0 }, { 0, 3, 0 }, { 0, 1. / 3, 1. / 3, 1. / 3, 0, 0 },
		{ 0 }, { 0 }, { 0 }, { 5e200 }, { 0.6, 0.8, 0 }, { -inf, 1 + log1p(exp(-1)) },
		{ 0, 0, 0, 1 / (1 + exp(1)), 0, 1 / (1 + exp(-1)) },
		{ -inf, -inf, -inf, -1 - log1p(exp(-1)), -inf, -log1p(exp(-1)) } };
	ad_var x = ad_array(t, AD_SHAPE(5), (double[]){ 2, 0, 3, 0, 5 });
	ad_var y = ad_array(t, AD_SHAPE(3), (double[]){ 2, 0, 3 }), gy = ad_grad(ad_prod(y, 0), y);
	program_out(&g, ad_grad(ad_prod(x, 0), x));
	program_out(&g, gy);
	program_out(&g, ad_grad(ad_slice(gy, 0, 0, 1), y));
	ad_var tie = ad_array(t, AD_SHAPE(2, 3), (double[]){ 1, 4, 4, 4, 0, 2 });
	program_out(&g, ad_grad(ad_maxof(tie, AD_ALL), tie));
	ad_var zero = ad_full(t, AD_SHAPE(3), 0), gz = ad_grad(ad_norm(zero, AD_ALL), zero);
	program_out(&g, ad_norm(zero, AD_ALL));
	program_out(&g, gz);
	program_out(&g, ad_grad(ad_sum(gz, AD_ALL), zero));
	ad_var big = ad_array(t, AD_SHAPE(3), (double[]){ 3e200, 4e200, 0 });
	program_out(&g, ad_norm(big, AD_ALL));
	program_out(&g, ad_grad(ad_norm(big, AD_ALL), big));
	ad_var z = ad_array(t, AD_SHAPE(2, 3), (double[]){ -inf, -inf, -inf, 0, -inf, 1 });
	program_out(&g, ad_logsumexp(z, 1));
	program_out(&g, ad_grad(ad_logsumexp(z, 1), z));
	program_out(&g, ad_log_softmax(z, 1));
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < g.nout; i++)
		for (int64_t k = 0; k < program_count(&g, i); k++) {
			double v = program_f64(&g, i)[k], w = want[i][k];
			if (!(v == w || fabs(v - w) < 1e-14 * (1 + fabs(w))))
				fail_msg("case %d, element %d: %g, not %g", i, (int)k, v, w);
		}
	program_free(&g);
}

/* Long sums of floats keep their accuracy. */
static void long_sums(void **state)
{
	(void)state;
	enum { N = 1 << 20 };
	double *x = numbers(N, 0, 1, 3), exact = 0;
	float *f = malloc(N * sizeof *f);
	for (int i = 0; i < N; i++)
		exact += f[i] = (float)x[i];
	program g = program_on(AD_F32, 1);
	ad_var v = program_in(&g, AD_F32, AD_SHAPE(N), f);
	program_out(&g, ad_sum(v, AD_ALL));
	program_out(&g, ad_sum(ad_reshape(v, AD_SHAPE(N / 2, 2)), AD_AXIS(0)));
	program_run(&g, (ad_options){ 0 });
	const float *two = ad_result(g.p, 1);
	assert_true(fabs(ad_result_scalar(g.p, 0) - exact) < 1e-6 * exact);
	assert_true(fabs((double)two[0] + two[1] - exact) < 1e-6 * exact);
	program_free(&g);
	free(f);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(axes_of_reductions),
		cmocka_unit_test(singular_places),
		cmocka_unit_test(long_sums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
