/* test_energies.c - normalisers of the energies by quadrature; what the gradient estimators of the reverse divergence do at the target. */
#include "experiments/lab/energies.h"
#include "flows/lowrank.h"
#include "flows/variational.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The published values, to four places. */
static const double published[] = { 1.8775, 2.6253, 3.1849, 3.2539 }, entropy[] = { 2.660, 3.190, 3.160, 3.442 };

/* Trapezoids on [-11, 11]^2, where the fence leaves e^-25: log Z, and the entropy. */
static void test_normalisers(void **state)
{
	(void)state;
	enum { N = 1100 };
	double h = 22.0 / N, *x = malloc(2 * N * N * sizeof *x);
	assert_non_null(x);
	for (int i = 0; i < N * N; i++) {
		x[2 * i] = -11 + h * (i / N + 0.5);
		x[2 * i + 1] = -11 + h * (i % N + 0.5);
	}
	for (int k = 0; lab_energies[k].name; k++) {
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var v = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x"), u = lab_energies[k].energy(v);
		ad_prog *p = ad_compile(t, 1, &u, (ad_options){ 0 });
		assert_non_null(p);
		ad_set_batch(p, N * N);
		ad_bind(p, v, x);
		assert_int_equal(ad_run(p, 0), 0);
		const double *e = ad_result(p, 0);
		double z = 0, mean = 0;
		for (int i = 0; i < N * N; i++)
			z += exp(-e[i]) * h * h, mean += exp(-e[i]) * e[i] * h * h;
		print_message("%s: log Z %.7f, entropy %.4f\n", lab_energies[k].name, log(z), mean / z + log(z));
		assert_float_equal(log(z), lab_energies[k].log_z, 2e-6);
		assert_float_equal(log(z), published[k], 6e-5);
		assert_float_equal(mean / z + log(z), entropy[k], 6e-4);
		ad_prog_free(p);
		ad_tape_free(t);
	}
	free(x);
}

/* --- Gradients: q is normal, the target normal with mean 1 and sd 2; their means: test_estimators.c ------------------------------ */

static ad_var bell(nn c, ad_var x, ad_var cond, void *user)
{
	(void)c, (void)cond, (void)user;
	return ad_sum(ad_scale(ad_square(ad_scale(ad_shift(x, -1), 0.5)), 0.5), AD_EVENT);
}

typedef struct {
	double value, mean[2], error[2];
} slopes;

/* Of the loss by "log_scale" and "shift" of q, means over many small batches and their standard errors. */
static slopes estimate(flow_density *d, nn_store *s, flow_gradient path)
{
	enum { N = 2000, EACH = 128 };
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_EVAL);
	slopes r = { 0 };
	ad_var loss = flow_reverse_kl(d, c, AD_SHAPE(1), NULL, bell, NULL, path);
	ad_var out[3] = { loss, ad_grad(loss, nn_param(c, "flow/log_scale", AD_SHAPE(1), (nn_fill){ 0 })),
			  ad_grad(loss, nn_param(c, "flow/shift", AD_SHAPE(1), (nn_fill){ 0 })) };
	ad_prog *p = ad_compile(t, 3, out, (ad_options){ .threads = 1 });
	if (!p)
		fail_msg("%s", ad_error(t));
	nn_bind(s, t, p);
	ad_set_seed(p, 4);
	double square[2] = { 0 };
	for (int i = 0; i < N; i++) {
		ad_set_batch(p, EACH);
		assert_int_equal(ad_run(p, (uint64_t)i), 0);
		r.value += ad_result_scalar(p, 0) / N;
		for (int k = 0; k < 2; k++) {
			double g = *(const double *)ad_result(p, k + 1);
			r.mean[k] += g / N;
			square[k] += g * g / N;
		}
	}
	for (int k = 0; k < 2; k++)
		r.error[k] = sqrt(fmax(0, square[k] - r.mean[k] * r.mean[k]) / N);
	ad_prog_free(p);
	nn_release(s, t);
	ad_tape_free(t);
	return r;
}

/* At the target sticking the landing has no variance at all, the other has; both have the same value. */
static void test_at_the_target(void **state)
{
	(void)state;
	flow_mem *m = flow_mem_new();
	flow_density d = { flow_actnorm(m), flow_normal() };
	nn_store *s = nn_store_new(AD_F64, 1);
	/* z = exp(a) x + b: q is normal of mean -b exp(-a), sd exp(-a) */
	nn_put(s, "flow/log_scale", AD_SHAPE(1), true, (double[]){ -log(2) });
	nn_put(s, "flow/shift", AD_SHAPE(1), true, (double[]){ -0.5 });
	slopes path = estimate(&d, s, FLOW_PATH), stick = estimate(&d, s, FLOW_STICK);
	assert_float_equal(path.value, stick.value, 1e-10);
	for (int k = 0; k < 2; k++) {
		assert_true(fabs(stick.mean[k]) < 1e-9 && stick.error[k] < 1e-9);
		assert_true(path.error[k] > 1e-4);
	}
	nn_store_free(s);
	flow_mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_normalisers), cmocka_unit_test(test_at_the_target) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
