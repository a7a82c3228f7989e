/* test_limits.c - what lies outside: wrong shapes, arguments and batches are refused by one message; long chains, deep
 * graphs and many captured variables compile, and grow in proportion. */
#include "program.h"

static void says(ad_tape *t, const char *part)
{
	const char *e = ad_error(t);
	if (!e || !strstr(e, part) || strchr(e, '\n'))
		fail_msg("\"%s\" instead of \"..%s..\"", e ? e : "(no error)", part);
	ad_tape_free(t);
}

#define REFUSED(part, ...)                                                                                  \
	do {                                                                                                \
		ad_tape *t = ad_tape_new(AD_F64);                                                           \
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 3), "x"), w = ad_full(t, AD_SHAPE(7), 1); \
		ad_fn *f = ad_fn_begin(t);                                                                  \
		ad_var y = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, 3)), r;                                  \
		(void)x, (void)w, (void)y, (void)r;                                                         \
		__VA_ARGS__;                                                                                \
		says(t, part);                                                                              \
	} while (0)

static void shapes(void **state)
{
	(void)state;
	const int64_t big = INT64_C(1) << 40;
	ad_shape nine = { .rank = 9, .dim = { 1, 1, 1, 1, 1, 1, 1, 1 } };
	REFUSED("extent 0 on axis 1", ad_input(t, AD_F64, AD_SHAPE(3, 0), "z"));
	REFUSED("extent -5", ad_full(t, AD_SHAPE(-5), 0));
	REFUSED("elements", ad_input(t, AD_F64, AD_SHAPE(big, big, big), "z"));
	REFUSED("elements", ad_expand(ad_broadcast(w, AD_SHAPE(big, 7)), 0));
	REFUSED("rank 9", ad_input(t, AD_F64, nine, "z"));
	REFUSED("rank 9", ad_reshape(w, nine));
	REFUSED("rank 9", ad_broadcast(w, nine));
	REFUSED("no batch axis", ad_array(t, AD_SHAPE(AD_BATCH, 2), (double[2]){ 0 }));
	REFUSED("no batch axis", ad_array_i32(t, AD_SHAPE(AD_BATCH, 2), (int32_t[2]){ 0 }));
	REFUSED("extent 0", ad_iota(t, 0));
	REFUSED("extent -5", ad_iota(t, -5));
}

static void functions(void **state)
{
	(void)state;
	REFUSED("cannot stretch", r = ad_exp(y); ad_fn_end(f, 1, &r); ad_fn_inline(f, &w, &r));
	REFUSED("cannot stretch", r = ad_exp(y); ad_fn_end(f, 1, &r); ad_remat(f, &w, &r));
	REFUSED("dtype", r = ad_exp(y); ad_fn_end(f, 1, &r); w = ad_cast(x, AD_F32); ad_fn_inline(f, &w, &r));
	REFUSED("no result", ad_fn_end(f, 0, NULL); ad_remat(f, &x, &r));
	REFUSED("y0", r = ad_scale(y, 0.5); ad_fn_end(f, 1, &r); ad_fixpoint(f, ad_cast(x, AD_F32), 1e-6, 10, false));
	REFUSED("is zero", r = ad_add(x, ad_stop(y)); ad_fn_end(f, 1, &r); ad_grad(ad_bisect(f, AD_SHAPE(AD_BATCH, 3), -1, 1, 0), x));
	REFUSED("tangent", ad_jvp(1, &x, 1, &x, &w, &r));
	REFUSED("another tape", {
		ad_tape *u = ad_tape_new(AD_F64);
		ad_grad(x, ad_const(u, 1));
		ad_tape_free(u);
	});
}

static void fails_to_run(ad_prog *p, const char *part)
{
	assert_int_equal(ad_run(p, 0), -1);
	if (!strstr(ad_run_error(p), part))
		fail_msg("\"%s\" instead of \"..%s..\"", ad_run_error(p), part);
}

static void batches(void **state)
{
	(void)state;
	double x0[6] = { 1, 2, 3, 4, 5, 6 };
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 3), "x"), y = ad_exp(x);
	ad_prog *p = ad_compile(t, 1, &y, (ad_options){ .memory = 1 << 24, .threads = 1 });
	assert_non_null(p);
	fails_to_run(p, "\"x\" is not bound");
	ad_bind(p, x, x0);
	fails_to_run(p, "not set");
	ad_set_batch(p, 0);
	fails_to_run(p, "not set");
	ad_set_batch(p, -7);
	fails_to_run(p, "-7 samples");
	ad_set_batch(p, INT64_MAX);
	fails_to_run(p, "samples");
	ad_set_batch(p, 1 << 20);
	fails_to_run(p, "MB");
	ad_set_batch(p, 2);
	assert_int_equal(ad_run(p, 0), 0);
	assert_true(((const double *)ad_result(p, 0))[5] == ((const double *)ad_result(p, 0))[5]);
	/* Variables that the program does not know, and outputs it does not have */
	ad_var late = x;
	for (int i = 0; i < 5000; i++)
		late = ad_input(t, AD_F64, AD_SCALAR, "late");
	ad_bind(p, late, x0);
	ad_bind(p, y, x0);
	ad_bind_output(p, 3, x0);
	assert_null(ad_result(p, -1));
	assert_int_equal(ad_run(p, 0), 0);
	ad_tape_free(t);
	ad_prog_free(p);
}

/* What the refusal names may be long. */
static void long_names(void **state)
{
	(void)state;
	char path[4000];
	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = 0;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_set_path(t, path);
	ad_var y = ad_input(t, AD_F64, AD_SHAPE(100000, 10000, 1, 1, 1, 2, 3, 4), path);
	for (int i = 0; i < 4; i++)
		y = ad_cumsum(y, 1, false);
	ad_var out = ad_sum(y, AD_ALL);
	assert_null(ad_compile(t, 1, &out, (ad_options){ .memory = 1000 }));
	says(t, "needs");
	t = ad_tape_new(AD_F64);
	ad_set_path(t, path);
	ad_add(ad_full(t, AD_SHAPE(2), 1), ad_full(t, AD_SHAPE(3), 1));
	says(t, "[2] and [3]");
}

/* The result of a function may lie inside a larger value. */
static void part_of_a_value(void **state)
{
	(void)state;
	double x0[6] = { 1, 2, 3, 4, 5, 6 };
	program g = program_on(AD_F64, 2);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0);
	ad_fn *f = ad_fn_begin(g.t);
	ad_var y = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, 3));
	ad_var out = ad_slice(ad_concat(1, 2, (ad_var[]){ ad_cos(y), ad_add(ad_scale(y, 0.25), x) }), 1, 3, 6);
	ad_fn_end(f, 1, &out);
	program_out(&g, ad_fixpoint(f, ad_full_like(x, 0), 1e-15, 100, false));
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < 6; i++)
		assert_true(fabs(program_f64(&g, 0)[i] - x0[i] / 0.75) < 1e-13);
	program_free(&g);
}

enum { ACTIVATIONS, COPIES, PHASES, VIEWS, RESHAPES, REMAT, CAPTURES, KINDS };

static ad_var layer(ad_tape *t, int kind, ad_var y, ad_var w, int i)
{
	switch (kind) {
	case ACTIVATIONS: return ad_tanh(ad_linear(y, w, NULL));
	case COPIES: return ad_tanh(ad_cumsum(ad_flip(y, 1), 1, false));
	case PHASES: return ad_add(y, ad_mean_keep(y, AD_AXIS(0)));
	case VIEWS: return ad_flip(y, 1);
	case RESHAPES:
		return ad_reshape(ad_permute(ad_reshape(y, AD_SHAPE(AD_BATCH, 2, 2)), (int[]){ 0, 2, 1 }), AD_SHAPE(AD_BATCH, 4));
	case REMAT: {
		ad_fn *f = ad_fn_begin(t);
		ad_var a = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, 4)), o = ad_tanh(ad_linear(a, w, NULL));
		ad_fn_end(f, 1, &o);
		ad_remat(f, &y, &o);
		return o;
	}
	default: return ad_add(y, ad_scale(w, i));
	}
}

static ad_summary compiled(int kind, int n)
{
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 4), "x"), w = ad_input(t, AD_F64, AD_SHAPE(4, 4), "w"), y = x;
	if (kind == CAPTURES) {
		ad_fn *f = ad_fn_begin(t);
		ad_var a = ad_fn_arg(f, AD_F64, AD_SHAPE(AD_BATCH, 4)), o = ad_scale(a, 0.5);
		for (int i = 0; i < n; i++)
			o = ad_add(o, ad_input(t, AD_F64, AD_SCALAR, "p"));
		ad_fn_end(f, 1, &o);
		y = ad_fixpoint(f, x, 1e-9, 100, false);
	} else {
		for (int i = 0; i < n; i++)
			y = layer(t, kind, y, w, i);
	}
	ad_var out[] = { ad_sum(y, AD_ALL), ad_grad(ad_sum(y, AD_ALL), x) };
	ad_prog *p = ad_compile(t, 2, out, (ad_options){ .threads = 1 });
	if (!p)
		fail_msg("%s", ad_error(t));
	ad_summary size = ad_prog_summary(p);
	ad_prog_free(p);
	ad_tape_free(t);
	return size;
}

/* Deep graphs and many captured variables compile, and nodes and steps grow in proportion. */
static void depth(void **state)
{
	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		ad_summary few = compiled(kind, 2000), many = compiled(kind, 8000);
		assert_true(many.nodes <= 4 * few.nodes + 64);
		assert_true(many.steps <= 4 * few.steps + 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(shapes), cmocka_unit_test(functions), cmocka_unit_test(batches),
		                            cmocka_unit_test(long_names), cmocka_unit_test(part_of_a_value), cmocka_unit_test(depth) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
