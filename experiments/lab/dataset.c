/* dataset.c - a file, a folder or a density as standardised training, validation and test tables */
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "columns.h"
#include "load.h"
#include "memory.h"
#include "shuffle.h"

static lab_table *pick_rows(const lab_table *t, const int64_t *order, int64_t n, lab_err *err)
{
	lab_table *s = lab__table(t->source, n, t->cols, err);
	for (int64_t r = 0; s && r < n; r++)
		memcpy(s->x + r * t->cols, t->x + order[r] * t->cols, (size_t)t->cols * sizeof *t->x);
	if (s && t->number) {
		s->number = lab_alloc((size_t)t->cols, sizeof *s->number);
		memcpy(s->number, t->number, (size_t)t->cols * sizeof *s->number);
	}
	return s;
}

/* Kinds are declared for the columns of the file; those dropped must not be among them. */
static bool type_columns(lab_dataset *d, int64_t cols, lab_data_opt o, lab_err *err)
{
	int64_t n = 0;
	if (d->column || !o.columns || !*o.columns)
		return true;
	d->column = calloc((size_t)cols, sizeof *d->column);
	bool *gone = calloc((size_t)cols, sizeof *gone), good = d->column && gone;
	good = good && lab_columns_parse(d->source, o.columns, cols, d->column, err) &&
	       (!o.drop || lab_columns_dropped(d->source, o.drop, cols, gone, err));
	for (int64_t c = 0; good && c < cols; c++) {
		if (gone[c] && d->column[c].kind != LAB_COLUMN_REAL)
			good = lab__fail(err, d->source, "column %" PRId64 " is dropped, but has a kind in '%s'", c + 1, o.columns);
		if (!gone[c])
			d->column[n++] = d->column[c];
	}
	free(gone);
	return good;
}

/* The table without the columns to leave out, if its values are such as their columns can have; otherwise it is freed. */
static lab_table *accepted(lab_dataset *d, lab_table *t, lab_data_opt o, lab_err *err)
{
	if (t && type_columns(d, t->cols, o, err) && lab_table_drop(t, o.drop, err) && !lab_columns_check(d->column, t, err))
		return t;
	lab_table_free(t);
	return NULL;
}

lab_scale lab_dataset_scale(const lab_dataset *d)
{
	return (lab_scale){ d->mean, d->sd, d->column };
}

static bool split_file(lab_dataset *d, const char *path, lab_data_opt o, lab_err *err)
{
	lab_table *t = accepted(d, lab_load(path, o.array, err), o, err);
	if (!t)
		return false;
	double ft = o.test_fraction > 0 ? o.test_fraction : 0.1, fv = o.val_fraction > 0 ? o.val_fraction : 0.1;
	int64_t n = t->rows, nt = (int64_t)llround(ft * (double)n), nv = (int64_t)llround(fv * (double)(n - nt));
	nt += nt == 0;
	nv += nv == 0;
	if (n - nt - nv < 2) {
		lab__fail(err, path, "%" PRId64 " rows are too few to split into training, validation and test", n);
		lab_table_free(t);
		return false;
	}
	int64_t *order = lab__order_new(n);
	lab__shuffle(order, n, o.split_seed, 0, "lab/split");
	d->test = pick_rows(t, order, nt, err);
	d->val = d->test ? pick_rows(t, order + nt, nv, err) : NULL;
	d->train = d->val ? pick_rows(t, order + nt + nv, n - nt - nv, err) : NULL;
	free(order);
	lab_table_free(t);
	return d->train != NULL;
}

/* The one file called PART.something in the folder. */
static bool find_part(const char *folder, const char *part, char path[], size_t size, lab_err *err)
{
	DIR *dir = opendir(folder);
	char found[256] = "", other[256] = "";
	if (!dir) {
		lab__fail(err, folder, "the folder cannot be read");
		return false;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		size_t n = strlen(part);
		if (!strncmp(e->d_name, part, n) && e->d_name[n] == '.')
			snprintf(*found ? other : found, sizeof found, "%s", e->d_name);
	}
	closedir(dir);
	if (!*found)
		lab__fail(err, folder, "the folder has no file %s.npy, %s.csv or the like", part, part);
	else if (*other)
		lab__fail(err, folder, "the folder has two %s files: %s and %s", part, found, other);
	snprintf(path, size, "%s/%s", folder, found);
	return *found && !*other;
}

static bool load_folder(lab_dataset *d, const char *folder, lab_data_opt o, lab_err *err)
{
	static const char *const part[] = { "train", "val", "test" };
	lab_table **t[] = { &d->train, &d->val, &d->test };
	char path[4096];
	int64_t cols = 0;
	for (int k = 0; k < 3; k++) {
		if (!find_part(folder, part[k], path, sizeof path, err))
			return false;
		lab_table *file = lab_load(path, o.array, err);
		cols = k || !file ? cols : file->cols;
		if (file && file->cols != cols) {
			lab__fail(err, path, "has %" PRId64 " columns, the training file %" PRId64, file->cols, cols);
			lab_table_free(file);
			return false;
		}
		*t[k] = accepted(d, file, o, err);
		if (!*t[k])
			return false;
	}
	return true;
}

/* Test points do not depend on how many are drawn for training. */
static bool draw(lab_dataset *d, const lab_density *p, lab_data_opt o, lab_err *err)
{
	int64_t n[] = { o.n_train > 0 ? o.n_train : 100000, o.n_val > 0 ? o.n_val : 10000, o.n_test > 0 ? o.n_test : 20000 };
	lab_table **t[] = { &d->train, &d->val, &d->test };
	for (int k = 0; k < 3; k++) {
		if (n[k] > INT64_MAX / 64 || !(*t[k] = lab__table(p->name, n[k], 2, err)))
			return false;
		for (int64_t r = 0; r < n[k]; r++)
			p->draw(o.split_seed, (uint64_t)k << 40 | (uint64_t)r, (*t[k])->x + 2 * r);
		*t[k] = accepted(d, *t[k], o, err);
		if (!*t[k])
			return false;
	}
	d->generated = true;
	d->entropy = p->entropy;
	return true;
}

/* After the bijection of its column, discrete values in the middle of their cells. */
static double unbound(const lab_dataset *d, double x, int64_t c)
{
	double logdet = 0;
	return d->column ? lab_column_forward(&d->column[c], x, 0.5, &logdet) : x;
}

static bool fit(lab_dataset *d, lab_err *err)
{
	const lab_table *t = d->train;
	int64_t n = t->rows, cols = t->cols;
	d->mean = calloc((size_t)cols, sizeof *d->mean);
	d->sd = calloc((size_t)cols, sizeof *d->sd);
	if (!d->mean || !d->sd)
		return lab__fail(err, d->source, "not enough memory for %" PRId64 " columns", cols);
	for (int64_t i = 0; i < n * cols; i++)
		d->mean[i % cols] += unbound(d, t->x[i], i % cols);
	for (int64_t c = 0; c < cols; c++)
		d->mean[c] /= (double)n;
	for (int64_t i = 0; i < n * cols; i++) {
		double e = unbound(d, t->x[i], i % cols) - d->mean[i % cols];
		d->sd[i % cols] += e * e;
	}
	for (int64_t c = 0; c < cols; c++) {
		int64_t r = 1;
		while (r < n && t->x[r * cols + c] == t->x[c])
			r++;
		if (r == n)
			return lab__fail(err, d->source, "column %" PRId64 " is constant (%g in every training row); drop it",
			                 lab_column_number(t, c), t->x[c]);
		d->sd[c] = sqrt(d->sd[c] / (double)n);
		if (!isfinite(d->mean[c]) || !isnormal(d->sd[c]))
			return lab__fail(err, d->source, "column %" PRId64 " is too %s to standardise (mean %g, sd %g)",
			                 lab_column_number(t, c), d->sd[c] < 1 ? "narrow" : "large", d->mean[c], d->sd[c]);
	}
	return true;
}

/* FNV-1a over the values as little-endian doubles. */
static uint64_t hash_rows(const lab_table *t)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (int64_t i = 0; i < t->rows * t->cols; i++) {
		uint64_t v;
		memcpy(&v, &t->x[i], sizeof v);
		for (int k = 0; k < 8; k++, v >>= 8)
			h = (h ^ (v & 255)) * 0x100000001b3u;
	}
	return h;
}

static bool load_any(lab_dataset *d, const char *what, lab_data_opt o, lab_err *err)
{
	const lab_density *p = lab_density_named(what);
	struct stat st;
	char names[200] = "";
	if (o.test_fraction < 0 || o.test_fraction >= 1 || o.val_fraction < 0 || o.val_fraction >= 1)
		return lab__fail(err, what, "the fractions of test and validation rows must lie between 0 and 1");
	if (p)
		return draw(d, p, o, err);
	if (!stat(what, &st))
		return S_ISDIR(st.st_mode) ? load_folder(d, what, o, err) : split_file(d, what, o, err);
	if (strpbrk(what, "/.:"))
		return split_file(d, what, o, err);
	for (p = lab_densities; p->name; p++)
		lab__list(names, sizeof names, p->name);
	return lab__fail(err, what, "no such file, folder or density (densities: %s)", names);
}

lab_dataset *lab_dataset_open(const char *what, lab_data_opt o, lab_err *err)
{
	lab_dataset *d = calloc(1, sizeof *d);
	if (!d)
		return lab__fail(err, what, "not enough memory");
	snprintf(d->source, sizeof d->source, "%s", what);
	d->split_seed = o.split_seed;
	d->entropy = NAN;
	bool good = load_any(d, what, o, err);
	if (good && d->column)
		lab_columns_cut(d->column, d->train);
	if (!good || !fit(d, err)) {
		lab_dataset_free(d);
		return NULL;
	}
	d->test_hash = hash_rows(d->test);
	d->train_hash = hash_rows(d->train);
	d->val_hash = hash_rows(d->val);
	return d;
}

void lab_dataset_free(lab_dataset *d)
{
	if (!d)
		return;
	lab_table_free(d->train);
	lab_table_free(d->val);
	lab_table_free(d->test);
	free(d->mean);
	free(d->sd);
	free(d->column);
	free(d);
}
