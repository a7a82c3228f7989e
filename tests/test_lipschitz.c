/* test_lipschitz.c - bounded linears: norms against closed forms and a dense SVD, when made, after training, after
 * reload. */
#include "nn_help.h"

#include "nn/lipschitz.h"

#include <lapacke.h>
#include <unistd.h>

static double largest_singular(int64_t m, int64_t n, const double *w)
{
	double *a = malloc((size_t)(m * n) * sizeof *a), s[128], work[128];
	memcpy(a, w, (size_t)(m * n) * sizeof *a);
	assert_int_equal(
		LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', (int)m, (int)n, a, (int)n, s, NULL, 1, NULL, 1, work), 0);
	free(a);
	return s[0];
}

static double iterate(int64_t m, int64_t n, const double *w, double domain, double codomain)
{
	double u[128], v[128];
	normals(11, m, u);
	normals(12, n, v);
	return nn_induced_norm(m, n, w, u, v,
			       (nn_induced){ .domain = domain, .codomain = codomain, .tolerance = 1e-14 });
}

/* Norms with a closed form. */
static void norms(void **state)
{
	(void)state;
	enum { M = 7, N = 5 };
	double w[M * N], col = 0, row = 0, entry = 0, col2 = 0;
	normals(1, M * N, w);
	for (int j = 0; j < N; j++) {
		double sum = 0, square = 0;
		for (int i = 0; i < M; i++) {
			sum += fabs(w[i * N + j]);
			square += w[i * N + j] * w[i * N + j];
			entry = fmax(entry, fabs(w[i * N + j]));
		}
		col = fmax(col, sum);
		col2 = fmax(col2, sqrt(square));
	}
	for (int i = 0; i < M; i++) {
		double sum = 0;
		for (int j = 0; j < N; j++)
			sum += fabs(w[i * N + j]);
		row = fmax(row, sum);
	}
	assert_close(iterate(M, N, w, 2, 2), largest_singular(M, N, w), 1e-9);
	/* Of those whose iteration may stop early: never above, and here it does not. */
	assert_true(iterate(M, N, w, 1, 1) <= col + 1e-12 && iterate(M, N, w, INFINITY, INFINITY) <= row + 1e-12);
	assert_true(iterate(M, N, w, 1, INFINITY) <= entry + 1e-12 && iterate(M, N, w, 1, 2) <= col2 + 1e-12);
	assert_true(iterate(M, N, w, 1, 1) > 0.5 * col && iterate(M, N, w, INFINITY, INFINITY) > 0.5 * row);
	/* |W x|_3 <= sigma |x|_1.5 for no x much better than what was found. */
	double s = iterate(M, N, w, 1.5, 3), worst = 0;
	for (int k = 0; k < 20000; k++) {
		double x[N], a = 0, b = 0;
		normals((uint64_t)(100 + k), N, x);
		for (int j = 0; j < N; j++)
			a += pow(fabs(x[j]), 1.5);
		for (int i = 0; i < M; i++) {
			double y = 0;
			for (int j = 0; j < N; j++)
				y += w[i * N + j] * x[j];
			b += pow(fabs(y), 3);
		}
		worst = fmax(worst, pow(b, 1.0 / 3) / pow(a, 1 / 1.5));
	}
	assert_true(worst <= s * (1 + 1e-9) && worst > 0.8 * s);
	double zero[4] = { 0 }, u[2] = { 1, 0 }, v[2] = { 0, 1 };
	assert_close(nn_induced_norm(2, 2, zero, u, v, (nn_induced){ 0 }), 0, 0);
	assert_true(u[0] == 1 && v[1] == 1); /* nothing was learnt of u and v */
}

/* --- Trained nets
 * --------------------------------------------------------------------------------------------------------- */

enum { ROWS = 64, IN = 4, WIDTH = 24 };
static const nn_lip_module modules[] = {
	{ .kind = NN_LIP_LINEAR, .out = WIDTH, .linear = { .coeff = 0.9 } },
	{ .kind = NN_LIP_ACT, .act = "lipswish", .beta = 10 },
	{ .kind = NN_LIP_LINEAR, .out = WIDTH, .linear = { .coeff = 0.8 } },
	{ .kind = NN_LIP_ACT, .act = "lipswish", .beta = 10 },
	{ .kind = NN_LIP_LINEAR, .linear = { .coeff = 0.9 } },
};
static const double coeff[] = { 0.9, 0, 0.8, 0, 0.9 };

/* Pulls the net towards three times its input: every weight grows against its bound. */
static ad_var loss(nn c, int n, const ad_var batch[], void *net)
{
	(void)n;
	ad_var y = nn_apply(net, nn_in(c, "g"), batch[0], NULL, IN);
	return ad_mean(ad_square(ad_sub(y, ad_scale(batch[0], 3))), AD_ALL);
}

static nn_trainer *averaging(nn_store *s, nn_net *net, double ema)
{
	nn_trainer *tr = nn_trainer_new(
		s, (nn_trainer_opt){ .inputs = 1,
				     .shape = { AD_SHAPE(AD_BATCH, IN) },
				     .dtype = { nn_dtype(s) },
				     .tasks = 1,
				     .task = { { .loss = loss,
						 .user = net,
						 .optim = { .rule = NN_ADAM, .lr = 0.02, .ema = ema } } } });
	if (!tr)
		fail_msg("%s", nn_error(s));
	return tr;
}

static nn_trainer *trainer(nn_store *s, nn_net *net)
{
	return averaging(s, net, 0);
}

/* The largest norm of a bounded weight divided by its coeff, with u and v as the store has them. */
static double worst_excess(nn_store *s)
{
	double worst = 0;
	for (int k = 0; k < 5; k += 2) {
		char name[64];
		double w[WIDTH * WIDTH], u[WIDTH], v[WIDTH], sigma = 0;
		snprintf(name, sizeof name, "g/%d/weight", k);
		nn_entry e = nn_at(s, nn_find(s, name));
		int64_t m = e.shape.dim[0], n = e.shape.dim[1];
		nn_get(s, name, w, m * n);
		snprintf(name, sizeof name, "g/%d/u", k);
		nn_get(s, name, u, m);
		snprintf(name, sizeof name, "g/%d/v", k);
		nn_get(s, name, v, n);
		for (int64_t i = 0; i < m; i++)
			for (int64_t j = 0; j < n; j++)
				sigma += u[i] * w[i * n + j] * v[j];
		worst = fmax(worst, largest_singular(m, n, w) / fmax(1, sigma / coeff[k]) / coeff[k]);
	}
	return worst;
}

static void certificate(void **state)
{
	(void)state;
	double x64[ROWS * IN];
	float x[ROWS * IN];
	normals(5, ROWS * IN, x64);
	for (int i = 0; i < ROWS * IN; i++)
		x[i] = (float)x64[i];
	nn_store *s = nn_store_new(AD_F32, 3), *again = nn_store_new(AD_F32, 4);
	nn_net net = nn_lipschitz(5, modules);
	assert_close(nn_lipschitz_bound(&net), 0.9 * 0.8 * 0.9, 1e-12);
	nn_trainer *tr = trainer(s, &net);
	assert_true(worst_excess(s) <= 1 + 1e-5); /* made with converged u and v */
	for (int k = 0; k < 150; k++) {
		nn_train_step(tr, 0, ROWS, (const void *[]){ x });
		if (nn_error(s))
			fail_msg("%s", nn_error(s));
		if (k % 10 == 9 && worst_excess(s) > 1 + 1e-2)
			fail_msg("after step %d a norm is %g of its bound", k + 1, worst_excess(s));
	}
	double trained = worst_excess(s), norm = 0, w[WIDTH * WIDTH];
	assert_true(trained > 0.99); /* the bound is met, so it was put to the test */
	nn_get(s, "g/2/weight", w, WIDTH * WIDTH);
	norm = largest_singular(WIDTH, WIDTH, w);
	assert_true(norm > 1); /* and without it the weight would be too large */
	/* After reload: the same u, v and W, so the same bits of the certificate. */
	char file[64];
	snprintf(file, sizeof file, "/tmp/test_lipschitz.%ld.h5", (long)getpid());
	hid_t f = H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
	assert_int_equal(nn_save(s, f), 0);
	assert_int_equal(nn_load(again, f), 0);
	H5Fclose(f);
	unlink(file);
	assert_true(worst_excess(again) == trained);
	/* Weights set by hand: stale until refreshed. */
	for (int i = 0; i < WIDTH * WIDTH; i++)
		w[i] = ad_noise_normal(9, 0, 0, (uint64_t)i);
	nn_set(again, "g/2/weight", w, WIDTH * WIDTH);
	assert_true(worst_excess(again) > 1.1);
	ad_tape *t = ad_tape_new(AD_F32);
	nn_apply(&net, nn_in(nn_begin(t, again, NN_EVAL), "g"), ad_input(t, AD_F32, AD_SHAPE(AD_BATCH, IN), "x"), NULL,
		 IN);
	assert_true(nn_refresh(again, t));
	assert_true(worst_excess(again) < 1 + 1e-2);
	ad_tape_free(t);
	nn_trainer_free(tr);
	nn_store_free(s);
	nn_store_free(again);
}

/* The average of the weights is bounded by u and v of its own; those of the weights come back with the same bits. */
static void averages(void **state)
{
	(void)state;
	double x[ROWS * IN], u[3][WIDTH];
	normals(5, ROWS * IN, x);
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_net net = nn_lipschitz(5, modules);
	nn_trainer *tr = averaging(s, &net, 0.99);
	for (int k = 0; k < 60; k++)
		nn_train_step(tr, 0, ROWS, (const void *[]){ x });
	for (int k = 0; k < 3; k++) {
		nn_get(s, "g/2/u", u[k], WIDTH);
		assert_true(worst_excess(s) < 1 + 1e-2);
		nn_ema_swap(tr);
		if (nn_error(s))
			fail_msg("%s", nn_error(s));
	}
	assert_memory_equal(u[0], u[2], sizeof u[0]);
	assert_memory_not_equal(u[0], u[1], sizeof u[0]);
	nn_trainer_free(tr); /* while swapped */
	nn_store_free(s);
}

/* No pair of points is stretched by more than the bound, for the net of each kind. */
static void contracts(void **state)
{
	(void)state;
	static const nn_lip_module dense[] = {
		{ .kind = NN_LIP_DENSE, .out = 6, .linear = { .coeff = 0.95 } },
		{ .kind = NN_LIP_DENSE, .out = 6, .act = "clipswish", .beta = 5, .linear = { .coeff = 0.95 } },
		{ .kind = NN_LIP_LINEAR, .linear = { .coeff = 0.95 } },
	};
	double x[2 * ROWS * IN], y[2 * ROWS * IN];
	normals(8, 2 * ROWS * IN, x);
	for (int k = 0; k < 2; k++) {
		nn_net net = k ? nn_lipschitz(3, dense) : nn_lipschitz(5, modules);
		nn_store *s = nn_store_new(AD_F64, 6);
		ad_tape *t = ad_tape_new(AD_F64);
		ad_var in = ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, IN), "x");
		ad_var out = nn_apply(&net, nn_in(nn_begin(t, s, NN_EVAL), "g"), in, NULL, IN);
		evaluate(s, t, in, x, 2 * ROWS, out, y);
		double worst = 0;
		for (int i = 0; i < ROWS; i++) {
			double dx = 0, dy = 0;
			for (int j = 0; j < IN; j++) {
				dx += pow(x[2 * i * IN + j] - x[(2 * i + 1) * IN + j], 2);
				dy += pow(y[2 * i * IN + j] - y[(2 * i + 1) * IN + j], 2);
			}
			worst = fmax(worst, sqrt(dy / dx));
		}
		assert_true(worst <= nn_lipschitz_bound(&net) && worst > 0.01);
		ad_tape_free(t);
		nn_store_free(s);
	}
}

/* Learned norms start at p = 1.5 and move so that the norm falls; neighbours share one. */
static void learned_norms(void **state)
{
	(void)state;
	nn_lip_module m[3] = {
		{ .kind = NN_LIP_LINEAR, .out = WIDTH, .linear = { .learned_domain = 1, .learned_codomain = 2 } },
		{ .kind = NN_LIP_ACT, .act = "tanh" },
		{ .kind = NN_LIP_LINEAR, .linear = { .learned_domain = 2, .learned_codomain = 1 } }
	};
	nn_net net = nn_lipschitz(3, m);
	assert_close(nn_lipschitz_bound(&net), 0.81, 1e-12);
	nn_store *s = nn_store_new(AD_F64, 3);
	nn_trainer *tr = trainer(s, &net);
	double x[ROWS * IN], r[2], first = 0, last = 0;
	normals(5, ROWS * IN, x);
	for (int k = 0; k < 60; k++) {
		last = nn_train_step(tr, 0, ROWS, (const void *[]){ x });
		if (nn_error(s))
			fail_msg("%s", nn_error(s));
		first = k ? first : last;
	}
	nn_get(s, "g/norm_1", &r[0], 1);
	nn_get(s, "g/norm_2", &r[1], 1);
	assert_true(fabs(r[0]) > 0.05 && fabs(r[1]) > 0.05 && isfinite(r[0]) && isfinite(r[1]));
	assert_true(last < first);
	nn_trainer_free(tr);
	nn_store_free(s);
	m[2].linear.learned_domain = 3; /* another norm than the one before it ends in */
	assert_true(isinf(nn_lipschitz_bound(&net)));
}

static void refusals(void **state)
{
	(void)state;
	static const struct {
		nn_lip_module m;
		const char *says;
	} bad[] = { { { .kind = NN_LIP_ACT, .act = "concat_elu" },
		      "no activation of known Lipschitz constant is named \"concat_elu\"" },
		    { { .kind = NN_LIP_LINEAR, .linear = { .coeff = -1 } }, "coeff must be positive" },
		    { { .kind = NN_LIP_LINEAR, .linear = { .domain = 0.5 } }, "1 to infinity" },
		    { { .kind = NN_LIP_LINEAR, .linear = { .iterations = -1 } }, "iterations must not be negative" } };
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
		nn_net net = nn_lipschitz(1, &bad[k].m);
		nn_store *s = nn_store_new(AD_F64, 1);
		ad_tape *t = ad_tape_new(AD_F64);
		nn_apply(&net, nn_in(nn_begin(t, s, NN_EVAL), "g"), ad_input(t, AD_F64, AD_SHAPE(AD_BATCH, IN), "x"),
			 NULL, IN);
		assert_non_null(ad_error(t));
		if (!strstr(ad_error(t), bad[k].says))
			fail_msg("\"%s\" lacks \"%s\"", ad_error(t), bad[k].says);
		ad_tape_free(t);
		nn_store_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(norms),	     cmocka_unit_test(certificate),
					    cmocka_unit_test(averages),	     cmocka_unit_test(contracts),
					    cmocka_unit_test(learned_norms), cmocka_unit_test(refusals) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
