/* damaged.c - fuzzes HDF5 files byte by byte, read as the programs read them: in a child process. */
#include <unistd.h>

#include "edit.h"
#include "experiments/lab/log.h"

static const char *path(void)
{
	static char p[] = "/tmp/fuzz_damaged_XXXXXX";
	static int fd = -1;
	if (fd < 0)
		fd = mkstemp(p);
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	lab_err err = { "" };
	if (!n)
		return 0;
	FILE *f = fopen(path(), "wb");
	fuzz_true(f && fwrite(data + 1, 1, n - 1, f) == n - 1 && !fclose(f), "the file is written");
	if (data[0] & 1) {
		lab_log *l = lab_log_read(path(), &err);
		fuzz_true(l || (strstr(err.text, path()) && !strpbrk(err.text, "\n\r")), "a log, or a line that names the file");
		lab_log_free(l);
	} else {
		fuzz_table(lab__load_hdf5(path(), NULL, &err), &err, path(), n);
	}
	remove(path());
	return 0;
}

static void put_image(hid_t f, uint8_t lead, fuzz_put *put)
{
	size_t n;
	void *image = lab_h5_image(f, &n);
	unsigned char *p = malloc(n + 1);
	p[0] = lead;
	memcpy(p + 1, image, n);
	put(p, n + 1);
	free(p);
	free(image);
}

/* A table in chunks; latest: in the library's newest format, whose structures have checksums. */
static hid_t table(bool latest)
{
	static const double x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	hid_t access = H5Pcreate(H5P_FILE_ACCESS), s = H5Screate_simple(2, (hsize_t[]){ 4, 2 }, NULL), p = H5Pcreate(H5P_DATASET_CREATE);
	H5Pset_fapl_core(access, 1 << 16, 0);
	if (latest)
		H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
	hid_t f = H5Fcreate("table", H5F_ACC_TRUNC, H5P_DEFAULT, access);
	H5Pset_chunk(p, 2, (hsize_t[]){ 2, 2 });
	H5Pset_deflate(p, 6);
	hid_t d = H5Dcreate2(f, "x", H5T_NATIVE_DOUBLE, s, H5P_DEFAULT, p, H5P_DEFAULT);
	H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
	H5Dclose(d);
	H5Pclose(p);
	H5Sclose(s);
	H5Pclose(access);
	return f;
}

void fuzz_seeds(fuzz_put *put)
{
	static const double x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	lab_h5_quiet();
	put_image(table(false), 0, put);
	put_image(table(true), 0, put);
	lab_log *l = lab_log_new();
	hid_t f = lab_h5_new();
	lab_h5_stamp(f, LAB_LOG_FORMAT, LAB_LOG_VERSION);
	lab_log_text(l, "config/model", "maf");
	lab_log_array(l, "test/log_likelihood", 8, x, "nats");
	lab_log_point(l, "val/nll", "nats", 1, 2);
	lab_log_put(l, f);
	lab_log_free(l);
	put_image(f, 1, put);
}
