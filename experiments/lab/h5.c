/* h5.c - HDF5 files made in memory and put in place whole; attributes and arrays in one call each. */
#include "h5.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lab_h5_quiet(void)
{
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static size_t largest; /* of the files made so far */

/* HDF5 ends the process or crashes where it finds no memory for small things: see first that there is some. */
static bool room(void)
{
	enum { SOME = 8 << 20 };
	void *volatile p = malloc(SOME + 4 * largest); /* volatile: or the compiler leaves it out */
	free(p);
	return p != NULL;
}

/* Access to a file in memory.  HDF5 takes two open ones of a name for the same. */
static hid_t in_memory(char name[32])
{
	static unsigned count;
	lab_h5_quiet();
	snprintf(name, 32, "memory %u", count++);
	hid_t access = H5Pcreate(H5P_FILE_ACCESS);
	H5Pset_fapl_core(access, 1 << 16, 0);
	return access;
}

hid_t lab_h5_new(void)
{
	char name[32];
	if (!room())
		return -1;
	hid_t access = in_memory(name), f = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
	H5Pclose(access);
	return f;
}

hid_t lab_h5_of_image(const void *image, size_t size)
{
	char name[32];
	hid_t access = in_memory(name);
	hid_t f = H5Pset_file_image(access, (void *)(uintptr_t)image, size) < 0 ? -1 : H5Fopen(name, H5F_ACC_RDWR, access);
	H5Pclose(access);
	return f;
}

void *lab_h5_image(hid_t file, size_t *size)
{
	void *image = NULL;
	ssize_t n = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
	if (n > 0 && (image = malloc((size_t)n)) && H5Fget_file_image(file, image, (size_t)n) != n) {
		free(image);
		image = NULL;
	}
	*size = image ? (size_t)n : 0;
	H5Fclose(file);
	return image;
}

int lab_h5_commit(hid_t file, const char *path, lab_err *err)
{
	size_t n;
	void *image = lab_h5_image(file, &n);
	if (image && n > largest)
		largest = n;
	if (!image)
		lab_fail(err, "cannot write %s: no memory for the file", path);
	int bad = image ? lab_file_replace(path, image, n, err) : -1;
	free(image);
	return bad ? -1 : 0;
}

void lab_h5_stamp(hid_t file, const char *format, int version)
{
	lab_h5_put_text(file, "format", format);
	lab_h5_put_int(file, "version", version);
}

hid_t lab_h5_group(hid_t at, const char *path)
{
	char part[512];
	hid_t g = H5Gopen2(at, ".", H5P_DEFAULT);
	while (g >= 0 && *path) {
		size_t n = strcspn(path, "/");
		if (n >= sizeof part) {
			H5Gclose(g);
			return -1;
		}
		memcpy(part, path, n);
		part[n] = 0;
		path += n + (path[n] == '/');
		if (!n)
			continue;
		hid_t next = H5Lexists(g, part, H5P_DEFAULT) > 0 ? H5Gopen2(g, part, H5P_DEFAULT)
		                                                  : H5Gcreate2(g, part, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		H5Gclose(g);
		g = next;
	}
	return g;
}

static int put(hid_t at, const char *name, hid_t type, const void *v)
{
	hid_t s = H5Screate(H5S_SCALAR);
	hid_t a = H5Acreate2(at, name, type, s, H5P_DEFAULT, H5P_DEFAULT);
	int bad = a < 0 || H5Awrite(a, type, v) < 0;
	if (a >= 0)
		H5Aclose(a);
	H5Sclose(s);
	return bad ? -1 : 0;
}

static hid_t text_type(void)
{
	hid_t t = H5Tcopy(H5T_C_S1);
	H5Tset_size(t, H5T_VARIABLE);
	H5Tset_cset(t, H5T_CSET_UTF8);
	return t;
}

int lab_h5_put_text(hid_t at, const char *name, const char *v)
{
	hid_t t = text_type();
	int bad = put(at, name, t, &v);
	H5Tclose(t);
	return bad;
}

int lab_h5_put_int(hid_t at, const char *name, int64_t v)
{
	return put(at, name, H5T_NATIVE_INT64, &v);
}

int lab_h5_put_real(hid_t at, const char *name, double v)
{
	return put(at, name, H5T_NATIVE_DOUBLE, &v);
}

/* A scalar attribute of class c, with its type; < 0 if there is none. */
static hid_t scalar(hid_t at, const char *name, hid_t *type)
{
	hid_t a = H5Aexists(at, name) > 0 ? H5Aopen(at, name, H5P_DEFAULT) : -1;
	if (a < 0)
		return -1;
	hid_t s = H5Aget_space(a);
	hssize_t n = H5Sget_simple_extent_npoints(s);
	H5Sclose(s);
	*type = H5Aget_type(a);
	if (n == 1 && *type >= 0)
		return a;
	if (*type >= 0)
		H5Tclose(*type);
	H5Aclose(a);
	return -1;
}

char *lab_h5_get_text(hid_t at, const char *name)
{
	hid_t type, a = scalar(at, name, &type);
	if (a < 0)
		return NULL;
	char *v = NULL;
	if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0) {
		char *p = NULL;
		hid_t t = text_type();
		H5Tset_cset(t, H5Tget_cset(type));
		hid_t s = H5Aget_space(a);
		if (H5Aread(a, t, &p) >= 0 && p) {
			v = strdup(p);
			H5Dvlen_reclaim(t, s, H5P_DEFAULT, &p);
		}
		H5Sclose(s);
		H5Tclose(t);
	} else if (H5Tget_class(type) == H5T_STRING && H5Tget_size(type) < 1 << 16) {
		v = calloc(1, H5Tget_size(type) + 1);
		if (v && H5Aread(a, type, v) < 0) {
			free(v);
			v = NULL;
		}
	}
	H5Tclose(type);
	H5Aclose(a);
	return v;
}

static int get(hid_t at, const char *name, hid_t as, void *v)
{
	hid_t type, a = scalar(at, name, &type);
	if (a < 0)
		return -1;
	H5T_class_t c = H5Tget_class(type);
	int bad = (c != H5T_INTEGER && c != H5T_FLOAT) || H5Aread(a, as, v) < 0;
	H5Tclose(type);
	H5Aclose(a);
	return bad ? -1 : 0;
}

int lab_h5_get_int(hid_t at, const char *name, int64_t *v)
{
	return get(at, name, H5T_NATIVE_INT64, v);
}

int lab_h5_get_real(hid_t at, const char *name, double *v)
{
	return get(at, name, H5T_NATIVE_DOUBLE, v);
}

bool lab_h5_elsewhere(hid_t d)
{
	hid_t p = H5Dget_create_plist(d);
	int files = p < 0 ? 0 : H5Pget_external_count(p);
	if (p >= 0)
		H5Pclose(p);
	return files > 0;
}

int lab_h5_put_array(hid_t at, const char *name, hid_t type, int64_t n, const void *v, bool is_scalar, const char *unit)
{
	hsize_t extent = (hsize_t)n;
	hid_t s = is_scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &extent, NULL);
	hid_t d = H5Dcreate2(at, name, type, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	int bad = d < 0 || (n && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0);
	if (!bad && unit)
		bad = lab_h5_put_text(d, "unit", unit);
	if (d >= 0)
		H5Dclose(d);
	H5Sclose(s);
	return bad ? -1 : 0;
}

void *lab_h5_get_array(hid_t at, const char *name, hid_t type, int64_t *n)
{
	hid_t d = H5Lexists(at, name, H5P_DEFAULT) > 0 ? H5Dopen2(at, name, H5P_DEFAULT) : -1;
	if (d < 0)
		return NULL;
	hid_t s = H5Dget_space(d), t = H5Dget_type(d);
	hssize_t count = H5Sget_simple_extent_npoints(s);
	H5T_class_t c = H5Tget_class(t);
	hsize_t stored = H5Dget_storage_size(d);
	/* deflate cannot shrink more than about a thousand times */
	bool sound = (c == H5T_INTEGER || c == H5T_FLOAT) && count >= 0 && count < (hssize_t)1 << 40 &&
	             (hsize_t)count / 256 <= stored;
	void *v = sound ? malloc((size_t)count * 8 + 8) : NULL;
	if (v && count && H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0) {
		free(v);
		v = NULL;
	}
	H5Tclose(t);
	H5Sclose(s);
	H5Dclose(d);
	*n = v ? (int64_t)count : 0;
	return v;
}
