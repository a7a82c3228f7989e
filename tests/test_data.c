/* test_data.c - data sets, batches, generated densities and saving */
#include "scratch.h"

#include <math.h>
#include <sys/stat.h>

#define ROWS 103

/* rows x 2 with row r = (r, r^2 + shift). */
static void put_rows(const char *name, int rows, double shift)
{
	double *x = malloc(sizeof *x * 2 * (size_t)rows);
	lab_err err;
	for (int r = 0; r < rows; r++) {
		x[2 * r] = r;
		x[2 * r + 1] = r * r + shift;
	}
	assert_int_equal(lab_save(in_dir(name), "x", rows, 2, x, &err), 0);
	free(x);
}

static void mark(const lab_table *t, int seen[ROWS])
{
	for (int64_t r = 0; r < t->rows; r++) {
		int k = (int)t->x[2 * r];
		assert_true(t->x[2 * r + 1] == k * k);
		seen[k]++;
	}
}

static lab_dataset *opened(const char *what, lab_data_opt o)
{
	lab_err err = { "" };
	lab_dataset *d = lab_dataset_open(what, o, &err);
	if (!d)
		fail_msg("%s", err.text);
	return d;
}

static void split_is_a_partition(void **state)
{
	(void)state;
	put_rows("s.npy", ROWS, 0);
	lab_dataset *d[3] = { opened(in_dir("s.npy"), (lab_data_opt){ .split_seed = 1 }),
		              opened(in_dir("s.npy"), (lab_data_opt){ .split_seed = 1 }),
		              opened(in_dir("s.npy"), (lab_data_opt){ .split_seed = 2, .test_fraction = 0.25 }) };
	assert_int_equal(d[0]->test->rows, 10);
	assert_int_equal(d[0]->val->rows, 9);
	assert_int_equal(d[2]->test->rows, 26);
	for (int k = 0; k < 3; k++) {
		int seen[ROWS] = { 0 };
		mark(d[k]->train, seen);
		mark(d[k]->val, seen);
		mark(d[k]->test, seen);
		for (int r = 0; r < ROWS; r++)
			assert_int_equal(seen[r], 1);
	}
	assert_memory_equal(d[0]->train->x, d[1]->train->x, sizeof(double) * 2 * (size_t)d[0]->train->rows);
	assert_true(d[0]->test_hash == d[1]->test_hash && d[0]->test_hash != d[2]->test_hash);
	double m = 0, v = 0;
	const lab_table *t = d[0]->train;
	for (int64_t r = 0; r < t->rows; r++)
		m += (t->x[2 * r] - d[0]->mean[0]) / d[0]->sd[0] / (double)t->rows;
	for (int64_t r = 0; r < t->rows; r++)
		v += pow((t->x[2 * r] - d[0]->mean[0]) / d[0]->sd[0], 2) / (double)t->rows;
	assert_true(fabs(m) < 1e-12 && fabs(v - 1) < 1e-12);
	assert_true(isnan(d[0]->entropy) && !d[0]->generated);
	for (int k = 0; k < 3; k++)
		lab_dataset_free(d[k]);
}

static void set_refused(const char *what, lab_data_opt o, const char *says)
{
	lab_err err = { "" };
	if (lab_dataset_open(what, o, &err))
		fail_msg("%s was accepted where '%s' was expected", what, says);
	if (!strstr(err.text, says) || strchr(err.text, '\n'))
		fail_msg("message '%s' lacks '%s'", err.text, says);
}

static void bad_data_sets(void **state)
{
	(void)state;
	lab_data_opt none = { 0 };
	set_refused("8gausians", none, "no such file, folder or density (densities: 8gaussians, checkerboard");
	set_refused(in_dir("none.csv"), none, "cannot be opened");
	put_text("c.csv", "1,5,1\n2,5,2\n3,5,4\n4,5,8\n5,5,16\n6,5,32\n");
	set_refused(in_dir("c.csv"), none, "column 2 is constant (5 in every training row)");
	set_refused(in_dir("c.csv"), (lab_data_opt){ .drop = "4" }, "columns to drop '4': wanted numbers from 1 to 3");
	set_refused(in_dir("c.csv"), (lab_data_opt){ .drop = "2-x" }, "columns to drop '2-x'");
	set_refused(in_dir("c.csv"), (lab_data_opt){ .drop = "1-3" }, "none would be left");
	set_refused(in_dir("c.csv"), (lab_data_opt){ .drop = "1" }, "column 2 is constant");
	set_refused(in_dir("c.csv"), (lab_data_opt){ .drop = "1-2", .columns = "3:bounded[0,20]" }, "row 6, column 3 holds 32");
	set_refused(in_dir("c.csv"), (lab_data_opt){ .test_fraction = 1 }, "fractions");
	lab_dataset *d = opened(in_dir("c.csv"), (lab_data_opt){ .drop = "2" });
	assert_int_equal(d->train->cols, 2);
	assert_true(d->train->x[1] == exp2(d->train->x[0] - 1));
	lab_dataset_free(d);
	put_text("few.csv", "1,2\n3,4\n5,7\n");
	set_refused(in_dir("few.csv"), none, "3 rows are too few to split");
	put_text("large.csv", "1e308,2\n-1e308,4\n1.1e308,7\n1e307,2\n1,2\n2,3\n");
	set_refused(in_dir("large.csv"), none, "too large to standardise");
}

static void folders(void **state)
{
	(void)state;
	char folder[256];
	snprintf(folder, sizeof folder, "%s/f", dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	put_rows("f/train.npy", 30, 0);
	set_refused(folder, (lab_data_opt){ 0 }, "no file val");
	put_rows("f/val.csv", 20, 1);
	put_rows("f/test.h5", 10, 2);
	lab_dataset *d = opened(folder, (lab_data_opt){ 0 });
	assert_true(d->train->rows == 30 && d->val->rows == 20 && d->test->rows == 10);
	assert_true(d->train->x[1] == 0 && d->val->x[1] == 1 && d->test->x[1] == 2);
	lab_dataset_free(d);
	put_rows("f/test.npy", 10, 2);
	set_refused(folder, (lab_data_opt){ 0 }, "two test files");
	unlink(in_dir("f/test.npy"));
	put_text("f/test.csv", "1\n2\n");
	unlink(in_dir("f/test.h5"));
	set_refused(folder, (lab_data_opt){ 0 }, "has 1 columns, the training file 2");
}

static void batches(void **state)
{
	(void)state;
	double x[2 * ROWS], out[20], again[20];
	float narrow[20];
	for (int r = 0; r < ROWS; r++)
		x[2 * r] = r, x[2 * r + 1] = -r;
	lab_table t = { .rows = ROWS, .cols = 2, .x = x };
	lab_batches b, c;
	double mean[2] = { 1, 0 }, sd[2] = { 2, 1 };
	lab_scale scale = { mean, sd, NULL };
	lab_batches_init(&b, &t, 10, 7, NULL);
	lab_batches_init(&c, &t, 10, 7, &scale);
	assert_int_equal(lab_batches_per_epoch(&b), 10);
	int moved = 0;
	for (int epoch = 0; epoch < 3; epoch++) {
		int seen[ROWS] = { 0 };
		for (int s = 0; s < 10; s++) {
			assert_int_equal(lab_batch_at(&b, epoch * 10 + s, out, false), 10);
			for (int r = 0; r < 10; r++) {
				assert_true(out[2 * r + 1] == -out[2 * r]);
				assert_int_equal(seen[(int)out[2 * r]]++, 0);
				moved += out[2 * r] != epoch * 100 + s * 10 + r;
			}
		}
	}
	assert_true(moved > 200);
	/* Any step, in any order, from a fresh object: the same rows. */
	lab_batch_at(&b, 23, out, false);
	lab_batch_at(&c, 5, again, false);
	lab_batch_at(&c, 23, again, false);
	lab_batch_at(&c, 23, narrow, true);
	for (int k = 0; k < 20; k++) {
		assert_true(again[k] == (out[k] - mean[k % 2]) / sd[k % 2]);
		assert_true(narrow[k] == (float)again[k]);
	}
	lab_batches_free(&b);
	lab_batches_init(&b, &t, 1000, 7, NULL);
	double all[2 * ROWS];
	assert_int_equal(lab_batches_per_epoch(&b), 1);
	assert_int_equal(lab_batch_at(&b, 4, all, false), ROWS);
	lab_rows(&t, 3, 5, &scale, out, false, NULL);
	assert_true(out[0] == 1 && out[1] == -3 && out[2] == 1.5 && out[3] == -4);
	lab_batches_free(&b);
	lab_batches_free(&c);
}

#define SIDE 320
#define DRAWN 400000

/* From counts in square cells, their bias taken off (Miller-Madow). */
static double counted(const double *x, int64_t n, double cell)
{
	static unsigned count[SIDE * SIDE];
	double h = 0;
	int cells = 0;
	memset(count, 0, sizeof count);
	for (int64_t i = 0; i < n; i++)
		count[(int)(x[2 * i + 1] / cell + SIDE / 2) * SIDE + (int)(x[2 * i] / cell + SIDE / 2)]++;
	for (int k = 0; k < SIDE * SIDE; k++)
		if (count[k]) {
			h -= count[k] * log(count[k] / (double)n) / (double)n;
			cells++;
		}
	return h + 2 * log(cell) + (cells - 1) / (2.0 * (double)n);
}

/* The error of the cell's size is of second order. */
static double entropy_of(const double *x, int64_t n)
{
	return (4 * counted(x, n, 0.05) - counted(x, n, 0.1)) / 3;
}

static void densities(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		double mean[2], sd[2];
	} known[] = {
		{ "8gaussians", { 0, 0 }, { 2.031, 2.031 } },   { "checkerboard", { 0, 0 }, { 2.309, 2.309 } },
		{ "2spirals", { 0, 0 }, { 1.610, 1.584 } },     { "pinwheel", { 0, 0 }, { 1.483, 1.483 } },
		{ "swissroll", { 0.4, 0.0425 }, { 1.339, 1.404 } }, { "circles", { 0, 0 }, { 1.694, 1.694 } },
		{ "rings", { 0, 0 }, { 1.454, 1.454 } },        { "moons", { 0, 0.3 }, { 1.744, 1.008 } },
	};
	double *x = malloc(sizeof *x * 2 * DRAWN);
	int n = 0;
	while (lab_densities[n].name)
		n++;
	assert_int_equal(n, 8);
	for (int k = 0; k < n; k++) {
		const lab_density *p = lab_density_named(known[k].name);
		assert_non_null(p);
		for (int64_t i = 0; i < DRAWN; i++)
			p->draw(11, (uint64_t)i, x + 2 * i);
		for (int c = 0; c < 2; c++) {
			double m = 0, v = 0;
			for (int64_t i = 0; i < DRAWN; i++)
				m += x[2 * i + c] / DRAWN;
			for (int64_t i = 0; i < DRAWN; i++)
				v += (x[2 * i + c] - m) * (x[2 * i + c] - m) / DRAWN;
			if (fabs(m - known[k].mean[c]) > 0.02 || fabs(sqrt(v) - known[k].sd[c]) > 0.01)
				fail_msg("%s axis %d: mean %g, sd %g", p->name, c, m, sqrt(v));
		}
		double h = entropy_of(x, DRAWN);
		if (fabs(h - p->entropy) > 0.01)
			fail_msg("%s: entropy %.4f, expected %.4f", p->name, h, p->entropy);
	}
	free(x);
	assert_null(lab_density_named("line"));
}

static void generated_data(void **state)
{
	(void)state;
	lab_data_opt o = { .split_seed = 3, .n_train = 50, .n_val = 20, .n_test = 30 }, more = o;
	more.n_train = 500;
	lab_dataset *a = opened("moons", o), *b = opened("moons", more);
	assert_true(a->generated && a->entropy == lab_density_named("moons")->entropy);
	assert_int_equal(a->train->rows, 50);
	assert_true(a->test_hash == b->test_hash);
	assert_memory_equal(a->train->x, b->train->x, 100 * sizeof(double));
	for (int k = 0; k < 30; k++)
		assert_true(a->test->x[2 * k] != a->train->x[2 * k] && a->test->x[2 * k] != a->val->x[2 * (k % 20)]);
	lab_dataset_free(a);
	lab_dataset_free(b);
}

static void round_trips(void **state)
{
	(void)state;
	static const double x[6] = { 1.0 / 3, -2.5e-300, 3e300, 0, 5, -6.02214076e23 };
	static const char *const name[] = { "r.csv", "r.npy", "r.h5", "r.txt" };
	lab_err err = { "" };
	for (int k = 0; k < 4; k++) {
		assert_int_equal(lab_save(in_dir(name[k]), "group/x", 3, 2, x, &err), 0);
		lab_table *t = lab_load(in_dir(name[k]), NULL, &err);
		if (!t)
			fail_msg("%s", err.text);
		assert_true(t->rows == 3 && t->cols == 2);
		assert_memory_equal(t->x, x, sizeof x);
		lab_table_free(t);
	}
	assert_int_equal(lab_save(in_dir("r.doc"), "x", 3, 2, x, &err), -1);
	assert_non_null(strstr(err.text, "unknown ending"));
	assert_int_equal(lab_save(in_dir("none/r.npy"), "x", 3, 2, x, &err), -1);
	assert_non_null(strstr(err.text, "none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_is_a_partition), cmocka_unit_test(bad_data_sets), cmocka_unit_test(folders),
		cmocka_unit_test(batches),              cmocka_unit_test(densities),     cmocka_unit_test(generated_data),
		cmocka_unit_test(round_trips),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
