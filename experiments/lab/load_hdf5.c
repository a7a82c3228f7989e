/* load_hdf5.c - one numeric dataset of an HDF5 file */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "h5.h"
#include "load.h"

typedef struct {
	int all, tables; /* numeric datasets; those of rank 2 */
	char only[256], table[256], names[160];
} survey;

/* Numbers, and enumerations of one byte (h5py's bool). */
static bool numeric(hid_t dataset)
{
	hid_t type = H5Dget_type(dataset);
	H5T_class_t c = H5Tget_class(type);
	bool yes = c == H5T_INTEGER || c == H5T_FLOAT || (c == H5T_ENUM && H5Tget_size(type) == 1);
	H5Tclose(type);
	return yes;
}

static herr_t look(hid_t file, const char *name, const H5O_info_t *info, void *user)
{
	survey *s = user;
	if (info->type != H5O_TYPE_DATASET)
		return 0;
	hid_t d = H5Dopen2(file, name, H5P_DEFAULT);
	if (d < 0)
		return 0;
	if (numeric(d)) {
		hid_t space = H5Dget_space(d);
		bool table = H5Sget_simple_extent_ndims(space) == 2;
		H5Sclose(space);
		s->all++;
		s->tables += table;
		snprintf(s->only, sizeof s->only, "%s", name);
		if (table)
			snprintf(s->table, sizeof s->table, "%s", name);
		lab__list(s->names, sizeof s->names, name);
	}
	H5Dclose(d);
	return 0;
}

static const char *choose(const char *path, hid_t file, survey *s, lab_err *err)
{
	if (H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, look, s) < 0)
		return lab__fail(err, path, "malformed HDF5 file (its groups cannot be listed)");
	if (s->tables == 1)
		return s->table;
	if (s->tables == 0 && s->all == 1)
		return s->only;
	if (s->all == 0)
		return lab__fail(err, path, "holds no numeric dataset");
	return lab__fail(err, path, "holds several datasets: name one with FILE:NAME (%s)", s->names);
}

/* Deflate is the strongest filter in use; more than it could have unpacked is not in the file. */
static bool justified(hid_t d, int64_t values, int64_t size)
{
	hid_t type = H5Dget_type(d);
	double bytes = (double)values * (double)H5Tget_size(type), stored = (double)H5Dget_storage_size(d);
	H5Tclose(type);
	if ((double)size < stored)
		stored = 0;
	return bytes <= stored * LAB__RATIO;
}

static bool read_values(hid_t d, lab_table *t)
{
	hid_t type = H5Dget_type(d);
	bool boolean = H5Tget_class(type) == H5T_ENUM, ok;
	if (boolean) {
		int64_t n = t->rows * t->cols;
		hid_t native = H5Tget_native_type(type, H5T_DIR_ASCEND);
		signed char *raw = malloc((size_t)n);
		ok = raw && H5Tget_size(native) == 1 && H5Dread(d, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) >= 0;
		for (int64_t i = 0; ok && i < n; i++)
			t->x[i] = raw[i];
		free(raw);
		H5Tclose(native);
	} else {
		ok = H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->x) >= 0;
	}
	H5Tclose(type);
	return ok;
}

static lab_table *read_dataset(const char *path, hid_t d, int64_t size, lab_err *err)
{
	hsize_t extent[H5S_MAX_RANK] = { 0 };
	uint64_t dim[LAB__MAXRANK];
	int64_t rows, cols;
	if (!numeric(d))
		return lab__fail(err, path, "is not numeric");
	if (lab_h5_elsewhere(d))
		return lab__fail(err, path, "keeps its values in other files, which are not read");
	hid_t space = H5Dget_space(d);
	int rank = H5Sget_simple_extent_ndims(space);
	if (rank >= 0)
		H5Sget_simple_extent_dims(space, extent, NULL);
	H5Sclose(space);
	for (int k = 0; k < rank; k++)
		dim[k] = extent[k];
	if (!lab__flatten(path, rank < 0 ? 0 : rank, dim, &rows, &cols, err))
		return NULL;
	if (!justified(d, rows * cols, size))
		return lab__fail(err, path, "promises %" PRId64 " x %" PRId64 " values, more than its file can hold", rows, cols);
	/* the table is held twice, by the process that reads it and the one that asked for it */
	if ((uint64_t)(rows * cols) > lab__memory() / (2 * sizeof(double)))
		return lab__fail(err, path, "not enough memory for %" PRId64 " x %" PRId64 " values", rows, cols);
	lab_table *t = lab__table(path, rows, cols, err);
	if (t && !read_values(d, t)) {
		lab_table_free(t);
		return lab__fail(err, path, "cannot be read (damaged, or an unknown compression)");
	}
	return t ? lab__checked(t, err) : NULL;
}

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *user)
{
	if (n == 0)
		snprintf(user, 128, "%s", e->desc ? e->desc : "");
	return 0;
}

lab_table *lab_h5_table(hid_t f, const char *path, const char *name, int64_t size, lab_err *err)
{
	survey s = { 0 };
	char full[512];
	lab_table *t = NULL;
	if (!name && !(name = choose(path, f, &s, err)))
		return NULL;
	snprintf(full, sizeof full, "%.300s:%.200s", path, name);
	hid_t d = H5Dopen2(f, name, H5P_DEFAULT);
	if (d < 0)
		return lab__fail(err, path, "has no dataset '%s'", name);
	t = read_dataset(full, d, size, err);
	H5Dclose(d);
	return t;
}

static lab_table *load(const char *path, const char *name, lab_err *err)
{
	struct stat st;
	char reason[128] = "";
	lab_h5_quiet();
	hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
	if (f < 0 || stat(path, &st)) {
		H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, reason);
		return lab__fail(err, path, "not an HDF5 file, or a damaged one (%s)", reason);
	}
	lab_table *t = lab_h5_table(f, path, name, st.st_size, err);
	H5Fclose(f);
	return t;
}

lab_table *lab__load_hdf5(const char *path, const char *name, lab_err *err)
{
	return lab__guarded(load, path, name, err);
}
