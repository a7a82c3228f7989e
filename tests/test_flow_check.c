/* test_flow_check.c - every law of flow_check can fail: flows that are wrong in one way each. */
#include "flow_help.h"

#include <math.h>

typedef flow_out apply_fn(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir);

static ad_var number(nn c, double v)
{
	return ad_const(c.tape, v);
}

/* y = 2 x with the log-determinant of one dimension */
static flow_out wrong_logdet(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond;
	double s = dir == FLOW_FORWARD ? 2 : 0.5;
	return (flow_out){ ad_scale(x, s), number(c, log(s)) };
}

static flow_out wrong_inverse_logdet(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond;
	return (flow_out){ ad_scale(x, dir == FLOW_FORWARD ? 2 : 0.5), number(c, (double)ad_dim(x, 1) * log(2)) };
}

/* The inverse divides by a number moved off the scale, as some do "for stability". */
static flow_out wrong_inverse(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond;
	double s = 0.01, d = (double)ad_dim(x, 1) * log(s);
	return dir == FLOW_FORWARD ? (flow_out){ ad_scale(x, s), number(c, d) }
				   : (flow_out){ ad_scale(x, 1 / (s + 1e-8)), number(c, -d) };
}

static flow_out leak(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond;
	double s = dir == FLOW_FORWARD ? 1e-3 : -1e-3;
	return (flow_out){ ad_add(x, ad_scale(ad_tanh(ad_sum(x, AD_AXIS(0))), s)), number(c, 0) };
}

/* A rotation: nothing wrong but that it is declared triangular. */
static flow_out rotation(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond;
	double a = 0.6, b = dir == FLOW_FORWARD ? 0.8 : -0.8;
	return (flow_out){ ad_linear(x, ad_array(c.tape, AD_SHAPE(2, 2), (double[]){ a, -b, b, a }), NULL),
			   number(c, 0) };
}

static flow_out wrong_gradient(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond;
	ad_var s = nn_param(c, "log_scale", AD_SHAPE(ad_dim(x, 1)), (nn_fill){ NN_ZEROS, 0 });
	s = ad_scale(s, dir == FLOW_FORWARD ? 1 : -1);
	return (flow_out){ ad_mul(x, ad_exp(ad_stop(s))), ad_sum(s, AD_ALL) };
}

/* Right at order 1: the slope is taken for a constant. */
static flow_out wrong_second(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir, (void)c;
	ad_var t = ad_tanh(x), slope = ad_stop(ad_one_minus_square(t));
	ad_var y = ad_add(ad_stop(ad_sub(t, ad_mul(slope, x))), ad_mul(slope, x));
	return (flow_out){ y, ad_sum(ad_log(ad_one_minus_square(t)), AD_EVENT) };
}

static flow_out overflow(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)c;
	if (dir == FLOW_INVERSE)
		return (flow_out){ ad_asinh(x), ad_sum(ad_scale(ad_log1p(ad_square(x)), -0.5), AD_EVENT) };
	return (flow_out){ ad_sinh(x), ad_sum(ad_log(ad_cosh(x)), AD_EVENT) };
}

/* 0 times infinity behind a choice: the value is finite, the gradient is not. */
static flow_out poisoned(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir;
	ad_var y = ad_where(ad_gt(x, ad_const(c.tape, -50)), ad_scale(x, 1), ad_log(ad_square(ad_sqrt(x))));
	return (flow_out){ y, number(c, 0) };
}

/* Not onto: a third of the base's mass is reached by nothing. */
static flow_out not_onto(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir, (void)c;
	return (flow_out){ ad_softplus(x), ad_sum(ad_logsigmoid(x), AD_EVENT) };
}

static flow_out cancels(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir;
	return (flow_out){ ad_shift(ad_shift(x, 1e6), -1e6), number(c, 0) };
}

static ad_shape same_shape(int nin, const ad_var in[], const void *user)
{
	(void)nin, (void)user;
	return ad_shape_of(in[0]);
}

static void by_width(int nin, const ad_view in[], ad_view out, const void *user)
{
	(void)nin, (void)user;
	for (int64_t i = 0; i < out.numel * out.width; i++)
		if (out.dtype == AD_F64)
			((double *)out.data)[i] = ((double *)in[0].data)[i] * (1 + 1e-13 * (double)out.width);
		else
			((float *)out.data)[i] = ((float *)in[0].data)[i];
}

static void pass(ad_var r, ad_var g, int nin, const ad_var in[], ad_var gin[], const void *user)
{
	(void)r, (void)nin, (void)in, (void)user;
	gin[0] = ad_scale(g, 1);
}

static flow_out by_tile(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	static const ad_custom op = { .name = "by_width", .shape = same_shape, .eval = by_width, .vjp = pass };
	(void)f, (void)cond, (void)dir;
	return (flow_out){ ad_call(&op, 1, &x, NULL), number(c, 0) };
}

static flow_out other_shape(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir;
	return (flow_out){ ad_slice(x, 1, 0, 1), number(c, 0) };
}

static flow_out logdet_by_element(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir, (void)c;
	return (flow_out){ ad_scale(x, 1), ad_full_like(x, 0) };
}

static flow_out undeclared(const flow *f, nn c, ad_var x, ad_var cond, flow_dir dir)
{
	(void)f, (void)cond, (void)dir;
	return (flow_out){ ad_sqrt(x), number(c, 0) };
}

typedef struct {
	apply_fn *apply;
	const char *law; /* as flow_check prints it */
	bool one_way, triangular;
	int64_t dim;
} row;

static const row rows[] = {
	{ wrong_logdet, "log-determinant", false, false, 2 },
	{ wrong_inverse_logdet, "log-determinants cancel", false, false, 2 },
	{ wrong_inverse_logdet, "log-determinant of the inverse", false, false, 2 },
	{ wrong_inverse, "inverse", false, false, 2 },
	{ leak, "independence of the other samples", false, false, 2 },
	{ rotation, "triangular Jacobian", false, true, 2 },
	{ wrong_gradient, "gradient", false, false, 2 },
	{ wrong_second, "second derivative", true, false, 2 },
	{ overflow, "extreme arguments", false, false, 2 },
	{ poisoned, "extreme arguments", true, false, 2 },
	{ not_onto, "integral of the density", true, false, 1 },
	{ wrong_logdet, "integral of the density", false, false, 2 },
	{ cancels, "single precision", true, false, 2 },
	{ by_tile, "bits over tiles and threads", true, false, 2 },
	{ other_shape, "tracing", true, false, 2 },
	{ logdet_by_element, "tracing", true, false, 2 },
	{ undeclared, "values", true, false, 2 },
};

static void test_laws_fail(void **state)
{
	int missed = 0;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const row *r = &rows[i];
		flow f = { .kind = "wrong", .apply = r->apply };
		char want[128];
		int broken;
		if (r->one_way)
			f.caps.inverse = FLOW_ABSENT;
		char *text = report_of(&f, (flow_check_opt){ .event = AD_SHAPE(r->dim), .triangular = r->triangular },
				       &broken);
		snprintf(want, sizeof want, "BROKEN: %s: ", r->law);
		if (!broken || !strstr(text, want)) {
			print_error("row %zu: \"%s\" was not found broken in:\n%s", i, r->law, text);
			missed++;
		}
		free(text);
	}
	assert_int_equal(missed, 0);
}

/* What breaks one law only must not be blamed for others. */
static void test_only_that_law(void **state)
{
	int broken;
	(void)state;
	flow f = { .kind = "rotation", .apply = rotation };
	free(report_of(&f, (flow_check_opt){ .event = AD_SHAPE(2) }, &broken));
	assert_int_equal(broken, 0);
	free(report_of(&f, (flow_check_opt){ .event = AD_SHAPE(2), .triangular = true }, &broken));
	assert_int_equal(broken, 1);
	f = (flow){ .kind = "not onto", .apply = not_onto, .caps = { .inverse = FLOW_ABSENT } };
	char *text = report_of(&f, (flow_check_opt){ .event = AD_SHAPE(1) }, &broken);
	assert_int_equal(broken, 1);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laws_fail),
		cmocka_unit_test(test_only_that_law),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
