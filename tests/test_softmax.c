/* test_softmax.c - log-sum-exp, softmax and log-softmax against their definitions in exponentials, sums and logarithms: values
 * and derivatives of orders 1 and 2, on every instruction set; where nothing but -inf is, there is no NaN. */
#include "ad/op.h"
#include "program.h"

enum { SAMPLES = 37 };

typedef ad_var along(ad_var x, int axis);

static ad_var plain_logsumexp(ad_var x, int axis) { return ad_log(ad_sum(ad_exp(x), AD_AXIS(axis))); }
static ad_var plain_softmax(ad_var x, int axis) { return ad_div(ad_exp(x), ad_sum_keep(ad_exp(x), AD_AXIS(axis))); }
static ad_var plain_log_softmax(ad_var x, int axis) { return ad_sub(x, ad_log(ad_sum_keep(ad_exp(x), AD_AXIS(axis)))); }

static const struct {
	const char *name;
	along *kernel, *plain;
} forms[] = {
	{ "logsumexp", ad_logsumexp, plain_logsumexp },
	{ "softmax", ad_softmax, plain_softmax },
	{ "log_softmax", ad_log_softmax, plain_log_softmax },
};

static const struct {
	ad_shape shape;
	int axis;
} shapes[] = {
	{ { 3, { AD_BATCH, 5, 3 } }, 1 }, { { 3, { AD_BATCH, 5, 3 } }, 2 }, { { 2, { AD_BATCH, 83 } }, 1 }, { { 2, { AD_BATCH, 1 } }, 1 },
	{ { 2, { 7, 83 } }, 0 },          { { 2, { 7, 83 } }, 1 },          { { 1, { 40 } }, 0 },
};

/* The value, its cotangent w pulled back, and that pulled back by x and by w. */
static void trace(program *g, along *f, ad_shape s, int axis, ad_dtype d, const void *const v[3])
{
	ad_var x = program_in(g, d, s, v[0]), u = program_in(g, d, s, v[2]), y = f(x, axis);
	ad_var w = program_in(g, d, ad_shape_of(y), v[1]), gx = ad_grad(ad_sum(ad_mul(w, y), AD_ALL), x);
	ad_var along_u = ad_sum(ad_mul(u, gx), AD_ALL);
	program_out(g, y);
	program_out(g, gx);
	program_out(g, ad_grad(along_u, x));
	program_out(g, ad_grad(along_u, w));
}

static double at(const program *g, int i, int64_t k)
{
	return ad_dtype_of(g->out[i]) == AD_F64 ? program_f64(g, i)[k] : (double)((const float *)ad_result(g->p, i))[k];
}

static void compare(size_t form, size_t shape, ad_dtype d, const char *isa)
{
	int64_t n = SAMPLES * 83;
	double *v[3];
	float *few[3];
	for (int i = 0; i < 3; i++) {
		v[i] = numbers(n, -3, 3, i + 1);
		few[i] = malloc((size_t)n * sizeof **few);
		for (int64_t k = 0; k < n; k++)
			few[i][k] = (float)v[i][k];
	}
	const void *const *data = d == AD_F64 ? (const void *const *)v : (const void *const *)few;
	program a = program_on(d, SAMPLES), b = program_on(d, SAMPLES);
	trace(&a, forms[form].kernel, shapes[shape].shape, shapes[shape].axis, d, data);
	trace(&b, forms[form].plain, shapes[shape].shape, shapes[shape].axis, d, data);
	program_run(&a, (ad_options){ .isa = isa });
	program_run(&b, (ad_options){ .isa = isa });
	double tol = d == AD_F64 ? 1e-13 : 1e-4;
	for (int i = 0; i < a.nout; i++)
		for (int64_t k = 0; k < program_count(&a, i); k++)
			if (!(fabs(at(&a, i, k) - at(&b, i, k)) <= tol * (1 + fabs(at(&b, i, k)))))
				fail_msg("%s %s, shape %zu, output %d at %d: %g, not %g", isa, forms[form].name, shape, i, (int)k, at(&a, i, k),
				         at(&b, i, k));
	program_free(&a);
	program_free(&b);
	for (int i = 0; i < 3; i++) {
		free(v[i]);
		free(few[i]);
	}
}

static void as_defined(void **state)
{
	static const char *const isas[] = { "plain", "base", "v3", "v4" };
	(void)state;
	for (size_t k = 0; k < sizeof isas / sizeof *isas; k++)
		for (size_t i = 0; ad__kernels_for(64, isas[k]) && i < sizeof forms / sizeof *forms; i++)
			for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
				for (ad_dtype d = AD_F32; d <= AD_F64; d++)
					compare(i, s, d, isas[k]);
}

/* Rows of nothing but -inf, of one large number among -inf, and of large numbers. */
static void infinities(void **state)
{
	double x[3][4] = { { -INFINITY, -INFINITY, -INFINITY, -INFINITY }, { -INFINITY, 1e30, -INFINITY, -INFINITY }, { 1e30, 1e30, -1e30, 0 } };
	double soft[3][4] = { { 0 }, { 0, 1, 0, 0 }, { 0.5, 0.5, 0, 0 } };
	(void)state;
	program g = program_on(AD_F64, 3);
	ad_var in = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 4), x), top = ad_logsumexp(in, 1), y = ad_softmax(in, 1);
	program_out(&g, ad_grad(ad_sum(top, AD_ALL), in));
	program_out(&g, ad_grad(ad_sum(ad_square(y), AD_ALL), in));
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 4; j++) {
			double dot = 0;
			for (int k = 0; k < 4; k++)
				dot += 2 * soft[i][k] * soft[i][k];
			assert_true(program_f64(&g, 0)[4 * i + j] == soft[i][j]);
			assert_true(fabs(program_f64(&g, 1)[4 * i + j] - soft[i][j] * (2 * soft[i][j] - dot)) < 1e-15);
		}
	program_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_defined), cmocka_unit_test(infinities) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
