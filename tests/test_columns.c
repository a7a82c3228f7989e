/* test_columns.c - typed columns: declarations, bijections and their log-determinants, likelihoods in the table's units. */
#include "experiments/lab/columns.h"
#include "experiments/lab/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void parsed(const char *text, lab_column c[8])
{
	lab_err err = { "" };
	memset(c, 0, 8 * sizeof *c);
	if (!lab_columns_parse("t.csv", text, 8, c, &err))
		fail_msg("%s: %s", text, err.text);
}

static void test_declarations(void **state)
{
	(void)state;
	lab_column c[8];
	parsed("3:bounded[0,1],5-6:positive,7:periodic[-1.5,6.28],8:discrete[0.25],1:discrete", c);
	static const lab_column_kind kind[8] = { LAB_COLUMN_DISCRETE, LAB_COLUMN_REAL,	   LAB_COLUMN_BOUNDED,
						 LAB_COLUMN_REAL,     LAB_COLUMN_POSITIVE, LAB_COLUMN_POSITIVE,
						 LAB_COLUMN_PERIODIC, LAB_COLUMN_DISCRETE };
	for (int j = 0; j < 8; j++)
		assert_int_equal(c[j].kind, kind[j]);
	assert_true(c[0].lo == 1 && c[7].lo == 0.25 && c[2].lo == 0 && c[2].hi == 1 && c[6].lo == -1.5 && c[6].hi == 6.28);
	static const struct {
		const char *text, *says;
	} wrong[] = { { "3", "wanted NUMBER:KIND" },
		      { "3:", "wanted NUMBER:KIND" },
		      { "3:bound[0,1]", "at '3:bound[0,1]'" },
		      { "3:bounded", "wanted" },
		      { "3:bounded[1,0]", "wanted" },
		      { "3:bounded[0,1", "wanted" },
		      { "3:bounded[0,1,2]", "wanted" },
		      { "3:bounded[0,inf]", "wanted" },
		      { "3:periodic[0,0]", "wanted" },
		      { "3:positive[1]", "wanted" },
		      { "3:discrete[0]", "wanted" },
		      { "3:discrete[-1]", "wanted" },
		      { "3:discrete[nan]", "wanted" },
		      { "3:positive,", "wanted" },
		      { "3:positive;4:positive", "wanted" },
		      { "9:positive", "there are columns 1 to 8" },
		      { "0:positive", "there are columns 1 to 8" },
		      { "5-3:positive", "there are columns 1 to 8" },
		      { "2-4:positive,3:discrete", "column 3 is declared twice" } };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		lab_err err = { "" };
		assert_false(lab_columns_parse("t.csv", wrong[i].text, 8, c, &err));
		if (!strstr(err.text, wrong[i].says) || strncmp(err.text, "t.csv: ", 7))
			fail_msg("%s: %s", wrong[i].text, err.text);
	}
}

/* Inverse of forward, and the log-determinant against differences. */
static void test_bijections(void **state)
{
	(void)state;
	static const lab_column columns[] = { { LAB_COLUMN_REAL, 0, 0, 0 },
					      { LAB_COLUMN_BOUNDED, -2, 3, -2 },
					      { LAB_COLUMN_POSITIVE, 0, 0, 0 },
					      { LAB_COLUMN_PERIODIC, 1, 4, 0 } };
	static const double x[] = { 1e-3, 0.3, 1.7, 2.9 };
	for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
		for (size_t i = 0; i < 4; i++) {
			double l = 0, none = 0, h = 1e-6 * x[i], y = lab_column_forward(&columns[k], x[i], 0.5, &l);
			double up = lab_column_forward(&columns[k], x[i] + h, 0.5, &none),
			       down = lab_column_forward(&columns[k], x[i] - h, 0.5, &none);
			assert_float_equal(lab_column_inverse(&columns[k], y), x[i], 1e-9);
			assert_float_equal(l, log((up - down) / (2 * h)), 1e-6);
		}
	double l = 0;
	/* The ends of a bounded column, far values, and what cannot be */
	for (int end = 0; end < 2; end++) {
		double at = end ? 3 : -2, y = lab_column_forward(&columns[1], at, 0.5, &l);
		assert_true(isfinite(y) && isfinite(l));
		assert_float_equal(lab_column_inverse(&columns[1], y), at, 1e-12);
		assert_true(lab_column_inverse(&columns[1], end ? 1e4 : -1e4) == at);
	}
	lab_column_forward(&columns[1], 3.1, 0.5, &l);
	assert_true(l == -INFINITY);
	l = 0;
	lab_column_forward(&columns[2], 0, 0.5, &l);
	assert_true(l == -INFINITY);
	/* A period later is the same */
	double a = 0, b = 0;
	assert_float_equal(lab_column_forward(&columns[3], 0.3, 0.5, &a), lab_column_forward(&columns[3], 0.3 - 9, 0.5, &b), 1e-9);
	assert_float_equal(a, b, 1e-9);
	lab_column d = { LAB_COLUMN_DISCRETE, 0.5, 0, 0 };
	l = 0;
	for (int k = -3; k < 4; k++)
		for (double u = 0.01; u < 1; u += 0.14)
			assert_float_equal(lab_column_inverse(&d, lab_column_forward(&d, 0.5 * k, u, &l)), 0.5 * k, 1e-12);
	l = 0;
	lab_column_forward(&d, 1, 0.2, &l);
	assert_float_equal(l, log(0.5), 1e-12);
}

/* The seam lies in the widest gap, also where that goes round the end. */
static void test_seam(void **state)
{
	(void)state;
	double x[] = { 0.5, 9.0, 1.2, 8.1, 10.5, 7.9, -0.2 };
	lab_table t = { .rows = 7, .cols = 1, .x = x };
	lab_column c = { LAB_COLUMN_PERIODIC, 0, 10, 0 };
	lab_columns_cut(&c, &t); /* 0.5 0.5 1.2 | 7.9 8.1 9.0 9.8 */
	assert_float_equal(c.lo, (1.2 + 7.9) / 2, 1e-9);
	assert_float_equal(c.hi - c.lo, 10, 1e-12);
	double l = 0, back = lab_column_inverse(&c, lab_column_forward(&c, 10.5, 0.5, &l));
	assert_float_equal(back, 0.5, 1e-9);
	double round[] = { 4, 5, 6 };
	t = (lab_table){ .rows = 3, .cols = 1, .x = round };
	c = (lab_column){ LAB_COLUMN_PERIODIC, 0, 10, 0 };
	lab_columns_cut(&c, &t);
	assert_float_equal(c.lo, 10, 1e-9);
}

/* What a Gaussian fitted to each kind gives to all of its values: 1, and at most 1 for the bound of a discrete column. */
static double mass(lab_column c, const double *x, int64_t n, const double *at, int64_t points, double h)
{
	lab_err err = { "" };
	lab_table t = { .rows = n, .cols = 1, .x = (double *)x }, grid = { .rows = points, .cols = 1, .x = (double *)at };
	double mean = 0, square = 0, l = 0, *density = malloc((size_t)points * sizeof *density), sum = 0;
	assert_non_null(density);
	for (int64_t i = 0; i < n; i++) {
		double y = lab_column_forward(&c, x[i], 0.5, &l);
		mean += y / (double)n, square += y * y / (double)n;
	}
	double sd = sqrt(square - mean * mean);
	lab_model *m = lab_model_new("gaussian", (flow_model_opt){ 0 }, 1, AD_F64, 1, (lab_scale){ &mean, &sd, &c }, &err);
	assert_non_null(m);
	assert_int_equal(lab_gaussian_fit(m, &t, &err), 0);
	assert_int_equal(lab_log_density(m, &grid, 1, density, &err), 0);
	for (int64_t i = 0; i < points; i++)
		sum += exp(density[i]) * h;
	free(density);
	lab_model_free(m);
	return sum;
}

static void test_mass(void **state)
{
	(void)state;
	enum { N = 500, POINTS = 200000 };
	static double x[N], at[POINTS];
	for (int i = 0; i < N; i++)
		x[i] = 0.5 + 0.12 * ad_noise_normal(3, 0, 0, (uint64_t)i);
	for (int i = 0; i < POINTS; i++)
		at[i] = (i + 0.5) / POINTS;
	assert_float_equal(mass((lab_column){ LAB_COLUMN_BOUNDED, 0, 1, 0 }, x, N, at, POINTS, 1.0 / POINTS), 1, 1e-6);
	assert_float_equal(mass((lab_column){ LAB_COLUMN_PERIODIC, 0, 1, 0 }, x, N, at, POINTS, 1.0 / POINTS), 1, 1e-6);
	for (int i = 0; i < POINTS; i++)
		at[i] = 4 * (i + 0.5) / POINTS;
	for (int i = 0; i < N; i++)
		x[i] = fabs(x[i]) + 0.01;
	assert_float_equal(mass((lab_column){ LAB_COLUMN_POSITIVE, 0, 0, 0 }, x, N, at, POINTS, 4.0 / POINTS), 1, 1e-4);
	/* Discrete, sd 4 steps: the bound loses about (step / sd)^2 / 24 nats.  Each value many times, for the noise's mean. */
	for (int i = 0; i < N; i++)
		x[i] = 0.5 * rint(4 * ad_noise_normal(4, 0, 0, (uint64_t)i));
	enum { EACH = 1000, VALUES = POINTS / EACH };
	for (int i = 0; i < POINTS; i++)
		at[i] = 0.5 * (i / EACH - VALUES / 2);
	double p = mass((lab_column){ LAB_COLUMN_DISCRETE, 0.5, 0, 0 }, x, N, at, POINTS, 1.0 / EACH);
	assert_float_equal(p, 1, 5e-3);
}

static void test_checks(void **state)
{
	(void)state;
	lab_column c[] = { { LAB_COLUMN_BOUNDED, 0, 1, 0 }, { LAB_COLUMN_DISCRETE, 0.1, 0, 0 }, { LAB_COLUMN_POSITIVE, 0, 0, 0 } };
	double good[] = { 0, 0.3, 1e-9, 1, -70000.1, 5 };
	lab_table t = { .rows = 2, .cols = 3, .x = good, .source = "t.csv" };
	lab_err err = { "" };
	assert_int_equal(lab_columns_check(c, &t, &err), 0);
	static const double bad[] = { 1.0001, 0.35, 0 };
	static const char *const says[] = { "row 2, column 1 holds 1.0001, which is not from 0 to 1",
					    "row 2, column 2 holds 0.35, which is not a multiple of 0.1",
					    "row 2, column 3 holds 0, which is not positive" };
	for (int k = 0; k < 3; k++) {
		double x[6];
		memcpy(x, good, sizeof x);
		x[3 + k] = bad[k];
		t.x = x;
		assert_int_equal(lab_columns_check(c, &t, &err), -1);
		assert_non_null(strstr(err.text, says[k]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declarations), cmocka_unit_test(test_bijections), cmocka_unit_test(test_seam),
		cmocka_unit_test(test_mass),	     cmocka_unit_test(test_checks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
