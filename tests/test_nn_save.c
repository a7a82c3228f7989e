/* test_nn_save.c - files: equal bits after loading, equal bits after going on, what is refused. */
#include "nn_help.h"

#include <unistd.h>

enum { ROWS = 32, IN = 4 };

static char file[64];
static double data_x[ROWS * IN];

static int set_up(void **state)
{
	(void)state;
	snprintf(file, sizeof file, "/tmp/test_nn_save.%ld.h5", (long)getpid());
	normals(1, ROWS * IN, data_x);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(file);
	return 0;
}

/* Everything that must be carried over: dropout noise, running statistics, random masks, values from data. */
static ad_var loss(nn c, int n, const ad_var batch[], void *user)
{
	(void)n, (void)user;
	nn_net made = nn_made(12, 1), net = nn_resnet(8, 1);
	made.random_degrees = true;
	net.batch_norm = true;
	net.dropout = 0.2;
	ad_var h = nn_apply(&made, nn_in(c, "made"), batch[0], NULL, IN);
	h = ad_mul(h, nn_param_from(c, "scale", ad_reciprocal(ad_mean(ad_square(h), AD_AXIS(0)))));
	return ad_mean(ad_square(ad_shift(nn_apply(&net, nn_in(c, "net"), h, NULL, 1), -1)), AD_ALL);
}

static nn_trainer *trainer(nn_store *s, int accumulate)
{
	nn_trainer_opt o = { .inputs = 1,
		             .shape = { AD_SHAPE(AD_BATCH, IN) },
		             .dtype = { nn_dtype(s) },
		             .tasks = 1,
		             .task = { { .loss = loss,
		                         .optim = { .rule = NN_ADAM, .amsgrad = true, .ema = 0.9, .accumulate = accumulate },
		                         .schedule = { .kind = NN_PLATEAU, .patience = 1, .warmup = 3 } } } };
	nn_trainer *tr = nn_trainer_new(s, o);
	if (!tr)
		fail_msg("%s", nn_error(s));
	return tr;
}

static void train(nn_trainer *tr, int from, int to)
{
	float x[ROWS * IN];
	for (int i = 0; i < ROWS * IN; i++)
		x[i] = (float)data_x[i];
	for (int t = from; t < to; t++) {
		if (t % 3 == 1)
			nn_report(tr, 0, t > 5);
		nn_train_step(tr, 0, ROWS / 2, (const void *const[]){ x + t % 2 * (ROWS / 2) * IN });
	}
}

static void save(nn_store *s, nn_trainer *tr)
{
	hid_t f = H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
	hid_t g = H5Gcreate2(f, "store", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	if (nn_save(s, g))
		fail_msg("%s", nn_error(s));
	H5Gclose(g);
	if (tr) {
		g = H5Gcreate2(f, "trainer", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		if (nn_trainer_save(tr, g))
			fail_msg("%s", nn_error(s));
		H5Gclose(g);
	}
	assert_true(H5Fclose(f) >= 0);
}

static int load(nn_store *s, nn_trainer *tr)
{
	hid_t f = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT);
	hid_t g = H5Gopen2(f, "store", H5P_DEFAULT);
	int r = nn_load(s, g);
	H5Gclose(g);
	if (tr && !r) {
		g = H5Gopen2(f, "trainer", H5P_DEFAULT);
		r = nn_trainer_load(tr, g);
		H5Gclose(g);
	}
	H5Fclose(f);
	return r;
}

static void assert_same(const nn_store *a, const nn_store *b)
{
	assert_int_equal(nn_count(a), nn_count(b));
	for (int i = 0; i < nn_count(a); i++) {
		nn_entry x = nn_at(a, i), y = nn_at(b, i);
		assert_string_equal(x.name, y.name);
		assert_true(x.ready && y.ready && x.trained == y.trained && ad_shape_eq(x.shape, y.shape));
		assert_memory_equal(x.value, y.value, (size_t)x.numel * 4);
	}
}

/* Interrupted after 7 calls (a sum of gradients pending), resumed by a process that begins with other values: the
 * store is loaded before the trainer is made, or after. */
static void goes_on(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		nn_store *a = nn_store_new(AD_F32, 11), *b = nn_store_new(AD_F32, 11), *c = nn_store_new(AD_F32, 99);
		nn_trainer *whole = trainer(a, 2), *part = trainer(b, 2), *rest;
		train(whole, 0, 20);
		train(part, 0, 7);
		save(b, part);
		if (before && load(c, NULL))
			fail_msg("%s", nn_error(c));
		rest = trainer(c, 2);
		if (load(c, rest))
			fail_msg("%s", nn_error(c));
		assert_same(b, c);
		train(rest, 7, 20);
		assert_null(nn_error(a));
		assert_null(nn_error(c));
		assert_same(a, c);
		assert_true(nn_lr(whole, 0) == nn_lr(rest, 0) && nn_lr(whole, 0) < 1e-3);
		assert_int_equal(nn_step_count(rest, 0), 10);
		nn_ema_swap(whole);
		nn_ema_swap(rest);
		assert_same(a, c);
		nn_trainer_free(whole);
		nn_trainer_free(part);
		nn_trainer_free(rest);
		nn_store_free(a);
		nn_store_free(b);
		nn_store_free(c);
	}
}

static void spoil(const char *what, const char *name)
{
	hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT), g = H5Gopen2(f, "store", H5P_DEFAULT);
	if (!strcmp(what, "delete")) {
		H5Ldelete(g, name, H5P_DEFAULT);
	} else if (!strcmp(what, "attribute")) {
		hid_t d = H5Dopen2(g, name, H5P_DEFAULT);
		H5Adelete(d, "ready");
		H5Dclose(d);
	} else if (!strcmp(what, "entries")) {
		H5Adelete(g, "entries");
	} else {
		hsize_t dim[2] = { 3, 2 };
		int v[6] = { 0 };
		hid_t space = H5Screate_simple(2, dim, NULL);
		hid_t type = strcmp(what, "integers") ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT;
		hid_t d, old = H5Dopen2(g, name, H5P_DEFAULT);
		H5Ldelete(g, name, H5P_DEFAULT);
		d = H5Dcreate2(g, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		const char *attr[] = { "index", "trained", "ready" };
		hid_t scalar = H5Screate(H5S_SCALAR);
		for (int i = 0; i < 3; i++) {
			hid_t a = H5Acreate2(d, attr[i], H5T_NATIVE_INT, scalar, H5P_DEFAULT, H5P_DEFAULT);
			H5Awrite(a, H5T_NATIVE_INT, v);
			H5Aclose(a);
		}
		H5Sclose(scalar);
		H5Sclose(space);
		H5Dclose(old);
		H5Dclose(d);
	}
	H5Gclose(g);
	H5Fclose(f);
}

static void refusals(void **state)
{
	(void)state;
	double v[6] = { 1, 2, 3, 4, 5, 6 };
	struct {
		const char *what, *name, *error;
	} row[] = {
		{ "delete", "net/weight", "there is no dataset \"net/weight\"" },
		{ "shape", "net/weight", "dataset \"net/weight\": it has shape [3, 2], but the store [2, 3]" },
		{ "integers", "net/bias", "dataset \"net/bias\": it does not hold reals" },
		{ "attribute", "net/bias", "it lacks the attributes" },
		{ "entries", "", "the group holds no saved store" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		nn_store *s = nn_store_new(AD_F64, 1);
		nn_put(s, "net/weight", AD_SHAPE(2, 3), true, v);
		nn_put(s, "net/bias", AD_SHAPE(2), true, v);
		save(s, NULL);
		spoil(row[i].what, row[i].name);
		double other[6] = { 0 }, w[6];
		nn_set(s, "net/weight", other, 6);
		assert_int_equal(load(s, NULL), -1);
		if (!strstr(nn_error(s), row[i].error))
			fail_msg("the error is \"%s\", it should say \"%s\"", nn_error(s), row[i].error);
		nn_clear_error(s);
		nn_get(s, "net/weight", w, 6);
		assert_memory_equal(w, other, sizeof w); /* all or nothing */
		nn_store_free(s);
	}
	nn_store *s = nn_store_new(AD_F64, 1), *narrow = nn_store_new(AD_F32, 1);
	nn_put(s, "w", AD_SHAPE(2, 3), true, v);
	save(s, NULL);
	assert_int_equal(load(narrow, NULL), -1);
	assert_non_null(strstr(nn_error(narrow), "it holds f64, but the store f32"));
	nn_store_free(s);
	nn_store_free(narrow);
}

static void other_trainers_file(void **state)
{
	(void)state;
	nn_store *a = nn_store_new(AD_F32, 1), *b = nn_store_new(AD_F32, 1);
	nn_trainer *x = trainer(a, 2), *y = trainer(b, 1);
	train(x, 0, 2);
	save(a, x);
	assert_int_equal(load(b, y), 0); /* the sum of gradients is not needed */
	nn_trainer_free(y);
	hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT), g = H5Gopen2(f, "trainer", H5P_DEFAULT);
	H5Ldelete(g, "task_0/average", H5P_DEFAULT);
	H5Gclose(g);
	H5Fclose(f);
	y = trainer(b, 2);
	assert_int_equal(load(b, y), -1);
	assert_string_equal(nn_error(b), "nn_trainer_load: \"task_0/average\" is missing or has another size");
	nn_trainer_free(x);
	nn_trainer_free(y);
	nn_store_free(a);
	nn_store_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on),
		cmocka_unit_test(refusals),
		cmocka_unit_test(other_trainers_file),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
