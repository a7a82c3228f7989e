/* test_tape.c - tracing: messages of mistakes, broadcasting rules, the derivative engine, dead code, casts, and that
 * programs write nowhere but where they should. */
#include "program.h"

static void fails_with(ad_tape *t, const char *part)
{
	const char *e = ad_error(t);
	if (!e || !strstr(e, part))
		fail_msg("\"%s\" instead of \"..%s..\"", e ? e : "(no error)", part);
	ad_tape_free(t);
}

static void messages(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var a = ad_full(t, AD_SHAPE(3, 4), 1), b = ad_full(t, AD_SHAPE(5), 1);
	ad_set_path(t, "flow/3/net");
	ad_var bad = ad_mul(a, b);
	assert_non_null(bad);
	assert_non_null(strstr(ad_error(t), "ad_mul"));
	assert_non_null(strstr(ad_error(t), "[3,4]"));
	assert_non_null(strstr(ad_error(t), "[5]"));
	char *first = strdup(ad_error(t));
	/* What comes later is harmless, and the first failure stays. */
	ad_var more = ad_matmul(ad_exp(bad), ad_sum(bad, AD_ALL), false, true);
	assert_non_null(more);
	ad_grad(more, a);
	assert_string_equal(first, ad_error(t));
	assert_null(ad_compile(t, 1, &more, (ad_options){ 0 }));
	free(first);
	fails_with(t, "in \"flow/3/net\"");
}

#define MISTAKE(part, ...)                                                                                             \
	do {                                                                                                           \
		ad_tape *t = ad_tape_new(AD_F64);                                                                      \
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 4), "x"), w = ad_full(t, AD_SHAPE(3, 4), 1);         \
		(void)x, (void)w;                                                                                      \
		__VA_ARGS__;                                                                                           \
		fails_with(t, part);                                                                                   \
	} while (0)

static void mistakes(void **state)
{
	(void)state;
	MISTAKE("matmul", ad_matmul(x, w, false, false));
	MISTAKE("reshape", ad_reshape(w, AD_SHAPE(5, 5)));
	MISTAKE("slice", ad_slice(w, 1, 2, 9));
	MISTAKE("concat", ad_concat(1, 2, (ad_var[]){ w, ad_full(t, AD_SHAPE(2, 4), 1) }));
	MISTAKE("axis", ad_softmax(w, 5));
	MISTAKE("", ad_cumsum(x, 0, false));
	MISTAKE("", ad_flip(x, 0));
	MISTAKE("", ad_slice(x, 0, 0, 2));
	MISTAKE("", ad_concat(0, 2, (ad_var[]){ x, x }));
	MISTAKE("", ad_transpose(x));
	MISTAKE("", ad_softmax(x, 0));
	MISTAKE("", ad_inverse(w));
	MISTAKE("einsum", ad_einsum("ij,jk->ikz", w, ad_transpose(w)));
	MISTAKE("another tape", {
		ad_tape *u = ad_tape_new(AD_F64);
		ad_var y = ad_const(u, 1);
		ad_add(ad_sum(w, AD_ALL), y);
		ad_tape_free(u);
	});
	MISTAKE("cotangent", {
		ad_var y = ad_exp(w), g = ad_full(t, AD_SHAPE(7, 7), 1), out;
		ad_vjp(1, &y, &g, 1, &w, &out);
	});
}

static void mistake_by_layer(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_set_path(t, "a/b");
	ad_fail(t, "layer: width %d", -1);
	ad_fail(t, "later");
	fails_with(t, "layer: width -1");
}

/* --- Derivatives ---------------------------------------------------------------- */

/* exp(a x) at orders 0 to 4 */
static void orders(void **state)
{
	(void)state;
	double x0[3] = { -0.5, 0.2, 1.1 };
	program g = program_on(AD_F64, 1);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(3), x0), y = ad_exp(ad_scale(x, 1.5));
	program_out(&g, y);
	for (int k = 0; k < 4; k++)
		program_out(&g, y = ad_grad(y, x));
	program_run(&g, (ad_options){ 0 });
	for (int k = 0; k < 5; k++)
		for (int i = 0; i < 3; i++)
			assert_true(fabs(program_f64(&g, k)[i] - pow(1.5, k) * exp(1.5 * x0[i])) < 1e-13 * 40);
	program_free(&g);
}

/* Shared values, values used twice, cotangents given and not, several outputs, and an x that nothing depends on. */
static void accumulation(void **state)
{
	(void)state;
	double a0[2] = { 2, -3 }, b0[2] = { 0.5, 4 }, w0[2] = { 10, 100 };
	program g = program_on(AD_F64, 1);
	ad_var a = program_in(&g, AD_F64, AD_SHAPE(2), a0), b = program_in(&g, AD_F64, AD_SHAPE(2), b0);
	ad_var w = program_in(&g, AD_F64, AD_SHAPE(2), w0), lonely = ad_full(g.t, AD_SHAPE(4), 1);
	ad_var p = ad_mul(a, b), y[2] = { ad_add(p, p), ad_mul(p, a) }, gy[2] = { w, NULL }, gx[3];
	ad_vjp(2, y, gy, 3, (ad_var[]){ a, b, lonely }, gx);
	for (int i = 0; i < 3; i++)
		program_out(&g, gx[i]);
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < 2; i++) {
		assert_true(program_f64(&g, 0)[i] == 2 * b0[i] * w0[i] + 2 * a0[i] * b0[i]);
		assert_true(program_f64(&g, 1)[i] == 2 * a0[i] * w0[i] + a0[i] * a0[i]);
	}
	for (int i = 0; i < 4; i++)
		assert_true(program_f64(&g, 2)[i] == 0);
	program_free(&g);
}

static void stop_gradient(void **state)
{
	(void)state;
	double x0[2] = { 3, -2 };
	program g = program_on(AD_F64, 1);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(2), x0), y = ad_mul(ad_square(ad_stop(x)), x), dy;
	ad_var first = ad_grad(y, x), ones = ad_full_like(x, 1);
	ad_jvp(1, &y, 1, &x, &ones, &dy);
	program_out(&g, first);
	program_out(&g, ad_grad(first, x));
	program_out(&g, dy);
	program_run(&g, (ad_options){ 0 });
	for (int i = 0; i < 2; i++) {
		assert_true(program_f64(&g, 0)[i] == x0[i] * x0[i]);
		assert_true(program_f64(&g, 1)[i] == 0);
		assert_true(program_f64(&g, 2)[i] == x0[i] * x0[i]);
	}
	program_free(&g);
}

/* jvp of a chain of ops that are not elementwise is the vjp's transpose: <w, J v> = <J^T w, v>, orders 1 and 2. */
static void transposes(void **state)
{
	(void)state;
	double *x0 = numbers(7 * 6, -1, 1, 1), *m0 = numbers(24, -1, 1, 2), *v0 = numbers(42, -1, 1, 3),
	       *w0 = numbers(7 * 8, -1, 1, 4);
	program g = program_on(AD_F64, 7);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 6), x0), m = program_in(&g, AD_F64, AD_SHAPE(6, 4), m0);
	ad_var v = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 6), v0),
	       w = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 8), w0);
	ad_var h = ad_tanh(ad_matmul(ad_cumsum(x, 1, false), m, false, false));
	ad_var part[2] = { ad_flip(ad_softmax(h, 1), 1),
			   ad_mul(h, ad_logsumexp(ad_reshape(h, AD_SHAPE(AD_BATCH, 4, 1)), 2)) };
	ad_var y = ad_concat(1, 2, part), jv, jw, second, third;
	ad_jvp(1, &y, 1, &x, &v, &jv);
	ad_vjp(1, &y, &w, 1, &x, &jw);
	ad_var left = ad_sum(ad_mul(w, jv), AD_ALL), right = ad_sum(ad_mul(jw, v), AD_ALL);
	ad_vjp(1, &left, NULL, 1, &x, &second);
	ad_jvp(1, &jw, 1, &x, &v, &third);
	program_out(&g, left);
	program_out(&g, right);
	program_out(&g, second);
	program_out(&g, third);
	program_run(&g, (ad_options){ .tile = 16 });
	assert_true(fabs(program_f64(&g, 0)[0] - program_f64(&g, 1)[0]) < 1e-13);
	for (int i = 0; i < 42; i++)
		assert_true(fabs(program_f64(&g, 2)[i] - program_f64(&g, 3)[i]) < 1e-13);
	program_free(&g);
	free(x0);
	free(m0);
	free(v0);
	free(w0);
}

/* --- Programs ---------------------------------------------------------------- */

static void dead_code(void **state)
{
	(void)state;
	double x0[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	int64_t nodes[2];
	for (int k = 0; k < 2; k++) {
		program g = program_on(AD_F64, 1);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(8), x0), y = ad_exp(x), unused = y;
		for (int i = 0; k && i < 50; i++)
			unused = ad_sin(unused);
		ad_grad(ad_sum(y, AD_ALL), x);
		program_out(&g, y);
		program_run(&g, (ad_options){ 0 });
		nodes[k] = ad_prog_summary(g.p).nodes;
		program_free(&g);
	}
	assert_int_equal(nodes[0], nodes[1]);
	assert_true(nodes[0] <= 3);
}

/* A product by 1 is the other factor, unless it is larger. */
static void products_by_one(void **state)
{
	(void)state;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 4), "x"), w = ad_input(t, AD_F64, AD_SHAPE(4), "w");
	assert_ptr_equal(ad_mul(x, ad_full_like(x, 1)), x);
	assert_ptr_equal(ad_mul(ad_const(t, 1), x), x);
	assert_ptr_not_equal(ad_mul(x, ad_full_like(x, 2)), x);
	ad_var wide = ad_mul(w, ad_full_like(x, 1));
	assert_true(ad_shape_eq(ad_shape_of(wide), ad_shape_of(x)));
	ad_tape_free(t);
}

static void casts(void **state)
{
	(void)state;
	float x0[3] = { 0.1f, 2, -7.75f };
	program g = program_on(AD_F32, 1);
	ad_var x = program_in(&g, AD_F32, AD_SHAPE(3), x0);
	ad_var y = ad_cast(ad_square(ad_cast(x, AD_F64)), AD_F32), i = ad_cast(x, AD_I32);
	assert_int_equal(ad_dtype_of(ad_cast(x, AD_F64)), AD_F64);
	program_out(&g, ad_square(ad_cast(x, AD_F64)));
	program_out(&g, ad_grad(y, x));
	program_out(&g, i);
	program_out(&g, ad_cast(i, AD_F32));
	program_run(&g, (ad_options){ 0 });
	for (int k = 0; k < 3; k++) {
		assert_true(program_f64(&g, 0)[k] == (double)x0[k] * x0[k]);
		assert_true(((const float *)ad_result(g.p, 1))[k] == 2 * x0[k]);
		assert_int_equal(((const int32_t *)ad_result(g.p, 2))[k], (int32_t)x0[k]);
		assert_true(((const float *)ad_result(g.p, 3))[k] == (float)(int32_t)x0[k]);
	}
	program_free(&g);
}

/* Outputs that are inputs, constants, the same variable twice, or views of others. */
static void odd_outputs(void **state)
{
	(void)state;
	double x0[6] = { 1, 2, 3, 4, 5, 6 };
	program g = program_on(AD_F64, 3);
	ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 2), x0), c = ad_const(g.t, 2.5);
	program_out(&g, x);
	program_out(&g, x);
	program_out(&g, c);
	program_out(&g, ad_slice(x, 1, 1, 2));
	program_out(&g, ad_batch_size(g.t));
	program_out(&g, ad_iota(g.t, 3));
	program_out(&g, ad_full(g.t, AD_SHAPE(AD_BATCH), 4));
	program_run(&g, (ad_options){ 0 });
	assert_memory_equal(ad_result(g.p, 0), x0, sizeof x0);
	assert_memory_equal(ad_result(g.p, 1), x0, sizeof x0);
	assert_true(ad_result_scalar(g.p, 2) == 2.5 && ad_result_scalar(g.p, 4) == 3);
	for (int i = 0; i < 3; i++)
		assert_true(program_f64(&g, 3)[i] == x0[2 * i + 1] && program_f64(&g, 5)[i] == i &&
			    program_f64(&g, 6)[i] == 4);
	program_free(&g);
}

/* Nothing before and behind a bound output, or in the inputs, is written, whatever the batch. */
static void guard_words(void **state)
{
	(void)state;
	enum { ROOM = 40, MOST = 35 };
	for (int64_t n = 1; n <= MOST; n += n < 4 ? 1 : 7) {
		double *x0 = numbers(MOST * 3, -1, 1, 1), *kept = numbers(MOST * 3, -1, 1, 1),
		       w0[6] = { 1, 2, 3, 4, 5, 6 };
		double y0[2 * ROOM + MOST * 2], g0[2 * ROOM + 6];
		for (size_t i = 0; i < sizeof y0 / 8; i++)
			y0[i] = -77;
		for (size_t i = 0; i < sizeof g0 / 8; i++)
			g0[i] = -78;
		program g = program_on(AD_F64, n);
		ad_var x = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 3), x0),
		       w = program_in(&g, AD_F64, AD_SHAPE(2, 3), w0);
		ad_var y = ad_tanh(ad_linear(x, w, NULL));
		program_out(&g, y);
		program_out(&g, ad_grad(ad_sum(y, AD_ALL), w));
		g.p = ad_compile(g.t, g.nout, g.out, (ad_options){ .tile = 16, .threads = 2 });
		ad_set_batch(g.p, n);
		ad_bind(g.p, x, x0);
		ad_bind(g.p, w, w0);
		ad_bind_output(g.p, 0, y0 + ROOM);
		ad_bind_output(g.p, 1, g0 + ROOM);
		assert_int_equal(ad_run(g.p, 0), 0);
		assert_ptr_equal(ad_result(g.p, 0), y0 + ROOM);
		for (int i = 0; i < ROOM; i++)
			assert_true(y0[i] == -77 && y0[ROOM + n * 2 + i] == -77 && g0[i] == -78 &&
				    g0[ROOM + 6 + i] == -78);
		assert_memory_equal(x0, kept, MOST * 3 * sizeof *x0);
		assert_true(y0[ROOM + n * 2 - 1] == tanh(4 * x0[n * 3 - 3] + 5 * x0[n * 3 - 2] + 6 * x0[n * 3 - 1]) ||
			    fabs(y0[ROOM + n * 2 - 1] -
				 tanh(4 * x0[n * 3 - 3] + 5 * x0[n * 3 - 2] + 6 * x0[n * 3 - 1])) < 1e-14);
		ad_prog_free(g.p);
		ad_tape_free(g.t);
		free(x0);
		free(kept);
	}
}

static void dot(void **state)
{
	(void)state;
	char *text = NULL;
	size_t n = 0;
	ad_tape *t = ad_tape_new(AD_F64);
	ad_set_path(t, "net/linear_0");
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "data"), y = ad_exp(x);
	(void)y;
	FILE *f = open_memstream(&text, &n);
	ad_write_dot(t, f);
	fclose(f);
	assert_non_null(strstr(text, "digraph"));
	assert_non_null(strstr(text, "data"));
	assert_non_null(strstr(text, "exp"));
	assert_non_null(strstr(text, "net/linear_0"));
	assert_non_null(strstr(text, "->"));
	free(text);
	ad_tape_free(t);
}

static int count_pads(const ad_prog *p)
{
	char *text = NULL;
	size_t n = 0;
	int count = 0;
	FILE *f = open_memstream(&text, &n);
	ad_prog_print(p, f);
	fclose(f);
	for (const char *at = text; (at = strstr(at, " pad ")); at++)
		count++;
	free(text);
	return count;
}

/* Slices lo, lo + step, .. < hi, each with a weight of its own: their derivatives are put together in one step where they do
 * not overlap, and added where they do. */
static void slices(void **state)
{
	static const struct {
		int n;
		bool apart;
		int64_t at[3][3];
	} rows[] = {
		{ 2, true, { { 0, 3, 1 }, { 3, 7, 1 } } },              { 2, true, { { 0, 7, 2 }, { 1, 7, 2 } } },
		{ 3, true, { { 5, 7, 1 }, { 0, 1, 1 }, { 2, 4, 1 } } }, { 2, false, { { 0, 4, 1 }, { 3, 7, 1 } } },
		{ 3, false, { { 0, 2, 1 }, { 2, 7, 1 }, { 1, 3, 1 } } },
	};
	(void)state;
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		double x[3 * 7], want[7] = { 0 };
		for (int i = 0; i < 21; i++)
			x[i] = i;
		program g = program_on(AD_F64, 3);
		ad_var v = program_in(&g, AD_F64, AD_SHAPE(AD_BATCH, 7), x), y = NULL;
		for (int k = 0; k < rows[r].n; k++) {
			const int64_t *at = rows[r].at[k];
			ad_var part = ad_sum(ad_scale(ad_slice_step(v, 1, at[0], at[1], at[2]), k + 1), AD_EVENT);
			y = y ? ad_add(y, part) : part;
			for (int64_t i = at[0]; i < at[1]; i += at[2])
				want[i] += k + 1;
		}
		program_out(&g, ad_grad(y, v));
		program_run(&g, (ad_options){ .threads = 1 });
		for (int i = 0; i < 21; i++)
			assert_true(program_f64(&g, 0)[i] == want[i % 7]);
		if (rows[r].apart)
			assert_int_equal(count_pads(g.p), 1);
		program_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),    cmocka_unit_test(mistakes),     cmocka_unit_test(mistake_by_layer),
		cmocka_unit_test(orders),      cmocka_unit_test(accumulation), cmocka_unit_test(stop_gradient),
		cmocka_unit_test(transposes),  cmocka_unit_test(dead_code),    cmocka_unit_test(casts),
		cmocka_unit_test(odd_outputs), cmocka_unit_test(guard_words),  cmocka_unit_test(dot),
		cmocka_unit_test(slices),      cmocka_unit_test(products_by_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
