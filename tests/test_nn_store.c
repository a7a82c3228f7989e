/* test_nn_store.c - the store: names, initial values, growth, snapshots, what is refused. */
#include "nn_help.h"

static void sets_and_gets(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F32, 1);
	double v[6] = { 1, 2, 3, 4, 5, 6.5 }, w[6];
	assert_true(nn_put(s, "a/w", AD_SHAPE(2, 3), true, v));
	assert_true(nn_put(s, "a/s", AD_SHAPE(3), false, v));
	assert_true(nn_get(s, "a/w", w, 6));
	assert_memory_equal(v, w, sizeof v);
	assert_int_equal(nn_parameters(s), 6);
	assert_int_equal(nn_count(s), 2);
	assert_int_equal(nn_find(s, "a/s"), 1);
	assert_int_equal(nn_find(s, "a"), -1);
	assert_null(nn_error(s));
	assert_false(nn_get(s, "b", w, 1));
	assert_string_equal(nn_error(s), "nn_get: the store has no \"b\"");
	nn_clear_error(s);
	assert_false(nn_set(s, "a/w", v, 5));
	assert_string_equal(nn_error(s), "nn_set: \"a/w\" has 6 elements, not 5");
	nn_clear_error(s);
	assert_false(nn_put(s, "a/w", AD_SHAPE(3, 2), true, v));
	assert_non_null(strstr(nn_error(s), "[2, 3]"));
	assert_non_null(strstr(nn_error(s), "[3, 2]"));
	nn_store_free(s);
}

static void starts_depend_on_path_and_seed_only(void **state)
{
	(void)state;
	double a[35], b[35], c[35];
	for (int other = 0; other < 2; other++) {
		nn_store *s = nn_store_new(AD_F64, 5);
		ad_tape *t = ad_tape_new(AD_F64);
		nn n = nn_begin(t, s, NN_TRAIN);
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 5), "x");
		if (other)
			nn_linear(nn_in(n, "first"), x, 64);
		nn_linear(nn_in(n, "layer/%d", 3), x, 7);
		assert_null(ad_error(t));
		assert_true(nn_get(s, "layer/3/weight", other ? b : a, 35));
		ad_tape_free(t);
		nn_store_free(s);
	}
	assert_memory_equal(a, b, sizeof a);
	nn_store *s = nn_store_new(AD_F64, 6);
	ad_tape *t = ad_tape_new(AD_F64);
	nn_linear(nn_in(nn_begin(t, s, NN_TRAIN), "layer/3"), ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 5), "x"), 7);
	assert_true(nn_get(s, "layer/3/weight", c, 35));
	int equal = 0;
	for (int i = 0; i < 35; i++) {
		equal += a[i] == c[i];
		assert_true(fabs(a[i]) <= 1 / sqrt(5));
	}
	assert_int_equal(equal, 0);
	ad_tape_free(t);
	nn_store_free(s);
}

static void orthogonal(int64_t rows, int64_t cols)
{
	nn_store *s = nn_store_new(AD_F64, 2);
	ad_tape *t = ad_tape_new(AD_F64);
	nn_param(nn_begin(t, s, NN_TRAIN), "q", AD_SHAPE(rows, cols), (nn_fill){ NN_ORTHOGONAL, 2 });
	double q[64];
	assert_true(nn_get(s, "q", q, rows * cols));
	int64_t m = rows < cols ? rows : cols;
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < m; j++) {
			double dot = 0;
			for (int64_t k = 0; k < (rows < cols ? cols : rows); k++)
				dot += rows < cols ? q[i * cols + k] * q[j * cols + k] : q[k * cols + i] * q[k * cols + j];
			assert_close(dot, i == j ? 4.0 : 0.0, 1e-14);
		}
	ad_tape_free(t);
	nn_store_free(s);
}

static void fills(void **state)
{
	(void)state;
	orthogonal(4, 9);
	orthogonal(8, 3);
	orthogonal(5, 5);
	struct {
		nn_fill f;
		double sd;
	} row[] = {
		{ { NN_UNIFORM, 3 }, 3 / sqrt(3) },
		{ { NN_NORMAL, 0.5 }, 0.5 },
		{ { NN_FAN_IN, 1 }, 1 / sqrt(3 * 100.0) },
		{ { NN_KAIMING, 1 }, sqrt(2 / 100.0) },
		{ { NN_XAVIER, 1 }, sqrt(2 / 300.0) },
	};
	double v[20000];
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		nn_store *s = nn_store_new(AD_F64, 2);
		ad_tape *t = ad_tape_new(AD_F64);
		nn_param(nn_begin(t, s, NN_TRAIN), "w", AD_SHAPE(200, 100), row[i].f);
		nn_get(s, "w", v, 20000);
		double sum = 0, squares = 0;
		for (int k = 0; k < 20000; k++) {
			sum += v[k];
			squares += v[k] * v[k];
		}
		assert_close(sum / 20000 / row[i].sd, 0, 0.03);
		assert_close(sqrt(squares / 20000) / row[i].sd, 1, 0.03);
		ad_tape_free(t);
		nn_store_free(s);
	}
}

static void grows(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 1);
	char name[32];
	for (int i = 0; i < 3000; i++) {
		double v[3] = { i, -i, 0.5 };
		snprintf(name, sizeof name, "p/%d", i);
		assert_true(nn_put(s, name, AD_SHAPE(3), i % 2, v));
	}
	nn_snapshot *k = nn_snapshot_take(s);
	for (int i = 0; i < 3000; i++) {
		double v[3] = { 0 };
		snprintf(name, sizeof name, "p/%d", i);
		nn_set(s, name, v, 3);
	}
	double one = 1, w[3];
	nn_put(s, "later", AD_SHAPE(1), true, &one);
	nn_snapshot_restore(s, k);
	nn_snapshot_free(k);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "p/%d", i);
		assert_int_equal(nn_find(s, name), i);
		assert_true(nn_get(s, name, w, 3));
		assert_true(w[0] == i && w[1] == -i && w[2] == 0.5);
		assert_int_equal((uintptr_t)nn_at(s, i).value % 64, 0);
	}
	nn_get(s, "later", w, 1);
	assert_true(w[0] == 1);
	nn_store_free(s);
}

static void one_path_one_variable(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 1);
	ad_shape shape = AD_SHAPE(2);
	nn_fill one = { NN_CONST, 1 };
	for (int i = 0; i < 5; i++) { /* a new tape often lies where the last one lay */
		ad_tape *t = ad_tape_new(AD_F64);
		nn c = nn_in(nn_begin(t, s, NN_TRAIN), "a");
		ad_var v = nn_param(c, "v", shape, one);
		assert_ptr_equal(v, nn_param(c, "v", shape, one));
		assert_ptr_equal(ad_tape_of(v), t);
		ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x");
		double data[4] = { 1, 2, 3, 4 }, y[2];
		evaluate(s, t, x, data, 2, ad_sum(ad_mul(x, v), AD_EVENT), y);
		assert_true(y[0] == 3 && y[1] == 7);
		if (i % 2)
			nn_release(s, t);
		ad_tape_free(t);
	}
	assert_int_equal(nn_count(s), 1);
	nn_store_free(s);
}

static void error_is(ad_tape *t, const char *part)
{
	if (!ad_error(t) || !strstr(ad_error(t), part))
		fail_msg("the error is \"%s\", it should say \"%s\"", ad_error(t) ? ad_error(t) : "none", part);
}

static void refusals(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 1);
	nn_fill one = { NN_CONST, 1 };
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_in(nn_begin(t, s, NN_TRAIN), "net");
	nn_param(c, "w", AD_SHAPE(2, 3), one);
	nn_param(c, "w", AD_SHAPE(3, 2), one);
	error_is(t, "\"net/w\" has shape [2, 3] in the store, but [3, 2] is asked for");
	int before = nn_count(s);
	nn_param(c, "other", AD_SHAPE(3), one);
	assert_int_equal(nn_count(s), before);
	ad_tape_free(t);

	t = ad_tape_new(AD_F64);
	nn_state(nn_in(nn_begin(t, s, NN_TRAIN), "net"), "w", AD_SHAPE(2, 3), one);
	error_is(t, "is a parameter in the store, but asked for as state");
	ad_tape_free(t);

	t = ad_tape_new(AD_F64);
	nn_param_from(nn_in(nn_begin(t, s, NN_TRAIN), "act"), "scale", ad_const(t, 1));
	error_is(t, "parameter \"act/scale\" has no value yet: it is initialised from the first training batch");
	ad_tape_free(t);

	t = ad_tape_new(AD_F64);
	c = nn_begin(t, s, NN_TRAIN);
	for (int i = 0; i < 30; i++)
		c = nn_in(c, "a rather long name");
	error_is(t, "longer than");
	ad_tape_free(t);

	t = ad_tape_new(AD_F64);
	nn_param(nn_begin(t, s, NN_TRAIN), "none", AD_SHAPE(3, 0), one);
	error_is(t, "cannot have shape [3, 0]");
	ad_tape_free(t);
	nn_store_free(s);
}

static void store_of_another_type(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F32, 1);
	double v[2] = { 0.1, 3 }, y[1], x0[1] = { 1 };
	nn_put(s, "w", AD_SHAPE(2), true, v);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 1), "x");
	ad_var w = nn_param(nn_begin(t, s, NN_EVAL), "w", AD_SHAPE(2), (nn_fill){ 0 });
	evaluate(s, t, x, x0, 1, ad_sum(ad_mul(x, w), AD_EVENT), y);
	assert_true(y[0] == (double)0.1f + 3);
	ad_tape_free(t);
	nn_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_and_gets),   cmocka_unit_test(starts_depend_on_path_and_seed_only),
		cmocka_unit_test(fills),           cmocka_unit_test(grows),
		cmocka_unit_test(one_path_one_variable), cmocka_unit_test(refusals),
		cmocka_unit_test(store_of_another_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
