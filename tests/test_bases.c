/* test_bases.c - base distributions: densities integrate to 1, and samples have the moments of the density. */
#include "flows/flow.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 200000, GRID = 400 };

typedef struct {
	const char *name;
	flow_base base;
	double lo, hi; /* all but 1e-6 of the mass of each feature */
	bool heavy;    /* no second moment to compare */
	bool cond;
	double error; /* of the normaliser; 0: none */
} testcase;

static nn_net acceptance(void)
{
	nn_net net = nn_mlp(16, 1);
	net.act = nn_act_named("tanh");
	return net;
}

static int cases(testcase *k)
{
	testcase all[] = {
		{ "normal", flow_normal(), -8, 8, false, false, 0 },
		{ "learned", flow_normal_learned(), -12, 12, false, false, 0 },
		{ "conditional", flow_normal_conditional(), -12, 12, false, true, 0 },
		{ "uniform", flow_uniform(-1.5, 0.5), -1.5, 0.5, false, false, 0 },
		{ "logistic", flow_logistic(), -25, 25, false, false, 0 },
		{ "student 5", flow_student_t(5), -60, 60, false, false, 0 },
		{ "student learned", flow_student_t(0), -60, 60, false, false, 0 },
		{ "student 1.5", flow_student_t(1.5), -60, 60, true, false, 0 },
		{ "mixture", flow_gaussian_mixture(3), -12, 12, false, false, 0 },
		{ "made", flow_made_mixture(2, nn_made(8, 1), 0.1), -12, 12, false, true, 0 },
		{ "resampled", flow_resampled(20, acceptance()), -8, 8, false, false, 4e-3 },
		{ "resampled, 2", flow_resampled(2, acceptance()), -8, 8, false, false, 4e-3 },
	};
	memcpy(k, all, sizeof all);
	return (int)(sizeof all / sizeof *all);
}

/* Numbers for every parameter of the base, not at their start. */
static void shake(nn_store *s)
{
	for (int i = 0; i < nn_count(s); i++) {
		nn_entry e = nn_at(s, i);
		for (int64_t j = 0; e.trained && j < e.numel; j++)
			((double *)e.value)[j] += 0.4 * ad_noise_normal(5, 0, (uint64_t)i, (uint64_t)j);
	}
}

/* out[SAMPLES]: of the traced density at z, or samples; cond is the same for all. */
static void evaluate(const testcase *k, nn_store *s, int dim, int64_t n, const double *z, double *out, double *grad,
		     double temperature)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var vz = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, dim), "z");
	ad_var cond = ad_broadcast(ad_array(t, AD_SHAPE(1, 2), (double[]){ 0.3, -0.8 }), AD_SHAPE(AD_BATCH, 2));
	nn c = nn_in(nn_begin(t, s, NN_EVAL), "base");
	ad_var o[2] = { z ? k->base.log_prob(&k->base, c, vz, k->cond ? cond : NULL)
			  : k->base.sample(&k->base, c, AD_SHAPE(AD_BATCH, dim), k->cond ? cond : NULL, temperature) };
	if (grad)
		o[1] = ad_grad(o[0], vz);
	ad_prog *p = ad_compile(t, grad ? 2 : 1, o, (ad_options){ 0 });
	if (!p)
		fail_msg("%s: %s", k->name, ad_error(t));
	ad_set_seed(p, 3);
	ad_set_batch(p, n);
	nn_bind(s, t, p);
	if (z)
		ad_bind(p, vz, z);
	if (ad_run(p, 1))
		fail_msg("%s: %s", k->name, ad_run_error(p));
	memcpy(out, ad_result(p, 0), (size_t)n * (size_t)(z ? 1 : dim) * sizeof *out);
	if (grad)
		memcpy(grad, ad_result(p, 1), (size_t)n * (size_t)dim * sizeof *grad);
	ad_prog_free(p);
	ad_tape_free(t);
}

static nn_store *store_of(const testcase *k, int dim)
{
	nn_store *s = nn_store_new(AD_F64, 11);
	double z[2] = { 0 }, l;
	evaluate(k, s, dim, 1, z, &l, NULL, 1);
	shake(s);
	return s;
}

/* In 2-D by the midpoint rule: the mass, and the mean and mean square of each feature. */
static void integrate(const testcase *k, nn_store *s, double moment[5])
{
	double *z = malloc(GRID * GRID * 3 * sizeof *z), *l = z + 2 * GRID * GRID, h = (k->hi - k->lo) / GRID;
	assert_non_null(z);
	for (int i = 0; i < GRID * GRID; i++) {
		z[2 * i] = k->lo + h * (i / GRID + 0.5);
		z[2 * i + 1] = k->lo + h * (i % GRID + 0.5);
	}
	evaluate(k, s, 2, GRID * GRID, z, l, NULL, 1);
	memset(moment, 0, 5 * sizeof *moment);
	for (int i = 0; i < GRID * GRID; i++) {
		double p = exp(l[i]) * h * h, a = z[2 * i], b = z[2 * i + 1], f[5] = { 1, a, b, a * a, b * b };
		for (int j = 0; j < 5; j++)
			moment[j] += p * f[j];
	}
	free(z);
}

static void mass_and_moments(void **state)
{
	testcase k[16];
	(void)state;
	for (int i = 0, n = cases(k); i < n; i++) {
		nn_store *s = store_of(&k[i], 2);
		double moment[5], *z = malloc(2 * SAMPLES * sizeof *z), mean[5] = { 0 }, square[5] = { 0 };
		assert_non_null(z);
		integrate(&k[i], s, moment);
		if (fabs(moment[0] - 1) > (k[i].heavy ? 0.01 : 1e-3) + k[i].error)
			fail_msg("%s: integrates to %.6f", k[i].name, moment[0]);
		evaluate(&k[i], s, 2, SAMPLES, NULL, z, NULL, 1);
		for (int j = 0; j < SAMPLES; j++) {
			double a = z[2 * j], b = z[2 * j + 1], f[5] = { 1, a, b, a * a, b * b };
			assert_true(isfinite(a) && isfinite(b));
			for (int q = 0; q < 5; q++)
				mean[q] += f[q] / SAMPLES, square[q] += f[q] * f[q] / SAMPLES;
		}
		for (int q = 1; q < 5 && !k[i].heavy; q++) {
			double error = sqrt((square[q] - mean[q] * mean[q]) / SAMPLES);
			if (fabs(mean[q] - moment[q]) > 6 * error + (2e-3 + k[i].error) * fabs(moment[q]))
				fail_msg("%s: moment %d of samples %.4f +- %.4f, of the density %.4f", k[i].name, q,
					 mean[q], error, moment[q]);
		}
		free(z);
		nn_store_free(s);
	}
}

/* The distribution of samples, and not their moments alone: probability of a box by counting and by quadrature. */
static void boxes(void **state)
{
	testcase k[16];
	(void)state;
	for (int i = 0, n = cases(k); i < n; i++) {
		nn_store *s = store_of(&k[i], 2);
		double *z = malloc(2 * SAMPLES * sizeof *z), count = 0, mass;
		assert_non_null(z);
		testcase part = k[i];
		part.lo = -0.4, part.hi = 0.45;
		double moment[5];
		integrate(&part, s, moment);
		mass = moment[0];
		evaluate(&k[i], s, 2, SAMPLES, NULL, z, NULL, 1);
		for (int j = 0; j < SAMPLES; j++)
			count += z[2 * j] > part.lo && z[2 * j] < part.hi && z[2 * j + 1] > part.lo &&
				 z[2 * j + 1] < part.hi;
		count /= SAMPLES;
		if (fabs(count - mass) > 6 * sqrt(mass / SAMPLES) + 1e-4 + k[i].error * mass)
			fail_msg("%s: %.5f of the samples in a box of mass %.5f", k[i].name, count, mass);
		free(z);
		nn_store_free(s);
	}
}

/* Far away: no NaN, and finite gradients (0 outside a uniform's support). */
static void far(void **state)
{
	static const double at[] = { 0, 1e-300, 1e-30, 1, -1, 0.5, -1.5, 1e3, -1e3, 1e15, -1e15, 1e30, -1e30 };
	enum { POINTS = sizeof at / sizeof *at };
	testcase k[16];
	(void)state;
	for (int i = 0, n = cases(k); i < n; i++) {
		nn_store *s = store_of(&k[i], 1);
		double l[POINTS], g[POINTS];
		evaluate(&k[i], s, 1, POINTS, at, l, g, 1);
		for (int j = 0; j < POINTS; j++) {
			bool outside = !strcmp(k[i].name, "uniform") && (at[j] < -1.5 || at[j] > 0.5);
			if (outside ? l[j] != -INFINITY || g[j] != 0 : !isfinite(l[j]) || !isfinite(g[j]))
				fail_msg("%s at %g: log density %g, gradient %g", k[i].name, at[j], l[j], g[j]);
		}
		nn_store_free(s);
	}
}

/* Temperature scales the spread about the centre of every component. */
static void temperature(void **state)
{
	testcase k[16];
	(void)state;
	for (int i = 0, n = cases(k); i < n; i++) {
		enum { FEW = 64 };
		nn_store *s = store_of(&k[i], 1);
		double z[3][FEW];
		for (int q = 0; q < 3; q++)
			evaluate(&k[i], s, 1, FEW, NULL, z[q], NULL, 0.5 * q);
		for (int j = 0; j < FEW; j++)
			if (!(fabs((z[2][j] - z[0][j]) - 2 * (z[1][j] - z[0][j])) < 1e-9 * (1 + fabs(z[2][j]))))
				fail_msg("%s: %g, %g, %g at temperatures 0, 1/2, 1", k[i].name, z[0][j], z[1][j],
					 z[2][j]);
		nn_store_free(s);
	}
}

static void mistakes(void **state)
{
	testcase k[] = {
		{ "uniform", flow_uniform(1, 1), 0, 0, false, false, 0 },
		{ "student_t", flow_student_t(-1), 0, 0, false, false, 0 },
		{ "gaussian_mixture", flow_gaussian_mixture(0), 0, 0, false, false, 0 },
		{ "normal_conditional", flow_normal_conditional(), 0, 0, false, false, 0 },
		{ "resampled", flow_resampled(1, acceptance()), 0, 0, false, false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
		ad_tape *t = ad_tape_new(AD_F64);
		nn_store *s = nn_store_new(AD_F64, 1);
		ad_var z = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "z");
		k[i].base.log_prob(&k[i].base, nn_in(nn_begin(t, s, NN_EVAL), "base"), z, NULL);
		assert_non_null(ad_error(t));
		assert_non_null(strstr(ad_error(t), k[i].name));
		nn_store_free(s);
		ad_tape_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mass_and_moments), cmocka_unit_test(boxes),	cmocka_unit_test(far),
		cmocka_unit_test(temperature),	    cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
