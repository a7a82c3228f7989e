/* h5_copy.c - what these programs understand of an HDF5 file, read to the last byte and written into another. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h5.h"

enum { DEEPEST = 16, MAXRANK = 8 };

typedef struct {
	hid_t to;          /* where copies go */
	int depth;
	int64_t *objects;  /* that may still come: links in circles end there */
	double *bytes;     /* of values that may still come */
	const char *path;  /* "/weights/" */
	lab_err *err;
} place;

static herr_t wrong(const place *p, const char *name, const char *fmt, ...)
{
	char why[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	lab_fail(p->err, "%.250s%.100s %s", p->path, name, why);
	return -1;
}

static herr_t spend(const place *p, const char *name)
{
	return --*p->objects < 0 ? wrong(p, name, "is one object too many for the size of the file") : 0;
}

/* The type in which numbers of type t are kept; -1: they are none. */
static hid_t kept_as(hid_t t)
{
	H5T_class_t c = H5Tget_class(t);
	size_t size = H5Tget_size(t);
	if (c == H5T_FLOAT)
		return size <= 4 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
	if (c != H5T_INTEGER)
		return -1;
	return size == 8 && H5Tget_sign(t) == H5T_SGN_NONE ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64;
}

static herr_t copy_number(const place *p, hid_t a, hid_t type, const char *name)
{
	hid_t as = kept_as(type), s = H5Screate(H5S_SCALAR);
	char v[8];
	if (H5Aread(a, as, v) < 0) {
		H5Sclose(s);
		return wrong(p, name, "cannot be read");
	}
	hid_t b = H5Acreate2(p->to, name, as, s, H5P_DEFAULT, H5P_DEFAULT);
	bool good = b >= 0 && H5Awrite(b, as, v) >= 0;
	if (b >= 0)
		H5Aclose(b);
	H5Sclose(s);
	return good ? 0 : wrong(p, name, "cannot be kept");
}

/* Attributes that are one number or one text; others are passed over. */
static herr_t copy_attribute(hid_t at, const char *name, const H5A_info_t *info, void *user)
{
	(void)info;
	const place *p = user;
	hid_t a = H5Aopen(at, name, H5P_DEFAULT), s = a < 0 ? -1 : H5Aget_space(a), t = a < 0 ? -1 : H5Aget_type(a);
	herr_t bad = s < 0 || t < 0 ? wrong(p, name, "cannot be opened") : spend(p, name);
	if (!bad && H5Sget_simple_extent_npoints(s) == 1) {
		if (H5Tget_class(t) == H5T_STRING) {
			char *text = lab_h5_get_text(at, name);
			bad = !text ? wrong(p, name, "cannot be read") : lab_h5_put_text(p->to, name, text) ? wrong(p, name, "cannot be kept") : 0;
			free(text);
		} else if (kept_as(t) >= 0) {
			bad = copy_number(p, a, t, name);
		}
	}
	if (t >= 0)
		H5Tclose(t);
	if (s >= 0)
		H5Sclose(s);
	if (a >= 0)
		H5Aclose(a);
	return bad;
}

static herr_t copy_attributes(const place *p, hid_t from, hid_t to)
{
	place of = *p;
	of.to = to;
	herr_t bad = H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &of);
	return bad < 0 && !*p->err->text ? wrong(p, "", "has attributes that cannot be listed") : bad;
}

/* Deflate is the strongest filter in use; more values than it could have unpacked are not in the file. */
static bool justified(const place *p, hid_t d, hid_t type, double values)
{
	double bytes = values * (double)H5Tget_size(type);
	*p->bytes -= values * 8;
	return bytes <= (double)H5Dget_storage_size(d) * LAB_H5_RATIO && *p->bytes >= 0;
}

static herr_t copy_values(const place *p, hid_t d, hid_t space, hid_t as, int64_t n, const char *name)
{
	void *v = malloc((size_t)n * H5Tget_size(as) + 1);
	if (!v || (n && H5Dread(d, as, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0)) {
		free(v);
		return wrong(p, name, "cannot be read");
	}
	hid_t to = H5Dcreate2(p->to, name, as, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	bool good = to >= 0 && (!n || H5Dwrite(to, as, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0);
	free(v);
	char below[512];
	snprintf(below, sizeof below, "%.300s%.200s/", p->path, name);
	place of = *p;
	of.path = below;
	herr_t bad = good ? copy_attributes(&of, d, to) : wrong(p, name, "cannot be kept");
	if (to >= 0)
		H5Dclose(to);
	return bad;
}

/* Arrays of numbers; others are passed over. */
static herr_t copy_dataset(const place *p, hid_t d, const char *name)
{
	hid_t s = H5Dget_space(d), t = H5Dget_type(d), as = t < 0 ? -1 : kept_as(t), to = -1;
	hsize_t dim[H5S_MAX_RANK] = { 0 };
	int rank = s < 0 ? -1 : H5Sget_simple_extent_ndims(s);
	herr_t bad = s < 0 || t < 0 || rank < 0 ? wrong(p, name, "has no shape or type") : 0;
	if (!bad && as >= 0 && rank <= MAXRANK && H5Sget_simple_extent_type(s) != H5S_NULL) {
		double values = 1;
		if (rank)
			H5Sget_simple_extent_dims(s, dim, NULL);
		for (int k = 0; k < rank; k++)
			values *= (double)dim[k];
		to = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_SCALAR);
		if (lab_h5_elsewhere(d))
			bad = wrong(p, name, "keeps its values in other files");
		else if (!justified(p, d, t, values))
			bad = wrong(p, name, "promises %.6g values, more than its file can hold", values);
		else
			bad = to < 0 ? wrong(p, name, "cannot be kept") : copy_values(p, d, to, as, (int64_t)values, name);
	}
	if (to >= 0)
		H5Sclose(to);
	if (t >= 0)
		H5Tclose(t);
	if (s >= 0)
		H5Sclose(s);
	return bad;
}

static herr_t copy_group(const place *p, hid_t from, hid_t to);

static herr_t copy_link(hid_t at, const char *name, const H5L_info_t *info, void *user)
{
	const place *p = user;
	if (info->type != H5L_TYPE_HARD)
		return 0;
	hid_t o = H5Oopen(at, name, H5P_DEFAULT);
	herr_t bad = o < 0 ? wrong(p, name, "cannot be opened") : spend(p, name);
	if (!bad && H5Iget_type(o) == H5I_DATASET)
		bad = copy_dataset(p, o, name);
	if (!bad && H5Iget_type(o) == H5I_GROUP) {
		char below[512];
		snprintf(below, sizeof below, "%.300s%.200s/", p->path, name);
		place of = *p;
		of.path = below;
		of.depth++;
		hid_t g = of.depth > DEEPEST ? -1 : H5Gcreate2(p->to, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
		bad = of.depth > DEEPEST ? wrong(p, name, "lies too deep") : g < 0 ? wrong(p, name, "cannot be kept") : copy_group(&of, o, g);
		if (g >= 0)
			H5Gclose(g);
	}
	if (o >= 0)
		H5Oclose(o);
	return bad;
}

static herr_t copy_group(const place *p, hid_t from, hid_t to)
{
	place of = *p;
	of.to = to;
	herr_t bad = copy_attributes(p, from, to);
	if (!bad)
		bad = H5Literate(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_link, &of);
	return bad < 0 && !*p->err->text ? wrong(p, "", "cannot be listed") : bad;
}

int lab_h5_copy(hid_t from, hid_t to, int64_t size, lab_err *err)
{
	int64_t objects = size / 16 + 64;
	double bytes = (double)size * LAB_H5_RATIO * 8 + 4096;
	*err->text = 0;
	return copy_group(&(place){ to, 0, &objects, &bytes, "/", err }, from, to) < 0 ? -1 : 0;
}
