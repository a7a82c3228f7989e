/* test_nn_trainer.c - training: regression, groups, initial values from data, states, what happens when it fails. */
#include "nn_help.h"

enum { ROWS = 48, IN = 3, DEEP = 6 };

static double data_x[ROWS * IN], data_y[ROWS];

static int make_data(void **state)
{
	(void)state;
	normals(1, ROWS * IN, data_x);
	for (int i = 0; i < ROWS; i++)
		data_y[i] = sin(data_x[i * IN]) + 0.5 * data_x[i * IN + 1] * data_x[i * IN + 2];
	return 0;
}

static ad_var squared_error(ad_var a, ad_var b) { return ad_mean(ad_square(ad_sub(a, b)), AD_ALL); }

static ad_var regression(nn c, int n, const ad_var batch[], void *user)
{
	(void)n;
	nn_net net = user ? *(const nn_net *)user : nn_mlp(16, 2);
	net.act = nn_act_named("tanh");
	return squared_error(nn_apply(&net, nn_in(c, "net"), batch[0], NULL, 1), batch[1]);
}

static nn_trainer_opt options(nn_loss_fn *loss, void *user, nn_optim o)
{
	return (nn_trainer_opt){ .inputs = 2,
		                 .shape = { AD_SHAPE(AD_BATCH, IN), AD_SHAPE(AD_BATCH, 1) },
		                 .dtype = { AD_F64, AD_F64 },
		                 .tasks = 1,
		                 .task = { { .loss = loss, .user = user, .optim = o } } };
}

static nn_trainer *trainer(nn_store *s, nn_trainer_opt o)
{
	nn_trainer *tr = nn_trainer_new(s, o);
	if (!tr)
		fail_msg("%s", nn_error(s));
	return tr;
}

static double step_rows(nn_trainer *tr, int task, int first, int rows)
{
	return nn_train_step(tr, task, rows, (const void *const[]){ data_x + first * IN, data_y + first });
}

static void learns(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, options(regression, NULL, (nn_optim){ .rule = NN_ADAM, .lr = 0.02 }));
	double first = step_rows(tr, 0, 0, ROWS), last = first;
	for (int i = 0; i < 400; i++)
		last = step_rows(tr, 0, 0, ROWS);
	assert_null(nn_error(s));
	assert_true(first > 0.3 && last < 0.01);
	assert_int_equal(nn_step_count(tr, 0), 401);
	assert_close(nn_lr(tr, 0), 0.02, 0);
	assert_true(nn_grad_norm(tr, 0) > 0);
	nn_trainer_free(tr);
	nn_store_free(s);
}

/* Two calls of half the batch make the step of the whole. */
static void accumulation(void **state)
{
	(void)state;
	double w[2][48];
	for (int k = 0; k < 2; k++) {
		nn_store *s = nn_store_new(AD_F64, 3);
		nn_trainer *tr = trainer(s, options(regression, NULL, (nn_optim){ .lr = 0.1, .accumulate = 1 + k }));
		for (int i = 0; i < 5; i++)
			for (int half = 0; half <= k; half++)
				step_rows(tr, 0, half * ROWS / 2, ROWS / (1 + k));
		assert_int_equal(nn_step_count(tr, 0), 5);
		assert_true(nn_get(s, "net/linear_0/weight", w[k], 48));
		nn_trainer_free(tr);
		nn_store_free(s);
	}
	for (int i = 0; i < 48; i++)
		assert_close(w[0][i], w[1][i], 1e-13);
}

static void same_bits(void **state)
{
	(void)state;
	double w[2][48];
	nn_net net = nn_resnet(16, 2);
	net.dropout = 0.3;
	net.batch_norm = true;
	for (int k = 0; k < 2; k++) {
		nn_store *s = nn_store_new(AD_F64, 3);
		nn_trainer_opt o = options(regression, &net, (nn_optim){ .rule = NN_ADAM });
		o.run = (ad_options){ .threads = 1 + 2 * k, .tile = 16, .reverse_tiles = k };
		nn_trainer *tr = trainer(s, o);
		for (int i = 0; i < 10; i++)
			step_rows(tr, 0, 0, ROWS);
		assert_null(nn_error(s));
		assert_true(nn_get(s, "net/initial/weight", w[k], 48));
		nn_trainer_free(tr);
		nn_store_free(s);
	}
	assert_memory_equal(w[0], w[1], sizeof w[0]);
}

/* Players a and b pull x = a + b to +1 and -1; each moves its own parameter only. */
static ad_var player(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)batch;
	nn_fill zero = { NN_ZEROS, 0 };
	ad_var x = ad_add(nn_param(c, "a/p", AD_SCALAR, zero), nn_param(c, "b/p", AD_SCALAR, zero));
	nn_penalty(nn_in(c, "a"), "small", ad_scale(ad_square(nn_param(c, "a/p", AD_SCALAR, zero)), 0.25));
	nn_metric(c, "sum", x);
	return ad_square(ad_shift(x, -*(double *)user));
}

static void groups(void **state)
{
	(void)state;
	double goal[2] = { 1, -1 }, a, b;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer_opt o = { .tasks = 2,
		             .task = { { .loss = player, .user = &goal[0], .prefix = "a/", .optim = { .lr = 0.1 } },
		                       { .loss = player, .user = &goal[1], .prefix = "none,b/", .optim = { .lr = 0.2 } } } };
	nn_trainer *tr = trainer(s, o);
	assert_close(nn_train_step(tr, 0, 1, NULL), 1, 0);
	nn_get(s, "a/p", &a, 1);
	nn_get(s, "b/p", &b, 1);
	assert_close(a, 0.2, 1e-15);
	assert_close(b, 0, 0);
	assert_close(nn_train_step(tr, 1, 1, NULL), 1.44 + 0.01, 1e-15);
	nn_get(s, "b/p", &b, 1);
	assert_close(b, -0.2 * 2 * 1.2, 1e-15);
	const char *name[4];
	double value[4];
	assert_int_equal(nn_metrics(tr, 1, name, value, 4), 2);
	assert_string_equal(name[0], "a/small");
	assert_string_equal(name[1], "sum");
	assert_close(value[0], 0.01, 1e-15);
	assert_close(value[1], 0.2, 1e-15);
	assert_int_equal(nn_step_count(tr, 0), 1);
	nn_trainer_free(tr);
	nn_store_free(s);
}

/* y = (x - mean) / sd of the first batch, as parameters; between the layers something that undoes it. */
static ad_var whitened(nn c, ad_var x)
{
	for (int i = 0; i < DEEP; i++) {
		nn k = nn_in(c, "white/%d", i);
		ad_var mean = ad_mean(x, AD_AXIS(0)), sd = ad_sqrt(ad_mean(ad_square(ad_sub(x, mean)), AD_AXIS(0)));
		ad_var scale = nn_param_from(k, "scale", ad_reciprocal(sd));
		ad_var shift = nn_param_from(k, "shift", ad_neg(ad_mul(mean, scale)));
		x = ad_add(ad_mul(x, scale), shift);
		if (i < DEEP - 1)
			x = ad_shift(ad_scale(ad_add(x, ad_scale(ad_cube(x), 0.1)), 3.0), i);
	}
	return x;
}

static ad_var whitening_loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	return ad_mean(ad_square(whitened(c, batch[0])), AD_ALL);
}

static void initialises_from_data(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, options(whitening_loss, NULL, (nn_optim){ .lr = 1e-300 }));
	assert_int_equal(nn_count(s), 2 * DEEP);
	assert_false(nn_at(s, 0).ready);
	assert_close(step_rows(tr, 0, 0, ROWS), 1, 1e-12); /* the mean square of whitened data */
	assert_null(nn_error(s));
	assert_true(nn_at(s, 2 * DEEP - 1).ready);
	assert_true(fabs(step_rows(tr, 0, 0, ROWS / 2) - 1) > 1e-3); /* another batch: the values stay */
	ad_tape *t = ad_tape_new(AD_F64);
	ad_var x = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, IN), "x");
	double y[ROWS * IN];
	evaluate(s, t, x, data_x, ROWS, whitened(nn_begin(t, s, NN_EVAL), x), y);
	for (int d = 0; d < IN; d++) {
		double sum = 0, squares = 0;
		for (int i = 0; i < ROWS; i++) {
			sum += y[i * IN + d];
			squares += y[i * IN + d] * y[i * IN + d];
		}
		assert_close(sum / ROWS, 0, 1e-12);
		assert_close(squares / ROWS, 1, 1e-12);
	}
	nn_release(s, t);
	ad_tape_free(t);
	nn_trainer_free(tr);
	nn_store_free(s);
}

static ad_var normed(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	ad_var h = nn_batch_norm(nn_in(c, "bn"), batch[0], 1e-3, 0.1);
	return squared_error(nn_linear(nn_in(c, "out"), h, 1), batch[1]);
}

static void running_statistics(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, options(normed, NULL, (nn_optim){ 0 }));
	double mean[IN] = { 0 }, var[IN] = { 1, 1, 1 }, v[IN];
	for (int t = 0; t < 3; t++) {
		int rows = ROWS - 7 * t;
		step_rows(tr, 0, 0, rows);
		for (int d = 0; d < IN; d++) {
			double m = 0, q = 0;
			for (int i = 0; i < rows; i++)
				m += data_x[i * IN + d] / rows;
			for (int i = 0; i < rows; i++)
				q += (data_x[i * IN + d] - m) * (data_x[i * IN + d] - m);
			mean[d] = 0.9 * mean[d] + 0.1 * m;
			var[d] = 0.9 * var[d] + 0.1 * q / (rows - 1);
		}
	}
	nn_get(s, "bn/running_mean", v, IN);
	for (int d = 0; d < IN; d++)
		assert_close(v[d], mean[d], 1e-14);
	nn_get(s, "bn/running_var", v, IN);
	for (int d = 0; d < IN; d++)
		assert_close(v[d], var[d], 1e-14);
	nn_trainer_free(tr);
	nn_store_free(s);
}

static ad_var bad_log(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	ad_var h = nn_batch_norm(nn_in(c, "bn"), batch[0], 1e-3, 0.1);
	ad_var y = nn_linear(nn_in(c, "out"), h, 1);
	const char *was = ad_set_path(c.tape, "the bad place");
	ad_var l = ad_log(ad_add(batch[1], ad_scale(ad_square(y), 1e-6)));
	ad_set_path(c.tape, was);
	return ad_mean(l, AD_ALL);
}

static void stops_at_nan(void **state)
{
	(void)state;
	double w[IN], v[IN], mean[IN], now[IN], positive[ROWS];
	for (int i = 0; i < ROWS; i++)
		positive[i] = 1 + data_y[i] * data_y[i];
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, options(bad_log, NULL, (nn_optim){ .rule = NN_ADAM }));
	double loss = nn_train_step(tr, 0, ROWS, (const void *const[]){ data_x, positive });
	assert_true(isfinite(loss));
	nn_get(s, "out/weight", w, IN);
	nn_get(s, "bn/running_mean", mean, IN);
	positive[5] = -1;
	assert_true(isnan(nn_train_step(tr, 0, ROWS, (const void *const[]){ data_x, positive })));
	const char *e = nn_error(s);
	if (!e || !strstr(e, "at step 2") || !strstr(e, "log") || !strstr(e, "the bad place"))
		fail_msg("the error is \"%s\"", e ? e : "none");
	nn_clear_error(s);
	nn_get(s, "out/weight", v, IN);
	nn_get(s, "bn/running_mean", now, IN);
	assert_memory_equal(w, v, sizeof w);
	assert_memory_equal(mean, now, sizeof mean);
	assert_int_equal(nn_step_count(tr, 0), 1);
	positive[5] = 1;
	assert_true(isfinite(nn_train_step(tr, 0, ROWS, (const void *const[]){ data_x, positive })));
	nn_trainer_free(tr);
	nn_store_free(s);
}

/* A finite loss whose derivative is not: sqrt at 0. */
static ad_var bad_root(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	ad_var y = nn_linear(nn_in(c, "out"), batch[0], 1);
	return ad_mean(ad_sqrt(ad_sub(ad_square(y), ad_square(y))), AD_ALL);
}

static void stops_at_bad_gradients(void **state)
{
	(void)state;
	double w[IN], v[IN];
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, options(bad_root, NULL, (nn_optim){ .rule = NN_ADAM }));
	nn_get(s, "out/weight", w, IN);
	assert_true(isnan(step_rows(tr, 0, 0, ROWS)));
	const char *e = nn_error(s);
	if (!e || !strstr(e, "norm of the gradient is") || !strstr(e, "at step 1: "))
		fail_msg("the error is \"%s\"", e ? e : "none");
	nn_clear_error(s);
	nn_get(s, "out/weight", v, IN);
	assert_memory_equal(w, v, sizeof w);
	nn_trainer_free(tr);
	nn_store_free(s);
}

static void spectral(nn c, void *user)
{
	(void)user;
	ad_var w = nn_param(c, "net/linear_0/weight", AD_SHAPE(16, IN), (nn_fill){ 0 });
	ad_var u = nn_state(c, "u", AD_SHAPE(IN), (nn_fill){ NN_CONST, 1 });
	nn_set_state(c, "u", ad_matmul(w, ad_matmul(w, u, false, false), true, false));
}

static void state_of_updated_weights(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer_opt o = options(regression, NULL, (nn_optim){ .lr = 0.1 });
	o.after = spectral;
	nn_trainer *tr = trainer(s, o);
	step_rows(tr, 0, 0, ROWS);
	double w[16 * IN], u[IN];
	nn_get(s, "net/linear_0/weight", w, 16 * IN);
	nn_get(s, "u", u, IN);
	for (int d = 0; d < IN; d++) {
		double sum = 0;
		for (int i = 0; i < 16; i++)
			sum += w[i * IN + d] * (w[i * IN] + w[i * IN + 1] + w[i * IN + 2]);
		assert_close(u[d], sum, 1e-13);
	}
	nn_trainer_free(tr);
	nn_store_free(s);
}

/* The store may grow, and its blocks move, between steps. */
static void survives_growth(void **state)
{
	(void)state;
	double w[2][48], zero[4096] = { 0 };
	for (int k = 0; k < 2; k++) {
		nn_store *s = nn_store_new(AD_F64, 3);
		nn_trainer *tr = trainer(s, options(regression, NULL, (nn_optim){ .rule = NN_ADAM }));
		for (int i = 0; i < 4; i++) {
			char name[16];
			step_rows(tr, 0, 0, ROWS);
			snprintf(name, sizeof name, "extra/%d", i);
			if (k)
				nn_put(s, name, AD_SHAPE(4096), true, zero);
		}
		nn_get(s, "net/linear_0/weight", w[k], 48);
		nn_trainer_free(tr);
		nn_store_free(s);
	}
	assert_memory_equal(w[0], w[1], sizeof w[0]);
}

static void average_of_weights(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, options(regression, NULL, (nn_optim){ .rule = NN_ADAM, .lr = 0.1, .ema = 0.9 }));
	double w[48], ema[48], v[48];
	nn_get(s, "net/linear_0/weight", ema, 48);
	for (int t = 0; t < 6; t++) {
		step_rows(tr, 0, 0, ROWS);
		nn_get(s, "net/linear_0/weight", w, 48);
		for (int i = 0; i < 48; i++)
			ema[i] = 0.9 * ema[i] + 0.1 * w[i];
	}
	nn_ema_swap(tr);
	nn_get(s, "net/linear_0/weight", v, 48);
	for (int i = 0; i < 48; i++)
		assert_close(v[i], ema[i], 1e-14);
	assert_true(isnan(step_rows(tr, 0, 0, ROWS)));
	nn_clear_error(s);
	nn_ema_swap(tr);
	nn_get(s, "net/linear_0/weight", v, 48);
	assert_memory_equal(v, w, sizeof v);
	nn_trainer_free(tr);
	nn_store_free(s);
}

enum { WIDE = 150, HIGH = 9 };

/* A layer whose rows count between two columns: as ranges, or by a mask. */
static ad_var in_ranges(nn c, int n, const ad_var batch[], void *user)
{
	(void)n;
	const bool *ranges = user;
	int64_t lo[HIGH], hi[HIGH];
	double mask[HIGH * WIDE] = { 0 };
	for (int i = 0; i < HIGH; i++) {
		lo[i] = i % 3 == 1 ? 50 + i : 0;
		hi[i] = i % 3 == 2 ? WIDE : 70 + i;
		for (int64_t j = lo[i]; j < hi[i]; j++)
			mask[i * WIDE + j] = 1;
	}
	nn_linear_opt o = *ranges ? (nn_linear_opt){ .lo = lo, .hi = hi } : (nn_linear_opt){ .mask = mask };
	ad_var h = ad_tanh(nn_linear(nn_in(c, "first"), batch[0], WIDE));
	h = nn_linear_with(nn_in(c, "second"), h, HIGH, o);
	return squared_error(nn_linear(nn_in(c, "third"), h, 1), batch[1]);
}

/* The optimiser leaves out what the ranges leave out, and does with the rest what it does with a mask. */
static void ranges_of_weights(void **state)
{
	(void)state;
	static const nn_optim optims[] = { { .rule = NN_ADAM, .lr = 0.01, .clip_norm = 0.5, .ema = 0.9 },
		                           { .rule = NN_SGD, .lr = 0.01, .momentum = 0.9, .accumulate = 2 },
		                           { .rule = NN_ADAMW, .lr = 0.01, .weight_decay = 0.1 } };
	enum { N = HIGH * WIDE };
	for (size_t k = 0; k < sizeof optims / sizeof *optims; k++) {
		double w[2][N], average[2][N], start[N];
		for (int r = 0; r < 2; r++) {
			bool ranges = r;
			nn_store *s = nn_store_new(AD_F64, 3);
			nn_trainer *tr = trainer(s, options(in_ranges, &ranges, optims[k]));
			nn_get(s, "second/weight", start, N);
			for (int i = 0; i < 8; i++)
				step_rows(tr, 0, 0, ROWS);
			assert_null(nn_error(s));
			nn_get(s, "second/weight", w[r], N);
			nn_ema_swap(tr);
			nn_get(s, "second/weight", average[r], N);
			nn_trainer_free(tr);
			nn_store_free(s);
		}
		int moved = 0;
		for (int i = 0; i < N; i++) {
			assert_close(w[1][i], w[0][i], 1e-12);
			assert_close(average[1][i], average[0][i], 1e-12);
			moved += w[1][i] != start[i];
		}
		assert_true(moved > 500 && (moved == N) == (optims[k].weight_decay > 0));
	}
}

static void plateau(void **state)
{
	(void)state;
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer_opt o = options(regression, NULL, (nn_optim){ .lr = 0.1 });
	o.task[0].schedule = (nn_schedule){ .kind = NN_PLATEAU, .gamma = 0.5, .patience = 1, .cooldown = 2, .eta_min = 0.03 };
	nn_trainer *tr = trainer(s, o);
	const double report[] = { 5, 4, 6, 4.5, 3, 6, 6, 6, 6, 6, 6 };
	const double lr[] = { 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03 };
	for (size_t i = 0; i < sizeof lr / sizeof *lr; i++) {
		nn_report(tr, 0, report[i]);
		step_rows(tr, 0, 0, ROWS);
		assert_close(nn_lr(tr, 0), lr[i], 1e-15);
	}
	nn_trainer_free(tr);
	nn_store_free(s);
}

static ad_var vector_loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	return nn_linear(c, batch[0], 1);
}

static void refusals(void **state)
{
	(void)state;
	struct {
		nn_trainer_opt o;
		const char *part;
	} row[] = {
		{ options(vector_loss, NULL, (nn_optim){ 0 }), "a loss must be a real scalar" },
		{ options(NULL, NULL, (nn_optim){ 0 }), "task 0: it has no loss" },
		{ options(regression, NULL, (nn_optim){ .lr = NAN }), "task 0: the learning rate" },
		{ options(regression, NULL, (nn_optim){ .beta1 = 1.5 }), "in [0, 1)" },
		{ options(regression, NULL, (nn_optim){ 0 }), "uses no parameter under other" },
		{ options(regression, NULL, (nn_optim){ 0 }), "needs .total" },
		{ { 0 }, "0 tasks" },
	};
	row[4].o.task[0].prefix = "other";
	row[5].o.task[0].schedule.kind = NN_COSINE;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		nn_store *s = nn_store_new(AD_F64, 1);
		assert_null(nn_trainer_new(s, row[i].o));
		if (!nn_error(s) || !strstr(nn_error(s), row[i].part))
			fail_msg("the error is \"%s\", it should say \"%s\"", nn_error(s) ? nn_error(s) : "none", row[i].part);
		nn_store_free(s);
	}
	nn_store *s = nn_store_new(AD_F64, 1);
	nn_trainer *tr = trainer(s, options(regression, NULL, (nn_optim){ 0 }));
	assert_true(isnan(nn_train_step(tr, 0, 0, (const void *const[]){ data_x, data_y })));
	assert_non_null(strstr(nn_error(s), "0 samples"));
	nn_clear_error(s);
	assert_true(isnan(nn_train_step(tr, 0, 4, (const void *const[]){ data_x, NULL })));
	assert_string_equal(nn_error(s), "nn_train_step: no data for input 1");
	nn_trainer_free(tr);
	nn_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learns),
		cmocka_unit_test(accumulation),
		cmocka_unit_test(same_bits),
		cmocka_unit_test(groups),
		cmocka_unit_test(initialises_from_data),
		cmocka_unit_test(running_statistics),
		cmocka_unit_test(stops_at_nan),
		cmocka_unit_test(stops_at_bad_gradients),
		cmocka_unit_test(state_of_updated_weights),
		cmocka_unit_test(survives_growth),
		cmocka_unit_test(average_of_weights),
		cmocka_unit_test(ranges_of_weights),
		cmocka_unit_test(plateau),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
