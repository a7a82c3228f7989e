/* save.c - writes a table as .npy, .csv or .h5 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "h5.h"
#include "load.h"

static int write_npy(FILE *f, int64_t rows, int64_t cols, const double *x)
{
	static const uint16_t one = 1;
	char head[128], order = *(const char *)&one ? '<' : '>';
	int n = snprintf(head, sizeof head, "{'descr': '%cf8', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 "), }",
	                 order, rows, cols);
	int pad = 63 - (10 + n) % 64; /* the values start at a multiple of 64 */
	unsigned len = (unsigned)(n + pad + 1);
	fprintf(f, "\x93NUMPY\x01%c%c%c%s%*s\n", 0, (int)(len & 255), (int)(len >> 8), head, pad, "");
	fwrite(x, sizeof *x, (size_t)(rows * cols), f);
	return ferror(f);
}

static int write_csv(FILE *f, int64_t rows, int64_t cols, const double *x)
{
	for (int64_t i = 0; i < rows * cols; i++)
		fprintf(f, "%.17g%c", x[i], (i + 1) % cols ? ',' : '\n');
	return ferror(f);
}

static int save_text(const char *path, int (*put)(FILE *, int64_t, int64_t, const double *), int64_t rows, int64_t cols,
                     const double *x, lab_err *err)
{
	char *data = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&data, &n);
	int rc = f ? put(f, rows, cols, x) : 1;
	if (f)
		rc |= fclose(f);
	if (rc) {
		lab__fail(err, path, "not enough memory to write %" PRId64 " x %" PRId64 " values", rows, cols);
		free(data);
		return -1;
	}
	rc = lab_file_replace(path, data, n, err);
	free(data);
	return rc;
}

static int save_h5(const char *path, const char *name, int64_t rows, int64_t cols, const double *x, lab_err *err)
{
	hid_t f = lab_h5_new();
	if (f < 0) {
		lab__fail(err, path, "not enough memory to write %" PRId64 " x %" PRId64 " values", rows, cols);
		return -1;
	}
	hid_t space = H5Screate_simple(2, (hsize_t[]){ (hsize_t)rows, (hsize_t)cols }, NULL);
	hid_t links = H5Pcreate(H5P_LINK_CREATE);
	H5Pset_create_intermediate_group(links, 1);
	hid_t d = H5Dcreate2(f, name ? name : "x", H5T_IEEE_F64LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
	int rc = d < 0 || H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0;
	if (d >= 0)
		H5Dclose(d);
	H5Sclose(space);
	H5Pclose(links);
	if (rc) {
		H5Fclose(f);
		lab__fail(err, path, "dataset '%s' cannot be made", name ? name : "x");
		return -1;
	}
	return lab_h5_commit(f, path, err);
}

int lab_save(const char *path, const char *name, int64_t rows, int64_t cols, const double *x, lab_err *err)
{
	const char *dot = strrchr(path, '.');
	if (dot && !strcmp(dot, ".npy"))
		return save_text(path, write_npy, rows, cols, x, err);
	if (dot && (!strcmp(dot, ".csv") || !strcmp(dot, ".txt")))
		return save_text(path, write_csv, rows, cols, x, err);
	if (dot && (!strcmp(dot, ".h5") || !strcmp(dot, ".hdf5")))
		return save_h5(path, name, rows, cols, x, err);
	lab__fail(err, path, "unknown ending: .npy, .csv, .txt, .h5 or .hdf5 can be written");
	return -1;
}
