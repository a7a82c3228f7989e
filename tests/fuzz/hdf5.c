/* hdf5.c - fuzzes tables in HDF5 files: sound files with datasets of any name, type, shape and filter. */
#include "edit.h"

static void *valid(size_t *n)
{
	static void *image;
	static size_t size;
	if (!image) {
		static const double x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
		hid_t f = lab_h5_new(), g = lab_h5_group(f, "g"), s = H5Screate_simple(2, (hsize_t[]){ 4, 2 }, NULL);
		hid_t d = H5Dcreate2(f, "x", H5T_NATIVE_DOUBLE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
		H5Dclose(d);
		H5Sclose(s);
		lab_h5_put_array(g, "y", H5T_NATIVE_DOUBLE, 3, x, false, "m");
		H5Gclose(g);
		image = lab_h5_image(f, &size);
	}
	*n = size;
	return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const name[] = { NULL, "x", "g/y", "g", "x/soft", "" };
	lab_err err = { "" };
	size_t m;
	int64_t size;
	const void *image = valid(&m);
	fuzz_bytes in = { data, n };
	uint64_t which = fuzz_take(&in, 1) % 6;
	hid_t f = fuzz_edit(image, m, in, &size);
	fuzz_table(lab_h5_table(f, "f.h5", name[which], size, &err), &err, "f.h5", (size_t)size);
	fuzz_true(H5Fget_obj_count(f, H5F_OBJ_ALL) == 1, "nothing is left open");
	H5Fclose(f);
	return 0;
}

void fuzz_seeds(fuzz_put *put)
{
	size_t n;
	const void *image = valid(&n);
	for (uint8_t which = 0; which < 3; which++)
		fuzz_edit_seeds(image, n, which, put);
}
