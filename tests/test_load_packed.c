/* test_load_packed.c - gzip, .npz and HDF5 files, whole and damaged */
#include "scratch.h"

#include <sys/stat.h>

#include "experiments/lab/h5.h"
#include "experiments/lab/load.h"
#ifdef LAB_ZLIB
#include <zlib.h>
#endif

#ifdef LAB_ZLIB
static void gzip_files(void **state)
{
	(void)state;
	unsigned char raw[200];
	gzFile g = gzopen(in_dir("t.csv.gz"), "wb");
	for (int k = 0; k < 1000; k++)
		gzprintf(g, "%d,%d\n", k, -k);
	gzclose(g);
	loads("t.csv.gz", 1000, 2, 0, -999);
	FILE *f = fopen(in_dir("t.csv.gz"), "rb");
	size_t n = fread(raw, 1, sizeof raw, f);
	fclose(f);
	put("cut.csv.gz", raw, n - 20);
	refused("cut.csv.gz", "truncated compressed stream");
	raw[100] ^= 64;
	put("bad.csv.gz", raw, n);
	refused("bad.csv.gz", "compressed stream");
	put("plain.csv.gz", "1,2\n3,4\n", 8);
	refused("plain.csv.gz", "not a gzip file");
}

typedef struct {
	unsigned char b[8192];
	size_t n, directory_n;
	unsigned char directory[1024];
	unsigned count;
} archive;

static void le(unsigned char *p, size_t v, int size)
{
	for (int k = 0; k < size; k++, v >>= 8)
		p[k] = (unsigned char)v;
}

static void add(archive *a, const char *name, const unsigned char *data, size_t n, bool deflated)
{
	unsigned char packed[1024], *h = a->b + a->n, *c = a->directory + a->directory_n;
	size_t name_n = strlen(name);
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)data, .avail_in = (uInt)n, .next_out = packed, .avail_out = sizeof packed };
	deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	size_t m = deflated ? z.total_out : n;
	deflateEnd(&z);
	memset(h, 0, 30);
	memset(c, 0, 46);
	memcpy(h, "PK\3\4", 4);
	memcpy(c, "PK\1\2", 4);
	le(h + 26, name_n, 2);
	le(c + 10, deflated ? 8 : 0, 2);
	le(c + 16, crc32(0, data, (uInt)n), 4);
	le(c + 20, m, 4);
	le(c + 24, n, 4);
	le(c + 28, name_n, 2);
	le(c + 42, a->n, 4);
	memcpy(h + 30, name, name_n);
	memcpy(c + 46, name, name_n);
	memcpy(h + 30 + name_n, deflated ? packed : data, m);
	a->n += 30 + name_n + m;
	a->directory_n += 46 + name_n;
	a->count++;
}

static void put_archive(const char *name, archive *a)
{
	unsigned char *e = a->b + a->n + a->directory_n;
	memcpy(a->b + a->n, a->directory, a->directory_n);
	memset(e, 0, 22);
	memcpy(e, "PK\5\6", 4);
	le(e + 10, a->count, 2);
	le(e + 12, a->directory_n, 4);
	le(e + 16, a->n, 4);
	put(name, a->b, a->n + a->directory_n + 22);
}

static void npz_files(void **state)
{
	(void)state;
	static const double d[6] = { 1, 2, 3, 4, 5, 6 };
	static archive one, two, named;
	unsigned char x[256], y[256];
	size_t nx = npy(x, 1, HEAD("<f8", "False", "(3, 2)"), d, 48), ny = npy(y, 1, HEAD("<f8", "False", "(6,)"), d, 48);
	add(&one, "data.npy", x, nx, true);
	put_archive("one.npz", &one);
	loads("one.npz", 3, 2, 1, 6);
	add(&named, "y.npy", y, ny, true);
	add(&named, "X.npy", x, nx, false);
	put_archive("X.npz", &named);
	loads("X.npz", 3, 2, 1, 6);
	loads("X.npz:y", 6, 1, 1, 6);
	refused("X.npz:z", "has no array 'z' (it has y, X)");
	add(&two, "a.npy", x, nx, true);
	add(&two, "b.npy", y, ny, true);
	put_archive("two.npz", &two);
	refused("two.npz", "holds several arrays, none of them X: name one with FILE:NAME (a, b)");
	put("cut.npz", named.b, named.n - 30);
	refused("cut.npz", "truncated or not a zip archive");
	named.b[named.n - 4] ^= 1;
	put_archive("bad.npz", &named);
	refused("bad.npz", "checksum");
}
#endif

static void hdf5_put(const char *file, const char *name, int rank, const hsize_t *dim, hid_t type, const void *data, bool fresh)
{
	hid_t f = fresh ? H5Fcreate(in_dir(file), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT) : H5Fopen(in_dir(file), H5F_ACC_RDWR, H5P_DEFAULT);
	hid_t s = H5Screate_simple(rank, dim, NULL), p = H5Pcreate(H5P_DATASET_CREATE);
	if (!data && rank == 1) /* where a reader would wait for ever */
		H5Pset_external(p, in_dir("fifo"), 0, (hsize_t)dim[0] * H5Tget_size(type));
	else if (!data)
		H5Pset_chunk(p, rank, (hsize_t[]){ 2, 2, 2 });
	hid_t d = H5Dcreate2(f, name, type, s, H5P_DEFAULT, p, H5P_DEFAULT);
	if (data)
		H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
	H5Pclose(p);
	H5Dclose(d);
	H5Sclose(s);
	H5Fclose(f);
}

static void hdf5_files(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	static const float x[6] = { 1, 2, 3, 4, 5, 6 };
	static const int64_t y[3] = { 7, 8, 9 };
	hdf5_put("a.h5", "y", 1, (hsize_t[]){ 3 }, H5T_NATIVE_INT64, y, true);
	loads("a.h5", 3, 1, 7, 9);
	hdf5_put("a.h5", "x", 2, (hsize_t[]){ 3, 2 }, H5T_NATIVE_FLOAT, x, false);
	loads("a.h5", 3, 2, 1, 6);
	loads("a.h5:y", 3, 1, 7, 9);
	refused("a.h5:z", "has no dataset 'z'");
	hdf5_put("a.h5", "w", 2, (hsize_t[]){ 2, 3 }, H5T_NATIVE_FLOAT, x, false);
	refused("a.h5", "holds several datasets: name one with FILE:NAME (w, x, y)");
	hdf5_put("b.h5", "x", 3, (hsize_t[]){ 3, 1, 2 }, H5T_NATIVE_FLOAT, x, true);
	loads("b.h5", 3, 2, 1, 6);
	hdf5_put("huge.h5", "x", 2, (hsize_t[]){ 1u << 30, 1u << 20 }, H5T_NATIVE_FLOAT, NULL, true);
	refused("huge.h5", "more than its file can hold");
	hdf5_put("away.h5", "x", 1, (hsize_t[]){ 3 }, H5T_NATIVE_INT64, NULL, true);
	refused("away.h5", "keeps its values in other files");
	lab_err err = { "" };
	assert_true(lab_h5_open(in_dir("fifo"), "a log", 1, &err) < 0);
	assert_non_null(strstr(err.text, "fifo is not a whole HDF5 file"));
	put("bad.h5", "\x89HDF\r\n\x1a\nnothing behind it", 25);
	refused("bad.h5", "damaged");
	put("text.h5", "1,2\n3,4\n", 8);
	refused("text.h5", "not an HDF5 file");
	assert_int_equal(truncate(in_dir("b.h5"), 1500), 0);
	refused("b.h5", "truncated");
}

static lab_table *crashes(const char *path, const char *name, lab_err *err)
{
	(void)path, (void)name, (void)err;
	abort();
}

static lab_table *devours(const char *path, const char *name, lab_err *err)
{
	void *volatile p = malloc((size_t)8 << 30); /* volatile: or the compiler leaves it out */
	lab__fail(err, path, p ? "got all that it asked for" : "was refused memory, by %s", name);
	free(p);
	return NULL;
}

/* A library that crashes, or asks for more memory than a small file can need, is an error of the file. */
static void guarded(void **state)
{
	(void)state;
	lab_err err = { "" };
	put("g.h5", "x", 1);
	assert_null(lab__guarded(crashes, in_dir("g.h5"), NULL, &err));
	assert_non_null(strstr(err.text, "g.h5: damaged: the HDF5 library fails on it"));
	assert_null(lab__guarded(devours, in_dir("g.h5"), "its limit", &err));
	assert_non_null(strstr(err.text, "g.h5: "));
	assert_null(strstr(err.text, "got all"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hdf5_files),
		cmocka_unit_test(guarded),
#ifdef LAB_ZLIB
		cmocka_unit_test(gzip_files),
		cmocka_unit_test(npz_files),
#endif
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
