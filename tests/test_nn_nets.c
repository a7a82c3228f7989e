/* test_nn_nets.c - layers and nets: shapes, patterns of dependence, phases. */
#include "nn_help.h"

enum { D = 5, C = 2, ROWS = 7 };

/* jac[o][i]: does output o depend on input i?  Inputs from D on are the condition. */
static void dependence(const nn_net *net, bool cond, int out, char jac[][D + C])
{
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D + C), "x");
	ad_var y = nn_apply(net, nn_in(nn_begin(t, s, NN_EVAL), "net"), ad_slice(x, 1, 0, D),
	                    cond ? ad_slice(x, 1, D, D + C) : NULL, out);
	ad_var *row = malloc((size_t)out * sizeof *row);
	for (int o = 0; o < out; o++)
		row[o] = ad_grad(ad_slice(y, 1, o, o + 1), x);
	double data[ROWS * (D + C)];
	normals(3, ROWS * (D + C), data);
	double *g = malloc((size_t)(ROWS * out * (D + C)) * sizeof *g);
	evaluate(s, t, x, data, ROWS, ad_concat(1, out, row), g);
	for (int o = 0; o < out; o++)
		for (int i = 0; i < D + C; i++) {
			jac[o][i] = 0;
			for (int b = 0; b < ROWS; b++)
				jac[o][i] |= g[(b * out + o) * (D + C) + i] != 0;
		}
	free(g);
	free(row);
	ad_tape_free(t);
	nn_store_free(s);
}

static void masked_nets(void **state)
{
	(void)state;
	static const int order[D] = { 3, 1, 5, 2, 4 };
	for (int variant = 0; variant < 24; variant++) {
		int kind = variant % 3;
		bool cond = variant / 3 % 2, random = variant / 6 % 2, ordered = variant / 12;
		nn_net net = kind == 0 ? nn_made(40, 2) : kind == 1 ? nn_res_made(40, 2) : nn_mlp(40, 2);
		net.autoregressive = true;
		net.act = nn_act_named("tanh");
		net.random_degrees = random;
		net.degree = ordered ? order : NULL;
		char jac[3 * D][D + C];
		dependence(&net, cond, 3 * D, jac);
		for (int o = 0; o < 3 * D; o++)
			for (int i = 0; i < D + C; i++) {
				int mine = ordered ? order[o / 3] : o / 3 + 1, his = i >= D ? 0 : ordered ? order[i] : i + 1;
				bool may = i < D ? his < mine : cond;
				if (jac[o][i] && !may)
					fail_msg("variant %d: output %d depends on input %d", variant, o, i);
				if (!jac[o][i] && may && !random)
					fail_msg("variant %d: output %d does not depend on input %d", variant, o, i);
			}
	}
}

static void plain_nets(void **state)
{
	(void)state;
	nn_net net[] = { nn_mlp(9, 2), nn_resnet(9, 2) };
	char jac[4][D + C];
	for (int k = 0; k < 2; k++)
		for (int cond = 0; cond < 2; cond++) {
			net[k].act = nn_act_named("tanh");
			dependence(&net[k], cond, 4, jac);
			for (int o = 0; o < 4; o++)
				for (int i = 0; i < D + C; i++)
					assert_int_equal(jac[o][i], i < D || cond);
		}
}

static void names_of_nets(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_TRAIN);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, D), "x"), y = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, C), "y");
	nn_net mlp = nn_mlp(8, 2), res = nn_resnet(8, 1), made = nn_made(8, 1), res_made = nn_res_made(8, 1);
	int64_t widths[] = { 6, 7 };
	mlp.widths = widths;
	res.batch_norm = true;
	nn_apply(&mlp, nn_in(c, "mlp"), x, NULL, 3);
	nn_apply(&res, nn_in(c, "res"), x, y, 3);
	nn_apply(&made, nn_in(c, "made"), x, y, D);
	nn_apply(&res_made, nn_in(c, "res_made"), x, y, D);
	assert_null(ad_error(t));
	const struct {
		const char *name;
		ad_shape shape;
	} expect[] = {
		{ "mlp/linear_0/weight", AD_SHAPE(6, D) },
		{ "mlp/linear_1/bias", AD_SHAPE(7) },
		{ "mlp/linear_2/weight", AD_SHAPE(3, 7) },
		{ "res/initial/weight", AD_SHAPE(8, D + C) },
		{ "res/blocks/0/linear_0/weight", AD_SHAPE(8, 8) },
		{ "res/blocks/0/linear_1/bias", AD_SHAPE(8) },
		{ "res/blocks/0/context/weight", AD_SHAPE(8, C) },
		{ "res/blocks/0/batch_norm_0/running_mean", AD_SHAPE(8) },
		{ "res/blocks/0/batch_norm_1/weight", AD_SHAPE(8) },
		{ "res/final/weight", AD_SHAPE(3, 8) },
		{ "made/initial/weight", AD_SHAPE(8, D) },
		{ "made/initial_context/weight", AD_SHAPE(8, C) },
		{ "made/blocks/0/linear/weight", AD_SHAPE(8, 8) },
		{ "made/final/bias", AD_SHAPE(D) },
		{ "res_made/blocks/0/context/bias", AD_SHAPE(8) },
		{ "res_made/blocks/0/linear_1/weight", AD_SHAPE(8, 8) },
	};
	for (size_t i = 0; i < sizeof expect / sizeof *expect; i++) {
		int k = nn_find(s, expect[i].name);
		if (k < 0)
			fail_msg("no \"%s\"", expect[i].name);
		assert_true(ad_shape_eq(nn_at(s, k).shape, expect[i].shape));
	}
	nn_apply(&made, nn_in(c, "odd"), x, NULL, D + 1);
	assert_non_null(strstr(ad_error(t), "not a multiple"));
	ad_tape_free(t);
	nn_store_free(s);
}

/* A mask that is in the store already counts. */
static void loaded_mask(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	double mask[2] = { 0, 1 }, w[2] = { 2, 3 }, b[1] = { 0 }, data[2] = { 5, 7 }, y[1];
	nn_put(s, "l/mask", AD_SHAPE(1, 2), false, mask);
	nn_put(s, "l/weight", AD_SHAPE(1, 2), true, w);
	nn_put(s, "l/bias", AD_SHAPE(1), true, b);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x");
	evaluate(s, t, x, data, 1, nn_linear(nn_in(nn_begin(t, s, NN_EVAL), "l"), x, 1), y);
	assert_true(y[0] == 21);
	ad_tape_free(t);
	nn_store_free(s);
}

static void dropout(void **state)
{
	(void)state;
	enum { N = 4000, K = 8 };
	static double ones[N * K], a[N * K], b[N * K];
	for (int i = 0; i < N * K; i++)
		ones[i] = 1;
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_TRAIN);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, K), "x");
	ad_var first = nn_dropout(c, x, 0.3), second = nn_dropout(c, x, 0.3);
	evaluate(s, t, x, ones, N, first, a);
	evaluate(s, t, x, ones, N, second, b);
	double sum = 0, both = 0;
	for (int i = 0; i < N * K; i++) {
		assert_true(a[i] == 0 || fabs(a[i] - 1 / 0.7) < 1e-15);
		sum += a[i];
		both += a[i] * b[i];
	}
	assert_close(sum / (N * K), 1, 0.02); /* 5 sigma: 0.018 */
	assert_close(both / (N * K), 1, 0.04); /* two calls are independent */
	c.phase = NN_EVAL;
	assert_ptr_equal(nn_dropout(c, x, 0.3), x);
	nn_dropout(nn_begin(t, s, NN_TRAIN), x, 1);
	assert_non_null(strstr(ad_error(t), "probability 1"));
	ad_tape_free(t);
	nn_store_free(s);
}

static void weight_norm(void **state)
{
	(void)state;
	double y[3], z[3], v[6], g[3], x0[2] = { 0.3, -2 }, zero[3] = { 0 };
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 2), "x");
	nn_linear_opt o = { .weight_norm = true };
	evaluate(s, t, x, x0, 1, nn_linear_with(nn_in(nn_begin(t, s, NN_TRAIN), "l"), x, 3, o), y);
	assert_true(nn_get(s, "l/v", v, 6) && nn_get(s, "l/g", g, 3));
	nn_get(s, "l/bias", z, 3);
	for (int i = 0; i < 3; i++) {
		assert_close(g[i], hypot(v[2 * i], v[2 * i + 1]), 1e-15);
		assert_close(y[i], z[i] + v[2 * i] * x0[0] + v[2 * i + 1] * x0[1], 1e-14);
	}
	nn_set(s, "l/g", zero, 3);
	evaluate(s, t, x, x0, 1, nn_linear_with(nn_in(nn_begin(t, s, NN_TRAIN), "l"), x, 3, o), y);
	for (int i = 0; i < 3; i++)
		assert_close(y[i], z[i], 0);
	ad_tape_free(t);
	nn_store_free(s);
}

/* A causal step does not see later ones. */
static void attention(void **state)
{
	(void)state;
	enum { T = 4, W = 6 };
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, T, W), "x");
	ad_var y = nn_attention(nn_in(nn_begin(t, s, NN_EVAL), "att"), x, 2, true);
	double a[T * W], ya[T * W], yb[T * W];
	normals(5, T * W, a);
	evaluate(s, t, x, a, 1, y, ya);
	for (int i = 2 * W; i < 3 * W; i++)
		a[i] += 1;
	evaluate(s, t, x, a, 1, y, yb);
	assert_memory_equal(ya, yb, 2 * W * sizeof *ya);
	for (int i = 2 * W; i < T * W; i++)
		assert_true(ya[i] != yb[i]);
	nn_attention(nn_in(nn_begin(t, s, NN_EVAL), "odd"), x, 4, false);
	assert_non_null(strstr(ad_error(t), "divisible by 4 heads"));
	ad_tape_free(t);
	nn_store_free(s);
}

static void embedding(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	double table[6] = { 1, 2, 3, 4, 5, 6 }, y[6];
	nn_put(s, "e/weight", AD_SHAPE(3, 2), true, table);
	ad_var index = ad_input(t, AD_I32, AD_SHAPE(AD_BATCH), "i");
	int32_t i[3] = { 2, 0, 2 };
	evaluate(s, t, index, (const double *)(const void *)i, 3, nn_embedding(nn_in(nn_begin(t, s, NN_EVAL), "e"), index, 3, 2),
	         y);
	assert_memory_equal(y, ((double[]){ 5, 6, 1, 2, 5, 6 }), sizeof y);
	ad_tape_free(t);
	nn_store_free(s);
}

static void images(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 4);
	ad_tape *t = ad_tape_new(AD_F64);
	nn c = nn_begin(t, s, NN_EVAL);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, 4, 6, 8), "x");
	assert_true(ad_shape_eq(ad_shape_of(nn_conv(nn_in(c, "a"), x, 5, (nn_conv_opt){ .pad = { 1, 1 } })),
	                        AD_SHAPE(AD_BATCH, 5, 6, 8)));
	assert_true(ad_shape_eq(ad_shape_of(nn_conv(nn_in(c, "b"), x, 6, (nn_conv_opt){ .kernel = { 2 }, .stride = { 2 }, .groups = 2 })),
	                        AD_SHAPE(AD_BATCH, 6, 3, 4)));
	assert_true(ad_shape_eq(ad_shape_of(nn_conv(nn_in(c, "c"), x, 6, (nn_conv_opt){ .kernel = { 2 }, .stride = { 2 }, .transposed = true })),
	                        AD_SHAPE(AD_BATCH, 6, 12, 16)));
	assert_true(ad_shape_eq(ad_shape_of(nn_pixel_shuffle(x, 2)), AD_SHAPE(AD_BATCH, 1, 12, 16)));
	double a[2 * 4 * 6 * 8], y[2 * 4 * 6 * 8];
	normals(5, 2 * 4 * 6 * 8, a);
	evaluate(s, t, x, a, 2, nn_pixel_shuffle(nn_pixel_unshuffle(x, 2), 2), y);
	assert_memory_equal(a, y, sizeof a);
	evaluate(s, t, x, a, 2, nn_avg_pool(nn_upsample(x, 3), 3), y);
	for (int i = 0; i < 2 * 4 * 6 * 8; i++)
		assert_close(y[i], a[i], 1e-14);
	evaluate(s, t, x, a, 2, nn_group_norm(nn_in(c, "gn"), x, 2, 0), y);
	double sum = 0, squares = 0;
	for (int i = 0; i < 2 * 6 * 8; i++) {
		sum += y[i];
		squares += y[i] * y[i];
	}
	assert_close(sum / 96, 0, 1e-14);
	assert_close(squares / 96, 1, 1e-13);
	nn_conv(nn_in(c, "bad"), x, 5, (nn_conv_opt){ .groups = 2 });
	assert_non_null(strstr(ad_error(t), "2 groups do not divide 4 channels in and 5 out"));
	ad_tape_free(t);
	nn_store_free(s);
}

static void names_of_activations(void **state)
{
	(void)state;
	for (const nn_act *a = nn_acts; a->name; a++)
		assert_ptr_equal(nn_act_named(a->name), a);
	assert_null(nn_act_named("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masked_nets), cmocka_unit_test(plain_nets),  cmocka_unit_test(names_of_nets),
		cmocka_unit_test(loaded_mask), cmocka_unit_test(dropout),     cmocka_unit_test(weight_norm),
		cmocka_unit_test(attention),   cmocka_unit_test(embedding),   cmocka_unit_test(images),
		cmocka_unit_test(names_of_activations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
